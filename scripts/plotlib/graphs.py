"""Draws graphs with matplotlib: each as .png and .svg, the same files for the same input."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no messages about missing fonts and caches

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter  # noqa: E402

from .histogram import Distribution  # noqa: E402
from .queues import Shares  # noqa: E402
from .rows import Bins, Rows, summary  # noqa: E402
from .words import count, nines_label, percent, span, time  # noqa: E402

TX, RX, LOSS, WORST, GREY = "#f5a623", "#1f4e79", "#c0392b", "#d98880", "#5f6a6a"
SEVERAL = ("#1f4e79", "#f5a623", "#2e8b57", "#8e44ad", "#c0392b", "#5f6a6a", "#17becf", "#8c564b")
# What is drawn, from the back to the front, with its colour and width: in short intervals they coincide. min would hide p50.
LATENCY = {"max": (WORST, 3.4), "p99.9": (TX, 2.2), "p99": ("#2e8b57", 1.1), "p50": (RX, 1.1), "mean": ("#8e44ad", 1.1)}
PERCENT = FuncFormatter(lambda share, _: percent(share, 6))
TIME = FuncFormatter(lambda ns, _: time(ns))
LINE = {"baseline": None, "linewidth": 1.1, "joinstyle": "round", "clip_on": False, "zorder": 3}
STYLE = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
         "grid.color": "#dddddd", "grid.linewidth": 0.6, "font.size": 10, "savefig.dpi": 200, "svg.hashsalt": "plot"}
MOST_NAMED = 12  # events that are drawn with their names


class Panel(NamedTuple):
    """One above the other in a column."""
    label: str
    formatter: Any
    top: float | None  # of the axis, which begins at 0; None: as needed
    curves: list[dict[str, Any]]  # for Axes.stairs
    log: bool = False


class Column(NamedTuple):
    """A file's graph: those of several files are side by side, with the same axis."""
    title: str
    subtitle: tuple[str, ...]
    edges_s: np.ndarray
    panels: list[Panel]
    events: list[tuple[float, str]] = []  # in ms


def set_style(xkcd: bool = False) -> None:
    """As matplotlib is by itself, whatever the user's settings are, then ours."""
    matplotlib.rcdefaults()
    if xkcd:
        plt.xkcd(scale=0.5)
        # Missing fonts are skipped. The white halo around each line would hide the line below.
        plt.rcParams.update({"font.family": [*plt.rcParams["font.family"], "DejaVu Sans"], "path.effects": []})
    plt.rcParams.update(STYLE)


def one_line(text: str, most: int = 80) -> str:
    return " ".join(text.split())[:most]


def write(figure: Any, stem: Path) -> list[Path]:
    for path in (paths := [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return paths


def heads(figure: Any, title: str, columns: list[tuple[float, str, tuple[str, ...]]]) -> float:
    """Writes the titles; returns where the axes may begin. A column is its left edge, its title and its lines."""
    inch = 1 / figure.get_figheight()
    top = 1 - 0.105 * inch
    if title:
        figure.text(0.015, top, one_line(title), size=13, weight="bold", va="top", parse_math=False)
        top -= 0.29 * inch
    lowest = top
    for left, name, lines in columns:
        below = top
        if name:
            figure.text(left, below, one_line(name, 60), weight="bold", va="top", parse_math=False)
            below -= 0.22 * inch
        for line in lines:
            figure.text(left, below, line, color=GREY, va="top", parse_math=False)
            below -= 0.22 * inch
        lowest = min(lowest, below)
    return lowest - 0.06 * inch


def mark(axes: Any, events: list[tuple[float, str]], named: bool) -> None:
    """A line at each event, with its name while there is room."""
    for number, (ms, what) in enumerate(events):
        axes.axvline(ms / 1000, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=2)
        if named and number < MOST_NAMED:
            axes.annotate(one_line(what, 30), (ms / 1000, 0.03), xycoords=axes.get_xaxis_transform(), xytext=(2, 0),
                          textcoords="offset points", rotation=90, size=7, color=GREY, parse_math=False)


def make_log(axes: Any) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def over_time(stem: Path, title: str, columns: list[Column], xlabel: str = "seconds") -> list[Path]:
    """A picture of one graph per column."""
    alone, rows = len(columns) == 1, len(columns[0].panels)
    width = 9 if alone else 1 + 5.5 * len(columns)
    figure, grid = plt.subplots(rows, len(columns), sharex="col", sharey="row", squeeze=False,
                                figsize=(width, 4.2 if alone else 4.7), gridspec_kw={"height_ratios": [2, 1][:rows]})
    left, right = 0.86 / width, 1 - 0.27 / width
    figure.subplots_adjust(left=left, right=right, bottom=0.8 / figure.get_figheight(), wspace=0.08)
    lefts = [0.015] if alone else [grid[0, number].get_position().x0 for number in range(len(columns))]
    texts = [(at, "" if alone else column.title, column.subtitle) for at, column in zip(lefts, columns)]
    figure.subplots_adjust(top=heads(figure, title, texts))
    for number, column in enumerate(columns):
        for above, (axes, panel) in enumerate(zip(grid[:, number], column.panels)):
            for curve in panel.curves:
                axes.stairs(edges=column.edges_s, **curve)
            mark(axes, column.events, above == 0)
            axes.set(xlim=column.edges_s[[0, -1]], axisbelow=True)
            if not number:
                axes.set_ylabel(panel.label)
        grid[-1, number].set_xlabel(xlabel)
        handles = [handle for axes in grid[:, number] for handle in axes.get_legend_handles_labels()[0]]
        edge = 0.98 if alone else grid[0, number].get_position().x1
        figure.legend(handles=handles, loc="lower right", bbox_to_anchor=(edge, 0), ncol=min(8, len(handles)), frameon=False,
                      columnspacing=1, handlelength=1.4)
    for axes, panel in zip(grid[:, 0], columns[0].panels):  # only now: the axis of a row has room for all of its curves
        if panel.log:
            make_log(axes)
        else:
            axes.set_ylim(0, panel.top)
        axes.yaxis.set_major_formatter(panel.formatter)
    figure.align_ylabels(grid[:, 0])
    return write(figure, stem)


def time_graphs(runs: list[tuple[str, Rows, Bins]], title: str, stem: Path) -> list[Path]:
    """Rate, loss and, where there are any, latencies over time."""
    rates, losses, latencies = [], [], []
    tops = [np.nanmax(bins.loss, initial=0) for _, _, bins in runs]
    intervals = max(bins.intervals for _, _, bins in runs)
    for name, rows, bins in runs:
        each = span(bins.intervals * rows.interval_ms)
        tx = {**LINE, "values": bins.tx / np.diff(bins.edges_s), "color": TX, "linewidth": 2.6, "label": f"tx per {each}"}
        rx = {**LINE, "values": bins.rx / np.diff(bins.edges_s), "color": RX, "label": f"rx per {each}"}
        loss = {**LINE, "values": bins.loss, "color": LOSS, "label": f"loss per {each}"}
        worst = {"values": bins.worst, "color": WORST, "label": f"worst {span(rows.interval_ms)} in each", "fill": True}
        said = summary(rows)
        said = ("; ".join(said),) if len(runs) == 1 else said
        events = rows.events
        top = max(0.001, 1.1 * max(tops))
        rates.append(Column(name, said, bins.edges_s, [Panel("packets per second", EngFormatter(sep=""), None, [tx, rx])], events))
        panels = [Panel("packets lost", PERCENT, top, [loss]), Panel("worst", PERCENT, 1, [worst])][:intervals]
        losses.append(Column(name, said, bins.edges_s, panels, events))
        drawn = [one for one in LATENCY if one in bins.latency and (one != "mean" or "p50" not in bins.latency)]
        curves = [{**LINE, "values": np.where(bins.latency[one] > 0, bins.latency[one], np.nan), "color": LATENCY[one][0],
                   "linewidth": LATENCY[one][1], "label": one} for one in drawn]
        what = f"of each {each}" if bins.intervals == 1 else f"worst {span(rows.interval_ms)} in each {each}"
        if curves:
            what = "mean of each " + each if list(bins.latency) == ["mean"] else what
            latencies.append(Column(name, (f"round trips: {what}",), bins.edges_s, [Panel("latency", TIME, None, curves, True)],
                                    events))
    paths = [*over_time(named(stem, "rate"), title, rates), *over_time(named(stem, "loss"), title, losses)]
    return paths + over_time(named(stem, "latency"), title, latencies) if latencies else paths


def named(stem: Path, graph: str) -> Path:
    return stem.with_name(f"{stem.name}-{graph}")


def share_graphs(files: list[tuple[str, Shares]], title: str, stem: Path) -> list[Path]:
    """Which share of the packets each rx queue received over time, one upon the other."""
    columns = []
    for name, found in files:
        curves, below = [], np.zeros(len(found.edges_s) - 1)
        for number, (queue, share) in enumerate(found.shares().items()):
            share = np.nan_to_num(share)
            curves.append({"values": below + share, "baseline": below, "fill": True, "linewidth": 0,
                           "color": SEVERAL[number % len(SEVERAL)], "alpha": 1 - 0.35 * (number // len(SEVERAL) % 2),
                           "label": queue if len(found.received) <= 8 else None})
            below = below + share
        queues = len(found.received)
        said = (f"{count(sum(one.sum() for one in found.received.values()))} on {count(queues, 'rx queue')}, "
                f"from the bottom up; per {span(found.intervals * found.interval_ms)}",)
        columns.append(Column(name, said, found.edges_s, [Panel("share of packets", PERCENT, 1, curves)]))
    return over_time(named(stem, "shares"), title, columns)


def queue_bars(runs: list[tuple[str, dict[str, int]]], title: str, stem: Path) -> list[Path]:
    """The share of each rx queue in all packets of a run; the dashed line is an even share."""
    figure, grid = plt.subplots(1, len(runs), sharey=True, squeeze=False, figsize=(9 if len(runs) == 1 else 1 + 5.5 * len(runs), 4.2))
    width = figure.get_figwidth()
    figure.subplots_adjust(left=0.86 / width, right=1 - 0.27 / width, bottom=0.19, wspace=0.08)
    alone = len(runs) == 1
    texts = [(0.015 if alone else axes.get_position().x0, "" if alone else name, (f"{count(sum(queues.values()))} received",))
             for axes, (name, queues) in zip(grid[0], runs)]
    figure.subplots_adjust(top=heads(figure, title, texts))
    for axes, (_, queues) in zip(grid[0], runs):
        total = max(1, sum(queues.values()))
        axes.bar(list(queues), [one / total for one in queues.values()], color=RX, zorder=3)
        axes.axhline(1 / len(queues), color=TX, linestyle="--", zorder=4, label="even share")
        axes.yaxis.set_major_formatter(PERCENT)
        axes.tick_params(axis="x", labelrotation=0 if len(queues) <= 16 else 90)
    grid[0, 0].set_ylabel("share of packets")
    figure.legend(handles=grid[0, 0].get_legend_handles_labels()[0], loc="lower right", bbox_to_anchor=(0.98, 0), frameon=False)
    return write(figure, named(stem, "queues"))


def percentile_graph(found: list[tuple[str, Distribution]], title: str, stem: Path) -> list[Path]:
    """The distribution of latencies on an axis of percentiles: each nine has the same room."""
    figure, axes = plt.subplots(figsize=(9, 4.2))
    figure.subplots_adjust(left=0.095, right=0.97, bottom=0.19)
    said = "round trips: the share of packets (below) that took no longer than the time (left)"
    figure.subplots_adjust(top=heads(figure, title, [(0.015, "", (said,))]))
    last = 0.0
    for number, (name, distribution) in enumerate(found):
        nines, values = distribution.steps()
        label = one_line(name, 60) if len(found) > 1 else None
        axes.plot(nines, values, drawstyle="steps-post", color=SEVERAL[number % len(SEVERAL)], linewidth=1.6, label=label, zorder=3)
        last = max(last, nines[-1])
    ticks = np.arange(int(last) + 1)
    make_log(axes)
    axes.set(xlim=(0, max(1, last)), ylabel="latency", xlabel="percentile", axisbelow=True)
    axes.set_xticks(ticks, [nines_label(one) for one in ticks])
    axes.yaxis.set_major_formatter(TIME)
    axes.grid(True, axis="both")
    if len(found) > 1:
        figure.legend(loc="lower right", bbox_to_anchor=(0.98, 0), ncol=len(found), frameon=False)
    return write(figure, named(stem, "percentiles"))
