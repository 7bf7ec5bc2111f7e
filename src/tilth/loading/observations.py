r"""Observations of a load as rows of one linear system.

Stations, satellite gravity and radar interferograms all see the same mass, each in its
own way and with faults of its own: an origin that drifts, an orbit that tilts the
scene, rebound after the last ice age that is no load of today. Rows carry the response
to each source; *nuisances* carry the faults, by name, so that what two kinds of
observation share (the rebound) is one unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.core.units import convert_values
from tilth.loading.geometry import station_places

#: Components that stations move in.
COMPONENTS = ("east", "north", "up")

#: Correlations of a station's components, by their names in a dataset.
_CORRELATIONS = {
    "correlation_east_north": (0, 1),
    "correlation_east_up": (0, 2),
    "correlation_north_up": (1, 2),
}


class Nuisance(NamedTuple):
    """One fault of some observations, of unknown size.

    Parameters
    ----------
    column : numpy.ndarray, shape (rows,)
        What one unit of it adds to the rows.
    sd : float
        How large it may be, in units; infinite where nothing is known.
    """

    column: np.ndarray
    sd: float = np.inf


@dataclass(frozen=True)
class Rows:
    """Observations of one kind.

    Parameters
    ----------
    name : str
        Of the kind.
    matrix : numpy.ndarray, shape (rows, sources)
        Response of each row to a unit of each source.
    values : numpy.ndarray, shape (rows,)
        What was observed, corrected for what is no load.
    covariance : numpy.ndarray, shape (rows, rows)
        Of their errors, without the nuisances.
    labels : tuple of str
        Station and component, basin, or pixel.
    units : str
        Of the values; those of different kinds may differ.
    nuisances : mapping of str to Nuisance
        Of the same name in two kinds are one unknown.

    Raises
    ------
    InputError
        If shapes do not fit, or values are missing.
    """

    name: str
    matrix: np.ndarray
    values: np.ndarray
    covariance: np.ndarray
    labels: tuple[str, ...]
    units: str
    nuisances: Mapping[str, Nuisance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = self.values.shape[0]
        if self.matrix.shape[0] != rows or self.covariance.shape != (rows, rows):
            raise InputError(
                f"the rows of {self.name} do not fit: {rows} values, a matrix of "
                f"{self.matrix.shape} and a covariance of {self.covariance.shape}"
            )
        if not rows:
            raise InputError(f"{self.name} has no observation at all")
        for what in ("matrix", "values", "covariance"):
            if not np.isfinite(getattr(self, what)).all():
                raise InputError(f"the {what} of {self.name} has missing numbers")


def station_rows(
    moved: xr.Dataset,
    sources: xr.Dataset,
    *,
    gia: xr.Dataset | None = None,
    origin_sd: float = 0.0,
    name: str = "stations",
) -> Rows:
    r"""Return displacements of stations, or their rates, as rows.

    Parameters
    ----------
    moved : xarray.Dataset
        Any of ``east``, ``north`` and ``up`` along the stations, in units of length (or
        length per time), with the standard errors ``east_se`` and so on, and, where
        known, ``correlation_east_north``, ``correlation_east_up`` and
        ``correlation_north_up``. A component that is NaN is left out.
    sources : xarray.Dataset
        Of the same stations, in their order.
    gia : xarray.Dataset, optional
        The same variables of glacial isostatic adjustment, taken off: either of one
        model, with ``_se`` whose errors are taken for shared by all stations and
        components, or of several along ``member``, whose mean is taken off and whose
        spread is the error.
    origin_sd : float, default 0
        Standard deviation of a shift that all stations share, in the units of `moved`;
        infinite if nothing is known of the origin.
    name : str
        Of these rows.

    Returns
    -------
    Rows
        In the units of ``moved``.

    Raises
    ------
    InputError
        If stations differ, units are missing, or a value has no standard error.
    """
    dim = _station_dim(sources)
    _same_stations(moved, sources, dim)
    present = [c for c in COMPONENTS if c in moved]
    if not present:
        raise InputError("the stations have none of east, north and up")
    units = _units(moved, present)
    require_variables(moved, [f"{c}_se" for c in present], "the displacement")
    values = _stack(moved, present, dim)
    errors = _stack(moved, [f"{c}_se" for c in present], dim)
    kept = np.isfinite(values)
    bad = kept & ~(np.isfinite(errors) & (errors > 0.0))
    if bad.any():
        component, station = np.argwhere(bad)[0]
        raise InputError(
            f"{present[component]} of station {_names(sources, dim)[station]} has no "
            "standard error above 0: give one, or set the value to NaN to leave it out"
        )
    scale = _length_scale(units)
    response = sources["response"].transpose("component", dim, "source")
    matrix = response.sel(component=present).values / scale
    count = values.shape[1]
    covariance = np.zeros((len(present), count, len(present), count))
    every = np.arange(count)
    safe = np.where(kept, errors, 1.0)
    for i in range(len(present)):
        covariance[i, every, i, every] = safe[i] ** 2
    for key, (a, b) in _CORRELATIONS.items():
        pair = (COMPONENTS[a], COMPONENTS[b])
        if key in moved and all(c in present for c in pair):
            i, j = (present.index(c) for c in pair)
            shared = moved[key].transpose(dim).values * safe[i] * safe[j]
            covariance[i, every, j, every] = shared
            covariance[j, every, i, every] = shared
    rows = kept.ravel()
    nuisances: dict[str, Nuisance] = {}
    if origin_sd > 0.0:
        nuisances |= {
            f"origin {c}": Nuisance(column, origin_sd)
            for c, column in _shifts(sources, dim, present, rows).items()
        }
    if gia is not None:
        _same_stations(gia, sources, dim)
        taken, modes = gia_modes(gia, present, dim, units)
        values = values - taken
        nuisances |= {
            f"gia {k + 1}": Nuisance(mode.ravel()[rows], 1.0)
            for k, mode in enumerate(modes)
        }
    size = values.size
    labels = [f"{s} {c}" for c in present for s in _names(sources, dim)]
    return Rows(
        name,
        matrix.reshape(size, -1)[rows],
        values.ravel()[rows],
        covariance.reshape(size, size)[np.ix_(rows, rows)],
        tuple(label for label, keep in zip(labels, rows, strict=True) if keep),
        units,
        nuisances,
    )


def basin_rows(
    observed: xr.Dataset,
    members: xr.DataArray,
    sources: xr.Dataset,
    *,
    name: str = "gravity",
) -> Rows:
    r"""Return sums of mass over basins, as satellite gravity gives them, as rows.

    .. math:: M_b = \sum_j w_{bj} \, m_j

    Parameters
    ----------
    observed : xarray.Dataset
        ``mass`` and ``mass_se`` along ``basin`` (Gt, or per time), corrected for
        leakage and glacial isostatic adjustment. ``mass_gia`` along ``member`` and
        ``basin``, where given, is the error of that correction, one column per member
        of the models that `station_rows` was given, in the same order: deviations from
        their mean over the square root of their number less one.
    members : xarray.DataArray
        Share of each source that a basin holds, along ``basin`` and ``source``.
    sources : xarray.Dataset
        The sources.
    name : str
        Of these rows.

    Returns
    -------
    Rows
        In Gt.

    Raises
    ------
    InputError
        If basins differ, or an error is not above 0.
    """
    require_variables(observed, ("mass", "mass_se"), "basins")
    try:
        table, observed = xr.align(members, observed, join="exact", exclude=["source"])
    except ValueError as error:
        raise InputError("the basins observed are not those of the table") from error
    kept = np.isfinite(observed["mass"].values)
    se = observed["mass_se"].values[kept]
    if not (se > 0.0).all():
        raise InputError("a basin's mass has no standard error above 0")
    matrix = table.transpose("basin", "source").values * sources["mass"].values
    nuisances = {}
    if "mass_gia" in observed:
        columns = observed["mass_gia"].transpose("member", "basin").values[:, kept]
        nuisances = {
            f"gia {k + 1}": Nuisance(column, 1.0) for k, column in enumerate(columns)
        }
    labels = [
        str(b) for b, keep in zip(table["basin"].values, kept, strict=True) if keep
    ]
    return Rows(
        name,
        matrix[kept],
        observed["mass"].values[kept],
        np.diag(se**2),
        tuple(labels),
        str(observed["mass"].attrs.get("units", "Gt")),
        nuisances,
    )


def line_of_sight_rows(
    seen: xr.Dataset,
    sources: xr.Dataset,
    *,
    ramp: int = 1,
    correlation_length: float = 0.0,
    gia: xr.Dataset | None = None,
    name: str = "line of sight",
) -> Rows:
    r"""Return displacements along a radar's line of sight as rows.

    .. math::

        s = \ell_e e + \ell_n n + \ell_u u + a_0 + a_1 x + a_2 y + \ldots, \qquad
        \operatorname{cov}(s_i, s_j) = \sigma_i \sigma_j e^{-d_{ij} / L}

    Parameters
    ----------
    seen : xarray.Dataset
        Along the pixels: ``displacement`` (toward the satellite) and
        ``displacement_se``, and the direction to the satellite ``los_east``,
        ``los_north``, ``los_up``. Pixels that are NaN are left out.
    sources : xarray.Dataset
        Of the pixels as stations, in their order.
    ramp : {0, 1, 2, -1}
        Degree of the polynomial that orbits leave in the scene: 0 an unknown level, 1
        a plane, 2 a quadratic; -1 for none, where a reference is known.
    correlation_length : float, default 0
        Of the errors (the atmosphere's), m.
    gia : xarray.Dataset, optional
        As of `station_rows`, at the pixels.
    name : str
        Of these rows.

    Returns
    -------
    Rows
        In the units of the displacement.

    Raises
    ------
    InputError
        If pixels differ, a direction is no unit vector, or units are missing.
    """
    dim = _station_dim(sources)
    _same_stations(seen, sources, dim)
    direction = [f"los_{c}" for c in COMPONENTS]
    require_variables(
        seen, ["displacement", "displacement_se", *direction], "the scene"
    )
    if ramp not in (-1, 0, 1, 2):
        raise InputError(f"ramp is -1, 0, 1 or 2, got {ramp}")
    units = _units(seen, ["displacement"])
    look = _stack(seen, direction, dim)
    length = np.linalg.norm(look, axis=0)
    if not (np.abs(length - 1.0) < 1e-3).all():
        raise InputError(
            f"los_east, los_north and los_up of a pixel have the length "
            f"{length[np.argmax(np.abs(length - 1.0))]:.4g}: give a unit vector that "
            "points to the satellite"
        )
    response = sources["response"].transpose("component", dim, "source")
    three = response.sel(component=list(COMPONENTS)).values / _length_scale(units)
    matrix = np.einsum("cp,cps->ps", look, three)
    values = seen["displacement"].values.astype(float)
    se = seen["displacement_se"].values.astype(float)
    kept = np.isfinite(values)
    if not (se[kept] > 0.0).all():
        raise InputError("a pixel has no standard error above 0")
    at, _ = station_places(seen)
    place = at.up[kept]
    middle = place.mean(axis=0)
    middle /= np.linalg.norm(middle)
    x, y = (np.einsum("pi,i->p", place - middle, v) for v in _tangents(middle))
    reach = max(np.hypot(x, y).max(), 1e-12)
    nuisances = {
        f"{name} x{i}y{j}": Nuisance((x / reach) ** i * (y / reach) ** j)
        for i in range(ramp + 1)
        for j in range(ramp + 1 - i)
    }
    if gia is not None:
        _same_stations(gia, sources, dim)
        taken, modes = gia_modes(gia, list(COMPONENTS), dim, units)
        values = values - (look * taken).sum(axis=0)
        nuisances |= {
            f"gia {k + 1}": Nuisance((look * mode).sum(axis=0)[kept], 1.0)
            for k, mode in enumerate(modes)
        }
    covariance = np.diag(se[kept] ** 2)
    if correlation_length > 0.0:
        apart = np.linalg.norm(place[:, None] - place, axis=-1) * 6.371e6
        covariance = np.outer(se[kept], se[kept]) * np.exp(-apart / correlation_length)
    labels = [f"pixel {k}" for k in np.flatnonzero(kept)]
    return Rows(
        name, matrix[kept], values[kept], covariance, tuple(labels), units, nuisances
    )


def gia_modes(
    gia: xr.Dataset, components: list[str], dim: str, units: str
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return what glacial isostatic adjustment adds, and how uncertain that is.

    Parameters
    ----------
    gia : xarray.Dataset
        As of `station_rows`.
    components : list of str
        Of the displacement wanted.
    dim : str
        Dimension of the stations.
    units : str
        Wanted.

    Returns
    -------
    tuple of numpy.ndarray, shapes (components, stations) and (modes, ...)
        The mean, and columns of unit variance: one of the standard errors, or one per
        member, :math:`(g_k - \bar g) / \sqrt{K - 1}`.

    Raises
    ------
    InputError
        If a component or all knowledge of its error is missing.
    """
    require_variables(gia, components, "glacial isostatic adjustment")
    have = _units(gia, components)
    several = "member" in gia.dims
    order = (["member"] if several else []) + [dim]
    rates = np.stack(
        [gia[c].transpose(*order).values for c in components], axis=-2
    ).astype(float)
    rates = np.asarray(convert_values(rates, have, units), float)
    if several:
        count = rates.shape[0]
        if count < 2:
            raise InputError("one member tells nothing of its error: give two or more")
        mean = rates.mean(axis=0)
        return mean, (rates - mean) / np.sqrt(count - 1.0)
    names = [f"{c}_se" for c in components]
    require_variables(gia, names, "glacial isostatic adjustment of one model")
    return rates, np.asarray(convert_values(_stack(gia, names, dim), have, units))[None]


def _station_dim(sources: xr.Dataset) -> str:
    """Return the dimension of the stations of sources."""
    require_variables(sources, ("response", "mass"), "sources")
    rest = [
        str(d) for d in sources["response"].dims if d not in ("component", "source")
    ]
    return rest[0]


def _same_stations(data: xr.Dataset, sources: xr.Dataset, dim: str) -> None:
    """Raise unless data lie at the stations that the sources were computed for."""
    if data.sizes.get(dim) != sources.sizes[dim] or (
        dim in data.coords
        and dim in sources.coords
        and not np.array_equal(data[dim].values, sources[dim].values)
    ):
        raise InputError(
            f"the data and the sources differ in {dim}: compute the sources for the "
            "very stations of the data, in their order"
        )


def _units(data: xr.Dataset, names: list[str]) -> str:
    """Return the units that variables share."""
    units = {data[n].attrs.get("units") for n in names}
    if len(units) != 1 or None in units:
        said = ", ".join(f"{n}: {data[n].attrs.get('units')}" for n in names)
        raise InputError(f"give all components in the same units ({said})")
    return str(units.pop())


def _length_scale(units: str) -> float:
    """Return metres (per the same time) of one unit."""
    length = units.split()[0].split("/")[0]
    return float(convert_values(1.0, length, "m"))


def _stack(data: xr.Dataset, names: list[str], dim: str) -> np.ndarray:
    """Return variables along the stations, one row each."""
    return np.stack([data[n].transpose(dim).values.astype(float) for n in names])


def _names(sources: xr.Dataset, dim: str) -> list[str]:
    """Return the names of the stations."""
    if dim in sources.coords:
        return [str(x) for x in sources[dim].values]
    return [str(k) for k in range(sources.sizes[dim])]


def _shifts(
    sources: xr.Dataset, dim: str, present: list[str], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Return a shift of each component that all stations share."""
    count = sources.sizes[dim]
    result = {}
    for i, component in enumerate(present):
        column = np.zeros((len(present), count))
        column[i] = 1.0
        result[component] = column.ravel()[rows]
    return result


def _tangents(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two directions across a place."""
    pole = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.999 else np.array([1.0, 0, 0])
    east = np.cross(pole, up)
    east /= np.linalg.norm(east)
    return east, np.cross(up, east)
