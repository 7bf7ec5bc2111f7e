"""All members of an ensemble of fits run through the same weather: mean and spread."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.land.emulator import kernel
from tilth.land.emulator.variants import Forcing, State, Variant
from tilth.land.emulator.weather import LIMITS, refuse_strange

#: Fields of `kernel.Run` in the order of the output; the last where it is asked for.
FIELDS = ("snow", "soil", "wetland", "runoff", "evaporation")


class How(NamedTuple):
    """How cells are run; the same for every block of them.

    ``month`` (time) 0 to 11, ``time`` (time) for messages, ``seconds`` the unit of time
    of rain and snowfall; fluxes come out per second.
    """

    variant: Variant
    month: np.ndarray
    time: np.ndarray
    seconds: float
    evaporation: bool
    method: str
    threads: int | None


class Ensemble(NamedTuple):
    """``mean`` and ``spread`` (field, time, cell), of one member no spread.

    ``state`` (member, 4, cell); ``residual`` (cell) mm, mean over members.
    """

    mean: list[np.ndarray]
    spread: list[np.ndarray]
    state: np.ndarray
    residual: np.ndarray


def run_members(
    forcing: Forcing,
    parameters: np.ndarray,
    runoff_share: np.ndarray,
    soil_reference: np.ndarray,
    state: np.ndarray,
    how: How,
) -> Ensemble:
    """Run every member through the weather.

    Parameters
    ----------
    forcing : Forcing
        Arrays (time, cell) in C order, of one type.
    parameters : array, shape (member, 15, 12, cell)
        NaN in cells that are left out.
    runoff_share, soil_reference : array, shape (member, cell)
        See `kernel.simulate`.
    state : array, shape (member, 4, cell)
        Before the first day.
    how : How
        Settings.

    Returns
    -------
    Ensemble

    Raises
    ------
    InputError
        If the weather of a cell with parameters cannot be, or its state is not known.
    """
    fields = FIELDS[: 5 if how.evaporation else 4]
    mean: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    ends, residuals = [], []
    for k in range(parameters.shape[0]):
        given = (parameters[k], runoff_share[k], soil_reference[k], state[k])
        _know_state(*given)
        done = _COMPUTE[how.method](forcing, *given, how)
        if done.strange.any():
            refuse_strange(forcing, done.strange, how.time, how.seconds)
        ends.append(done.state)
        residuals.append(done.residual)
        values = [getattr(done, name) for name in fields]
        if k == 0:
            mean = values
            continue
        # Welford's recurrence: one member in memory at a time.
        squares = squares or [np.zeros_like(value) for value in values]
        for total, square, value in zip(mean, squares, values, strict=True):
            change = value - total
            total += change / (k + 1)
            square += change * (value - total)
    count = parameters.shape[0]
    return Ensemble(
        mean,
        [np.sqrt(square / (count - 1)) for square in squares],
        np.stack(ends),
        np.mean(residuals, axis=0, dtype=float),
    )


def _know_state(
    parameters: np.ndarray, share: np.ndarray, reference: np.ndarray, state: np.ndarray
) -> None:
    """Raise where a cell has parameters but no state to start from."""
    active = np.isfinite(parameters).all(axis=(0, 1))
    active &= np.isfinite(share) & np.isfinite(reference)
    unknown = active & ~np.isfinite(state).all(axis=0)
    if unknown.any():
        raise InputError(
            f"the state is not a number in {int(unknown.sum())} of {int(active.sum())} "
            f"cells with parameters, first in cell {int(np.argmax(unknown))}: give a "
            "complete state, or none to start with empty stores and soil at its mean"
        )


def _by_kernel(forcing: Forcing, *given: Any) -> kernel.Run:
    """Run on processors."""
    parameters, share, reference, state, how = given
    return kernel.simulate(
        forcing,
        how.month,
        parameters,
        share,
        reference,
        state,
        how.variant,
        seconds=how.seconds,
        output_seconds=1.0,
        evaporation=how.evaporation,
        threads=how.threads,
    )


def _by_jax(forcing: Forcing, *given: Any) -> kernel.Run:
    """Run with JAX, on an accelerator where it has one."""
    from tilth.land.emulator.equations import simulate_compiled

    parameters, share, reference, state, how = given
    kind = forcing.rain.dtype
    factor = kind.type(SECONDS_PER_DAY / how.seconds)
    daily = forcing._replace(
        rain=forcing.rain * factor, snowfall=forcing.snowfall * factor
    )
    start = State(*state.astype(kind))
    last, states, fluxes = simulate_compiled(
        start,
        daily,
        tuple(how.month.tolist()),
        parameters.astype(kind),
        share.astype(kind),
        how.variant,
    )
    known = np.isfinite(parameters).all(axis=(0, 1)) & np.isfinite(share + reference)
    # Where one of a cell's numbers is missing, all results are.
    last, states, fluxes = (
        [np.where(known, field, kind.type(np.nan)) for field in group]
        for group in (last, states, fluxes)
    )
    surface, base, evaporation, losses = fluxes
    runoff, lost = surface + base, evaporation + losses
    change = sum(end - begin for end, begin in zip(last, start, strict=True))
    fine = [
        (low <= values) & (values <= high)
        for values, (low, high) in zip(daily, LIMITS.values(), strict=True)
    ]
    per_second = kind.type(1.0 / SECONDS_PER_DAY)
    return kernel.Run(
        snow=states[0],
        soil=states[1] + reference.astype(kind),
        wetland=states[2],
        runoff=runoff * per_second,
        evaporation=lost * per_second if how.evaporation else None,
        state=np.stack(last),
        residual=(daily.rain + daily.snowfall - runoff - lost).sum(axis=0) - change,
        strange=known & ~np.all(fine, axis=(0, 1)),
    )


_COMPUTE = {"kernel": _by_kernel, "jax": _by_jax}
