//! A worker of one's own, spoken to as the daemon does: what a plugin does here it would do there.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use standfast_core::config::worker::{WorkerConfig, WorkerNeeds};
use standfast_core::ids::PluginName;
use standfast_core::plugin::call::{
    ActionError, CallError, CheckCall, CheckOutcome, Measurement, NotifyCall, Trace, Verdict,
};
use standfast_core::plugin::channel::{FRAME_MAX, FromWorker, LoadPlugin, LoadedPlugin, LogLevel, ToWorker};
use standfast_core::plugin::inspection::Inspection;

use crate::cli::plugin::scratch::Scratch;
use crate::cli::plugin::subject::Call;
use crate::status_code::{Code, Failure};
use crate::worker::arguments;

/// Longer than any file takes to be compiled.
const LOAD_LIMIT: Duration = Duration::from_secs(60);
/// What a call may take beyond its timeout before the worker counts as lost.
const SILENCE: Duration = Duration::from_secs(5);

/// One worker; it ends with this value.
pub(super) struct Workshop {
    channel: UnixStream,
    child: Child,
}

/// What came of a call.
pub(super) struct Called<T> {
    pub(super) outcome: Result<T, CallError>,
    /// From receipt to answer, in the worker.
    pub(super) took: Duration,
    /// What the plugin wrote.
    pub(super) lines: Vec<(LogLevel, String)>,
    /// What it measured.
    pub(super) metrics: Vec<Measurement>,
    /// What it did with the host, if the worker traces.
    pub(super) trace: Trace,
}

/// What ends a call.
enum Answer {
    Checked(CheckOutcome, Duration),
    Notified(Result<(), CallError>),
}

/// What a file says of itself.
pub(super) fn inspect(program: &Path, file: &Path) -> Result<Inspection, Failure> {
    let output = Command::new(program)
        .arg("inspect")
        .arg("--")
        .arg(file)
        .output()
        .map_err(|error| lost(&format!("{}: {error}", program.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.trim().trim_start_matches("standfast-worker: ");
        return Err(Failure::new(Code::Environment, reason));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| lost(&format!("it said something unknown: {error}")))
}

impl Workshop {
    /// Starts it for one call; `trace` has it tell what calls do with the host.
    pub(super) fn open(program: &Path, scratch: &Scratch, call: &Call, trace: bool) -> Result<Self, Failure> {
        let folders = [scratch.folder().to_owned()];
        let needs = WorkerNeeds::of(&[call.grants()], &folders, WorkerConfig::default());
        let failed = |error: std::io::Error| lost(&format!("{}: {error}", program.display()));
        let (channel, theirs) = UnixStream::pair().map_err(failed)?;
        let child = Command::new(program)
            .args(arguments(&needs, &scratch.cache()))
            .args(trace.then_some("--trace"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut workshop = Self { channel, child };
        let first = workshop.receive(Instant::now() + LOAD_LIMIT)?;
        if matches!(first, FromWorker::Ready { .. }) {
            return Ok(workshop);
        }
        Err(lost(&format!("it began with {first:?}")))
    }

    /// Reads, compiles, links and tries a file, as the daemon has it done.
    pub(super) fn load(&mut self, plugin: &PluginName, path: PathBuf) -> Result<LoadedPlugin, Failure> {
        self.send(&ToWorker::Load(LoadPlugin {
            plugin: plugin.clone(),
            generation: 1,
            path,
            trial: None,
            fallback: None,
            pin: None,
            set_aside: None,
        }))?;
        let until = Instant::now() + LOAD_LIMIT;
        loop {
            if let FromWorker::Loaded { result, .. } = self.receive(until)? {
                return result
                    .map_err(|why| Failure::new(Code::Environment, format!("the file is refused: {why}")));
            }
        }
    }

    /// Runs a check.
    pub(super) fn check(&mut self, call: CheckCall) -> Result<Called<Verdict>, Failure> {
        let limit = call.timeout;
        self.call(&ToWorker::Check(call), limit, |answer| match answer {
            Answer::Checked(outcome, took) => Some((outcome, Some(took))),
            Answer::Notified(_) => None,
        })
    }

    /// Delivers an event.
    pub(super) fn notify(&mut self, call: NotifyCall) -> Result<Called<()>, Failure> {
        let limit = call.timeout;
        self.call(&ToWorker::Notify(call), limit, |answer| match answer {
            Answer::Notified(outcome) => Some((outcome, None)),
            Answer::Checked(..) => None,
        })
    }

    fn call<T>(
        &mut self,
        message: &ToWorker,
        limit: Duration,
        mine: impl Fn(Answer) -> Option<(Result<T, CallError>, Option<Duration>)>,
    ) -> Result<Called<T>, Failure> {
        let begun = Instant::now();
        self.send(message)?;
        let (mut lines, mut metrics, mut trace) = (Vec::new(), Vec::new(), Trace::default());
        loop {
            let answer = match self.receive(begun + limit + SILENCE)? {
                FromWorker::Checked { outcome, took, .. } => Answer::Checked(outcome, took),
                FromWorker::Notified { result, .. } => Answer::Notified(result),
                FromWorker::Log { level, message, .. } => {
                    lines.push((level, message));
                    continue;
                }
                FromWorker::Used(usage) => {
                    metrics.extend(usage.metrics);
                    continue;
                }
                FromWorker::Traced(told) => {
                    trace = told;
                    continue;
                }
                FromWorker::Act(call) => {
                    let why = "there is no daemon here to run actions".to_owned();
                    let result = Err(ActionError::Spawn(why));
                    self.send(&ToWorker::Acted { id: call.id, result })?;
                    continue;
                }
                FromWorker::Ready { .. } | FromWorker::Loaded { .. } => continue,
            };
            if let Some((outcome, took)) = mine(answer) {
                return Ok(Called {
                    outcome,
                    took: took.unwrap_or_else(|| begun.elapsed()),
                    lines,
                    metrics,
                    trace,
                });
            }
        }
    }

    fn send(&mut self, message: &ToWorker) -> Result<(), Failure> {
        let body = postcard::to_stdvec(message).map_err(|error| lost(&error.to_string()))?;
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_MAX);
        let Some(length) = length else {
            return Err(Failure::new(
                Code::Config,
                format!(
                    "settings, grants and event together are over {} KiB",
                    FRAME_MAX >> 10
                ),
            ));
        };
        let frame = [&length.to_le_bytes()[..], &body].concat();
        self.channel.write_all(&frame).map_err(|error| gone(&error))
    }

    fn receive(&mut self, until: Instant) -> Result<FromWorker, Failure> {
        let mut length = [0; 4];
        self.read(&mut length, until)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > FRAME_MAX {
            return Err(lost(&format!("it sent a frame of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.read(&mut body, until)?;
        postcard::from_bytes(&body).map_err(|error| lost(&format!("it said something unknown: {error}")))
    }

    fn read(&mut self, bytes: &mut [u8], until: Instant) -> Result<(), Failure> {
        let left = until.saturating_duration_since(Instant::now());
        let patience = left.max(Duration::from_millis(1));
        self.channel
            .set_read_timeout(Some(patience))
            .and_then(|()| self.channel.read_exact(bytes))
            .map_err(|error| gone(&error))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Already gone is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn gone(error: &std::io::Error) -> Failure {
    let ended = [
        ErrorKind::UnexpectedEof,
        ErrorKind::BrokenPipe,
        ErrorKind::ConnectionReset,
    ];
    if ended.contains(&error.kind()) {
        return lost("it has ended");
    }
    if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) {
        return lost("it gives no answer");
    }
    lost(&error.to_string())
}

fn lost(why: &str) -> Failure {
    Failure::new(Code::Environment, format!("the plugin worker: {why}"))
}
