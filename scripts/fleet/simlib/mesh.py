"""mesh.yml with hosts that only pretend to measure: what a round costs the controller."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import results

FLEET = Path(__file__).resolve().parent.parent


class Cost(NamedTuple):
    """What a round costs, seconds on average: beyond its measurement, and of CPU time. Memory: the most, MB."""
    hosts: int
    forks: int
    plan_s: float
    round_s: float
    main_s: float
    forks_s: float
    main_mb: float
    fork_mb: float


class Failed(RuntimeError):
    """The playbook failed; what it printed."""


def play(template: Path, hosts: int, forks: int, rounds: int, seconds: float, delay: float) -> Cost:
    """The first rounds of a mesh."""
    with tempfile.TemporaryDirectory(prefix="dpdkproj-simulate-") as scratch:
        folder = Path(scratch)
        names = results.names(hosts)
        variables = {"ansible_connection": "simulated", "ansible_python_interpreter": "/usr/bin/python3", "ansible_remote_tmp": "/tmp",
                     "ansible_async_dir": "/tmp", "ansible_pipelining": True, "simulated_delay": delay, "simulated_seconds": seconds,
                     "simulated_result": str(template.resolve()), "dpdkproj_results": str(folder / "results"),
                     "dpdkproj_duration": int(seconds)}
        addresses = {name: {"dpdkproj_ip": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"} for number, name in enumerate(names, 1)}
        inventory = folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": addresses, "vars": variables}}))
        limit = folder / "rounds.json"
        limit.write_text(json.dumps({"dpdkproj_most_rounds": rounds}))
        environment = os.environ | {
            "ANSIBLE_CONFIG": str(FLEET / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"), "ANSIBLE_CONNECTION_PLUGINS": str(FLEET / "simlib/connection_plugins"),
            "ANSIBLE_CALLBACK_PLUGINS": str(FLEET / "simlib/callback_plugins"), "ANSIBLE_CALLBACKS_ENABLED": "rounds",
            "DPDKPROJ_ROUNDS": str(folder / "log"), "LC_ALL": "C.UTF-8",
        }
        command = ["ansible-playbook", "-i", inventory, "-f", str(forks), FLEET / "mesh.yml", "-e", f"@{limit}"]
        done = subprocess.run(command, text=True, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        measured = len(list((folder / "results").glob("*--*.json")))
        if measured != rounds * (hosts // 2):
            raise Failed(f"{measured} of {rounds * (hosts // 2)} pairs\n{done.stdout}")
        lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    starts = [at for at, line in enumerate(lines) if line["task"] == "Begin the round"]
    end = next(line for line in lines[starts[-1]:] if line["task"] == "Report")
    first = lines[starts[0]]

    def each(key: str) -> float:
        return (end[key] - first[key]) / rounds

    return Cost(hosts, forks, first["at"] - lines[0]["at"], each("at") - seconds, each("main_s"), each("forks_s"),
                max(line["main_kb"] for line in lines) / 1024, max(line["fork_kb"] for line in lines) / 1024)
