//! The state machine of one virtual router: Init, Backup, Master, Fault, Stopped.
//!
//! It is told adverts that were accepted, time, fitness and its own address; it answers with actions.
//! Arms cite the requirement that they obey (RFC 9568 section 6.4; R2-n: RFC 3768).

use std::net::IpAddr;
use std::time::Duration;

use crate::config::router::{Preempt, RouterConfig};
use crate::ids::{AdvertInterval, Priority, Version, VrrpState};
use crate::time::Instant;
use crate::vrrp::timing::{master_down, skew};

/// What the machine wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advert with this priority.
    Send(u8),
    /// Send an advert with the own priority and the interval of the master that is better.
    LastWord(AdvertInterval),
    /// Put the addresses on.
    Hold,
    /// Take the addresses off.
    Release,
    /// Take the addresses off once the successor answers for them.
    HandOver,
    /// Neighbours may have learnt another owner: tell them again.
    Contested,
    /// The state changed.
    Moved {
        /// State before.
        from: VrrpState,
        /// State now.
        to: VrrpState,
        /// One line: why.
        cause: String,
    },
}

/// Whether this node may hold the addresses, and with which priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not known yet; keeps a router in Init, and any other router in its state, with this priority.
    Waiting(String, Priority),
    /// It must not.
    Unfit(String),
    /// It may.
    Fit(Priority),
}

/// The master last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its primary address.
    pub source: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// When.
    pub at: Instant,
}

/// One virtual router.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) version: Version,
    pub(super) interval: AdvertInterval,
    pub(super) preempt: Preempt,
    pub(super) down_adverts: u8,
    pub(super) state: VrrpState,
    pub(super) priority: Priority,
    pub(super) primary: Option<IpAddr>,
    /// The master's interval (R-6.1-4); used in Backup only.
    pub(super) learned: AdvertInterval,
    /// Advert timer in Master, Master_Down in Backup, none elsewhere (S5).
    pub(super) timer: Option<Instant>,
    /// In Backup: when the timer was started, and whether the master has given up.
    pub(super) base: (Instant, bool),
    /// When the first worse advert was heard, for `preempt delay`.
    pub(super) worse_since: Option<Instant>,
    /// When a losing master was answered last, and when a goodbye was.
    pub(super) reasserted: Option<Instant>,
    pub(super) greeted: Option<Instant>,
    /// It woke up late and listens before it speaks or takes over.
    pub(super) listening: bool,
    /// It serves only just, and when it offered the addresses last.
    pub(super) poor: bool,
    pub(super) offered: Option<Instant>,
    /// Member of a sync group: Master_Down alone does not make it Master, its group does.
    grouped: bool,
    /// Backup whose Master_Down has passed: it waits for its group.
    pub(super) wants: bool,
    pub(super) heard: Option<Heard>,
    pub(super) since: Instant,
    pub(super) cause: String,
}

impl Machine {
    /// A router in Init.
    pub fn new(config: &RouterConfig, now: Instant) -> Self {
        Self {
            version: config.version,
            interval: config.interval,
            preempt: config.preempt,
            down_adverts: config.down_adverts,
            state: VrrpState::Init,
            priority: config.priority,
            primary: None,
            learned: config.interval,
            timer: None,
            base: (now, false),
            worse_since: None,
            reasserted: None,
            greeted: None,
            listening: false,
            poor: false,
            offered: None,
            grouped: false,
            wants: false,
            heard: None,
            since: now,
            cause: "starting".into(),
        }
    }

    /// Takes over what may change while running.
    pub fn reconfigure(&mut self, config: &RouterConfig, now: Instant) {
        self.interval = config.interval;
        self.preempt = config.preempt;
        self.down_adverts = config.down_adverts;
        if matches!(self.state, VrrpState::Init | VrrpState::Fault) {
            // Nobody hears it; elsewhere the next standing brings it, with weights.
            self.priority = config.priority;
        }
        if self.version == Version::V2 || self.heard.is_none() || self.state == VrrpState::Master {
            // R-6.1-4: nobody's interval is learnt; v2 never learns (R2-3).
            self.learned = config.interval;
        }
        if self.state == VrrpState::Master {
            // R-7.2-1: peers that have the new interval wait no longer than it says.
            self.timer = self.timer.map(|at| at.min(now + self.interval.duration()));
        }
    }

    /// The primary address of the interface: source of adverts and tie-break key (R-5.1.1.1-1).
    pub fn set_primary(&mut self, primary: Option<IpAddr>) {
        self.primary = primary;
    }

    /// Fitness or priority changed.
    pub fn set_standing(&mut self, standing: Standing, now: Instant, out: &mut Vec<Action>) {
        match (self.state, standing) {
            (VrrpState::Stopped, _) => {}
            (VrrpState::Init, Standing::Waiting(why, priority)) => {
                self.priority = priority;
                self.cause = why;
            }
            (VrrpState::Fault, Standing::Waiting(_, priority)) => self.priority = priority,
            (VrrpState::Init | VrrpState::Fault, Standing::Fit(priority)) => {
                self.priority = priority;
                self.start(now, out);
            }
            (VrrpState::Backup, Standing::Fit(priority) | Standing::Waiting(_, priority)) => {
                self.priority = priority;
                self.rearm_backup(now);
            }
            (VrrpState::Master, Standing::Fit(priority) | Standing::Waiting(_, priority)) => {
                let changed = priority != self.priority;
                self.priority = priority;
                if changed && !self.listening {
                    self.advertise(now, out);
                }
            }
            (VrrpState::Fault, Standing::Unfit(why)) => self.cause = why,
            (VrrpState::Init | VrrpState::Backup, Standing::Unfit(why)) => {
                out.push(Action::Release);
                self.enter(VrrpState::Fault, why, now, out);
            }
            (VrrpState::Master, Standing::Unfit(why)) => {
                self.resign(out);
                self.enter(VrrpState::Fault, why, now, out);
            }
        }
    }

    /// Acts on the timer if it is due.
    pub fn on_time(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.timer.is_none_or(|at| at > now) {
            return;
        }
        match self.state {
            VrrpState::Backup if self.grouped => {
                self.wants = true;
                self.timer = None;
            }
            // R-6.4.2-7
            VrrpState::Backup => {
                let cause = self.takeover_cause(now);
                self.become_master(cause, now, out);
            }
            // S10
            VrrpState::Master if self.listening => self.speak_again(now, out),
            // R-6.4.3-9
            VrrpState::Master => self.advertise(now, out),
            VrrpState::Init | VrrpState::Fault | VrrpState::Stopped => self.timer = None,
        }
    }

    /// Whether it is a member of a sync group.
    pub fn set_grouped(&mut self, grouped: bool, now: Instant) {
        self.grouped = grouped;
        if self.wants && !grouped {
            self.wants = false;
            self.timer = Some(now);
        }
    }

    /// Whether it would be Master if its group let it.
    pub fn wants(&self) -> bool {
        self.wants
    }

    /// Whether it is Backup of a living master that it leaves alone.
    pub fn follows(&self) -> bool {
        let left_alone = |heard: Heard| heard.priority > 0 && self.leaves_alone(heard.priority);
        self.state == VrrpState::Backup && !self.wants && self.heard.is_some_and(left_alone)
    }

    fn leaves_alone(&self, priority: u8) -> bool {
        priority >= self.priority.get() || self.preempt == Preempt::Never
    }

    /// When its master gave up, if it did and nobody was heard since; it may have been an offer to those that are better.
    pub fn goodbye(&self) -> Option<Instant> {
        let (at, goodbye) = self.base;
        (self.state == VrrpState::Backup && goodbye && !self.poor && !self.listening).then_some(at)
    }

    /// From when on a Backup that is not asked to wait longer by a living master may be taken along by its group:
    /// at once after a goodbye; an interval and a quarter after the last advert if another member heard a goodbye,
    /// which is said on all links, but may be lost on a broken one. Who speaks here after that is alive.
    pub fn yields_from(&self, goodbye_elsewhere: Option<Instant>) -> Option<Instant> {
        let interval = self.learned.duration();
        let (heard, _) = self.base;
        let gone_too = |said: Instant| heard <= said + interval / 4;
        let goodbye = self.goodbye();
        goodbye.or_else(|| {
            goodbye_elsewhere
                .filter(|said| self.state == VrrpState::Backup && gone_too(*said))
                .map(|_| heard + interval * 5 / 4)
        })
    }

    /// Its group has decided: Backup becomes Master.
    pub fn promote(&mut self, group: &str, now: Instant, out: &mut Vec<Action>) {
        if self.state == VrrpState::Backup {
            let cause = if self.wants {
                self.takeover_cause(now)
            } else {
                format!("sync group {group} becomes master")
            };
            self.become_master(cause, now, out);
        }
    }

    /// A router in Init goes on as the master that it was in an earlier life, with the priority that peers know.
    pub fn carry_on(&mut self, priority: Priority, silent: Duration, now: Instant, out: &mut Vec<Action>) {
        if self.state == VrrpState::Init {
            self.priority = priority;
            let silent = silent.as_millis();
            self.become_master(format!("carries on as master, silent for {silent} ms"), now, out);
        }
    }

    /// Its group, or an operator, has decided: Master gives up and becomes Backup.
    pub fn demote(&mut self, cause: String, now: Instant, out: &mut Vec<Action>) {
        if self.state == VrrpState::Master {
            self.hand_over(now, out);
            self.enter(VrrpState::Backup, cause, now, out);
            self.restart_down_timer(now);
        }
    }

    /// Shutdown (R-6.4.2-6, R-6.4.3-8).
    pub fn stop(&mut self, why: &str, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            VrrpState::Stopped => return,
            VrrpState::Master => self.hand_over(now, out),
            VrrpState::Init | VrrpState::Backup | VrrpState::Fault => {}
        }
        self.enter(VrrpState::Stopped, why.into(), now, out);
    }

    /// Leaving Init or Fault.
    fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.heard = None;
        self.worse_since = None;
        if self.priority == Priority::OWNER {
            // R-6.4.1-1
            self.become_master("address owner (priority 255)".into(), now, out);
            return;
        }
        // R-6.4.1-2. Addresses left over from an earlier life would be a second owner.
        out.push(Action::Release);
        self.learned = self.interval;
        self.enter(VrrpState::Backup, "listening for a master".into(), now, out);
        self.restart_down_timer(now);
    }

    fn become_master(&mut self, cause: String, now: Instant, out: &mut Vec<Action>) {
        // What was learnt of an earlier master counts no more once this one has had its time.
        self.learned = self.interval;
        self.worse_since = None;
        self.heard = None;
        // The advert goes first, addresses and announcements follow (R-6.4.2-7).
        self.send(now, out);
        out.push(Action::Hold);
        self.enter(VrrpState::Master, cause, now, out);
    }

    /// Sends an advert and arms the next (R-6.1-4: a master always uses its own interval).
    pub(super) fn send(&mut self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Send(self.priority.get()));
        self.timer = Some(now + self.interval.duration());
    }

    fn resign(&mut self, out: &mut Vec<Action>) {
        out.push(Action::Send(0));
        out.push(Action::Release);
    }

    /// A goodbye, and the addresses stay until another one answers for them.
    fn hand_over(&self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Send(0));
        out.push(self.way_out(now));
    }

    /// Who slept may have lost its place long ago: nobody waits for it to answer on.
    pub(super) fn way_out(&self, now: Instant) -> Action {
        if self.listening || self.overslept(now) {
            Action::Release
        } else {
            Action::HandOver
        }
    }

    pub(super) fn enter(&mut self, state: VrrpState, cause: String, now: Instant, out: &mut Vec<Action>) {
        let from = self.state;
        self.wants = false;
        self.listening = false;
        if matches!(state, VrrpState::Init | VrrpState::Fault | VrrpState::Stopped) {
            self.timer = None;
            self.heard = None;
        }
        self.state = state;
        self.since = now;
        self.cause.clone_from(&cause);
        out.push(Action::Moved {
            from,
            to: state,
            cause,
        });
    }

    pub(super) fn restart_down_timer(&mut self, now: Instant) {
        self.base = (now, false);
        self.wants = false;
        self.listening = false;
        self.rearm_backup(now);
    }

    /// The priority may have changed: the running timer shifts by the difference of skews (keepalived 2.6).
    fn rearm_backup(&mut self, now: Instant) {
        if self.wants || self.listening {
            return;
        }
        let (start, goodbye) = self.base;
        let wait = if goodbye {
            skew(self.version, self.priority, self.learned) + self.hesitation()
        } else {
            master_down(self.version, self.priority, self.learned, self.down_adverts)
        };
        self.timer = Some((start + wait).max(now));
    }
}
