//! The modes, as the command line knows them.

use dpdkproj_core::run::mode::{Meaning, ModeInfo, ModeOption, OptionKind, Queues};

/// All modes.
pub(crate) fn all() -> Vec<ModeInfo> {
    let common = || {
        vec![
            ModeOption {
                short: Some('j'),
                default_value: Some("1".into()),
                range: 1..=1023,
                ..number("jobs", "N", "Number of sockets, each with threads of its own")
            },
            ModeOption {
                kind: OptionKind::Text,
                default_value: Some("mmsg".into()),
                ..number(
                    "io",
                    "HOW",
                    "How packets are passed to the kernel: plain (one per call), mmsg (--burst-size per call: \
                     sendmmsg, recvmmsg), gso (as mmsg, and equal packets in one message that the kernel or the NIC \
                     splits and joins), io_uring (--burst-size per call, all received with one request), or \
                     io_uring_zc (the same, and sends without copying, where the route allows that)",
                )
            },
            ModeOption {
                kind: OptionKind::Text,
                default_value: Some(String::new()),
                ..number(
                    "cpus",
                    "LIST",
                    "CPUs for the threads, such as 0,2-5, used in turn [default: any]",
                )
            },
            number(
                "rcvbuf",
                "BYTES",
                "Receive buffer of each socket (SO_RCVBUF); 0: the system's default",
            ),
            number(
                "sndbuf",
                "BYTES",
                "Send buffer of each socket (SO_SNDBUF); 0: the system's default",
            ),
            ModeOption {
                kind: OptionKind::Duration,
                default_value: Some("0s".into()),
                ..number(
                    "busy-poll",
                    "TIME",
                    "How long a thread that waits for packets polls the NIC's queue (SO_BUSY_POLL)",
                )
            },
        ]
    };
    let mut of_reflector = vec![ModeOption {
        kind: OptionKind::Text,
        default_value: None,
        ..number(
            "bind",
            "IP:PORT",
            "Our address and UDP port; with several sockets, all share it (SO_REUSEPORT)",
        )
    }];
    of_reflector.extend(common());
    vec![
        ModeInfo {
            name: "sendrecv".into(),
            about: "Send packets, get them back, and verify every byte".into(),
            meaning: Meaning::Measures,
            queues: Queues::Own,
            options: common(),
            counters: Vec::new(),
        },
        ModeInfo {
            name: "reflect".into(),
            about: "Send every UDP packet back to where it came from".into(),
            meaning: Meaning::Returns,
            queues: Queues::Paired,
            options: of_reflector,
            counters: Vec::new(),
        },
    ]
}

/// A number of bytes or the like: 0 by default.
fn number(name: &str, value_name: &str, help: &str) -> ModeOption {
    ModeOption {
        name: name.into(),
        short: None,
        kind: OptionKind::Number,
        value_name: value_name.into(),
        help: help.into(),
        default_value: Some("0".into()),
        range: 0..=1 << 30,
    }
}
