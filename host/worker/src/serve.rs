//! The serving worker: one thread reads and writes the channel, others run checks, hooks and loads.

use std::env;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nix::unistd::geteuid;
use standfast_core::plugin::call::{CheckCall, NotifyCall};
use standfast_core::plugin::channel::{FromWorker, LoadPlugin, LogLevel, ToWorker};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::cache::{self, Cache, HERE};
use crate::cage;
use crate::cage::account::Account;
use crate::call::{Caller, missing};
use crate::catalog::Catalog;
use crate::channel::{self, ChannelError};
use crate::compile::Compiler;
use crate::engine::Machine;
use crate::executables::{self, Executables};
use crate::fork::threads_from_now_on;
use crate::forkserver;
use crate::lane::Lane;
use crate::load::Loader;
use crate::options::Options;
use crate::shared::Shared;
use crate::subject::{Kind, Subjects};
use crate::trace::Tracer;
use crate::trusted::Trust;

/// Checks that run at the same time. With hooks and trial calls this fits the pool (`engine::SLOTS`).
const CHECKS_MAX: usize = 48;
/// Hooks that run at the same time, on a thread of their own.
const HOOKS_MAX: usize = 12;
/// Answers and log lines that wait for the daemon to read.
const OUT_MAX: usize = 1024;
/// Loads that wait.
const LOADS_MAX: usize = 256;

/// Serves until the daemon closes the channel, and ends the process then: whatever still runs is of no use.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    drop(daemon()?);
    let group = options.group.then(cage::enter_group).unwrap_or_default();
    let (trust, started_as) = (Trust::of_this_process(), geteuid());
    let account = Account::find(options.user.as_deref());
    let prepared = cache::prepare(&options.cache, account.as_ref());
    let looker = options.executables.then(|| executables::start(account.as_ref()));
    let executables = Executables::new(looker.transpose()?);
    cage::give_up_rights(account.as_ref());
    let tracer = options.trace.then(Tracer::start).transpose()?;
    let compiler = Compiler::new(forkserver::start(options.engine)?);
    let channel = daemon()?;
    let own = prepared.is_ok().then_some(Path::new(HERE));
    cage::close_files(&readable(options), own, started_as, options.engine);
    threads_from_now_on();
    let machine = Arc::new(Machine::new(options.engine)?);
    cage::close_syscalls(machine.pooled);
    let cache = prepared
        .and_then(|()| Cache::here(&machine.engine))
        .unwrap_or_else(|error| {
            // Checks run all the same.
            eprintln!(
                "standfast-worker: nothing compiled is kept: {}: {error}",
                options.cache.display()
            );
            Cache::none()
        });
    let main = Builder::new_current_thread().enable_io().build().map_err(text)?;
    let (out, answers) = mpsc::channel(OUT_MAX);
    for message in group {
        let subject = "worker".to_owned();
        // There is room: nobody else speaks yet.
        let _ = out.try_send(FromWorker::Log {
            subject,
            level: LogLevel::Debug,
            message,
        });
    }
    let shared = Shared::new(out.clone(), executables, tracer).map_err(text)?;
    let worker = Worker::start(machine, shared, (cache, compiler, trust), out)?;
    let ended = main.block_on(async {
        let (from, to) = UnixStream::from_std(channel).map_err(text)?.into_split();
        tokio::select! {
            ended = read(from, &worker) => ended,
            ended = write(to, answers) => ended,
        }
        .map_err(text)
    });
    match ended {
        Ok(()) => process::exit(0),
        Err(reason) => {
            eprintln!("standfast-worker: {reason}");
            process::exit(1)
        }
    }
}

/// Where plugins and granted files lie, and certificates that the environment names.
fn readable(options: &Options) -> Vec<PathBuf> {
    let certificates = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(env::var_os);
    let certificates = certificates.into_iter().flatten().map(PathBuf::from);
    options.read.iter().cloned().chain(certificates).collect()
}

fn daemon() -> Result<StdStream, String> {
    let channel = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(StdStream::from)
        .map_err(text)?;
    let connected = channel.peer_addr().and_then(|_| channel.set_nonblocking(true));
    connected.map_err(|error| {
        format!("standard input is not a Unix stream socket ({error}): `standfast run` starts this program")
    })?;
    Ok(channel)
}

async fn read(mut from: OwnedReadHalf, worker: &Worker) -> Result<(), ChannelError> {
    while let Some(message) = channel::read(&mut from).await? {
        match message {
            ToWorker::Load(request) => worker.load(request),
            ToWorker::Check(call) => worker.check(call),
            ToWorker::Notify(call) => worker.notify(call),
            ToWorker::Acted { id, result } => worker.caller.shared.desk.answer(id, result),
        }
    }
    Ok(())
}

async fn write(mut to: OwnedWriteHalf, mut answers: mpsc::Receiver<FromWorker>) -> Result<(), ChannelError> {
    let engine = concat!("wasmtime ", env!("WASMTIME_VERSION")).to_owned();
    channel::write(&mut to, &FromWorker::Ready { engine }).await?;
    while let Some(answer) = answers.recv().await {
        channel::write(&mut to, &answer).await?;
    }
    Ok(())
}

struct Worker {
    caller: Caller,
    catalog: Arc<Catalog>,
    subjects: Arc<Subjects>,
    checks: Lane,
    hooks: Lane,
    loads: mpsc::Sender<LoadPlugin>,
    out: mpsc::Sender<FromWorker>,
}

impl Worker {
    fn start(
        machine: Arc<Machine>,
        shared: Shared,
        (cache, compiler, trust): (Cache, Compiler, Trust),
        out: mpsc::Sender<FromWorker>,
    ) -> Result<Self, String> {
        let caller = Caller {
            machine,
            shared: Arc::new(shared),
            warm: Arc::default(),
        };
        let catalog = Arc::new(Catalog::default());
        let subjects = Arc::new(Subjects::new(out.clone()));
        let (loads, waiting) = mpsc::channel(LOADS_MAX);
        let loader = Loader {
            caller: caller.clone(),
            cache,
            catalog: Arc::clone(&catalog),
            subjects: Arc::clone(&subjects),
            trust,
            compiler,
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(text)?;
        let answers = out.clone();
        let loading = move || load_all(&runtime, Arc::new(loader), waiting, &answers);
        thread::Builder::new()
            .name("loads".into())
            .spawn(loading)
            .map_err(text)?;
        let checks = Lane::new("checks", 2, CHECKS_MAX).map_err(text)?;
        let hooks = Lane::new("hooks", 1, HOOKS_MAX).map_err(text)?;
        Ok(Self {
            caller,
            catalog,
            subjects,
            checks,
            hooks,
            loads,
            out,
        })
    }

    fn load(&self, request: LoadPlugin) {
        let Err(refused) = self.loads.try_send(request) else {
            return;
        };
        let request = refused.into_inner();
        let result = Err(format!("{LOADS_MAX} loads wait already"));
        self.answer(FromWorker::Loaded {
            plugin: request.plugin,
            generation: request.generation,
            result,
        });
    }

    fn check(&self, call: CheckCall) {
        let received = Instant::now();
        let (check, run, timeout) = (call.check.clone(), call.run, call.timeout);
        let caller = self.caller.clone();
        let loaded = self.catalog.get(&call.plugin);
        let subject = self.subjects.get(Kind::Check, check.as_str());
        let user = Arc::clone(&subject);
        let apart = user.apart(&call.grants);
        let work = async move {
            let unloaded = || missing(format!("plugin {} is not loaded", call.plugin));
            let loaded = loaded.ok_or_else(unloaded)?;
            caller.check(&loaded, call, subject, received).await?
        };
        let answer = move |outcome| FromWorker::Checked {
            check,
            run,
            outcome,
            took: received.elapsed(),
        };
        self.checks
            .run(received, timeout, apart, work, answer, self.out.clone());
    }

    fn notify(&self, call: NotifyCall) {
        let received = Instant::now();
        let (notify, id, timeout) = (call.notify.clone(), call.event.id, call.timeout);
        let caller = self.caller.clone();
        let loaded = self.catalog.get(&call.plugin);
        let subject = self.subjects.get(Kind::Hook, notify.as_str());
        let user = Arc::clone(&subject);
        let apart = user.apart(&call.grants);
        let work = async move {
            let unloaded = || missing(format!("plugin {} is not loaded", call.plugin));
            let loaded = loaded.ok_or_else(unloaded)?;
            caller.notify(&loaded, call, subject, received).await
        };
        let answer = move |result| FromWorker::Notified { notify, id, result };
        self.hooks
            .run(received, timeout, apart, work, answer, self.out.clone());
    }

    fn answer(&self, message: FromWorker) {
        let out = self.out.clone();
        self.hooks
            .handle()
            .spawn(async move { drop(out.send(message).await) });
    }
}

/// One load after the other, each in a task of its own so that a panic ends that load only.
fn load_all(
    runtime: &Runtime,
    loader: Arc<Loader>,
    mut waiting: mpsc::Receiver<LoadPlugin>,
    out: &mpsc::Sender<FromWorker>,
) {
    runtime.block_on(async {
        while let Some(request) = waiting.recv().await {
            let (plugin, generation) = (request.plugin.clone(), request.generation);
            let loader = Arc::clone(&loader);
            let loading = tokio::spawn(async move { loader.load(request).await });
            let result = loading
                .await
                .unwrap_or_else(|panic| Err(format!("the loader failed: {panic}")));
            drop(
                out.send(FromWorker::Loaded {
                    plugin,
                    generation,
                    result,
                })
                .await,
            );
        }
    });
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
