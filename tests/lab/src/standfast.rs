//! standfast in a node: started with a configuration, asked through its own command line.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::node::{Node, Program};
use crate::order::{End, Ran};
use crate::place;
use crate::wait::wait_until;

/// Where the daemon keeps its socket; every node has its own /run.
pub const RUNTIME: &str = "/run/standfast";
/// What the process is called that the guardian guards.
pub const BRAIN: &str = "standfast-brain";
/// A daemon that does not answer by then has not started.
const START: Duration = Duration::from_secs(10);
/// A daemon that does not end by then hangs: nginx gets its `stop-timeout` before.
const STOP: Duration = Duration::from_secs(10);

/// A running daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Where it runs.
    pub node: Node,
    /// Its first process.
    pub program: Program,
    /// Its configuration file.
    pub config: PathBuf,
}

/// Copies the built plugins to the node and makes its folders.
pub fn install(node: &Node) -> Result<()> {
    for name in place::plugin_names()? {
        install_plugin(node, &name, &place::plugin(&name)?)?;
    }
    Ok(())
}

/// Puts the file `from` as plugin `name` into the node's folder, in one step.
pub fn install_plugin(node: &Node, name: &str, from: &Path) -> Result<()> {
    let bytes = std::fs::read(from).doing(|| format!("cannot read {}", from.display()))?;
    replace_plugin(node, name, &bytes)
}

/// Replaces a plugin file in one step, as a package manager does.
pub fn replace_plugin(node: &Node, name: &str, bytes: &[u8]) -> Result<()> {
    // Outside the watched folder until it is whole.
    let draft = node.write("plugin-draft", bytes)?;
    let path = node.path("plugins").join(format!("{name}.wasm"));
    std::fs::rename(&draft, &path).doing(|| format!("cannot replace {}", path.display()))
}

/// Starts the daemon with this configuration, and waits until it answers.
pub fn start(node: &Node, config: &str) -> Result<Daemon> {
    start_by(&[], node, config)
}

/// The same behind other words, which execute the command line that follows them.
pub fn start_by(words: &[String], node: &Node, config: &str) -> Result<Daemon> {
    let daemon = launch_by(words, node, config)?;
    let answers = wait_until("standfast answering", START, || {
        if let Some(end) = daemon.program.wait(Duration::ZERO)? {
            let log = daemon.program.log_text();
            return Err(Error::new(format!(
                "standfast on {} ended with {end:?}:\n{log}",
                node.name()
            )));
        }
        Ok(daemon.status().is_ok())
    });
    answers.map(|_| daemon)
}

/// Starts the daemon and does not wait.
pub fn launch(node: &Node, config: &str) -> Result<Daemon> {
    launch_by(&[], node, config)
}

fn launch_by(words: &[String], node: &Node, config: &str) -> Result<Daemon> {
    let config = node.write("etc/standfast.kdl", config)?;
    let argv = [words, &run_command(&config, RUNTIME)?].concat();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let program = node.spawn("standfast", &argv)?;
    Ok(Daemon {
        node: node.clone(),
        program,
        config,
    })
}

/// The command line that runs the daemon. Compiled plugins are kept beside the programs, for all worlds to come.
pub fn run_command(config: &Path, runtime: &str) -> Result<Vec<String>> {
    place::program("standfast-worker")?;
    let cache = place::programs()?.join("lab-cache");
    std::fs::create_dir_all(&cache).doing(|| format!("cannot make {}", cache.display()))?;
    let words = [
        "run",
        "--config",
        &config.display().to_string(),
        "--runtime-dir",
        runtime,
    ]
    .map(str::to_owned);
    let mut argv = vec![place::program("standfast")?.display().to_string()];
    argv.extend(words);
    argv.extend(["--cache-dir".to_owned(), cache.display().to_string()]);
    Ok(argv)
}

/// Runs the command line `standfast WORDS` in a node.
pub fn cli(node: &Node, words: &[&str]) -> Result<Ran> {
    let program = place::program("standfast")?.display().to_string();
    let mut argv = vec![program.as_str()];
    argv.extend(words);
    node.run(&argv)
}

impl Daemon {
    /// Runs a verb that talks to this daemon.
    pub fn ask(&self, words: &[&str]) -> Result<Ran> {
        cli(&self.node, &[words, &["--runtime-dir", RUNTIME]].concat())
    }

    /// The same, and does not wait for its answer.
    pub fn begin(&self, words: &[&str]) -> Result<Program> {
        let program = place::program("standfast")?.display().to_string();
        let argv = [&[program.as_str()], words, &["--runtime-dir", RUNTIME]].concat();
        self.node.spawn("standfast-cli", &argv)
    }

    /// What `status --json` prints.
    pub fn status(&self) -> Result<Status> {
        let ran = self.ask(&["status", "--json"])?;
        match ran.code() {
            // 0 healthy, 1 degraded.
            Some(0 | 1) => Ok(Status(serde_json::from_str(&ran.out).doing(|| ran.text())?)),
            _ => Err(Error::new(format!(
                "status: {:?}: {}",
                ran.end,
                ran.text().trim()
            ))),
        }
    }

    /// What `why NAME` prints.
    pub fn why(&self, name: &str) -> Result<String> {
        let ran = self.ask(&["why", name])?;
        if ran.code() == Some(0) {
            Ok(ran.out)
        } else {
            Err(Error::new(ran.text()))
        }
    }

    /// The events so far, oldest first.
    pub fn events(&self) -> Result<Vec<Value>> {
        let ran = self.ask(&["events", "--json"])?;
        ran.out
            .lines()
            .map(|line| serde_json::from_str(line).doing(|| line.to_owned()))
            .collect()
    }

    /// Waits until router `VI_1` is in `state`.
    pub fn wait_state(&self, state: &str, limit: Duration) -> Result<()> {
        self.wait_status(&format!("{} {state}", self.node.name()), limit, |status| {
            status.router("VI_1")["state"] == state
        })
    }

    /// How long a hang of `what` takes at worst until the peer has the VIP, as `validate` prints it.
    pub fn worst(&self, what: &str) -> Result<Duration> {
        let file = self.config.display().to_string();
        let ran = cli(&self.node, &["validate", "--json", &file])?;
        let report: Value = serde_json::from_str(&ran.out).doing(|| ran.text())?;
        let covered = report["routers"][0]["covered"].as_array();
        covered
            .and_then(|all| all.iter().find(|one| one["what"] == what))
            .and_then(|one| one["hang"].as_f64())
            .map(Duration::from_secs_f64)
            .ok_or_else(|| Error::new(format!("validate says nothing of {what}: {report}")))
    }

    /// Waits until check `name` is in `state`.
    pub fn wait_check(&self, name: &str, state: &str, limit: Duration) -> Result<()> {
        self.wait_status(&format!("check {name} {state}"), limit, |status| {
            status.check(name)["state"] == state
        })
    }

    /// Waits until service `name` is in `state`.
    pub fn wait_service(&self, name: &str, state: &str, limit: Duration) -> Result<()> {
        self.wait_status(&format!("service {name} {state}"), limit, |status| {
            status.service(name)["state"] == state
        })
    }

    /// Waits until the status looks as wanted; the error shows the last one.
    pub fn wait_status(
        &self,
        what: &str,
        limit: Duration,
        mut good: impl FnMut(&Status) -> bool,
    ) -> Result<()> {
        let mut last = String::new();
        let outcome = wait_until(what, limit, || {
            let status = self.status()?;
            last = status.0.to_string();
            Ok(good(&status))
        });
        outcome
            .map(drop)
            .map_err(|error| Error::new(format!("{error}\nlast status of {}: {last}", self.node.name())))
    }

    /// Writes another configuration; it counts after a reload.
    pub fn rewrite(&self, config: &str) -> Result<()> {
        std::fs::write(&self.config, config).doing(|| "cannot write the configuration".to_owned())
    }

    /// SIGTERM, and waits for the end. What nobody wanted to die must not have died on the way.
    pub fn stop(&self) -> Result<End> {
        let end = self.program.stop(STOP)?;
        self.no_brain_died().map(|()| end)
    }

    /// The guardian hides a crash from who only asks whether the daemon answers: its log does not.
    pub fn no_brain_died(&self) -> Result<()> {
        let log = self.program.log_text();
        match log.lines().find(|line| line.contains("the brain was ")) {
            Some(line) => Err(Error::new(format!("on {}: {line}\n{log}", self.node.name()))),
            None => Ok(()),
        }
    }

    /// SIGKILL to its first process, the guardian; the brain ends with it.
    pub fn kill(&self) -> Result<()> {
        let brain = self.brain().ok();
        self.program.kill()?;
        wait_until("the end of the brain", STOP, || {
            let all = self.node.processes()?;
            Ok(all.iter().all(|one| Some(one.pid) != brain))
        })
        .map(drop)
    }

    /// The process that speaks: the guardian's only child.
    pub fn brain(&self) -> Result<i32> {
        let all = self.node.processes()?;
        let brain = all
            .iter()
            .find(|one| one.ppid == self.program.pid && one.comm == BRAIN && one.state != 'Z');
        Ok(brain
            .doing(|| format!("process {} has no brain", self.program.pid))?
            .pid)
    }

    /// Freezes all of it: who watches first, so that it sees no stuck brain.
    pub fn freeze(&self) -> Result<()> {
        let brain = self.brain()?;
        self.program.signal("STOP")?;
        self.node.signal(brain, "STOP")
    }

    /// All of it goes on.
    pub fn thaw(&self) -> Result<()> {
        self.node.signal(self.brain()?, "CONT")?;
        self.program.signal("CONT")
    }
}

/// The snapshot, as JSON; fields that are not there are null.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

impl Status {
    fn named(&self, list: &str, name: &str) -> &Value {
        let all = self.0[list].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter()
            .find(|entry| entry["name"] == name)
            .unwrap_or(&Value::Null)
    }

    /// A virtual router.
    pub fn router(&self, name: &str) -> &Value {
        self.named("routers", name)
    }

    /// A speaker heard by a virtual router, by its address.
    pub fn peer(&self, router: &str, address: IpAddr) -> &Value {
        peer(self.router(router), address)
    }

    /// A check.
    pub fn check(&self, name: &str) -> &Value {
        self.named("checks", name)
    }

    /// A service.
    pub fn service(&self, name: &str) -> &Value {
        self.named("services", name)
    }

    /// A plugin.
    pub fn plugin(&self, name: &str) -> &Value {
        self.named("plugins", name)
    }

    /// A hook.
    pub fn notify(&self, name: &str) -> &Value {
        self.named("notifies", name)
    }
}

/// A speaker in the table of one virtual router.
pub fn peer(router: &Value, address: IpAddr) -> &Value {
    let all = router["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .find(|peer| peer["address"] == address.to_string())
        .unwrap_or(&Value::Null)
}
