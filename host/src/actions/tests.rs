//! Actions really run: how they end, how long they wait, as whom.

use std::time::Instant as Clock;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::{self, getegid};
use standfast_core::config::account::Account;

use super::*;
use crate::orphans::become_subreaper;

fn action(exec: &[&str], timeout: u64) -> ActionConfig {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    ActionConfig {
        name: "a".parse().unwrap(),
        exec: exec.iter().map(|word| (*word).to_owned()).collect(),
        user: "me".into(),
        account: Some(Account { uid, gid }),
        timeout: Duration::from_millis(timeout),
        args: 0,
    }
}

fn run(config: &ActionConfig) -> Result<ActionOutcome, ActionError> {
    execute(config, &Slots::new(), false)
}

#[test]
fn code_signal_and_both_outputs_come_back_and_no_shell_reads_the_words() {
    let ended = run(&action(&["/bin/echo", "$HOME", ";", "a b"], 20_000)).unwrap();
    assert_eq!(
        (ended.code, ended.stdout.as_slice()),
        (Some(0), &b"$HOME ; a b\n"[..])
    );
    let script = "echo oops >&2; env; exit 7";
    let ended = run(&action(&["/bin/sh", "-c", script], 20_000)).unwrap();
    assert_eq!((ended.code, ended.stderr.as_slice()), (Some(7), &b"oops\n"[..]));
    let found = String::from_utf8(ended.stdout).unwrap();
    let names: Vec<_> = found.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(
        names
            .iter()
            .all(|name| ["PATH", "STANDFAST_ACTION", "PWD", "OLDPWD", "_", "SHLVL"].contains(name))
    );
    let ended = run(&action(&["/bin/sh", "-c", "kill -9 $$"], 20_000)).unwrap();
    assert_eq!((ended.code, ended.signal), (None, Some(9)));
}

#[test]
fn output_is_cut_and_never_blocks() {
    let ended = run(&action(&["/usr/bin/head", "-c", "1000000", "/dev/zero"], 20_000)).unwrap();
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), OUTPUT_MAX));
}

#[test]
fn at_its_timeout_it_is_killed_with_all_that_it_has_started() {
    become_subreaper().unwrap();
    let begun = Clock::now();
    let ended = run(&action(&["/bin/sh", "-c", "sleep 61 & exec sleep 62"], 300));
    assert_eq!(ended, Err(ActionError::Timeout));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_it_leaves_behind_ends_with_it_and_takes_no_word_along() {
    become_subreaper().unwrap();
    let begun = Clock::now();
    let script = "echo $$; echo oops >&2; sleep 64 & exit 5";
    let ended = run(&action(&["/bin/sh", "-c", script], 20_000)).unwrap();
    assert_eq!((ended.code, ended.stderr.as_slice()), (Some(5), &b"oops\n"[..]));
    let group = String::from_utf8(ended.stdout).unwrap();
    let group = Pid::from_raw(group.trim().parse().unwrap());
    assert_eq!(killpg(group, None), Err(Errno::ESRCH));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn checks_leave_slots_to_hooks() {
    let slots = Slots::new();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let take = async |of_check| {
            timeout(Duration::from_millis(50), slots.take(of_check))
                .await
                .ok()
                .flatten()
        };
        let mut held = Vec::new();
        for _ in 0..MOST_OF_CHECKS {
            held.push(take(true).await.unwrap());
        }
        assert!(take(true).await.is_none());
        for _ in MOST_OF_CHECKS..MOST {
            held.push(take(false).await.unwrap());
        }
        assert!(take(false).await.is_none());
        drop(held);
        assert!(take(true).await.is_some());
    });
}

#[test]
fn one_more_than_can_run_waits_for_its_turn_and_for_its_own_deadline_only() {
    let slots = Slots::new();
    let all = |exec: &'static [&'static str], timeout| {
        let start = |_| {
            let slots = slots.clone();
            thread::spawn(move || execute(&action(exec, timeout), &slots, true))
        };
        let started: Vec<_> = (0..MOST_OF_CHECKS + 2).map(start).collect();
        started
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    };
    let ended = all(&["/bin/sleep", "0.2"], 20_000);
    assert!(
        ended
            .iter()
            .all(|ended| ended.as_ref().is_ok_and(|ended| ended.code == Some(0))),
        "{ended:?}"
    );
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let held: Vec<_> = (0..MOST_OF_CHECKS)
        .map(|_| runtime.block_on(slots.take(true)).unwrap())
        .collect();
    let ended = all(&["/bin/true"], 200);
    let turned_away =
        |ended: &Result<_, _>| matches!(ended, Err(ActionError::Spawn(why)) if why.contains("run already"));
    assert!(ended.iter().all(turned_away), "{ended:?}");
    drop(held);
}

#[test]
fn what_cannot_run_says_why() {
    let why = |action: ActionConfig| match run(&action) {
        Err(ActionError::Spawn(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(action(&["/no/such/program"], 1000)).contains("/no/such/program: No such file"));
    let stranger = ActionConfig {
        account: None,
        ..action(&["/bin/true"], 1000)
    };
    assert!(why(stranger).starts_with("user me was not found"));
}

#[test]
fn it_runs_as_its_user() {
    if !geteuid().is_root() {
        return;
    }
    let nobody = unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let nobody = Some(Account { uid, gid });
    let ended = run(&ActionConfig {
        account: nobody,
        ..action(&["/usr/bin/id", "-un"], 20_000)
    });
    assert_eq!(ended.unwrap().stdout, b"nobody\n");
    let groups = run(&ActionConfig {
        account: nobody,
        ..action(&["/usr/bin/id", "-Gn"], 20_000)
    });
    assert!(!String::from_utf8_lossy(&groups.unwrap().stdout).contains("root"));
}
