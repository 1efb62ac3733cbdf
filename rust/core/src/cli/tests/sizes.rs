//! Sizes of packets and frames, and the MTU that they need.

use super::addresses::PORT;
use super::*;
use crate::run::config::PortLimits;

fn sizes(options: &str) -> String {
    run(&format!("{SENDRECV} {options}")).sendrecv.unwrap().sizes.to_string()
}

#[test]
fn sizes_are_those_of_the_payload_or_of_the_frame() {
    assert_eq!(sizes(""), "64");
    assert_eq!(sizes("--packet-size 18"), "18");
    assert_eq!(sizes("--packet-size 64:7,594:4,1518:1"), "1518:1,594:4,64:7");
    // Ethernet 14, IPv4 20, UDP 8, FCS 4.
    assert_eq!(sizes("--frame-size 64"), "18");
    assert_eq!(sizes("--frame-size 64:7,1518:1"), "1472:1,18:7");
    assert_eq!(sizes("--vlan 5 --frame-size 68"), "18");
    let v6 = format!("sendrecv --src fd00::1 --dest [fd00::2]:7 {PORT} --frame-size 84");
    assert_eq!(run(&v6).sendrecv.unwrap().sizes.to_string(), "18");
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for (options, expected) in [
        ("--packet-size 15", "expected 16 (index, time and tag) to 65507 bytes of UDP payload"),
        (
            "--packet-size 64:7,15:1",
            "expected 16 (index, time and tag) to 65507 bytes of UDP payload",
        ),
        ("--packet-size 65508", "expected 16 (index, time and tag) to 65507 bytes of UDP payload"),
        ("--packet-size 64:0", "the weight of 64 is 0"),
        (
            "--packet-size 16:1,64:1",
            "16 beside 64: payloads of 16 and 17 bytes have another format",
        ),
        ("--packet-size big", "such as 64:7,594:4,1518:1"),
        ("--frame-size 63", "expected 64 bytes at least"),
        ("--vlan 5 --frame-size 64", "the shortest frame has 66 bytes"),
        ("--vlan 5 --frame-size 66:1,68:1", "payload 16 beside 18"),
        ("--frame-size 64 --packet-size 18", "cannot be used with"),
        ("--reflector-seq --packet-size 64:1,33:1", "that needs 34 bytes of payload"),
        ("--reflector-seq --frame-size 64", "raise --packet-size (or --frame-size)"),
        ("--mtu 67", "67 is not in 68..=65535"),
    ] {
        let error = error(&format!("{SENDRECV} {options}"));
        assert!(error.contains(expected) && !error.contains('\n'), "{options}: {error}");
    }
    assert_eq!(sizes("--packet-size 16:1,17:1"), "17:1,16:1");
}

#[test]
fn errors_name_the_option_that_makes_a_size_possible() {
    let limits = PortLimits { max_rx_queues: 1, max_tx_queues: 1, mtu: 1500, mtus: (68, 9000) };
    let checked = |options: &str| run(&format!("{SENDRECV} {options}")).check_port(&limits);
    for (options, expected) in [
        (
            "--packet-size 1473",
            "the port's MTU of 1500 leaves 1472 bytes for the UDP payload; give --mtu 1501,",
        ),
        ("--packet-size 64:9,8972:1", "--packet-size 8972: the port's MTU of 1500 leaves 1472"),
        ("--packet-size 8973", "lower --packet-size (the port's MTU can be 9000 at most)"),
        ("--packet-size 8000 --mtu 8027", "the port's MTU of 8027 leaves 7999 bytes"),
        ("--mtu 9001", "--mtu 9001: the port's MTU can be from 68 to 9000"),
        ("--mtu 100", "give --no-peer-report, or raise --mtu"),
    ] {
        let error = checked(options).unwrap_err();
        assert!(error.contains(expected) && !error.contains('\n'), "{options}: {error}");
    }
    for possible in
        ["--packet-size 1472", "--packet-size 8972 --mtu 9000", "--frame-size 9018 --mtu 9000"]
    {
        assert_eq!(checked(possible), Ok(()), "{possible}");
    }
    assert!(run("reflect --mtu 9001").check_port(&limits).unwrap_err().contains("from 68 to 9000"));
}
