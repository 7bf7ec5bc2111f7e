"""Hourly fluxes per pot, and hours that a treatment shares with its control."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError

#: What is written as the pot where the input does not tell pots apart.
UNKNOWN_POT = "unknown"


def hourly_fluxes(
    fluxes: xr.Dataset | pd.DataFrame,
    *,
    value: str = "flux",
    variant: str = "variant",
    pot: str = "pot",
    time: str = "time",
    count: str = "n",
) -> pd.DataFrame:
    """Average the fluxes of each pot over each UTC hour.

    Parameters
    ----------
    fluxes : xarray.Dataset or pandas.DataFrame
        One row per cycle, or per hour and variant: a flux, its variant (treatment,
        as text), its pot and its time in UTC. A Dataset as `tilth.chambers.fits.flux`
        gives it. A table that this function made is returned as it is.
    value, variant, pot, time, count : str, optional
        Names of the columns. `pot` may be absent if there is one row per variant and
        hour; `count`, the cycles behind a row, may be absent: 1.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``pot`` ("unknown" where the input has none), ``hour``
        (UTC), ``flux`` (mean, unit as given), ``n`` (cycles) and ``single`` (an hour
        that rests on one cycle). ``attrs["left_out"]`` counts rows without a flux or
        a time.

    Raises
    ------
    InputError
        If a column is absent, identifiers are not text, times are not UTC datetimes,
        or several rows share variant and hour without a pot that tells them apart:
        cycles are no replicates.
    """
    if isinstance(fluxes, pd.DataFrame) and "hour" in fluxes and "single" in fluxes:
        return fluxes
    table = columns_of(
        fluxes,
        {"flux": value, "variant": variant, "time": time},
        {"pot": pot, "n": count},
    )
    table["hour"] = utc_times(table["time"]).dt.floor("h")
    table["n"] = table["n"].fillna(1).astype(int) if "n" in table else 1
    if "pot" not in table:
        _refuse_repeated_hours(table, pot)
        table["pot"] = UNKNOWN_POT
    for name in ("variant", "pot"):
        require_text_column(table[name])
    missing = {
        "without a flux": int(table["flux"].isna().sum()),
        "without a time": int(table["hour"].isna().sum()),
    }
    table = table.dropna(subset=["flux", "hour"])
    groups = table.groupby(["variant", "pot", "hour"], sort=True, observed=True)
    hourly = groups.agg(flux=("flux", "mean"), n=("n", "sum")).reset_index()
    hourly["single"] = hourly["n"] == 1
    hourly.attrs["left_out"] = missing
    return hourly


def hourly_pairs(
    fluxes: xr.Dataset | pd.DataFrame, treatment: str, control: str
) -> pd.DataFrame:
    r"""Hours in which both a treatment and its control were measured.

    Weather moves both alike, so their ratio in one hour is far steadier than either;
    means over different hours compare different nights.

    .. math:: \ell_h = \ln (F_{t,h} / F_{c,h})

    with the mean over the pots of each, pots weighted alike.

    Parameters
    ----------
    fluxes : xarray.Dataset or pandas.DataFrame
        As for `hourly_fluxes`.
    treatment, control : str
        Variants to pair.

    Returns
    -------
    pandas.DataFrame
        One row per common hour: ``hour`` and ``day`` (UTC), ``flux_treatment``,
        ``flux_control``, ``log_ratio`` (NaN where a flux is not positive),
        ``n_treatment``, ``n_control`` (cycles) and ``single`` (either rests on one).
        Without a common hour the table is empty.

    Raises
    ------
    InputError
        If a variant is not among the fluxes, or as in `hourly_fluxes`.
    """
    hourly = hourly_fluxes(fluxes)
    known = set(hourly["variant"])
    for name in (treatment, control):
        if name not in known:
            raise InputError(f"no fluxes of the variant {name!r}; has {sorted(known)}")
    sides = [
        hourly[hourly["variant"] == name]
        .groupby("hour")
        .agg(flux=("flux", "mean"), n=("n", "sum"))
        .add_suffix(suffix)
        for name, suffix in ((treatment, "_treatment"), (control, "_control"))
    ]
    pairs = sides[0].join(sides[1], how="inner")
    pairs = pairs.sort_index().reset_index()
    pairs.insert(1, "day", pairs["hour"].dt.floor("D"))
    positive = (pairs["flux_treatment"] > 0) & (pairs["flux_control"] > 0)
    ratio = pairs["flux_treatment"].where(positive) / pairs["flux_control"]
    pairs["log_ratio"] = np.log(ratio)
    pairs["single"] = (pairs["n_treatment"] == 1) | (pairs["n_control"] == 1)
    return pairs


def utc_times(times: pd.Series) -> pd.Series:
    """Return times as naive UTC datetimes, or refuse what is not known to be UTC.

    Datetimes without a zone are UTC by Tilth's data model; another zone, text and
    numbers (spreadsheet days) are refused, since a guess would shift hours.
    """
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        if str(times.dtype.tz) != "UTC":
            raise InputError(
                f"{times.name} is in {times.dtype.tz}: hours are paired in UTC, "
                "convert with .dt.tz_convert('UTC')"
            )
        return times.dt.tz_localize(None)
    if not pd.api.types.is_datetime64_dtype(times):
        raise InputError(
            f"{times.name} holds {times.dtype}, not datetimes: parse it and state its "
            "zone, such as pd.to_datetime(..., utc=True)"
        )
    return times


def require_text_column(column: pd.Series) -> None:
    """Raise unless every identifier is text ("5.10" is not 5.1)."""
    if not column.map(lambda entry: isinstance(entry, str)).all():
        wrong = next(entry for entry in column if not isinstance(entry, str))
        raise InputError(
            f"the identifier {column.name} holds {wrong!r}, which is not text: numbers "
            "lose trailing zeros ('5.10' becomes 5.1); read the column as text"
        )


def columns_of(
    data: xr.Dataset | pd.DataFrame,
    required: dict[str, str],
    optional: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Return named columns of a table or of a Dataset along one dimension.

    Parameters
    ----------
    data : xarray.Dataset or pandas.DataFrame
        Holds the columns, as variables or coordinates.
    required, optional : dict of str to str
        Name wanted to name in `data`.

    Returns
    -------
    pandas.DataFrame
        Under the names wanted; optional ones only where they are there.

    Raises
    ------
    InputError
        If a required column is absent.
    """
    names = {**required, **(optional or {})}
    if isinstance(data, xr.Dataset):
        present = [name for name in names.values() if name in data]
        data = data[present].reset_coords().to_dataframe().reset_index(drop=True)
    absent = [name for name in required.values() if name not in data]
    if absent:
        hint = "; the pot is the replicate, cycles are not" if "pot" in absent else ""
        raise InputError(
            f"no column {', '.join(absent)} in the table; there are "
            f"{', '.join(map(str, data.columns))}{hint}"
        )
    return pd.DataFrame({key: data[n] for key, n in names.items() if n in data})


def _refuse_repeated_hours(table: pd.DataFrame, pot: str) -> None:
    """Raise where cycles would be counted as if they were replicates."""
    repeated = table[table.duplicated(["variant", "hour"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise InputError(
            f"{len(repeated)} rows repeat a variant and hour (first: "
            f"{first['variant']}, {first['hour']}) and no column {pot!r} tells the "
            "pots apart: cycles are not replicates, name the pot of each"
        )
