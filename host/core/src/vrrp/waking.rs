//! Late is not now: who woke up after a pause listens before it speaks or takes over (S10).
//!
//! What has queued during the pause is heard first; the hands see to that. But a machine that was frozen as a whole has
//! queued nothing, and knows nothing of what the others have done meanwhile: a master that may have lost its place is
//! silent for one interval, and a backup whose Master_Down ran out during the pause gives its master one more.

use std::time::Duration;

use crate::ids::VrrpState;
use crate::time::Instant;
use crate::vrrp::machine::{Action, Machine};
use crate::vrrp::timing::{master_down, skew};

/// A backup that is later than this, and than a quarter of an interval, was not running when it should have taken over.
const LATE: Duration = Duration::from_millis(20);

impl Machine {
    /// Whether it woke up so late that it must listen before anything else is decided; if so, it does.
    pub fn wakes(&mut self, now: Instant) -> bool {
        let listens = !self.listening && self.overslept(now);
        if listens {
            self.listening = true;
            let one_more = match self.state {
                VrrpState::Master => self.interval.duration(),
                VrrpState::Backup | VrrpState::Init | VrrpState::Fault | VrrpState::Stopped => {
                    self.learned.duration() + skew(self.version, self.priority, self.learned)
                }
            };
            self.timer = Some(now + one_more);
        }
        listens
    }

    /// Whether its timer ran out so long ago that it cannot know what has happened since.
    pub(super) fn overslept(&self, now: Instant) -> bool {
        let Some(due) = self.timer.filter(|due| *due <= now) else {
            return false;
        };
        let late = now.since(due);
        match self.state {
            VrrpState::Master => {
                let down = master_down(self.version, self.priority, self.interval, self.down_adverts);
                late + self.interval.duration() > down
            }
            VrrpState::Backup => late > LATE.max(self.learned.duration() / 4),
            VrrpState::Init | VrrpState::Fault | VrrpState::Stopped => false,
        }
    }

    /// Whether it listens after a pause: it says nothing as master, and puts nothing on.
    pub fn is_listening(&self) -> bool {
        self.listening
    }

    /// A master that has listened goes on: neighbours may have learnt another owner.
    pub(super) fn speak_again(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.listening = false;
        self.send(now, out);
        out.push(Action::Contested);
    }
}
