import textwrap

import numpy as np
import pytest

from tilth.chambers import geometry
from tilth.chambers.geometry import (
    Geometry,
    apply_geometry,
    geometry_from_dict,
    read_geometry,
    total_volume,
)
from tilth.chambers.simulate.fleet import simulate_closures
from tilth.core.errors import InputError

BUCKET = {"volume": "5.18 L", "area": "314 cm2"}


def closures(pots=("9.2.A", "9.2.B"), **labels):
    data = simulate_closures(len(pots), 5).drop_vars(["area", "volume"])
    labels = {"pot": pots, **labels}
    return data.assign_coords(
        {k: ("closure", np.array(v, object)) for k, v in labels.items()}
    )


@pytest.mark.parametrize(
    ("volume", "area"),
    [
        ("5.18 L", "314 cm2"),
        ("5180 cm3", "0.0314 m2"),
        ("5180 mL", "31400 mm2"),
        ("0.00518 m3", "3.14e-2 m2"),
        ("5.18 dm3", "3.14 dm2"),
        ("5.18L", " 314  cm2 "),
    ],
)
def test_every_spelling_of_a_size_is_the_same_size(volume, area):
    common = geometry_from_dict({"volume": volume, "area": area}).common
    assert common["volume"] == pytest.approx(5.18e-3)
    assert common["area"] == pytest.approx(3.14e-2)


@pytest.mark.parametrize("bad", [5.18, 5, "5.18", "L", "5,18 L", None, True, "nan L"])
def test_a_size_without_units_is_refused(bad):
    with pytest.raises(InputError, match=r"with its units, such as '5\.18 L'"):
        geometry_from_dict({"volume": bad, "area": "314 cm2"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"volume": "5 cm2"}, "not the same kind of quantity"),
        ({"area": "5 L"}, "not the same kind of quantity"),
        ({"volume": "5 buckets"}, "cannot read the units"),
        ({"hight": "16 cm"}, "no quantity 'hight'"),
        ({"volume": "-5 L"}, "cannot be negative"),
        ({"settling_sd": "1 cm"}, "no quantity"),
        ("5 L", "is a mapping"),
        ({"by": {"pot": "all"}}, "by pot"),
        ({"by": {"pot": {"9.2.B": "1 cm"}}}, "give quantities"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(content, message):
    with pytest.raises(InputError, match=message):
        geometry_from_dict(content)


@pytest.mark.parametrize(
    ("key", "number"), [("5.10", "5.1"), ("007", "7"), ("no", "False")]
)
def test_an_identifier_that_yaml_takes_for_a_number_is_refused(tmp_path, key, number):
    path = tmp_path / "geometry.yaml"
    text = "volume: 5 L\narea: 300 cm2\nby:\n  variant:\n    {}: {settling: 1 cm}\n"
    path.write_text(text.replace("{}", key))
    with pytest.raises(InputError, match=f"variant {number} was read as a number"):
        read_geometry(path)
    path.write_text(text.replace("{}", f'"{key}"'))
    assert list(read_geometry(path).by["variant"]) == [key]


def test_the_file_of_the_manual_is_read(tmp_path):
    text = geometry.__doc__.split("::\n")[1].split("\nThe later")[0]
    path = tmp_path / "g.yaml"
    path.write_text(textwrap.dedent(text))
    read = read_geometry(path)
    assert read.common["offset"] == pytest.approx(0.02)
    assert read.by["pot"]["9.2.B"]["displacement"] == pytest.approx(90e-6)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    path = tmp_path / "g.yaml"
    path.write_text("volume: [5 L")
    with pytest.raises(InputError, match="not a YAML file"):
        read_geometry(path)


def test_the_total_volume_is_the_sum_of_its_parts():
    volume, se = total_volume(
        {
            "volume": 5e-3,
            "area": 0.03,
            "offset": 0.02,
            "settling": 0.01,
            "tubes": 4e-5,
            "analyser": 2e-5,
            "displacement": 1e-4,
        }
    )
    assert volume == pytest.approx(5e-3 + 0.03 * 0.03 + 6e-5 - 1e-4)
    assert se == 0.0


def test_standard_errors_add_in_quadrature_each_with_its_leverage():
    sizes = {"volume": 5e-3, "area": 0.03, "offset": 0.02, "area_se": 0.001}
    _, from_area = total_volume(sizes)
    assert from_area == pytest.approx(0.02 * 0.001)
    sizes |= {"area_se": 0.0, "settling_se": 0.01, "volume_se": 4e-4}
    _, both = total_volume(sizes)
    assert both == pytest.approx(5e-4)


def test_a_settled_pot_has_the_volume_of_its_own_height():
    geometry = geometry_from_dict(
        {**BUCKET, "by": {"pot": {"9.2.B": {"settling": "1.5 cm"}}}}
    )
    result = apply_geometry(closures(), geometry)
    np.testing.assert_allclose(
        result["volume"], [5.18e-3, 5.18e-3 + 0.0314 * 0.015], rtol=1e-12
    )
    np.testing.assert_allclose(result["area"], 0.0314)
    assert result["volume"].attrs["units"] == "m3"
    assert result["volume"].attrs["ancillary_variables"] == "volume_se"
    assert "apply_geometry" in result.attrs["history"]


def test_labels_later_in_the_file_win_and_others_stay():
    geometry = geometry_from_dict(
        {
            **BUCKET,
            "by": {
                "table": {"9": {"settling": "1 cm", "tubes": "40 cm3"}},
                "pot": {"9.2.B": {"settling": "2 cm"}},
                "device": {"unused": {"volume": "9 L"}},
            },
        }
    )
    result = apply_geometry(
        closures(table=["9", "9"], device=["dev-1", "dev-2"]), geometry
    )
    extra = result["volume"].values - 5.18e-3
    np.testing.assert_allclose(extra, [314e-6 + 40e-6, 628e-6 + 40e-6])


def test_pots_5_1_and_5_10_are_two_pots():
    geometry = geometry_from_dict(
        {**BUCKET, "by": {"variant": {"5.10": {"settling": "1 cm"}}}}
    )
    result = apply_geometry(closures(variant=["5.1", "5.10"]), geometry)
    assert result["volume"].values[1] > result["volume"].values[0]


@pytest.mark.parametrize(
    ("sizes", "amount"),
    [
        ({"volume": "5.18 m3", "area": "314 cm2"}, "6.86e"),
        ({"volume": "5.18 cm3", "area": "314 cm2"}, "0.00686"),
        ({"volume": "5.18 L", "area": "314 m2"}, "0.000686"),
        ({"volume": "5.18 L", "area": "314 cm2", "displacement": "6 L"}, "-1.09"),
    ],
)
def test_a_chamber_of_impossible_size_is_refused(sizes, amount):
    with pytest.raises(InputError, match=rf"would hold {amount}.*check the units"):
        apply_geometry(closures(), geometry_from_dict(sizes))


def test_no_area_or_no_volume_is_refused_until_every_pot_has_one():
    with pytest.raises(InputError, match="no volume to 2 closures"):
        apply_geometry(closures(), geometry_from_dict({"area": "314 cm2"}))
    content = {"area": "314 cm2", "by": {"pot": {"9.2.A": {"volume": "5 L"}}}}
    with pytest.raises(InputError, match=r"no volume to 1 closures.*'closure 1'"):
        apply_geometry(closures(), geometry_from_dict(content))
    content["by"]["pot"]["9.2.B"] = {"volume": "6 L"}
    result = apply_geometry(closures(), geometry_from_dict(content))
    np.testing.assert_allclose(result["volume"], [5e-3, 6e-3])


def test_a_label_the_closures_lack_or_hold_as_numbers_is_refused():
    geometry = geometry_from_dict({**BUCKET, "by": {"plot": {"1": {}}}})
    with pytest.raises(InputError, match=r"goes by plot.*they have pot"):
        apply_geometry(closures(), geometry)
    wrong = closures().assign_coords(plot=("closure", [5.1, 5.1]))
    with pytest.raises(InputError, match="stored as float64"):
        apply_geometry(wrong, geometry)


def test_uncertain_heights_reach_the_closures():
    result = apply_geometry(
        closures(), geometry_from_dict({**BUCKET, "settling_se": "0.75 cm"})
    )
    relative = result["volume_se"] / result["volume"]
    # The fleet's 16.5 cm with 0.75 cm: 4.5 % of the volume.
    np.testing.assert_allclose(relative, 0.75 / 16.4968, rtol=1e-4)


def test_a_geometry_can_be_made_of_plain_numbers_in_si_units():
    result = apply_geometry(closures(), Geometry({"volume": 5e-3, "area": 0.03}))
    np.testing.assert_allclose(result["volume"], 5e-3)
