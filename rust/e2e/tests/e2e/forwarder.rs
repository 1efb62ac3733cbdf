//! A forwarder between a sender and a reflector that changes packets on their way, as hosts and devices
//! on a path do: for each change, the whole ledger.

use dpdkproj_e2e::netns::Namespace;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Outcome, Program, cpu};
use dpdkproj_e2e::results::Summary;

/// Packets of a run, and how many of them are changed: one of four on each of two queues.
const COUNT: u64 = 2000;
const CHANGED: u64 = COUNT / 4;

const V4: &str = "--src 10.0.0.1 --dest 10.0.0.2:7";
const V6: &str = "--src fd00::1 --dest [fd00::2]:7";
const V4_VLAN: &str = "--src 10.0.0.1 --dest 10.0.0.2:7 --vlan 5";
const V6_VLANS: &str = "--src fd00::1 --dest [fd00::2]:7 --vlan 5,8";

/// Where the forwarder changes packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
}
use Way::{Back, Forth};

/// What becomes of the changed packets.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Valid.
    Valid,
    /// Valid, and counted under this name beside that.
    Noted(&'static str),
    /// Corrupt, for this reason.
    Corrupt(&'static str),
    /// Corrupt, for this reason; on the way forth, they belong to no flow that the reflector knows.
    CorruptOfNoFlow(&'static str),
    /// The receiver does not take them for its own, for this reason.
    Foreign(&'static str),
    /// The reflector ignores them, and does not know whose they are.
    Ignored,
    /// The reflector ignores them because of their TTL.
    LastHop,
    /// They come back twice.
    Twice,
}
use Fate::{Corrupt, CorruptOfNoFlow, Foreign, Ignored, LastHop, Noted, Twice, Valid};

/// The complete ledger of a sender.
fn ledger(way: Way, fate: Fate) -> Vec<(String, u64)> {
    let mut lost = vec![];
    let mut more = vec![];
    let (mut known, mut returned, mut received) = (COUNT, COUNT, COUNT);
    match fate {
        Valid => {}
        Noted(name) => more.push((format!("rx.{name}"), CHANGED)),
        Corrupt(reason) | CorruptOfNoFlow(reason) => {
            more.push(("rx.corrupt".into(), CHANGED));
            more.push((format!("rx.corrupt_reasons.{reason}"), CHANGED));
            lost.push("corrupt");
        }
        Foreign(reason) => {
            more.push(("rx.foreign".into(), CHANGED));
            more.push((format!("rx.foreign_reasons.{reason}"), CHANGED));
            lost.push(if way == Forth { "forward" } else { "return" });
        }
        Ignored => lost.push("forward"),
        LastHop => {
            more.push(("reflector.ttl".into(), CHANGED));
            lost.push("reflector");
        }
        Twice => {
            more.push(("rx.duplicate".into(), CHANGED));
            received += CHANGED;
        }
    }
    match (way, fate) {
        (Forth, Foreign(_) | CorruptOfNoFlow(_)) => {
            (known, returned) = (COUNT - CHANGED, COUNT - CHANGED);
        }
        (_, Ignored) => {
            (known, returned, received) = (COUNT - CHANGED, COUNT - CHANGED, COUNT - CHANGED);
        }
        (_, LastHop) => (returned, received) = (COUNT - CHANGED, COUNT - CHANGED),
        (Forth, Twice) => (known, returned) = (COUNT + CHANGED, COUNT + CHANGED),
        _ => {}
    }
    more.extend(lost.iter().map(|place| (format!("lost.{place}"), CHANGED)));
    more.extend((!lost.is_empty()).then(|| ("lost.total".into(), CHANGED)));
    let valid = if lost.is_empty() { COUNT } else { COUNT - CHANGED };
    let all = [
        ("tx.due", COUNT),
        ("tx.sent", COUNT),
        ("rx.received", received),
        ("rx.valid", valid),
        ("reflector.received", known),
        ("reflector.sent", returned),
    ];
    more.extend(all.map(|(key, count)| (key.into(), count)));
    more
}

const REFLECT: &str = "reflect -q";

/// The options of the sender; its packets differ in size from the questions to the reflector.
fn sendrecv(flow: &str) -> String {
    format!(
        "sendrecv {flow} --dest-mac {} --count {COUNT} --rate 10k --catch-up {COUNT} \
         --packet-size 100 --dscp ef --ecn ect0 --reflector-seq --drain 0.3 -q",
        Memif::REFLECTOR_MAC
    )
}

fn meddle(options: &str) -> String {
    format!("meddle -q -p {{0}} -p {{1}} {options}")
}

/// The results of a sender and a reflector, joined by a forwarder with these options.
fn over_memif(options: &str, flow: &str) -> [Outcome; 3] {
    Memif::repeat_if_it_dies(|| {
        let [near, far] = [Memif::new(), Memif::new()];
        let reflector = far.reflect_by(Program::new(&format!("{REFLECT} -r 2")).summed_up());
        let line = meddle(&format!("{options} -r 2 -t 2"));
        let line = line.replace("{0}", "net_memif0").replace("{1}", "net_memif1");
        let forwarder = Program::with_test_modes(&line)
            .vdev(near.end(0, "server", "02:00:00:00:00:03"))
            .vdev(far.end(1, "client", "02:00:00:00:00:04"))
            .summed_up()
            .undisturbed()
            .start_polling();
        let sender = near.client("client", &format!("{} -r 2 -t 2", sendrecv(flow)));
        let sent = sender.summed_up().run();
        [sent, forwarder.finish_by(Signal::Term), reflector.finish_by(Signal::Term)]
    })
}

/// The changes, to what they are made and where, and what becomes of them.
fn assert_fates(cases: &[(&str, &str, &[Way], Fate)]) {
    for (how, flow, ways, fate) in cases {
        for way in *ways {
            let options =
                format!("--how {how} --size 100 --way {}", format!("{way:?}").to_lowercase());
            let [sent, ..] = over_memif(&options, flow);
            println!("{how}, {way:?}, {flow}: {fate:?}");
            assert_ledger(&sent, &ledger(*way, *fate));
        }
    }
}

fn assert_ledger(sent: &Outcome, expected: &[(String, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(key, count)| (key.as_str(), *count)).collect();
    sent.summary().assert_ledger(&expected);
}

const BOTH: &[Way] = &[Forth, Back];

/// Behind the end of the datagram nobody looks; shorter ones are damaged, even if their headers are right.
#[test]
fn padded_and_trimmed() {
    assert_fates(&[
        ("pad", V4, BOTH, Valid),
        ("cut", V4_VLAN, &[Forth], Ignored),
        ("cut", V6, &[Back], Corrupt("length")),
        ("shorten", V4, &[Back], Corrupt("length")),
        ("shorten", V6_VLANS, &[Forth], Corrupt("length")),
    ]);
}

#[test]
fn tagged_and_tagged_anew() {
    assert_fates(&[
        ("retag", V4_VLAN, BOTH, Foreign("vlan")),
        ("retag", V6_VLANS, &[Back], Foreign("vlan")),
        ("reprioritise", V4_VLAN, &[Forth], Valid),
        ("tag", V4, &[Forth], Foreign("vlan")),
        ("tag", V4_VLAN, &[Back], Foreign("vlan")),
        ("untag", V6_VLANS, BOTH, Foreign("vlan")),
    ]);
}

/// With right checksums, packets with other addresses are other packets; with stale ones they are ours.
#[test]
fn with_other_addresses() {
    assert_fates(&[
        ("elsewhere", V6, BOTH, Foreign("other_address")),
        ("readdress", V4, BOTH, CorruptOfNoFlow("ipv4_checksum")),
        ("readdress", V6, &[Back], CorruptOfNoFlow("udp_checksum")),
        // A NAT that forgets every fourth packet.
        ("nat", V4_VLAN, BOTH, Foreign("other_address")),
    ]);
}

/// What a NAT or two networks with other VLAN IDs do, they undo on the way back.
#[test]
fn changed_and_changed_back() {
    for (how, flow) in [("nat", V4), ("nat", V6), ("retag", V4_VLAN), ("retag", V6_VLANS)] {
        let [sent, ..] = over_memif(&format!("--how {how} --every 1"), flow);
        assert_ledger(&sent, &ledger(Forth, Valid));
        assert!(sent.summary().value("reflector.why_unknown").is_null(), "{}", sent.summary());
    }
}

/// A missing checksum is legal over IPv4, and an error over IPv6.
#[test]
fn without_or_with_wrong_checksums() {
    assert_fates(&[
        ("clear-checksum", V4, BOTH, Noted("no_udp_checksum")),
        ("clear-checksum", V6_VLANS, &[Back], Corrupt("udp_checksum")),
        ("flip", V4_VLAN, &[Forth], Corrupt("filler")),
    ]);
}

#[test]
fn with_another_ttl_and_tos() {
    assert_fates(&[
        ("ttl", V6, &[Forth], Valid),
        // Only IPv4 has a checksum of it.
        ("stale-ttl", V4, &[Forth], Corrupt("ipv4_checksum")),
        ("stale-ttl", V6, &[Back], Valid),
        ("last-hop", V4, &[Forth], LastHop),
        ("last-hop", V6_VLANS, &[Forth], LastHop),
        ("tos", V4_VLAN, &[Back], Noted("dscp_changed")),
        ("congestion", V6, &[Forth], Noted("ecn_changed")),
    ]);
}

/// The copy takes another queue than the packet, both at the reflector and at the receiver.
#[test]
fn duplicated_on_another_queue() {
    assert_fates(&[("duplicate", V4, BOTH, Twice), ("duplicate", V6_VLANS, &[Back], Twice)]);
}

/// Both ends in a namespace of their own, and the forwarder between them in a third one. Here a socket may
/// run over, which its port counts.
#[test]
fn between_two_namespaces() {
    let namespaces = [Namespace::new(), Namespace::new(), Namespace::new()];
    let namespaces = namespaces.map(|one| one.map_err(|error| println!("SKIPPED: {error}")));
    let [Ok(near), Ok(between), Ok(far)] = namespaces else { return };
    for (end, ours, theirs) in [(&near, "near", "left"), (&far, "far", "right")] {
        end.ip(&format!("link add {ours} type veth peer name {theirs}"));
        end.move_to(theirs, &between);
        end.ip(&format!("link set dev {ours} up"));
        between.ip(&format!("link set dev {theirs} up"));
    }
    let vdev = |index: usize, interface: &str| format!("net_af_packet{index},iface={interface}");
    for (how, way, flow, fate) in [
        ("pad", Back, V4, Valid),
        ("shorten", Forth, V4_VLAN, Corrupt("length")),
        ("retag", Back, V4_VLAN, Foreign("vlan")),
        ("elsewhere", Back, V6, Foreign("other_address")),
        ("clear-checksum", Forth, V4, Noted("no_udp_checksum")),
        ("last-hop", Forth, V6, LastHop),
        ("tos", Forth, V4_VLAN, Noted("dscp_changed")),
        ("duplicate", Back, V4, Twice),
    ] {
        let reflector = Program::new(REFLECT).vdev(vdev(0, "far")).inside(&far).summed_up();
        let reflector = reflector.undisturbed().start_polling();
        let way_name = format!("{way:?}").to_lowercase();
        let line = meddle(&format!("--how {how} --size 100 --way {way_name}"));
        let line = line.replace("{0}", "net_af_packet0").replace("{1}", "net_af_packet1");
        let forwarder = Program::with_test_modes(&line)
            .vdev(vdev(0, "left"))
            .vdev(vdev(1, "right"))
            .inside(&between)
            .summed_up()
            .undisturbed()
            .start_polling();
        let program = Program::new(&sendrecv(flow)).vdev(vdev(0, "near")).inside(&near);
        let sent = program.lcores(format!("0@{}", cpu(1))).summed_up().undisturbed().run();
        let passed_on = forwarder.finish_by(Signal::Term).summary();
        let reflected = reflector.finish_by(Signal::Term).summary();
        let missed: u64 =
            [&sent.summary(), &passed_on, &reflected].map(Summary::port_missed).iter().sum();
        println!("{how}, {way:?}, {flow}: {fate:?}, {missed} missed");
        if missed == 0 {
            assert_ledger(&sent, &ledger(way, fate));
        }
    }
}
