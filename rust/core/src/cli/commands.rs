//! Commands: what the program answers without a run. On the command line, they are where modes are.

use super::{Parsed, Program, completions, manual, one_line, saved};
use crate::run::mode::ModeInfo;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};

/// Their names, which no mode may have.
pub(super) const NAMES: [&str; 4] = ["report", "merge", "man", "completions"];

/// What a command does.
type Act = fn(Program, &[ModeInfo], &ArgMatches) -> Result<Parsed, String>;

/// The commands, for help, manual page and completions.
pub(super) fn all(program: Program) -> impl Iterator<Item = Command> {
    NAMES.iter().filter_map(move |name| find(program, name).map(|(command, _)| command))
}

fn find(program: Program, name: &str) -> Option<(Command, Act)> {
    let (command, operands, act): (Command, &str, Act) = match name {
        "report" => (saved::report_command(), "FILE", |_, _, matches| saved::report(matches)),
        "merge" => {
            (saved::merge_command(), "[OPTIONS] [FILE]...", |_, _, matches| saved::merge(matches))
        }
        "man" => (
            Command::new("man").about("Print the manual page, in roff"),
            "",
            |program, modes, _| Ok(Parsed::Print(manual::page(program, modes))),
        ),
        "completions" => (completions_command(), "SHELL", |program, modes, matches| {
            let shell = matches.get_one::<String>("shell").map_or("", String::as_str);
            Ok(Parsed::Print(completions::script(program, modes, shell)))
        }),
        _ => return None,
    };
    let dashes = if program == Program::Ports { "-- " } else { "" };
    let usage = format!("{} {dashes}{name} {operands}", program.name());
    Some((command.override_usage(usage.trim_end().to_string()), act))
}

fn completions_command() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true);
    let shell =
        shell.value_parser(completions::SHELLS).help("Shell that reads it: bash, zsh or fish");
    Command::new("completions").about("Print the script for completion in a shell").arg(shell)
}

/// Carries a command out; `None` if the arguments ask for a mode.
pub(super) fn answer(
    program: Program,
    modes: &[ModeInfo],
    args: &[String],
) -> Option<Result<Parsed, String>> {
    let (command, act) = find(program, args.first()?)?;
    Some(match command.try_get_matches_from(args) {
        Ok(matches) => act(program, modes, &matches),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            Ok(Parsed::Print(error.to_string()))
        }
        Err(error) => Err(one_line(&error)),
    })
}
