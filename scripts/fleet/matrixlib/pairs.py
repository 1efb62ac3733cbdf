"""What was measured between pairs of hosts: the results folder, and its CSV."""

import csv
import json
import math
import re
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, TextIO

PLACES = ("forward", "reflector_nic", "reflector", "return", "nic", "corrupt", "late", "unknown")
COLUMNS = ("from", "to", "sent", "valid", "lost", "loss_ratio", *(f"lost_{place}" for place in PLACES), "p50_ns", "p99_ns",
           "p999_ns", "max_ns")


class Pair(NamedTuple):
    """The measurement of a pair. What it could not know is None."""
    file: str  # name of its file, without extension
    sender: str
    reflector: str
    sent: int
    valid: int
    lost: int
    loss: float | None  # a ratio; None if nothing was sent
    places: tuple[int | None, ...]  # as PLACES
    p50: float | None  # ns, as the others
    p99: float | None
    p999: float | None
    max: float | None

    @property
    def hosts(self) -> tuple[str, str]:
        return self.sender, self.reflector


class Results(NamedTuple):
    folder: Path
    hosts: list[str]
    reflector: str | None  # the only one, to which all others sent; None: all pairs were to be measured
    pairs: list[Pair]
    problems: list[str]  # a line for each file that is not in `pairs`, or whose ledger does not balance

    def missing(self) -> list[tuple[str, str]]:
        found = {pair.hosts for pair in self.pairs} | {pair.hosts[::-1] for pair in self.pairs}
        wanted = combinations(self.hosts, 2)
        return [pair for pair in wanted if (self.reflector is None or self.reflector in pair) and pair not in found]


def printable(text: str) -> str:
    """Control characters, line breaks and bytes that are not UTF-8 as escapes: names go to terminals, too."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts h2 before h10."""
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def number(value: Any) -> float:
    """Fails if it is not a number that can be measured."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(value)
    return value


def known(value: Any) -> float | None:
    return None if value is None else number(value)


def pair(file: str, sender: str, reflector: str, document: dict[str, Any]) -> Pair:
    sent, lost, latency = number(document["tx"]["sent"]), document["lost"], document["latency_ns"] or {}
    total = number(lost["total"])
    return Pair(file, sender, reflector, sent, number(document["rx"]["valid"]), total, total / sent if sent else None,
                tuple(known(lost.get(place)) for place in PLACES),
                *(known(latency.get(key)) for key in ("p50", "p99", "p99.9", "max")))


def hosts_of(name: str, known: Collection[str]) -> tuple[str, str] | None:
    """The sender and the reflector of A--B. Where names contain -- themselves, only the known hosts can tell."""
    splits = [(name[:at.start()], name[at.start() + 2:]) for at in re.finditer("(?=--)", name)]
    splits = [(one, other) for one, other in splits if one and other and one != other]
    if len(splits) > 1:
        splits = [(one, other) for one, other in splits if one in known and other in known]
    return splits[0] if len(splits) == 1 else None


def read(folder: Path, hosts: list[str], reflector: str | None) -> Results:
    """All `A--B.json` of a folder, of `hosts` and any others. Other files are not looked at; find-rate's results are problems."""
    pairs, problems, found = [], [], set()
    asked = frozenset(hosts)
    for file in sorted(folder.glob("*--*.json")):
        title = printable(file.name)
        ends = hosts_of(printable(file.stem), asked)
        if ends is None:
            problems.append(f"{title}: its name is not A--B.json of two hosts; if names contain --, --host says which there are")
            continue
        if reflector not in (None, ends[1]):
            problems.append(f"{title}: its reflector is not that of --to {reflector}")
            continue
        found.update(ends)
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            one = pair(file.stem, *ends, document)
            if document["ledger_balanced"] is not True:
                problems.append(f"{title}: its ledger does not balance")
        except OSError as error:
            problems.append(f"{title}: {error.strerror}")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            problems.append(f"{title}: not the JSON of a sendrecv run")
        else:
            pairs.append(one)
    return Results(folder, hosts + sorted(found - asked, key=natural), reflector, pairs, problems)


def write_csv(pairs: list[Pair], file: TextIO) -> None:
    """A row per pair. A cell is empty where the number is unknown."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in pairs:
        writer.writerow([one.sender, one.reflector, one.sent, one.valid, one.lost, one.loss, *one.places, one.p50, one.p99,
                         one.p999, one.max])
