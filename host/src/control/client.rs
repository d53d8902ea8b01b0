//! The command line's side of the control socket: ask, and read replies line by line.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use standfast_core::control::{Answer, Reply, Request};

use crate::status_code::{Code, Failure};

/// A question is answered at once.
const QUESTION: Duration = Duration::from_secs(5);
/// A change may take long; this is longer than the daemon's own limit.
const CHANGE: Duration = Duration::from_secs(70);

/// A connection with one request under way.
#[derive(Debug)]
pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    /// Connects and asks.
    ///
    /// # Errors
    /// No daemon listens there, or it may not be spoken to.
    pub(crate) fn ask(runtime_dir: &Path, request: &Request) -> Result<Self, Failure> {
        let path = runtime_dir.join("control.sock");
        let mut stream = UnixStream::connect(&path).map_err(|error| unreachable(&path, &error))?;
        let failed = |error: std::io::Error| Failure::new(Code::Runtime, format!("the daemon: {error}"));
        let patience = match request {
            Request::Status {} | Request::Why { .. } | Request::Events { .. } => QUESTION,
            Request::Reload {}
            | Request::Service { .. }
            | Request::Rollback { .. }
            | Request::Handover { .. }
            | Request::Drain {}
            | Request::Resume { .. } => CHANGE,
        };
        stream.set_read_timeout(Some(patience)).map_err(failed)?;
        let mut line = serde_json::to_vec(request)
            .map_err(|error| Failure::new(Code::Runtime, format!("the request: {error}")))?;
        line.push(b'\n');
        stream.write_all(&line).map_err(failed)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Waits for ever between replies, as a follower of events does.
    pub(crate) fn patient(self) -> Self {
        // Refused only for a zero duration.
        let _ = self.0.get_ref().set_read_timeout(None);
        self
    }

    /// The next reply; `None`: the daemon has closed the connection.
    ///
    /// # Errors
    /// What the daemon answered, or why it could not be read.
    pub(crate) fn next(&mut self) -> Result<Option<Answer>, Failure> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => {
                let reply: Reply = serde_json::from_str(&line).map_err(|error| {
                    Failure::new(
                        Code::Runtime,
                        format!("the daemon answered something unknown: {error}"),
                    )
                })?;
                reply
                    .map(Some)
                    .map_err(|message| Failure::new(Code::Runtime, message))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Failure::new(
                    Code::Runtime,
                    "the daemon gives no answer: it is stopped or hangs; look at its process and its log",
                ))
            }
            Err(error) => Err(Failure::new(
                Code::Runtime,
                format!("the daemon did not answer: {error}"),
            )),
        }
    }
}

fn unreachable(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    if error.kind() == ErrorKind::PermissionDenied {
        return Failure::new(
            Code::Permission,
            format!("{path} may not be opened: run this as root"),
        );
    }
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
        return Failure::new(
            Code::Config,
            format!(
                "standfast is not running (nobody listens at {path}); start it with `systemctl start standfast`, \
                 or say where it runs with --runtime-dir"
            ),
        );
    }
    Failure::new(Code::Runtime, format!("{path}: {error}"))
}
