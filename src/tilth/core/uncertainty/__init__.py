"""Uncertainty of a quantity from that of its inputs: first order and averages.

An `Input` has a value, a standard uncertainty, the shape of its distribution and a
*level*: who shares its error.

=============  ================================  ============================
level          shared by                         example
=============  ================================  ============================
``"cycle"``    nobody: drawn for every element   noise of one closure
any other      the elements of one group         ``"device"``: its volume
``"common"``   all                               the type of pressure sensor
=============  ================================  ============================

Averaging over elements reduces what is not shared and leaves what is; in the ratio of
two groups what is shared by both cancels. `propagate_linear` gives the first-order
error of every element with its parts and `average_se` that of an average;
`propagate_monte_carlo` takes any function, averages and ratios among them.
"""

from tilth.core.uncertainty.inputs import Input
from tilth.core.uncertainty.linear import LinearResult, average_se, propagate_linear
from tilth.core.uncertainty.montecarlo import MonteCarloResult, propagate_monte_carlo

__all__ = [
    "Input",
    "LinearResult",
    "MonteCarloResult",
    "average_se",
    "propagate_linear",
    "propagate_monte_carlo",
]
