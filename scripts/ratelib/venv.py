#!/usr/bin/python3
"""venv.py BUILD-DIR: installs MLRsearch, the controller of scripts/find-rate, into a virtual environment in the build
folder, unless it is there. The environment has the system's packages too (matplotlib)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CONTROLLER = "MLRsearch==1.2.1"


class NotInstalled(Exception):
    """Why it cannot be installed, in one line."""


def folder(build: Path) -> Path:
    return build / "find-rate-venv"


def is_there(build: Path) -> bool:
    python = folder(build) / "bin/python"
    imports = [python, "-c", "import MLRsearch"]
    return python.exists() and not subprocess.run(imports, capture_output=True, check=False).returncode


def install(build: Path) -> None:
    if is_there(build):
        return
    venv = folder(build)
    shutil.rmtree(venv, ignore_errors=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1",
           CONTROLLER]
    for command in ([sys.executable, "-m", "venv", "--system-site-packages", venv], pip):
        made = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if made.returncode:
            shutil.rmtree(venv, ignore_errors=True)
            said = made.stdout.strip().splitlines() or ["no reason given"]
            raise NotInstalled(f"no {CONTROLLER} in a virtual environment: {said[-1]}")


def enter(build: Path, script: str, arguments: list[str]) -> None:
    """Restarts `script` with the interpreter of the environment, unless that is running already."""
    python = folder(build) / "bin/python"
    if sys.prefix != str(folder(build)) and is_there(build):
        os.execv(python, [str(python), script, *arguments])


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]).resolve())
    except NotInstalled as error:
        sys.exit(str(error))
