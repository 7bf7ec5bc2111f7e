"""How tightly a soil holds its water, and how fast it lets it pass.

Two families of curves, each an `equinox.Module` whose fields may be numbers or arrays
that broadcast with the water content: `ClappHornberger` and `VanGenuchten`. Both offer

* ``saturation_degree(water)``: effective saturation, 1;
* ``head(water)``: matric head, m (negative);
* ``conductivity(water)``: hydraulic conductivity, m s-1;
* ``content(head)``: the inverse of ``head``, m3 m-3.

Heads go on as straight lines below `DRIEST_HEAD` and above saturation, so that a
solver which overshoots is led back; the slopes are finite everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError

__all__ = ["DRIEST_HEAD", "TEXTURES", "ClappHornberger", "VanGenuchten", "texture"]

#: Head of air-dry soil, m: pF 7, where the relative humidity of the pores is 0.06 %.
#: Schofield (1935) puts oven-dry soil there, for all textures.
DRIEST_HEAD = -1.0e5

#: Below this saturation nothing flows: K is less than 1e-30 of its saturated value.
_LEAST_SATURATION = 1.0e-4

#: Van Genuchten's curves have infinite slopes at saturation; within this distance of
#: it they are replaced by straight lines.
_NEAR_SATURATION = 1.0e-4

#: Clapp-Hornberger parameters by USDA texture: exponent, porosity m3 m-3, head at
#: saturation m, saturated conductivity m s-1. Cosby et al. (1984), Water Resour. Res.
#: 20, 682-690, as tabulated for Noah and Noah-MP (He et al. 2023).
TEXTURES: dict[str, tuple[float, float, float, float]] = {
    "sand": (2.79, 0.339, -0.069, 4.66e-5),
    "loamy sand": (4.26, 0.421, -0.036, 1.41e-5),
    "sandy loam": (4.74, 0.434, -0.141, 5.23e-6),
    "silt loam": (5.33, 0.476, -0.759, 2.81e-6),
    "silt": (3.86, 0.484, -0.955, 2.18e-6),
    "loam": (5.25, 0.439, -0.355, 3.38e-6),
    "sandy clay loam": (6.77, 0.404, -0.135, 4.45e-6),
    "silty clay loam": (8.72, 0.464, -0.617, 2.03e-6),
    "clay loam": (8.17, 0.465, -0.263, 2.45e-6),
    "sandy clay": (10.73, 0.406, -0.098, 7.22e-6),
    "silty clay": (10.39, 0.468, -0.324, 1.34e-6),
    "clay": (11.55, 0.468, -0.468, 9.74e-7),
}


def _continued(function: Callable, x: Any, low: Any, high: Any) -> Any:
    """Evaluate a function between two bounds, and its tangents outside them."""
    inside = jnp.clip(x, low, high)
    value, slope = jax.jvp(function, (inside,), (jnp.ones_like(inside),))
    return value + slope * (x - inside)


class ClappHornberger(eqx.Module):
    r"""Power laws of the degree of saturation.

    .. math:: \psi = \psi_s W^{-b}, \quad K = K_s W^{2b+3}, \quad
       W = \theta / \theta_s .

    Parameters
    ----------
    saturation : array_like
        Water content at saturation (porosity), in m3 m-3.
    psi_saturated : array_like
        Head at saturation, in m; negative.
    conductivity_saturated : array_like
        Hydraulic conductivity at saturation, in m s-1.
    exponent : array_like
        b, dimensionless.

    References
    ----------
    Clapp & Hornberger (1978), Water Resour. Res. 14, 601-604, eqs 1 and 3. Campbell
    (1974), Soil Sci. 117, 311-314 (the exponent of K).

    Examples
    --------
    >>> soil = ClappHornberger(0.439, -0.355, 3.38e-6, 5.25)
    >>> print(f"{float(soil.head(0.2195)):.2f} m")
    -13.51 m
    """

    saturation: Any
    psi_saturated: Any
    conductivity_saturated: Any
    exponent: Any

    @property
    def least_water(self) -> Any:
        """Water that never flows, m3 m-3."""
        return jnp.zeros_like(jnp.asarray(self.saturation, float))

    def saturation_degree(self, water: Any) -> Any:
        """Return W; above 1 where there is more water than pores."""
        return water / self.saturation

    def head(self, water: Any) -> Any:
        """Return the matric head, m."""
        driest = (self.psi_saturated / DRIEST_HEAD) ** (1.0 / self.exponent)
        degree = jnp.asarray(self.saturation_degree(water), float)
        degree, driest = jnp.broadcast_arrays(degree, driest)
        return _continued(
            lambda w: self.psi_saturated * w ** (-self.exponent), degree, driest, 1.0
        )

    def conductivity(self, water: Any) -> Any:
        """Return the hydraulic conductivity, m s-1."""
        degree = jnp.clip(self.saturation_degree(water), _LEAST_SATURATION, 1.0)
        return self.conductivity_saturated * degree ** (2.0 * self.exponent + 3.0)

    def content(self, head: Any) -> Any:
        """Return the water content at a head, m3 m-3; saturated above psi_saturated."""
        ratio = jnp.maximum(head / self.psi_saturated, 1.0)
        return self.saturation * ratio ** (-1.0 / self.exponent)


class VanGenuchten(eqx.Module):
    r"""Van Genuchten's retention curve with Mualem's conductivity.

    .. math:: S = \frac{\theta-\theta_r}{\theta_s-\theta_r}
       = [1 + (\alpha|\psi|)^n]^{-m}, \quad
       K = K_s S^l [1 - (1 - S^{1/m})^m]^2, \quad m = 1 - 1/n .

    Parameters
    ----------
    residual, saturation : array_like
        Least and greatest water content, in m3 m-3.
    alpha : array_like
        Inverse of the air-entry scale, in m-1.
    n : array_like
        Shape, above 1.
    conductivity_saturated : array_like
        Hydraulic conductivity at saturation, in m s-1.
    l : array_like, optional
        Pore connectivity; Mualem's mean of 45 soils is 0.5.

    References
    ----------
    Van Genuchten (1980), Soil Sci. Soc. Am. J. 44, 892-898, eqs 3, 8, 21. Mualem
    (1976), Water Resour. Res. 12, 513-522.

    Examples
    --------
    >>> soil = VanGenuchten(0.102, 0.368, 3.35, 2.0, 9.22e-5)
    >>> print(f"{float(soil.content(-0.75)):.4f}")
    0.2004
    """

    residual: Any
    saturation: Any
    alpha: Any
    n: Any
    conductivity_saturated: Any
    l: Any = 0.5  # noqa: E741  (the name the field gives it)

    @property
    def _m(self) -> Any:
        return 1.0 - 1.0 / self.n

    @property
    def least_water(self) -> Any:
        """Water that never flows, m3 m-3."""
        return jnp.asarray(self.residual, float)

    def saturation_degree(self, water: Any) -> Any:
        """Return S; above 1 where there is more water than pores."""
        return (water - self.residual) / (self.saturation - self.residual)

    def head(self, water: Any) -> Any:
        """Return the matric head, m."""
        driest = (1.0 + (-self.alpha * DRIEST_HEAD) ** self.n) ** (-self._m)
        degree = jnp.asarray(self.saturation_degree(water), float)
        degree, driest = jnp.broadcast_arrays(degree, driest)
        return _continued(
            lambda s: -((s ** (-1.0 / self._m) - 1.0) ** (1.0 / self.n)) / self.alpha,
            degree,
            driest,
            1.0 - _NEAR_SATURATION,
        )

    def conductivity(self, water: Any) -> Any:
        """Return the hydraulic conductivity, m s-1."""
        degree = self.saturation_degree(water)
        wettest = 1.0 - _NEAR_SATURATION
        inside = jnp.clip(degree, _LEAST_SATURATION, wettest)
        relative = (
            inside**self.l * (1.0 - (1.0 - inside ** (1.0 / self._m)) ** self._m) ** 2
        )
        last = jnp.clip((degree - wettest) / _NEAR_SATURATION, 0.0, 1.0)
        return self.conductivity_saturated * (relative + (1.0 - relative) * last)

    def content(self, head: Any) -> Any:
        """Return the water content at a head, m3 m-3."""
        suction = jnp.maximum(-head, 1e-12)
        degree = (1.0 + (self.alpha * suction) ** self.n) ** (-self._m)
        return self.residual + (self.saturation - self.residual) * degree


def texture(name: str) -> ClappHornberger:
    """Return the Clapp-Hornberger curves of a USDA texture class.

    Parameters
    ----------
    name : str
        A key of `TEXTURES`, such as ``"silt loam"``.

    Returns
    -------
    ClappHornberger
        With numbers for fields.

    Raises
    ------
    InputError
        If there is no such class.

    References
    ----------
    Cosby et al. (1984), Water Resour. Res. 20, 682-690.
    """
    try:
        exponent, saturation, psi, conductivity = TEXTURES[name.lower()]
    except KeyError:
        raise InputError(
            f"no texture class {name!r}; the twelve of the USDA are: "
            f"{', '.join(TEXTURES)}"
        ) from None
    return ClappHornberger(saturation, psi, conductivity, exponent)
