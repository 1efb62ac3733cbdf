"""Numbers: reading, writing and judging them. Knows no process."""

import argparse
import re
from typing import Any, NamedTuple

# Frame sizes of RFC 2544, section 9.1, for Ethernet, with FCS.
FRAME_SIZES = (64, 128, 256, 512, 1024, 1280, 1518)
FCS = 4
SMALLEST_PAYLOAD = 16
REFLECTOR_REASONS = ("tx_queue_full", "dropped", "capped", "overflow", "segmented", "ttl")
PLACES = {"forward": "the forward path", "reflector_nic": "the reflector's port", "reflector": "the reflector",
          "return": "the return path", "nic": "our port", "corrupt": "corrupt packets", "late": "late packets",
          "unknown": "an unknown place"}


class Trial(NamedTuple):
    """One trial, as the program answered it."""
    at_s: float  # when it was over, since the start of the search
    load_pps: float  # 0: as fast as possible
    duration_s: float
    due: int
    sent: int
    valid: int
    loss_ratio: float  # Trial Loss Ratio: not sent, or not back
    stolen_ms: int | None
    answer: dict[str, Any]

    @property
    def is_stolen(self) -> bool:
        """The host took time from the CPUs of the workers: less may have come back because of that."""
        return bool(self.stolen_ms)


def trial(at_s: float, answer: dict[str, Any]) -> Trial:
    tx, ratio = answer["tx"], answer["trial_loss_ratio"]
    return Trial(at_s, answer["request"]["rate_pps"] or 0, answer["duration_s"], tx["due"], tx["sent"],
                 answer["rx"]["valid"], 0.0 if ratio is None else ratio, answer["steal_ms"], answer)


def rate(pps: float) -> str:
    for scale, unit in ((1e6, "Mpps"), (1e3, "kpps")):
        if pps >= scale:
            return f"{pps / scale:.4g} {unit}"
    return f"{pps:.4g} pps"


def share(ratio: float) -> str:
    """Without rounding a small loss to none."""
    return f"{100 * ratio:.3g} %"


def nanoseconds(value: float | None) -> str:
    if value is None:
        return "-"
    for scale, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} ns"


def read_share(text: str) -> float:
    """Of the command line: 0, 0.5% or 0.005."""
    number, percent = (text[:-1], 100) if text.endswith("%") else (text, 1)
    try:
        if 0 <= (value := float(number) / percent) < 1:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}': expected a share from 0 to below 1, such as 0, 0.5%% or 0.005")


def read_rate(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)([kmg]?)(pps)?", text.lower())
    try:
        if match and (pps := float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]]) > 0:
            return pps
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}': expected packets per second above 0, such as 3.5Mpps or 800k")


def read_seconds(text: str) -> float:
    try:
        if 0 < (value := float(text)) < 1e6:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}': expected seconds above 0, such as 60 or 0.5")


def lost_where(trials: list[Trial]) -> dict[str, int]:
    """What was not sent or lost in these trials, by place, the most first. The places of one trial add up to what it
    lacks."""
    places: dict[str, int] = {}

    def add(place: str, packets: int | None) -> None:
        if packets:
            places[place] = places.get(place, 0) + packets

    for one in trials:
        for reason, packets in one.answer["tx"]["not_sent_reasons"].items():
            add(f"the sender ({reason})", packets)
        told = one.answer.get("reflector", {})
        for place, packets in one.answer["lost"].items():
            if place == "total":
                continue
            if place == "reflector":
                reasons = {reason: told.get(reason) or 0 for reason in REFLECTOR_REASONS}
                most = max(reasons, key=lambda reason: reasons[reason])
                add(f"the reflector ({most})" if reasons[most] else "the reflector", packets)
            else:
                add(PLACES.get(place, place), packets)
    return dict(sorted(places.items(), key=lambda place: -place[1]))


def limited_by(trials: list[Trial]) -> str | None:
    """The place where most packets were lost in these trials; `None`: none was."""
    return next(iter(lost_where(trials)), None)


def payload_of(frame: int, headers: int) -> int:
    """UDP payload of a frame of this size, FCS included: what is left by headers of this length."""
    return max(SMALLEST_PAYLOAD, frame - headers - FCS)


def buffer_times(frames: float, burst_pps: float, throughput_pps: float) -> tuple[float, float]:
    """Implied and corrected buffer time in seconds, RFC 9004: how long the longest burst without loss takes, and the
    same less what is forwarded meanwhile."""
    implied = frames / burst_pps
    return implied, implied * max(0.0, 1 - throughput_pps / burst_pps)


def seconds_left(goals: list[tuple[float, float, float | None, float | None]], seconds_at: dict[float, float],
                 initial_s: float, needed_s: float, width: float, wall_ratio: float) -> float:
    """About how long a search still takes. `goals`: of each, lowest and highest load that it may be at, and its final
    bounds if known. `seconds_at`: the trials so far, by load. `needed_s`: trials that a bound takes. Loads are measured
    once for all goals, so each counts once."""
    left: dict[float, float] = {}
    halvings = 0.0
    for low, high, lower, upper in goals:
        if lower is not None and upper is not None and upper <= lower * (1 + 1.5 * width):
            continue
        gap = max(1.0, high / max(low, 1e-9))
        while gap > 1 + width and halvings < 64:
            gap, halvings = gap ** 0.5, halvings + 1
        for load, known in ((low, lower), (high, upper)):
            if known is None:
                left[load] = max(0.0, needed_s - seconds_at.get(load, 0.0))
    return wall_ratio * (sum(left.values()) + halvings * initial_s)
