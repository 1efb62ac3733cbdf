"""Where programs run: in two network namespaces of this machine joined by a veth pair, or on two hosts over SSH."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# Runs a command until it ends or stdin does, so that nothing is left behind when the connection breaks, and then says
# how much CPU time it took. (In the background, a shell's commands ignore SIGINT.)
WATCHED = ('exec 3<&0; "$@" </dev/null & program=$!; { cat <&3; kill -TERM $program; } >/dev/null 2>&1 & watcher=$!; '
           'wait $program; code=$?; kill $watcher 2>/dev/null; echo "CPU time:" >&2; times >&2; exit $code')
TIMEOUT_S = 30.0


class HostError(Exception):
    """What a host refused, in one line."""


class Host:
    """A place to run commands."""

    is_remote = False

    def __init__(self, name: str) -> None:
        self.name = name

    def command(self, arguments: list[str]) -> list[str]:
        """What to start here, to run it there."""
        raise NotImplementedError

    def watched(self, arguments: list[str]) -> list[str]:
        """The same for a program that may have to be stopped: by a signal, or by the end of its stdin."""
        return self.command(arguments)

    def run(self, *arguments: str, check: bool = True) -> str:
        """Runs a short command, and returns what it printed."""
        try:
            done = subprocess.run(self.command(list(arguments)), capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"{self.name}: {shlex.join(arguments)}: {error}") from None
        if check and done.returncode:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise HostError(f"{self.name}: {shlex.join(arguments)}: {said}")
        return done.stdout


class Namespace(Host):
    """A network namespace of this machine."""

    def command(self, arguments: list[str]) -> list[str]:
        # It is replaced by the command, so signals reach that.
        return ["ip", "netns", "exec", self.name, *arguments]


class Ssh(Host):
    """A host that `ssh` reaches without a password. `options`: further options of ssh, such as those of an inventory."""

    is_remote = True

    def __init__(self, name: str, target: str, options: list[str]) -> None:
        super().__init__(name)
        self.target, self.options = target, options

    def command(self, arguments: list[str]) -> list[str]:
        return ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *self.options, "--", self.target,
                shlex.join(arguments)]

    def watched(self, arguments: list[str]) -> list[str]:
        return self.command(["sh", "-c", WATCHED, "watched", *arguments])


class Link:
    """Two namespaces joined by a veth pair, gone with the `with`.

    The kernel has the first address of each end. The second belongs to the other program of a comparison, DPDK; the
    kernel does not answer for it."""

    INTERFACES = ("va", "vb")
    KERNEL = ("10.9.0.1", "10.9.0.2")
    DPDK = ("10.9.1.1", "10.9.1.2")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.hosts = tuple(Namespace(f"{prefix}-{os.getpid()}-{end}") for end in "ab")

    def __enter__(self) -> "Link":
        remove_orphans(self.prefix)
        try:
            for host in self.hosts:
                local("ip", "netns", "add", host.name)
                # The kernel would send packets by itself.
                host.run("sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done")
            a, b = self.hosts
            a.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", b.name)
            for host, interface, address in zip(self.hosts, self.INTERFACES, self.KERNEL):
                host.run("ip", "address", "add", f"{address}/24", "dev", interface)
                host.run("ip", "link", "set", "dev", interface, "up")
                host.run("ip", "link", "set", "dev", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        for host in self.hosts:
            subprocess.run(["ip", "netns", "delete", host.name], capture_output=True, check=False)


def local(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{shlex.join(arguments)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def remove_orphans(prefix: str) -> None:
    """Deletes the namespaces of runs that were killed."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    for name in (line.split()[0] for line in names.splitlines() if line.startswith(f"{prefix}-")):
        pid = name.removeprefix(f"{prefix}-").split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def needs(*tools: str) -> None:
    """Refuses what this machine cannot do."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise HostError(f"no {' and no '.join(missing)} here")
    if "ip" in tools and os.geteuid() != 0:
        raise HostError("needs root, for network namespaces: run it with sudo")


def two_cpus(asked: str | None) -> tuple[int, int]:
    """A CPU for each end."""
    allowed = sorted(os.sched_getaffinity(0))
    try:
        first, second = map(int, asked.split(",")) if asked else allowed[:2]
        if first == second or not {first, second} <= set(allowed):
            raise ValueError
    except ValueError:
        raise HostError(f"--cpus: two CPUs are needed, of {', '.join(map(str, allowed))}") from None
    return first, second


def say(name: str, text: str) -> None:
    """Progress: one line that is rewritten on a terminal, a line each elsewhere."""
    sys.stderr.write(f"\r\033[K{text[:160]}" if sys.stderr.isatty() else f"{name}: {text}\n")
    sys.stderr.flush()


def cpu_model() -> str:
    models = [line.split(": ", 1)[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0] if models else os.uname().machine
