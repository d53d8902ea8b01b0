//! The `probe` of a service: how it is found out that it answers (N3, N7).

use std::net::SocketAddr;
use std::time::Duration;

use kdl::KdlValue;

use crate::config::node::Node;
use crate::config::value::{self, Wrong, wrong};

/// `probe "http://127.0.0.1:8080/health" interval="2s" timeout="1s" fall=3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where it is asked; `None`: at its own listening sockets, for any answer of HTTP.
    pub target: Option<Target>,
    /// From one probe to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many failures in a row, and it hangs.
    pub fall: u32,
}

/// An URL without a name: no lookup can delay a probe. A status of 200 to 399 is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// Path and query, from the slash on.
    pub path: String,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            target: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            fall: 3,
        }
    }
}

/// Reads a `probe` line; `probe #false` is none.
pub(crate) fn parse(node: Node<'_>) -> Option<Option<Probe>> {
    let usual = Probe::default();
    node.leaf(0..=1, &["interval", "timeout", "fall"]);
    let asked = node.args().next().map(|_| node.first(target));
    let interval = node.prop("interval", usual.interval, value::duration(TENTH..=HOUR));
    let timeout = node.prop("timeout", usual.timeout, value::duration(MOMENT..=MINUTE));
    let fall = node.prop("fall", usual.fall, value::whole(1..=1000));
    let probe = Probe {
        target: None,
        interval: interval?,
        timeout: timeout?,
        fall: fall?,
    };
    match asked {
        None => Some(Some(probe)),
        Some(None) => None,
        Some(Some(Asked::Nothing)) => Some(None),
        Some(Some(Asked::Itself)) => Some(Some(probe)),
        Some(Some(Asked::There(target))) => Some(Some(Probe {
            target: Some(target),
            ..probe
        })),
    }
}

enum Asked {
    Nothing,
    Itself,
    There(Target),
}

fn target(value: &KdlValue) -> Result<Asked, Wrong> {
    if let Some(itself) = value.as_bool() {
        return Ok(if itself { Asked::Itself } else { Asked::Nothing });
    }
    let url = value::text(value)?;
    let read = || {
        let rest = url.strip_prefix("http://")?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let clean = path.chars().all(|c| c.is_ascii_graphic());
        let address = host.parse().ok().or_else(|| format!("{host}:80").parse().ok());
        let path = path.to_owned();
        Some(Target {
            address: address?,
            path,
        })
        .filter(|_| clean)
    };
    match read() {
        Some(target) => Ok(Asked::There(target)),
        None => wrong(
            "this is not where a service can be asked",
            "write its address, e.g. \"http://127.0.0.1:8080/health\", or #false for no probe",
        ),
    }
}

const MOMENT: Duration = Duration::from_millis(10);
const TENTH: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
