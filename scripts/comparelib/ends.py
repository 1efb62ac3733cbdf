"""The two ends of a comparison, from the command line or from an inventory of Ansible."""

import ipaddress
import json
import os
import shlex
import subprocess
from contextlib import contextmanager
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .hosts import Host, HostError, Link, Ssh

PREFIX = "dpdkproj-compare"


class End(NamedTuple):
    """One end: A sends and measures, B reflects."""
    host: Host
    programs: str  # the folder of dpdkproj and udpbaseline on that host
    folder: str  # for files on that host
    kernel_ip: str | None  # of the kernel's interface, for sockets
    dpdk_ip: str | None  # of the port that DPDK drives
    interface: str | None  # for drivers that use one of the kernel's
    eal: list[str]  # of the user's own port
    cpu: int | None  # for all threads of a program; None: as the user's EAL options say, and any for sockets


class Pair(NamedTuple):
    ends: tuple[End, End]
    is_local: bool  # both on this machine: shared memory works


@contextmanager
def namespaces(build: Path, cpus: tuple[int, int], folder: Path) -> Iterator[Pair]:
    """Both ends on this machine, joined by a veth pair."""
    with Link(PREFIX) as link:
        ends = [End(host, str(build), str(folder), kernel, dpdk, interface, [], cpu) for host, kernel, dpdk, interface, cpu in
                zip(link.hosts, Link.KERNEL, Link.DPDK, Link.INTERFACES, cpus)]
        yield Pair((ends[0], ends[1]), True)


@contextmanager
def over_ssh(names: list[str], inventory: Path | None, given: dict[str, list[str] | None], programs: str) -> Iterator[Pair]:
    """Two hosts. `given`: what the command line says of both, before what the inventory says."""
    variables = read_inventory(inventory) if inventory else {}
    ends: list[End] = []
    try:
        for index, name in enumerate(names):
            if inventory and name not in variables:
                raise HostError(f"--hosts {name}: {inventory} has {', '.join(sorted(variables)) or 'no hosts'}")
            of_host = variables.get(name, {})
            host = ssh(name, of_host)
            ends.append(end(host, index, of_host, given, programs))
        yield Pair((ends[0], ends[1]), False)
    finally:
        for one in ends:
            one.host.run("rm", "-rf", "--", one.folder, check=False)


def end(host: Host, index: int, variables: dict[str, Any], given: dict[str, list[str] | None], programs: str) -> End:
    def value(name: str, variable: str) -> Any:
        both = given.get(name)
        return both[index] if both else variables.get(variable)
    eal = value("eal", "dpdkproj_eal") or []
    program = variables.get("dpdkproj_program")
    kernel_ip = address(value("addresses", "dpdkproj_socket_ip") or variables.get("ansible_host"))
    return End(host, str(Path(program).parent) if program else programs, host.run("mktemp", "-d").strip(), kernel_ip,
               value("dpdk_addresses", "dpdkproj_ip"), value("interfaces", "dpdkproj_interface"),
               shlex.split(eal) if isinstance(eal, str) else [str(word) for word in eal], None)


def address(text: str | None) -> str | None:
    """A name of `ansible_host` is none."""
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None


def ssh(name: str, variables: dict[str, Any]) -> Ssh:
    options = []
    if port := variables.get("ansible_port"):
        options += ["-p", str(port)]
    if key := variables.get("ansible_ssh_private_key_file"):
        options += ["-i", str(key)]
    options += shlex.split(str(variables.get("ansible_ssh_common_args", "")))
    user = variables.get("ansible_user")
    target = str(variables.get("ansible_host", name))
    return Ssh(name, f"{user}@{target}" if user else target, options)


def read_inventory(path: Path) -> dict[str, dict[str, Any]]:
    """The variables of all hosts, as Ansible itself reads them."""
    command = ["ansible-inventory", "--list", "-i", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "False"})
    except OSError:
        raise HostError("--inventory needs ansible-inventory; on Debian: apt install ansible-core") from None
    if done.returncode:
        raise HostError(f"--inventory {path}: {(done.stderr.strip() or 'refused').splitlines()[-1]}")
    listed = json.loads(done.stdout)
    # Hosts without variables are in groups only.
    names = [name for group in listed.values() if isinstance(group, dict) for name in group.get("hosts", [])]
    return {name: listed["_meta"]["hostvars"].get(name, {}) for name in names}
