"""Which hosts and which pairs differ from the others.

A value is far from others if it exceeds their median by more than six times their spread (the median absolute deviation,
scaled as a standard deviation is) and by more than a floor: 0.1 percentage points of loss, or a factor of 1.5 for a time.
Times are compared by their logarithms, as tails of latency are skewed. The value of a host is the median of its pairs (the
lower one of two, so that most of them have to be bad), and is compared with those of the other hosts. The worst host that is
far is set aside with its pairs, and the others are judged again. A pair is an outlier if it is far from the median of all
pairs that are left. What has fewer than three others is not judged.
"""

from bisect import bisect_left
from math import log
from statistics import median, median_low
from typing import NamedTuple

from .pairs import Pair

SPREADS = 6
NORMAL = 1.4826  # the standard deviation of a normal distribution, in median absolute deviations
LOSS_FLOOR, TIME_FACTOR = 0.001, 1.5
FEWEST = 3  # of fewer others, a spread says nothing


class Metric(NamedTuple):
    key: str
    title: str
    is_loss: bool = False

    def scaled(self, value: float) -> float:
        """What is compared."""
        return value if self.is_loss else log(max(value, 1))


METRICS = (Metric("loss", "Loss", True), Metric("p50", "p50"), Metric("p99", "p99"), Metric("p999", "p99.9"), Metric("max", "Maximum"))


class Outlier(NamedTuple):
    metric: Metric
    hosts: tuple[str, ...]  # one host, or the sender and the reflector of a pair
    value: float
    others: float

    @property
    def name(self) -> str:
        return f"host {self.hosts[0]}" if len(self.hosts) == 1 else f"pair {'--'.join(self.hosts)}"


def far(metric: Metric, others: list[float]) -> tuple[float, float]:
    """The median of others, and what is far from it, both as they are compared."""
    scaled = list(map(metric.scaled, others))
    middle = median(scaled)
    spread = NORMAL * median(abs(other - middle) for other in scaled)
    return middle, max(SPREADS * spread, LOSS_FLOOR if metric.is_loss else log(TIME_FACTOR))


def worst_host(metric: Metric, left: list[tuple[Pair, float]]) -> Outlier | None:
    """The host that is the farthest from the others, if one is far. One that is in a single pair is not judged."""
    of_host: dict[str, list[float]] = {}
    for one, value in left:
        for host in one.hosts:
            of_host.setdefault(host, []).append(value)
    values = {host: median_low(own) for host, own in sorted(of_host.items()) if len(own) > 1}
    if len(values) <= FEWEST:
        return None
    # None is farther from its others than the greatest: they are smaller, and spread less, than those of any other host.
    worst = max(values, key=values.__getitem__)
    others = [value for host, value in values.items() if host != worst]
    middle, distance = far(metric, others)
    if metric.scaled(values[worst]) - middle <= distance:
        return None
    return Outlier(metric, (worst,), values[worst], median(others))


def median_without(ordered: list[float], value: float) -> float:
    """The median of all but one that has this value."""
    at, rest = bisect_left(ordered, value), len(ordered) - 1
    low, high = (place + (place >= at) for place in ((rest - 1) // 2, rest // 2))
    return (ordered[low] + ordered[high]) / 2


def of_metric(metric: Metric, pairs: list[Pair]) -> list[Outlier]:
    left = [(one, value) for one in pairs if (value := getattr(one, metric.key)) is not None]
    found = []
    while (host := worst_host(metric, left)) is not None:
        found.append(host)
        left = [(one, value) for one, value in left if host.hosts[0] not in one.hosts]
    if len(left) > FEWEST:
        ordered = sorted(value for _, value in left)
        middle, distance = far(metric, ordered)
        for one, value in left:
            if metric.scaled(value) - middle > distance:
                found.append(Outlier(metric, one.hosts, value, median_without(ordered, value)))
    return found


def can_judge(pairs: list[Pair]) -> bool:
    """Whether there are enough pairs to find an outlier among them."""
    return len(pairs) > FEWEST


def find(pairs: list[Pair]) -> list[Outlier]:
    return [outlier for metric in METRICS for outlier in of_metric(metric, pairs)]
