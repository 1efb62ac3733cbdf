"""The parts of scripts/find-rate.

venv (where the controller is installed), figures (numbers, no process), measurer (the process that measures), search
(the highest rates that hold), suites (RFC 2544, RFC 9004, latency under load), report (JSON and plots).
"""
