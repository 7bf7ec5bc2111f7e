import json
import subprocess
import sys

import pytest

import tilth.core
from tilth.core import optional
from tilth.core.errors import MissingDependencyError

HEAVY = [
    "dask",
    "distributed",
    "matplotlib",
    "pint",
    "pooch",
    "requests",
    "rich",
    "scipy",
    "yaml",
]


def test_no_module_of_the_ground_floor_loads_a_heavy_library():
    program = f"""
import importlib, json, sys
import tilth.core
for name in tilth.core.__all__:
    importlib.import_module("tilth.core." + name)
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == []


def test_the_table_of_contents_loads_modules_when_they_are_used():
    program = """
import sys
import tilth.core
assert not [name for name in sys.modules if name.startswith("tilth.core.")]
assert tilth.core.constants.ZERO_CELSIUS == 273.15
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tilth.core.nothing  # noqa: B018


def test_data_already_in_the_units_asked_for_are_not_parsed():
    program = """
import sys
from tilth.core.units import convert_values
assert convert_values(972.0, "hPa", "hPa") == 972.0
assert "pint" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_library_is_answered_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tilth\[plot\]'"):
        optional.load("matplotlib", "plot")
    with pytest.raises(MissingDependencyError, match="needs no_such_library"):
        optional.load("no_such_library.part", "dask")


def test_a_library_that_is_there_but_broken_keeps_its_own_message(
    tmp_path, monkeypatch
):
    (tmp_path / "halfway.py").write_text("import a_thing_it_forgot_to_require\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_thing_it_forgot") as caught:
        optional.load("halfway", "plot")
    assert not isinstance(caught.value, MissingDependencyError)


@pytest.mark.parametrize("module", ["dask", "distributed"])
def test_dask_is_asked_for_by_the_name_of_its_extra(module, monkeypatch):
    from tilth.core.parallel import scheduler

    monkeypatch.setitem(sys.modules, module, None)
    address = "threads" if module == "dask" else "tcp://127.0.0.1:9"
    with (
        pytest.raises(MissingDependencyError, match=r"tilth\[dask\]"),
        scheduler(address),
    ):
        pass
