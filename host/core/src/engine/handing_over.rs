//! Make before break, as it looks from a router: it has given up, says nothing, and answers until its successor does.

use std::net::IpAddr;
use std::time::Duration;

use crate::command::Command;
use crate::config::router::RouterConfig;
use crate::engine::router::{Deeds, Router};
use crate::ids::Priority;
use crate::time::{Instant, millis};
use crate::vrrp::addresses::Step;
use crate::vrrp::handing_over::{HandingOver, Successor};
use crate::vrrp::machine::Standing;
use crate::vrrp::timing::skew;
use crate::vrrp::voice::News;

/// What an advert and what it leads to may take beyond the longest skew.
const MARGIN: Duration = Duration::from_millis(250);
/// One that leaves for good waits no longer: the end of a daemon must not hang on a slow network.
const LONGEST: Duration = Duration::from_secs(5);

/// How long one that leaves for good waits for a successor, who comes within the skew of the worst priority.
pub(crate) fn farewell(config: &RouterConfig) -> Duration {
    let worst = Priority::DEFAULT.weighted(i32::MIN);
    (skew(config.version, worst, config.interval) + MARGIN).min(LONGEST)
}

/// What became of the last time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    /// Who came.
    pub(crate) successor: Option<Successor>,
    /// When it was to let go, or was master again.
    pub(crate) ended: Instant,
    /// When the kernel had taken the addresses off.
    pub(crate) gone: Option<Instant>,
    /// Nobody came, and it went on as master.
    pub(crate) taken_back: bool,
}

impl Handed {
    /// How long both have answered, as far as this node can know.
    fn both(&self) -> Duration {
        let end = self.gone.unwrap_or(self.ended);
        self.successor
            .map_or(Duration::ZERO, |successor| end.since(successor.since))
    }

    /// One line: who came, and how long both answered.
    pub(crate) fn line(&self) -> String {
        match self.successor {
            _ if self.taken_back => "nobody took over: it went on as master".into(),
            None => "let go without a successor".into(),
            Some(Successor { address, .. }) => {
                let who = address.map_or_else(|| "another node".to_owned(), |address| address.to_string());
                format!("{who} took over; both answered for {} ms", millis(self.both()))
            }
        }
    }
}

impl Router {
    /// Master no more: it keeps its addresses, quietly.
    pub(super) fn hand_over(&mut self, now: Instant, deeds: &mut Deeds) {
        if !self.addresses.wanted() || !self.addresses.present() {
            // Nothing that answers could go on answering.
            self.let_go(now, deeds);
            return;
        }
        self.announcer.cancel();
        self.announced.clear();
        self.handed = None;
        let limit = match self.machine.deadline() {
            // It is master again by then, if nobody else is; in a sync group it may not be.
            Some((at, _)) if !self.leaves => at + self.machine.learned().duration(),
            _ => now + farewell(&self.config),
        };
        let shared_mac = self.config.virtual_mac.is_some();
        self.handing_over = Some(HandingOver::begin(now, limit, shared_mac));
        let held = self.config.held();
        deeds.commands.push(Command::AwaitSuccessor {
            router: self.config.name.clone(),
            addresses: held.map(|held| (held.dev.clone(), held.address)).collect(),
        });
    }

    /// It leaves for good: one that it has begun before ends as soon as one that begins now.
    pub(super) fn hurry_handing_over(&mut self, now: Instant) {
        let limit = now + farewell(&self.config);
        if let Some(over) = &mut self.handing_over {
            over.end_by(limit);
        }
    }

    /// Takes the addresses off, at once.
    pub(super) fn let_go(&mut self, now: Instant, deeds: &mut Deeds) {
        self.end_handing_over(false, now, deeds);
        self.announcer.cancel();
        self.announced.clear();
        let step = self.addresses.want(false, now);
        self.take(step, deeds);
        self.stop_forwarding(deeds);
    }

    /// Master again: neighbours are told, for they may have heard of somebody else.
    pub(super) fn take_back(&mut self, now: Instant, deeds: &mut Deeds) {
        if self.end_handing_over(true, now, deeds) {
            self.announcer.appeared(&self.config.garp, now);
            self.announce(now, deeds);
        }
    }

    /// An advert was accepted.
    pub(super) fn hears_successor(&mut self, source: IpAddr, priority: u8, now: Instant, deeds: &mut Deeds) {
        if let Some(over) = &mut self.handing_over {
            over.on_advert(source, priority, now);
            self.finish_handing_over(now, deeds);
        }
    }

    /// Somebody else has announced one of the addresses.
    pub(crate) fn sees_successor(&mut self, now: Instant, deeds: &mut Deeds) {
        if let Some(over) = &mut self.handing_over {
            over.on_announcement(now);
            self.finish_handing_over(now, deeds);
        }
    }

    /// Lets go when it is time.
    pub(super) fn finish_handing_over(&mut self, now: Instant, deeds: &mut Deeds) {
        if let Some(over) = self.handing_over.filter(|over| over.is_over(now)) {
            self.begin_draining(over.successor(), now, deeds);
            self.let_go(now, deeds);
        }
    }

    /// The kernel has taken the addresses off, after the last time: told once.
    pub(super) fn lets_go(
        &mut self,
        step: Step,
        result: &Result<(), String>,
        now: Instant,
        deeds: &mut Deeds,
    ) {
        let Some(handed) = &mut self.handed else { return };
        if step == Step::Remove && result.is_ok() && handed.gone.is_none() && !handed.taken_back {
            handed.gone = Some(now);
            deeds.over = true;
            deeds.news.push(News {
                message: handed.line(),
                warning: false,
            });
        }
    }

    /// Until when it answers without being master.
    pub(crate) fn answers_until(&self) -> Option<Instant> {
        self.handing_over.map(|over| over.until())
    }

    /// What became of the last time, once that is known.
    pub(crate) fn handed(&self) -> Option<Handed> {
        self.handed
            .filter(|handed| handed.gone.is_some() || handed.taken_back)
    }

    /// When it let go last.
    pub(crate) fn ended_at(&self) -> Option<Instant> {
        self.handed.map(|handed| handed.ended)
    }

    /// Whether this standing puts a master below a peer that it knows: that one is to come at once, not after it has
    /// missed adverts.
    pub(crate) fn falls_below_a_peer(&self, standing: &Standing) -> bool {
        let (Standing::Fit(priority) | Standing::Waiting(_, priority)) = standing else {
            return false;
        };
        self.is_master() && *priority < self.machine.priority() && self.peers.knows_better(*priority)
    }

    /// Whether it was under way.
    fn end_handing_over(&mut self, taken_back: bool, now: Instant, deeds: &mut Deeds) -> bool {
        let Some(over) = self.handing_over.take() else {
            return false;
        };
        self.handed = Some(Handed {
            successor: over.successor(),
            ended: now,
            gone: None,
            taken_back,
        });
        deeds.over = true;
        let name = self.config.name.clone();
        deeds.commands.push(Command::ForgetSuccessor(name));
        true
    }
}
