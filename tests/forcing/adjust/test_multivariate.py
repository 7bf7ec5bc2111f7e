"""MBCn: each variable has the values of QDM, all together the observed dependence."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust.multivariate import MBCn
from tilth.forcing.adjust.rotations import (
    in_rank_order,
    quantile_deltas,
    random_rotation,
    rotated_mapping,
)

DAYS = 1500


def series(values, name, units, first="1981-01-01"):
    days = xr.date_range(first, periods=values.shape[-1])
    dims = ("place", "time")[-values.ndim :]
    return xr.DataArray(values, {"time": days}, dims, name, {"units": units})


def climate(seed, correlation, first="1981-01-01", shift=0.0):
    """Temperature (degC) and rain (mm/day) of two places, tied by a Gaussian copula."""
    draws = np.random.default_rng(seed)
    cold, noise = draws.standard_normal((2, 2, DAYS))
    wet = correlation * cold + np.sqrt(1.0 - correlation**2) * noise
    rain = np.exp(wet)
    return xr.Dataset(
        {
            "tas": series(10.0 + shift + 3.0 * cold, "tas", "degC", first),
            "pr": series(rain, "pr", "mm day-1", first),
        }
    )


def rank_correlation(data, place):
    ranks = [np.argsort(np.argsort(data[n].values[place])) for n in ("tas", "pr")]
    return np.corrcoef(ranks)[0, 1]


@pytest.fixture(scope="module")
def world():
    observed, modelled = climate(1, -0.7), climate(2, 0.3)
    return observed, modelled, climate(3, 0.3, "2051-01-01", shift=2.0)


METHOD = MBCn({"tas": "+", "pr": "*"}, group="none")


@pytest.fixture(scope="module")
def adjusted(world):
    observed, modelled, target = world
    return METHOD.fit(observed, modelled).apply(target)


def test_the_observed_dependence_is_given_to_the_model(world, adjusted):
    observed, _, target = world
    for place in range(2):
        wanted = rank_correlation(observed, place)
        assert wanted < -0.6
        assert rank_correlation(target, place) > 0.2
        # Two samples of 1500 days differ by about 0.02.
        assert rank_correlation(adjusted, place) == pytest.approx(wanted, abs=0.06)


def test_every_variable_keeps_exactly_the_values_of_its_quantile_delta_mapping(
    world, adjusted
):
    observed, modelled, target = world
    for name in ("tas", "pr"):
        alone = METHOD.univariate(name).fit(observed[name], modelled[name])
        expected = alone.apply(target[name])
        np.testing.assert_array_equal(
            np.sort(adjusted[name].values, axis=-1), np.sort(expected.values, axis=-1)
        )
        assert adjusted[name].attrs["units"] == observed[name].attrs["units"]
        assert adjusted[name].attrs["adjustment_method"] == "MBCn"


def test_a_model_that_is_the_observations_is_left_in_its_order(world):
    observed = world[0]
    same = METHOD.fit(observed, observed).apply(observed)
    for name in ("tas", "pr"):
        np.testing.assert_allclose(same[name], observed[name], rtol=1e-12)


def test_a_gap_in_one_variable_leaves_the_others_univariate_value(world):
    observed, modelled, target = world
    holes = target.copy(deep=True)
    holes["pr"][0, 10] = np.nan
    found = METHOD.fit(observed, modelled).apply(holes)
    assert np.isnan(found["pr"].values[0, 10])
    assert np.isnan(found["pr"]).sum() == 1
    alone = METHOD.univariate("tas").fit(observed["tas"], modelled["tas"])
    expected = alone.apply(holes["tas"])
    assert found["tas"].values[0, 10] == expected.values[0, 10]


def test_the_result_does_not_depend_on_chunks(world, adjusted):
    observed, modelled, target = world
    lazy = [x.chunk({"place": 1}) for x in (observed, modelled, target)]
    found = METHOD.fit(lazy[0], lazy[1]).apply(lazy[2])
    assert found["tas"].chunks is not None
    xr.testing.assert_identical(found.compute(), adjusted)


def test_months_are_rearranged_each_by_itself(world):
    observed, modelled, target = world
    method = MBCn({"tas": "+", "pr": "*"}, iterations=5)
    found = method.fit(observed, modelled).apply(target)
    alone = method.univariate("pr").fit(observed["pr"], modelled["pr"])
    expected = alone.apply(target["pr"])
    july = found["pr"]["time"].dt.month == 7
    np.testing.assert_array_equal(
        np.sort(found["pr"][:, july.values], axis=-1),
        np.sort(expected[:, july.values], axis=-1),
    )


def test_a_rotation_keeps_lengths_and_rotations_are_even():
    draws = np.random.default_rng(0)
    many = np.array([random_rotation(3, draws) for _ in range(2000)])
    np.testing.assert_allclose(
        many @ many.transpose(0, 2, 1), np.broadcast_to(np.eye(3), many.shape),
        atol=1e-12,
    )  # fmt: skip
    # Mean 0 and variance 1/3 of every element of an even rotation.
    np.testing.assert_allclose(many.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose((many**2).mean(axis=0), 1.0 / 3.0, atol=0.03)


def test_one_rotated_mapping_brings_the_energy_distance_down():
    draws = np.random.default_rng(4)
    factor = np.linalg.cholesky([[1.0, 0.8], [0.8, 1.0]])
    observed = draws.standard_normal((400, 2)) @ factor.T
    modelled = draws.standard_normal((400, 2))
    again = draws.standard_normal((400, 2)) @ factor.T

    def distance(sample):
        cross = np.linalg.norm(sample[:, None] - observed, axis=-1).mean()
        own = np.linalg.norm(sample[:, None] - sample, axis=-1).mean()
        true = np.linalg.norm(observed[:, None] - observed, axis=-1).mean()
        return 2.0 * cross - own - true

    # Without a simulated change the model gets the observed joint distribution, and
    # closer than another sample of the same size of the true one.
    found = rotated_mapping(observed, modelled, modelled, 20, seed=0)
    spread = observed.std(axis=0)
    observed, again = ((x - observed.mean(axis=0)) / spread for x in (observed, again))
    assert distance(found) < distance(again) < 0.2 * distance(modelled)


def test_quantile_deltas_shift_by_the_bias_and_rank_order_keeps_the_numbers():
    ordered = np.arange(5.0)
    target = np.array([9.0, 7.0, 8.0])
    np.testing.assert_allclose(
        quantile_deltas(ordered + 2.0, ordered, target), target + 2.0
    )
    values = np.array([5.0, 1.0, 3.0])
    assert in_rank_order(values, target).tolist() == [5.0, 1.0, 3.0]
    assert in_rank_order(values, -target).tolist() == [1.0, 5.0, 3.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kinds": {"tas": "+"}}, "two or more variables"),
        ({"iterations": 0}, "1 or more, got 0"),
        ({"group": "31 days"}, "do not overlap"),
        ({"dry_below": {"rain": 1.0}}, "dry_below names rain"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        MBCn(**{"kinds": {"tas": "+", "pr": "*"}, **settings})


def test_a_dataset_without_a_variable_is_refused(world):
    observed, modelled, _ = world
    with pytest.raises(InputError, match="modelled lacks pr; it has tas"):
        METHOD.fit(observed, modelled[["tas"]])


def test_units_of_the_target_do_not_matter(world):
    observed, modelled, target = world[:3]
    fitted = METHOD.fit(observed, modelled)
    expected = fitted.apply(target)
    name = "pr"
    flux = target.assign(
        {name: (target[name] / 86400.0).assign_attrs(units="kg m-2 s-1")}
    )
    found = fitted.apply(flux)
    for variable in expected:
        np.testing.assert_allclose(found[variable], expected[variable], rtol=1e-9)
