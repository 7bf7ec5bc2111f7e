"""Plans of faults: what fails how often, drawn into episodes that are the truth."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilth.core.errors import InputError
from tilth.fleet.simulate.faults import FAULT_KINDS, FaultKind

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

#: Device number of an episode that hits the whole fleet.
WHOLE_FLEET = -1


@dataclass(frozen=True)
class Fault:
    """How often, how long and how badly one kind of fault strikes.

    Attributes
    ----------
    rate : float
        Episodes per device (or per fleet, by its kind) and day.
    hours : float
        Mean length, h.
    size : float
        Median size, in the unit of the kind.
    """

    rate: float
    hours: float
    size: float


@dataclass(frozen=True)
class Episode:
    """One fault that happened: the truth a detector is scored against.

    Attributes
    ----------
    device : int
        Number of the device in the fleet; `WHOLE_FLEET` (-1) for all of them.
    kind : str
        A name of `FAULT_KINDS`.
    t_from, t_to : int
        From when, until when (excluded), UTC ms. Whole minutes where the episode is
        longer than a minute.
    size : float
        In the unit of the kind.
    """

    device: int
    kind: str
    t_from: int
    t_to: int
    size: float = 0.0


@dataclass(frozen=True)
class FaultPlan:
    """What fails how often, and what fails at a given moment.

    Attributes
    ----------
    faults : mapping of str to Fault
        By the name of the kind; a kind that is not named does not occur.
    explicit : tuple of Episode
        Episodes at given times, beside those drawn.
    seed : int
        Of the draws. Every kind and device has its own stream, so that a change of
        one leaves the others alone.
    """

    faults: Mapping[str, Fault] = field(default_factory=dict)
    explicit: tuple[Episode, ...] = ()
    seed: int = 0

    @classmethod
    def none(cls, seed: int = 0) -> FaultPlan:
        """Return a plan in which nothing fails."""
        return cls({}, (), seed)

    @classmethod
    def default(cls, seed: int = 0) -> FaultPlan:
        """Return the plan with every kind at its default rate."""
        return cls(
            {name: Fault(k.rate, k.hours, k.size) for name, k in FAULT_KINDS.items()},
            (),
            seed,
        )

    @classmethod
    def from_dict(cls, plan: Mapping[str, Any]) -> FaultPlan:
        """Return the plan written as plain data; see `read_plan` for its form.

        Parameters
        ----------
        plan : mapping
            Keys ``seed``, ``base``, ``faults`` and ``episodes``, all optional.

        Returns
        -------
        FaultPlan

        Raises
        ------
        InputError
            If a key, a kind or a value is not one.
        """
        _known(plan, ("seed", "base", "faults", "episodes"), "a fault plan")
        seed = _whole(plan.get("seed", 0), "seed")
        base = plan.get("base", "none")
        if base not in ("none", "default"):
            raise InputError(f"base must be 'none' or 'default', got {base!r}")
        faults = dict(cls.default().faults) if base == "default" else {}
        named = plan.get("faults") or {}
        if not isinstance(named, Mapping):
            raise InputError(
                f"faults must be a mapping of kinds, got {type(named).__name__}: write "
                "'faults: {stuck_open: {rate: 0.1}}'"
            )
        for name, wanted in named.items():
            kind = _kind(name)
            if wanted is False or wanted == "off":
                faults.pop(kind.name, None)
            else:
                faults[kind.name] = _fault(kind, wanted)
        rows = plan.get("episodes") or []
        if isinstance(rows, (str, Mapping)) or not isinstance(rows, Iterable):
            raise InputError("episodes must be a list of mappings")
        explicit = tuple(_episode(number, row) for number, row in enumerate(rows, 1))
        return cls(faults, explicit, seed)

    def with_seed(self, seed: int) -> FaultPlan:
        """Return the same plan with other draws."""
        return replace(self, seed=seed)

    def episodes(
        self, devices: int, start: int, days: float, mode: str | None = None
    ) -> tuple[Episode, ...]:
        """Draw what fails when.

        Parameters
        ----------
        devices : int
            Number of devices.
        start : int
            Begin of the record, UTC ms.
        days : float
            Its length.
        mode : str, optional
            Leave out the kinds that this mode, "records" or "loop", cannot apply.

        Returns
        -------
        tuple of Episode
            By device and time. Kinds that exclude each other (two faults of one lid)
            do not overlap: the explicit one stays, then the one of the kind listed
            first.

        Raises
        ------
        InputError
            If an explicit episode is of a device that the fleet does not have.
        """
        for episode in self.explicit:
            if episode.device >= devices:
                raise InputError(
                    f"the plan has a {episode.kind} of device {episode.device}, but "
                    f"the fleet has the devices 0 to {devices - 1}"
                )
        end = start + int(days * DAY_MS)
        # By device; those of the whole fleet have a list of their own.
        kept: dict[int, list[Episode]] = defaultdict(list)
        for episode in self.explicit:
            kept[episode.device].append(episode)
        for name, kind in FAULT_KINDS.items():
            if name not in self.faults:
                continue
            targets = [WHOLE_FLEET] if kind.scope == "fleet" else range(devices)
            for device in targets:
                others = [kept[WHOLE_FLEET], kept[device]]
                if device == WHOLE_FLEET:
                    others = list(kept.values())
                for episode in self._draw(kind, device, start, end):
                    if not any(_excluded(episode, other) for other in others):
                        kept[device].append(episode)
        drawn = [e for episodes in kept.values() for e in episodes]
        if mode is not None:
            drawn = [e for e in drawn if mode in FAULT_KINDS[e.kind].modes]
        inside = [e for e in drawn if e.t_to > start and e.t_from < end]
        return tuple(sorted(inside, key=lambda e: (e.device, e.t_from, e.kind)))

    def _draw(
        self, kind: FaultKind, device: int, start: int, end: int
    ) -> list[Episode]:
        fault = self.faults[kind.name]
        stream = [self.seed, zlib.crc32(kind.name.encode()), device + 1]
        rng = np.random.default_rng(stream)
        drawn = []
        for _ in range(rng.poisson(fault.rate * (end - start) / DAY_MS)):
            t_from = start + int(rng.random() * (end - start))
            hours = fault.hours * rng.exponential()
            hours = min(max(hours, kind.shortest), kind.longest)
            size = fault.size * float(np.exp(kind.spread * rng.standard_normal()))
            if kind.signed and rng.random() < 0.5:
                size = -size
            length = int(hours * HOUR_MS)
            if length > MINUTE_MS:
                t_from -= t_from % MINUTE_MS
                length = max(length - length % MINUTE_MS, MINUTE_MS)
            drawn.append(Episode(device, kind.name, t_from, t_from + length, size))
        return sorted(drawn, key=lambda e: e.t_from)


def read_plan(source: str | Path | Mapping[str, Any] | FaultPlan | None) -> FaultPlan:
    """Read a plan of faults.

    Parameters
    ----------
    source : str, Path, mapping, FaultPlan or None
        A YAML file; its content; a plan; the words "none" or "default"; None is a
        plan in which nothing fails. A file looks like this::

            seed: 7
            base: none                # or default: all kinds at their default rates
            faults:
              stuck_closed: {rate: 0.05, hours: 8}   # per device and day; mean hours
              offset_drift: {rate: 0.02, size: 40}   # ppm per day
              wifi_loss: off
            episodes:                 # what fails at a given time
              - {device: 3, kind: stuck_open, from: 2023-07-03T10:00, hours: 6}
              - {device: all, kind: broker_down, from: 2023-07-03T12:00, hours: 1}

    Returns
    -------
    FaultPlan

    Raises
    ------
    InputError
        If the file is absent, or holds what a plan does not know.
    """
    if source is None:
        return FaultPlan.none()
    if isinstance(source, FaultPlan):
        return source
    if isinstance(source, Mapping):
        return FaultPlan.from_dict(source)
    if str(source) in ("none", "default"):
        return FaultPlan.none() if str(source) == "none" else FaultPlan.default()
    import yaml

    try:
        text = Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read the fault plan {source}: {error.strerror}; give a YAML file, "
            "or one of the words 'none' and 'default'"
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(
            f"{source} holds no plan: it needs keys such as 'faults' and 'episodes'"
        )
    return FaultPlan.from_dict(content)


def episode_table(episodes: Iterable[Episode], names: Iterable[str] = ()):
    """Return the episodes as a table, one row each.

    Parameters
    ----------
    episodes : iterable of Episode
        From `FaultPlan.episodes`.
    names : iterable of str, optional
        Names of the devices by number; without them, the numbers as text.

    Returns
    -------
    pandas.DataFrame
        Columns ``device`` (name; "all" for the whole fleet), ``kind``, ``t_from``,
        ``t_to`` (UTC ms), ``size``, ``unit`` and ``modes``.
    """
    named = list(names)

    def name(device: int) -> str:
        if device == WHOLE_FLEET:
            return "all"
        return named[device] if named else str(device)

    rows = [
        (
            name(e.device),
            e.kind,
            e.t_from,
            e.t_to,
            e.size,
            FAULT_KINDS[e.kind].unit,
            ",".join(FAULT_KINDS[e.kind].modes),
        )
        for e in episodes
    ]
    columns = ["device", "kind", "t_from", "t_to", "size", "unit", "modes"]
    return pd.DataFrame(rows, columns=columns)


def _excluded(episode: Episode, kept: list[Episode]) -> bool:
    """Tell whether one of these episodes forbids this one on the same device."""
    group = FAULT_KINDS[episode.kind].group
    return any(
        episode.t_from < other.t_to
        and other.t_from < episode.t_to
        and (
            episode.kind == other.kind
            or (group != "" and FAULT_KINDS[other.kind].group == group)
        )
        for other in kept
    )


def _kind(name: Any) -> FaultKind:
    if name not in FAULT_KINDS:
        raise InputError(f"no fault {name!r}; there are {', '.join(FAULT_KINDS)}")
    kind = FAULT_KINDS[name]
    if not kind.modes:
        raise InputError(f"{kind.name} cannot be simulated ({kind.what})")
    return kind


def _fault(kind: FaultKind, wanted: Any) -> Fault:
    """Read the settings of one kind."""
    if wanted is True or wanted is None or wanted == "on":
        wanted = {}
    if not isinstance(wanted, Mapping):
        raise InputError(
            f"{kind.name} needs settings such as {{rate: {kind.rate}, hours: "
            f"{kind.hours}}}, or 'on' or 'off', got {wanted!r}"
        )
    _known(wanted, ("rate", "hours", "size"), kind.name)
    rate = _number(wanted.get("rate", kind.rate), f"{kind.name}: rate")
    hours = _number(wanted.get("hours", kind.hours), f"{kind.name}: hours")
    size = _number(wanted.get("size", kind.size), f"{kind.name}: size")
    if not 0 <= rate <= 1000:
        raise InputError(
            f"{kind.name}: rate must be 0 to 1000 episodes per day, got {rate:g}"
        )
    if not 0 < hours <= 24 * 366:
        raise InputError(f"{kind.name}: hours must be above 0, got {hours:g}")
    if "size" in wanted and not kind.unit and kind.size == 0:
        raise InputError(f"{kind.name} has no size: leave it out")
    return Fault(rate, hours, size)


def _episode(number: int, row: Any) -> Episode:
    """Read one explicit episode."""
    where = f"episode {number}"
    if not isinstance(row, Mapping):
        raise InputError(f"{where} must be a mapping, got {row!r}")
    _known(row, ("device", "kind", "from", "to", "hours", "size"), where)
    for key in ("kind", "from"):
        if key not in row:
            raise InputError(f"{where} lacks '{key}'")
    kind = _kind(row["kind"])
    device = row.get("device", "all" if kind.scope == "fleet" else None)
    if device is None:
        raise InputError(f"{where}: {kind.name} needs a device, a number from 0 up")
    if device == "all":
        device = WHOLE_FLEET
    else:
        device = _whole(device, f"{where}: device")
        if kind.scope == "fleet":
            raise InputError(f"{where}: {kind.name} hits all devices: 'device: all'")
    t_from = utc_ms(row["from"], f"{where}: from")
    if ("to" in row) == ("hours" in row):
        raise InputError(f"{where} needs either 'to' or 'hours'")
    if "to" in row:
        t_to = utc_ms(row["to"], f"{where}: to")
    else:
        t_to = t_from + int(_number(row["hours"], f"{where}: hours") * HOUR_MS)
    if t_to <= t_from:
        raise InputError(f"{where} ends before it begins")
    size = _number(row.get("size", kind.size), f"{where}: size")
    return Episode(device, kind.name, t_from, t_to, size)


def utc_ms(when: Any, what: str = "time") -> int:
    """Read a moment: ISO 8601 (UTC where it names no zone), a datetime or UTC ms.

    Examples
    --------
    >>> utc_ms("2023-07-03T10:00")
    1688378400000
    """
    if isinstance(when, bool):
        raise InputError(f"{what}: {when!r} is no time")
    if isinstance(when, int):
        return when
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError as error:
            raise InputError(
                f"{what}: {when!r} is no time; write 2023-07-03T10:00 (UTC)"
            ) from error
    if not isinstance(when, datetime):
        # YAML reads a bare day as a date.
        try:
            when = datetime(when.year, when.month, when.day)
        except AttributeError:
            raise InputError(
                f"{what}: {when!r} is no time; write 2023-07-03T10:00 (UTC)"
            ) from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return round(when.timestamp() * 1000)


def _known(row: Mapping, keys: tuple[str, ...], what: str) -> None:
    unknown = sorted(str(key) for key in set(row) - set(keys))
    if unknown:
        raise InputError(
            f"{what} has no {', '.join(unknown)}; it has {', '.join(keys)}"
        )


def _number(value: Any, what: str) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not np.isfinite(value):
        raise InputError(f"{what} must be a number, got {value!r}")
    return float(value)


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"{what} must be a whole number from 0 up, got {value!r}")
    return value
