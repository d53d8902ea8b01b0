//! Every speaker heard on one virtual router, accepted or not. A living peer that is rejected is how two masters are
//! made, so it is an alarm of its own.

use std::net::IpAddr;
use std::time::Duration;

use crate::ids::{AdvertInterval, Priority};
use crate::time::Instant;
use crate::vrrp::accept::Accepted;
use crate::vrrp::checksum_forms::{Forms, Reads, Sent};
use crate::vrrp::rejection::Rejection;
use crate::vrrp::voice::Voice;
use crate::wire::advert::Glimpse;

/// Speakers remembered.
const MOST: usize = 16;
/// Rejected adverts in a row that make an alarm: one alone may be a bit that fell over on the wire.
const ROW: u32 = 2;
/// A speaker lives that was heard within three of its intervals, and at least within this.
const LEAST_LIFE: Duration = Duration::from_secs(1);
/// A peer that is certainly set up otherwise may be silent and a master all the same: keepalived 2.2.7 arms its advert
/// timer again at every packet, those that it rejects too, so that ours silence it.
const SILENCED: Duration = Duration::from_secs(30);

/// One speaker.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Where its adverts come from.
    pub address: IpAddr,
    /// Its protocol version, 0 to 15.
    pub version: u8,
    /// Its priority.
    pub priority: u8,
    /// Its interval, if it is one.
    pub interval: Option<AdvertInterval>,
    /// When it was heard last.
    pub heard: Instant,
    /// Adverts that counted.
    pub accepted: u64,
    /// Adverts that did not.
    pub rejected: u64,
    /// Why the last one did not, if so.
    pub rejection: Option<Rejection>,
    /// Id of the key that the last one that counted was hashed with, if any.
    pub key: Option<u8>,
    /// The last one that counted had another interval than ours.
    pub interval_differs: bool,
    /// The addresses of the last one that counted, if they are not ours.
    pub other_addresses: Option<Vec<IpAddr>>,
    forms: Forms,
    /// Rejected in a row.
    row: u32,
    alarm: Option<Alarm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Rejected(Rejection),
    OtherAddresses,
}

#[derive(Clone, Copy, Debug)]
struct Alarm {
    trouble: Trouble,
    /// Whether its beginning was told; then its end is told too.
    told: bool,
}

impl Speaker {
    fn new(address: IpAddr, now: Instant) -> Self {
        Self {
            address,
            version: 0,
            priority: 0,
            interval: None,
            heard: now,
            accepted: 0,
            rejected: 0,
            rejection: None,
            key: None,
            interval_differs: false,
            other_addresses: None,
            forms: Forms::default(),
            row: 0,
            alarm: None,
        }
    }

    /// What it reads of version 3 over IPv4.
    pub fn reads(&self) -> Option<Reads> {
        self.forms.reads(self.life())
    }

    fn life(&self) -> Duration {
        let interval = self.interval.map_or(Duration::ZERO, AdvertInterval::duration);
        (interval * 3).max(LEAST_LIFE)
    }

    fn quiet_from(&self) -> Instant {
        self.heard + self.life()
    }

    /// How long what is wrong with it counts.
    fn alarm_ends(&self) -> Instant {
        match self.alarm.map(|alarm| alarm.trouble) {
            Some(Trouble::Rejected(why)) if why.is_certain() => self.heard + self.life().max(SILENCED),
            _ => self.quiet_from(),
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        match self.rejection {
            Some(why) if self.row >= ROW || why.is_certain() => Some(Trouble::Rejected(why)),
            // Too early to say.
            Some(_) => self.alarm.map(|alarm| alarm.trouble),
            None => self.other_addresses.as_ref().map(|_| Trouble::OtherAddresses),
        }
    }

    /// One line on what is wrong with it just now.
    fn complaint(&self) -> Option<String> {
        let Self { address, .. } = self;
        Some(match self.alarm?.trouble {
            Trouble::Rejected(why) => format!(
                "{address} is alive (version {}, priority {}), but its adverts are rejected: {why}",
                self.version, self.priority
            ),
            Trouble::OtherAddresses => format!(
                "{address} advertises other addresses than this node ({}): compare both configurations",
                shown(self.other_addresses.as_deref().unwrap_or_default())
            ),
        })
    }

    /// Puts the alarm right after something was heard.
    fn review(&mut self, now: Instant, voice: &mut Voice) {
        let trouble = self.trouble();
        if trouble == self.alarm.map(|alarm| alarm.trouble) {
            return;
        }
        let before = self.alarm.take();
        if let Some(trouble) = trouble {
            let told = false;
            self.alarm = Some(Alarm { trouble, told });
            let told = self.complaint().is_some_and(|message| voice.warn(message, now));
            self.alarm = Some(Alarm { trouble, told });
        } else if let Some(Alarm { trouble, told: true }) = before {
            voice.say(match trouble {
                Trouble::Rejected(_) => format!("{} is accepted now", self.address),
                Trouble::OtherAddresses => format!("{} advertises the same addresses now", self.address),
            });
        }
    }

    /// Ends the alarm of a speaker that was not heard for too long.
    fn expire(&mut self, now: Instant, voice: &mut Voice) {
        let quiet = now >= self.alarm_ends();
        let Some(alarm) = self.alarm.take_if(|_| quiet) else {
            return;
        };
        self.row = 0;
        let Self { address, .. } = self;
        if alarm.told {
            voice.say(match alarm.trouble {
                Trouble::Rejected(why) => format!("{address} fell silent; it was rejected: {why}"),
                Trouble::OtherAddresses => format!("{address} fell silent; it advertised other addresses"),
            });
        }
    }
}

/// The speakers of one virtual router.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    speakers: Vec<Speaker>,
    /// Peers that are listed by name have their places, too.
    listed: usize,
}

impl Peers {
    /// Makes room for so many peers that are listed by name.
    pub fn expect(&mut self, listed: usize) {
        self.listed = listed;
    }

    /// An advert counted.
    pub fn accepted(&mut self, source: IpAddr, accepted: &Accepted, now: Instant, voice: &mut Voice) {
        let Some(speaker) = self.place(source, true, now) else {
            return;
        };
        let Accepted {
            advert,
            form,
            key,
            interval_differs,
            addresses_differ,
        } = accepted;
        speaker.version = advert.version.number();
        speaker.priority = advert.priority;
        speaker.interval = Some(advert.interval);
        speaker.heard = now;
        speaker.accepted += 1;
        speaker.rejection = None;
        speaker.key = *key;
        speaker.row = 0;
        speaker.interval_differs = *interval_differs;
        if !addresses_differ {
            speaker.other_addresses = None;
        } else if speaker.other_addresses.as_ref() != Some(&advert.addresses) {
            speaker.other_addresses = Some(advert.addresses.clone());
        }
        speaker.forms.heard(*form, now);
        speaker.review(now, voice);
    }

    /// A packet did not count.
    pub fn rejected(
        &mut self,
        source: IpAddr,
        seen: Glimpse,
        why: Rejection,
        now: Instant,
        voice: &mut Voice,
    ) {
        let Some(speaker) = self.place(source, false, now) else {
            return;
        };
        let in_a_row = speaker.row > 0 && now < speaker.quiet_from();
        speaker.version = seen.version;
        speaker.priority = seen.priority;
        if speaker.accepted == 0 {
            // A forged one cannot change how long a real one is thought to live.
            speaker.interval = seen.interval;
        }
        speaker.heard = now;
        speaker.rejected += 1;
        speaker.rejection = Some(why);
        speaker.row = if in_a_row {
            speaker.row.saturating_add(1)
        } else {
            1
        };
        speaker.review(now, voice);
    }

    /// Time has passed: an alarm ends with the silence of its speaker.
    pub fn poll(&mut self, now: Instant, voice: &mut Voice) {
        for speaker in &mut self.speakers {
            speaker.expire(now, voice);
        }
    }

    /// When to ask again.
    pub fn deadline(&self) -> Option<Instant> {
        let alarming = self.speakers.iter().filter(|speaker| speaker.alarm.is_some());
        alarming.map(Speaker::alarm_ends).min()
    }

    /// Whether one that is better than this was master, and has not said goodbye since: it waits, or is gone unheard.
    pub fn knows_better(&self, priority: Priority) -> bool {
        let accepted = self.speakers.iter().filter(|speaker| speaker.rejection.is_none());
        accepted.map(|speaker| speaker.priority).max() > Some(priority.get())
    }

    /// What an operator should look at.
    pub fn alarms(&self) -> impl Iterator<Item = String> + '_ {
        self.speakers.iter().filter_map(Speaker::complaint)
    }

    /// All of them, in the order in which they were first heard.
    pub fn speakers(&self) -> &[Speaker] {
        &self.speakers
    }

    /// The checksum form that all of them can read, or that `only` can.
    pub fn form(&self, only: Option<IpAddr>) -> Sent {
        let asked = self
            .speakers
            .iter()
            .filter(|speaker| only.is_none_or(|only| speaker.address == only));
        Sent::to(asked.filter_map(Speaker::reads))
    }

    /// Where to note what this source said; `None`: a rejected stranger for whom there is no room.
    fn place(&mut self, source: IpAddr, accepted: bool, now: Instant) -> Option<&mut Speaker> {
        let known = self.speakers.iter().position(|speaker| speaker.address == source);
        let index = match known {
            Some(index) => index,
            None => {
                if self.speakers.len() >= MOST + self.listed {
                    let leaving = self.least_missed(accepted, now)?;
                    self.speakers.remove(leaving);
                }
                self.speakers.push(Speaker::new(source, now));
                self.speakers.len() - 1
            }
        };
        self.speakers.get_mut(index)
    }

    /// Who goes for a new one: of those that were never accepted the one least recently heard, and for an accepted one
    /// anybody. Living strangers are not driven out by strangers, so that a flood of forged sources makes no alarm twice.
    fn least_missed(&self, for_accepted: bool, now: Instant) -> Option<usize> {
        let candidates = self.speakers.iter().enumerate();
        let may_go =
            |speaker: &Speaker| for_accepted || (speaker.accepted == 0 && now >= speaker.quiet_from());
        candidates
            .filter(|(_, speaker)| may_go(speaker))
            .min_by_key(|(_, speaker)| (speaker.accepted > 0, speaker.heard))
            .map(|(index, _)| index)
    }
}

/// A list that an operator can read.
fn shown(addresses: &[IpAddr]) -> String {
    const MOST_SHOWN: usize = 8;
    let first: Vec<_> = addresses.iter().take(MOST_SHOWN).map(IpAddr::to_string).collect();
    let more = addresses.len().saturating_sub(MOST_SHOWN);
    match more {
        0 => first.join(" "),
        more => format!("{} and {more} more", first.join(" ")),
    }
}
