"""The report of a run: the machine, JSON, and a graph."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot as plt

from .cells import CELLS, OURS, Result, median_steal
from .figures import Round, Sample, by_kind, of_side
from .rigs import Settings, free_hugepages

OURS_COLOUR, OTHER_COLOURS = "#f5a623", ("#1f4e79", "#7f9db9")


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine(root: Path, settings: Settings, date: str) -> dict[str, Any]:
    models = [line.split(": ", 1)[1] for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    free, pages = free_hugepages()
    commit = output_of("git", "-c", f"safe.directory={root}", "-C", str(root), "describe", "--always", "--dirty")
    return {"date": date, "cpu": models[0] if models else "", "cpus": os.cpu_count(), "other_cpu": settings.cpus[0],
            "measured_cpu": settings.cpus[1], "kernel": os.uname().release, "hugepages_2m": pages,
            "hugepages_2m_free": free, "dpdk": output_of("pkg-config", "--modversion", "libdpdk"),
            "linkage": settings.linkage._asdict(), "commit": commit}


def describe(host: dict[str, Any]) -> str:
    return (f"{host['cpu']}, {host['cpus']} CPUs (measured: {host['measured_cpu']}, other: {host['other_cpu']}), "
            f"Linux {host['kernel']}, DPDK {host['dpdk']} (linked by us {host['linkage']['ours']}, by testpmd "
            f"{host['linkage']['testpmd']}), {host['hugepages_2m_free']} of {host['hugepages_2m']} hugepages free, "
            f"{host['date']}, commit {host['commit'] or 'unknown'}")


def write_json(path: Path, host: dict[str, Any], settings: dict[str, Any], results: dict[str, Result]) -> None:
    cells = {name: {**result.data, "lines": result.lines} for name, result in results.items()}
    document = {"machine": {**host, "median_steal": median_steal(results)}, "settings": settings, "cells": cells}
    path.write_text(json.dumps(document, indent=1) + "\n")


def draw(stem: Path, host: dict[str, Any], results: dict[str, Result]) -> list[Path]:
    """The median of each side, with its lowest and highest repetition."""
    bars: list[tuple[str, str, Any, str]] = []
    for cell in CELLS:
        rounds = results[cell.name].data.get("rounds", []) if results.get(cell.name) else []
        for kind, same in by_kind([to_round(samples) for samples in rounds]).items():
            for index, side in enumerate([OURS, *cell.peers]):
                colour = OURS_COLOUR if side == OURS else OTHER_COLOURS[(index - 1) % 2]
                bars.append((f"{cell.name} {kind}".rstrip() if side == OURS else "", side, of_side(same, side), colour))
    if not bars:
        return []
    matplotlib.use("Agg")
    matplotlib.rcdefaults()
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "x",
                         "grid.color": "#dddddd", "savefig.dpi": 150, "svg.hashsalt": "bench"})
    figure, axes = plt.subplots(figsize=(9, 1.4 + 0.26 * len(bars)), layout="constrained")
    for row, (_, side, figures, colour) in enumerate(bars):
        middle = figures.median / 1e6
        errors = [[middle - figures.low / 1e6], [figures.high / 1e6 - middle]]
        axes.barh(row, middle, color=colour, xerr=errors, error_kw={"linewidth": 1, "ecolor": "#333333"})
        axes.text(figures.high / 1e6, row, f"  {side} {middle:.3g}", va="center", size=8)
    axes.set_yticks(range(len(bars)), [label for label, *_ in bars])
    axes.invert_yaxis()
    axes.margins(x=0.2, y=0.01)
    axes.set(xlabel="Mpps, median with lowest and highest", axisbelow=True)
    axes.set_title(f"{host['cpu']}, Linux {host['kernel']}, DPDK {host['dpdk']}, {host['date']}", size=9, loc="left")
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths


def to_round(samples: dict[str, dict[str, Any]]) -> Round:
    return {side: Sample(**sample) for side, sample in samples.items()}
