"""The pages for people, one module each."""

from tilth.web.pages import (
    alarms,
    commands,
    cycles,
    device,
    export,
    firmware,
    fleet,
    ledger,
    placement,
    variants,
)

ROUTES = [
    *fleet.ROUTES,
    *device.ROUTES,
    *variants.ROUTES,
    *cycles.ROUTES,
    *alarms.ROUTES,
    *ledger.ROUTES,
    *placement.ROUTES,
    *commands.ROUTES,
    *firmware.ROUTES,
    *export.ROUTES,
]
