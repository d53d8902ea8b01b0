//! What must hold of one node at every event: S3 to S9 and S11, judged beside the engine from what goes in and out.

use std::time::Duration;

use standfast_core::command::Command;
use standfast_core::config::virtual_address::VirtualAddress;
use standfast_core::engine::Engine;
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::time::Instant;
use standfast_core::vrrp::handing_over::BOTH;
use standfast_core::wire::advert::Advert;

use crate::lan::config::centis;
use crate::nap::{Nap, Timer, wait};
use crate::node::Node;
use crate::plan::PreemptPlan;
use crate::sight::{Cause, View, adverts, view};

/// Commands that one event may cause.
const MOST_COMMANDS: usize = 40;

/// The watcher's own book about a node; all times are the node's.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub(crate) view: View,
    /// Last event that restarted the wait of a Backup, and whether that was a goodbye.
    base: (Instant, bool),
    /// Whether it has heard anybody since it became Backup; until then it waits by its own interval of the moment.
    heard: bool,
    /// Least and greatest interval that it may have learned.
    learned: (AdvertInterval, AdvertInterval),
    /// A worse master may have restarted the wait, which depends on a delay that is not calculated here.
    loose: bool,
    /// Last advert that armed the advert timer.
    armed: Instant,
    /// When it said something last.
    spoke: Instant,
    /// Least and greatest own interval since.
    own: (AdvertInterval, AdvertInterval),
    /// Whether the addresses are wanted, as the commands say.
    wanted: bool,
    nap: Nap,
    /// Since when another one is heard, while this one still answers.
    beside: Option<Instant>,
}

impl Default for Watcher {
    fn default() -> Self {
        let view = View {
            state: VrrpState::Stopped,
            priority: 1,
            timed: false,
            answering: false,
            deaf: 0,
        };
        let (never, any) = (Instant::from_nanos(0), centis(1));
        Self {
            view,
            base: (never, false),
            heard: false,
            learned: (any, any),
            loose: false,
            armed: never,
            spoke: never,
            own: (any, any),
            wanted: false,
            nap: Nap::default(),
            beside: None,
        }
    }
}

impl Watcher {
    pub(crate) fn new(engine: &Engine, now: Instant, node: &Node) -> Self {
        let own = centis(node.plan.interval);
        Self {
            view: view(engine, now),
            heard: false,
            learned: (own, own),
            own: (own, own),
            ..Self::default()
        }
    }

    /// The longest time to the next advert of a master: its interval, or the one before a reload (nanoseconds).
    pub(crate) fn cadence(&self) -> u64 {
        u64::from(self.own.1.centis()) * 10_000_000
    }

    /// Judges what one event did.
    pub(crate) fn after(
        &mut self,
        cause: &Cause,
        commands: &[Command],
        engine: &Engine,
        now: Instant,
        node: &Node,
    ) {
        let before = std::mem::replace(&mut self.view, view(engine, now));
        let after = self.view;
        let moved = (before.state != after.state).then_some((before.state, after.state));
        assert!(
            commands.len() <= MOST_COMMANDS,
            "S11: {} commands at once",
            commands.len()
        );
        for command in commands {
            match command {
                Command::AddAddresses { .. } => self.wanted = true,
                // What a reload took out may be asked for again and again, beside what is held.
                Command::RemoveAddresses { holdings, .. } => {
                    let configured = |held: &VirtualAddress| node.vips().contains(&held.address);
                    self.wanted &= !holdings.addresses.iter().any(configured);
                }
                // Back from FAULT it tells unicast peers where its own address is.
                Command::Announce { addresses, .. }
                    if addresses.iter().all(|(_, address)| *address == node.own) => {}
                Command::Announce { .. } => {
                    assert_eq!(
                        after.state,
                        VrrpState::Master,
                        "S4: announces without being master"
                    );
                }
                _ => {}
            }
        }
        assert_eq!(
            self.wanted,
            after.state == VrrpState::Master || after.answering,
            "S4: addresses wanted, in {}",
            after.state
        );
        self.judge_successor(before, after, cause, now);
        let timed = matches!(after.state, VrrpState::Backup | VrrpState::Master);
        assert_eq!(after.timed, timed, "S5: a timer in {}", after.state);
        if let Cause::Heard { own: true, .. } | Cause::Noise = cause {
            let kept = |command: &Command| matches!(command, Command::Record(_));
            assert!(
                commands.iter().all(kept),
                "S7: an own frame or noise has an effect: {commands:?}"
            );
            assert_eq!(before, after, "S7: an own frame or noise has an effect");
        }
        if let Some((from, to)) = moved {
            let fell = after.priority < before.priority;
            self.judge_move((from, to), fell, cause, now, node);
        }
        let said = adverts(commands, node);
        let says = said.iter().any(|advert| advert.priority > 0);
        let announces = commands
            .iter()
            .any(|command| matches!(command, Command::Announce { .. }));
        self.nap
            .judge(cause, self.timer(before.state, node), says || announces, now);
        self.judge_adverts(&said, before, cause, now, node);
        self.keep_book(before.state, cause, now, node);
        let hears = matches!(cause, Cause::Heard { own: false, .. });
        let heard = match after.state {
            VrrpState::Master => hears || self.armed == now,
            _ => self.base.0 == now,
        };
        if hears {
            self.nap.heard(now);
        }
        if moved.is_some() || heard {
            self.nap.over();
        }
        self.judge_deadline(engine, now, node);
    }

    /// Who has given up answers beside its successor for 100 ms at most, by the first look at the clock after that.
    fn judge_successor(&mut self, before: View, after: View, cause: &Cause, now: Instant) {
        if !after.answering {
            self.beside = None;
            return;
        }
        assert!(
            matches!(after.state, VrrpState::Backup | VrrpState::Stopped),
            "S4: answers in {}",
            after.state
        );
        match cause {
            Cause::Heard {
                own: false, advert, ..
            } if advert.priority > 0 => {
                self.beside.get_or_insert(now);
            }
            Cause::Tick if before.answering => {
                let both = self.beside.map(|since| now.since(since));
                assert!(both < Some(BOTH), "S4: both have answered for {both:?}");
            }
            _ => {}
        }
    }

    /// S3, S6, S9, and that a promotion is a timer's.
    fn judge_move(
        &self,
        (from, to): (VrrpState, VrrpState),
        fell: bool,
        cause: &Cause,
        now: Instant,
        node: &Node,
    ) {
        match (from, to, cause) {
            (VrrpState::Backup, VrrpState::Master, Cause::Tick) => {
                let (base, goodbye) = self.base;
                let waited = now.since(base);
                let least = self.wait(goodbye, self.learned.0, node);
                assert!(
                    waited >= least,
                    "S3, S9: took over after {waited:?} instead of {least:?}"
                );
            }
            (VrrpState::Backup, VrrpState::Master, _) => panic!("S10: took over without a timer: {cause:?}"),
            (_, VrrpState::Master, _) => {
                assert_eq!(
                    self.view.priority, 255,
                    "only an owner is master at once, from {from}"
                );
            }
            (VrrpState::Master, VrrpState::Backup, Cause::Heard { key, .. }) => {
                let own = (self.view.priority, node.own);
                assert!(
                    *key > own,
                    "S6: gave up for {key:?}, which is not larger than {own:?}"
                );
            }
            // Below a peer that it knows: it does not wait for that one's Master_Down.
            (VrrpState::Master, VrrpState::Backup, _) if fell => {}
            (VrrpState::Master, VrrpState::Backup, _) => panic!("S6: gave up without an advert: {cause:?}"),
            (VrrpState::Master, _, Cause::Heard { .. }) => panic!("S6: an advert moved it to {to}"),
            _ => {}
        }
    }

    /// S5, S8, and that the last word of one that leaves is its goodbye.
    fn judge_adverts(&mut self, adverts: &[Advert], before: View, cause: &Cause, now: Instant, node: &Node) {
        let after = self.view;
        let masters = (
            before.state == VrrpState::Master,
            after.state == VrrpState::Master,
        );
        for (index, advert) in adverts.iter().enumerate() {
            assert!(masters.0 || masters.1, "S8: speaks without being master");
            assert_eq!(advert.version, node.version, "S8: version");
            // The last word to a better master carries that one's interval, which the other Backups are to learn.
            let interval = match cause {
                Cause::Heard { advert: better, .. } if masters == (true, false) => better.interval,
                _ => centis(node.plan.interval),
            };
            assert_eq!(advert.interval, interval, "S8: interval");
            assert_eq!(advert.addresses, node.vips(), "S8: addresses");
            if advert.priority == 0 {
                assert!(
                    masters == (true, false) && index + 1 == adverts.len(),
                    "S8: priority 0 is the last word"
                );
            } else {
                let owner = node.plan.priority == 255;
                assert_eq!(advert.priority == 255, owner, "S8: 255 is the owner's");
                assert!(
                    [before.priority, after.priority].contains(&advert.priority),
                    "S8: priority"
                );
            }
        }
        let hears = matches!(cause, Cause::Heard { .. });
        let quits = masters == (true, false) && (after.state != VrrpState::Backup || !hears);
        let goodbye = adverts.last().is_some_and(|advert| advert.priority == 0);
        assert_eq!(
            quits, goodbye,
            "S8: one that leaves says goodbye, nobody else does"
        );
        let spoke = !adverts.is_empty();
        let least = self.own.0.duration();
        match cause {
            Cause::Tick if masters == (true, true) && spoke && before.priority == after.priority => {
                let passed = now.since(self.armed);
                assert!(
                    passed >= least,
                    "S5: an advert {passed:?} after the last one, not {least:?}"
                );
            }
            Cause::Heard {
                advert, own: false, ..
            } if masters == (true, true) => {
                let due = advert.priority == 0;
                // Once in 10 ms: a flood of goodbyes, or one that the network doubles, is one.
                let just = now.since(self.spoke) < Duration::from_millis(10);
                assert!(spoke || !due || just, "R-6.4.3-10: a goodbye is answered");
                let silent = node.version == Version::V2 && !due;
                assert!(!spoke || !silent, "R2-6: version 2 is silent");
            }
            _ => {}
        }
        if spoke {
            self.spoke = now;
        }
        // What arms the advert timer: being master, being due, a goodbye heard, a new priority; not a losing advert.
        let losing = matches!(cause, Cause::Heard { advert, .. } if advert.priority > 0);
        if masters.1 && spoke && !losing {
            self.armed = now;
            self.own = (centis(node.plan.interval), centis(node.plan.interval));
        }
    }

    /// Notes what restarts the wait of a Backup, and which interval it goes by.
    fn keep_book(&mut self, before: VrrpState, cause: &Cause, now: Instant, node: &Node) {
        let own = centis(node.plan.interval);
        self.own = (self.own.0.min(own), self.own.1.max(own));
        if self.view.state != VrrpState::Backup {
            return;
        }
        let learns = node.version == Version::V3;
        let hears = matches!(cause, Cause::Heard { own, .. } if !own);
        self.heard = hears || self.heard && before == VrrpState::Backup;
        match cause {
            Cause::Heard { advert, .. } if before == VrrpState::Master => {
                self.base = (now, false);
                self.loose = false;
                let learned = if learns { advert.interval } else { own };
                self.learned = (learned, learned);
            }
            _ if before != VrrpState::Backup => {
                self.base = (now, false);
                self.loose = false;
                self.learned = (own, own);
            }
            Cause::Heard { own: true, .. } => {}
            Cause::Heard { advert, .. } if advert.priority == 0 => {
                self.base = (now, true);
                self.loose = false;
            }
            Cause::Heard { advert, .. } => {
                let acceptable =
                    advert.priority >= self.view.priority || node.plan.preempt == PreemptPlan::Never;
                let tolerable = matches!(node.plan.preempt, PreemptPlan::After(1..));
                let heard = advert.interval;
                if acceptable {
                    self.base = (now, false);
                    self.loose = false;
                    self.learned = if learns { (heard, heard) } else { self.learned };
                } else if tolerable {
                    self.loose = true;
                    if learns {
                        self.learned = (self.learned.0.min(heard), self.learned.1.max(heard));
                    }
                }
            }
            _ => {}
        }
        if !(learns && self.heard) {
            self.learned = (self.learned.0.min(own), self.learned.1.max(own));
        }
    }

    /// What it waits for in this state.
    fn timer(&self, state: VrrpState, node: &Node) -> Timer {
        let ((least, interval), due) = match state {
            VrrpState::Master => (self.own, self.armed + self.own.1.duration()),
            _ => (
                self.learned,
                self.base.0 + self.wait(self.base.1, self.learned.1, node),
            ),
        };
        Timer {
            state,
            due,
            interval: interval.duration(),
            skew: self.wait(true, interval, node),
            exact: least == interval,
        }
    }

    /// A deadline is not forgotten: the engine wants to be woken in time.
    fn judge_deadline(&self, engine: &Engine, now: Instant, node: &Node) {
        let at_latest = match self.view.state {
            VrrpState::Backup if self.loose => return,
            state @ (VrrpState::Master | VrrpState::Backup) => self.timer(state, node).due,
            VrrpState::Init | VrrpState::Fault | VrrpState::Stopped => return,
        };
        let wakes = engine.poll_timeout(now).map(|(at, _)| at);
        let at_latest = at_latest.max(self.nap.end().unwrap_or(at_latest));
        let in_time = wakes.is_some_and(|at| at <= at_latest.max(now));
        assert!(
            in_time,
            "S5: in {} it wakes at {wakes:?}, not by {at_latest:?}",
            self.view.state
        );
    }

    /// Skew or Master_Down, calculated apart from the core.
    fn wait(&self, goodbye: bool, interval: AdvertInterval, node: &Node) -> Duration {
        wait(node.version, self.view.priority, goodbye, interval)
    }
}
