"""Tables of reaches, RAPID's and RouteLink's, become networks."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.rivers.network import INLAND, MOUTH
from tilth.rivers.network.rapid import read_rapid_flow, read_rapid_network
from tilth.rivers.network.reaches import reach_network, read_nhd_routelink


@pytest.fixture
def tables(tmp_path):
    """Reaches 4 and 7 join in 9, which flows out."""
    for name, text in {
        "connect.csv": "9,0,2,4,7\n4,9,0,0,0\n7,9,0,0,0\n",
        "k.csv": "900\n400\n700\n",
        "x.csv": "0.09\n0.04\n0.07\n",
        "order.csv": "4\n7\n9\n",
        "coords.csv": "4,-1.5,50.0\n9,-1.0,49.0\n7,-1.25,50.5\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def rapid(tables, **options):
    return read_rapid_network(
        tables / "connect.csv", tables / "k.csv", tables / "x.csv", **options
    )


def test_rapids_k_and_x_follow_the_connectivity_and_the_network_the_order(tables):
    network = rapid(tables, order=tables / "order.csv")
    assert network.ids.tolist() == [4, 7, 9]
    assert network.downstream.tolist() == [2, 2, MOUTH]
    assert network.data["muskingum_time"].values.tolist() == [400.0, 700.0, 900.0]
    assert network.data["muskingum_weight"].values.tolist() == [0.04, 0.07, 0.09]
    network = rapid(tables, coordinates=tables / "coords.csv")
    assert network.ids.tolist() == [9, 4, 7]
    assert network.data["lon"].values.tolist() == [-1.0, -1.5, -1.25]
    assert network.data["lat"].values.tolist() == [49.0, 50.0, 50.5]


def test_a_reach_whose_downstream_is_not_taken_ends_inland(tables):
    (tables / "order.csv").write_text("7\n4\n")
    network = rapid(tables, order=tables / "order.csv")
    assert network.ids.tolist() == [7, 4]
    assert network.downstream.tolist() == [INLAND, INLAND]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("k.csv", "900\n400\n", "has 2 numbers, .* 3 reaches"),
        ("x.csv", "0.1\na\n0.1\n", "line 2 of .* needs 1 numbers"),
        ("order.csv", "4\n5\n", "has no reach 5"),
        ("coords.csv", "4,1,2\n9,1,2\n", "coords.csv has no reach 7"),
        ("connect.csv", "4,9\n4,9\n9,0\n", "more than once; the first is 4"),
        ("connect.csv", "4,7\n7,9\n9,4\n", "circle: 4 -> 7 -> 9 -> 4"),
        ("connect.csv", "", "is empty"),
        ("k.csv", "900\n0\n700\n", r"muskingum_time .* above zero"),
    ],
)
def test_tables_of_rapid_that_cannot_be_are_told(tables, name, text, message):
    (tables / name).write_text(text)
    with pytest.raises(InputError, match=message):
        rapid(tables, order=tables / "order.csv", coordinates=tables / "coords.csv")


def flow_file(path, times, name="Qext", **attrs):
    xr.Dataset(
        {name: (("time", "rivid"), np.arange(3.0 * len(times)).reshape(-1, 3))},
        {"rivid": [7, 9, 4], "time": ("time", times, attrs)},
    ).to_netcdf(path, engine="h5netcdf")
    return path


def test_flows_come_in_the_order_of_the_network_at_their_starts(tables):
    network = rapid(tables, order=tables / "order.csv")
    units = "seconds since 1970-01-01 00:00:00 +00:00"
    path = flow_file(tables / "q.nc", [0, 10800], units=units)
    flow = read_rapid_flow(path, network)
    assert flow.values.tolist() == [[2.0, 0.0, 1.0], [5.0, 3.0, 4.0]]
    assert flow["time"].values[1] == np.datetime64("1970-01-01T03:00")
    assert flow.attrs["units"] == "m3 s-1"
    path = flow_file(tables / "m.nc", [-(2**31 - 1)] * 2, "Qout", units=units)
    with pytest.raises(InputError, match="give start and interval"):
        read_rapid_flow(path, network)
    flow = read_rapid_flow(path, network, start="2001-02-03", interval=900.0)
    assert flow["time"].values[1] == np.datetime64("2001-02-03T00:15")
    (tables / "connect.csv").write_text("8,0\n9,8\n4,9\n")
    with pytest.raises(InputError, match="has no reach 8"):
        read_rapid_flow(path, rapid(tables))


def table(**changes):
    """Two reaches of a trapezoid that join in a third, which leaves the table."""
    columns = {
        "link": [11, 12, 13],
        "to": [13, 13, 99],
        "Length": [1000.0, 500.0, 2000.0],
        "n": [0.06, 0.06, 0.05],
        "So": [0.002, 0.01, 0.001],
        "BtmWdth": [4.0, 2.0, 6.0],
        "TopWdth": [8.0, 4.0, 10.0],
        "ChSlp": [0.5, 0.5, 0.25],
        "alt": [0.0, 0.0, 100.0],
    } | changes
    return pd.DataFrame({name: v for name, v in columns.items() if v is not None})


def test_beds_fall_by_slope_and_a_rectangle_has_the_trapezoids_area():
    network = read_nhd_routelink(table())
    data = network.data
    assert network.downstream.tolist() == [2, 2, INLAND]
    assert data["river_width"].values.tolist() == [6.0, 3.0, 8.0]
    assert data["river_depth"].values.tolist() == [1.0, 0.5, 0.5]
    np.testing.assert_allclose(network.bed, [102.0, 105.0, 100.0], rtol=1e-14)
    fall = (network.bed[:2] - network.bed[2]) / data["downstream_distance"].values[:2]
    np.testing.assert_allclose(fall, [0.002, 0.01], rtol=1e-12)


def test_zero_slopes_are_refused_unless_a_least_one_is_given():
    flat = table(So=[0.0, 0.01, 0.001])
    with pytest.raises(InputError, match="1 reaches do not fall; the first is 11"):
        read_nhd_routelink(flat)
    network = read_nhd_routelink(flat, least_slope=1e-5)
    np.testing.assert_allclose(network.bed, [100.01, 105.0, 100.0], rtol=1e-14)


def test_columns_and_units_of_another_table_are_named():
    other = pd.DataFrame(
        {
            "COMID": [5, 6],
            "tocomid": [6, 0],
            "LENGTHKM": [1.5, 2.5],
            "area": [3.0, 4.0],
        }
    )
    with pytest.raises(InputError, match="no column link, to; it has COMID"):
        read_nhd_routelink(other)
    names = {
        "catchment": "COMID",
        "downstream": "tocomid",
        "river_length": "LENGTHKM",
        "area": "area",
    }
    network = read_nhd_routelink(other, names, {"river_length": "km", "area": "km2"})
    assert network.downstream.tolist() == [1, MOUTH]
    assert network.data["river_length"].values.tolist() == [1500.0, 2500.0]
    assert network.data["area"].values.tolist() == [3e6, 4e6]
    with pytest.raises(InputError, match="lenght is no variable of a river network"):
        read_nhd_routelink(other, {**names, "lenght": "LENGTHKM"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Length": [1000.0, np.nan, 2000.0]}, "Length of the table has 1 gaps"),
        ({"Length": ["a", "b", "c"]}, "Length of the table must hold numbers"),
        ({"link": [11.5, 12, 13]}, "link of the table must hold whole numbers"),
        ({"to": None}, "has no column to"),
        ({"to": [12, 11, 99]}, "circle: 11 -> 12 -> 11"),
        ({"ChSlp": [-0.5, 0.5, 0.25]}, "river_depth"),
    ],
)
def test_tables_that_cannot_be_are_told(changes, message):
    with pytest.raises(InputError, match=message):
        read_nhd_routelink(table(**changes))


def test_a_table_is_the_same_from_csv_and_from_netcdf(tmp_path):
    want = read_nhd_routelink(table()).data
    table().to_csv(tmp_path / "reaches.csv", index=False)
    xr.testing.assert_identical(read_nhd_routelink(tmp_path / "reaches.csv").data, want)
    data = xr.Dataset({name: ("reach", column) for name, column in table().items()})
    data.to_netcdf(tmp_path / "reaches.nc", engine="h5netcdf")
    xr.testing.assert_identical(read_nhd_routelink(tmp_path / "reaches.nc").data, want)
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00\x81,\n")
    with pytest.raises(InputError, match=r"cannot read .* as a table"):
        read_nhd_routelink(tmp_path / "bad.csv")


def test_identifiers_of_any_size_and_order_find_each_other():
    ids = np.array([2**40, 5, 77, 3])
    network = reach_network(ids, np.array([3, 77, 0, 5]), {})
    assert network.downstream.tolist() == [3, 2, MOUTH, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 2**62), min_size=1, max_size=30, unique=True),
    st.data(),
)
def test_every_reach_flows_where_its_table_says(ids, data):
    # Each into one listed before it, into the sea, or out of the table.
    after = [
        data.draw(st.one_of(st.just(0), st.just(-5), st.sampled_from(ids[:i])))
        if i
        else 0
        for i in range(len(ids))
    ]
    order = data.draw(st.permutations(range(len(ids))))
    network = reach_network(np.array(ids)[order], np.array(after)[order], {})
    for here, there in zip(order, network.downstream, strict=True):
        if after[here] in ids:
            assert network.ids[there] == after[here]
        else:
            assert there == (MOUTH if after[here] == 0 else INLAND)


@pytest.mark.realdata
def test_the_five_reaches_of_rapid_are_read_whole(dataset):
    folder = dataset("rapid-five-reaches")
    network = read_rapid_network(
        folder / "rapid_connect.csv",
        folder / "k.csv",
        folder / "x.csv",
        order=folder / "riv_bas_id.csv",
        coordinates=folder / "coords.csv",
    )
    assert network.ids.tolist() == [10, 20, 30, 40, 50]
    assert network.downstream.tolist() == [2, 2, 4, 4, MOUTH]
    assert (network.data["muskingum_time"] == 9000.0).all()
    assert (network.data["muskingum_weight"] == 0.25).all()
    inflow = read_rapid_flow(folder / "qext_19700101_19700110.nc", network)
    assert inflow.shape == (80, 5)
    assert inflow["time"].values[-1] == np.datetime64("1970-01-10T21:00")
    with xr.open_dataset(folder / "qinit.nc", engine="h5netcdf") as raw:
        np.testing.assert_array_equal(network.data["lat"], raw["lat"])
    begin = read_rapid_flow(folder / "qinit.nc", network)
    assert begin.values.tolist() == [[9.0, 9.0, 27.0, 18.0, 63.0]]
    outflow = read_rapid_flow(
        folder / "qout_first2.nc", network, start="1970-01-01", interval=10800.0
    )
    np.testing.assert_allclose(
        outflow[1], [10.785536, 10.785536, 31.133135, 21.571072, 71.03832], rtol=1e-6
    )


@pytest.mark.realdata
def test_routelink_of_the_national_water_model_keeps_its_slopes(dataset):
    path = dataset("nwm-routelink") / "routelink_nwm21_laura.nc"
    network = read_nhd_routelink(path)
    assert network.size == 18
    assert (network.downstream == INLAND).sum() == 2
    with xr.open_dataset(path, engine="h5netcdf") as raw:
        slope, length = (raw[n].values.astype(float) for n in ("So", "Length"))
        heights = raw["alt"].values
    inside = network.downstream >= 0
    fall = network.bed[inside] - network.bed[network.downstream[inside]]
    np.testing.assert_allclose(fall, (slope * length)[inside], rtol=1e-9)
    np.testing.assert_allclose(network.bed[~inside], heights[~inside], rtol=1e-6)
    # Beds laid by slope stay near the surveyed heights of the table.
    assert np.abs(network.bed - heights).max() < 3.0
    gauged = network.data["gauge"].values
    assert gauged[network.positions([5781917])[0]] == "08158000"
    assert (gauged != "").sum() == 1
