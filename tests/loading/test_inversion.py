"""Inversion for mass: exact cases, honest errors, what each kind of rows adds."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading import (
    basin_rows,
    basin_table,
    cell_sources,
    choose_strength,
    disc_sources,
    green_functions,
    invert,
    line_of_sight_rows,
    penalty_matrix,
    station_rows,
)
from tilth.loading.inversion import build_system, solve, without_nuisances
from tilth.loading.simulated import made_up_earth

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def green():
    return green_functions(made_up_earth())


@pytest.fixture(scope="module")
def stations():
    return xr.Dataset(
        {
            "lat": ("station", [69.0, 69.9, 69.4, 69.6, 69.2]),
            "lon": ("station", [-50.6, -50.2, -50.9, -49.1, -48.7]),
        },
        {"station": list("ABCDE")},
    )


@pytest.fixture(scope="module")
def discs(green, stations):
    return disc_sources([69.2, 69.7], [-49.6, -49.9], 15e3, stations, green)


@pytest.fixture(scope="module")
def cells(green, stations):
    lat, lon = np.arange(69.05, 69.7, 0.1), np.arange(-50.0, -49.0, 0.25)
    grid = xr.DataArray(
        np.ones((lat.size, lon.size), bool), {"lat": lat, "lon": lon}, ("lat", "lon")
    )
    return cell_sources(grid, stations, green)


def moved_by(sources, load, stations, se=(0.2e-3, 0.2e-3, 0.6e-3), errors=None):
    """Displacements of stations by a load, with errors if drawn."""
    values = sources["response"].values[:3] @ load
    data = stations.copy()
    for k, name in enumerate(("east", "north", "up")):
        off = 0.0 if errors is None else errors[k]
        data[name] = ("station", values[k] + off, {"units": "m yr-1"})
        data[f"{name}_se"] = ("station", np.full(values.shape[1], se[k]))
    return data


def test_without_errors_and_penalty_the_load_comes_back(discs, stations):
    truth = np.array([-3.0, 1.5])
    rows = station_rows(moved_by(discs, truth, stations), discs)
    found = invert([rows], discs, strength=0.0)
    np.testing.assert_allclose(found["load"], truth, rtol=1e-9)
    np.testing.assert_allclose(found["total"], truth @ discs["mass"].values, rtol=1e-9)
    np.testing.assert_allclose(found["recovered"], 1.0, rtol=1e-9)
    np.testing.assert_allclose(found["load_se"], found["load_se_noise"], rtol=1e-9)
    assert float(found["misfit"]) < 1e-12
    assert found["total"].attrs["units"] == "Gt yr-1"


def test_millimetres_and_metres_give_the_same_mass(discs, stations):
    data = moved_by(discs, np.array([-3.0, 1.5]), stations)
    small = data.copy()
    for name in ("east", "north", "up"):
        small[name] = (data[name] * 1e3).assign_attrs(units="mm/yr")
        small[f"{name}_se"] = data[f"{name}_se"] * 1e3
    one, other = (invert([station_rows(d, discs)], discs) for d in (data, small))
    np.testing.assert_allclose(one["load"], other["load"], rtol=1e-8)
    np.testing.assert_allclose(one["total_se"], other["total_se"], rtol=1e-8)


def test_weights_are_those_of_generalised_least_squares(discs, stations):
    data = moved_by(discs, np.array([-3.0, 1.5]), stations)
    for name in ("east", "north", "up"):
        noise = 1e-3 * RNG(1).normal(size=5)
        data[name] = (data[name] + noise).assign_attrs(units="m")
    data["correlation_east_up"] = ("station", [0.5, -0.3, 0.0, 0.8, 0.1])
    data["up"][1] = np.nan
    rows = station_rows(data, discs)
    assert rows.values.size == 14
    assert "B up" not in rows.labels
    east_up = rows.covariance[rows.labels.index("A east"), rows.labels.index("A up")]
    assert east_up == pytest.approx(0.5 * 0.2e-3 * 0.6e-3)
    weight = np.linalg.inv(rows.covariance)
    normal = rows.matrix.T @ weight @ rows.matrix
    expected = np.linalg.solve(normal, rows.matrix.T @ weight @ rows.values)
    found = invert([rows], discs, strength=0.0)
    np.testing.assert_allclose(found["load"], expected, rtol=1e-8)
    se = np.sqrt(np.diag(np.linalg.inv(normal)))
    np.testing.assert_allclose(found["load_se"], se, rtol=1e-8)


def test_a_penalty_is_a_prior_and_both_errors_are_what_they_are_said_to_be(
    cells, stations
):
    rows = station_rows(moved_by(cells, np.zeros(28), stations), cells)
    system = build_system([rows], cells)
    prior = 2.0 * penalty_matrix(cells)
    solution = solve(system, prior)
    random = RNG(3)
    loads = np.linalg.solve(prior, random.standard_normal((28, 4000)))
    data = system.response @ loads + random.standard_normal((15, 4000))
    found = solution.gain @ data
    mass = cells["mass"].values
    off = mass @ (found - loads)
    assert off.std() == pytest.approx(
        np.sqrt(mass @ solution.covariance @ mass), rel=0.04
    )
    # Of one load that stays: scatter by noise alone, and a bias by the resolution.
    fixed = np.full(28, -1.0)
    data = (system.response @ fixed)[:, None] + random.standard_normal((15, 4000))
    totals = mass @ (solution.gain @ data)
    assert totals.std() == pytest.approx(
        np.sqrt(mass @ solution.noise @ mass), rel=0.04
    )
    expected = mass @ solution.resolution @ fixed
    assert totals.mean() == pytest.approx(expected, abs=4 * totals.std() / 63)
    assert abs(expected) < abs(mass @ fixed)


def test_recovered_says_how_much_of_a_cells_mass_the_total_shows(cells, stations):
    nothing = station_rows(moved_by(cells, np.zeros(28), stations), cells)
    for cell in (0, 13, 27):
        load = np.zeros(28)
        load[cell] = -2.0
        rows = station_rows(moved_by(cells, load, stations), cells)
        found = invert([rows], cells, strength=1.0)
        shown = float(found["total"]) / (-2.0 * float(cells["mass"][cell]))
        assert float(found["recovered"][cell]) == pytest.approx(shown, rel=1e-6)
    heavy, light = (
        invert([nothing], cells, strength=s)["recovered"] for s in (100.0, 0.1)
    )
    assert float(heavy.max()) < 0.2  # all is penalty: nothing is seen
    assert abs(light - 1.0).mean() < abs(heavy - 1.0).mean()


@pytest.mark.parametrize("how", ["likelihood", "gcv"])
def test_the_chosen_strength_is_the_best_of_its_rule(cells, stations, how):
    random = RNG(5)
    load = random.normal(size=28)
    errors = random.normal(size=(3, 5)) * np.array([[0.2e-3], [0.2e-3], [0.6e-3]])
    rows = station_rows(moved_by(cells, load, stations, errors=errors), cells)
    system = build_system([rows], cells)
    matrix = penalty_matrix(cells)
    chosen = choose_strength(system.response, system.observed, matrix, how).value

    def score(strength):
        if how == "gcv":
            gain = solve(system, strength * matrix).gain
            hat = system.response @ gain
            rest = system.observed - hat @ system.observed
            return -15 * rest @ rest / np.trace(np.eye(15) - hat) ** 2
        prior = np.linalg.inv(strength**2 * matrix.T @ matrix)
        whole = np.eye(15) + system.response @ prior @ system.response.T
        solved = np.linalg.solve(whole, system.observed)
        return -0.5 * (system.observed @ solved + np.linalg.slogdet(whole)[1])

    best = score(chosen)
    assert all(score(chosen * f) <= best + 1e-9 for f in (0.5, 0.9, 1.1, 2.0))


def test_the_corner_of_an_l_is_found():
    # Singular values of two sizes: keep the large, drop the small: the corner is
    # between, whatever the noise does.
    s = np.concatenate([np.full(5, 1e3), np.full(5, 1e-3)])
    data = np.concatenate([np.full(5, 1e3), np.full(5, 1.0)])
    found = choose_strength(np.diag(s), data, np.eye(10), "l-curve")
    assert 1e-2 < found.value < 1e2
    assert float(found.table["freedom"].sel(strength=found.value)) == pytest.approx(
        5, abs=0.01
    )


def test_roughness_is_the_laplacian(cells):
    matrix = penalty_matrix(cells, "roughness")
    lat, lon = cells["source_lat"].values, cells["source_lon"].values
    inner = (cells["row"] % 6 > 0) & (cells["column"] % 3 > 0)
    plane = 3.0 + 2.0 * (lat - 69.4) - 1.5 * (lon + 49.5)
    assert inner.sum() == 10
    # Of a plane nothing but what meridians that draw together leave.
    np.testing.assert_allclose((matrix @ plane)[inner], 0.0, atol=0.02)
    bowl = ((lat - 69.4) / 0.1) ** 2  # second difference of 2 along the rows
    height = np.radians(0.1) * 6.371e6
    expected = 2.0 * float(cells["area"].mean()) / height**2
    np.testing.assert_allclose((matrix @ bowl)[inner], -expected, rtol=0.03)
    assert np.linalg.cond(matrix) < 1e3


def test_a_shift_of_all_stations_costs_nothing_where_the_origin_is_unknown(
    discs, stations
):
    truth = np.array([-3.0, 1.5])
    data = moved_by(discs, truth, stations)
    data["up"] = (data["up"] + 0.05).assign_attrs(units="m yr-1")
    found = invert([station_rows(data, discs, origin_sd=np.inf)], discs, strength=0.0)
    np.testing.assert_allclose(found["load"], truth, rtol=1e-6)
    shift = found["nuisance"].sel(nuisance_name="origin up")
    assert float(shift) == pytest.approx(0.05, rel=1e-6)
    known = invert([station_rows(data, discs)], discs, strength=0.0)
    assert float(known["total_se"]) < float(found["total_se"])


def test_free_and_bounded_nuisances_are_part_of_the_errors(discs, stations):
    data = moved_by(discs, np.array([-3.0, 1.5]), stations)
    data["up"] = (data["up"] + 0.001).assign_attrs(units="m yr-1")
    for sd in (2e-3, np.inf):
        rows = station_rows(data, discs, origin_sd=sd)
        system = build_system([rows], discs)
        matrix = penalty_matrix(discs)
        whole = solve(system, 0.5 * matrix).gain[:2] @ system.observed
        a, d = without_nuisances(system, system.observed)
        assert a.shape[0] == (12 if sd == np.inf else 15)
        normal = a.T @ a + 0.25 * matrix.T @ matrix
        np.testing.assert_allclose(np.linalg.solve(normal, a.T @ d), whole, rtol=1e-8)


def test_rebound_is_taken_off_and_what_is_unknown_of_it_is_shared(discs, stations):
    truth = np.array([-3.0, 1.5])
    rebound = {"east": 0.3, "north": -0.2, "up": -1.5}  # mm
    data = moved_by(discs, truth, stations)
    gia = xr.Dataset()
    for name, rate in rebound.items():
        data[name] = (data[name] + rate / 1e3).assign_attrs(units="m yr-1")
        gia[name] = ("station", np.full(5, rate), {"units": "mm yr-1"})
        gia[f"{name}_se"] = ("station", np.full(5, 0.5))
    rows = station_rows(data, discs, gia=gia)
    found = invert([rows], discs, strength=0.0)
    np.testing.assert_allclose(found["load"], truth, rtol=1e-6)
    column = rows.nuisances["gia 1"].column
    np.testing.assert_allclose(column, 0.5e-3)
    whole = rows.covariance + np.outer(column, column)
    normal = rows.matrix.T @ np.linalg.solve(whole, rows.matrix)
    np.testing.assert_allclose(
        found["load_se"], np.sqrt(np.diag(np.linalg.inv(normal))), rtol=1e-6
    )


def test_the_spread_of_models_of_rebound_is_their_covariance(discs, stations):
    random = RNG(9)
    gia = xr.Dataset(
        {
            name: (("member", "station"), random.normal(size=(7, 5)), {"units": "mm"})
            for name in ("east", "north", "up")
        }
    )
    data = moved_by(discs, np.zeros(2), stations)
    for name in ("east", "north", "up"):
        data[name].attrs["units"] = "m"
    rows = station_rows(data, discs, gia=gia)
    columns = np.stack([n.column for n in rows.nuisances.values()], axis=1)
    members = np.concatenate([gia[n].values for n in ("east", "north", "up")], axis=1)
    np.testing.assert_allclose(columns @ columns.T, np.cov(members.T) * 1e-6)
    np.testing.assert_allclose(rows.values, -members.mean(axis=0) * 1e-3)


def test_a_basins_sum_ties_the_total(cells, stations):
    rows = station_rows(moved_by(cells, np.full(28, -1.0), stations), cells)
    basins = basin_table(cells, ["all"] * 28)
    truth = -float(cells["mass"].sum())
    seen = xr.Dataset(
        {
            "mass": ("basin", [truth], {"units": "Gt yr-1"}),
            "mass_se": ("basin", [0.01]),
        },
        {"basin": ["all"]},
    )
    alone = invert([rows], cells, strength=1.0, basins=basins)
    tied = invert(
        [rows, basin_rows(seen, basins, cells)], cells, strength=1.0, basins=basins
    )
    assert abs(float(tied["total"]) - truth) < 0.03
    assert float(tied["total_se"]) <= 0.01
    assert float(alone["total_se"]) > 5 * float(tied["total_se"])
    assert float(tied["basin_mass"][0]) == pytest.approx(float(tied["total"]))
    assert float(tied["recovered"].min()) > 0.95


def scene(green, seed=0, pixels=30):
    random = RNG(seed)
    look = random.normal(size=(3, pixels))
    look /= np.linalg.norm(look, axis=0)
    data = {
        "lat": random.uniform(69.0, 70.0, pixels),
        "lon": random.uniform(-51.0, -50.2, pixels),
        "displacement_se": np.full(pixels, 1e-3),
    }
    data |= {f"los_{c}": x for c, x in zip(("east", "north", "up"), look, strict=True)}
    seen = xr.Dataset({name: ("pixel", x) for name, x in data.items()})
    sources = disc_sources([69.2, 69.7], [-49.6, -49.9], 15e3, seen, green)
    return seen, sources, look


def test_a_line_of_sight_is_a_projection_and_a_ramp_costs_nothing(green):
    seen, sources, look = scene(green)
    truth = np.array([-3.0, 1.5])
    moved = sources["response"].values[:3] @ truth
    lat, lon = seen["lat"].values, seen["lon"].values
    along = (look * moved).sum(axis=0)
    seen["displacement"] = ("pixel", along, {"units": "m yr-1"})
    plain = line_of_sight_rows(seen, sources, ramp=-1)
    assert not plain.nuisances
    np.testing.assert_allclose(
        invert([plain], sources, strength=0.0)["load"], truth, rtol=1e-8
    )
    # A plane in space is one in latitude and longitude to the scene's size squared.
    tilted = along + 0.02 + 0.01 * np.sin(np.radians(lat - 69.5))
    tilted -= 0.01 * np.radians(lon + 50.6) * np.cos(np.radians(lat))
    seen["displacement"] = ("pixel", tilted, {"units": "m yr-1"})
    rows = line_of_sight_rows(seen, sources, ramp=1)
    assert list(rows.nuisances) == [f"line of sight x{i}y{j}" for i, j in
                                    ((0, 0), (0, 1), (1, 0))]  # fmt: skip
    found = invert([rows], sources, strength=0.0)
    np.testing.assert_allclose(found["load"], truth, rtol=2e-3)


def test_errors_of_neighbouring_pixels_are_linked_by_their_distance(green):
    seen, sources, _ = scene(green)
    seen["displacement"] = ("pixel", np.zeros(30), {"units": "m"})
    seen["lat"][1], seen["lon"][1] = seen["lat"][0] + 0.1, seen["lon"][0]
    rows = line_of_sight_rows(seen, sources, correlation_length=10e3)
    apart = np.radians(0.1) * 6.371e6
    assert rows.covariance[0, 1] == pytest.approx(1e-6 * np.exp(-apart / 10e3), 1e-5)
    np.testing.assert_allclose(np.diag(rows.covariance), 1e-6)


def test_what_does_not_fit_is_refused_by_name(green, discs, cells, stations):
    data = moved_by(discs, np.zeros(2), stations)
    with pytest.raises(InputError, match="very stations of the data"):
        station_rows(data.isel(station=slice(0, 3)), discs)
    with pytest.raises(InputError, match="undetermined"):
        invert([station_rows(moved_by(cells, np.zeros(28), stations), cells)], cells,
               strength=0.0)  # fmt: skip
    with pytest.raises(InputError, match="only cells of a grid have neighbours"):
        penalty_matrix(discs, "roughness")
    with pytest.raises(InputError, match="likelihood, gcv, l-curve"):
        invert([station_rows(data, discs)], discs, strength="eye")
    with pytest.raises(InputError, match="a strength is not negative"):
        invert([station_rows(data, discs)], discs, strength=-1.0)
    bad = data.copy()
    bad["up_se"] = ("station", [1.0, 1.0, 0.0, 1.0, 1.0])
    with pytest.raises(InputError, match="up of station C has no standard error"):
        station_rows(bad, discs)
    mixed = data.copy()
    mixed["up"].attrs["units"] = "mm yr-1"
    with pytest.raises(InputError, match="same units"):
        station_rows(mixed, discs)
    amounts = data.copy()
    for name in ("east", "north", "up"):
        amounts[name] = data[name].assign_attrs(units="m")
    both = [station_rows(data, discs), station_rows(amounts, discs, name="other")]
    with pytest.raises(InputError, match="all amounts or all rates"):
        invert(both, discs)
    with pytest.raises(InputError, match="nothing to invert"):
        invert([], discs)
    seen, sources, _ = scene(green)
    seen["displacement"] = ("pixel", np.zeros(30), {"units": "m"})
    seen["los_up"] = seen["los_up"] * 2.0
    with pytest.raises(InputError, match="unit vector"):
        line_of_sight_rows(seen, sources)
