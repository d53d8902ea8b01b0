//! Has a command of the configuration run at each event, as keepalived's notify scripts were.
//!
//! The command is an `action` block, which the daemon runs as the block's user and without a shell. A command that ends
//! with another exit code than 0 is tried again as the hook's `retry` says, so it must do no harm when it runs twice.
//! The words of `args` may hold `{name}` and the like, for which the event's own words are put; one that is longer than
//! 256 bytes then is cut:
//!
//! | word | meaning |
//! | --- | --- |
//! | `{type}` | `INSTANCE`, `GROUP`, `CHECK`, `SERVICE` or `DAEMON` |
//! | `{name}` | name of the router, group, check or service; `daemon` of the daemon |
//! | `{was}`, `{now}` | `INIT`, `BACKUP`, `MASTER`, `FAULT` or `STOPPED` |
//! | `{from}`, `{to}` | the exact words for the states, such as `gave-up` |
//! | `{priority}`, `{id}` | effective priority; number of the event, the same when it is tried again |
//! | `{node}`, `{cause}` | this node, and the reason in one line |
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `action` | needed | name of the block |
//! | `args` | – | words to put behind the command, as many as the block's `args` allows; none may begin with `-`, so write `"cause={cause}"` |
//!
//! ```kdl
//! action "move-ip" { exec "/usr/local/bin/move-ip"; user "nobody"; timeout "8s"; args 4 }
//! notify "move-ip" {
//!     plugin "action"
//!     on "master" "backup" "fault" vrrp="VI_1"
//!     timeout "10s"; retry 3
//!     config { action "move-ip"; args "{type}" "{name}" "{now}" "{priority}" }
//!     grant { action "move-ip" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

mod words;

wit_bindgen::generate!({ path: "../../wit", world: "notify-plugin" });

use exports::standfast::plugin::notify::{Event, Failure, Guest};
use standfast::plugin::actions::{Error, Outcome, run};
use standfast::plugin::config;

/// The plugin.
pub struct Action;

impl Guest for Action {
    fn handle(event: Event) -> Result<(), Failure> {
        let missing =
            || Failure::Config("`action` is missing; write: action \"NAME\" of a block `action`".into());
        let action = config::get("action").ok_or_else(missing)?;
        let templates = config::get_all("args");
        let args = templates.iter().map(|text| words::fill(text, &event));
        let args: Vec<_> = args.collect::<Result<_, _>>().map_err(Failure::Config)?;
        match run(&action, &args) {
            Ok(outcome) => settle(&action, &outcome),
            Err(Error::Denied) => Err(Failure::Denied(format!(
                "action {action:?}, or its `args`: the block allows as many words as its own `args` says, and none with - in front"
            ))),
            Err(Error::UnknownAction) => Err(Failure::Config(format!(
                "there is no block `action {action:?}`; add one, or name another"
            ))),
            Err(Error::Timeout) => Err(Failure::Unavailable(format!(
                "{action}: it was killed at its timeout"
            ))),
            Err(Error::Spawn(why)) => Err(Failure::Unavailable(format!("{action}: {why}"))),
        }
    }
}

fn settle(action: &str, outcome: &Outcome) -> Result<(), Failure> {
    let ended = match (outcome.exit_code, outcome.signal) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "nobody knows how it ended".to_owned(),
    };
    let said = first_line(&outcome.stderr).or_else(|| first_line(&outcome.stdout));
    let said = said.map_or_else(String::new, |line| format!(", it said: {line}"));
    Err(Failure::Unavailable(format!("{action}: {ended}{said}")))
}

/// The first line that is not empty.
fn first_line(output: &[u8]) -> Option<String> {
    let mut lines = output.split(|byte| *byte == b'\n');
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    Some(
        String::from_utf8_lossy(line.trim_ascii())
            .chars()
            .take(200)
            .collect(),
    )
}

#[cfg(target_family = "wasm")]
export!(Action);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exit_code_0_is_a_delivery() {
        let ended = |exit_code, signal, stderr: &str| {
            let outcome = Outcome {
                exit_code,
                signal,
                stdout: b"out\n".to_vec(),
                stderr: stderr.into(),
            };
            settle("a", &outcome).map_err(|failure| format!("{failure:?}"))
        };
        assert_eq!(ended(Some(0), None, "noise"), Ok(()));
        let why = ended(Some(3), None, "no\nmore").unwrap_err();
        assert!(why.contains("a: exit code 3, it said: no\""), "{why}");
        let why = ended(None, Some(9), "").unwrap_err();
        assert!(why.contains("ended by signal 9, it said: out"), "{why}");
    }
}
