//! Health: when checks run, what their verdicts mean, and what they make of priority and fitness.

pub mod board;
pub mod check;
mod view;
