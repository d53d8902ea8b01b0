//! The program of a service, and which processes run it: also after its file was replaced by an upgrade.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::proc_table::{FileId, everybody};

/// A program as it stands on disk now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    path: PathBuf,
    file: FileId,
}

impl Program {
    /// The program of a command and its arguments.
    pub(crate) fn of_command(command: &[String]) -> Option<Self> {
        Self::of(command.first()?)
    }

    /// The program that a word means, links followed. Without a slash it is looked for as a spawn would.
    pub(crate) fn of(command: &str) -> Option<Self> {
        let found = if command.contains('/') {
            PathBuf::from(command)
        } else {
            let folders = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
            let candidates = env::split_paths(&folders).map(|folder| folder.join(command));
            candidates.into_iter().find(|path| executable_file(path))?
        };
        let path = found.canonicalize().ok()?;
        let file = FileId::of(&path)?;
        Some(Self { path, file })
    }

    /// Where it is, links followed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A process runs it. The same file counts; after an upgrade also the file that was there before, if the process
    /// sees our files: the same path in a container is another program.
    pub(crate) fn is_run_by(&self, pid: Pid) -> bool {
        let Some(link) = executable(pid) else {
            return false;
        };
        if FileId::of(format!("/proc/{pid}/exe")) == Some(self.file) {
            return true;
        }
        // `make install` of nginx sets the old file aside, packages put the new one in its place.
        let mut set_aside = self.path.clone().into_os_string();
        set_aside.push(".old");
        let was = without_mark(&link);
        (was == Some(self.path.as_os_str()) || was.unwrap_or(link.as_os_str()) == set_aside)
            && FileId::of(format!("/proc/{pid}/root/.")) == FileId::of("/")
    }

    /// All processes that run it.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let mut all = everybody();
        all.retain(|pid| self.is_run_by(*pid));
        all
    }
}

/// What the kernel says that a process executes, with ` (deleted)` if that is so. Needs the right to trace it.
pub(crate) fn executable(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The path of a file that is gone; `None`: it is there.
fn without_mark(link: &Path) -> Option<&OsStr> {
    let path = link.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
    Some(OsStr::from_bytes(path))
}

fn executable_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::service::testing::{Folder, until};

    #[test]
    fn a_process_runs_its_program_also_after_an_upgrade() {
        let folder = Folder::new();
        let path = folder.path("sleepy");
        fs::copy("/bin/sleep", &path).unwrap();
        let mut child = Command::new(&path).arg("65").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let command = path.to_str().unwrap();
        let program = Program::of(command).unwrap();
        until("it runs", || program.is_run_by(pid));
        assert!(program.processes().contains(&pid));
        assert!(!Program::of("sleep").unwrap().is_run_by(pid));

        let replace = || {
            fs::copy("/bin/true", folder.path("next")).unwrap();
            fs::rename(folder.path("next"), &path).unwrap();
            Program::of(command).unwrap()
        };
        fs::rename(&path, folder.path("sleepy.old")).unwrap();
        let upgraded = replace();
        assert!(
            upgraded != program && upgraded.is_run_by(pid),
            "the old file was set aside"
        );
        fs::rename(folder.path("sleepy.old"), folder.path("other")).unwrap();
        assert!(!upgraded.is_run_by(pid), "it runs something else by now");
        fs::rename(folder.path("other"), &path).unwrap();
        assert!(program.is_run_by(pid));
        assert!(replace().is_run_by(pid), "another file took its place");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!program.is_run_by(pid) && program.processes().is_empty());
    }

    #[test]
    fn a_command_without_a_slash_is_looked_for() {
        let found = Program::of("sh").unwrap();
        assert_eq!(Some(found), Program::of("/bin/sh"));
        assert_eq!(
            (Program::of("no-such-program"), Program::of("/no/such")),
            (None, None)
        );
    }
}
