"""The web application: the fleet as it runs, in any browser.

`build_app` gives the pages of a running `tilth.fleet.service.FleetService`,
`WebServer` runs them beside it:

    >>> import tilth.web as web
    >>> web.WebSettings(hosts=("fleet.example.org",)).title
    'Chamber fleet'
"""

from importlib import import_module
from typing import Any

#: What -> the module that holds it.
_CONTENTS = {
    "build_app": "app",
    "make_app": "app",
    "WebServer": "server",
    "WebSettings": "settings",
    "FleetSource": "source",
}

__all__ = sorted(_CONTENTS)


def __getattr__(name: str) -> Any:
    if name in _CONTENTS:
        return getattr(import_module(f"tilth.web.{_CONTENTS[name]}"), name)
    raise AttributeError(
        f"tilth.web has no {name!r}; it has {', '.join(sorted(_CONTENTS))}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
