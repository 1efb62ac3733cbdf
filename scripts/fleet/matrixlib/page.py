"""The matrix as one HTML file without scripts, which loads nothing."""

from html import escape
from urllib.parse import quote

from .outliers import METRICS, Metric, Outlier
from .pairs import Pair, Results

STYLE = """
:root { color-scheme: light dark; --text: #1c2126; --back: #fff; --weak: #6a737d; --line: #d8dde2; --none: #e9ecef; --hot: #d9480f; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ec; --back: #15191d; --weak: #98a2ac; --line: #343b42; --none: #262c32; --hot: #ff7a3d; }
}
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: var(--text); background: var(--back); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p.note { color: var(--weak); margin: .2rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { border: 1px solid var(--line); padding: .2rem .5rem; text-align: right; font-weight: normal; white-space: nowrap; }
th { color: var(--weak); } thead th { vertical-align: bottom; }
td.value { background: color-mix(in srgb, var(--hot) calc(var(--share) * 1%), transparent); }
td.value a { color: inherit; }
td.none { background: var(--none); } td.self { border: none; }
td.out { outline: 2px solid var(--hot); outline-offset: -2px; font-weight: bold; }
table.many { font-size: 10px; } table.many td { padding: 0 .2rem; } table.many thead th { writing-mode: vertical-rl; }
@media print { body { max-width: none; } }
"""
MANY = 12  # hosts, from which on cells are small


def value_text(metric: Metric, value: float) -> str:
    """Three digits, in the unit that suits."""
    if metric.is_loss:
        return "0 %" if value == 0 else f"{100 * value:.3g} %" if value >= 1e-6 else f"{value * 1e6:.2g} ppm"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}" if value < 999.5 * size else f"{value / size:.0f} {unit}"
    return f"{value:.0f} ns"


def outlier_text(outlier: Outlier) -> str:
    value, others = (value_text(outlier.metric, number) for number in (outlier.value, outlier.others))
    what = outlier.metric.title[0].lower() + outlier.metric.title[1:]
    return f"{outlier.name}: {what} {value}, the others {others}"


def sentence(results: Results, outliers: list[Outlier]) -> str:
    hosts, missing = len(results.hosts), len(results.missing())
    total, lost = sum(one.sent for one in results.pairs), sum(one.lost for one in results.pairs)
    text = f"{len(results.pairs)} pairs of {hosts} hosts: {lost:,} of {total:,} packets lost"
    names = list(dict.fromkeys(outlier.name for outlier in outliers))
    text += f"; unlike the others: {', '.join(names)}" if names else "; none is unlike the others"
    return text + (f"; missing pairs: {missing}." if missing else ".")


def cell(metric: Metric, one: Pair, span: tuple[float, float], results: Results, is_out: bool) -> str:
    value = getattr(one, metric.key)
    if value is None:
        return "<td class='none' title='unknown'>?</td>"
    low, high = span
    share = 75 * (value - low) / (high - low) if high > low else 0
    text, title = value_text(metric, value), escape(f"{one.sender} to {one.reflector} and back")
    if (results.folder / f"{one.name}.html").is_file():
        text = f"<a href='{quote(one.name)}.html'>{text}</a>"
    return f"<td class='value{' out' if is_out else ''}' style='--share:{share:.0f}' title='{title}'>{text}</td>"


def matrix(metric: Metric, results: Results, outliers: list[Outlier]) -> str:
    by_hosts = {one.hosts: one for one in results.pairs}
    known = [value for one in results.pairs if (value := getattr(one, metric.key)) is not None]
    span = (min(known, default=0.0), max(known, default=0.0))
    named = {outlier.hosts for outlier in outliers if outlier.metric == metric}

    def of(row: str, column: str) -> str:
        if row == column:
            return "<td class='self'></td>"
        one = by_hosts.get(frozenset((row, column)))
        if one is None:
            return "<td class='none' title='missing'></td>"
        is_out = bool(named & {(one.sender,), (one.reflector,), (one.sender, one.reflector)})
        return cell(metric, one, span, results, is_out)

    head = "".join(f"<th>{escape(host)}</th>" for host in results.hosts)
    rows = "".join(f"<tr><th>{escape(row)}</th>{''.join(of(row, column) for column in results.hosts)}</tr>" for row in results.hosts)
    many = " class='many'" if len(results.hosts) > MANY else ""
    return f"<div class='wide'><table{many}><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def html(results: Results, outliers: list[Outlier]) -> str:
    parts = [f"<h1>{escape(sentence(results, outliers))}</h1>"]
    notes = [outlier_text(outlier) for outlier in outliers] + results.problems
    notes += [f"missing: {one} and {other}" for one, other in results.missing()]
    if notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
    parts.append("<p class='note'>Each pair is measured once, there and back: the matrix is symmetric. Grey: not measured. Framed: "
                 "unlike the others. Times are those of round trips.</p>")
    for metric in METRICS:
        parts.append(f"<h2>{escape(metric.title)}</h2>{matrix(metric, results, outliers)}")
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    return (f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>{policy}"
            f"<title>Pairs of hosts</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n")
