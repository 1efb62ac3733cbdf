//! What the control thread and the workers tell each other: questions and answers, and flows.

pub mod answers;
pub mod flows;
pub mod peer;
