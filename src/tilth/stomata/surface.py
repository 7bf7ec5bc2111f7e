"""Air at the leaf surface, from what a gas-exchange system measures in its chamber.

Conductances in mol m-2 s-1, carbon dioxide in umol mol-1, water in mmol mol-1, as the
instruments print them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ball_berry_index", "surface_co2", "surface_humidity"]

#: Boundary-layer conductance for water vapour over that for carbon dioxide: the ratio
#: of diffusivities to the power of 2/3 (LI-COR, LI-6800 manual).
RATIO_BOUNDARY = 1.37

#: Saturation over water after Buck (1981) as LI-COR's firmware has it: kPa, 1, degC.
_BUCK = (0.6135, 17.502, 240.97)


def surface_co2(
    chamber_co2: npt.ArrayLike,
    assimilation: npt.ArrayLike,
    transpiration: npt.ArrayLike,
    boundary_conductance: npt.ArrayLike,
) -> np.ndarray:
    r"""Carbon dioxide at the leaf surface.

    .. math:: C_s = \frac{(g_{bc} - E/2)\,C_a - A}{g_{bc} + E/2},
        \qquad g_{bc} = g_{bw} / 1.37

    Parameters
    ----------
    chamber_co2 : array_like
        In the chamber, umol mol-1.
    assimilation : array_like
        Net, umol m-2 s-1.
    transpiration : array_like
        mol m-2 s-1.
    boundary_conductance : array_like
        For water vapour, mol m-2 s-1.

    Returns
    -------
    numpy.ndarray
        umol mol-1.

    References
    ----------
    von Caemmerer & Farquhar (1981), Planta 153, 376-387, eq. B9 ff.
    """
    carbon = np.asarray(boundary_conductance, float) / RATIO_BOUNDARY
    half = np.asarray(transpiration, float) / 2
    numerator = (carbon - half) * np.asarray(chamber_co2) - np.asarray(assimilation)
    return numerator / (carbon + half)


def surface_humidity(
    chamber_water: npt.ArrayLike,
    transpiration: npt.ArrayLike,
    boundary_conductance: npt.ArrayLike,
    leaf_temperature: npt.ArrayLike,
    pressure: npt.ArrayLike,
) -> np.ndarray:
    r"""Humidity at the leaf surface relative to saturation at leaf temperature.

    .. math::

        w_s = \frac{E\,(1000 - w_a/2) + g_{bw} w_a}{g_{bw} + E/2}, \qquad
        h_s = \frac{w_s P}{1000\,e_s(T_l)}

    Parameters
    ----------
    chamber_water : array_like
        In the chamber, mmol mol-1.
    transpiration : array_like
        mol m-2 s-1.
    boundary_conductance : array_like
        For water vapour, mol m-2 s-1.
    leaf_temperature : array_like
        degC.
    pressure : array_like
        In the chamber, its overpressure included, kPa.

    Returns
    -------
    numpy.ndarray
        0 to 1; above one where water condenses.

    References
    ----------
    von Caemmerer & Farquhar (1981), Planta 153, 376-387; saturation of Buck (1981),
    Journal of Applied Meteorology 20, 1527-1532.
    """
    water, lost = np.asarray(chamber_water, float), np.asarray(transpiration, float)
    layer = np.asarray(boundary_conductance, float)
    celsius = np.asarray(leaf_temperature, float)
    at_surface = (lost * (1000 - water / 2) + layer * water) / (layer + lost / 2)
    first, slope, shift = _BUCK
    saturation = first * np.exp(slope * celsius / (shift + celsius))
    return at_surface * np.asarray(pressure) / (1000 * saturation)


def ball_berry_index(
    assimilation: npt.ArrayLike, surface_co2: npt.ArrayLike, humidity: npt.ArrayLike
) -> np.ndarray:
    r"""Ball-Berry index, :math:`A h_s / C_s`.

    Parameters
    ----------
    assimilation : array_like
        Net, umol m-2 s-1.
    surface_co2 : array_like
        umol mol-1.
    humidity : array_like
        At the leaf surface, 0 to 1.

    Returns
    -------
    numpy.ndarray
        mol m-2 s-1.

    References
    ----------
    Ball, Woodrow & Berry (1987), Progress in Photosynthesis Research IV, 221-224.
    """
    return np.asarray(assimilation) * np.asarray(humidity) / np.asarray(surface_co2)
