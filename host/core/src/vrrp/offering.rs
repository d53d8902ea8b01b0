//! A master that serves only just: it offers the addresses to whoever is there, and keeps them where nobody is.
//!
//! Backups are silent, and where nobody preempts they leave a living master alone, however low its priority. A goodbye
//! in the place of an advert asks them all at once: who is fit takes over after its skew time, which is shorter than an
//! interval (R-6.4.2-8); if nobody does, the next advert takes the goodbye back, and no client has noticed.

use std::time::Duration;

use crate::ids::Priority;
use crate::time::Instant;
use crate::vrrp::machine::{Action, Machine};

/// A node that was not there may come, or may not have had its checks yet.
const AGAIN: Duration = Duration::from_secs(10);
/// The goodbye and the advert that takes it back are to be few among the adverts.
const AGAIN_ADVERTS: u32 = 10;

impl Machine {
    /// Whether anybody else who is fit should be master.
    pub fn set_poor(&mut self, poor: bool) {
        self.poor = poor;
        if !poor {
            self.offered = None;
        }
    }

    /// The advert that is due, or an offer in its place.
    pub(super) fn advertise(&mut self, now: Instant, out: &mut Vec<Action>) {
        let interval = self.interval.duration();
        let again = AGAIN.max(interval * AGAIN_ADVERTS);
        let due = self.offered.is_none_or(|at| now >= at + again);
        // Nobody is better than the owner of the addresses.
        if !self.poor || !due || self.priority == Priority::OWNER {
            return self.send(now, out);
        }
        self.offered = Some(now);
        let goodbye = Action::Send(0);
        out.push(goodbye);
        self.timer = Some(now + interval);
    }

    /// How much longer than its skew time a Backup waits after a goodbye: if it is no better itself, until it has heard
    /// whether that was an offer.
    pub(super) fn hesitation(&self) -> Duration {
        if self.poor {
            self.learned.duration()
        } else {
            Duration::ZERO
        }
    }
}
