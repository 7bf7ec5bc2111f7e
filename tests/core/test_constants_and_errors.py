import pickle

import pytest

from tilth.core import constants, errors


def test_the_gas_constant_is_that_of_the_2019_si():
    # Avogadro and Boltzmann constants, exact: BIPM SI brochure, 9th edition
    exact = 6.02214076e23 * 1.380649e-23
    assert pytest.approx(exact, rel=1e-14) == constants.MOLAR_GAS_CONSTANT
    # goFlux and LI-COR print fluxes with a constant that is 5.6e-5 lower
    ratio = constants.MOLAR_GAS_CONSTANT / constants.MOLAR_GAS_CONSTANT_LICOR - 1
    assert ratio == pytest.approx(5.6e-5, rel=0.01)


def test_a_mole_of_gas_at_standard_conditions_fills_22_4_litres():
    volume = (
        constants.MOLAR_GAS_CONSTANT
        * constants.ZERO_CELSIUS
        / constants.STANDARD_ATMOSPHERE
    )
    assert volume == pytest.approx(22.41396954e-3, rel=1e-9)  # CODATA 2018


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (errors.InputError, ValueError),
        (errors.UnitsError, errors.InputError),
        (errors.MissingDependencyError, ImportError),
        (errors.DatasetError, errors.TilthError),
        (errors.KernelError, errors.TilthError),
    ],
)
def test_every_error_is_a_tilth_error_and_reaches_other_processes(kind, also):
    error = kind("the text")
    assert isinstance(error, errors.TilthError)
    assert isinstance(error, also)
    assert str(pickle.loads(pickle.dumps(error))) == "the text"
