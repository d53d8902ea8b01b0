//! An advert turned into a goodbye without knowing more than its bytes: for who speaks in the place of a dead brain.

use crate::ids::Family;
use crate::wire::advert::glimpse;

/// The same advert with priority 0, and its checksum made right (RFC 1624, equation 3), whichever form it has.
///
/// `None`: it is no advert, or carries a keyed hash, which only the brain can make.
pub fn goodbye(advert: &[u8], family: Family) -> Option<Vec<u8>> {
    if advert.len() != glimpse(advert, family).length {
        return None;
    }
    let mut said = advert.to_vec();
    let word = |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (before, sum) = (word(&said, PRIORITY)?, word(&said, CHECKSUM)?);
    *said.get_mut(PRIORITY)? = 0;
    let after = word(&said, PRIORITY)?;
    let mut new = u32::from(!sum) + u32::from(!before) + u32::from(after);
    while new > 0xffff {
        new = (new & 0xffff) + (new >> 16);
    }
    let new = !u16::try_from(new).ok()?;
    said.get_mut(CHECKSUM..CHECKSUM + 2)?
        .copy_from_slice(&new.to_be_bytes());
    Some(said)
}

/// Place of the priority in a message of either version (RFC 9568 section 5.1, RFC 3768 section 5.1).
const PRIORITY: usize = 2;
/// Place of the checksum.
const CHECKSUM: usize = 6;
