"""How live fluxes are computed: every choice, its default and where that is from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tilth.chambers.budget import SystematicErrors
from tilth.chambers.fits.settings import FluxSettings
from tilth.chambers.geometry import Geometry, geometry_from_dict
from tilth.core.errors import InputError

#: Height of the air over the soil: volume over area (Paessler et al. 2024: 16-17 cm).
HEIGHT = 0.165

#: Soil area of a pot of 20 cm, m2. Only volume over area matters for a flux.
AREA = 0.0314


def _usual_geometry() -> Geometry:
    return Geometry({"volume": HEIGHT * AREA, "area": AREA})


@dataclass(frozen=True)
class LiveSettings:
    """How live fluxes are computed.

    Attributes
    ----------
    flux : FluxSettings
        Of the fit. The response of the SCD30 (20 s, datasheet) is part of the
        curves; 6 s, two samples, are left for the air to mix.
    geometry : Geometry
        Sizes of the chambers, common and by ``device``, ``pot``, ``variant`` or
        ``table``.
    errors : SystematicErrors
        What is not noise.
    lead_ms : int
        How much of the time before closing is looked at, ms.
    night_lux : float
        Light up to which it is night (Paessler et al. 2024: 10), lux.
    late_ms : int
        Arrival this long after the lid opened is late, ms.
    """

    flux: FluxSettings = field(
        default_factory=lambda: FluxSettings(response=20.0, dead_band=6.0)
    )
    geometry: Geometry = field(default_factory=_usual_geometry)
    errors: SystematicErrors = field(default_factory=SystematicErrors)
    lead_ms: int = 30_000
    night_lux: float = 10.0
    late_ms: int = 600_000

    @property
    def body(self) -> str:
        """The settings as JSON, in an order that never changes."""
        return json.dumps(asdict(self), sort_keys=True, default=str)

    @property
    def identifier(self) -> str:
        """Twelve hexadecimal digits that stand for these settings."""
        return hashlib.sha256(self.body.encode()).hexdigest()[:12]


#: What `settings_from_dict` takes.
_KEYS = ("geometry", "fit", "errors", "night_lux")


def settings_from_dict(content: Mapping[str, Any] | None) -> LiveSettings:
    """Read how fluxes are computed from a fleet's configuration.

    Parameters
    ----------
    content : mapping, optional
        ``geometry`` (as in a geometry file, see `tilth.chambers.read_geometry`),
        ``fit`` (parameters of `FluxSettings`), ``errors`` (of `SystematicErrors`)
        and ``night_lux``; any may be absent.

    Returns
    -------
    LiveSettings

    Raises
    ------
    InputError
        If a key is unknown or a value does not fit.

    Examples
    --------
    >>> settings = settings_from_dict({"fit": {"dead_band": 20.0}})
    >>> settings.flux.dead_band, settings.flux.response
    (20.0, 20.0)
    """
    content = dict(content or {})
    unknown = set(content) - set(_KEYS)
    if unknown:
        raise InputError(
            f"the settings of live fluxes know no {', '.join(sorted(unknown))}; "
            f"they take {', '.join(_KEYS)}"
        )
    usual = LiveSettings()
    night = content.get("night_lux", usual.night_lux)
    if isinstance(night, bool) or not isinstance(night, int | float) or night < 0:
        raise InputError(f"night_lux must be a number of lux, not below 0: {night!r}")
    fit = {"response": usual.flux.response, "dead_band": usual.flux.dead_band}
    return LiveSettings(
        flux=_made(FluxSettings, "fit", fit | dict(content.get("fit") or {})),
        geometry=(
            geometry_from_dict(content["geometry"])
            if content.get("geometry")
            else usual.geometry
        ),
        errors=_made(SystematicErrors, "errors", dict(content.get("errors") or {})),
        night_lux=float(night),
    )


def _made(kind: Any, section: str, values: dict[str, Any]) -> Any:
    """Return an object of settings, or say which key it does not take."""
    if "models" in values:
        values["models"] = tuple(values["models"])
    unknown = set(values) - set(kind.__dataclass_fields__)
    if unknown:
        raise InputError(
            f"{section} of live fluxes knows no {', '.join(sorted(unknown))}; "
            f"there are {', '.join(kind.__dataclass_fields__)}"
        )
    return kind(**values)
