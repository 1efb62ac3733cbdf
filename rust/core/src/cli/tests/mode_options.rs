use super::*;
use crate::cli;
use crate::run::config::Config;
use crate::run::mode::Queues;

fn option(name: &str, kind: OptionKind, default_value: Option<&str>) -> ModeOption {
    ModeOption {
        name: name.into(),
        short: None,
        kind,
        value_name: "X".into(),
        help: format!("What {name} does"),
        default_value: default_value.map(Into::into),
        range: 0..=u64::MAX,
    }
}

fn counter(name: &str, place: LedgerPlace) -> ModeCounter {
    ModeCounter { name: name.into(), help: format!("What {name} counts"), place }
}

/// A mode with an option of each kind, a mandatory option and two counters.
fn mine() -> ModeInfo {
    ModeInfo {
        name: "mine".into(),
        about: "Of this test".into(),
        meaning: Meaning::Forwards,
        queues: Queues::Mixed,
        options: vec![
            option("eager", OptionKind::Flag, None),
            ModeOption { range: 1..=100, ..option("every", OptionKind::Number, Some("10")) },
            ModeOption {
                range: 1000..=1_500_000,
                ..option("hold-for", OptionKind::Duration, Some("1ms"))
            },
            option("label", OptionKind::Text, Some("")),
            option("rank", OptionKind::Number, None),
        ],
        counters: vec![
            counter("decimated", LedgerPlace::Dropped),
            counter("seen_twice", LedgerPlace::Note),
        ],
    }
}

fn parse_line(line: &str, modes: &[ModeInfo]) -> Result<cli::Parsed, String> {
    let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
    cli::parse(&args, modes)
}

fn run(line: &str) -> Config {
    match parse_line(line, &[mine()]) {
        Ok(cli::Parsed::Run(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

/// The error for a mode that differs from [`mine`].
fn refused(change: impl FnOnce(&mut ModeInfo)) -> String {
    let mut mode = mine();
    change(&mut mode);
    parse_line("mine --rank 1", &[mode]).unwrap_err()
}

#[test]
fn options_have_the_values_that_are_given() {
    let named = |values: [OptionValue; 5]| {
        let names = ["eager", "every", "hold-for", "label", "rank"].map(String::from);
        names.into_iter().zip(values).collect::<Vec<_>>()
    };
    let config = run("mine --eager --every 7 --hold-for 1.5ms --label abc --rank 0 -r 2");
    let expected = named([
        OptionValue::Flag(true),
        OptionValue::Number(7),
        OptionValue::DurationNs(1_500_000),
        OptionValue::Text("abc".into()),
        OptionValue::Number(0),
    ]);
    assert_eq!((config.mode_options, config.rx_queues), (expected, 2));
    assert_eq!(config.counters, mine().counters);
    let expected = named([
        OptionValue::Flag(false),
        OptionValue::Number(10),
        OptionValue::DurationNs(1_000_000),
        OptionValue::Text(String::new()),
        OptionValue::Number(u64::MAX),
    ]);
    assert_eq!(run("mine --rank 18446744073709551615").mode_options, expected);
}

#[test]
fn bad_values_are_one_line_with_option_value_and_what_is_allowed() {
    let number = "expected a whole number from 1 to 100";
    let time = "expected a time such as 50us, 2ms or 1.5s, from 1us to 1500us";
    for (options, expected) in [
        ("--every 0", format!("invalid value '0' for '--every <X>': {number}")),
        ("--every 101", format!("invalid value '101' for '--every <X>': {number}")),
        ("--every -1", format!("invalid value '-1' for '--every <X>': {number}")),
        ("--every ten", format!("invalid value 'ten' for '--every <X>': {number}")),
        ("--hold-for 2ms", format!("invalid value '2ms' for '--hold-for <X>': {time}")),
        ("--hold-for 5", format!("invalid value '5' for '--hold-for <X>': {time}")),
        (
            "--rank 1.5",
            "invalid value '1.5' for '--rank <X>': expected a whole number, at least 0".into(),
        ),
    ] {
        let rank = if options.contains("--rank") { "" } else { "--rank 1" };
        let error = parse_line(&format!("mine {rank} {options}"), &[mine()]).unwrap_err();
        assert_eq!(error, expected);
    }
    let error = parse_line("mine", &[mine()]).unwrap_err();
    assert!(error.contains("not provided: --rank <X>"), "{error}");
    let error = parse_line("mine --rank 1 --eager=no", &[mine()]).unwrap_err();
    assert!(error.contains("'no' for '--eager'") && !error.contains('\n'), "{error}");
}

#[test]
fn the_help_of_a_mode_has_its_options_and_counters() {
    let mut other = mine();
    other.name = "other".into();
    other.options.clear();
    other.counters.clear();
    let modes = [mine(), other];
    let help = |line: &str| match parse_line(line, &modes) {
        Ok(cli::Parsed::Print(text)) => text,
        other => panic!("{other:?}"),
    };
    let text = help("mine --help");
    let (all, own) = text.split_once("\nOptions of mine alone:\n").unwrap();
    assert!(all.contains("--rx-queues") && !all.contains("--every"), "{text}");
    for part in [
        "--every <X>     What every does [default: 10]\n",
        "--label <X>     What label does\n",
        "--eager         What eager does\n",
        "\nCounters of mine alone:\n  decimated   What decimated counts\n  seen_twice  What",
    ] {
        assert!(own.contains(part), "{part} in {text}");
    }
    assert!(!help("other --help").contains("alone"));
    assert!(!help("--help").contains("--every"));
}

#[test]
fn options_that_cannot_be_are_refused_at_the_start() {
    for (name, why) in [
        ("rx-queues", "the program already has an option of that name; choose another"),
        ("rx_queues", "a name has lower-case letters, digits and single dashes"),
        ("quiet", "the program already has an option of that name; choose another"),
        ("help", "the program already has an option of that name; choose another"),
        ("Every", "a name has lower-case letters, digits and single dashes"),
        ("9th", "a name has lower-case letters, digits and single dashes"),
        ("-every", "a name has lower-case letters, digits and single dashes"),
        ("a--b", "a name has lower-case letters, digits and single dashes"),
        ("", "a name has lower-case letters, digits and single dashes"),
        ("every", "registered twice"),
    ] {
        let error = refused(|mode| mode.options.push(option(name, OptionKind::Flag, None)));
        assert_eq!(error, format!("mode mine, option --{name}: {why}"));
    }
    // Also the options that only modes of this meaning have.
    let reflects = |mode: &mut ModeInfo| {
        mode.meaning = Meaning::Returns;
        mode.counters.clear();
        mode.options.push(option("impair", OptionKind::Flag, None));
    };
    let error = refused(reflects);
    assert_eq!(
        error,
        "mode mine, option --impair: the program already has an option of that name; choose another"
    );
    assert_eq!(
        refused(|mode| mode.options[1].default_value = Some("0".into())),
        "mode mine, option --every: its default value '0' is not allowed: expected a whole number from 1 \
         to 100"
    );
    assert_eq!(
        refused(|mode| mode.options[0].default_value = Some("true".into())),
        "mode mine, option --eager: a flag has no default value"
    );
    #[expect(clippy::reversed_empty_ranges, reason = "it is to be refused")]
    let error = refused(|mode| mode.options[1].range = 5..=4);
    assert_eq!(error, "mode mine, option --every: its minimum is greater than its maximum");
}

#[test]
fn counters_that_cannot_be_are_refused_at_the_start() {
    for (name, why) in [
        ("lost_packets", "the program already has an option of that name; choose another"),
        ("tx_queue_full", "the program already has an option of that name; choose another"),
        ("dropped", "the program already has an option of that name; choose another"),
        ("seen,twice", "a name has lower-case letters, digits and single underscores"),
        ("decimated", "registered twice"),
    ] {
        let error = refused(|mode| mode.counters.push(counter(name, LedgerPlace::Note)));
        assert_eq!(error, format!("mode mine, counter {name}: {why}"));
    }
    let many = |count: usize| {
        move |mode: &mut ModeInfo| {
            let name = |index: usize| counter(&format!("c{index}"), LedgerPlace::Refused);
            mode.counters = (0..count).map(name).collect();
        }
    };
    let mut mode = mine();
    many(MODE_COUNTERS)(&mut mode);
    assert!(parse_line("mine --rank 1", &[mode]).is_ok());
    let error = refused(many(MODE_COUNTERS + 1));
    assert_eq!(error, "mode mine, counter c8: a mode has at most 8 counters");
    let error = refused(|mode| mode.meaning = Meaning::Counts);
    assert_eq!(
        error,
        "mode mine, counter decimated: a mode that counts has no equation for it; register it as a \
         note"
    );
    let error = refused(|mode| mode.meaning = Meaning::Measures);
    assert!(error.starts_with("mode mine, counter decimated: a mode that measures has no tallies"));
}

#[test]
fn two_modes_do_not_have_one_name() {
    let error = parse_line("mine --rank 1", &[mine(), mine()]).unwrap_err();
    assert_eq!(error, "mode mine is registered twice");
}
