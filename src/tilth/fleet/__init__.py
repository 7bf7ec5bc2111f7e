"""A running service for fleets of autonomous chambers, with nothing lost."""
