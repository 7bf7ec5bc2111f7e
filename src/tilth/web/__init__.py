"""The web application: the fleet as it runs, in any browser."""
