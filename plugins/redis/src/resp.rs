//! What Redis answers (RESP 2), and how it is asked. Pure.

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `+OK`.
    Simple(String),
    /// `-ERR …`.
    Error(String),
    /// `:7`.
    Number(i64),
    /// `$2 hi`; `None` is the null of RESP 2.
    Bulk(Option<Vec<u8>>),
    /// `*2 …`.
    Array(Vec<Self>),
}

/// Nesting: `ROLE` has two floors.
const DEPTH_MAX: usize = 4;
/// Elements of one array: a master names each of its replicas.
const ELEMENTS_MAX: usize = 4096;
/// Longest line without its end: what a Redis in protected mode says has more than 1,000 bytes.
const LINE_MAX: usize = 4096;

/// A command as Redis reads it.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The first value and what is behind it; `None` if it is cut off or no RESP.
pub(crate) fn value(bytes: &[u8]) -> Option<(Value, &[u8])> {
    nested(bytes, DEPTH_MAX)
}

fn nested(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (line, rest) = line(bytes)?;
    let (kind, line) = line.split_first()?;
    let text = || String::from_utf8_lossy(line).into_owned();
    let number = || str::from_utf8(line).ok()?.parse::<i64>().ok();
    match kind {
        b'+' => Some((Value::Simple(text()), rest)),
        b'-' => Some((Value::Error(text()), rest)),
        b':' => Some((Value::Number(number()?), rest)),
        b'$' => {
            let length = number()?;
            if length == -1 {
                return Some((Value::Bulk(None), rest));
            }
            let (content, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Value::Bulk(Some(content.to_vec())), rest.strip_prefix(b"\r\n")?))
        }
        b'*' => {
            let count = usize::try_from(number()?)
                .ok()
                .filter(|count| *count <= ELEMENTS_MAX)?;
            let depth = depth.checked_sub(1)?;
            let mut elements = Vec::new();
            let mut rest = rest;
            for _ in 0..count {
                let element;
                (element, rest) = nested(rest, depth)?;
                elements.push(element);
            }
            Some((Value::Array(elements), rest))
        }
        _ => None,
    }
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = bytes.get(..bytes.len().min(LINE_MAX + 2)).unwrap_or_default();
    let end = head.windows(2).position(|pair| pair == b"\r\n")?;
    Some((bytes.get(..end)?, bytes.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_counts_its_words() {
        let bytes = command(&[b"AUTH", b"a b\r\n"]);
        assert_eq!(bytes, b"*2\r\n$4\r\nAUTH\r\n$5\r\na b\r\n\r\n");
    }

    #[test]
    fn values_are_read_one_after_the_other() {
        let bytes = b"+PONG\r\n-LOADING wait\r\n:-7\r\n$-1\r\n*2\r\n$2\r\nhi\r\n*0\r\nrest";
        let mut rest = &bytes[..];
        let mut next = || {
            let value;
            (value, rest) = value_of(rest);
            value
        };
        assert_eq!(next(), Value::Simple("PONG".into()));
        assert_eq!(next(), Value::Error("LOADING wait".into()));
        assert_eq!(next(), Value::Number(-7));
        assert_eq!(next(), Value::Bulk(None));
        let hi = Value::Bulk(Some(b"hi".to_vec()));
        assert_eq!(next(), Value::Array(vec![hi, Value::Array(Vec::new())]));
        assert_eq!(rest, b"rest");
    }

    fn value_of(bytes: &[u8]) -> (Value, &[u8]) {
        value(bytes).unwrap()
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_value() {
        let whole = b"*3\r\n$6\r\nmaster\r\n:12\r\n*1\r\n*1\r\n$1\r\na\r\n";
        for end in 0..whole.len() {
            assert_eq!(value(&whole[..end]), None, "{end} bytes");
        }
        assert!(value(whole).is_some());
    }

    #[test]
    fn hostile_answers_cost_nothing() {
        let deep = b"*1\r\n".repeat(1000);
        let huge = b"+".iter().chain(&[b'x'; 100_000]).copied().collect::<Vec<_>>();
        for bytes in [
            &b"*2147483647\r\n"[..],
            b"*-5\r\n",
            b"$9223372036854775807\r\nx",
            b"$-2\r\n",
            b"$1\r\nab\r\n",
            b":x\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\r\n",
            b"",
            &[0xff; 5000],
            &deep,
            &huge,
        ] {
            assert_eq!(value(bytes), None, "{:?}", &bytes[..bytes.len().min(30)]);
        }
    }
}
