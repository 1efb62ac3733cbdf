//! A real driver with two offloads of three (UDP checksum, VLAN tag): `net_virtio_user`, and `net_vhost` at the other end.

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};
use dpdkproj_e2e::results::Summary;
use dpdkproj_e2e::scratch::Scratch;

/// Each end's memory is mapped by the other.
const SHARED: &str = "--single-file-segments";

/// The other end would drop, or count as corrupt, what is not as virtio wants it. Both ends verify or turn
/// round what `net_vhost` made of it, in either direction.
#[test]
fn virtio_writes_the_udp_checksum_and_software_the_other() {
    let flow = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";
    for (options, udp) in
        [("", "port"), ("--offload off", "software"), ("--software-checksums", "software")]
    {
        let sent = measure(&format!("{flow} {options}"));
        assert_eq!(sent.value("tx.checksums.ipv4"), "software", "{sent}");
        assert_eq!(sent.value("tx.checksums.udp"), udp, "{sent}");
    }
}

/// The tag that the port inserts is the one that comes back.
#[test]
fn virtio_inserts_the_vlan_tag_if_asked() {
    let flow = "--src fd00::1 --dest [fd00::2]:7 --dest-mac 02:00:00:00:00:02";
    for (options, tag) in [("--offload on", "port"), ("--offload auto", "software")] {
        let sizes = "--packet-size 18:1,1452:1";
        let sent = measure(&format!("{flow} --vlan 7 {sizes} {options}"));
        assert_eq!(sent.value("tx.vlan_tag"), tag, "{sent}");
        assert_eq!(sent.value("tx.checksums.udp"), "port", "{sent}");
    }
}

#[test]
fn what_virtio_cannot_do_is_refused_if_asked() {
    let scratch = Scratch::new();
    let socket = scratch.path("s").display().to_string();
    let reflector = Program::new("reflect -q").eal(SHARED);
    let reflector = reflector.vdev(format!("net_vhost0,iface={socket}")).start_polling();
    let options = "--src 10.0.0.1 --dest 10.0.0.2:7 --vlan 7 --offload on";
    let device = format!("net_virtio_user0,path={socket}");
    let outcome = Program::new(&format!("sendrecv {options}")).eal(SHARED).vdev(device).run();
    let outcome = outcome.expect_code(2);
    let said = "--offload on: port 0 (net_virtio_user) cannot write the IPv4 checksum; give";
    assert!(outcome.stderr().contains(said), "{outcome:?}");
    let _ = reflector.finish_by(Signal::Term);
}

/// What `sendrecv` finds with `net_virtio_user` if `net_vhost` reflects every packet.
fn measure(options: &str) -> Summary {
    let scratch = Scratch::new();
    let socket = scratch.path("s").display().to_string();
    let reflector = Program::new("reflect -q").summed_up().eal(SHARED);
    let reflector = reflector.vdev(format!("net_vhost0,iface={socket}")).start_polling();
    let sender = Program::new(&format!("sendrecv -q --rate 10k --count 1000 {options}"));
    let device = format!("net_virtio_user0,path={socket},mac=02:00:00:00:00:01");
    let sender = sender.summed_up().eal(SHARED).lcores(format!("0@{}", cpu(1))).vdev(device);
    let sent = sender.run().summary();
    sent.assert_lossless(1000);
    let reflected = reflector.finish_by(Signal::Term).summary();
    reflected.assert_counts(&[("rx.received", 1000), ("tx.sent", 1000)]);
    sent
}
