//! XDP sockets of the kernel (`net_af_xdp`) at both ends of a veth pair.
//!
//! Needs root and `ip netns`, or is skipped.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};

/// The driver takes 2048 mbufs of a pool for its fill ring from the start, and one more for each packet that it
/// delivers. In the second case, descriptors and bursts alone would make a pool of 2056 mbufs.
#[test]
fn the_driver_never_runs_out_of_mbufs() {
    const COUNT: u64 = 6000;
    if !std::fs::read_to_string("/proc/net/protocols").unwrap_or_default().contains("\nXDP ") {
        return println!("SKIPPED: the kernel has no XDP sockets");
    }
    for descriptors in ["--rx-descriptors 512", "--rx-descriptors 1024 --tx-descriptors 760"] {
        let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
        let device = |interface| format!("net_af_xdp0,iface={interface}");
        let reflector = Program::new(&format!("reflect -q {descriptors}")).summed_up();
        let reflector = reflector.vdev(device(Veth::PEER)).inside(&veth.peer).start_polling();
        let flow = format!("--src {} --dest {}:7", Veth::OUR_IP, Veth::PEER_IP);
        let options = format!("--dest-mac {} --count {COUNT} --rate 5k -q", Veth::PEER_MAC);
        let sender = Program::new(&format!("sendrecv {flow} {options}")).summed_up();
        let sender = sender.vdev(device(Veth::OURS)).lcores(format!("0@{}", cpu(1)));
        let sent = sender.inside(&veth.ours).run().summary();
        let reflected = reflector.finish_by(Signal::Term).summary();
        for summary in [&sent, &reflected] {
            summary.assert_counts(&[("port.rx_nombuf", 0)]);
        }
        // A busy machine leaves packets in the kernel's rings, which it counts.
        let counted = veth.ours.dropped(Veth::OURS) + veth.peer.dropped(Veth::PEER);
        let missed = counted + sent.port_missed() + reflected.port_missed();
        let valid = sent.count("rx.valid");
        assert!(sent.count("tx.sent") <= valid + missed, "{missed} missed: {sent}{reflected}");
        assert!(valid > COUNT / 2, "{sent}");
    }
}
