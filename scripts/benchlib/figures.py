"""Turns the output of programs into comparable figures. Knows no process and no machine."""

import csv
import re
from statistics import fmean, median, pstdev
from typing import NamedTuple, TextIO

import numpy as np

STEAL_APART = 0.01  # maximum difference of steal between two sides: 1 percentage point
NEAR_NS = 150.0  # round trip of a cache line between two CPUs: below, they share a last-level cache


class Sample(NamedTuple):
    """One repetition of one side."""
    pps: float
    steal: float  # share of the CPUs' time that the host gave to others
    kind: str = ""  # distance of the two CPUs; empty if only one works


class Spread(NamedTuple):
    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.median / 1e6:.3g} [{self.low / 1e6:.3g}..{self.high / 1e6:.3g}]"


Round = dict[str, Sample]  # by side: one repetition of each, one right after the other


def spread(values: list[float]) -> Spread:
    return Spread(median(values), min(values), max(values), len(values))


def testpmd_pps(text: str, direction: str) -> float:
    """The median rate of `--stats-period 1`. The first two lines are about the start, the last one about the end."""
    rates = [float(rate) for rate in re.findall(rf"{direction}-pps:\s*(\d+)", text)][2:-1]
    if not rates:
        raise ValueError(f"testpmd told no {direction} rate")
    return median(rates)


def steal_share(before: str, after: str, cpus: list[int]) -> float:
    """The share of the time of these CPUs that the host gave to others between two readings of /proc/stat."""
    def of(stat: str) -> tuple[int, int]:
        lines = {line.split()[0]: [int(cell) for cell in line.split()[1:9]] for line in stat.splitlines()
                 if re.match(r"cpu\d", line)}
        mine = [lines[f"cpu{cpu}"] for cpu in cpus]
        return sum(line[7] for line in mine), sum(map(sum, mine))
    (stolen_before, all_before), (stolen_after, all_after) = of(before), of(after)
    return (stolen_after - stolen_before) / max(1, all_after - all_before)


def kind_of(before_ns: float, after_ns: float) -> str:
    """Where two virtual CPUs sit on the host can change at any time, also during a repetition."""
    near = {before_ns <= NEAR_NS, after_ns <= NEAR_NS}
    return "moved" if len(near) > 1 else "near" if near.pop() else "far"


def not_comparable(samples: Round) -> str:
    """Why the sides of a round cannot be compared; empty if they can."""
    steals = [sample.steal for sample in samples.values()]
    if max(steals) - min(steals) > STEAL_APART:
        first, *rest = steals
        other = max(rest, key=lambda steal: abs(steal - first))
        if abs(other - first) <= STEAL_APART:  # two of the others differ
            first, other = max(rest), min(rest)
        return f"steal {first:.1%} against {other:.1%}".replace("%", " %")
    kinds = [sample.kind for sample in samples.values() if sample.kind]
    if "moved" in kinds or len(set(kinds)) > 1:
        return f"CPUs {' against '.join(kinds)}"
    return ""


def by_kind(rounds: list[Round]) -> dict[str, list[Round]]:
    """Rounds that may be compared with each other: those in which the CPUs were equally far apart."""
    groups: dict[str, list[Round]] = {}
    for samples in rounds:
        kind = next((sample.kind for sample in samples.values() if sample.kind), "")
        groups.setdefault(kind, []).append(samples)
    return groups


def of_side(rounds: list[Round], side: str) -> Spread:
    return spread([samples[side].pps for samples in rounds])


class Ratio(NamedTuple):
    """One line of the result."""
    cell: str
    kind: str
    ours: Spread
    than: str
    other: Spread | float
    goal: float | None = None
    note: str = ""  # behind the figures

    @property
    def value(self) -> float:
        return self.ours.median / (self.other.median if isinstance(self.other, Spread) else self.other)

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value >= self.goal

    def __str__(self) -> str:
        other = self.other if isinstance(self.other, Spread) else f"{self.other / 1e6:.3g}"
        name = f"{self.cell} {self.kind}".rstrip()
        text = f"{label(name)} {self.value:5.2f} x {self.than} ({self.ours} / {other} Mpps{self.note})"
        return text + goal_text(self.goal, self.met)


def label(name: str) -> str:
    """The label of a line, padded to the longest label plus the distance of the CPUs."""
    return f"{name:<21}"


def goal_text(goal: float | str | None, met: bool | None) -> str:
    if goal is None:
        return ""
    wanted = goal if isinstance(goal, str) else f"{goal:g}"
    return f"  goal {wanted}: {'met' if met else 'NOT MET'}"


class Flatness(NamedTuple):
    """How constant a rate is, from the packets sent per interval."""
    intervals: int
    mean: float
    deviation: float
    worst: float
    period_ms: float  # of the strongest spectral line
    line_share: float  # of the variance that this line makes


def flatness(tx: list[float], interval_ms: float) -> Flatness:
    if len(tx) < 3:
        raise ValueError(f"{len(tx)} intervals are too few to tell how even they are")
    mean = fmean(tx)
    power = np.abs(np.fft.rfft(np.array(tx) - mean)) ** 2
    if len(tx) % 2 == 0:
        power[-1] /= 2  # all others also represent a negative frequency
    line = int(power[1:].argmax()) + 1
    total = float(power[1:].sum())
    return Flatness(len(tx), mean, pstdev(tx), min(tx), len(tx) * interval_ms / line,
                    float(power[line]) / total if total else 0.0)


def sent_per_interval(stream: TextIO) -> list[float]:
    """From our CSV, without the first and the last interval, which the run may not fill."""
    return [float(row["tx_packets"]) for row in csv.DictReader(stream)][1:-1]
