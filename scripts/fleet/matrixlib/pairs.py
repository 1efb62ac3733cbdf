"""What was measured between pairs of hosts: the results folder, and its CSV."""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple, TextIO

PLACES = ("forward", "reflector_nic", "reflector", "return", "nic", "corrupt", "late", "unknown")
COLUMNS = ("from", "to", "sent", "valid", "lost", "loss_ratio", *(f"lost_{place}" for place in PLACES), "p50_ns", "p99_ns",
           "p999_ns", "max_ns")


class Pair(NamedTuple):
    """The measurement of a pair. What it could not know is None."""
    sender: str
    reflector: str
    sent: int
    valid: int
    lost: int
    loss: float | None  # a ratio; None if nothing was sent
    places: dict[str, int | None]
    p50: float | None  # ns, as the others
    p99: float | None
    p999: float | None
    max: float | None

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset((self.sender, self.reflector))

    @property
    def name(self) -> str:
        return f"{self.sender}--{self.reflector}"


class Results(NamedTuple):
    folder: Path
    hosts: list[str]
    pairs: list[Pair]
    problems: list[str]  # a line for each file that is not in `pairs`, or whose ledger does not balance

    def missing(self) -> list[tuple[str, str]]:
        found = {pair.hosts for pair in self.pairs}
        return [(one, other) for index, one in enumerate(self.hosts) for other in self.hosts[index + 1:]
                if frozenset((one, other)) not in found]


def pair(sender: str, reflector: str, document: dict[str, Any]) -> Pair:
    sent, lost, latency = document["tx"]["sent"], document["lost"], document["latency_ns"] or {}
    return Pair(sender, reflector, sent, document["rx"]["valid"], lost["total"], lost["total"] / sent if sent else None,
                {place: lost.get(place) for place in PLACES}, *(latency.get(key) for key in ("p50", "p99", "p99.9", "max")))


def read(folder: Path) -> Results:
    """All `A--B.json` of a folder. Other files are not looked at, and find-rate's results are problems."""
    pairs, problems, hosts = [], [], []
    for file in sorted(folder.glob("*--*.json")):
        sender, _, reflector = file.stem.partition("--")
        hosts += [sender, reflector]
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            one = pair(sender, reflector, document)
            if document["ledger_balanced"] is not True:
                problems.append(f"{file.name}: its ledger does not balance")
        except OSError as error:
            problems.append(f"{file.name}: {error.strerror}")
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"{file.name}: not the JSON of a sendrecv run")
        else:
            pairs.append(one)
    return Results(folder, sorted(set(hosts)), pairs, problems)


def write_csv(pairs: list[Pair], file: TextIO) -> None:
    """A row per pair. A cell is empty where the number is unknown."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in pairs:
        writer.writerow([one.sender, one.reflector, one.sent, one.valid, one.lost, one.loss, *one.places.values(), one.p50, one.p99,
                         one.p999, one.max])
