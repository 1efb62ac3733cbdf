"""Reads what a run wrote, and tells by its content which file it is."""

import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

from . import histogram, queues, rows
from .rows import BadInput

SCHEMA = "dpdkproj-summary/"
# What every summary has, with its type (data/summary.schema.json).
REQUIRED = {"mode": str, "command": list, "host": dict, "duration_s": (int, float), "tx": dict, "rx": dict, "lost": dict,
            "latency_ns": dict, "queues": list, "ledger_balanced": bool}


class Summary(NamedTuple):
    """The JSON of a run (--json)."""
    document: dict[str, Any]

    def latencies(self, of: str = "") -> histogram.Distribution | None:
        """All round trips, or those of `of` ("since_due", "network"); None if nothing is known."""
        latency = self.document["latency_ns"]
        latency = (latency.get(of) or {}) if of else latency
        return histogram.decode(latency["histogram"]) if latency.get("histogram") else None

    def rx_queues(self) -> dict[str, int]:
        """Packets received, by queue."""
        return {one["name"]: one.get("received", 0) for one in self.document["queues"] if queues.RX_QUEUE.match(one["name"])}


def summary_of(text: str, name: str) -> Summary:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{name}: not JSON: {error}") from None
    if not isinstance(document, dict) or not str(document.get("schema")).startswith(SCHEMA):
        raise BadInput(f"{name}: not the summary of a run (--json FILE)")
    for key, kind in REQUIRED.items():
        if not isinstance(document.get(key), kind):
            raise BadInput(f"{name}: a summary of a run without {key!r}, or with another one than data/summary.schema.json has")
    found = Summary(document)
    try:
        found.latencies()
        found.rx_queues()
    except (histogram.BadHistogram, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{name}: latency_ns or queues: {error}") from None
    return found


def read(source: str, bin_ms: float | None = None) -> rows.Rows | queues.Shares | Summary:
    """The file `source`; - is standard input."""
    name = "standard input" if source == "-" else source
    with open(0 if source == "-" else source, encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
        if first.lstrip().startswith("{"):
            return summary_of(first + stream.read(), name)
        lines = itertools.chain([first], stream)
        header = {cell.strip() for cell in first.split(",")}
        if set(queues.HEADER) <= header:
            return queues.read(lines, name, bin_ms)
        return rows.read(lines, name)


def stem(source: str) -> Path:
    return Path("stats") if source == "-" else Path(source)
