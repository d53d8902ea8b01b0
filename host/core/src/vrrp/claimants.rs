//! Other hosts that have an address of this node while it is master: a second owner, who is no peer.
//!
//! Who holds asks around (RFC 5227 section 2.1.1), a moment after the takeover, which waits for nothing, and again and
//! again. Whoever answers twice, the second time when a former master has long let go, is told of until it is silent.

use std::net::IpAddr;
use std::time::Duration;

use crate::ids::Mac;
use crate::time::{Instant, human, millis};
use crate::vrrp::voice::Voice;
use crate::wire::claim::Claim;

/// A former master may answer for so long.
const GRACE: Duration = Duration::from_secs(1);
/// Between two words that convict: one alone may have been on its way.
const APART: Duration = Duration::from_millis(500);
/// First round after a takeover: everything else has been done by then.
const FIRST: Duration = Duration::from_millis(100);
/// The round after it, for who was not heard.
const SECOND: Duration = Duration::from_secs(2);
/// Rounds after that, and so much later for each address.
const ROUND: Duration = Duration::from_secs(30);
const EACH: Duration = Duration::from_secs(2);
/// Routers that took over together ask one after the other.
const SPREAD: u32 = 1000;
/// Addresses asked for at once, and the pause until the next ones of a round.
const AT_ONCE: usize = 32;
const PAUSE: Duration = Duration::from_millis(50);
/// Who is suspected is asked so often.
const DOUBT: Duration = Duration::from_secs(1);
/// Who has not answered for so long, asked each second, is gone.
const QUIET: Duration = Duration::from_secs(5);
/// Neighbours are told again no more often, whatever a claimant tells them (RFC 5227 section 1.1, DEFEND_INTERVAL).
const DEFEND: Duration = Duration::from_secs(10);
/// Claimants remembered.
const MOST: usize = 8;

#[derive(Clone, Debug)]
struct Claimant {
    address: IpAddr,
    mac: Mac,
    first: Instant,
    heard: Instant,
    convicted: bool,
    told: bool,
}

impl Claimant {
    fn complaint(&self) -> String {
        let Self { address, mac, .. } = self;
        format!("duplicate owner: {mac} has {address} too, clients reach either: take it off there")
    }
}

/// A round of asking: which address is next, and when.
#[derive(Clone, Copy, Debug)]
struct Round {
    at: Instant,
    next: usize,
    number: u32,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    /// Addresses to ask for.
    pub addresses: Vec<IpAddr>,
    /// A round begins: this is the time to make sure that answers are heard.
    pub begins: bool,
    /// Neighbours may have learnt of somebody else: tell them again.
    pub announce: bool,
}

/// The claimants of one router's addresses.
#[derive(Clone, Debug, Default)]
pub struct Claimants {
    claimants: Vec<Claimant>,
    /// Since when the addresses are held.
    since: Instant,
    /// `None`: nothing is held.
    round: Option<Round>,
    /// When the suspected are asked again.
    doubt: Option<Instant>,
    /// When neighbours are told again, and were told last.
    announce: Option<Instant>,
    announced: Option<Instant>,
    spread: Duration,
}

impl Claimants {
    /// The addresses are held from now on. `number` decides when in a round this one has its turn.
    pub fn begin(&mut self, number: u32, now: Instant) {
        if self.round.is_none() {
            self.since = now;
            self.spread = Duration::from_millis(u64::from(number % SPREAD));
            self.round = Some(Round {
                at: now + FIRST + self.spread / 4,
                next: 0,
                number: 0,
            });
        }
    }

    /// They are held no longer. Whether they were.
    pub fn end(&mut self, voice: &mut Voice) -> bool {
        let held = self.round.take().is_some();
        (self.doubt, self.announce) = (None, None);
        for gone in self.claimants.drain(..).filter(|claimant| claimant.told) {
            let Claimant { address, mac, .. } = gone;
            voice.say(format!("this node holds {address} no longer beside {mac}"));
        }
        held
    }

    /// Somebody else says that it has one of them.
    pub fn heard(&mut self, claim: Claim, now: Instant, voice: &mut Voice) {
        if self.round.is_none() {
            return;
        }
        let Claim { address, mac, .. } = claim;
        let same = |claimant: &&mut Claimant| (claimant.address, claimant.mac) == (address, mac);
        let Some(known) = self.claimants.iter_mut().find(same) else {
            if self.claimants.len() < MOST {
                self.claimants.push(Claimant {
                    address,
                    mac,
                    first: now,
                    heard: now,
                    convicted: false,
                    told: false,
                });
                self.doubt.get_or_insert(now + DOUBT);
            }
            return;
        };
        known.heard = now;
        let fresh = !known.convicted && now >= self.since + GRACE && now >= known.first + APART;
        if fresh {
            known.convicted = true;
            known.told = voice.warn(known.complaint(), now);
        }
        if fresh || known.convicted && claim.announced {
            let at = self.announced.map_or(now, |last| now.max(last + DEFEND));
            self.announce.get_or_insert(at);
        }
    }

    /// Time has passed; `held` are the addresses of now.
    pub fn poll(&mut self, held: &[IpAddr], now: Instant, voice: &mut Voice) -> Asking {
        let mut asking = Asking::default();
        let Some(mut round) = self.round else {
            return asking;
        };
        self.claimants.retain(|claimant| {
            let stays = now < claimant.heard + QUIET && held.contains(&claimant.address);
            if !stays && claimant.convicted {
                // What it said last may still be believed.
                self.announce = Some(now);
            }
            if !stays && claimant.told {
                let Claimant { address, mac, .. } = claimant;
                voice.say(format!("{mac} has {address} no longer: this node alone has it"));
            }
            stays
        });
        if self.claimants.is_empty() {
            self.doubt = None;
        }
        if self.doubt.is_some_and(|at| at <= now) {
            self.doubt = Some(now + DOUBT);
            asking
                .addresses
                .extend(self.claimants.iter().map(|claimant| claimant.address));
        }
        if round.at <= now {
            asking.begins = round.next == 0;
            asking
                .addresses
                .extend(held.iter().skip(round.next).take(AT_ONCE));
            round.next += AT_ONCE;
            round.at = now + PAUSE;
            if round.next >= held.len() {
                let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
                let pause = if round.number == 0 {
                    SECOND
                } else {
                    ROUND + EACH.saturating_mul(count)
                };
                round = Round {
                    at: now + pause + self.spread,
                    next: 0,
                    number: round.number.saturating_add(1),
                };
            }
            self.round = Some(round);
        }
        asking.addresses.sort_unstable();
        asking.addresses.dedup();
        asking.announce = self.announce.take_if(|at| *at <= now).is_some();
        if asking.announce {
            self.announced = Some(now);
        }
        asking
    }

    /// When to call `poll`.
    pub fn deadline(&self) -> Option<Instant> {
        let quiet = self.claimants.iter().map(|claimant| claimant.heard + QUIET);
        let round = self.round.map(|round| round.at);
        quiet.chain(round).chain(self.doubt).chain(self.announce).min()
    }

    /// What an operator should look at.
    pub fn alarms(&self, now: Instant) -> impl Iterator<Item = String> + '_ {
        let convicted = self.claimants.iter().filter(|claimant| claimant.convicted);
        convicted.map(move |claimant| {
            let since = human(millis(now.since(claimant.first)));
            format!("{} (for {since})", claimant.complaint())
        })
    }
}
