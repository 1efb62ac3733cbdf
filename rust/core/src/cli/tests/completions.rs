use super::*;
use crate::cli::parse_for;
use crate::run::mode::{Meaning, Queues};

fn modes() -> Vec<ModeInfo> {
    let mode = |name, meaning| ModeInfo::example(name, meaning, Queues::Mixed);
    vec![mode("measure", Meaning::Measures), mode("other", Meaning::Forwards)]
}

#[test]
fn values_that_are_offered_are_accepted() {
    for (option, values) in VALUES {
        for value in values {
            let line =
                format!("measure --src 10.0.0.4 --dest 10.0.0.5:7 --rate 1k --{option} {value}");
            let args: Vec<_> = line.split_whitespace().map(Into::into).collect();
            let parsed = parse_for(Program::Ports, &args, &modes());
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }
}

#[test]
fn every_shell_knows_all_modes_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        for program in [Program::Ports, Program::Sockets] {
            let script = script(program, &modes(), shell);
            let known = ["measure", "other", "--rate", "--stats-interval-ms", "--print-config"];
            for word in known.map(|word| word.replace("--", if shell == "zsh" { "--" } else { "" }))
            {
                assert!(script.contains(&word), "{shell}: {word}: {script}");
            }
            let is_ports = program == Program::Ports;
            assert_eq!(script.contains("--file-prefix"), is_ports, "{shell}");
            assert_eq!(script.contains("--dest-mac"), is_ports, "{shell}: hidden options");
        }
    }
    let error = |line: &str| {
        let args: Vec<_> = line.split_whitespace().map(Into::into).collect();
        parse_for(Program::Ports, &args, &modes()).unwrap_err()
    };
    let wrong = error("completions tcsh");
    assert!(wrong.contains("'tcsh'") && wrong.contains("bash, zsh, fish"), "{wrong}");
    assert!(error("completions").contains("<SHELL>"), "{}", error("completions"));
    assert!(error("completions bash zsh").contains("'zsh'"), "{}", error("completions bash zsh"));
}
