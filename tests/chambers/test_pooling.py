"""One curvature for the closures of a pot: unbiased, precise, honest, guarded."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.fits.pooling import MIN_CLOSURES, share_kappa
from tilth.chambers.fits.selection import MODELS
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.simulate.fleet import simulate_closures
from tilth.core.errors import InputError

POOLED = FluxSettings(models=("pooled",), select="pooled")


def night(n=200, k=0.001, noise=2.0, seed=1, pot="9.2.B", flux=1.0):
    """Return closures of one pot, every ten minutes."""
    data = simulate_closures(n, flux=flux, k=k, noise=noise, seed=seed)
    return data.assign_coords(
        pot=("closure", np.array([pot] * n, dtype=object)),
        time=("closure", pd.date_range("2023-07-03", periods=n, freq="10min")),
        closure=np.array([f"{pot} {i}" for i in range(n)], dtype=object),
    )


@pytest.mark.parametrize("k", [0.0006, 0.001, 0.003, 0.01])
def test_the_shared_rate_is_the_true_one_within_its_error(k):
    shared = share_kappa(night(k=k))
    error = np.log(shared["shared_kappa"].values[0] / k)
    assert abs(error) < 3 * shared["shared_kappa_se"].values[0]
    assert shared["shared_kappa_se"].values[0] < 0.5


def test_the_error_of_the_shared_rate_covers_it_as_often_as_it_says():
    inside = []
    for seed in range(60):
        shared = share_kappa(night(n=60, k=0.004, seed=seed))
        error = np.log(shared["shared_kappa"].values[0] / 0.004)
        inside.append(abs(error) < 1.96 * shared["shared_kappa_se"].values[0])
    assert 0.85 < np.mean(inside) <= 1.0


def test_pooled_fluxes_are_unbiased_where_lines_are_low_and_as_precise():
    data = share_kappa(night(n=400, k=0.001))
    result = fluxes(data, "co2", POOLED)
    pooled, line, curve = (result[f"flux_{m}"] for m in ("pooled", "linear", "hm"))
    assert pooled.mean() == pytest.approx(1.0, abs=0.03)
    assert line.mean() < 0.93
    assert pooled.std() < 1.3 * line.std()
    assert pooled.std() < 0.6 * curve.std()


def test_the_error_of_a_pooled_flux_covers_the_truth():
    data = share_kappa(night(n=1000, k=0.002, seed=4))
    result = fluxes(data, "co2", POOLED)
    inside = np.abs(result["flux"] - 1.0) < 1.96 * result["flux_se"]
    assert 0.92 < float(inside.mean()) < 0.99


def test_pots_keep_their_own_curvature_and_periods_theirs():
    two = xr.concat(
        [night(k=0.001, pot="5.1.A"), night(k=0.008, pot="5.10.A", seed=2)],
        "closure",
        combine_attrs="override",
    )
    shared = share_kappa(two)["shared_kappa"].values
    assert shared[0] == pytest.approx(0.001, rel=0.5)
    assert shared[-1] == pytest.approx(0.008, rel=0.2)
    half = share_kappa(night(n=288), days=1.0)["shared_kappa"].values
    assert len(np.unique(half)) == 2


def test_flagged_closures_take_no_part_but_get_the_rate():
    data = night(k=0.004)
    broken = data.copy(deep=True)
    broken["co2"].values[::2] = 450.0 + np.linspace(0, 500, 60) ** 1.5
    broken["closure_flag"].values[::2] = CLOSURE_FLAGS.bit("stuck_open")
    shared = share_kappa(broken)["shared_kappa"].values
    assert np.unique(shared).size == 1
    assert shared[0] == pytest.approx(0.004, rel=0.35)


def test_a_remark_does_not_take_a_closure_out():
    data = night(k=0.004)
    data["closure_flag"].values[:] = CLOSURE_FLAGS.bit("negative_time")
    assert np.isfinite(share_kappa(data)["shared_kappa"]).all()


def test_a_held_reading_says_nothing_and_spoils_nothing():
    data = night(k=0.004)
    alone = share_kappa(data)["shared_kappa"].values[0]
    data["co2"].values[7] = 450.0
    with_held = share_kappa(data)["shared_kappa"].values[0]
    assert with_held == pytest.approx(alone, rel=0.02)


def test_no_closures_share_nothing():
    empty = night().isel(closure=slice(0, 0))
    assert share_kappa(empty)["shared_kappa"].size == 0


def test_too_few_closures_share_nothing_and_say_so():
    data = share_kappa(night(n=MIN_CLOSURES - 1))
    assert np.isnan(data["shared_kappa"]).all()
    result = fluxes(data, "co2", POOLED)
    assert np.isnan(result["flux"]).all()
    assert (result["model"] == MODELS.index("none")).all()


def test_the_pooled_model_without_a_shared_rate_is_refused():
    with pytest.raises(InputError, match="share_kappa"):
        fluxes(night(), "co2", POOLED)


def test_sharing_needs_labels_and_time():
    with pytest.raises(InputError, match="pot"):
        share_kappa(night().drop_vars("pot"))
    with pytest.raises(InputError, match="days"):
        share_kappa(night(), days=0.0)
