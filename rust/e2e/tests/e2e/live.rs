//! The live view, in a terminal that nobody looks at.

use dpdkproj_e2e::program::{Program, cpu};
use dpdkproj_e2e::tmux::Tmux;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;

/// What it sends to itself comes back valid.
fn sendrecv(options: &str) -> Program {
    let flow = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02";
    Program::new(&format!("sendrecv {flow} --live {options}")).vdev("net_ring0")
}

/// The terminal is as it was: lines, echo, and what was on it before.
fn assert_given_back(screen: &str) {
    for mode in ["isig icanon", " echo ", "susp = ^Z"] {
        assert!(screen.contains(mode), "{mode}:\n{screen}");
    }
    assert!(!screen.contains("─ Rate"), "{screen}");
}

#[test]
fn a_run_is_seen_whatever_the_size_and_q_ends_it_with_the_summary() {
    let program = sendrecv("--rate 1k --duration 60");
    let Some(terminal) = Tmux::start(program, (120, 40), "") else { return };
    let _ = terminal.wait_for(&["─ Rate ", "p99.9"]);
    // What the program prints on stderr, such as messages of a driver.
    let said = "a driver complains";
    let stderr = format!("/proc/{}/fd/2", terminal.pid());
    let mut stderr = OpenOptions::new().append(true).open(stderr).unwrap();
    stderr.write_all(format!("{said}\n").as_bytes()).unwrap();
    let screen = terminal.wait_for(&[said, " max "]);
    for text in [
        " sendrecv  to 10.0.0.1:7",
        " of 01:00, 00:",
        "─ Rate ──",
        " asked          1.000 kpps   1.000 kpps",
        "─ Loss ──",
        "─ Round-trip time ──",
        "─ Last minute ──",
        " tx0 ",
        " rx0 ",
        "─ Events ──",
        " q stop  Ctrl-Z suspend  Ctrl-L redraw",
    ] {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
    assert!(terminal.colours().contains("\x1b[38;5;6m"), "{}", terminal.colours());
    if cpu(0) != cpu(1) {
        let cpus = terminal.cpus_of("live-view").expect("it draws");
        assert!(!cpus.contains(&cpu(0)), "it leaves the lcore alone: {cpus:?}");
    }
    terminal.resize(60, 16);
    let fits = |screen: &str| {
        let rows: Vec<_> = screen.lines().collect();
        screen.contains("─ Loss")
            && rows.len() <= 16
            && rows.last().is_some_and(|row| row.starts_with(" q stop"))
    };
    let screen = terminal.wait_until("small view", fits);
    assert!(screen.lines().all(|row| row.chars().count() <= 60), "{screen}");
    terminal.resize(120, 60);
    let _ = terminal.wait_for(&["─ Queues"]);
    terminal.press("C-z");
    assert_given_back(&terminal.wait_for(&["stopped", "susp = ^Z", " echo "]));
    terminal.press("Enter");
    let _ = terminal.wait_for(&["─ Rate ", "─ Queues"]);
    terminal.press("q");
    let screen = terminal.wait_for(&["exit code 0", " icanon"]);
    assert_given_back(&screen);
    for text in ["dpdkproj: sendrecv runs on port 0", said, "--- sendrecv: ", "ledger    balanced"]
    {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
}

/// Any other mode; no colours where none are wanted; and the way back from a crash.
#[test]
fn a_crash_gives_the_terminal_back() {
    let program = Program::new("reflect --live").vdev("net_ring0");
    let Some(terminal) = Tmux::start(program, (80, 24), "NO_COLOR=1") else { return };
    let _ = terminal.wait_for(&[
        " reflect",
        "until stopped",
        "─ Rate ",
        " rx0 ",
        " received",
        " s  ready",
    ]);
    let colours = terminal.colours();
    // 39 and 49 are the terminal's own colours.
    let is_colour = |code: &str| code.len() > 1 && !["39", "49"].contains(&code);
    let codes = colours.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m'));
    let found: Vec<_> =
        codes.flat_map(|(codes, _)| codes.split(';')).filter(|code| is_colour(code)).collect();
    assert!(found.is_empty(), "{found:?}: {colours:?}");
    let killed = Command::new("kill").args(["-ABRT", &terminal.pid()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let screen = terminal.wait_for(&["exit code 134", " icanon"]);
    assert_given_back(&screen);
}

#[test]
fn ctrl_c_ends_it_with_the_summary() {
    let Some(terminal) = Tmux::start(sendrecv("--rate 1k --duration 60"), (80, 24), "") else {
        return;
    };
    let _ = terminal.wait_for(&["─ Rate ", " q stop"]);
    terminal.press("C-c");
    let screen = terminal.wait_for(&["exit code 0", " icanon"]);
    assert_given_back(&screen);
    // The summary has scrolled out of a small window, but for its last line.
    assert!(screen.contains("ledger    balanced"), "{screen}");
}

#[test]
fn rows_on_the_same_terminal_are_refused() {
    let Some(terminal) = Tmux::start(sendrecv("-s /dev/stdout"), (120, 24), "") else { return };
    let refusal = "dpdkproj: -s /dev/stdout --live: rows would be printed over the live view; write them to a file or \
                   a pipe";
    let screen = terminal.wait_for(&["exit code 2"]).replace('\n', "");
    assert!(screen.contains(refusal), "{screen}");
}

#[test]
fn without_a_terminal_there_is_a_line_per_second() {
    let outcome = sendrecv("--rate 1k --duration 1.2").summed_up().run();
    let said = "dpdkproj: --live: stdin and stderr are not both a terminal: a line per second is printed instead";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    assert!(outcome.stderr().contains("    1.0 s  tx "), "{}", outcome.stderr());
    let _ = outcome.summary();
}
