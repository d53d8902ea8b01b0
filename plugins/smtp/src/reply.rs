//! Replies of a mail server (RFC 5321, 4.2). Pure.

/// One reply, of one line or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Three digits.
    pub(crate) code: u16,
    /// The text of each line.
    pub(crate) lines: Vec<String>,
}

/// Most bytes of one reply.
pub(crate) const REPLY_MAX: usize = 16 << 10;
/// Longest text that is shown.
const SHOWN: usize = 100;

impl Reply {
    /// The first reply of what has come, and its length; `Ok(None)` while more of it must come.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let odd = "what it says is not SMTP";
        let mut reply: Option<Self> = None;
        let mut end = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else {
                break;
            };
            end += line.len();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let (digits, text) = text.split_at_checked(3).ok_or(odd)?;
            let code = code(digits).ok_or(odd)?;
            let (more, text) = match text {
                [b'-', text @ ..] => (true, text),
                [b' ', text @ ..] => (false, text),
                [] => (false, text),
                _ => return Err(odd),
            };
            let reply = reply.get_or_insert(Self {
                code,
                lines: Vec::new(),
            });
            if reply.code != code {
                return Err(odd);
            }
            reply.lines.push(String::from_utf8_lossy(text).into_owned());
            if !more {
                return Ok(Some((reply.clone(), end)));
            }
        }
        // Three digits are there in the first bytes, or never.
        let begin = bytes.get(..bytes.len().min(3)).unwrap_or_default();
        if bytes.len() > REPLY_MAX || !begin.iter().all(u8::is_ascii_digit) {
            return Err(odd);
        }
        Ok(None)
    }

    /// Whether the answer to EHLO offers an extension.
    pub(crate) fn offers(&self, extension: &str) -> bool {
        let mut offered = self
            .lines
            .iter()
            .skip(1)
            .filter_map(|line| line.split([' ', '=']).next());
        offered.any(|word| word.eq_ignore_ascii_case(extension))
    }

    /// Code and first line, for people.
    pub(crate) fn shown(&self) -> String {
        let text = self.lines.first().map_or("", String::as_str);
        format!("{} {text}", self.code).chars().take(SHOWN).collect()
    }
}

fn code(digits: &[u8]) -> Option<u16> {
    let all = digits.iter().all(u8::is_ascii_digit);
    let code: u16 = str::from_utf8(digits).ok()?.parse().ok()?;
    (all && (200..600).contains(&code)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EHLO: &str = "250-mail.example.net\r\n250-SIZE 10240000\r\n250-AUTH=PLAIN\r\n250 STARTTLS\r\n";

    #[test]
    fn a_reply_ends_with_the_line_that_has_no_dash() {
        let both = format!("{EHLO}221 bye\r\n");
        let (reply, length) = Reply::parse(both.as_bytes()).unwrap().unwrap();
        assert_eq!((reply.code, reply.lines.len(), length), (250, 4, EHLO.len()));
        assert!(reply.offers("starttls") && reply.offers("SIZE") && reply.offers("AUTH"));
        assert!(!reply.offers("mail.example.net") && !reply.offers("START"));
        let (reply, _) = Reply::parse(b"220\n").unwrap().unwrap();
        assert_eq!(reply.shown(), "220 ");
    }

    #[test]
    fn a_reply_in_pieces_is_waited_for() {
        for end in 0..EHLO.len() {
            assert_eq!(Reply::parse(&EHLO.as_bytes()[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused_at_once() {
        let long = [b"220 ".to_vec(), vec![b'x'; REPLY_MAX]].concat();
        let endless = "250-x\r\n".repeat(REPLY_MAX / 7 + 1);
        for bytes in [
            &b"SSH-2.0-OpenSSH\r\n"[..],
            b"HT",
            b"\x15\x03\x01",
            b"2x0 hi\r\n",
            b"250_hi\r\n",
            b"99 hi\r\n",
            b"199 hi\r\n",
            b"600 hi\r\n",
            b"+20 hi\r\n",
            b"250-a\r\n251 b\r\n",
            b"\r\n",
            &long,
            endless.as_bytes(),
        ] {
            assert!(
                Reply::parse(bytes).is_err(),
                "{:?}",
                &bytes[..bytes.len().min(20)]
            );
        }
    }

    #[test]
    fn what_is_shown_is_short() {
        let long = format!("554 {}\r\n", "ü".repeat(1000));
        let (reply, _) = Reply::parse(long.as_bytes()).unwrap().unwrap();
        assert_eq!(reply.shown().chars().count(), SHOWN);
    }
}
