//! Whether the nginx that a configuration would start runs already, or workers of it do (N4, N5).

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::unistd::{Pid, getuid};

use super::census::{Role, orphans};
use super::listeners::{Address, held_by};
use super::nginx_files::{Files, files};
use super::pid_file;
use super::proc_table::{Stat, State, lives, on_our_network, real_user, stat, title};
use super::program::Program;
use crate::process::open_pidfd;

/// What runs of it.
#[derive(Debug)]
pub(crate) enum Running {
    /// A master, and what signals it and nobody else.
    Master(Pid, OwnedFd),
    /// Workers without a master.
    Orphans(Vec<Stat>),
    /// Nothing.
    Nothing,
}

/// What was found out on the way.
#[derive(Debug)]
pub(crate) struct Found {
    /// What runs of it.
    pub(crate) running: Running,
    /// Its conventional pid file.
    pub(crate) pid_file: Option<PathBuf>,
}

/// Looks for it. Asks the program what it would be, and looks at every process: not for the loop's thread.
pub(crate) fn find(command: &[String]) -> Found {
    let Some(program) = Program::of_command(command) else {
        return Found {
            running: Running::Nothing,
            pid_file: None,
        };
    };
    let files = match files(command) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(
                "{} cannot be asked for its configuration: {error}",
                program.path().display()
            );
            Files::default()
        }
    };
    Found {
        running: running(&program, &files, command),
        pid_file: files.pid,
    }
}

fn running(program: &Program, files: &Files, command: &[String]) -> Running {
    let named = files.pid.as_deref().and_then(pid_file::named);
    if let Some(pid) = named.filter(|pid| stat(*pid).is_some() && !program.is_run_by(*pid)) {
        let path = files
            .pid
            .as_deref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        tracing::warn!("{path} names pid {pid}, which is another program: it is left alone");
    }
    let mut masters: Vec<_> = program
        .processes()
        .into_iter()
        .filter_map(stat)
        .filter(|one| is_it(one, program, files, command))
        .collect();
    if masters.len() > 1 {
        let pids: Vec<_> = masters.iter().map(|one| one.pid.to_string()).collect();
        tracing::warn!(
            "pid {} could all be it; the one that its pid file names is taken",
            pids.join(", ")
        );
        masters.retain(|one| Some(one.pid) == named);
    }
    if let [master] = masters.as_slice() {
        match watched(master) {
            Ok(Some(pidfd)) => return Running::Master(master.pid, pidfd),
            Ok(None) => {}
            Err(error) => tracing::warn!("pid {} cannot be watched: {error}", master.pid),
        }
    }
    let left = orphans(program).into_iter();
    let left: Vec<_> = left
        .filter(|orphan| listens_there(&orphan.listens, files))
        .map(|orphan| orphan.stat)
        .collect();
    if left.is_empty() {
        Running::Nothing
    } else {
        Running::Orphans(left)
    }
}

/// The one process of any other program that runs with the very same command line, as an earlier life has started it:
/// on our network, of our account or root's, and no child of another one of it. Not for the loop's thread.
pub(crate) fn find_program(command: &[String]) -> Option<(Pid, OwnedFd)> {
    let program = Program::of_command(command)?;
    let same = |one: &Stat| {
        one.state != State::Ended
            && title(one.pid).is_some_and(|title| title == command.join(" "))
            && !program.is_run_by(one.parent)
            && on_our_network(one.pid)
            && real_user(one.pid).is_some_and(trusted)
    };
    let mut found = program.processes().into_iter().filter_map(stat).filter(same);
    let one = found.next().filter(|_| found.next().is_none())?;
    let pidfd = watched(&one).ok()??;
    Some((one.pid, pidfd))
}

/// Root's and our own.
fn trusted(user: u32) -> bool {
    user == 0 || user == getuid().as_raw()
}

/// Workers of this program that serve though this master has ended.
pub(crate) fn left_by(master: &Stat, command: &[String]) -> Vec<Stat> {
    let Some(program) = Program::of_command(command) else {
        return Vec::new();
    };
    // Its workers are of its process group, whoever is their parent now.
    let of_it = orphans(&program).into_iter().map(|orphan| orphan.stat);
    of_it.filter(|orphan| orphan.group == master.group).collect()
}

/// A master of its own, on our network and of our account or root's, that listens where the configuration says.
/// Where the configuration says nothing, because it is broken just now, the very command line is as good.
fn is_it(one: &Stat, program: &Program, files: &Files, command: &[String]) -> bool {
    let held = || {
        held_by(one.pid)
            .into_iter()
            .map(|held| held.listener.at)
            .collect::<Vec<_>>()
    };
    Role::of(one.pid) == Role::Master
        && !program.is_run_by(one.parent)
        && on_our_network(one.pid)
        && real_user(one.pid).is_some_and(trusted)
        && (listens_there(&held(), files) || files.listens.is_empty() && began_as(one.pid, command))
}

/// nginx shows the words that it was started with behind its title.
fn began_as(pid: Pid, command: &[String]) -> bool {
    title(pid).is_some_and(|title| title == format!("nginx: master process {}", command.join(" ")))
}

fn listens_there(held: &[Address], files: &Files) -> bool {
    held.iter().any(|at| files.listens.contains(at))
}

/// The pidfd first, then whether it is still the one that was looked at.
fn watched(master: &Stat) -> io::Result<Option<OwnedFd>> {
    let pidfd = open_pidfd(master.pid)?;
    Ok(lives(master.pid, master.started).then_some(pidfd))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::service::testing::{Folder, Nginx, command, configure, free_address, until};

    #[test]
    fn the_master_that_the_configuration_means_is_found_and_no_other() {
        let nginx = Nginx::start();
        let other = Nginx::start();
        let found = |folder: &Folder| match find(&command(folder)).running {
            Running::Master(pid, _) => Some(pid),
            Running::Orphans(_) | Running::Nothing => None,
        };
        assert_eq!(found(&nginx.folder), Some(nginx.master()));
        assert_eq!(found(&other.folder), Some(other.master()));
        let neither = Folder::new();
        configure(&neither, "", &format!("listen {};", free_address()));
        assert_eq!(found(&neither), None);
    }

    #[test]
    fn a_configuration_that_is_broken_by_now_hides_no_running_master() {
        let nginx = Nginx::start();
        configure(&nginx.folder, "this_is_no_directive on;", "");
        let Running::Master(pid, _) = find(&command(&nginx.folder)).running else {
            panic!("not found")
        };
        assert_eq!(pid, nginx.master());
    }

    #[test]
    fn a_pid_file_is_only_a_hint() {
        let nginx = Nginx::start();
        for innocent in [
            std::process::id().to_string(),
            "0".into(),
            "-1".into(),
            "1".into(),
            "x".into(),
        ] {
            fs::write(nginx.pid_file(), innocent).unwrap();
            let Running::Master(pid, _) = find(&command(&nginx.folder)).running else {
                panic!("not found")
            };
            assert_eq!(pid, nginx.master());
        }
    }

    #[test]
    fn any_other_program_is_known_by_its_whole_command_line_if_it_is_the_only_one() {
        let words = |seconds: &str| ["/bin/sleep".to_owned(), seconds.to_owned()];
        let start = |seconds: &str| Command::new("/bin/sleep").arg(seconds).spawn().unwrap();
        let mut one = start("6789");
        let found = || find_program(&words("6789")).map(|(pid, _)| pid);
        until("it is found", || {
            found() == Some(Pid::from_raw(one.id().cast_signed()))
        });
        assert!(find_program(&words("67891")).is_none());
        let mut other = start("6789");
        until("there are two, and it is not known which", || found().is_none());
        for child in [&mut one, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn workers_without_a_master_are_found() {
        let mut nginx = Nginx::start();
        let of_it = stat(nginx.master()).unwrap();
        let orphans = nginx.behead();
        let Running::Orphans(found) = find(&command(&nginx.folder)).running else {
            panic!("not found")
        };
        assert_eq!(found.len(), orphans.len());
        let left = left_by(&of_it, &command(&nginx.folder));
        assert_eq!(left.len(), orphans.len());
        nginx.successor(orphans[0].pid);
    }
}
