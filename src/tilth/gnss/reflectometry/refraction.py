"""Refraction: how much higher the air makes a satellite appear."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilth.core.constants import GRAVITY, ZERO_CELSIUS
from tilth.core.errors import InputError

#: Molar mass of dry air, kg mol-1, and molar gas constant, J mol-1 K-1, as the model
#: GPT2w has them (Boehm et al. 2015).
_MOLAR_MASS_AIR, _GAS_CONSTANT = 28.965e-3, 8.3143

#: Models there are; the last corrects nothing.
MODELS = ("bennett", "ulich", "none")


@dataclass(frozen=True)
class Air:
    """Air at the antenna.

    Parameters
    ----------
    pressure : float
        hPa.
    temperature : float
        degC.
    vapour_pressure : float
        hPa; only Ulich's model asks for it.

    Raises
    ------
    InputError
        If a value is beyond what the Earth has.
    """

    pressure: float = 1013.25
    temperature: float = 15.0
    vapour_pressure: float = 0.0

    def __post_init__(self) -> None:
        for value, name, lowest, highest in (
            (self.pressure, "pressure (hPa)", 300.0, 1100.0),
            (self.temperature, "temperature (degC)", -95.0, 60.0),
            (self.vapour_pressure, "vapour_pressure (hPa)", 0.0, 100.0),
        ):
            if not lowest <= value <= highest:
                raise InputError(
                    f"the {name} of air is {value}: it lies between {lowest:g} and "
                    f"{highest:g}"
                )

    @classmethod
    def standard(cls, height: float) -> Air:
        """Return the standard atmosphere at a height, half saturated.

        Parameters
        ----------
        height : float
            m above sea level.

        Returns
        -------
        Air
            ISO 2533 (1975) up to 11 km.
        """
        celsius = 15.0 - 0.0065 * height
        pressure = 1013.25 * (1.0 - 0.0065 * height / 288.15) ** 5.25588
        saturated = 6.112 * np.exp(17.62 * celsius / (243.12 + celsius))
        return cls(pressure, celsius, 0.5 * float(saturated))

    @property
    def refractivity(self) -> float:
        r"""Refractivity of the air, parts per million.

        .. math:: N_0 = 77.689\,(p - e) / T + 71.2952\,e / T + 375463\,e / T^2

        References
        ----------
        Rueger (2002), FIG XXII Congress, TS3.5.
        """
        kelvin, e = self.temperature + ZERO_CELSIUS, self.vapour_pressure
        dry = 77.689 * (self.pressure - e) / kelvin
        return dry + 71.2952 * e / kelvin + 375463.0 * e / kelvin**2


@dataclass(frozen=True)
class Climate:
    """Mean air of a place and its seasons: nodes of the model GPT2w around it.

    Parameters
    ----------
    latitude, longitude : float
        Of the antenna, degrees.
    height : float
        Above the ellipsoid, m.
    nodes : numpy.ndarray, shape (4, 5, 12)
        Per corner of the cell of one degree, for the mean, the cosine and sine of one
        year and of half a year: latitude, longitude, pressure (Pa), temperature (K),
        humidity (g kg-1), lapse rate (mK m-1), undulation and height (m), two
        coefficients of delays, decrease factor of vapour, mean temperature (K).

    References
    ----------
    Boehm et al. (2015), GPS Solutions 19, 433-441, doi:10.1007/s10291-014-0403-7.
    """

    latitude: float
    longitude: float
    height: float
    nodes: np.ndarray

    def __post_init__(self) -> None:
        if np.shape(self.nodes) != (4, 5, 12):
            raise InputError(
                f"a climate has 4 nodes of 5 rows of 12 numbers, got the shape "
                f"{np.shape(self.nodes)}"
            )

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        latitude: float,
        longitude: float,
        height: float,
    ) -> Climate:
        """Read the nodes around a station from the text gnssrefl keeps of them.

        Parameters
        ----------
        path : path
            Twenty rows of twelve numbers, such as ``mchl_refr.txt``.
        latitude, longitude : float
            Of the antenna, degrees.
        height : float
            Above the ellipsoid, m.

        Returns
        -------
        Climate
            Of the place.

        Raises
        ------
        InputError
            If the file is something else, or the station is not among the nodes.
        """
        try:
            numbers = np.array(Path(path).read_text("utf-8").split(), float)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} holds no nodes of air: {error}") from error
        if numbers.size != 240:
            raise InputError(
                f"{path} holds {numbers.size} numbers: four nodes of five rows of "
                "twelve make 240"
            )
        nodes = numbers.reshape(4, 5, 12)
        place = cls(latitude, longitude, height, nodes)
        place._weights()
        return place

    def on(self, date: datetime.date | None = None) -> Air:
        """Return the air at the antenna on a day.

        Parameters
        ----------
        date : datetime.date, optional
            The day; by default the mean of the year.

        Returns
        -------
        Air
            Of the four nodes, each brought to the height of the antenna.
        """
        terms = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
        if date is not None:
            years = (date - datetime.date(2000, 1, 1)).days / 365.25
            for k in (1, 2):
                angle = 2 * np.pi * k * years
                terms[2 * k - 1 : 2 * k + 1] = np.cos(angle), np.sin(angle)
        values = np.einsum("t,ntc->nc", terms, self.nodes)
        _, _, pressure, kelvin, humidity, lapse, _, _, _, _, decrease, _ = values.T
        undulation, ground = self.nodes[:, 0, 6], self.nodes[:, 0, 7]
        above = self.height - undulation - ground
        specific = humidity / 1000.0
        virtual = kelvin * (1.0 + 0.6077 * specific)
        scale = GRAVITY * _MOLAR_MASS_AIR / (_GAS_CONSTANT * virtual)
        there = pressure * np.exp(-scale * above)
        vapour = specific * pressure / (0.622 + 0.378 * specific)
        vapour = vapour * (there / pressure) ** (decrease + 1.0)
        weights = self._weights()
        celsius = kelvin + lapse / 1000.0 * above - ZERO_CELSIUS
        return Air(
            float(weights @ there) / 100.0,
            float(weights @ celsius),
            float(weights @ vapour) / 100.0,
        )

    def _weights(self) -> np.ndarray:
        """Return the share of each node, bilinear.

        Nodes lie at half degrees, and the file cuts these off. It holds the nearest
        node and three neighbours, which share by the distance from the nearest.
        """
        share = np.ones(len(self.nodes))
        for column, place in ((0, self.latitude), (1, self.longitude % 360.0)):
            label = self.nodes[:, 0, column]
            centre = label + np.copysign(0.5, place)
            away = np.abs(centre - place)
            nearest = away == away.min()
            if away.min() > 0.5 + 1e-9 or nearest.sum() != 2:
                raise InputError(
                    f"the nodes of air are not those around {self.latitude:.3f}, "
                    f"{self.longitude:.3f}: they belong to another station"
                )
            share *= np.where(nearest, 1.0 - away.min(), away.min())
        return share


@dataclass(frozen=True)
class Refraction:
    """A model of refraction and the air it takes.

    Parameters
    ----------
    model : {"bennett", "ulich", "none"}
        ``"none"`` leaves elevations as they are, which makes heights about 0.6 %
        smaller.
    air : Air or Climate
        Of the antenna; a climate gives the mean of the year.
    seasonal : bool
        Whether a climate gives each day its own air.

    Raises
    ------
    InputError
        If there is no such model, or seasons are asked of air that has none.
    """

    model: str = "bennett"
    air: Air | Climate = Air()
    seasonal: bool = False

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise InputError(
                f"no model of refraction {self.model!r}; there are {', '.join(MODELS)}"
            )
        if self.seasonal and not isinstance(self.air, Climate):
            raise InputError("seasons of refraction need a Climate, not constant Air")

    def apparent_elevation(
        self, elevation: npt.ArrayLike, date: datetime.date
    ) -> np.ndarray:
        """Return the elevation under which satellites appear.

        Parameters
        ----------
        elevation : array_like
            Geometric elevation, degrees, above -2.
        date : datetime.date
            The day, for a seasonal climate.

        Returns
        -------
        numpy.ndarray
            Degrees, same shape.
        """
        true = np.asarray(elevation, float)
        if self.model == "none":
            return true
        air = self.air
        if isinstance(air, Climate):
            air = air.on(date if self.seasonal else None)
        bend = bennett if self.model == "bennett" else ulich
        return true + bend(true, air)


def bennett(elevation: npt.ArrayLike, air: Air) -> np.ndarray:
    r"""Refraction by Bennett's formula.

    .. math::

        \delta e = \frac{510}{\tfrac95 T + 492}\,\frac{p}{1010.16}\,
        \cot\!\left(e + \frac{7.31}{e + 4.4}\right)

    in minutes of arc, with :math:`e` in degrees, :math:`T` in degC, :math:`p` in hPa.

    Parameters
    ----------
    elevation : array_like
        Geometric elevation, degrees.
    air : Air
        At the antenna.

    Returns
    -------
    numpy.ndarray
        What is to be added to the elevation, degrees.

    References
    ----------
    Bennett (1982), J. Navigation 35, 255-259, doi:10.1017/S0373463300022037.

    Examples
    --------
    >>> round(float(bennett(5.0, Air(1013.25, 15.0))), 6)
    0.162358
    """
    e = np.asarray(elevation, float)
    scale = 510.0 / (9.0 / 5.0 * air.temperature + 492.0) * air.pressure / 1010.16
    return scale / np.tan(np.radians(e + 7.31 / (e + 4.4))) / 60.0


def ulich(elevation: npt.ArrayLike, air: Air) -> np.ndarray:
    r"""Refraction by Ulich's formula.

    .. math::

        \delta e = 10^{-6} N_0\,
        \frac{\cos e}{\sin e + 0.00175 \tan(87.5^\circ - e)}

    in radians, with the refractivity :math:`N_0` of the air at the antenna.

    Parameters
    ----------
    elevation : array_like
        Geometric elevation, degrees.
    air : Air
        At the antenna.

    Returns
    -------
    numpy.ndarray
        What is to be added to the elevation, degrees.

    References
    ----------
    Ulich (1981), International Journal of Infrared and Millimeter Waves 2, 503-523.
    """
    e = np.radians(np.asarray(elevation, float))
    below = np.sin(e) + 0.00175 * np.tan(np.radians(87.5) - e)
    return np.degrees(1e-6 * air.refractivity * np.cos(e) / below)
