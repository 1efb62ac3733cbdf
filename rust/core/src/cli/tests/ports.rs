use super::*;
use crate::run::config::NextHop;

#[test]
fn a_port_has_an_address_or_a_name() {
    for (asked, expected) in [
        ("0:D:3a:4b:5C:6d", "00:0d:3a:4b:5c:6d"),
        ("00-0d-3a-4b-5c-6d", "00:0d:3a:4b:5c:6d"),
        ("0000:00:04.0", "0000:00:04.0"),
        ("AF:1f.7", "0000:af:1f.7"),
        ("1:3b:0.1", "0001:3b:00.1"),
        ("net_bonding0", "net_bonding0"),
        ("0000:3b:00.0_representor_vf1", "0000:3b:00.0_representor_vf1"),
        // A device of VMBus.
        ("635a7ae3-091e-4410-ad59-667c4f8c04c3", "635a7ae3-091e-4410-ad59-667c4f8c04c3"),
    ] {
        assert_eq!(run(&format!("rxonly -p {asked}")).ports, [expected]);
    }
    for bad in ["", "00:11:22:33:44", "00:11:22:33:44:gg", "eth0:1"] {
        assert!(values::port(bad).unwrap_err().contains("a PCI address such as"), "{bad}");
    }
}

#[test]
fn several_ports_share_addresses_or_have_their_own() {
    let shared = run(&format!("-p a {SENDRECV} -p b -r 4 -t 2"));
    assert_eq!(shared.ports, ["a", "b"]);
    let ports = shared.ports();
    assert_eq!((ports.count, ports.all_rx_queues(), ports.all_tx_queues()), (2, 8, 4));
    let sendrecv = shared.sendrecv.as_ref().unwrap();
    assert_eq!((sendrecv.ends.len(), sendrecv.asking_ports()), (1, vec![0]));
    // The flow of two ports with the same addresses is one flow to the reflector, over two paths.
    let two_paths = run(&format!("{SENDRECV} -p a -p b --dest-mac 2:0:0:0:0:1"));
    let sendrecv = two_paths.sendrecv.as_ref().unwrap();
    assert_eq!((sendrecv.ends.len(), sendrecv.asking_ports()), (2, vec![0]));
    let before = run(&format!("--max-latency p50=1ms {SENDRECV} --max-latency max=1s"));
    assert_eq!(before.limits.latencies.len(), 2, "another option that may be repeated");
    let own = run(&format!("{SENDRECV} -p a -p b --src 10.1.0.4 --dest 10.1.0.5:7"));
    let sendrecv = own.sendrecv.as_ref().unwrap();
    assert_eq!(sendrecv.asking_ports(), [0, 1]);
    let sources: Vec<_> =
        sendrecv.ends.iter().map(|ends| ends.addresses.src().to_string()).collect();
    assert_eq!(sources, ["10.0.0.4", "10.1.0.4"]);
    assert_eq!(sendrecv.ends[0].next_hop, sendrecv.ends[1].next_hop, "given once, for both");
    let error = error(&format!("{SENDRECV} -p a -p b -t 512"));
    assert!(error.contains("with 2 ports that is 1024 queues, and at most 1023"), "{error}");
}

#[test]
fn who_has_an_address_is_asked_unless_a_mac_address_is_given() {
    const FLOW: &str = "sendrecv --src 10.0.0.4/24 --dest 10.0.0.5:7";
    let next_hops = |line: &str| -> Vec<_> {
        run(line).sendrecv.unwrap().ends.iter().map(|ends| ends.next_hop).collect()
    };
    let asked = |ip: [u8; 4], is_gateway| NextHop { asked: Some(ip.into()), is_gateway, mac: None };
    assert_eq!(next_hops(FLOW), [asked([10, 0, 0, 5], false)]);
    // For each port, its own.
    let two = "-p a -p b --src 10.0.1.4/24 --dest 10.0.2.5:7 --gateway 10.0.0.1 --gateway 10.0.1.1";
    let expected = [asked([10, 0, 0, 5], false), asked([10, 0, 1, 1], true)];
    assert_eq!(next_hops(&format!("{FLOW} {two}")), expected);
    for (options, expected) in [
        ("--dest-mac 2:0:0:0:0:1 --gateway 10.0.0.1", "cannot be used with"),
        ("--gateway 224.0.0.1", "a multicast address"),
        ("--gateway 10.0.0.1 --gateway 10.0.0.2", "--gateway is given 2 times"),
    ] {
        let error = error(&format!("{FLOW} {options}"));
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    let error = error("sendrecv --src 10.0.0.4/24 --dest 10.0.1.5:7");
    assert!(error.contains("--gateway") && error.contains("--dest-mac"), "{error}");
    assert!(run("reflect").ips.is_empty());
    let ips: Vec<_> = run("reflect --ip 10.0.0.5 --ip 2001:db8::5").ips;
    assert_eq!(ips, [IpAddr::from([10, 0, 0, 5]), "2001:db8::5".parse().unwrap()]);
}
