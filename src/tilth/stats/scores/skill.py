"""Skill: a score held against that of a reference, as the ratio of their means."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import xarray as xr

from tilth.core.errors import InputError


def skill_score(
    score: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: str | Iterable[Hashable] | None = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Skill of a forecast over a reference, for a score that is 0 when perfect.

    .. math:: 1 - \overline{S} / \overline{S_{\mathrm{ref}}}

    The ratio of the means, not the mean of the ratios: that has no expectation where
    the reference can be near zero, and is negative for forecasts as good as it
    (Weigel et al. 2007).

    Parameters
    ----------
    score, reference : xarray.DataArray
        Scores of the same cases in the same units, such as CRPS; smaller is better. A
        case where either is missing is left out of both means.
    dim : str or sequence of str, optional
        What to average over; by default everything.
    weights : xarray.DataArray, optional
        Weight of a case, such as the cosine of the latitude; none may be missing.

    Returns
    -------
    xarray.DataArray
        1 is perfect, 0 as good as the reference; NaN where no case has both scores or
        the reference is perfect.

    Raises
    ------
    InputError
        If there is no such dimension or the cases have different coordinates.

    References
    ----------
    Weigel, Liniger & Appenzeller (2007), Mon. Weather Rev. 135, 118-124.

    Examples
    --------
    >>> import xarray as xr
    >>> ours, theirs = (xr.DataArray(x, dims="case") for x in ([1.0, 2.0], [4.0, 2.0]))
    >>> float(skill_score(ours, theirs))
    0.5
    """
    ours, theirs = mean_pair(score, reference, dim=dim, weights=weights)
    return (1.0 - ours / theirs.where(theirs != 0.0)).rename("skill")


def mean_pair(
    score: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: str | Iterable[Hashable] | None = None,
    weights: xr.DataArray | None = None,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Average two scores over the cases that have both.

    Parameters
    ----------
    score, reference, dim, weights
        As in `skill_score`.

    Returns
    -------
    xarray.DataArray, xarray.DataArray
        Their means; NaN where no case has both.

    Raises
    ------
    InputError
        As in `skill_score`.
    """
    try:
        score, reference = xr.align(score, reference, join="exact", copy=False)
    except ValueError as error:
        raise InputError(
            "the score and that of the reference are of different cases: reindex one "
            "to the other first, so that no case is lost unseen"
        ) from error
    both = score.notnull() & reference.notnull()
    dims = check_dims(both, dim)
    pair = [part.where(both) for part in (score, reference)]
    if weights is not None:
        pair_means = [part.weighted(weights).mean(dims) for part in pair]
    else:
        pair_means = [part.mean(dims) for part in pair]
    return pair_means[0], pair_means[1]


def check_dims(array: xr.DataArray, dim: str | Iterable[Hashable] | None) -> list:
    """Return the dimensions to reduce, or say which one does not exist.

    Parameters
    ----------
    array : xarray.DataArray
        What is to be reduced.
    dim : str or sequence of str or None
        Which dimensions; None stands for all.

    Returns
    -------
    list of str
        The dimensions.

    Raises
    ------
    InputError
        If one does not exist.
    """
    if dim is None:
        return list(array.dims)
    dims = [dim] if isinstance(dim, str) else list(dim)
    missing = [str(d) for d in dims if d not in array.dims]
    if missing:
        raise InputError(
            f"there is no dimension {', '.join(missing)} to average over; there are "
            f"{', '.join(map(str, array.dims)) or 'none'}"
        )
    return dims


def check_members(members: int | None) -> None:
    """Raise unless a fair score of so many members exists.

    Parameters
    ----------
    members : int or None
        Size of the ensemble; None asks for no fair score.

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    if members is not None and members < 2:
        raise InputError(
            f"a fair score needs two members or more, got {members}: leave members out"
        )
