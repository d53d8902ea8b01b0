//! Whether a well-formed advert counts for this router; a rejected one moves a counter and nothing else.

use crate::config::auth::Auth;
use crate::config::router::RouterConfig;
use crate::ids::Version;
use crate::status::Counters;
use crate::wire::advert::{Advert, DecodeError};

/// Checks an advert against this router's configuration and counts. `true`: hand it to the machine.
pub fn accept(config: &RouterConfig, advert: &Advert, counters: &mut Counters) -> bool {
    if advert.version != config.version {
        // R-7.1-2
        counters.version_errors += 1;
        return false;
    }
    if advert.version == Version::V2 {
        // R2-2
        let pass = match &config.auth {
            Auth::Pass(pass) => Some(pass),
            Auth::None | Auth::Hmac(_) => None,
        };
        if advert.auth.as_ref() != pass {
            counters.auth_errors += 1;
            return false;
        }
        // R2-3
        if advert.interval != config.interval {
            counters.interval_errors += 1;
            return false;
        }
    }
    // R-7.1-12, R2-4: another list is counted, not dropped; keepalived up to 2.3.2 drops, and both become master.
    if !same_addresses(config, advert) {
        counters.address_list_errors += 1;
    }
    counters.adverts_received += 1;
    if advert.priority == 0 {
        counters.priority_zero_received += 1;
    }
    true
}

/// Counts bytes that are no advert.
pub fn reject(error: DecodeError, counters: &mut Counters) {
    let counter = match error {
        DecodeError::Length => &mut counters.length_errors,
        DecodeError::Version => &mut counters.version_errors,
        DecodeError::Type => &mut counters.type_errors,
        DecodeError::Checksum => &mut counters.checksum_errors,
        DecodeError::Vrid | DecodeError::NoAddress | DecodeError::NotLinkLocal => {
            &mut counters.address_list_errors
        }
        DecodeError::Interval => &mut counters.interval_errors,
        DecodeError::AuthType => &mut counters.auth_errors,
    };
    *counter += 1;
}

fn same_addresses(config: &RouterConfig, advert: &Advert) -> bool {
    advert.addresses.len() == config.addresses.len()
        && config
            .addresses
            .iter()
            .all(|wanted| advert.addresses.contains(&wanted.address))
}
