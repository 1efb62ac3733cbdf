mod addresses;
mod rates;
mod sizes;

use super::*;
use crate::run::LossLimit;
use crate::run::config::{NextHop, Sendrecv};
use crate::run::mode::Queues;
use crate::wire::layout::Layout;
use crate::wire::sizes::Sizes;
use crate::work::pacer::{Pattern, Rate, TxMode};
use std::net::IpAddr;

fn modes() -> Vec<ModeInfo> {
    let mode = |name: &str, meaning, queues| ModeInfo {
        name: name.into(),
        about: format!("{name} it"),
        meaning,
        queues,
        options: Vec::new(),
        counters: Vec::new(),
    };
    vec![
        mode("sendrecv", Meaning::Measures, Queues::Own),
        mode("reflect", Meaning::Returns, Queues::Paired),
        mode("rxonly", Meaning::Counts, Queues::RxOnly),
        // Modes of a team, which can do the same as shipped modes of the same meaning.
        mode("probe", Meaning::Measures, Queues::Own),
        mode("mirror", Meaning::Returns, Queues::Paired),
        mode("forward", Meaning::Forwards, Queues::Mixed),
    ]
}

fn parse_line(line: &str) -> Result<Parsed, String> {
    let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
    parse(&args, &modes())
}

fn run(line: &str) -> Config {
    match parse_line(line) {
        // Two lines that ask for the same are the same.
        Ok(Parsed::Run(config)) => Config { args: Vec::new(), ..*config },
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    match parse_line(line) {
        Err(error) => error,
        other => panic!("{line}: {other:?}"),
    }
}

const SENDRECV: &str = "sendrecv --src 10.0.0.4 --dest 10.0.0.5:10000 \
                        --dest-mac 12:34:56:78:9a:bc";

#[test]
fn metrics_are_for_this_host_unless_an_address_is_given() {
    let metrics = |value: &str| run(&format!("rxonly --metrics {value}")).metrics;
    assert_eq!(run("rxonly").metrics, None);
    for (value, expected) in [
        ("9400", "127.0.0.1:9400"),
        (":9400", "127.0.0.1:9400"),
        ("10.0.0.4:9400", "10.0.0.4:9400"),
        ("0.0.0.0:9400", "0.0.0.0:9400"),
        ("[::1]:9400", "[::1]:9400"),
    ] {
        assert_eq!(metrics(value), Some(expected.parse().unwrap()), "{value}");
    }
    for value in ["", "65536", "10.0.0.4", "::1:9400", "localhost:9400", "::"] {
        let error = error(&format!("rxonly --metrics={value}"));
        assert!(error.contains("expected a TCP port of this host, such as 9400"), "{error}");
    }
}

#[test]
fn a_histogram_log_is_for_modes_with_latencies() {
    assert_eq!(run(&format!("{SENDRECV} --hlog f")).hlog_path, Some("f".into()));
    for mode in ["reflect", "rxonly", "forward"] {
        let expected = format!(
            "--hlog: {mode} measures no latencies; give it to a mode that does, or leave it out"
        );
        assert_eq!(error(&format!("{mode} --hlog f")), expected);
    }
    assert!(error(&format!("{SENDRECV} --trials --hlog f")).starts_with("--trials: "));
}

#[test]
fn a_capture_file_is_for_modes_that_reject_packets() {
    for line in [SENDRECV, "reflect"] {
        let capture = |options: &str| {
            let config = run(&format!("{line} {options}"));
            (config.pcap_path, config.pcap_packets)
        };
        assert_eq!(capture(""), (None, 1000));
        assert_eq!(capture("--pcap f"), (Some("f".into()), 1000));
        let before = run(&format!("--pcap f {line} --pcap-packets 7"));
        assert_eq!((before.pcap_path, before.pcap_packets), (Some("f".into()), 7));
        assert_eq!(
            error(&format!("{line} --pcap-packets 7")),
            "--pcap-packets: without a file there is nothing to keep; give --pcap FILE"
        );
        assert_eq!(
            error(&format!("{line} -r 4 --pcap f --pcap-packets 16385")),
            "--pcap-packets 16385: each of 4 rx queue(s) may need room for that many packets of 16 KiB, and the limit \
             is 1024 MiB in all; lower it to 16384 or give fewer queues (-r)"
        );
        assert_eq!(run(&format!("{line} -r 4 --pcap f --pcap-packets 16384")).pcap_packets, 16384);
    }
    for mode in ["rxonly", "forward"] {
        let error = error(&format!("{mode} --pcap f"));
        let start =
            format!("--pcap: {mode} verifies no packets, so none is corrupt, foreign or late; ");
        assert!(error.starts_with(&start), "{error}");
    }
    assert!(error(&format!("{SENDRECV} --trials --pcap f")).starts_with("--trials: "));
}

#[test]
fn what_a_sender_is_asked_about_truth() {
    let config = run(&format!(
        "{SENDRECV} --reflector-seq --warmup 1.5 --drain 0.25 --max-loss 0.1% --max-latency p99=200us \
         --max-latency max=1s"
    ));
    let sendrecv = config.sendrecv.as_ref().unwrap();
    assert!(sendrecv.stamp && sendrecv.ask_peer);
    assert_eq!(sendrecv.wait_peer_ns, None);
    let config_that_waits = run(&format!("{SENDRECV} --wait-peer 2.5"));
    assert_eq!(config_that_waits.wait_peer_ns(), Some(2_500_000_000));
    let refused = error(&format!("{SENDRECV} --wait-peer 2 --no-peer-report"));
    assert!(refused.contains("--wait-peer") && refused.contains("--no-peer-report"), "{refused}");
    assert_eq!((sendrecv.warmup_ns, config.drain_ns), (1_500_000_000, 250_000_000));
    assert_eq!((config.limits.loss, config.limits.latencies.len()), (Some(LossLimit(0.001)), 2));
    let preliminary = config.preliminary().unwrap();
    assert_eq!((preliminary.duration_ns, preliminary.count), (Some(1_500_000_000), None));
    assert_eq!([config.interval_ns, preliminary.interval_ns], [1_000_000_000, 1_000_000_000]);
    let before = preliminary.sendrecv.unwrap();
    assert_ne!(before.tag_key, sendrecv.tag_key);
    assert_eq!(before.seed, sendrecv.seed, "buffers are filled once");

    let config = run(SENDRECV);
    assert_eq!(config.drain_ns, config.timeout_ns);
    assert_eq!(config.preliminary().unwrap().count, Some(0));
    assert!(run(&format!("{SENDRECV} --no-peer-report")).preliminary().is_none());
    let error = error(&format!("{SENDRECV} --reflector-seq --packet-size 33"));
    assert!(error.contains("that needs 34 bytes"), "{error}");
}

#[test]
fn a_reflector_can_be_asked_to_do_harm() {
    let config = run("reflect --impair drop=0.5,delay=1ms --impair-seed 4");
    let impairments = config.impairments.unwrap();
    assert_eq!((impairments.drop, impairments.seed), (0.5, 4));
    assert!(run("reflect").impairments.is_none());
    assert_eq!(run("reflect").udp_ports, PortRange::ALL);
    assert_eq!(Some(run("reflect --udp-port 7").udp_ports), PortRange::new(7, 7));
    assert_eq!(Some(run("reflect --udp-port 7-65535").udp_ports), PortRange::new(7, 65535));
    for ports in ["0", "8-7", "65536", "-7", "7-", "x"] {
        let error = error(&format!("reflect --udp-port={ports}"));
        assert!(
            error.contains("--udp-port") && error.contains("such as 7 or 10000-10255"),
            "{error}"
        );
    }
    let allowed = run("reflect --allow 10.1.0.0/16 --allow 2001:db8::7").allowed;
    for (ip, is_allowed) in [("10.1.2.3", true), ("10.2.0.0", false), ("2001:db8::7", true)] {
        assert_eq!(allowed.contains(ip.parse().unwrap()), is_allowed, "{ip}");
    }
    for (network, part) in [
        ("10.1.0.5/16", "10.1.0.5 is a host in 10.1.0.0/16: give that network, or the address"),
        ("10.1.0.0/33", "expected a network or a host, such as"),
        ("example.org", "expected a network or a host, such as"),
    ] {
        let error = error(&format!("reflect --allow {network}"));
        assert!(error.contains("--allow") && error.contains(part), "{error}");
    }
    assert_eq!(run("reflect --idle-exit 1.5").idle_exit_ns, Some(1_500_000_000));
    assert_eq!(run("reflect").idle_exit_ns, None);
    assert!(error("rxonly --idle-exit 1").contains("--idle-exit"));
    assert!(error("reflect --impair drop=2").contains("expected drop=P"));
    assert!(error("reflect --impair-seed 4").contains("--impair"));
    for mode in ["reflect", "mirror", "forward", "rxonly"] {
        let error = error(&format!("{mode} --max-loss 1%"));
        let expected = format!("{mode} cannot know; give them to sendrecv or probe");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn the_article_s_sendrecv_line() {
    let config = run("sendrecv -p 00:0d:3a:01:02:03 -r 15 -t 1 -s /dev/stdout --src 10.0.0.4 \
         --src-port-range 10000-30000 --dest 10.0.0.5:10000 --dest-mac 12:34:56:78:9a:bc \
         --stats-evict-interval-secs 120 --stats-evict-threshold-secs 1 \
         --stats-interval-ms 1 --packet-size 16 -R 3500 --burst-size 32");
    assert_eq!(config.ports, ["00:0d:3a:01:02:03"]);
    assert_eq!((config.rx_queues, config.tx_queues), (15, 1));
    assert_eq!((config.rx_burst, config.tx_burst), (32, 32));
    assert_eq!(config.stats_path, Some("/dev/stdout".into()));
    assert_eq!((config.interval_ns, config.timeout_ns), (1_000_000, 1_000_000_000));
    let sendrecv = config.sendrecv.unwrap();
    assert_eq!(sendrecv.src_ports, PortRange::new(10000, 30000).unwrap());
    let [ends] = sendrecv.ends[..] else { panic!() };
    assert_eq!(ends.addresses.dst(), IpAddr::from([10, 0, 0, 5]));
    assert_eq!(ends.dst_port, 10000);
    assert_eq!(sendrecv.layout(), Layout::default());
    assert_eq!(sendrecv.sizes, Sizes::one(16));
    assert_eq!(sendrecv.pacing.map(|pacing| pacing.rate), Rate::new(3500, 1_000_000));
}

#[test]
fn the_article_s_reflect_line() {
    let config = run("reflect -p 00:0d:3a:01:02:03 -r 16 -t 16 -s /dev/stdout \
         --stats-evict-interval-secs 5 --stats-evict-threshold-secs 1 \
         --stats-interval-ms 1000 --burst-size 128");
    assert_eq!((config.rx_queues, config.tx_queues), (16, 16));
    assert_eq!((config.rx_burst, config.tx_burst), (128, 128));
    assert!(config.sendrecv.is_none());
}

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

#[test]
fn bursts_of_either_direction_can_be_set() {
    for (options, expected) in [
        ("", (32, 32)),
        ("--burst-size 128", (128, 128)),
        ("--rx-burst 64", (64, 32)),
        ("--tx-burst 1", (32, 1)),
        ("--burst-size 8 --rx-burst 512", (512, 8)),
        ("--tx-burst 16 --rx-burst 64 --burst-size 1", (64, 16)),
    ] {
        for mode in [SENDRECV, "reflect", "rxonly"] {
            let config = run(&format!("{mode} {options}"));
            assert_eq!((config.rx_burst, config.tx_burst), expected, "{mode} {options}");
        }
    }
}

#[test]
fn options_before_the_mode() {
    let before = run(
        "-p 00:0d:3a:01:02:03 -r 15 -t 1 sendrecv -s FILE --seed 1 --tag-key 1 --src 10.0.0.4 \
         --dest 10.0.0.5:10000 --dest-mac 12:34:56:78:9a:bc",
    );
    let behind =
        run(&format!("{SENDRECV} --seed 1 --tag-key 1 -p 00:0d:3a:01:02:03 -r 15 -t 1 -s FILE"));
    assert_eq!(before, behind);
}

#[test]
fn a_mode_says_which_tx_queues_it_has() {
    for mode in ["reflect", "mirror"] {
        assert_eq!(run(&format!("{mode} -r 3")).tx_queues, 3);
        let error = error(&format!("{mode} -r 3 -t 2"));
        assert!(error.starts_with(&format!("-r 3 -t 2: {mode}")), "{error}");
    }
    assert_eq!(run("rxonly -r 3").tx_queues, 0);
    assert!(error("rxonly -t 1").starts_with("-t 1: rxonly sends nothing"));
    assert_eq!(run("forward -r 3").tx_queues, 1);
    assert_eq!(run("forward -r 3 -t 2").tx_queues, 2);
    assert_eq!(run(&format!("{SENDRECV} -r 3")).tx_queues, 1);
}

/// Everything but its name.
#[test]
fn a_mode_under_another_name_is_the_same() {
    let impair = "--impair drop=0.5,delay=1ms --impair-seed 4 -r 2";
    for (mode, other, options) in [
        ("reflect", "mirror", impair),
        (
            SENDRECV,
            &SENDRECV.replace("sendrecv", "probe"),
            "--seed 1 --tag-key 1 --max-loss 1% --warmup 1",
        ),
    ] {
        let [one, mut other] = [mode, other].map(|mode| run(&format!("{mode} {options}")));
        assert_ne!(one.mode, other.mode);
        other.mode.clone_from(&one.mode);
        assert_eq!(one, other);
        assert_eq!(one.roles(), other.roles());
    }
}

#[test]
fn a_bad_value_is_one_line_with_option_value_and_what_is_allowed() {
    for (line, parts) in [
        ("", ["no mode given", "sendrecv, reflect, rxonly"]),
        ("-r 3", ["no mode given", "sendrecv, reflect, rxonly"]),
        ("sendrecive", ["unknown mode 'sendrecive'", "sendrecv, reflect, rxonly"]),
        ("reflect --frob", ["--frob", "unexpected"]),
        ("reflect -p 0:1:2:3:4", ["'0:1:2:3:4' for '--port <PORT>'", "six hexadecimal bytes"]),
        ("reflect -r 0", ["'0' for '--rx-queues <N>'", "1..=1023"]),
        ("reflect --burst-size 513", ["'513' for '--burst-size", "1..=512"]),
        ("reflect --rx-burst 0", ["'0' for '--rx-burst <N>'", "1..=512"]),
        ("reflect --tx-burst 513", ["'513' for '--tx-burst <N>'", "1..=512"]),
        ("reflect --stats-interval-ms 0", ["'0' for '--stats-interval-ms", "1..=60000"]),
        ("reflect --duration -1", ["'-1' for '--duration <SECS>'", "seconds above 0"]),
        ("reflect --duration x", ["'x' for '--duration <SECS>'", "seconds above 0"]),
        ("reflect --count 0", ["'0' for '--count <PACKETS>'", "1..=281474976710656"]),
        ("sendrecv", ["--src <IP[/PREFIX]>", "--dest <IP:PORT>"]),
        ("{} --src 1.2.3.4", ["--src is given 2 times, and -p 0 times", "give --src once"]),
        ("{} --src 1.2.3", ["'1.2.3' for '--src", "expected an IP address"]),
        ("{} --packet-size 15", ["'15' for '--packet-size <BYTES>'", "expected 16"]),
        ("{} --packet-size 65508", ["'65508' for '--packet-size", "to 65507 bytes"]),
        ("{} --src-port-range 5", ["'5' for '--src-port-range", "FIRST-LAST"]),
        ("{} --src-port-range 9-5", ["'9-5' for '--src-port-range", "FIRST <= LAST"]),
        ("{} --src-port-range 1-65536", ["'1-65536' for '--src-port-range", "65535"]),
        ("{} --rate 2g", ["'2g' for '--rate <RATE>'", "10GbpsL1"]),
        ("{} --rate 1GBps", ["'1GBps' for '--rate <RATE>'", "write 1Gbps for bits"]),
        ("{} -R 1000000001", ["-R 1000000001", "at most 1000000000"]),
        (
            "{} --rate 10m --stats-interval-ms 60000",
            ["--stats-interval-ms 60000", "packets per second"],
        ),
        (
            "reflect --stats-interval-ms 1 --stats-evict-threshold-secs 600 -r 16",
            ["--stats-evict-threshold-secs 600", "raise --stats-interval-ms"],
        ),
        ("{} -R 5 --rate 5", ["--rate-per-interval", "cannot be used with"]),
        (
            "sendrecv --src 1.2.3 --dest 1.2.3.4:5 --dest-mac 2:0:0:0:0:0",
            ["'1.2.3' for '--src", "2001:db8::4"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.4 --dest-mac 2:0:0:0:0:0",
            ["'1.2.3.4' for '--dest", "10.0.0.5:10000"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.4:0 --dest-mac 2:0:0:0:0:0",
            ["'1.2.3.4:0' for '--dest", "1 to 65535"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.4:1 --dest-mac 2:0",
            ["'2:0' for '--dest-mac", "hexadecimal"],
        ),
        (
            "sendrecv --src 224.0.0.1 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'224.0.0.1' for '--src", "a multicast address: expected that of one host"],
        ),
        (
            "sendrecv --src 0.0.0.0 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'0.0.0.0' for '--src", "no host's address"],
        ),
        (
            "sendrecv --src 127.0.0.1 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'127.0.0.1' for '--src", "loopback"],
        ),
        (
            "sendrecv --src 255.255.255.255 --dest 1.2.3.4:1 --dest-mac 2:0:0:0:0:1",
            ["'255.255.255.255' for '--src", "the broadcast address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 239.1.1.1:7 --dest-mac 2:0:0:0:0:1",
            ["'239.1.1.1:7' for '--dest", "a multicast address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 0.0.0.0:7 --dest-mac 2:0:0:0:0:1",
            ["'0.0.0.0:7' for '--dest", "no host's address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 127.0.0.1:7 --dest-mac 2:0:0:0:0:1",
            ["'127.0.0.1:7' for '--dest", "loopback"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.5:7 --dest-mac 0:0:0:0:0:0",
            [
                "'0:0:0:0:0:0' for '--dest-mac",
                "no port's address: expected that of the peer's port",
            ],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.5:7 --dest-mac 01:00:5e:00:00:01",
            ["'01:00:5e:00:00:01' for '--dest-mac", "a multicast address"],
        ),
        (
            "sendrecv --src 1.2.3.4 --dest 1.2.3.5:7 --dest-mac ff:ff:ff:ff:ff:ff",
            ["for '--dest-mac", "the broadcast address"],
        ),
    ] {
        let error = error(&line.replace("{}", SENDRECV));
        for part in parts {
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(!error.contains('\n') && !error.contains("Usage"), "{line}: {error}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (line, part) in [
        ("--help", "How many UDP packets per second"),
        ("--help", "\n  sendrecv  sendrecv it\n"),
        ("--help", "[EAL OPTIONS] -- <MODE>"),
        ("sendrecv --help", "sendrecv it\n"),
        ("sendrecv --help", "--src-port-range"),
        ("man", ".SH NAME"),
        ("man --help", "Print the manual page"),
        ("reflect -h", "--stats-interval-ms"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let Ok(Parsed::Print(text)) = parse_line(line) else { panic!("{line}") };
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_pattern_needs_a_rate() {
    let pacing = |line: &str| run(&format!("{SENDRECV} {line}")).sendrecv.unwrap().pacing.unwrap();
    assert_eq!(pacing("--rate 1k").pattern, Pattern::Cbr);
    assert_eq!(pacing("--rate 1k --pattern poisson --seed 9").pattern, Pattern::Poisson(9));
    let bursts = pacing("-R 5 --pattern burst:32 --catch-up 64");
    assert_eq!((bursts.pattern, bursts.catch_up), (Pattern::Burst(32), Some(64)));
    for bad in ["burst", "burst:0", "burst:x", "even"] {
        let error = error(&format!("{SENDRECV} --rate 1k --pattern {bad}"));
        assert!(error.contains("cbr, poisson or burst:N"), "{error}");
    }
    assert!(error(&format!("{SENDRECV} --pattern poisson")).contains("need a rate"));
    assert_eq!(pacing("--rate 1k").tx_mode, TxMode::Burst);
    assert_eq!(pacing("--rate 1k --pacing spin").tx_mode, TxMode::Spin);
    assert_eq!(pacing("--rate 1k --pacing hw").tx_mode, TxMode::Hardware);
    assert!(error(&format!("{SENDRECV} --pacing spin")).contains("--pacing: they need a rate"));
    assert!(
        error(&format!("{SENDRECV} --rate 1k --pacing x")).contains("expected burst, spin or hw")
    );
}

#[test]
fn every_run_has_its_own_seed() {
    let seed = |line: &str| run(line).sendrecv.unwrap().seed;
    assert_ne!(seed(SENDRECV), seed(SENDRECV));
    assert_eq!(seed(&format!("{SENDRECV} --seed 7")), 7);
    // Packets of a run with the same seed are not ours.
    let key = |options: &str| run(&format!("{SENDRECV} {options}")).sendrecv.unwrap().tag_key;
    assert_ne!(key("--seed 7"), key("--seed 7"));
    assert_eq!(key("--seed 7 --tag-key 5"), 5);
}

/// The old name of the option, which could be mistaken for STAMP (RFC 8762).
#[test]
fn the_old_name_of_reflector_seq_still_works() {
    for option in ["--reflector-seq", "--stamp"] {
        let config = run(&format!("{SENDRECV} {option}"));
        assert!(config.sendrecv.is_some_and(|sendrecv| sendrecv.stamp), "{option}");
    }
    let Ok(Parsed::Print(help)) = parse_line("sendrecv --help") else { panic!() };
    assert!(help.contains("--reflector-seq") && !help.contains("--stamp"));
}
