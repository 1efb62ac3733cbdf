"""NICs of a guest, and measurements between two of them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from machine import HERE, SKIPPED, Command, Machine, QemuFailed, Skip

FAKE_DRIVER = HERE.parent.parent.parent / "rust/e2e/fake/driver.c"
SETUP_HOST = HERE.parent.parent / "setup-host"
# A guest may stand still for longer than packets are usually waited for.
PATIENT = "--stats-evict-threshold-secs 5"
SENDER, REFLECTOR = "10.0.0.1", "10.0.0.2"


class Pair:
    """Two NICs of a model joined by a hub: that of the sender and that of the reflector."""

    def __init__(self, model: str, number: int, *, options: str = "", root_ports: bool = False, backend: str = ""):
        self.model, self.number = model, number
        self.macs = [f"02:00:00:00:{number:02x}:{end:02x}" for end in (1, 2)]
        self.ids = [f"{model}-{end}" for end in ("sender", "reflector")]
        # A NIC behind a root port of PCI Express is alone on a bus of its own, and can be unplugged.
        self.slots = [f"{0x10 + 2 * number + end:02x}.0" for end in (0, 1)]
        self.root_ports = root_ports
        self.arguments = []
        for end in (0, 1):
            peer = backend.format(end=end) if backend else f"hubport,hubid={number}"
            where = f"addr={self.slots[end]}"
            if root_ports:
                port = f"port-{self.ids[end]}"
                self.arguments += ["-device", f"pcie-root-port,id={port},chassis={2 * number + end},{where}"]
                where = f"bus={port}"
            self.arguments += ["-netdev", f"{peer},id=net-{self.ids[end]}", "-device", self.device(end, where, options)]

    def addresses(self, machine: Machine) -> list[str]:
        """Their PCI addresses."""
        if not self.root_ports:
            return [f"0000:00:{slot}" for slot in self.slots]
        paths = " ".join(f"/sys/bus/pci/devices/0000:00:{slot}/0000:*:00.0" for slot in self.slots)
        return machine.run(f"basename -a {paths}").split()

    def device(self, end: int, where: str, options: str = "") -> str:
        return (f"{self.model},netdev=net-{self.ids[end]},mac={self.macs[end]},romfile=,id={self.ids[end]},{where}"
                + (options and "," + options))


def bind(machine: Machine, addresses: list[str], options: str = "") -> None:
    """Prepares the guest as a user would prepare a host."""
    binds = " ".join(f"--bind {address}" for address in addresses)
    machine.run(f"{SETUP_HOST} --hugepages 2M:400 {options} {binds}", 60)


def fake_driver(machine: Machine) -> Path:
    """The library that the program's tests on virtual ports put in front of DPDK, compiled for the guest."""
    library = machine.job / "fake-driver.so"
    if not library.exists():
        flags = subprocess.run(["pkg-config", "--cflags", "libdpdk"], stdout=subprocess.PIPE, text=True, check=True)
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", library, *flags.stdout.split(), FAKE_DRIVER, "-ldl"]
        subprocess.run(command, check=True)
    return Path("/job") / library.name


class Ends:
    """The two ends of a measurement in a guest, on the NICs at these PCI addresses."""

    def __init__(self, machine: Machine, sender: str, reflector: str, *, counts_segments: bool = False):
        """`counts_segments`: finds out how many packets arrive in several mbufs."""
        self.machine, self.devices = machine, {"sendrecv": sender, "reflect": reflector}
        self.files: dict[str, Path] = {}
        self.segmented: dict[str, int] = {}
        self.environment = ""
        if counts_segments:
            self.environment = f"FAKE_SEGMENT=0 LD_PRELOAD={fake_driver(machine)}"

    def start(self, mode: str, options: str) -> Command:
        """Starts one end, each on an lcore of its own."""
        lcore = {"sendrecv": 1, "reflect": 0}[mode]
        name = f"{mode}-{self.machine.numbers}"
        self.files[mode] = self.machine.job / f"{name}.json"
        eal = f"-l {lcore} -a {self.devices[mode]} --file-prefix={name} --no-telemetry"
        ours = f"{mode} --json /job/{name}.json {options}"
        return self.machine.start(f"{self.environment} exec {self.machine.build}/dpdkproj {eal} -- {ours}")

    def reflect(self, options: str = "") -> Command:
        """Starts the reflector, and waits until it runs."""
        reflector = self.start("reflect", f"--ip {REFLECTOR} {options}")
        reflector.wait_for("reflect runs on", 30)
        return reflector

    def send(self, options: str) -> Command:
        return self.start("sendrecv", f"--src {SENDER} --dest {REFLECTOR}:7 {options}")

    def result(self, mode: str, command: Command) -> dict:
        """What it wrote, after it has ended well."""
        assert command.wait(20) == 0, f"{command.text}\n{command.output}"
        if self.environment:
            self.segmented[mode] = int(re.findall(r"fake driver: (\d+) packets in several", command.output)[0])
        found = json.loads(self.files[mode].read_text())
        assert found["ledger_balanced"], (found["ledger_broken"], command.output)
        return found

    def measure(self, seconds: float, options: str = "", reflect: str = "") -> tuple[dict, dict]:
        """A whole measurement. Returns what both ends report."""
        reflector = self.reflect(reflect)
        sender = self.send(f"--duration {seconds} {PATIENT} {options}")
        sent = None
        try:
            sender.wait(seconds + 30)
            sent = self.result("sendrecv", sender)
        finally:
            reflector.interrupt()
        return sent, self.result("reflect", reflector)


def check_lossless(sent: dict, back: dict) -> None:
    """That every packet came back. How many were sent is up to the emulation."""
    assert sent["tx"]["sent"] > 0 and sent["lost"]["total"] == 0, sent["lost"]
    assert sent["rx"]["valid"] == sent["rx"]["received"] == sent["tx"]["sent"], sent["rx"]
    assert back["tx"]["sent"] == back["rx"]["received"] == sent["tx"]["sent"], (back["tx"], back["rx"])


def check_even(result: dict, queues: int) -> None:
    """That each rx queue got its share of packets, to 10 %."""
    found = [queue["received"] for queue in result["queues"] if queue["name"].startswith("rx")]
    share = sum(found) / queues
    assert len(found) == queues and all(abs(count - share) <= share / 10 for count in found), found


def main(run: Callable[[Path], None]) -> None:
    """Runs the cases of a file: `run` gets the build folder."""
    attempts = 3
    for attempt in range(1, attempts + 1):
        try:
            run(Path(sys.argv[1]).resolve())
            break
        except Skip as why:
            print(f"SKIPPED: {why}")
            sys.exit(SKIPPED)
        except QemuFailed as why:
            # QEMU 10.0 sometimes fails an assertion of its own, in iotlb_to_section.
            if attempt == attempts:
                raise
            print(f"again, because {why}", flush=True)
    print("all cases have ended")
