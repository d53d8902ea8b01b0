//! What an operator sees of connections that outlive a planned move.

use serde::{Deserialize, Serialize};

use crate::time::human;

/// Connections that the old master serves on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainingStatus {
    /// Who forwards them.
    pub successor: String,
    /// How many are left; `None`: not counted yet.
    pub connections: Option<usize>,
    /// For so long at most.
    pub left_ms: u64,
}

/// Connections that the new master forwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingStatus {
    /// Where to: the old master.
    pub to: String,
    /// For so long.
    pub left_ms: u64,
    /// Why it cannot.
    pub error: Option<String>,
}

impl DrainingStatus {
    /// One line.
    pub fn line(&self) -> String {
        let count = self.connections.map(|count| count.to_string());
        let count = count.as_deref().unwrap_or("its");
        let (successor, left) = (&self.successor, human(self.left_ms));
        format!("draining: {count} connections, which {successor} forwards, for {left} at most")
    }
}

impl ForwardingStatus {
    /// One line.
    pub fn line(&self) -> String {
        let (to, left) = (&self.to, human(self.left_ms));
        match &self.error {
            None => format!("forwarding to {to} what was begun there, for {left}"),
            Some(error) => format!("not forwarding to {to} what was begun there: {error}"),
        }
    }
}
