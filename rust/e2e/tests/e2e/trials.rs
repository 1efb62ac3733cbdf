//! `sendrecv --trials`: requests on stdin, answers on stdout, in one process.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program, Run};
use dpdkproj_e2e::scratch::Scratch;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Command};
use std::time::{Duration, Instant};

/// Late packets are sent all the same, so that a busy machine loses none.
const PATIENT: &str = "--trials --rate 1k --catch-up 1000000 -q";

fn schema(name: &str) -> Value {
    let path = format!("{}/../../data/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The answer in a line; fails the test unless `data/trial.schema.json` describes it.
fn answer(line: &str) -> Value {
    let answer: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
    let summary = jsonschema::Resource::from_contents(schema("summary.schema.json")).unwrap();
    let validator = jsonschema::options()
        .with_resource("json-schema:///summary.schema.json", summary)
        .build(&schema("trial.schema.json"))
        .unwrap();
    let errors: Vec<_> = validator.iter_errors(&answer).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {line}");
    answer
}

fn count(answer: &Value, key: &str) -> u64 {
    let value = answer.pointer(&format!("/{}", key.replace('.', "/")));
    value.and_then(Value::as_u64).unwrap_or_else(|| panic!("no count {key} in {answer}"))
}

/// The program and the ends of its pipes.
struct Controller {
    run: Run,
    requests: Option<File>,
    answers: BufReader<ChildStdout>,
    _scratch: Scratch,
}

impl Controller {
    fn of(program: Program) -> Self {
        let scratch = Scratch::new();
        let fifo = scratch.path("requests");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo {}", fifo.display());
        // Open for both, so that neither end waits for the other.
        let requests = File::options().read(true).write(true).open(&fifo).unwrap();
        let program = program.redirected(&format!("<{}", fifo.display()));
        let (mut run, stdout) = program.start_with_stdout();
        run.wait_for("takes requests on stdin");
        Self { run, requests: Some(requests), answers: BufReader::new(stdout), _scratch: scratch }
    }

    fn request(&mut self, request: &Value) {
        writeln!(self.requests.as_mut().unwrap(), "{request}").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, request: &Value) -> Value {
        self.request(request);
        answer(&self.line())
    }

    /// Ends it in an orderly way: nothing more comes.
    fn end(mut self) {
        self.requests = None;
        assert_eq!(self.line(), "");
        let _ = self.run.finish().expect_code(0);
    }
}

#[test]
fn each_request_is_answered_and_a_bad_one_loses_nothing() {
    let link = Memif::new();
    let reflector = link.reflect("-q");
    let mut controller = Controller::of(link.sendrecv(PATIENT));
    let shapes = [(64, "cbr", 20_000), (1000, "poisson", 7_777), (16, "burst:10", 30_000)];
    for (id, (size, pattern, pps)) in (0..).zip(shapes.iter().cycle().take(6)) {
        let request = json!({
            "id": id, "rate_pps": pps, "duration_s": 0.1, "packet_size": size, "pattern": pattern
        });
        let answer = controller.ask(&request);
        let mut asked = answer["request"].clone();
        assert_eq!(asked["count"].take(), Value::Null);
        asked.as_object_mut().unwrap().remove("count");
        // Numbers come back as floating point.
        assert_eq!(asked["rate_pps"].as_f64(), Some(f64::from(*pps)));
        asked["rate_pps"] = (*pps).into();
        assert_eq!(asked, request);
        let due = u64::try_from(*pps).unwrap().div_ceil(10);
        for (key, expected) in
            [("tx.due", due), ("tx.sent", due), ("rx.valid", due), ("lost.forward", 0)]
        {
            assert_eq!(count(&answer, key), expected, "{key} in {answer}");
        }
        assert_eq!(answer["trial_loss_ratio"], 0.0);
        assert_eq!(answer["ledger_balanced"], true);
        for bad in [json!({"rate": 5}), json!({"duration_s": 1, "packet_size": 60_000}), json!(7)] {
            let refused = controller.ask(&bad);
            assert!(refused["error"].is_string(), "{refused}");
        }
    }
    // Requests may come ahead of answers.
    for id in 0..3 {
        controller.request(&json!({"id": id, "count": 10}));
    }
    for id in 0..3 {
        let answer = answer(&controller.line());
        assert_eq!((count(&answer, "request.id"), count(&answer, "tx.sent")), (id, 10));
    }
    controller.end();
    drop(reflector);
}

/// What the reflector drops is known as soon as it says so: the drain of 30 s is not waited for.
#[test]
fn a_trial_ends_when_the_reflector_accounts_for_what_is_missing() {
    let link = Memif::new();
    let reflector = link.reflect("-q --impair cap=20k:100");
    let mut controller = Controller::of(link.sendrecv(&format!("{PATIENT} --drain 30")));
    let begun = Instant::now();
    for _ in 0..2 {
        let answer = controller.ask(&json!({"rate_pps": 40_000, "duration_s": 0.5}));
        assert_eq!(count(&answer, "tx.sent"), 20_000, "{answer}");
        let capped = count(&answer, "reflector.capped");
        assert!(capped > 0, "{answer}");
        assert_eq!(count(&answer, "lost.reflector"), capped);
        assert_eq!(count(&answer, "lost.total"), capped);
        // A bucket of 100 that is full at first, and 20 packets per ms until the last one arrives.
        assert!(20_000 - capped <= 100 + 20 * 600, "{answer}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    controller.end();
    let summary = reflector.finish_by(Signal::Term).summary();
    assert!(summary.count("impaired.capped") > 0, "{summary}");
}

#[test]
fn a_signal_answers_the_trial_under_way_and_runs_no_other() {
    let link = Memif::new();
    let reflector = link.reflect("-q");
    let mut controller = Controller::of(link.sendrecv(PATIENT));
    let first = controller.ask(&json!({"count": 10}));
    assert_eq!(first["stopped"], false);
    controller.request(&json!({"id": "under way", "rate_pps": 1000, "duration_s": 30}));
    controller.request(&json!({"id": "waits", "count": 10}));
    std::thread::sleep(Duration::from_millis(300));
    controller.run.signal(Signal::Term);
    let stopped = answer(&controller.line());
    assert_eq!(
        (&stopped["request"]["id"], &stopped["stopped"]),
        (&json!("under way"), &json!(true))
    );
    assert!(stopped["duration_s"].as_f64().unwrap() < 30.0, "{stopped}");
    assert_eq!(stopped["ledger_balanced"], true);
    controller.end();
    drop(reflector);
}

#[test]
fn a_signal_ends_it_while_it_waits_for_a_request() {
    let link = Memif::new();
    let reflector = link.reflect("-q");
    let mut controller = Controller::of(link.sendrecv(PATIENT));
    controller.run.signal(Signal::Int);
    // Its stdin is still open.
    assert_eq!(controller.line(), "");
    let _ = controller.run.finish().expect_code(0);
    drop(reflector);
}

/// 200 trials in one process leave neither threads nor memory behind. What a trial takes besides
/// sending is printed.
#[test]
fn two_hundred_trials_are_as_cheap_as_the_first() {
    const DURATION: f64 = 0.02;
    let link = Memif::new();
    let reflector = link.reflect("-q");
    let mut controller = Controller::of(link.sendrecv(PATIENT));
    let mut overheads = Vec::new();
    let mut before = None;
    for trial in 0..200 {
        let size = [64, 500][trial % 2];
        let begun = Instant::now();
        let answer = controller
            .ask(&json!({"rate_pps": 10_000, "duration_s": DURATION, "packet_size": size}));
        overheads.push(begun.elapsed().as_secs_f64() - DURATION);
        assert_eq!(count(&answer, "rx.valid"), 200, "{answer}");
        if trial == 20 {
            before = Some((controller.run.threads().len(), controller.run.memory().own));
        }
    }
    let (threads, bytes) = before.unwrap();
    assert_eq!(controller.run.threads().len(), threads);
    let grown = controller.run.memory().own.saturating_sub(bytes);
    assert!(grown < 4 << 20, "{grown} bytes more after 180 trials");
    overheads.sort_by(f64::total_cmp);
    println!("overhead of a trial: median {:.1} ms", overheads[100] * 1e3);
    controller.end();
    drop(reflector);
}

/// Threads of requests and answers stay away from the CPU of the workers, if there is another one.
#[test]
fn its_threads_leave_the_workers_alone() {
    let link = Memif::new();
    let reflector = link.reflect("-q");
    let mut controller = Controller::of(link.sendrecv(PATIENT));
    let worker = dpdkproj_e2e::program::cpu(1);
    // A thread that has just been started has no name of its own yet.
    let _ = controller.ask(&json!({"rate_pps": 1000, "duration_s": 0.01}));
    let threads = controller.run.threads();
    let ours: Vec<_> = threads
        .iter()
        .filter(|(name, _)| ["requests", "stats-writer"].contains(&name.as_str()))
        .collect();
    // Requests; answers, and stderr.
    assert_eq!(ours.len(), 3, "{threads:?}");
    if dpdkproj_e2e::program::cpu(0) != worker {
        assert!(ours.iter().all(|(_, cpus)| !cpus.contains(&worker)), "{ours:?} and cpu {worker}");
    }
    controller.end();
    drop(reflector);
}

#[test]
fn files_of_a_single_run_are_refused() {
    let flow = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";
    let outcome = Program::new(&format!("sendrecv {flow} --trials --json /dev/null")).run();
    let said = "leave -s, --per-queue, --hlog, --json and --pcap out";
    assert!(outcome.expect_code(2).stderr().contains(said));
}

/// A key of the summary is also one of answers, unless it is the same for all trials or belongs to saved
/// runs.
#[test]
fn the_schema_of_answers_follows_that_of_the_summary() {
    let summary = schema("summary.schema.json");
    let trial = schema("trial.schema.json");
    let answer = &trial["$defs"]["answer"]["properties"];
    let common = ["schema", "mode", "meaning", "command", "host", "drain_s", "merged", "basis"];
    for key in summary["properties"].as_object().unwrap().keys() {
        let is_common = common.contains(&key.as_str());
        assert!(is_common || answer.get(key).is_some(), "{key} is missing in trial.schema.json");
    }
}
