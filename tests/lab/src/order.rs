//! What a world says to the first process of a node and what that answers: one JSON line each.

use serde::{Deserialize, Serialize};

/// An order with its number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The answer carries the same.
    pub id: u64,
    /// What to do.
    pub act: Act,
}

/// What a node can be told to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// Start a program that goes on; both its outputs are appended to `log`.
    Spawn {
        argv: Vec<String>,
        env: Vec<(String, String)>,
        log: String,
    },
    /// Run a program to its end, at most for `limit_ms`.
    Run {
        argv: Vec<String>,
        env: Vec<(String, String)>,
        input: String,
        limit_ms: u64,
    },
    /// Wait for the end of a program started before, at most for `limit_ms`.
    Wait { pid: i32, limit_ms: u64 },
    /// Send a signal to one process of the node.
    Signal { pid: i32, signal: String },
    /// SIGKILL to every process of the node but its first.
    KillAll,
    /// Every process of the node.
    Processes,
}

/// The answer to an order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Number of the order; 0 is the greeting.
    pub id: u64,
    /// What came of it.
    pub result: Result<Fruit, String>,
}

/// What came of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fruit {
    /// Done.
    Done,
    /// Number of the new process, inside the node.
    Pid(i32),
    /// It ran to its end.
    Ran(Ran),
    /// How it ended; `None`: it runs.
    End(Option<End>),
    /// The processes.
    Processes(Vec<Process>),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// A program that ran to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// What it wrote.
    pub out: String,
    /// What it complained.
    pub err: String,
}

impl Ran {
    /// Its exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        match self.end {
            End::Code(code) => Some(code),
            End::Signal(_) => None,
        }
    }

    /// Both outputs, for messages and searches.
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// One process of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Number inside the node.
    pub pid: i32,
    /// Number of its parent.
    pub ppid: i32,
    /// Name.
    pub comm: String,
    /// `R`, `S`, `T`, `Z`, …
    pub state: char,
    /// Words it was started with.
    pub argv: Vec<String>,
}
