mod addresses;
mod errors;
mod files;
mod ports;
mod rates;
mod sizes;

use super::*;
use crate::run::LossLimit;
use crate::run::config::Sendrecv;
use crate::run::mode::Queues;
use crate::wire::layout::Layout;
use crate::wire::sizes::Sizes;
use crate::work::pacer::{Pattern, Rate, TxMode};
use std::net::IpAddr;

fn modes() -> Vec<ModeInfo> {
    let mode = ModeInfo::example;
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
