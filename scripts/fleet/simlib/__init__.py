"""Simulated hosts: results of pairs that were not measured, and a controller whose hosts only pretend to measure."""
