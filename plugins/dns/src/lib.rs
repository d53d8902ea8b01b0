//! Passes while a name server answers a question as it should.
//!
//! It asks by UDP, twice if the first datagram gets no answer, and by TCP if the answer does not fit into a datagram.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `server` | needed | address and port, `192.0.2.53:53` or `[2001:db8::53]:53` |
//! | `name` | needed | what to ask for; `.` is the root |
//! | `type` | `"A"` | `A`, `AAAA`, `CNAME`, `MX`, `NS`, `PTR`, `SOA`, `SRV` or `TXT` |
//! | `rcode` | `"NOERROR"` | good response codes: one or more of `NOERROR`, `FORMERR`, `SERVFAIL`, `NXDOMAIN`, `NOTIMP`, `REFUSED` |
//! | `answer` | – | records that must be among the answers, as a zone file has them: `"192.0.2.1"`, `"10 mx.example.net"` |
//! | `min-answers` | 1 | fewest records of the type, where the code is `NOERROR` |
//! | `recursion` | `#true` | whether the server may ask others; `#false` for one that is asked about its own zone |
//!
//! ```kdl
//! check "resolver" {
//!     plugin "dns"
//!     interval "2s"; timeout "1s"; fall 3; rise 2
//!     config { server "127.0.0.1:53"; name "www.example.net"; type "A"; answer "192.0.2.1" }
//!     grant { udp "127.0.0.1:53"; tcp "127.0.0.1:53" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

mod message;

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use message::Answer;
use standfast::plugin::net::{Error, tcp_exchange, udp_exchange};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context};

/// The plugin.
pub struct Dns;

/// Response codes by name.
const RCODES: &[(&str, u8)] = &[
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
];

/// What is asked of the answer.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    rcodes: Vec<u8>,
    records: Vec<String>,
    min: usize,
}

impl Guest for Dns {
    fn run() -> Result<Verdict, Failure> {
        let wrong = |what: &str| Failure::Config(format!("`server` {what}; write: server \"192.0.2.53:53\""));
        let server = config::get("server").ok_or_else(|| wrong("is missing"))?;
        let (host, port) = server.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port = port.parse().map_err(|_| wrong("has a port that is no number"))?;
        let missing = || Failure::Config("`name` is missing; write: name \"www.example.net\"".into());
        let name = config::get("name").ok_or_else(missing)?;
        let kind = config::get("type").unwrap_or_else(|| "A".into());
        let number = one_of("type", &kind, message::TYPES)?;
        let wanted = Wanted::read()?;
        let recursion = config::get("recursion").is_none_or(|text| text != "false");
        // From the random numbers of WASI: nobody can guess the next one.
        let id = RandomState::new().hash_one(context::run_number()).to_be_bytes();
        let id = u16::from_be_bytes([id[0], id[1]]);
        let question = message::question(id, &name, number, recursion).ok_or_else(|| {
            Failure::Config(format!(
                "`name` {name:?} is no name; write: name \"www.example.net\""
            ))
        })?;
        let begun = context::remaining_ms();
        let (status, message) = match ask(host, port, &question) {
            Ok(answer) => judge(&answer, &wanted),
            Err(Fault::Server(why)) => (Status::Fail, why),
            Err(Fault::Check(failure)) => return Err(failure),
        };
        let took = begun.saturating_sub(context::remaining_ms());
        Ok(Verdict {
            status,
            message: format!("{server}: {name} {kind}: {message}, {took} ms"),
            weight: None,
            next_ms: None,
        })
    }
}

/// Why there is no answer.
enum Fault {
    /// It is the server's.
    Server(String),
    /// It is ours.
    Check(Failure),
}

impl Wanted {
    fn read() -> Result<Self, Failure> {
        let mut rcodes = config::get_all("rcode");
        if rcodes.is_empty() {
            rcodes.push("NOERROR".into());
        }
        let code = |name: &String| one_of("rcode", name, RCODES);
        let min = config::get("min-answers").unwrap_or_else(|| "1".into());
        let few = |_| Failure::Config("`min-answers` is a whole number; write: min-answers 1".into());
        Ok(Self {
            rcodes: rcodes.iter().map(code).collect::<Result<_, _>>()?,
            records: config::get_all("answer")
                .iter()
                .map(|record| plain(record))
                .collect(),
            min: min.parse().map_err(few)?,
        })
    }
}

fn one_of<T: Copy>(key: &str, given: &str, known: &[(&str, T)]) -> Result<T, Failure> {
    let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(given));
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    let wrong = || {
        Failure::Config(format!(
            "`{key}` {given:?} is unknown; known are {}",
            names.join(", ")
        ))
    };
    found.map(|(_, value)| *value).ok_or_else(wrong)
}

/// As answers are compared: small letters, no dot at the end.
fn plain(record: &str) -> String {
    let record = record.trim();
    let record = record
        .strip_suffix('.')
        .filter(|record| !record.is_empty())
        .unwrap_or(record);
    record.to_ascii_lowercase()
}

fn ask(host: &str, port: u16, question: &[u8]) -> Result<Answer, Fault> {
    let half = context::remaining_ms() / 2;
    let datagram = match udp_exchange(host, port, question, half) {
        Err(Error::Timeout) => udp_exchange(host, port, question, context::remaining_ms()),
        first => first,
    };
    let datagram = datagram.map_err(|error| fault("udp", host, port, error))?;
    let odd = |why: &'static str| Fault::Server(why.to_owned());
    let answer = message::answer(question, &datagram).map_err(odd)?;
    if !answer.truncated {
        return Ok(answer);
    }
    let stream = ask_by_tcp(host, port, question)?;
    message::answer(question, &stream).map_err(odd)
}

/// The answer has two bytes of length in front. The host reads as much as it is told, so it is asked for the length first.
fn ask_by_tcp(host: &str, port: u16, question: &[u8]) -> Result<Vec<u8>, Fault> {
    let length = u16::try_from(question.len()).unwrap_or_default().to_be_bytes();
    let framed = [&length[..], question].concat();
    let exchange = |most: u32| {
        tcp_exchange(host, port, &framed, &[], most, context::remaining_ms())
            .map_err(|error| fault("tcp", host, port, error))
    };
    let cut = || Fault::Server("the answer by TCP is cut off".to_owned());
    let head = exchange(2)?;
    let length = <[u8; 2]>::try_from(head)
        .map(u16::from_be_bytes)
        .map_err(|_| cut())?;
    let whole = exchange(u32::from(length) + 2)?;
    match whole.split_at_checked(2) {
        Some((_, answer)) if answer.len() == usize::from(length) => Ok(answer.to_vec()),
        Some(_) | None => Err(cut()),
    }
}

fn fault(by: &str, host: &str, port: u16, error: Error) -> Fault {
    let server = |why: &str| Fault::Server(format!("{why} by {}", by.to_uppercase()));
    match error {
        Error::Denied => Fault::Check(Failure::Denied(format!("{by} {host}:{port}"))),
        Error::NameUnresolved => Fault::Check(Failure::Unavailable(format!("no address for {host}"))),
        Error::Refused => server("refused"),
        Error::Timeout => server("no answer in time"),
        Error::Reset => server("connection closed"),
        Error::Unreachable => server("no route"),
        Error::Tls(why) | Error::Other(why) => server(&why),
    }
}

fn judge(answer: &Answer, wanted: &Wanted) -> (Status, String) {
    let rcode = RCODES.iter().find(|(_, code)| *code == answer.rcode);
    let rcode = rcode.map_or_else(
        || format!("code {}", answer.rcode),
        |(name, _)| (*name).to_owned(),
    );
    if !wanted.rcodes.contains(&answer.rcode) {
        return (Status::Fail, rcode);
    }
    let count = answer.records.len();
    if answer.rcode == 0 && count < wanted.min {
        return (Status::Fail, format!("{count} answers, {} wanted", wanted.min));
    }
    let has = |record: &&String| !answer.records.iter().any(|own| plain(own) == **record);
    if let Some(missing) = wanted.records.iter().find(has) {
        let shown: Vec<_> = answer.records.iter().take(5).map(String::as_str).collect();
        return (
            Status::Fail,
            format!("no {missing:?} among {count} answers: {}", shown.join(", ")),
        );
    }
    (Status::Pass, format!("{rcode}, {count} answers"))
}

#[cfg(target_family = "wasm")]
export!(Dns);

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rcode: u8, records: &[&str]) -> Answer {
        Answer {
            rcode,
            truncated: false,
            records: records.iter().map(|record| (*record).to_owned()).collect(),
        }
    }

    fn wanted(rcodes: &[u8], records: &[&str], min: usize) -> Wanted {
        Wanted {
            rcodes: rcodes.to_vec(),
            records: records.iter().map(|record| plain(record)).collect(),
            min,
        }
    }

    #[test]
    fn code_count_and_records_decide() {
        let two = answer(0, &["192.0.2.1", "192.0.2.2"]);
        assert_eq!(
            judge(&two, &wanted(&[0], &["192.0.2.2"], 2)),
            (Status::Pass, "NOERROR, 2 answers".into())
        );
        let (status, message) = judge(&two, &wanted(&[0], &["192.0.2.3"], 1));
        assert_eq!(status, Status::Fail);
        assert_eq!(message, "no \"192.0.2.3\" among 2 answers: 192.0.2.1, 192.0.2.2");
        assert_eq!(judge(&two, &wanted(&[0], &[], 3)).0, Status::Fail);
        assert_eq!(judge(&answer(0, &[]), &wanted(&[0], &[], 1)).0, Status::Fail);
        assert_eq!(
            judge(&answer(3, &[]), &wanted(&[0], &[], 1)),
            (Status::Fail, "NXDOMAIN".into())
        );
        assert_eq!(judge(&answer(3, &[]), &wanted(&[3], &[], 1)).0, Status::Pass);
        assert_eq!(judge(&answer(11, &[]), &wanted(&[0], &[], 1)).1, "code 11");
    }

    #[test]
    fn records_are_compared_as_a_zone_file_has_them() {
        assert_eq!(plain("10 MX.example.net."), "10 mx.example.net");
        assert_eq!(plain("."), ".");
    }

    #[test]
    fn unknown_words_are_told_with_those_that_are_known() {
        assert_eq!(one_of("rcode", "nxdomain", RCODES).ok(), Some(3));
        let failure = one_of("type", "ANY", message::TYPES).unwrap_err();
        assert!(
            matches!(&failure, Failure::Config(why) if why.contains("AAAA")),
            "{failure:?}"
        );
    }
}
