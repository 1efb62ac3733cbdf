//! The command line: the lines that work for ever, and what bad input gets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use dpdkproj_e2e::golden::{self, Datagram, End};
use dpdkproj_e2e::pcap;
use dpdkproj_e2e::process::{Ended, Process};
use dpdkproj_e2e::program::{self, ARTICLE_S_SENDRECV, Program, cpu};
use dpdkproj_e2e::results::{Summary, Table};
use dpdkproj_e2e::scratch::Scratch;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// What EAL gets instead of `-l 0-15` on a machine with fewer CPUs than that.
fn sixteen_lcores() -> String {
    format!("(0-15)@{}", cpu(0))
}

/// The program where an ordinary user can start it, which need not be so where it was built.
struct ForNobody {
    scratch: Scratch,
}

impl ForNobody {
    fn new() -> Self {
        let scratch = Scratch::new();
        let program = scratch.path("dpdkproj");
        fs::copy(program::path(), &program).unwrap();
        for path in [scratch.folder(), &program] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { scratch }
    }

    /// Runs it as an ordinary user, also where the test is run by root, with this command line.
    fn run(&self, line: &str) -> Ended {
        let mut words = vec![self.scratch.path("dpdkproj").into_os_string()];
        words.extend(line.split_whitespace().map(Into::into));
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
            words.splice(0..0, nobody.map(Into::into));
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        Process::start(command).finish()
    }
}

/// A port that receives the golden frames; its MAC address is that of every first `net_pcap`.
fn golden_port(scratch: &Scratch) -> String {
    format!("net_pcap0,rx_pcap={}", golden::capture(scratch).display())
}

#[test]
fn the_article_s_sendrecv_line() {
    let line = format!("{ARTICLE_S_SENDRECV} --duration 1");
    let program = Program::new(&line).vdev("net_ring0").summed_up();
    let outcome = program.lcores(sixteen_lcores()).megabytes(1024).run();
    let summary = outcome.summary();
    // On stdout is CSV and nothing else.
    let table = Table::parse(outcome.stdout());
    table.assert_adds_up_to(&summary);
    assert!(table.rows.len() > 500, "{} rows of 1 ms", table.rows.len());
    assert_eq!(summary.value("tx.requested_pps"), 3_500_000.0);
    let sent = summary.count("tx.sent");
    assert!(sent > 0, "{summary}");
    summary.assert_counts(&[
        ("rx.valid", sent.div_ceil(20_001)),
        ("rx.received", sent),
        ("rx.foreign_reasons.other_address", sent - sent.div_ceil(20_001)),
    ]);
    // 16 lcores for 16 queues, the main one included: none shares, none is idle.
    let lines = outcome.own_lines();
    assert!(!lines.iter().any(|line| line.contains("lcore")), "{lines:?}");
    // What the port cannot do is said, once.
    let rss = lines.iter().filter(|line| line.contains("cannot spread packets")).count();
    assert_eq!(rss, 1, "{lines:?}");
    let sums =
        lines.iter().filter(|line| line.contains("(net_ring) computes no checksums")).count();
    assert_eq!(sums, 1, "{lines:?}");
}

#[test]
fn the_article_s_reflect_line() {
    let scratch = Scratch::new();
    let frames = scratch.path("in.pcap");
    let end = |number| End { mac: [2, 0, 0, 0, 0, number], ip: [10, 0, 0, number], port: 7 };
    pcap::write(&frames, &[Datagram::new(end(1), end(2), 16).frame()]);
    let queue = format!("rx_pcap={}", frames.display());
    let queues = vec![queue; 16].join(",");
    let line = "reflect -p 02:70:63:61:70:00 -r 16 -t 16 -s /dev/stdout \
        --stats-evict-interval-secs 5 --stats-evict-threshold-secs 1 --stats-interval-ms 1000 \
        --burst-size 128";
    let outcome = Program::new(&format!("{line} --duration 1"))
        .vdev(format!("net_pcap0,{queues},infinite_rx=1"))
        .lcores(sixteen_lcores())
        .megabytes(1024)
        .summed_up()
        .run();
    let summary = outcome.summary();
    let table = Table::parse(outcome.stdout());
    table.assert_adds_up_to(&summary);
    assert!(table.sum(|row| row.rx) > 0, "{summary}");
    assert_eq!(summary.count("tx.sent"), summary.count("rx.received"), "{summary}");
    let lines = outcome.own_lines();
    assert!(!lines.iter().any(|line| line.contains("lcore")), "{lines:?}");
}

#[test]
fn options_before_the_mode() {
    let scratch = Scratch::new();
    let file = scratch.path("stats.csv");
    let flow = "--src 10.0.0.4 --dest 10.0.0.5:10000 --dest-mac 12:34:56:78:9a:bc";
    let line = format!(
        "-p 00:00:00:00:00:00 -r 15 -t 1 sendrecv -s {} {flow} --count 100 --rate 10k",
        file.display()
    );
    let program = Program::new(&line).vdev("net_ring0").summed_up();
    let outcome = program.lcores(sixteen_lcores()).megabytes(1024).run();
    let summary = outcome.summary();
    summary.assert_counts(&[("tx.sent", 100), ("lost.total", 100)]);
    Table::parse(&fs::read_to_string(file).unwrap()).assert_adds_up_to(&summary);
    assert_eq!(outcome.stdout(), "");
}

#[test]
fn the_summary_can_go_to_stdout() {
    let outcome = Program::new("rxonly --count 1 --json -").vdev("net_null0").run();
    let summary = Summary::parse(outcome.expect_code(0).stdout());
    assert_eq!(summary.value("mode"), "rxonly");
    assert!(summary.count("rx.received") >= 1, "{summary}");
    assert!(summary.value("lost.total").is_null(), "{summary}");
}

#[test]
fn help_needs_no_permission() {
    let nobody = ForNobody::new();
    for line in ["--help", "-h"] {
        let ended = nobody.run(line).expect_code(0);
        let eal = ended.stdout.find("EAL common options").unwrap();
        let ours =
            ended.stdout.find("For dpdkproj's modes and options: dpdkproj -- --help").unwrap();
        assert!(eal < ours, "{ended}");
    }
    for (line, parts) in [
        ("-- --help", ["reflect", "rxonly", "sendrecv"]),
        ("-- -h", ["[EAL OPTIONS] -- <MODE>", "--duration <SECS>", "--json <FILE>"]),
        ("-- sendrecv --help", ["--src-port-range", "--packet-size", "--rate-per-interval"]),
        ("-- reflect --help", ["--stats-interval-ms", "--count <PACKETS>", "--burst-size"]),
        ("-- --version", ["dpdkproj", env!("CARGO_PKG_VERSION"), ""]),
    ] {
        let ended = nobody.run(line).expect_code(0);
        assert!(parts.iter().all(|part| ended.stdout.contains(part)), "{ended}");
        assert_eq!(ended.stderr, "", "{ended}");
    }
}

/// The whole answer is one line on stderr: so EAL was not even started.
#[test]
fn bad_input_is_one_line_without_eal() {
    let nobody = ForNobody::new();
    let sendrecv = "-- sendrecv --src 10.0.0.4 --dest 10.0.0.5:10000 --dest-mac 12:34:56:78:9a:bc";
    for (line, parts) in [
        ("", vec!["--", "<MODE>", "--help"]),
        ("-l 0-3 reflect", vec!["--", "<MODE>"]),
        ("--", vec!["mode", "reflect, rxonly, sendrecv"]),
        ("-- frob", vec!["mode 'frob'", "reflect, rxonly, sendrecv"]),
        ("-- reflect --frob", vec!["'--frob'"]),
        ("-- reflect extra", vec!["'extra'"]),
        ("-- reflect -p 00:11:22:33:44", vec!["--port", "'00:11:22:33:44'", "six hexadecimal"]),
        ("-- reflect -p 00:11:22:33:44:gg", vec!["--port", "'00:11:22:33:44:gg'", "six"]),
        ("-- reflect -r 0", vec!["--rx-queues", "'0'", "1..=1023"]),
        ("-- reflect -t x", vec!["--tx-queues", "'x'"]),
        ("-- reflect -r 3 -t 2", vec!["-r 3", "-t 2", "the same number"]),
        ("-- reflect --burst-size 0", vec!["--burst-size", "'0'", "1..=512"]),
        ("-- reflect --stats-interval-ms 0", vec!["--stats-interval-ms", "'0'", "1..="]),
        ("-- reflect --duration -1", vec!["--duration", "'-1'", "above 0"]),
        ("-- reflect --count 0", vec!["--count", "'0'"]),
        ("-- sendrecv", vec!["--src", "--dest "]),
        ("S --src-port-range 5", vec!["--src-port-range", "'5'", "FIRST-LAST"]),
        ("S --src-port-range 9-5", vec!["--src-port-range", "'9-5'", "FIRST <= LAST"]),
        ("S --src-port-range 0-5", vec!["--src-port-range", "'0-5'", "1 <= FIRST"]),
        ("S --src-port-range 1-65536", vec!["--src-port-range", "'1-65536'", "65535"]),
        ("S --packet-size 15", vec!["--packet-size", "'15'", "16"]),
        ("S --packet-size 65508", vec!["--packet-size", "'65508'", "65507"]),
        ("S --rate 0%", vec!["--rate", "'0%'", "such as 80%"]),
        ("S --pacing spin", vec!["--pacing", "need a rate (--rate or -R"]),
        ("S --rate 1 --pacing x", vec!["--pacing", "'x'", "burst, spin or hw"]),
        ("S --rate fast", vec!["--rate", "'fast'", "800k"]),
        ("S -R 1 --rate 1", vec!["--rate-per-interval", "--rate "]),
        (
            "-- sendrecv --src 10.0.0.400 --dest 10.0.0.5:7 --dest-mac 2:0:0:0:0:1",
            vec!["--src", "'10.0.0.400'", "expected an IP address"],
        ),
        (
            "-- sendrecv --src 10.0.0.4 --dest 10.0.0.5 --dest-mac 2:0:0:0:0:1",
            vec!["--dest", "'10.0.0.5'", "10.0.0.5:10000"],
        ),
        (
            "-- sendrecv --src 10.0.0.4 --dest 10.0.0.5:0 --dest-mac 2:0:0:0:0:1",
            vec!["--dest", "'10.0.0.5:0'", "1 to 65535"],
        ),
        (
            "-- sendrecv --src 10.0.0.4 --dest 10.0.0.5:70000 --dest-mac 2:0:0:0:0:1",
            vec!["--dest", "'10.0.0.5:70000'", "65535"],
        ),
        (
            "-- sendrecv --src 10.0.0.4 --dest 10.0.0.5:7 --dest-mac ff:ff:ff:ff:ff:ff",
            vec!["--dest-mac", "broadcast address", "of the peer"],
        ),
        (
            "-- sendrecv --src 10.0.0.4 --dest 10.0.0.5:7 --dest-mac 2:0:0",
            vec!["--dest-mac", "'2:0:0'", "six"],
        ),
        (
            "-- reflect -s /no/such/folder/file",
            vec!["-s", "/no/such/folder/file", "No such file or directory"],
        ),
        ("-- reflect -s /tmp", vec!["-s", "/tmp", "Is a directory"]),
        ("-- reflect -s /etc/passwd", vec!["-s", "/etc/passwd", "Permission denied"]),
        (
            "-- reflect --json /no/such/folder/file",
            vec!["--json", "/no/such/folder/file", "No such"],
        ),
        ("-- reflect --json /tmp", vec!["--json", "/tmp", "Is a directory"]),
        ("-- reflect --json /etc/passwd", vec!["--json", "/etc/passwd", "Permission denied"]),
    ] {
        let line = line.replace("S ", &format!("{sendrecv} "));
        let ended = nobody.run(&line).expect_code(2);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
        assert!(ended.stderr.starts_with("dpdkproj: "), "{ended}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{parts:?}: {ended}");
        assert_eq!(ended.stdout, "", "{ended}");
    }
}

/// Root may write anywhere, but not everything.
#[test]
fn a_folder_is_no_file_for_root_either() {
    let folder = Scratch::new();
    let missing = folder.path("missing").join("file");
    for option in ["-s", "--json"] {
        for path in [folder.folder(), &missing] {
            let outcome = Program::new("reflect").arg(option).arg(path).run().expect_code(2);
            let lines = outcome.own_lines();
            let named = |part: &str| lines[0].contains(part);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(named(option) && named(&path.display().to_string()), "{lines:?}");
            assert!(!outcome.stderr().contains("EAL:"), "{}", outcome.stderr());
        }
    }
}

/// One file cannot hold both; and what is in it stays.
#[test]
fn the_same_file_under_two_names_is_refused() {
    let folder = Scratch::new();
    let (path, again) = (folder.path("results"), folder.folder().join(".").join("results"));
    fs::write(&path, "precious").expect("it can be written");
    let stdout = ["-".into(), "/dev/stdout".into()];
    for [stats, json] in [[path.clone(), again], [path.clone(), path.clone()], stdout] {
        let program = Program::new("rxonly --count 1").vdev("net_null0");
        let program = program.arg("-s").arg(&stats).arg("--json").arg(&json);
        let outcome = program.run().expect_code(2);
        let expected = format!(
            "dpdkproj: -s {} --json {}: the same file; give them one each",
            stats.display(),
            json.display()
        );
        assert_eq!(outcome.own_lines(), [expected]);
        assert_eq!(outcome.stdout(), "");
    }
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "precious");
}

#[test]
fn what_the_port_cannot_do_is_refused_in_one_line() {
    let flow = "sendrecv --src 10.0.0.4 --dest 10.0.0.5:7 --dest-mac 12:34:56:78:9a:bc";
    let scratch = Scratch::new();
    let (ring, golden) = ("net_ring0".to_string(), golden_port(&scratch));
    let both =
        ["net_ring0 (00:00:00:00:00:00, net_ring)", "net_pcap0 (02:70:63:61:70:00, net_pcap)"];
    for (vdevs, args, parts) in [
        (
            vec![&ring, &golden],
            "reflect -p 02:00:00:00:00:99",
            vec!["-p 02:00:00:00:00:99", both[0], both[1]],
        ),
        (vec![&ring, &golden], "reflect", vec!["-p", both[0], both[1]]),
        (vec![], "reflect", vec!["-p", "no port", "--vdev"]),
        (vec![&ring], "S -r 17", vec!["-r 17", "16", "lower -r"]),
        (vec![&ring], "S -t 17", vec!["-t 17", "16", "lower -t"]),
        (vec![&ring], "reflect -r 17", vec!["-r 17", "16"]),
        (vec![&ring], "S --packet-size 1473", vec!["--packet-size 1473", "1500", "1472"]),
    ] {
        let mut program = Program::new(&args.replace("S ", &format!("{flow} ")));
        for vdev in vdevs {
            program = program.vdev(vdev);
        }
        let outcome = program.run().expect_code(2);
        let lines = outcome.own_lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(parts.iter().all(|part| lines[0].contains(part)), "{parts:?}: {lines:?}");
        assert_eq!(outcome.stdout(), "");
    }
}

#[test]
fn the_port_is_chosen_by_its_mac() {
    let frames = golden::cases().len();
    let scratch = Scratch::new();
    let outcome = Program::new(&format!("rxonly -p 02:70:63:61:70:00 --count {frames}"))
        .vdev("net_null0")
        .vdev(golden_port(&scratch))
        .vdev("net_ring0")
        .summed_up()
        .run();
    assert!(outcome.own_lines().contains(&"dpdkproj: rxonly runs on port 1"), "{outcome:?}");
    outcome.summary().assert_counts(&[("rx.received", frames as u64)]);
}

#[test]
fn a_file_prefix_that_is_taken_is_named() {
    let first = Program::new("rxonly -q").vdev("net_null0").start_polling();
    let second = Program::new("rxonly -q").vdev("net_null0").with_file_prefix_of(&first);
    let outcome = second.run().expect_code(2);
    let lines = outcome.own_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in
        ["--file-prefix dpdkproj-e2e-", "already runs DPDK under it", "give this one another"]
    {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
}

#[test]
fn what_eal_does_not_like_is_bad_input_too() {
    let outcome = Program::new("reflect").lcores("frob").run().expect_code(2);
    assert_eq!(outcome.own_lines().len(), 1, "{}", outcome.stderr());
    assert!(outcome.own_lines()[0].contains("--help"), "{}", outcome.stderr());
    assert_eq!(outcome.stdout(), "");
}
