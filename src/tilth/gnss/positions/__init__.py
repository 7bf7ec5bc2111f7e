"""Positions of stations: trajectories, noise, velocities and transients."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "read_positions": "readers",
    "read_steps": "readers.steps",
    "position_series": "series",
    "usable": "series",
    "decimal_year": "series",
    "COMPONENTS": "series",
    "Trajectory": "trajectory",
    "Decay": "trajectory",
    "design_matrix": "trajectory",
    "NOISE_MODELS": "noise",
    "NoiseModel": "noise",
    "NoiseValues": "noise",
    "Coloured": "noise",
    "noise_model": "noise",
    "simulate_noise": "noise",
    "spectral_density": "noise",
    "TrajectoryFit": "fit",
    "fit_trajectory": "fit",
    "fit_positions": "fit",
    "compare_noise": "fit",
    "residual_spectrum": "spectrum",
    "plot_velocity": "plots",
    "midas": "year_slopes",
    "midas_velocity": "year_slopes",
    "MidasVelocity": "year_slopes",
    "separate": "transients",
    "separate_positions": "transients",
    "SeriesModel": "transient_model",
    "TransientSettings": "transient_model",
    "seasons_and_transients": "seasonal_transient",
    "analyse": "ssa",
    "fill_gaps": "ssa",
    "Spectrum": "ssa",
    "Filled": "ssa",
    "common_mode": "shared_motion",
    "find_steps": "steps",
    "antenna_changes": "steps",
    "undeclared": "steps",
    "warn_of_steps": "steps",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
