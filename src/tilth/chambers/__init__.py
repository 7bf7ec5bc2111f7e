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
    # Files to closures
    "open_closures": "readers.opening",
    "ReadOptions": "readers.opening",
    "read_licor_81x": "readers.licor_81x",
    "read_licor_82z": "readers.licor_82z",
    "read_smart_chamber": "readers.smart_chamber",
    "read_li7810": "readers.analysers",
    "read_lgr": "readers.analysers",
    "read_picarro": "readers.analysers",
    "read_egm": "readers.egm",
    "read_table": "readers.table",
    "read_fleet_efflux": "readers.fleet_table",
    "read_soil_pco2": "readers.fleet_soil",
    "detect_closures": "readers.closure_detection",
    "cut_closures": "readers.records",
    "auto_dead_band": "readers.dead_band",
    "make_closures": "closures",
    "CLOSURE_FLAGS": "flags",
    "FLUX_FLAGS": "flags",
    "is_doubted": "flags",
    # Known truth
    "simulate_closures": "simulate",
    "simulate_fleet": "simulate",
    "Layout": "simulate_world",
    "Soil": "simulate_world",
    "Faults": "simulate_world",
    "Chamber": "simulate",
    "Sensor": "simulate",
    # Geometry and air
    "read_geometry": "geometry",
    "geometry_from_dict": "geometry",
    "apply_geometry": "geometry",
    "air_moles_per_area": "air",
    "dry_mole_fraction": "air",
    "vapour_mole_fraction": "air",
    "compensate_pressure": "air",
    "to_dry": "air",
    # Fluxes
    "fluxes": "flux",
    "FluxSettings": "settings",
    "share_kappa": "pooling",
    "fit_series": "exponential",
    "minimum_detectable_flux": "detection",
    "kappa_max": "detection",
    "simulated_detection_limit": "detection",
    "flux_table": "output",
    "write_fluxes": "output",
    # Quality
    "keep_closed": "cycle",
    "closing_time": "cycle",
    "flag_closures": "quality",
    "flag_outliers": "outliers",
    "flag_low_flux": "lowflux",
    "mean_with_low_fluxes": "lowflux",
    "filter_rates": "filterrates",
    "flag_qaqc": "fluxbot",
    "check_guidelines": "checklist",
    # Sensors
    "calibrate_fleet": "sensors",
    "apply_calibration": "sensors",
    "gain_spread": "sensors",
    "spread_versus_concentration": "sensor_checks",
    "settling": "sensor_checks",
    "baseline_suspects": "sensor_checks",
    "leak_rate": "seal",
    "compare_with_reference": "agreement",
    "pair_with_reference": "agreement",
    # Uncertainty
    "SystematicErrors": "budget",
    "budget_table": "budget",
    "add_budget": "budget",
    "average_fluxes": "budget",
    "ratio_uncertainty": "budget",
    # Effects
    "paired_effects": "effects",
    "compare_pots": "effects",
    "mixed_effects": "effects",
    # Soil gas
    "gradient_flux": "soilgas",
    "clogged_mask": "soilgas",
    "fick_regression": "fick",
    "fick_predictor": "fick",
    "fit_fick_fill": "fick",
    "validate_fick_fill": "fick",
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
