//! Completions for shells: EAL's options in front of the `--`, our modes and options after it.

use super::{command, commands, sources};
use crate::run::config::Program;
use crate::run::mode::ModeInfo;
use clap::builder::{PossibleValue, StyledStr};
use clap::{Arg, Command, ValueHint};
use clap_complete::{Generator, Shell};

/// The options of EAL that people give, in all versions of DPDK that this builds with.
const EAL: [&str; 33] = [
    "-a",
    "-b",
    "-c",
    "-d",
    "-l",
    "-m",
    "-n",
    "-v",
    "--allow",
    "--block",
    "--file-prefix",
    "--force-max-simd-bitwidth",
    "--help",
    "--huge-dir",
    "--huge-unlink",
    "--in-memory",
    "--iova-mode",
    "--lcores",
    "--legacy-mem",
    "--log-level",
    "--main-lcore",
    "--match-allocations",
    "--no-hpet",
    "--no-huge",
    "--no-pci",
    "--no-shconf",
    "--no-telemetry",
    "--proc-type",
    "--single-file-segments",
    "--socket-limit",
    "--socket-mem",
    "--vdev",
    "--vfio-intr",
];

/// Options with few values, which are parsed by functions of our own.
const VALUES: [(&str, &[&str]); 4] = [
    ("offload", &["auto", "on", "off"]),
    ("ecn", &["not-ect", "ect0", "ect1", "ce"]),
    ("pacing", &["burst", "spin", "hw"]),
    ("pattern", &["cbr", "poisson"]),
];

/// Shells for which there is a script.
pub(super) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The script for a shell, one of [`SHELLS`].
pub(super) fn script(program: Program, modes: &[ModeInfo], shell: &str) -> String {
    let name = program.name();
    let command = tree(program, modes);
    match (shell, program) {
        ("bash", Program::Ports) => generated(Shell::Bash, command) + &bash(name),
        ("bash", Program::Sockets) => generated(Shell::Bash, command),
        ("zsh", Program::Ports) => zsh(&generated(Shell::Zsh, command), name),
        ("zsh", Program::Sockets) => generated(Shell::Zsh, command),
        _ => fish(program, &command),
    }
}

/// Modes and commands, each with all of its options. Those of the program are options of each mode here:
/// if they were global, clap would offer them for commands, too.
fn tree(program: Program, modes: &[ModeInfo]) -> Command {
    let whole = command(program, modes);
    let root = visible(&whole).version(env!("CARGO_PKG_VERSION"));
    let modes: Vec<_> = whole
        .get_subcommands()
        .map(|mode| {
            let own = visible(mode);
            let is_own = |arg: &&Arg| mode.get_arguments().any(|own| own == *arg);
            let common: Vec<_> = root.get_arguments().filter(|arg| !is_own(arg)).cloned().collect();
            own.args(common)
        })
        .collect();
    describe(root.bin_name(program.name()).subcommands(modes).subcommands(commands::all(program)))
}

/// `command` alone, with what it shows. (clap completes hidden options, too.)
fn visible(command: &Command) -> Command {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let shown = shown.map(|arg| sources::alone(arg.clone()).global(false));
    let alone = Command::new(command.get_name().to_string()).args(shown);
    alone.about(command.get_about().cloned().unwrap_or_default())
}

/// Says what values are, where clap cannot know: other values than files must not be completed to
/// names of files.
fn describe(command: Command) -> Command {
    fn arg(arg: Arg) -> Arg {
        let values = VALUES.iter().find(|(name, _)| arg.get_long() == Some(*name));
        match (values, arg.get_value_hint()) {
            (Some((_, values)), _) => arg.value_parser(values.to_vec()),
            _ if !arg.get_action().takes_values() => arg,
            (None, ValueHint::Unknown) => arg.value_hint(ValueHint::Other),
            (None, ValueHint::AnyPath) => arg.value_hint(ValueHint::FilePath),
            _ => arg,
        }
    }
    command.mut_args(arg).mut_subcommands(|mode| mode.mut_args(arg))
}

fn generated(shell: Shell, mut command: Command) -> String {
    command.build();
    let mut script = Vec::new();
    shell.generate(&command, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What is appended to clap's script, which does not know of the `--`.
fn bash(name: &str) -> String {
    let eal = EAL.join(" ");
    format!(
        r#"
_{name}_line() {{
    local at
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ ${{COMP_WORDS[at]}} != -- ]] || break
    done
    if ((at >= COMP_CWORD)); then
        COMPREPLY=($(compgen -W "{eal} --" -- "$2"))
        return
    fi
    COMP_WORDS=("$1" "${{COMP_WORDS[@]:at+1}}")
    COMP_CWORD=$((COMP_CWORD - at))
    _{name} "$@"
}}
complete -F _{name}_line -o bashdefault -o default {name}
"#
    )
}

/// clap's script, called by a function that skips what precedes the `--`.
fn zsh(script: &str, name: &str) -> String {
    let script =
        script.replace(&format!("\n_{name}() {{"), &format!("\n_{name}_after_dashes() {{"));
    let eal = EAL.join(" ");
    let (body, end) =
        script.split_at(script.rfind("\nif [ \"$funcstack[1]\"").unwrap_or(script.len()));
    format!(
        r#"{body}
_{name}() {{
    local -i at=${{words[(i)--]}}
    if (( at >= CURRENT )); then
        compadd -- {eal} --
        return
    fi
    words=({name} "${{(@)words[at+1,-1]}}")
    CURRENT=$(( CURRENT - at + 1 ))
    _{name}_after_dashes "$@"
}}
{end}"#
    )
}

/// Everything as arguments, because fish completes no options after a `--`.
fn fish(program: Program, command: &Command) -> String {
    let name = program.name();
    let skip = match program {
        Program::Ports => format!(
            "    set -l at (contains -i -- -- $words)\n    if test -z \"$at\"\n        printf '%s\\n' {} --\n        \
             return\n    end\n    set words $words[$at..-1]\n",
            EAL.join(" ")
        ),
        Program::Sockets => String::new(),
    };
    let all: Vec<_> = command.get_subcommands().collect();
    let names: Vec<_> = all.iter().map(|one| one.get_name()).collect();
    let of_each =
        all.iter().map(|one| format!("        case {}\n{}", one.get_name(), candidates(one)));
    let of_each = of_each.collect::<Vec<_>>().concat();
    let names_with_help: String =
        all.iter().map(|one| line(one.get_name(), one.get_about())).collect();
    format!(
        "function __{name}_candidates\n    set -l words (commandline -opc)\n{skip}    switch $words[-1]\n{values}    end\n    \
         set -l chosen\n    for word in $words[2..-1]\n        if contains -- $word {names}\n            \
         set chosen $word\n            break\n        end\n    end\n    switch \"$chosen\"\n{of_each}        \
         case ''\n{names_with_help}{common}    end\nend\ncomplete -c {name} -f -a '(__{name}_candidates)'\n",
        values = values(command),
        names = names.join(" "),
        common = candidates(command),
    )
}

/// Cases of fish: what follows an option that has a value.
fn values(command: &Command) -> String {
    let all = std::iter::once(command).chain(command.get_subcommands());
    let mut cases: Vec<_> = all
        .flat_map(Command::get_arguments)
        .filter(|arg| arg.get_action().takes_values() && !arg.is_positional())
        .map(|arg| {
            format!("        case {}\n{}            return\n", names(arg).join(" "), value(arg))
        })
        .collect();
    cases.sort();
    cases.dedup();
    cases.concat()
}

/// A command of fish that prints the candidates for the value of an option; nothing if there are none.
fn value(arg: &Arg) -> String {
    let possible = arg.get_possible_values();
    let possible: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
    if arg.get_value_hint() == ValueHint::FilePath {
        "            __fish_complete_path (commandline -ct)\n".into()
    } else if possible.is_empty() {
        String::new()
    } else {
        format!("            printf '%s\\n' {}\n", possible.join(" "))
    }
}

/// Commands of fish that print the options of a mode or command, and its operands.
fn candidates(command: &Command) -> String {
    let (operands, options): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .partition(|arg| arg.is_positional());
    let options = options.into_iter().flat_map(|arg| {
        names(arg).into_iter().map(|name| line(&name, arg.get_help())).collect::<Vec<_>>()
    });
    operands.into_iter().map(value).chain(options).collect()
}

/// The names of an option, with dashes.
fn names(arg: &Arg) -> Vec<String> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    short.into_iter().chain(arg.get_long().map(|long| format!("--{long}"))).collect()
}

/// A command of fish that prints a candidate with its description, up to the first full clause.
fn line(word: &str, help: Option<&StyledStr>) -> String {
    let help = help.map(ToString::to_string).unwrap_or_default();
    let help = help.split([':', ';', '(', '[']).next().unwrap_or_default().trim();
    let help = help.replace('\\', "\\\\").replace('\'', "\\'");
    format!("            printf '%s\\t%s\\n' {word} '{help}'\n")
}

#[cfg(test)]
#[path = "tests/completions.rs"]
mod tests;
