"""The closure page: it shows what was fitted and says why."""

import numpy as np
import pytest

from tilth.chambers import plots
from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.simulate.fleet import simulate_closures
from tilth.core.errors import InputError


@pytest.fixture(scope="module")
def pair():
    closures = simulate_closures(3, 61, flux=2.0, k=0.006, noise=1.0, seed=3)
    return closures, fluxes(closures, "co2", FluxSettings(dead_band=24.0))


def texts(figure):
    return "\n".join(t.get_text() for axis in figure.axes for t in axis.texts)


def test_open_points_are_those_of_the_dead_band(pair):
    closures, fitted = pair
    page = plots.plot_closure(closures, fitted, str(fitted["closure"].values[0]))
    solid, hollow = page.axes[0].lines[:2]
    assert hollow.get_xdata().max() < 24.0 <= solid.get_xdata().min()


def test_the_curve_drawn_is_the_curve_of_the_flux(pair):
    closures, fitted = pair
    one = fitted.isel(closure=0)
    page = plots.plot_closure(closures, fitted, str(one["closure"].item()))
    curve = next(
        line for line in page.axes[0].lines if line.get_label() == "exponential (HM)"
    )
    x, y = curve.get_data()
    slope = (y[1] - y[0]) / (x[1] - x[0])
    assert slope * one["amount"].item() == pytest.approx(
        one["flux_hm"].item(), rel=1e-2
    )


def test_the_curve_of_a_shared_rate_is_drawn_too():
    closures = simulate_closures(2, 61, flux=2.0, k=0.006, noise=1.0, seed=3)
    closures["shared_kappa"] = ("closure", [0.006, 0.006], {"units": "s-1"})
    closures["shared_kappa_se"] = ("closure", [0.1, 0.1], {"units": "1"})
    settings = FluxSettings(models=("pooled",), select="pooled")
    fitted = fluxes(closures, "co2", settings)
    page = plots.plot_closure(closures, fitted, str(fitted["closure"].values[0]))
    labels = {line.get_label() for line in page.axes[0].lines}
    assert "shared curvature" in labels


def test_the_page_tells_flux_choice_and_flags(pair):
    closures, fitted = pair
    words = texts(
        plots.plot_closure(closures, fitted, str(fitted["closure"].values[0]))
    )
    assert f"{fitted['flux'].values[0]:.4g}" in words
    assert "chosen: exponential" in words
    assert "flags:" in words


def test_a_closure_without_a_flux_still_has_its_page(pair):
    closures, _ = pair
    empty = closures.copy(deep=True)
    empty["co2"][:] = np.nan
    fitted = fluxes(empty)
    words = texts(plots.plot_closure(empty, fitted, str(fitted["closure"].values[0])))
    assert "too few points" in words


def test_an_unknown_closure_and_a_wrong_ending_are_refused(pair, tmp_path):
    closures, fitted = pair
    with pytest.raises(InputError, match="no closure 'x'"):
        plots.plot_closure(closures, fitted, "x")
    with pytest.raises(InputError, match=r"\.pdf"):
        plots.plot_closures(closures, fitted, tmp_path / "pages.png")


def test_a_pdf_holds_one_page_per_closure(pair, tmp_path):
    path = tmp_path / "pages.pdf"
    assert plots.plot_closures(*pair, path) == 3
    assert b"/Count 3" in path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["pages.pdf"]
