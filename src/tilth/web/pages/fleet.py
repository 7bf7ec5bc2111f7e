"""The fleet page: every chamber by table, variant and replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.fleet.channels import Location, parse_location
from tilth.fleet.clock import day_name, day_of
from tilth.web import svg
from tilth.web.model import SEVERITIES, LedgerDay, Tile
from tilth.web.render import page
from tilth.web.room import Room, room_of, said

DAYS_OF_COMPLETENESS = 7


@dataclass(frozen=True, slots=True)
class Variant:
    """The tiles of one variant, each with the letter of its replica."""

    name: str
    note: str
    tiles: list[tuple[str, Tile]]


@dataclass(frozen=True, slots=True)
class Table:
    """The variants of one table."""

    name: str
    variants: list[Variant]


def by_place(
    tiles: Sequence[Tile], treatments: Mapping[str, str] | None = None
) -> list[Table]:
    """Order tiles by table, variant (as numbers: 5.2 before 5.10) and replica.

    Devices without a legal location code come last, on a table of their own.
    """
    said = treatments or {}
    placed, others = [], []
    for tile in tiles:
        try:
            placed.append((parse_location(tile.loc), tile))
        except InputError:
            others.append(tile)

    def order(entry: tuple[Location, Tile]) -> tuple:
        place, tile = entry
        return int(place.table), int(place.variant), place.replica, tile.device

    tables = []
    for table, rows in groupby(sorted(placed, key=order), lambda row: row[0].table):
        variants = [
            Variant(
                f"{table}.{variant}",
                said.get(f"{table}.{variant}", "control" if variant == "0" else ""),
                [(place.replica, tile) for place, tile in pots],
            )
            for variant, pots in groupby(rows, lambda row: row[0].variant)
        ]
        tables.append(Table(f"Table {table}", variants))
    if others:
        rest = sorted(others, key=lambda tile: (tile.loc, tile.device))
        tiles_of_rest = [(t.loc or t.device[-4:], t) for t in rest]
        tables.append(Table("Without a place", [Variant("", "", tiles_of_rest)]))
    return tables


def completeness(days: Sequence[LedgerDay]) -> float | None:
    """Return the share of expected records that is stored; None if none was due."""
    expected = sum(day.expected for day in days)
    return sum(day.received for day in days) / expected if expected else None


async def fleet(request: Request) -> Response:
    """Show the fleet."""
    room: Room = room_of(request)
    tiles = await room.read(room.source.tiles)
    today = day_of(room.source.clock())
    span = (day_name(today - DAYS_OF_COMPLETENESS), day_name(today - 1))
    ledger = await room.read(room.source.ledger, *span)
    return page(
        request,
        "fleet.html",
        notice=said(request),
        tiles=tiles,
        tables=by_place(tiles, await room.read(room.source.treatments)),
        scale=svg.spark_scale(tiles),
        online=sum(tile.online for tile in tiles),
        alarm_count=sum(tile.alarms for tile in tiles),
        completeness=completeness(ledger),
        health=await room.read(room.source.health),
        worst=max((SEVERITIES[tile.severity] for tile in tiles), default=0),
    )


ROUTES = [Route("/", fleet)]
