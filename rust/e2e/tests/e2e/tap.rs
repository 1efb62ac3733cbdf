//! The Linux kernel at the other end of `net_tap`, whose driver takes over checksums: what we ask
//! for per packet is right if the kernel accepts what comes of it.
//!
//! Needs root, `ip netns` and `/dev/net/tun`, or is skipped.

use dpdkproj_e2e::netns::Namespace;
use dpdkproj_e2e::program::Program;
use std::fs::File;

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");
/// The flow, and the prefix of the kernel's counters.
const FLOWS: [(&str, &str, &str); 2] =
    [("10.9.0.1", "10.9.0.2:7", ""), ("fd00:9::1", "[fd00:9::2]:7", "Udp6")];
/// Of the kernel's interface, too: the driver gives it its own.
const MAC: &str = "02:00:00:00:00:05";

/// A namespace with an interface that is there before the program is, so that it has its address
/// in time.
fn tap() -> Result<Namespace, String> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map_err(|error| error.to_string())?;
    let namespace = Namespace::new()?;
    namespace.ip("tuntap add dev tap mode tap multi_queue");
    // The driver takes it down and up again, which neighbours would not survive. Without ARP the
    // kernel sends to any MAC address, and we take what comes.
    namespace.ip("link set tap arp off up");
    namespace.ip("address add 10.9.0.2/24 dev tap");
    namespace.ip("link set tap addrgenmode none");
    // Going down would cost it its IPv6 address.
    for (key, value) in [("keep_addr_on_down", 1), ("disable_ipv6", 0)] {
        let path = format!("/proc/sys/net/ipv6/conf/tap/{key}");
        namespace.run("sh", &["-c", &format!("echo {value} > {path}")]);
    }
    namespace.ip("address add fd00:9::2/64 dev tap nodad");
    Ok(namespace)
}

#[test]
fn the_kernel_accepts_checksums_of_either_kind() {
    const COUNT: u64 = 700;
    let namespace = match tap() {
        Ok(namespace) => namespace,
        Err(reason) => return println!("SKIPPED: {reason}"),
    };
    let sizes = [16, 17, 64];
    for (src, dest, counters) in FLOWS {
        let mut echo = namespace.start(PEER, &["echo", dest]);
        echo.wait_for_stdout("ready");
        for size in sizes {
            for checksums in ["", "--software-checksums"] {
                let flow = format!("--src {src} --dest {dest} --dest-mac {MAC}");
                let options =
                    format!("--rate 2k --count {COUNT} --packet-size {size} -q {checksums}");
                let program = Program::new(&format!("sendrecv {flow} --no-peer-report {options}"));
                let program = program.vdev(format!("net_tap0,iface=tap,mac={MAC}")).summed_up();
                let before = namespace.dropped("tap");
                let summary = program.inside(&namespace).run().summary();
                let missed = namespace.dropped("tap") - before + summary.count("lost.nic");
                summary.assert_counts(&[
                    ("tx.sent", COUNT),
                    ("rx.valid", COUNT - missed),
                    ("lost.total", missed),
                    ("rx.corrupt", 0),
                ]);
                let by = if checksums.is_empty() { "port" } else { "software" };
                assert_eq!(summary.value("tx.checksums.udp"), by);
                if by == "port" {
                    summary.assert_counts(&[("port.flagged_checksums", 0)]);
                }
            }
        }
        let counted = |name: &str| namespace.udp_counter(&format!("{counters}{name}"));
        let arrived = counted("InDatagrams") + counted("RcvbufErrors");
        assert_eq!(arrived, 2 * COUNT * sizes.len() as u64);
        assert_eq!(counted("InCsumErrors"), 0);
    }
}
