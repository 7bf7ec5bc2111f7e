import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colors, rcParams

from tilth.core.errors import InputError
from tilth.core.plotting import COLOURS, band, figure, points, save, style

# Machado, Oliveira and Fernandes (2009), IEEE TVCG 15: full dichromacy, linear RGB
DEFICIENCIES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def lab(rgb, deficiency):
    """CIE L*a*b* (D65) of a colour as seen with a deficiency."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(deficiency @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("name", DEFICIENCIES)
def test_any_two_colours_differ_for_every_kind_of_colour_vision(name):
    seen = [lab(np.array(colors.to_rgb(c)), DEFICIENCIES[name]) for c in COLOURS]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 10  # CIE 1976; 2.3 is just noticeable


def test_the_style_holds_inside_its_context_and_nowhere_else():
    before = rcParams["axes.spines.top"], rcParams["axes.prop_cycle"]
    with style():
        assert rcParams["axes.prop_cycle"].by_key()["color"] == list(COLOURS)
        assert not rcParams["axes.spines.top"]
    assert (rcParams["axes.spines.top"], rcParams["axes.prop_cycle"]) == before


def test_a_band_is_as_wide_as_the_interval_and_has_the_colour_of_its_line():
    with style():
        _, ax = figure()
        band(ax, [0, 1], [10.0, 20.0], [1.0, 2.0], coverage=2.0, label="flux")
        band(ax, [0, 1], [0.0, 0.0], [1.0, 1.0])
    low, high = ax.collections[0].get_paths()[0].get_extents().intervaly
    assert (low, high) == (8.0, 24.0)
    assert [line.get_color() for line in ax.lines] == list(COLOURS[:2])
    for line, area in zip(ax.lines, ax.collections, strict=True):
        np.testing.assert_array_equal(
            area.get_facecolor()[0, :3], colors.to_rgb(line.get_color())
        )


def test_points_carry_bars_of_95_percent_and_gaps_stay_gaps():
    with style():
        _, ax = figure()
        points(ax, [0, 1, 2], [1.0, np.nan, 3.0], [0.5, 0.5, np.nan])
    first = ax.collections[0].get_segments()[0]
    np.testing.assert_allclose(first[:, 1], [1 - 0.98, 1 + 0.98], atol=1e-3)


@pytest.mark.parametrize("draw", [band, points])
def test_a_negative_standard_error_is_refused(draw):
    _, ax = figure()
    with pytest.raises(InputError, match="cannot be negative, got -1"):
        draw(ax, [0, 1], [1.0, 2.0], [0.5, -1.0])


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_figure_gives_the_same_file(tmp_path, suffix):
    files = []
    for name in ("first", "second"):
        with style():
            fig, ax = figure(height=2)
            band(ax, [0, 1], [1.0, 2.0], [0.1, 0.1], label="flux")
            ax.legend()
            files.append(save(fig, tmp_path / name / f"flux{suffix}"))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 1000


def test_another_format_is_refused_before_a_folder_is_made(tmp_path):
    fig, _ = figure()
    with pytest.raises(InputError, match=r"flux\.jpg"):
        save(fig, tmp_path / "new" / "flux.jpg")
    assert not (tmp_path / "new").exists()


def test_panels_come_as_an_array_and_pass_on_their_options():
    fig, axes = figure(2, 3, height=4, sharex=True)
    assert axes.shape == (2, 3)
    assert fig.get_size_inches()[1] == 4
    axes[0, 0].set_xlim(0, 7)
    assert axes[1, 0].get_xlim() == (0, 7)


def test_a_figure_needs_no_display_and_leaves_none_open(tmp_path):
    """In a fresh process that has no display and asks for a window."""
    program = f"""
import sys
from tilth.core.plotting import band, figure, save, style
with style():
    fig, ax = figure()
    band(ax, [0, 1], [1, 2], [1, 1])
    save(fig, {str(tmp_path / "figure.png")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {
        "PATH": "/usr/bin:/bin",
        "MPLBACKEND": "TkAgg",
        "HOME": str(tmp_path),
    }
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=environment, cwd=tmp_path
    )
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
