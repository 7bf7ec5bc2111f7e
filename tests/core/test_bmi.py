"""The Basic Model Interface, served from a table by a model of one bucket per cell."""

import inspect

import bmipy
import numpy as np
import pytest

from tilth.core.bmi import NotServedError, Served, TableModel, read_config
from tilth.core.bmi_table import Clock, Variable, channels, points, rectilinear, scalar
from tilth.core.errors import InputError


class Buckets(TableModel):
    """Stores that gain rain and lose a tenth of what they hold at every step."""

    component_name = "Buckets"

    def _set_up(self, config_file):
        config = read_config(config_file, ["steps"], ["start"])
        self.rain, self.store = np.zeros(6), np.zeros((2, 3))
        self.flow, self.total = np.zeros((2, 3)), np.zeros(())

        def not_negative(values):
            if values.min() < 0:
                raise InputError("rain is not negative")

        return Served(
            {
                "rainfall_flux": Variable(
                    self.rain, "kg m-2 s-1", "input", 0, ("Rainf",), not_negative
                ),
                "store": Variable(self.store, "kg m-2", "state", 1),
                "flow": Variable(self.flow, "kg m-2 s-1", "output", 1),
                "total": Variable(self.total, "kg m-2", "output", 2),
            },
            {
                0: points(np.arange(6.0), np.zeros(6)),
                1: rectilinear(np.array([10.0, 20.0, 30.0]), np.array([1.0, 0.0])),
                2: scalar(),
                3: channels(np.array([1, 3, 1, -1, 3, -2])),
                4: points(np.arange(3.0), np.ones(3), np.array([-0.1, -0.5])),
                5: rectilinear(np.zeros(2), np.zeros(3), np.array([-1.0])),
            },
            Clock(config.get("start", "2001-01-01 00:00:00"), 100.0, config["steps"]),
        )

    def _step(self, number):
        self.flow[:] = 0.1 * self.store / 100.0
        self.store += 100.0 * (self.rain.reshape(2, 3) - self.flow)
        self.total[...] = self.store.sum()


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "buckets.yaml"
    path.write_text("steps: 5\n")
    return path


@pytest.fixture
def model(config):
    model = Buckets()
    model.initialize(config)
    return model


def test_every_function_of_the_standard_is_there_with_its_arguments():
    names = bmipy.Bmi.__abstractmethods__
    assert len(names) == 41
    for name in names:
        ours, theirs = getattr(TableModel, name), getattr(bmipy.Bmi, name)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        ), name


def test_a_model_can_be_registered_or_derived_as_one_of_the_standards(config):
    class Derived(Buckets, bmipy.Bmi):
        pass

    model = Derived()
    model.initialize(config)
    assert isinstance(model, bmipy.Bmi)
    bmipy.Bmi.register(Buckets)
    assert isinstance(Buckets(), bmipy.Bmi)


def test_names_are_those_of_the_roles_and_a_state_is_both(model):
    assert model.get_component_name() == "Buckets"
    assert model.get_input_var_names() == ("rainfall_flux", "store")
    assert model.get_output_var_names() == ("store", "flow", "total")
    assert (model.get_input_item_count(), model.get_output_item_count()) == (2, 3)


def test_a_variable_says_what_it_is_under_any_of_its_names(model):
    for name in ("rainfall_flux", "Rainf"):
        assert model.get_var_units(name) == "kg m-2 s-1"
        assert model.get_var_grid(name) == 0
        assert model.get_var_type(name) == "float64"
        assert model.get_var_itemsize(name) == 8
        assert model.get_var_nbytes(name) == 48
        assert model.get_var_location(name) == "node"
    assert model.get_var_location("total") == "none"


def test_an_unknown_variable_is_told_which_there_are(model):
    with pytest.raises(InputError, match="no variable 'rain'; there are rainfall_flux"):
        model.get_var_units("rain")


def test_the_pointer_is_the_models_own_array_in_both_directions(model):
    store = model.get_value_ptr("store")
    assert store.shape == (6,)
    store[4] = 50.0
    model.update()
    assert store[4] == 45.0
    assert model.get_value("flow", np.empty(6))[4] == pytest.approx(0.05)
    assert model.get_value_ptr("total")[0] == 45.0


def test_values_are_copied_not_lent_by_get_value(model):
    copied = model.get_value("store", np.empty((2, 3)))
    copied[:] = 7.0
    assert model.get_value_ptr("store").max() == 0.0


def test_rain_that_is_set_arrives_in_the_next_step(model):
    model.set_value("Rainf", np.arange(6.0))
    model.set_value_at_indices("Rainf", np.array([5]), np.array([8.0]))
    model.update()
    assert model.get_value_ptr("store").tolist() == [0, 100, 200, 300, 400, 800]
    some = model.get_value_at_indices("store", np.empty(2), np.array([5, 1]))
    assert some.tolist() == [800, 100]


def test_what_cannot_be_set_is_refused_and_nothing_changes(model):
    with pytest.raises(InputError, match="can be set: rainfall_flux, store"):
        model.set_value("flow", np.zeros(6))
    with pytest.raises(InputError, match="takes 6 values, the array has 5"):
        model.set_value("store", np.zeros(5))
    with pytest.raises(InputError, match="1 of 6 values of store are not numbers"):
        model.set_value("store", np.array([0, 1, 2, np.nan, 4, 5]))
    with pytest.raises(InputError, match="rain is not negative"):
        model.set_value("Rainf", -np.ones(6))
    with pytest.raises(InputError, match="index 6 is outside store"):
        model.set_value_at_indices("store", np.array([6]), np.array([1.0]))
    with pytest.raises(InputError, match="index -1 is outside store"):
        model.get_value_at_indices("store", np.empty(1), np.array([-1]))
    with pytest.raises(InputError, match="whole numbers"):
        model.get_value_at_indices("store", np.empty(1), np.array([0.5]))
    assert model.get_value_ptr("store").max() == 0.0
    assert model.get_value_ptr("Rainf").max() == 0.0


def test_time_runs_in_whole_steps_to_the_end(model):
    assert model.get_time_units() == "seconds since 2001-01-01 00:00:00"
    assert (model.get_start_time(), model.get_end_time()) == (0.0, 500.0)
    assert model.get_time_step() == 100.0
    model.update_until(300.0)
    assert model.get_current_time() == 300.0
    model.update_until(300.0)
    assert model.get_current_time() == 300.0
    with pytest.raises(InputError, match="ask for 300 or 400 s"):
        model.update_until(350.0)
    with pytest.raises(InputError, match="does not run back"):
        model.update_until(200.0)
    with pytest.raises(InputError, match="beyond the end"):
        model.update_until(600.0)
    with pytest.raises(InputError, match="not a number of seconds"):
        model.update_until(np.nan)
    model.update_until(500.0)
    with pytest.raises(InputError, match="at its end"):
        model.update()


def test_a_model_without_forcing_never_ends():
    clock = Clock("2001-01-01", 60.0)
    assert clock.end == np.finfo(float).max


def test_a_model_that_is_not_set_up_says_so_before_and_after(config):
    model = Buckets()
    with pytest.raises(InputError, match="call initialize"):
        model.get_current_time()
    model.finalize()
    model.initialize(config)
    model.update()
    model.finalize()
    with pytest.raises(InputError, match="call initialize"):
        model.update()
    model.initialize(config)
    assert model.get_current_time() == 0.0


def test_rows_and_columns_have_a_shape_and_axes(model):
    assert model.get_grid_type(1) == "rectilinear"
    assert (model.get_grid_rank(1), model.get_grid_size(1)) == (2, 6)
    assert model.get_grid_shape(1, np.empty(2, int)).tolist() == [2, 3]
    assert model.get_grid_x(1, np.empty(3)).tolist() == [10, 20, 30]
    assert model.get_grid_y(1, np.empty(2)).tolist() == [1, 0]
    assert model.get_grid_node_count(1) == 6
    for ask in (model.get_grid_spacing, model.get_grid_origin):
        with pytest.raises(NotServedError, match="ask for its x and y"):
            ask(1, np.empty(2))


def test_layers_are_the_slowest_axis(model):
    assert (model.get_grid_rank(4), model.get_grid_size(4)) == (3, 6)
    assert model.get_grid_z(4, np.empty(6)).tolist() == [-0.1] * 3 + [-0.5] * 3
    assert model.get_grid_x(4, np.empty(6)).tolist() == [0, 1, 2, 0, 1, 2]
    assert model.get_grid_shape(5, np.empty(3, int)).tolist() == [1, 3, 2]
    assert model.get_grid_rank(5) == 3


def test_a_river_network_has_its_links_as_edges_and_no_faces(model):
    assert model.get_grid_type(3) == "unstructured"
    assert model.get_grid_edge_count(3) == 4
    assert model.get_grid_face_count(3) == 0
    edges = model.get_grid_edge_nodes(3, np.empty(8, int))
    assert edges.tolist() == [0, 1, 1, 3, 2, 1, 4, 3]
    for ask in (
        model.get_grid_face_edges,
        model.get_grid_face_nodes,
        model.get_grid_nodes_per_face,
    ):
        with pytest.raises(NotServedError, match="no faces"):
            ask(3, np.empty(1))
    with pytest.raises(NotServedError, match="the x of grid 3"):
        model.get_grid_x(3, np.empty(6))


def test_a_question_that_has_no_answer_is_an_input_error_that_says_why(model):
    with pytest.raises(InputError, match="ask for its size"):
        model.get_grid_shape(0, np.empty(1))
    with pytest.raises(NotImplementedError, match="no edges"):
        model.get_grid_edge_nodes(0, np.empty(1))
    with pytest.raises(InputError, match="no grid 9; there are 0, 1, 2, 3, 4, 5"):
        model.get_grid_size(9)
    assert (model.get_grid_rank(2), model.get_grid_size(2)) == (0, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be a table"),
        ("- 1\n", "must be a table"),
        ("steps: 1\nstride: 2\n", "has the unknown stride"),
        ("start: x\n", "lacks steps"),
        ("steps: [1\n", "is not YAML"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(tmp_path, text, says):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        Buckets().initialize(path)


def test_an_absent_configuration_says_what_to_write(tmp_path):
    with pytest.raises(InputError, match="write a YAML file with steps, start"):
        Buckets().initialize(str(tmp_path / "none.yaml"))


def test_a_variable_needs_a_known_role_and_an_array_that_can_be_shared():
    with pytest.raises(InputError, match="choose input, output, state"):
        Variable(np.zeros(2), "m", "both")
    with pytest.raises(InputError, match="C order"):
        Variable(np.zeros((2, 3)).T, "m", "input")
