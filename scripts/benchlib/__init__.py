"""The parts of scripts/bench: figures (numbers, no machine), rigs (processes), cells (what is measured), report."""
