"""The web application: the fleet as it runs, in any browser.

`build_app` gives the pages of a running `tilth.fleet.service.FleetService`,
`WebServer` runs them beside it:

    >>> import tilth.web as web
    >>> web.WebSettings(hosts=("fleet.example.org",)).title
    'Chamber fleet'
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "build_app": "app",
    "make_app": "app",
    "WebServer": "server",
    "WebSettings": "settings",
    "FleetSource": "source",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
