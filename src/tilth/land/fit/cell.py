"""One cell: fitted month by month, then jointly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tilth.land.emulator.equations import Forcing, Variant
from tilth.land.fit.day import advance_day, variant_switches, weather_table
from tilth.land.fit.flags import FIT_FLAGS
from tilth.land.fit.record import Record, month_pieces, startable
from tilth.land.fit.scaling import from_unit, joint_box, parameter_box
from tilth.land.fit.settings import FitSettings
from tilth.land.fit.stages import (
    Calendar,
    fit_jointly,
    fit_months,
    months_to_joint,
    variance,
)
from tilth.land.fit.windows import FIRST_DEEP, FIRST_WETLAND, JOINT, SHARE

#: A target whose standard deviation is below this does not vary, mm or mm day-1.
LEAST_SPREAD = 0.01


class CellFit(NamedTuple):
    """What is known of a cell after its fit.

    ``parameters`` (15, 12); ``runoff_share``; ``soil_reference``, mm; ``fit_flag``;
    ``month_loss`` (12): the published objective; ``efficiency`` (2, 4): of
    Nash and Sutcliffe, of each target in the windows of the joint fit, before and after
    it; ``state`` (4): snow, soil, wetland and deep store
    at the end of the training years, mm; ``member_parameters`` (member, 15, 12) and
    ``member_runoff_share`` (member).
    """

    parameters: np.ndarray
    runoff_share: float
    soil_reference: float
    fit_flag: int
    month_loss: np.ndarray
    efficiency: np.ndarray
    state: np.ndarray
    member_parameters: np.ndarray
    member_runoff_share: np.ndarray


def fit_cell(
    forcing: Forcing,
    target: np.ndarray,
    calendar: Calendar,
    variant: Variant,
    settings: FitSettings,
) -> CellFit:
    """Fit the emulator to one column of a land model.

    Parameters
    ----------
    forcing : Forcing
        Fields (time).
    target : ndarray, shape (4, time)
        Snow, soil, wetland (mm) and runoff (mm day-1); NaN where unknown.
    calendar : Calendar
        Of the days.
    variant : Variant
        Form of the equations.
    settings : FitSettings
        How to fit.

    Returns
    -------
    CellFit
        NaN everywhere but in the flag where nothing could be fitted.
    """
    trained = np.isin(calendar.year, calendar.years)
    spread, reasons = _spread(forcing, target, trained)
    if reasons & {"missing_weather", "missing_target", "desert"}:
        return _nothing(reasons, settings.members)
    reference = float(np.nanmean(target[1, trained]))
    target = target.copy()
    target[1] -= reference
    record = Record(
        weather_table(forcing, variant), target, calendar.month.astype(np.int64)
    )
    months = month_pieces(calendar.month, calendar.year, calendar.years, target)
    if not all(pieces.start.size for pieces in months):
        return _nothing({"no_start"}, settings.members)

    box = parameter_box(variant.closed)
    places, month_loss = fit_months(
        record, months, trained, spread, box, variant, settings
    )
    joint = months_to_joint(places)
    members = np.full((settings.members, JOINT), np.nan)
    missing = np.full((2, 4), np.nan)
    wide = joint_box(box)
    if settings.joint:
        refined, missing, drawn = fit_jointly(
            joint, record, calendar, spread, wide, variant, settings
        )
        if np.isfinite(missing[1]).any():
            joint, members = refined, drawn
        else:
            reasons.add("months_only")
    value, slope = np.empty(JOINT), np.empty(JOINT)
    shown = np.full(members.shape, np.nan)
    for k, member in enumerate(members):
        from_unit(member, wide, shown[k], slope)
    from_unit(joint, wide, value, slope)
    return CellFit(
        value[:SHARE].reshape(15, 12),
        float(value[SHARE]),
        reference,
        sum(FIT_FLAGS.bit(reason) for reason in reasons),
        month_loss,
        1.0 - missing,
        last_state(value, record, calendar, variant, settings),
        shown[:, :SHARE].reshape(-1, 15, 12),
        shown[:, SHARE],
    )


def last_state(
    value: np.ndarray,
    record: Record,
    calendar: Calendar,
    variant: Variant,
    settings: FitSettings,
) -> np.ndarray:
    """Return the stores at the end of the training years, mm, shape (4,).

    Snow and soil water are the land model's; the wetland and the deep store, where it
    does not give them, are those of a free run through the last training years.
    """
    trained = np.isin(calendar.year, calendar.years)
    end = np.flatnonzero(trained)[-1] + 1
    ready = np.flatnonzero(trained & startable(record.target))
    late = ready[calendar.year[ready] > calendar.years.max() - settings.window_years]
    start = late[0] if late.size else ready[-1]
    target = record.target
    state = (
        target[0, start - 1],
        target[1, start - 1],
        target[2, start - 1]
        if np.isfinite(target[2, start - 1])
        else value[FIRST_WETLAND],
        value[FIRST_DEEP] if variant.closed else 0.0,
    )
    theta = np.ascontiguousarray(value[:SHARE].reshape(15, 12).T)
    switches = variant_switches(variant)
    for day in range(start, end):
        state = advance_day(
            *state,
            record.weather[day],
            theta[record.month[day]],
            value[SHARE],
            switches,
        )[:4]
    known = np.concatenate([target[:3, end - 1], [np.nan]])
    return np.where(np.isfinite(known), known, state)


def _spread(
    forcing: Forcing, target: np.ndarray, trained: np.ndarray
) -> tuple[np.ndarray, set[str]]:
    """Return the variance of each target, infinite where not fitted, and the flags."""
    if not all(np.isfinite(field[trained]).all() for field in forcing):
        return np.full(4, np.inf), {"missing_weather"}
    spread = variance(target[:, trained])
    if np.isnan(spread[[0, 1, 3]]).any():
        return spread, {"missing_target"}
    quiet = ~(np.sqrt(spread) > LEAST_SPREAD)
    spread[quiet] = np.inf
    if quiet[[0, 1, 3]].all():
        return spread, {"desert"}
    names = {0: "snow_constant", 1: "soil_constant", 3: "runoff_constant"}
    return spread, {reason for v, reason in names.items() if quiet[v]}


def _nothing(reasons: set[str], members: int) -> CellFit:
    flag = sum(FIT_FLAGS.bit(reason) for reason in reasons)
    nan = np.nan
    return CellFit(
        np.full((15, 12), nan),
        nan,
        nan,
        flag,
        np.full(12, nan),
        np.full((2, 4), nan),
        np.full(4, nan),
        np.full((members, 15, 12), nan),
        np.full(members, nan),
    )
