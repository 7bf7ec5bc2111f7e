"""Figures of a skill card show what the card says, for few cells and for many."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from tilth.core.errors import InputError
from tilth.land.skill import VERDICTS
from tilth.land.skill_plots import (
    plot_hydrographs,
    plot_scatter,
    plot_skill,
    plot_training,
)


def card(cells, places=True, refused=()):
    rng = np.random.default_rng(0)
    shape = (2, cells)
    nse = rng.uniform(0.7, 0.99, shape)
    data = {
        "nse": nse,
        "nse_lower": nse - 0.05,
        "nse_upper": nse + 0.01,
        "climatology_nse": np.full(shape, 0.6),
        "persistence_nse": np.full(shape, 0.95),
        "skill": (nse - 0.6) / 0.4,
        "verdict": np.zeros(shape, np.int8),
    }
    made = xr.Dataset(
        {name: (("variable", "cell"), values) for name, values in data.items()},
        coords={"variable": ["snow", "runoff"], "cell": np.arange(cells)},
        attrs={"interval": 0.9, "test_period": "a to b", "train_period": "c to d"},
    )
    for i in refused:
        made["verdict"][1, i] = VERDICTS["not_accepted"]
    if places:
        made = made.assign_coords(
            lat=("cell", 40 + np.arange(cells) // 10 * 0.5),
            lon=("cell", 5 + np.arange(cells) % 10 * 0.5),
        )
    return made


@pytest.fixture
def drawn(monkeypatch):
    """Collect what is plotted: label -> ordinates of all panels."""
    seen = {}

    def watch(name):
        original = getattr(Axes, name)

        def wrapped(self, *args, **kwargs):
            seen.setdefault(kwargs.get("label") or name, []).append((args, kwargs))
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Axes, name, wrapped)

    for name in ("plot", "scatter", "hexbin"):
        watch(name)
    return seen


def test_few_cells_are_points_with_the_refused_ringed(drawn):
    figure = plot_skill(card(9, refused=[4]))
    points = drawn["emulator, 90 % interval"]
    assert len(points) == 2
    np.testing.assert_allclose(points[1][0][1], card(9)["nse"][1])
    (ring,) = drawn["not accepted"]
    assert list(ring[0][0]) == [4]
    assert "1 points lie below" in figure.alt


def test_many_cells_are_a_map_with_the_still_ones_grey(drawn):
    made = card(60)
    made["verdict"][0, :5] = VERDICTS["near_constant"]
    plot_skill(made)
    coloured, grey, *_ = drawn["scatter"]
    np.testing.assert_allclose(coloured[1]["c"], made["skill"][0])
    np.testing.assert_allclose(grey[0][0], made["lon"][:5])


def test_many_cells_without_a_place_are_sorted(drawn):
    plot_skill(card(60, places=False))
    ((args, _),) = drawn["snow water equivalent"]
    assert (np.diff(args[1]) >= 0).all()
    assert args[1].size == 60


@pytest.fixture
def run():
    """One year of a run, its targets and its training years, two cells."""
    time = xr.date_range("2000-01-01", "2002-12-31")
    base = np.sin(np.arange(len(time)) / 58)[:, None] * np.array([1.0, 2.0])
    names = ("snow", "soil", "runoff")
    whole = xr.Dataset(
        {n: (("time", "cell"), 100 + 10 * base, {"units": "mm"}) for n in names},
        coords={"time": time},
    )
    targets = whole.sel(time="2002")
    return targets + 1, targets, whole.sel(time=slice("2000", "2001"))


def test_hydrographs_show_the_run_the_land_model_and_climatology(run, drawn):
    output, targets, train = run
    figure = plot_hydrographs(output, targets, train, cell=1)
    assert {len(drawn[k]) for k in ("land model", "emulator", "climatology")} == {3}
    (args, _) = drawn["emulator"][0]
    np.testing.assert_allclose(args[1], output["snow"][:, 1])
    assert figure.name == "hydrographs_1"


def test_a_models_calendar_can_be_drawn(run):
    output, targets, _ = run
    for calendar in ("360_day", "noleap"):
        kept = [
            part.convert_calendar(calendar, align_on="date", use_cftime=True)
            for part in (output, targets)
        ]
        assert plot_hydrographs(*kept, cell=0).png


def test_a_cell_that_is_not_there_is_refused(run):
    output, targets, _ = run
    with pytest.raises(InputError, match="there is no cell 7: 2 cells"):
        plot_hydrographs(output, targets, cell=7)
    with pytest.raises(InputError, match="none of wetland"):
        plot_hydrographs(output, targets, variables=("wetland",))


def test_the_scatter_holds_every_day_and_cell_that_has_both(run, drawn):
    output, targets, _ = run
    output = output.copy(deep=True)
    output["snow"][:10, 0] = np.nan
    plot_scatter(output, targets)
    sizes = [args[0].size for args, _ in drawn["hexbin"]]
    assert sizes == [2 * 365 - 10, 730, 730]


def test_the_effect_of_training_is_drawn_from_few_years_to_many(drawn):
    base = card(9)
    effect = xr.concat(
        [base.assign(nse=base["nse"] * f, years=y) for y, f in ((20, 1), (5, 0.5))],
        dim="training",
        data_vars="all",
    )
    plot_training(effect)
    (args, _), *_ = drawn["emulator, median"]
    assert args[0].tolist() == [5, 20]
    assert args[1][0] == pytest.approx(0.5 * args[1][1])
