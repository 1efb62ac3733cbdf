//! Inputs of the summary that no other key contains: with them, a saved result can be read again
//! and merged.

use super::super::limits::SavedLimits;
use super::{Counted, Outcome, Word};
use crate::count::{Counter, LedgerPlace, ModeCounter};
use crate::run::config::Program;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Counters of a run that are in no other key.
pub(super) const REST: [Counter; 3] =
    [Counter::DuplicateOnWayBack, Counter::Refused, Counter::Unregistered];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Basis {
    /// The program that ran.
    pub(super) program: Word,
    /// Source and destination of the packets of the first port.
    pub(super) ends: Option<[SocketAddr; 2]>,
    /// Packets had room for the reflector's stamp.
    pub(super) reflector_seq: bool,
    /// Counters that are not 0.
    pub(super) counts: Counted,
    /// Round-trip times: how many, and their sum.
    pub(super) latency_packets: u64,
    pub(super) latency_sum_ns: u128,
    /// Sum of the extents of reordered packets.
    pub(super) extent_sum: u128,
    /// By how many packets the arrived sequence numbers differ from the valid packets; 0 in a balanced
    /// ledger.
    pub(super) sequence_mismatch: u64,
    /// The mode's own counters, in the order of their registration.
    pub(super) counters: Vec<Placed>,
    pub(super) limits: SavedLimits,
}

/// A counter of a mode and its place in the ledger.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placed {
    name: String,
    place: Word,
}

const PLACES: [(LedgerPlace, &str); 3] = [
    (LedgerPlace::Dropped, "dropped"),
    (LedgerPlace::Refused, "refused"),
    (LedgerPlace::Note, "note"),
];

impl From<&ModeCounter> for Placed {
    fn from(counter: &ModeCounter) -> Self {
        let mut names = PLACES.iter().filter(|(place, _)| *place == counter.place);
        let place = names.next().map_or("note", |(_, name)| name);
        Self { name: counter.name.clone(), place: place.into() }
    }
}

impl Placed {
    /// The counter without its help; `None` if there is no such place.
    pub(super) fn counter(&self) -> Option<ModeCounter> {
        let (place, _) = *PLACES.iter().find(|(_, name)| *name == self.place)?;
        Some(ModeCounter { name: self.name.clone(), help: String::new(), place })
    }
}

impl Basis {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let counts = &outcome.totals.counts;
        let rest = REST.iter().filter(|counter| counts[**counter] > 0);
        let program = if outcome.sockets { Program::Sockets } else { Program::Ports };
        Self {
            program: program.name().into(),
            ends: outcome.ends,
            reflector_seq: outcome.stamp,
            counts: rest.map(|counter| (counter.name().into(), counts[*counter])).collect(),
            latency_packets: outcome.totals.latency.count,
            latency_sum_ns: outcome.totals.latency.sum_ns,
            extent_sum: outcome.notes.extent_sum,
            sequence_mismatch: outcome.mismatch,
            counters: outcome.counters.iter().map(Into::into).collect(),
            limits: (&outcome.limits).into(),
        }
    }
}
