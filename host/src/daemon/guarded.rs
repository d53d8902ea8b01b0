//! The brain's side of being guarded: it shows that its loop turns, ends with the guardian, and tells what it was told.

use std::io;
use std::time::Duration;

use standfast_core::command::Record;
use standfast_core::guarding::bond::{Birth, Death, ToGuardian};
use standfast_core::guarding::{TICK, patience};
use standfast_core::ids::VrrpState;
use standfast_core::status::GuardianStatus;
use standfast_core::time::{Instant, millis};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::alarm::now;
use crate::bond::{Bond, Watch};
use crate::daemon::Daemon;

/// Its name in events, and for `why`.
pub(super) const GUARDIAN: &str = "guardian";
/// A loop that turns often says so this often.
const BEAT: Duration = Duration::from_millis(50);

/// Beats, and ends with the guardian.
pub(super) struct Pulse {
    bond: Bond,
    guardian: Option<Watch>,
    /// An idle loop turns this often.
    idle: Interval,
    last: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(bond: &Bond) -> io::Result<Self> {
        let mut idle = interval(TICK);
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            bond: bond.clone(),
            guardian: bond.watch()?,
            idle,
            last: None,
        })
    }

    /// The loop has turned.
    pub(super) fn beat(&mut self) {
        let at = now();
        if self.last.is_none_or(|last| at.since(last) >= BEAT) {
            self.last = Some(at);
            // A guardian that does not read looks at nothing else either, and reads all of it first.
            self.bond.tell(&ToGuardian::Beat);
        }
    }

    /// When the loop is to turn at the latest; never without a guardian. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) {
        match &self.guardian {
            None => std::future::pending().await,
            Some(guardian) => tokio::select! {
                () = guardian.end() => {}
                _ = self.idle.tick() => {}
            },
        }
    }
}

/// What the guardian has said, as an operator sees it.
pub(super) fn status(birth: &Birth) -> GuardianStatus {
    GuardianStatus {
        pid: birth.guardian,
        brain: std::process::id(),
        restarts: birth.restarts,
        last: birth.death.as_ref().map(|death| death.how.clone()),
    }
}

impl Daemon {
    /// How long our peers bear silence, by the configuration of now.
    pub(super) fn tell_patience(&self) {
        let ticks = patience(&self.config);
        self.options.bond.tell(&ToGuardian::Patience(ticks));
    }

    /// After the first deeds of a life that was started again: how the last one ended, and what became of its routers.
    pub(super) fn tell_death(&mut self) {
        let Some(Death { how, at }) = self.options.birth.as_mut().and_then(|birth| birth.death.take()) else {
            return;
        };
        let routers = self.engine.status(now()).routers.into_iter();
        let masters = routers.filter(|router| router.state == VrrpState::Master);
        let names: Vec<_> = masters.map(|router| router.name).collect();
        let after = millis(now().since(at));
        let message = match names.first() {
            None => format!("{how}; started again after {after} ms, master of nothing"),
            Some(_) => format!(
                "{how}; carried on as MASTER of {} after {after} ms",
                names.join(", ")
            ),
        };
        if let Some(guardian) = &mut self.guardian {
            guardian.last = Some(message.clone());
        }
        self.hands.journal.write(Record {
            kind: GUARDIAN,
            subject: GUARDIAN.to_owned(),
            moved: None,
            message,
            warning: true,
            at: now(),
        });
    }

    /// One line for each thing that is known of it.
    pub(super) fn why_guardian(&self) -> Option<Vec<String>> {
        let guardian = self.guardian.as_ref()?;
        let last = guardian.last.as_deref().unwrap_or("never needed");
        Some(vec![
            format!(
                "guardian: process {}, guards process {}",
                guardian.pid, guardian.brain
            ),
            format!(
                "  the brain was started again {} times; the last: {last}",
                guardian.restarts
            ),
        ])
    }
}
