"""The pages for people, one module each."""

from tilth.web.pages import fleet

ROUTES = [*fleet.ROUTES]
