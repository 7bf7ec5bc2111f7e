"""RINEX and SP3: what receivers observed, where the satellites were, both as SNR."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "read_observations": "observations",
    "read_header": "header",
    "ObservationHeader": "header",
    "read_navigation": "navigation",
    "BroadcastOrbits": "broadcast",
    "read_sp3": "sp3",
    "PreciseOrbits": "precise",
    "open_orbits": "orbits",
    "look_angles": "orbits",
    "rinex_to_snr": "snr",
    "choose_observables": "snr",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
