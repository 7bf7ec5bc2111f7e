"""Figures of scores: what is drawn is what was computed."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.report import Figure
from tilth.stats.scores import rank_histogram, reliability, roc
from tilth.stats.scores.plots import (
    plot_rank_histograms,
    plot_reliability,
    plot_roc,
    plot_skill_by_lead,
)


@pytest.fixture
def axes(monkeypatch):
    """Keep the axes of the last figure, which is drawn all the same."""
    kept = []
    draw = Figure.draw.__func__

    def keep(cls, name, figure, caption, alt):
        kept[:] = figure.axes
        result = draw(cls, name, figure, caption, alt)
        assert len(result.png) > 5000
        return result

    monkeypatch.setattr(Figure, "draw", classmethod(keep))
    return kept


def forecasts(seed=0, n=400):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 11, n) / 10
    o = rng.uniform(size=n) < p**2
    return xr.DataArray(p, dims="case"), xr.DataArray(o, dims="case")


def test_the_curve_of_reliability_and_all_its_cases_are_drawn(axes):
    found = reliability(*forecasts(), draws=50)
    result = plot_reliability({"raw": found, "again": found})
    assert len(axes) == 4
    line = axes[0].lines[1]
    np.testing.assert_array_equal(line.get_ydata(), found["calibrated"])
    np.testing.assert_array_equal(line.get_xdata(), found["forecast"])
    assert [bar.get_height() for bar in axes[2].patches] == list(found["count"])
    assert f"{float(found['miscalibration']):.4f}" in result.alt
    assert "calibrated forecast would lie, 90 %" in result.caption
    other = reliability(*forecasts(), band="confidence", draws=50, level=0.8)
    assert "other cases would lie, 80 %" in plot_reliability({"raw": other}).caption


def test_many_different_forecasts_are_counted_in_bins(axes):
    rng = np.random.default_rng(2)
    p = xr.DataArray(rng.uniform(size=300), dims="case")
    plot_reliability({"raw": reliability(p, p > 0.5, draws=2)})
    assert sum(bar.get_height() for bar in axes[1].patches) == 300
    assert len(axes[1].patches) == 20


def test_the_curve_of_hits_is_drawn_with_its_area(axes):
    found = roc(*forecasts())
    result = plot_roc({"raw": found})
    np.testing.assert_array_equal(axes[0].lines[1].get_ydata(), found["hit_rate"])
    area = f"raw, {float(found['area']):.3f}"
    assert area in [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert f"{float(found['area']):.3f}" in result.alt


def test_bars_of_ranks_are_shares_beside_the_range_of_chance(axes):
    rng = np.random.default_rng(1)
    members = xr.DataArray(rng.normal(size=(500, 4)), dims=("case", "member"))
    seen = xr.DataArray(2 * rng.normal(size=500), dims="case")
    counts = rank_histogram(members, seen)["count"]
    result = plot_rank_histograms({"wide": counts, "same": counts})
    bars = [bar.get_height() for bar in axes[0].patches if bar.get_width() == 0.9]
    np.testing.assert_allclose(bars, counts / 500)
    band = next(p for p in axes[0].patches if p.get_width() != 0.9)
    # Binomial(500, 1/5): 85 to 115 with a tail of 5 % on either side.
    assert band.get_y() == pytest.approx(85 / 500)
    assert band.get_y() + band.get_height() == pytest.approx(115 / 500)
    assert f"wide {float((counts[0] + counts[-1]) / 500):.2f}" in result.alt


def test_markers_are_full_where_the_skill_is_significant(axes):
    lead = np.arange(1, 5)
    skill = xr.Dataset(
        {
            "skill": ("lead", [0.5, 0.3, 0.1, -0.1]),
            "lower": ("lead", [0.4, 0.2, -0.1, -0.3]),
            "upper": ("lead", [0.6, 0.4, 0.3, 0.1]),
            "significant": ("lead", [True, True, False, False]),
        },
        {"lead": lead},
    )
    plain = skill[["skill"]]
    result = plot_skill_by_lead({"ours": skill, "theirs": plain}, score="CRPSS")
    zero, line, full, empty, other = axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), skill["skill"])
    assert full.get_xdata().tolist() == [1, 2]
    assert empty.get_xdata().tolist() == [3, 4]
    assert empty.get_markerfacecolor() == "white"
    np.testing.assert_array_equal(other.get_ydata(), skill["skill"])
    assert zero.get_ydata() == [0.0, 0.0]
    assert "ours from 0.50 to -0.10" in result.alt
    assert "significant" in result.caption
    assert "significant" not in plot_skill_by_lead({"t": plain}, score="r").caption


def test_results_of_another_kind_are_refused():
    p, o = forecasts()
    with pytest.raises(InputError, match="nothing to draw"):
        plot_reliability({})
    with pytest.raises(InputError, match=r"result of tilth\.stats\.roc"):
        plot_roc({"raw": reliability(p, o, draws=2)})
    drawn, refitted = (reliability(p, o, band=b) for b in ("confidence", "consistency"))
    with pytest.raises(InputError, match="one kind of band"):
        plot_reliability({"a": drawn, "b": refitted})
    grid = p.expand_dims(place=2), o.expand_dims(place=2)
    with pytest.raises(InputError, match="curves along place"):
        plot_roc({"raw": roc(*grid, dim="case")})
    with pytest.raises(InputError, match="rank"):
        plot_rank_histograms({"none": xr.DataArray([0, 0], dims="rank")})
    with pytest.raises(InputError, match="needs one"):
        plot_rank_histograms({})
    with pytest.raises(InputError, match="along lead alone"):
        plot_skill_by_lead({"x": xr.Dataset({"skill": ("week", [0.1])})}, score="RPSS")
