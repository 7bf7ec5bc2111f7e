"""Records as people use them: physical units, places, flags with their meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import stamp
from tilth.fleet.channels import CHANNELS, FLAGS, STATES
from tilth.fleet.placement import Placement, held_at

_REMARKS = {
    "co2_repeated": "the CO2 sensor had no new value: the last one again",
    "co2_crc": "checksum of the CO2 sensor's answer was wrong",
    "co2_missing": "the CO2 sensor did not answer",
    "warmup": "one of the first two values after the CO2 sensor started",
    "pressure_error": "the pressure sensor failed",
    "light_error": "the light sensor failed",
    "lid_moving": "the lid was moving",
    "low_supply": "the supply voltage was low",
    "fan_on": "the fan was on",
}

#: What may be said of a sample: first what the device said, in the bits of the wire,
#: then what is seen from the values.
SAMPLE_FLAGS = FlagTable(
    {name: _REMARKS[name] for name in FLAGS}
    | {
        f"{channel.name}_out_of_range": f"{channel.long_name} beyond what its sensor "
        f"can deliver ({channel.low * channel.scale:g} to "
        f"{channel.high * channel.scale:g} {channel.units})"
        for channel in CHANNELS
    }
    | {
        "clock_rtc": "time from the battery clock of the device",
        "clock_mapped": "time worked out after the device had found the time",
        "clock_received": "time from the moment of receipt",
        "clock_unknown": "time not known",
        "label_only": "no placement holds: the location is what the device sent",
    }
)

#: Quality of the clock (see `tilth.fleet.channels.QUALITIES`) -> flag.
_CLOCKS = {1: "clock_rtc", 2: "clock_mapped", 3: "clock_received", 4: "clock_unknown"}

#: Columns of identifiers, all text.
IDENTIFIERS = ("device", "boot", "location", "table", "variant", "replica", "label")


def sample_frame(
    records: pa.Table, placements: Sequence[Placement], channels: Sequence[str]
) -> pd.DataFrame:
    """Return samples in physical units, each with the place it was taken at.

    Parameters
    ----------
    records : pyarrow.Table
        With the columns of the archive.
    placements : sequence of Placement
        Without overlaps for one device.
    channels : sequence of str
        Names of `tilth.fleet.channels.CHANNELS`.

    Returns
    -------
    pandas.DataFrame
        By device and time. ``time`` (UTC, no time zone), `IDENTIFIERS` (text, ``5.10``
        is not ``5.1``), the channels, ``state`` (text), ``flag`` (bits of
        `SAMPLE_FLAGS`), ``seq``, ``t`` (utc ms).
    """
    columns = {
        name: records[name].to_numpy() for name in ("seq", "t", "flags", "quality")
    }
    device, boot, label = (_words(records[name]) for name in ("device", "boot", "loc"))
    order = np.lexsort((columns["seq"], columns["t"], device.codes))
    columns = {name: values[order] for name, values in columns.items()}
    device, boot, label = device.take(order), boot.take(order), label.take(order)
    location, placed = _located(placements, device, columns["t"], label)
    made: dict[str, object] = {
        "time": columns["t"].astype("datetime64[ms]"),
        "device": device,
        "boot": boot,
        "location": location,
    }
    parts = [_parts(code) for code in location.categories]
    for i, name in enumerate(("table", "variant", "replica")):
        made[name] = _coded(location.codes, [part[i] for part in parts])
    made["label"] = label
    flag = columns["flags"].astype(np.int32) & ((1 << len(FLAGS)) - 1)
    for channel in CHANNELS:
        if channel.name not in channels:
            continue
        counts = records[channel.name].to_numpy()[order].astype(float)
        off = (counts < channel.low) | (counts > channel.high)
        flag |= np.where(off, SAMPLE_FLAGS.bit(f"{channel.name}_out_of_range"), 0)
        # Divided, not multiplied: 4391 / 10 is the number nearest to 439.1.
        made[channel.name] = counts / round(1 / channel.scale)
    for quality, meaning in _CLOCKS.items():
        flag |= np.where(columns["quality"] == quality, SAMPLE_FLAGS.bit(meaning), 0)
    flag |= np.where(placed, 0, SAMPLE_FLAGS.bit("label_only"))
    made["state"] = _states(records["state"].to_numpy()[order])
    made["flag"] = flag.astype(np.int32)
    made |= {"seq": columns["seq"], "t": columns["t"]}
    return pd.DataFrame(made, copy=False)


def _words(column: pa.ChunkedArray) -> pd.Categorical:
    """Return a column of text as sorted categories."""
    if not isinstance(column.type, pa.DictionaryType):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # nothing in it
        return pd.Categorical([], categories=pd.Index([], dtype=object))
    words = np.array(whole.dictionary.to_pylist(), object)
    rank = np.argsort(words)
    codes = np.argsort(rank)[whole.indices.to_numpy()] if len(words) else []
    return pd.Categorical.from_codes(codes, pd.Index(words[rank], dtype=object))


def _coded(codes: np.ndarray, words: Sequence[str]) -> pd.Categorical:
    """Return words chosen by codes; words may stand there twice."""
    known = {word: i for i, word in enumerate(dict.fromkeys(words))}
    again = np.array([known[word] for word in words], np.intp)
    index = pd.Index(list(known), dtype=object)
    return pd.Categorical.from_codes(again[codes] if len(words) else [], index)


def _located(
    placements: Sequence[Placement],
    device: pd.Categorical,
    t: np.ndarray,
    label: pd.Categorical,
) -> tuple[pd.Categorical, np.ndarray]:
    """Return the place of each sample, and whether a placement tells it."""
    words = list(label.categories)
    codes, placed = np.array(label.codes, np.intp), np.zeros(len(t), bool)
    for k, name in enumerate(device.categories):
        mine = np.flatnonzero(device.codes == k)
        held = [p for p in placements if p.device == name]
        which = held_at(held, t[mine])
        inside = which >= 0
        # Numbered behind the labels, where the same word may stand already.
        codes[mine[inside]] = which[inside] + len(words)
        placed[mine[inside]] = True
        words += [p.loc for p in held]
    return _coded(codes, words), placed


def _parts(code: str) -> tuple[str, str, str]:
    """Return table, variant ("5.10") and replica of a code, empty if it has none."""
    parts = code.split(".")
    if len(parts) != 3:
        return "", "", ""
    return parts[0], f"{parts[0]}.{parts[1]}", parts[2]


def _states(codes: np.ndarray) -> pd.Categorical:
    names = pd.Index(list(STATES), dtype=object)
    known = np.where((codes >= 0) & (codes < len(names)), codes, -1).astype(int)
    return pd.Categorical.from_codes(known, names)


def plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its identifiers as plain text, for files.

    Writing it as CSV, Parquet, JSON or Excel keeps 5.10 and 5.1 apart; reading a CSV
    back needs ``dtype=str`` for these columns.
    """
    words = [
        name
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    ]
    return frame.assign(**{name: frame[name].astype("str") for name in words})


def sample_dataset(
    frame: pd.DataFrame, channels: Sequence[str], step: str
) -> xr.Dataset:
    """Return a frame of samples as a dataset with units and CF flags.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `sample_frame`.
    channels : sequence of str
        The channels in it.
    step : str
        For the history.

    Returns
    -------
    xarray.Dataset
        Dimension ``sample``.
    """
    coords = {name: ("sample", _fixed_width(frame[name])) for name in IDENTIFIERS}
    about = {channel.name: channel for channel in CHANNELS}
    variables: dict[str, object] = {
        name: (
            "sample",
            frame[name].to_numpy(),
            {
                # ppm of the sensor is a mole fraction of moist air.
                "units": "umol mol-1" if name == "co2" else about[name].units,
                "long_name": about[name].long_name,
            },
        )
        for name in channels
    }
    variables["state"] = (
        *("sample", _fixed_width(frame["state"])),
        {"long_name": "state of the chamber"},
    )
    variables["flag"] = ("sample", frame["flag"].to_numpy(), SAMPLE_FLAGS.attrs())
    data = xr.Dataset(
        variables,
        coords=coords
        | {
            "time": ("sample", frame["time"].to_numpy(), {"long_name": "time, UTC"}),
            "seq": ("sample", frame["seq"].to_numpy()),
        },
    )
    return stamp(data, step)


def _fixed_width(words: pd.Series) -> np.ndarray:
    """Return categories as numpy text, which xarray takes over without a look."""
    known = np.array([*map(str, words.cat.categories), ""], dtype=np.str_)
    return known[words.cat.codes]


def channel_names(channels: Sequence[str] | str | None) -> list[str]:
    """Return channels in the order of the wire; None stands for all.

    Raises
    ------
    InputError
        If one does not exist.
    """
    known = [channel.name for channel in CHANNELS]
    wanted = [channels] if isinstance(channels, str) else channels
    wrong = sorted(set(wanted or ()) - set(known))
    if wrong:
        raise InputError(f"no channel {', '.join(wrong)}; there are {', '.join(known)}")
    return [name for name in known if wanted is None or name in wanted]
