"""The spectrum beside a fit, and its figure."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.plotting import save
from tilth.gnss.positions import (
    NoiseValues,
    Trajectory,
    fit_trajectory,
    plot_velocity,
    residual_spectrum,
    simulate_noise,
)


@pytest.fixture(scope="module")
def position():
    noise = simulate_noise(NoiseValues(1e-3, [4e-3], [1.0]), 1500, seed=1)
    noise += 5e-3 * np.arange(1500) / 365.25
    time = np.datetime64("2010-01-01T12", "ns") + np.arange(1500) * np.timedelta64(
        1, "D"
    )
    data = xr.DataArray(
        noise, dims="time", coords={"time": time}, attrs={"units": "m"}, name="up"
    )
    return data.where(np.random.default_rng(1).random(1500) < 0.95)


def test_residuals_lie_in_the_range_of_the_right_noise_and_not_of_a_wrong_one(position):
    right = residual_spectrum(fit_trajectory(position, None, "flicker"))
    wrong = residual_spectrum(fit_trajectory(position, None, "white"))

    def inside(spectrum):
        good = (spectrum["power"] > spectrum["lower"]) & (
            spectrum["power"] < spectrum["upper"]
        )
        return float(good[1:].mean())  # the first band is where the trend was taken

    assert inside(right) > 0.8
    assert inside(wrong) < 0.6


def test_the_power_of_white_residuals_adds_up_to_their_variance(position):
    rng = np.random.default_rng(2)
    white = position.fillna(0) * 0 + 1e-3 * rng.standard_normal(1500)
    white.attrs["units"] = "m"
    spectrum = residual_spectrum(fit_trajectory(white, Trajectory(periods=()), "white"))
    assert spectrum["modelled"].values == pytest.approx(2e-6 / 365.25, rel=0.15)
    assert spectrum["power"].values[-6:] == pytest.approx(2e-6 / 365.25, rel=0.35)
    with pytest.raises(InputError, match="at least 2"):
        residual_spectrum(fit_trajectory(white, Trajectory(periods=()), "white"), 1)


def test_the_figure_has_units_on_its_axes_and_the_rate_in_its_title(position, tmp_path):
    fig = plot_velocity(fit_trajectory(position, None, "flicker"))
    above, below = fig.axes
    assert above.get_ylabel() == "up (mm)"
    assert "Rate " in above.get_title(loc="left")
    assert "mm/yr, 95 % interval" in above.get_title(loc="left")
    assert below.get_xlabel() == "frequency (cycles per year)"
    assert below.get_ylabel() == "power (mm² yr)"
    assert "flicker" in below.get_title(loc="left")
    assert save(fig, tmp_path / "velocity.png").stat().st_size > 10_000
