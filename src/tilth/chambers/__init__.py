"""Soil gas flux from closed chambers: from raw files to treatment effects.

The table of contents below is the public face of the room; modules load when a
name is used.

>>> import tilth.chambers as ch
>>> closures = ch.simulate_closures(3, flux=1.0, noise=1.0, seed=1)
>>> fluxes = ch.fluxes(closures, "co2", ch.FluxSettings(dead_band=20.0))
>>> fluxes["flux"].attrs["units"]
'umol m-2 s-1'
"""

from importlib import import_module
from typing import Any

#: What -> the module that holds it.
_CONTENTS = {
    # Data
    "make_closures": "closures",
    "CLOSURE_FLAGS": "flags",
    "FLUX_FLAGS": "flags",
    "simulate_closures": "simulate",
    "simulate_fleet": "simulate",
    # Fluxes
    "fluxes": "flux",
    "FluxSettings": "flux",
    "flux_table": "output",
    "write_fluxes": "output",
    "to_dry": "air",
    "air_moles_per_area": "air",
    "fit_series": "exponential",
    "minimum_detectable_flux": "detection",
    "kappa_max": "detection",
    "simulated_detection_limit": "detection",
    # Figures
    "plot_closure": "plots",
    "plot_closures": "plots",
}

__all__ = sorted(_CONTENTS)


def __getattr__(name: str) -> Any:
    if name in _CONTENTS:
        return getattr(import_module(f"tilth.chambers.{_CONTENTS[name]}"), name)
    raise AttributeError(
        f"tilth.chambers has no {name!r}; it has {', '.join(sorted(_CONTENTS))}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
