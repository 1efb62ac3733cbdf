//! Two processes joined by shared memory (`net_memif`): the experiment with two VMs, in one box.

use dpdkproj_e2e::program::Memif;
use dpdkproj_e2e::results::Summary;

/// Nothing but these packets arrived at the reflector, and all went back.
fn assert_all_reflected(summary: &Summary, count: u64) {
    summary.assert_counts(&[
        ("rx.received", count),
        ("rx.foreign", 0),
        ("tx.sent", count),
        ("tx.not_sent", 0),
    ]);
}

#[test]
fn every_packet_comes_back_valid() {
    // The reflector ends by itself as well: at the last packet.
    let [sent, reflected] = Memif::measure("--count 20000", |link| {
        link.sendrecv("--count 20000 --rate 100k").measured(10).run()
    });
    sent.summary().assert_lossless(20_000);
    assert_eq!(sent.table().sum(|row| row.rx), 20_000);
    assert_all_reflected(&reflected.summary(), 20_000);
}

/// Around the header (16 bytes), the filler's offset (18) and what an MTU of 1500 holds.
#[test]
fn every_size_is_verified() {
    for size in [16, 17, 18, 19, 64, 1471, 1472] {
        let options = format!("--count 2000 --rate 50k -q --packet-size {size}");
        let [sent, reflected] =
            Memif::measure("", |link| link.sendrecv(&options).summed_up().run());
        sent.summary().assert_lossless(2000);
        assert_all_reflected(&reflected.summary(), 2000);
    }
}

#[test]
fn every_queue_has_its_own_way_there_and_back() {
    let options = "--count 20001 --rate 50k -r 2 -t 2 --src-port-range 1-3";
    let [sent, reflected] =
        Memif::measure("-r 2 -t 2", |link| link.sendrecv(options).measured(10).run());
    sent.summary().assert_lossless(20_001);
    assert_eq!(sent.table().sum(|row| row.rx), 20_001);
    assert_all_reflected(&reflected.summary(), 20_001);
}

/// Whose CPU is taken away for some ms finds its ring full, and the other one waits.
#[test]
fn as_fast_as_it_goes_no_packet_is_lost() {
    let [sent, reflected] = Memif::measure("", |link| {
        link.sendrecv("-q --duration 2 --stats-interval-ms 10").summed_up().run()
    });
    let [sent, reflected] = [sent.summary(), reflected.summary()];
    let count = sent.count("tx.sent");
    println!("{count} sent, {} waited", reflected.count("tx.waited"));
    sent.assert_lossless(count);
    assert_all_reflected(&reflected, count);
}

#[test]
fn a_sender_without_a_peer_gives_up() {
    let outcome =
        Memif::new().sendrecv_as("server", "--duration 1 --wait-link 0.5").run().expect_code(1);
    let lines = outcome.own_lines();
    let said = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(said("link has been down") && said("start the peer first"), "{lines:?}");
    assert!(!said("runs on port"), "{lines:?}");
}
