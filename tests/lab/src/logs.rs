//! What the nodes of this process wrote: shown and kept when a test fails, gone with the namespaces otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use crate::enter::ROOM;
use crate::error::{Doing, Result};

/// The last lines of every log, with a heading each.
pub fn tails(lines: usize) -> String {
    files("log")
        .iter()
        .map(|(node, path)| tail(node, path, lines))
        .collect()
}

/// Copies logs and configurations below `to`.
pub fn save(to: &Path) -> Result<()> {
    for (node, path) in files("log").into_iter().chain(files("etc")) {
        let folder = to.join(&node);
        fs::create_dir_all(&folder).doing(|| format!("cannot make {}", folder.display()))?;
        fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The files in one folder of every node of every world, with the node as `w0/lb01`.
fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for world in entries(Path::new(ROOM)) {
        for node in entries(&world) {
            let name = node.strip_prefix(ROOM).unwrap_or(&node).display().to_string();
            let all = entries(&node.join(folder))
                .into_iter()
                .filter(|path| path.is_file());
            found.extend(all.map(|path| (name.clone(), path)));
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(list) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = list.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

fn tail(node: &str, log: &Path, lines: usize) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    if all.is_empty() {
        return String::new();
    }
    let from = all.len().saturating_sub(lines);
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "--- {node} {name}, last {} of {} lines\n{}\n",
        all.len() - from,
        all.len(),
        all[from..].join("\n")
    )
}
