"""Reading a host, or the copy of one: everything that doctor knows about a machine comes from files below a folder."""

import ctypes
import os
import re
from pathlib import Path

STA_UNSYNC = 0x40  # <sys/timex.h>
ADJTIMEX = "/adjtimex"  # in a copy of a host: what adjtimex(2) said


class Host:
    """The files of a host. Paths are absolute as on the host; what cannot be read is None, or empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: set[str] = set()  # every path that was asked for

    def path(self, path: str) -> Path:
        self.asked.add(path)
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        try:
            return self.path(path).read_text(errors="replace").strip()
        except OSError:  # also EINVAL, such as the speed of an interface that is down
            return None

    def lines(self, path: str) -> list[str]:
        return (self.text(path) or "").splitlines()

    def number(self, path: str) -> int | None:
        text = self.text(path)
        return int(text, 0) if text and re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|[0-9]+)", text) else None

    def exists(self, path: str) -> bool:
        return self.path(path).exists()

    def names(self, path: str, pattern: str = "") -> list[str]:
        """What a folder contains, in order, numbers by value; with a pattern only what that matches as a whole."""
        try:
            found = os.listdir(self.path(path))
        except OSError:
            return []
        found = [name for name in found if not pattern or re.fullmatch(pattern, name)]
        self.asked.update(f"{path}/{name}" for name in found)
        return sorted(found, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])

    def link(self, path: str) -> str | None:
        """The last part of where a symbolic link leads to: the name of a driver, of a bus, of an IOMMU group."""
        try:
            return os.path.basename(os.readlink(self.path(path)))
        except OSError:
            return None

    def is_clock_synchronised(self) -> bool | None:
        """Whether something keeps the system clock right."""
        self.asked.add(ADJTIMEX)
        if self.root != Path("/"):
            said = self.text(ADJTIMEX)
            return None if said is None else said == "synchronised"
        # struct timex begins with an unsigned int and four longs; then comes the status. It is 208 bytes long.
        timex = (ctypes.c_long * 64)()
        if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
            return None
        return not timex[5] & STA_UNSYNC


def cpus_of(text: str | None) -> set[int]:
    """Reads a list of the kernel, such as 0-3,8."""
    cpus: set[int] = set()
    for part in (text or "").split(","):
        if match := re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part):
            cpus.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return cpus


def list_of(cpus: list[int]) -> str:
    """Writes such a list, in the order given."""
    parts: list[list[int]] = []
    for cpu in cpus:
        if parts and cpu == parts[-1][-1] + 1:
            parts[-1].append(cpu)
        else:
            parts.append([cpu])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
