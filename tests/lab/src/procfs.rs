//! Reading `/proc`: the processes of the own namespace.

use std::fs;
use std::path::Path;

use crate::error::Result;
use crate::order::Process;

/// Every process but the first, in the order of their numbers.
pub(crate) fn processes() -> Result<Vec<Process>> {
    let mut found: Vec<Process> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid > 1)
        .filter_map(process)
        .collect();
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// `None` when it ended while we looked.
fn process(pid: i32) -> Option<Process> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name stands in brackets and may hold anything, brackets too: the last one ends it.
    let (head, tail) = stat.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let ppid = fields.next()?.parse().ok()?;
    let argv = fs::read(folder.join("cmdline")).ok()?;
    let argv = argv
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(Process {
        pid,
        ppid,
        comm,
        state,
        argv,
    })
}
