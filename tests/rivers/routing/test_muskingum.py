"""Muskingum routing: RAPID's numbers, waves as k and x say, no water lost."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.muskingum import route_muskingum
from tilth.rivers.routing.muskingum_kernel import BLOCK, sweep_of

HOUR = 3600.0


def network_of(downstream, k=None, x=None, ids=None):
    data = xr.Dataset({"downstream": ("catchment", np.asarray(downstream))})
    if k is not None:
        data["muskingum_time"] = "catchment", np.asarray(k, float), {"units": "s"}
        data["muskingum_weight"] = "catchment", np.asarray(x, float), {"units": "1"}
    return RiverNetwork(data if ids is None else data.assign_coords(catchment=ids))


def inflow_of(values, network, interval="3h"):
    values = np.asarray(values, float)
    time = pd.date_range("2000-01-01", periods=len(values), freq=interval)
    return xr.DataArray(
        values,
        {"time": time, "catchment": network.ids},
        ("time", "catchment"),
        attrs={"units": "m3 s-1"},
    )


def random_network(n, rng):
    """Return a network in a mixed order that a sub-step of 1800 s suits."""
    down = np.array([rng.integers(i + 1, min(i + 6, n)) for i in range(n - 1)] + [-1])
    down[rng.random(n) < 0.05] = -2
    mixed = rng.permutation(n)
    after = np.empty(n, np.int64)
    after[mixed] = np.where(down >= 0, mixed[np.maximum(down, 0)], down)
    return network_of(after, rng.uniform(2000, 6000, n), rng.uniform(0, 0.15, n))


def chain(n, k, x):
    return network_of([*range(1, n), -1], np.full(n, k), np.full(n, x))


@pytest.fixture
def five(dataset):
    """Return RAPID's five reaches: network, inflow, flow at the start, expected."""
    folder = dataset("rapid-five-reaches")
    with xr.open_dataset(folder / "qext_19700101_19700110.nc") as file:
        inflow = file["Qext"].rename(rivid="catchment").load()
    with xr.open_dataset(folder / "qinit.nc") as file:
        start = file["Qout"].isel(time=0).rename(rivid="catchment").load()
    with xr.open_dataset(folder / "qout_first2.nc", decode_times=False) as file:
        expected = file["Qout"].values.astype(float)
    ids = inflow["catchment"].values
    lists = {
        name: np.loadtxt(folder / f"{name}.csv", delimiter=",")
        for name in ("rapid_connect", "k", "x")
    }
    place = {0: -1} | {int(i): p for p, i in enumerate(ids)}
    down = [place[int(i)] for i in lists["rapid_connect"][:, 1]]
    assert lists["rapid_connect"][:, 0].tolist() == ids.tolist()
    return network_of(down, lists["k"], lists["x"], ids), inflow, start, expected


@pytest.mark.realdata
def test_rapids_five_reaches_have_rapids_flows(five):
    network, inflow, start, expected = five
    done = route_muskingum(network, inflow, start, negative_coefficients="accept")
    np.testing.assert_allclose(done["discharge"][:2], expected, rtol=1e-7)
    assert expected[0, 4] == pytest.approx(65.38851, rel=1e-6)
    assert np.abs(done["water_residual"]).max() < 1e-14


@pytest.mark.realdata
def test_ten_thousand_copies_of_rapids_basin_flow_alike(five):
    network, inflow, start, _ = five
    copies = 10_000
    down = network.downstream + 5 * np.arange(copies)[:, None]
    down[:, 4] = -1
    many = network_of(
        down.ravel(), np.full(5 * copies, 9000), np.full(5 * copies, 0.25)
    )
    assert sweep_of(many).starts.size == -(-5 * copies // BLOCK) + 1
    tiled = inflow_of(np.tile(inflow.values[:10], copies), many)
    flow = xr.DataArray(
        np.tile(start.values, copies),
        {"catchment": many.ids},
        "catchment",
        attrs=start.attrs,
    )
    accept = {"negative_coefficients": "accept"}
    one = route_muskingum(network, inflow[:10], start, **accept)
    done = route_muskingum(many, tiled, flow, **accept)
    shared = done["discharge"].values.reshape(10, copies, 5)
    assert (shared == one["discharge"].values[:, None]).all()
    np.testing.assert_allclose(done["storage"], copies * one["storage"], rtol=1e-12)


def test_a_reach_fills_as_the_geometric_series_says():
    k, x, step = 5 * HOUR, 0.1, 2 * HOUR
    network = chain(1, k, x)
    done = route_muskingum(
        network, inflow_of(np.full((40, 1), 7.0), network, "2h"), time_step=step
    )
    keep = (k * (1 - x) - step / 2) / (k * (1 - x) + step / 2)
    expected = 7.0 * (1 - keep ** np.arange(40))
    np.testing.assert_allclose(done["discharge"][:, 0], expected, rtol=1e-13)
    assert done["state_discharge"] == pytest.approx(7.0 * (1 - keep**40), rel=1e-13)


def test_under_steady_inflow_the_flow_is_all_that_enters_above():
    rng = np.random.default_rng(3)
    network = random_network(60, rng)
    lateral = rng.uniform(0, 5, 60)
    inflow = inflow_of(np.tile(lateral, (400, 1)), network)
    done = route_muskingum(network, inflow, time_step=1800.0)
    expected = network.accumulate(lateral)
    np.testing.assert_allclose(done["state_discharge"], expected, rtol=1e-12)
    k, x = (network.data[f"muskingum_{name}"].values for name in ("time", "weight"))
    stored = k * (x * (expected - lateral) + (1 - x) * expected)
    assert float(done["storage"][-1]) == pytest.approx(stored.sum(), rel=1e-12)


@pytest.mark.parametrize("x", [0.0, 0.2, 0.45])
def test_a_wave_needs_k_for_a_reach_and_spreads_by_its_variance(x):
    k, step, n = 6 * HOUR, 0.9 * 6 * HOUR, 12
    network = chain(n, k, x)
    pulse = np.zeros((1200, n))
    pulse[0, 0] = 1.0
    time = pd.Timedelta(seconds=step)
    done = route_muskingum(network, inflow_of(pulse, network, time), time_step=step)
    passed = done["discharge"].values[:, [0, -1]]
    passed /= passed.sum(axis=0)
    seconds = step * np.arange(1200)[:, None]
    mean = (seconds * passed).sum(axis=0)
    variance = ((seconds - mean) ** 2 * passed).sum(axis=0)
    assert np.diff(mean)[0] == pytest.approx((n - 1) * k, rel=1e-9)
    expected = (n - 1) * k**2 * (1 - 2 * x)
    assert np.diff(variance)[0] == pytest.approx(expected, rel=1e-8)


def test_with_half_of_x_and_a_step_of_k_a_wave_keeps_its_shape():
    network = chain(8, HOUR, 0.5)
    rng = np.random.default_rng(0)
    lateral = np.zeros((50, 8))
    lateral[:, 0] = rng.uniform(0, 9, 50)
    done = route_muskingum(network, inflow_of(lateral, network, "1h"), time_step=HOUR)
    flow = done["discharge"].values
    np.testing.assert_allclose(flow[7:, 7], flow[:-7, 0], rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.booleans())
def test_no_water_is_lost_whatever_the_network_and_the_inflow(seed, n, coarse):
    rng = np.random.default_rng(seed)
    network = random_network(n, rng)
    lateral = rng.exponential(3.0, (48, n)) * (rng.random((48, 1)) < 0.5)
    start = xr.DataArray(
        rng.uniform(0, 50, n),
        {"catchment": network.ids},
        "catchment",
        attrs={"units": "m3 s-1"},
    )
    # Coarse steps make coefficients negative: water is kept all the same.
    how = {"time_step": 10800.0, "negative_coefficients": "accept"}
    how = how if coarse else {"time_step": 1800.0}
    done = route_muskingum(
        network, inflow_of(lateral, network), start, output="6h", **how
    )
    k, x = (network.data[f"muskingum_{name}"].values for name in ("time", "weight"))

    def stored(flow):
        above = np.zeros(n + 1)
        np.add.at(above, np.where(network.downstream < 0, n, network.downstream), flow)
        return float((k * (x * above[:n] + (1 - x) * flow)).sum())

    begun, ended = stored(start.values), stored(done["state_discharge"].values)
    entered = lateral.sum() * 10800
    gone = float(done["outflow_volume"].sum())
    assert entered - gone == pytest.approx(ended - begun, abs=1e-12 * (begun + entered))
    assert float(done["storage"][-1]) == pytest.approx(ended, rel=1e-12)
    assert np.abs(done["water_residual"]).max() < 1e-12
    assert float(done["inflow_volume"].sum()) == pytest.approx(entered, rel=1e-12)


def test_a_run_in_parts_in_threads_or_on_dask_is_the_same_to_the_last_bit():
    rng = np.random.default_rng(5)
    down = np.arange(1, 9001)
    down[99::100] = -1
    network = network_of(down, rng.uniform(2000, 6000, 9000), np.full(9000, 0.1))
    inflow = inflow_of(rng.exponential(2.0, (8, 9000)), network)
    how = {"time_step": 1800.0, "output": "6h"}
    whole = route_muskingum(network, inflow, threads=1, **how)
    threads = route_muskingum(network, inflow, threads=3, **how)
    lazy = route_muskingum(network, inflow.chunk(time=3, catchment=4000), **how)
    for other in (threads, lazy):
        xr.testing.assert_identical(
            other.drop_attrs(deep=False), whole.drop_attrs(deep=False)
        )
    first = route_muskingum(network, inflow[:4], **how)
    second = route_muskingum(network, inflow[4:], first, **how)
    joined = xr.concat([first["discharge"], second["discharge"]], "time")
    xr.testing.assert_identical(joined, whole["discharge"])
    xr.testing.assert_identical(second["state_discharge"], whole["state_discharge"])


def test_longer_intervals_of_output_hold_the_means_of_the_shorter():
    rng = np.random.default_rng(8)
    network = random_network(20, rng)
    inflow = inflow_of(rng.exponential(2.0, (16, 20)), network)
    fine = route_muskingum(network, inflow, time_step=1800.0)
    daily = route_muskingum(network, inflow, time_step=1800.0, output="1D")
    means = fine["discharge"].values.reshape(2, 8, 20).mean(axis=1)
    np.testing.assert_allclose(daily["discharge"], means, rtol=1e-13)
    assert daily["time"].values.tolist() == inflow["time"].values[[0, 8]].tolist()
    assert daily["discharge"].attrs["cell_methods"] == "time: mean"


def test_inflow_in_litres_and_in_another_order_of_reaches_is_understood():
    rng = np.random.default_rng(9)
    network = random_network(20, rng)
    inflow = inflow_of(rng.exponential(2.0, (4, 20)), network)
    mixed = inflow.isel(catchment=rng.permutation(20)).transpose("catchment", "time")
    litres = (mixed * 1000).assign_attrs(units="L s-1")
    one = route_muskingum(network, inflow, time_step=1800.0)
    two = route_muskingum(network, litres, time_step=1800.0)
    np.testing.assert_allclose(two["discharge"], one["discharge"], rtol=1e-13)


def test_a_river_without_inflow_runs_dry_and_not_into_denormal_numbers():
    network = chain(2, HOUR, 0.0)
    inflow = inflow_of(np.zeros((1000, 2)), network, "1h")
    start = xr.DataArray(
        [5.0, 5.0], {"catchment": [0, 1]}, "catchment", attrs={"units": "m3 s-1"}
    )
    done = route_muskingum(network, inflow, start)
    assert (done["state_discharge"] == 0.0).all()
    assert float(done["storage"][-1]) == 0.0
    assert float(done["outflow_volume"].sum()) == pytest.approx(2 * 5.0 * HOUR)
