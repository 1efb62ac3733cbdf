#!/usr/bin/python3
"""layout.py programs: prints the folder of dpdkproj and udpbaseline.

The one place that knows where things are. These files are either in a source tree, where programs are in build/ and
commands are called scripts/NAME, or in PREFIX/share/dpdkproj, where programs are in PREFIX/bin and commands are called
dpdkproj-NAME. PREFIX may be moved.
"""

import os
import re
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
IS_INSTALLED = not (ROOT / "CMakeLists.txt").exists()
PROGRAMS = ROOT.parents[1] / "bin" if IS_INSTALLED else ROOT / "build"
DATA = ROOT / "data"


def command(name: str) -> str:
    """What a user types to run the command `name`."""
    return f"dpdkproj-{name}" if IS_INSTALLED else f"scripts/{name}"


def commands(text: str) -> str:
    """`text`, in which commands are called scripts/NAME, as users here call them."""
    return re.sub(r"\bscripts/(?=[a-z])", "dpdkproj-", text) if IS_INSTALLED else text


def cache() -> Path:
    """Where commands may keep what they download: the build folder, or the user's cache folder."""
    if not IS_INSTALLED:
        return PROGRAMS
    # As the XDG Base Directory Specification says; a relative path is invalid there.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "dpdkproj"


if __name__ == "__main__":
    if sys.argv[1:] != ["programs"]:
        sys.exit("usage: layout.py programs")
    print(PROGRAMS)
