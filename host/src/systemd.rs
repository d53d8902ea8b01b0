//! What systemd is told: ready, one line of status, proof of life, reloading, stopping.
//!
//! A thread of its own says it: systemd's socket blocks when systemd does not read, and the loop must not.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;
use standfast_core::guarding::bond::ToGuardian;
use standfast_core::status::Snapshot;

use crate::bond::Bond;

/// Messages that may wait; more are dropped, because systemd hangs.
const WAITING: usize = 16;

/// A way to systemd, or to nobody.
#[derive(Debug)]
pub(crate) struct Systemd {
    messages: SyncSender<Message>,
    last_line: String,
}

#[derive(Debug)]
enum Message {
    Ready,
    Alive,
    Stopping(Duration),
    Reloading,
    Status(String),
}

impl Systemd {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread is to be had.
    pub(crate) fn start(bond: Bond) -> std::io::Result<Self> {
        let (messages, receiver) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("systemd".into())
            .spawn(move || tell_all(&receiver, &bond))?;
        Ok(Self {
            messages,
            last_line: String::new(),
        })
    }

    /// The sockets are open and the loop turns; also ends a reload.
    pub(crate) fn ready(&self) {
        self.send(Message::Ready);
    }

    /// The loop has turned.
    pub(crate) fn alive(&self) {
        self.send(Message::Alive);
    }

    /// Leaving; nginx may take so long.
    pub(crate) fn stopping(&self, patience: Duration) {
        self.send(Message::Stopping(patience));
    }

    /// A reload begins.
    pub(crate) fn reloading(&self) {
        self.send(Message::Reloading);
    }

    /// One line for `systemctl status`, if it is another one than before.
    pub(crate) fn status(&mut self, snapshot: &Snapshot) {
        let line = line(snapshot);
        if line != self.last_line {
            self.last_line.clone_from(&line);
            self.send(Message::Status(line));
        }
    }

    fn send(&self, message: Message) {
        // Full: systemd hangs, and hears of it when it reads again.
        let _ = self.messages.try_send(message);
    }
}

/// Half of the watchdog's patience; `None`: nobody watches.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell_all(messages: &Receiver<Message>, bond: &Bond) {
    let tell = |state: &[NotifyState<'_>]| tell(bond, state);
    while let Ok(message) = messages.recv() {
        match message {
            Message::Ready => tell(&[NotifyState::Ready]),
            Message::Alive => tell(&[NotifyState::Watchdog]),
            Message::Stopping(patience) => {
                let microseconds = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
                tell(&[
                    NotifyState::Stopping,
                    NotifyState::ExtendTimeoutUsec(microseconds),
                ]);
            }
            Message::Reloading => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    tell(&[NotifyState::Reloading, now]);
                }
            }
            Message::Status(line) => tell(&[NotifyState::Status(&line)]),
        }
    }
}

fn tell(bond: &Bond, state: &[NotifyState<'_>]) {
    // systemd listens to the guardian, which is the main process of the unit.
    let lines: Vec<_> = state.iter().map(ToString::to_string).collect();
    if !bond.tell_patiently(&ToGuardian::Systemd(lines.join("\n"))) {
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(state);
    }
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
