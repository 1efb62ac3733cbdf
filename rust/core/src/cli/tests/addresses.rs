//! Addresses and VLAN tags.

use super::*;
use crate::run::config::PortLimits;
use crate::wire::flow::{Mac, VlanId, Vlans};
use crate::wire::layout::{IpVersion, Layout, Tags};
use std::net::SocketAddr;

pub(super) const PORT: &str = "--dest-mac 02:00:00:00:00:02";

fn sendrecv_to(src: &str, dest: &str, options: &str) -> Sendrecv {
    run(&format!("sendrecv --src {src} --dest {dest} {PORT} {options}")).sendrecv.unwrap()
}

fn v6(options: &str) -> Sendrecv {
    sendrecv_to("2001:db8::1", "[2001:db8::2]:7", options)
}

#[test]
fn addresses_are_of_either_version() {
    let sendrecv = v6("--src-port-range 5-9");
    assert_eq!(sendrecv.layout(), Layout { tags: Tags::None, ip: IpVersion::V6 });
    let sockets = sendrecv.ends[0].sockets(sendrecv.src_ports);
    assert_eq!(sockets, ["[2001:db8::1]:5", "[2001:db8::2]:7"].map(|s| s.parse().unwrap()));
    let link_local = sendrecv_to("fe80::1", "[fe80::2]:7", "");
    assert_eq!(link_local.ends[0].addresses.dst().to_string(), "fe80::2");
    let v4 = sendrecv_to("10.0.0.1", "10.0.0.2:7", "");
    let sockets = v4.ends[0].sockets(v4.src_ports);
    assert_eq!(sockets[1], SocketAddr::from(([10, 0, 0, 2], 7)));
}

#[test]
fn vlan_tags_are_those_of_all_packets() {
    let [outer, inner] = [10, 4094].map(|id| VlanId::try_new(id).unwrap());
    let flow = |options| v6(options).flow(Mac([2; 6]), 0, 1);
    assert_eq!(flow("").vlans, Vlans::None);
    assert_eq!(flow("--vlan 10").vlans, Vlans::One(outer));
    assert_eq!(flow("--vlan 10,4094").vlans, Vlans::Two { outer, inner });
    assert_eq!(v6("--vlan 10,4094").layout(), Layout { tags: Tags::Two, ip: IpVersion::V6 });
}

/// A rate in bits per second is that of the frames that are sent.
#[test]
fn a_rate_in_bits_counts_all_headers() {
    let pps = |sendrecv: Sendrecv| sendrecv.pacing.unwrap().rate.pps();
    let [rate, v4] = ["--rate 1Gbps --packet-size 1000", "10.0.0.2:7"];
    let of = |bytes: f64| 1e9 / 8.0 / bytes;
    for (found, bytes) in [
        (pps(sendrecv_to("10.0.0.1", v4, rate)), 1046.0),
        (pps(v6(rate)), 1066.0),
        (pps(v6(&format!("{rate} --vlan 1"))), 1070.0),
        (pps(sendrecv_to("10.0.0.1", v4, &format!("{rate} --vlan 1,2"))), 1054.0),
    ] {
        assert!((found / of(bytes) - 1.0).abs() < 1e-9, "{found}: {bytes}");
    }
}

/// As Ethernet counts, VLAN tags are not part of the MTU.
#[test]
fn the_mtu_is_that_of_the_ip_packet() {
    let limits = PortLimits { max_rx_queues: 1, max_tx_queues: 1, mtu: 1500, mtus: (68, 9000) };
    for (addresses, largest) in [
        ("--src 10.0.0.1 --dest 10.0.0.2:7", 1472),
        ("--src 2001:db8::1 --dest [2001:db8::2]:7", 1452),
    ] {
        for tags in ["", "--vlan 5", "--vlan 5,6"] {
            let checked = |size: u16| {
                let line = format!("sendrecv {addresses} {PORT} {tags} --packet-size {size}");
                run(&line).check_port(&limits)
            };
            assert_eq!(checked(largest), Ok(()));
            let error = checked(largest + 1).unwrap_err();
            let leaves = format!("the port's MTU of 1500 leaves {largest} bytes");
            assert!(
                error.contains(&leaves) && error.contains("give --mtu 1501,"),
                "{tags}: {error}"
            );
        }
    }
}

#[test]
fn errors_say_what_is_possible() {
    let ids = "VLAN IDs from 1 to 4094, such as 100 or 10,100";
    let sockets = "such as 10.0.0.5:10000 or [2001:db8::5]:10000";
    for (src, dest, options, expected) in [
        ("2001:db8::1", "[2001:db8::2]:7", "--vlan 0", ids),
        ("2001:db8::1", "[2001:db8::2]:7", "--vlan 4095", ids),
        ("2001:db8::1", "[2001:db8::2]:7", "--vlan 1,2,3", ids),
        ("2001:db8::1", "[2001:db8::2]:7", "--vlan 1,", ids),
        ("2001:db8::1", "[2001:db8::2]:0", "", sockets),
        ("2001:db8::1", "[2001:db8::2]", "", sockets),
        ("2001:db8::1", "2001:db8::2:7", "", sockets),
        ("fe80::1", "[fe80::2%3]:7", "", sockets),
        ("fe80::1%eth0", "[fe80::2]:7", "", "expected an IP address"),
        ("ff02::1", "[2001:db8::2]:7", "", "a multicast address: expected that of one host"),
        ("2001:db8::1", "[::]:7", "", "no host's address: expected that of one host, such as 2001"),
        ("2001:db8::1", "[::1]:7", "", "a loopback address"),
        ("2001:db8::1", "[::ffff:10.0.0.1]:7", "", "which is not sent in packets"),
        ("10.0.0.1", "[2001:db8::2]:7", "", "give both of one version"),
        ("2001:db8::1", "10.0.0.2:7", "", "give both of one version"),
    ] {
        let error = error(&format!("sendrecv --src {src} --dest {dest} {PORT} {options}"));
        assert!(error.contains(expected) && !error.contains('\n'), "{src} {dest}: {error}");
    }
    let mixed = error(&format!(
        "sendrecv -p a -p b --src 10.0.0.1 --dest 10.0.0.2:7 --src fd00::1 --dest [fd00::2]:7 {PORT}"
    ));
    let expected = "one port sends to 10.0.0.2 and another one to fd00::2: all ports of a run have";
    assert!(mixed.contains(expected), "{mixed}");
}

#[test]
fn dscp_and_ecn_have_names() {
    let class = |options: &str| v6(options).flow(Mac([2; 6]), 0, 1).traffic_class;
    assert_eq!(class(""), 0);
    for (dscp, value) in [
        ("ef", 46),
        ("EF", 46),
        ("va", 44),
        ("le", 1),
        ("be", 0),
        ("cs0", 0),
        ("cs3", 24),
        ("cs7", 56),
        ("af11", 10),
        ("af23", 22),
        ("af41", 34),
        ("af43", 38),
        ("63", 63),
    ] {
        assert_eq!(class(&format!("--dscp {dscp}")), value << 2, "{dscp}");
    }
    for (ecn, value) in [("not-ect", 0), ("ect1", 1), ("ect0", 2), ("ce", 3)] {
        assert_eq!(class(&format!("--ecn {ecn} --dscp 63")), 0xfc | value, "{ecn}");
    }
    for bad in ["64", "-1", "cs8", "cs", "cs33", "af44", "af01", "af4", "eff", ""] {
        assert!(values::dscp(bad).unwrap_err().contains("cs0 to cs7, af11 to af43, ef"), "{bad}");
    }
    for bad in ["4", "ect", "ect2", ""] {
        assert!(values::ecn(bad).unwrap_err().contains("ect0, ect1 or ce"), "{bad}");
    }
}
