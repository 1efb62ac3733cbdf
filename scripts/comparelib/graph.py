"""The article's graph: rate and loss over time, kernel against DPDK."""

import csv
import logging
from pathlib import Path
from typing import Any, NamedTuple

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no messages about missing fonts and caches

KERNEL = ("#7f9db9", "#1f4e79", "#3f88c5", "#5f6a6a", "#8e44ad")  # colours of kernel sockets
DPDK = ("#f5a623", "#c0392b", "#2e8b57", "#d98880", "#b7950b")
STYLE = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
         "grid.linewidth": 0.6, "font.size": 10, "savefig.dpi": 200, "svg.hashsalt": "compare"}


class Line(NamedTuple):
    """A method over time."""
    name: str
    seconds: list[float]
    valid_pps: list[float]
    loss: list[float | None]  # of what was sent in the interval; None: nothing was


def read(name: str, path: Path, interval_ms: int) -> Line:
    """Without the last row, whose interval the run may not fill."""
    with open(path, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    rows = rows[:-1] if len(rows) > 1 else rows
    sent = [int(row["tx_packets"]) for row in rows]
    return Line(name, [float(row["time_ms"]) / 1e3 for row in rows],
                [int(row["rx_packets"]) * 1e3 / interval_ms for row in rows],
                [int(row["lost_packets"]) / tx if tx else None for row, tx in zip(rows, sent)])


def draw(stem: Path, title: str, lines: list[Line], is_kernel: Any, xkcd: bool) -> list[Path]:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import EngFormatter, PercentFormatter
    matplotlib.rcdefaults()
    if xkcd:
        plt.xkcd(scale=0.5)
        # Missing fonts are skipped. The white halo around each line would hide the line below.
        plt.rcParams.update({"font.family": [*plt.rcParams["font.family"], "DejaVu Sans"], "path.effects": []})
    plt.rcParams.update(STYLE)
    figure, (rate, loss) = plt.subplots(2, 1, sharex=True, figsize=(9, 5.4), gridspec_kw={"height_ratios": [2, 1]})
    figure.subplots_adjust(left=0.1, right=0.74, top=0.89, bottom=0.1, hspace=0.12)
    figure.text(0.015, 0.975, title[:110], size=12, weight="bold", va="top", parse_math=False)
    for kernel, colours, style in ((True, KERNEL, "--"), (False, DPDK, "-")):
        some = [line for line in lines if is_kernel(line.name) == kernel]
        for line, colour in zip(some, colours * len(some)):
            how = {"color": colour, "linestyle": style, "linewidth": 1.6}
            rate.plot(line.seconds, line.valid_pps, label=line.name, **how)
            loss.plot(line.seconds, [float("nan") if share is None else share for share in line.loss], **how)
    # Shared memory is a hundred times faster than a socket.
    rate.set_yscale("log")
    rate.yaxis.set_major_formatter(EngFormatter(sep=""))
    rate.set(ylabel="packets back per second", axisbelow=True)
    loss.yaxis.set_major_formatter(PercentFormatter(1))
    loss.set(ylabel="lost", xlabel="seconds", axisbelow=True)
    loss.set_ylim(bottom=0, top=max(0.01, *loss.get_ylim()))
    rate.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths
