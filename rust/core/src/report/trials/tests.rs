use super::*;
use crate::cli::{Parsed, parse as parse_line};
use crate::count::Counts;
use crate::report::outcome::tests::outcome;
use crate::run::mode::{Meaning, ModeInfo, Queues};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

fn template(options: &str) -> Config {
    let mode = ModeInfo::example("any", Meaning::Measures, Queues::Own);
    let line =
        format!("any --trials --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 2:0:0:0:0:2 {options}");
    let words: Vec<String> = line.split_whitespace().map(Into::into).collect();
    match parse_line(&words, &[mode]) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_says_what_differs_from_the_command_line() {
    let template =
        template("--rate 5k --duration 3 --pattern burst:4 --packet-size 100 --pacing spin");
    let (asked, trial) = parse(b"{}", &template).unwrap();
    let config = template.of_trial(&trial, template.tag_key()).unwrap();
    assert_eq!(asked.rate_pps, Some(5000.0));
    assert_eq!((asked.packet_size, asked.pattern), (100.into(), Some("burst:4".into())));
    assert_eq!((config.duration_ns, config.count), (Some(3_000_000_000), None));
    assert_eq!(
        config.sendrecv.as_ref().unwrap().pacing,
        template.sendrecv.as_ref().unwrap().pacing
    );
    assert_ne!(config.tag_key(), template.tag_key());

    let line = br#" {"id": ["a", 1], "rate_pps": 12345.5, "duration_s": 0.25, "count": 7, "packet_size": 16,
        "pattern": "poisson"} "#;
    let (asked, trial) = parse(line, &template).unwrap();
    let config = template.of_trial(&trial, 9).unwrap();
    let sendrecv = config.sendrecv.clone().unwrap();
    let pacing = sendrecv.pacing.unwrap();
    assert_eq!((config.duration_ns, config.count), (Some(250_000_000), Some(7)));
    assert_eq!(
        (pacing.rate, sendrecv.sizes),
        (Rate::new(24_691, 2_000_000_000).unwrap(), Sizes::one(16))
    );
    assert_eq!(pacing.tx_mode, template.tx_mode().unwrap(), "not requested, so as it was");
    assert_eq!(asked.id, Some(serde_json::json!(["a", 1])));
    // Each trial has other random times.
    let other = template.of_trial(&trial, 10).unwrap().sendrecv.unwrap().pacing.unwrap();
    assert!(
        matches!((pacing.pattern, other.pattern), (Pattern::Poisson(a), Pattern::Poisson(b)) if a != b)
    );

    let (asked, trial) = parse(br#"{"packet_size": "64:2,100:1"}"#, &template).unwrap();
    assert_eq!((asked.packet_size, trial.sizes.turns()), ("100:1,64:2".into(), 3));

    let (asked, trial) = parse(br#"{"rate_pps": 0, "id": null}"#, &template).unwrap();
    assert_eq!((trial.rate, asked.rate_pps, asked.pattern, asked.id), (None, None, None, None));
}

#[test]
fn a_bad_request_is_refused_with_what_is_possible() {
    let template = template("");
    for (line, expected) in [
        ("", "a request is a JSON object"),
        ("[null, 1000, 1]", "a request is a JSON object"),
        ("{", "EOF while parsing"),
        ("{} {}", "trailing characters"),
        (r#"{"rate": 5}"#, "unknown field `rate`, expected one of `id`, `rate_pps`"),
        (r#"{"rate_pps": 1, "rate_pps": 2}"#, "duplicate field"),
        (r#"{"rate_pps": "1k"}"#, "invalid type"),
        (r#"{"rate_pps": -1}"#, "rate_pps -1: expected packets per second up to 1e9"),
        (r#"{"rate_pps": 1e10}"#, "rate_pps 10000000000: expected"),
        (r#"{"rate_pps": 1e-9}"#, "expected packets per second"),
        (r#"{"rate_pps": 1e999}"#, "out of range"),
        (r#"{"rate_pps": 5}"#, "the trial has no end: give duration_s"),
        (r#"{"duration_s": 0}"#, "duration_s 0: expected seconds above 0"),
        (r#"{"duration_s": -1}"#, "duration_s -1: expected"),
        (r#"{"duration_s": 1e10}"#, "duration_s 10000000000: expected"),
        (r#"{"count": 0}"#, "count: expected 1 to"),
        (r#"{"count": 1.5}"#, "invalid type"),
        (
            r#"{"duration_s": 1, "packet_size": 15}"#,
            "packet_size 15: 15: expected 16 bytes of UDP payload at least",
        ),
        (
            r#"{"duration_s": 1, "packet_size": 70000}"#,
            "packet_size 70000: expected a size in bytes",
        ),
        (r#"{"duration_s": 1, "packet_size": [64]}"#, "packet_size [64]: expected a size in bytes"),
        (r#"{"duration_s": 1, "packet_size": "16:1,64:1"}"#, "16 beside 64"),
        (r#"{"duration_s": 1, "pattern": "cbr"}"#, "pattern: it needs a rate_pps above 0"),
        (
            r#"{"duration_s": 1, "rate_pps": 5, "pattern": "burst:0"}"#,
            "pattern burst:0: expected cbr",
        ),
    ] {
        let error = parse(line.as_bytes(), &template).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
    assert!(parse(b"{\"id\": \"\xff\"}", &template).is_err(), "not UTF-8");
}

#[test]
fn each_line_has_one_answer_in_order() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let answers = Destination::open(theirs.try_clone().unwrap().into());
    let mut trials = Trials::new(theirs.into(), answers);
    trials.start().unwrap();
    ours.write_all(b"nonsense\n{\"id\": 5, \"duration_s\": 1, \"rate_pps\": 505}\n").unwrap();
    ours.shutdown(std::net::Shutdown::Write).unwrap();
    let template = template("");
    let mut taken = 0;
    loop {
        match trials.next(&template) {
            Next::Nothing => {}
            Next::End => break,
            Next::Request(asked, _) => {
                taken += 1;
                trials.begin(*asked);
                let line = trials.answer(&outcome(), true).unwrap();
                assert_eq!(
                    line,
                    "trial 1: 505 pps for 2.000 s: due 1010  sent 1000  valid 997  (stopped)"
                );
            }
        }
    }
    assert_eq!(taken, 1);
    drop(trials);
    let mut lines = BufReader::new(&ours).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert!(next()["error"].as_str().unwrap().starts_with("a request is a JSON object"));
    let answer = next();
    assert_eq!(answer["schema"], SCHEMA);
    assert_eq!(answer["request"]["id"], 5);
    assert_eq!((&answer["stopped"], &answer["request"]["rate_pps"]), (&true.into(), &505.0.into()));
    // Not sent or lost: 10 + 3 of 1010.
    assert_eq!(answer["trial_loss_ratio"], 13.0 / 1010.0);
    assert_eq!((&answer["tx"]["sent"], &answer["lost"]["total"]), (&1000.into(), &3.into()));
    assert_eq!(answer["tx"]["not_sent_reasons"]["tx_queue_full"], 6);
    for absent in ["host", "command", "mode"] {
        assert!(answer.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn histograms_are_left_out_and_the_unknown_is_null() {
    let summary = r#"{"mode": "any", "host": {}, "latency_ns": {"p50": 5, "histogram": "HISTF",
        "network": null, "since_due": {"p50": 6, "histogram": "HISTF"}}}"#;
    let expected =
        serde_json::json!({"latency_ns": {"p50": 5, "network": null, "since_due": {"p50": 6}}});
    assert_eq!(Value::Object(reduced(summary)), expected);
    let mut outcome = outcome();
    outcome.totals.counts = Counts::default();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let answers = Destination::open(File::from(OwnedFd::from(theirs)));
    let mut trials = Trials::new(File::open("/dev/null").unwrap(), answers);
    trials.start().unwrap();
    let (asked, _) = parse(br#"{"duration_s": 1}"#, &template("")).unwrap();
    trials.begin(asked);
    trials.answer(&outcome, false).unwrap();
    drop(trials);
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert!(serde_json::from_str::<Value>(&text).unwrap()["trial_loss_ratio"].is_null());
}

#[test]
fn a_reader_that_left_ends_it() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let answers = Destination::open(theirs.try_clone().unwrap().into());
    let mut trials = Trials::new(theirs.into(), answers);
    trials.start().unwrap();
    drop(ours);
    let (asked, _) = parse(br#"{"duration_s": 1}"#, &template("")).unwrap();
    trials.begin(asked);
    let problem = trials.answer(&outcome(), false).unwrap_err();
    assert_eq!(problem, "--trials stdout: the reader has gone: statistics are no longer written");
    assert!(matches!(trials.next(&template("")), Next::End));
}
