//! Options and counters that a mode registers for itself.

use super::{commands, nanoseconds};
use crate::count::{Counter, LedgerPlace, MODE_COUNTERS, ModeCounter};
use crate::report::COLUMNS;
use crate::run::mode::{Meaning, ModeInfo, ModeOption, OptionKind, OptionValue};
use crate::work::impair;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeSet;

/// Adds the mode's own options, under their own heading, and its counters to the command of a mode.
pub(super) fn extend(command: Command, mode: &ModeInfo) -> Command {
    let heading = format!("Options of {} alone", mode.name);
    let command = command.args(mode.options.iter().map(|option| arg(option, &heading)));
    if mode.counters.is_empty() {
        return command;
    }
    let width = mode.counters.iter().map(|counter| counter.name.len()).max().unwrap_or(0);
    let line = |ModeCounter { name, help, .. }: &ModeCounter| format!("\n  {name:width$}  {help}");
    let lines: String = mode.counters.iter().map(line).collect();
    command.after_help(format!("Counters of {} alone:{lines}", mode.name))
}

fn arg(option: &ModeOption, heading: &str) -> Arg {
    let arg = Arg::new(option.name.clone()).long(option.name.clone());
    let arg = arg.help(option.help.clone()).help_heading(heading.to_string());
    let arg = if let Some(short) = option.short { arg.short(short) } else { arg };
    if option.kind == OptionKind::Flag {
        return arg.action(ArgAction::SetTrue);
    }
    let parsed = option.clone();
    let arg = arg
        .value_name(option.value_name.clone())
        .allow_negative_numbers(option.kind != OptionKind::Text)
        .value_parser(move |text: &str| parse(&parsed, text));
    match &option.default_value {
        Some(value) => arg.default_value(value.clone()).hide_default_value(value.is_empty()),
        None => arg.required(true),
    }
}

fn parse(option: &ModeOption, text: &str) -> Result<OptionValue, String> {
    let is_possible = |value: &u64| option.range.contains(value);
    let (least, most) = (*option.range.start(), *option.range.end());
    match option.kind {
        OptionKind::Number => {
            text.parse().ok().filter(is_possible).map(OptionValue::Number).ok_or_else(|| {
                if most == u64::MAX {
                    format!("expected a whole number, at least {least}")
                } else {
                    format!("expected a whole number from {least} to {most}")
                }
            })
        }
        OptionKind::Duration => {
            let duration = impair::duration(text).map(nanoseconds);
            duration.filter(is_possible).map(OptionValue::DurationNs).ok_or_else(|| {
                let expected = "expected a time such as 50us, 2ms or 1.5s";
                match (least, most) {
                    (0, u64::MAX) => expected.into(),
                    (_, u64::MAX) => format!("{expected}, {} at least", time(least)),
                    _ => format!("{expected}, from {} to {}", time(least), time(most)),
                }
            })
        }
        OptionKind::Text | OptionKind::Flag => Ok(OptionValue::Text(text.into())),
    }
}

/// Formats a time in the largest unit that needs no fraction, as on the command line.
fn time(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us")];
    let unit = units.into_iter().find(|(scale, _)| ns > 0 && ns % scale == 0);
    let (scale, unit) = unit.unwrap_or((1, "ns"));
    format!("{}{unit}", ns / scale)
}

/// Values of a mode's own options, by name.
pub(super) fn values(mode: &ModeInfo, matches: &ArgMatches) -> Vec<(String, OptionValue)> {
    let value = |option: &ModeOption| {
        let value = if option.kind == OptionKind::Flag {
            OptionValue::Flag(matches.get_flag(&option.name))
        } else {
            matches.get_one::<OptionValue>(&option.name)?.clone()
        };
        Some((option.name.clone(), value))
    };
    mode.options.iter().filter_map(value).collect()
}

/// Checks the registrations of modes. `built_in` makes the command of a mode without its own
/// options; `common` has the options of all modes.
///
/// # Errors
/// One line for the author of the mode.
pub(super) fn check(
    modes: &[ModeInfo],
    common: &Command,
    built_in: impl Fn(&ModeInfo) -> Command,
) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for mode in modes {
        let name = &mode.name;
        if !names.insert(name) {
            return Err(format!("mode {name} is registered twice"));
        }
        if commands::NAMES.contains(&name.as_str()) {
            return Err(format!("mode {name}: that is the name of a command; choose another"));
        }
        check_options(mode, &[common, &built_in(mode)])
            .map_err(|(option, why)| format!("mode {name}, option --{option}: {why}"))?;
        check_counters(mode)
            .map_err(|(counter, why)| format!("mode {name}, counter {counter}: {why}"))?;
    }
    Ok(())
}

/// Name of the option or counter, and what is wrong with it.
type Wrong<'a> = (&'a str, String);

fn check_options<'a>(mode: &'a ModeInfo, built_in: &[&Command]) -> Result<(), Wrong<'a>> {
    let mut taken: BTreeSet<String> = ["help", "version", "mode", "eal"].map(Into::into).into();
    for arg in built_in.iter().flat_map(|command| command.get_arguments()) {
        taken.insert(arg.get_id().to_string());
        taken.extend(arg.get_long().map(Into::into));
        taken.extend(arg.get_all_aliases().unwrap_or_default().into_iter().map(Into::into));
    }
    let mut own = BTreeSet::new();
    for option in &mode.options {
        let wrong = |why: String| Err((option.name.as_str(), why));
        if !is_name(&option.name, '-') {
            return wrong("a name has lower-case letters, digits and single dashes".into());
        }
        if taken.contains(&option.name) {
            return wrong("the program already has an option of that name; choose another".into());
        }
        if !own.insert(&option.name) {
            return wrong("registered twice".into());
        }
        if option.range.is_empty() {
            return wrong("its minimum is greater than its maximum".into());
        }
        match (&option.default_value, option.kind) {
            (Some(_), OptionKind::Flag) => {
                return wrong("a flag has no default value".into());
            }
            (Some(value), _) => parse(option, value).map(|_| ()).or_else(|why| {
                wrong(format!("its default value '{value}' is not allowed: {why}"))
            })?,
            (None, _) => {}
        }
    }
    Ok(())
}

fn check_counters(mode: &ModeInfo) -> Result<(), Wrong<'_>> {
    let mut own = BTreeSet::new();
    for (index, counter) in mode.counters.iter().enumerate() {
        let wrong = |why: String| Err((counter.name.as_str(), why));
        if !is_name(&counter.name, '_') {
            return wrong("a name has lower-case letters, digits and single underscores".into());
        }
        let counted = [Counter::Received, Counter::Sent, Counter::Dropped];
        let mut counted = counted.iter().chain(Counter::NOT_SENT).map(|counter| counter.name());
        if COLUMNS.contains(&counter.name.as_str()) || counted.any(|name| name == counter.name) {
            return wrong("the program already has an option of that name; choose another".into());
        }
        if !own.insert(&counter.name) {
            return wrong("registered twice".into());
        }
        if index >= MODE_COUNTERS {
            return wrong(format!("a mode has at most {MODE_COUNTERS} counters"));
        }
        match (mode.meaning, counter.place) {
            (Meaning::Forwards, _) | (Meaning::Counts, LedgerPlace::Note) => {}
            (Meaning::Counts, _) => {
                return wrong(
                    "a mode that counts has no equation for it; register it as a note".into(),
                );
            }
            (Meaning::Measures | Meaning::Returns, _) => {
                return wrong(format!(
                    "a mode that {} has no tallies to count with; register the mode with another \
                     meaning",
                    mode.meaning.name()
                ));
            }
        }
    }
    Ok(())
}

/// Whether `name` consists of words of lower-case letters and digits, joined by `joint`, and begins
/// with a letter.
fn is_name(name: &str, joint: char) -> bool {
    let is_word = |word: &str| {
        let possible = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(possible)
    };
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split(joint).all(is_word)
}

#[cfg(test)]
#[path = "tests/mode_options.rs"]
mod tests;
