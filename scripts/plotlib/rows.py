"""Reads the statistics CSV, ours or the original's, and adds up its rows for as many points as a graph has room for.

The header tells whose CSV it is:
  dpdkproj: time_ms,tx_packets,rx_packets,lost_packets and others. A packet counts when it was sent.
  the original: time,tx_packets,rx_packets,drop_rate,avg_latency. It counts rx_packets when they arrive, and writes
    drop_rate 0 when all were lost. So the loss of a point is 1 - rx/tx; so is that of one interval, unless drop_rate
    or avg_latency above 0 tell that some came back: then it is drop_rate. time is in milliseconds, or in seconds if
    most rows are less than 1 apart, and counted from the first row on. avg_latency, in milliseconds, is the mean of
    whole milliseconds, so that 0 means "less than one, or nothing came back": it is left out.
An interval is as long as most rows are apart (1000 ms if there is one row); one without a row sent nothing. Averages
run from the first to the last interval that sent something. A last line that is cut off is left out, with a warning.
"""

import sys
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .words import count as packets_of
from .words import percent, rate, span

OURS = ("time_ms", "tx_packets", "rx_packets", "lost_packets")
ORIGINAL = ("time", "tx_packets", "rx_packets", "drop_rate", "avg_latency")
# What is read where it is there, by its name here; in nanoseconds.
LATENCIES = {"latency_min_ns": "min", "latency_avg_ns": "mean", "latency_p50_ns": "p50", "latency_p99_ns": "p99",
             "latency_p999_ns": "p99.9", "latency_max_ns": "max"}
MAX_POINTS, MOST_POINTS = 1000, 100_000  # by default, and on request


class BadInput(Exception):
    """What is wrong with the input and where, in one line."""


class Rows(NamedTuple):
    """The rows of a CSV in order of time, one array per column."""
    interval_ms: float
    time_ms: np.ndarray
    tx: np.ndarray
    rx: np.ndarray
    lost: np.ndarray  # in files of the original only sums count: a packet may arrive in a later row than it left
    loss: np.ndarray  # of this interval alone, from 0 to 1
    latency: dict[str, np.ndarray] = {}  # in ns, by LATENCIES; NaN where nothing is known
    events: list[tuple[float, str]] = []  # in ms, and as in the CSV


class Bins(NamedTuple):
    """The points drawn: equal stretches of time without gaps, of which the last may be shorter."""
    intervals: int  # in each
    edges_s: np.ndarray
    tx: np.ndarray
    rx: np.ndarray
    loss: np.ndarray  # NaN where nothing was sent; so is worst
    worst: np.ndarray  # the highest loss of one interval
    latency: dict[str, np.ndarray] = {}  # of one interval: the highest, but for min and mean


def read(stream: Iterable[str], name: str) -> Rows:
    lines = iter(stream)
    header = [cell.strip() for cell in next(lines, "").split(",")]
    wanted = next((names for names in (OURS, ORIGINAL) if set(names) <= set(header)), ())
    known = [cell for cell in LATENCIES if cell in header] if wanted is OURS else []
    picks = [header.index(pick) for pick in wanted]
    optional = [header.index(pick) for pick in known]
    events_at = header.index("events") if wanted is OURS and "events" in header else None
    cells, events, number, column = array("d"), [], 1, 0
    try:
        if not wanted:
            raise ValueError(f"no header {','.join(OURS)},... or {','.join(ORIGINAL)}")
        for number, line in enumerate(lines, 2):
            row = line.rstrip("\n").split(",")
            if not line.endswith("\n") and (len(row) < len(header) or not row[-1]):
                sys.stderr.write(f"plot: {name}: line {number} is cut off and left out\n")
                break
            column = min(len(row), len(header)) - 1
            if len(row) != len(header):
                raise ValueError(f"{len(row)} columns instead of {len(header)}")
            cells.extend([float(row[column := pick]) for pick in picks])
            cells.extend([float(row[column := pick] or "nan") for pick in optional])
            if events_at is not None and row[events_at]:
                events.append((float(row[picks[0]]), row[events_at]))
        if not cells:
            raise ValueError("no row below the header")
        table = np.array(cells).reshape(-1, len(picks) + len(optional))
        must = table[:, : 3 if wanted is ORIGINAL else 4]
        for index, pick in np.argwhere(~((must >= 0) & (must < 1e13))):
            number, column = index + 2, picks[pick]
            raise ValueError(f"not a time or a count: {must[index, pick]:g}")
    except ValueError as error:
        raise BadInput(f"{name}: line {number}, column {column + 1} {header[column][:30]!a}: {error}") from None
    time, tx, rx, *rest = table[np.argsort(table[:, 0], kind="stable")].T
    interval = interval_of(time)
    lost = rest[0] if wanted is OURS else tx - rx
    loss = np.divide(lost, tx, out=np.zeros_like(tx), where=tx > 0)
    latency = {LATENCIES[one]: column for one, column in zip(known, rest[1:])}
    if wanted is ORIGINAL:
        loss = np.where((rest[0] > 0) | (rest[1] > 0), rest[0], loss)
        scale = 1000.0 if interval < 1 else 1.0
        time, interval = (time - time[0]) * scale, interval * scale
        latency = {"mean": np.where(rest[1] > 0, rest[1] * 1e6, np.nan)}
    latency = {one: column for one, column in latency.items() if not np.isnan(column).all()}
    return Rows(interval, time, tx, rx, lost, np.clip(loss, 0, 1), latency, events)


def interval_of(time: np.ndarray) -> float:
    """How far most rows are apart."""
    steps = np.diff(time)
    votes, often = np.unique(np.round(steps[steps > 1e-5], 6), return_counts=True)
    near = np.abs(steps / votes[often.argmax()] - 1) < 0.25 if len(votes) else []  # times may be rounded
    return float(np.mean(steps[near])) if len(votes) else 1000.0


def intervals_per_point(slots: int, interval_ms: float, bin_ms: float | None = None) -> int:
    nice = (digit * 10**power for power in range(22) for digit in (1, 2, 5))
    if bin_ms:
        return min(slots, max(round(bin_ms / interval_ms), -(-slots // MOST_POINTS)))
    return next(n for n in nice if n * MAX_POINTS >= slots)


def aggregate(rows: Rows, bin_ms: float | None = None) -> Bins:
    slot = np.round((rows.time_ms - rows.time_ms[0]) / rows.interval_ms).astype(np.int64)
    slots = int(slot[-1]) + 1
    intervals = intervals_per_point(slots, rows.interval_ms, bin_ms)
    count = -(-slots // intervals)
    point = slot // intervals
    tx, rx, lost = (np.bincount(point, column, count) for column in (rows.tx, rows.rx, rows.lost))
    worst = np.where(tx > 0, 0, np.nan)
    with np.errstate(invalid="ignore"):  # numpy 2 warns of NaN here, numpy 1 does not
        np.maximum.at(worst, point, rows.loss)
    loss = np.clip(np.divide(lost, tx, out=np.full(count, np.nan), where=tx > 0), 0, 1)
    edges_ms = rows.time_ms[0] + np.minimum(np.arange(count + 1) * intervals, slots) * rows.interval_ms
    latency = {name: points_of(name, column, rows.rx, point, count) for name, column in rows.latency.items()}
    return Bins(intervals, edges_ms / 1000, tx, rx, worst if intervals == 1 else loss, worst, latency)


def points_of(name: str, latency: np.ndarray, rx: np.ndarray, point: np.ndarray, count: int) -> np.ndarray:
    """The mean of several intervals is exact, and so are min and max; of a percentile, it is the worst interval's."""
    if name == "mean":
        weight = np.where(np.isnan(latency), 0, rx)
        total = np.bincount(point, weight * np.nan_to_num(latency), count)
        packets = np.bincount(point, weight, count)
        return np.divide(total, packets, out=np.full(count, np.nan), where=packets > 0)
    found = np.full(count, np.nan)
    (np.fmin if name == "min" else np.fmax).at(found, point, latency)
    return found


def summary(rows: Rows) -> tuple[str, str]:
    """The average rates, and what was lost of everything that was sent."""
    sent_ms = rows.time_ms[rows.tx > 0]
    ms = rows.interval_ms + (np.ptp(sent_ms) if len(sent_ms) else 0)
    tx, rx, lost = rows.tx.sum(), rows.rx.sum(), max(0.0, rows.lost.sum())
    tx_rate, rx_rate = (rate(packets / ms * 1000) for packets in (tx, rx))
    return (f"average tx {tx_rate}, rx {rx_rate} over {span(ms)}",
            f"lost {lost:,.0f} of {packets_of(tx)} ({percent(lost / max(1, tx), 3)})")
