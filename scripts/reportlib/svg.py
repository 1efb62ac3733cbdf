"""Charts as SVG, for readers without scripts and for paper. Colours are classes of the style sheet: c-tx and so on."""

import math
from collections.abc import Callable
from html import escape

import numpy as np

from plotlib.words import percent, time

from .charts import Chart

WIDTH, HEIGHT = 760, 250
LEFT, RIGHT, TOP, BOTTOM = 74, 12, 10, 30


def short(number: float) -> str:
    """3.5M."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= scale:
            return f"{number / scale:.4g}{unit}"
    return f"{number:.4g}"


FORMATS: dict[str, Callable[[float], str]] = {"pps": short, "share": lambda share: percent(share, 4), "ns": time}


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * 0.999)
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]


def bounds(chart: Chart) -> tuple[float, float]:
    """Of the vertical axis."""
    if chart.stacked:
        return 0.0, 1.0
    values = np.concatenate([series.values[np.isfinite(series.values)] for series in chart.series])
    if chart.log:
        values = values[values > 0]
        return (float(values.min()) * 0.9, float(values.max()) * 1.1) if len(values) else (1.0, 10.0)
    return 0.0, max(float(values.max(initial=0)) * 1.05, 0.001 if chart.unit == "share" else 1.0)


def steps(x: list[float], y: list[float | None]) -> str:
    """A path of steps: y[i] holds from x[i] to x[i + 1]."""
    parts, drawn = [], False
    for at, value in enumerate(y):
        if value is None:
            drawn = False
            continue
        parts.append(f"{'V' if drawn else f'M{x[at]:.1f} '}{value:.1f}H{x[at + 1]:.1f}")
        drawn = True
    return "".join(parts)


def draw(chart: Chart) -> str:
    low, high = bounds(chart)
    first, last = float(chart.x[0]), float(chart.x[-1])
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(x: float) -> float:
        return LEFT + wide * (x - first) / ((last - first) or 1)

    def at_y(y: float) -> float:
        share = math.log(y / low) / math.log(high / low) if chart.log else (y - low) / (high - low)
        return TOP + tall * (1 - share)

    parts = []
    for tick in log_ticks(low, high) if chart.log else round_ticks(low, high):
        y = at_y(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="grid"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(FORMATS[chart.unit](tick))}</text>')
    ticks = [(float(n), label) for n, label in chart.ticks] or [(one, f"{one:g}") for one in round_ticks(first, last, 8)]
    for tick, name in ticks:
        anchor = "end" if at_x(tick) > WIDTH - RIGHT - 20 else "middle"
        parts.append(f'<text x="{at_x(tick):.1f}" y="{HEIGHT - 10}" text-anchor="{anchor}">{escape(name)}</text>')
    x = [at_x(one) for one in chart.x]
    below = np.zeros(len(chart.x) - 1)
    for series in reversed(chart.series) if chart.stacked else chart.series:  # as dygraphs does: the first one is on top
        values = np.nan_to_num(series.values) + below if chart.stacked else series.values
        usable = np.isfinite(values) & ((values > 0) if chart.log else True)
        path = steps(x, [at_y(value) if ok else None for value, ok in zip(values, usable)])
        if chart.stacked:
            back = "".join(f"L{x[at + 1]:.1f} {at_y(low_value):.1f}L{x[at]:.1f} {at_y(low_value):.1f}"
                           for at, low_value in reversed(list(enumerate(below))))
            parts.append(f'<path d="{path}{back}Z" class="area c-{series.colour}"/>')
            below = values
        else:
            parts.append(f'<path d="{path}" class="line c-{series.colour}" stroke-width="{series.width:g}"/>')
    for when, what in chart.events:
        parts.append(f'<path d="M{at_x(when):.1f} {TOP}V{HEIGHT - BOTTOM}" class="event"><title>{escape(what)}</title></path>'
                     f'<text transform="translate({at_x(when) + 11:.1f} {HEIGHT - BOTTOM - 4}) rotate(-90)" class="small">{escape(what[:30])}</text>')
    parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" class="axis"/>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">{"".join(parts)}</svg>'
