//! A machine within a node whose first process is the system's own systemd, with the shipped unit installed.

use std::path::Path;
use std::time::Duration;

use crate::error::{Doing, Result};
use crate::node::{Node, Program};
use crate::order::Ran;
use crate::place;
use crate::standfast;
use crate::unit::Unit;
use crate::wait::wait_until;

const SYSTEMD: &str = "/lib/systemd/systemd";
const SCRIPT: &str = include_str!("box.sh");
/// A boot on a busy machine.
const BOOT: Duration = Duration::from_secs(30);

/// A booted system. It goes with its node.
#[derive(Debug)]
pub struct SystemdBox {
    node: Node,
    program: Program,
    pid: i32,
    _group: Unit,
}

/// What this machine lacks for it, if anything.
pub fn lacks() -> Option<String> {
    let programs = [
        SYSTEMD,
        "/usr/bin/setpriv",
        "/usr/bin/unshare",
        "/usr/bin/nsenter",
    ];
    if let Some(program) = programs.iter().find(|program| !Path::new(program).is_file()) {
        return Some(format!("{program} is missing"));
    }
    let group = Unit::make(false).err();
    group.map(|error| format!("this machine lets no test make a control group: {error}"))
}

impl SystemdBox {
    /// Boots it in the network of `node`, and waits until its basic target is reached.
    ///
    /// # Errors
    /// It does not come up; the error says what it wrote.
    pub fn boot(node: &Node) -> Result<Self> {
        let group = Unit::make(false).doing(|| "a control group".to_owned())?;
        standfast::install(node)?;
        let script = node.write("box.sh", SCRIPT)?.display().to_string();
        let words = [
            group.folder("daemon"),
            node.path("box"),
            place::programs()?.canonicalize()?,
            node.path("plugins"),
            place::repository().join("host/standfast.service"),
        ]
        .map(|path| path.display().to_string());
        let mut argv = vec![
            "/bin/sh",
            "-c",
            "chmod 755 \"$1\" && exec \"$@\"",
            "sh",
            &script,
            "begin",
        ];
        argv.extend(words.iter().map(String::as_str));
        let program = node.spawn("systemd", &argv)?;
        let mut booted = Self {
            node: node.clone(),
            program,
            pid: 0,
            _group: group,
        };
        let up = wait_until("systemd", BOOT, || {
            booted.pid = booted.first()?;
            if booted.pid == 0 {
                return Ok(false);
            }
            let state = booted.run(&["systemctl", "is-system-running"])?.out;
            Ok(["running", "degraded"].contains(&state.trim()))
        });
        up.doing(|| booted.program.log_text())?;
        Ok(booted)
    }

    /// Runs a program in it to its end.
    pub fn run(&self, argv: &[&str]) -> Result<Ran> {
        self.run_with(argv, "")
    }

    /// Runs a program in it that has to end well; what it said.
    pub fn must(&self, argv: &[&str]) -> Result<String> {
        self.node.must(&self.inside(argv, &self.pid.to_string()))
    }

    /// The same by a shell.
    pub fn shell(&self, script: &str) -> Result<String> {
        self.must(&["/bin/sh", "-c", script])
    }

    /// Writes one of its files.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let ran = self.run_with(&["/bin/sh", "-c", "cat >\"$0\"", path], text)?;
        crate::ensure!(ran.code() == Some(0), "{ran:?}");
        Ok(())
    }

    /// Puts the shipped drop-in with fewer rights and its rule for polkit in place, and makes its account.
    ///
    /// # Errors
    /// A command fails.
    pub fn restrict(&self) -> Result<()> {
        let read = |path: &str| {
            let path = place::repository().join(path);
            std::fs::read_to_string(&path).doing(|| format!("cannot read {}", path.display()))
        };
        self.shell("mkdir -p /etc/systemd/system/standfast.service.d /etc/polkit-1/rules.d")?;
        let folder = "/etc/systemd/system/standfast.service.d/strict.conf";
        self.write(folder, &read("host/standfast-strict.conf")?)?;
        self.write(
            "/etc/polkit-1/rules.d/50-standfast.rules",
            &read("host/standfast.rules")?,
        )?;
        self.shell("id standfast || useradd --system --no-create-home --shell /usr/sbin/nologin standfast")?;
        self.shell("chmod 755 /etc/polkit-1 /etc/polkit-1/rules.d; chmod 644 /etc/polkit-1/rules.d/*; systemctl daemon-reload")?;
        Ok(())
    }

    /// One property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let said = self.must(&["systemctl", "show", "--value", "-p", name, unit])?;
        Ok(said.trim().to_owned())
    }

    /// What the journal has of a unit.
    pub fn journal(&self, unit: &str) -> Result<String> {
        self.must(&["journalctl", "--no-pager", "-o", "cat", "-u", unit])
    }

    fn run_with(&self, argv: &[&str], input: &str) -> Result<Ran> {
        self.node
            .run_with(&self.inside(argv, &self.pid.to_string()), input, &[])
    }

    fn inside<'a>(&self, argv: &[&'a str], pid: &'a str) -> Vec<&'a str> {
        let enter = ["/usr/bin/nsenter", "-t", pid, "-m", "-p", "-u", "-i", "-C"];
        [&enter, argv].concat()
    }

    /// Its systemd; 0: not there yet.
    fn first(&self) -> Result<i32> {
        let all = self.node.processes()?;
        let is_it = |argv: &[String]| argv.first().is_some_and(|word| word == SYSTEMD);
        Ok(all.iter().find(|one| is_it(&one.argv)).map_or(0, |one| one.pid))
    }
}
