//! The error log of a running nginx: its last lines, and what it had to say since a reload (M10, N15).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use nix::unistd::Pid;

use super::proc_table::FileId;

/// No more than this is read.
const PIECE: u64 = 8 << 10;
/// A line that is longer is cut.
const LINE: usize = 300;

/// Where a log ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    file: FileId,
    length: u64,
}

/// Where the log of this master ends now; `None`: it has no file.
pub(crate) fn mark(master: Pid) -> Option<Mark> {
    let path = path(master);
    let length = std::fs::metadata(&path)
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    Some(Mark {
        file: FileId::of(path)?,
        length,
    })
}

/// The last grave line since then, after which nginx goes on as it was.
pub(crate) fn grave_since(master: Pid, mark: &Mark) -> Option<String> {
    let now = self::mark(master).filter(|now| now.file == mark.file)?;
    let text = read(master, now.length.saturating_sub(mark.length).min(PIECE))?;
    let mut grave = text
        .lines()
        .filter(|line| line.contains("[emerg]") || line.contains("[alert]"));
    grave.next_back().map(cut)
}

/// Its last lines, the oldest first.
pub(crate) fn last_lines(master: Pid, most: usize) -> Vec<String> {
    let text = read(master, PIECE).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(most);
    lines.iter().skip(from).map(|line| cut(line)).collect()
}

/// nginx has its log as standard error: wherever it is, and whatever it is called by now.
fn path(master: Pid) -> String {
    format!("/proc/{master}/fd/2")
}

/// The last bytes of it, if it is a file.
fn read(master: Pid, length: u64) -> Option<String> {
    mark(master)?;
    let mut file = File::open(path(master)).ok()?;
    let end = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(length))).ok()?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn cut(line: &str) -> String {
    let line: String = line.chars().filter(|c| !c.is_control()).take(LINE).collect();
    line
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::service::testing::{Nginx, configure, until};

    #[test]
    fn a_refused_reload_is_seen_and_what_was_before_is_not() {
        let nginx = Nginx::start();
        let master = nginx.master();
        let reload = |text: &str| {
            let mark = mark(master).unwrap();
            configure(&nginx.folder, "", text);
            kill(master, Signal::SIGHUP).unwrap();
            mark
        };
        let before = reload("this_is_no_directive on;");
        until("it says why", || grave_since(master, &before).is_some());
        let line = grave_since(master, &before).unwrap();
        assert!(line.contains("this_is_no_directive"), "{line}");
        assert!(last_lines(master, 3).contains(&line));
        let after = mark(master).unwrap();
        assert_eq!(grave_since(master, &after), None);
    }
}
