//! What systemd is told: ready, one line of status, proof of life, reloading, stopping.

use std::time::Duration;

use sd_notify::NotifyState;
use standfast_core::status::Snapshot;

/// Half of the watchdog's patience; `None`: nobody watches.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The sockets are open and the loop turns.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The loop has turned.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Leaving; nginx may take a while.
pub(crate) fn stopping(patience: Duration) {
    let microseconds = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(microseconds),
    ]);
}

/// A reload begins, or with `ready` ends.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// One line for `systemctl status`.
pub(crate) fn status(snapshot: &Snapshot) {
    tell(&[NotifyState::Status(&line(snapshot))]);
}

fn line(snapshot: &Snapshot) -> String {
    let mut parts: Vec<String> = snapshot
        .routers
        .iter()
        .map(|router| format!("{} {} {}", router.name, router.state, router.effective_priority))
        .collect();
    parts.extend(
        snapshot
            .services
            .iter()
            .map(|service| format!("{} {}", service.name, service.state)),
    );
    if !snapshot.checks.is_empty() {
        let good = snapshot
            .checks
            .iter()
            .filter(|check| check.good == Some(true))
            .count();
        parts.push(format!("{good}/{} checks", snapshot.checks.len()));
    }
    parts.join(", ")
}

fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(state);
}
