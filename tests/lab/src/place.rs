//! Where things lie: the repository, the built programs and plugins.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result};

/// The repository this laboratory was built from.
pub fn repository() -> &'static Path {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab)
}

/// One of the shipped examples.
pub fn example(file: &str) -> Result<String> {
    let path = repository().join("examples").join(file);
    fs::read_to_string(&path).doing(|| format!("cannot read {}", path.display()))
}

/// The folder of the programs under test: `STANDFAST_BIN_DIR`, or where this program lies.
pub fn programs() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("STANDFAST_BIN_DIR") {
        return Ok(dir.into());
    }
    let exe = std::env::current_exe()?;
    let dir = exe.parent().doing(|| "a program without a folder".to_owned())?;
    // Test programs lie one floor deeper than the others.
    Ok(if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    }
    .to_owned())
}

/// A program under test; a missing one is an error with the command that makes it.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = programs()?.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Error::new(format!(
            "{} is missing (cargo build --release -p {name})",
            path.display()
        )))
    }
}

/// A program of the system; a missing one is an error with the command that installs it.
pub fn system(path: &str, package: &str) -> Result<()> {
    if Path::new(path).is_file() {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{path} is missing (apt-get install {package})"
        )))
    }
}

/// The folder of built plugins: `STANDFAST_WASM_DIR`, or the one beside the programs.
fn wasm_folder() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("STANDFAST_WASM_DIR") {
        return Ok(dir.into());
    }
    Ok(programs()?.join("../wasm32-wasip2/release"))
}

/// Names of the plugin crates in this repository, by their folders.
pub fn plugin_names() -> Result<Vec<String>> {
    let folder = repository().join("plugins");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .doing(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// The built file of a plugin.
pub fn plugin(name: &str) -> Result<PathBuf> {
    let path = wasm_folder()?.join(format!("standfast_plugin_{}.wasm", name.replace('-', "_")));
    if path.is_file() {
        Ok(path)
    } else {
        let command = format!("cargo build --release --target wasm32-wasip2 -p standfast-plugin-{name}");
        Err(Error::new(format!("{} is missing ({command})", path.display())))
    }
}
