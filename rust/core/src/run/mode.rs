//! What a mode says of itself when it is registered: all that the rest of the program asks of it.

use crate::count::ModeCounter;
use std::ops::RangeInclusive;

/// A mode, as the command line knows it.
#[derive(Clone, Debug)]
pub struct ModeInfo {
    /// What it is called on the command line.
    pub name: String,
    /// One line for the help.
    pub about: String,
    /// What it does with packets.
    pub meaning: Meaning,
    /// The queues that it needs.
    pub queues: Queues,
    /// Options of its own.
    pub options: Vec<ModeOption>,
    /// Counters of its own.
    pub counters: Vec<ModeCounter>,
}

/// An option that a mode registers for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeOption {
    /// As on the command line, without the dashes.
    pub name: String,
    /// What its value is.
    pub kind: OptionKind,
    /// What the help calls its value. A flag has none.
    pub value_name: String,
    /// One line for the help.
    pub help: String,
    /// Its value where it is not given, as on the command line; `None`: it must be given. A flag has none.
    pub default_value: Option<String>,
    /// What a number, or a duration in ns, must lie in.
    pub range: RangeInclusive<u64>,
}

/// What the value of a [`ModeOption`] is.
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

/// What a mode does with packets: hence what "transmitted", "received" and "lost" mean, which
/// equations its counters must obey, which options it has, and which workers it may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Sends its own packets and gets them back: sent, valid, and the difference. Its workers are
    /// senders and receivers.
    Measures,
    /// Sends back what it gets, and answers questions: sent, received, and what the tx queue
    /// refused. Its workers are reflectors.
    Returns,
    /// Passes on what it gets: sent, received, and what the tx queue refused. What it neither
    /// sends nor offers to a tx queue it says it dropped.
    Forwards,
    /// Counts what it gets, or sends: how many there should have been nobody knows.
    Counts,
}

impl Meaning {
    /// As it is called in JSON.
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
    /// As many tx as rx queues. A tx queue sends packets of the rx queue with its number alone,
    /// each of them once.
    Paired,
    /// Any numbers of both. A tx queue sends packets of its own pool alone.
    Own,
    /// Any numbers of both. A tx queue sends packets of whatever pool.
    Mixed,
    /// Rx queues alone.
    RxOnly,
}

impl Queues {
    /// How many tx queues `mode` has beside `rx` rx queues, where `asked` were asked for.
    ///
    /// # Errors
    /// One line that names the options, where that many are not possible.
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
