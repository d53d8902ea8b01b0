//! Who else acts as master while this node is: two masters, and masters that do not hear us (vrrp.md section 4, L6).

use std::net::IpAddr;
use std::time::Duration;

use crate::ids::AdvertInterval;
use crate::time::Instant;
use crate::vrrp::voice::Voice;

/// Rivals remembered.
const MOST: usize = 8;
/// Own adverts that a rival has ignored: then it does not hear us.
const IGNORED: u32 = 3;
/// Adverts of a master just replaced that may have crossed ours: its regular one and its last word.
const CROSSED: u32 = 2;
/// A rival is quiet after three of its intervals, and not before this.
const LEAST_QUIET: Duration = Duration::from_millis(50);

/// What a rival's advert says.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Where it comes from.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Its interval.
    pub interval: AdvertInterval,
}

/// How this node stands when it hears a rival.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Adverts sent so far.
    pub sent: u64,
    /// It has become master only just now, so the one before may not know yet.
    pub fresh: bool,
}

/// One that keeps advertising although it is worse.
#[derive(Clone, Debug)]
struct Rival {
    address: IpAddr,
    priority: u8,
    interval: Duration,
    heard: Instant,
    /// When it was heard first, or ignored one of ours last, and own adverts sent by then.
    counted: Instant,
    sent: u64,
    /// How often it was heard again after an own advert.
    ignored: u32,
    verdict: Verdict,
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// A last word of a master that has just been replaced, most likely.
    Farewell,
    /// It is master too.
    Dual,
    /// It is master because it does not hear us.
    Deaf,
}

impl Rival {
    fn quiet_from(&self) -> Instant {
        self.heard + (self.interval * 3).max(LEAST_QUIET)
    }

    fn complaint(&self) -> Option<String> {
        let Self {
            address, priority, ..
        } = self;
        match self.verdict {
            Verdict::Farewell => None,
            Verdict::Dual => Some(format!(
                "dual master: {address} is master too, with priority {priority}"
            )),
            Verdict::Deaf => Some(format!(
                "one-way loss: {address} (priority {priority}) is master too and does not hear us, it has ignored {} of \
                 our adverts; is protocol 112 lost on the way to it?",
                self.ignored
            )),
        }
    }
}

/// The rivals of one router while it is Master.
#[derive(Clone, Debug, Default)]
pub struct Rivals {
    rivals: Vec<Rival>,
}

impl Rivals {
    /// A worse advert was heard.
    pub fn heard(&mut self, claim: Claim, own: Own, now: Instant, voice: &mut Voice) {
        let Some(rival) = self.place(claim.address, own.sent, now) else {
            return;
        };
        // What comes in a burst was said before it could hear us: a queue after a pause, a last word.
        let since = now.since(rival.counted);
        if own.sent > rival.sent && since >= rival.interval / 2 {
            rival.ignored += 1;
            rival.sent = own.sent;
            rival.counted = now;
        }
        rival.heard = now;
        rival.priority = claim.priority;
        rival.interval = claim.interval.duration();
        let verdict = if rival.ignored >= IGNORED {
            Verdict::Deaf
        } else if own.fresh && rival.ignored < CROSSED {
            Verdict::Farewell
        } else {
            Verdict::Dual
        };
        if verdict != rival.verdict {
            rival.verdict = verdict;
            let told = rival.complaint().is_some_and(|message| voice.warn(message, now));
            rival.told |= told;
        }
    }

    /// Time has passed: who is quiet is no rival any more.
    pub fn poll(&mut self, now: Instant, voice: &mut Voice) {
        self.rivals.retain(|rival| {
            let stays = now < rival.quiet_from();
            if !stays && rival.told {
                voice.say(format!(
                    "{} has fallen silent: this node alone is master",
                    rival.address
                ));
            }
            stays
        });
    }

    /// This node is no longer master.
    pub fn resigned(&mut self, voice: &mut Voice) {
        for rival in self.rivals.drain(..).filter(|rival| rival.told) {
            voice.say(format!("this node is no longer master beside {}", rival.address));
        }
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        self.rivals.iter().map(Rival::quiet_from).min()
    }

    /// What an operator should look at.
    pub fn alarms(&self) -> impl Iterator<Item = String> + '_ {
        self.rivals.iter().filter_map(Rival::complaint)
    }

    /// `None`: there is no room; the others are told of anyhow.
    fn place(&mut self, address: IpAddr, sent: u64, now: Instant) -> Option<&mut Rival> {
        let known = self.rivals.iter().position(|rival| rival.address == address);
        let index = known.unwrap_or(self.rivals.len());
        if index == MOST {
            return None;
        }
        if known.is_none() {
            self.rivals.push(Rival {
                address,
                priority: 0,
                interval: Duration::MAX,
                heard: now,
                counted: now,
                sent,
                ignored: 0,
                verdict: Verdict::Farewell,
                told: false,
            });
        }
        self.rivals.get_mut(index)
    }
}
