//! Passes while a command ends with exit code 0: for scripts that no plugin has replaced yet.
//!
//! The command is an `action` block of the configuration, which the daemon runs as the block's user and without a
//! shell; this plugin only names it. The first line that it writes is the message.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | `action` | needed | name of the block |
//! | `args` | – | words to put behind the command, as many as the block's `args` allows |
//! | `warn` | – | exit codes that are good, but that a person should look at |
//!
//! ```kdl
//! action "check-raid" { exec "/usr/local/bin/check-raid" "--brief"; user "nobody"; timeout "4s" }
//! check "raid" {
//!     plugin "exec-action"
//!     interval "10s"; timeout "5s"; fall 2; rise 2
//!     config { action "check-raid"; warn 1 }
//!     grant { action "check-raid" }
//! }
//! ```

#![allow(unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ path: "../../wit", world: "check-plugin" });

use exports::standfast::plugin::check::{Failure, Guest, Verdict};
use standfast::plugin::actions::{Error, Outcome, run};
use standfast::plugin::config;
use standfast::plugin::types::Status;

/// The plugin.
pub struct ExecAction;

impl Guest for ExecAction {
    fn run() -> Result<Verdict, Failure> {
        let missing =
            || Failure::Config("`action` is missing; write: action \"NAME\" of a block `action`".into());
        let action = config::get("action").ok_or_else(missing)?;
        let warn = codes(&config::get_all("warn"))?;
        let (status, message) = match run(&action, &config::get_all("args")) {
            Ok(outcome) => judge(&outcome, &warn),
            Err(Error::Timeout) => (Status::Fail, "it was killed at its timeout".to_owned()),
            Err(Error::Denied) => {
                return Err(Failure::Denied(format!(
                    "action {action:?}, or its `args`: the block allows as many words as its own `args` says, and none with - in front"
                )));
            }
            Err(Error::UnknownAction) => {
                return Err(Failure::Config(format!(
                    "there is no block `action {action:?}`; add one, or name another"
                )));
            }
            Err(Error::Spawn(why)) => return Err(Failure::Unavailable(format!("{action}: {why}"))),
        };
        Ok(Verdict {
            status,
            message: format!("{action}: {message}"),
            weight: None,
            next_ms: None,
        })
    }
}

fn codes(texts: &[String]) -> Result<Vec<i32>, Failure> {
    let code = |text: &String| text.parse().ok().filter(|code| (1..=255).contains(code));
    let wrong = || Failure::Config("`warn` is a list of exit codes from 1 to 255; write: warn 1".into());
    texts.iter().map(code).collect::<Option<_>>().ok_or_else(wrong)
}

fn judge(outcome: &Outcome, warn: &[i32]) -> (Status, String) {
    let (status, ended) = match (outcome.exit_code, outcome.signal) {
        (Some(0), _) => (Status::Pass, "exit code 0".to_owned()),
        (Some(code), _) if warn.contains(&code) => (Status::Warn, format!("exit code {code}")),
        (Some(code), _) => (Status::Fail, format!("exit code {code}")),
        (None, Some(signal)) => (Status::Fail, format!("ended by signal {signal}")),
        (None, None) => (Status::Fail, "nobody knows how it ended".to_owned()),
    };
    let said = first_line(&outcome.stdout).or_else(|| first_line(&outcome.stderr));
    let message = said.map_or_else(|| ended.clone(), |line| format!("{line} ({ended})"));
    (status, message)
}

/// The first line that is not empty.
fn first_line(output: &[u8]) -> Option<String> {
    let mut lines = output.split(|byte| *byte == b'\n');
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    Some(
        String::from_utf8_lossy(line.trim_ascii())
            .chars()
            .take(LINE_MAX)
            .collect(),
    )
}

/// Characters of a line: the host cuts a message at 512 bytes, and how the command ended is to be seen.
const LINE_MAX: usize = 200;

#[cfg(target_family = "wasm")]
export!(ExecAction);

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: Option<i32>, signal: Option<i32>, stdout: &str, stderr: &str) -> Outcome {
        Outcome {
            exit_code: code,
            signal,
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    #[test]
    fn the_exit_code_decides_and_the_first_line_is_told() {
        let judged = |outcome| judge(&outcome, &[1]);
        let (status, message) = judged(ended(Some(0), None, "\n all well \nmore", "noise"));
        assert_eq!(
            (status, message.as_str()),
            (Status::Pass, "all well (exit code 0)")
        );
        let (status, message) = judged(ended(Some(1), None, "", "degraded\n"));
        assert_eq!(
            (status, message.as_str()),
            (Status::Warn, "degraded (exit code 1)")
        );
        let (status, message) = judged(ended(Some(2), None, "", ""));
        assert_eq!((status, message.as_str()), (Status::Fail, "exit code 2"));
        let (status, message) = judged(ended(None, Some(9), "", ""));
        assert_eq!((status, message.as_str()), (Status::Fail, "ended by signal 9"));
        assert_eq!(judged(ended(None, None, "", "")).0, Status::Fail);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_odd_bytes_do_no_harm() {
        assert_eq!(
            first_line(&[b'x'; 16 << 10]).map(|line| line.len()),
            Some(LINE_MAX)
        );
        assert_eq!(first_line(b"\xff\xfe").as_deref(), Some("\u{fffd}\u{fffd}"));
        assert_eq!(first_line(b" \n\r\n"), None);
    }

    #[test]
    fn codes_are_numbers_of_exit_codes() {
        assert_eq!(codes(&["1".into(), "17".into()]).ok(), Some(vec![1, 17]));
        for wrong in ["0", "256", "one", ""] {
            assert!(codes(&[wrong.into()]).is_err(), "{wrong:?}");
        }
    }
}
