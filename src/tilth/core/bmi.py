"""The Basic Model Interface 2.0, served from a table of variables, grids and a clock.

A model that steps in time derives from `TableModel` and says how it is set up and how
it takes one step. The interface is that of Hutton, Piper & Tucker (2020); it is served
in full without the package ``bmipy``, whose checks it passes.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from tilth.core.bmi_table import Clock, Grid, Variable
from tilth.core.errors import InputError

__all__ = ["NotServedError", "Served", "TableModel", "read_config"]

#: How far a time may lie from a whole step, in steps: rounding of sums of seconds.
_ROUNDING = 1e-6


class NotServedError(InputError, NotImplementedError):
    """A question that this grid or model has no answer to."""


class Served(NamedTuple):
    """What a model shows once it is set up."""

    #: Name -> variable, in the order they are listed.
    variables: Mapping[str, Variable]
    #: Number -> grid.
    grids: Mapping[int, Grid]
    clock: Clock


def read_config(
    path: str | os.PathLike[str], required: Iterable[str], optional: Iterable[str]
) -> dict[str, Any]:
    """Read the YAML file that a model is initialized with.

    Parameters
    ----------
    path : path
        The file.
    required, optional : iterable of str
        Keys it must and may have.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    InputError
        If there is no such file, it is no table, or keys are missing or unknown.
    """
    file, needed = Path(path), list(required)
    known = [*needed, *optional]
    if not file.is_file():
        raise InputError(
            f"there is no configuration {file}: write a YAML file with "
            f"{', '.join(known)}"
        )
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{file} is not YAML: {line}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} must be a table of {', '.join(known)}")
    missing = [key for key in needed if key not in content]
    unknown = [str(key) for key in content if key not in known]
    if missing or unknown:
        wrong = [f"lacks {', '.join(missing)}"] * bool(missing)
        wrong += [f"has the unknown {', '.join(unknown)}"] * bool(unknown)
        raise InputError(
            f"{file} {' and '.join(wrong)}; it needs {', '.join(needed) or 'nothing'}, "
            f"and may have {', '.join(optional) or 'nothing else'}"
        )
    return content


class TableModel(ABC):
    """A model under the Basic Model Interface; see `_set_up` and `_step`.

    References
    ----------
    Hutton, Piper & Tucker (2020), J. Open Source Softw. 5(51), 2317,
    doi:10.21105/joss.02317.
    """

    #: Name of the model, for `get_component_name`.
    component_name = "Tilth"

    def __init__(self) -> None:
        self._served: Served | None = None
        self._done = 0
        self._names: dict[str, str] = {}

    @abstractmethod
    def _set_up(self, config_file: str) -> Served:
        """Read the configuration and return what the model shows."""

    @abstractmethod
    def _step(self, number: int) -> None:
        """Take the step of that number, the first is 0; write into the variables."""

    def _close(self) -> None:  # noqa: B027  a model may have nothing to close
        """Let go of files and memory."""

    # Control

    def initialize(self, config_file: str) -> None:
        """Set the model up from a YAML file; see the class for its keys."""
        self.finalize()
        self._served = self._set_up(os.fspath(config_file))
        self._done = 0
        self._names = {}
        for name, variable in self._served.variables.items():
            for spelling in (name, *variable.aliases):
                self._names[spelling] = name

    def update(self) -> None:
        """Take one step.

        Raises
        ------
        InputError
            If the run is over: there is no more forcing.
        """
        clock = self._shown.clock
        if clock.steps is not None and self._done >= clock.steps:
            raise InputError(
                f"{self.component_name} is at its end, {clock.end:g} {clock.units}: "
                "there is no forcing beyond; finalize it, or give a longer forcing"
            )
        self._step(self._done)
        self._done += 1

    def update_until(self, time: float) -> None:
        """Take steps until a time, s.

        Raises
        ------
        InputError
            If the time is past, beyond the end, or between two steps.
        """
        clock, now = self._shown.clock, self.get_current_time()
        if not np.isfinite(time):
            raise InputError(f"time {time} is not a number of seconds")
        steps = (time - now) / clock.step
        whole = round(steps)
        if abs(steps - whole) > _ROUNDING:
            raise InputError(
                f"time {time:g} s is no whole number of steps of {clock.step:g} s from "
                f"{now:g} s: parts of a step are not computed; ask for "
                f"{now + np.floor(steps) * clock.step:g} or "
                f"{now + np.ceil(steps) * clock.step:g} s"
            )
        if whole < 0:
            raise InputError(
                f"time {time:g} s is past, it is {now:g} s: a model does not run back; "
                "initialize it again"
            )
        if time > clock.end * (1.0 + _ROUNDING):
            raise InputError(
                f"time {time:g} s is beyond the end of the forcing, {clock.end:g} s"
            )
        for _ in range(whole):
            self.update()

    def finalize(self) -> None:
        """Close the model; it may be initialized again."""
        if self._served is not None:
            self._close()
        self._served = None

    # What there is

    def get_component_name(self) -> str:
        """Return the name of the model."""
        return self.component_name

    def get_input_item_count(self) -> int:
        """Return the number of variables that can be set."""
        return len(self.get_input_var_names())

    def get_output_item_count(self) -> int:
        """Return the number of variables that can be read."""
        return len(self.get_output_var_names())

    def get_input_var_names(self) -> tuple[str, ...]:
        """Return the names of the variables that can be set."""
        return self._with_role("input")

    def get_output_var_names(self) -> tuple[str, ...]:
        """Return the names of the variables that the model computes."""
        return self._with_role("output")

    def get_var_grid(self, name: str) -> int:
        """Return the number of a variable's grid."""
        return self._variable(name).grid

    def get_var_type(self, name: str) -> str:
        """Return the type of a variable's values, such as ``float64``."""
        return str(self._variable(name).values.dtype)

    def get_var_units(self, name: str) -> str:
        """Return a variable's units."""
        return self._variable(name).units

    def get_var_itemsize(self, name: str) -> int:
        """Return the bytes of one value."""
        return self._variable(name).values.itemsize

    def get_var_nbytes(self, name: str) -> int:
        """Return the bytes of all values of a variable."""
        return self._variable(name).values.nbytes

    def get_var_location(self, name: str) -> str:
        """Return where on its grid a variable is: at the nodes, or nowhere."""
        grid = self._grid(self._variable(name).grid)
        return "none" if grid.kind == "scalar" else "node"

    # Time

    def get_current_time(self) -> float:
        """Return the time of the state, s."""
        return self._shown.clock.at(self._done)

    def get_start_time(self) -> float:
        """Return the time of the start, 0 s."""
        return self._shown.clock.at(0)

    def get_end_time(self) -> float:
        """Return the end of the forcing, s; the largest number where it has none."""
        return self._shown.clock.end

    def get_time_units(self) -> str:
        """Return ``seconds since`` the start, as CF writes it."""
        return self._shown.clock.units

    def get_time_step(self) -> float:
        """Return the length of a step, s."""
        return self._shown.clock.step

    # Values

    def get_value(self, name: str, dest: np.ndarray) -> np.ndarray:
        """Copy a variable into an array and return it."""
        values = self._variable(name).flat
        _same_size(name, dest, values.size)
        dest.reshape(-1)[:] = values
        return dest

    def get_value_ptr(self, name: str) -> np.ndarray:
        """Return the model's own values in one dimension: what is written, it sees."""
        return self._variable(name).flat

    def get_value_at_indices(
        self, name: str, dest: np.ndarray, inds: np.ndarray
    ) -> np.ndarray:
        """Copy some values of a variable into an array and return it."""
        values = self._variable(name).flat
        _same_size(name, dest, np.size(inds))
        dest.reshape(-1)[:] = values[_places(name, inds, values.size)]
        return dest

    def set_value(self, name: str, src: np.ndarray) -> None:
        """Set all values of an input."""
        variable = self._settable(name)
        _same_size(name, src, variable.values.size)
        self._write(name, variable, slice(None), src)

    def set_value_at_indices(
        self, name: str, inds: np.ndarray, src: np.ndarray
    ) -> None:
        """Set some values of an input."""
        variable = self._settable(name)
        _same_size(name, src, np.size(inds))
        self._write(name, variable, _places(name, inds, variable.values.size), src)

    # Grids

    def get_grid_rank(self, grid: int) -> int:
        """Return the number of dimensions of a grid."""
        return self._grid(grid).rank

    def get_grid_size(self, grid: int) -> int:
        """Return the number of values of a grid."""
        return self._grid(grid).size

    def get_grid_type(self, grid: int) -> str:
        """Return the kind of a grid."""
        return self._grid(grid).kind

    def get_grid_shape(self, grid: int, shape: np.ndarray) -> np.ndarray:
        """Fill in the number of values along each axis of a rectilinear grid."""
        found = self._grid(grid)
        if found.kind != "rectilinear":
            raise NotServedError(
                f"grid {grid} is of the kind {found.kind}, which has no shape: ask for "
                "its size"
            )
        return _fill(f"the shape of grid {grid}", shape, np.array(found.shape))

    def get_grid_spacing(self, grid: int, spacing: np.ndarray) -> np.ndarray:
        """Refuse: no grid here is uniform."""
        raise self._not_uniform(grid, "spacing")

    def get_grid_origin(self, grid: int, origin: np.ndarray) -> np.ndarray:
        """Refuse: no grid here is uniform."""
        raise self._not_uniform(grid, "origin")

    def get_grid_x(self, grid: int, x: np.ndarray) -> np.ndarray:
        """Fill in longitudes of the nodes, or of the columns."""
        return self._coordinate(grid, "x", x)

    def get_grid_y(self, grid: int, y: np.ndarray) -> np.ndarray:
        """Fill in latitudes of the nodes, or of the rows."""
        return self._coordinate(grid, "y", y)

    def get_grid_z(self, grid: int, z: np.ndarray) -> np.ndarray:
        """Fill in heights of the nodes, or of the layers, m."""
        return self._coordinate(grid, "z", z)

    def get_grid_node_count(self, grid: int) -> int:
        """Return the number of nodes."""
        return self._grid(grid).size

    def get_grid_edge_count(self, grid: int) -> int:
        """Return the number of edges: links of a river network."""
        edges = self._grid(grid).edges
        return 0 if edges is None else len(edges)

    def get_grid_face_count(self, grid: int) -> int:
        """Return the number of faces, zero: nodes stand for catchments or cells."""
        return self._grid(grid).faces

    def get_grid_edge_nodes(self, grid: int, edge_nodes: np.ndarray) -> np.ndarray:
        """Fill in the upper and the lower node of each link, pair by pair."""
        edges = self._grid(grid).edges
        if edges is None:
            raise NotServedError(
                f"grid {grid} is of the kind {self._grid(grid).kind}: it has no edges"
            )
        return _fill(f"the edges of grid {grid}", edge_nodes, edges.reshape(-1))

    def get_grid_face_edges(self, grid: int, face_edges: np.ndarray) -> np.ndarray:
        """Refuse: no grid here has faces."""
        raise self._no_faces(grid)

    def get_grid_face_nodes(self, grid: int, face_nodes: np.ndarray) -> np.ndarray:
        """Refuse: no grid here has faces."""
        raise self._no_faces(grid)

    def get_grid_nodes_per_face(
        self, grid: int, nodes_per_face: np.ndarray
    ) -> np.ndarray:
        """Refuse: no grid here has faces."""
        raise self._no_faces(grid)

    # Inside

    @property
    def _shown(self) -> Served:
        """What the model shows, if it is set up."""
        if self._served is None:
            raise InputError(
                f"{self.component_name} is not set up: call initialize(config_file) "
                "first"
            )
        return self._served

    def _with_role(self, role: str) -> tuple[str, ...]:
        """Return the names of variables of a role, states among them."""
        table = self._shown.variables
        return tuple(n for n, v in table.items() if v.role in (role, "state"))

    def _variable(self, name: str) -> Variable:
        """Return a variable under any of its names."""
        served = self._shown
        if name not in self._names:
            raise InputError(
                f"{self.component_name} has no variable {name!r}; there are "
                f"{', '.join(served.variables)}"
            )
        return served.variables[self._names[name]]

    def _settable(self, name: str) -> Variable:
        """Return a variable that may be set."""
        variable = self._variable(name)
        if variable.role == "output":
            raise InputError(
                f"{name} is computed by {self.component_name} and cannot be set; what "
                f"can be set: {', '.join(self.get_input_var_names())}"
            )
        return variable

    def _write(self, name: str, variable: Variable, where: Any, src: Any) -> None:
        """Write values that are numbers and pass the variable's own check."""
        given = np.asarray(src, variable.values.dtype).reshape(-1)
        if not np.isfinite(given).all():
            raise InputError(
                f"{int((~np.isfinite(given)).sum())} of {given.size} values of {name} "
                f"are not numbers: {self.component_name} needs every one"
            )
        if variable.check is not None:
            variable.check(given)
        variable.flat[where] = given

    def _grid(self, grid: int) -> Grid:
        """Return a grid by its number."""
        grids = self._shown.grids
        if grid not in grids:
            raise InputError(
                f"{self.component_name} has no grid {grid!r}; there are "
                f"{', '.join(map(str, grids))}"
            )
        return grids[grid]

    def _coordinate(self, grid: int, axis: str, dest: np.ndarray) -> np.ndarray:
        """Fill in a coordinate of a grid."""
        values = getattr(self._grid(grid), axis)
        if values is None:
            raise NotServedError(
                f"the {axis} of grid {grid} ({self._grid(grid).kind}) is not known"
            )
        return _fill(f"the {axis} of grid {grid}", dest, values)

    def _not_uniform(self, grid: int, what: str) -> NotServedError:
        """Return the error that a grid has no constant spacing."""
        return NotServedError(
            f"grid {grid} is of the kind {self._grid(grid).kind}, which has no {what}: "
            "ask for its x and y"
        )

    def _no_faces(self, grid: int) -> NotServedError:
        """Return the error that a grid has no faces."""
        return NotServedError(
            f"grid {grid} is of the kind {self._grid(grid).kind}: it has no faces"
        )


def _same_size(name: str, array: Any, size: int) -> None:
    """Raise unless an array has so many values."""
    if np.size(array) != size:
        raise InputError(f"{name} takes {size} values, the array has {np.size(array)}")


def _places(name: str, inds: Any, size: int) -> np.ndarray:
    """Return indices that lie within a variable."""
    places = np.asarray(inds).reshape(-1)
    if places.dtype.kind not in "iu" and places.size:
        raise InputError(f"indices of {name} are whole numbers, got {places.dtype}")
    wrong = places[(places < 0) | (places >= size)]
    if wrong.size:
        raise InputError(
            f"index {int(wrong[0])} is outside {name}, whose values have the indices "
            f"0 to {size - 1}"
        )
    return places.astype(np.intp)


def _fill(what: str, dest: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Copy values into an array of their size and return it."""
    _same_size(what, dest, values.size)
    dest.reshape(-1)[:] = values
    return dest
