//! Which checksum form of version 3 over IPv4 is sent: what the peers can read, learnt from what they send (vrrp.md 1c).

use std::fmt;
use std::time::Duration;

use crate::time::Instant;
use crate::wire::advert::ChecksumForm;

/// What a speaker can read, as far as what it sends tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Only the form that it sends.
    Only(ChecksumForm),
    /// It sends both, as this program does between two worlds: it reads either.
    Either,
}

/// The forms of one speaker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forms {
    pseudo_header: Option<Instant>,
    message_only: Option<Instant>,
}

impl Forms {
    /// An advert of this form was accepted.
    pub fn heard(&mut self, form: ChecksumForm, now: Instant) {
        *match form {
            ChecksumForm::PseudoHeader => &mut self.pseudo_header,
            ChecksumForm::MessageOnly => &mut self.message_only,
        } = Some(now);
    }

    /// What the speaker reads; `within`: forms heard so near to each other are sent together.
    pub fn reads(&self, within: Duration) -> Option<Reads> {
        match (self.pseudo_header, self.message_only) {
            (None, None) => None,
            (Some(_), None) => Some(Reads::Only(ChecksumForm::PseudoHeader)),
            (None, Some(_)) => Some(Reads::Only(ChecksumForm::MessageOnly)),
            (Some(pseudo), Some(message)) => {
                Some(if pseudo.since(message).max(message.since(pseudo)) <= within {
                    Reads::Either
                } else if pseudo > message {
                    Reads::Only(ChecksumForm::PseudoHeader)
                } else {
                    Reads::Only(ChecksumForm::MessageOnly)
                })
            }
        }
    }
}

/// What is sent to all of some speakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    /// The pseudo-header form, also when nobody is known.
    #[default]
    PseudoHeader,
    /// The message-only form.
    MessageOnly,
    /// One after the other: there are speakers of either kind.
    Both,
}

impl Sent {
    /// What all of them can read.
    pub fn to(readers: impl Iterator<Item = Reads>) -> Self {
        let (mut pseudo, mut message) = (false, false);
        for reads in readers {
            pseudo |= reads == Reads::Only(ChecksumForm::PseudoHeader);
            message |= reads == Reads::Only(ChecksumForm::MessageOnly);
        }
        match (pseudo, message) {
            (_, false) => Self::PseudoHeader,
            (false, true) => Self::MessageOnly,
            (true, true) => Self::Both,
        }
    }

    /// The forms to send, in order.
    pub const fn forms(self) -> &'static [ChecksumForm] {
        match self {
            Self::PseudoHeader => &[ChecksumForm::PseudoHeader],
            Self::MessageOnly => &[ChecksumForm::MessageOnly],
            Self::Both => &[ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly],
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PseudoHeader => "pseudo-header",
            Self::MessageOnly => "message-only",
            Self::Both => "both",
        })
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Only(ChecksumForm::PseudoHeader) => "pseudo-header",
            Self::Only(ChecksumForm::MessageOnly) => "message-only",
            Self::Either => "both",
        })
    }
}
