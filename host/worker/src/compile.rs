//! Compiling, in a child of this program that lives for one file: a compiler's time and memory are not the worker's.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cache::{Cache, write_synced};
use crate::{cage, engine, text};

/// Longest wait for the child: on a busy machine its CPU seconds, which bound the work, come slowly.
const WAIT_MAX: Duration = Duration::from_secs(3 * cage::COMPILE_SECONDS);

/// The child's side: `standfast-worker compile INPUT OUTPUT`.
pub(crate) fn child(input: &Path, output: &Path) -> Result<(), String> {
    cage::enter_compiler()?;
    let component = fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    let engine = engine::compiler().map_err(|error| format!("cannot set up wasmtime: {error:#}"))?;
    let code = engine
        .precompile_component(&component)
        .map_err(|error| format!("{error:#}"))?;
    write_synced(output, &code).map_err(|error| format!("{}: {error}", output.display()))
}

/// The worker's side: machine code for a component, or why there is none.
pub(crate) async fn compile(cache: &Cache, digest: &str, component: &[u8]) -> Result<Vec<u8>, String> {
    let input = cache.unfinished(&format!("{digest}.wasm"));
    let output = cache.unfinished(&format!("{digest}.cwasm"));
    let result = run(&input, &output, component).await;
    drop(fs::remove_file(&input));
    drop(fs::remove_file(&output));
    result
}

async fn run(input: &Path, output: &Path, component: &[u8]) -> Result<Vec<u8>, String> {
    write_synced(input, component).map_err(|error| format!("{}: {error}", input.display()))?;
    let mut child = Command::new("/proc/self/exe");
    child.arg("compile").arg(input).arg(output).env_clear();
    child
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let ended = timeout(WAIT_MAX, child.output()).await;
    let ended = ended.map_err(|_| format!("compiling took more than {WAIT_MAX:?}"))?;
    let ended = ended.map_err(|error| format!("cannot start the compile helper: {error}"))?;
    if !ended.status.success() {
        return Err(complaint(ended.status, &String::from_utf8_lossy(&ended.stderr)));
    }
    fs::read(output).map_err(|error| format!("{}: {error}", output.display()))
}

fn complaint(status: ExitStatus, stderr: &str) -> String {
    let limited = [Signal::SIGXCPU as i32, Signal::SIGKILL as i32];
    match status.signal() {
        Some(signal) if limited.contains(&signal) => {
            format!("compiling took more than {} s of CPU", cage::COMPILE_SECONDS)
        }
        Some(_) => format!("the compile helper died, {status}: {}", text::line(stderr)),
        None => text::line(stderr.trim_start_matches("standfast-worker: ")),
    }
}
