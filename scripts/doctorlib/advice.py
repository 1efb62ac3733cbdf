"""Which options of EAL and of dpdkproj fit a host."""

from typing import NamedTuple

import layout
from doctorlib.facts import Facts
from doctorlib.host import list_of
from doctorlib.nics import Nic

PROGRAM = "sudo dpdkproj" if layout.IS_INSTALLED else "sudo build/dpdkproj"
AZURE_MAC = "12:34:56:78:9a:bc"
# Queues that any device with this kernel driver has; a device may have more.
QUEUES = {"virtio-pci": 1, "e1000": 1, "e1000e": 1, "igbvf": 1, "iavf": 4, "ixgbevf": 2, "ena": 4, "gve": 4, "gvnic": 4,
          "vmxnet3": 8, "igb": 8}
WITHOUT_SPEED = ("ena", "virtio-pci")


class Advice(NamedTuple):
    """A command to try, and what to know about it."""
    commands: list[tuple[str, str]]  # who runs it, and what
    remarks: list[str]
    needs_nic: bool = True


def power_of_two(count: int) -> int:
    return 1 << (max(1, count).bit_length() - 1)


def workers(facts: Facts, nic: Nic | None) -> list[int]:
    """CPUs for workers, on the NIC's node: the isolated ones if there are any, else all but the first."""
    cpus = facts.isolated or facts.cpus
    near = next((node.cpus for node in facts.nodes if nic and node.number == nic.node), cpus)
    chosen = sorted(cpus & near or cpus)
    return chosen if facts.isolated or len(chosen) <= 2 else chosen[1:]


def most_queues(nic: Nic) -> int:
    if nic.interfaces and nic.bus == "pci" and not nic.is_bifurcated:
        return max(1, nic.interfaces[0].rx_queues)
    return QUEUES.get(nic.own_driver or "", 64)


def devices(nic: Nic) -> str:
    device = nic.vf or nic
    if not nic.vf and nic.bus == "vmbus":
        return ""
    mac = f",mac={nic.vf_mac}" if device.own_driver == "mana" else ""
    return f" -a {device.address}{mac}"


def advise(facts: Facts) -> Advice:
    nic = next(iter(facts.ready or facts.may_bind), None)
    if nic is None:
        return Advice([("here", layout.command("demo"))], ["needs neither NIC nor hugepages"], False)
    cpus = workers(facts, nic)
    device = nic.vf or nic
    most = most_queues(nic)
    rx, tx, back = min(most, max(1, len(cpus) - 1)), 1, min(most, max(1, len(cpus)))
    if device.own_driver == "mana":
        rx = tx = power_of_two(min(most, len(cpus) // 2))
    if device.own_driver in ("mana", "vmxnet3"):
        rx, back = power_of_two(rx), power_of_two(back)
    eal = f"{PROGRAM} -l {list_of(cpus)}{devices(nic)} --"
    is_azure = nic.bus == "vmbus"
    gateway = f" --dest-mac {AZURE_MAC} --warmup 2" if is_azure else ""
    ports = " --src-port-range 10000-30000" if rx > 1 else ""
    commands = [("peer", f"{eal} reflect -r {back} --ip PEER"),
                ("here", f"{eal} sendrecv -r {rx} -t {tx} --src HERE --dest PEER:10000{gateway}{ports} --rate 100k "
                         "--duration 10")]
    remarks = [f"HERE and PEER: the IP addresses of {nic.vf_name or nic.name} and of the peer's NIC; the peer's line is of a "
               "machine like this one"]
    if nic not in facts.ready:
        remarks.append(f"{nic.name} must be bound first, as said above")
    if device.own_driver == "mana":
        remarks.append("MANA: as many rx as tx queues, a power of two")
    elif rx > 1:
        remarks.append("several rx queues need several flows: --src-port-range")
    if is_azure:
        remarks.append("Azure: every peer has that MAC address; the first packets of a flow take a slow path (--warmup), and "
                       "so does every frame below 68 bytes (--packet-size 26 or more)")
    if device.own_driver in WITHOUT_SPEED:
        remarks.append("the driver does not report the link speed: give --rate in packets or bits per second, not in percent")
    mtus = {one.mtu for one in device.interfaces if one.mtu and not one.kept}
    if len(mtus) == 1 and (mtu := mtus.pop()) != 1500:
        remarks.append(f"MTU {mtu}: --packet-size up to {mtu - 28} over IPv4")
    return Advice(commands, remarks)
