"""How many datagrams programs pass through kernel sockets, per second and per second of CPU time."""

import json
import re
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Callable, NamedTuple

from .hosts import Host, Link
from .programs import Program, ProgramError

PORT = 7007
RCVBUF = 4 << 20
OURS = "udpbaseline"
C_LOOP = "C loop"


class Settings(NamedTuple):
    build: Path
    out: Path
    cpus: tuple[int, int]
    seconds: float
    payload: int
    batch: int


class Sample(NamedTuple):
    """One repetition. Datagrams are counted where a program receives them: one that came back counts twice."""
    sent: int  # by the sender
    received: int
    lost: int  # of those sent, and of those sent back
    seconds: float
    cpu_s: float  # of both programs

    @property
    def pps(self) -> float:
        return self.received / self.seconds

    @property
    def per_cpu_s(self) -> float:
        return self.received / self.cpu_s


class Counted(NamedTuple):
    """What the programs say, or the kernel if they say nothing."""
    sent: int
    arrived: int
    sent_back: int
    returned: int
    seconds: float


class Rig:
    """The link, and programs at its ends, a CPU for each."""

    def __init__(self, settings: Settings, link: Link) -> None:
        self.settings, self.link, self.started = settings, link, 0

    def start(self, end: int, name: str, arguments: list[Any]) -> Program:
        self.started += 1
        pinned = ["taskset", "-c", str(self.settings.cpus[end]), *map(str, arguments)]
        return Program(name, self.link.hosts[end], pinned, self.settings.out / f"{self.started:03}-{end}.log")

    def measure(self, way: "Way") -> Sample:
        """One repetition."""
        before = [udp(host) for host in self.link.hosts]
        with self.start(1, f"{way.name}, receiver", way.receiver(self.settings)) as receiver:
            receiver.wait_until(lambda: listens(self.link.hosts[1]), f"does not listen on port {PORT}")
            with self.start(0, f"{way.name}, sender", way.sender(self.settings)) as sender:
                sender.wait(self.settings.seconds + 20)
                receiver.stop()
        if receiver.process.returncode not in way.codes:
            raise receiver.complain(f"ended with {receiver.process.returncode}")
        after = [udp(host) for host in self.link.hosts]
        grown = [{name: new[name] - old[name] for name in new} for old, new in zip(before, after)]
        counted = way.count(sender, receiver, grown, self.settings)
        cpu_s = (sender.cpu_s or 0) + (receiver.cpu_s or 0)
        received = counted.arrived + counted.returned
        lost = counted.sent + counted.sent_back - received
        if received == 0 or cpu_s == 0:
            raise ProgramError(f"{way.name}: nothing arrived")
        return Sample(counted.sent, received, lost, counted.seconds, cpu_s)


def udp(host: Host) -> dict[str, int]:
    """The counters of UDP of its network namespace."""
    names, values = (line.split()[1:] for line in host.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Udp: "))
    return dict(zip(names, map(int, values)))


def listens(host: Host) -> bool:
    return bool(host.run("ss", "-Htuln", f"sport = :{PORT}").strip())


class Way(NamedTuple):
    """A way to move datagrams: command lines of both ends, and how to read their counts."""
    name: str
    receiver: Callable[[Settings], list[Any]]
    sender: Callable[[Settings], list[Any]]
    count: Callable[[Program, Program, list[dict[str, int]], Settings], Counted]
    codes: tuple[int, ...] = (0,)  # of a receiver that was stopped


def loop_echo(answers: bool, settings: Settings) -> list[Any]:
    return [settings.build / "udp-loop", "echo" if answers else "sink", Link.KERNEL[1], PORT, settings.batch]


def loop_blast(settings: Settings) -> list[Any]:
    return [settings.build / "udp-loop", "blast", Link.KERNEL[0], PORT, Link.KERNEL[1], PORT, settings.payload, settings.batch,
            settings.seconds]


def count_loop(sender: Program, receiver: Program, _: Any, settings: Settings) -> Counted:
    ours, theirs = json.loads(sender.out.read_text()), json.loads(receiver.out.read_text())
    return Counted(ours["sent"], theirs["received"], theirs["sent"], ours["received"], settings.seconds)


def reflect(io: str, settings: Settings) -> list[Any]:
    return [settings.build / "udpbaseline", "reflect", "--bind", f"{Link.KERNEL[1]}:{PORT}", "-q", "--json",
            settings.out / "reflect.json", *how(io, settings)]


def sendrecv(io: str, reports: bool, settings: Settings) -> list[Any]:
    return [settings.build / "udpbaseline", "sendrecv", "--src", Link.KERNEL[0], "--dest", f"{Link.KERNEL[1]}:{PORT}", "-q",
            "--packet-size", settings.payload, "--duration", settings.seconds, "--drain", "0.1", "--json",
            settings.out / "sendrecv.json", *how(io, settings), *([] if reports else ["--no-peer-report"])]


def how(io: str, settings: Settings) -> list[Any]:
    return ["--io", io, "--burst-size", settings.batch, "--rcvbuf", RCVBUF]


def count_ours(_: Program, __: Program, ___: Any, settings: Settings) -> Counted:
    ours, theirs = (json.loads((settings.out / f"{name}.json").read_text()) for name in ("sendrecv", "reflect"))
    return Counted(ours["tx"]["sent"], theirs["rx"]["received"], theirs["tx"]["sent"], ours["rx"]["received"],
                   ours["duration_s"])


def count_ours_to_sink(_: Program, receiver: Program, __: Any, settings: Settings) -> Counted:
    ours, theirs = json.loads((settings.out / "sendrecv.json").read_text()), json.loads(receiver.out.read_text())
    return Counted(ours["tx"]["sent"], theirs["received"], 0, 0, ours["duration_s"])


def sockperf(mode: list[str], settings: Settings) -> list[Any]:
    return ["sockperf", *mode, "-i", Link.KERNEL[1], "-p", PORT, "-m", settings.payload, "-t", round(settings.seconds), "--mps",
            "max", "--buffer-size", RCVBUF, "--dontwarmup"]


def count_by_kernel(sender: Program, _: Program, grown: list[dict[str, int]], settings: Settings) -> Counted:
    """These programs do not say what each of them received."""
    ours, theirs = grown
    took = re.search(r"RunTime=([\d.]+)", sender.out.read_text(errors="replace"))
    return Counted(ours["OutDatagrams"], theirs["InDatagrams"], theirs["OutDatagrams"], ours["InDatagrams"],
                   float(took[1]) if took else settings.seconds)


def iperf3(settings: Settings) -> list[Any]:
    return ["iperf3", "-u", "-c", Link.KERNEL[1], "-p", PORT, "-b", "0", "-l", settings.payload, "-t", round(settings.seconds),
            "-J"]


def suites(ios: list[str]) -> dict[str, list[Way]]:
    """All ways. The first of each suite is the one to compare with."""
    answer = ["under-load", "--reply-every", "1"]
    server: Callable[[Settings], list[Any]] = lambda settings: [
        "sockperf", "server", "-i", Link.KERNEL[1], "-p", PORT, "--buffer-size", RCVBUF]
    back = [Way(C_LOOP, partial(loop_echo, True), loop_blast, count_loop),
            *(Way(f"{OURS} {io}", partial(reflect, io), partial(sendrecv, io, True), count_ours) for io in ios),
            Way("sockperf under-load", server, partial(sockperf, answer), count_by_kernel, (0, -15, 143))]
    forth = [Way(C_LOOP, partial(loop_echo, False), loop_blast, count_loop),
             *(Way(f"{OURS} {io} to the C loop", partial(loop_echo, False), partial(sendrecv, io, False), count_ours_to_sink)
               for io in ios),
             Way("iperf3 -u", lambda _: ["iperf3", "-s", "-p", PORT, "-1"], iperf3, count_by_kernel),
             Way("sockperf throughput", server, partial(sockperf, ["throughput"]), count_by_kernel, (0, -15, 143))]
    return {"there and back": back, "one way": forth}


def table(name: str, rounds: dict[str, list[Sample]]) -> list[str]:
    """A line per way: medians, and the ratio to the first one."""
    lines = [f"{name:<34}{'kpps':>8}{'of it':>8}{'kpps/CPU':>11}{'of it':>8}{'lost':>9}"]
    first: list[float] = []
    for way, samples in rounds.items():
        pps, per_cpu = (median([getattr(one, key) for one in samples]) for key in ("pps", "per_cpu_s"))
        first = first or [pps, per_cpu]
        lost = median([one.lost / max(1, one.lost + one.received) for one in samples])
        lines.append(f"{way:<34}{pps / 1e3:>8.1f}{pps / first[0]:>8.2f}{per_cpu / 1e3:>11.1f}{per_cpu / first[1]:>8.2f}"
                     f"{100 * lost:>8.3f}%")
    return lines
