"""Treatment against control from live fluxes, kept ready for whoever looks.

Cycles become hourly means of each pot (`tilth.chambers` pairs hours), a day at a
time; a day is averaged again only when one of its cycles changed. A fleet of 85 and a
month are then a table of some ten thousand rows, whatever the cycles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tilth.chambers.budget import SystematicErrors, budget_inputs, flux_factor
from tilth.chambers.effects import compare_pots, mixed_effects, paired_effects
from tilth.chambers.flags import CLOSURE_FLAGS, REMARKS
from tilth.chambers.hourly import hourly_pairs
from tilth.chambers.quality.outliers import outliers
from tilth.core.errors import InputError
from tilth.core.uncertainty import propagate_linear
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.live import UNUSABLE
from tilth.fleet.live_store import FluxStore

#: Variant -> its control, as people stated it; others go by ``x.0`` of their table.
Controls = Callable[[], Mapping[str, str]]

#: Doubts about a closure that keep it out of an average. Light is dealt with apart.
_DOUBTS = sum(
    CLOSURE_FLAGS.bit(name)
    for name in CLOSURE_FLAGS.descriptions
    if name not in (*REMARKS, "daylight", "light_unknown")
)

#: Columns of the effects, in order.
COLUMNS = (
    "control", "ratio", "lower", "upper", "n_pairs", "n_days", "pots", "pots_control",
    "mean", "mean_control", "ratio_systematic", "pots_ratio", "pots_lower",
    "pots_upper", "pots_p", "note",
)  # fmt: skip

_HOURLY = ("variant", "pot", "hour", "flux", "n", "single")


@dataclass(frozen=True)
class Effects:
    """Contrasts of a span of time.

    Attributes
    ----------
    table : pandas.DataFrame
        Indexed by variant; see `LiveEffects.effects`.
    left_out : dict of str to int
        Hours that were not used, by reason.
    notes : tuple of str
        What to beware of in all of it.
    """

    table: pd.DataFrame
    left_out: Mapping[str, int]
    notes: tuple[str, ...]


class LiveEffects:
    """Contrasts between variants and their controls from the live fluxes.

    Parameters
    ----------
    store : FluxStore
        The fluxes.
    controls : callable, optional
        Stated controls of variants.
    errors : SystematicErrors, optional
        What is not noise; for the part of it that does not cancel in a ratio.
    """

    def __init__(
        self,
        store: FluxStore,
        controls: Controls | None = None,
        errors: SystematicErrors | None = None,
    ) -> None:
        self._store = store
        self._controls = controls or dict
        self._of_device = _device_error(errors or SystematicErrors())
        self._days: dict[tuple[int, bool], pd.DataFrame] = {}
        self._lock = threading.Lock()
        store.watch(self._changed)

    def hourly(self, t_from: int, t_to: int, *, night: bool = True) -> pd.DataFrame:
        """Return the hourly mean flux of each pot.

        Mixed, incomplete and undated cycles, those whose chamber or sensor is in
        doubt, and those on no legal location are left out.

        Parameters
        ----------
        t_from, t_to : int
            utc ms; widened to full hours.
        night : bool
            Only cycles in the dark; plants take part in the others.

        Returns
        -------
        pandas.DataFrame
            ``variant``, ``pot``, ``hour`` (UTC), ``flux`` (umol m-2 s-1), ``n``
            (cycles) and ``single``.
        """
        with self._lock:
            parts = [
                self._day(day, night)
                for day in range(t_from // DAY_MS, (t_to - 1) // DAY_MS + 1)
            ]
        table = pd.concat(parts, ignore_index=True) if parts else _no_hours()
        first, last = (
            pd.Timestamp(t - t % HOUR_MS, unit="ms")
            for t in (t_from, t_to + HOUR_MS - 1)
        )
        return table[(table["hour"] >= first) & (table["hour"] < last)]

    def effects(
        self, t_from: int, t_to: int, *, night: bool = True, level: float = 0.95
    ) -> Effects:
        """Return every variant against its control.

        Parameters
        ----------
        t_from, t_to : int
            utc ms.
        night : bool
            Only cycles in the dark.
        level : float
            Probability of the intervals.

        Returns
        -------
        Effects
            Its table has ``ratio`` with ``lower`` and ``upper`` (paired by the hour,
            whole days drawn: how steady the ratio *of these pots* is), ``n_pairs``,
            ``n_days``, ``pots``, ``pots_control``, ``mean``, ``mean_control``,
            ``ratio_systematic`` (standard error of the ratio by what stays with each
            device: volume, gain), ``pots_ratio`` with its interval and p-value
            (Welch, Holm over the variants of a control, one value per pot: what may be
            said of the *treatment*; NaN without two pots on each side) and ``note``.
        """
        hours = self.hourly(t_from, t_to, night=night)
        hours, left_out = _without_outliers(hours)
        table = pd.DataFrame(columns=list(COLUMNS)).rename_axis("variant")
        notes: list[str] = []
        if hours.empty:
            return Effects(table, left_out, ("no usable flux in this time",))
        controls = self.controls_of(sorted(hours["variant"].unique()))
        if not controls:
            notes.append("no variant has a control among the measured ones")
            return Effects(table, left_out, tuple(notes))
        paired = paired_effects(hours, controls, level=level)
        table = paired.join(self._pots(hours, controls, level))
        spread = np.sqrt(
            1.0 / table["pots"].clip(lower=1)
            + 1.0 / table["pots_control"].clip(lower=1)
        )
        table["ratio_systematic"] = table["ratio"] * self._of_device * spread
        table["note"] = [_note(row) for _, row in table.iterrows()]
        if table["n_days"].max() < 7:
            notes.append(
                f"{table['n_days'].max()} days: intervals from so few days are rough"
            )
        return Effects(table[list(COLUMNS)], left_out, tuple(notes))

    def pairs(
        self, t_from: int, t_to: int, variant: str, *, night: bool = True
    ) -> pd.DataFrame:
        """Return the hours a variant shares with its control, to draw them.

        See `tilth.chambers.hourly.hourly_pairs`.

        Raises
        ------
        InputError
            If the variant or its control was not measured in this time.
        """
        hours, _ = _without_outliers(self.hourly(t_from, t_to, night=night))
        controls = self.controls_of([variant])
        if variant not in controls:
            raise InputError(f"the variant {variant!r} is a control, or has none")
        return hourly_pairs(hours, variant, controls[variant])

    def mixed(
        self, t_from: int, t_to: int, control: str, *, night: bool = True
    ) -> pd.DataFrame:
        """Return effects of a mixed model over the variants of a control's table.

        Slower than `effects` (seconds), and the widest claim: pots as a random
        effect, dates as a fixed one.

        Parameters
        ----------
        control : str
            Variant the others of its table are compared with.
        t_from, t_to, night
            As for `effects`.

        Returns
        -------
        pandas.DataFrame
            See `tilth.chambers.mixed_effects`; ``attrs["notes"]`` says what to
            beware of.
        """
        hours, _ = _without_outliers(self.hourly(t_from, t_to, night=night))
        own = self.controls_of(sorted(hours["variant"].unique()))
        members = [control, *(v for v, c in own.items() if c == control)]
        rows = hours[hours["variant"].isin(members)]
        result = mixed_effects(rows, control, time="hour", interval="t")
        table = result.table.copy()
        table.attrs["notes"] = result.notes
        return table

    def controls_of(self, variants: list[str]) -> dict[str, str]:
        """Return the control of each variant: as stated, else ``x.0`` of its table."""
        stated = self._controls()
        out = {}
        for name in variants:
            control = stated.get(name) or f"{name.rpartition('.')[0]}.0"
            if control != name and name not in stated.values():
                out[name] = control
        return out

    # Steps

    def _pots(
        self, hours: pd.DataFrame, controls: Mapping[str, str], level: float
    ) -> pd.DataFrame:
        """Compare pot means of the variants of each control, where there are two."""
        found = {}
        for control in sorted(set(controls.values())):
            members = [v for v, c in controls.items() if c == control]
            rows = hours[hours["variant"].isin([control, *members])]
            pots = rows.groupby("variant")["pot"].nunique()
            if pots.get(control, 0) < 2 or pots.drop(control).max() < 2:
                continue
            table = compare_pots(rows, control, time="hour", level=level)
            for variant in table.index.intersection(members):
                found[variant] = table.loc[variant]
        names = ["pots_ratio", "pots_lower", "pots_upper"]
        if not found:
            return pd.DataFrame(columns=[*names, "pots_p"], dtype=float)
        table = pd.DataFrame(found).T
        percent = table[["effect_percent", "effect_lower", "effect_upper"]]
        out = 1.0 + percent.astype(float) / 100.0
        return out.set_axis(names, axis=1).assign(
            pots_p=table["p_welch_holm"].astype(float)
        )

    def _changed(self, t_from: int, t_to: int) -> None:
        """Forget the days in which cycles changed."""
        with self._lock:
            # A cycle that was dated anew may have left the day before or after.
            first, last = t_from // DAY_MS - 1, t_to // DAY_MS + 1
            for day, night in list(self._days):
                if first <= day <= last:
                    del self._days[day, night]

    def _day(self, day: int, night: bool) -> pd.DataFrame:
        """Return the hourly means of one UTC day."""
        if (day, night) not in self._days:
            self._days[day, night] = _tidy(
                self._store.hourly(
                    day * DAY_MS, (day + 1) * DAY_MS, UNUSABLE, _DOUBTS, night
                )
            )
        return self._days[day, night]


def _tidy(rows: list[tuple]) -> pd.DataFrame:
    """Return hourly rows (loc, hour, flux, n) as a table of pots."""
    table = pd.DataFrame.from_records(rows, columns=["pot", "hour", "flux", "n"])
    table = table[table["pot"].str.fullmatch(r"\d{1,2}\.\d{1,3}\.[A-Z]").astype(bool)]
    if table.empty:
        return _no_hours()
    table = table.assign(
        variant=table["pot"].str.rpartition(".")[0].astype(object),
        pot=table["pot"].astype(object),
        hour=pd.to_datetime(table["hour"] * HOUR_MS, unit="ms").astype("M8[ns]"),
        single=table["n"] == 1,
    )
    return table[list(_HOURLY)]


def _no_hours() -> pd.DataFrame:
    kinds = dict(
        zip(_HOURLY, ("object", "object", "M8[ns]", "f8", "i8", "bool"), strict=True)
    )
    return pd.DataFrame(columns=list(_HOURLY)).astype(kinds)


def _without_outliers(hours: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out the hours of a pot that are far from its other hours."""
    if hours.empty:
        return hours, {"outliers": 0}
    far = outliers(
        hours["hour"].to_numpy(), hours["pot"].to_numpy(), hours["flux"].to_numpy()
    )
    return hours[~far], {"outliers": int(far.sum())}


def _device_error(errors: SystematicErrors) -> float:
    """Relative standard error of a flux that stays with a device and its pot."""
    result = propagate_linear(flux_factor, budget_inputs(errors))
    return float(np.ravel(result.levels["device"] / result.value)[0])


def _note(row: pd.Series) -> str:
    """Say what a ratio may be taken for."""
    notes = [row["note"]] if row["note"] else []
    few = min(row["pots"], row["pots_control"])
    if few < 2 and row["n_pairs"]:
        notes.append(
            "one pot on a side: the ratio is that of these pots, the treatment cannot "
            "be told from its pot"
        )
    elif few < 4 and row["n_pairs"]:
        notes.append(f"{few} pots on a side: the interval over pots is wide")
    if row["n_not_positive"]:
        notes.append(f"{row['n_not_positive']} hours without a logarithm left out")
    if row["naive_flips_sign"]:
        notes.append("the ratio of the plain means says the opposite")
    return "; ".join(notes)
