"""The matrix as one HTML file without scripts, which loads nothing."""

import os
from html import escape
from math import log
from operator import attrgetter
from urllib.parse import quote

from .outliers import METRICS, Metric, Outlier, can_judge
from .pairs import Pair, Results

STYLE = """
:root { color-scheme: light dark; --text: #1c2126; --back: #fff; --weak: #6a737d; --line: #d8dde2; --none: #dfe3e7; --hot: #d9480f; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ec; --back: #15191d; --weak: #98a2ac; --line: #343b42; --none: #3b434b; --hot: #ff7a3d; }
}
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: var(--text); background: var(--back); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p.note { color: var(--weak); margin: .2rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { border: 1px solid var(--line); padding: .2rem .5rem; text-align: right; font-weight: normal; white-space: nowrap; }
th { color: var(--weak); background: var(--back); } tbody th { position: sticky; left: 0; z-index: 1; } thead th { vertical-align: bottom; }
td.value { background: color-mix(in srgb, var(--hot) calc(var(--share) * 1%), transparent); }
td.value a { color: inherit; }
td.none { background: var(--none); } td.self { border: none; }
td.out { outline: 2px solid var(--hot); outline-offset: -2px; font-weight: bold; }
body:has(table.many) { max-width: none; margin: 2rem; } table.many { font-size: 10px; } table.many td { padding: 0 .2rem; } table.many thead th { writing-mode: vertical-rl; }
@media print { body { max-width: none; } }
"""
MANY = 12  # columns, from which on cells are small
MOST_HOSTS = 100  # of a matrix: each of five has 10,000 cells then, which is what a browser still shows at once
NAMED = 5  # outliers in the sentence
LISTED = 200  # outliers, problems, and missing pairs of a host, in the list
PPM = 1e-6


def value_text(metric: Metric, value: float) -> str:
    """Three digits, in the unit that suits."""
    if metric.is_loss:
        return "0 %" if value == 0 else f"{100 * value:.3g} %" if value >= PPM else f"{value / PPM:.2g} ppm"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}" if value < 999.5 * size else f"{value / size:.0f} {unit}"
    return f"{value:.0f} ns"


def outlier_text(outlier: Outlier) -> str:
    value, others = (value_text(outlier.metric, number) for number in (outlier.value, outlier.others))
    what = outlier.metric.title[0].lower() + outlier.metric.title[1:]
    return f"{outlier.name}: {what} {value}, the others {others}"


def sentence(results: Results, outliers: list[Outlier]) -> str:
    hosts, pairs, missing = len(results.hosts), len(results.pairs), len(results.missing())
    total, lost = sum(one.sent for one in results.pairs), sum(one.lost for one in results.pairs)
    text = f"{pairs} pair{'s' if pairs > 1 else ''} of {hosts} hosts: {lost:,} of {total:,} packets lost"
    names = list(dict.fromkeys(outlier.name for outlier in outliers))
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        text += f"; unlike the others: {', '.join(names[:NAMED])}{more}"
    else:
        text += "; none is unlike the others" if can_judge(results.pairs) else "; too few pairs to say if one is unlike the others"
    return text + (f"; missing pairs: {missing}." if missing else ".")


def missing_texts(results: Results) -> list[str]:
    """A line for each host that explains most of what is left."""
    left: dict[str, dict[str, None]] = {}
    for one, other in results.missing():
        left.setdefault(one, {})[other] = None
        left.setdefault(other, {})[one] = None
    texts = []
    while left:
        host = max(left, key=lambda one: len(left[one]))
        others = left.pop(host)
        for other in others:
            del left[other][host]
        left = {one: rest for one, rest in left.items() if rest}
        whom = "all others" if 1 < len(others) == len(results.hosts) - 1 else ", ".join(capped(list(others)))
        texts.append(f"missing: {host} with {whom}")
    return texts


def capped(texts: list[str]) -> list[str]:
    """No more than a reader would read."""
    return texts if len(texts) <= LISTED else [*texts[:LISTED], f"{len(texts) - LISTED} more"]


class Matrices:
    """What all cells need to know."""

    def __init__(self, results: Results, outliers: list[Outlier]) -> None:
        self.results = results
        self.pages = frozenset(path.stem for path in results.folder.glob("*--*.html"))
        self.by_hosts = {(one.sender, one.reflector): one for one in results.pairs}
        self.named = {(outlier.metric, outlier.hosts) for outlier in outliers}
        self.spans = {}
        for metric in METRICS:
            known = [max(value, 1) for one in results.pairs if (value := getattr(one, metric.key)) is not None]
            self.spans[metric] = min(known, default=1), max(known, default=1)

    def share(self, metric: Metric, value: float) -> float:
        """How hot a cell is, percent: a logarithm, so that what is far out does not make all others alike. What differs by
        less than a factor of 4 does not use the whole scale."""
        low, high = (PPM, 1) if metric.is_loss else self.spans[metric]
        return 75 * log(max(value, low) / low) / log(max(high / low, 4))

    def cell(self, metric: Metric, row: str, column: str) -> str:
        one = self.by_hosts.get((row, column)) or self.by_hosts.get((column, row))
        if one is None:
            return "<td class='none' title='missing'></td>"
        return self.of_pair(metric, one, (one.sender,), (one.reflector,), one.hosts)

    def of_pair(self, metric: Metric, one: Pair, *framed_for: tuple[str, ...]) -> str:
        value = getattr(one, metric.key)
        if value is None:
            return "<td class='none' title='unknown'>?</td>"
        title = escape(f"{one.sender} to {one.reflector} and back")
        return self.value(metric, value, title, self.link(one, value_text(metric, value)), *framed_for)

    def value(self, metric: Metric, value: float, title: str, text: str, *framed_for: tuple[str, ...]) -> str:
        out = " out" if any((metric, hosts) in self.named for hosts in framed_for) else ""
        return f"<td class='value{out}' style='--share:{self.share(metric, value):.0f}' title='{title}'>{text}</td>"

    def link(self, one: Pair, text: str) -> str:
        if one.file not in self.pages:
            return text
        return f"<a href='./{quote(os.fsencode(one.file))}.html'>{text}</a>"

    def of_all(self) -> str:
        """A matrix for each metric."""
        hosts, parts = self.results.hosts, []
        for metric in METRICS:
            rows = [[self.cell(metric, row, column) if row != column else "<td class='self'></td>" for column in hosts] for row in hosts]
            parts.append(f"<h2>{escape(metric.title)}</h2>{table(hosts, hosts, rows)}")
        return "".join(parts)

    def of_hosts(self) -> str:
        """A row for each host: for each metric, the median and the worst of its pairs."""
        of_host: dict[str, list[Pair]] = {}
        for one in self.results.pairs:
            for host in one.hosts:
                of_host.setdefault(host, []).append(one)
        columns = [f"{metric.title}, {what}" for metric in METRICS for what in ("median", "worst")]
        rows = [[cell for metric in METRICS for cell in self.summary(metric, host, of_host.get(host, []))] for host in self.results.hosts]
        return f"<h2>Hosts</h2>{table(columns, self.results.hosts, rows)}"

    def summary(self, metric: Metric, host: str, own: list[Pair]) -> tuple[str, str]:
        known = [one for one in own if getattr(one, metric.key) is not None]
        if not known:
            return ("<td class='none' title='missing'></td>",) * 2
        known.sort(key=attrgetter(metric.key))
        middle = getattr(known[(len(known) - 1) // 2], metric.key)
        title = f"{len(known)} pairs of {escape(host)}"
        return self.value(metric, middle, title, value_text(metric, middle), (host,)), self.of_pair(metric, known[-1], known[-1].hosts)

    def to(self, reflector: str) -> str:
        """A row for each sender, a column for each metric."""
        senders = [host for host in self.results.hosts if host != reflector]
        rows = [[self.cell(metric, host, reflector) for metric in METRICS] for host in senders]
        return f"<h2>All hosts to {escape(reflector)}</h2>{table([metric.title for metric in METRICS], senders, rows)}"


def table(columns: list[str], rows: list[str], cells: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr><th>{escape(row)}</th>{''.join(of_row)}</tr>" for row, of_row in zip(rows, cells))
    many = " class='many'" if len(columns) > MANY else ""
    return f"<div class='wide'><table{many}><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def html(results: Results, outliers: list[Outlier]) -> str:
    parts = [f"<h1>{escape(sentence(results, outliers))}</h1>"]
    notes = capped(list(map(outlier_text, outliers))) + capped(results.problems) + missing_texts(results)
    if notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
    once = "" if results.reflector else ("Each pair is measured once, there and back: the matrix is symmetric. Where both directions "
                                         "were measured, the row is the sender. ")
    is_matrix = results.reflector is None and len(results.hosts) <= MOST_HOSTS
    if results.reflector is None and not is_matrix:
        once = f"A matrix has at most {MOST_HOSTS} hosts: of more, there is a row for each; all pairs are in matrix.csv. "
    parts.append(f"<p class='note'>{once}Grey: not measured, or unknown (?). Framed: unlike the others. Times are those of round "
                 "trips. Shades are logarithmic: loss from 1 ppm to 100 %, times from the least to the greatest.</p>")
    matrices = Matrices(results, outliers)
    parts.append(matrices.of_all() if is_matrix else matrices.to(results.reflector) if results.reflector else matrices.of_hosts())
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    return (f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>{policy}"
            f"<title>Pairs of hosts</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n")
