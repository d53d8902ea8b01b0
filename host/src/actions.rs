//! Actions: commands of the configuration, run for plugins as another user and without a shell, each on a thread of its own.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};
use standfast_core::config::action::ActionConfig;
use standfast_core::plugin::call::{ActionError, ActionOutcome, User};
use standfast_core::plugin::channel::ToWorker;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::orphans::{signal_group, sweep_group};
use crate::slots::{MOST, MOST_OF_CHECKS, PLACES, Slots};
use crate::worker::Worker;

/// What is kept of each output, bytes; the rest is read and dropped.
const OUTPUT_MAX: usize = 16 << 10;
/// How long an output may be held open by others after the command's own end.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long a killed command is waited for: one that hangs in a dead file system never ends.
const KILLED: Duration = Duration::from_secs(5);
/// All that an action finds in its environment, beside its name.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs actions and tells the worker how they ended.
#[derive(Clone, Debug)]
pub(crate) struct Actions {
    worker: Worker,
    slots: Slots,
    /// Changes when nobody waits any more for what runs.
    forsaken: watch::Sender<()>,
}

impl Actions {
    /// Answers go to this worker.
    pub(crate) fn new(worker: Worker) -> Self {
        Self {
            worker,
            slots: Slots::new(),
            forsaken: watch::Sender::new(()),
        }
    }

    /// The worker that asked has ended. The next one is told the same events again: what runs now must not run beside
    /// what they start.
    pub(crate) fn forsake(&self) {
        self.forsaken.send_replace(());
    }

    /// Runs one, or says why not. Never waits.
    pub(crate) fn run(&self, id: u64, user: &User, action: Result<ActionConfig, ActionError>) {
        let config = match action {
            Ok(config) => config,
            Err(error) => return self.answer(id, Err(error)),
        };
        let Ok(place) = Arc::clone(&self.slots.places).try_acquire_owned() else {
            return self.answer(id, Err(failed(format!("{PLACES} actions wait or run already"))));
        };
        let own = self.clone();
        let name = config.name.clone();
        let of_check = matches!(user, User::Check(_));
        let forsaken = self.forsaken.subscribe();
        let running = move || {
            let result = execute(&config, &own.slots, of_check, forsaken);
            if let Err(error) = &result {
                tracing::warn!(action = %config.name, "action failed: {error:?}");
            }
            drop(place);
            own.answer(id, result);
        };
        // A fork of this process takes a moment: not on the loop's thread.
        if let Err(error) = thread::Builder::new().name("action".into()).spawn(running) {
            tracing::warn!(action = %name, "no thread to run it: {error}");
            self.answer(id, Err(failed(error)));
        }
    }

    fn answer(&self, id: u64, result: Result<ActionOutcome, ActionError>) {
        self.worker.send(ToWorker::Acted { id, result });
    }
}

fn execute(
    config: &ActionConfig,
    slots: &Slots,
    of_check: bool,
    mut forsaken: watch::Receiver<()>,
) -> Result<ActionOutcome, ActionError> {
    let deadline = Instant::now() + config.timeout;
    let mut command = command(config)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let taken = tokio::select! {
            taken = timeout_at(deadline, slots.take(of_check)) => taken,
            _ = forsaken.changed() => return Err(failed("its asker has ended")),
        };
        let Ok(Some(_slot)) = taken else {
            return Err(failed(format!(
                "{MOST} actions run already, or {MOST_OF_CHECKS} of checks, and none has ended in time: make them \
                 quicker, or their checks rarer"
            )));
        };
        let child = command
            .spawn()
            .map_err(|error| failed(format!("{}: {error}", config.exec.join(" "))))?;
        let over = async {
            tokio::select! {
                () = sleep_until(deadline) => {}
                // Without a sender we end, too.
                _ = forsaken.changed() => {}
            }
        };
        attend(child, over).await
    })
}

fn command(config: &ActionConfig) -> Result<Command, ActionError> {
    let [program, arguments @ ..] = config.exec.as_slice() else {
        return Err(failed("no command"));
    };
    let unknown = || {
        failed(format!(
            "user {} was not found when the configuration was read; reload it",
            config.user
        ))
    };
    let account = config.account.ok_or_else(unknown)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("STANDFAST_ACTION", config.name.as_str())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if account.uid != geteuid().as_raw() {
        // Supplementary groups are dropped with it.
        command.uid(account.uid).gid(account.gid);
    }
    Ok(command)
}

async fn attend(mut child: Child, over: impl Future<Output = ()>) -> Result<ActionOutcome, ActionError> {
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .map(Pid::from_raw);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let outputs = async { tokio::join!(read(out, &mut stdout), read(err, &mut stderr)) };
        let (mut outputs, mut over) = (std::pin::pin!(outputs), std::pin::pin!(over));
        let mut all = false;
        let ended = loop {
            tokio::select! {
                status = child.wait() => break Some(status),
                () = &mut over => break None,
                _ = &mut outputs, if !all => all = true,
            }
        };
        if ended.is_some() && !all {
            // Others may hold it open; what was read is kept.
            let _ = timeout(LAST_WORDS, outputs).await;
        }
        ended
    };
    let Some(status) = ended else {
        end(&mut child, group).await;
        return Err(ActionError::Timeout);
    };
    if let Some(group) = group {
        // What it left behind would be in nobody's hands, without a bound of any kind.
        let _ = sweep_group(group, LAST_WORDS).await;
    }
    let status = status.map_err(failed)?;
    Ok(ActionOutcome {
        code: status.code(),
        signal: status.signal(),
        stdout,
        stderr,
    })
}

/// KILL, to the command and all that it has started.
async fn end(child: &mut Child, group: Option<Pid>) {
    if let Some(group) = group {
        let _ = signal_group(group, Signal::SIGKILL);
    }
    if timeout(KILLED, child.wait()).await.is_err() {
        return;
    }
    if let Some(group) = group {
        let _ = sweep_group(group, LAST_WORDS).await;
    }
}

/// Reads an output to its end and keeps its beginning, however far that comes.
async fn read(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut output) = output else {
        return;
    };
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut piece).await {
        let room = OUTPUT_MAX - kept.len();
        kept.extend_from_slice(piece.get(..length.min(room)).unwrap_or_default());
    }
}

fn failed(why: impl ToString) -> ActionError {
    ActionError::Spawn(why.to_string())
}

#[cfg(test)]
mod tests {
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
        let asker = watch::Sender::new(());
        execute(config, &Slots::new(), false, asker.subscribe())
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
    fn what_nobody_waits_for_any_more_is_killed() {
        become_subreaper().unwrap();
        let asker = watch::Sender::new(());
        let (slots, forsaken) = (Slots::new(), asker.subscribe());
        let long = action(&["/bin/sleep", "65"], 60_000);
        let running = thread::spawn(move || execute(&long, &slots, false, forsaken));
        thread::sleep(Duration::from_millis(50));
        asker.send_replace(());
        let begun = Clock::now();
        assert!(running.join().unwrap().is_err());
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
    fn one_more_than_can_run_waits_for_its_turn_and_for_its_own_deadline_only() {
        let (slots, asker) = (Slots::new(), watch::Sender::new(()));
        let all = |exec: &'static [&'static str], timeout| {
            let start = |_| {
                let (slots, asker) = (slots.clone(), asker.subscribe());
                thread::spawn(move || execute(&action(exec, timeout), &slots, true, asker))
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
        let turned_away = |ended: &Result<_, _>| matches!(ended, Err(ActionError::Spawn(why)) if why.contains("run already"));
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
}
