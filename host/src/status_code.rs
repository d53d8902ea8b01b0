//! What the process says when it ends.

use std::process::ExitCode;

/// Exit codes of `standfast` (DESIGN section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// All is well.
    Ok = 0,
    /// Something failed while running; for `status`: degraded.
    Runtime = 1,
    /// A plugin that was called once says fail.
    Fail = 2,
    /// The configuration is invalid; for `status`: not running.
    Config = 3,
    /// A right is missing.
    Permission = 4,
    /// Another copy is running.
    Running = 5,
    /// Something around us is missing: a plugin, the worker, a key, nft.
    Environment = 6,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why the program ends, for a person, with the code that goes with it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}
