"""Curves fitted to closures: from readings to fluxes with errors and reasons."""
