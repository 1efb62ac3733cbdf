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

logging.getLogger("scapy").setLevel(logging.ERROR)
import scapy.all as scapy  # noqa: E402


def read(path):
    """The cases of the table, each as {keyword: rest of the line}, with bytes where the table has some."""
    names, environment, cases = {}, dict(vars(scapy)), []
    for line in open(path):
        keyword, _, rest = line.strip().partition(" ")
        if not keyword or keyword.startswith("#"):
            continue
        if keyword == "case":
            cases.append({"case": rest, "with": ""})
        elif keyword in ("in", "out"):
            cases[-1][keyword] = octets(rest, names)
        elif cases:
            cases[-1][keyword] = eval(rest, environment) if keyword == "scapy" else rest
        elif keyword == "scapy":
            name, _, expression = rest.partition(" = ")
            environment[name] = eval(expression, environment)
        else:
            names[keyword] = octets(rest.lstrip().removeprefix("="), names)
    return cases


def octets(text, names):
    """The bytes that words of the table stand for."""
    found = b""
    for word in text.split():
        hexadecimal, _, times = word.partition("*")
        found += names[word] if word in names else bytes.fromhex(hexadecimal) * int(times or 1)
    return found


def check(cases):
    wrong = [case for case in cases if "scapy" in case and bytes(case["scapy"]) != case["in"]]
    for case in wrong:
        print(f"{case['case']}: scapy has {bytes(case['scapy']).hex()}")
    print(f"{sum('scapy' in case for case in cases)} expressions, {len(wrong)} of them with other bytes than the table")
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
    for number, case in enumerate(cases):
        if "veth" in case:
            print(f"left out: {case['case']}: {case['veth']}")
            continue
        going, coming = probe(number)
        for frame in (bytes(case["scapy"]), going):
            # Not link.send, which pads short frames.
            assert link.outs.send(frame) == len(frame), case["case"]
        came = []
        while coming not in came:
            if not select.select([link], [], [], 10)[0]:
                print(f"{case['case']}: the packet behind it has not come back within 10 s")
                return False
            _, frame, _ = link.recv_raw()
            # None: what this socket has sent itself.
            came += [] if frame is None else [bytes(frame)]
        expected = [case["out"]] if "out" in case else []
        if came[:-1] != expected:
            is_right = False
            print(f"{case['case']}: {[frame.hex() for frame in came[:-1]]} came back,")
            print(f"    not {[frame.hex() for frame in expected]}")
    return is_right


if __name__ == "__main__":
    command, table, *rest = sys.argv[1:]
    cases = read(table)
    if command == "check":
        sys.exit(not check(cases))
    interface, options = rest
    sys.exit(not send([case for case in cases if case["with"] == options], interface))
