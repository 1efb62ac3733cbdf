"""What doctor prints: text for people, JSON for programs."""

import os
import shutil
import textwrap
from typing import Any, TextIO

import layout
from doctorlib.advice import Advice
from doctorlib.checks import FAULT, NOTE, WARNING, Finding, exit_code, size_name
from doctorlib.errors import Explained
from doctorlib.facts import Facts
from doctorlib.host import list_of
from doctorlib.nics import Interface, Nic

COLOURS = {FAULT: "31", WARNING: "33", NOTE: "36"}
INDENT = " " * 9


class Out:
    """A line per finding: folded to the width of a terminal, whole elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        is_terminal = stream.isatty()
        self.width = max(40, shutil.get_terminal_size().columns) if is_terminal else 0
        self.colours = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, head: str, text: str) -> None:
        shown = f"{head:<8} {text}"
        if self.width:
            shown = textwrap.fill(shown, self.width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)
        if self.colours and head in COLOURS:
            shown = f"\033[{COLOURS[head]}m{head}\033[0m{shown[len(head):]}"
        self.stream.write(f"{shown}\n")

    def command(self, text: str) -> None:
        """Never folded: it is there to be copied."""
        self.stream.write(f"{INDENT}{text}\n")


def of_interface(one: Interface) -> str:
    parts = [one.mac, f"MTU {one.mtu}", f"{one.mbps} Mbit/s" if one.mbps else "speed unknown",
             {True: "link up", False: "no link", None: "down"}[one.has_carrier]]
    return ", ".join(parts) + (f"; stays with the kernel ({one.kept})" if one.kept else "")


def of_nic(nic: Nic) -> str:
    parts = [f"{nic.bus} {nic.address}" if nic.interfaces else nic.bus, f"driver {nic.driver or 'none'}",
             f"DPDK driver {nic.pmd or 'unknown'}"]
    parts += [f"node {nic.node}"] if nic.node >= 0 else []
    parts += [f"IOMMU group {nic.group}"] if nic.group is not None else []
    parts += [f"VF {nic.vf_name} ({nic.vf_mac})"] if nic.vf else []
    parts += [of_interface(one) if len(nic.interfaces) == 1 else f"{one.name} {of_interface(one)}" for one in nic.interfaces]
    return f"{nic.name}: {'; '.join(parts)}"


def host_line(facts: Facts) -> str:
    nodes = f", {len(facts.nodes)} NUMA nodes" if len(facts.nodes) > 1 else ""
    where = f"{facts.cloud}, " if facts.cloud else ""
    return (f"{where}{facts.system}, Linux {facts.kernel}, {len(facts.cpus | facts.isolated)} CPUs{nodes} "
            f"({facts.cpu or 'unknown'}), DPDK {facts.dpdk or 'not installed'}")


def memory_line(facts: Facts) -> str:
    pages = [f"node {one.node}: {one.free} of {one.total} x {size_name(one.kb)} free" for one in facts.pages if one.total]
    return f"hugepages {', '.join(pages) or 'none'}; isolated CPUs {list_of(sorted(facts.isolated)) or 'none'}"


def text(out: Out, facts: Facts, findings: list[Finding], advice: Advice) -> None:
    out.line("host", host_line(facts))
    out.line("", memory_line(facts))
    for nic in facts.nics:
        out.line("nic", of_nic(nic))
    for one in findings:
        out.line(one.level, f"{one.what}: {one.effect}. Fix: {one.fix}")
    levels = [one.level for one in findings]
    if not levels:
        out.line("healthy", "nothing found that would stop or disturb a measurement")
    is_later = FAULT in levels and advice.needs_nic
    out.line("try this", f"once the faults are mended (run {layout.command('doctor')} again then):" if is_later else "")
    for who, command in advice.commands:
        out.command(f"{who}: {command}")
    for remark in advice.remarks:
        out.line("", f"({remark})")


def document(facts: Facts, findings: list[Finding], advice: Advice) -> dict[str, Any]:
    return {
        "host": {"cloud": facts.cloud or None, "system": facts.system, "kernel": facts.kernel, "cpu": facts.cpu,
                 "dpdk": facts.dpdk or None, "cpus": sorted(facts.cpus | facts.isolated), "isolated_cpus": sorted(facts.isolated),
                 "hugepages": [vars(one) for one in facts.pages if one.total]},
        "nics": [{"name": nic.name, "bus": nic.bus, "address": nic.address, "driver": nic.driver, "dpdk_driver": nic.pmd,
                  "node": nic.node if nic.node >= 0 else None, "vf": nic.vf.address if nic.vf else None,
                  "ready": nic in facts.ready, "interfaces": [vars(one) for one in nic.interfaces]} for nic in facts.nics],
        "findings": [one._asdict() for one in findings],
        "try": {"commands": [command for _, command in advice.commands], "remarks": advice.remarks},
        "exit_code": exit_code([one.level for one in findings]),
    }


def log(out: Out, explained: list[Explained]) -> None:
    for one in explained:
        out.line(one.known.level, f"line {one.number}: {one.line}: {one.known.cause}. Fix: {one.known.fix}")
    if not explained:
        out.line("", f"no message with a known cause in it; {layout.command('doctor')} checks the host itself")


def log_document(explained: list[Explained]) -> dict[str, Any]:
    return {"findings": [{"level": one.known.level, "line_number": one.number, "line": one.line, "cause": one.known.cause,
                          "fix": one.known.fix} for one in explained],
            "exit_code": exit_code([one.known.level for one in explained])}
