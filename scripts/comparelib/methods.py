"""The ways that packets can take, and one measurement of one of them."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .ends import End, Pair
from .hosts import HostError
from .programs import Program, ProgramError

PORT = 7007
RUN_S = 30  # beyond its duration
HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
SERVER, CLIENT = ("server", 1), ("client", 0)


class Request(NamedTuple):
    """What is asked of every method."""
    rate: float | None  # packets per second; None: as fast as possible
    payload: int
    seconds: float
    interval_ms: int
    rcvbuf: int
    more: list[str]  # further options of sendrecv


class Method(NamedTuple):
    """`ports`: EAL's options for the port at an end (0: A, the sender; 1: B); None: kernel sockets."""
    name: str
    about: str
    ports: Callable[[End, int, str], list[str]] | None
    io: str = ""
    is_local: bool = False  # shared memory
    needs_interface: bool = False
    needs_eal: bool = False
    options: tuple[str, ...] = ()  # of both modes


class Measured(NamedTuple):
    """One repetition."""
    sent: int
    not_sent: int
    lost: int
    sent_pps: float
    valid_pps: float
    loss_ratio: float | None
    p50_ns: float | None
    p99_ns: float | None
    cpu_s: float | None  # of both programs; None: a host did not say
    reflected: int
    csv: str


def sockets(io: str, about: str) -> Method:
    return Method(f"sockets {io}", f"udpbaseline, kernel sockets: {about}", None, io)


def vdev(text: str) -> Callable[[End, int, str], list[str]]:
    return lambda end, _, __: ["--no-pci", f"--vdev={text},iface={end.interface}"]


def memif(_: End, index: int, shared: str) -> list[str]:
    role = ("client", "server")[index]
    return ["--no-pci", f"--vdev=net_memif0,role={role},socket={shared}/memif.sock,socket-abstract=no,mac=02:00:00:00:09:0{index + 1}"]


def vhost(_: End, index: int, shared: str) -> list[str]:
    port = (f"net_virtio_user0,path={shared}/vhost.sock,mac=02:00:00:00:09:01", f"net_vhost0,iface={shared}/vhost.sock")[index]
    return ["--no-pci", "--single-file-segments", f"--vdev={port}"]


METHODS = {method.name: method for method in [
    sockets("plain", "send and recv"),
    sockets("mmsg", "sendmmsg and recvmmsg"),
    sockets("gso", "UDP_SEGMENT and UDP_GRO"),
    sockets("io_uring", "multishot recvmsg with provided buffers, send"),
    sockets("io_uring_zc", "the same, sending with zero copy"),
    Method("af_packet", "dpdkproj, net_af_packet: packet sockets of the kernel", vdev("net_af_packet0"), needs_interface=True),
    Method("af_xdp", "dpdkproj, net_af_xdp: XDP sockets of the kernel", vdev("net_af_xdp0"), needs_interface=True,
           # Its fill ring takes 2048 buffers of the pool from the start.
           options=("--rx-descriptors", "4096")),
    Method("memif", "dpdkproj, net_memif: shared memory, no link", memif, is_local=True),
    Method("vhost", "dpdkproj, net_virtio_user and net_vhost: shared memory, no link", vhost, is_local=True),
    Method("dpdk", "dpdkproj, the port of the EAL options given", lambda end, *_: end.eal, needs_eal=True),
]}


def why_not(method: Method, pair: Pair) -> str | None:
    """Why a method cannot be measured between these ends."""
    if method.is_local and not pair.is_local:
        return "shared memory needs both ends on one machine"
    for end in pair.ends:
        if method.ports is None and not end.kernel_ip:
            return f"no address of {end.host.name} for sockets: --addresses, or dpdkproj_socket_ip in the inventory"
        if method.ports is not None and not end.dpdk_ip:
            return f"no address of {end.host.name} for DPDK: --dpdk-addresses, or dpdkproj_ip in the inventory"
        if method.needs_interface and not end.interface:
            return f"no interface of {end.host.name}: --interfaces, or dpdkproj_interface in the inventory"
        if method.needs_eal and not end.eal:
            return ("there is no NIC for DPDK between two namespaces" if pair.is_local else
                    f"no EAL options for {end.host.name}: --eal, or dpdkproj_eal in the inventory")
    return None


def memory() -> list[str]:
    """EAL's options for memory on this machine."""
    try:
        if int(HUGEPAGES.read_text()) >= 512:
            return ["-m", "256", "--in-memory"]
    except OSError:
        pass
    return ["-m", "256", "--no-huge"]


def program(method: Method, pair: Pair, index: int, shared: str, prefix: str) -> list[str]:
    """The command line up to the mode."""
    end = pair.ends[index]
    if method.ports is None:
        pinned = [] if end.cpu is None else ["taskset", "-c", str(end.cpu)]
        return [*pinned, f"{end.programs}/udpbaseline"]
    eal = list(method.ports(end, index, shared))
    if end.cpu is not None:
        eal += ["--lcores", f"0@{end.cpu}", *memory(), "--no-telemetry", f"--file-prefix={prefix}", "--log-level=*:warning"]
    return [f"{end.programs}/dpdkproj", *eal, "--"]


def measure(method: Method, pair: Pair, request: Request, stem: Path) -> Measured:
    """Measures once; B reflects what A sends. Leaves logs, JSON and CSV at `stem`."""
    a, b = pair.ends
    prefixes = [f"compare-{os.getpid()}-{index}" for index in (0, 1)]
    files = {name: f"{end.folder}/{stem.name}-{name}" for name, end in
             (("reflect.json", b), ("sendrecv.json", a), ("sendrecv.csv", a))}
    is_sockets = method.ports is None
    own, dest = (a.kernel_ip, b.kernel_ip) if is_sockets else (a.dpdk_ip, b.dpdk_ip)
    how = ["--io", method.io, "--rcvbuf", str(request.rcvbuf)] if is_sockets else [*method.options]
    there = f"[{dest}]" if ":" in (dest or "") else dest
    reflect = ["reflect", *(["--bind", f"{there}:{PORT}"] if is_sockets else ["--ip", str(dest)]), "-q", "--json",
               files["reflect.json"], *how]
    sendrecv = ["sendrecv", "--src", str(own), "--dest", f"{there}:{PORT}", "-q", "--packet-size", str(request.payload),
                "--duration", str(request.seconds), "--stats-interval-ms", str(request.interval_ms), "-s", files["sendrecv.csv"],
                "--json", files["sendrecv.json"], *([] if request.rate is None else ["--rate", str(request.rate)]), *how,
                *request.more]
    # Paths of sockets must be absolute for net_memif, and short for the kernel.
    shared = tempfile.mkdtemp(prefix="compare-")
    try:
        with Program("reflect", b.host, [*program(method, pair, 1, shared, prefixes[1]), *reflect],
                     stem.with_name(f"{stem.name}-reflect.log")) as reflector:
            reflector.wait_for("reflect runs")
            with Program("sendrecv", a.host, [*program(method, pair, 0, shared, prefixes[0]), *sendrecv],
                         stem.with_name(f"{stem.name}-sendrecv.log")) as sender:
                sender.wait(request.seconds + RUN_S)
            reflector.stop()
        if reflector.process.returncode:
            raise reflector.complain(f"ended with {reflector.process.returncode}")
    finally:
        for folder in (shared, *(f"/var/run/dpdk/{prefix}" for prefix in prefixes)):  # EAL's
            shutil.rmtree(folder, ignore_errors=True)
    ours, theirs = json.loads(a.host.run("cat", files["sendrecv.json"])), json.loads(b.host.run("cat", files["reflect.json"]))
    csv = stem.with_name(f"{stem.name}-sendrecv.csv")
    if not pair.is_local:
        csv.write_text(a.host.run("cat", files["sendrecv.csv"]))
    return result(ours, theirs, None if sender.cpu_s is None or reflector.cpu_s is None else sender.cpu_s + reflector.cpu_s, csv)


def result(ours: dict[str, Any], theirs: dict[str, Any], cpu_s: float | None, csv: Path) -> Measured:
    for name, one in (("sendrecv", ours), ("reflect", theirs)):
        if not one["ledger_balanced"]:
            raise ProgramError(f"{name}: the ledger does not balance: {'; '.join(one['ledger_broken'])}")
    sent, valid, seconds = ours["tx"]["sent"], ours["rx"]["valid"], ours["duration_s"]
    if sent == 0:
        raise ProgramError("sendrecv: nothing was sent")
    latency = ours.get("latency_ns") or {}
    return Measured(sent, ours["tx"]["not_sent"], ours["lost"]["total"], sent / seconds, valid / seconds,
                    ours["lost"]["total"] / sent, latency.get("p50"), latency.get("p99"), cpu_s, theirs["tx"]["sent"], csv.name)


def all_of(names: list[str], pair: Pair, request: Request, repetitions: int, folder: Path,
           told: Callable[[str], None]) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Measures the methods in turn, `repetitions` times each. Returns results, and why others have none. A method that
    fails once is left out: a median of fewer would be of another time."""
    skipped = {name: why for name in names if (why := why_not(METHODS[name], pair))}
    found: dict[str, list[Measured]] = {}
    for repetition in range(repetitions):
        for name in (name for name in names[:: -1 if repetition % 2 else 1] if name not in skipped):
            told(f"{name}, {repetition + 1} of {repetitions}")
            begun = time.monotonic()
            try:
                stem = folder / f"{name.replace(' ', '-')}-{repetition + 1}"
                found.setdefault(name, []).append(measure(METHODS[name], pair, request, stem))
            except (HostError, ProgramError, OSError) as error:
                skipped[name] = f"failed after {time.monotonic() - begun:.0f} s: {error}"
    return {name: found[name] for name in names if name in found and name not in skipped}, skipped
