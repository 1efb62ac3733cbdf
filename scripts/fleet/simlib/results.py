"""Results of pairs that were not measured: the JSON of a real run, with other counters and times. Their ledgers balance."""

import copy
import json
import random
from itertools import combinations
from pathlib import Path
from typing import Any

from . import histogram
from .histogram import Buckets

LOSSY = 0.2  # of the packets of a lossy host
LOST, SLOWER = 0.0001, 0.1  # at most: of the packets of other hosts, and by how much times differ
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
# What differs from file to file of a variant. Written into its text, so that a file costs little more than its system calls.
SENDER, REFLECTOR = "simulated-sender", "simulated-reflector"

Document = dict[str, Any]


class BadTemplate(ValueError):
    """Why a file is no template, in one line."""


def read(path: Path) -> Document:
    """A run of sendrecv on one port, with one queue for each direction."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = [queue["name"] for queue in document["queues"]]
        fits = names == ["tx0", "rx0"] and document["rx"]["valid"] > 0 and document["ledger_balanced"] and "basis" in document
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadTemplate(f"{path}: not the JSON of a sendrecv run: {error}") from None
    if not fits:
        raise BadTemplate(f"{path}: a template is a run of sendrecv with -r 1 and -t 1 that received something, and whose ledger balances")
    return document


def thinned(buckets: Buckets, less: int) -> Buckets:
    """So many times fewer, taken from all buckets alike. A bucket with a single one keeps it."""
    total = sum(buckets.values())
    left = {number: count - count * less // total for number, count in buckets.items()}
    rest = sum(left.values()) - (total - less)
    for number in sorted(left, key=left.__getitem__, reverse=True):
        taken = min(rest, left[number])
        left[number] -= taken
        rest -= taken
    return {number: count for number, count in left.items() if count}


def slowed(buckets: Buckets, factor: float) -> Buckets:
    """All times by so much longer."""
    found: Buckets = {}
    for number, count in buckets.items():
        moved = histogram.bucket(int(histogram.middle_ns(number) * factor))
        found[moved] = found.get(moved, 0) + count
    return found


def percentiles(buckets: Buckets, least: int = 0, greatest: int = histogram.MOST_NS) -> dict[str, int]:
    return {key: min(max(histogram.quantile_ns(buckets, quantile), least), greatest) for key, quantile in QUANTILES.items()}


def slow_down(latency: Document, basis: Document, less: int, factor: float) -> None:
    """Fewer times, which are longer."""
    packets = basis["latency_packets"]
    basis["latency_packets"] = packets - less
    basis["latency_sum_ns"] = int(basis["latency_sum_ns"] * factor) * (packets - less) // packets
    least, greatest = (int(latency[key] * factor) for key in ("min", "max"))
    buckets = slowed(thinned(histogram.decode(latency["histogram"]), less), factor)
    found = percentiles(buckets, least, greatest)
    latency.update(found, min=least, max=greatest, mean=basis["latency_sum_ns"] / basis["latency_packets"],
                   histogram=histogram.encode(buckets), delay_variation={key: ns - least for key, ns in found.items()})
    for key in ("since_due", "network"):
        if latency[key]:
            buckets = slowed(thinned(histogram.decode(latency[key]["histogram"]), less), factor)
            latency[key] = {**percentiles(buckets), "histogram": histogram.encode(buckets)}


def varied(template: Document, dice: random.Random, is_lossy: bool) -> Document:
    """Another run like this one: some more packets are lost on the way to the reflector, and all take another time."""
    one = copy.deepcopy(template)
    rx, lost, reflector, port = one["rx"], one["lost"], one["reflector"], one["ports"][0]
    receiver = one["queues"][1]
    gone = int(rx["valid"] * LOSSY) if is_lossy else dice.randint(0, int(rx["valid"] * LOST))
    for counters, keys in ((rx, ("received", "valid")), (receiver, ("received", "valid")), (port, ("received", "valid", "delivered"))):
        for key in keys:
            counters[key] -= gone
    for counters, key in ((port, "lost"), (lost, "total"), (lost, "unknown" if lost["forward"] is None else "forward")):
        counters[key] += gone
    if reflector["why_unknown"] is None:
        reflector["received"] -= gone
        reflector["sent"] -= gone
    one["loss_ratio"] = lost["total"] / one["tx"]["sent"]
    one["reorder"]["ratio"] = one["reorder"]["reordered"] / rx["valid"]
    slow_down(one["latency_ns"], one["basis"], gone, 1 + dice.uniform(0, SLOWER))
    one["host"]["name"] = SENDER
    one["command"] = [*one["command"], "--simulated-reflector", REFLECTOR]
    return one


def names(hosts: int) -> list[str]:
    return [f"h{number:04}" for number in range(hosts)]


def write(template: Document, folder: Path, hosts: int, variants: int, lossy: frozenset[str], seed: int = 1) -> tuple[int, int]:
    """A file for each pair of hosts. Returns how many there are, and their bytes."""
    dice = random.Random(seed)
    texts = {is_lossy: [json.dumps(varied(template, dice, is_lossy), indent=2) for _ in range(variants)]
             for is_lossy in ((False, True) if lossy else (False,))}
    files = size = 0
    for sender, reflector in combinations(names(hosts), 2):
        text = dice.choice(texts[sender in lossy or reflector in lossy])
        text = text.replace(SENDER, sender).replace(REFLECTOR, reflector)
        with open(f"{folder}/{sender}--{reflector}.json", "w", encoding="utf-8") as file:
            file.write(text)
        files += 1
        size += len(text)
    return files, size
