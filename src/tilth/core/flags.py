"""Quality flags as CF bit masks: several reasons can hold for one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError


@dataclass(frozen=True)
class FlagTable:
    """A closed list of reasons, each one bit of an integer flag variable.

    Zero means that nothing is wrong. Stored with the CF attributes
    ``flag_masks``, ``flag_values`` and ``flag_meanings`` (CF 1.11, section 3.5),
    and a ``flag_descriptions`` line for people.

    Parameters
    ----------
    descriptions : mapping of str to str
        Meaning (one word, as in ``flag_meanings``) to a sentence that explains it.
        The order fixes the bits: append, never insert. At most 31 fit in ``int32``.

    Raises
    ------
    InputError
        If there are more than 31 meanings or one is not a single word.

    Examples
    --------
    >>> table = FlagTable({"daylight": "light above the limit", "outlier": "far off"})
    >>> table.variable({"daylight": [True, False], "outlier": [True, True]}, (2,))
    array([3, 2], dtype=int32)
    """

    descriptions: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(self.descriptions) > 31:
            raise InputError(
                f"{len(self.descriptions)} flags do not fit in int32, which holds 31: "
                "use a second flag variable"
            )
        wrong = [word for word in self.descriptions if len(word.split()) != 1]
        if wrong:
            raise InputError(f"a flag meaning is one word, without blanks: {wrong}")

    def bit(self, meaning: str) -> int:
        """Return the mask of one meaning, or raise with the known ones."""
        try:
            return 1 << list(self.descriptions).index(meaning)
        except ValueError:
            known = ", ".join(self.descriptions)
            raise InputError(f"no flag {meaning!r}; known flags: {known}") from None

    def attrs(self) -> dict[str, object]:
        """Return the CF attributes of a variable that holds these flags."""
        masks = np.array([1 << i for i in range(len(self.descriptions))], "int32")
        return {
            "flag_masks": masks,
            "flag_values": masks,
            "flag_meanings": " ".join(self.descriptions),
            "flag_descriptions": "; ".join(
                f"{meaning}: {text}" for meaning, text in self.descriptions.items()
            ),
        }

    def variable(
        self,
        raised: Mapping[str, np.ndarray],
        shape: tuple[int, ...],
    ) -> np.ndarray:
        """Combine boolean arrays into one ``int32`` flag array.

        Parameters
        ----------
        raised : mapping of str to array_like of bool
            Meaning to where it holds.
        shape : tuple of int
            Shape of the result; the booleans are broadcast to it.

        Raises
        ------
        InputError
            If a meaning is unknown or its array is not boolean (NaN is not "no").
        """
        flags = np.zeros(shape, "int32")
        for meaning, where in raised.items():
            holds = np.asarray(where)
            if holds.size and holds.dtype != bool:
                raise InputError(
                    f"flag {meaning!r} needs True or False, got {holds.dtype} values: "
                    "compare first, and say what a missing value means"
                )
            flags |= np.where(holds, self.bit(meaning), 0).astype("int32")
        return flags


def flag_masks(flag: xr.DataArray) -> dict[str, int]:
    """Return meaning -> mask as written in a flag variable's attributes.

    Raises
    ------
    InputError
        If the variable has no flag attributes or does not hold integers.
    """
    if flag.dtype.kind not in "iu":
        raise InputError(
            f"the flags {flag.name} are stored as {flag.dtype}, not as integers: "
            "a join or a reindexing filled gaps with NaN; fill them with 0 there"
        )
    try:
        meanings = str(flag.attrs["flag_meanings"]).split()
        masks = np.atleast_1d(flag.attrs["flag_masks"])
    except KeyError as error:
        raise InputError(
            f"{flag.name} is not a flag variable: it has no {error} attribute"
        ) from None
    return dict(zip(meanings, (int(mask) for mask in masks), strict=True))


def is_flagged(flag: xr.DataArray, *meanings: str) -> xr.DataArray:
    """Return where any of the given meanings holds; with none, where any does.

    Parameters
    ----------
    flag : xarray.DataArray
        Integer variable with CF flag attributes.
    *meanings : str
        Words of ``flag_meanings``.

    Returns
    -------
    xarray.DataArray of bool
        Same shape as `flag`.

    Raises
    ------
    InputError
        If `flag` has no flag attributes or a meaning is not among them.
    """
    known = flag_masks(flag)
    unknown = set(meanings) - set(known)
    if unknown:
        raise InputError(
            f"no flag {sorted(unknown)} in {flag.name}; it has {', '.join(known)}"
        )
    mask = sum(known[meaning] for meaning in set(meanings or known))
    return ((flag & mask) != 0).drop_attrs()


def add_flag(flag: xr.DataArray, meaning: str, where: xr.DataArray) -> xr.DataArray:
    """Return the flag variable with one more meaning raised where `where` holds.

    Parameters
    ----------
    flag : xarray.DataArray
        Integer variable with CF flag attributes; not changed.
    meaning : str
        Word of ``flag_meanings``.
    where : xarray.DataArray of bool
        On dimensions and coordinates of `flag`.

    Returns
    -------
    xarray.DataArray of int32
        Same dimensions, coordinates and attributes as `flag`.

    Raises
    ------
    InputError
        If `flag` has no such meaning, `where` is not boolean or does not fit.
    """
    known = flag_masks(flag)
    if meaning not in known:
        raise InputError(f"no flag {meaning!r} in {flag.name}; it has {list(known)}")
    if where.dtype != bool:
        raise InputError(
            f"flag {meaning!r} needs True or False, got {where.dtype} values: "
            "compare first, and say what a missing value means"
        )
    if not set(where.dims) <= set(flag.dims):
        raise InputError(
            f"flag {meaning!r} has the dimensions {list(where.dims)}, "
            f"{flag.name} only {list(flag.dims)}"
        )
    try:
        xr.align(flag, where, join="exact")
    except ValueError as error:
        raise InputError(
            f"flag {meaning!r} and {flag.name} do not have the same coordinates: "
            "reindex one to the other, so that no row is lost"
        ) from error
    raised = (flag | where * known[meaning]).astype("int32").transpose(*flag.dims)
    raised.attrs, raised.name = dict(flag.attrs), flag.name
    return raised


def count_flags(flag: xr.DataArray) -> pd.Series:
    """Count how often each meaning holds, and how often none does.

    Returns
    -------
    pandas.Series
        Index: ``total``, ``clean`` and every meaning, in the order of its bit.
    """
    counts = {"total": int(flag.size), "clean": int((flag == 0).sum())}
    for meaning in flag_masks(flag):
        counts[meaning] = int(is_flagged(flag, meaning).sum())
    return pd.Series(counts, name=flag.name)
