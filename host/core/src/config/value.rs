//! Reads one KDL value: texts, numbers, names, durations, sizes, paths.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kdl::KdlValue;

use crate::config::words::{nearest, short, suggest};
use crate::ids::{InvalidId, Weight};

/// What is wrong with a value, and the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) help: String,
}

/// A `Wrong` in one line.
pub(crate) fn wrong<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        what: what.into(),
        help: help.into(),
    })
}

/// A text.
pub(crate) fn text(value: &KdlValue) -> Result<String, Wrong> {
    match value {
        KdlValue::String(text) => Ok(text.clone()),
        KdlValue::Integer(_) | KdlValue::Float(_) | KdlValue::Bool(_) | KdlValue::Null => wrong(
            format!("a text is wanted, not {}", kind(value)),
            "write it in quotes: \"…\"",
        ),
    }
}

/// A name or number that says itself what is wrong with it.
pub(crate) fn id<T: FromStr<Err = InvalidId>>(value: &KdlValue) -> Result<T, Wrong> {
    let text = text(value)?;
    text.parse().map_err(|InvalidId(rule)| Wrong {
        what: format!("\"{}\" is no name", short(&text)),
        help: rule,
    })
}

/// The name of a block that exists.
pub(crate) fn known<K, V>(value: &KdlValue, blocks: &BTreeMap<K, V>, word: &str) -> Result<K, Wrong>
where
    K: Ord + FromStr<Err = InvalidId> + Display,
{
    let name: K = id(value)?;
    if blocks.contains_key(&name) {
        return Ok(name);
    }
    let names: Vec<String> = blocks.keys().map(K::to_string).collect();
    let near = nearest(
        &name.to_string(),
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .map(str::to_owned);
    let help = near.map_or_else(
        || format!("add a block `{word} \"{name}\"`"),
        |near| format!("did you mean \"{near}\"?"),
    );
    wrong(format!("there is no `{word} \"{name}\"`"), help)
}

/// A check's weight.
pub(crate) fn weight(value: &KdlValue) -> Result<Weight, Wrong> {
    let number = whole(-253_i16..=253)(value)?;
    Weight::try_from(number).map_err(|InvalidId(rule)| Wrong {
        what: format!("{number} is no weight"),
        help: rule,
    })
}

/// `#true` or `#false`.
pub(crate) fn truth(value: &KdlValue) -> Result<bool, Wrong> {
    value.as_bool().map_or_else(
        || {
            wrong(
                format!("#true or #false is wanted, not {}", kind(value)),
                "write #true or #false",
            )
        },
        Ok,
    )
}

/// A whole number in a range.
pub(crate) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&KdlValue) -> Result<T, Wrong>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |value| {
        let help = format!("write a whole number from {} to {}", range.start(), range.end());
        let Some(number) = value.as_integer() else {
            let hint = if matches!(value, KdlValue::String(_)) {
                ", without quotes"
            } else {
                ""
            };
            return wrong(
                format!("a whole number is wanted, not {}", kind(value)),
                help + hint,
            );
        };
        match T::try_from(number) {
            Ok(fits) if range.contains(&fits) => Ok(fits),
            _ => wrong(format!("{number} is out of range"), help),
        }
    }
}

/// A share from 0 to 1, in thousandths.
pub(crate) fn permille(value: &KdlValue) -> Result<u32, Wrong> {
    let share = match value {
        KdlValue::Float(share) => Some(*share),
        KdlValue::Integer(0) => Some(0.0),
        KdlValue::Integer(1) => Some(1.0),
        KdlValue::Integer(_) | KdlValue::String(_) | KdlValue::Bool(_) | KdlValue::Null => None,
    };
    match share {
        Some(share) if (0.0..=1.0).contains(&share) => Ok((share * 1000.0).round() as u32),
        _ => wrong("a share from 0 to 1 is wanted", "write 0.2 for 20 %"),
    }
}

/// One of a few words.
pub(crate) fn one_of<T: Clone>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&KdlValue) -> Result<T, Wrong> {
    move |value| {
        let text = text(value)?;
        let found = words.iter().find(|(word, _)| *word == text);
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        match found {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => wrong(format!("\"{}\" is unknown", short(&text)), suggest(&text, &known)),
        }
    }
}

/// A duration with its unit, in a range.
pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&KdlValue) -> Result<Duration, Wrong> {
    move |value| {
        let duration = match value {
            KdlValue::String(text) => parse_duration(text)?,
            KdlValue::Integer(number) => return no_unit(&number.to_string(), "s"),
            KdlValue::Float(number) => return no_unit(&number.to_string(), "s"),
            KdlValue::Bool(_) | KdlValue::Null => {
                return wrong(
                    format!("a duration is wanted, not {}", kind(value)),
                    DURATION_HELP,
                );
            }
        };
        if range.contains(&duration) {
            return Ok(duration);
        }
        let help = format!(
            "write a duration from {} to {}",
            show(*range.start()),
            show(*range.end())
        );
        wrong(format!("{} is out of range", show(duration)), help)
    }
}

fn parse_duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) = split_unit(text);
    let factor: u128 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" if !number.is_empty() => return no_unit(number, "s"),
        _ => return wrong(format!("\"{}\" is no duration", short(text)), DURATION_HELP),
    };
    let nanos = decimal(number, factor).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map_or_else(
        || wrong(format!("\"{}\" is no duration", short(text)), DURATION_HELP),
        |nanos| Ok(Duration::from_nanos(nanos)),
    )
}

/// `1.5` times `factor`, without rounding errors.
fn decimal(number: &str, factor: u128) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.len() > 12 || part.is_empty() || part.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
    Some(whole.parse::<u128>().ok()? * factor + part.parse::<u128>().ok()? * factor / scale)
}

/// A duration as one writes it: `250ms`, `1.5s`, `5m`.
pub(crate) fn show(duration: Duration) -> String {
    let (seconds, micros) = (duration.as_secs(), duration.subsec_micros());
    if seconds == 0 && micros > 0 {
        return trim(format!("{}.{:03}", micros / 1000, micros % 1000)) + "ms";
    }
    match (seconds, micros) {
        (0, _) => "0s".into(),
        (_, 0) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (_, 0) if seconds % 60 == 0 && seconds > 60 => format!("{}m", seconds / 60),
        _ => trim(format!("{seconds}.{:03}", micros / 1000)) + "s",
    }
}

fn trim(number: String) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn no_unit<T>(number: &str, unit: &str) -> Result<T, Wrong> {
    let number = short(number);
    let units = if unit == "s" {
        "ms, s, m, h"
    } else {
        "B, KiB, MiB, GiB"
    };
    wrong(
        format!("{number} has no unit"),
        format!("write \"{number}{unit}\" (units: {units})"),
    )
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len()),
    )
}

/// A size in bytes with its unit, in a range.
pub(crate) fn size(range: RangeInclusive<u64>) -> impl Fn(&KdlValue) -> Result<u64, Wrong> {
    move |value| {
        if let Some(number) = value.as_integer() {
            return no_unit(&number.to_string(), "MiB");
        }
        let text = text(value)?;
        let (number, unit) = split_unit(&text);
        let factor = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "" if !number.is_empty() => return no_unit(number, "MiB"),
            _ => return wrong(format!("\"{}\" is no size", short(&text)), SIZE_HELP),
        };
        match number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
        {
            Some(bytes) if range.contains(&bytes) => Ok(bytes),
            Some(_) => wrong(
                format!("\"{}\" is out of range", short(&text)),
                format!(
                    "write a size from {} to {}",
                    show_size(*range.start()),
                    show_size(*range.end())
                ),
            ),
            None => wrong(format!("\"{}\" is no size", short(&text)), SIZE_HELP),
        }
    }
}

/// A size as one writes it; from 1 KiB on of whole KiB.
fn show_size(bytes: u64) -> String {
    match bytes {
        _ if bytes < 1 << 10 => format!("{bytes}B"),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ => format!("{}KiB", bytes >> 10),
    }
}

/// Lines a second: `10/s`.
pub(crate) fn per_second(value: &KdlValue) -> Result<u32, Wrong> {
    let help = "write how many a second, 1 to 1000: \"10/s\"";
    let text = text(value)?;
    match text.strip_suffix("/s").and_then(digits::<u32>) {
        Some(rate) if (1..=1000).contains(&rate) => Ok(rate),
        _ => wrong(format!("\"{}\" is no rate", short(&text)), help),
    }
}

/// A path from the root.
pub(crate) fn path(value: &KdlValue) -> Result<PathBuf, Wrong> {
    let text = text(value)?;
    let odd = text.contains('\0') || text.split('/').any(|part| part == "..");
    if !text.starts_with('/') || odd {
        return wrong(
            format!("\"{}\" is no absolute path", short(&text)),
            "write the whole path from `/`, without `..`",
        );
    }
    Ok(PathBuf::from(text))
}

/// What kind of value it is, for messages.
fn kind(value: &KdlValue) -> &'static str {
    match value {
        KdlValue::String(_) => "a text",
        KdlValue::Integer(_) | KdlValue::Float(_) => "a number",
        KdlValue::Bool(true) => "#true",
        KdlValue::Bool(false) => "#false",
        KdlValue::Null => "#null",
    }
}

/// A number of digits alone: no sign, no space.
pub(crate) fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

const DURATION_HELP: &str = "write a number and a unit: \"250ms\", \"2s\", \"1m\", \"1h\"";
const SIZE_HELP: &str = "write a number and a unit: \"4KiB\", \"64MiB\"";
