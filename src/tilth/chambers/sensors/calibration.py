"""Calibration of a fleet of gas sensors against one another or a reference.

Only the gain of a sensor enters a flux (an offset drops out of the slope), so the
spread of the gains is the device part of a flux's uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_dims, require_text, stamp
from tilth.core.units import convert
from tilth.stats.autocorrelation import lag1_autocorrelation

#: Why a device has no calibration or a doubtful one, per device.
CALIBRATION_FLAGS = FlagTable(
    {
        "too_few_readings": "fewer readings than ten per coefficient",
        "not_separable": "the conditions did not vary independently of each other",
        "implausible_gain": "gain outside 0.5..2: not a matter of calibration",
    }
)

#: Coefficients of the model, their units and what each multiplies.
_COEFFICIENTS = {
    "offset": "umol mol-1",
    "gain": "1",
    "temperature_coefficient": "umol mol-1 K-1",
    "pressure_coefficient": "umol mol-1 Pa-1",
}


@dataclass(frozen=True)
class GainSpread:
    """Standard deviation of the true gains of a fleet, relative.

    Parameters
    ----------
    sd, lower, upper : float
        Spread, freed from the errors of the single gains, and its limits.
    level : float
        Probability of the interval.
    devices : int
        Number of gains.
    """

    sd: float
    lower: float
    upper: float
    level: float
    devices: int


def calibrate_fleet(
    concentration: xr.DataArray,
    reference: xr.DataArray | None = None,
    *,
    temperature: xr.DataArray | None = None,
    pressure: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Fit what each sensor shows as a function of the true concentration.

    .. math:: C_i = a_i + b_i C_\mathrm{ref} + c_i (T - T_0) + d_i (P - P_0)

    by least squares, one device at a time, with :math:`T_0, P_0` the means over the
    fleet. The covariance is widened by :math:`(1 + \rho)/(1 - \rho)` for residuals
    with lag-1 autocorrelation :math:`\rho` (not narrowed for a negative one). Without
    a reference the median of the fleet takes its place: gains are then relative to
    the fleet, and what all sensors have in common stays unseen; by how much the gain
    of the median may itself be off is ``reference_gain_se``.

    Parameters
    ----------
    concentration : xarray.DataArray
        Readings of all sensors in the same air, dims (device, time), units of mole
        fraction; missing ones are NaN. ``device`` is text. Evenly spaced in time.
    reference : xarray.DataArray, optional
        True concentration, dim (time).
    temperature, pressure : xarray.DataArray, optional
        Conditions, dims (time) or (device, time), with units. Without them the
        coefficient is left out.

    Returns
    -------
    xarray.Dataset
        Along ``device``: ``offset`` (umol mol-1), ``gain`` (1) and, where asked for,
        ``temperature_coefficient`` (umol mol-1 K-1) and ``pressure_coefficient``
        (umol mol-1 Pa-1), each with ``_se``; ``covariance`` (device, coefficient,
        coefficient_), ``residual_sd``, ``lag1``, ``n`` and ``calibration_flag``; and
        ``reference_gain_se``, common to all devices (0 for a given reference).

    Raises
    ------
    InputError
        If a dimension is wrong, devices are not text, or without a reference there
        are fewer than five devices.

    References
    ----------
    Autocorrelation: Bayley & Hammersley (1946), J. R. Stat. Soc. Suppl. 8, 184-197.
    """
    require_dims(concentration, ["device", "time"])
    require_text(concentration["device"])
    readings = convert(concentration, "umol mol-1").transpose("device", "time")
    if reference is None:
        if readings.sizes["device"] < 5:
            raise InputError(
                "the median of a fleet needs at least 5 devices, got "
                f"{readings.sizes['device']}: give a reference"
            )
        truth = readings.median("device")
    else:
        require_dims(reference, ["time"])
        truth = convert(reference, "umol mol-1")
    names = ["offset", "gain"]
    terms = [xr.ones_like(readings), truth.broadcast_like(readings)]
    origins = {}
    for name, condition, units in (
        ("temperature", temperature, "degC"),
        ("pressure", pressure, "Pa"),
    ):
        if condition is None:
            continue
        values = convert(condition, units)
        origins[name] = float(values.mean())
        names.append(f"{name}_coefficient")
        terms.append((values - origins[name]).broadcast_like(readings))
    columns = np.stack([t.transpose("device", "time").values for t in terms], axis=-1)
    fits = [_fit_device(x, y) for x, y in zip(columns, readings.values, strict=True)]
    beta = np.array([fit[0] for fit in fits])
    covariance = np.array([fit[1] for fit in fits])
    result = xr.Dataset(coords={"device": readings["device"], "coefficient": names})
    for i, name in enumerate(names):
        result[name] = ("device", beta[:, i], {"units": _COEFFICIENTS[name]})
        result[f"{name}_se"] = (
            "device",
            np.sqrt(covariance[:, i, i]),
            {"units": _COEFFICIENTS[name], "long_name": f"standard error of {name}"},
        )
    result["covariance"] = (("device", "coefficient", "coefficient_"), covariance)
    result["residual_sd"] = ("device", [f[2] for f in fits], {"units": "umol mol-1"})
    result["lag1"] = ("device", [fit[3] for fit in fits], {"units": "1"})
    result["n"] = ("device", [fit[4] for fit in fits])
    few = result["n"].values < 10 * len(names)
    raised = {
        "too_few_readings": few,
        "not_separable": np.isnan(beta[:, 1]) & ~few,
        "implausible_gain": (beta[:, 1] < 0.5) | (beta[:, 1] > 2.0),
    }
    flags = CALIBRATION_FLAGS.variable(raised, few.shape)
    result["calibration_flag"] = ("device", flags, CALIBRATION_FLAGS.attrs())
    # The median of n normal gains scatters by 1.2533 of their mean's standard error.
    sound = beta[flags == 0, 1]
    spread = np.std(sound, ddof=1) if sound.size > 1 else np.nan
    doubt = 1.2533 * spread / np.sqrt(max(sound.size, 1)) if reference is None else 0.0
    result["reference_gain_se"] = doubt
    result["reference_gain_se"].attrs = {
        "units": "1",
        "long_name": "standard error of the gain of the reference",
    }
    result.attrs.update({f"{name}_origin": value for name, value in origins.items()})
    against = "the median of the fleet" if reference is None else "a reference"
    return stamp(result, f"calibrate_fleet against {against}, {', '.join(names)}")


def _fit_device(
    x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float, int]:
    """Return coefficients, covariance, residual SD, lag-1 autocorrelation and n."""
    use = np.isfinite(y) & np.isfinite(x).all(axis=1)
    n, k = int(use.sum()), x.shape[1]
    nothing = np.full(k, np.nan), np.full((k, k), np.nan), np.nan, np.nan, n
    if n < 10 * k:
        return nothing
    # Columns of like size, or the rank would depend on the units.
    size = np.linalg.norm(x[use], axis=0)
    if not np.all(size > 0):
        return nothing
    scaled = x[use] / size
    beta, _, rank, _ = np.linalg.lstsq(scaled, y[use], rcond=1e-9)
    if rank < k:
        return nothing
    residuals = np.full(y.shape, np.nan)
    residuals[use] = y[use] - scaled @ beta
    variance = float(np.nansum(residuals**2) / (n - k))
    lag1 = float(lag1_autocorrelation(residuals, k).value) if variance > 0 else 0.0
    rho = max(lag1, 0.0)
    widened = variance * (1.0 + rho) / (1.0 - rho)
    covariance = widened * np.linalg.inv(scaled.T @ scaled) / np.outer(size, size)
    return beta / size, covariance, float(np.sqrt(variance)), lag1, n


def apply_calibration(
    concentration: xr.DataArray,
    calibration: xr.Dataset,
    *,
    temperature: xr.DataArray | None = None,
    pressure: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Correct readings by the calibration of their device.

    .. math:: C = \frac{C_i - a_i - c_i (T - T_0) - d_i (P - P_0)}{b_i}, \quad
       u^2 = g^\top \Sigma_i\, g, \quad
       g = -\frac{1}{b_i} (1,\ C,\ T - T_0,\ P - P_0) .

    Parameters
    ----------
    concentration : xarray.DataArray
        Readings with a dimension ``device`` and units of mole fraction.
    calibration : xarray.Dataset
        From `calibrate_fleet`.
    temperature, pressure : xarray.DataArray, optional
        Conditions of the readings; needed where the calibration has a coefficient.

    Returns
    -------
    xarray.Dataset
        ``co2`` (umol mol-1) and ``co2_se``: the standard error of the calibration
        alone, the same error in all readings of a device. Devices without a
        calibration are NaN; their ``calibration_flag`` says why.

    Raises
    ------
    InputError
        If a device has no calibration entry or a condition is missing.
    """
    readings = convert(concentration, "umol mol-1")
    unknown = set(readings["device"].values) - set(calibration["device"].values)
    if unknown:
        raise InputError(
            f"no calibration for the devices {sorted(map(str, unknown))[:5]}: "
            "calibrate them with the fleet or leave them out"
        )
    own = calibration.sel(device=readings["device"])
    corrected = readings - own["offset"]
    gradient = [xr.ones_like(readings)]
    for name, condition, units in (
        ("temperature", temperature, "degC"),
        ("pressure", pressure, "Pa"),
    ):
        if f"{name}_coefficient" not in own:
            continue
        if condition is None:
            raise InputError(
                f"this calibration depends on {name}: give the {name} of the readings"
            )
        away = convert(condition, units) - calibration.attrs[f"{name}_origin"]
        away = away.reindex({dim: readings[dim] for dim in away.indexes})
        corrected = corrected - own[f"{name}_coefficient"] * away
        gradient.append(away)
    corrected = corrected / own["gain"]
    gradient.insert(1, corrected)
    stacked = xr.concat(
        xr.broadcast(*(term.drop_attrs() for term in gradient)),
        dim=own["coefficient"],
        coords="minimal",
        compat="override",
    )
    variance = xr.dot(
        stacked,
        own["covariance"],
        stacked.rename(coefficient="coefficient_").drop_vars("coefficient_"),
        dim=["coefficient", "coefficient_"],
    )
    result = xr.Dataset(
        {"co2": corrected, "co2_se": np.sqrt(variance) / np.abs(own["gain"])}
    ).drop_vars("coefficient", errors="ignore")
    result["calibration_flag"] = own["calibration_flag"]
    result["co2"].attrs = {
        **concentration.attrs,
        "units": "umol mol-1",
        "ancillary_variables": "co2_se calibration_flag",
    }
    result["co2_se"].attrs = {
        "units": "umol mol-1",
        "long_name": "standard error from the calibration, common to one device",
    }
    return stamp(result, "apply_calibration")


def gain_spread(calibration: xr.Dataset, *, level: float = 0.95) -> GainSpread:
    r"""How much the gains of a fleet differ, beyond their own errors.

    .. math:: s_b^2 = \mathrm{var}(b_i) - \overline{u(b_i)^2},

    relative to the mean gain and not below zero; limits from the chi-square
    distribution of :math:`\mathrm{var}(b_i)`. It is the relative device part of the
    uncertainty of a flux, shared by all fluxes of a device.

    Parameters
    ----------
    calibration : xarray.Dataset
        From `calibrate_fleet`; flagged devices are left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    GainSpread
        Relative spread with limits.

    Raises
    ------
    InputError
        If fewer than three devices are unflagged.
    """
    sound = calibration["calibration_flag"].values == 0
    gain = calibration["gain"].values[sound]
    if gain.size < 3:
        raise InputError(
            f"a spread of gains needs at least 3 calibrated devices, got {gain.size}"
        )
    own = float(np.mean(calibration["gain_se"].values[sound] ** 2))
    total, freedom = float(np.var(gain, ddof=1)), gain.size - 1
    tail = (1.0 - level) / 2.0
    low, high = total * freedom / stats.chi2.ppf([1.0 - tail, tail], freedom)
    sd, lower, upper = np.sqrt(np.maximum([total - own, low - own, high - own], 0.0))
    mean = float(gain.mean())
    return GainSpread(sd / mean, lower / mean, upper / mean, level, gain.size)
