"""The river network refuses what cannot flow, and keeps what it is given."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.rivers.network import MOUTH, RiverNetwork


def network(downstream, ids=None, **variables):
    """A network with variables given as (units, values); two dimensions are layers."""
    data = xr.Dataset({"downstream": ("catchment", np.asarray(downstream))})
    if ids is not None:
        data = data.assign_coords(catchment=ids)
    for name, (units, values) in variables.items():
        values = np.asarray(values)
        dims = ("catchment", "layer")[: values.ndim]
        data[name] = (dims, values, {"units": units} if units else {})
    return RiverNetwork(data)


def joined(downstream, start, end):
    """A network with one level of paths between its catchments."""
    count = len(start)
    data = network(downstream, np.arange(len(downstream)) + 100).data
    return RiverNetwork(
        data.assign(
            path_from=("path", np.asarray(start, np.int64)),
            path_to=("path", np.asarray(end, np.int64)),
            path_length=("path", np.arange(1.0, count + 1), {"units": "m"}),
            path_width=(("path", "path_level"), np.ones((count, 1)), {"units": "m"}),
            path_elevation=(
                ("path", "path_level"),
                np.full((count, 1), np.nan),
                {"units": "m"},
            ),
        )
    )


def test_a_circle_is_named_by_the_identifiers_along_it():
    with pytest.raises(InputError, match="circle: b -> d -> c -> b"):
        network([1, 3, 1, 2, -1], ["a", "b", "c", "d", "e"])


def test_identifiers_are_unique_and_those_there_twice_are_named():
    with pytest.raises(InputError, match="more than once: 7"):
        network([1, 2, -1], [7, 8, 7])
    assert network([1, -1]).ids.tolist() == [0, 1]
    assert network([1, -1], ["x", "y"]).positions(["y", "x"]).tolist() == [1, 0]
    with pytest.raises(InputError, match="no catchment 9"):
        network([1, -1], [7, 8]).positions([8, 9])


@pytest.mark.parametrize(
    ("downstream", "message"),
    [
        ([1, 2], "positions from 0 to 1, .* are they counted from 1"),
        ([1, -9], r"-1 \(mouth\) or -2 \(inland\)"),
        ([1.0, np.nan], "whole numbers; value 1 is nan"),
        ([0.5, -1], "whole numbers; value 0 is 0.5"),
        ([], "at least one"),
    ],
)
def test_positions_lead_to_a_catchment_or_out(downstream, message):
    with pytest.raises(InputError, match=message):
        network(downstream)


def test_whole_numbers_stored_as_floats_are_positions():
    assert network([1.0, -1.0]).downstream.dtype == np.int64


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("area", ("m2", [1.0, -2.0]), "above zero: it is -2 m2 at catchment 8"),
        ("area", ("m2", [1.0, 0.0]), "above zero"),
        ("river_length", ("m", [np.nan, 1.0]), "nan m at catchment 7"),
        ("river_depth", ("m", [1.0, -1.0]), "-1 m at catchment 8"),
        ("elevation", ("m", [np.inf, 1.0]), "inf m at catchment 7"),
        ("muskingum_weight", ("1", [-0.1, 0.2]), "-0.1 1 at catchment 7"),
        ("floodplain_height", ("m", [[1.0, 3.0], [2.0, 1.5]]), "falls by 0.5 m"),
        ("floodplain_height", ("m", [1.0, 2.0]), "needs the dimensions catchment, la"),
    ],
)
def test_numbers_that_cannot_be_are_told_by_catchment(name, given, message):
    with pytest.raises(InputError, match=message):
        network([1, -1], [7, 8], **{name: given})


def test_units_are_converted_where_they_can_be_and_refused_where_not():
    found = network([1, -1], river_length=("km", [1.5, 2.0]))
    assert found.data["river_length"].values.tolist() == [1500.0, 2000.0]
    assert found.data["river_length"].attrs["units"] == "m"
    with pytest.raises(InputError, match=r"area .*m2"):
        network([1, -1], area=(None, [1.0, 2.0]))
    with pytest.raises(UnitsError, match="same kind"):
        network([1, -1], area=("m", [1.0, 2.0]))
    with pytest.raises(InputError, match="river_manning"):
        network([1, -1], river_manning=("1", [0.03, 0.03]))


def test_a_flat_floodplain_is_allowed():
    flat = network([-1], floodplain_height=("m", [[0.0, 0.0, 1.0]]))
    assert flat.data["floodplain_height"].values.tolist() == [[0.0, 0.0, 1.0]]


def test_a_path_needs_both_ends_within_the_network():
    data = network([1, -1]).data
    with pytest.raises(InputError, match="both of its ends"):
        RiverNetwork(data.assign(path_from=("path", [0])))
    with pytest.raises(InputError, match="path_to must be positions from 0 to 1; 1"):
        joined([1, -1], [0], [2])


def test_what_is_missing_is_named_with_its_meaning_and_units():
    with pytest.raises(InputError, match=r"area \(area of the unit catchment, m2\)"):
        network([1, -1]).require("downstream", "area")
    without_depth = network([1, -1], elevation=("m", [2.0, 1.0]))
    with pytest.raises(InputError, match="river_depth"):
        _ = without_depth.bed


def test_the_bed_lies_the_depth_below_the_bank():
    found = network(
        [1, -1], elevation=("m", [12.0, 10.0]), river_depth=("m", [2.5, 3.0])
    )
    assert found.bed.tolist() == [9.5, 7.0]


def test_values_of_another_size_are_not_summed():
    with pytest.raises(InputError, match="do not belong to 2 catchments"):
        network([1, -1]).accumulate([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="do not belong"):
        network([1, -1]).accumulate(1.0)


def test_a_network_cannot_be_changed_by_assignment():
    with pytest.raises(dataclasses.FrozenInstanceError):
        network([1, -1]).data = xr.Dataset()


def test_the_text_of_a_network_counts_catchments_basins_and_paths():
    assert "4 catchments in 2 basins, 1 paths" in repr(joined([1, -1, 3, -2], [0], [2]))


def test_paths_of_catchments_left_out_are_dropped_and_others_keep_their_numbers():
    whole = joined([1, -1, 3, -1], [0, 2, 1], [2, 3, 3])
    part = whole.subset([3, 1, 2])
    assert part.data["path_from"].values.tolist() == [2, 1]
    assert part.data["path_to"].values.tolist() == [0, 0]
    assert part.data["path_length"].values.tolist() == [2.0, 3.0]


def test_a_part_is_chosen_by_a_mask_as_by_positions():
    whole = network([1, 2, MOUTH], [7, 8, 9])
    mask = np.array([False, True, True])
    xr.testing.assert_identical(whole.subset(mask).data, whole.subset([1, 2]).data)


def test_basins_joined_by_a_path_are_one_component():
    found = joined([1, -1, 3, -1, -2], [0], [4])
    assert found.basin.tolist() == [0, 0, 1, 1, 2]
    assert found.component.tolist() == [0, 0, 1, 1, 0]


def test_a_written_network_is_read_back_to_the_last_bit(tmp_path):
    whole = joined([1, -1, 3, -2], [0], [2])
    whole = RiverNetwork(
        whole.data.assign(area=("catchment", [0.1, 0.2, 0.3, 1 / 3], {"units": "km2"}))
    )
    path = whole.to_netcdf(tmp_path / "network.nc")
    found = RiverNetwork.open(path)
    xr.testing.assert_identical(found.data, whole.data)
    assert found.data["area"].values[3] == 1e6 * (1 / 3)


def test_a_damaged_file_or_another_one_is_told(tmp_path):
    path = network([1, -1]).to_netcdf(tmp_path / "network.nc")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="was not copied to its end"):
        RiverNetwork.open(path)
    with pytest.raises(InputError, match="there is no"):
        RiverNetwork.open(tmp_path / "none.nc")
    xr.Dataset({"rain": ("time", [1.0])}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(
        InputError, match=r"needs the variable downstream .* found rain"
    ):
        RiverNetwork.open(path)
