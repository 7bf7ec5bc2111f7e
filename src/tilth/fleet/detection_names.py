"""What is looked at in a cycle, and what can be wrong with a chamber: the names."""

from __future__ import annotations

#: Signs of one cycle, in the order of the kernel, and what they are.
SIGNS: dict[str, str] = {
    "n": "CO2 values while closed",
    "seconds": "time closed, s",
    "before": "CO2 in the half minute before closing, ppm",
    "end": "CO2 in the last quarter of a minute closed, ppm",
    "slope": "CO2 while closed, from 30 s on, ppm s-1",
    "slope_se": "its standard error, ppm s-1",
    "scatter": "standard deviation about that line, ppm",
    "bend": "slope of the second half minus that of the first, ppm s-1",
    "wet_before": "water vapour before closing, mmol mol-1",
    "wet_slope": "water vapour while closed, mmol mol-1 s-1",
    "wet_se": "its standard error, mmol mol-1 s-1",
    "soon": "CO2 a minute after opening, ppm",
    "later": "CO2 in the last minute before the next closing, ppm",
    "open_slope": "CO2 from 90 s after opening to the next closing, ppm s-1",
    "open_slope_se": "its standard error, ppm s-1",
    "open_scatter": "standard deviation about that line, ppm",
    "wet_later": "water vapour in the last minute before the next closing, mmol mol-1",
    "open_seconds": "time open until the next closing, s",
    "light_before": "light in the half minute before closing, lux",
    "light_closed": "light while closed, lux",
    "light_after": "light in the minute after opening, lux",
    "warm_before": "air temperature before closing, degC",
    "warm_closed": "air temperature in the last minute closed, degC",
    "supply": "median supply voltage, mV",
    "dip": "lowest supply voltage while the lid moves, mV",
    "same": "longest run of one and the same CO2 value",
    "missing": "share of samples without a usable CO2 value",
    "pressure": "median air pressure, Pa",
    "self_heating": "CO2 sensor's temperature over that of the air, K",
}

#: States of a chamber, in the order of the probabilities.
STATES = ("ok", "stuck_closed", "stuck_open", "clogged", "leaky", "still_air")

#: Columns of what is made of a cycle: from all cycles around it, and (``now_``) from
#: those up to it; see `tilth.fleet.detection.judge`.
VERDICTS = (
    *(f"p_{name}" for name in STATES),
    *(f"now_{name}" for name in STATES),
    "p_no_exchange",
    "p_frozen",
)
