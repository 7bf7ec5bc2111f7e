"""Rivers: networks of unit catchments, discharge through them, floods beside them.

``network`` brings river networks in or builds them, ``routing`` moves water through
them, ``floods`` says how far, how deep and how often, ``readers`` brings gauges.
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "RiverNetwork": "network.model",
    "route": "routing.runs",
    "route_muskingum": "routing.muskingum",
    "Router": "routing.router",
    "Settings": "routing.settings",
    "RouterBmi": "bmi",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
