"""What scripts/bench is made of: figures (numbers, no machine), rigs (processes), cells (what is measured), report."""
