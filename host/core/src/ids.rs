//! Names and small numbers that cannot be wrong once they exist.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a text is not a name, a number not a value; the message says the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub String);

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check_name(text, $max)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// This node, as shown to operators and hooks (keepalived: `router_id`).
    NodeName, 64
);
name!(
    /// A network interface; Linux allows 15 bytes.
    IfName, 15
);
name!(
    /// One `vrrp` block.
    RouterName, 64
);
name!(
    /// One `sync-group` block.
    GroupName, 64
);
name!(
    /// One `check` block.
    CheckName, 64
);
name!(
    /// One `service` block.
    ServiceName, 64
);
name!(
    /// One `notify` block.
    NotifyName, 64
);
name!(
    /// One `action` block.
    ActionName, 64
);
name!(
    /// A plugin: `tcp` is the file `tcp.wasm` in a plugin folder.
    PluginName, 64
);

/// Letters, digits and `._-@`, first one not a dot or dash, at most `max` bytes.
fn check_name(text: &str, max: usize) -> Result<(), InvalidId> {
    let fits = !text.is_empty() && text.len() <= max;
    let clean = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b));
    let start = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits && clean && start {
        Ok(())
    } else {
        Err(InvalidId(format!(
            "a name has 1 to {max} characters: letters, digits and . _ - @, beginning with a letter, a digit or _"
        )))
    }
}

/// Virtual router identifier, 1..=255 (R-5.2.3-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Vrid(u8);

impl Vrid {
    /// The identifier as it stands on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Vrid {
    type Error = InvalidId;

    fn try_from(number: u8) -> Result<Self, InvalidId> {
        if number == 0 {
            return Err(InvalidId("a virtual router id is 1 to 255".into()));
        }
        Ok(Self(number))
    }
}

impl From<Vrid> for u8 {
    fn from(vrid: Vrid) -> Self {
        vrid.0
    }
}

/// VRRP priority of a configured router, 1..=255; 255 is the address owner (R-5.2.4-1, R-5.2.4-2).
/// Zero exists only on the wire (R-5.2.4-3) and therefore not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

impl Priority {
    /// What a router without a configured priority has (R-5.2.4-2).
    pub const DEFAULT: Self = Self(100);
    /// The address owner.
    pub const OWNER: Self = Self(255);

    /// The priority as it stands on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// This priority changed by the sum of check weights: clamped to 1..=254; an owner stays owner
    /// (keepalived 1.3: base 255 is never changed; 0 and 255 are never reached by weights).
    pub fn weighted(self, sum: i32) -> Self {
        if self == Self::OWNER {
            return self;
        }
        let clamped = i32::from(self.0).saturating_add(sum).clamp(1, 254);
        Self(u8::try_from(clamped).unwrap_or(1))
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidId;

    fn try_from(number: u8) -> Result<Self, InvalidId> {
        if number == 0 {
            return Err(InvalidId(
                "a priority is 1 to 254, or 255 for the address owner".into(),
            ));
        }
        Ok(Self(number))
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

/// What a failing (negative) or passing (positive) check adds to the priority: -253..=253, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i16", into = "i16")]
pub struct Weight(i16);

impl Weight {
    /// The weight as a number.
    pub const fn get(self) -> i16 {
        self.0
    }

    /// What this weight contributes: a negative one while Down, a positive one while Up (keepalived 1.3).
    pub const fn term(self, good: bool) -> i32 {
        term(self.0, false, good)
    }
}

/// What any number contributes as a weight, 0 too; `reverse` flips its sign.
pub const fn term(weight: i16, reverse: bool, good: bool) -> i32 {
    let term = match (weight < 0, good) {
        (true, false) | (false, true) => weight as i32,
        (true, true) | (false, false) => 0,
    };
    if reverse { -term } else { term }
}

impl TryFrom<i16> for Weight {
    type Error = InvalidId;

    fn try_from(number: i16) -> Result<Self, InvalidId> {
        if number == 0 || !(-253..=253).contains(&number) {
            return Err(InvalidId(
                "a weight is -253 to 253 and not 0; leave it out for a hard check (failing makes the node unfit)".into(),
            ));
        }
        Ok(Self(number))
    }
}

impl From<Weight> for i16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// IP family of a virtual router (R-5.2.3-1: a VRID is another one in the other family).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    #[default]
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6.
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// VRRP protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// RFC 3768, with RFC 2338's PASS authentication.
    #[serde(rename = "2")]
    V2,
    /// RFC 9568.
    #[serde(rename = "3")]
    V3,
}

impl Version {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Advertisement interval as a legal wire value: v3 1..=4095 centiseconds (R-5.2.7-1), v2 1..=255 whole seconds (R2-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdvertInterval(u16);

impl AdvertInterval {
    /// One second.
    pub const DEFAULT: Self = Self(100);

    /// From centiseconds off the wire; `None` for 0 (EID 8301) or more than 12 bits.
    pub const fn from_centis(centis: u16) -> Option<Self> {
        if centis >= 1 && centis <= 4095 {
            Some(Self(centis))
        } else {
            None
        }
    }

    /// From whole seconds off a v2 wire; `None` for 0.
    pub const fn from_seconds(seconds: u8) -> Option<Self> {
        if seconds == 0 {
            None
        } else {
            Some(Self(seconds as u16 * 100))
        }
    }

    /// A configured duration for this protocol version.
    ///
    /// # Errors
    /// The rule that is broken: out of range, or not expressible on the wire.
    pub fn from_duration(interval: Duration, version: Version) -> Result<Self, InvalidId> {
        let millis = interval.as_millis();
        match version {
            Version::V3 if millis.is_multiple_of(10) && (10..=40_950).contains(&millis) => {
                Ok(Self(u16::try_from(millis / 10).unwrap_or(100)))
            }
            Version::V2 if millis.is_multiple_of(1000) && (1_000..=255_000).contains(&millis) => {
                Ok(Self(u16::try_from(millis / 10).unwrap_or(100)))
            }
            Version::V3 => Err(InvalidId(
                "VRRP version 3 sends every 10ms to 40.95s, in steps of 10ms".into(),
            )),
            Version::V2 => Err(InvalidId(
                "VRRP version 2 sends every 1s to 255s, in whole seconds; use version 3 for less".into(),
            )),
        }
    }

    /// Centiseconds, the v3 wire unit.
    pub const fn centis(self) -> u16 {
        self.0
    }

    /// Whole seconds, the v2 wire unit (saturating).
    pub const fn seconds(self) -> u8 {
        let seconds = self.0 / 100;
        if seconds > 255 { 255 } else { seconds as u8 }
    }

    /// The time between two adverts.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }
}

/// State of a virtual router as operators know it (RFC 9568 calls Master "Active").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VrrpState {
    /// Waiting for the link, the first verdicts or the first start of a service.
    Init,
    /// Listening.
    Backup,
    /// Holding the virtual addresses.
    Master,
    /// Unfit: a hard check, a service or the link is down.
    Fault,
    /// Shut down.
    Stopped,
}

impl fmt::Display for VrrpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stopped => "STOPPED",
        })
    }
}
