//! The brain's side of the worker: starts it, speaks to it, kills it when it falls silent, starts it again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use standfast_core::config::worker::WorkerNeeds;
use standfast_core::event::Event;
use standfast_core::plugin::channel::{FRAME_MAX, FromWorker, LogLevel, ToWorker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, timeout};

use crate::orphans::{signal_group, sweep_group};

/// Messages that may wait for the worker; more means that it has hung, and they are dropped.
const QUEUE: usize = 1024;
/// An answer that is later than its own limit by this much means that the worker has hung.
const SILENCE: Duration = Duration::from_millis(500);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long a load may take: compiling, and the trial call.
const LOAD_LIMIT: Duration = Duration::from_secs(59);
/// How long the worker may take to read a message.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// A worker that lived so long is started again at once.
const GOOD_LIFE: Duration = Duration::from_secs(10);
/// Longest wait between two starts.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A way to speak to whichever worker runs.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    messages: mpsc::Sender<ToWorker>,
    needs: watch::Sender<WorkerNeeds>,
}

/// How a worker is started.
#[derive(Debug)]
struct Launch {
    program: PathBuf,
    cache: PathBuf,
    needs: watch::Receiver<WorkerNeeds>,
}

impl Worker {
    /// Starts a worker and keeps one running until the runtime ends.
    pub(crate) fn start(
        program: PathBuf,
        cache: PathBuf,
        needs: WorkerNeeds,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (messages, receiver) = mpsc::channel(QUEUE);
        let (sender, needs) = watch::channel(needs);
        let launch = Launch {
            program,
            cache,
            needs,
        };
        tokio::task::spawn_local(keep(launch, receiver, events));
        Self {
            messages,
            needs: sender,
        }
    }

    /// Never waits. What a hung or dead worker cannot take is dropped: the engine's deadlines cover it.
    pub(crate) fn send(&self, message: ToWorker) {
        if self.messages.try_send(message).is_err() {
            tracing::debug!("the worker does not take messages");
        }
    }

    /// Another worker takes over if this is not how the present one was started.
    pub(crate) fn reconfigure(&self, needs: WorkerNeeds) {
        self.needs.send_if_modified(|known| {
            let changed = *known != needs;
            *known = needs;
            changed
        });
    }
}

async fn keep(mut launch: Launch, mut outgoing: mpsc::Receiver<ToWorker>, events: mpsc::Sender<Event>) {
    let mut backoff = Duration::ZERO;
    loop {
        let born = Instant::now();
        let why = match launch.spawn() {
            Err(error) => format!("{} cannot be started: {error}", launch.program.display()),
            Ok((mut child, stream)) => {
                // What was meant for the last one is stale.
                while outgoing.try_recv().is_ok() {}
                let why = session(stream, &mut outgoing, &mut launch.needs, &events).await;
                match end(&mut child).await {
                    Some(how) => format!("{why} ({how})"),
                    None => why,
                }
            }
        };
        if events.send(Event::WorkerDown(why)).await.is_err() {
            return;
        }
        let lived = born.elapsed() >= GOOD_LIFE;
        backoff = if lived {
            Duration::ZERO
        } else {
            (backoff * 2).clamp(GOOD_LIFE / 100, BACKOFF_MAX)
        };
        sleep(backoff).await;
    }
}

impl Launch {
    fn spawn(&mut self) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let needs = self.needs.borrow_and_update().clone();
        let child = Command::new(&self.program)
            .args(arguments(&needs, &self.cache))
            .arg("--group")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, UnixStream::from_std(ours)?))
    }
}

/// What a worker is started with.
pub(crate) fn arguments(needs: &WorkerNeeds, cache: &Path) -> Vec<OsString> {
    let mut words = vec!["run".into(), "--cache".into(), cache.into()];
    words.extend(needs.executables.then(|| "--executables".into()));
    words.extend(["--engine".into(), needs.config.engine.word().into()]);
    for folder in &needs.folders {
        words.extend(["--read".into(), folder.into()]);
    }
    if let Some(user) = &needs.config.user {
        words.extend(["--user".into(), user.into()]);
    }
    words
}

/// Speaks to one worker until it ends or must be ended; returns why.
async fn session(
    stream: UnixStream,
    outgoing: &mut mpsc::Receiver<ToWorker>,
    needs: &mut watch::Receiver<WorkerNeeds>,
    events: &mpsc::Sender<Event>,
) -> String {
    let (reader, mut writer) = stream.into_split();
    let (frames, mut incoming) = mpsc::channel(QUEUE);
    // Reading is a task of its own, so that half a frame survives the select below.
    let reading = tokio::task::spawn_local(read_frames(reader, frames));
    let mut overdue: BTreeMap<Key, Instant> = BTreeMap::new();
    let mut look = interval(LOOK);
    let why = loop {
        tokio::select! {
            message = incoming.recv() => match message {
                None => break "it closed the connection".to_owned(),
                Some(Err(error)) => break format!("it said something unreadable: {error}"),
                Some(Ok(message)) => {
                    if let Some(key) = Key::answered(&message) {
                        overdue.remove(&key);
                    }
                    if let Some(event) = to_event(message)
                        && events.send(event).await.is_err()
                    {
                        break "the daemon ends".to_owned();
                    }
                }
            },
            message = outgoing.recv() => {
                let Some(message) = message else { break "the daemon ends".to_owned() };
                if let Some((key, limit)) = Key::asked(&message) {
                    overdue.insert(key, Instant::now() + limit + SILENCE);
                }
                match timeout(WRITE_LIMIT, write_frame(&mut writer, &message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break format!("it does not listen: {error}"),
                    Err(_) => break "it hangs: it does not read".to_owned(),
                }
            },
            Ok(()) = needs.changed() => break "the configuration wants it started in another way".to_owned(),
            _ = look.tick() => {
                let now = Instant::now();
                if overdue.values().any(|limit| *limit <= now) {
                    break "it hangs: an answer is overdue".to_owned();
                }
            },
        }
    };
    reading.abort();
    why
}

/// KILL, to the whole group: a worker that must be ended does not listen.
async fn end(child: &mut Child) -> Option<String> {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    if let Some(group) = group {
        let _ = signal_group(group, Signal::SIGKILL);
    }
    let status = child.wait().await.ok();
    if let Some(group) = group {
        let _ = sweep_group(group, Duration::from_millis(100)).await;
    }
    status.map(|status| status.to_string())
}

async fn read_frames(mut reader: OwnedReadHalf, frames: mpsc::Sender<io::Result<FromWorker>>) {
    loop {
        let frame = match read_frame(&mut reader).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            frame => frame,
        };
        let broken = frame.is_err();
        if frames.send(frame).await.is_err() || broken {
            return;
        }
    }
}

async fn read_frame(reader: &mut OwnedReadHalf) -> io::Result<FromWorker> {
    let length = usize::try_from(reader.read_u32_le().await?).map_err(io::Error::other)?;
    if length > FRAME_MAX {
        return Err(io::Error::other(format!(
            "a frame of {length} bytes, {FRAME_MAX} at most"
        )));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

async fn write_frame(writer: &mut OwnedWriteHalf, message: &ToWorker) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(bytes.len() + 4);
    frame.extend(length.to_le_bytes());
    frame.extend(bytes);
    writer.write_all(&frame).await
}

/// Names a question, so that its answer can be awaited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Load(u64),
    Check(String, u64),
    Notify(String, u64),
}

impl Key {
    fn asked(message: &ToWorker) -> Option<(Self, Duration)> {
        match message {
            ToWorker::Load(load) => Some((Self::Load(load.generation), LOAD_LIMIT)),
            ToWorker::Check(call) => Some((Self::Check(call.check.to_string(), call.run), call.timeout)),
            ToWorker::Notify(call) => {
                Some((Self::Notify(call.notify.to_string(), call.event.id), call.timeout))
            }
            ToWorker::Acted { .. } => None,
        }
    }

    fn answered(message: &FromWorker) -> Option<Self> {
        match message {
            FromWorker::Loaded { generation, .. } => Some(Self::Load(*generation)),
            FromWorker::Checked { check, run, .. } => Some(Self::Check(check.to_string(), *run)),
            FromWorker::Notified { notify, id, .. } => Some(Self::Notify(notify.to_string(), *id)),
            FromWorker::Ready { .. }
            | FromWorker::Log { .. }
            | FromWorker::Act(_)
            | FromWorker::Used(_)
            | FromWorker::Traced(_) => None,
        }
    }
}

fn to_event(message: FromWorker) -> Option<Event> {
    match message {
        FromWorker::Ready { engine } => Some(Event::WorkerUp(engine)),
        FromWorker::Loaded {
            plugin,
            generation,
            result,
        } => Some(Event::PluginLoaded {
            plugin,
            generation,
            result,
        }),
        FromWorker::Checked {
            check,
            run,
            outcome,
            took,
        } => Some(Event::Checked {
            check,
            run,
            outcome,
            took,
        }),
        FromWorker::Notified { notify, id, result } => Some(Event::Notified { notify, id, result }),
        FromWorker::Act(call) => Some(Event::Act(call)),
        FromWorker::Used(usage) => Some(Event::Used(usage)),
        // For `plugin run`, which starts a worker of its own.
        FromWorker::Traced(_) => None,
        FromWorker::Log {
            subject,
            level,
            message,
        } => {
            match level {
                LogLevel::Debug => tracing::debug!(%subject, "plugin: {message}"),
                LogLevel::Info => tracing::info!(%subject, "plugin: {message}"),
                LogLevel::Warn => tracing::warn!(%subject, "plugin: {message}"),
                LogLevel::Error => tracing::error!(%subject, "plugin: {message}"),
            }
            None
        }
    }
}
