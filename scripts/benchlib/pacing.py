"""The precision of pacing: cells `pacing` and `rates`, on net_null."""

from statistics import median
from typing import Any, NamedTuple

from .cells import TO_PEER, Result, sendrecv
from .figures import goal_text, label
from .rigs import Rig

RATES = (500_000, 1_000_000)
WITHIN = (64, 128, 256, 512)  # ns
HOW = ("burst", "spin")
GOALS = {64: 90.0, 256: 99.0}  # percent
QUEUES = (1, 2, 3)
ACHIEVED = 1e-4  # maximum relative error of the requested rate
TOP_SHARE = 0.8  # of the maximum of a sender that paces; one without a rate is faster
TOO_MUCH = 100_000_000  # packets per second
# A virtual machine's CPU may be descheduled for some ms. The packets lost to that are a matter of --catch-up, not of
# pacing.
CATCH_UP_S = 0.05


class Paper(NamedTuple):
    """A row of Emmerich et al., "MoonGen", IMC 2015, table on rate control: percent of gaps, in the order of WITHIN."""
    name: str
    micro_bursts: float
    within: tuple[float, ...]


PAPER = {500_000: [Paper("MoonGen (hardware)", 0.02, (49.9, 74.9, 99.8, 99.8)),
                   Paper("Pktgen-DPDK", 0.01, (37.7, 72.3, 92.0, 94.5))],
         1_000_000: [Paper("MoonGen (hardware)", 1.2, (50.5, 52.0, 97.0, 100.0)),
                     Paper("Pktgen-DPDK", 14.2, (36.7, 58.0, 70.6, 95.9))]}


def paced(rig: Rig, queues: int, options: str, seconds: float) -> dict[str, Any]:
    """All workers share one lcore, whose CPU is otherwise idle: the rest of the machine uses the other one."""
    options = f"{sendrecv(TO_PEER, 16)} -t {queues} {options}"
    return rig.run("sendrecv", "net_null0,no-rx=1", [rig.measured], options, seconds=seconds)


def row(name: str, within: list[float], micro_bursts: float) -> str:
    columns = "  ".join(f"{ns} ns {share:5.1f} %" for ns, share in zip(WITHIN, within))
    return f"{name:<27} {columns}  micro-bursts {micro_bursts:.2f} %"


def shares(run: dict[str, Any]) -> dict[str, float]:
    """The result of one run, in percent; stalls are a share of the time."""
    check = run["pacing"]
    found = {f"within_{ns}": 100 * check[f"within_{ns}_ns"] / check["gaps"] for ns in WITHIN}
    bursts, after = check["micro_bursts"], check["micro_bursts_after_stall"]
    return {**found, "micro_bursts": 100 * bursts / check["gaps"],
            "not_after_stall": 100 * (bursts - after) / check["gaps"],
            "stalled": check["stall_ns"] / run["duration_s"] / 1e7, "steal_ms": run["steal_ms"] or 0}


def measure_pacing(rig: Rig, reps: int, seconds: float) -> Result:
    """Both tx modes take turns, and between them a thread that only reads the TSC."""
    lines: list[str] = []
    data: dict[str, Any] = {}
    goals: list[bool] = []
    for pps in RATES:
        runs: dict[str, list[dict[str, float]]] = {how: [] for how in HOW}
        away: list[dict[str, float]] = []
        for _ in range(reps):
            for how in HOW:
                with rig.alone():
                    run = paced(rig, 1, f"--rate {pps} --pacing {how}", seconds)
                    runs[how].append(shares(run))
            with rig.alone():
                away.append(rig.bench("stalls", seconds, rig.measured))
        lines.append(f"pacing at {pps // 1000} kpps, share of gaps within so much of what was due")
        for how, found in runs.items():
            middle = {key: median(run[key] for run in found) for key in found[0]}
            text = row(f"  --pacing {how}", [middle[f"within_{ns}"] for ns in WITHIN], middle["micro_bursts"])
            lines.append(f"{text} ({middle['not_after_stall']:.2f} % not after a stall of the lcore); stalled "
                         f"{middle['stalled']:.2f} % of the time, steal {middle['steal_ms']:.0f} ms")
            for ns, wanted in GOALS.items():
                goals.append(middle[f"within_{ns}"] >= wanted)
                lines[-1] += goal_text(f"{wanted:g} % within {ns} ns", goals[-1])
            data[f"{pps} {how}"] = found
        stalled, over = (100 * median(run[key] for run in away) for key in ("stall_share", "over_256_ns_share"))
        lines.append(f"  (a bare loop on that CPU was stalled {stalled:.2f} % of the time, and away for more than "
                     f"256 ns {over:.2f} %)")
        lines += [row(f"  {paper.name}, IMC 2015", list(paper.within), paper.micro_bursts) for paper in PAPER[pps]]
        data[f"{pps} bare loop"] = away
    return Result(lines, data, {}, goals)


def measure_rates(rig: Rig, seconds: float) -> Result:
    """Rates from low to high, shared by several queues."""
    lines: list[str] = []
    data: dict[str, Any] = {}
    goals: list[bool] = []
    for queues in QUEUES:
        with rig.alone():
            top = paced(rig, queues, f"--rate {TOO_MUCH}", rig.settings.seconds)["tx"]["sent_pps"]
        for pps in (1_000, 100_000, 1_000_000, round(TOP_SHARE * top)):
            with rig.alone():
                options = f"--rate {pps} --catch-up {max(1, round(CATCH_UP_S * pps / queues))}"
                run = paced(rig, queues, options, seconds)
            off = run["tx"]["sent_pps"] / pps - 1
            due_off = run["tx"]["due"] - pps * run["duration_s"]
            goals.append(abs(off) <= ACHIEVED)
            text = (f"{label('rate')} {pps:>10,} pps on {queues} tx queue{'s' if queues > 1 else ''}: off by {off:+.5%}, "
                    f"due off by {due_off:+.0f} packets, not sent {run['tx']['not_sent']:,}")
            lines.append(text + goal_text(f"{ACHIEVED:.2%}", goals[-1]))
            data[f"{pps} on {queues}"] = {"sent_pps": run["tx"]["sent_pps"], "due": run["tx"]["due"],
                                          "not_sent": run["tx"]["not_sent"], "duration_s": run["duration_s"]}
    return Result(lines, data, {}, goals)
