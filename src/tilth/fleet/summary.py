"""What a data folder holds, in a few tables; the service need not run."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tilth.core.errors import InputError
from tilth.fleet.clock import iso
from tilth.fleet.database import read_only
from tilth.fleet.ledger import Proof, device_days, ledger_frame, prove, recount
from tilth.fleet.rollout import DeviceNow

if TYPE_CHECKING:
    import pandas as pd


def _journal(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder) / "journal.sqlite"
    if not path.exists():
        raise InputError(f"{folder} holds no journal: nothing has been received yet")
    return path


def device_rows(folder: str | os.PathLike[str]) -> list[tuple[str, ...]]:
    """Return a row of text per device that was ever heard of.

    Parameters
    ----------
    folder : path
        The fleet's data folder.

    Returns
    -------
    list of tuple of str
        Device, place as it says itself, state, last heard, firmware, records waiting
        and dropped.
    """
    with closing(read_only(_journal(folder))) as reader:
        found = reader.execute(
            "SELECT d.name, d.last_recv, s.online, s.body,"
            " (SELECT loc FROM rollups WHERE device = d.id ORDER BY hour DESC LIMIT 1),"
            " (SELECT fw FROM boots WHERE device = d.id ORDER BY last_recv DESC"
            " LIMIT 1)"
            " FROM devices d LEFT JOIN status s ON s.device = d.id ORDER BY d.name"
        ).fetchall()
    rows: list[tuple[str, ...]] = []
    for name, heard, online, text, place, version in found:
        body = json.loads(text) if text else {}
        waiting, dropped = (*(body.get("q") or []), "", "")[:2]
        state = "" if online is None else ("connected" if online else "away")
        # The status is as old as the connection; the last records know better.
        told = (place or body.get("loc", ""), state, iso(heard)[:19])
        firmware = version or body.get("fw", "")
        rows.append((name, *told, firmware, str(waiting), str(dropped)))
    return rows


def last_sample(folder: str | os.PathLike[str]) -> int:
    """Return the time of the newest record, utc ms.

    Parameters
    ----------
    folder : path
        The fleet's data folder.

    Raises
    ------
    InputError
        If there is none.
    """
    with closing(read_only(_journal(folder))) as reader:
        last = reader.execute("SELECT max(t_last) FROM spans").fetchone()[0]
    if last is None:
        raise InputError(f"{folder} holds no record with a time yet")
    return int(last)


def devices_now(folder: str | os.PathLike[str]) -> dict[str, DeviceNow]:
    """Return version and connection of every device that has reported.

    Parameters
    ----------
    folder : path
        The fleet's data folder.
    """
    with closing(read_only(_journal(folder))) as reader:
        rows = reader.execute(
            "SELECT d.name, s.online, s.body FROM status s"
            " JOIN devices d ON d.id = s.device"
        ).fetchall()
    return {
        name: DeviceNow(str(json.loads(body).get("fw", "")), bool(online))
        for name, online, body in rows
    }


def completeness(
    folder: str | os.PathLike[str], device: str | None = None, days: int = 7
) -> tuple[pd.DataFrame, list[Proof]]:
    """Return the ledger of the last days, and the proof of every boot.

    Parameters
    ----------
    folder : path
        The fleet's data folder.
    device : str, optional
        Only this one.
    days : int
        UTC days back from the last one with data.

    Returns
    -------
    pandas.DataFrame, list of Proof
        See `tilth.fleet.ledger`.
    """
    with closing(read_only(_journal(folder))) as reader:
        lines = device_days(reader, device=device)
        proofs = prove(reader, device)
    if lines:
        first = max(one.day for one in lines) - days + 1
        lines = [one for one in lines if one.day >= first]
    table = ledger_frame(lines)
    return table.assign(day=table["day"].dt.strftime("%Y-%m-%d")), proofs


def recounted(folder: str | os.PathLike[str]) -> list[str]:
    """Count all rows, journal and archive, against the ledger.

    Parameters
    ----------
    folder : path
        The fleet's data folder.

    Returns
    -------
    list of str
        A sentence for each boot that disagrees.
    """
    from tilth.fleet.archive.query import Archive

    counts: Counter[tuple[str, str]] = Counter()
    with Archive(folder) as archive, closing(read_only(_journal(folder))) as reader:
        reader.execute("BEGIN")  # one state of the journal for files and rows
        sealed = reader.execute("SELECT file FROM seals WHERE state = 'sealed'")
        for (name,) in sealed.fetchall():
            kind = name.split("/")[0]
            columns = ["device", "boot"]
            table = archive.store.read(kind, [name], 0, 1 << 62, None, columns)
            for row in (
                table.group_by(columns).aggregate([([], "count_all")]).to_pylist()
            ):
                counts[row["device"], row["boot"]] += row["count_all"]
        return recount(reader, counts)
