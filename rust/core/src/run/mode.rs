//! What a mode declares when it is registered. The rest of the program knows nothing else about it.

use crate::count::ModeCounter;
use std::ops::RangeInclusive;

/// A mode, as the command line knows it.
#[derive(Clone, Debug)]
pub struct ModeInfo {
    /// Its name on the command line.
    pub name: String,
    /// One line for the help.
    pub about: String,
    /// What it does with packets.
    pub meaning: Meaning,
    /// Which queues it needs.
    pub queues: Queues,
    /// Its own options.
    pub options: Vec<ModeOption>,
    /// Its own counters.
    pub counters: Vec<ModeCounter>,
}

#[cfg(test)]
impl ModeInfo {
    /// A mode without options and counters of its own.
    pub(crate) fn example(name: &str, meaning: Meaning, queues: Queues) -> Self {
        Self {
            name: name.into(),
            about: format!("{name} it"),
            meaning,
            queues,
            options: Vec::new(),
            counters: Vec::new(),
        }
    }
}

/// An option that a mode registers for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeOption {
    /// Its name on the command line, without the dashes.
    pub name: String,
    /// Its short name of one letter.
    pub short: Option<char>,
    /// Type of its value.
    pub kind: OptionKind,
    /// Name of its value in the help. A flag has none.
    pub value_name: String,
    /// One line for the help.
    pub help: String,
    /// Default value, as on the command line; `None`: the option is mandatory. A flag has no
    /// default.
    pub default_value: Option<String>,
    /// Valid range of a number, or of a duration in ns.
    pub range: RangeInclusive<u64>,
}

/// Type of the value of a [`ModeOption`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Given or not.
    Flag,
    /// A whole number.
    Number,
    /// A time such as `2ms`.
    Duration,
    /// Any text.
    Text,
}

/// The value of a [`ModeOption`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// Whether a flag is given.
    Flag(bool),
    /// A number.
    Number(u64),
    /// A duration in ns.
    DurationNs(u64),
    /// A text.
    Text(String),
}

/// What a mode does with packets. It defines what "transmitted", "received" and "lost" mean, which
/// equations the counters must satisfy, which options the mode has, and which workers it may
/// create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Sends its own packets and gets them back. Counts sent, valid, and the difference as lost.
    /// Its workers are senders and receivers.
    Measures,
    /// Sends back what it receives, and answers questions. Counts sent, received, and what the tx
    /// queue refused as lost. Its workers are reflectors.
    Returns,
    /// Forwards what it receives. Counts sent, received, and what the tx queue refused as lost. It
    /// must count as dropped what it does not offer to a tx queue.
    Forwards,
    /// Counts what it receives or sends. The expected number is unknown, so there are no losses.
    Counts,
}

impl Meaning {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measures => "measures",
            Self::Returns => "returns",
            Self::Forwards => "forwards",
            Self::Counts => "counts",
        }
    }
}

/// Which queues a mode needs, and which packets it sends on a tx queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queues {
    /// As many tx as rx queues. A tx queue sends only packets of the rx queue with the same number,
    /// each packet once.
    Paired,
    /// Any number of both. A tx queue sends only packets of its own mempool.
    Own,
    /// Any number of both. A tx queue sends packets of any mempool.
    Mixed,
    /// Only rx queues.
    RxOnly,
}

impl Queues {
    /// Number of tx queues of `mode`, given `rx` rx queues and the number asked for.
    ///
    /// # Errors
    /// One line that names the options, if that number is not possible.
    pub fn tx(self, mode: &str, rx: u16, asked: Option<u16>) -> Result<u16, String> {
        match (self, asked) {
            (Self::Paired, Some(tx)) if tx != rx => Err(format!(
                "-r {rx} -t {tx}: {mode} sends on the tx queue with the number of the rx queue; \
                 give the same number to both, or leave -t out"
            )),
            (Self::RxOnly, Some(tx)) => {
                Err(format!("-t {tx}: {mode} sends nothing and has no tx queues; leave -t out"))
            }
            (Self::Paired, _) => Ok(rx),
            (Self::RxOnly, None) => Ok(0),
            (Self::Own | Self::Mixed, asked) => Ok(asked.unwrap_or(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_the_tx_queues_that_it_needs() {
        for (queues, asked, expected) in [
            (Queues::Paired, None, 3),
            (Queues::Paired, Some(3), 3),
            (Queues::Own, None, 1),
            (Queues::Own, Some(5), 5),
            (Queues::Mixed, None, 1),
            (Queues::Mixed, Some(2), 2),
            (Queues::RxOnly, None, 0),
        ] {
            assert_eq!(queues.tx("any", 3, asked), Ok(expected), "{queues:?} -t {asked:?}");
        }
    }

    #[test]
    fn tx_queues_that_cannot_be_are_refused_in_one_line() {
        let error = Queues::Paired.tx("mine", 3, Some(2)).unwrap_err();
        assert!(error.starts_with("-r 3 -t 2: mine sends on the tx queue with"), "{error}");
        let error = Queues::RxOnly.tx("mine", 3, Some(3)).unwrap_err();
        assert_eq!(error, "-t 3: mine sends nothing and has no tx queues; leave -t out");
    }
}
