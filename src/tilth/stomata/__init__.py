"""Stomata: how leaves open, fitted, explained and put to the test."""
