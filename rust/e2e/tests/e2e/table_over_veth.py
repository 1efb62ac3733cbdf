#!/usr/bin/python3
"""Sends cases of data/golden/reflect.txt on a network interface with scapy, and compares what comes back.

    table_over_veth.py check TABLE
        whether scapy makes the same bytes of each expression; prints its bytes if not
    table_over_veth.py send TABLE INTERFACE OPTIONS
        sends the cases whose reflector has OPTIONS; prints the descriptions of those left out
"""

import logging
import select
import sys
from pathlib import Path

logging.getLogger("scapy").setLevel(logging.ERROR)
import scapy.all as scapy  # noqa: E402

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "scripts"))
from goldenlib import table  # noqa: E402


def read(path):
    """The cases of the table, and for each the packet that its scapy expression is, if it has one."""
    cases, definitions = table.read(path)
    names = dict(vars(scapy))
    for name, expression in definitions.items():
        names[name] = eval(expression, names)
    packets = [eval(case.notes["scapy"], names) if "scapy" in case.notes else None for case in cases]
    return list(zip(cases, packets))


def check(cases):
    cases = [(case, bytes(packet)) for case, packet in cases if packet is not None]
    wrong = [(case, frame) for case, frame in cases if frame != case.frame]
    for case, frame in wrong:
        print(f"{case.description}: scapy has {frame.hex()}")
    print(f"{len(cases)} expressions, {len(wrong)} of them with other bytes than the table")
    return not wrong


def probe(number):
    """A packet that every reflector of the table sends back, and what it becomes."""
    ends = [("02:00:00:00:00:01", "192.0.2.1", 10000), ("02:00:00:00:00:02", "10.0.0.2", 8)]

    def packet(source, destination, ttl):
        (mac, ip, port), (to_mac, to_ip, to_port) = source, destination
        return bytes(
            scapy.Ether(src=mac, dst=to_mac)
            / scapy.IP(src=ip, dst=to_ip, ttl=ttl, id=number)
            / scapy.UDP(sport=port, dport=to_port)
            / b"all that is sent because of the case has come back before this packet"
        )

    return packet(ends[0], ends[1], 64), packet(ends[1], ends[0], 63)


def send(cases, interface):
    """Sends each case and a probe behind it. What comes back before the probe, in order, is what the case became."""
    link = scapy.conf.L2socket(iface=interface)
    is_right = True
    for number, (case, packet) in enumerate(cases):
        if "veth" in case.notes:
            print(f"left out: {case.description}: {case.notes['veth']}")
            continue
        going, coming = probe(number)
        for frame in (bytes(packet), going):
            # Not link.send, which pads short frames.
            assert link.outs.send(frame) == len(frame), case.description
        came = []
        while coming not in came:
            if not select.select([link], [], [], 10)[0]:
                print(f"{case.description}: the packet behind it has not come back within 10 s")
                return False
            _, frame, _ = link.recv_raw()
            # None: what this socket has sent itself.
            came += [] if frame is None else [bytes(frame)]
        expected = [] if case.out is None else [case.out]
        if came[:-1] != expected:
            is_right = False
            print(f"{case.description}: {[frame.hex() for frame in came[:-1]]} came back,")
            print(f"    not {[frame.hex() for frame in expected]}")
    return is_right


if __name__ == "__main__":
    command, path, *rest = sys.argv[1:]
    cases = read(Path(path))
    if command == "check":
        sys.exit(not check(cases))
    interface, options = rest
    sys.exit(not send([one for one in cases if one[0].notes.get("with", "") == options], interface))
