//! A node: a machine of its own as far as its programs can see.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::link::Link;
use crate::netns;
use crate::order::{Act, End, Fruit, Process, Ran};

/// How long a command may run that is expected to end by itself.
const RUN_LIMIT: Duration = Duration::from_secs(20);

/// One node of a world.
#[derive(Clone, Debug)]
pub struct Node {
    name: String,
    dir: PathBuf,
    link: Arc<Link>,
}

/// A program that was started in a node and goes on.
#[derive(Clone, Debug)]
pub struct Program {
    link: Arc<Link>,
    /// Number inside the node.
    pub pid: i32,
    /// Where its outputs go.
    pub log: PathBuf,
}

impl Node {
    /// Starts the node; its files lie in `dir`.
    pub(crate) fn start(name: &str, dir: PathBuf) -> Result<Self> {
        for folder in ["etc", "log", "plugins"] {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        let link = Arc::new(Link::start(name, &dir)?);
        Ok(Self {
            name: name.to_owned(),
            dir,
            link,
        })
    }

    /// Its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A file of the node; the same path inside and outside.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Writes one of the node's files and returns its path.
    pub fn write(&self, file: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(file);
        std::fs::write(&path, text).doing(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The process whose network namespace is the node's.
    pub(crate) fn pid(&self) -> u32 {
        self.link.pid
    }

    /// Starts a program that goes on; `label` names its log.
    pub fn spawn(&self, label: &str, argv: &[&str]) -> Result<Program> {
        self.spawn_with(label, argv, &[])
    }

    /// The same with environment variables.
    pub fn spawn_with(&self, label: &str, argv: &[&str], env: &[(String, String)]) -> Result<Program> {
        let log = self.path("log").join(format!("{label}.log"));
        let act = Act::Spawn {
            argv: owned(argv),
            env: env.to_vec(),
            log: log.display().to_string(),
        };
        let Fruit::Pid(pid) = self.link.order(act)? else {
            return Err(unexpected());
        };
        Ok(Program {
            link: Arc::clone(&self.link),
            pid,
            log,
        })
    }

    /// Runs a program to its end.
    pub fn run(&self, argv: &[&str]) -> Result<Ran> {
        self.run_with(argv, "", &[])
    }

    /// Runs a program to its end with an input and environment variables.
    pub fn run_with(&self, argv: &[&str], input: &str, env: &[(String, String)]) -> Result<Ran> {
        let act = Act::Run {
            argv: owned(argv),
            env: env.to_vec(),
            input: input.to_owned(),
            limit_ms: u64::try_from(RUN_LIMIT.as_millis()).unwrap_or(u64::MAX),
        };
        let Fruit::Ran(ran) = self.link.order_within(act, RUN_LIMIT)? else {
            return Err(unexpected());
        };
        Ok(ran)
    }

    /// Runs a program that has to end well.
    pub fn must(&self, argv: &[&str]) -> Result<String> {
        self.must_with(argv, "")
    }

    /// Runs a program that has to end well, with an input.
    pub fn must_with(&self, argv: &[&str], input: &str) -> Result<String> {
        let ran = self.run_with(argv, input, &[])?;
        if ran.end == End::Code(0) {
            Ok(ran.out)
        } else {
            Err(Error::new(format!(
                "{} on {}: {:?}: {}",
                argv.join(" "),
                self.name,
                ran.end,
                ran.text().trim()
            )))
        }
    }

    /// Its processes, without the first.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let Fruit::Processes(processes) = self.link.order(Act::Processes)? else {
            return Err(unexpected());
        };
        Ok(processes)
    }

    /// Sends a signal (`KILL`, `STOP`, …) to one of its processes.
    pub fn signal(&self, pid: i32, signal: &str) -> Result<()> {
        self.link
            .order(Act::Signal {
                pid,
                signal: format!("SIG{signal}"),
            })
            .map(drop)
    }

    /// Kills everything that runs in the node, as a power cut does.
    pub fn kill_everything(&self) -> Result<()> {
        self.link.order(Act::KillAll)?;
        crate::wait::wait_until("the end of all processes", Duration::from_secs(5), || {
            // A process is a zombie before its last thread has let go of locks and sockets; then it is buried.
            Ok(self.processes()?.is_empty())
        })?;
        Ok(())
    }

    /// The IPv4 addresses of an interface, as the kernel has them now.
    pub fn addresses(&self, interface: &str) -> Result<Vec<String>> {
        let out = self.must(&["ip", "-j", "-4", "addr", "show", "dev", interface])?;
        let links: serde_json::Value = serde_json::from_str(&out)?;
        let addresses = links[0]["addr_info"].as_array().cloned().unwrap_or_default();
        Ok(addresses
            .iter()
            .filter_map(|info| Some(info["local"].as_str()?.to_owned()))
            .collect())
    }

    /// Whether the kernel has `address` on eth1 now.
    pub fn holds(&self, address: &str) -> Result<bool> {
        Ok(self.addresses("eth1")?.iter().any(|own| own == address))
    }

    /// Runs `work` in the node's network and waits for it.
    pub fn in_network<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        netns::run_in(self.pid(), work)
    }
}

impl Program {
    /// Sends a signal to it.
    pub fn signal(&self, signal: &str) -> Result<()> {
        self.link
            .order(Act::Signal {
                pid: self.pid,
                signal: format!("SIG{signal}"),
            })
            .map(drop)
    }

    /// How it ended; `None` when it still runs after `limit`.
    pub fn wait(&self, limit: Duration) -> Result<Option<End>> {
        let act = Act::Wait {
            pid: self.pid,
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        };
        let Fruit::End(end) = self.link.order_within(act, limit)? else {
            return Err(unexpected());
        };
        Ok(end)
    }

    /// Whether it still runs.
    pub fn runs(&self) -> Result<bool> {
        Ok(self.wait(Duration::ZERO)?.is_none())
    }

    /// SIGTERM, and SIGKILL when that is ignored for `limit`; says how it ended.
    pub fn stop(&self, limit: Duration) -> Result<End> {
        if let Some(end) = self.wait(Duration::ZERO)? {
            return Ok(end);
        }
        self.signal("TERM")?;
        if let Some(end) = self.wait(limit)? {
            return Ok(end);
        }
        self.signal("KILL")?;
        Err(Error::new(format!(
            "process {} did not end within {limit:?} after SIGTERM",
            self.pid
        )))
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&self) -> Result<()> {
        if self.runs()? {
            self.signal("KILL")?;
        }
        self.wait(Duration::from_secs(5))?
            .doing(|| format!("process {} survives SIGKILL", self.pid))
            .map(drop)
    }

    /// What it wrote so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn owned(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|word| (*word).to_owned()).collect()
}

fn unexpected() -> Error {
    Error::new("a node answered another question")
}
