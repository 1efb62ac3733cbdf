"""Numbers as people write them."""

import numpy as np

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
UNITS_NS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def percent(share: float, digits: int) -> str:
    """As people write it: 0.0084%, never 8.4e-03%."""
    return np.format_float_positional(100 * share, digits, unique=False, fractional=False, trim="-") + "%"


def span(ms: float) -> str:
    return f"{ms:.4g} ms" if ms < 1000 else f"{ms / 1000:.4g} s"


def rate(pps: float) -> str:
    """3.41 Mpps."""
    scale, prefix = next((one for one in PREFIXES if pps >= 0.999995 * one[0]), PREFIXES[-1])
    return f"{pps / scale:.2f} {prefix}pps"


def time(ns: float) -> str:
    """Three digits: 87.6 us."""
    scale, unit = next((one for one in UNITS_NS if ns >= one[0]), UNITS_NS[-1])
    return f"{np.format_float_positional(ns / scale, 3, unique=False, fractional=False, trim='-')} {unit}"


def count(packets: float, of: str = "packet") -> str:
    return f"{packets:,.0f} {of}{'' if packets == 1 else 's'}"


def nines_label(nines: float) -> str:
    """The percentile after so many nines: 99.9%."""
    return "0%" if nines == 0 else percent(1 - 10.0**-nines, max(2, round(nines)))
