"""Network devices: which there are, which driver has each, which belong together, and which must be left alone."""

import ipaddress
import re
from dataclasses import dataclass, field

from doctorlib.host import Host

NETVSC_CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"
# Kernel driver: DPDK's driver. The first ones work through the kernel driver, which stays; the others replace it.
BIFURCATED = {"mlx5_core": "mlx5", "mlx4_core": "mlx4", "mana": "mana"}
REPLACING = {
    "hv_netvsc": "netvsc", "ena": "ena", "gve": "gve", "gvnic": "gve", "virtio-pci": "virtio", "vmxnet3": "vmxnet3",
    "e1000": "e1000", "e1000e": "e1000", "igb": "e1000", "igbvf": "e1000", "igc": "igc", "ixgbe": "ixgbe", "ixgbevf": "ixgbe",
    "i40e": "i40e",
    "iavf": "iavf", "ice": "ice", "idpf": "idpf", "bnxt_en": "bnxt", "cxgb4": "cxgbe", "enic": "enic", "qede": "qede",
    "sfc": "sfc", "atlantic": "atlantic", "ionic": "ionic", "hns3": "hns3", "nfp": "nfp"}
# Where neither a driver nor modules.alias tells: by vendor and, if that has several drivers, device.
BY_ID = {"15b3": "mlx5_core", "1414:00ba": "mana", "1d0f": "ena", "1ae0": "gve", "1af4": "virtio-pci", "15ad:07b0": "vmxnet3"}
USERSPACE = ("vfio-pci", "uio_pci_generic", "igb_uio", "uio_hv_generic")
VERBS_MODULE = {"mlx5_core": "mlx5_ib", "mlx4_core": "mlx4_ib", "mana": "mana_ib"}
IFF_UP = 1


@dataclass
class Interface:
    """A network interface of the kernel."""
    name: str
    mac: str
    mtu: int | None
    mbps: int | None  # None: its driver does not report it
    has_carrier: bool | None  # None: it is down, and the kernel does not say
    is_up: bool
    rx_queues: int
    kept: str = ""  # why it must stay with the kernel


@dataclass
class Nic:
    """A network device on a bus."""
    bus: str
    address: str  # PCI address, or VMBus UUID
    driver: str | None  # that has it now
    own_driver: str | None  # the kernel's own for this device
    node: int  # -1: none
    group: str | None  # IOMMU group
    id: str = ""  # vendor:device
    interfaces: list[Interface] = field(default_factory=list)
    is_vf: bool = False
    netvsc: "Nic | None" = None  # a VF: the device that it works for
    vf: "Nic | None" = None  # a netvsc device: its VF
    vf_mac: str = ""  # ... and the address that both have

    @property
    def pmd(self) -> str | None:
        driver = self.own_driver or ""
        return BIFURCATED.get(driver) or REPLACING.get(driver)

    @property
    def is_bifurcated(self) -> bool:
        return self.own_driver in BIFURCATED

    @property
    def is_userspace(self) -> bool:
        return self.driver in USERSPACE

    @property
    def name(self) -> str:
        """For people: the interface if there is one, else the address."""
        return self.interfaces[0].name if self.interfaces else self.address

    @property
    def vf_name(self) -> str:
        """A netvsc device: the interface of its VF, which may have several."""
        return next((one.name for one in self.vf.interfaces if one.mac == self.vf_mac), "") if self.vf else ""

    @property
    def kept(self) -> str:
        """Why it must stay with the kernel, if it must."""
        if self.is_userspace or not self.interfaces:
            return ""
        # A MANA device has an interface for each NIC of the machine, and only some of them must stay.
        kept = [interface.kept for interface in self.interfaces]
        return next(filter(None, kept), "") if all(kept) else ""

    @property
    def free_interfaces(self) -> list[Interface]:
        return [interface for interface in self.interfaces if not interface.kept]


def interface(host: Host, name: str) -> Interface:
    base = f"/sys/class/net/{name}"
    carrier, speed = host.number(f"{base}/carrier"), host.number(f"{base}/speed")
    return Interface(name, host.text(f"{base}/address") or "", host.number(f"{base}/mtu"),
                     speed if speed is not None and 0 < speed < 2**32 - 1 else None, None if carrier is None else carrier == 1,
                     bool((host.number(f"{base}/flags") or 0) & IFF_UP), len(host.names(f"{base}/queues", r"rx-\d+")))


def own_driver(host: Host, device: str, driver: str | None, ident: str, release: str) -> str | None:
    """The kernel's own driver for a PCI device: what it has, or what modules.alias says, or what we know."""
    if driver and driver not in USERSPACE:
        return driver
    modalias = host.text(f"{device}/modalias") or ""
    for line in host.lines(f"/lib/modules/{release}/modules.alias"):
        words = line.split()
        if len(words) == 3 and words[1].startswith("pci:"):
            pattern = re.escape(words[1]).replace(r"\*", ".*")
            if re.fullmatch(pattern, modalias) and words[2] in {**BIFURCATED, **REPLACING, "virtio_pci": ""}:
                return words[2].replace("virtio_pci", "virtio-pci")
    return BY_ID.get(ident) or BY_ID.get(ident.split(":")[0])


def pci_nics(host: Host, release: str) -> list[Nic]:
    found = []
    for address in host.names("/sys/bus/pci/devices"):
        device = f"/sys/bus/pci/devices/{address}"
        if not (host.text(f"{device}/class") or "").startswith("0x02"):
            continue
        driver = host.link(f"{device}/driver")
        ident = ":".join((host.text(f"{device}/{part}") or "").removeprefix("0x") for part in ("vendor", "device"))
        # virtio lies between an interface and its PCI device.
        folders = [f"{device}/net"] + [f"{device}/{name}/net" for name in host.names(device, r"virtio\d+")]
        names = [name for folder in folders for name in host.names(folder)]
        node = host.number(f"{device}/numa_node")
        found.append(Nic("pci", address, driver, own_driver(host, device, driver, ident, release), -1 if node is None else node,
                         host.link(f"{device}/iommu_group"), ident, [interface(host, name) for name in names],
                         is_vf=host.exists(f"{device}/physfn")))
    return found


def vmbus_nics(host: Host) -> list[Nic]:
    found = []
    for uuid in host.names("/sys/bus/vmbus/devices"):
        device = f"/sys/bus/vmbus/devices/{uuid}"
        if NETVSC_CLASS in (host.text(f"{device}/class_id") or "").lower():
            node = host.number(f"{device}/numa_node")
            found.append(Nic("vmbus", uuid, host.link(f"{device}/driver"), "hv_netvsc", -1 if node is None else node, None,
                             interfaces=[interface(host, name) for name in host.names(f"{device}/net")]))
    return found


def mac_of(netvsc: Nic) -> str:
    """The MAC address of a netvsc device. If DPDK has it, only Azure tells: its UUIDs are made of the address."""
    if netvsc.interfaces:
        return netvsc.interfaces[0].mac
    digits = netvsc.address.replace("-", "")
    if digits != (digits[:12] * 3)[:32]:
        return ""
    return ":".join(digits[at:at + 2] for at in range(0, 12, 2))


def pair(nics: list[Nic]) -> None:
    """Finds the VF of each netvsc device: by MAC address, or, where that is unknown, among what is left."""
    left = [(nic, one) for nic in nics if nic.bus == "pci" and nic.is_bifurcated for one in nic.interfaces]
    # Those with an address come first.
    for netvsc in sorted((nic for nic in nics if nic.bus == "vmbus"), key=lambda nic: not mac_of(nic)):
        mac = mac_of(netvsc)
        for vf, one in left:
            if mac in ("", one.mac):
                netvsc.vf, netvsc.vf_mac, vf.netvsc = vf, one.mac, netvsc
                left.remove((vf, one))
                break


# --- what must stay

def routes(host: Host) -> list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int, str]]:
    """Network, metric and interface of each route."""
    found: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int, str]] = []
    for line in host.lines("/proc/net/route")[1:]:
        name, address, _, flags, _, _, metric, mask = line.split()[:8]
        if int(flags, 16) & 1:
            length = int(mask, 16).bit_count()
            found.append((ipaddress.IPv4Network((bytes.fromhex(address)[::-1], length), False), int(metric), name))
    for line in host.lines("/proc/net/ipv6_route"):
        address, length, *_, metric, _, _, _, name = line.split()
        if name != "lo":
            found.append((ipaddress.IPv6Network((bytes.fromhex(address), int(length, 16)), False), int(metric, 16), name))
    return found


def keep(host: Host, nics: list[Nic], ssh_client: str | None) -> None:
    """Marks what carries the default route or the SSH connection, and everything stacked with it."""
    known = {one.name: one for nic in nics for one in nic.interfaces}
    stack: list[tuple[str, str]] = []
    table = routes(host)
    for version in (4, 6):
        defaults = [route for route in table if route[0].version == version and route[0].prefixlen == 0]
        # DHCP also gives the second NIC of a cloud VM one, with a higher metric: traffic does not use it.
        least = min((route[1] for route in defaults), default=0)
        stack += [(route[2], "carries the default route") for route in defaults if route[1] == least]
    if ssh_client:
        client = ipaddress.ip_address(ssh_client.split("%")[0])
        ways = [route for route in table if route[0].version == client.version and client in route[0]]
        if ways:
            stack.append((max(ways, key=lambda route: (route[0].prefixlen, -route[1]))[2], "carries this SSH connection"))
    done = set()
    while stack:
        name, why = stack.pop()
        if name in done:
            continue
        done.add(name)
        if name in known:
            known[name].kept = known[name].kept or why
            # A netvsc device and its VF, even if the kernel has not stacked them.
            stack += [(one.name, f"{why.split(' with ')[0]} with {name}") for one in known.values()
                      if one.mac and one.mac == known[name].mac]
        for link in host.names(f"/sys/class/net/{name}", r"(lower|upper)_.+|master"):
            if other := host.link(f"/sys/class/net/{name}/{link}"):
                stack.append((other, f"{why.split(' with ')[0]} with {name}"))


def find(host: Host, release: str, ssh_client: str | None) -> list[Nic]:
    nics = vmbus_nics(host) + pci_nics(host, release)
    keep(host, nics, ssh_client)
    pair(nics)
    return nics
