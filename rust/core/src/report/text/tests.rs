use super::*;
use crate::count::Departures;
use crate::report::loss::tests::report;
use crate::report::outcome::tests::outcome;

#[test]
fn packets_that_waited_are_told() {
    let mut outcome = outcome();
    outcome.meaning = Meaning::Returns;
    assert!(!summary(&outcome).contains("waited"));
    outcome.totals.counts[Counter::Waited] = 1234;
    let waited = "\nwaited    1,234 of the sent ones, for room in a tx queue\n";
    assert!(summary(&outcome).contains(waited));
    outcome.meaning = Meaning::Measures;
    outcome.peer = Peer::Counted(report(&[(Counter::Sent, 9), (Counter::Waited, 4)]));
    assert!(summary(&outcome).contains("\nreflector received 0  sent 9  waited 4\n"));
}

#[test]
fn the_summary_reads_well() {
    assert_eq!(
        summary(&outcome()),
        "--- sendrecv: 2.000 s ---\n\
         rate      tx 500.0 pps (requested 505.0 pps)  rx 498.5 pps\n\
         lost      3 (0.300 %): forward path unknown, reflector's NIC unknown, reflector unknown, return path unknown, corrupt 1, late 1, of unknown place 1 (the reflector did not answer)\n\
         due       1,010 = sent 1,000 + not sent 10 (pacer_shortfall 4, tx_queue_full 6)  sent late 5 (by more than 1 ms)\n\
         received  1,005 = valid 997 + duplicate 2 + corrupt 1 (tag 1) + foreign 4 (arp 4) + late 1\n\
         pacing    within 64 ns 97.097 %  128 ns 98.098 %  256 ns 99.099 %  512 ns 99.600 %  micro-bursts 3 (0.300 %), 2 after stalls of the lcore\n\
         latency   min 500 ns  mean 1.00 us  p50 -  p99 -  p99.9 -  max 2.00 ms  (round trip since sent)\n\
         jitter    0 ns  (RFC 3550)\n\
         order     reordered 7 (0.702 %)\n\
         queues    tx0 1,000  rx0 1,005\n\
         lcores    stalls 4 (longest 40.00 us, 70.00 us in all)  host steal 10 ms\n\
         bottleneck: sender, tx queue 0: pacer_shortfall 4, tx_queue_full 6\n\
         port      ierrors 0  imissed 0  rx_nombuf 0\n\
         ledger    balanced: every packet is accounted for"
    );
}

#[test]
fn what_a_mode_counts_by_itself_is_told() {
    let text = summary(&crate::report::outcome::tests::forwarding());
    let told = "\nreceived  20 = sent 6 + tx_queue_full 1 + overflow 3 + dropped 10 (decimated 8)\n\
                counted   odd 5\n";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("\nlost      4 (40.000 %)\n"), "{text}");
    assert!(text.ends_with("\nledger    balanced: every packet is accounted for"), "{text}");
}

#[test]
fn what_is_less_sure_than_it_looks_is_told() {
    let mut outcome = outcome();
    outcome.totals.counts[Counter::NoUdpChecksum] = 12;
    outcome.totals.counts[Counter::DscpChanged] = 1200;
    outcome.totals.counts[Counter::EcnChanged] = 3;
    outcome.totals.counts[Counter::LateForgotten] = 1;
    let text = summary(&outcome);
    assert!(
        text.contains(
            "\n          12 of the valid ones came without a UDP checksum\n          \
             1,200 of the valid ones came back with another DSCP\n          \
             3 of the valid ones came back with another ECN field\n          \
             1 of the late ones may be duplicates: they are too old to tell\n"
        ),
        "{text}"
    );
}

#[test]
fn answers_from_another_address_are_named() {
    let mut outcome = outcome();
    outcome.ends = Some(
        [([10, 0, 0, 1], 10000), ([10, 0, 0, 2], 7)]
            .map(|(ip, port)| std::net::SocketAddr::new(ip.into(), port)),
    );
    assert!(!summary(&outcome).contains("bear our tag"));
    outcome.totals.counts[Counter::ForeignAddress] = 4321;
    for (from, said) in [
        (
            "10.0.0.9:7",
            "came from 10.0.0.9:7, not from 10.0.0.2:7: the peer answers from that address",
        ),
        ("10.0.0.1:10003", "came from 10.0.0.1:10003, as they were sent"),
        ("10.0.0.2:7", "came from 10.0.0.2:7, but not to the UDP port at 10.0.0.1"),
    ] {
        outcome.notes.other_address = Some(from.parse().unwrap());
        let text = summary(&outcome);
        assert!(
            text.contains(&format!("4,321 of the foreign ones have our tag and {said}")),
            "{text}"
        );
    }
}

#[test]
fn what_does_not_balance_says_so() {
    let mut outcome = outcome();
    outcome.totals.lost += 1;
    assert!(summary(&outcome).contains("NOT BALANCED: sent = valid + lost: 1000 is not 1001"));
}

#[test]
fn pacing_is_told_where_there_is_a_schedule() {
    let mut outcome = outcome();
    outcome.departures = Some(Departures { stalls: 1, ..Departures::default() });
    outcome.steal_ms = None;
    let text = summary(&outcome);
    assert!(text.contains("within 64 ns -  128 ns -"), "{text}");
    assert!(text.contains("micro-bursts 0\n"), "{text}");
    assert!(text.contains("0 ns in all)  host steal unknown\n"), "{text}");
    outcome.departures = Some(Departures {
        gaps: 9,
        micro_bursts: 2,
        micro_bursts_after_stall: 2,
        ..Departures::default()
    });
    assert!(summary(&outcome).contains("micro-bursts 2 (22.222 %), all after stalls of the lcore"));
    outcome.departures = None;
    let text = summary(&outcome);
    assert!(text.contains("\npacing    by the port: "), "{text}");
    assert!(!text.contains("lcores"), "{text}");
    outcome.requested_pps = None;
    assert!(!summary(&outcome).contains("pacing"));
    outcome.steal_ms = Some(0);
    assert!(summary(&outcome).contains("lcores    host steal 0 ms\n"));
}
