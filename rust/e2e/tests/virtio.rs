//! A real driver with one checksum offload of the two: `net_virtio_user`, and `net_vhost` at the other end.

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};
use dpdkproj_e2e::scratch::Scratch;

/// Each end's memory is mapped by the other.
const SHARED: &str = "--single-file-segments";

/// The other end would drop, or count as corrupt, what is not as virtio wants it. Both ends verify or turn
/// round what `net_vhost` made of it, in either direction.
#[test]
fn virtio_writes_the_udp_checksum_and_software_the_other() {
    let flow = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";
    for (options, udp) in [("", "port"), ("--software-checksums", "software")] {
        let scratch = Scratch::new();
        let socket = scratch.path("s").display().to_string();
        let reflector = Program::new("reflect -q").summed_up().eal(SHARED);
        let reflector = reflector.vdev(format!("net_vhost0,iface={socket}")).start_polling();
        let sender = Program::new(&format!("sendrecv -q {flow} --rate 10k --count 1000 {options}"));
        let device = format!("net_virtio_user0,path={socket},mac=02:00:00:00:00:01");
        let sender = sender.summed_up().eal(SHARED).lcores(format!("0@{}", cpu(1))).vdev(device);
        let sent = sender.run().summary();
        sent.assert_lossless(1000);
        assert_eq!(sent.value("tx.checksums.ipv4"), "software", "{sent}");
        assert_eq!(sent.value("tx.checksums.udp"), udp, "{sent}");
        let reflected = reflector.finish_by(Signal::Term).summary();
        reflected.assert_counts(&[("rx.received", 1000), ("tx.sent", 1000)]);
    }
}
