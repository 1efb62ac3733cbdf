"""What scripts/compare and scripts/bench-sockets share: hosts, programs on them, and figures."""
