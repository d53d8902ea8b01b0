//! nginx's conventional pid file: a hint to us, and kept right for those who go by it, as logrotate does (N23).

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;
use nix::unistd::Pid;

use super::program::Program;

/// The process that it names. Never signalled by that alone (M14).
pub(crate) fn named(path: &Path) -> Option<Pid> {
    let mut text = String::new();
    // Not a pipe that somebody has put there.
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    let number = text.trim().parse().ok().filter(|number| *number > 1)?;
    Some(Pid::from_raw(number))
}

/// Lets the file name this master, if it names none that runs: one that was replaced takes it away at its end.
///
/// # Errors
/// It cannot be written.
pub(crate) fn mend(path: &Path, command: &[String], master: Pid) -> io::Result<()> {
    let program = Program::of_command(command);
    let lives = |pid: Pid| program.as_ref().is_some_and(|program| program.is_run_by(pid));
    if named(path).is_some_and(|pid| pid == master || lives(pid)) || !lives(master) {
        return Ok(());
    }
    write(path, master)
}

/// Whether a master that this file named, and whose exit code nobody knows, has ended as it does when it is told to:
/// then it takes the file away, with its last breath but one. One that is killed or crashes leaves it there.
pub(crate) fn tells_of_a_stop(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn write(path: &Path, master: Pid) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".standfast");
    let written = (|| {
        let _ = fs::remove_file(&new);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o644).open(&new)?;
        writeln!(file, "{master}")?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map_err(|error| io::Error::new(error.kind(), format!("pid file {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::service::proc_table::{State, stat};
    use crate::service::testing::{Nginx, command, until};

    #[test]
    fn a_file_that_is_gone_empty_or_names_a_dead_process_is_mended() {
        let nginx = Nginx::start();
        let (path, words) = (nginx.pid_file(), command(&nginx.folder));
        let mend = || mend(&path, &words, nginx.master());
        fs::remove_file(&path).unwrap();
        mend().unwrap();
        assert_eq!(named(&path), Some(nginx.master()));
        for wrong in ["", "999999999", "1", "-7", "no number"] {
            fs::write(&path, wrong).unwrap();
            mend().unwrap();
            assert_eq!(named(&path), Some(nginx.master()), "{wrong}");
        }
        let worker = nginx.workers()[0].pid;
        fs::write(&path, worker.to_string()).unwrap();
        mend().unwrap();
        assert_eq!(
            named(&path),
            Some(worker),
            "another nginx lives: it is none of ours to say"
        );
    }

    #[test]
    fn it_is_gone_after_a_stop_and_there_after_a_kill() {
        for (signal, stopped) in [
            (Signal::SIGTERM, true),
            (Signal::SIGQUIT, true),
            (Signal::SIGKILL, false),
            (Signal::SIGSEGV, false),
        ] {
            let nginx = Nginx::start();
            let (path, master) = (nginx.pid_file(), nginx.master());
            assert!(named(&path) == Some(master) && !tells_of_a_stop(&path));
            kill(master, signal).unwrap();
            until("it has ended", || {
                stat(master).is_none_or(|now| now.state == State::Ended)
            });
            assert_eq!(tells_of_a_stop(&path), stopped, "{signal}");
        }
    }
}
