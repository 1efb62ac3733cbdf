//! Packets of several sizes, sizes of frames, and jumbo frames.

use dpdkproj_e2e::pcap;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Outcome, Program, cpu};
use dpdkproj_e2e::scratch::Scratch;
use std::collections::BTreeMap;

const FLOW: &str = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";

/// Lengths of the frames, without FCS, that `sendrecv` sends on all its queues, and how many there are of
/// each.
fn lengths_sent(queues: usize, options: &str) -> BTreeMap<usize, usize> {
    let scratch = Scratch::new();
    let nothing = scratch.path("nothing.pcap");
    pcap::write::<&[u8]>(&nothing, &[]);
    let sent: Vec<_> = (0..queues).map(|queue| scratch.path(&format!("{queue}.pcap"))).collect();
    let files = sent
        .iter()
        .map(|file| format!(",rx_pcap={},tx_pcap={}", nothing.display(), file.display()));
    let vdev = format!("net_pcap0{}", files.collect::<String>());
    let options = format!("{options} -r {queues} -t {queues} --no-peer-report --drain 0.1");
    let program = Program::new(&format!("sendrecv {FLOW} {options}")).summed_up().vdev(vdev);
    assert!(program.run().summary().is_balanced());
    let mut lengths = BTreeMap::new();
    for frame in sent.iter().flat_map(|file| pcap::read(file)) {
        *lengths.entry(frame.len()).or_default() += 1;
    }
    lengths
}

/// Each size comes exactly as often as its weight says: over whole rounds of a queue, and over the first
/// round of all queues together.
#[test]
fn a_mix_is_exact_on_the_wire() {
    let mix = "--frame-size 64:7,594:4,1518:1";
    for (queues, rounds) in [(1, 10), (2, 1), (2, 10), (4, 1)] {
        let sent = lengths_sent(queues, &format!("{mix} --count {}", 12 * rounds));
        let expected = [(60, 7 * rounds), (590, 4 * rounds), (1514, rounds)];
        assert_eq!(sent, BTreeMap::from(expected), "{queues} queues");
    }
    // With headers of 42 bytes.
    let sent = lengths_sent(1, "--packet-size 18:1,1000:2 --count 30");
    assert_eq!(sent, BTreeMap::from([(60, 10), (1042, 20)]));
}

/// Verified byte for byte, through every layout of headers and payloads, with several queues.
#[test]
fn a_mix_comes_back_intact() {
    const COUNT: u64 = 6000;
    let v4 = "--src 10.0.0.1 --dest 10.0.0.2:7";
    let v6 = "--src fd00::1 --dest [fd00::2]:7";
    for (addresses, options) in [
        (v4, "--frame-size 64:7,594:4,1518:1"),
        (v4, "--frame-size 64:7,594:4,1518:1 --offload off"),
        (v4, "--packet-size 16:1,17:3"),
        (v6, "--packet-size 34:3,500:1,35:2,1452:5 --vlan 10,5 --reflector-seq"),
    ] {
        let options = format!("{options} --count {COUNT} --rate 50k -r 2 -t 2");
        let [sent, reflected] = Memif::measure("-r 2", |link| {
            link.sendrecv_to("client", addresses, &options).measured(10).run()
        });
        let [summary, reflected] = [&sent, &reflected].map(Outcome::summary);
        summary.assert_lossless(COUNT);
        assert_eq!(sent.table().sum(|row| row.rx), COUNT);
        assert_eq!(reflected.count("rx.foreign"), 0, "{reflected}");
    }
}

/// Corruption is found whatever the size of a packet.
#[test]
fn corruption_of_a_mix_is_found() {
    let options = "--packet-size 18:5,300:1,1472:1 --count 7000 --rate 50k";
    let impair = "--impair corrupt=0.1,drop=0.1,duplicate=0.1";
    let [sent, reflected] =
        Memif::measure(impair, |link| link.sendrecv(options).measured(10).run());
    sent.summary().assert_knows(impair, &reflected.summary());
}

/// Frames that the usual MTU has no room for, in one direction and back.
#[test]
fn jumbo_frames_come_back_where_both_ends_have_the_mtu() {
    const COUNT: u64 = 1500;
    for (mtu, segmented) in [("--mtu 9000", 0), ("", COUNT / 3)] {
        let scratch = Scratch::new();
        let socket = scratch.path("s").display().to_string();
        // Each end's memory is mapped by the other.
        let shared = "--single-file-segments";
        let reflector = Program::new(&format!("reflect -q {mtu}")).summed_up().eal(shared);
        let reflector = reflector.vdev(format!("net_vhost0,iface={socket}")).start_polling();
        let options = format!("--mtu 9000 --packet-size 8972:1,64:2 --count {COUNT} --rate 5k");
        let sender = Program::new(&format!("sendrecv -q {FLOW} {options}")).summed_up();
        let device = format!("net_virtio_user0,path={socket},mac=02:00:00:00:00:01");
        let sender = sender.eal(shared).lcores(format!("0@{}", cpu(1))).vdev(device);
        let sent = sender.run().summary();
        let reflected = reflector.finish_by(Signal::Term).summary();
        reflected.assert_counts(&[
            ("rx.received", COUNT),
            ("tx.sent", COUNT - segmented),
            ("rx.foreign_reasons.segmented", segmented),
        ]);
        sent.assert_counts(&[
            ("tx.sent", COUNT),
            ("rx.valid", COUNT - segmented),
            ("lost.reflector", segmented),
        ]);
        assert!(sent.is_balanced(), "{sent}");
    }
}

#[test]
fn an_mtu_that_the_port_cannot_have_is_refused() {
    for mode in [format!("sendrecv {FLOW}"), "reflect".into()] {
        let link = Memif::new();
        let program = Program::new(&format!("{mode} --mtu 9000")).vdev(link.end(
            0,
            "server",
            "02:00:00:00:00:01",
        ));
        let outcome = program.run().expect_code(2);
        let said = "--mtu 9000: the port's MTU can be from";
        assert!(outcome.stderr().contains(said), "{outcome:?}");
    }
}
