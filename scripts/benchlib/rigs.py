"""Starts the measured programs on virtual ports of this machine, and cleans up after them."""

import fcntl
import json
import math
import os
import shlex
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .figures import Sample, kind_of, steal_share, testpmd_pps

HEADERS = 42  # Ethernet, IPv4, UDP
HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
TIMEOUT_S = 30.0  # for a program to start, or to stop
TO_PEER = "--src 10.0.0.1 --dest 10.0.0.2:10000 --dest-mac 02:00:00:00:00:02"
TO_ITSELF = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02"


class RigError(Exception):
    """A failure, described in one line."""


class Linkage(NamedTuple):
    """How two programs link DPDK: "static", which is faster, or "shared"; or "unknown"."""
    ours: str
    testpmd: str

    @property
    def alike(self) -> bool:
        return self.ours == self.testpmd != "unknown"


def linkage_of(ldd: str) -> str:
    """From what `ldd` prints."""
    return "shared" if "librte_" in ldd else "static" if "libc.so" in ldd else "unknown"


def linkage(ours: Path, testpmd: str) -> Linkage:
    def of(program: str) -> str:
        return linkage_of(subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout)
    return Linkage(of(str(ours)), of(testpmd))


class Settings(NamedTuple):
    binary: Path
    bench: Path  # dpdkproj-bench
    cpus: tuple[int, int]  # the other one, the measured one
    seconds: float
    lock: Path | None
    linkage: Linkage


class Program:
    """A program that runs in the rig. Its output is in `log`."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name, self.log = name, log
        # Keeps stdin open: testpmd stops at end of file.
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def complain(self, what: str) -> RigError:
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return RigError(f"{self.name} {what}: {' | '.join(lines[-3:])}")

    def wait_until(self, holds: Callable[[str], bool], seconds: float = TIMEOUT_S) -> None:
        """Waits until `holds` is true for the output."""
        deadline = time.monotonic() + seconds
        while not holds(self.text()):
            if self.process.poll() is not None:
                raise self.complain(f"ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise self.complain("did not get that far")
            time.sleep(0.05)

    def wait(self, seconds: float, codes: tuple[int, ...], every: Callable[[], None] = lambda: None) -> None:
        """Waits until the program ends by itself, and calls `every` about twice per second meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.process.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                every()
                if time.monotonic() > deadline:
                    raise self.complain("does not end") from None
        if self.process.returncode not in codes:
            raise self.complain(f"ended with {self.process.returncode}")

    def stop(self) -> None:
        for stop in (signal.SIGINT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(stop)
                try:
                    self.process.wait(TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    continue
        if self.process.stdin:
            self.process.stdin.close()


class Rig:
    """A temporary directory and programs in it; both end with the `with`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.other, self.measured = settings.cpus
        self.alike = settings.linkage.alike
        self.folder = Path(tempfile.mkdtemp(prefix="dpdkproj-bench-"))
        self.started = 0
        self.programs: list[Program] = []
        self.dpdk = ""

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)
        for left in Path("/var/run/dpdk").glob(f"{self.folder.name}-*"):  # EAL's, by --file-prefix
            shutil.rmtree(left, ignore_errors=True)

    def stop_all(self) -> None:
        while self.programs:
            self.programs.pop().stop()
        for socket in self.folder.glob("*.sock"):  # of a testpmd that had to be killed
            socket.unlink()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the lock, so that nobody else who uses it measures, until all programs have ended."""
        lock = open(self.settings.lock, "a") if self.settings.lock else nullcontext()
        with lock as held:
            if held:
                fcntl.flock(held, fcntl.LOCK_EX)
            try:
                yield
            finally:
                self.stop_all()

    def start(self, name: str, command: list[str]) -> Program:
        self.started += 1
        program = Program(name, command, self.folder / f"{self.started}.log")
        self.programs.append(program)
        return program

    def eal(self, vdev: str, cpus: list[int]) -> list[str]:
        """The arguments for lcores 0, 1 and so on, on these CPUs."""
        lcores = ",".join(f"{lcore}@{cpu}" for lcore, cpu in enumerate(cpus))
        prefix = f"{self.folder.name}-{self.started}"
        return ["--lcores", lcores, "--in-memory", "--no-pci", "--no-telemetry", f"--file-prefix={prefix}",
                f"--vdev={vdev}"]

    def ours(self, mode: str, vdev: str, cpus: list[int], options: str, live: bool = False) -> Program:
        """Our program in `mode`, `live` in a terminal. Workers are assigned to its lcores in turn, senders first."""
        eal = [str(self.settings.binary), *self.eal(vdev, cpus), "--log-level=*:warning"]
        command = [*eal, "--", mode, "--live" if live else "-q", *options.split()]
        if live:
            command = ["script", "--quiet", "--return", "--command", f"TERM=xterm {shlex.join(command)}", "/dev/null"]
        return self.start(mode, command)

    def run(self, mode: str, vdev: str, cpus: list[int], options: str, codes: tuple[int, ...] = (0,),
            seconds: float = 0, every: Callable[[Program], None] = lambda _: None,
            live: bool = False) -> dict[str, Any]:
        """Runs it for the duration of a measurement; returns its JSON."""
        seconds = seconds or self.settings.seconds
        report = self.folder / "run.json"
        report.unlink(missing_ok=True)
        program = self.ours(mode, vdev, cpus, f"{options} --duration {seconds} --json {report}", live)
        program.wait(seconds + TIMEOUT_S, codes, lambda: every(program))
        if live and "Last minute" not in program.text():
            raise program.complain("has shown no live view")
        found: dict[str, Any] = json.loads(report.read_text())
        self.dpdk = found["host"]["dpdk"].removeprefix("DPDK ")
        return found

    def testpmd(self, mode: str, vdev: str, cpus: list[int], payload: int) -> Program:
        """testpmd; it forwards on the second of the CPUs, and prints on the first."""
        command = ["stdbuf", "-oL", "dpdk-testpmd", *self.eal(vdev, cpus), "--", f"--forward-mode={mode}",
                   "--nb-cores=1", "--auto-start", "--stats-period", "1", f"--txpkts={HEADERS + payload}"]
        return self.start(f"testpmd {mode}", command)

    def pps(self, program: Program, direction: str) -> float:
        """The output of testpmd after the duration of a measurement."""
        lines = math.ceil(self.settings.seconds) + 3
        program.wait_until(lambda text: text.count("Tx-pps:") >= lines, TIMEOUT_S + lines)
        program.stop()
        try:
            return testpmd_pps(program.text(), direction)
        except ValueError as error:
            raise program.complain(str(error)) from None

    def bench(self, *arguments: object) -> dict[str, Any]:
        done = subprocess.run([self.settings.bench, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RigError(f"dpdkproj-bench {arguments[0]}: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def round_trip_ns(self) -> float:
        median: float = self.bench("ping-pong", *self.settings.cpus)["round_trip_ns"]["median"]
        return median

    def sample(self, measure: Callable[[], float], two_cores: bool) -> Sample:
        before_ns = self.round_trip_ns() if two_cores else 0
        before = Path("/proc/stat").read_text()
        try:
            pps = measure()
        finally:
            self.stop_all()
        after = Path("/proc/stat").read_text()
        kind = kind_of(before_ns, self.round_trip_ns()) if two_cores else ""
        cpus = [self.other, self.measured] if two_cores else [self.measured]
        return Sample(pps, steal_share(before, after, cpus), kind)

    def frames(self, payload: int, answers: bool) -> Path:
        """A file of 1000 frames: those that sendrecv sends, or the replies of reflect."""
        questions, reflected = (self.folder / f"{name}-{payload}.pcap" for name in ("sent", "reflected"))
        if not reflected.exists():
            # Nothing but a header: magic number, version 2.4, two unused words, snapshot length, Ethernet.
            empty = self.folder / "empty.pcap"
            empty.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            sending = f"{TO_PEER} --packet-size {payload} --seed 5 --tag-key 5 --no-peer-report --drain 0.01 --count 1000"
            self.run("sendrecv", f"net_pcap0,rx_pcap={empty},tx_pcap={questions}", [self.measured], sending)
            self.run("reflect", f"net_pcap0,rx_pcap={questions},tx_pcap={reflected}", [self.measured], "--count 1000")
        return reflected if answers else questions


def free_hugepages() -> tuple[int, int]:
    """Hugepages of 2 MiB: how many are free, and how many there are."""
    free, all_of_them = (int((HUGEPAGES / name).read_text()) for name in ("free_hugepages", "nr_hugepages"))
    return free, all_of_them


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
