//! Options from a file and from the environment, EAL's too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use dpdkproj_e2e::process::{Ended, Process};
use dpdkproj_e2e::program::{cpu, path};
use dpdkproj_e2e::results::Summary;
use dpdkproj_e2e::scratch::Scratch;
use std::fs;
use std::process::Command;

/// A flow that hears itself over `net_ring`.
const FLOW: &str = "sendrecv --src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 \
    --dest-mac 02:00:00:00:00:02 --count 500 --rate 100k --quiet";

/// Runs the program with the words of `line` and then `more`.
fn run(line: &str, more: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(path());
    command.args(line.split_whitespace()).args(more).envs(environment.iter().copied());
    Process::start(command).finish()
}

#[test]
fn a_run_is_printed_as_a_file_and_run_from_it() {
    let scratch = Scratch::new();
    let file = scratch.path("run.toml");
    let file = file.to_str().unwrap();
    // Leaves no files of EAL behind.
    let lcore = format!("--lcores 0@{}", cpu(0));
    let eal =
        format!("{lcore} --no-pci --no-huge -m 128 --no-shconf --no-telemetry --vdev=net_ring0");
    let printed = run(&format!("{eal} -- {FLOW} --print-config"), &[], &[]).expect_code(0);
    fs::write(file, &printed.stdout).unwrap();
    assert_eq!(printed.stderr, "", "neither EAL nor a port starts");
    let again = run("--", &["--config", file, "--print-config"], &[]).expect_code(0);
    let values = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split(" # ").next()).map(Into::into).collect()
    };
    assert_eq!(values(&printed.stdout), values(&again.stdout));

    let json = scratch.path("run.json");
    let json = json.to_str().unwrap();
    let environment = [("DPDKPROJ_COUNT", "700"), ("DPDKPROJ_RATE", "300k")];
    let more = ["--config", file, "--json", json, "--rate", "200k"];
    let _ = run("--", &more, &environment).expect_code(0);
    let summary = Summary::read(std::path::Path::new(json));
    summary.assert_lossless(700);
    assert_eq!(summary.value("tx.requested_pps"), 200_000.0);
    // The command line that is kept asks for the same without the file and the environment.
    let words = summary.value("command").as_array().unwrap();
    let words: Vec<_> = words.iter().map(|word| word.as_str().unwrap()).collect();
    let dashes = words.iter().position(|word| *word == "--").unwrap();
    assert_eq!(words[1..dashes].join(" "), eal);
    for word in ["sendrecv", "--count=700", "200k"] {
        assert!(words[dashes..].contains(&word), "{word}: {words:?}");
    }
    assert!(!words.contains(&"--config"), "{words:?}");
}

#[test]
fn what_is_wrong_with_a_file_is_one_line_before_anything_starts() {
    let scratch = Scratch::new();
    let file = scratch.path("wrong.toml");
    fs::write(&file, "mode = 'reflect'\n\nrx-queue = 2\n").unwrap();
    let file = file.to_str().unwrap();
    let ended = run("--", &["--config", file], &[]).expect_code(2);
    let expected = format!(
        "dpdkproj: {file}:3: rx-queue: no such option; rx-queues is similar, and `dpdkproj -- reflect --help` \
         lists what there is\n"
    );
    assert_eq!(ended.stderr, expected);
}
