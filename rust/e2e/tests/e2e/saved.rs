//! What can be done with the JSON of runs: print it again, and add it up.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use dpdkproj_e2e::program::{Memif, Outcome, Program, path};
use dpdkproj_e2e::results::Summary;
use dpdkproj_e2e::scratch::Scratch;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

/// A flow that hears itself over `net_ring`.
const FLOW: &str =
    "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02";

fn command(name: &str, args: &[&Path]) -> Output {
    let output = Command::new(path()).args(["--", name]).args(args).output();
    output.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Fails the test unless `report` prints the summary that the run has printed.
fn assert_prints_again(run: &Outcome, file: &Path) {
    let again = command("report", &[file]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let printed = text(&again.stdout);
    assert!(printed.contains("\nledger ") && printed.ends_with('\n'), "{printed}");
    assert!(run.stderr().ends_with(&printed), "{printed}\nis not the end of\n{}", run.stderr());
    assert_eq!(text(&again.stderr), "");
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What `date` makes of it, in s since 1970.
fn seconds(timestamp: &str) -> f64 {
    let output = Command::new("date").args(["-u", "-d", timestamp, "+%s.%N"]).output().unwrap();
    text(&output.stdout).trim().parse().unwrap_or_else(|error| panic!("{timestamp}: {error}"))
}

fn ring(scratch: &Scratch, name: &str, options: &str) -> (Outcome, PathBuf) {
    let file = scratch.path(name);
    let program = Program::new(&format!("sendrecv {FLOW} {options}")).vdev("net_ring0");
    (program.arg("--json").arg(&file).run(), file)
}

#[test]
fn saved_runs_are_printed_again_and_added_up() {
    let scratch = Scratch::new();
    let before = now();
    let (first, one) = ring(&scratch, "one.json", "--count 3000 --rate 100k -r 2 -t 2");
    let after = now();
    let (second, two) = ring(&scratch, "two.json", "--count 2000 --rate 100k -r 2 -t 2");
    let (broken, sizes) = ring(
        &scratch,
        "sizes.json",
        "--count 1000 --rate 100k --packet-size 64:7,594:4,1400:1 --max-latency p50=1ns",
    );
    assert_prints_again(&first, &one);
    assert_prints_again(&second, &two);
    assert_prints_again(&broken.expect_code(3), &sizes);

    let [one_json, two_json] = [&one, &two].map(|file| Summary::read(file));
    let started = seconds(one_json.value("started_utc").as_str().unwrap());
    assert!((before..after).contains(&started), "{before} {started} {after}");
    assert!(one_json.value("clock_sync.synchronised").is_boolean(), "{one_json}");

    let sum = scratch.path("sum.json");
    let merged = command("merge", &[&one, &two, Path::new("--json"), &sum]);
    assert!(merged.status.success(), "{}", text(&merged.stderr));
    let json = Summary::read(&sum);
    json.assert_counts(&[("tx.sent", 5000), ("rx.valid", 5000), ("merged.runs", 2)]);
    for key in ["tx.due", "rx.received", "basis.latency_packets", "basis.latency_sum_ns"] {
        assert_eq!(json.count(key), one_json.count(key) + two_json.count(key), "{key}");
    }
    assert!(json.is_balanced(), "{json}");
    // The sum is a result like any other.
    assert_eq!(text(&command("report", &[&sum]).stdout), text(&merged.stdout));
    let other = scratch.path("other.json");
    command("merge", &[&two, &one, Path::new("--json"), &other]);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), std::fs::read_to_string(&sum).unwrap());

    // Others are left out and named; what is left is added up all the same.
    let cut = scratch.path("cut.json");
    std::fs::write(&cut, &std::fs::read(&one).unwrap()[..1000]).unwrap();
    let list = scratch.path("list");
    std::fs::write(&list, format!("{}\n{}\n", two.display(), cut.display())).unwrap();
    let some = command("merge", &[&one, &sizes, Path::new("--from-file"), &list]);
    assert_eq!(some.status.code(), Some(1));
    let said = text(&some.stderr);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("sizes.json: left out: "), "{said}");
    assert!(lines[1].contains("cut.json: left out: it is cut off"), "{said}");
    assert_eq!(text(&some.stdout), text(&merged.stdout));
    let nowhere = scratch.path("no/where.json");
    let unwritten = command("merge", &[&one, &two, Path::new("--json"), &nowhere]);
    assert_eq!((unwritten.status.code(), text(&unwritten.stdout)), (Some(2), String::new()));
    // The sum may take the place of one of the runs.
    command("merge", &[&one, &two, Path::new("--json"), &one]);
    assert_eq!(std::fs::read_to_string(&one).unwrap(), std::fs::read_to_string(&sum).unwrap());
    let refused = command("report", &[&cut]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(text(&refused.stderr).lines().count(), 1, "{}", text(&refused.stderr));
}

#[test]
fn both_ends_of_a_link_are_printed_again() {
    let scratch = Scratch::new();
    let [ours, theirs] = ["sendrecv.json", "reflect.json"].map(|name| scratch.path(name));
    let [sent, reflected] = Memif::measure_by(
        || Program::new("reflect --impair drop=0.01,duplicate=0.01").arg("--json").arg(&theirs),
        |link| link.sendrecv("--count 5000 --rate 100k").arg("--json").arg(&ours).run(),
    );
    assert_prints_again(&sent, &ours);
    assert_prints_again(&reflected, &theirs);
}
