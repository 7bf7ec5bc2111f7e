r"""The air of a chamber and the lag of its sensor, in closed form between changes.

Between two changes of lid, fan or weather every rate is constant. The dry mole
fraction of CO2 then obeys

.. math:: \dot C = s + (\lambda + g)(C_a - C) + f (C_s - C) - u C,

with the source :math:`s` (soil flux at ambient CO2 over the moles of air), the
exchange :math:`\lambda` with the air outside (a leak; a draught where the lid is
open), the conductance :math:`g` to the depth of the soil, the feedback :math:`f` of
its top, the uptake :math:`u` by plants (in proportion to CO2) and the ambient
:math:`C_a`. The CO2 in the top of the soil, :math:`C_s`, follows that in the chamber
within the hour: a closing bends the curve, but a lid that stays shut for hours fills
the chamber on. All that is a relaxation to one target with one rate, and a sensor of
first order behind it has a closed form too.

The functions work on floats. They are compiled for the vectorised simulator and run
as plain Python (``.py_func``) in the twin of one chamber.
"""

from __future__ import annotations

from math import exp

from numba import njit

#: How every step is compiled: kept on disk, free of the interpreter's lock, and without
#: its check of every division (6 % of the time).
compiled = njit(cache=True, nogil=True, error_model="numpy")

#: Rates below this are taken as this, s-1: a target stays finite.
SLOWEST = 1e-9
#: Rate at which the top of the soil follows the chamber, s-1: pores of about 3 cm.
PORES = 1.0 / 3600.0


@compiled
def balance(source, exchange, ambient, feedback, pores, uptake):
    """Return the target (ppm) of the CO2 of a chamber and its rate (s-1).

    `exchange` is all that goes towards `ambient`, `feedback` towards `pores`.
    """
    rate = exchange + feedback + uptake
    if rate < SLOWEST:
        rate = SLOWEST
    return (source + exchange * ambient + feedback * pores) / rate, rate


@compiled
def decay(x):
    """Return exp(-x), by its series where `x` is small: most steps are short."""
    if 0.0 <= x < 0.03:
        # The next term is 1e-12 at most.
        return 1.0 - x * (1.0 - x * (0.5 - x * (1 / 6 - x * (1 / 24 - x / 120))))
    return exp(-x)


@compiled
def relax(value, target, rate, seconds):
    r"""Return a value that relaxes, :math:`T + (x - T) e^{-kt}`."""
    return target + (value - target) * decay(rate * seconds)


@compiled
def follow(seen, value, target, rate, response, seconds):
    r"""Return a value that relaxes, and what a first-order sensor shows of it.

    Solves :math:`\tau \dot r = x(t) - r` for :math:`x = T + (x_0 - T) e^{-kt}`:

    .. math:: r = T + \frac{x_0 - T}{1 - k\tau}\left(e^{-kt} - e^{-t/\tau}\right)
              + (r_0 - T)\,e^{-t/\tau} .

    Parameters
    ----------
    seen, value : float
        What the sensor shows, and the true value, now.
    target, rate : float
        Of the value: from `balance`, s-1.
    response : float
        Time constant of the sensor, s.
    seconds : float
        Time to go.

    Returns
    -------
    tuple of float
        What the sensor shows then, and the true value then.
    """
    own = decay(seconds / response)
    left = decay(rate * seconds)
    gap = 1.0 - rate * response
    # The limit where the value is as slow as the sensor.
    rise = seconds / response * own if abs(gap) < 1e-6 else (left - own) / gap
    away = value - target
    return target + away * rise + (seen - target) * own, target + away * left
