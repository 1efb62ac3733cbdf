"""What the charts of a report show: of a run, or of several."""

from typing import Any, NamedTuple

import numpy as np

from plotlib import queues, rows, runs
from plotlib.words import nines_label, span

MOST_STEPS = 600  # of a distribution
MOST_EVENTS = 50
# From the back to the front, with the width of the line: in short intervals they coincide.
LATENCY = {"max": ("worst", 3.5), "p99.9": ("tx", 2.5), "p99": ("green", 1.3), "p50": ("rx", 1.3), "mean": ("purple", 1.3)}
COLOURS = ("rx", "tx", "green", "purple", "loss", "grey", "cyan", "brown")


class Series(NamedTuple):
    name: str
    colour: str  # of the style sheet
    values: np.ndarray  # NaN: nothing is drawn
    width: float = 1.3


class Chart(NamedTuple):
    title: str
    unit: str  # of the values: pps, share (0 to 1) or ns
    x: np.ndarray  # where each value begins, and where the last one ends
    series: list[Series]
    axis: str = "seconds"
    log: bool = False
    stacked: bool = False
    events: list[tuple[float, str]] = []
    ticks: list[tuple[float, str]] = []  # of the horizontal axis; empty: round numbers
    group: str = ""  # charts of a group share zoom and cursor

    def document(self) -> dict[str, Any]:
        """For the script of the page. A step ends where the next one begins, so the last value is repeated."""
        columns = [np.append(one.values, one.values[-1:]) for one in self.series]
        table = [[round(float(x), 6), *(None if not np.isfinite(one) or self.log and one <= 0 else float(f"{one:.6g}") for one in row)]
                 for x, *row in zip(self.x, *columns)]
        return {"title": self.title, "unit": self.unit, "axis": self.axis, "log": self.log, "stacked": self.stacked,
                "events": self.events, "ticks": self.ticks, "group": self.group, "rows": table,
                "series": [{"name": one.name, "colour": one.colour, "width": one.width} for one in self.series]}


def over_time(found: rows.Rows, group: str, events: list[tuple[float, str]]) -> list[Chart]:
    bins = rows.aggregate(found)
    each, one = span(bins.intervals * found.interval_ms), span(found.interval_ms)
    events = events[:MOST_EVENTS]
    seconds = np.diff(bins.edges_s)
    sums = [Series("tx", "tx", bins.tx / seconds, 3), Series("rx", "rx", bins.rx / seconds)]
    losses = [Series("loss", "loss", bins.loss)]
    if bins.intervals > 1:
        losses.insert(0, Series(f"worst {one}", "worst", bins.worst))
    charts = [Chart(f"Packets per second, per {each}", "pps", bins.edges_s, sums, events=events, group=group),
              Chart(f"Packets lost, per {each}", "share", bins.edges_s, losses, events=events, group=group)]
    names = [name for name in LATENCY if name in bins.latency and (name != "mean" or "p50" not in bins.latency)]
    if names:
        what = f"per {each}" if bins.intervals == 1 or names == ["mean"] else f"worst {one} of each {each}"
        curves = [Series(name, *LATENCY[name][:1], bins.latency[name], LATENCY[name][1]) for name in names]
        charts.append(Chart(f"Round trips, {what}", "ns", bins.edges_s, curves, log=True, events=events, group=group))
    return charts


def of_queues(found: queues.Shares, group: str) -> Chart:
    series = [Series(name, COLOURS[number % len(COLOURS)], np.nan_to_num(share))
              for number, (name, share) in enumerate(found.shares().items())]
    title = f"Share of each rx queue in the packets received, per {span(found.intervals * found.interval_ms)}"
    return Chart(title, "share", found.edges_s, series, stacked=True, group=group)


def percentiles(found: list[tuple[str, runs.Summary]]) -> Chart | None:
    """The distributions of several runs in one chart: x is the number of nines."""
    known = [(name, one.steps()) for name, run in found if (one := run.latencies())]
    if not known:
        return None
    last = max(nines[-1] for _, (nines, _) in known)
    x = np.unique(np.concatenate([nines for _, (nines, _) in known]))
    if len(x) > MOST_STEPS:
        x = x[np.unique(np.linspace(0, len(x) - 1, MOST_STEPS).astype(int))]
    series = []
    for number, (name, (nines, values)) in enumerate(known):
        at = np.searchsorted(nines, x[:-1], side="right") - 1
        shown = np.where(x[:-1] < nines[-1], values[np.minimum(at, len(values) - 1)], np.nan)
        series.append(Series(name, COLOURS[number % len(COLOURS)], shown, 2))
    ticks = [(float(one), nines_label(one)) for one in range(int(last) + 1)]
    return Chart("Round trips by percentile", "ns", x, series, axis="percentile", log=True, ticks=ticks)


def events_of(series: rows.Rows | None, run: dict[str, Any] | None) -> list[tuple[float, str]]:
    """In seconds; the JSON has the exact times."""
    if run and run.get("events"):
        several = len(run.get("ports", [])) > 1
        return [(float(one["at_s"]), f"p{one['port']}.{one['what']}" if several else str(one["what"])) for one in run["events"]]
    return [(ms / 1000, what) for ms, what in series.events] if series else []
