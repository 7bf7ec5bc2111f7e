r"""Reservoirs: what a dam lets pass, from its storage and its inflow.

The rule of Hanazaki, Yamazaki & Yoshimura (2022) for global flood models, with its
three storages: flood control begins at :math:`V_f` (`normal_share` of the capacity
:math:`V`), water is withheld below :math:`V_c = V_f / 2` and an emergency begins at
:math:`V_e = V_f + 0.8 (V - V_f)`. With the mean flow :math:`Q_n`, the flow
:math:`Q_f` above which there is a flood downstream, :math:`Q_c = Q_n V_c / V_f` and
:math:`s(a, b) = (S - a) / (b - a)`:

======================  ==========================  ================================
storage :math:`S`       small inflow                flood (inflow :math:`I \ge Q_f`)
======================  ==========================  ================================
to :math:`V_c`          :math:`Q_n S / V_f`         the same
:math:`V_c` ... `V_f`   :math:`Q_c + s(V_c, V_e)^2  :math:`Q_c + s(V_c, V_f)
                        (Q_f - Q_c)`                (Q_f - Q_c)`
:math:`V_f` ... `V_e`   as above                    :math:`Q_f + s(V_f, V_e)
                                                    (I - Q_f)`
above :math:`V_e`       :math:`Q_f`                 :math:`I`
======================  ==========================  ================================

Three things differ from the paper. The paper changes from one column to the other at
:math:`I = Q_f`; here it is a straight line between :math:`I = Q_n` and :math:`Q_f`,
because a simulation answers a jump with flutter. The paper lets a share of a flood
pass that depends on the area upstream; here it is that of a dam which is small beside
its basin (the paper's k = 1). And what does not fit below the capacity passes at once.

References
----------
Hanazaki, R., Yamazaki, D. & Yoshimura, K. (2022). Development of a reservoir flood
control scheme for global flood models. Journal of Advances in Modeling Earth Systems
14, e2021MS002944. https://doi.org/10.1029/2021MS002944
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numba import njit

from tilth.rivers.routing.structures import columns, refuse

#: Share of the flood storage that is withheld (V_c / V_f) and share of the room above
#: the flood storage where an emergency begins (Hanazaki et al. 2022, section 2.3).
_WITHHELD, _EMERGENCY = 0.5, 0.8


@njit(cache=True, nogil=True, error_model="numpy")
def reservoir_release(
    storage, inflow, seconds, capacity, normal_share, normal_flow, flood_flow
):
    r"""Return what a reservoir releases over one step.

    Continuous in storage and inflow, and growing with both; never more than the
    storage gives within the step. Compiled; plain numbers only.

    Parameters
    ----------
    storage : float
        Water in it at the start of the step, m3.
    inflow : float
        What flows in during the step, m3 s-1; reversed flow counts as none.
    seconds : float
        Length of the step, s.
    capacity : float
        Storage it can hold, m3.
    normal_share : float
        Share of the capacity above which flood control begins, 0 ... 1.
    normal_flow : float
        Mean inflow over years, m3 s-1.
    flood_flow : float
        Flow above which there is a flood downstream, m3 s-1, above half the normal
        flow.

    Returns
    -------
    float
        Release, m3 s-1.

    References
    ----------
    Hanazaki et al. (2022), section 2.3.

    Examples
    --------
    >>> float(reservoir_release(0.375e9, 80.0, 3600.0, 1e9, 0.75, 100.0, 500.0))
    50.0
    """
    came = max(inflow, 0.0)
    flood_storage = normal_share * capacity
    withheld = _WITHHELD * flood_storage
    emergency = flood_storage + _EMERGENCY * (capacity - flood_storage)
    low_flow = _WITHHELD * normal_flow
    if storage <= withheld:
        release = normal_flow * max(storage, 0.0) / flood_storage
    else:
        rise = min((storage - withheld) / (emergency - withheld), 1.0)
        calm = low_flow + rise * rise * (flood_flow - low_flow)
        if storage <= flood_storage:
            rise = (storage - withheld) / (flood_storage - withheld)
            flooded = low_flow + rise * (flood_flow - low_flow)
        elif storage < emergency:
            rise = (storage - flood_storage) / (emergency - flood_storage)
            flooded = flood_flow + rise * max(came - flood_flow, 0.0)
        else:
            flooded = max(came, flood_flow)
        if came >= flood_flow:
            release = flooded
        elif came <= normal_flow:
            release = calm
        else:
            share = (came - normal_flow) / (flood_flow - normal_flow)
            release = calm + share * (flooded - calm)
    release = max(release, came + (storage - capacity) / seconds)
    return min(release, max(storage, 0.0) / seconds)


@dataclass(frozen=True)
class Reservoirs:
    """Reservoirs of a network, one at the outlet of each catchment named.

    Parameters
    ----------
    catchment : sequence
        Identifiers of the catchments, as in the network.
    capacity : float or sequence of float
        Storage each can hold, m3.
    normal_flow : float or sequence of float
        Mean inflow over years, m3 s-1: of a run without reservoirs.
    flood_flow : float or sequence of float
        Flow above which there is a flood downstream, m3 s-1. Hanazaki et al. (2022)
        take 0.3 of the inflow that returns in 100 years.
    normal_share : float or sequence of float, default 0.75
        Share of the capacity above which flood control begins, of which half is
        withheld. The paper takes the storage not exceeded in 75 % of the time.

    Raises
    ------
    InputError
        If a catchment comes twice, lengths differ, or a number is not possible.

    Examples
    --------
    >>> Reservoirs([7], capacity=2e8, normal_flow=40.0, flood_flow=300.0).capacity
    array([2.e+08])
    """

    catchment: Any
    capacity: Any
    normal_flow: Any
    flood_flow: Any
    normal_share: Any = 0.75

    def __post_init__(self) -> None:
        names = ("capacity", "normal_flow", "flood_flow", "normal_share")
        columns(self, "reservoir", names)
        refuse(self, "capacity", self.capacity <= 0, "must be above 0 m3")
        refuse(self, "normal_flow", self.normal_flow <= 0, "must be above 0 m3 s-1")
        share = self.normal_share
        refuse(
            self,
            "normal_share",
            (share <= 0) | (share >= 1),
            "must lie between 0 and 1: it is a share of the capacity, not of 100",
        )
        refuse(
            self,
            "flood_flow",
            self.flood_flow <= self.normal_flow,
            "must be above the normal flow: take 0.3 of the inflow that returns in "
            "100 years, or twice the normal flow where that is larger",
        )
