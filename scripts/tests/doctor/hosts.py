"""Copies of hosts for the tests of scripts/doctor: NAME.host, in which each line is a file.

    # a comment
    include NAME              the files of another host, before those that follow
    $NAME = PATH              an abbreviation, for this file and those that include it
    PATH = TEXT               a file with one line
    PATH:                     a file with the lines that follow, each behind a tab
    PATH -> PATH              a symbolic link
    PATH/                     an empty folder
    - PATH                    not there after all, with everything below it
"""

import fnmatch
import os
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


class Copy:
    """The files of a host: text by path; None is a folder, and a link is a tuple of one path."""

    def __init__(self) -> None:
        self.files: dict[str, str | tuple[str] | None] = {}
        self.short: dict[str, str] = {}

    def expand(self, text: str) -> str:
        return re.sub(r"^\$\w+", lambda match: self.short[match[0]], text)

    def remove(self, path: str) -> None:
        below = [known for known in self.files if known == path or known.startswith(f"{path}/")]
        if not below:
            raise ValueError(f"- {path}: is not there anyway")
        for known in below:
            del self.files[known]

    def load(self, name: str) -> None:
        open_path = ""
        for line in (FOLDER / f"{name}.host").read_text().splitlines():
            if line.startswith("\t"):
                self.files[open_path] = f"{self.files[open_path]}{line[1:]}\n"
            elif line.startswith("include "):
                self.load(line.split()[1])
            elif line.startswith("$") and " = /" in line and re.match(r"\$\w+ =", line):
                short, path = line.split(" = ")
                self.short[short] = path
            elif line.startswith("- "):
                self.remove(self.expand(line[2:]))
            elif " -> " in line:
                path, target = map(self.expand, line.split(" -> "))
                self.files[path] = (target,)
            elif match := re.fullmatch(r"(\S+) = ?(.*)", line):
                self.files[self.expand(match[1])] = f"{match[2]}\n"
            elif line.endswith(("/", ":")) and line[:1] in "/$":
                open_path = self.expand(line[:-1])
                self.files[open_path] = None if line.endswith("/") else ""
            elif line and not line.startswith("#"):
                raise ValueError(f"{name}.host: {line}")

    def write(self, root: Path) -> None:
        for path, content in self.files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.mkdir(exist_ok=True)
            elif isinstance(content, tuple):
                # Relative, as in sysfs, so that it stays below the root.
                file.symlink_to(os.path.relpath(content[0], os.path.dirname(path)))
            else:
                file.write_text(content)


def unpack(name: str, root: Path) -> None:
    copy = Copy()
    copy.load(name)
    copy.write(root)


# --- recording

def resolve(path: str, links: dict[str, str]) -> str:
    """The path with all links on its way followed, which are added to `links`."""
    done = "/"
    for part in path.strip("/").split("/"):
        here = os.path.join(done, part)
        if os.path.islink(here) and here != "/proc/self":
            links[here] = os.path.normpath(os.path.join(done, os.readlink(here)))
            here = resolve(links[here], links)
        done = here
    return done


# Of these files, only the lines that doctor reads; of the rest, nothing is anybody's business.
LINES = {"cpuinfo": r"model name|flags", "mounts": r"\S+ \S+ hugetlbfs ", "stat": "cpu ", "status": "Cpus_allowed_list",
         "meminfo": r".*(Hugepagesize|MemFree|\(file\)|SReclaimable)", "os-release": "PRETTY_NAME", "libdpdk.pc": "Version",
         "modules.dep": r"\S+/(uio_hv_generic|uio_pci_generic|vfio-pci)\.ko", "modules.builtin": r".*/(uio|vfio)"}


def trim(path: str, text: str, modaliases: list[str]) -> list[str]:
    name = os.path.basename(path)
    if name == "modules.alias":
        return [line for line in text.splitlines() if line.startswith("alias pci:")
                and any(fnmatch.fnmatchcase(modalias, line.split()[1]) for modalias in modaliases)]
    if "\0" in text[:1000]:
        return ["ELF"]
    lines = [line for line in text.strip().splitlines() if name not in LINES or re.match(LINES[name], line)]
    return lines[:2] if name == "cpuinfo" else lines


def record(paths: set[str], synchronised: bool | None) -> list[str]:
    """Lines of a .host file with what is at these paths of this machine."""
    links: dict[str, str] = {}
    lines = [] if synchronised is None else [f"/adjtimex = {'' if synchronised else 'un'}synchronised"]
    found = {real for path in paths for real in [resolve(path, links)] if os.path.exists(real)}
    modaliases = [Path(real).read_text().strip() for real in found if os.path.basename(real) == "modalias"]
    for real in sorted(found):
        if os.path.isdir(real):
            if not any(other.startswith(f"{real}/") for other in found):
                lines.append(f"{real}/")
            continue
        try:
            text = trim(real, Path(real).read_text(errors="replace"), modaliases)
        except OSError:  # such as the speed of an interface that is down
            continue
        lines += [f"{real} = {''.join(text)}"] if len(text) < 2 else [f"{real}:", *(f"\t{line}" for line in text)]
    return sorted_blocks(lines + [f"{link} -> {target}" for link, target in links.items()])


def sorted_blocks(lines: list[str]) -> list[str]:
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith("\t"):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return [line for block in sorted(blocks) for line in block]


if __name__ == "__main__":
    sys.exit("run scripts/tests/doctor-test, or scripts/tests/doctor-test --record")
