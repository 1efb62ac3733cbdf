"""data/golden/reflect.txt: what `reflect` makes of a frame. Its head describes the format."""

from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).resolve().parents[2] / "data" / "golden" / "reflect.txt"


class Case(NamedTuple):
    """A paragraph."""

    description: str
    frame: bytes
    """The frame that is received."""
    out: bytes | None
    """The frame that is sent back, if any is."""
    notes: dict[str, str]
    """The other lines: keyword and rest."""


def read(path: Path = PATH) -> tuple[list[Case], dict[str, str]]:
    """The cases, and the names that their scapy expressions use, with the expressions that these stand for."""
    names: dict[str, bytes] = {}
    definitions: dict[str, str] = {}
    cases: list[dict[str, str]] = []
    for line in path.read_text().splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if not keyword or keyword.startswith("#"):
            continue
        if keyword == "case":
            cases.append({"case": rest})
        elif cases:
            cases[-1][keyword] = rest
        elif keyword == "scapy":
            name, _, expression = rest.partition(" = ")
            definitions[name] = expression
        else:
            names[keyword] = octets(rest.lstrip().removeprefix("="), names)

    def case(lines: dict[str, str]) -> Case:
        out = octets(lines.pop("out"), names) if "out" in lines else None
        return Case(lines.pop("case"), octets(lines.pop("in"), names), out, lines)

    return [case(lines) for lines in cases], definitions


def octets(text: str, names: dict[str, bytes]) -> bytes:
    """The bytes that words of the table stand for."""
    found = b""
    for word in text.split():
        hexadecimal, _, times = word.partition("*")
        found += names[word] if word in names else bytes.fromhex(hexadecimal) * int(times or 1)
    return found
