"""Accumulated local effects against functions whose effects are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.ml import accumulated_effect, accumulated_surface, refit_band


def grid(n=40):
    """Two independent features: every value of one with every value of the other."""
    values = (np.arange(n) + 0.5) / n
    first, second = np.meshgrid(values, values, indexing="ij")
    return np.stack([first.ravel(), second.ravel()], axis=1)


def product(x):
    return x[:, 0] * x[:, 1]


def test_a_linear_function_has_its_slope():
    x = np.random.default_rng(0).normal(size=(500, 3))
    found = accumulated_effect(lambda x: 2.5 * x[:, 1] - x[:, 0], x, 1)
    assert np.diff(found.effect) == pytest.approx(2.5 * np.diff(found.edges), abs=1e-10)


def test_the_effect_is_centred_over_the_rows():
    x = np.random.default_rng(1).exponential(size=(301, 2))
    found = accumulated_effect(lambda x: x[:, 0] ** 2, x, 0, bins=7)
    middle = (found.effect[1:] + found.effect[:-1]) / 2
    assert np.sum(found.rows * middle) == pytest.approx(0.0, abs=1e-10)


def test_in_a_product_each_feature_has_half_a_slope():
    # x1 x2 with independent x2 of mean 1/2: ALE1(x1) = (x1 - 1/2) / 2. The lowest bin
    # holds one value more than the others, which leaves the mean of x2 as it is.
    x = grid()
    found = accumulated_effect(product, x, 0, bins=8)
    assert np.diff(found.effect) == pytest.approx(np.diff(found.edges) / 2, abs=1e-10)


def test_a_product_interacts_as_a_product():
    # ALE12 = (x1 - c1)(x2 - c2); its second differences are those of the product.
    x = grid()
    found = accumulated_surface(product, x, (0, 1), bins=8)
    second = np.diff(np.diff(found.effect, axis=0), axis=1)
    cells = np.outer(np.diff(found.edges[0]), np.diff(found.edges[1]))
    assert second == pytest.approx(cells, abs=1e-10)


def test_a_product_of_uniform_features_tends_to_its_formula():
    x = np.random.default_rng(2).random((200_000, 2))
    found = accumulated_surface(product, x, (0, 1), bins=20)
    exact = np.outer(found.edges[0] - 0.5, found.edges[1] - 0.5)
    assert found.effect == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("fill", [True, False])
def test_an_additive_function_does_not_interact(fill):
    x = np.random.default_rng(3).normal(size=(300, 2))
    found = accumulated_surface(
        lambda x: np.sin(x[:, 0]) + x[:, 1] ** 3, x, (0, 1), bins=12, fill=fill
    )
    assert (found.rows == 0).any()
    assert np.nanmax(np.abs(found.effect)) < 1e-12


def test_a_feature_that_is_not_used_has_no_effect():
    x = np.random.default_rng(4).random((100, 3))
    assert (accumulated_effect(product, x, 2).effect == 0.0).all()
    assert np.abs(accumulated_surface(product, x, (1, 2)).effect).max() < 1e-15


@given(st.integers(2, 60), st.integers(1, 15), st.integers(0, 1000))
def test_every_row_is_in_one_bin(n, bins, seed):
    x = np.round(np.random.default_rng(seed).normal(size=(n, 2)), 1)
    x[0, 0] = x[1, 0] + 1.0
    found = accumulated_effect(product, x, 0, bins=bins)
    assert found.rows.sum() == n
    assert found.edges[0] == x[:, 0].min()
    assert found.edges[-1] == x[:, 0].max()


def test_correlated_features_are_not_asked_where_there_are_no_rows():
    # f blows up where x1 and x2 differ, which they never do by much.
    x = np.random.default_rng(5).random((2000, 1)) + np.zeros((1, 2))
    x[:, 1] += 1e-3 * np.random.default_rng(6).normal(size=2000)

    def f(x):
        far = np.abs(x[:, 0] - x[:, 1]) > 0.2
        return x[:, 0] + 1e6 * far

    found = accumulated_effect(f, x, 0, bins=20)
    assert np.diff(found.effect) == pytest.approx(np.diff(found.edges), abs=1e-10)


def test_the_surface_without_filling_is_empty_where_nothing_was_seen():
    x = np.concatenate([grid(6) * 0.2, grid(6) * 0.2 + 0.8])
    found = accumulated_surface(product, x, (0, 1), bins=6, fill=False)
    assert np.isnan(found.effect[-1, 0])
    assert np.isfinite(found.effect[0, 0])


class Line:
    """Least squares, as a learner."""

    def fit(self, x, y):
        self.beta = np.linalg.lstsq(np.c_[np.ones(len(x)), x], y, rcond=None)[0]
        return self

    def predict(self, x):
        return np.c_[np.ones(len(x)), x] @ self.beta


def test_the_band_of_refits_holds_the_truth_about_as_often_as_it_says():
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(80, 2))
        y = 0.7 * x[:, 0] + rng.normal(size=80)
        band = refit_band(Line(), x, y, 0, bins=4, refits=60, seed=seed)
        truth = accumulated_effect(lambda x: 0.7 * x[:, 0], x, 0, edges=band.edges)
        held.append(band.low[0] <= truth.effect[0] <= band.high[0])
    assert 0.85 <= np.mean(held) <= 1.0


def test_a_band_that_resamples_groups_is_wider_where_rows_repeat():
    rng = np.random.default_rng(7)
    x = np.repeat(rng.normal(size=(20, 2)), 10, axis=0)
    y = x[:, 0] + np.repeat(rng.normal(size=20), 10)
    by_row = refit_band(Line(), x, y, 0, bins=4, refits=60)
    by_group = refit_band(
        Line(), x, y, 0, bins=4, refits=60, groups=np.repeat(np.arange(20), 10)
    )
    width = [np.max(band.high - band.low) for band in (by_row, by_group)]
    assert width[1] > 2 * width[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: accumulated_effect(product, x * [0, 1], 0), "does not vary"),
        (lambda x: accumulated_effect(product, x, 0, bins=0), "at least one bin"),
        (lambda x: accumulated_effect(product, x, 0, edges=[1, 0]), "must increase"),
        (lambda x: accumulated_surface(product, x, (1, 1)), "column 1 twice"),
        (lambda x: accumulated_effect(product, x * np.nan, 0), "missing"),
        (
            lambda x: refit_band(Line(), x, x[:, 0], 0, groups=np.zeros(len(x))),
            "one group only",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call(grid(5))
