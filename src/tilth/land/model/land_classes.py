"""Land classes of SiB2: what grows there, month by month, as published.

Everything is a table; `tilth.land.model.parameters` turns rows into arrays.
"""

from __future__ import annotations

from tilth.core.errors import InputError

#: The columns of `CLASSES`, each with its name among the parameters.
COLUMNS = (
    "height",
    "base",
    "cover",
    "carboxylation",
    "stomatal_slope",
    "stomatal_intercept",
    "quantum_efficiency",
    "heat_inhibition",
    "cold_inhibition",
    "leaf_reflectance_visible",
    "leaf_reflectance_infrared",
    "leaf_transmissivity_visible",
    "leaf_transmissivity_infrared",
    "root_depth",
    "critical_head",
    "medlyn_slope",
)

#: SiB2's biomes (Sellers et al. 1996, J. Climate 9, 676-705 and 706-737, tables 2-5).
#: Critical heads: Sellers et al. 1996, table 5 (-2 MPa, shrubs -3 MPa). Slopes of the
#: Medlyn model in kPa^0.5: Lin et al. (2015), Nature Climate Change 5, figure 2 and
#: CLM5 (Lawrence et al. 2019, table 2.9.1). Roots of biomes 7 and 8: Sellers et al.
#: 1996, table 2. Order: `COLUMNS`; m, m, 1, umol m-2 s-1, 1, mol m-2 s-1, mol mol-1,
#: K, K, 1 (four times), m, m, kPa^0.5.
CLASSES: dict[str, tuple[float, ...]] = {
    "broadleaf_evergreen": (
        *(35.0, 1.0, 1.0, 100.0, 9.0, 0.01, 0.08, 313.0, 288.0),
        *(0.10, 0.45, 0.05, 0.25, 1.5, -200.0, 4.12),
    ),
    "broadleaf_deciduous": (
        *(20.0, 11.5, 1.0, 100.0, 9.0, 0.01, 0.08, 311.0, 283.0),
        *(0.10, 0.45, 0.05, 0.25, 1.5, -200.0, 4.45),
    ),
    "mixed_forest": (
        *(20.0, 10.0, 1.0, 80.0, 7.5, 0.01, 0.08, 307.0, 281.0),
        *(0.07, 0.40, 0.05, 0.15, 1.5, -200.0, 3.40),
    ),
    "needleleaf_evergreen": (
        *(17.0, 8.5, 1.0, 60.0, 6.0, 0.01, 0.08, 303.0, 278.0),
        *(0.07, 0.35, 0.05, 0.10, 1.5, -200.0, 2.35),
    ),
    "needleleaf_deciduous": (
        *(17.0, 8.5, 1.0, 60.0, 6.0, 0.01, 0.08, 303.0, 278.0),
        *(0.07, 0.35, 0.05, 0.10, 1.5, -200.0, 2.35),
    ),
    "c4_grass": (
        *(1.0, 0.1, 1.0, 30.0, 4.0, 0.04, 0.05, 313.0, 288.0),
        *(0.105, 0.58, 0.07, 0.25, 1.0, -200.0, 1.62),
    ),
    "shrub": (
        *(0.5, 0.1, 0.1, 60.0, 9.0, 0.01, 0.08, 313.0, 283.0),
        *(0.10, 0.45, 0.05, 0.25, 1.0, -300.0, 4.70),
    ),
    "tundra": (
        *(0.6, 0.1, 1.0, 60.0, 9.0, 0.01, 0.08, 303.0, 278.0),
        *(0.105, 0.58, 0.07, 0.25, 1.0, -200.0, 2.22),
    ),
    "crop": (
        *(1.0, 0.1, 1.0, 100.0, 9.0, 0.01, 0.08, 308.0, 281.0),
        *(0.105, 0.58, 0.07, 0.25, 1.0, -200.0, 5.79),
    ),
    "bare": (
        *(0.5, 0.1, 0.1, 60.0, 9.0, 0.01, 0.08, 313.0, 283.0),
        *(0.10, 0.45, 0.05, 0.25, 1.0, -300.0, 4.70),
    ),
}

#: Leaf area index in the middle of each month, January first, in northern latitudes:
#: MODIS climatology of 2000-2008 by USGS land class (Yang et al. 2011, J. Geophys. Res.
#: 116, D12109), as Noah-MP tabulates it (He et al. 2023, NCAR/TN-575+STR). In the order
#: of `CLASSES` the USGS classes 13, 11, 15, 14, 12, 10, 8, 22, 2 and 19.
LEAF_AREA: dict[str, tuple[float, ...]] = {
    "broadleaf_evergreen": (4.5,) * 12,
    "broadleaf_deciduous": (0, 0, 0.3, 1.2, 3.0, 4.7, 4.5, 3.4, 1.2, 0.3, 0, 0),
    "mixed_forest": (2, 2, 2.2, 2.6, 3.5, 4.3, 4.3, 3.7, 2.6, 2.2, 2, 2),
    "needleleaf_evergreen": (4.0,) * 12,
    "needleleaf_deciduous": (0, 0, 0, 0.6, 1.2, 2.0, 2.6, 1.7, 1.0, 0.5, 0.2, 0),
    "c4_grass": (0.3, 0.3, 0.5, 0.8, 1.8, 3.6, 3.8, 2.1, 0.9, 0.5, 0.3, 0.3),
    "shrub": (0, 0, 0.2, 0.6, 1.5, 2.3, 2.3, 1.7, 0.6, 0.2, 0, 0),
    "tundra": (0.6, 0.6, 0.7, 0.8, 1.2, 1.8, 1.8, 1.3, 0.8, 0.7, 0.6, 0.6),
    "crop": (0, 0, 0, 0, 1.0, 2.0, 3.0, 3.0, 1.5, 0, 0, 0),
    "bare": (0.0,) * 12,
}

#: Classes whose leaves photosynthesise along the C4 path.
C4_CLASSES = frozenset({"c4_grass"})


def land_class(name: str) -> dict[str, float]:
    """Return the numbers of a land class by column.

    Parameters
    ----------
    name : str
        A key of `CLASSES`.

    Returns
    -------
    dict of str to float
        Per name in `COLUMNS`.

    Raises
    ------
    InputError
        If there is no such class.

    Examples
    --------
    >>> land_class("crop")["carboxylation"]
    100.0
    """
    try:
        return dict(zip(COLUMNS, CLASSES[name], strict=True))
    except KeyError:
        raise InputError(
            f"no land class {name!r}; there are {', '.join(CLASSES)}"
        ) from None
