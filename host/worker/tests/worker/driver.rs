//! Starts a worker and speaks with it as the daemon does.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use standfast_core::config::grant::{Grants, Settings};
use standfast_core::config::instance::Instance;
use standfast_core::config::topic::Subject;
use standfast_core::ids::VrrpState;
use standfast_core::plugin::call::{
    ActionCall, CallError, CheckCall, CheckOutcome, NotifyCall, NotifyEvent, Usage, User, Verdict,
};
use standfast_core::plugin::channel::{FromWorker, LoadPlugin, LoadedPlugin, LogLevel, ToWorker};

/// Longer than anything takes on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);
/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_standfast-worker");
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where all tests of this user keep their files. Not in the repository: its folders may be open to a group, or belong
/// to another user than the one who tests, and plugins in such a place are refused.
fn room() -> &'static Path {
    static ROOM: LazyLock<PathBuf> = LazyLock::new(|| {
        umask(Mode::from_bits_truncate(0o022));
        let room = std::env::temp_dir().join(format!("standfast-worker-tests-{}", geteuid()));
        fs::create_dir_all(&room).unwrap();
        // What earlier runs have left.
        for old in fs::read_dir(&room).unwrap() {
            let (path, name) = old.map(|old| (old.path(), old.file_name())).unwrap();
            let name = name.to_string_lossy();
            if !Path::new("/proc").join(name.split('-').next().unwrap()).exists() {
                drop(fs::remove_dir_all(path));
            }
        }
        room
    });
    &ROOM
}

/// A folder of its own for each caller.
pub(crate) fn folder() -> PathBuf {
    let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = room().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The compiled component of a plugin crate, where only its owner can change it.
pub(crate) fn wasm(plugin: &str) -> PathBuf {
    placed(&built(plugin), &format!("{plugin}.wasm"))
}

/// A copy of a file where the worker's account may read it, under this name.
pub(crate) fn placed(file: &Path, name: &str) -> PathBuf {
    let copy = folder().join(name);
    fs::copy(file, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
    copy
}

fn built(plugin: &str) -> PathBuf {
    let built = || {
        let target = Path::new(PROGRAM).parent()?.parent()?;
        Some(target.join("wasm32-wasip2/release"))
    };
    let folder = std::env::var_os("STANDFAST_PLUGINS")
        .map(PathBuf::from)
        .or_else(built)
        .unwrap();
    let file = folder.join(format!("standfast_plugin_{}.wasm", plugin.replace('-', "_")));
    assert!(
        file.exists(),
        "{} is missing; build all plugins with\n  cargo build --release --target wasm32-wasip2 {}\n\
         or say in STANDFAST_PLUGINS where they are",
        file.display(),
        PLUGINS
            .map(|plugin| format!("-p standfast-plugin-{plugin}"))
            .join(" "),
    );
    file
}

const PLUGINS: [&str; 19] = [
    "process",
    "tcp",
    "http",
    "file-absent",
    "file-value",
    "dns",
    "smtp",
    "ping",
    "redis",
    "nginx-status",
    "exec-action",
    "log",
    "webhook",
    "action",
    "email",
    "test-hostile",
    "test-reach",
    "test-version-one",
    "test-version-two",
];

/// A check call of this plugin, to be filled in.
pub(crate) fn check(plugin: &str, timeout: Duration) -> CheckCall {
    CheckCall {
        check: format!("{plugin}-check").parse().unwrap(),
        run: NEXT.fetch_add(1, Ordering::Relaxed),
        plugin: plugin.parse().unwrap(),
        timeout,
        previous: None,
        instance: Instance::Fresh,
        settings: Settings::new(),
        grants: Grants::default(),
        routers: Vec::new(),
    }
}

/// A delivery to this plugin, to be filled in.
pub(crate) fn notify(plugin: &str) -> NotifyCall {
    NotifyCall {
        notify: format!("{plugin}-hook").parse().unwrap(),
        plugin: plugin.parse().unwrap(),
        timeout: Duration::from_secs(20),
        routers: Vec::new(),
        event: NotifyEvent {
            id: 7,
            subject: Subject::Router("VI_1".parse().unwrap()),
            was: VrrpState::Backup,
            now: VrrpState::Master,
            priority: 150,
            at: standfast_core::time::Instant::default(),
            at_ms: 1_000_000_000_123,
            attrs: vec![
                ("node".into(), "lb01".into()),
                ("cause".into(), "peer is silent".into()),
            ],
        },
        settings: Settings::new(),
        grants: Grants::default(),
    }
}

/// `key "value"` pairs as a `config` block.
pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new();
    for (key, value) in pairs {
        settings
            .entry((*key).to_owned())
            .or_default()
            .push((*value).to_owned());
    }
    settings
}

/// The worker's words, as the daemon gives them where grants name files in the tests' room, and executables.
pub(crate) fn run(cache: &Path) -> [OsString; 6] {
    let [run, read, executables, keep] = ["run", "--read", "--executables", "--cache"].map(OsString::from);
    [run, read, room().into(), executables, keep, cache.into()]
}

/// One worker process.
pub(crate) struct Worker {
    pub(crate) channel: UnixStream,
    child: Child,
    kept: Vec<FromWorker>,
}

impl Worker {
    /// With an empty cache.
    pub(crate) fn start() -> Self {
        Self::with_cache(&folder().join("cache"))
    }

    pub(crate) fn with_cache(cache: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(run(cache));
        Self::spawn(command)
    }

    /// In whatever surroundings the command makes.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let (channel, theirs) = UnixStream::pair().unwrap();
        channel.set_read_timeout(Some(PATIENCE)).unwrap();
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let mut worker = Self {
            channel,
            child,
            kept: Vec::new(),
        };
        let FromWorker::Ready { engine } = worker.receive() else {
            panic!("Ready comes first")
        };
        assert!(engine.starts_with("wasmtime 48."), "{engine}");
        worker
    }

    /// A worker with these plugins loaded under the names of their crates.
    pub(crate) fn serving(plugins: &[&str]) -> Self {
        let mut worker = Self::start();
        for plugin in plugins {
            worker.load(plugin, &wasm(plugin)).unwrap();
        }
        worker
    }

    pub(crate) fn load(&mut self, name: &str, path: &Path) -> Result<LoadedPlugin, String> {
        self.load_with(LoadPlugin {
            plugin: name.parse().unwrap(),
            generation: NEXT.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            trial: None,
            pin: None,
            fallback: None,
            set_aside: None,
        })
    }

    pub(crate) fn load_with(&mut self, request: LoadPlugin) -> Result<LoadedPlugin, String> {
        let wanted = request.generation;
        self.send(&ToWorker::Load(request));
        self.until(|message| match message {
            FromWorker::Loaded {
                generation, result, ..
            } if *generation == wanted => Some(result.clone()),
            _ => None,
        })
    }

    /// Runs a check and waits for what comes of it.
    pub(crate) fn check(&mut self, call: CheckCall) -> CheckOutcome {
        let run = call.run;
        self.send(&ToWorker::Check(call));
        self.outcome(run).0
    }

    /// The same, where a verdict is expected.
    pub(crate) fn verdict(&mut self, call: CheckCall) -> Verdict {
        self.check(call).unwrap()
    }

    /// The same, where an error is expected.
    pub(crate) fn error(&mut self, call: CheckCall) -> CallError {
        self.check(call).unwrap_err()
    }

    /// The answer to a run that was sent before, and how long it took.
    pub(crate) fn outcome(&mut self, wanted: u64) -> (CheckOutcome, Duration) {
        self.until(|message| match message {
            FromWorker::Checked {
                run, outcome, took, ..
            } if *run == wanted => Some((outcome.clone(), *took)),
            _ => None,
        })
    }

    pub(crate) fn notify(&mut self, call: NotifyCall) -> Result<(), CallError> {
        let wanted = call.event.id;
        self.send(&ToWorker::Notify(call));
        self.until(|message| match message {
            FromWorker::Notified { id, result, .. } if *id == wanted => Some(result.clone()),
            _ => None,
        })
    }

    /// What calls of this user were denied and measured, when it is told next.
    pub(crate) fn used(&mut self, user: &User) -> Usage {
        self.until(|message| match message {
            FromWorker::Used(usage) if usage.user == *user => Some(usage.clone()),
            _ => None,
        })
    }

    /// The next action that a plugin asks for.
    pub(crate) fn act(&mut self) -> ActionCall {
        self.until(|message| match message {
            FromWorker::Act(call) => Some(call.clone()),
            _ => None,
        })
    }

    /// The next log line with this text in it.
    pub(crate) fn log(&mut self, text: &str) -> (String, LogLevel, String) {
        self.until(|message| match message {
            FromWorker::Log {
                subject,
                level,
                message,
            } if message.contains(text) => Some((subject.clone(), *level, message.clone())),
            _ => None,
        })
    }

    /// Actions that plugins have asked for so far and nobody has waited for.
    pub(crate) fn asked(&self) -> usize {
        let asks = |message: &&FromWorker| matches!(message, FromWorker::Act(_));
        self.kept.iter().filter(asks).count()
    }

    /// Log lines with this text that have come so far and were not asked for.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let with_text = |message: &&FromWorker| matches!(message, FromWorker::Log { message, .. } if message.contains(text));
        self.kept.iter().filter(with_text).count()
    }

    pub(crate) fn send(&mut self, message: &ToWorker) {
        let body = postcard::to_stdvec(message).unwrap();
        self.channel
            .write_all(&u32::try_from(body.len()).unwrap().to_le_bytes())
            .unwrap();
        self.channel.write_all(&body).unwrap();
    }

    /// Memory that it really holds, KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.about("status", "VmRSS:")
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }

    /// What the kernel says about it: the rest of the line that begins so.
    pub(crate) fn about(&self, file: &str, begins: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(begins))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Closes the channel and waits for the end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.channel.shutdown(std::net::Shutdown::Write).unwrap();
        self.exit()
    }

    /// Waits for the end.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the worker does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What other waits passed over is looked at first.
    pub(crate) fn until<T>(&mut self, wanted: impl Fn(&FromWorker) -> Option<T>) -> T {
        if let Some(index) = self.kept.iter().position(|message| wanted(message).is_some()) {
            return wanted(&self.kept.remove(index)).unwrap();
        }
        loop {
            let message = self.receive();
            match wanted(&message) {
                Some(found) => return found,
                None => self.kept.push(message),
            }
        }
    }

    pub(crate) fn receive(&mut self) -> FromWorker {
        let mut length = [0; 4];
        self.channel.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.channel.read_exact(&mut body).unwrap();
        postcard::from_bytes(&body).unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Already gone is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
