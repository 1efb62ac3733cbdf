"""The report as one HTML file, which loads nothing: the styles, the scripts and the data are in it."""

import base64
import hashlib
import json
import shlex
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import layout
from plotlib import queues, rows, runs
from plotlib.words import count

from . import charts, ledger, says, svg

HERE = Path(__file__).resolve().parent
DYGRAPHS = Path("/usr/share/javascript/dygraphs")
LIBRARY = "dygraph.min.js"
DOCTOR = layout.command("doctor")
WRITTEN_BY = f"Written by {layout.command('report')} of dpdkproj. README.md says what the numbers mean."
NO_CHARTS = ("Charts are static here: to zoom into them, install dygraphs (Debian: apt install libjs-dygraphs) and write this "
             "report again.")


class Run(NamedTuple):
    """What one run left behind; some of it may be missing."""
    name: str
    summary: runs.Summary | None
    series: rows.Rows | None
    per_queue: queues.Shares | None

    @property
    def document(self) -> dict[str, Any] | None:
        return self.summary.document if self.summary else None


def paragraph(text: str, kind: str = "") -> str:
    return f'<p{f" class={kind!r}" if kind else ""}>{escape(text)}</p>'


def table(lines: list[list[str]], head: bool = False) -> str:
    """All cells but the first of a line are numbers, if there is a head or two columns of them."""
    if not lines:
        return ""
    rows_of = []
    for number, line in enumerate(lines):
        tag = "th" if head and not number else "td"
        cells = [f"<{tag}>{escape(line[0])}</{tag}>", *(f"<{tag} class='number'>{escape(cell)}</{tag}>" for cell in line[1:])]
        rows_of.append(f"<tr>{''.join(cells)}</tr>")
    return f"<div class='wide'><table>{''.join(rows_of)}</table></div>"


def titled(title: str, body: str) -> str:
    return f"<section><h3>{escape(title)}</h3>{body}</section>" if body else ""


class Page:
    """Collects the parts of a page, and the charts in it."""

    def __init__(self, live: bool) -> None:
        self.live = live
        self.parts: list[str] = []
        self.charts: list[charts.Chart] = []

    def add(self, *parts: str) -> None:
        self.parts += parts

    def chart(self, chart: charts.Chart) -> None:
        keys = "".join(f"<span><span class='key c-{one.colour}'></span>{escape(one.name)}</span>" for one in chart.series)
        live = "<div class='live' hidden></div>" if self.live else ""
        self.add(f"<figure id='chart-{len(self.charts)}'><figcaption>{escape(chart.title)}</figcaption><div class='legend'>{keys}</div>"
                 f"{live}<div class='static'>{svg.draw(chart)}</div></figure>")
        self.charts.append(chart)


def facts(page: Page, run: Run) -> None:
    """What is known from the JSON."""
    document = run.document
    if document is None:
        return
    first, *others = says.sentences(document)
    page.add(paragraph(first, "lead"), *map(paragraph, others))
    page.add(*(paragraph(alarm, "alarm") for alarm in says.alarms(document)))
    kind = says.meaning(document)
    note = "Every packet is accounted for." if document["ledger_balanced"] and kind != "counts" else ""
    picture = ledger.draw(document) + paragraph(f"{note} Bars are to scale, but no slice of losses is too thin to be seen.".strip(), "quiet")
    page.add("<div class='columns'>", titled("Where packets went", picture), "<div>",
             titled("Latency", table(says.latency_table(document), head=True)),
             titled("What arrived", table(says.received_table(document))), "</div></div>")


def details(page: Page, run: Run) -> None:
    document = run.document
    if document is None:
        return
    page.add("<div class='columns'>", titled("Queues", table(says.queue_table(document), head=True)),
             titled("Counters of ports", table(says.counter_table(document))), "</div>")
    host = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in says.host_table(document))
    page.add(titled("Host", f"<table class='facts'>{host}</table>"),
             titled("Command", f"<pre>{escape(shlex.join(map(str, document['command'])))}</pre>"))
    everything = json.dumps(document, indent=1, default=str)
    page.add(f"<details><summary>Everything in the JSON</summary><pre>{escape(everything)}</pre></details>")


def of_run(page: Page, run: Run, number: int, several: bool) -> None:
    page.add(f"<h2>{escape(run.name)}</h2>" if several else "")
    facts(page, run)
    group = f"run-{number}"
    if run.series:
        if run.summary is None:
            page.add(paragraph(f"{'; '.join(rows.summary(run.series))}.", "lead"))
        for chart in charts.over_time(run.series, group, charts.events_of(run.series, run.document)):
            page.chart(chart)
    if run.per_queue:
        page.chart(charts.of_queues(run.per_queue, group))
    if run.summary and not several and (chart := charts.percentiles([(run.name, run.summary)])):
        page.chart(chart)
    details(page, run)


def comparison(page: Page, found: list[Run]) -> None:
    """Several runs: their figures side by side, and their distributions in one chart."""
    known = [(run.name, run.summary) for run in found if run.summary]
    rows_of: list[list[str]] = [["", *(name for name, _ in known)]]

    def row(title: str, cell: Any) -> None:
        rows_of.append([title, *(cell(summary.document) for _, summary in known)])

    row("sent", lambda run: count(run["tx"]["sent"]))
    row("rate", lambda run: says.rate(run["tx"]["sent_pps"]) if run["tx"].get("sent_pps") is not None else "")
    row("lost", lambda run: "" if run["lost"]["total"] is None else f"{run['lost']['total']:,}")
    row("loss", lambda run: "" if run.get("loss_ratio") is None else says.share_of(run["loss_ratio"], 1, 3))
    for name in ("p50", "p99", "p99.9", "max"):
        row(name, lambda run, name=name: "" if run["latency_ns"].get(name) is None else says.time(run["latency_ns"][name]))
    page.add(table(rows_of, head=True) if known else "")
    names = [name for name, _ in known]
    chart = charts.percentiles([(f"{number + 1}: {name}" if names.count(name) > 1 else name, summary)
                                for number, (name, summary) in enumerate(known)])
    if chart:
        page.chart(chart)


def of_doctor(document: dict[str, Any]) -> str:
    """The findings of scripts/doctor --json."""
    found = document.get("findings") or []
    if not found:
        return titled("Doctor", paragraph(f"{DOCTOR} found nothing that would stop or disturb a measurement."))
    items = [f"<dt><span class='{one['level'] if one['level'] in ('fault', 'warning') else 'note'}'>{escape(str(one['level']))}</span> "
             f"{escape(str(one['what']))}</dt><dd>{escape(str(one['effect']))}. Fix: <code>{escape(str(one['fix']))}</code></dd>" for one in found]
    return titled(f"What {DOCTOR} says of this host", f"<dl>{''.join(items)}</dl>")


def library() -> str | None:
    """The script that draws, or None where it is not installed."""
    try:
        text = (DYGRAPHS / LIBRARY).read_text(encoding="utf-8")
    except OSError:
        return None
    # Without its source map, which would be loaded.
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL"))


def script(text: str) -> tuple[str, str]:
    """The element, and its hash for the policy. Nothing in a script may end it."""
    text = text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"<script>{text}</script>", f"'sha256-{digest}'"


def data(found: list[charts.Chart]) -> str:
    """JSON within HTML: as escapes, so that nothing in it is markup."""
    text = json.dumps([one.document() for one in found], separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return f"<script type='application/json' id='charts'>{text}</script>"


def write(found: list[Run], title: str, doctor: dict[str, Any] | None) -> str:
    dygraphs = library()
    page = Page(dygraphs is not None)
    several = len(found) > 1
    page.add(f"<h1>{escape(title)}</h1>")
    if several:
        comparison(page, found)
    for number, run in enumerate(found):
        of_run(page, run, number, several)
    if doctor is not None:
        page.add(of_doctor(doctor))
    help_text = "Drag over a chart to zoom in; double-click to see everything again." if page.live else NO_CHARTS
    page.add(f"<footer>{paragraph(help_text, 'screen') if page.charts else ''}"
             f"{paragraph(WRITTEN_BY)}</footer>")
    body, policy = "".join(page.parts), "'none'"
    if dygraphs and page.charts:
        elements, hashes = zip(*map(script, [dygraphs, (HERE / "report.js").read_text(encoding="utf-8")]))
        body += data(page.charts) + "".join(elements)
        policy = " ".join(hashes)
    # Should anything get through the escaping, the browser neither runs nor loads it.
    return ("<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
            f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; script-src {policy}">'
            "<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<title>{escape(title)}</title><style>{(HERE / 'report.css').read_text(encoding='utf-8')}</style></head>"
            f"<body>{body}</body></html>\n")
