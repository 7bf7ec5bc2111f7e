"""Fields of the weather made whole: elevation, consistency, hours, forcing sets."""
