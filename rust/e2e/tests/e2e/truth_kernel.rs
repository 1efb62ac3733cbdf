//! Known in, known out, with the Linux kernel between the two, or at the other end.
//!
//! All tests here need the same (root, `ip netns`, `ethtool`), so that they run or are skipped
//! together.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::pressure::Pressure;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};
use std::ops::RangeInclusive;
use std::time::Instant;

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");

/// One flow: others may overtake each other.
fn sendrecv_on(veth: &Veth, options: &str) -> Program {
    let (src, dest, mac) = (Veth::OUR_IP, "10.9.0.99:7", Veth::PEER_MAC);
    Program::new(&format!(
        "sendrecv --src {src} --dest {dest} --dest-mac {mac} -q --src-port-range 7-7 {options}"
    ))
    .vdev(format!("net_af_packet0,iface={}", Veth::OURS))
    .inside(&veth.ours)
    .lcores(format!("0@{}", cpu(1)))
    .undisturbed()
}

fn reflect_on(veth: &Veth, options: &str) -> Program {
    reflect_with_ring(veth, options, "")
}

fn reflect_with_ring(veth: &Veth, options: &str, ring: &str) -> Program {
    Program::new(&format!("reflect -q {options}"))
        .vdev(format!("net_af_packet0,iface={}{ring}", Veth::PEER))
        .inside(&veth.peer)
        .undisturbed()
}

#[test]
fn the_matrix_over_the_kernel() {
    for impair in ["drop=0.01,duplicate=0.02,reorder=0.04:2,delay=1ms", "drop=1", "reorder=0.5:1"] {
        let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
        let options = format!("--impair {impair} --impair-seed 3");
        let reflector = reflect_on(&veth, &options).summed_up().start_polling();
        let sent =
            sendrecv_on(&veth, "--rate 10k --count 10000 --reflector-seq").measured(100).run();
        let reflected = reflector.finish_by(Signal::Term);
        sent.summary().assert_knows(impair, &reflected.summary());
    }
}

/// `net_af_packet` has the kernel put fragments together: a packet in which a bit was flipped that
/// makes it look like one never gets to the port. All others must.
#[test]
fn corruption_over_the_kernel_is_found_but_for_what_it_takes_for_fragments() {
    const COUNT: u64 = 10_000;
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let reflector = reflect_on(&veth, "--impair corrupt=1").summed_up().start_polling();
    let sent = sendrecv_on(&veth, "--rate 10k --count 10000").measured(100).run();
    let reflected = reflector.finish_by(Signal::Term).summary();
    let summary = sent.summary();
    let [received, missed_there] = ["rx.received", "port.imissed"].map(|key| reflected.count(key));
    assert!(received <= COUNT && COUNT <= received + missed_there, "{reflected}");
    reflected.assert_counts(&[("impaired.corrupted", received), ("tx.sent", received)]);
    // What a ring had no room for is told apart from what the kernel swallowed.
    let swallowed = summary.count("lost.return");
    let missed = ["nic", "reflector_nic"].map(|place| summary.count(&format!("lost.{place}")));
    let came_back = COUNT - swallowed - missed[0] - missed[1];
    // Of a port that delivers unfinished checksums, one in 65536 whose tag is wrong has a checksum
    // that looks like that: it may be anybody's then, and nothing of it came back to us.
    assert!(summary.count("rx.foreign") <= 2, "{summary}");
    summary.assert_counts(&[
        ("rx.valid", 0),
        ("rx.corrupt", came_back),
        ("lost.corrupt", came_back),
        ("lost.forward", 0),
    ]);
    // "More fragments" and 13 bits of offset, of the 92 bytes behind the Ethernet header.
    let expected = COUNT * 14 / (92 * 8);
    assert!(swallowed < 2 * expected, "{swallowed} of {COUNT}: {summary}");
}

/// The kernel's echo cannot say what it got: unknown, not zero.
#[test]
fn a_peer_that_cannot_answer_leaves_the_place_unknown() {
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let address = format!("{}:7", Veth::PEER_IP);
    let mut echo = veth.peer.start(PEER, &["echo", &address]);
    echo.wait_for_stdout("ready");
    let (ip, mac) = (Veth::OUR_IP, Veth::PEER_MAC);
    let flow = format!("--src {ip} --dest {address} --dest-mac {mac}");
    let outcome =
        Program::new(&format!("sendrecv {flow} --rate 2k --count 500 -q --reflector-seq"))
            .vdev(format!("net_af_packet0,iface={}", Veth::OURS))
            .inside(&veth.ours)
            .measured(100)
            .run();
    let summary = outcome.summary();
    let missed = summary.count("lost.nic") + veth.peer.dropped(Veth::PEER);
    summary.assert_counts(&[("tx.sent", 500), ("rx.valid", 500 - missed), ("lost.total", missed)]);
    for place in ["forward", "reflector", "return"] {
        assert!(summary.value(&format!("lost.{place}")).is_null(), "{summary}");
    }
    assert_eq!(summary.value("reflector.why_unknown"), "the peer only echoes");
    assert!(summary.value("latency_ns.network").is_null(), "{summary}");
}

/// The driver does not ask the kernel what its ring had no room for.
#[test]
fn what_a_ring_had_no_room_for_is_told_of_the_port() {
    const RING: &str = ",framesz=2048,blocksz=4096,framecnt=64";
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let mut reflector = reflect_with_ring(&veth, "", RING).summed_up().start_polling();
    let options = "--rate 5k --duration 2 --stats-evict-threshold-secs 5";
    let mut sender = sendrecv_on(&veth, options).measured(100).start();
    sender.wait_for_polling();
    reflector.signal(Signal::Stop);
    std::thread::sleep(std::time::Duration::from_millis(500));
    reflector.signal(Signal::Cont);
    let summary = sender.finish().summary();
    let reflected = reflector.finish_by(Signal::Term).summary();
    let missed = reflected.count("port.imissed");
    // Half a second less a ring, and more where the machine is busy.
    assert!(missed > 1000, "{reflected}");
    // Questions that came meanwhile had no room either.
    let unanswered = summary.count("tx.control") - summary.count("rx.control");
    let missed = missed - unanswered;
    summary.assert_counts(&[
        ("lost.total", missed + summary.count("lost.nic")),
        ("lost.reflector_nic", missed),
        ("lost.forward", 0),
        ("lost.return", 0),
    ]);
}

/// Killed, and started again: what is told of the blackout agrees with the clock on the wall to
/// within an interval.
#[test]
fn a_reflector_that_is_killed_is_a_blackout_with_its_start_and_length() {
    const INTERVAL_MS: u32 = 100;
    // 13 ms at 5 kpps: what waits in it while nobody polls yet is not lost.
    const RING: &str = ",framesz=2048,blocksz=4096,framecnt=64";
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let pressure = Pressure::new();
    let first = reflect_with_ring(&veth, "", RING).start_polling();
    let sender = sendrecv_on(&veth, "--rate 5k --duration 4");
    let mut sender = sender.measured(INTERVAL_MS).start();
    sender.wait_for_polling();
    let began = Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(900));
    // What happens between two looks at the clock happens at some time between them.
    let elapsed = || began.elapsed().as_secs_f64();
    let before_kill = elapsed();
    let _ = first.finish_by(Signal::Kill);
    let killed = before_kill..=elapsed();
    let before_again = elapsed();
    let second = reflect_with_ring(&veth, "", RING).start_polling();
    let again = before_again..=elapsed();
    let outcome = sender.finish();
    let _ = second.finish_by(Signal::Term);
    let summary = outcome.summary();
    let [start, length] =
        ["start_s", "duration_s"].map(|key| summary.number(&format!("loss_runs.longest.{key}")));
    println!("killed {killed:.3?}, again {again:.3?}: from {start:.3} s, {length:.3} s long");
    let within = f64::from(INTERVAL_MS) / 1000.0;
    let agrees = |told: f64, seen: &RangeInclusive<f64>| {
        (seen.start() - within..=seen.end() + within).contains(&told)
    };
    let ends = start + length;
    let what = format!("from {start} to {ends} s, for {killed:?} to {again:?}: {summary}");
    if !pressure.holds(agrees(start, &killed) && agrees(ends, &again), &what) {
        return;
    }
    assert!(summary.value("lost.forward").is_null(), "{summary}");
    let why = "the reflector was restarted or has forgotten this flow";
    assert_eq!(summary.value("reflector.why_unknown"), why, "{summary}");
    // All intervals in between say that all was lost.
    let dark = |row: &&dpdkproj_e2e::results::Row| row.loss_ratio == Some(1.0);
    let table = outcome.table();
    let dark: Vec<_> = table.rows.iter().filter(dark).map(|row| row.time_ms).collect();
    let dark_s = f64::from(INTERVAL_MS) * dark.len() as f64 / 1000.0;
    assert!(dark_s <= length && length < dark_s + 2.0 * within, "{dark:?} for {length} s");
    assert!(dark.is_sorted_by(|a, b| b - a == u64::from(INTERVAL_MS)), "{dark:?}");
}
