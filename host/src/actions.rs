//! Actions: commands of the configuration, run for plugins as another user and without a shell, each on a thread of its own.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};
use standfast_core::config::action::ActionConfig;
use standfast_core::plugin::call::{ActionError, ActionOutcome, User};
use standfast_core::plugin::channel::ToWorker;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::orphans::{signal_group, sweep_group};
use crate::worker::Worker;

/// Actions that run at the same time.
const MOST: usize = 8;
/// Those of checks among them: slow ones must not keep a hook from moving an address.
const MOST_OF_CHECKS: usize = 6;
/// Actions that wait or run, each on a thread.
const PLACES: usize = 64;
/// What is kept of each output, bytes; the rest is read and dropped.
const OUTPUT_MAX: usize = 16 << 10;
/// How long an output may be held open by others after the command's own end.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long a killed command is waited for: one that hangs in a dead file system never ends.
const KILLED: Duration = Duration::from_secs(5);
/// All that an action finds in its environment, beside its name.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs actions and tells the worker how they ended.
#[derive(Clone, Debug)]
pub(crate) struct Actions {
    worker: Worker,
    slots: Slots,
}

/// Room for what runs.
#[derive(Clone, Debug)]
struct Slots {
    places: Arc<Semaphore>,
    all: Arc<Semaphore>,
    of_checks: Arc<Semaphore>,
}

/// Given back when it is dropped.
type Slot = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Actions {
    /// Answers go to this worker.
    pub(crate) fn new(worker: Worker) -> Self {
        Self {
            worker,
            slots: Slots::new(),
        }
    }

    /// Runs one, or says why not. Never waits.
    pub(crate) fn run(&self, id: u64, user: &User, action: Result<ActionConfig, ActionError>) {
        let config = match action {
            Ok(config) => config,
            Err(error) => return self.answer(id, Err(error)),
        };
        let Ok(place) = Arc::clone(&self.slots.places).try_acquire_owned() else {
            return self.answer(id, Err(failed(format!("{PLACES} actions wait or run already"))));
        };
        let own = self.clone();
        let name = config.name.clone();
        let of_check = matches!(user, User::Check(_));
        let running = move || {
            let result = execute(&config, &own.slots, of_check);
            if let Err(error) = &result {
                tracing::warn!(action = %config.name, "action failed: {error:?}");
            }
            drop(place);
            own.answer(id, result);
        };
        // A fork of this process takes a moment: not on the loop's thread.
        if let Err(error) = thread::Builder::new().name("action".into()).spawn(running) {
            tracing::warn!(action = %name, "no thread to run it: {error}");
            self.answer(id, Err(failed(error)));
        }
    }

    fn answer(&self, id: u64, result: Result<ActionOutcome, ActionError>) {
        self.worker.send(ToWorker::Acted { id, result });
    }
}

impl Slots {
    fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            all: Arc::new(Semaphore::new(MOST)),
            of_checks: Arc::new(Semaphore::new(MOST_OF_CHECKS)),
        }
    }

    /// Waits for one. A check that waits takes none of those that are left to hooks.
    async fn take(&self, of_check: bool) -> Option<Slot> {
        let of_checks = match of_check {
            true => Some(Arc::clone(&self.of_checks).acquire_owned().await.ok()?),
            false => None,
        };
        let slot = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some((slot, of_checks))
    }
}

fn execute(config: &ActionConfig, slots: &Slots, of_check: bool) -> Result<ActionOutcome, ActionError> {
    let deadline = Instant::now() + config.timeout;
    let mut command = command(config)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let taken = timeout_at(deadline, slots.take(of_check)).await;
        let Ok(Some(_slot)) = taken else {
            return Err(failed(format!(
                "{MOST} actions run already, or {MOST_OF_CHECKS} of checks, and none has ended in time: make them \
                 quicker, or their checks rarer"
            )));
        };
        let child = command
            .spawn()
            .map_err(|error| failed(format!("{}: {error}", config.exec.join(" "))))?;
        watch(child, deadline).await
    })
}

fn command(config: &ActionConfig) -> Result<Command, ActionError> {
    let [program, arguments @ ..] = config.exec.as_slice() else {
        return Err(failed("no command"));
    };
    let unknown = || {
        failed(format!(
            "user {} was not found when the configuration was read; reload it",
            config.user
        ))
    };
    let account = config.account.ok_or_else(unknown)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("STANDFAST_ACTION", config.name.as_str())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if account.uid != geteuid().as_raw() {
        // Supplementary groups are dropped with it.
        command.uid(account.uid).gid(account.gid);
    }
    Ok(command)
}

async fn watch(mut child: Child, deadline: Instant) -> Result<ActionOutcome, ActionError> {
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .map(Pid::from_raw);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let outputs = async { tokio::join!(read(out, &mut stdout), read(err, &mut stderr)) };
        let mut outputs = std::pin::pin!(outputs);
        let mut all = false;
        let ended = loop {
            tokio::select! {
                status = timeout_at(deadline, child.wait()) => break status,
                _ = &mut outputs, if !all => all = true,
            }
        };
        if ended.is_ok() && !all {
            // Others may hold it open; what was read is kept.
            let _ = timeout(LAST_WORDS, outputs).await;
        }
        ended
    };
    let Ok(status) = ended else {
        end(&mut child, group).await;
        return Err(ActionError::Timeout);
    };
    if let Some(group) = group {
        // What it left behind would be in nobody's hands, without a bound of any kind.
        let _ = sweep_group(group, LAST_WORDS).await;
    }
    let status = status.map_err(failed)?;
    Ok(ActionOutcome {
        code: status.code(),
        signal: status.signal(),
        stdout,
        stderr,
    })
}

/// KILL, to the command and all that it has started.
async fn end(child: &mut Child, group: Option<Pid>) {
    if let Some(group) = group {
        let _ = signal_group(group, Signal::SIGKILL);
    }
    if timeout(KILLED, child.wait()).await.is_err() {
        return;
    }
    if let Some(group) = group {
        let _ = sweep_group(group, LAST_WORDS).await;
    }
}

/// Reads an output to its end and keeps its beginning, however far that comes.
async fn read(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut output) = output else {
        return;
    };
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut piece).await {
        let room = OUTPUT_MAX - kept.len();
        kept.extend_from_slice(piece.get(..length.min(room)).unwrap_or_default());
    }
}

fn failed(why: impl ToString) -> ActionError {
    ActionError::Spawn(why.to_string())
}

#[cfg(test)]
mod tests;
