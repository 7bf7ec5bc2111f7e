"""Routing of runoff down a river network."""
