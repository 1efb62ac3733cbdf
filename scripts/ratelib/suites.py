"""What is measured besides the search: RFC 2544's other tests, RFC 9004's, and latency under load."""

import math
from collections.abc import Callable
from statistics import fmean, pstdev
from typing import Any, NamedTuple

from . import figures

PERCENTILES = ("p50", "p90", "p99", "p99.9", "p99.99", "max")
Ask = Callable[..., figures.Trial]
Say = Callable[[str], None]


class Latency(NamedTuple):
    """Round trips at one load. With `since_due`, the time that the sender was late counts, too."""
    name: str
    load_pps: float
    loss_ratio: float
    since_sent: dict[str, float | None]
    since_due: dict[str, float | None]


def latency(ask: Ask, name: str, pps: float, seconds: float, **more: Any) -> Latency:
    one = ask(rate_pps=pps, duration_s=seconds, **more)
    told = one.answer["latency_ns"]
    due = told["since_due"] or {}
    return Latency(name, pps, one.loss_ratio, {name: told[name] for name in PERCENTILES},
                   {name: due.get(name) for name in PERCENTILES if name != "max"})


def profile(ask: Ask, ndr_pps: float, seconds: float, shares: tuple[int, ...], idle: bool, **more: Any) -> list[Latency]:
    """Round trips at shares of a rate, in percent; before that with hardly any packets, if wanted."""
    found = []
    if idle:
        found.append(latency(ask, "idle", min(1000.0, ndr_pps / 100), seconds, **more))
    return found + [latency(ask, f"{share} %", ndr_pps * share / 100, seconds, **more) for share in shares]


def latency_table(rows: list[Latency]) -> list[str]:
    """Percentiles side by side, since packets were due: what a user of the path saw."""
    cells = [["latency since due", *(row.name for row in rows)], ["load", *(figures.rate(row.load_pps) for row in rows)],
             ["not back", *(figures.share(row.loss_ratio) for row in rows)]]
    for name in PERCENTILES[:-1]:
        cells.append([name, *(figures.nanoseconds(row.since_due[name]) for row in rows)])
    cells.append(["max since sent", *(figures.nanoseconds(row.since_sent["max"]) for row in rows)])
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def frame_loss_rate(ask: Ask, max_pps: float, seconds: float, **more: Any) -> list[tuple[float, float]]:
    """RFC 2544, section 26.3: from the highest rate down in steps of 10 % of it, until two trials in a row lose nothing.
    Pairs of load and loss."""
    found: list[tuple[float, float]] = []
    for tenth in range(10, 0, -1):
        pps = max_pps * tenth / 10
        found.append((pps, ask(rate_pps=pps, duration_s=seconds, **more).loss_ratio))
        if [loss for _, loss in found[-2:]] == [0.0, 0.0]:
            break
    return found


class BackToBack(NamedTuple):
    """RFC 9004: the longest burst without loss, and what follows from it."""
    lengths: list[int]  # of each repetition
    is_limited: bool  # even the longest burst that was tried came back
    burst_pps: float
    implied_s: float
    corrected_s: float

    @property
    def mean(self) -> float:
        return fmean(self.lengths)

    def lines(self) -> list[str]:
        at_least = "at least " if self.is_limited else ""
        spread = f"{min(self.lengths):,} to {max(self.lengths):,}, standard deviation {pstdev(self.lengths):,.0f}"
        return [f"back-to-back: {at_least}{self.mean:,.0f} packets at {figures.rate(self.burst_pps)} "
                f"({len(self.lengths)} repetitions: {spread})",
                f"buffer time: implied {figures.nanoseconds(self.implied_s * 1e9)}, "
                f"corrected {figures.nanoseconds(self.corrected_s * 1e9)}"]


def longest_burst(ask: Ask, longest: int, rest: Callable[[], None], resolution: float = 0.01,
                  **more: Any) -> tuple[int, list[figures.Trial]]:
    """The longest burst of up to `longest` packets that is sent and comes back as a whole, by bisection. `rest` waits
    until buffers are empty again."""
    trials = []

    def holds(packets: int) -> bool:
        rest()
        one = ask(count=packets, **more)
        trials.append(one)
        # At a given rate, packets that the sender did not get to would be gaps in the burst.
        return one.valid == packets and (not one.load_pps or one.loss_ratio == 0)

    if holds(longest):
        return longest, trials
    low, high = 0, longest
    # Bursts differ in length by orders of magnitude: first upwards in powers of two.
    length = 1
    while length < longest and holds(length):
        low, length = length, 2 * length
    high = min(length, longest)
    while high - low > max(1, math.floor(resolution * low)):
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, trials


def back_to_back(ask: Ask, burst_pps: float, throughput_pps: float, repetitions: int, longest: int,
                 rest: Callable[[], None], say: Say, **more: Any) -> BackToBack:
    """Bursts at `burst_pps` (0: as fast as the port takes them, which is then measured)."""
    lengths, rates = [], []
    for repetition in range(repetitions):
        length, trials = longest_burst(ask, longest, rest, rate_pps=burst_pps, **more)
        lengths.append(length)
        rates += [one.sent / one.duration_s for one in trials if one.sent >= max(2, length) and one.duration_s > 0]
        say(f"back-to-back {repetition + 1}/{repetitions}: {length:,} packets")
    pps = burst_pps or (max(rates) if rates else math.inf)
    implied, corrected = figures.buffer_times(fmean(lengths), pps, throughput_pps)
    return BackToBack(lengths, min(lengths) >= longest, pps, implied, corrected)
