//! Where options come from: the command line, else the environment, else the file of `--config`.

use super::config_file::{self, Entry, Value, list, quoted};
use super::{command, one_line, possible};
use crate::run::config::Program;
use crate::run::mode::ModeInfo;
use clap::builder::Resettable;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Options that say where others come from, or print something instead of running.
const NOT_IN_A_FILE: [&str; 4] = ["config", "print_config", "help", "version"];

/// A source, for people.
const COMMAND_LINE: &str = "command line";

/// A command line to which everything from elsewhere is added.
#[derive(Debug)]
pub(super) struct Merged {
    /// EAL's arguments.
    pub(super) eal: Vec<String>,
    /// Ours, without those that say where others come from.
    pub(super) args: Vec<String>,
    /// All of it as a file for `--config`, if that was asked for.
    pub(super) printed: Option<String>,
}

/// An option that is given somewhere.
struct Given<'a> {
    arg: &'a Arg,
    value: Value,
    /// For people.
    source: String,
}

impl Given<'_> {
    /// Whether it appears on the merged command line. A flag that is set to false does not: it only
    /// overrides a weaker source.
    fn is_set(&self) -> bool {
        self.value != Value::Flag(false)
    }

    /// As words of a command line.
    fn words(&self) -> Vec<String> {
        words(self.arg, &self.value)
    }
}

fn words(arg: &Arg, value: &Value) -> Vec<String> {
    let name = long(arg);
    match value {
        Value::Flag(true) => vec![format!("--{name}")],
        Value::Flag(false) => Vec::new(),
        Value::One(value) => vec![format!("--{name}={value}")],
        Value::Many(values) => values.iter().map(|value| format!("--{name}={value}")).collect(),
    }
}

/// Adds to a command line what the environment and the file set, unless it sets that itself. A
/// command line that is wrong, or asks for help, is left for the parser as it is.
///
/// # Errors
/// One line that names the variable, or the line of the file, and what is possible.
pub(super) fn merge(
    program: Program,
    eal: &[String],
    args: &[String],
    modes: &[ModeInfo],
    environment: Environment,
) -> Result<Merged, String> {
    let left = |args: Vec<String>| Merged { eal: eal.to_vec(), args, printed: None };
    let whole = command(program, modes);
    let lenient = relaxed(whole.clone());
    let parse = |args: &[String]| {
        let words = std::iter::once(program.name()).chain(args.iter().map(String::as_str));
        lenient.clone().try_get_matches_from(words)
    };
    let as_given = parse(args);
    if as_given.as_ref().is_err_and(prints) {
        return Ok(left(args.to_vec()));
    }
    let (mut args, path) = without_config(args)?;
    let path = path.or_else(|| variable(program, "config", environment).1);
    let file = path.as_deref().map_or(Ok(Vec::new()), config_file::read)?;
    let is_mode = |word: &String| modes.iter().any(|mode| mode.name == *word);
    let has_mode = match &as_given {
        Ok(matches) => matches.subcommand_name().is_some(),
        // Other errors may be there only because it has options of the mode that the file names.
        Err(error) => error.kind() == ErrorKind::InvalidSubcommand || args.iter().any(is_mode),
    };
    let mut mode_source = COMMAND_LINE;
    if let Some(Entry { place, value, .. }) = file.iter().find(|entry| entry.key == "mode") {
        let name = match value {
            Value::One(name) if is_mode(name) => name,
            Value::One(name) => {
                return Err(format!("{place}: mode: unknown mode '{name}': {}", possible(modes)));
            }
            _ => return Err(format!("{place}: mode: {}", possible(modes))),
        };
        if !has_mode {
            args.insert(0, name.clone());
            mode_source = place;
        }
    }
    let Ok(matches) = parse(&args) else { return Ok(left(args)) };
    let chosen = matches.subcommand();
    let chosen = chosen.and_then(|(name, own)| Some((whole.find_subcommand(name)?, own)));
    let Some((mode, own)) = chosen else { return Ok(left(args)) };

    let all = Options { program, root: &whole, mode };
    let mut given = from_command_line(&all, &[&matches, own]);
    let on_line = given.len();
    given.extend(not_replaced(&all, from_environment(&all, environment)?, &given));
    given.extend(not_replaced(&all, from_file(&all, &file)?, &given));
    let (eal, eal_source) = eal_arguments(program, eal, &file)?;
    args.extend(given.iter().skip(on_line).flat_map(Given::words));
    let is_printed = matches.get_flag("print_config") || own.get_flag("print_config");
    args.retain(|word| word != "--print-config");
    let printed = is_printed.then(|| print(&all, (&eal, eal_source), mode_source, &given));
    Ok(Merged { eal, args, printed })
}

/// Whether `error` is a text that was asked for.
fn prints(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// `command` without checks: it accepts any value, and no option requires or excludes another. It
/// only finds out which options are given; the real command checks them afterwards.
fn relaxed(command: Command) -> Command {
    let relax = |arg: Arg| {
        let arg = alone(arg);
        if is_flag(&arg) { arg } else { arg.value_parser(clap::value_parser!(String)) }
    };
    let command = command.subcommand_required(false).mut_args(relax);
    command.mut_subcommands(|mode| mode.mut_args(relax))
}

/// `arg` as if there were no other.
pub(super) fn alone(arg: Arg) -> Arg {
    arg.required(false).conflicts_with(Resettable::Reset).requires(Resettable::Reset)
}

/// The arguments without `--config FILE`, and FILE. If that has no value, they stay as they are.
///
/// # Errors
/// One line, if it is given more than once.
fn without_config(args: &[String]) -> Result<(Vec<String>, Option<String>), String> {
    let is_config = |word: &String| word == "--config" || word.starts_with("--config=");
    let Some(at) = args.iter().position(is_config) else { return Ok((args.to_vec(), None)) };
    let mut rest = args.to_vec();
    let word = rest.remove(at);
    let path = match word.strip_prefix("--config=") {
        Some(path) => path.to_string(),
        None if at < rest.len() => rest.remove(at),
        None => return Ok((args.to_vec(), None)),
    };
    if rest.iter().any(is_config) {
        return Err("--config: given more than once; put all options into one file".into());
    }
    Ok((rest, Some(path)))
}

/// The options of the program and of a mode.
struct Options<'a> {
    program: Program,
    root: &'a Command,
    mode: &'a Command,
}

impl<'a> Options<'a> {
    /// Each once: some are options of both.
    fn iter(&self) -> impl Iterator<Item = &'a Arg> {
        let mut seen = BTreeSet::new();
        let all = self.root.get_arguments().chain(self.mode.get_arguments());
        all.filter(move |arg| {
            let id = arg.get_id().as_str();
            !NOT_IN_A_FILE.contains(&id) && seen.insert(id)
        })
    }

    /// By its name or an older one.
    fn named(&self, name: &str) -> Option<&'a Arg> {
        self.iter().find(|arg| is_named(arg, name))
    }

    fn excludes(&self, one: &Arg, other: &Arg) -> bool {
        [self.root, self.mode].into_iter().any(|command| {
            let arg = command.get_arguments().find(|arg| arg.get_id() == one.get_id());
            arg.is_some_and(|arg| command.get_arg_conflicts_with(arg).contains(&other))
        })
    }
}

/// The options of `given` that no stronger source overrides, by the same option or by one that
/// excludes it.
fn not_replaced<'a>(all: &Options, given: Vec<Given<'a>>, stronger: &[Given]) -> Vec<Given<'a>> {
    let is_replaced = |weak: &Given| {
        stronger.iter().any(|strong| {
            strong.arg.get_id() == weak.arg.get_id()
                || strong.is_set()
                    && (all.excludes(strong.arg, weak.arg) || all.excludes(weak.arg, strong.arg))
        })
    };
    given.into_iter().filter(|given| !is_replaced(given)).collect()
}

/// The name of an option. All have one: those of the program by their definition, those of modes because it
/// is what they are registered by.
fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}

fn is_named(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_all_aliases().unwrap_or_default().contains(&name)
}

fn is_flag(arg: &Arg) -> bool {
    !arg.get_action().takes_values()
}

fn is_repeatable(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn from_command_line<'a>(all: &Options<'a>, matches: &[&ArgMatches]) -> Vec<Given<'a>> {
    let given = |arg: &'a Arg| {
        let id = arg.get_id().as_str();
        let is_given = |matches: &&&ArgMatches| {
            matches.try_contains_id(id).is_ok_and(|found| found)
                && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        let mut of = matches.iter().filter(is_given).peekable();
        of.peek()?;
        let raw = of.flat_map(|matches| matches.get_raw(id).into_iter().flatten());
        let mut values: Vec<_> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let value = if is_flag(arg) {
            Value::Flag(true)
        } else if is_repeatable(arg) {
            Value::Many(values)
        } else {
            // Of values before and after the mode, the latter counts.
            Value::One(values.pop()?)
        };
        Some(Given { arg, value, source: COMMAND_LINE.into() })
    };
    all.iter().filter_map(given).collect()
}

/// The variable for an option, and its value. Empty is as good as not set.
fn variable(program: Program, long: &str, environment: Environment) -> (String, Option<String>) {
    let name = format!("{}_{long}", program.name()).replace('-', "_").to_uppercase();
    let value = environment(&name).filter(|value| !value.trim().is_empty());
    (name, value)
}

fn from_environment<'a>(
    all: &Options<'a>,
    environment: Environment,
) -> Result<Vec<Given<'a>>, String> {
    let mut given = Vec::new();
    for arg in all.iter() {
        let (name, text) = variable(all.program, long(arg), environment);
        let Some(text) = text else { continue };
        let value = match (is_flag(arg), text.as_str()) {
            (true, "1" | "true") => Value::Flag(true),
            (true, "0" | "false") => Value::Flag(false),
            (true, _) => return Err(format!("{name}: '{text}': expected 1, true, 0 or false")),
            _ if is_repeatable(arg) => {
                Value::Many(text.split_whitespace().map(Into::into).collect())
            }
            _ => Value::One(text),
        };
        check(all.program, arg, &value).map_err(|why| format!("{name}: {why}"))?;
        given.push(Given { arg, value, source: name });
    }
    Ok(given)
}

fn from_file<'a>(all: &Options<'a>, file: &[Entry]) -> Result<Vec<Given<'a>>, String> {
    let mut given: Vec<Given> = Vec::new();
    for Entry { key, place, value } in file.iter().filter(|entry| !is_other(&entry.key)) {
        let wrong = |why: String| format!("{place}: {key}: {why}");
        let arg = all.named(key).ok_or_else(|| wrong(unknown(all, key)))?;
        check(all.program, arg, value).map_err(wrong)?;
        if let Some(first) = given.iter().find(|given| given.arg == arg) {
            return Err(wrong(format!("the same option as in {}; leave one out", first.source)));
        }
        given.push(Given { arg, value: value.clone(), source: place.clone() });
    }
    // An empty list gives nothing.
    given.retain(|given| given.value != Value::Many(Vec::new()));
    Ok(given)
}

/// Keys that are no options.
fn is_other(key: &str) -> bool {
    ["mode", "eal"].contains(&key)
}

/// Why `key` is none of the options.
fn unknown(all: &Options, key: &str) -> String {
    let mode = all.mode.get_name();
    let has_it = |other: &&Command| other.get_arguments().any(|arg| is_named(arg, key));
    if let Some(owner) = all.root.get_subcommands().find(has_it) {
        return format!("an option of {}, and the mode is {mode}; leave it out", owner.get_name());
    }
    // clap knows which name is similar.
    let known = Command::new("").no_binary_name(true).args(all.iter().cloned());
    let error = relaxed(known).try_get_matches_from([format!("--{key}")]);
    let similar =
        error.err().and_then(|error| error.get(ContextKind::SuggestedArg).map(ToString::to_string));
    let dashes = if all.program == Program::Ports { "-- " } else { "" };
    let lists = format!("`{} {dashes}{mode} --help` lists what there is", all.program.name());
    match similar {
        Some(name) => {
            format!("no such option; {} is similar, and {lists}", name.trim_start_matches('-'))
        }
        None => format!("no such option; {lists}"),
    }
}

/// # Errors
/// Why `value` is not possible for `arg`.
fn check(program: Program, arg: &Arg, value: &Value) -> Result<(), String> {
    program.check_has(arg.get_id().as_str())?;
    match value {
        Value::Flag(_) if is_flag(arg) => {}
        _ if is_flag(arg) => return Err("a flag: expected true or false".into()),
        Value::Flag(_) => return Err("expected a value, not true or false".into()),
        Value::Many(_) if !is_repeatable(arg) => {
            return Err("expected one value, not a list".into());
        }
        Value::One(_) | Value::Many(_) => {}
    }
    let command = Command::new("").no_binary_name(true).disable_help_flag(true);
    let parsed = command.arg(alone(arg.clone())).try_get_matches_from(words(arg, value));
    parsed.map(|_| ()).map_err(|error| one_line(&error))
}

/// EAL's arguments, and where they come from: those of the file count if the command line has none.
fn eal_arguments<'a>(
    program: Program,
    eal: &[String],
    file: &'a [Entry],
) -> Result<(Vec<String>, &'a str), String> {
    let as_given = (eal.to_vec(), COMMAND_LINE);
    let Some(Entry { place, value, .. }) = file.iter().find(|entry| entry.key == "eal") else {
        return Ok(as_given);
    };
    if program == Program::Sockets {
        return Err(format!("{place}: eal: udpbaseline does without EAL; leave it out"));
    }
    match value {
        Value::Many(words) if !words.iter().any(|word| word == "--") => {
            Ok(if eal.is_empty() { (words.clone(), place.as_str()) } else { as_given })
        }
        _ => Err(format!(
            "{place}: eal: expected a list with the words in front of the `--`, such as [\"-l\", \"0-15\"]"
        )),
    }
}

/// Everything as a file: what is given, and as comments what is not.
fn print(
    all: &Options,
    (eal, eal_source): (&[String], &str),
    mode_source: &str,
    given: &[Given],
) -> String {
    let mut text = format!(
        "# {} {}, for --config. What begins with # is not given: these are the defaults.\n",
        all.program.name(),
        env!("CARGO_PKG_VERSION")
    );
    if eal.is_empty() {
        if all.program == Program::Ports {
            text += "# eal = []\n";
        }
    } else {
        let _ = writeln!(text, "eal = {} # {eal_source}", list(eal));
    }
    let _ = writeln!(text, "mode = {} # {mode_source}\n", quoted(all.mode.get_name()));
    for arg in all.iter() {
        let name = long(arg);
        if let Some(given) = given.iter().find(|given| given.arg.get_id() == arg.get_id()) {
            let value = match &given.value {
                Value::Flag(is_set) => is_set.to_string(),
                Value::One(value) => quoted(value),
                Value::Many(values) => list(values),
            };
            let _ = writeln!(text, "{name} = {value} # {}", given.source);
        } else if !arg.is_hide_set() {
            let _ = writeln!(text, "# {name} = {}", default(arg));
        }
    }
    text
}

/// The value of an option that is not given; its kind of value if there is none.
fn default(arg: &Arg) -> String {
    match arg.get_default_values().first() {
        _ if is_flag(arg) => "false".into(),
        Some(value) => quoted(&value.to_string_lossy()),
        None => {
            let names = arg.get_value_names().unwrap_or_default();
            format!("<{}>", names.first().map_or("VALUE", |name| name.as_str()))
        }
    }
}

#[cfg(test)]
#[path = "tests/sources.rs"]
mod tests;
