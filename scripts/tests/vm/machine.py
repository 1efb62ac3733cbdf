"""A virtual machine under QEMU's emulation, with NICs that the drivers of real ones work with.

The guest has no disk image: it sees the files of this machine, and thereby the program as it was built here. It runs
commands that it gets over a serial port. No packet leaves it: NICs are joined in pairs inside QEMU.
"""

import gzip
import json
import lzma
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = 77
# Emulation is slow, and shares the CPUs of a host that may be slow as well.
PATIENCE = 3
# The guest has 2 GiB.
NEEDED_KB = 3 << 20
# What the guest needs before it sees the host's files.
FIRST_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
# And before it sees its disk, if it has one.
DISK_MODULES = ["virtio_blk", "crc32c_generic", "ext4"]


class QemuFailed(Exception):
    """QEMU has ended, or its guest did not start: no fault of what is tested."""


# $0: names of interfaces, to be joined; then runs its arguments. IPv6 is off, so that they send nothing themselves.
BRIDGE = """
set -e
ip link add bridge type bridge mcast_snooping 0
for name in $0; do
  ip tuntap add dev $name mode tap multi_queue
  ip link set dev $name mtu 9000 master bridge
done
for name in bridge $0; do
  echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6
  ip link set dev $name up
done
exec "$@"
"""


class Skip(Exception):
    """A precondition cannot be had here."""


def fetch(build: Path) -> Path:
    """Returns the folder with QEMU and the guest's files, or raises Skip."""
    done = subprocess.run([HERE / "fetch", build], text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode == SKIPPED:
        raise Skip(done.stdout.strip().removeprefix("SKIPPED: "))
    done.check_returncode()
    return build / "vm"


def newc(entries: list[tuple[str, int, bytes]]) -> bytes:
    """An initramfs (cpio, format newc) of files: name, mode, content."""
    out = bytearray()

    def put(content: bytes) -> None:
        out.extend(content + bytes(-(len(out) + len(content)) % 4))

    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        put(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        put(content)
    return bytes(out)


def initramfs(guest: Path, modules: Path, names: list[str]) -> bytes:
    """busybox, these modules and what they need, in the order of their dependencies, and what uses them."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, first = line.partition(":")
        needs[Path(path).name.split(".")[0].replace("-", "_")] = (path, first.split())
    order: list[str] = []

    def add(path: str) -> None:
        for needed in reversed(needs[Path(path).name.split(".")[0].replace("-", "_")][1]):
            add(needed)
        if path not in order:
            order.append(path)

    for name in names:
        if name in needs:  # else it is built into the kernel
            add(needs[name][0])
    entries = [(folder, 0o040755, b"") for folder in ("bin", "modules", "proc", "sys", "dev")]
    for path in order:
        content = (modules / path).read_bytes()
        content = lzma.decompress(content) if path.endswith(".xz") else content
        entries.append((f"modules/{Path(path).stem.split('.')[0]}", 0o100644, content))
    lines = "\n".join(Path(path).stem.split(".")[0] for path in order)
    entries += [("order", 0o100644, lines.encode()), ("init", 0o100755, (HERE / "initramfs").read_bytes()),
                ("bin/busybox", 0o100755, (guest / "usr/bin/busybox").read_bytes())]
    return gzip.compress(newc(entries), 1)


def share(tag: str, path: str, options: str = "") -> list[str]:
    """QEMU's arguments for a folder that the guest can mount."""
    return ["-fsdev", f"local,id={tag},path={path},security_model=none{options and ',' + options}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def make_disk(path: Path) -> None:
    """An empty disk, which keeps what a guest changes."""
    # A user's PATH lacks it.
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    if not mkfs:
        raise Skip("no mkfs.ext4: install e2fsprogs")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run([mkfs, "-q", path], check=True)


def own_network() -> list[str]:
    """What runs a command in a network namespace of its own, where it may do everything."""
    return ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def can_have_taps() -> bool:
    done = subprocess.run([*own_network(), "ip", "tuntap", "add", "dev", "tap0", "mode", "tap"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


class Command:
    """A command that was started in a guest."""

    def __init__(self, machine: "Machine", number: int, text: str):
        self.machine, self.number, self.text = machine, number, text

    @property
    def output(self) -> str:
        path = self.machine.job / f"{self.number}.out"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def is_over(self) -> bool:
        self.machine.listen(0)
        return self.number in self.machine.codes

    def wait(self, seconds: float) -> int:
        """Returns its exit code. Give the time that it takes on a fast host."""
        end = time.monotonic() + PATIENCE * seconds
        while not self.is_over:
            left = end - time.monotonic()
            assert left > 0, f"{self.text}: still running after {PATIENCE * seconds:.0f} s\n{self.output}"
            self.machine.listen(left)
        return self.machine.codes[self.number]

    def interrupt(self) -> None:
        """As Ctrl-C does; for commands that begin with exec."""
        self.machine.run(f"kill -INT $(cat /job/{self.number}.pid)")

    def wait_for(self, text: str, seconds: float) -> None:
        """Waits until it has printed that."""
        end = time.monotonic() + PATIENCE * seconds
        while text not in self.output:
            assert not self.is_over or text in self.output, f"{self.text}: ended without '{text}'\n{self.output}"
            assert time.monotonic() < end, f"{self.text}: no '{text}' for {PATIENCE * seconds:.0f} s\n{self.output}"
            self.machine.listen(0.05)


class Machine:
    """A running guest. `name`: of its folder, `nics`: arguments for QEMU, `taps`: network interfaces with several
    queues for them, joined by a bridge, in a network namespace of their own, `disk`: keeps what the guest changes, which is
    lost otherwise, `systemd`: is its process 1, and starts the agent."""

    def __init__(self, build: Path, name: str, nics: list[str], *, iommu: bool = True, taps: tuple[str, ...] = (),
                 disk: Path | None = None, systemd: bool = False):
        free = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        if not free or int(free[1]) < NEEDED_KB:
            raise Skip("less than 3 GiB of memory is free")
        vm = fetch(build)
        self.build, self.job = build, vm / name
        self.codes: dict[int, int] = {}
        self.numbers = 0
        self.events: list[dict] = []
        self.heard = b""
        shutil.rmtree(self.job, ignore_errors=True)
        self.job.mkdir()
        modules = next((vm / "guest/usr/lib/modules").iterdir())
        (self.job / "initramfs").write_bytes(initramfs(vm / "guest", modules, FIRST_MODULES + (DISK_MODULES if disk else [])))
        # The path of a UNIX socket must not be longer than 107 bytes: relative to the folder that QEMU runs in.
        arguments = [
            "-nodefaults", "-display", "none", "-no-reboot", "-machine", "q35", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", "2", "-m", "2G", "-initrd", "initramfs",
            "-kernel", str(next((vm / "guest/boot").glob("vmlinuz-*"))),
            # The kernel's test of its timer fails where the host is busy.
            "-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off no5lvl nokaslr no_timer_check "
                       f"vm.agent={HERE}/agent" + (" vm.systemd" if systemd else ""),
            "-serial", "file:console", "-serial", "unix:agent,server=on,wait=off",
            "-qmp", "unix:qmp,server=on,wait=off",
            *share("host", "/", "readonly=on,multidevs=remap"), *share("layer", f"{vm}/guest", "readonly=on"),
            *share("job", "."), *(["-drive", f"file={disk},format=raw,if=virtio"] if disk else []), *(["-device", "intel-iommu,intremap=on,aw-bits=48"] if iommu else []), *nics]
        qemu, environment = "qemu-system-x86_64", dict(os.environ)
        if (vm / "host").exists():
            qemu = str(vm / "host/usr/bin" / qemu)
            data = vm / "host/usr/share"
            environment["LD_LIBRARY_PATH"] = str(vm / "host/usr/lib/x86_64-linux-gnu")
            for folder in ("qemu", "seabios"):
                arguments += ["-L", str(data / folder)]
        # It must not outlive this process, whatever ends that.
        command = ["setpriv", "--pdeathsig", "KILL", qemu, *arguments]
        if taps:
            command = [*own_network(), "sh", "-c", BRIDGE, " ".join(taps), *command]
        with open(self.job / "qemu", "w") as log:
            self.process = subprocess.Popen(command, cwd=self.job, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        try:
            self.monitor_socket = self.connect("qmp")
            self.monitor = self.monitor_socket.makefile("rw")
            self.hear_monitor()
            self.qmp("qmp_capabilities")
            self.agent = self.connect("agent")
            end = time.monotonic() + PATIENCE * 60
            while -1 not in self.codes:
                if time.monotonic() > end:
                    raise QemuFailed(f"the guest did not start\n{self.console}")
                self.listen(1)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def power_off(self) -> None:
        """Ends it as its user would. Needs systemd."""
        self.start("systemctl --no-block poweroff")
        self.process.wait(PATIENCE * 30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def console(self) -> str:
        return "".join((self.job / name).read_text(errors="replace") for name in ("qemu", "console")
                       if (self.job / name).exists())

    def connect(self, name: str) -> socket.socket:
        """To a socket of QEMU, once that exists."""
        end = time.monotonic() + PATIENCE * 10
        path = os.path.relpath(self.job / name)
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                if self.process.poll() is not None or time.monotonic() > end:
                    raise QemuFailed(f"QEMU does not run\n{self.console}") from None
                time.sleep(0.05)

    def qmp(self, command: str, **arguments: object) -> object:
        """Asks QEMU's monitor, and returns its answer."""
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            answer = self.hear_monitor()
            assert "error" not in answer, (command, answer)
            if "return" in answer:
                return answer["return"]

    def hear_monitor(self) -> dict:
        """Returns the next message of QEMU's monitor; keeps it if it is an event."""
        line = self.monitor.readline()
        if not line:
            raise QemuFailed(f"QEMU has ended\n{self.console}")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def wait_for_event(self, name: str, device: str, seconds: float) -> None:
        """Waits until the monitor has reported that of a device."""
        self.monitor_socket.settimeout(PATIENCE * seconds)
        while not any(event["event"] == name and event["data"].get("device") == device for event in self.events):
            self.hear_monitor()
        self.monitor_socket.settimeout(None)

    def listen(self, seconds: float) -> None:
        """Notes exit codes that the guest reports, and waits for one for up to `seconds`."""
        if self.process.poll() is not None:
            raise QemuFailed(f"QEMU has ended\n{self.console}")
        if not select.select([self.agent], [], [], seconds)[0]:
            return
        self.heard += self.agent.recv(4096)
        *lines, self.heard = self.heard.split(b"\n")
        for line in lines:
            number, _, code = line.decode(errors="replace").strip().partition(" ")
            if number == "ready":
                self.codes[-1] = 0
            elif number.isdigit() and code.isdigit():
                self.codes[int(number)] = int(code)

    def start(self, text: str) -> Command:
        """Starts a command of bash, on one line, in the guest."""
        assert "\n" not in text
        self.numbers += 1
        self.agent.sendall(f"{self.numbers} {text}\n".encode())
        return Command(self, self.numbers, text)

    def run(self, text: str, seconds: float = 10, code: int = 0) -> str:
        """Runs a command in the guest, which must end with `code`, and returns what it has printed."""
        command = self.start(text)
        found = command.wait(seconds)
        assert found == code, f"{text}: exit code {found}\n{command.output}"
        return command.output
