"""Reads what is in data/golden."""
