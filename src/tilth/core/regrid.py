"""Regridding (first constants only)."""

#: Radius of the sphere with the area of the WGS 84 ellipsoid, m.
EARTH_RADIUS = 6_371_007.2
