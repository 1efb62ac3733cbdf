"""Which hosts and which pairs differ from the others.

A value is far from others if it exceeds their median by more than six times their spread (the median absolute deviation,
scaled as a standard deviation is) and by more than a floor: 0.1 percentage points of loss, or half of the median of a
time. A host is an outlier if the median of its pairs is far from the pairs without it. The worst such host is set aside,
and the others are judged again. A pair is an outlier if it is far from all pairs that are left.
"""

from statistics import median
from typing import NamedTuple

from .pairs import Pair

SPREADS = 6
NORMAL = 1.4826  # the standard deviation of a normal distribution, in median absolute deviations
LOSS_FLOOR, TIME_FLOOR = 0.001, 0.5
FEWEST = 3  # of fewer values, a spread says nothing


class Metric(NamedTuple):
    key: str
    title: str
    is_loss: bool = False


METRICS = (Metric("loss", "Loss", True), Metric("p50", "p50"), Metric("p99", "p99"), Metric("p999", "p99.9"), Metric("max", "Maximum"))


class Outlier(NamedTuple):
    metric: Metric
    hosts: tuple[str, ...]  # one host, or the sender and the reflector of a pair
    value: float
    others: float

    @property
    def name(self) -> str:
        return f"host {self.hosts[0]}" if len(self.hosts) == 1 else f"pair {'--'.join(self.hosts)}"


def excess(value: float, others: list[float], is_loss: bool) -> float:
    """By how much of what is far: above 1, it is far. 0 if there are too few others."""
    if len(others) < FEWEST:
        return 0.0
    middle = median(others)
    spread = NORMAL * median(abs(other - middle) for other in others)
    far = max(SPREADS * spread, LOSS_FLOOR if is_loss else TIME_FLOOR * middle)
    return (value - middle) / far if far > 0 else 0.0


def of_metric(metric: Metric, pairs: list[Pair]) -> list[Outlier]:
    left = [(one, value) for one in pairs if (value := getattr(one, metric.key)) is not None]
    found = []
    while True:
        worst: tuple[float, Outlier] | None = None
        for host in sorted({host for one, _ in left for host in one.hosts}):
            own = [value for one, value in left if host in one.hosts]
            others = [value for one, value in left if host not in one.hosts]
            by = excess(median(own), others, metric.is_loss) if len(own) > 1 else 0.0
            if by > 1 and (worst is None or by > worst[0]):
                worst = by, Outlier(metric, (host,), median(own), median(others))
        if worst is None:
            break
        found.append(worst[1])
        left = [(one, value) for one, value in left if worst[1].hosts[0] not in one.hosts]
    for one, value in left:
        others = [other for another, other in left if another is not one]
        if excess(value, others, metric.is_loss) > 1:
            found.append(Outlier(metric, (one.sender, one.reflector), value, median(others)))
    return found


def find(pairs: list[Pair]) -> list[Outlier]:
    return [outlier for metric in METRICS for outlier in of_metric(metric, pairs)]
