"""What the CO2 sensor and the chamber allow: detection limits and error budget."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tilth.chambers.budget import SystematicErrors, budget_table
from tilth.chambers.fits.detection import minimum_detectable_flux, time_spread
from tilth.studies.fluxmeters_2023 import figures
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Air above a square metre in the fleet's pots: 16.5 cm, 972 hPa, 20 degC, mol m-2.
AMOUNT = 6.48

#: Time between readings, s.
INTERVAL = 3.0

#: Repeatability of the SCD30 by its datasheet, taken as white noise, and the scatter
#: of a good one, umol mol-1.
NOISE = (10.0, 2.0)


def noise_budget() -> Part:
    """Compute detection limits at 3 and 5 minutes, and the systematic budget."""
    part = Part()
    for sigma, label in zip(NOISE, ("datasheet", "typical"), strict=True):
        for minutes in (3, 5):
            n = int(minutes * 60 / INTERVAL)
            limit = minimum_detectable_flux(sigma, time_spread(n, INTERVAL), AMOUNT)
            part.metrics.append(
                Metric(
                    f"detection limit, {minutes} min, {sigma:.0f} ppm noise ({label})",
                    limit,
                    unit="umol m-2 s-1",
                )
            )
    gain = time_spread(100, INTERVAL) / time_spread(60, INTERVAL)
    part.metrics.append(
        Metric("gain of 5 over 3 minutes in the detection limit", gain, bar="> 2")
    )
    budget = budget_table()
    without = budget_table(SystematicErrors(pressure=3.9))
    part.metrics += [
        Metric(
            "systematic error of a flux at 95 %",
            100 * budget["relative_95"].to_numpy()[-1],
            unit="%",
            published="10-15",
            bar="10..15",
        ),
        Metric(
            "the same with a pressure sensor good to 3.9 Pa",
            100 * without["relative_95"].to_numpy()[-1],
            unit="%",
        ),
    ]
    part.tables.append(
        Table(
            "budget",
            budget.reset_index(),
            "Relative uncertainty of a flux by component, with the article's numbers "
            "(pressure to 3.9 kPa as printed). Errors shared by a device or the fleet "
            "do not average out over cycles; those of the fleet and the soil cancel in "
            "a ratio of treatment to control.",
            decimals={"relative": 4, "relative_95": 4, "share": 3},
        )
    )
    seconds = np.arange(60.0, 361.0, 3.0)
    limits = pd.DataFrame(
        {
            sigma: minimum_detectable_flux(
                sigma, time_spread(seconds / INTERVAL, INTERVAL), AMOUNT
            )
            for sigma in NOISE
        },
        index=seconds,
    )
    part.figures.append(figures.detection_limits(limits))
    return part
