"""What the members of a fit are worth where the truth is known."""

import numpy as np
import pytest

from tilth.land.emulator.equations import VARIANTS, Forcing, State, simulate
from tilth.land.fit import FitSettings, as_members, fit_emulator

MEMBERS = 20
TARGETS = ("snow", "soil", "runoff")


def lasting_noise(rng, shape, memory):
    """Return errors of standard deviation one that last for days (AR(1))."""
    noise = rng.normal(size=shape)
    for k in range(1, shape[0]):
        noise[k] = memory * noise[k - 1] + np.sqrt(1 - memory**2) * noise[k]
    return noise


@pytest.fixture(scope="module")
def ensembles(long_world):
    """Return members' runs of two unseen years and the truth, after 6 and 12 years."""
    weather, truth = long_world
    rng = np.random.default_rng(2)
    targets = truth.drop_vars("wetland").copy(deep=True)
    for name in TARGETS:
        noise = 0.15 * lasting_noise(rng, targets[name].shape, 0.9)
        values = targets[name].values
        scale = values if name == "snow" else values.std(axis=0)
        targets[name] = targets[name] + scale * noise
    test = weather.sel(time=slice("2013", None))
    after = truth.sel(time=test.time)
    eve = truth.isel(time=truth.sizes["time"] - test.sizes["time"] - 1)
    month = test.time.dt.month.values - 1
    found = {}
    for first in (2007, 2001):
        settings = FitSettings(
            members=MEMBERS, window_years=3, window_step=3, starts=2, candidates=8
        )
        members = as_members(
            fit_emulator(weather, targets, years=(first, 2012), settings=settings)
        )
        runs = []
        for k in range(MEMBERS):
            member = members.isel(member=k)
            _, states, fluxes = simulate(
                State(
                    eve.snow.values,
                    eve.soil.values - member.soil_reference.values,
                    eve.wetland.values,
                    np.zeros(eve.sizes["cell"]),
                ),
                Forcing(*(test[name].values for name in Forcing._fields)),
                month,
                member.parameters.values,
                member.runoff_share.values,
                VARIANTS["implicit"],
            )
            soil = np.asarray(states.soil) + member.soil_reference.values
            runoff = np.asarray(fluxes.surface_runoff + fluxes.base_runoff)
            runs.append([np.asarray(states.snow), soil, runoff])
        found[2013 - first] = np.array(runs)
    return found, np.array([after[name].values for name in TARGETS])


def test_nine_tenths_of_the_members_hold_most_of_the_truth(ensembles):
    found, truth = ensembles
    low, high = np.quantile(found[12], [0.05, 0.95], axis=0)
    inside = (truth >= low) & (truth <= high)
    moving = high - low > 1e-4  # not the days without snow
    covered = np.array([inside[v][moving[v]].mean() for v in range(len(TARGETS))])
    # 90 % are meant. The members know of the years that were drawn, not of what the
    # penalties pull: they hold less, of snow least.
    assert np.all(covered > [0.5, 0.7, 0.7]), covered
    assert np.all(covered < 0.98), covered


def test_members_scatter_less_the_more_years_they_were_fitted_to(ensembles):
    found, _ = ensembles
    few, many = (found[years].std(axis=0).mean(axis=(1, 2)) for years in (6, 12))
    assert np.all(many[1:] < few[1:])
    assert np.all(many > 0)
