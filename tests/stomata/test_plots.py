"""Figures of the stomata room: what is drawn is what was computed."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.plotting import save
from tilth.ml.effects import Effect, EffectSurface
from tilth.ml.importance import Importance
from tilth.stomata.plots import (
    plot_effects,
    plot_errors,
    plot_excess,
    plot_importance,
    plot_predictions,
    plot_scores,
    plot_surfaces,
)

NAMES = ("light", "deficit", "temperature_difference")


@pytest.fixture
def drawn(tmp_path):
    """Return a function that makes sure a figure can be written."""

    def write(figure):
        assert save(figure, tmp_path / "figure.png").stat().st_size > 5000
        return figure

    return write


def importance(scale=1.0):
    spread = np.array([-0.01, 0.0, 0.01])
    mean = scale * np.array([0.02, 0.05, 0.03])
    return Importance(NAMES, 0.04, mean[:, None] + spread)


def effect(banded=True):
    edges = np.array([-1.0, 0.0, 0.5, 2.0])
    values = np.array([0.1, 0.0, -0.02, -0.05])
    reach = (values - 0.03, values + 0.03) if banded else (None, None)
    return Effect(edges, values, np.array([5, 9, 4]), np.full(3, 0.01), *reach)


def result():
    observed = np.linspace(0.1, 0.5, 6)
    predicted = np.stack([observed + 0.02, observed - 0.01])[None, :, None, :]
    asked = np.concatenate([predicted, np.full_like(predicted, np.nan)], axis=2)
    asked[0, 1, 1] = observed
    scores = 1 - ((asked - observed) ** 2).mean(axis=-1) / observed.var()
    leaves = xr.Dataset(
        {
            "conductance": ("observation", observed),
            "temperature_difference": ("observation", np.linspace(-1, 1, 6)),
        }
    )
    found = xr.Dataset(
        {
            "predicted": (("split", "learner", "experiment", "observation"), asked),
            "r_squared": (("split", "learner", "experiment"), scores),
            "rmse": (("split", "learner", "experiment"), scores),
        },
        {"split": ["shuffled"], "learner": ["a", "b"], "experiment": ["E2", "E4"]},
    )
    return found, leaves


def errors():
    rows = [
        (name, "E1", low, low + 1, 4.0, value, 0.01)
        for name, value in (("a", 0.1), ("b", 0.2))
        for low in (-1.0, 0.0)
    ]
    columns = ["learner", "experiment", "low", "high", "n", "rmse", "rmse_se"]
    return pd.DataFrame(rows, columns=columns)


def test_bars_are_as_long_as_the_importance_and_the_largest_is_on_top(drawn):
    panels = {"forest": {"measured": importance(), "null world": importance(0.5)}}
    ax = drawn(plot_importance(panels)).axes[0]
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["light", "temperature difference", "vapour deficit"]
    lengths = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(lengths[:3], [0.02, 0.03, 0.05])
    np.testing.assert_allclose(lengths[3:], [0.01, 0.015, 0.025])
    assert ax.patches[0].get_y() > ax.patches[3].get_y()
    assert "mol m" in ax.get_xlabel()
    percent = plot_importance(panels, percent=True).axes[0]
    np.testing.assert_allclose(percent.patches[2].get_width(), 125.0)
    assert "%" in percent.get_xlabel()


def test_bars_of_other_features_do_not_stand_side_by_side():
    other = Importance(("rain", *NAMES[1:]), 0.04, importance().increase)
    with pytest.raises(InputError, match="rain"):
        plot_importance({"forest": {"a": importance(), "b": other}})


def test_effects_carry_their_band_only_where_there_is_one(drawn):
    panels = {"forest": {"measured": effect(), "null world": effect(banded=False)}}
    ax = drawn(plot_effects(panels)).axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), effect().effect)
    assert len(ax.collections) == 1
    assert "(K)" in ax.get_xlabel()
    assert "mol m" in ax.get_ylabel()


def test_a_surface_shows_own_effect_and_interaction_together(drawn):
    edges = (np.array([-1.0, 0.0, 2.0]), np.array([0.0, 1.0, 4.0]))
    rows = np.array([[3, 0], [2, 5]])
    surface = EffectSurface(edges, np.arange(9.0).reshape(3, 3) / 100, rows)
    ax = drawn(plot_surfaces({"light": surface}, effect(), {"light": "1"})).axes[0]
    corners = effect()(edges[0])[:, None] + surface.effect
    shown = np.asarray(ax.collections[0].get_array()).reshape(2, 2)
    assert shown[0, 1] == pytest.approx(corners[1:, :2].mean())
    cross = ax.lines[0]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (-0.5, 2.5)


def test_lines_of_errors_have_their_numbers_of_rows(drawn):
    unknown = errors().assign(n=np.nan)
    asked = [("a", "E1"), ("b", "E1"), ("c", "E1")]
    figure = drawn(plot_errors({"ours": errors(), "slides": unknown}, asked))
    ours, slides = figure.axes
    assert [t.get_text() for t in ours.get_xticklabels()] == [
        "-1\nto 0\n(4)",
        "0\nto 1\n(4)",
    ]
    assert "(" not in slides.get_xticklabels()[0].get_text()
    assert [t.get_text() for t in ours.get_legend().get_texts()] == ["a, E1", "b, E1"]
    np.testing.assert_allclose(ours.lines[0].get_ydata(), 0.1)
    with pytest.raises(InputError, match="none of the lines"):
        plot_errors({"ours": errors()}, [("c", "E1")])


def test_clouds_are_predicted_across_and_observed_up(drawn):
    found, leaves = result()
    figure = drawn(plot_predictions(found, leaves, [("a", "E2"), ("b", "E4")]))
    points = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0] - points[:, 1], 0.02)
    assert "R² 1.00" in figure.axes[1].get_title(loc="left")
    with pytest.raises(InputError, match="not asked"):
        plot_predictions(found, leaves, [("a", "E4")])


def test_scores_leave_out_what_was_not_asked(drawn):
    found, _ = result()
    ax = drawn(plot_scores({"measured": found}, split="shuffled")).axes[0]
    assert [len(line.get_ydata()) for line in ax.lines] == [1, 2]
    with pytest.raises(InputError, match="choose one"):
        plot_scores({"measured": found})


def test_a_number_stands_over_the_interval_of_its_null_worlds(drawn):
    table = pd.DataFrame(
        {"name": ["x", "y"], "value": [0.3, 0.1], "null_mean": [0.1, 0.1],
         "null_low": [0.0, 0.05], "null_high": [0.2, 0.15]}
    )  # fmt: skip
    ax = drawn(plot_excess({"shuffled": table}, "gain")).axes[0]
    segments = ax.collections[0].get_segments()
    np.testing.assert_allclose(segments[0], [[0.0, 1.0], [0.2, 1.0]])
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [0.3, 0.1])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x", "y"]


@pytest.mark.parametrize("plot", [plot_importance, plot_effects, plot_scores])
def test_nothing_is_not_drawn(plot):
    for nothing in ({}, {"forest": {}}):
        with pytest.raises(InputError, match="draw"):
            plot(nothing)
    with pytest.raises(InputError, match="draw"):
        plot_surfaces({}, effect(), {})
    with pytest.raises(InputError, match="draw"):
        plot_predictions(*result(), [])
