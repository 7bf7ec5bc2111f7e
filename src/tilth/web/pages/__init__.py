"""The pages for people, one module each."""

from tilth.web.pages import cycles, device, fleet, variants

ROUTES = [*fleet.ROUTES, *device.ROUTES, *variants.ROUTES, *cycles.ROUTES]
