"""The manual: its code runs, its tests exist, its pages can be reached."""

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if not {"_build", "api"} & set(path.parts)
)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Rooms whose functions may stand without a page of their own.
INNER = {"tilth.studies", "tilth.core"}


@pytest.fixture
def extension(monkeypatch):
    """Return a function that imports an extension of the manual."""
    monkeypatch.setattr(sys, "path", [str(DOCS / "extensions"), *sys.path])
    return importlib.import_module


@pytest.mark.parametrize(
    "page",
    [p for p in [ROOT / "README.md", *PAGES] if PYTHON.search(p.read_text("utf-8"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in PYTHON.findall(page.read_text("utf-8")):
        exec(compile(block, str(page), "exec"), names)


def test_every_test_that_the_manual_names_exists():
    named = {
        (page.name, *match)
        for page in PAGES
        for match in re.findall(r"(test_\w+\.py)::(test_\w+)", page.read_text("utf-8"))
    }
    assert named
    missing = [
        f"{page}: {file}::{test}"
        for page, file, test in sorted(named)
        if not any(
            f"def {test}(" in path.read_text("utf-8")
            for path in (ROOT / "tests").rglob(file)
        )
    ]
    assert not missing


def test_every_page_is_in_a_table_of_contents():
    listed = {DOCS / "index"}
    for page in PAGES:
        for body in re.findall(
            r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL
        ):
            entries = [x for x in body.splitlines() if x and not x.startswith(":")]
            listed |= {page.parent / entry for entry in entries}
    assert {page.with_suffix("") for page in PAGES} <= listed


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text("utf-8")):
            # The reference and the gallery are written when the manual is built.
            if not re.match(r"(\.\./)*(api|gallery)/", target):
                broken += [target] * (not (page.parent / target).exists())
    assert not broken


def test_every_public_function_documents_its_parameters_and_what_it_returns(extension):
    from numpydoc.validate import validate

    reference = extension("reference")
    functions = []
    rooms = [name for name in reference.ROOMS if name not in INNER]
    for room in map(importlib.import_module, rooms):
        for home, names in reference.contents(room).items():
            module = importlib.import_module(home)
            for name in names or reference.public_members(module):
                if inspect.isfunction(getattr(module, name)):
                    functions.append(f"{home}.{name}")
    # PR01, PR02: parameters not documented, or documented and not there;
    # RT01: no Returns; GL08: no docstring.
    wanted = {"PR01", "PR02", "RT01", "GL08"}
    faults = [
        f"{name}: {text}"
        for name in functions
        for code, text in validate(name)["errors"]
        if code in wanted
    ]
    assert functions
    assert not faults


def test_an_equation_becomes_mathml_with_its_source_beside_it(extension):
    text = extension("mathml").mathml(r"\frac{dC'}{dt} \le \ln x / 2", "block")
    assert text.startswith("<math")
    assert 'display="block"' in text
    assert r"\frac{dC'}{dt}" in text
    assert "≤" in text
    assert "&amp;#" not in text


def test_magnitudes_and_names_in_a_docstring_are_no_markup(extension):
    lines = ["|F| of (x, y_) in ``|a_|`` and :math:`|b|`:", "", ".. math:: |c|", "  d_"]
    expected = [r"\|F\| of (x, y\_) in ``|a_|`` and :math:`|b|`:", *lines[1:]]
    extension("reference").escape_signs(lines)
    assert lines == expected


def test_generated_parts_show_what_the_package_holds(extension):
    from tilth.core import datasets

    tables = extension("tables")
    page = tables.expand("before\n```{datasets-table}\n```\nafter")
    assert all(f"`{name}`" in page for name in datasets.names())
    assert page.startswith("before")
    assert page.endswith("after")
    assert "## tilth\n" in tables.expand("```{command-help}\n```")
    assert tables.expand("```{toctree}\n```") == "```{toctree}\n```"
