//! Passes while a Redis server answers `PING`, and is in the role that is wanted.
//!
//! While Redis loads its data at the start it answers `-LOADING`, which fails. A replica that is wanted must have its
//! link to the master: `connected`. The password is the first line of a file that a grant names; it is in no message.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `address` | needed | host and port, `127.0.0.1:6379` |
//! | `role` | – | `"master"` or `"replica"`; without it any will do |
//! | `password-file` | – | file with the password |
//! | `user` | – | user of that password, if it is not the default one |
//! | `loading` | `"fail"` | what `-LOADING` is: `"fail"` or `"warn"` (good, but a person should look) |
//!
//! ```kdl
//! check "redis-master" {
//!     plugin "redis"
//!     interval "1s"; timeout "500ms"; fall 3; rise 2
//!     config { address "127.0.0.1:6379"; role "master"; password-file "/etc/standfast/redis.password" }
//!     grant { tcp "127.0.0.1:6379"; read "/etc/standfast/redis.password" max="1KiB" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

mod resp;

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use resp::{Value, command, value};
use standfast::plugin::net::{Error, tcp_exchange};
use standfast::plugin::types::Status;
use standfast::plugin::{config, context, files};

/// The plugin.
pub struct Redis;

/// What is asked of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    auth: bool,
    role: Option<Role>,
    loading: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Master,
    Replica,
}

impl Guest for Redis {
    fn run() -> Result<Verdict, Failure> {
        let address = config::get("address").ok_or_else(|| wrong("is missing"))?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port = port.parse().map_err(|_| wrong("has a port that is no number"))?;
        let role = match config::get("role").as_deref() {
            None => None,
            Some("master") => Some(Role::Master),
            Some("replica" | "slave") => Some(Role::Replica),
            Some(_) => return Err(Failure::Config("`role` is \"master\" or \"replica\"".into())),
        };
        let loading = match config::get("loading").as_deref() {
            None | Some("fail") => false,
            Some("warn") => true,
            Some(_) => return Err(Failure::Config("`loading` is \"fail\" or \"warn\"".into())),
        };
        let password = config::get("password-file")
            .map(|path| password(&path))
            .transpose()?;
        let wanted = Wanted {
            auth: password.is_some(),
            role,
            loading,
        };
        let ask = question(
            password.as_deref(),
            config::get("user").as_deref(),
            role.is_some(),
        );
        let fail = |why: &str| Ok((Status::Fail, why.to_owned()));
        // All at once; Redis ends the connection after QUIT.
        let judged = match tcp_exchange(host, port, &ask, &[], ANSWER_MAX, context::remaining_ms()) {
            Ok(answer) => judge(&answer, wanted),
            Err(Error::Denied) => return Err(Failure::Denied(format!("tcp {address}"))),
            Err(Error::NameUnresolved) => return Err(Failure::Unavailable(format!("no address for {host}"))),
            Err(Error::Refused) => fail("connection refused"),
            Err(Error::Timeout) => fail("no answer in time"),
            Err(Error::Reset) => fail("connection closed"),
            Err(Error::Unreachable) => fail("no route"),
            Err(Error::Tls(why) | Error::Other(why)) => fail(&why),
        };
        let (status, message) = judged?;
        Ok(Verdict {
            status,
            message: format!("{address}: {message}"),
            weight: None,
            next_ms: None,
        })
    }
}

/// Most of an answer: a master with a thousand replicas has less.
const ANSWER_MAX: u32 = 64 << 10;
/// Most of a password file.
const PASSWORD_MAX: u32 = 1 << 10;

fn wrong(what: &str) -> Failure {
    Failure::Config(format!("`address` {what}; write: address \"127.0.0.1:6379\""))
}

fn password(path: &str) -> Result<Vec<u8>, Failure> {
    let content = files::read(path, PASSWORD_MAX).map_err(|error| match error {
        files::Error::Denied => Failure::Denied(format!("read {path}")),
        files::Error::NotFound => Failure::Config(format!("`password-file`: there is no {path}")),
        files::Error::TooLarge => {
            Failure::Config(format!("`password-file`: {path} is over {PASSWORD_MAX} bytes"))
        }
        files::Error::Io(why) => Failure::Unavailable(format!("{path}: {why}")),
    })?;
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::Config(format!(
            "`password-file`: the first line of {path} is empty"
        )));
    }
    Ok(line.to_vec())
}

fn question(password: Option<&[u8]>, user: Option<&str>, role: bool) -> Vec<u8> {
    let mut ask = Vec::new();
    match (password, user) {
        (Some(password), Some(user)) => ask.extend(command(&[b"AUTH", user.as_bytes(), password])),
        (Some(password), None) => ask.extend(command(&[b"AUTH", password])),
        (None, _) => {}
    }
    ask.extend(command(&[b"PING"]));
    if role {
        ask.extend(command(&[b"ROLE"]));
    }
    ask.extend(command(&[b"QUIT"]));
    ask
}

fn judge(answer: &[u8], wanted: Wanted) -> Result<(Status, String), Failure> {
    let mut rest = answer;
    let mut next = || {
        let (first, behind) = value(rest)?;
        rest = behind;
        Some(first)
    };
    let odd = || Ok((Status::Fail, "the answer is not Redis's".to_owned()));
    if wanted.auth {
        match next() {
            Some(Value::Simple(ok)) if ok == "OK" => {}
            Some(Value::Error(why)) => return refused(&why, wanted),
            _ => return odd(),
        }
    }
    match next() {
        Some(Value::Simple(pong)) if pong == "PONG" => {}
        Some(Value::Error(why)) => return refused(&why, wanted),
        _ => return odd(),
    }
    let Some(role) = wanted.role else {
        return Ok((Status::Pass, "PONG".into()));
    };
    match next() {
        Some(Value::Array(facts)) => Ok(play(&facts, role)),
        Some(Value::Error(why)) => refused(&why, wanted),
        _ => odd(),
    }
}

/// What an error is: of the configuration, of the moment, or of the server.
fn refused(why: &str, wanted: Wanted) -> Result<(Status, String), Failure> {
    let shown: String = why.chars().take(120).collect();
    match why.split_whitespace().next() {
        Some("NOAUTH") => Err(Failure::Config(
            "Redis wants a password; write: password-file \"/etc/standfast/redis.password\"".into(),
        )),
        Some("WRONGPASS" | "NOPERM") => Err(Failure::Config(format!("`password-file` or `user`: {shown}"))),
        Some("LOADING") if wanted.loading => Ok((Status::Warn, "it is loading its data".into())),
        Some("LOADING") => Ok((Status::Fail, "it is loading its data".into())),
        Some(_) | None => Ok((Status::Fail, shown)),
    }
}

/// What `ROLE` says against what is wanted.
fn play(facts: &[Value], wanted: Role) -> (Status, String) {
    let word = |index: usize| match facts.get(index) {
        Some(Value::Bulk(Some(bytes))) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    match (word(0).as_str(), wanted) {
        ("master", Role::Master) => (Status::Pass, "master".into()),
        ("slave", Role::Replica) => match word(3).as_str() {
            "connected" => (Status::Pass, format!("replica of {}", word(1))),
            link => (
                Status::Fail,
                format!("replica of {}, but its link is {link:?}", word(1)),
            ),
        },
        ("master", Role::Replica) => (Status::Fail, "it is a master, a replica is wanted".into()),
        ("slave", Role::Master) => (
            Status::Fail,
            format!("it is a replica of {}, a master is wanted", word(1)),
        ),
        (other, _) => (
            Status::Fail,
            format!("it is {other:?}, neither master nor replica"),
        ),
    }
}

#[cfg(target_family = "wasm")]
export!(Redis);

#[cfg(test)]
mod tests;
