//! Other people's packet generators, whose packets a reflector returns without taking any of them for its
//! own: scapy, trafgen and iperf3, at the other end of a veth pair.

use dpdkproj_e2e::netns::{Checksums, Namespace, Veth};
use dpdkproj_e2e::pressure::Pressure;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, Run, cpu};
use dpdkproj_e2e::scratch::Scratch;
use std::process::{Command, Stdio};

/// Whether these programs are here; if not, prints that the test is skipped.
fn or_skip(programs: &[[&str; 2]]) -> bool {
    programs.iter().all(|[program, package]| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        let found = command.status();
        found.inspect_err(|e| println!("SKIPPED: {program}: {e} (Debian: {package})")).is_ok()
    })
}

/// Without an address, the kernel has nothing to say about what comes back.
fn remove_address(veth: &Veth) {
    veth.peer.ip(&format!("address flush dev {}", Veth::PEER));
}

/// The frames that have arrived at the kernel's end.
fn arrived(veth: &Veth) -> u64 {
    veth.peer.interface_counter(Veth::PEER, "rx_packets")
}

fn reflector(veth: &Veth) -> Run {
    let vdev = format!("net_af_packet0,iface={}", Veth::OURS);
    let program = Program::new("reflect -q").vdev(vdev);
    program.lcores(format!("0@{}", cpu(1))).inside(&veth.ours).summed_up().start_polling()
}

/// Ends the reflector when `sent` packets have been through it, and checks its ledger. Returns how many it
/// answered.
fn end(pressure: &Pressure, reflector: Run, sent: u64, ignored: &[(&str, u64)]) -> Option<u64> {
    let summary = reflector.finish_by(Signal::Term).summary();
    let missed = summary.port_missed();
    // Packets that the kernel gives up before they get to the port's ring are not counted by anybody.
    let came = summary.count("rx.received");
    // Of which kind those are that the ring had no room for, nobody knows.
    let is_told = came + missed == sent && (missed == 0 || ignored.is_empty());
    if !pressure.holds(is_told, &format!("{came} of {sent} arrived, {missed} missed: {summary}")) {
        return None;
    }
    let all_ignored = ignored.iter().map(|(_, count)| count).sum::<u64>();
    let answered = sent - all_ignored - missed;
    let mut expected = vec![("rx.received", sent - missed), ("tx.sent", answered)];
    let reasons: Vec<_> = ignored
        .iter()
        .map(|(reason, count)| (format!("rx.foreign_reasons.{reason}"), *count))
        .collect();
    expected.extend(reasons.iter().map(|(key, count)| (key.as_str(), *count)));
    expected.push(("rx.foreign", all_ignored));
    expected.retain(|(_, count)| *count > 0);
    summary.assert_ledger(&expected);
    // A question, and a flow that has asked one, would be ours.
    summary.assert_counts(&[("rx.control", 0), ("tx.control", 0), ("flows.known", 0)]);
    Some(answered)
}

/// Packets that scapy makes, and what it says about the answer: the same with addresses and ports
/// exchanged and one less of TTL, byte for byte, with checksums of scapy's own.
const SCAPY: &str = "
import logging, sys
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.all import *

ours, theirs, count = '02:00:00:00:09:01', '02:00:00:00:09:02', int(sys.argv[1])
there, back = Ether(dst=ours, src=theirs), Ether(dst=theirs, src=ours)

def both(kind, addresses, **more):
    return [kind(src=a, dst=b, **more) for a, b in (addresses, addresses[::-1])]
def v4(**more): return both(IP, ['10.9.0.2', '10.9.0.1'], **more)
def v6(**more): return both(IPv6, ['fd00:9::2', 'fd00:9::1'], **more)
def udp(**more): return [UDP(sport=4000, dport=9, **more), UDP(sport=9, dport=4000, **more)]

def answered(name, tags, ip, udp, payload):
    there_, back_ = there, back
    for tag in tags:
        there_, back_ = there_ / tag, back_ / tag
    back_ip = ip[1].copy()
    if isinstance(back_ip, IP): back_ip.ttl -= 1
    else: back_ip.hlim -= 1
    return name, there_ / ip[0] / udp[0] / payload, back_ / back_ip / udp[1] / payload

data = Raw(bytes(range(256)) * 4)
tag, other = Dot1Q(vlan=5, prio=3), Dot1Q(vlan=6)
cases = [
    answered('IPv4', [], v4(), udp(), data),
    answered('no payload', [], v4(ttl=2), udp(), b''),
    answered('options', [], v4(options=[IPOption_Router_Alert()]), udp(), data),
    answered('marked', [], v4(tos=0xb9, id=777, flags='DF', ttl=255), udp(), data),
    answered('no checksum', [], v4(), udp(chksum=0), data),
    answered('wrong checksum', [], v4(), udp(chksum=0x1234), data),
    answered('VLAN', [tag], v4(), udp(), data),
    answered('two tags', [tag, other], v4(), udp(), data),
    answered('IPv6', [], v6(), udp(), data),
    answered('IPv6, marked', [], v6(tc=0xb9, fl=0x12345, hlim=2), udp(), data),
    answered('IPv6 and VLAN', [tag], v6(), udp(), data),
    answered('VXLAN', [], v4(), [UDP(sport=4000, dport=4789), UDP(sport=4789, dport=4000)],
             VXLAN(vni=5) / Ether(dst=theirs, src=ours) / IP() / UDP() / 'inside'),
    answered('DNS', [], v4(), [UDP(sport=4000, dport=53), UDP(sport=53, dport=4000)],
             DNS(qd=DNSQR(qname='example.org'))),
]
ip = v4()[0]
# No fragments of IPv4: the socket of net_af_packet puts them together.
ignored = [
    ('arp', there / ARP(op='who-has', psrc='10.9.0.2', pdst='10.9.0.1')),
    ('other_ethertype', there / LLC() / b'bridge'),
    ('not_udp', there / ip / TCP(dport=80)),
    ('not_udp', there / ip / ICMP()),
    ('not_udp', there / ip / SCTP()),
    ('not_udp', there / v6()[0] / ICMPv6EchoRequest()),
    ('fragment', there / v6()[0] / IPv6ExtHdrFragment(m=1) / UDP(dport=9) / data),
    ('ipv6_extension', there / v6()[0] / IPv6ExtHdrHopByHop() / UDP(dport=9) / data),
    ('ipv6_extension', there / v6()[0] / IPv6ExtHdrRouting() / UDP(dport=9) / data),
    ('ttl', there / v4(ttl=1)[0] / UDP(dport=9)),
    ('ttl', there / v6(hlim=1)[0] / UDP(dport=9)),
    ('group_mac', Ether(dst='ff:ff:ff:ff:ff:ff', src=theirs) / ip / UDP(dport=9)),
    ('group_mac', Ether(dst='01:00:5e:00:00:05', src=theirs) / ip / UDP(dport=9)),
    ('malformed', there / v4(len=15)[0] / UDP(dport=9) / data),
    ('malformed', there / v4(ihl=3)[0] / UDP(dport=9) / data),
    ('malformed', there / ip / UDP(dport=9, len=7) / data),
    ('malformed', there / ip / UDP(dport=9, len=2000) / data),
    ('malformed', there / v4(version=5)[0] / UDP(dport=9) / data),
    ('vlan', there / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / ip / UDP(dport=9) / data),
]
link = conf.L2socket(iface='peer', promisc=False)
wrong = 0
for name, there, back in cases:
    there, back = raw(there), raw(back)
    for turn in range(count):
        link.send(Raw(there))
        came = None
        # The socket tells of what is sent, too, and returns nothing for it.
        while came is None and select.select([link], [], [], 5)[0]:
            came = link.recv_raw()[1]
        if came != back:
            wrong += 1
            print(name, 'came', came and came.hex()[:200], 'not', back.hex()[:200])
for reason, frame in ignored:
    for turn in range(count):
        link.send(Raw(raw(frame)))
counts = dict()
for reason, frame in ignored: counts[reason] = counts.get(reason, 0) + count
print(len(cases) * count, ' '.join(f'{reason}={n}' for reason, n in counts.items()))
sys.exit(wrong > 0)
";

#[test]
fn what_scapy_expects_comes_back_and_nothing_else() {
    const COUNT: u64 = 20;
    // Debian's, which is not that of another Python.
    if !or_skip(&[["scapy", "python3-scapy"]]) {
        return;
    }
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    remove_address(&veth);
    let pressure = Pressure::new();
    let reflector = reflector(&veth);
    let peer = veth.peer.start("/usr/bin/python3", &["-c", SCAPY, &COUNT.to_string()]);
    let ended = peer.finish().expect_code(0);
    let mut words = ended.stdout.split_whitespace();
    let count = |word: &str| word.parse::<u64>().unwrap_or_else(|error| panic!("{error}: {ended}"));
    let answered = words.next().map(count).unwrap_or_default();
    let ignored: Vec<_> = words
        .filter_map(|word| word.split_once('=').map(|(reason, number)| (reason, count(number))))
        .collect();
    assert!(answered > 0 && ignored.len() >= 9, "{ended}");
    let sent = answered + ignored.iter().map(|(_, count)| count).sum::<u64>();
    if let Some(found) = end(&pressure, reflector, sent, &ignored) {
        assert_eq!(found, answered);
    }
}

/// Frames made in the kernel's own packet socket, from a description with random parts.
#[test]
fn what_trafgen_sends_comes_back() {
    const COUNT: u64 = 5000;
    const ETHERNET: &str = "eth(da=02:00:00:00:09:01, sa=02:00:00:00:09:02)";
    // One description at a time: trafgen 0.6.8 frees what it did not allocate when several have random
    // fields.
    const PACKETS: [(&str, bool); 4] = [
        (
            "ipv4(saddr=10.9.0.2, daddr=10.9.0.1, ttl=64), udp(sp=drnd(1024, 60000), dp=9), drnd(64)",
            true,
        ),
        (
            "vlan(id=5), ipv4(saddr=10.9.0.2, daddr=10.77.3.4, ttl=drnd(2, 255)), \
             udp(sp=9, dp=dinc(1, 9)), drnd(900)",
            true,
        ),
        ("ipv6(saddr=fd00:9::2, daddr=fd00:9::1, hl=2), udp(sp=9, dp=9), drnd(18)", true),
        ("ipv4(saddr=10.9.0.2, daddr=10.9.0.1, ttl=64), tcp(sp=9, dp=9), drnd(64)", false),
    ];
    if !or_skip(&[["trafgen", "netsniff-ng"]]) {
        return;
    }
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    remove_address(&veth);
    let scratch = Scratch::new();
    let description = scratch.path("packets");
    let line =
        format!("--dev {} --num {COUNT} --cpus 1 --gap 50us --no-sock-mem --conf", Veth::PEER);
    let path = description.display().to_string();
    let args: Vec<_> = line.split(' ').chain([path.as_str()]).collect();
    let mut back = 0;
    for (packet, is_udp) in PACKETS {
        std::fs::write(&description, format!("{{ {ETHERNET}, {packet} }}\n")).expect("a new file");
        let pressure = Pressure::new();
        let reflector = reflector(&veth);
        let _ = veth.peer.start("trafgen", &args).finish().expect_code(0);
        let not_udp = ("not_udp", if is_udp { 0 } else { COUNT });
        let Some(answered) = end(&pressure, reflector, COUNT, &[not_udp]) else { return };
        back += answered;
        assert_eq!(arrived(&veth), back, "{packet}");
    }
}

/// iperf3 needs TCP and a server that answers: the kernel sends copies of its datagrams to the reflector,
/// and counts them.
/// What the reflector sends back is kept from iperf3, which waits for an answer of its server.
#[test]
fn what_iperf3_sends_comes_back() {
    const RULES: &str = "
        table ip copies {
            chain out {
                type filter hook output priority 0;
                oifname near ip protocol udp counter dup to 10.9.0.1 device peer
            }
            chain in {
                type filter hook input priority 0;
                iifname peer drop
            }
        }";
    if !or_skip(&[["iperf3", "iperf3"], ["nft", "nftables"]]) {
        return;
    }
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let Ok(far) = Namespace::new() else { return };
    far.ip("link add far type veth peer name near");
    far.move_to("near", &veth.peer);
    far.ip("link set dev far up");
    far.ip("address add 10.7.0.1/24 dev far");
    veth.peer.ip("link set dev near up");
    veth.peer.ip("address add 10.7.0.2/24 dev near");
    veth.peer.run("nft", &[RULES]);
    let pressure = Pressure::new();
    let reflector = reflector(&veth);
    let mut server = far.start("iperf3", &["--server", "--one-off", "--forceflush"]);
    server.wait_for_stdout("Server listening");
    let line = "--client 10.7.0.1 --udp --bitrate 20M --length 1000 --time 1 --json";
    let client = veth.peer.start("iperf3", &line.split(' ').collect::<Vec<_>>());
    let told = client.finish().expect_code(0).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let measured = told["end"]["sum"]["packets"].as_u64();
    let measured = measured.unwrap_or_else(|| panic!("no count in {told}"));
    let counted = veth.peer.output("nft", &["list", "chain", "ip", "copies", "out"]);
    let counted = counted.split_once("counter packets ").map(|(_, rest)| rest.split(' ').next());
    let copied: u64 = counted.flatten().and_then(|text| text.parse().ok()).expect("a count");
    println!("iperf3 sent {measured} packets that it measures, the reflector gets {copied}");
    assert!(measured > 1000 && copied > measured, "{measured} {copied}");
    if let Some(answered) = end(&pressure, reflector, copied, &[]) {
        assert_eq!(answered, arrived(&veth));
    }
}
