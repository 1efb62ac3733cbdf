"""The results of many pairs of hosts as a matrix."""
