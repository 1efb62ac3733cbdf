//! The slow path: questions and answers of senders and reflectors, the flows that are counted, and the
//! neighbours on the link.

pub mod allowed;
pub mod answers;
pub mod flows;
pub mod inquiries;
pub mod neighbours;
pub mod peer;
pub mod resolver;
pub mod windows;
