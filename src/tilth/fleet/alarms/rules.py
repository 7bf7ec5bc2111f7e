"""Alarm rules as data: read, checked, and merged with the built-in ones.

A rule names a *fact* (a number per device, or one of the whole service) and says from
which value on it is an alarm, from which value on it is none any more, how long it
must last, and what holds when the fact is not known. The built-in rules are in
``rules.yaml`` beside this file; a file of the user changes or switches off any of
them, and adds others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError

#: From the mildest on.
SEVERITIES = ("info", "warning", "critical")

#: What holds when a fact is not known: nothing changes, the alarm ends, or that
#: itself is the alarm.
NO_DATA = ("keep", "clear", "alarm")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)")
_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Rule:
    """One alarm rule.

    Attributes
    ----------
    name : str
        Lower-case word.
    fact : str
        What is looked at.
    summary : str
        The alarm in one line; ``{subject}``, ``{place}``, ``{value}``,
        ``{threshold}`` and ``{detail}`` are filled in.
    severity : str
        One of `SEVERITIES`.
    above, below : float, optional
        It is an alarm beyond either of them.
    clear_above, clear_below : float, optional
        Hysteresis: the alarm ends only when the value is not above `clear_above`
        (not below `clear_below`); `above` and `below` themselves by default.
    hold_ms : int
        How long the condition must last before the alarm is given ("for").
    clear_ms : int
        How long it must be over before the alarm ends.
    no_data : str
        One of `NO_DATA`.
    no_data_ms : int
        How long the fact must be unknown before that holds.
    group : str
        Alarms of a rule are sent together by ``table``, ``device`` or ``fleet``.
    repeat_ms : int
        Sent again so often until somebody acknowledges it; 0: once.
    flaps, flap_ms : int
        After so many alarms within that time it only ends when it has been over
        for `flap_ms`.
    inhibited_by : tuple of str
        Rules whose alarm on the same device (or on the fleet) keeps this one quiet.
    about, action : str
        What it means, and what to do: for the alarm reference.
    """

    name: str
    fact: str
    summary: str
    severity: str = "warning"
    above: float | None = None
    below: float | None = None
    clear_above: float | None = None
    clear_below: float | None = None
    hold_ms: int = 0
    clear_ms: int = 60_000
    no_data: str = "keep"
    no_data_ms: int = 600_000
    group: str = "table"
    repeat_ms: int = 43_200_000
    flaps: int = 4
    flap_ms: int = 3_600_000
    inhibited_by: tuple[str, ...] = ()
    about: str = ""
    action: str = ""

    def exceeds(self, value: float) -> bool:
        """Whether a value is one of an alarm."""
        return (self.above is not None and value > self.above) or (
            self.below is not None and value < self.below
        )

    def is_over(self, value: float) -> bool:
        """Whether a value ends an alarm."""
        high = self.above if self.clear_above is None else self.clear_above
        low = self.below if self.clear_below is None else self.clear_below
        return (high is None or value <= high) and (low is None or value >= low)

    def threshold(self, value: float | None) -> float | None:
        """Return the limit a value is measured against."""
        if self.below is not None and (self.above is None or value is None):
            return self.below
        if self.below is not None and value is not None and value < self.below:
            return self.below
        return self.above


#: Name in a file -> field of a rule, for those that differ.
_DURATIONS = {
    "for": "hold_ms",
    "clear_for": "clear_ms",
    "no_data_for": "no_data_ms",
    "repeat": "repeat_ms",
    "flap_within": "flap_ms",
}
_NUMBERS = ("above", "below", "clear_above", "clear_below")
_TEXTS = ("fact", "summary", "severity", "no_data", "group", "about", "action")
_KEYS = ("name", *_TEXTS, *_NUMBERS, *_DURATIONS, "flaps", "inhibited_by", "enabled")


def milliseconds(text: Any) -> int:
    """Read a duration such as ``"15 min"`` or ``"12 h"``; 0 needs no unit.

    Examples
    --------
    >>> milliseconds("15 min"), milliseconds("0"), milliseconds("1.5 s")
    (900000, 0, 1500)
    """
    if text in (0, "0"):
        return 0
    found = _DURATION.fullmatch(str(text).strip())
    if not found:
        raise InputError(
            f"{text!r} is no duration: give a number and a unit of "
            f"{', '.join(_MS)}, such as '15 min'"
        )
    return round(float(found[1]) * _MS[found[2]])


def built_in_rules() -> dict[str, Rule]:
    """Return the rules that come with Tilth, by name, in the order of the file."""
    text = resources.files(__package__).joinpath("rules.yaml").read_text("utf-8")
    return merge_rules({}, _parsed(text, "rules.yaml"), "rules.yaml")


def read_rules(path: str | os.PathLike[str] | None = None) -> dict[str, Rule]:
    """Return the built-in rules, as a file of the user changes them.

    Parameters
    ----------
    path : path, optional
        A YAML list. An entry with the name of a built-in rule changes what it
        mentions and keeps the rest; ``enabled: false`` switches a rule off.

    Returns
    -------
    dict of str to Rule

    Raises
    ------
    InputError
        If the file is no such list; the text says which rule and why.
    """
    rules = built_in_rules()
    if path is None:
        return rules
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the alarm rules {path} cannot be read: {error}") from error
    return merge_rules(rules, _parsed(text, path), path)


def _parsed(text: str, path: Any) -> list[Any]:
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the alarm rules {path} are no YAML: {reason}") from error
    if content is None:
        return []
    if not isinstance(content, list):
        raise InputError(
            f"the alarm rules {path} are a list; each entry begins with '- name: ...'"
        )
    return content


def merge_rules(
    rules: Mapping[str, Rule], entries: list[Any], path: Any
) -> dict[str, Rule]:
    """Return the rules, changed and added to by the entries of a file.

    Parameters
    ----------
    rules : mapping of str to Rule
        What there is.
    entries : list
        Mappings as in a rules file.
    path : path
        For messages.
    """
    merged = dict(rules)
    own: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise InputError(f"{path}: rule {number} is no mapping with a name")
        name = entry["name"]
        if not _NAME.fullmatch(name):
            raise InputError(f"{path}: {name!r}: a name is a lower-case word")
        if name in own:
            raise InputError(f"{path}: the rule {name} is there twice")
        own.add(name)
        if entry.get("enabled") is False:
            merged.pop(name, None)
            continue
        try:
            merged[name] = _changed(merged.get(name), entry)
        except InputError as error:
            raise InputError(f"{path}: rule {name}: {error}") from error
    for rule in merged.values():
        for other in rule.inhibited_by:
            if other not in merged and other not in own:
                raise InputError(
                    f"{path}: rule {rule.name}: inhibited_by names {other!r}, "
                    "which is no rule"
                )
    return merged


def _changed(before: Rule | None, entry: Mapping[str, Any]) -> Rule:
    """Return a rule as an entry of a file makes it."""
    unknown = set(entry) - set(_KEYS)
    if unknown:
        raise InputError(
            f"no key {', '.join(sorted(map(str, unknown)))}; there are "
            f"{', '.join(_KEYS)}"
        )
    values: dict[str, Any] = {}
    for key in _TEXTS:
        if key in entry:
            values[key] = " ".join(str(entry[key]).split())
    for key in _NUMBERS:
        if key in entry:
            values[key] = _number(key, entry[key])
    for key, attribute in _DURATIONS.items():
        if key in entry:
            values[attribute] = milliseconds(entry[key])
    if "flaps" in entry:
        values["flaps"] = int(_number("flaps", entry["flaps"]) or 0)
    if "inhibited_by" in entry:
        values["inhibited_by"] = tuple(map(str, entry["inhibited_by"]))
    # A new limit leaves no old hysteresis behind.
    for limit in ("above", "below"):
        if limit in entry and f"clear_{limit}" not in entry:
            values[f"clear_{limit}"] = None
    if before is None:
        missing = {"fact", "summary"} - set(values)
        if missing:
            raise InputError(f"a new rule needs {', '.join(sorted(missing))}")
        rule = Rule(name=entry["name"], **values)
    else:
        rule = replace(before, **values)
    _check(rule)
    return rule


def _number(key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{key} is a number, got {value!r}")
    return float(value)


def _check(rule: Rule) -> None:
    """Raise where a rule cannot mean what it says."""
    if rule.severity not in SEVERITIES:
        raise InputError(f"severity is {', '.join(SEVERITIES)}, not {rule.severity!r}")
    if rule.no_data not in NO_DATA:
        raise InputError(f"no_data is {', '.join(NO_DATA)}, not {rule.no_data!r}")
    if rule.group not in ("table", "device", "fleet"):
        raise InputError(f"group is table, device or fleet, not {rule.group!r}")
    if rule.above is None and rule.below is None:
        raise InputError("give above or below: from which value on it is an alarm")
    for limit, sign in (("above", 1), ("below", -1)):
        fire, clear = getattr(rule, limit), getattr(rule, f"clear_{limit}")
        if clear is not None and (fire is None or sign * clear > sign * fire):
            raise InputError(
                f"clear_{limit} ({clear}) must lie on the quiet side of {limit} "
                f"({fire}), or the alarm would end while its condition holds"
            )
    try:
        describe(rule, "x", None, 1.0, "")
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"summary {rule.summary!r} has a field that is not subject, place, "
            f"value, threshold or detail ({error!r})"
        ) from None


def describe(
    rule: Rule, subject: str, place: str | None, value: float | None, detail: str
) -> str:
    """Return the one line that a person reads.

    Parameters
    ----------
    rule : Rule
        Whose summary.
    subject, place : str
        Device (or "service"), and where it stands.
    value : float or None
        Of the fact.
    detail : str
        What the fact says beside its value.
    """
    text = rule.summary.format(
        subject=subject,
        place=place or "nowhere",
        value=_Shown(value),
        threshold=_Shown(rule.threshold(value)),
        detail=detail,
    )
    return " ".join(text.split())


@dataclass(frozen=True)
class _Shown:
    """A number in a summary: any format fits, and none is "unknown"."""

    value: float | None

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return "unknown"
        return format(self.value, spec or ".4g")


@dataclass
class Reading:
    """What is known of a fact: its value (None: not known) and a word about it."""

    value: float | None
    detail: str = ""


#: Fact -> subject -> reading.
Facts = Mapping[str, Mapping[str, Reading]]


@dataclass
class Subjects:
    """Whom facts can be about.

    Attributes
    ----------
    places : dict of str to str
        Device (or ``service``) to its location code; empty where it has none.
    """

    places: dict[str, str] = field(default_factory=dict)

    def group(self, rule: Rule, subject: str) -> str:
        """Return what alarms of a rule about a subject are sent together by."""
        if rule.group == "device":
            return subject
        if rule.group == "fleet":
            return "fleet"
        place = self.places.get(subject, "")
        return f"table {place.split('.')[0]}" if place else "no table"
