"""The whole chain on a simulated fleet: what it gets right is known here."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tilth.chambers.budget import add_budget
from tilth.chambers.effects import mixed_effects, paired_effects
from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.fits.pooling import share_kappa
from tilth.chambers.quality.filterrates import filter_rates
from tilth.chambers.quality.filters import flag_closures
from tilth.chambers.simulate.fleet import Sensor, simulate_fleet
from tilth.chambers.simulate.world import Faults, Layout, Soil
from tilth.core.flags import is_flagged
from tilth.studies.fluxmeters_2023 import figures
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

SEED = 2023

#: Treatment -> its flux over that of the control, in the range the article found.
EFFECTS = {"0": 1.0, "1": 1.2, "2": 1.6}

#: Faults per device and day: about a tenth of the closures fail, as in the article.
_FAULTS = Faults(stuck_open=0.05, stuck_closed=0.05, clogged_pot=0.1, duration=12.0)

_BAD = ("stuck_open", "stuck_closed", "clogged_pot", "open_or_clogged")


def whole_chain(full: bool) -> Part:
    """Simulate, filter, fit, add the budget, compare treatments with the truth."""
    layout = Layout(
        tables=("5", "6", "7", "9") if full else ("5", "9"),
        treatments=EFFECTS,
        replicas=("A", "B", "C", "D"),
        start="2023-08-01",
        days=30.0 if full else 6.0,
    )
    soil = Soil(flux=0.8, pot_spread=0.1)
    closures = simulate_fleet(layout, soil, faults=_FAULTS, seed=SEED)
    flagged = flag_closures(closures)
    sensor = Sensor()
    # Mixing takes a few seconds; the delay of the sensor is part of the fit.
    # One closure cannot show its curvature in this noise, a week of a pot can.
    settings = FluxSettings(
        models=("pooled",),
        select="pooled",
        dead_band=6.0,
        response=sensor.response,
        precision=sensor.noise,
    )
    shared = share_kappa(flagged, "co2", by="pot", settings=settings)
    result = add_budget(fluxes(shared, "co2", settings))
    truth = closures["true_flux"].values
    bad = closures["fault"].values != "none"
    night = ~is_flagged(result["closure_flag"], "daylight", "light_unknown").values
    caught = is_flagged(result["closure_flag"], *_BAD).values
    good = night & ~caught & np.isfinite(result["flux"].values)

    part = Part()
    error = result["flux"].values - truth
    total = result["flux_se_total"].values
    inside = np.abs(error) <= 1.96 * total
    sound = good & ~bad
    part.metrics += [
        Metric("simulated: closures", closures.sizes["closure"]),
        Metric(
            "simulated: bias of the flux",
            100 * error[sound].sum() / truth[sound].sum(),
            unit="%",
            bar="-3..3",
        ),
        Metric(
            "simulated: bias of a straight line",
            100
            * (result["flux_linear"].values - truth)[sound].sum()
            / truth[sound].sum(),
            unit="%",
        ),
        Metric(
            "simulated: true flux inside the 95 % interval",
            inside[sound].mean(),
            published=0.95,
            bar="0.9..1",
        ),
        Metric(
            "simulated: failed closures of the night that were caught",
            caught[night & bad].mean(),
            bar=">= 0.8",
        ),
        Metric(
            "simulated: sound closures of the night flagged by mistake",
            caught[night & ~bad].mean(),
            bar="<= 0.02",
        ),
    ]
    table = pd.DataFrame(
        {
            "time": result["time"].values,
            "table": result["table"].values,
            "variant": result["variant"].values,
            "pot": result["pot"].values,
            "flux": np.where(good, result["flux"].values, np.nan),
        }
    )
    _effects(part, table)
    rates = filter_rates(flagged)
    part.tables.append(
        Table(
            "simulated_filter_rates",
            rates.reset_index(),
            "Share of the night's closures each filter took, by week and table of the "
            "simulated fleet.",
        )
    )
    part.figures.append(
        figures.simulated_fluxes(
            truth[sound], result["flux"].values[sound], total[sound]
        )
    )
    part.notes.append(
        "The simulated fleet is not the greenhouse: its soils, noise and faults are "
        "settings. It tests the chain, not the article."
    )
    return part


def _effects(part: Part, table: pd.DataFrame) -> None:
    """Compare both ways of testing an effect with the truth."""
    rows = []
    for name, own in table.groupby("table"):
        control = f"{name}.0"
        mixed = mixed_effects(own, control, interval="t").table
        paired = paired_effects(own)
        for variant, row in mixed.iterrows():
            truth = EFFECTS[str(variant).split(".")[1]]
            rows.append(
                {
                    "variant": variant,
                    "true_ratio": truth,
                    "ratio": 1 + row["effect_percent"] / 100,
                    "lower": 1 + row["lower"] / 100,
                    "upper": 1 + row["upper"] / 100,
                    "paired_ratio": paired["ratio"][str(variant)],
                }
            )
    effects = pd.DataFrame(rows)
    inside = (effects["lower"] <= effects["true_ratio"]) & (
        effects["true_ratio"] <= effects["upper"]
    )
    part.metrics.append(
        Metric(
            "simulated: effects whose 95 % interval holds the truth",
            inside.mean(),
            published=0.95,
            bar=">= 0.75",
        )
    )
    part.tables.append(
        Table(
            "simulated_effects",
            effects,
            "Treatment over control on the simulated fleet: mixed model with the pot "
            "as random effect, beside the hour-paired ratio and the truth.",
            decimals={c: 3 for c in effects.columns if c != "variant"},
        )
    )
