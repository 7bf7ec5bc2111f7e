"""Files other systems exported: read with all their traps, flagged, never cleaned."""
