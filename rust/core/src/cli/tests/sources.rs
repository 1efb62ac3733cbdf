use super::*;
use crate::cli::{Parsed, parse_in};
use crate::run::config::{Config, Sendrecv};
use crate::run::mode::{Meaning, ModeOption, OptionKind, Queues};
use std::fs;
use std::path::PathBuf;

fn modes() -> Vec<ModeInfo> {
    let mode = ModeInfo::example;
    let mut all = vec![
        mode("sendrecv", Meaning::Measures, Queues::Own),
        mode("reflect", Meaning::Returns, Queues::Paired),
        mode("decimate", Meaning::Forwards, Queues::Mixed),
    ];
    let option = |name: &str, kind, default: Option<&str>| ModeOption {
        name: name.into(),
        short: None,
        kind,
        value_name: "V".into(),
        help: "of the mode".into(),
        default_value: default.map(Into::into),
        range: 0..=1_000_000_000,
    };
    all[2].options = vec![
        option("every", OptionKind::Number, None),
        option("pause", OptionKind::Duration, Some("2ms")),
        option("label", OptionKind::Text, Some("")),
        option("loud", OptionKind::Flag, None),
    ];
    all
}

/// A file that goes when the test does.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("dpdkproj-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(Into::into).collect()
}

fn parse_with(line: &str, variables: &[(&str, &str)]) -> Result<Parsed, String> {
    let (eal, args) = line.split_once("--- ").unwrap_or(("", line));
    let environment = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
    };
    parse_in(Program::Ports, &words(eal), &words(args), &modes(), &environment)
}

fn run_with(line: &str, variables: &[(&str, &str)]) -> Config {
    match parse_with(line, variables) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

fn printed(line: &str, variables: &[(&str, &str)]) -> String {
    match parse_with(line, variables) {
        Ok(Parsed::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

const FILE: &str = "
eal = ['-l', '0-3', '--no-huge']
mode = 'sendrecv'
src = '10.0.0.4'
dest = '10.0.0.5:7'
rate = 1_000_000
rx-queues = 2
duration = 1.5
quiet = true
max-latency = ['p99=200us', 'max=1s']
";

#[test]
fn the_command_line_counts_more_than_the_environment_and_that_more_than_the_file() {
    let file = File::new("order", FILE);
    let line = format!("--config {}", file.path());
    let pps = |config: &Config| {
        config
            .sendrecv
            .as_ref()
            .unwrap()
            .pacing
            .as_ref()
            .unwrap()
            .rate
            .packets_before(1_000_000_000)
    };
    let config = run_with(&line, &[]);
    assert_eq!((config.mode.as_str(), config.rx_queues, config.live), ("sendrecv", 2, false));
    assert_eq!((pps(&config), config.duration_ns), (1_000_000, Some(1_500_000_000)));
    assert_eq!(config.limits.latencies.len(), 2);
    assert_eq!(config.eal, words("-l 0-3 --no-huge"));

    let environment =
        [("DPDKPROJ_RX_QUEUES", "3"), ("DPDKPROJ_RATE", "2M"), ("DPDKPROJ_QUIET", "false")];
    let config = run_with(&line, &environment);
    assert_eq!((config.rx_queues, pps(&config), config.live), (3, 2_000_000, true));
    let config = run_with(&format!("{line} --rate 3M --max-latency p50=1ms"), &environment);
    assert_eq!((config.rx_queues, pps(&config)), (3, 3_000_000));
    assert_eq!(config.limits.latencies.len(), 1, "a list replaces that of the file");
    let config = run_with(&format!("-r 4 sendrecv {line}"), &environment);
    assert_eq!(config.rx_queues, 4, "before the mode");
    let config = run_with(&format!("-a 00:01.0 --- {line}"), &environment);
    assert_eq!(config.eal, words("-a 00:01.0"), "EAL's arguments are replaced as a whole");
    // The file may be named by the environment, and an empty variable is none.
    let config = run_with("", &[("DPDKPROJ_CONFIG", file.path()), ("DPDKPROJ_RATE", "")]);
    assert_eq!(pps(&config), 1_000_000);
}

#[test]
fn a_stronger_option_replaces_those_that_it_excludes() {
    let file = File::new(
        "excludes",
        &format!("{FILE}packet-size = 1000\ndest-mac = '12:34:56:78:9a:bc'\n"),
    );
    let line = format!("--config {} --frame-size 64 --gateway 10.0.0.1", file.path());
    let config = run_with(&line, &[("DPDKPROJ_RATE_PER_INTERVAL", "5")]);
    let sendrecv = config.sendrecv.unwrap();
    assert_eq!(
        sendrecv.pacing.unwrap().rate.packets_before(1_000_000_000),
        5,
        "environment over file"
    );
    assert_eq!(sendrecv.sizes.smallest(), 18);
    assert!(sendrecv.ends[0].next_hop.mac.is_none());
    // Of equal sources, none is stronger.
    let file = File::new("both", &format!("{FILE}rate-per-interval = 5\n"));
    let error = parse_with(&format!("--config {}", file.path()), &[]).unwrap_err();
    assert!(error.contains("--rate") && error.contains("cannot be used with"), "{error}");
}

#[test]
fn the_command_line_that_is_kept_asks_for_the_same() {
    let file = File::new("kept", FILE);
    let config =
        run_with(&format!("-R 5 --config={} --json -", file.path()), &[("DPDKPROJ_COUNT", "9")]);
    let again = run_with(&config.args.join(" "), &[]);
    let fixed = |config: Config| {
        let sendrecv = config.sendrecv.map(|sendrecv| Sendrecv { seed: 1, tag_key: 1, ..sendrecv });
        Config { eal: Vec::new(), sendrecv, ..config }
    };
    assert_eq!(fixed(config), fixed(again));
    // Without a file, it is what was typed.
    let line = "-r 2 reflect --allow 10.0.0.0/8 -t 2";
    assert_eq!(run_with(line, &[]).args, words(line));
}

#[test]
fn what_is_wrong_with_a_source_is_one_line_with_its_place() {
    for (text, expected) in [
        (
            "rx-queue = 2",
            "FILE:1: rx-queue: no such option; rx-queues is similar, and `dpdkproj -- sendrecv --help`",
        ),
        (
            "\n\nnonsense = 2",
            "FILE:3: nonsense: no such option; `dpdkproj -- sendrecv --help` lists what there is",
        ),
        (
            "impair = 'drop=1'",
            "FILE:1: impair: an option of reflect, and the mode is sendrecv; leave it out",
        ),
        (
            "rx-queues = 0",
            "FILE:1: rx-queues: invalid value '0' for '--rx-queues <N>': 0 is not in 1..=1023",
        ),
        ("rx-queues = true", "FILE:1: rx-queues: expected a value, not true or false"),
        ("rx-queues = [1, 2]", "FILE:1: rx-queues: expected one value, not a list"),
        ("quiet = 'yes'", "FILE:1: quiet: a flag: expected true or false"),
        (
            "src = ['10.0.0.4', 'x']",
            "FILE:1: src: invalid value 'x' for '--src <IP[/PREFIX]>': expected an IP address",
        ),
        ("eal = '-l 0'", "FILE:1: eal: expected a list with the words in front of the `--`"),
        ("eal = ['-l', '--']", "FILE:1: eal: expected a list with the words"),
        (
            "mode = 'send'",
            "FILE:1: mode: unknown mode 'send': it is one of sendrecv, reflect, decimate",
        ),
        ("config = 'other'", "FILE:1: config: no such option; "),
        ("print-config = true", "FILE:1: print-config: no such option; "),
        ("help = true", "FILE:1: help: no such option; "),
        ("rate 5", "FILE:1: this is no TOML: "),
        (
            "stamp = true\npacket-size = 64\nreflector-seq = true",
            "FILE:3: reflector-seq: the same option as in FILE:1; leave one out",
        ),
        // The first one of the file is reported.
        ("rx-queues = 0\nburst-size = 0", "FILE:1: rx-queues: "),
    ] {
        let file = File::new("wrong", text);
        let line = format!("sendrecv --src 10.0.0.4 --dest 10.0.0.5:7 --config {}", file.path());
        // Without what the file is to give.
        let line = if text.starts_with("src") { line.replace("--src 10.0.0.4 ", "") } else { line };
        let error = parse_with(&line, &[]).unwrap_err();
        let expected = expected.replace("FILE", file.path());
        assert!(error.starts_with(&expected) && !error.contains('\n'), "{text}: {error}");
    }
    for (variable, value, expected) in [
        ("DPDKPROJ_RX_QUEUES", "x", "DPDKPROJ_RX_QUEUES: invalid value 'x' for '--rx-queues <N>'"),
        ("DPDKPROJ_QUIET", "yes", "DPDKPROJ_QUIET: 'yes': expected 1, true, 0 or false"),
        ("DPDKPROJ_CONFIG", "/nowhere", "--config /nowhere: cannot be read: No such file"),
    ] {
        let error = parse_with("reflect", &[(variable, value)]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    // Errors of the line itself are as without a file.
    let file = File::new("fine", FILE);
    for (rest, expected) in [
        ("--nonsense", "unexpected argument '--nonsense' found"),
        ("reflekt", "unknown mode 'reflekt': it is one of"),
        ("--config other", "--config: given more than once; put all options into one file"),
        (
            "sendrecv --config=other",
            "--config: given more than once; put all options into one file",
        ),
    ] {
        let error = parse_with(&format!("--config {} {rest}", file.path()), &[]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(
        parse_with("sendrecv --config", &[])
            .unwrap_err()
            .contains("a value is required for '--config")
    );
    let file = File::new("no-mode", "rx-queues = 2");
    let error = parse_with(&format!("--config {}", file.path()), &[]).unwrap_err();
    assert_eq!(error, "no mode given: it is one of sendrecv, reflect, decimate");
    // Help is there whatever the file.
    assert!(printed("--config /nowhere --help", &[]).contains("Modes:"));
}

#[test]
fn udpbaseline_has_the_same_without_eal() {
    let parse = |text: &str| {
        let file = File::new("sockets", text);
        let args = words(&format!("--config {}", file.path()));
        let rate = |name: &str| (name == "UDPBASELINE_RATE").then(|| "7".to_string());
        parse_in(Program::Sockets, &[], &args, &modes(), &rate)
    };
    let Ok(Parsed::Run(config)) = parse("mode = 'sendrecv'\nsrc = '10.0.0.4'\ndest = '10.0.0.5:7'")
    else {
        panic!("refused");
    };
    assert_eq!(config.sendrecv.unwrap().pacing.unwrap().rate.packets_before(1_000_000_000), 7);
    for (text, expected) in [
        ("mode = 'reflect'\neal = []", ":2: eal: udpbaseline does without EAL; leave it out"),
        (
            "mode = 'reflect'\nrx-queues = 2",
            ":2: rx-queues: udpbaseline sends through the kernel's sockets, which have no such option; leave it out",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.ends_with(expected), "{error}");
    }
}

/// Something to give each option that has a value.
fn value_of(long: &str) -> &'static str {
    match long {
        "port" => "net_ring0",
        "max-latency" => "p99=200us",
        "offload" => "on",
        "stats" | "per-queue" | "hlog" | "json" => "a \"quoted\" \\ name",
        "max-loss" => "0.1%",
        "src" | "ip" => "10.0.0.4",
        "gateway" => "10.0.0.1",
        "src-port-range" => "100-200",
        "dest" => "10.0.0.5:7",
        "dest-mac" => "12:34:56:78:9a:bc",
        "vlan" => "10,20",
        "dscp" => "ef",
        "ecn" => "ce",
        "packet-size" | "frame-size" => "100:3,200:1",
        "rate" => "3.5Mpps",
        "pattern" => "poisson",
        "pacing" => "spin",
        "udp-port" => "7-9",
        "allow" => "10.0.0.0/8",
        "impair" => "drop=0.1,delay=2ms",
        "pause" => "3ms",
        "label" => "a label",
        "mtu" => "1500",
        "metrics" => "10.0.0.4:9400",
        _ => "3",
    }
}

/// The values of an option: two if it may be repeated.
fn values_of(arg: &Arg) -> Vec<&'static str> {
    vec![value_of(long(arg)); if is_repeatable(arg) { 2 } else { 1 }]
}

fn words_of(arg: &Arg) -> Vec<String> {
    let name = long(arg);
    if is_flag(arg) {
        return vec![format!("--{name}")];
    }
    values_of(arg).into_iter().map(|value| format!("--{name}={value}")).collect()
}

/// What a command line with this option needs beside it; `None` if the mode refuses the option.
fn beside(all: &Options, given: &Arg) -> Option<Vec<String>> {
    let mode = all.mode.get_name();
    let id = given.get_id().as_str();
    let needed = match id {
        "max_loss" | "max_latency" | "hlog" if mode != "sendrecv" => return None,
        "pcap" | "pcap_packets" if !["sendrecv", "reflect"].contains(&mode) => return None,
        "pcap_packets" => "--pcap=p",
        "pattern" | "catch_up" | "pacing" => "--rate=5k",
        "impair_seed" => "--impair=drop=0.1",
        "tx_queues" if mode == "reflect" => "--rx-queues=3",
        "src" | "dest" | "dest_mac" | "gateway" => "--port=net_ring0 --port=net_ring1",
        _ => "",
    };
    let required = all.iter().filter(|arg| arg.is_required_set() && *arg != given);
    let required = required.map(|arg| format!("--{}={}", long(arg), value_of(long(arg))));
    Some(words(needed).into_iter().chain(required).collect())
}

/// The value and the source of an option in what is printed; fails the test unless it is there once.
fn printed_of<'a>(text: &'a str, arg: &Arg) -> (&'a str, &'a str) {
    let key = format!("{} = ", long(arg));
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&key));
    let line = lines.next().unwrap_or_else(|| panic!("no {key}in {text}"));
    assert_eq!(lines.next(), None, "{key}twice in {text}");
    line.rsplit_once(" # ").unwrap_or_else(|| panic!("no source: {line}"))
}

fn values(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split(" # ").next().unwrap_or_default()).collect()
}

#[test]
fn every_option_can_come_from_everywhere_and_what_is_printed_is_accepted() {
    let whole = command(Program::Ports, &modes());
    let eal = words("-l 0-3 --vdev=net_ring0");
    let mut seen = 0;
    for mode in whole.get_subcommands() {
        let all = Options { program: Program::Ports, root: &whole, mode };
        for given in all.iter() {
            let Some(beside) = beside(&all, given) else { continue };
            seen += 1;
            let print = |eal: &[String], args: &[String], environment: Environment| {
                let print_config = [String::from("--print-config")];
                let args = [args, &print_config].concat();
                match parse_in(Program::Ports, eal, &args, &modes(), environment) {
                    Ok(Parsed::Print(text)) => text,
                    other => panic!("{args:?}: {other:?}"),
                }
            };
            let typed = [words(mode.get_name()), words_of(given), beside].concat();
            let from_line = print(&eal, &typed, &|_| None);
            let (value, source) = printed_of(&from_line, given);
            assert_eq!(source, COMMAND_LINE);
            // All others are there, as comments.
            for other in all.iter().filter(|arg| !arg.is_hide_set()) {
                let key = format!("{} = ", long(other));
                let is_it = |line: &&str| line.trim_start_matches("# ").starts_with(&key);
                assert_eq!(from_line.lines().filter(is_it).count(), 1, "{key}in {from_line}");
            }

            let file = File::new("printed", &from_line);
            let config = [format!("--config={}", file.path())];
            let from_file = print(&[], &config, &|_| None);
            assert_eq!(values(&from_file), values(&from_line));
            let (again, source) = printed_of(&from_file, given);
            assert!(source.starts_with(&format!("{}:", file.path())), "{source}");
            assert_eq!(again, value);

            let text = if is_flag(given) { "1".into() } else { values_of(given).join(" ") };
            let (name, _) = variable(Program::Ports, long(given), &|_| None);
            let environment = |asked: &str| (asked == name).then(|| text.clone());
            let from_variable = print(&[], &config, &environment);
            assert_eq!(printed_of(&from_variable, given), (value, name.as_str()));
            let from_all = print(&[], &[&typed[..], &config].concat(), &environment);
            assert_eq!(printed_of(&from_all, given), (value, COMMAND_LINE));
        }
    }
    assert!(seen > 90, "{seen}");
}
