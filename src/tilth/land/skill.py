"""An emulator's skill card: a free run over years it was not fitted to, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables, stamp
from tilth.core.parallel import apply_kernel
from tilth.land.climatology import (
    climatology_forecast,
    day_of_year_climatology,
    persistence_forecast,
)
from tilth.stats.resampling import block_bootstrap
from tilth.stats.scores import SUMS, score_sums, scores_from_sums

#: What an emulator is fitted to and judged by. Its evaporation is only that of bare
#: soil, so it is scored where asked for.
VARIABLES = ("snow", "soil", "wetland", "runoff")

#: A target whose standard deviation stays below this is nearly constant: efficiencies
#: of it are the noise of a division. 1 mm of water in a store; 0.02 mm day-1, a tenth
#: of what a rain gauge resolves (WMO-No. 8).
QUIET = {"snow": 1.0, "soil": 1.0, "wetland": 1.0, "runoff": 0.02, "evaporation": 0.02}

#: Verdict -> its value in ``verdict``.
VERDICTS = {"accepted": 0, "not_accepted": 1, "near_constant": 2, "no_data": 3}

#: Years from which on a block of the bootstrap is a year; a season with fewer.
BLOCK_YEARS = 10

#: Scores that come with an interval.
_WITH_INTERVAL = ("nse", "kge", "bias", "relative_bias", "correlation", "skill")
_FIELDS = (
    "nse", "kge", "kge_2009", "bias", "relative_bias", "correlation", "rmse", "skill",
    "climatology_nse", "persistence_nse", "target_mean", "target_deviation",
)  # fmt: skip

#: Sums a card is made of: those of the scores, then squared errors of the baselines.
_SUMS = (*SUMS, "climatology", "persistence", "persisted")

#: A gain over climatology smaller than this is the rounding of the sums.
_ROUNDING = 1e-9

#: Cells whose draws are held in memory together.
_CELLS = 256


def skill_card(
    output: xr.Dataset,
    targets: xr.Dataset,
    train_targets: xr.Dataset,
    *,
    forcing: xr.Dataset | None = None,
    variables: Sequence[str] = VARIABLES,
    level: float = 0.90,
    draws: int = 1000,
    seed: int = 0,
    quiet: Mapping[str, float] = QUIET,
) -> xr.Dataset:
    r"""Judge a free run over years that were not fitted, variable by variable.

    An emulator is accepted for a variable of a cell if it beats the climatology of
    the training years, day by day:

    .. math:: \mathrm{NSE} > \mathrm{NSE}_{\text{climatology}}
        \iff \text{skill} = 1 - \frac{\sum (s - o)^2}{\sum (c - o)^2} > 0 .

    Intervals come from drawing whole blocks of days: years where there are at least
    ten, seasons otherwise. The same draws serve emulator and climatology, so the
    interval of ``skill`` is that of a paired comparison.

    Parameters
    ----------
    output : xarray.Dataset
        Of the emulator, daily, (time, cell): the variables it has, in the
        units of the targets.
    targets : xarray.Dataset
        Of the land model over the same days.
    train_targets : xarray.Dataset
        Of the land model over the years of the fit.
    forcing : xarray.Dataset, optional
        Over the same days; adds the water residual where the run has none.
    variables : sequence of str, optional
        What to score, as far as run and targets both have it.
    level, draws, seed : optional
        Of the intervals.
    quiet : mapping of str to float, optional
        Standard deviation below which a target is nearly constant, by variable.

    Returns
    -------
    xarray.Dataset
        Along ``variable`` and ``cell``: ``nse``, ``kge`` (2012), ``kge_2009``,
        ``bias``, ``relative_bias``, ``correlation``, ``rmse``, ``skill``,
        ``climatology_nse``, ``persistence_nse``, ``target_mean``,
        ``target_deviation``, limits ``*_lower`` and ``*_upper``, and the flag
        ``verdict``; ``water_residual`` (cell), mm year-1.

    Raises
    ------
    InputError
        If days were fitted, the times or cells differ, or nothing can be scored.

    References
    ----------
    Olson, Nitta & Yoshimura (2024), J. Hydrol.: NSE above 0.4 as acceptable (after
    Moriasi et al. 2007), which a climatology of snow or soil water exceeds too.
    """
    names = [n for n in variables if n in targets and n in output]
    if not names:
        raise InputError(
            f"nothing to score: the run holds {', '.join(map(str, output))}, the "
            f"targets {', '.join(map(str, targets))}"
        )
    require_variables(train_targets, names, "the targets of the training years")
    _check_days(output, targets, train_targets)
    labels, kind = bootstrap_blocks(targets["time"])
    parts = []
    for name in names:
        sums, shift = _sums(output[name], targets[name], train_targets[name], labels)
        found = _bootstrap(sums, shift, draws, level, seed)
        found["verdict"] = _verdicts(found, quiet.get(name, 0.0))
        parts.append(found)
    card = _assemble(parts, names, targets, level)
    if "water_residual" in output:
        card["water_residual"] = output["water_residual"]
    elif forcing is not None:
        card["water_residual"] = water_residual(output, forcing)
    first, last = _span(train_targets)
    start, end = _span(targets)
    card.attrs |= {
        "title": "skill of an emulator in a free run over years that were not fitted",
        "test_period": f"{start} to {end}",
        "train_period": f"{first} to {last}",
        "train_years": train_targets.sizes["time"] / days_of_year(targets["time"]),
        "interval": level,
        "bootstrap_blocks": f"{len(set(labels.tolist()))} {kind}",
        "bootstrap_draws": draws,
        "seed": seed,
    }
    return stamp(card, "skill card")


def bootstrap_blocks(time: xr.DataArray) -> tuple[np.ndarray, str]:
    """Return the block of each day, and what a block is.

    Years from 1 October (as hydrologists count them) where there are at least
    `BLOCK_YEARS`, else their quarters, so that even a short test has some twenty.

    Parameters
    ----------
    time : xarray.DataArray
        Days of any calendar.

    Returns
    -------
    labels : numpy.ndarray of int
        One per day.
    kind : str
        ``"years"`` or ``"seasons"``.
    """
    month = time.dt.month.values
    year = time.dt.year.values + (month >= 10)
    if time.size >= BLOCK_YEARS * days_of_year(time):
        return year, "years"
    return year * 4 + (month - 10) % 12 // 3, "seasons"


def days_of_year(time: xr.DataArray) -> float:
    """Return the mean number of days of a year of a calendar."""
    return {"360_day": 360.0, "noleap": 365.0}.get(time.dt.calendar, 365.25)


def _span(data: xr.Dataset) -> tuple[str, str]:
    """First and last day as text."""
    time = data["time"].values
    return str(time[0])[:10], str(time[-1])[:10]


def _check_days(
    output: xr.Dataset, targets: xr.Dataset, train_targets: xr.Dataset
) -> None:
    """Refuse to score days that were fitted, or days that do not match."""
    same = np.array_equal(output["time"].values, targets["time"].values)
    if not same:
        a, b = _span(output), _span(targets)
        raise InputError(
            f"run and targets are of different days: {a[0]} to {a[1]} "
            f"({output.sizes['time']}) and {b[0]} to {b[1]} ({targets.sizes['time']})"
        )
    if output.sizes["cell"] != targets.sizes["cell"]:
        raise InputError(
            f"the run has {output.sizes['cell']} cells, the targets have "
            f"{targets.sizes['cell']}"
        )
    fitted = np.intersect1d(targets["time"].values, train_targets["time"].values)
    if fitted.size:
        raise InputError(
            f"{fitted.size} of the days to score were fitted (the first is "
            f"{str(fitted[0])[:10]}): skill on them says nothing; keep years apart"
        )


def _sums(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    train: xr.DataArray,
    labels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of every block, (sum, cell, block), and what was subtracted."""
    climate = climatology_forecast(day_of_year_climatology(train), observed["time"])
    persisted = persistence_forecast(observed, train)
    shift = observed.mean("time")
    _, codes = np.unique(labels, return_inverse=True)
    arrays = [_bare(x - shift) for x in (simulated, observed, climate, persisted)]
    sums = apply_kernel(
        _block_sums,
        *arrays,
        core_dims=[["time"]] * 4,
        output_dims=[["sum", "block"]],
        output_sizes={"sum": len(_SUMS), "block": int(codes.max()) + 1},
        options={"codes": codes},
    )
    return sums.transpose("sum", "cell", "block").values, np.asarray(shift.values)


def _bare(data: xr.DataArray) -> xr.DataArray:
    """Return the array without coordinates, time last."""
    return data.drop_vars(list(data.coords)).transpose("cell", "time")


def _block_sums(simulated, observed, climate, persisted, codes):
    """Sum over each block of days; the kernel of `_sums`."""
    # A day counts where emulator, target and climatology all have a value.
    there = np.isfinite(simulated) & np.isfinite(observed) & np.isfinite(climate)
    o = np.where(there, observed, np.nan)
    error = np.where(there, (climate - observed) ** 2, 0.0)
    late = there & np.isfinite(persisted)
    late_error = np.where(late, (persisted - observed) ** 2, 0.0)
    blocks = []
    for code in range(int(codes.max()) + 1):
        days = codes == code
        own = score_sums(simulated[..., days], o[..., days])
        extra = [x[..., days].sum(axis=-1) for x in (error, late_error, late)]
        blocks.append(np.concatenate([own, np.stack(extra)]))
    return np.moveaxis(np.stack(blocks, axis=-1), 0, -2)


def _card_scores(sums: np.ndarray, shift: np.ndarray) -> dict[str, np.ndarray]:
    """Return every score of a card from its sums, (sum, ...)."""
    found = scores_from_sums(sums[: len(SUMS)], shift)
    n, o, _, oo = sums[:4]
    climate, late, late_n = sums[len(SUMS) :]
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.where(n > 0, n, np.nan)
        mean = o / n
        variance = np.maximum(oo / n - mean**2, 0.0)
        variance = np.where(variance > 1e-13 * oo / n, variance, np.nan)
        error = found["rmse"] ** 2
        found["skill"] = np.where(climate > 0, 1.0 - error * n / climate, np.nan)
        found["climatology_nse"] = 1.0 - climate / n / variance
        late_n = np.where(late_n > 0, late_n, np.nan)
        found["persistence_nse"] = 1.0 - late / late_n / variance
        found["target_mean"] = mean + shift
        found["target_deviation"] = np.sqrt(np.nan_to_num(variance))
        found["target_deviation"] = np.where(
            np.isfinite(n), found["target_deviation"], np.nan
        )
    return found


def _bootstrap(
    sums: np.ndarray, shift: np.ndarray, draws: int, level: float, seed: int
) -> dict[str, np.ndarray]:
    """Return scores and limits, (cell,), from sums (sum, cell, block)."""
    whole = _card_scores(sums.sum(axis=-1), shift)
    found = {name: whole[name] for name in _FIELDS}
    blocks = np.arange(sums.shape[-1])
    if blocks.size < 2:
        for name in _WITH_INTERVAL:
            found[f"{name}_lower"] = found[f"{name}_upper"] = np.full_like(
                whole[name], np.nan
            )
        return found
    limits = []
    for start in range(0, sums.shape[1], _CELLS):
        cells = slice(start, start + _CELLS)
        moved = shift[cells][:, None]

        def statistic(values: np.ndarray, weights: np.ndarray, moved=moved):
            scores = _card_scores(values @ weights.T, moved)
            return np.stack([scores[name] for name in _WITH_INTERVAL])

        drawn = block_bootstrap(
            sums[:, cells], blocks, statistic, draws=draws, level=level, seed=seed
        )
        limits.append((drawn.lower, drawn.upper))
    for side, parts in zip(("lower", "upper"), zip(*limits, strict=True), strict=True):
        together = np.concatenate(parts, axis=-1)
        for name, row in zip(_WITH_INTERVAL, together, strict=True):
            found[f"{name}_{side}"] = row
    return found


def _verdicts(found: dict[str, np.ndarray], quiet: float) -> np.ndarray:
    """Judge every cell; near-constant targets keep no efficiency."""
    still = found["target_deviation"] < quiet
    # A still target is met by a run that stays within the same bounds.
    calm = still & (found["rmse"] < quiet)
    verdict = np.where(
        found["skill"] > _ROUNDING, VERDICTS["accepted"], VERDICTS["not_accepted"]
    )
    verdict = np.where(calm, VERDICTS["near_constant"], verdict)
    verdict = np.where(still & ~calm, VERDICTS["not_accepted"], verdict)
    empty = ~np.isfinite(found["target_deviation"])
    for name in list(found):
        if name.startswith(("nse", "kge", "correlation", "skill", "climatology_nse")):
            found[name] = np.where(still, np.nan, found[name])
        if name == "persistence_nse":
            found[name] = np.where(still, np.nan, found[name])
    return np.where(empty, VERDICTS["no_data"], verdict).astype(np.int8)


def _assemble(
    parts: Sequence[dict[str, np.ndarray]],
    names: Sequence[str],
    targets: xr.Dataset,
    level: float,
) -> xr.Dataset:
    """Put the variables' scores into one Dataset."""
    card = xr.Dataset(
        {
            field: (("variable", "cell"), np.stack([part[field] for part in parts]))
            for field in parts[0]
        },
        coords={"variable": np.array(names, dtype=object)},
    )
    units = [str(targets[name].attrs.get("units", "")) for name in names]
    card = card.assign_coords(units=("variable", np.array(units, dtype=object)))
    kept = ("cell", "lat", "lon", "row", "column")
    card = card.assign_coords({c: targets[c] for c in kept if c in targets.coords})
    for field in parts[0]:
        card[field].attrs["units"] = "1"
    for field in ("bias", "rmse", "target_mean", "target_deviation"):
        for one in (field, f"{field}_lower", f"{field}_upper"):
            if one in card:
                card[one].attrs["units"] = "as in the coordinate units"
    for field in _WITH_INTERVAL:
        for side in ("lower", "upper"):
            card[f"{field}_{side}"].attrs["long_name"] = (
                f"{side} limit of the {100 * level:g} % interval"
            )
    card["verdict"].attrs = {
        "flag_values": np.array(list(VERDICTS.values()), np.int8),
        "flag_meanings": " ".join(VERDICTS),
        "long_name": "accepted where it beats the climatology of the training years",
    }
    return card


def water_residual(output: xr.Dataset, forcing: xr.Dataset) -> xr.DataArray:
    r"""Return the water a run loses (or makes, where negative), mm year-1.

    .. math:: \left[\sum (P_r + P_s - E - L - R) - \Delta (S + y + W + D)\right] / T

    Parameters
    ----------
    output : xarray.Dataset
        Daily stores at the end of the day and fluxes, (time, cell): ``snow``,
        ``soil``, ``runoff`` and those it has of ``wetland``, ``deep``,
        ``evaporation`` and ``losses``.
    forcing : xarray.Dataset
        Rain and snowfall over the same days.

    Returns
    -------
    xarray.DataArray
        (cell); from the end of the first day to the end of the last.
    """
    require_variables(output, ["snow", "soil", "runoff"], "an emulator's run")
    out = [n for n in ("runoff", "evaporation", "losses") if n in output]
    stores = [n for n in ("snow", "soil", "wetland", "deep") if n in output]
    after = slice(1, None)
    residual = xr.zeros_like(output["snow"].isel(time=0))
    for name in ("rain", "snowfall"):
        residual = residual + forcing[name].isel(time=after).sum("time")
    for name in out:
        residual = residual - output[name].isel(time=after).sum("time")
    for name in stores:
        store = output[name].reset_coords(drop=True)
        residual = residual - (store.isel(time=-1) - store.isel(time=0))
    years = (output.sizes["time"] - 1) / days_of_year(output["time"])
    residual = (residual / years).drop_vars("time", errors="ignore")
    return residual.assign_attrs(
        units="mm year-1", long_name="water that the run loses, unaccounted for"
    )
