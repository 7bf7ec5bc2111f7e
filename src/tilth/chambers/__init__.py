"""Soil gas flux from closed chambers: from raw files to treatment effects.

The table of contents below is the public face of the room; modules load when a
name is used.

>>> import tilth.chambers as ch
>>> closures = ch.simulate_closures(3, flux=1.0, noise=1.0, seed=1)
>>> fluxes = ch.fluxes(closures, "co2", ch.FluxSettings(dead_band=20.0))
>>> fluxes["flux"].attrs["units"]
'umol m-2 s-1'
"""

from tilth.core.lazy import table_of_contents

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
    "simulate_closures": "simulate.fleet",
    "simulate_fleet": "simulate.fleet",
    "Layout": "simulate.world",
    "Soil": "simulate.world",
    "Faults": "simulate.world",
    "Chamber": "simulate.fleet",
    "Sensor": "simulate.fleet",
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
    "fluxes": "fits.flux",
    "FluxSettings": "fits.settings",
    "share_kappa": "fits.pooling",
    "fit_series": "fits.exponential",
    "minimum_detectable_flux": "fits.detection",
    "kappa_max": "fits.detection",
    "simulated_detection_limit": "fits.detection",
    "flux_table": "output",
    "write_fluxes": "output",
    # Quality
    "keep_closed": "quality.cycle",
    "closing_time": "quality.cycle",
    "flag_closures": "quality.filters",
    "flag_outliers": "quality.outliers",
    "flag_low_flux": "quality.lowflux",
    "mean_with_low_fluxes": "quality.lowflux",
    "filter_rates": "quality.filterrates",
    "flag_qaqc": "quality.fluxbot",
    "check_guidelines": "quality.checklist",
    # Sensors
    "calibrate_fleet": "sensors.calibration",
    "apply_calibration": "sensors.calibration",
    "gain_spread": "sensors.calibration",
    "spread_versus_concentration": "sensors.checks",
    "settling": "sensors.checks",
    "baseline_suspects": "sensors.checks",
    "leak_rate": "sensors.seal",
    "compare_with_reference": "sensors.agreement",
    "pair_with_reference": "sensors.agreement",
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
    "gradient_flux": "soil.diffusion",
    "clogged_mask": "soil.diffusion",
    "fick_regression": "soil.fick",
    "fick_predictor": "soil.fick",
    "fit_fick_fill": "soil.fick",
    "validate_fick_fill": "soil.fick",
    # Figures
    "plot_closure": "plots",
    "plot_closures": "plots",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
