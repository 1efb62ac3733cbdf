//! The Linux kernel at the other end of a veth pair, over XDP sockets (`net_af_xdp`).
//!
//! Needs root, `ip netns`, `ethtool` and a kernel with XDP sockets, or is skipped.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::program::Program;
use std::fs;

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");
const PROTOCOLS: &str = "/proc/net/protocols";

/// The driver takes 2048 mbufs for the kernel at once, more than sendrecv's default of descriptors
/// needs.
#[test]
fn the_kernel_answers_sendrecv_with_the_default_of_descriptors() {
    const COUNT: u64 = 500;
    let protocols = fs::read_to_string(PROTOCOLS).unwrap_or_default();
    if !protocols.lines().any(|line| line.starts_with("XDP ")) {
        println!("SKIPPED: the kernel has no XDP sockets ({PROTOCOLS})");
        return;
    }
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let address = format!("{}:7", Veth::PEER_IP);
    let mut echo = veth.peer.start(PEER, &["echo", &address]);
    echo.wait_for_stdout("ready");
    let flow = format!("--src {} --dest {address} --dest-mac {}", Veth::OUR_IP, Veth::PEER_MAC);
    let options = format!("--count {COUNT} --rate 2k -q --no-peer-report");
    let vdev = format!("net_af_xdp0,iface={}", Veth::OURS);
    let program = Program::new(&format!("sendrecv {flow} {options}")).vdev(vdev);
    let outcome = program.inside(&veth.ours).summed_up().run();
    let missed = veth.peer.dropped(Veth::PEER) + outcome.summary().count("lost.nic");
    outcome.summary().assert_counts(&[
        ("tx.sent", COUNT),
        ("rx.valid", COUNT - missed),
        ("lost.total", missed),
        ("rx.corrupt", 0),
    ]);
    assert!(missed < COUNT, "nothing came back");
}
