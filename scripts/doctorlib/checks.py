"""What is wrong with a host. Each check is a function from facts to findings, and knows nothing else."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import layout
from doctorlib.facts import Facts, Pages
from doctorlib.host import list_of
from doctorlib.nics import BIFURCATED, VERBS_MODULE, Nic

FAULT, WARNING, NOTE = "fault", "warning", "note"
SETUP_HOST = layout.command("setup-host")
SETUP = f"sudo {SETUP_HOST}"
# The largest run of the article takes 103 MB of EAL's memory; more queues take more.
ENOUGH_KB = 256 << 10
STEAL = 0.01
# Drivers of other devices in the IOMMU group of a NIC that vfio accepts.
HARMLESS_IN_GROUP = (None, "vfio-pci", "pcieport", "pci-stub")
CLOCKSOURCES = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "xen", "arch_sys_counter")


class Finding(NamedTuple):
    """Something that is wrong, or worth knowing."""
    level: str
    check: str  # its name, for programs
    what: str
    effect: str
    fix: str


def size_name(kb: int) -> str:
    return f"{kb >> 20}G" if kb >= 1 << 20 else f"{kb >> 10}M"


def pages_to_ask(facts: Facts, node: int | None = None) -> str:
    """Arguments for setup-host: 2 GiB of 2M pages, or less if memory is scarce."""
    nodes = [one for one in facts.nodes if node in (None, one.number)]
    free_mb = sum(one.free_kb for one in nodes) >> 10
    count = max(128, min(1024, free_mb // 4 // 128 * 128))
    return f"--hugepages 2M:{count}" + (f"@{node}" if node is not None else "")


# --- hugepages

def hugepages(facts: Facts) -> Iterator[Finding]:
    total = [one for one in facts.pages if one.total]
    effect = "EAL does not start (\"Cannot get hugepage information\") without --no-huge"
    if not total and facts.reserved_before:
        yield Finding(FAULT, "hugepages-lost",
                      "the hugepages that setup-host reserved are gone (the host was rebooted)",
                      effect,
                      f"{SETUP} {pages_to_ask(facts)} --persist, which also survives the next reboot")
    elif not total:
        yield Finding(FAULT, "hugepages-none",
                      "no hugepages are reserved",
                      effect,
                      f"{SETUP} {pages_to_ask(facts)}")
    elif not sum(one.free for one in total):
        left = f"; {facts.page_files} files of DPDK programs are in hugetlbfs" if facts.page_files else ""
        yield Finding(FAULT, "hugepages-in-use",
                      f"all hugepages are in use{left}",
                      effect,
                      "end the programs that use them, or rm /dev/hugepages*/rtemap_* if none runs")
    else:
        for kb in sorted({one.kb for one in total if one.free} - facts.mounted_kb):
            count = sum(one.total for one in total if one.kb == kb)
            yield Finding(FAULT, "hugetlbfs-missing",
                          f"no hugetlbfs is mounted for the hugepages of {size_name(kb)}",
                          "EAL cannot use them (\"no mounted hugetlbfs found\")",
                          f"{SETUP} --hugepages {size_name(kb)}:{count}")
        yield from too_few(facts, total)


def too_few(facts: Facts, total: list[Pages]) -> Iterator[Finding]:
    free_kb = sum(one.free * one.kb for one in total)
    if free_kb < ENOUGH_KB:
        yield Finding(WARNING, "hugepages-few",
                      f"only {free_kb >> 10} MB of hugepages are free",
                      "mempools of many queues need more (\"mempool ... of ... mbufs\")",
                      f"{SETUP} {pages_to_ask(facts)}")
        return
    for node in sorted({nic.node for nic in facts.ready if nic.node >= 0}):
        if len(facts.nodes) > 1 and not any(one.free for one in total if one.node == node):
            names = ", ".join(nic.name for nic in facts.ready if nic.node == node)
            yield Finding(WARNING, "hugepages-far",
                          f"node {node}, to which {names} belongs, has no free hugepages",
                          "packets lie in the memory of another node, which costs rate and latency",
                          f"{SETUP} {pages_to_ask(facts, node)}")


# --- NICs

def nic_to_use(facts: Facts) -> Iterator[Finding]:
    if facts.ready:
        return
    if facts.may_bind:
        nic = facts.may_bind[0]
        # Debian's kernels have no vfio without an IOMMU.
        option = "--driver uio_pci_generic " if nic.bus == "pci" and nic.group is None else ""
        yield Finding(FAULT, "nic-not-bound",
                      f"{nic.name} has the kernel's driver {nic.driver}" if nic.driver else f"{nic.name} has no driver",
                      "DPDK does not see it (\"EAL found no port at all\")",
                      f"{SETUP} {option}--bind {nic.name}")
        module = "uio_hv_generic" if nic.bus == "vmbus" else "vfio-pci" if nic.group is not None else "uio_pci_generic"
        if not facts.can_load(module):
            yield Finding(FAULT, "bind-module-missing",
                          f"kernel {facts.kernel} has no module {module}",
                          f"{nic.name} cannot be given to DPDK",
                          "use a kernel that has it (Debian: linux-image-amd64; Ubuntu on Azure: linux-modules-extra-azure)")
    elif not any(bound_wrongly(nic) for nic in facts.nics):
        kept = ", ".join(f"{nic.name} {nic.kept}" for nic in facts.nics if nic.kept)
        yield Finding(FAULT, "nic-none",
                      f"there is no NIC for DPDK{f' ({kept})' if kept else ''}",
                      "only virtual links of this machine can be measured",
                      "attach a second NIC")


def bound_wrongly(nic: Nic) -> bool:
    return nic.is_bifurcated and nic.driver != nic.own_driver


def wrong_driver(facts: Facts) -> Iterator[Finding]:
    for nic in filter(bound_wrongly, facts.nics):
        yield Finding(FAULT, "nic-wrong-driver",
                      f"{nic.address} has the driver {nic.driver or 'none'} instead of {nic.own_driver}",
                      f"DPDK's {nic.pmd} works through {nic.own_driver}, and finds no device",
                      f"sudo driverctl unset-override {nic.address}" if nic.driver else f"sudo modprobe {nic.own_driver}")


def accelerated(facts: Facts) -> Iterator[Finding]:
    for nic in facts.nics:
        if nic.bus == "vmbus" and not nic.kept and not nic.vf and not any(map(bound_wrongly, facts.nics)):
            yield Finding(FAULT, "vf-missing",
                          f"{nic.name} (netvsc) has no VF (accelerated networking is off)",
                          "packets take the slow path through the host (\"Couldn't find port for VF\")",
                          "az network nic update --accelerated-networking true ..., with the machine deallocated")


def plugins(facts: Facts) -> Iterator[Finding]:
    if not facts.dpdk:
        yield Finding(WARNING, "dpdk-missing",
                      "no DPDK libraries are installed",
                      "only a program with DPDK linked statically runs",
                      "sudo apt-get install libdpdk-dev")
        return
    used = facts.ready or facts.may_bind
    for pmd in sorted({one.pmd for nic in used for one in (nic, nic.vf) if one and one.pmd} - facts.pmds):
        why = "netvsc works without its VF" if any(nic.vf and nic.vf.pmd == pmd for nic in used) else "EAL finds no port"
        built = " (with libibverbs-dev installed, or its build leaves the driver out)" if pmd in BIFURCATED.values() else ""
        yield Finding(FAULT, "pmd-missing",
                      f"this DPDK ({facts.dpdk}) has no librte_net_{pmd}.so",
                      why,
                      f"sudo apt-get install librte-net-{pmd}-{facts.abi}, or build a DPDK that has it{built}")


def verbs(facts: Facts) -> Iterator[Finding]:
    """mlx5, mlx4 and mana work through the RDMA drivers of the kernel, and rdma-core."""
    used = [one for nic in facts.ready or facts.may_bind for one in (nic, nic.vf) if one and one.is_bifurcated]
    for nic in {nic.address: nic for nic in used if nic.pmd in facts.pmds}.values():
        effect = f"DPDK's {nic.pmd} does not start"
        if nic.netvsc:
            effect = "netvsc works without its VF (\"Couldn't find port for VF\")"
        if not facts.has_library("libibverbs"):
            yield Finding(FAULT, "libibverbs-missing",
                          f"libibverbs is not installed, which {nic.pmd} needs for {nic.name}",
                          effect,
                          "sudo apt-get install ibverbs-providers")
        elif not facts.has_provider(nic.pmd or ""):
            yield Finding(FAULT, "provider-missing",
                          f"libibverbs has no provider for {nic.name} (lib{nic.pmd}-rdmav*.so)",
                          effect,
                          "sudo apt-get install ibverbs-providers")
        missing = [name for name in ("ib_uverbs", VERBS_MODULE[nic.own_driver or ""]) if not facts.has_module(name)]
        if missing:
            yield Finding(FAULT, "module-missing",
                          f"{', '.join(missing)} not loaded, which {nic.pmd} needs for {nic.name}",
                          f"{effect}, or \"No Verbs device matches\"",
                          f"sudo modprobe -a {' '.join(missing)}")


def mana_interfaces(facts: Facts) -> Iterator[Finding]:
    for nic in facts.ready:
        for one in nic.vf.free_interfaces if nic.vf and nic.vf.own_driver == "mana" else []:
            if one.is_up:
                yield Finding(FAULT, "mana-interface-up",
                              f"{one.name} is up, and the kernel uses it",
                              "no packets arrive, or \"Failed to create qp queue\"",
                              f"sudo ip link set dev {one.name} down")


def iommu(facts: Facts) -> Iterator[Finding]:
    host = facts.host
    for nic in facts.ready:
        if nic.bus != "pci" or nic.is_bifurcated:
            continue
        if nic.group is not None and nic.driver == "vfio-pci":
            others = [address for address in host.names(f"/sys/kernel/iommu_groups/{nic.group}/devices")
                      if address != nic.address
                      and host.link(f"/sys/bus/pci/devices/{address}/driver") not in HARMLESS_IN_GROUP]
            if others:
                yield Finding(FAULT, "iommu-group-shared",
                              f"{', '.join(others)} in the IOMMU group of {nic.address} has a kernel driver",
                              "vfio does not give out the NIC (\"VFIO group is not viable\")",
                              f"{SETUP} " + " ".join(f"--bind {address}" for address in others))
        if nic.own_driver == "ena" and nic.driver == "uio_pci_generic":
            yield Finding(WARNING, "ena-no-write-combining",
                          f"{nic.address} (ENA) is bound to uio_pci_generic",
                          "without write combining, sending costs far more CPU time",
                          "use vfio-pci, or igb_uio with wc_activate=1")


# --- link

def links(facts: Facts) -> Iterator[Finding]:
    for nic in facts.ready:
        for one in nic.vf.free_interfaces if nic.vf else nic.interfaces:
            if one.has_carrier is False:
                yield Finding(WARNING, "link-down",
                              f"{one.name} has no link",
                              "the program waits for it, and gives up (--wait-link)",
                              "plug it in, or start its peer")
    for nic in facts.nics:
        upper = nic.interfaces[0] if nic.interfaces else None
        lower = next((one for one in nic.vf.interfaces if one.mac == nic.vf_mac), None) if nic.vf else None
        if nic.bus == "vmbus" and upper and lower and not nic.kept and upper.mtu != lower.mtu:
            yield Finding(WARNING, "mtu-differs",
                          f"{upper.name} has an MTU of {upper.mtu}, its VF {lower.name} of {lower.mtu}",
                          "packets that one of them takes are too large for the other",
                          f"sudo ip link set dev {lower.name} mtu {upper.mtu}")


def pcie(facts: Facts) -> Iterator[Finding]:
    for nic in facts.ready:
        if nic.bus != "pci" or nic.is_vf or facts.is_virtual:
            continue
        device = f"/sys/bus/pci/devices/{nic.address}"
        now, most = ((facts.host.text(f"{device}/{which}_link_speed") or "",
                      facts.host.number(f"{device}/{which}_link_width") or 0) for which in ("current", "max"))
        if now[0] and most[0] and now != most:
            yield Finding(WARNING, "pcie-slow",
                          f"{nic.name} runs at {now[0]} x{now[1]}, and could at {most[0]} x{most[1]}",
                          "the bus may limit the rate",
                          "put it into another slot")


# --- CPUs and time

def cores(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        if len(facts.nodes) > 1 and not node.cpus & (facts.cpus | facts.isolated):
            if names := ", ".join(nic.name for nic in facts.ready if nic.node == node.number):
                yield Finding(WARNING, "cpus-far",
                              f"this process may use no CPU of node {node.number}, to which {names} belongs",
                              "packets cross between nodes, which costs rate and latency",
                              "taskset, or the cpuset of the container")
    if slow := {name: cpus for name, cpus in facts.governors.items() if name != "performance"}:
        cpus = sorted(set.union(*slow.values()))
        yield Finding(WARNING, "governor",
                      f"CPUs {list_of(cpus)} have the frequency governor {', '.join(sorted(slow))}",
                      "rates and latencies change with the frequency",
                      "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
    if facts.steal > STEAL:
        yield Finding(WARNING, "steal",
                      f"the host took {100 * facts.steal:.1f} % of the CPU time since boot",
                      "workers stand still meanwhile, and packets are late or lost",
                      "use a machine that shares its CPUs with no other")
    if not facts.isolated and len(facts.cpus) > 2:
        cpus = sorted(facts.cpus)[1:]
        yield Finding(NOTE, "cpus-not-isolated",
                      "no CPUs are isolated",
                      "other tasks interrupt workers, which shows as stalls and as outliers of latency",
                      f"{SETUP_HOST} --isolate {list_of(cpus)} says how")


def time(facts: Facts) -> Iterator[Finding]:
    if "constant_tsc" not in facts.cpu_flags or not facts.cpu_flags & {"nonstop_tsc", "tsc_reliable"}:
        if "tsc" in facts.cpu_flags:  # x86
            yield Finding(WARNING, "tsc-unreliable",
                          "the CPU does not promise a TSC of constant rate that never stops",
                          "rates and latencies may be wrong, as they are measured with the TSC",
                          "use a machine with constant_tsc and nonstop_tsc")
    if facts.clocksource and facts.clocksource not in CLOCKSOURCES:
        yield Finding(WARNING, "clocksource",
                      f"the kernel measures time with {facts.clocksource}, because it does not trust the TSC",
                      "rates and latencies may be wrong, as they are measured with the TSC",
                      "dmesg | grep -i tsc says why")
    if facts.is_synchronised is False:
        yield Finding(WARNING, "clock-unsynchronised",
                      "nothing synchronises the system clock",
                      "times of this machine and of its peer differ, and the TSC is calibrated against this clock",
                      "sudo apt-get install chrony")


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    wrong_driver, nic_to_use, accelerated, plugins, verbs, mana_interfaces, iommu, hugepages, links, pcie, cores, time)


def find(facts: Facts) -> list[Finding]:
    """Everything, the worst first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: (FAULT, WARNING, NOTE).index(finding.level))


def exit_code(levels: list[str]) -> int:
    return 2 if FAULT in levels else 1 if WARNING in levels else 0
