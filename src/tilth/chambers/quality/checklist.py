"""What a chamber measurement should state: a checklist with limits users edit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import flag_masks, is_flagged
from tilth.core.units import convert

#: Keys an item of the file may have.
_KEYS = ("item", "what", "units", "lowest", "highest", "allowed", "source", "value")


def check_guidelines(
    closures: xr.Dataset | None = None,
    fluxes: xr.Dataset | None = None,
    *,
    answers: Mapping[str, Any] | None = None,
    limits: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Fill the checklist from the data, the user's answers and the limits.

    The limits of the package are house defaults with their sources; none is quoted
    from the guidelines of Maier et al. (2022) or Pavelka et al. (2018).

    Parameters
    ----------
    closures : xarray.Dataset, optional
        A closures dataset, after `apply_geometry` and the filters.
    fluxes : xarray.Dataset, optional
        From `fluxes`, better after `add_budget`.
    answers : mapping of str to object, optional
        Item to what the data cannot tell; goes before what they do tell.
    limits : path, optional
        YAML file of the form of ``checklist.yaml`` of this package; its items
        replace those of the same name, others are added.

    Returns
    -------
    pandas.DataFrame
        Index ``item``; columns ``what``, ``value``, ``units``, ``origin`` (data,
        user or empty), ``lowest``, ``highest``, ``allowed``, ``status`` (pass, warn,
        missing) and ``source``.

    Raises
    ------
    InputError
        If the file or an answer names what is not on the list.
    """
    items = read_checklist(limits)
    answers = dict(answers or {})
    unknown = sorted(set(answers) - set(items))
    if unknown:
        raise InputError(
            f"no item {', '.join(unknown)} on the checklist; there are "
            f"{', '.join(items)}"
        )
    found = _from_data(closures, fluxes)
    rows = {}
    for name, item in items.items():
        value, origin = found.get(name), "data"
        if name in answers or item.get("value") is not None:
            value, origin = answers.get(name, item.get("value")), "user"
        status = _status(value, item)
        rows[name] = {
            "what": item["what"],
            "value": None if status == "missing" else value,
            "units": item.get("units", ""),
            "origin": "" if status == "missing" else origin,
            "lowest": item.get("lowest", np.nan),
            "highest": item.get("highest", np.nan),
            "allowed": ", ".join(map(str, item.get("allowed", []))),
            "status": status,
            "source": item.get("source", ""),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "item"
    return table


def read_checklist(path: str | os.PathLike[str] | None = None) -> dict[str, dict]:
    """Read the items of the package, with those of a user's file over them.

    Parameters
    ----------
    path : path, optional
        The user's YAML file.

    Returns
    -------
    dict of str to dict
        Item to its keys, in order.

    Raises
    ------
    InputError
        If the file is no list of items, an item has an unknown key, appears twice
        or is new without saying what it is.
    """
    package = resources.files("tilth.chambers.quality").joinpath("checklist.yaml")
    items = _items(package.read_text("utf-8"), "checklist.yaml")
    if path is not None:
        for name, item in _items(Path(path).read_text("utf-8"), str(path)).items():
            items[name] = {**items.get(name, {}), **item}
    for name, item in items.items():
        if "what" not in item:
            raise InputError(f"{path}: the new item {name} needs 'what', its question")
    return items


def _items(text: str, where: str) -> dict[str, dict]:
    """Parse one checklist file."""
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{where} is not a YAML file: {reason}") from error
    if not isinstance(content, list) or not all(
        isinstance(item, dict) and isinstance(item.get("item"), str) for item in content
    ):
        raise InputError(f"{where} must be a list of items, each with '- item: NAME'")
    items: dict[str, dict] = {}
    for item in content:
        name = item["item"]
        unknown = sorted(set(item) - set(_KEYS))
        if unknown:
            raise InputError(
                f"{where}: {name} has {', '.join(map(str, unknown))}; known are "
                f"{', '.join(_KEYS)}"
            )
        if name in items:
            raise InputError(f"{where}: the item {name} appears twice")
        items[name] = {key: value for key, value in item.items() if key != "item"}
    return items


def _status(value: Any, item: Mapping[str, Any]) -> str:
    """Return pass, warn or missing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    if "allowed" in item:
        return "pass" if value in item["allowed"] else "warn"
    lowest, highest = item.get("lowest"), item.get("highest")
    if lowest is None and highest is None:
        return "pass"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "warn"
    low_enough = highest is None or value <= highest
    high_enough = lowest is None or value >= lowest
    return "pass" if low_enough and high_enough else "warn"


def _from_data(
    closures: xr.Dataset | None, fluxes: xr.Dataset | None
) -> dict[str, Any]:
    """Return what the datasets tell of each item."""
    tests: list[tuple[xr.Dataset | None, dict[str, Callable[[xr.Dataset], Any]]]] = [
        (closures, _FROM_CLOSURES),
        (fluxes, _FROM_FLUXES),
    ]
    found: dict[str, Any] = {}
    for data, questions in tests:
        if data is not None:
            for name, question in questions.items():
                try:
                    found[name] = question(data)
                except KeyError:
                    # The variable the question asks for is not there: not told.
                    continue
    return found


def _closed(closures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the elapsed time and where a sample of the closed chamber is."""
    elapsed = convert(closures["elapsed"], "s").values
    return elapsed, np.isfinite(elapsed) & (elapsed >= 0)


def _duration(closures: xr.Dataset) -> float:
    elapsed, closed = _closed(closures)
    last = np.where(closed, elapsed, 0.0).max(axis=1)
    return _median(last[closed.any(axis=1)])


def _interval(closures: xr.Dataset) -> float:
    elapsed, closed = _closed(closures)
    steps = np.diff(np.where(closed, elapsed, np.nan), axis=1)
    return _median(steps)


def _points(closures: xr.Dataset) -> float:
    _, closed = _closed(closures)
    count = closed.sum(axis=1)
    return float(np.quantile(count, 0.05)) if count.size else float("nan")


def _models(fluxes: xr.Dataset) -> str:
    used = set(np.unique(fluxes["model"].values).tolist())
    words = str(fluxes["model"].attrs["flag_meanings"]).split()
    numbers = np.atleast_1d(fluxes["model"].attrs["flag_values"])
    return ", ".join(w for w, n in zip(words, numbers, strict=True) if int(n) in used)


def _warming(closures: xr.Dataset) -> float:
    _, closed = _closed(closures)
    temperature = convert(closures["temperature"], "degC")
    if "sample" not in temperature.dims:
        raise KeyError("temperature")
    low, high = (
        np.where(closed, temperature.values, fill) for fill in (np.inf, -np.inf)
    )
    low, high = (
        np.where(np.isnan(x), y, x) for x, y in ((low, np.inf), (high, -np.inf))
    )
    span = high.max(axis=1) - low.min(axis=1)
    span = span[np.isfinite(span)]
    return float(np.quantile(span, 0.95)) if span.size else float("nan")


def _water(closures: xr.Dataset) -> str | None:
    if closures["co2"].attrs.get("basis") == "dry":
        return "dry mole fraction"
    told = {"h2o", "relative_humidity"} & set(closures.variables)
    return "corrected point by point" if told else "not corrected"


def _night(closures: xr.Dataset) -> float:
    flag = closures["closure_flag"]
    if "light" not in closures or "daylight" not in flag_masks(flag):
        raise KeyError("light")
    day = is_flagged(flag, "daylight", "light_unknown")
    return float(1.0 - day.mean())


def _replicates(closures: xr.Dataset) -> int:
    pots = pd.Series(closures["pot"].values)
    return int(pots.groupby(closures["variant"].values).nunique().min())


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


_FROM_CLOSURES: dict[str, Callable[[xr.Dataset], Any]] = {
    "volume": lambda c: _median(convert(c["volume"], "m3").values),
    "area": lambda c: _median(convert(c["area"], "m2").values),
    "height": lambda c: _median(
        convert(c["volume"], "m3").values / convert(c["area"], "m2").values
    ),
    "night": _night,
    "closure_time": _duration,
    "sampling_interval": _interval,
    "points": _points,
    "dead_band": lambda c: _median(convert(c["dead_band"], "s").values),
    "temperature_rise": _warming,
    "pressure": lambda c: _median(convert(c["pressure"], "Pa").values),
    "water_correction": _water,
    "replicates": _replicates,
    "soil_moisture": lambda c: "recorded" if c["soil_moisture"].size else None,
    "soil_temperature": lambda c: "recorded" if c["soil_temperature"].size else None,
}

_FROM_FLUXES: dict[str, Callable[[xr.Dataset], Any]] = {
    "dead_band": lambda f: _median(convert(f["dead_band"], "s").values),
    "points": lambda f: float(np.quantile(f["n_points"].values, 0.05)),
    "model": _models,
    "selection_rule": lambda f: (
        "stated for every flux" if f["model_reason"].size else None
    ),
    "detection_limit": lambda f: _median(f["mdf"].values),
    "above_detection": lambda f: float(
        (np.abs(f["flux"].values) > f["mdf"].values)[
            np.isfinite(f["flux"].values)
        ].mean()
    ),
    "uncertainty": lambda f: float(np.isfinite(f["flux_se_total"].values).mean()),
}
