"""Soil gas: how fast CO2 diffuses through a soil, and the flux that follows."""

from __future__ import annotations

import numpy as np

from tilth.core.constants import (
    MOLAR_GAS_CONSTANT,
    STANDARD_ATMOSPHERE,
    ZERO_CELSIUS,
)
from tilth.core.errors import InputError

#: Diffusivity of CO2 in air at 0 degC and one atmosphere, m2 s-1 (Massman 1998).
CO2_DIFFUSIVITY_STANDARD = 1.381e-5

#: Exponent of temperature (Massman 1998).
DIFFUSIVITY_EXPONENT = 1.81

#: Soil CO2 above which a pot without flux counts as blocked, umol mol-1
#: (Paessler et al. 2024: "very high CO2 levels (>20.000 ppm)").
CLOGGED_SOIL_CO2 = 20_000.0


def co2_diffusivity(temperature, pressure):
    r"""Diffusivity of CO2 in free air.

    .. math:: D_0 = 1.381\cdot10^{-5} (T/273.15)^{1.81} (101325/P)

    Parameters
    ----------
    temperature : array_like
        Air temperature, degC.
    pressure : array_like
        Air pressure, Pa.

    Returns
    -------
    array_like
        Diffusivity, m2 s-1.

    References
    ----------
    Massman (1998), Atmospheric Environment 32, 1111-1127.

    Examples
    --------
    >>> float(co2_diffusivity(0.0, 101325.0))
    1.381e-05
    """
    warmth = (np.asarray(temperature) + ZERO_CELSIUS) / ZERO_CELSIUS
    return (
        CO2_DIFFUSIVITY_STANDARD
        * warmth**DIFFUSIVITY_EXPONENT
        * (STANDARD_ATMOSPHERE / np.asarray(pressure))
    )


def millington_quirk(air_filled, porosity):
    r"""Relative diffusivity :math:`\varepsilon^{10/3}/\Phi^2`.

    Parameters
    ----------
    air_filled : array_like
        Air-filled porosity, m3 m-3, within 0 and `porosity`.
    porosity : array_like
        Total porosity, m3 m-3, within 0 and 1.

    Returns
    -------
    array_like
        Diffusivity in the soil over that in free air, 1.

    References
    ----------
    Millington and Quirk (1961), Trans. Faraday Soc. 57, 1200-1207.
    """
    eps, phi = _porosities(air_filled, porosity)
    return eps ** (10.0 / 3.0) / phi**2


def moldrup(air_filled, air_filled_100, campbell_b):
    r"""Relative diffusivity from the soil-water characteristic.

    .. math:: (2\varepsilon_{100}^3 + 0.04\varepsilon_{100})
              (\varepsilon/\varepsilon_{100})^{2+3/b}

    Parameters
    ----------
    air_filled : array_like
        Air-filled porosity, m3 m-3.
    air_filled_100 : array_like
        Air-filled porosity at a matric potential of -100 cm water, m3 m-3.
    campbell_b : array_like
        Campbell's pore-size parameter, 1 (about 3 for sand, 11 for clay).

    Returns
    -------
    array_like
        Diffusivity in the soil over that in free air, 1.

    References
    ----------
    Moldrup, Olesen, Schjonning, Yamaguchi and Rolston (2000), Soil Science
    Society of America Journal 64, 94-100.
    """
    eps, e100 = np.asarray(air_filled, float), np.asarray(air_filled_100, float)
    b = np.asarray(campbell_b, float)
    if np.any((eps < 0) | (eps > 1)) or np.any((e100 <= 0) | (e100 > 1)):
        raise InputError(
            "air-filled porosities must lie in 0..1 m3 m-3 (that at -100 cm above "
            f"zero), got {_span(eps)} and {_span(e100)}; are they in percent?"
        )
    if np.any(b <= 0):
        raise InputError(f"Campbell's b must be positive, got {_span(b)}")
    return (2.0 * e100**3 + 0.04 * e100) * (eps / e100) ** (2.0 + 3.0 / b)


def currie(air_filled, factor=1.9, exponent=1.4):
    r"""Relative diffusivity :math:`a\,\varepsilon^b`.

    Parameters
    ----------
    air_filled : array_like
        Air-filled porosity, m3 m-3.
    factor, exponent : float
        Currie's empirical constants; they depend on the packing.

    Returns
    -------
    array_like
        Diffusivity in the soil over that in free air, 1, never above one.

    References
    ----------
    Currie (1960), British Journal of Applied Physics 11, 314-324.
    """
    eps, _ = _porosities(air_filled, 1.0)
    return np.minimum(factor * eps**exponent, 1.0)


def penman(air_filled):
    r"""Relative diffusivity :math:`0.66\,\varepsilon`.

    Parameters
    ----------
    air_filled : array_like
        Air-filled porosity, m3 m-3.

    Returns
    -------
    array_like
        Diffusivity in the soil over that in free air, 1.

    References
    ----------
    Penman (1940), Journal of Agricultural Science 30, 437-462.
    """
    eps, _ = _porosities(air_filled, 1.0)
    return 0.66 * eps


def marshall(air_filled):
    r"""Relative diffusivity :math:`\varepsilon^{1.5}`.

    Parameters
    ----------
    air_filled : array_like
        Air-filled porosity, m3 m-3.

    Returns
    -------
    array_like
        Diffusivity in the soil over that in free air, 1.

    References
    ----------
    Marshall (1959), Journal of Soil Science 10, 79-82.
    """
    eps, _ = _porosities(air_filled, 1.0)
    return eps**1.5


def _porosities(air_filled, porosity):
    """Return both as arrays, or raise where they are not porosities."""
    eps, phi = np.asarray(air_filled, float), np.asarray(porosity, float)
    if np.any((phi <= 0) | (phi > 1)):
        raise InputError(f"porosity must lie in 0..1 m3 m-3, got {_span(phi)}")
    if np.any((eps < 0) | (eps > phi)):
        raise InputError(
            f"air-filled porosity must lie between 0 and the porosity "
            f"({_span(phi)} m3 m-3), got {_span(eps)}; is it in percent, or water "
            "content instead of air content?"
        )
    return eps, phi


def _span(values: np.ndarray) -> str:
    """Write the range of an array for a message."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


def soil_conductance(relative_diffusivity, depth, temperature, pressure):
    r"""Flux per concentration difference between soil air and free air.

    .. math:: G = \frac{P}{R T}\,\frac{D_0\,\xi}{z}

    Parameters
    ----------
    relative_diffusivity : array_like
        :math:`\xi`, one of the models above, 1.
    depth : array_like
        Distance from the soil sensor to the surface, m.
    temperature : array_like
        Soil temperature, degC.
    pressure : array_like
        Air pressure, Pa.

    Returns
    -------
    array_like
        Conductance, mol m-2 s-1: umol m-2 s-1 of flux per umol mol-1.

    Raises
    ------
    InputError
        If a depth is not positive.
    """
    depth = np.asarray(depth, float)
    if np.any(depth <= 0):
        raise InputError(
            f"the depth of the soil sensor must be positive (m below the surface), "
            f"got {_span(depth)}"
        )
    kelvin = np.asarray(temperature, float) + ZERO_CELSIUS
    air_density = np.asarray(pressure, float) / (MOLAR_GAS_CONSTANT * kelvin)
    diffusivity = co2_diffusivity(temperature, pressure) * relative_diffusivity
    return air_density * diffusivity / depth


def gradient_flux(
    soil_co2, air_co2, relative_diffusivity, depth, temperature, pressure
):
    r"""Flux out of the soil by Fick's first law.

    .. math:: F = \frac{P}{R T}\,D_0\,\xi\,\frac{C_{soil} - C_{air}}{z},

    positive upward.

    Parameters
    ----------
    soil_co2, air_co2 : array_like
        Mole fraction in the soil at `depth` and above the surface, umol mol-1.
    relative_diffusivity, depth, temperature, pressure : array_like
        As in `soil_conductance`.

    Returns
    -------
    array_like
        Flux, umol m-2 s-1.

    Examples
    --------
    >>> float(gradient_flux(450.0, 450.0, 0.02, 0.1, 20.0, 97200.0))
    0.0
    """
    conductance = soil_conductance(relative_diffusivity, depth, temperature, pressure)
    return conductance * (np.asarray(soil_co2) - np.asarray(air_co2))


def clogged_mask(
    flux, soil_co2, flux_limit: float = 0.1, co2_limit: float = CLOGGED_SOIL_CO2
):
    """Return where a pot is blocked: much CO2 below, none coming out.

    Such days break Fick's law (its conductance is gone) and must not enter a
    regression.

    Parameters
    ----------
    flux : array_like
        Flux, umol m-2 s-1.
    soil_co2 : array_like
        Soil CO2, umol mol-1.
    flux_limit : float
        Flux below which nothing comes out, umol m-2 s-1; the fleet's threshold.
    co2_limit : float
        Soil CO2 above which the pot counts as blocked, umol mol-1.

    Returns
    -------
    numpy.ndarray of bool
    """
    return (np.asarray(flux) < flux_limit) & (np.asarray(soil_co2) > co2_limit)
