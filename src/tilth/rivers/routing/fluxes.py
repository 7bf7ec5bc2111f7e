r"""Flow between catchments: local inertial and kinematic, as compiled functions.

The local inertial equation leaves the advection of momentum out of the equation of
shallow water, and takes friction at the new flow, so that with the flow
:math:`q_0` (m2 s-1, per width) of the step before

.. math:: q = \frac{q_0 + g \Delta t h S}{1 + g \Delta t n^2 |q_0| h^{-7/3}}

(Bates et al. 2010). S is the slope of the surface; the depth h is that of the higher
of the two surfaces over the bed of the upstream catchment, and the geometric mean of
now and one step before (Yamazaki et al. 2013; CaMa-Flood v4).

References
----------
Bates, Horritt & Fewtrell (2010), Journal of Hydrology 387, 33-45, eq. 11.
Yamazaki, de Almeida & Bates (2013), Water Resources Research 49, 7221-7235, eq. 7.
"""

from __future__ import annotations

import math

from numba import njit

from tilth.rivers.routing.kernel_roots import FAST, inverse_cube_root

__all__ = [
    "floodplain_flow",
    "kinematic_floodplain_flow",
    "kinematic_flow",
    "path_flow",
    "river_flow",
]

#: Depth, m, and cross-section, m2, below which water does not flow (CaMa-Flood v4).
SHALLOW = 1e-5

#: Least cross-section of the floodplain's water in the step before, m2, so that it
#: can begin to flow (CaMa-Flood v4).
LEAST_AREA = 1e-6

#: Depth that a path's level counts with at least, of now times of the step before, as
#: a share of now's, m: so that it can begin to flow (CaMa-Flood since v4.23).
FIRST_DEPTH = 0.01


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def river_flow(depth, depth_before, slope, width, manning, flow_before, impulse):
    """Return the flow in a channel by the local inertial equation; compiled.

    Parameters
    ----------
    depth, depth_before : float
        Of the flow, now and a step before, m.
    slope : float
        Of the surface, positive downstream, 1.
    width : float
        m.
    manning : float
        s m-1/3.
    flow_before : float
        m3 s-1.
    impulse : float
        Gravity times the length of the step, m s-1.

    Returns
    -------
    float
        m3 s-1.
    """
    square = depth * depth_before
    if square <= SHALLOW * SHALLOW or width * depth <= SHALLOW:
        return 0.0
    mean = math.sqrt(square)
    root = inverse_cube_root(mean)
    root3 = root * root * root
    friction = impulse * manning * manning * abs(flow_before) * (root3 * root3 * root)
    # Numerator and denominator times the width: one division.
    return width * (flow_before + impulse * mean * slope * width) / (width + friction)


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def floodplain_flow(
    depth, depth_before, area, area_before, slope, manning, flow_before, impulse
):
    r"""Return the flow over a floodplain by the local inertial equation; compiled.

    As for the channel, with the cross-section A of the water in place of the width:

    .. math:: Q = \frac{Q_0 + g \Delta t A S}
       {1 + g \Delta t n^2 |Q_0| h^{-4/3} A^{-1}} .

    Parameters
    ----------
    depth, depth_before : float
        Of the higher surface over the bank, now and a step before, m.
    area, area_before : float
        Cross-section, now and a step before, m2.
    slope : float
        Of the surface, positive downstream, 1.
    manning : float
        s m-1/3.
    flow_before : float
        m3 s-1.
    impulse : float
        Gravity times the length of the step, m s-1.

    Returns
    -------
    float
        m3 s-1.
    """
    square = max(depth, 0.0) * depth_before
    if square <= SHALLOW * SHALLOW or area <= SHALLOW:
        return 0.0
    mean = max(math.sqrt(area * max(area_before, LEAST_AREA)), LEAST_AREA)
    root = inverse_cube_root(math.sqrt(square))
    root2 = root * root
    friction = impulse * manning * manning * abs(flow_before) * (root2 * root2)
    # Numerator and denominator times the cross-section: one division.
    return mean * (flow_before + impulse * mean * slope) / (mean + friction)


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def path_flow(depth, depth_before, slope, width, manning, flow_before, impulse):
    """Return the flow in one level of a bifurcation path; compiled.

    As `river_flow`, but it may begin at once in a path that was dry.

    Parameters
    ----------
    depth, depth_before : float
        Of the higher surface over the level's bed, now and a step before, m.
    slope : float
        Of the surface, positive from the path's start to its end, 1.
    width : float
        m.
    manning : float
        s m-1/3.
    flow_before : float
        m3 s-1.
    impulse : float
        Gravity times the length of the step, m s-1.

    Returns
    -------
    float
        m3 s-1.
    """
    if not (depth > 0.0 and width > 0.0):
        return 0.0
    square = depth * max(depth_before, FIRST_DEPTH)
    if square <= SHALLOW * SHALLOW:
        return 0.0
    mean = math.sqrt(square)
    root = inverse_cube_root(mean)
    root3 = root * root * root
    friction = impulse * manning * manning * abs(flow_before) * (root3 * root3 * root)
    # Numerator and denominator times the width: one division.
    return width * (flow_before + impulse * mean * slope * width) / (width + friction)


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def kinematic_flow(depth, slope, width, manning):
    r"""Return the flow in a channel by the kinematic law; compiled.

    Manning's :math:`Q = W d\, n^{-1} S^{1/2} d^{2/3}` of a wide channel.

    Parameters
    ----------
    depth : float
        Of the channel's water, m.
    slope : float
        Of the ground, 1.
    width : float
        m.
    manning : float
        s m-1/3.

    Returns
    -------
    float
        m3 s-1, not negative.
    """
    if depth <= SHALLOW * SHALLOW:
        return 0.0
    speed = math.sqrt(slope) / manning * depth * inverse_cube_root(depth)
    return width * depth * speed


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def kinematic_floodplain_flow(depth, area, slope, manning):
    """Return the flow over a floodplain by the kinematic law; compiled.

    Parameters
    ----------
    depth : float
        Of the water over the bank, m.
    area : float
        Its cross-section, m2.
    slope : float
        Of the ground, 1.
    manning : float
        s m-1/3.

    Returns
    -------
    float
        m3 s-1, not negative.
    """
    if depth <= SHALLOW * SHALLOW:
        return 0.0
    return area * (math.sqrt(slope) / manning * depth * inverse_cube_root(depth))
