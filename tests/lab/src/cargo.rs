//! Building with cargo: the programs and the plugins that the laboratory runs.

use std::process::{Command, ExitStatus};

use crate::error::{Doing, Error, Result};
use crate::{place, say};

/// The target of the plugins.
const COMPONENT: &str = "wasm32-wasip2";

/// A cargo command in the repository, with the target folder in which this program lies.
pub fn cargo(words: &[&str]) -> Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(words).current_dir(place::repository());
    // This program lies in TARGET/release: whoever built it elsewhere wants the rest there too.
    if let Some(target) = place::programs()?.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    Ok(command)
}

/// Builds daemon, worker and plugins.
pub fn build() -> Result<()> {
    say::line("building standfast and its worker …");
    // The whole workspace is selected, as the tests do: another selection has other features of shared crates, and
    // wasmtime would be compiled once more.
    must(&["build", "--release", "--workspace", "--bins"])?;
    build_plugins()
}

/// Builds every plugin of the repository as a component.
pub fn build_plugins() -> Result<()> {
    let packages: Vec<String> = place::plugin_names()?
        .iter()
        .map(|name| format!("standfast-plugin-{name}"))
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    say::line(&format!("building {} plugins …", packages.len()));
    let mut words = vec!["build", "--release", "--target", COMPONENT];
    for package in &packages {
        words.extend(["-p", package]);
    }
    must(&words)
}

fn must(words: &[&str]) -> Result<()> {
    let status: ExitStatus = cargo(words)?.status().doing(|| "cannot run cargo".to_owned())?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("cargo {} failed", words.join(" "))))
    }
}
