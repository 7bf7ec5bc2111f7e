"""Writes the pages of the reference from the tables of contents of the rooms.

What a room offers is what its ``__all__`` names; where each thing lies decides on
which page it is described. A name added there appears in the manual by itself.
"""

import importlib
import inspect
import pkgutil
import re
import shutil
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

#: Rooms in the order of the reference.
ROOMS = (
    "tilth.chambers",
    "tilth.fleet",
    "tilth.forcing",
    "tilth.forcing.adjust",
    "tilth.forcing.patterns",
    "tilth.forcing.fields",
    "tilth.forcing.s2s",
    "tilth.gnss",
    "tilth.gnss.reflectometry",
    "tilth.gnss.rinex",
    "tilth.gnss.surface",
    "tilth.gnss.positions",
    "tilth.land",
    "tilth.land.model",
    "tilth.land.emulator",
    "tilth.land.fit",
    "tilth.land.readers",
    "tilth.loading",
    "tilth.rivers",
    "tilth.rivers.network",
    "tilth.rivers.routing",
    "tilth.rivers.floods",
    "tilth.rivers.readers",
    "tilth.stomata",
    "tilth.ml",
    "tilth.physics",
    "tilth.stats",
    "tilth.studies",
    "tilth.core",
)


def contents(room: ModuleType) -> dict[str, list[str] | None]:
    """Return module -> what the room offers from it; None stands for all of it.

    Parameters
    ----------
    room : module
        A package. Its ``__all__`` names functions, classes, constants or modules.
    """
    offered = getattr(room, "__all__", None)
    if offered is None:
        offered = [m.name for m in pkgutil.iter_modules(room.__path__)]
    # The order of the table of contents says more than the alphabet.
    table: dict[str, str] = getattr(room, "_CONTENTS", {})
    order = {name: i for i, name in enumerate(table)}
    pages: dict[str, list[str] | None] = {}
    for name in sorted(offered, key=lambda n: order.get(n, 0)):
        if name in table:
            home = f"{room.__name__}.{table[name]}"
            pages.setdefault(home, []).append(name)  # type: ignore[union-attr]
        else:
            pages[f"{room.__name__}.{name}"] = None
    return pages


def public_members(module: ModuleType) -> list[str]:
    """Return the functions and classes of a module, in the order of its source."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return list(names)
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
    ]


def aliases(room: ModuleType) -> dict[str, str]:
    """Return where a thing lies -> the name under which the reference describes it."""
    return {
        f"{home}.{name}": f"{room.__name__}.{name}"
        for home, names in contents(room).items()
        for name in names or []
    }


def write_pages(folder: Path) -> None:
    """Write one page per room and one per module into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = []
    for name in ROOMS:
        room = importlib.import_module(name)
        (folder / f"{name}.rst").write_text(_room_page(room), encoding="utf-8")
        for home, names in contents(room).items():
            page = folder / f"{home}.rst"
            page.write_text(_module_page(room, home, names), encoding="utf-8")
        rows.append(name)
    text = [
        *_title("Reference"),
        "Every function and class, by room. The equations, units and references are",
        "in the text of each.",
        "",
        ".. toctree::",
        "   :maxdepth: 2",
        "",
        *(f"   {name}" for name in rows),
    ]
    (folder / "index.rst").write_text("\n".join(text) + "\n", encoding="utf-8")


def _title(text: str) -> list[str]:
    return [text, "=" * len(text), ""]


def _first_line(module: ModuleType) -> str:
    return (inspect.getdoc(module) or module.__name__).split("\n")[0].rstrip(".")


def _room_page(room: ModuleType) -> str:
    """Lay out a room: its own text, then what it offers, module by module."""
    pages = contents(room)
    lines = [*_title(room.__name__), f".. automodule:: {room.__name__}", ""]
    for home, names in pages.items():
        module = importlib.import_module(home)
        short = home.removeprefix(f"{room.__name__}.")
        lines += [f".. rubric:: :doc:`{short} <{home}>` {_first_line(module)}", ""]
        shown = public_members(module) if names is None else names
        if shown:
            owner = home if names is None else room.__name__
            lines += [".. list-table::", "   :widths: 38 62", ""]
            for name in shown:
                lines.append(f"   * - :py:obj:`~{owner}.{name}`")
                lines.append(f"     - {_summary(module, name)}".rstrip())
            lines.append("")
    lines += [".. toctree::", "   :hidden:", ""]
    for home in pages:
        # Beside the page there is no room for the whole name.
        lines.append(f"   {home.removeprefix(room.__name__ + '.')} <{home}>")
    return "\n".join(lines) + "\n"


def _summary(module: ModuleType, name: str) -> str:
    """Return the first paragraph of what a name says of itself, on one line."""
    thing = getattr(module, name)
    if callable(thing):
        text = inspect.getdoc(thing) or ""
    else:
        documented = ModuleAnalyzer.for_module(module.__name__).find_attr_docs()
        text = "\n".join(documented.get(("", name), []))
    lines = [" ".join(text.split("\n\n")[0].split())]
    escape_signs(lines)
    return lines[0]


def _module_page(room: ModuleType, home: str, names: list[str] | None) -> str:
    """Lay out a module: its text and everything the room offers from it."""
    lines = _title(home)
    if names is None:
        return "\n".join([*lines, f".. automodule:: {home}", "   :members:", ""])
    lines += [f".. automodule:: {home}", "", f".. currentmodule:: {room.__name__}", ""]
    for name in names:
        thing = getattr(room, name)
        if inspect.isclass(thing):
            lines += [f".. autoclass:: {name}", "   :members:", ""]
        elif callable(thing):
            lines += [f".. autofunction:: {name}", ""]
        else:
            text = _summary(importlib.import_module(home), name)
            lines += [f".. py:data:: {name}", "", f"   {text}", ""]
    return "\n".join(lines) + "\n"


def _resolve_alias(app: Sphinx, env, node, contnode):
    """Point a name as the source has it to where the reference describes it."""
    target = env.tilth_aliases.get(node.get("reftarget", ""))
    if target is None or node.get("refdomain") != "py":
        return None
    python = env.get_domain("py")
    return python.resolve_xref(
        env, node["refdoc"], app.builder, "obj", target, node, contnode
    )


def escape_signs(lines: list[str]) -> None:
    """Let |F| in a docstring be a magnitude and ``name_`` a name.

    reStructuredText would look the one up as a substitution and the other as a link.

    Parameters
    ----------
    lines : list of str
        Changed in place. Equations, code and the rows of a grid table stay.
    """
    deeper = None  # indentation of the equation that these lines belong to
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and deeper is not None and indent <= deeper:
            deeper = None
        if line.lstrip().startswith((".. math::", ">>>", "... ", "| ", "+")):
            deeper = indent if "math" in line else deeper
        elif deeper is None:
            parts = re.split(r"(`+[^`]*`+_*)", line)
            parts[::2] = [_SIGN.sub(r"\\\g<0>", part) for part in parts[::2]]
            lines[i] = "".join(parts)


#: A bar, and an underscore at the end of a word, that are not escaped already.
_SIGN = re.compile(r"(?<!\\)\||(?<=[A-Za-z0-9])_(?![A-Za-z0-9_])")


def _process(_app, _what, _name, _thing, _options, lines: list[str]) -> None:
    escape_signs(lines)


def _write(app: Sphinx, _config) -> None:
    write_pages(Path(app.srcdir) / "api")


def _collect(app: Sphinx) -> None:
    app.env.tilth_aliases = {
        source: public
        for name in ROOMS
        for source, public in aliases(importlib.import_module(name)).items()
    }


def setup(app: Sphinx) -> dict:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("config-inited", _write)
    app.connect("builder-inited", _collect)
    app.connect("autodoc-process-docstring", _process)
    app.connect("missing-reference", _resolve_alias)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
