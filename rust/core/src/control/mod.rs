//! The slow path of a reflector's counters: questions and answers, and the flows that are counted.

pub mod answers;
pub mod flows;
pub mod inquiries;
pub mod peer;
