"""A program of a comparison: from its start to its end, and the CPU time it took."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

from .hosts import Host

STOP_S = 10.0
START_S = 30.0


class ProgramError(Exception):
    """What went wrong, in one line."""


class Program:
    """A program on a host. What it prints goes to `out` and `log`. It ends with the `with`."""

    def __init__(self, name: str, host: Host, arguments: list[str], log: Path) -> None:
        self.name, self.log, self.out = name, log, log.with_suffix(".out")
        self.cpu_s: float | None = None  # of all threads, user and system
        self.host = host
        with open(log, "wb") as stderr, open(self.out, "wb") as stdout:
            # In a session of its own: Ctrl-C is for us, and we end it.
            self.process = subprocess.Popen(host.watched(arguments), stdin=subprocess.PIPE, stdout=stdout, stderr=stderr,
                                            start_new_session=True)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def complain(self, what: str) -> ProgramError:
        lines = [line.strip() for line in (self.out.read_text(errors="replace") + self.text()).splitlines() if line.strip()]
        return ProgramError(f"{self.name} {what}: {' | '.join(lines[-3:]) or 'it said nothing'}")

    def has_ended(self) -> bool:
        """Collects the CPU time at the end."""
        if self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_s = usage.ru_utime + usage.ru_stime
                if self.host.is_remote:
                    self.cpu_s = watched_cpu_s(self.text())  # not that of ssh
        return self.process.returncode is not None

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S
        while not holds():
            if self.has_ended():
                raise self.complain(f"ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise self.complain(what)
            time.sleep(0.02)

    def wait_for(self, text: str) -> None:
        """Waits until it has printed this."""
        self.wait_until(lambda: text in self.text(), f"did not say '{text}'")

    def wait(self, seconds: float) -> None:
        """Waits until it ends by itself, well."""
        deadline = time.monotonic() + seconds
        while not self.has_ended():
            if time.monotonic() > deadline:
                raise self.complain("does not end")
            time.sleep(0.02)
        if self.process.returncode:
            raise self.complain(f"ended with {self.process.returncode}")

    def stop(self) -> None:
        """Asks it to end, and waits for that."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        for stop in (signal.SIGTERM, signal.SIGKILL):
            if self.has_ended():
                return
            if not self.host.is_remote or stop == signal.SIGKILL:
                self.process.send_signal(stop)
            deadline = time.monotonic() + STOP_S
            while not self.has_ended() and time.monotonic() < deadline:
                time.sleep(0.02)


def watched_cpu_s(text: str) -> float | None:
    """The CPU time that a watched program took, from what `times` printed: the last line is that of children."""
    _, found, after = text.rpartition("CPU time:\n")
    times = re.findall(r"(\d+)m([\d.]+)s", after)
    return sum(60 * int(minutes) + float(seconds) for minutes, seconds in times[2:4]) if found and len(times) >= 4 else None
