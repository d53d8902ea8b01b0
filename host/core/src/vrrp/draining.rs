//! Connections outlive a planned move: who gave the addresses up serves on what was begun with it, and who took them
//! over forwards that to it. Each of the two has one small machine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::drain::ON_STOP;
use crate::time::Instant;

/// A new master waits so long at most until it can forward: the old one answers for longer (`handing_over::BOTH`).
pub const READY: Duration = Duration::from_millis(60);
/// The kernel's own limit comes so much later than ours: it is for who cannot end it any more.
pub const SLACK: Duration = Duration::from_secs(60);
/// Speakers that are remembered; there are more only in a flood.
const MOST: usize = 64;

/// Nodes that serve on after a planned move, and forward. Their adverts say so.
#[derive(Clone, Debug, Default)]
pub struct Keepers(BTreeSet<IpAddr>);

impl Keepers {
    /// An accepted advert.
    pub fn heard(&mut self, source: IpAddr, keeps: bool) {
        if !keeps {
            self.0.remove(&source);
        } else if self.0.len() < MOST {
            self.0.insert(source);
        }
    }

    /// Whether its last advert said so.
    pub fn has(&self, source: IpAddr) -> bool {
        self.0.contains(&source)
    }
}

/// The old master: it takes what its successor forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draining {
    /// Who forwards.
    pub successor: IpAddr,
    /// Connections that are left; `None`: not counted yet.
    pub connections: Option<usize>,
    /// The most that there were.
    pub most: usize,
    until: Instant,
    /// Until when services that are to end wait, unless that has passed.
    patience: Option<Instant>,
}

impl Draining {
    /// It has let go.
    pub fn begin(successor: IpAddr, span: Duration, now: Instant) -> Self {
        Self {
            successor,
            connections: None,
            most: 0,
            until: now + span,
            patience: Some(now + span),
        }
    }

    /// So many are left.
    pub fn counted(&mut self, connections: usize) {
        self.connections = Some(connections);
        self.most = self.most.max(connections);
    }

    /// It is being stopped.
    pub fn stopped(&mut self, now: Instant) {
        self.patience = self.patience.map(|at| at.min(now + ON_STOP));
    }

    /// Whether nothing is left, or the time is up.
    pub fn is_over(&self, now: Instant) -> bool {
        self.connections == Some(0) || self.until <= now
    }

    /// Whether services that are to end wait for it.
    pub fn keeps_services(&self, now: Instant) -> bool {
        self.patience.is_some_and(|at| now < at) && !self.is_over(now)
    }

    /// When it is over at the latest.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        self.patience = self.patience.filter(|at| *at > now);
    }

    /// When something changes by time alone.
    pub fn deadline(&self) -> Instant {
        self.patience.unwrap_or(self.until)
    }
}

/// The new master: it forwards to the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// The old master.
    pub to: IpAddr,
    asked: Instant,
    until: Instant,
    state: State,
    /// It is master, or waits to be.
    serves: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Asked,
    Ready,
    Refused(String),
}

impl Forwarding {
    /// The master gives up, or is about to be preempted: forwarding is asked for ahead of the first packet.
    pub fn ask(to: IpAddr, until: Instant, now: Instant) -> Self {
        Self {
            to,
            asked: now,
            until,
            state: State::Asked,
            serves: false,
        }
    }

    /// What became of that.
    pub fn answered(&mut self, result: Result<(), String>) {
        self.state = result.map_or_else(State::Refused, |()| State::Ready);
    }

    /// It is master from now on.
    pub fn serve(&mut self, span: Duration, now: Instant) {
        self.serves = true;
        self.until = now + span;
    }

    /// Whether it forwards, or will in a moment.
    pub fn serves(&self) -> bool {
        self.serves
    }

    /// Whether the addresses are better not put on yet; ask again at `deadline`.
    pub fn holds_back(&self, now: Instant) -> bool {
        self.state == State::Asked && now < self.asked + READY
    }

    /// Until when addresses are held back, if they are.
    pub fn ready_by(&self) -> Instant {
        self.asked + READY
    }

    /// Why it does not forward.
    pub fn error(&self) -> Option<&str> {
        match &self.state {
            State::Refused(why) => Some(why),
            State::Asked | State::Ready => None,
        }
    }

    /// Whether its time is up.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// When it is over.
    pub fn until(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn it_drains_until_nothing_is_left_or_its_time_is_up() {
        let mut draining = Draining::begin(PEER, Duration::from_secs(300), at(0));
        assert!(!draining.is_over(at(299)), "nobody has counted");
        draining.counted(3);
        assert!(!draining.is_over(at(299)) && draining.is_over(at(300)));
        draining.counted(0);
        assert!(draining.is_over(at(1)));
    }

    #[test]
    fn who_is_stopped_keeps_its_services_for_a_moment_only_and_drains_on() {
        let mut draining = Draining::begin(PEER, Duration::from_secs(300), at(0));
        draining.counted(3);
        assert!(draining.keeps_services(at(200)));
        draining.stopped(at(200));
        assert_eq!(draining.deadline(), at(210));
        assert!(draining.keeps_services(at(209)) && !draining.keeps_services(at(210)));
        draining.tick(at(210));
        assert!(!draining.is_over(at(210)) && !draining.keeps_services(at(210)));
        assert_eq!(draining.deadline(), at(300));
    }

    #[test]
    fn addresses_wait_for_forwarding_and_not_for_long() {
        let mut forwarding = Forwarding::ask(PEER, at(100), at(0));
        assert!(forwarding.holds_back(at(0)));
        assert!(!forwarding.holds_back(at(0) + READY));
        forwarding.answered(Ok(()));
        assert!(!forwarding.holds_back(at(0)));
        forwarding.serve(Duration::from_secs(5), at(1));
        assert!(!forwarding.is_over(at(5)) && forwarding.is_over(at(6)));
        let mut refused = Forwarding::ask(PEER, at(100), at(0));
        refused.answered(Err("no nft".into()));
        assert!(!refused.holds_back(at(0)) && refused.error() == Some("no nft"));
    }

    #[test]
    fn a_flood_of_speakers_is_not_remembered() {
        let mut keepers = Keepers::default();
        for number in 0..1000u32 {
            keepers.heard(std::net::Ipv4Addr::from(number).into(), true);
        }
        assert_eq!(keepers.0.len(), MOST);
        let first = std::net::Ipv4Addr::from(0).into();
        assert!(keepers.has(first));
        keepers.heard(first, false);
        assert!(!keepers.has(first));
    }
}
