//! Passes while a host answers echoes: enough of them, and soon enough.
//!
//! It sends one echo after the other, each with its share of the time that is left, and stops as soon as too many are
//! lost. The worker needs a group in the sysctl `net.ipv4.ping_group_range`, as every `ping` without privileges does.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `host` | needed | address or name |
//! | `count` | 3 | echoes of one run, 1 to 20 |
//! | `max-loss` | 0 | how many of 100 may be lost, 0 to 99 |
//! | `max-rtt` | – | longest mean round trip, `"20ms"` or `"500us"` |
//!
//! ```kdl
//! check "gateway" {
//!     plugin "ping"
//!     interval "2s"; timeout "1500ms"; fall 3; rise 2
//!     config { host "192.0.2.1"; count 3; max-loss 34; max-rtt "50ms" }
//!     grant { ping "192.0.2.1" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::net::{Error, ping};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context};

/// The plugin.
pub struct Ping;

/// What is asked of the answers.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    count: u32,
    /// Percent.
    max_loss: u32,
    max_rtt_us: Option<u64>,
}

/// What has come so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lost: u32,
    /// Microseconds of each answer.
    rtts: Vec<u32>,
    last_loss: String,
}

impl Guest for Ping {
    fn run() -> Result<Verdict, Failure> {
        let missing = || Failure::Config("`host` is missing; write: host \"192.0.2.1\"".into());
        let host = config::get("host").ok_or_else(missing)?;
        let wanted = Wanted {
            count: whole("count", 3, 1..=20)?,
            max_loss: whole("max-loss", 0, 0..=99)?,
            max_rtt_us: config::get("max-rtt").map(|text| micros(&text)).transpose()?,
        };
        let mut tally = Tally::default();
        for sent in 0..wanted.count {
            let share = context::remaining_ms() / (wanted.count - sent);
            match ping(&host, share) {
                Ok(timing) => tally.rtts.push(timing.total_us),
                Err(error) => tally.lose(lost(&host, error)?),
            }
            if tally.loss(&wanted) > wanted.max_loss {
                break;
            }
        }
        let (status, message) = judge(&tally, &wanted);
        Ok(Verdict {
            status,
            message: format!("{host}: {message}"),
            weight: None,
            next_ms: None,
        })
    }
}

impl Tally {
    fn lose(&mut self, why: String) {
        self.lost += 1;
        self.last_loss = why;
    }

    /// Percent of all that are to be sent that are lost already.
    fn loss(&self, wanted: &Wanted) -> u32 {
        self.lost * 100 / wanted.count
    }
}

fn judge(tally: &Tally, wanted: &Wanted) -> (Status, String) {
    let loss = tally.loss(wanted);
    if loss > wanted.max_loss {
        let (lost, count, why) = (tally.lost, wanted.count, &tally.last_loss);
        return (Status::Fail, format!("{lost} of {count} lost: {why}"));
    }
    let answers = tally.rtts.len() as u64;
    let sum: u64 = tally.rtts.iter().copied().map(u64::from).sum();
    let mean = sum.checked_div(answers).unwrap_or_default();
    let loss = if tally.lost > 0 {
        format!(", {} of {} lost", tally.lost, wanted.count)
    } else {
        String::new()
    };
    match wanted.max_rtt_us {
        Some(most) if mean > most => (
            Status::Fail,
            format!("mean round trip {mean} us, at most {most} us allowed{loss}"),
        ),
        Some(_) | None => (Status::Pass, format!("mean round trip {mean} us{loss}")),
    }
}

/// Why an echo counts as lost; what is no loss is an error of the check.
fn lost(host: &str, error: Error) -> Result<String, Failure> {
    match error {
        Error::Denied => Err(Failure::Denied(format!("ping {host}"))),
        Error::NameUnresolved => Err(Failure::Unavailable(format!("no address for {host}"))),
        Error::Tls(why) | Error::Other(why) => Err(Failure::Unavailable(format!("{host}: {why}"))),
        Error::Timeout => Ok("no answer in time".into()),
        Error::Refused => Ok("refused".into()),
        Error::Reset => Ok("reset".into()),
        Error::Unreachable => Ok("no route".into()),
    }
}

fn whole(key: &str, usual: u32, range: std::ops::RangeInclusive<u32>) -> Result<u32, Failure> {
    let Some(text) = config::get(key) else {
        return Ok(usual);
    };
    let (from, to) = (range.start(), range.end());
    let wrong = || {
        Failure::Config(format!(
            "`{key}` is a whole number from {from} to {to}; write: {key} {usual}"
        ))
    };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(wrong)
}

/// A duration with its unit.
fn micros(text: &str) -> Result<u64, Failure> {
    let units = [("us", 1), ("ms", 1000), ("s", 1_000_000)];
    let read = units.iter().find_map(|(unit, factor)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*factor)
    });
    let wrong = || Failure::Config("`max-rtt` is a whole number with a unit; write: max-rtt \"20ms\"".into());
    read.filter(|micros| *micros > 0).ok_or_else(wrong)
}

#[cfg(target_family = "wasm")]
export!(Ping);

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(count: u32, max_loss: u32, max_rtt_us: Option<u64>) -> Wanted {
        Wanted {
            count,
            max_loss,
            max_rtt_us,
        }
    }

    fn tally(rtts: &[u32], lost: u32) -> Tally {
        Tally {
            lost,
            rtts: rtts.to_vec(),
            last_loss: "no answer in time".into(),
        }
    }

    #[test]
    fn loss_and_round_trip_decide() {
        let (status, message) = judge(&tally(&[100, 300], 1), &wanted(3, 34, Some(200)));
        assert_eq!(
            (status, message.as_str()),
            (Status::Pass, "mean round trip 200 us, 1 of 3 lost")
        );
        let (status, message) = judge(&tally(&[100, 302], 1), &wanted(3, 34, Some(200)));
        assert_eq!(status, Status::Fail);
        assert!(
            message.starts_with("mean round trip 201 us, at most 200 us"),
            "{message}"
        );
        let (status, message) = judge(&tally(&[100], 2), &wanted(3, 34, None));
        assert_eq!(
            (status, message.as_str()),
            (Status::Fail, "2 of 3 lost: no answer in time")
        );
        assert_eq!(judge(&tally(&[], 1), &wanted(1, 0, None)).0, Status::Fail);
        assert_eq!(
            judge(&tally(&[u32::MAX; 20], 0), &wanted(20, 0, None)).0,
            Status::Pass
        );
    }

    #[test]
    fn durations_have_units() {
        for (text, us) in [("20ms", 20_000), ("500us", 500), ("1s", 1_000_000)] {
            assert_eq!(micros(text).ok(), Some(us));
        }
        for wrong in [
            "20",
            "0ms",
            "1.5ms",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615s",
        ] {
            assert!(micros(wrong).is_err(), "{wrong}");
        }
    }
}
