"""Maps and animations show the numbers they are given, where they lie."""

import io

import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from PIL import Image

from tilth.core.errors import InputError
from tilth.core.plotting import figure
from tilth.rivers.floods import animate_flood, on_grid, plot_maps, write_animation
from tilth.rivers.floods.maps import draw_map
from tilth.rivers.network.model import RiverNetwork


@pytest.fixture
def network():
    """Five catchments in a row of three and one of two; the last is the mouth."""
    places = {"lat": [10.5] * 3 + [9.5] * 2, "lon": [1.5, 2.5, 3.5, 1.5, 2.5]}
    return RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", [3, 4, 4, 4, -1]),
                "area": ("catchment", np.full(5, 1e8), {"units": "m2"}),
                "row": ("catchment", [0, 0, 0, 1, 1]),
                "column": ("catchment", [0, 1, 2, 0, 1]),
            },
            coords={k: ("catchment", v) for k, v in places.items()},
            attrs={"grid_rows": 2, "grid_columns": 4},
        )
    )


def along(values, **attrs):
    dims = ("time", "catchment")[-np.ndim(values) :]
    return xr.DataArray(np.asarray(values, float), dims=dims, attrs=attrs)


def days(values):
    time = np.datetime64("2019-03-01", "ns") + np.arange(len(values)) * np.timedelta64(
        1, "D"
    )
    return along(values, units="1").assign_coords(time=time)


def test_catchments_lie_on_the_grid_of_their_map(network):
    grid = on_grid(network, along([[1, 2, 3, 4, 5], [6, 7, 8, 9, 0]]))
    assert grid.dims == ("time", "row", "column")
    assert grid.shape == (2, 2, 4)
    np.testing.assert_array_equal(grid[0], [[1, 2, 3, np.nan], [4, 5, np.nan, np.nan]])
    np.testing.assert_array_equal(grid["lat"], [10.5, 9.5])
    np.testing.assert_array_equal(grid["lon"], [1.5, 2.5, 3.5, np.nan])


def test_a_map_fills_each_catchment_with_the_colour_of_its_number(network):
    _, ax = figure()
    filled = draw_map(ax, network, along([0.0, 0.5, 1.0, np.nan, 0.2]), (0, 1), "Blues")
    filled.update_scalarmappable()
    colours = filled.get_facecolor()
    expected = colormaps["Blues"]([0.0, 0.5, 1.0])
    np.testing.assert_allclose(colours[:3], expected)
    assert colours[3][0] == colours[3][1] == colours[3][2]  # grey: no number
    centres = np.array([p.vertices[:4].mean(axis=0) for p in filled.get_paths()])
    np.testing.assert_allclose(centres[:, 0], network.data["lon"])
    np.testing.assert_allclose(centres[:, 1], network.data["lat"])


def test_rivers_are_drawn_from_each_catchment_to_the_next(network):
    _, ax = figure()
    draw_map(ax, network, along(np.zeros(5)), (0, 1), "Blues")
    lines = [tuple(map(tuple, line)) for line in ax.collections[1].get_segments()]
    assert ((1.5, 10.5), (1.5, 9.5)) in lines
    assert len(lines) == 4


def test_maps_stand_side_by_side_with_their_difference(network):
    first = along([0.1, 0.2, 0.3, 0.4, 0.5], units="1")
    found = plot_maps(
        network,
        {"ours": first, "theirs": first + 1e-5},
        name="two",
        label="share under water",
        caption="Peak.",
        difference=("ours", "theirs"),
    )
    assert found.alt.startswith("3 maps of share under water: ours, theirs")
    assert "0.5" in found.alt
    assert found.width > 1000
    single = plot_maps(network, {"one": first}, name="one", label="x", caption="")
    assert single.alt.startswith("1 maps")


def test_an_animation_has_a_frame_per_day_and_shows_the_peak_where_nothing_moves(
    network, tmp_path
):
    share = days([[0, 0, 0, 0, 0], [0, 0, 0, 0.2, 0.9], [0, 0, 0, 0, 0.3]])
    flow = xr.DataArray([1.0, 9.0, 4.0], dims="time", coords={"time": share["time"]})
    found = animate_flood(network, share, discharge=flow, dpi=50)
    assert "2019-03-02" in found.alt
    assert "110 square kilometres" in found.alt
    with Image.open(io.BytesIO(found.png)) as film:
        assert film.default_image
        assert film.n_frames == 4  # the still image, then three days
        frames = []
        for i in range(4):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB"), int))
    np.testing.assert_array_equal(frames[0], frames[2])
    # The flooded days are darker, the second the most.
    blue = [(255 - frame[..., 0]).sum() for frame in frames[1:]]
    assert blue[1] > blue[2] > blue[0]
    gif = write_animation(found, tmp_path / "flood.gif")
    with Image.open(gif) as film:
        assert film.format == "GIF"
        assert film.n_frames == 3
        assert film.info["loop"] == 0
    png = write_animation(found, tmp_path / "flood.png")
    assert png.read_bytes() == found.png


def test_what_cannot_be_drawn_is_refused(network, tmp_path):
    with pytest.raises(InputError, match="5 catchments"):
        on_grid(network, along([1.0, 2.0]))
    with pytest.raises(InputError, match="lacks row"):
        on_grid(RiverNetwork(network.data.drop_vars("row")), along(np.zeros(5)))
    with pytest.raises(InputError, match="'a' needs one value per catchment"):
        plot_maps(network, {"a": along([1.0])}, name="a", label="", caption="")
    bare = RiverNetwork(network.data.drop_vars(["lat", "lon"]))
    with pytest.raises(InputError, match="lat and lon"):
        plot_maps(bare, {"a": along(np.zeros(5))}, name="a", label="", caption="")
    with pytest.raises(InputError, match="two times at least"):
        animate_flood(network, days([[0.0] * 5]))
    share = days([[0.0] * 5, [1.0] * 5])
    with pytest.raises(InputError, match="same times"):
        animate_flood(network, share, discharge=share[:1, 0])
    found = animate_flood(network, share, dpi=40)
    with pytest.raises(InputError, match=r"ends in \.gif or \.png"):
        write_animation(found, tmp_path / "flood.mp4")
