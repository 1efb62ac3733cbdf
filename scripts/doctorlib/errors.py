"""Messages of EAL and drivers that have a known cause: those of data/eal-errors.tsv, which the program knows as well."""

import csv
import re
from collections.abc import Iterable
from typing import NamedTuple

import layout

TABLE = layout.DATA / "eal-errors.tsv"


class Known(NamedTuple):
    level: str
    pattern: str  # a part of the message; * stands for any text
    cause: str
    fix: str
    example: str

    def matches(self, line: str) -> bool:
        return re.search(".*".join(map(re.escape, self.pattern.split("*"))), line) is not None


class Explained(NamedTuple):
    number: int  # of the first such line
    line: str
    known: Known


def table() -> list[Known]:
    with TABLE.open(newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [Known(*row)._replace(fix=layout.commands(row[3])) for row in rows]


def explain(lines: Iterable[str]) -> list[Explained]:
    """The first line of each cause, in the order of the log."""
    known, found, causes = table(), [], set()
    for number, line in enumerate(lines, 1):
        match = next((one for one in known if one.matches(line)), None)
        if match and match.cause not in causes:
            causes.add(match.cause)
            found.append(Explained(number, line.strip(), match))
    return found
