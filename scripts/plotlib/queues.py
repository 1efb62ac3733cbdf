"""Reads the CSV of --per-queue: how the packets that were received are spread over the rx queues."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .rows import BadInput, interval_of, intervals_per_point

HEADER = ("time_ms", "queue", "rx_packets")
RX_QUEUE = re.compile(r"(?:p(\d+)\.)?rx(\d+)$")


class Shares(NamedTuple):
    """Packets received by each rx queue, in equal stretches of time."""
    intervals: int
    interval_ms: float
    edges_s: np.ndarray
    received: dict[str, np.ndarray]  # by queue, in the order of ports and queues

    def shares(self) -> dict[str, np.ndarray]:
        """From 0 to 1, which add up to 1; NaN where nothing was received."""
        total = sum(self.received.values())
        return {name: np.divide(one, total, out=np.full(len(one), np.nan), where=total > 0)
                for name, one in self.received.items()}


def order_of(queue: str) -> tuple[int, int]:
    found = RX_QUEUE.match(queue)
    return (int(found[1] or 0), int(found[2])) if found else (0, 0)


def read(stream: Iterable[str], name: str, bin_ms: float | None = None) -> Shares:
    lines = iter(stream)
    header = [cell.strip() for cell in next(lines, "").split(",")]
    time_at, queue_at, rx_at = (header.index(pick) for pick in HEADER)
    found: list[tuple[str, float, float]] = []
    for number, line in enumerate(lines, 2):
        row = line.rstrip("\n").split(",")
        if len(row) != len(header):
            if not line.endswith("\n"):
                break  # cut off: the run was killed
            raise BadInput(f"{name}: line {number}: {len(row)} columns instead of {len(header)}")
        if not RX_QUEUE.match(row[queue_at]):
            continue
        try:
            found.append((row[queue_at], float(row[time_at]), float(row[rx_at])))
        except ValueError as error:
            raise BadInput(f"{name}: line {number}: {error}") from None
        if not all(0 <= one < 1e13 for one in found[-1][1:]):
            raise BadInput(f"{name}: line {number}: not a time or a count")
    if not found:
        raise BadInput(f"{name}: no row of an rx queue")
    times = np.array([one[1] for one in found])
    counts = np.array([one[2] for one in found])
    interval = interval_of(np.unique(times))
    slot = np.round((times - times.min()) / interval).astype(np.int64)
    slots = int(slot.max()) + 1
    intervals = intervals_per_point(slots, interval, bin_ms)
    points = -(-slots // intervals)
    names = sorted({one[0] for one in found}, key=order_of)
    of_queue = np.array([one[0] for one in found])
    received = {queue: np.bincount(slot[of_queue == queue] // intervals, counts[of_queue == queue], points) for queue in names}
    edges_ms = times.min() + np.minimum(np.arange(points + 1) * intervals, slots) * interval
    return Shares(intervals, interval, edges_ms / 1000, received)
