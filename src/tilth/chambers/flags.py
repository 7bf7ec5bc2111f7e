"""The reasons a closure or a flux can be doubted, one bit each."""

import xarray as xr

from tilth.core.flags import FlagTable, flag_masks, is_flagged

#: Raised by readers and by the quality filters, per closure (``closure_flag``).
CLOSURE_FLAGS = FlagTable(
    {
        "truncated": "far fewer records than the file says were fitted",
        "damaged_header": "column labels do not match the records",
        "missing_footer": "no summary written by the instrument",
        "bad_rows": "some records could not be read and were left out",
        "no_data": "no usable record",
        "duplicate_times": "two records carry the same time stamp",
        "non_monotonic_time": "the clock went back within the closure",
        "negative_time": "records before closing, not used",
        "implausible_temperature": "air temperature outside -60..55 degC",
        "implausible_pressure": "air pressure outside 30..110 kPa",
        "implausible_humidity": "water vapour below zero or above saturation",
        "implausible_concentration": "concentration below zero or at the sensor limit",
        "daylight": "light above the night limit",
        "stuck_open": "chamber did not close: neither CO2 nor H2O moved off ambient",
        "stuck_closed": "chamber did not open: no return to ambient before closing",
        "clogged_pot": "soil surface blocked: no flux, and servo or soil CO2 say why",
        "low_flux": "flux below the threshold of the plain rule",
        "outlier": "flux far outside its neighbours in time",
        "summary_mismatch": "records do not agree with the instrument's own summary",
        "altered": "the file was changed after the instrument wrote it",
        "instrument_warning": "the instrument itself doubts the closure",
        "unknown_time": "the time of closing is not known",
        "open_or_clogged": "no exchange, and nothing tells stuck open from clogged",
        "light_unknown": "no valid light reading: whether it was night is not known",
        "implausible_light": "light below zero (an error code) or above 150 klux",
        "implausible_soil_co2": "soil CO2 not above zero or at the sensor limit",
        "inconsistent_geometry": "area, volume or dead-band differ within the closure",
    }
)

#: Raised by the flux calculation, per flux (``flux_flag``).
FLUX_FLAGS = FlagTable(
    {
        "too_few_points": "fewer than three usable points after the dead-band",
        "constant_concentration": "the concentration did not change at all",
        "bad_geometry": "moles of air per area outside 0.5..50 mol m-2",
        "no_curvature": "the best curve is the straight line (k at its lower bound)",
        "k_at_upper_bound": "the curve saturates within a sample (k at upper bound)",
        "k_above_kappa_max": "curvature stronger than the precision can support",
        "g_factor": "curved and linear flux differ more than the g-factor limit",
        "below_mdf": "not distinguishable from zero: |flux| below detection limit",
        "licor_not_fitted": "the fixed-intercept exponential has no solution",
        "repeated_values": "the sensor repeated readings: fewer independent points",
        "autocorrelated": "residuals are correlated: standard error inflated",
        "few_points": "fewer than ten points: the standard errors are rough",
        "missing_values": "some points in the window are missing",
        "repeated_times": "time stamps repeat or go back; backward ones are not used",
        "asymptote_at_zero": "the best curve tends below zero: held at zero",
        "closure_rejected": "the closure is damaged: no flux is given",
    }
)

#: Meanings of ``closure_flag`` that are remarks: what they name was left out or is
#: only worth knowing, and the flux of the closure can be used.
REMARKS = (
    "missing_footer",
    "bad_rows",
    "duplicate_times",
    "negative_time",
    "instrument_warning",
    "unknown_time",
)


def is_doubted(flag: xr.DataArray) -> xr.DataArray:
    """Return where a closure is flagged for more than a remark.

    Parameters
    ----------
    flag : xarray.DataArray
        ``closure_flag`` of a closures or flux dataset.

    Returns
    -------
    xarray.DataArray of bool
        True where any meaning but those of `REMARKS` holds.
    """
    return is_flagged(flag, *(m for m in flag_masks(flag) if m not in REMARKS))
