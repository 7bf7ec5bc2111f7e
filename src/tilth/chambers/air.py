"""The air in a chamber: its amount, its water vapour and what a sensor makes of it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.constants import MOLAR_GAS_CONSTANT, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.units import convert, parse_units

#: Pressure an NDIR sensor assumes when no compensation is set, Pa.
#: Sensirion SCD30 interface description: 1013.25 hPa by default.
NDIR_REFERENCE_PRESSURE = 101325.0


def saturation_vapour_pressure(temperature):
    r"""Saturation vapour pressure over water, by Magnus' formula.

    .. math:: e_s = 611.2 \exp\frac{17.62\,t}{243.12 + t}

    Parameters
    ----------
    temperature : array_like or xarray.DataArray
        Air temperature in degC, -45 to 60 (the range of the formula).

    Returns
    -------
    same type as `temperature`
        Saturation vapour pressure in Pa.

    References
    ----------
    WMO-No. 8 (2018), Guide to Instruments and Methods of Observation, annex 4.B.

    Examples
    --------
    >>> round(float(saturation_vapour_pressure(20.0)), 1)
    2332.6
    """
    return 611.2 * np.exp(17.62 * temperature / (243.12 + temperature))


def vapour_mole_fraction(relative_humidity, temperature, pressure):
    r"""Mole fraction of water vapour from relative humidity.

    .. math:: w = \frac{RH}{100}\,\frac{e_s(t)}{P}

    Parameters
    ----------
    relative_humidity : array_like or xarray.DataArray
        Relative humidity in percent.
    temperature : array_like or xarray.DataArray
        Temperature *of the humidity sensor* in degC. A CO2 sensor that measures
        humidity runs 1 to 2 K warmer than the air: use its own thermometer.
    pressure : array_like or xarray.DataArray
        Air pressure in Pa.

    Returns
    -------
    same type as the input
        Water vapour in mol per mol of moist air.
    """
    return (
        relative_humidity / 100.0 * saturation_vapour_pressure(temperature) / pressure
    )


def dry_mole_fraction(wet, water_vapour):
    r"""Mole fraction of a gas in dry air from that in moist air.

    .. math:: C' = \frac{C}{1 - w}

    Applied point by point: vapour rises while a chamber is closed, and the gas
    is diluted by it. Uncorrected, the slope is biased by -C dw/dt / (1 - w).

    Parameters
    ----------
    wet : array_like or xarray.DataArray
        Mole fraction in moist air, any unit.
    water_vapour : array_like or xarray.DataArray
        Water vapour in mol per mol of moist air.

    Returns
    -------
    same type as the input
        Mole fraction in dry air, in the unit of `wet`.

    References
    ----------
    LI-COR LI-8100A manual, eq. 4-2; Hupp (2011).

    Examples
    --------
    >>> round(dry_mole_fraction(450.0, 0.010), 3)
    454.545
    """
    return wet / (1.0 - water_vapour)


def pressure_compensated(concentration, pressure, assumed=NDIR_REFERENCE_PRESSURE):
    r"""Concentration of an NDIR sensor that assumed a fixed air pressure.

    .. math:: C_{true} = C\,\frac{P_{assumed}}{P}

    Only for a sensor that was *not* given the ambient pressure: doing it twice
    is as wrong as not doing it (4 % at 970 hPa).

    Parameters
    ----------
    concentration : array_like or xarray.DataArray
        Reading of the sensor, any mole-fraction unit.
    pressure : array_like or xarray.DataArray
        Air pressure in Pa.
    assumed : float
        Pressure the sensor assumed, in Pa.

    Returns
    -------
    same type as `concentration`
        Compensated concentration.
    """
    return concentration * assumed / pressure


def compensate_pressure(
    closures: xr.Dataset, gas: str, assumed: float = NDIR_REFERENCE_PRESSURE
) -> xr.Dataset:
    """Compensate one gas of a closures dataset for the pressure its sensor assumed.

    Parameters
    ----------
    closures : xarray.Dataset
        Holds `gas` and ``pressure``.
    gas : str
        Variable to compensate.
    assumed : float
        Pressure the sensor assumed, in Pa.

    Returns
    -------
    xarray.Dataset
        With `gas` compensated and marked by the attribute
        ``pressure_compensation``.

    Raises
    ------
    InputError
        If the gas is marked as compensated already, by this function or by its
        reader: a sensor that was given the ambient pressure must not be corrected
        again.
    """
    done = closures[gas].attrs.get("pressure_compensation")
    if done is not None:
        raise InputError(
            f"{gas} is compensated for pressure already ({done}): doing it again would "
            "be as wrong as not doing it, 4 % at 970 hPa"
        )
    compensated = closures.copy(deep=False)
    pressure = convert(closures["pressure"], "Pa")
    compensated[gas] = pressure_compensated(closures[gas], pressure, assumed)
    compensated[gas].attrs = {
        **closures[gas].attrs,
        "pressure_compensation": f"from an assumed {assumed:g} Pa",
    }
    return compensated


def air_moles_per_area(
    volume, area, pressure, temperature, water_vapour=0.0, r_gas=MOLAR_GAS_CONSTANT
):
    r"""Moles of (dry) air above a square metre of soil.

    .. math:: \phi = \frac{V P_0 (1 - w_0)}{R A (t_0 + 273.15)}

    A slope of the dry mole fraction (umol mol-1 s-1) times this is the flux in
    umol m-2 s-1. With `water_vapour` 0 it is the amount of moist air.

    Parameters
    ----------
    volume, area : array_like
        Total volume in m3 and soil area in m2.
    pressure, temperature, water_vapour : array_like
        At closing: Pa, degC and mol per mol of moist air.
    r_gas : float
        Molar gas constant in J mol-1 K-1; LI-COR and goFlux use 8.314.

    Returns
    -------
    same type as the input
        Amount of air in mol m-2.

    References
    ----------
    LI-COR LI-8100A manual, eq. 4-12.

    Examples
    --------
    The pots of a robotic fleet, 16.5 cm of air at 972 hPa and 20 degC:

    >>> round(air_moles_per_area(0.165, 1.0, 97200.0, 20.0, 0.015), 2)
    6.48
    """
    kelvin = temperature + ZERO_CELSIUS
    return volume * pressure * (1.0 - water_vapour) / (r_gas * area * kelvin)


def to_dry(closures: xr.Dataset, gas: str) -> xr.Dataset:
    """Turn one gas of a closures dataset into its dry mole fraction, point by point.

    Parameters
    ----------
    closures : xarray.Dataset
        Holds `gas` with the attribute ``basis``, and ``h2o`` or
        ``relative_humidity`` with ``pressure`` and ``temperature`` (of the
        humidity sensor: ``humidity_temperature`` where there is one).
    gas : str
        Variable to convert.

    Returns
    -------
    xarray.Dataset
        With `gas` on the dry basis.

    Raises
    ------
    InputError
        If the basis is unknown, or already dry (a double correction), or nothing
        tells the humidity.
    """
    basis = closures[gas].attrs.get("basis")
    if basis == "dry":
        raise InputError(
            f"{gas} is a dry mole fraction already: correcting it for water twice "
            "would overstate it; set its attribute basis='wet' only if it is wet"
        )
    if basis != "wet":
        raise InputError(
            f"{gas} does not say whether it is a dry or a wet mole fraction: set "
            f"{gas}.attrs['basis'] to 'dry' or 'wet'"
        )
    water = water_vapour(closures)
    if water is None:
        raise InputError(
            f"{gas} is a wet mole fraction: h2o, or relative_humidity with pressure "
            "and temperature, is needed to dry it"
        )
    dried = closures.copy(deep=False)
    dried[gas] = dry_mole_fraction(closures[gas], water)
    dried[gas].attrs = {**closures[gas].attrs, "basis": "dry"}
    standard = str(dried[gas].attrs.get("standard_name", ""))
    if standard.startswith("mole_fraction"):
        dried[gas].attrs["standard_name"] = "dry_atmosphere_" + standard.removesuffix(
            "_in_air"
        )
    return dried


def as_fitted(closures: xr.Dataset, gas: str) -> xr.Dataset:
    """Return the closures with the gas on the basis its flux is computed on.

    A wet mole fraction of a trace gas is dried; a dry one, water vapour itself and
    a mass concentration stay as they are.
    """
    units = closures[gas].attrs.get("units")
    if units is None:
        raise InputError(
            f"{gas} has no 'units' attribute: a flux needs it, for example "
            f"{gas}.attrs['units'] = 'umol mol-1'"
        )
    mole_fraction = parse_units(str(units)).dimensionless
    if gas == "h2o" or not mole_fraction or closures[gas].attrs.get("basis") == "dry":
        return closures
    return to_dry(closures, gas)


def water_vapour(closures: xr.Dataset) -> xr.DataArray | None:
    """Water vapour of a closures dataset in mol per mol of moist air, if it is told.

    From ``h2o``, or else from ``relative_humidity``, ``pressure`` and the
    temperature of the humidity sensor.
    """
    if "h2o" in closures:
        return convert(closures["h2o"], "1")
    if not {"relative_humidity", "pressure", "temperature"} <= set(closures.variables):
        return None
    thermometer = (
        "humidity_temperature" if "humidity_temperature" in closures else "temperature"
    )
    return vapour_mole_fraction(
        convert(closures["relative_humidity"], "%"),
        convert(closures[thermometer], "degC"),
        convert(closures["pressure"], "Pa"),
    )


def water_dilution_slope(concentration, vapour_slope, water_vapour=0.0):
    r"""Apparent slope of a wet gas that only comes from rising water vapour.

    .. math:: -\frac{C}{1 - w}\,\frac{dw}{dt}

    Parameters
    ----------
    concentration : float
        Mole fraction in moist air.
    vapour_slope : float
        dw/dt in s-1.
    water_vapour : float
        w in mol mol-1.

    Returns
    -------
    float
        Slope per second, in the unit of `concentration`.

    Examples
    --------
    >>> round(water_dilution_slope(450.0, 5e-6), 5)
    -0.00225
    """
    return -concentration / (1.0 - water_vapour) * vapour_slope
