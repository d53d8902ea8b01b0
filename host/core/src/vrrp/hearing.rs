//! What a virtual router makes of an accepted advert: it listens on, steps down, or asserts itself.
//!
//! Arms cite the requirement that they obey (RFC 9568 section 6.4; R2-n: RFC 3768).

use std::net::IpAddr;
use std::time::Duration;

use crate::config::router::Preempt;
use crate::ids::{Priority, Version, VrrpState};
use crate::time::Instant;
use crate::vrrp::machine::{Action, Heard, Machine};
use crate::vrrp::timing::skew;
use crate::wire::advert::Advert;

/// A losing master (R-6.4.3-12) and a goodbye (R-6.4.3-10) are answered at once, but no flood makes us send faster than the shortest legal interval.
const REASSERT_LIMIT: Duration = Duration::from_millis(10);

impl Machine {
    /// An accepted advert; `now`: when a Backup got it, when a Master reads it.
    pub fn on_advert(&mut self, source: IpAddr, advert: &Advert, now: Instant, out: &mut Vec<Action>) {
        // S7: an own frame that comes back has no effect.
        if self.primary == Some(source) {
            return;
        }
        match self.state {
            VrrpState::Backup => self.backup_hears(source, advert, now),
            VrrpState::Master => self.master_hears(source, advert, now, out),
            // R-6.4.1-3
            VrrpState::Init | VrrpState::Fault | VrrpState::Stopped => {}
        }
    }

    fn backup_hears(&mut self, source: IpAddr, advert: &Advert, arrived: Instant) {
        let now = arrived.max(self.since);
        if advert.priority == 0 {
            // R-6.4.2-8
            self.heard = Some(Heard {
                source,
                priority: 0,
                at: now,
            });
            self.base = (now, true);
            self.wants = false;
            self.listening = false;
            let skew = skew(self.version, self.priority, self.learned);
            self.timer = Some(now + skew + self.hesitation());
            return;
        }
        let better = advert.priority >= self.priority.get();
        if better {
            self.worse_since = None;
        }
        if better || self.tolerates_worse(now) {
            // R-6.4.2-9
            if self.version == Version::V3 {
                self.learned = advert.interval;
            }
            self.restart_down_timer(now);
            self.cause = format!("{source} is master with priority {}", advert.priority);
        }
        // else R-6.4.2-10: discarded, the timer keeps running.
        self.heard = Some(Heard {
            source,
            priority: advert.priority,
            at: now,
        });
    }

    /// Whether it is Backup of a living, worse master and takes over from it in spite of its adverts.
    pub fn will_preempt(&self, now: Instant) -> bool {
        let waited = match self.preempt {
            Preempt::Never => false,
            Preempt::After(Duration::ZERO) => true,
            Preempt::After(delay) => self.worse_since.is_some_and(|since| now >= since + delay),
        };
        let alive = self.heard.is_some_and(|heard| heard.priority > 0);
        waited && alive && self.state == VrrpState::Backup && !self.follows()
    }

    /// Whether a worse master is left alone just now.
    fn tolerates_worse(&mut self, now: Instant) -> bool {
        match self.preempt {
            Preempt::Never => true,
            Preempt::After(Duration::ZERO) => false,
            Preempt::After(delay) => now < *self.worse_since.get_or_insert(now) + delay,
        }
    }

    fn master_hears(&mut self, source: IpAddr, advert: &Advert, now: Instant, out: &mut Vec<Action>) {
        if advert.priority == 0 && self.listening {
            self.speak_again(now, out);
            return;
        }
        if advert.priority == 0 {
            // R-6.4.3-10
            if may_answer(&mut self.greeted, now) {
                self.send(now, out);
            }
            return;
        }
        // R2-5: a version 2 owner discards adverts; two version 3 owners resolve by address (R-7.1-7).
        let deaf = self.version == Version::V2 && self.priority == Priority::OWNER;
        let own = (self.priority.get(), self.primary);
        if (advert.priority, Some(source)) > own && !deaf {
            // R-6.4.3-11
            self.heard = Some(Heard {
                source,
                priority: advert.priority,
                at: now,
            });
            if self.version == Version::V3 {
                self.learned = advert.interval;
            }
            // One last word lets the survivor of a split hear that there was another master, and announce the
            // addresses again (L3; keepalived: `vrrp_higher_prio_send_advert`). It carries the winner's interval, so
            // that no other Backup learns one that nobody keeps to.
            out.push(Action::LastWord(advert.interval));
            out.push(self.way_out(now));
            let cause = format!(
                "{source} is better: priority {} against {}{}",
                advert.priority,
                self.priority.get(),
                if advert.priority == self.priority.get() {
                    ", higher address"
                } else {
                    ""
                },
            );
            self.worse_since = None;
            self.enter(VrrpState::Backup, cause, now, out);
            self.restart_down_timer(now);
            return;
        }
        if self.listening || self.overslept(now) {
            // It speaks as soon as everything else that has queued was heard, too (S10).
            self.listening = true;
            self.timer = Some(now);
            return;
        }
        if self.version == Version::V3 && may_answer(&mut self.reasserted, now) {
            // R-6.4.3-12: answered at once, the advert timer is not re-armed by it. R2-6: version 2 stays silent.
            out.push(Action::Send(self.priority.get()));
        }
        out.push(Action::Contested);
    }
}

/// Whether an answer may go out now, and notes that it does.
fn may_answer(last: &mut Option<Instant>, now: Instant) -> bool {
    let may = last.is_none_or(|last| now >= last + REASSERT_LIMIT);
    if may {
        *last = Some(now);
    }
    may
}
