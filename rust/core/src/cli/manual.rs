//! The manual page, in roff.

use super::{command, commands, sources};
use crate::run::config::Program;
use crate::run::mode::ModeInfo;
use clap::{Arg, Command};
use clap_mangen::Man;
use std::fmt::Write as _;

/// Date of the texts below.
const DATE: &str = "2026-11-28";

/// The page for a program with these modes.
pub(super) fn page(program: Program, modes: &[ModeInfo]) -> String {
    let whole = command(program, modes);
    let is_common = |arg: &Arg| whole.get_arguments().any(|common| common == arg);
    let mut page = head(program, &whole) + ".SH OPTIONS\n.SS \"Options of all modes\"\n";
    let common: Vec<Arg> = whole.get_arguments().cloned().collect();
    page += &options(&common);
    for mode in whole.get_subcommands() {
        let own: Vec<Arg> = mode.get_arguments().filter(|arg| !is_common(arg)).cloned().collect();
        if !own.is_empty() {
            let _ =
                write!(page, ".SS \"Options of {}\"\n{}", escaped(mode.get_name()), options(&own));
        }
    }
    for command in commands::all(program) {
        let own: Vec<Arg> = command.get_arguments().cloned().collect();
        if !own.is_empty() {
            let _ = write!(page, ".SS \"Arguments of {}\"\n{}", command.get_name(), options(&own));
        }
    }
    wrapped(&(page + tail(program)))
}

/// Title, and what precedes the options.
fn head(program: Program, whole: &Command) -> String {
    let name = program.name();
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let about = whole.get_about().map(ToString::to_string).unwrap_or_default();
    let synopsis = match program {
        Program::Ports => {
            ".RI [ \"EAL options\" ]\n.B \\-\\-\n.I mode\n.RI [ options ]\n.br\n.B dpdkproj \\-\\- \\-\\-help\n"
        }
        Program::Sockets => ".I mode\n.RI [ options ]\n",
    };
    let description = match program {
        Program::Ports => DESCRIPTION,
        Program::Sockets => SOCKETS_DESCRIPTION,
    };
    let modes: String = whole.get_subcommands().map(one_line_about).collect();
    let commands: String = commands::all(program).map(|command| one_line_about(&command)).collect();
    format!(
        ".TH {title} 1 {DATE} \"{name} {version}\" \"User Commands\"\n.SH NAME\n{name} \\- {}\n.SH SYNOPSIS\n.B {name}\n\
         {synopsis}.SH DESCRIPTION\n{description}.SS Modes\n{modes}.SS \"Commands, which run nothing\"\n{commands}",
        lower_first(&escaped(&about))
    )
}

fn tail(program: Program) -> &'static str {
    match program {
        Program::Ports => TAIL,
        Program::Sockets => SOCKETS_TAIL,
    }
}

/// An entry of a list of modes or commands.
fn one_line_about(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    format!(".TP\n.B {}\n{}.\n", escaped(command.get_name()), escaped(&about))
}

/// The list of all options that are not hidden.
fn options(args: &[Arg]) -> String {
    // Without headings, requirements and exclusions, which do not matter for an entry, and without
    // possible values, which are in its text.
    let alone = |arg: &Arg| {
        let takes_values = arg.get_action().takes_values();
        sources::alone(arg.clone()).help_heading(None).hide_possible_values(takes_values)
    };
    let command = Command::new("").disable_help_flag(true).args(args.iter().map(alone));
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(command).render_options_section(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    // The first lines define a string for apostrophes, which the page has as characters.
    let list = text.split_once(".SH OPTIONS\n").map(|(_, list)| list).unwrap_or_default();
    list.replace("\\*(Aq", "\\(aq")
}

/// `page` with lines of at most 80 bytes, as mandoc wants them, except for requests and for the line that is the tag of
/// an entry, which end where they end.
fn wrapped(page: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for line in page.lines() {
        let mut width = 0;
        if line.len() <= 80 || line.starts_with('.') || is_tag {
            text += line;
        } else {
            for word in line.split(' ') {
                if width > 0 && width + 1 + word.len() > 80 {
                    // A word with one of these in front would be a request.
                    text += if word.starts_with(['.', '\'']) { "\n\\&" } else { "\n" };
                    width = 0;
                } else if width > 0 {
                    text.push(' ');
                    width += 1;
                }
                text += word;
                width += word.len();
            }
        }
        text.push('\n');
        is_tag = line == ".TP";
    }
    text
}

/// Text of ours as roff has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

const DESCRIPTION: &str = r"Measures a path for UDP packets with DPDK.
.B sendrecv
on one machine sends packets at an exact rate, and
.B reflect
on another machine sends them back.
Every packet is verified byte for byte, and every packet is accounted for: a run whose ledger does not balance says so,
and fails.
.PP
Options of EAL, DPDK\(aqs environment abstraction layer, precede the
.BR \-\- :
lcores, memory and devices.
.B dpdkproj \-\-help
lists them.
The mode and its options follow it, in any order.
Help, this page and checks of options need neither hugepages nor privileges.
.PP
The first SIGINT, SIGTERM or SIGHUP ends a run as
.B \-\-duration
does: packets in flight are waited for, and all results are written.
A second SIGINT or SIGTERM exits at once.
";

const SOCKETS_DESCRIPTION: &str = r"The modes of
.BR dpdkproj (1)
over sockets of the kernel: the same packets, pacing, ledger and results, to find out what DPDK gains on a path.
Each of the two programs may be the peer of the other one.
";

const TAIL: &str = r#".SH "CONFIGURATION FILE"
The file of
.B \-\-config
is in TOML.
Its keys are the long names of options, without dashes, and
.B mode
and
.BR eal ,
a list with the words that would precede the
.BR \-\- .
An option that may be repeated has a list of values, a flag has true or false.
Keys that the mode does not know are refused.
.PP
The command line takes precedence over the environment, that over the file, and that over defaults.
A value replaces those of weaker sources, lists too, and also options that exclude it: a
.B \-\-rate
on the command line replaces
.B rate\-per\-interval
in the file.
What unsets a flag of the file is its variable.
If there is any option of EAL on the command line, those of the file do not count.
.B \-\-print\-config
prints the result, with where each value comes from, as such a file.
.SH "EXIT STATUS"
.TP
.B 0
The run came to its end, and every packet is accounted for.
.TP
.B 1
It did not: the link stayed down, results could not be written, or the ledger does not balance.
.TP
.B 2
What was asked for is impossible, and nothing was sent.
.TP
.B 3
A limit was exceeded
.RB ( \-\-max\-loss ,
.BR \-\-max\-latency ).
.TP
.B 4
The peer did not answer in time
.RB ( \-\-wait\-peer ).
.TP
.B 130
A second signal ended the program at once.
.SH ENVIRONMENT
.TP
.BI DPDKPROJ_ OPTION
The value of an option that the command line does not have.
.I OPTION
is its long name in capitals, with
.B _
for each dash:
.BR DPDKPROJ_RATE ,
.BR DPDKPROJ_CONFIG .
Values of an option that may be repeated are separated by spaces; a flag is 1, true, 0 or false.
Variables for options that the mode does not have are ignored, and so are empty ones.
.TP
.B NO_COLOR
If it is not empty,
.B \-\-live
draws without colours.
.TP
.B NOTIFY_SOCKET
Set by systemd, which is told when
.B reflect
sends back what arrives.
.SH FILES
.TP
.I /dev/hugepages
Where EAL gets its memory from, unless
.B \-\-no\-huge
is given.
.TP
.I /var/run/dpdk/
Where EAL keeps its own files, or
.I $XDG_RUNTIME_DIR/dpdk/
for users other than root.
.SH EXAMPLES
Send packets back, on 16 lcores:
.PP
.nf
.RS
dpdkproj \-l 0\-15 \-\- reflect \-r 16 \-\-ip 10.0.0.5
.RE
.fi
.PP
Measure the path to that machine for ten seconds:
.PP
.nf
.RS
dpdkproj \-l 0\-15 \-\- sendrecv \-r 15 \-t 1 \-\-src 10.0.0.4 \e
    \-\-dest 10.0.0.5:10000 \-\-src\-port\-range 10000\-30000 \e
    \-\-rate 3.5Mpps \-\-duration 10 \-s stats.csv \-\-json run.json
.RE
.fi
.PP
Keep these options in a file, and measure with another rate:
.PP
.nf
.RS
dpdkproj \-l 0\-15 \-\- sendrecv ... \-\-print\-config > path.toml
dpdkproj \-\- \-\-config path.toml \-\-rate 4Mpps
.RE
.fi
.SH "SEE ALSO"
.BR udpbaseline (1),
.BR dpdk\-testpmd (1)
"#;

const SOCKETS_TAIL: &str = r#".SH "EXIT STATUS"
As that of
.BR dpdkproj (1):
0 for success, 1 if the run failed or its ledger does not balance, 2 if what was asked for is impossible, 3 if a limit
was exceeded, 4 if the peer did not answer.
.SH ENVIRONMENT
.TP
.BI UDPBASELINE_ OPTION
As
.BI DPDKPROJ_ OPTION
of
.BR dpdkproj (1),
which also describes the file of
.BR \-\-config .
.SH FILES
.TP
.I /proc/sys/net/core/rmem_max
The largest buffer that
.B \-\-rcvbuf
may ask for.
.SH EXAMPLES
.nf
udpbaseline reflect \-\-bind 10.0.0.5:7 \-j 4 \-\-rcvbuf 4194304
udpbaseline sendrecv \-\-src 10.0.0.4 \-\-dest 10.0.0.5:7 \-j 4 \-\-rate 400k
.fi
.SH "SEE ALSO"
.BR dpdkproj (1)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_as_man_pages_have_it() {
        let page = page(Program::Ports, &[]);
        assert!(
            page.contains("\n.SH NAME\ndpdkproj \\- how many UDP packets per second"),
            "{page}"
        );
    }
}
