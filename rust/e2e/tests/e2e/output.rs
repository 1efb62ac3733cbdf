//! Results are never lost in silence: whatever is closed, full or killed, they are where they were asked for, or the exit
//! code says that they are not.

#![allow(clippy::panic, reason = "this is how a test fails")]

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::Program;
use dpdkproj_e2e::results::{Summary, Table};
use dpdkproj_e2e::scratch::Scratch;
use std::fs;
use std::path::Path;

/// A run that is over at once, and has rows.
fn short() -> Program {
    Program::new("rxonly -q --count 1").vdev("net_null0")
}

/// One that runs until it is ended.
fn endless() -> Program {
    Program::new("rxonly").vdev("net_null0")
}

fn assert_whole(rows: &str, summary: &Summary) {
    let table = Table::parse(rows);
    table.assert_adds_up_to(summary);
    assert!(table.sum(|row| row.rx) > 0, "{rows}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Stdin, stdout and stderr closed in all combinations.
fn closed() -> impl Iterator<Item = (String, bool, bool)> {
    (0..8).map(|which| {
        let [stdin, stdout, stderr] = [1, 2, 4].map(|bit| which & bit != 0);
        let part = |is_closed: bool, text| if is_closed { text } else { "" };
        let text = [part(stdin, "<&-"), part(stdout, ">&-"), part(stderr, "2>&-")].join(" ");
        (text, stdout, stderr)
    })
}

#[test]
fn files_hold_results_and_nothing_else_whatever_is_closed() {
    for (redirections, _, _) in closed() {
        let scratch = Scratch::new();
        let [rows, json] = ["rows.csv", "summary.json"].map(|name| scratch.path(name));
        let program = short().arg("-s").arg(&rows).arg("--json").arg(&json);
        let outcome = program.redirected(&redirections).run().expect_code(0);
        assert_whole(&read(&rows), &Summary::read(&json));
        assert_eq!(outcome.stdout(), "", "{redirections}");
    }
}

#[test]
fn results_for_a_closed_stdout_are_refused() {
    for (redirections, stdout_closed, stderr_closed) in closed() {
        for option in ["-s -", "--json -", "-s /dev/stdout", "--json /proc/self/fd/1"] {
            let program = option.split(' ').fold(short(), Program::arg);
            let outcome = program.redirected(&redirections).run();
            if stdout_closed {
                let outcome = outcome.expect_code(2);
                let expected = format!("dpdkproj: {option}: cannot be written: stdout is closed");
                let said = outcome.stderr().starts_with(&expected);
                assert!(stderr_closed || said, "{redirections}: {}", outcome.stderr());
            } else if option.starts_with("-s") {
                let rows = Table::parse(outcome.expect_code(0).stdout()).rows;
                assert!(!rows.is_empty(), "{redirections}");
            } else {
                let summary = Summary::parse(outcome.expect_code(0).stdout());
                assert!(summary.is_balanced(), "{redirections}: {summary}");
            }
        }
    }
}

/// The summary is the only result then.
#[test]
fn a_summary_that_nobody_gets_is_a_failure() {
    for redirection in ["2>&-", "2>/dev/full"] {
        let _ = short().redirected(redirection).run().expect_code(1);
    }
    let _ = short().redirected("2>/dev/null").run().expect_code(0);
}

#[test]
fn a_full_disk_is_told() {
    for option in ["-s -", "--json -", "-s /dev/full", "--json /dev/full", "-s /dev/fd/1"] {
        let program = option.split(' ').fold(short(), Program::arg);
        let outcome = program.redirected(">/dev/full").run();
        let said = format!("dpdkproj: {option}: cannot");
        let line = outcome.own_lines().into_iter().find(|line| line.starts_with(&said));
        assert!(line.is_some_and(|line| line.contains("No space left")), "{}", outcome.stderr());
        let refused = option == "-s -" || option == "--json -" || option == "-s /dev/fd/1";
        let _ = outcome.expect_code(if refused { 2 } else { 1 });
    }
    let scratch = Scratch::new();
    let [rows, json] = ["rows.csv", "summary.json"].map(|name| scratch.path(name));
    let program = short().arg("-s").arg(&rows).arg("--json").arg(&json);
    let _ = program.redirected("2>/dev/full").run().expect_code(0);
    assert_whole(&read(&rows), &Summary::read(&json));
}

#[test]
fn help_that_cannot_be_printed_is_a_failure() {
    for redirection in [">&-", ">/dev/full"] {
        let outcome = Program::new("--help").redirected(redirection).run().expect_code(1);
        let said = outcome.stderr().starts_with("dpdkproj: stdout: cannot be written: ");
        assert!(said, "{}", outcome.stderr());
    }
}

/// An ssh session that is lost.
#[test]
fn a_hang_up_ends_it_with_all_results() {
    let mut run = endless().measured(7).start_polling();
    run.wait_for("    1.0 s  tx ");
    run.signal(Signal::Hup);
    run.signal(Signal::Hup);
    let outcome = run.finish();
    assert!(outcome.table().sum(|row| row.rx) > 0, "{}", outcome.stderr());
}

#[test]
fn a_hang_up_that_is_ignored_ends_nothing() {
    let program = endless().measured(7).started_by("trap '' HUP; exec \"$@\"");
    let mut run = program.start_polling();
    run.signal(Signal::Hup);
    run.wait_for("    1.0 s  tx ");
    let outcome = run.finish_by(Signal::Term);
    assert!(outcome.summary().number("duration_s") >= 1.0, "{}", outcome.stderr());
}

/// No file is ever there without results in it.
#[test]
fn what_is_killed_leaves_older_results_or_none() {
    const OLD: &str = "of an older run";
    for has_old in [false, true] {
        for polling in [false, true] {
            let scratch = Scratch::new();
            let [rows, json] = ["rows.csv", "summary.json"].map(|name| scratch.path(name));
            if has_old {
                fs::write(&rows, OLD).expect("it can be written");
                fs::write(&json, OLD).expect("it can be written");
            }
            let mut run = endless().arg("-s").arg(&rows).arg("--json").arg(&json).start();
            run.wait_for(if polling { "    1.0 s  tx " } else { "EAL: " });
            let outcome = run.finish_by(Signal::Kill);
            let json = json.exists().then(|| read(&json));
            assert_eq!(json.as_deref(), has_old.then_some(OLD), "{}", outcome.stderr());
            match rows.exists().then(|| read(&rows)).as_deref() {
                Some(OLD) => assert!(has_old && !polling),
                Some(text) => assert!(text.starts_with("time_ms,tx_packets,"), "{text}"),
                None => assert!(!has_old && !polling),
            }
        }
    }
}

#[test]
fn what_does_not_come_about_leaves_nothing() {
    let scratch = Scratch::new();
    let [rows, json] = ["rows.csv", "summary.json"].map(|name| scratch.path(name));
    let program = short().arg("-s").arg(&rows).arg("--json").arg(&json).lcores("frob");
    let _ = program.run().expect_code(2);
    assert_eq!(fs::read_dir(scratch.folder()).expect("it is there").count(), 0);
}
