//! Who waits for whom: a reflector says when it is ready and ends when nobody needs it, and a sender waits
//! for it.
//!
//! All tests here need the same (root, `ip netns`, `ethtool`), so that they run or are skipped together.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program, cpu};
use dpdkproj_e2e::scratch::Scratch;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");
/// An address of no kernel.
const REFLECTOR_IP: &str = "10.9.0.7";
const NO_PEER: i32 = 4;

fn af_packet(number: usize, interface: &str) -> String {
    format!("net_af_packet{number},iface={interface}")
}

/// A sender at our end, whose peer is yet to come.
fn sender(veth: &Veth, options: &str) -> Program {
    let flow = format!("--src {} --dest {REFLECTOR_IP}:7", Veth::OUR_IP);
    Program::new(&format!("sendrecv {flow} -q {options}"))
        .vdev(af_packet(0, Veth::OURS))
        .lcores(format!("0@{}", cpu(1)))
        .inside(&veth.ours)
}

/// Its first port works from the start, and the other one not before there is a peer.
#[test]
fn a_reflector_is_ready_when_all_of_its_ports_are_and_ends_when_idle() {
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let (link, scratch) = (Memif::new(), Scratch::new());
    let socket = UnixDatagram::bind(scratch.path("notify")).unwrap();
    let mut reflector = Program::new("reflect -p net_af_packet0 -p net_memif1 -q --idle-exit 1.5")
        .vdev(af_packet(0, Veth::OURS))
        .vdev(link.end(1, "server", Memif::REFLECTOR_MAC))
        .with_environment([format!("NOTIFY_SOCKET={}", scratch.path("notify").display())])
        .inside(&veth.ours)
        .summed_up()
        .start();
    reflector.wait_for_polling();
    let address = format!("{}:7", Veth::OUR_IP);
    veth.peer.run(PEER, &["client", &address, "10", "64"]);
    assert!(!reflector.stderr().contains("\nready\n"), "a link is down");
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 64]).is_err(), "the service manager was told too early");
    let _peer = link.client("client", "rxonly -q").start();
    reflector.wait_for("\nready\n");
    let ready = Instant::now();
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut told = [0; 64];
    let len = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..len], b"READY=1\n");
    veth.peer.run(PEER, &["client", &address, "10", "64"]);
    let outcome = reflector.finish();
    assert!(ready.elapsed() >= Duration::from_millis(1500), "{:?}", ready.elapsed());
    outcome.summary().assert_counts(&[("rx.received", 20), ("tx.sent", 20)]);
    let lines = outcome.own_lines();
    assert!(lines.iter().any(|line| line.contains("(--idle-exit)")), "{lines:?}");
    assert_eq!(outcome.stderr().matches("\nready\n").count(), 1);
}

/// From the search for its MAC address on.
#[test]
fn a_sender_waits_for_its_peer() {
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let mut waiting = sender(&veth, "--wait-peer 30 --count 1000 --rate 10k").summed_up().start();
    waiting.wait_for("has not answered yet");
    let reflector = Program::new(&format!("reflect --ip {REFLECTOR_IP} -q"))
        .vdev(af_packet(0, Veth::PEER))
        .inside(&veth.peer)
        .start();
    waiting.finish().summary().assert_lossless(1000);
    let reflected = reflector.finish_by(Signal::Term);
    assert!(reflected.stderr().contains("\nready\n"), "{}", reflected.stderr());
}

#[test]
fn a_sender_does_not_wait_for_ever() {
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let mac = format!("--dest-mac {}", Veth::PEER_MAC);
    let silent = sender(&veth, &format!("{mac} --wait-peer 0.5")).run().expect_code(NO_PEER);
    let last = silent.own_lines().last().copied().unwrap_or_default().to_string();
    assert!(last.starts_with("dpdkproj: 10.9.0.7:7 did not answer: check that "), "{last}");
    let absent = sender(&veth, "--wait-peer 0.5").run().expect_code(NO_PEER);
    let last = absent.own_lines().last().copied().unwrap_or_default().to_string();
    assert!(
        last.starts_with("dpdkproj: --dest 10.9.0.7: nobody answered 1 ARP requests"),
        "{last}"
    );
    let line =
        format!("sendrecv --src {} --dest {}:7 --wait-peer 0.5", Veth::PEER_IP, Veth::PEER_IP);
    let sockets = Program::baseline(&line).inside(&veth.peer).run().expect_code(NO_PEER);
    assert!(sockets.stderr().contains("did not answer: check that "), "{}", sockets.stderr());
    // A signal ends the wait at once, and nothing is sent.
    let mut stopped = sender(&veth, &format!("{mac} --wait-peer 600")).summed_up().start();
    stopped.wait_for("does not answer yet");
    stopped.finish_by(Signal::Term).summary().assert_counts(&[("tx.sent", 0)]);
}
