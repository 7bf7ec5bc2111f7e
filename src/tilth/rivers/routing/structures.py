"""Tables of what people built on rivers: one row for a catchment, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from tilth.core.errors import InputError

T = TypeVar("T", bound=Any)


def columns(table: Any, what: str, names: Sequence[str]) -> None:
    """Make the fields of a frozen table read-only arrays of one length.

    Parameters
    ----------
    table : dataclass
        With the field ``catchment`` and those named; single numbers are repeated.
    what : str
        What a row is, for messages.
    names : sequence of str
        Fields that hold numbers.

    Raises
    ------
    InputError
        If a catchment comes twice, lengths differ or a number is not finite.
    """
    catchments = np.atleast_1d(np.asarray(table.catchment)).copy()
    if catchments.ndim != 1:
        raise InputError(f"the catchments of a {what} table must be a plain list")
    unique, counts = np.unique(catchments, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"catchment {unique[counts > 1][0]} has more than one {what}: join them "
            "into one row"
        )
    _keep(table, "catchment", catchments)
    for name in names:
        try:
            values = np.array(getattr(table, name), float)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} of a {what} must be a number") from error
        if values.ndim == 0:
            values = np.full(catchments.size, float(values))
        if values.shape != catchments.shape:
            raise InputError(
                f"{name} has {values.size} values for {catchments.size} {what} rows"
            )
        _keep(table, name, values)
        refuse(table, name, ~np.isfinite(values), "must be a finite number")


def refuse(table: Any, name: str, wrong: np.ndarray, rule: str) -> None:
    """Raise if a row breaks a rule, naming the first that does.

    Parameters
    ----------
    table : dataclass
        Made ready by `columns`.
    name : str
        Field with the values.
    wrong : numpy.ndarray of bool
        Rows that break the rule.
    rule : str
        What must hold, and the way out.

    Raises
    ------
    InputError
        If any row is wrong.
    """
    rows = np.flatnonzero(wrong)
    if rows.size:
        raise InputError(
            f"{name} of catchment {table.catchment[rows[0]]} is "
            f"{getattr(table, name)[rows[0]]:g}, but it {rule}"
        )


def rows_within(table: T, ids: np.ndarray) -> T:
    """Return the rows of a table whose catchments are among these.

    Parameters
    ----------
    table : dataclass or None
        With the field ``catchment``.
    ids : numpy.ndarray
        Identifiers.

    Returns
    -------
    dataclass or None
        Of the same kind.
    """
    if table is None:
        return table
    kept = np.isin(table.catchment, ids)
    return dataclasses.replace(
        table,
        **{
            field.name: getattr(table, field.name)[kept]
            for field in dataclasses.fields(table)
        },
    )


def _keep(table: Any, name: str, values: np.ndarray) -> None:
    values.flags.writeable = False
    object.__setattr__(table, name, values)
