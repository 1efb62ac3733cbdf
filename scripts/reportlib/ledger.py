"""Draws where packets went, from top to bottom: stations, and between them what was lost on the way."""

from html import escape
from typing import Any, NamedTuple

from . import says

WIDTH, BAND, LEFT = 500, 200, 4  # of the picture, of the band of all packets, and where that begins
STATION, LINE, LEAST = 30, 20, 2  # heights of a station and of a line of text, and the width of the smallest slice
FOLD = 34  # letters in a line


class Leak(NamedTuple):
    what: str
    packets: int | None  # None: nobody knows


class Station(NamedTuple):
    what: str
    packets: int
    leaks: list[Leak]  # between this one and the next
    at_most: bool = False  # packets lost at an unknown place may have been lost before


def measured(run: dict[str, Any]) -> list[Station]:
    """due > sent > reached the reflector > sent back > came back > valid."""
    tx, lost = run["tx"], run["lost"]
    unknown = Leak("unknown place", lost.get("unknown", 0))
    ends = [Leak("corrupt", lost.get("corrupt", 0)), Leak("too late", lost.get("late", 0))]
    stations = []
    if tx.get("due") is not None:
        reasons = [Leak(f"not sent: {name}", packets) for name, packets in tx["not_sent_reasons"].items() if packets]
        stations.append(Station("due", tx["due"], reasons or [Leak("not sent", tx.get("not_sent", 0))]))
    left = tx["sent"]
    if lost.get("forward") is None:
        why = (run.get("reflector") or {}).get("why_unknown") or "nobody said what the reflector got"
        stations.append(Station("sent", left, [Leak(f"forward path, reflector, return path: not known ({why})", None), unknown, *ends]))
        return [*stations, Station("valid", run["rx"]["valid"], [])]
    blurred = bool(unknown.packets)
    steps = (("sent", [Leak("forward path", lost["forward"]), Leak("reflector's port", lost["reflector_nic"])]),
             ("reached the reflector", [Leak("reflector", lost["reflector"])]),
             ("sent back", [Leak("return path", lost["return"]), Leak("our port", lost["nic"])]),
             ("came back", [*ends, unknown]))
    for what, leaks in steps:
        stations.append(Station(what, left, leaks, blurred and what != "sent"))
        left -= sum(leak.packets or 0 for leak in leaks)
    return [*stations, Station("valid", run["rx"]["valid"], [])]


def others(run: dict[str, Any]) -> list[Station]:
    """received > sent, of a mode that returns or forwards packets; of one that counts, there is no way on."""
    rx, tx = run["rx"], run["tx"]
    ignored = [Leak(f"ignored: {name}", packets) for name, packets in rx["foreign_reasons"].items() if packets]
    if says.meaning(run) == "counts":
        return [Station("received", rx["received"], ignored), Station("counted", rx["received"] - rx["foreign"], [])]
    leaks = [Leak("refused by the tx queue", run["lost"]["total"]), *ignored]
    if rx.get("dropped"):
        leaks.append(Leak("dropped", rx["dropped"]))
    return [Station("received", rx["received"], leaks), Station("sent", tx["sent"], [])]


def stations(run: dict[str, Any]) -> list[Station]:
    return measured(run) if says.meaning(run) == "measures" else others(run)


def text(x: float, y: float, what: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{f" class={kind!r}" if kind else ""}>{escape(what)}</text>'


def folded(what: str, most: int) -> list[str]:
    """Lines of at most about `most` letters: SVG does not fold them."""
    lines = [""]
    for word in what.split():
        if lines[-1] and len(lines[-1]) + len(word) >= most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def label(leak: Leak, of: int) -> list[str]:
    if leak.packets is None:
        return folded(leak.what, FOLD)
    share = f" ({says.share_of(leak.packets, of)})" if of and leak.packets else ""
    return folded(f"{leak.what} {leak.packets:,}{share}", FOLD)


def section(station: Station, to: Station, top: float, most: int, y: float) -> tuple[list[str], float]:
    """The band between two stations: what went on, and a slice for each loss, with a line to its label."""
    parts = []
    labels = [label(leak, int(top)) for leak in station.leaks]
    height = max(26, sum(map(len, labels)) * LINE + 4)
    scale = BAND / max(1, most)
    edge = LEFT + to.packets * scale
    blurred = any(leak.packets is None for leak in station.leaks)
    parts.append(f'<rect x="{LEFT}" y="{y:g}" width="{to.packets * scale:.2f}" height="{height:g}" class="{"dim" if blurred else "band"}"/>')
    at = y + 14
    for leak, lines in zip(station.leaks, labels):
        if leak.packets:
            width = max(LEAST, leak.packets * scale)
            kind = "unknown" if leak.what == "unknown place" else "lost"
            parts.append(f'<rect x="{edge:.2f}" y="{y:g}" width="{width:.2f}" height="{height:g}" class="{kind}"/>')
            parts.append(f'<path d="M{edge + width / 2:.2f} {at - 4:g}H{LEFT + BAND + 20}" class="leader"/>')
            edge += width
        kind = "" if leak.packets else "quiet"
        for line in lines:
            parts.append(text(LEFT + BAND + 26, at, line, kind))
            at += LINE
    return parts, y + height


def draw(run: dict[str, Any]) -> str:
    """An SVG without size of its own: it fits where it is put."""
    found = stations(run)
    most = max(station.packets for station in found)
    parts, y = [], 0.0
    for number, station in enumerate(found):
        bound = "at most " if station.at_most else ""
        parts.append(text(LEFT, y + 20, f"{station.what} {bound}{station.packets:,}", "station"))
        y += STATION
        if number + 1 < len(found):
            more, y = section(station, found[number + 1], station.packets, most, y)
            parts += more
    said = "; ".join(f"{station.what} {station.packets:,}" for station in found)
    return (f'<svg class="ledger" viewBox="0 0 {WIDTH} {y:g}" role="img" aria-label="{escape(said)}">'
            f'<title>{escape(said)}</title>{"".join(parts)}</svg>')
