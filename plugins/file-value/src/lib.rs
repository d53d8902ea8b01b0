//! Turns a number in a file into weight: other programs raise or lower the priority by writing it.
//!
//! What counts is the number times `weight`, as in keepalived's `track_file`: above 0 the check passes and adds it, below
//! 0 it fails and takes it off. `min=` and `max=` of the block bound it, and without them the block's own `weight` stands,
//! so write them; with `rise 1` and `fall 1` the number counts at once. With `weight 0` in `config` the number is a
//! switch: 0 passes and all else fails, for a block without a `weight`.
//!
//! keepalived takes a file that is missing or holds no number for 0; here that is an error, for which the block's
//! `on-error` decides, unless `missing` and `invalid` say otherwise. A product beyond -253 or 253 is cut there.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `path` | needed | absolute path of a file with one whole number |
//! | `weight` | 1 | what the number is multiplied with, -254 to 254 |
//! | `missing` | `"error"` | what a missing file is: `"error"`, `"zero"` or `"fail"` |
//! | `invalid` | `"error"` | the same for a file without a number, or an outdated one |
//! | `max-age` | – | seconds since it was written after which the number is outdated |
//!
//! ```kdl
//! check "load" {
//!     plugin "file-value"
//!     interval "1s"; timeout "500ms"; fall 1; rise 1; weight -1 min=-60 max=0
//!     config { path "/run/lb/load"; weight -2; missing "zero"; max-age 30 }
//!     grant { read "/run/lb/load" max="64B" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::config;
use standfast::plugin::files::{Error, read, stat};
use standfast::plugin::types::Status;

/// The plugin.
pub struct FileValue;

/// What takes the place of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instead {
    Error,
    Zero,
    Fail,
}

impl Guest for FileValue {
    fn run() -> Result<Verdict, Failure> {
        let missing = || Failure::Config("`path` is missing; write: path \"/run/lb/load\"".into());
        let path = config::get("path").ok_or_else(missing)?;
        let weight = whole("weight", -254..=254, "weight -2")?.unwrap_or(1);
        let max_age = whole("max-age", 1..=i64::from(u32::MAX), "max-age 30")?;
        let (missing, invalid) = (instead("missing")?, instead("invalid")?);
        let outdated = match max_age {
            Some(most) => stat(&path).map(|info| outdated(info.modified_ms, most)),
            None => Ok(None),
        };
        let content = outdated.and_then(|why| match why {
            Some(why) => Ok(Err(why)),
            None => read(&path, FILE_MAX).map(|content| number(&content)),
        });
        match content {
            Ok(Ok(value)) => Ok(judge(&path, value, weight)),
            Ok(Err(why)) => replace(&path, &why, invalid),
            Err(Error::NotFound) => replace(&path, "no such file", missing),
            Err(Error::TooLarge) => replace(&path, "too large for a number", invalid),
            Err(Error::Denied) => Err(Failure::Denied(format!("read {path}"))),
            Err(Error::Io(why)) => Err(Failure::Unavailable(format!("{path}: {why}"))),
        }
    }
}

/// Most bytes of a file with a number.
const FILE_MAX: u32 = 64;

fn instead(key: &str) -> Result<Instead, Failure> {
    match config::get(key).as_deref() {
        None | Some("error") => Ok(Instead::Error),
        Some("zero") => Ok(Instead::Zero),
        Some("fail") => Ok(Instead::Fail),
        Some(_) => Err(Failure::Config(format!(
            "`{key}` is \"error\", \"zero\" or \"fail\""
        ))),
    }
}

fn whole(key: &str, range: std::ops::RangeInclusive<i64>, mend: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = config::get(key) else {
        return Ok(None);
    };
    let (from, to) = (range.start(), range.end());
    let wrong = || {
        Failure::Config(format!(
            "`{key}` is a whole number from {from} to {to}; write: {mend}"
        ))
    };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.map(Some).ok_or_else(wrong)
}

/// Why a file is too old, if it is.
fn outdated(modified_ms: u64, most_seconds: i64) -> Option<String> {
    let written = UNIX_EPOCH + Duration::from_millis(modified_ms);
    let age = SystemTime::now()
        .duration_since(written)
        .unwrap_or_default()
        .as_secs();
    let too_old = i64::try_from(age).unwrap_or(i64::MAX) > most_seconds;
    too_old.then(|| format!("written {age} s ago, at most {most_seconds} s allowed"))
}

/// The one whole number in a file; what stands around it is white space only.
fn number(content: &[u8]) -> Result<i64, String> {
    let text = str::from_utf8(content).map_err(|_| "not a text".to_owned())?;
    let text = text.trim();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(20).collect();
        format!("{shown:?} is no whole number")
    })
}

fn replace(path: &str, why: &str, instead: Instead) -> Result<Verdict, Failure> {
    match instead {
        Instead::Error => Err(Failure::Unavailable(format!("{path}: {why}"))),
        Instead::Zero => Ok(verdict(
            Status::Pass,
            format!("{path}: {why}, which counts as 0"),
            Some(0),
        )),
        Instead::Fail => Ok(verdict(Status::Fail, format!("{path}: {why}"), None)),
    }
}

fn judge(path: &str, value: i64, weight: i64) -> Verdict {
    if weight == 0 {
        let status = if value == 0 { Status::Pass } else { Status::Fail };
        return verdict(status, format!("{path}: {value}"), None);
    }
    let product = value.saturating_mul(weight);
    let cut = product.clamp(-253, 253);
    let status = if product < 0 { Status::Fail } else { Status::Pass };
    // Fits: it has just been cut.
    let asked = i16::try_from(cut).ok();
    verdict(
        status,
        format!("{path}: {value} times {weight} is {product:+}"),
        asked,
    )
}

fn verdict(status: Status, message: String, weight: Option<i16>) -> Verdict {
    Verdict {
        status,
        message,
        weight,
        next_ms: None,
    }
}

#[cfg(target_family = "wasm")]
export!(FileValue);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_whole_number() {
        assert_eq!(number(b"42\n"), Ok(42));
        assert_eq!(number(b" -7 "), Ok(-7));
        for odd in [&b""[..], b"1 2", b"1.5", b"x", b"99999999999999999999", b"\xff"] {
            assert!(number(odd).is_err(), "{odd:?}");
        }
        let long = number(&[b'9'; 64]).unwrap_err();
        assert!(long.len() < 60, "{long}");
    }

    #[test]
    fn the_product_is_the_weight_and_its_sign_the_status() {
        let said = |value, weight| {
            let verdict = judge("f", value, weight);
            (verdict.status, verdict.weight)
        };
        assert_eq!(said(20, -2), (Status::Fail, Some(-40)));
        assert_eq!(said(-20, -2), (Status::Pass, Some(40)));
        assert_eq!(said(0, -2), (Status::Pass, Some(0)));
        assert_eq!(said(i64::MAX, 254), (Status::Pass, Some(253)));
        assert_eq!(said(i64::MIN, 254), (Status::Fail, Some(-253)));
        assert_eq!(said(0, 0), (Status::Pass, None));
        assert_eq!(said(3, 0), (Status::Fail, None));
    }

    #[test]
    fn an_old_number_is_outdated_and_one_of_the_future_is_not() {
        assert!(outdated(0, 30).is_some());
        assert_eq!(outdated(u64::MAX / 2_000_000, 30), None);
    }
}
