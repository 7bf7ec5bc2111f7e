"""How uncertain a flux is: what a cycle, a device, a soil and the fleet contribute.

Averaging cycles removes the noise of the cycles. The volume over a pot and the gain
of a sensor stay with it however often it measures; what all devices share, such as
the type of pressure sensor, stays in every mean and cancels in every ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.air import air_moles_per_area, vapour_mole_fraction
from tilth.core.errors import InputError
from tilth.core.model import require_variables, stamp
from tilth.core.uncertainty import Input, propagate_linear, propagate_monte_carlo

#: Who shares an error, from nobody to all.
LEVELS = ("cycle", "device", "soil", "common")

#: A night of the fleet: air pressure, Pa, temperature, degC, water vapour, mol mol-1.
_PRESSURE, _TEMPERATURE, _VAPOUR = 97_200.0, 20.0, 0.015


@dataclass(frozen=True)
class SystematicErrors:
    """What is not noise. The defaults are the inputs of the fleet's article.

    Attributes
    ----------
    volume : float or array_like
        Relative standard uncertainty of the volume. The height of the soil differs
        by 1-2 cm under a chamber of 16.5 cm (Paessler et al. 2024): 1.5 cm taken
        as two standard deviations. After `apply_geometry`,
        ``volume_se / volume``.
    volume_soil_share : float
        Share of its variance that pots of one soil have in common. The article
        says "mostly depends on the soil type" without a number: one half is a
        cautious assumption.
    area : float or array_like
        Relative standard uncertainty of the area; common to pots of one make.
    pressure : float
        Half width, Pa, rectangular, common to the fleet (one type of sensor). The
        article prints 3.9 kPa; sensors of the family it seems to use are specified
        to 3.9 Pa. Set it to what yours is.
    temperature : float
        Half width, K, rectangular, common to the fleet (the same sensor).
    humidity : float
        Half width of relative humidity, %, rectangular, per device.
    gain : float
        Half width of the relative error of the span of the CO2 sensor, rectangular,
        per device.
    """

    volume: Any = 0.0075 / 0.165
    volume_soil_share: float = 0.5
    area: Any = 0.0
    pressure: float = 3900.0
    temperature: float = 2.0
    humidity: float = 3.0
    gain: float = 0.03

    def __post_init__(self) -> None:
        if not 0 <= self.volume_soil_share <= 1:
            raise InputError(
                "volume_soil_share is a share of variance within 0..1, got "
                f"{self.volume_soil_share}"
            )


def flux_factor(volume_pot, volume_soil, area, pressure, temperature, vapour, gain):
    r"""Flux per slope of the concentration, with every uncertain factor of it.

    .. math:: g\,\frac{V_{pot} f_{soil} P (1 - w)}{R A T}

    Parameters
    ----------
    volume_pot, volume_soil : array_like
        Volume over the nominal area, m, and the factor that pots of a soil share.
    area : array_like
        Area over the nominal one.
    pressure, temperature, vapour : array_like
        Pa, degC and mol mol-1.
    gain : array_like
        Span of the sensor, 1.

    Returns
    -------
    array_like
        mol m-2.
    """
    volume = volume_pot * volume_soil
    return gain * air_moles_per_area(volume, area, pressure, temperature, vapour)


def budget_inputs(
    errors: SystematicErrors | None = None,
    *,
    height: float = 0.165,
    pressure: float = _PRESSURE,
    temperature: float = _TEMPERATURE,
    vapour: float = _VAPOUR,
) -> dict[str, Input]:
    """Return the uncertain inputs of `flux_factor` at given conditions.

    Parameters
    ----------
    errors : SystematicErrors, optional
        The article's by default.
    height, pressure, temperature, vapour : float
        Volume over area, m; Pa; degC; mol mol-1.

    Returns
    -------
    dict of str to Input
        For `propagate_linear` and `propagate_monte_carlo`.
    """
    e = errors or SystematicErrors()
    pot, shared = np.sqrt(1.0 - e.volume_soil_share), np.sqrt(e.volume_soil_share)
    rectangular = Input.from_half_width
    wet = vapour_mole_fraction(e.humidity, temperature, pressure)
    return {
        "volume_pot": Input(height, height * e.volume * pot, level="device"),
        "volume_soil": Input(1.0, e.volume * shared, level="soil"),
        "area": Input(1.0, e.area, level="common"),
        "pressure": rectangular(pressure, e.pressure, level="common"),
        "temperature": rectangular(temperature, e.temperature, level="common"),
        "vapour": rectangular(vapour, wet, level="device"),
        "gain": rectangular(1.0, e.gain, level="device"),
    }


def budget_table(
    errors: SystematicErrors | None = None,
    *,
    cycle: float = 0.0,
    monte_carlo: bool = False,
    n_draws: int = 200_000,
    seed: int = 0,
    **conditions: float,
) -> pd.DataFrame:
    r"""Relative uncertainty of a flux by component.

    .. math:: \left(\frac{u_F}{F}\right)^2 = \left(\frac{u_s}{s}\right)^2
        + \left(\frac{u_V}{V}\right)^2 + \left(\frac{u_A}{A}\right)^2
        + \left(\frac{u_P}{P}\right)^2 + \left(\frac{u_T}{T}\right)^2
        + \left(\frac{u_w}{1-w}\right)^2 + u_g^2

    The defaults give what the article says of the fleet: 5.4 % (one standard
    deviation), 10.8 % at 95 %.

    Parameters
    ----------
    errors : SystematicErrors, optional
        The article's by default.
    cycle : float
        Relative standard error of the slope of one closure.
    monte_carlo : bool
        Draw the inputs from their distributions instead of the first order.
    n_draws, seed : int
        Of the Monte Carlo.
    **conditions : float
        As for `budget_inputs`.

    Returns
    -------
    pandas.DataFrame
        One row per component and ``total``; columns ``level``, ``relative`` (one
        standard deviation, 1), ``relative_95`` (twice that) and ``share`` of the
        variance.

    Examples
    --------
    >>> table = budget_table()
    >>> print(f"{table.loc['total', 'relative']:.1%}")
    5.4%
    >>> table = budget_table(SystematicErrors(pressure=3.9))
    >>> print(f"{table.loc['total', 'relative']:.1%}")
    4.9%
    """
    inputs = {
        "slope": Input(1.0, cycle, level="cycle"),
        **budget_inputs(errors, **conditions),
    }

    def flux(slope, **others):
        return slope * flux_factor(**others)

    result: Any
    if monte_carlo:
        groups = {"device": ["one"], "soil": ["one"]}
        result = propagate_monte_carlo(
            flux, inputs, groups=groups, n_draws=n_draws, seed=seed
        )
    else:
        result = propagate_linear(flux, inputs)
    value = float(np.ravel(result.value)[0])
    rows = {
        name: (inputs[name].level, float(np.ravel(part)[0]) / value)
        for name, part in result.contributions.items()
    }
    total = float(np.ravel(result.se)[0]) / value
    rows["total"] = ("all", total)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["level", "relative"])
    table["relative_95"] = 2.0 * table["relative"]
    table["share"] = (table["relative"] / total) ** 2
    table.index.name = "component"
    return table


def add_budget(
    fluxes: xr.Dataset, errors: SystematicErrors | None = None, **conditions: float
) -> xr.Dataset:
    """Attach the whole standard error, and its parts, to computed fluxes.

    Parameters
    ----------
    fluxes : xarray.Dataset
        With ``flux`` and ``flux_se``, the standard error of the fit.
    errors : SystematicErrors, optional
        The article's by default; entries may be arrays along ``closure``.
    **conditions : float
        As for `budget_inputs`; they matter in the second digit of the uncertainty
        only.

    Returns
    -------
    xarray.Dataset
        With ``flux_se_total`` and its parts ``flux_se_cycle``, ``flux_se_device``,
        ``flux_se_soil`` and ``flux_se_common``, in the units of ``flux``. The cycle
        part is ``flux_se``; the others are proportional to the flux. A drift of the
        sensor within a closure is in none of them.

    Raises
    ------
    InputError
        If ``flux`` or ``flux_se`` is absent.
    """
    require_variables(fluxes, ["flux", "flux_se"], "the budget")
    relative = propagate_linear(flux_factor, budget_inputs(errors, **conditions))
    result = fluxes.copy(deep=False)
    units = fluxes["flux"].attrs.get("units", "umol m-2 s-1")
    size = np.abs(fluxes["flux"].values)
    parts = {"cycle": fluxes["flux_se"].values}
    for level in ("device", "soil", "common"):
        parts[level] = size * np.asarray(relative.levels[level] / relative.value)
    parts["total"] = np.sqrt(sum(part**2 for part in parts.values()))
    shared = {
        "cycle": "of the fit, new with every closure",
        "device": "shared by all closures of a device and pot",
        "soil": "shared by all pots of a soil",
        "common": "shared by the whole fleet",
        "total": "with all its parts",
    }
    for name, part in parts.items():
        attrs = {"units": units, "long_name": f"standard error {shared[name]}"}
        result[f"flux_se_{name}"] = (fluxes["flux"].dims, part, attrs)
    names = " ".join(f"flux_se_{name}" for name in parts)
    before = fluxes["flux"].attrs.get("ancillary_variables", "")
    result["flux"] = fluxes["flux"].assign_attrs(
        ancillary_variables=f"{before} {names}".strip()
    )
    return stamp(result, f"chambers.add_budget {errors or SystematicErrors()}")


def average_fluxes(
    fluxes: xr.Dataset,
    by: str = "variant",
    *,
    device: str = "device",
    soil: str = "table",
) -> pd.DataFrame:
    r"""Average fluxes, with what is left of each part of their uncertainty.

    With :math:`u_i` the error of closure i of a part and n closures,

    .. math:: u^2(\bar F) = \frac{1}{n^2} \sum_{g} \Big(\sum_{i \in g} u_i\Big)^2,

    where g runs over what shares the part: every closure for itself, the devices,
    the soils, or all. So only the first falls with the number of cycles.

    Parameters
    ----------
    fluxes : xarray.Dataset
        From `add_budget`; missing fluxes are left out.
    by : str
        Coordinate to average by.
    device, soil : str
        Coordinates that tell devices and soils apart.

    Returns
    -------
    pandas.DataFrame
        Index `by`; columns ``mean``, ``n``, ``devices``, ``se_cycle``,
        ``se_device``, ``se_soil``, ``se_common`` and ``se`` (all together). It is
        the uncertainty of the measurement: how far other pots of the variant would
        differ is not in it.

    Raises
    ------
    InputError
        If the fluxes have no budget yet, or a coordinate is missing.
    """
    names = [f"flux_se_{level}" for level in LEVELS]
    require_variables(
        fluxes, [*names, by, device, soil], "averaging (after add_budget)"
    )
    table = pd.DataFrame(
        {"flux": fluxes["flux"].values, "by": fluxes[by].values}
        | {level: fluxes[f"flux_se_{level}"].values for level in LEVELS}
    )
    # Errors shared by fluxes of opposite sign work against each other.
    sign = np.sign(table["flux"])
    shares = {
        "cycle": np.arange(len(table)),
        "device": fluxes[device].values,
        "soil": fluxes[soil].values,
        "common": np.zeros(len(table), int),
    }
    table["device_"] = shares["device"]
    kept = table["flux"].notna() & table["cycle"].notna()
    groups = table[kept].groupby("by")
    count = groups.size()
    result = pd.DataFrame(
        {
            "mean": groups["flux"].mean(),
            "n": count,
            "devices": groups["device_"].nunique(),
        }
    )
    for level in LEVELS:
        error = table[level] if level == "cycle" else table[level] * sign
        summed = error[kept].groupby([table["by"][kept], shares[level][kept]]).sum()
        result[f"se_{level}"] = np.sqrt((summed**2).groupby(level=0).sum()) / count
    parts = [f"se_{level}" for level in LEVELS]
    result["se"] = np.sqrt((result[parts] ** 2).sum(axis=1))
    result.index.name = by
    return result


def ratio_uncertainty(
    averages: pd.DataFrame, treatment: str, control: str, *, same_soil: bool = True
) -> pd.Series:
    r"""Ratio of two averages and its uncertainty, without what cancels.

    .. math:: \Big(\frac{u_q}{q}\Big)^2 = \sum_{j=t,c}
        \Big(\frac{u_{cycle}}{\bar F}\Big)_j^2 + \Big(\frac{u_{device}}{\bar F}\Big)_j^2

    The common part is the same factor above and below and cancels, and so does
    that of the soil between pots of one soil.

    Parameters
    ----------
    averages : pandas.DataFrame
        From `average_fluxes`.
    treatment, control : str
        Two of its rows.
    same_soil : bool
        Whether the soil's part cancels.

    Returns
    -------
    pandas.Series
        ``ratio``, ``se`` and ``se_if_nothing_cancelled``.

    Raises
    ------
    InputError
        If a row is absent or the control is zero.
    """
    missing = {treatment, control} - set(averages.index)
    if missing:
        raise InputError(
            f"no average of {', '.join(sorted(missing))}; there are "
            f"{', '.join(map(str, averages.index))}"
        )
    two = averages.loc[[treatment, control]]
    if (two["mean"] == 0).any():
        raise InputError("a mean flux of zero has no ratio")
    above, below = two["mean"].to_numpy(float)
    ratio = float(above / below)
    parts = ["se_cycle", "se_device"] + ([] if same_soil else ["se_soil"])

    def relative(columns: list[str]) -> float:
        squares = two[columns].to_numpy() ** 2 / two[["mean"]].to_numpy() ** 2
        return float(np.sqrt(squares.sum()))

    return pd.Series(
        {
            "ratio": ratio,
            "se": abs(ratio) * relative(parts),
            "se_if_nothing_cancelled": abs(ratio) * relative(["se"]),
        }
    )
