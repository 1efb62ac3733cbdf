"""The cells to measure, and how each kind of cell is measured."""

import time
from functools import partial
from statistics import median
from typing import Any, Callable, NamedTuple

from .figures import (Ratio, Round, Sample, Spread, by_kind, flatness, goal_text, kind_of, label, not_comparable,
                      of_side, sent_per_interval)
from .rigs import TO_ITSELF, TO_PEER, Rig, RigError, rss_bytes

ATTEMPTS = 3  # to get a round whose sides can be compared
FLAT = ("send-16", "memif-16")  # the cells whose rate is examined per millisecond
FLAT_SHARE = 0.8  # of the top rate
TOP_SECONDS = 20
OURS = "ours"
WITHOUT_VIEW = "without --live"  # ours, too

# Results of "the original" (the weekend implementation of the article "Blazingly fast packet processing with DPDK",
# github.com/micromaomao/dpdk-project), built with DPDK 22.11.11 and run once on a virtual machine with 2 CPUs (AMD
# EPYC), that is, in another run than ours. By bytes of payload, in packets per second.
ORIGINAL_SEND = {16: 15.7e6, 256: 4.5e6, 1000: 3.5e6, 1400: 2.6e6}  # one core, net_null
ORIGINAL_RING = {16: 14e6, 1000: 2.9e6}  # sending and verifying, two cores, net_ring


class Rigged(NamedTuple):
    """How to measure in one rig: functions that return packets per second."""
    about: str
    two_cores: bool
    ours: Callable[[Rig, int], float]
    peer: Callable[[Rig, str, int], float]  # the other side, by name
    original: dict[int, float] = {}


class Cell(NamedTuple):
    name: str
    rig: Rigged
    payload: int
    peers: dict[str, float | None]  # with the target ratio
    original: float | None = None  # target ratio to the original
    cells: dict[str, float] = {}  # target ratios to our own results of other cells
    mpps: float | None = None  # target
    lossless: float | None = None  # at this share of its own rate


def sendrecv(to: str, payload: int, drain: str = "--drain 0.01") -> str:
    return f"{to} --packet-size {payload} --stats-interval-ms 10 --no-peer-report {drain}"


def rate(count: int, run: dict[str, Any]) -> float:
    return float(count) / float(run["duration_s"])


def send(rig: Rig, payload: int, live: bool = False) -> float:
    """The sender is lcore 0; the receiver polls on the other CPU, but receives nothing."""
    run = rig.run("sendrecv", "net_null0,no-rx=1", [rig.measured, rig.other], sendrecv(TO_PEER, payload), live=live)
    return rate(run["tx"]["sent"], run)


def testpmd_sends(rig: Rig, mode: str, payload: int) -> float:
    """It receives no packets either; flowgen "with rx" receives and frees as many as it sends, which costs a fifth."""
    mode, _, with_rx = mode.partition(" ")
    vdev = f"net_null0,size={payload + 42}" + ("" if with_rx else ",no-rx=1")
    program = rig.testpmd(mode, vdev, [rig.other, rig.measured], payload)
    return rig.pps(program, "Tx")


def send_per_queue(rig: Rig, queues: int) -> float:
    """Each tx queue has its own lcore, shared with an rx queue that receives nothing."""
    cpus = [rig.measured, rig.other][:queues]
    run = rig.run("sendrecv", "net_null0,no-rx=1", cpus, f"{sendrecv(TO_PEER, 16)} -t {queues} -r {queues}")
    return rate(run["tx"]["sent"], run) / queues


def reflect(rig: Rig, payload: int) -> float:
    vdev = f"net_pcap0,rx_pcap={rig.frames(payload, answers=False)},infinite_rx=1"
    run = rig.run("reflect", vdev, [rig.measured], "--stats-interval-ms 10")
    if run["tx"]["sent"] < run["rx"]["received"]:
        raise RigError("reflect did not send all frames back: what it costs to send one is not measured")
    return rate(run["rx"]["received"], run)


def testpmd_forwards(rig: Rig, mode: str, payload: int) -> float:
    vdev = f"net_pcap0,rx_pcap={rig.frames(payload, answers=mode == 'rxonly')},infinite_rx=1"
    return rig.pps(rig.testpmd(mode, vdev, [rig.other, rig.measured], payload), "Rx")


def verify(rig: Rig, payload: int) -> float:
    """The receiver is lcore 1. It gets replies to packets not sent: the ledger cannot balance (exit code 1)."""
    vdev = f"net_pcap0,rx_pcap={rig.frames(payload, answers=True)},infinite_rx=1"
    # Sends at once all packets whose replies are in the file: replies to packets not sent yet count as foreign.
    options = f"{sendrecv(TO_PEER, payload)} --seed 5 --tag-key 5 --rate 1000 --pattern burst:1000"
    run = rig.run("sendrecv", vdev, [rig.other, rig.measured], options, codes=(0, 1))
    received = run["rx"]["received"]
    if run["rx"]["duplicate"] < 0.99 * received:
        raise RigError(f"only {run['rx']['duplicate']} of {received} frames took the path of valid ones")
    return rate(received, run)


def ring_on(rig: Rig, payload: int, cpus: list[int]) -> float:
    run = rig.run("sendrecv", "net_ring0", cpus, sendrecv(TO_ITSELF, payload, drain="--drain 1"))
    all_valid(run)
    return rate(run["rx"]["valid"], run)


def all_valid(run: dict[str, Any]) -> None:
    rx = run["rx"]
    if rx["valid"] == 0 or rx["valid"] != rx["received"]:
        raise RigError(f"only {rx['valid']} of {rx['received']} packets came back valid")


def memif(rig: Rig, role: str, mac: int) -> str:
    socket = f"{rig.folder}/memif.sock,socket-abstract=no"
    return f"net_memif0,role={role},socket={socket},rsize=12,mac=02:00:00:00:00:0{mac}"


def over_memif(rig: Rig, options: str, **how: Any) -> dict[str, Any]:
    """A run of sendrecv with reflect behind it, one CPU each; its JSON."""
    reflector = rig.ours("reflect", memif(rig, "server", 2), [rig.other], "")
    reflector.wait_until(lambda text: "reflect runs" in text)
    run = rig.run("sendrecv", memif(rig, "client", 1), [rig.measured], options, **how)
    reflector.stop()
    return run


def memif_ours(rig: Rig, payload: int) -> float:
    run = over_memif(rig, sendrecv(TO_PEER, payload, drain="--drain 1"))
    all_valid(run)
    return rate(run["rx"]["valid"], run)


def come_back(rig: Rig, mode: str, cpu: int, payload: int) -> float:
    """The rate at which testpmd in `mode` gets its packets back. Main and forwarding lcore share the CPU: the main lcore
    sleeps except for one line per second."""
    return rig.pps(rig.testpmd(mode, memif(rig, "client", 1), [cpu, cpu], payload), "Rx")


def testpmd_reflects(rig: Rig, mode: str, cpu: int, payload: int) -> None:
    """Runs until the rig stops all programs."""
    reflector = rig.testpmd(mode, memif(rig, "server", 2), [cpu, cpu], payload)
    reflector.wait_until(lambda text: "Tx-pps:" in text)


def memif_testpmd(rig: Rig, name: str, payload: int) -> float:
    there, back = name.split("+")
    testpmd_reflects(rig, back, rig.other, payload)
    return come_back(rig, there, rig.measured, payload)


def memif_reflect(rig: Rig, payload: int) -> float:
    """flowgen changes the destination address from packet to packet, and takes 4 bytes off the length for an FCS."""
    reflector = rig.ours("reflect", memif(rig, "server", 2), [rig.measured], "")
    reflector.wait_until(lambda text: "reflect runs" in text)
    return come_back(rig, "flowgen", rig.other, payload)


def memif_testpmd_reflects(rig: Rig, mode: str, payload: int) -> float:
    testpmd_reflects(rig, mode, rig.measured, payload)
    return come_back(rig, "flowgen", rig.other, payload)


SEND = Rigged("build and send, one core, net_null", False, send, testpmd_sends, ORIGINAL_SEND)
LIVE = Rigged("build and send with the live view, one core, net_null", False, partial(send, live=True),
              lambda rig, _, payload: send(rig, payload))
QUEUES = Rigged("build and send on two tx queues, a core each, packets per queue, net_null", True,
                lambda rig, _: send_per_queue(rig, 2), lambda rig, *_: send_per_queue(rig, 1))
REFLECT = Rigged("turn frames of a file round, one core, net_pcap", False, reflect, testpmd_forwards)
VERIFY = Rigged("verify frames of a file, one core, net_pcap: all but the first are duplicates", False, verify,
                testpmd_forwards)
RING = Rigged("send to itself and verify, two cores, net_ring", True,
              lambda rig, payload: ring_on(rig, payload, [rig.measured, rig.other]),
              lambda rig, _, payload: ring_on(rig, payload, [rig.measured]), ORIGINAL_RING)
MEMIF = Rigged("there and back, all verified, two processes with a core each, net_memif", True, memif_ours,
               memif_testpmd)
MEMIF_REFLECT = Rigged("turn packets of testpmd flowgen round, two processes with a core each, net_memif", True,
                       memif_reflect, memif_testpmd_reflects)
SENDERS: dict[str, float | None] = {"flowgen": None, "txonly": None}

CELLS = [
    Cell("send-16", SEND, 16, {"flowgen": 1.5, "txonly": 0.9, "flowgen with rx": None}, original=3),
    Cell("send-256", SEND, 256, SENDERS),
    Cell("send-1000", SEND, 1000, SENDERS, original=10),
    Cell("send-1400", SEND, 1400, SENDERS, original=10, cells={"send-16": 0.8}),
    Cell("live-16", LIVE, 16, {WITHOUT_VIEW: 0.98}),
    Cell("queues-16", QUEUES, 16, {"one lcore": None}),
    Cell("reflect-16", REFLECT, 16, {"5tswap": 1.2, "io": None}),
    Cell("reflect-1000", REFLECT, 1000, {"5tswap": 1.2, "io": None}),
    Cell("verify-16", VERIFY, 16, {"rxonly": 0.4}),
    Cell("verify-1000", VERIFY, 1000, {"rxonly": None}, mpps=12),
    Cell("ring-16", RING, 16, {"one lcore": None}, original=2),
    Cell("ring-1000", RING, 1000, {"one lcore": None}, original=5),
    Cell("reflect-memif-16", MEMIF_REFLECT, 16, {"5tswap": 1.0, "io": None}),
    Cell("memif-16", MEMIF, 16, {"flowgen+5tswap": 0.8}, lossless=0.9),
]
OTHERS = {"flat": "how even the rate is per millisecond, without a limit and at 80 % of that, and what memory it takes",
          "bridge": "ns per packet of each call over the bridge, without ports, and less each part that could be left out",
          "pacing": "how exactly packets leave at a rate, beside what the MoonGen paper found",
          "rates": "how exactly rates are kept, from 1 kpps to 80 % of the top, by 1, 2 and 3 tx queues"}


class Result(NamedTuple):
    """The result of a cell."""
    lines: list[str]
    data: dict[str, Any]  # for the JSON
    ours: dict[str, Spread] = {}  # by kind
    goals: list[bool] = []


def measure_rounds(rig: Rig, cell: Cell, reps: int) -> tuple[list[Round], list[str]]:
    """Rounds whose sides can be compared, and why others cannot. Sides take turns, so that drift favours none."""
    sides: dict[str, Callable[[], float]] = {OURS: partial(cell.rig.ours, rig, cell.payload)}
    for peer in cell.peers:
        sides[peer] = partial(cell.rig.peer, rig, peer, cell.payload)
    good: list[Round] = []
    bad: list[str] = []
    for repetition in range(reps):
        order = list(sides)[:: -1 if repetition % 2 else 1]
        for _ in range(ATTEMPTS):
            with rig.alone():
                taken = {side: rig.sample(sides[side], cell.rig.two_cores and side != "one lcore") for side in order}
            samples = {side: taken[side] for side in sides}
            if not (why := not_comparable(samples)):
                good.append(samples)
                break
        else:
            bad.append(why)
    return good, bad


def ratios(cell: Cell, rounds: list[Round], before: dict[str, Result], alike: bool) -> list[Ratio]:
    """All comparisons of a cell's rounds, separately for each distance of the CPUs. `alike`: testpmd links DPDK as we do,
    so that goals can be judged."""
    lines = []
    for kind, same in by_kind(rounds).items():
        ours = of_side(same, OURS)
        for peer, goal in cell.peers.items():
            unlike = goal is not None and not alike and peer != WITHOUT_VIEW
            lines.append(Ratio(cell.name, kind, ours, peer, of_side(same, peer), None if unlike else goal,
                               "; not judged: linked in another way" if unlike else ""))
        if original := cell.rig.original.get(cell.payload):
            lines.append(Ratio(cell.name, kind, ours, "the original", original, cell.original, ", other run"))
        for name, goal in cell.cells.items():
            if name in before and kind in before[name].ours:
                lines.append(Ratio(cell.name, kind, ours, name, before[name].ours[kind], goal))
        if cell.mpps:
            lines.append(Ratio(cell.name, kind, ours, "its goal", cell.mpps * 1e6, 1.0))
    return lines


def measure(rig: Rig, cell: Cell, reps: int, before: dict[str, Result]) -> Result:
    rounds, bad = measure_rounds(rig, cell, reps)
    data: dict[str, Any] = {"about": cell.rig.about, "payload": cell.payload, "not_comparable": bad,
                            "rounds": [{side: sample._asdict() for side, sample in r.items()} for r in rounds]}
    if 2 * len(rounds) <= reps:
        return Result([f"{label(cell.name)} not comparable: {bad[-1]}"], data)
    found = ratios(cell, rounds, before, rig.alike)
    lines = list(map(str, found))
    goals = [ratio.met for ratio in found if ratio.met is not None]
    ours = {kind: of_side(same, OURS) for kind, same in by_kind(rounds).items()}
    if bad:
        lines.append(f"{label(cell.name)} {len(bad)} of {reps} repetitions left out: {bad[-1]}")
    data["ratios"] = [{**ratio._asdict(), "ours": ratio.ours._asdict(), "value": ratio.value, "met": ratio.met,
                       "other": ratio.other._asdict() if isinstance(ratio.other, Spread) else ratio.other}
                      for ratio in found]
    if cell.lossless:
        with rig.alone():
            lossless, data["lossless"] = measure_loss(rig, cell, cell.lossless, ours)
        lines.append(lossless)
        if data["lossless"]["met"] is not None:
            goals.append(data["lossless"]["met"])
    return Result(lines, data, ours, goals)


def of_this_kind(ours: dict[str, Spread], kind: str) -> float:
    """Our rate at the current distance of the CPUs; the lowest rate if that is unknown."""
    return (ours.get(kind) or min(ours.values())).median


def measure_loss(rig: Rig, cell: Cell, share: float, ours: dict[str, Spread]) -> tuple[str, dict[str, Any]]:
    """Judged only if the distance of the CPUs is the same as when the requested rate was measured."""
    for _ in range(ATTEMPTS):
        before_ns = rig.round_trip_ns()
        wanted = kind_of(before_ns, before_ns)
        pps = share * of_this_kind(ours, wanted)
        run = over_memif(rig, f"{sendrecv(TO_PEER, cell.payload, drain='--drain 1')} --rate {round(pps)}")
        kind = kind_of(before_ns, rig.round_trip_ns())
        if judged := kind == wanted and kind in ours:
            break
    sent, lost, not_sent = run["tx"]["sent"], run["lost"]["total"], run["tx"]["not_sent"]
    text = (f"{label(cell.name + ' ' + kind)} lost {lost:,} of {sent:,} at {share:g} x its own rate "
            f"({pps / 1e6:.3g} Mpps; not sent {not_sent:,}, {not_sent / (sent + not_sent):.3%})")
    text += goal_text("0 lost", lost == 0) if judged else "  not judged: the CPUs moved"
    return text, {"pps": pps, "kind": kind, "sent": sent, "lost": lost, "not_sent": not_sent,
                  "met": lost == 0 if judged else None}


def measure_flat(rig: Rig, seconds: float) -> Result:
    """First without a rate, because the speed of the machine varies from millisecond to millisecond, too."""
    result = Result([], {})
    for cell in (cell for cell in CELLS if cell.name in FLAT):
        with rig.alone():
            for _ in range(ATTEMPTS):
                top = flat_run(rig, cell, None, min(seconds, TOP_SECONDS))
                if top["kind"] != "moved":
                    break
            flat = flat_run(rig, cell, round(FLAT_SHARE * top["sent_pps"]), seconds)
        result.data[cell.name] = {"top": top, "flat": flat}
        result.lines.extend([flat_text(cell, "without a rate", top), flat_text(cell, f"at {FLAT_SHARE:g} of that", flat)])
        if top["kind"] != flat["kind"]:
            result.lines[-1] += "; the CPUs moved in between"
    return result


def flat_text(cell: Cell, at: str, run: dict[str, Any]) -> str:
    text = (f"{label('flat ' + cell.name)} {at}: {run['mean']:.1f} +- {run['deviation']:.1f} packets per ms, worst "
            f"{run['worst']:.0f}; strongest line {run['line_share']:.2%} of the variance, period {run['period_ms']:.4g} ms")
    if run["asked_pps"]:
        text += (f"; sent {run['sent_pps'] / run['asked_pps']:.3%} of {run['asked_pps'] / 1000:.1f}, "
                 f"stalled {run['stalled']:.2%} of the time")
    mib = ", ".join(f"{name} {value / 2**20:.1f}" for name, value in run["rss_bytes"].items())
    return f"{text}; RSS {mib or 'unknown'} MiB; steal {run['steal']:.2%} {run['kind']}".rstrip()


def flat_run(rig: Rig, cell: Cell, pps: int | None, seconds: float) -> dict[str, Any]:
    """Runs in the rig of `cell`, with a row of statistics per millisecond. Without a reflector, all workers share a CPU:
    the thread that writes the rows has the other one."""
    rows = rig.folder / "flat.csv"
    options = f"{TO_PEER} --packet-size {cell.payload} --stats-interval-ms 1 --no-peer-report --drain 1 -s {rows}"
    options += f" --rate {pps}" if pps else ""
    memory: list[int] = []
    next_s = time.monotonic() + 2  # by then, all initial allocations are done
    run: dict[str, Any] = {}

    def look(program: Any) -> None:
        nonlocal next_s
        if time.monotonic() >= next_s:
            memory.append(rss_bytes(program.process.pid))
            next_s = time.monotonic() + 2

    def measure() -> float:
        how: dict[str, Any] = {"seconds": seconds, "every": look}
        run.update(over_memif(rig, options, **how) if cell.rig.two_cores
                   else rig.run("sendrecv", "net_null0,no-rx=1", [rig.measured], options, **how))
        return float(run["tx"]["sent_pps"])

    sample: Sample = rig.sample(measure, cell.rig.two_cores)
    with open(rows) as stream:
        flat = flatness(sent_per_interval(stream), 1.0)
    rows.unlink()
    return {"asked_pps": pps, "sent_pps": run["tx"]["sent_pps"], "steal": sample.steal, "kind": sample.kind,
            "stalled": run["pacing"]["stall_ns"] / run["duration_s"] / 1e9 if pps else None,
            "rss_bytes": {"first": memory[0], "last": memory[-1], "max": max(memory)} if memory else {},
            **flat._asdict()}


def measure_bridge(rig: Rig, seconds: float) -> Result:
    with rig.alone():
        found = rig.bench("bridge", seconds, rig.measured)
    lines = []
    for row in found["results"]:
        costs = [(leg, row[leg + "_ns"]) for leg in ("send", "reflect", "receive")]
        text = ", ".join(f"{leg} {ns['median']:.1f} [{ns['min']:.1f}..{ns['max']:.1f}]" for leg, ns in costs)
        lines.append(f"{label('bridge ' + row['variant'])} {row['payload']:>4} bytes: {text} ns")
    return Result(lines, found)


def median_steal(results: dict[str, Result]) -> float | None:
    """Over all samples that were compared."""
    steals = [sample["steal"] for result in results.values() for samples in result.data.get("rounds", [])
              for sample in samples.values()]
    return median(steals) if steals else None
