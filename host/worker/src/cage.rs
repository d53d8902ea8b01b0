//! What this process takes away from itself before it touches a plugin.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// CPU seconds the compile helper may take.
pub(crate) const COMPILE_SECONDS: u64 = 30;
/// Address space the compile helper may take.
const COMPILE_SPACE: u64 = 4 << 30;

/// For the serving worker. The end of its channel is the signal to go, so it needs no parent-death signal.
pub(crate) fn enter() -> Result<(), String> {
    prctl::set_no_new_privs().map_err(|error| format!("cannot give up new privileges: {error}"))?;
    limit(Resource::RLIMIT_CORE, 0)
}

/// For the compile helper, on top of what it inherits.
pub(crate) fn enter_compiler() -> Result<(), String> {
    enter()?;
    limit(Resource::RLIMIT_CPU, COMPILE_SECONDS)?;
    limit(Resource::RLIMIT_AS, COMPILE_SPACE)
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    setrlimit(resource, most, most).map_err(|error| format!("cannot set {resource:?}: {error}"))
}
