"""What doctor knows about a host besides its NICs."""

import os
import re
from dataclasses import dataclass, field

from doctorlib import nics as devices
from doctorlib.host import Host, cpus_of

# ABI of librte_eal.so: DPDK of that year, of which Debian ships .11.
DPDK_OF_ABI = {"23": "22.11", "24": "23.11", "25": "24.11", "26": "25.11"}
LIBRARY_FOLDERS = ("/usr/local/lib/{}", "/usr/lib/{}", "/usr/local/lib64", "/usr/lib64", "/usr/local/lib")
CLOUDS = (("Microsoft Corporation", "Azure"), ("Amazon EC2", "AWS"), ("Google", "GCP"), ("QEMU", "QEMU"))
STATE = "/var/lib/dpdkproj/setup-host.state"  # of scripts/setup-host


@dataclass
class Pages:
    """Hugepages of one size on one NUMA node."""
    node: int
    kb: int
    total: int
    free: int


@dataclass
class Node:
    """A NUMA node."""
    number: int
    cpus: set[int]
    free_kb: int  # or can be freed: caches of files


@dataclass
class Facts:
    host: Host
    kernel: str = ""
    system: str = ""
    cloud: str = ""  # or other maker of the machine that matters
    cpu: str = ""
    is_virtual: bool = False
    cpus: set[int] = field(default_factory=set)  # that this process may use
    isolated: set[int] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)
    pages: list[Pages] = field(default_factory=list)
    mounted_kb: set[int] = field(default_factory=set)  # sizes with a hugetlbfs
    page_files: int = 0  # left by DPDK programs in hugetlbfs
    reserved_before: list[tuple[int, int | None]] = field(default_factory=list)  # by setup-host: KB, node
    cpu_flags: set[str] = field(default_factory=set)
    clocksource: str = ""
    governors: dict[str, set[int]] = field(default_factory=dict)
    steal: float = 0.0  # share of the time since boot
    is_synchronised: bool | None = None
    library_folders: list[str] = field(default_factory=list)
    dpdk: str = ""  # version
    abi: str = ""  # of its libraries
    pmds: set[str] = field(default_factory=set)
    nics: list[devices.Nic] = field(default_factory=list)

    def has_library(self, name: str) -> bool:
        return any(self.host.names(folder, rf"{re.escape(name)}\.so\.\d+") for folder in self.library_folders)

    def has_provider(self, name: str) -> bool:
        """Whether libibverbs finds its library for such devices: a line in a file, and the library."""
        named = any(re.search(rf"^driver .*{name}", self.host.text(f"/etc/libibverbs.d/{file}") or "", re.M)
                    for file in self.host.names("/etc/libibverbs.d", r".+\.driver"))
        there = any(self.host.names(f"{folder}/libibverbs", rf"lib{name}-rdmav\d+\.so") for folder in self.library_folders)
        return named and there

    def has_module(self, name: str) -> bool:
        return self.host.exists(f"/sys/module/{name}")

    def can_load(self, name: str) -> bool:
        """Whether the kernel has this module, as far as that can be told."""
        files = [f"/lib/modules/{self.kernel}/modules.{kind}" for kind in ("dep", "builtin")]
        lists = "".join(self.host.text(file) or "" for file in files)
        return self.has_module(name.replace("-", "_")) or not lists or f"/{name}.ko" in lists

    @property
    def may_bind(self) -> list[devices.Nic]:
        """NICs that may be given to DPDK and are not yet."""
        return [nic for nic in self.nics if nic.pmd and not nic.is_userspace and not nic.kept and not nic.is_bifurcated]

    @property
    def ready(self) -> list[devices.Nic]:
        """NICs that DPDK can take as they are."""
        return [nic for nic in self.nics if nic.pmd and not nic.netvsc and (
            nic.free_interfaces and nic.driver == nic.own_driver if nic.is_bifurcated else nic.is_userspace)]


def cpus_and_nodes(facts: Facts) -> None:
    host = facts.host
    status = {line.split(":")[0]: line.split(":", 1)[1].strip() for line in host.lines("/proc/self/status") if ":" in line}
    online = cpus_of(host.text("/sys/devices/system/cpu/online"))
    facts.cpus = cpus_of(status.get("Cpus_allowed_list")) & online or online
    facts.isolated = cpus_of(host.text("/sys/devices/system/cpu/isolated"))
    for cpu in sorted(facts.cpus | facts.isolated):
        if governor := host.text(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"):
            facts.governors.setdefault(governor, set()).add(cpu)
    for line in host.lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            facts.cpu_flags = set(value.split())
            break
        if key.strip() == "model name":
            facts.cpu = value.strip()
    facts.is_virtual = "hypervisor" in facts.cpu_flags
    times = next((line.split()[1:9] for line in host.lines("/proc/stat") if line.startswith("cpu ")), [])
    if len(times) == 8 and (total := sum(map(int, times))):
        facts.steal = int(times[7]) / total


def memory(facts: Facts) -> None:
    host = facts.host
    for name in host.names("/sys/devices/system/node", r"node\d+"):
        number, base = int(name[4:]), f"/sys/devices/system/node/{name}"
        free = re.findall(r"(?:MemFree|(?:Active|Inactive)\(file\)|SReclaimable):\s*(\d+) kB", host.text(f"{base}/meminfo") or "")
        facts.nodes.append(Node(number, cpus_of(host.text(f"{base}/cpulist")), sum(map(int, free))))
        for size in host.names(f"{base}/hugepages", r"hugepages-\d+kB"):
            kb = int(size[len("hugepages-"):-len("kB")])
            facts.pages.append(Pages(number, kb, host.number(f"{base}/hugepages/{size}/nr_hugepages") or 0,
                                     host.number(f"{base}/hugepages/{size}/free_hugepages") or 0))
    for line in host.lines("/proc/mounts"):
        _, where, kind, options = line.split()[:4]
        if kind == "hugetlbfs":
            size = re.search(r"pagesize=(\d+)([KMG])", options)
            default = re.search(r"Hugepagesize:\s*(\d+) kB", host.text("/proc/meminfo") or "")
            kb = int(size[1]) * {"K": 1, "M": 1 << 10, "G": 1 << 20}[size[2]] if size else int(default[1]) if default else 0
            facts.mounted_kb.add(kb)
            facts.page_files += len(host.names(where, r".*map_\d+"))
    for line in host.lines(STATE):
        words = line.split()
        if words[:1] == ["hugepages"] and words[1:]:
            kb, _, node = words[1].partition("@")
            facts.reserved_before.append((int(kb), int(node) if node else None))


def libraries(facts: Facts) -> None:
    host = facts.host
    multiarch = host.names("/usr/lib", r"\w+-linux-gnu")
    for folder in LIBRARY_FOLDERS:
        facts.library_folders += [folder.format(name) for name in multiarch] if "{}" in folder else [folder]
    for folder in facts.library_folders:
        abi = next((name.rsplit(".", 1)[1] for name in host.names(folder, r"librte_eal\.so\.\d+")), "")
        if not abi:
            continue
        facts.abi = abi
        exact = re.search(r"^Version: (\S+)", host.text(f"{folder}/pkgconfig/libdpdk.pc") or "", re.M)
        facts.dpdk = exact[1] if exact else DPDK_OF_ABI.get(abi, f"ABI {abi}")
        for name in [folder] + [f"{folder}/dpdk/{plugins}" for plugins in host.names(f"{folder}/dpdk", rf"pmds-{abi}\..*")]:
            facts.pmds |= {found[len("librte_net_"):].split(".")[0] for found in host.names(name, r"librte_net_.+\.so\.\d+")}
        return  # the first one is the one that the linker takes


def collect(host: Host, environment: dict[str, str]) -> Facts:
    facts = Facts(host)
    facts.kernel = host.text("/proc/sys/kernel/osrelease") or "unknown"
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', host.text("/etc/os-release") or "", re.M)
    facts.system = name[1] if name else "unknown system"
    vendor = " ".join(host.text(f"/sys/class/dmi/id/{part}") or "" for part in ("sys_vendor", "product_name"))
    cpus_and_nodes(facts)
    memory(facts)
    libraries(facts)
    facts.clocksource = host.text("/sys/devices/system/clocksource/clocksource0/current_clocksource") or ""
    facts.is_synchronised = host.is_clock_synchronised()
    facts.nics = devices.find(host, facts.kernel, (environment.get("SSH_CONNECTION") or "").split(" ")[0] or None)
    facts.cloud = next((cloud for maker, cloud in CLOUDS if vendor.startswith(maker)), "")
    if facts.cloud == "Azure" and not facts.is_virtual:
        facts.cloud = ""
    return facts


def environment_of_login(host: Host, pid: int | None = None) -> dict[str, str]:
    """SSH_CONNECTION, which sudo drops: the login shell above it still has it."""
    if value := os.environ.get("SSH_CONNECTION"):
        return {"SSH_CONNECTION": value}
    pid = os.getppid() if pid is None else pid
    while pid > 1:
        for entry in (host.text(f"/proc/{pid}/environ") or "").split("\0"):
            if entry.startswith("SSH_CONNECTION="):
                return {"SSH_CONNECTION": entry.partition("=")[2]}
        parent = re.search(r"^PPid:\s*(\d+)", host.text(f"/proc/{pid}/status") or "", re.M)
        pid = int(parent[1]) if parent else 0
    return {}
