"""The settings of a service: defaults without a file, errors that teach."""

import pytest

from tilth.chambers import geometry_from_dict
from tilth.core.errors import InputError
from tilth.fleet.config import ARTICLE_GEOMETRY, FleetConfig, read_config


def test_a_folder_without_settings_has_the_defaults(tmp_path):
    assert read_config(tmp_path) == FleetConfig()
    assert FleetConfig().embedded


def test_the_default_geometry_is_the_articles_height():
    sizes = geometry_from_dict(ARTICLE_GEOMETRY).common
    assert sizes["volume"] / sizes["area"] == pytest.approx(0.165, abs=5e-4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web_prt: 80", "no setting 'web_prt'; there are broker"),
        ("web_port: eighty", "web_port is a int"),
        ("web_port: true", "web_port is a int"),
        ("web_port: 70000", "0 to 65535"),
        ("broker: localhost", "mqtts://host:8883"),
        ("certificate: a.pem", "both certificate and key"),
        ("keep_days: 0", "at least 1"),
        ("- 1", "mapping"),
        ("a: [", "not a YAML file"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_its_file(tmp_path, text, told):
    (tmp_path / "tilth.yaml").write_text(text)
    with pytest.raises(InputError, match=told) as error:
        read_config(tmp_path)
    assert "tilth.yaml" in str(error.value)


def test_the_address_of_another_broker_is_taken_apart():
    assert FleetConfig(broker="mqtts://b.example").address == ("b.example", 8883, True)
    assert FleetConfig(broker="mqtt://b:77").address == ("b", 77, False)
