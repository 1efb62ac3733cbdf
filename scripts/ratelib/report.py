"""Results as JSON and as plots."""

import json
import logging
from pathlib import Path
from typing import Any

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no messages about missing fonts and caches

from . import figures, suites  # noqa: E402
from .search import Found  # noqa: E402

SCHEMA = "dpdkproj-find-rate/1"
GOOD, BAD, STOLEN = "#1f4e79", "#c0392b", "#f5a623"
LINES = ("#1f4e79", "#f5a623", "#2e8b57", "#8e44ad", "#5f6a6a")
STYLE = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
         "grid.linewidth": 0.6, "font.size": 10, "savefig.dpi": 200, "svg.hashsalt": "find-rate"}


def rounds(trials: list[figures.Trial]) -> list[dict[str, Any]]:
    return [{"at_s": round(one.at_s, 3), "load_pps": one.load_pps, "duration_s": one.duration_s, "due": one.due,
             "sent": one.sent, "valid": one.valid, "trial_loss_ratio": one.loss_ratio, "stolen": one.is_stolen,
             "steal_ms": one.stolen_ms, "packet_size": one.answer["request"]["packet_size"],
             "lost_where": figures.lost_where([one])} for one in trials]


def write_json(path: Path, results: dict[str, Any], trials: list[figures.Trial]) -> None:
    path.write_text(json.dumps({"schema": SCHEMA, **results, "trials": rounds(trials)}, indent=1) + "\n")


def of_search(found: list[Found]) -> list[dict[str, Any]]:
    return [{"loss_ratio": one.loss_ratio, "throughput_pps": one.throughput_pps, "lower_bound_pps": one.lower_pps,
             "upper_bound_pps": one.upper_pps, "limited_by": one.limited_by} for one in found]


def of_latency(rows: list[suites.Latency]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]


def _figure(title: str) -> Any:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    matplotlib.rcdefaults()
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(figsize=(9, 4.2))
    figure.subplots_adjust(left=0.1, right=0.97, top=0.86, bottom=0.13)
    figure.text(0.015, 0.965, title[:110], size=12, weight="bold", va="top", parse_math=False)
    return figure, axes


def _save(figure: Any, stem: Path) -> list[Path]:
    from matplotlib import pyplot as plt
    paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return paths


def draw_search(stem: Path, title: str, trials: list[figures.Trial], found: list[Found]) -> list[Path]:
    """Every trial by time and load, and what was found."""
    from matplotlib.ticker import EngFormatter
    figure, axes = _figure(title)
    paced = [one for one in trials if one.load_pps]
    for label, colour, which in (("nothing lost", GOOD, lambda one: one.loss_ratio == 0),
                                 ("some lost", BAD, lambda one: one.loss_ratio > 0)):
        some = [one for one in paced if which(one)]
        axes.scatter([one.at_s for one in some], [one.load_pps for one in some], s=18, color=colour, label=label, zorder=3)
    stolen = [one for one in paced if one.is_stolen]
    if stolen:
        axes.scatter([one.at_s for one in stolen], [one.load_pps for one in stolen], s=70, facecolors="none",
                     edgecolors=STOLEN, label="the host took time", zorder=2)
    for one, style in zip(found, ("-", "--", ":", "-.") * len(found)):
        if one.throughput_pps:
            axes.axhline(one.throughput_pps, color="#5f6a6a", linestyle=style, linewidth=1, label=one.text())
    axes.set(xlabel="seconds", ylabel="load in packets per second", axisbelow=True)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, stem)


def draw_profile(stem: Path, title: str, rows: list[suites.Latency]) -> list[Path]:
    """Percentiles of the round trip at each load."""
    from matplotlib.ticker import FuncFormatter
    figure, axes = _figure(title)
    names = suites.PERCENTILES[:-1]
    for row, colour in zip(rows, LINES * len(rows)):
        points = [(place, row.since_due[name]) for place, name in enumerate(names) if row.since_due[name]]
        axes.plot([place for place, _ in points], [value for _, value in points], color=colour, marker="o",
                  markersize=4, label=f"{row.name}: {figures.rate(row.load_pps)}")
    axes.set_xticks(range(len(names)), names)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: figures.nanoseconds(value)))
    axes.set(ylabel="round trip since due", axisbelow=True)
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, stem)
