//! DNS messages (RFC 1035): a question as bytes, and what an answer says. Pure.

/// What an answer says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Response code.
    pub(crate) rcode: u8,
    /// Whether the rest did not fit into a datagram.
    pub(crate) truncated: bool,
    /// Records of the type that was asked for, as text.
    pub(crate) records: Vec<String>,
}

/// Longest name on the wire.
const NAME_MAX: usize = 255;
/// Labels and jumps of one name: more than a name of 255 bytes can have.
const STEPS_MAX: usize = 256;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 1000;
const HEADER: usize = 12;

/// Types of records that can be asked for.
pub(crate) const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
];

/// The question as bytes; `None` if the name is none.
pub(crate) fn question(id: u16, name: &str, kind: u16, recursion: bool) -> Option<Vec<u8>> {
    let flags: u16 = if recursion { 0x0100 } else { 0 };
    let mut bytes = Vec::new();
    for word in [id, flags, 1, 0, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length))?;
        if !label.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    if bytes.len() - HEADER > NAME_MAX {
        return None;
    }
    for word in [kind, CLASS] {
        bytes.extend(word.to_be_bytes());
    }
    Some(bytes)
}

/// Reads the answer to this question; the error says what is odd about it.
pub(crate) fn answer(question: &[u8], bytes: &[u8]) -> Result<Answer, &'static str> {
    let mut reader = Reader { bytes, at: 0 };
    let short = "the answer is cut off";
    let [id, flags, asked, answers, _, _] = reader.words().ok_or(short)?;
    if Some(id.to_be_bytes().as_slice()) != question.get(..2) || flags & 0x8000 == 0 {
        return Err("this is an answer to something else");
    }
    let rcode = flags.to_be_bytes()[1] & 0x0f;
    let kind = question
        .last_chunk::<4>()
        .map_or(0, |[high, low, ..]| u16::from_be_bytes([*high, *low]));
    match asked {
        // Some servers leave the question out where they refuse.
        0 if rcode != 0 => {}
        1 => {
            let begin = reader.at;
            reader.skip_name().ok_or(short)?;
            let [_, _] = reader.words().ok_or(short)?;
            let echoed = bytes.get(begin..reader.at).unwrap_or_default();
            let own = question.get(HEADER..).unwrap_or_default();
            if !echoed.eq_ignore_ascii_case(own) {
                return Err("this is an answer to another question");
            }
        }
        _ => return Err("this is an answer to another question"),
    }
    let truncated = flags & 0x0200 != 0;
    let mut records = Vec::new();
    for _ in 0..usize::from(answers).min(RECORDS_MAX) {
        match reader.record(kind) {
            Some(record) => records.extend(record),
            // A datagram may end anywhere then.
            None if truncated => break,
            None => return Err(short),
        }
    }
    Ok(Answer {
        rcode,
        truncated,
        records,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn words<const N: usize>(&mut self) -> Option<[u16; N]> {
        let (pairs, _) = self.take(N * 2)?.as_chunks::<2>();
        let mut words = [0; N];
        for (word, pair) in words.iter_mut().zip(pairs) {
            *word = u16::from_be_bytes(*pair);
        }
        Some(words)
    }

    /// A record; the inner `None` is one of another type.
    fn record(&mut self, wanted: u16) -> Option<Option<String>> {
        self.skip_name()?;
        let [kind, class, _, _, length] = self.words()?;
        let end = self.at.checked_add(length.into())?;
        if end > self.bytes.len() {
            return None;
        }
        let text = if kind == wanted && class == CLASS {
            let mut data = Reader {
                bytes: self.bytes.get(..end)?,
                at: self.at,
            };
            Some(data.text(kind)?)
        } else {
            None
        };
        self.at = end;
        Some(text)
    }

    /// The data of a record, which ends where the bytes end, as a zone file would have it.
    fn text(&mut self, kind: u16) -> Option<String> {
        let text = match kind {
            1 => <[u8; 4]>::try_from(self.take(4)?)
                .map(std::net::Ipv4Addr::from)
                .ok()?
                .to_string(),
            28 => <[u8; 16]>::try_from(self.take(16)?)
                .map(std::net::Ipv6Addr::from)
                .ok()?
                .to_string(),
            2 | 5 | 12 => self.name()?,
            6 => {
                let (primary, person) = (self.name()?, self.name()?);
                let [high, low] = self.words()?;
                format!("{primary} {person} {}", u32::from(high) << 16 | u32::from(low))
            }
            15 => {
                let [preference] = self.words()?;
                format!("{preference} {}", self.name()?)
            }
            33 => {
                let [priority, weight, port] = self.words()?;
                format!("{priority} {weight} {port} {}", self.name()?)
            }
            _ => {
                let mut text = String::new();
                while let Some([length]) = self.take(1) {
                    text.push_str(&String::from_utf8_lossy(self.take((*length).into())?));
                }
                text
            }
        };
        Some(text)
    }

    /// A name in small letters without a dot at its end; the root is `.`.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut jumped: Option<usize> = None;
        for _ in 0..STEPS_MAX {
            let [length] = self.take(1)? else { return None };
            match length {
                0 => {
                    self.at = jumped.unwrap_or(self.at);
                    return Some(if name.is_empty() { ".".into() } else { name });
                }
                1..=63 => {
                    let label = String::from_utf8_lossy(self.take((*length).into())?).to_ascii_lowercase();
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(&label);
                }
                0xc0.. => {
                    let [low] = self.take(1)? else { return None };
                    let here = self.at - 2;
                    jumped.get_or_insert(self.at);
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, *low]));
                    // Only back: a name that points to itself would never end.
                    if target >= here {
                        return None;
                    }
                    self.at = target;
                }
                _ => return None,
            }
            if name.len() > NAME_MAX * 4 {
                return None;
            }
        }
        None
    }

    fn skip_name(&mut self) -> Option<()> {
        self.name().map(drop)
    }
}

/// The internet.
const CLASS: u16 = 1;

#[cfg(test)]
mod tests;
