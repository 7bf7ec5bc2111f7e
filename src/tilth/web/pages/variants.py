"""Variants: fluxes of treatments beside their controls, and what the difference is."""

from __future__ import annotations

from collections import defaultdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.web import svg
from tilth.web.model import Effect, VariantSeries
from tilth.web.query import night_of, span_name, span_of
from tilth.web.render import page
from tilth.web.room import room_of


def variant_order(variant: str) -> tuple[int, ...]:
    """Return what orders variants: 5.2 before 5.10."""
    return tuple(int(part) if part.isdecimal() else 0 for part in variant.split("."))


def by_table(
    variants: list[VariantSeries], effects: list[Effect]
) -> list[tuple[str, list[VariantSeries], dict[str, Effect]]]:
    """Group variants and effects by their table."""
    tables: dict[str, tuple[list[VariantSeries], dict[str, Effect]]] = defaultdict(
        lambda: ([], {})
    )
    for one in sorted(variants, key=lambda one: variant_order(one.variant)):
        tables[one.variant.partition(".")[0]][0].append(one)
    for effect in sorted(effects, key=lambda one: variant_order(one.variant)):
        tables[effect.variant.partition(".")[0]][1][effect.variant] = effect
    return [(name, *parts) for name, parts in tables.items()]


async def variants(request: Request) -> Response:
    """Compare treatments with their controls."""
    room = room_of(request)
    start, end = span_of(request, room.source.clock(), "7d")
    night = night_of(request)
    series = list(await room.read(room.source.variants, start, end, night))
    effects = list(await room.read(room.source.effects, start, end, night))
    return page(
        request,
        "variants.html",
        tables=by_table(series, effects),
        scale=svg.forest_scale(effects),
        treatments=await room.read(room.source.treatments),
        night=night,
        start=start,
        end=end,
        span=span_name(request, "7d"),
        spans=("24h", "3d", "7d", "30d", "90d"),
    )


ROUTES = [Route("/variants", variants)]
