//! A service that systemd starts (N1): found, started and stopped by asking it; watched by ourselves.

use std::time::Duration;

use nix::sys::signal::Signal as Number;
use nix::unistd::Pid;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use standfast_core::service::action::{How, Signal};
use standfast_core::service::failure::{Class, classify_nginx};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::census;
use super::obtain::{Known, Obtained, Refusal};
use super::proc_table::{Stat, State, stat};
use super::systemd_bus::{Bus, Fault, OF_SERVICE, OF_UNIT, Unit, UnitState};
use super::trial;
use crate::exit::Exit;
use crate::process::{Handle, Process, open_pidfd};

/// Between two looks at what systemd does.
const LOOK: Duration = Duration::from_millis(20);
/// systemd has collected a process that ended within this, or nobody knows how it ended.
const COLLECTED: Duration = Duration::from_secs(2);

/// The one that runs, or one that systemd starts.
///
/// # Errors
/// Nobody answers, or there is none within the limit of its start.
pub(crate) async fn obtain(
    bus: &Bus,
    config: &ServiceConfig,
    name: &str,
    known: &mut Known,
) -> Result<Obtained, Refusal> {
    let unit = loaded(bus, name).await?;
    if !std::mem::replace(&mut known.searched, true) {
        warn_of_another_restarter(&unit, name).await;
    }
    let deadline = Instant::now() + config.start_timeout;
    let mut asked = false;
    loop {
        let state = unit.state().await.map_err(refusal)?;
        match (state.active.as_str(), state.main) {
            ("active" | "reloading", Some(pid)) => {
                if let Some(process) = watched(pid)? {
                    let how = if asked { How::Spawned } else { How::Adopted };
                    return Ok(Obtained {
                        process,
                        how,
                        group: None,
                        orphans: Vec::new(),
                        pid_file: None,
                    });
                }
            }
            ("active", None) if !state.busy && state.sub != "running" => {
                let why = format!("{name} is active without a main process: there is nothing to watch");
                return Err((Class::Broken, why));
            }
            ("inactive" | "failed", _) if !state.busy => {
                if asked {
                    return Err(why_it_failed(config, name, &state).await);
                }
                unit.ask("StartUnit").await.map_err(refusal)?;
                asked = true;
                continue;
            }
            // systemd is at it.
            _ => {}
        }
        if Instant::now() >= deadline {
            let seconds = config.start_timeout.as_secs_f32();
            let why = format!(
                "{name} is {} ({}), and not active after {seconds} s",
                state.active, state.sub
            );
            return Err((Class::Transient, why));
        }
        sleep(LOOK).await;
    }
}

/// The successor that a running nginx starts itself when told to (N14); systemd follows it by its pid file.
///
/// # Errors
/// There is none.
pub(crate) async fn beside(
    bus: &Bus,
    config: &ServiceConfig,
    name: &str,
    (old, handle): (Stat, Handle),
) -> Result<Obtained, Refusal> {
    let unit = loaded(bus, name).await?;
    let pid_file: String = unit.get(OF_SERVICE, "PIDFile").await.map_err(refusal)?;
    if pid_file.is_empty() {
        let why = format!(
            "{name} has no PIDFile=, by which systemd would follow the new one; restart it: systemctl restart {name}"
        );
        return Err((Class::Transient, why));
    }
    let transient = |error: std::io::Error| (Class::Transient, error.to_string());
    handle.signal(Number::SIGUSR2).map_err(transient)?;
    // Before the limit of the core, which does not know the reason.
    let deadline = Instant::now() + config.start_timeout.mul_f32(0.9);
    while Instant::now() < deadline {
        let seen = spawn_blocking(move || census::look(old.pid, old.started)).await;
        let successor = seen.ok().flatten().and_then(|census| census.successor);
        if let Some(process) = successor.and_then(|new| watched(new.pid).ok()?) {
            return Ok(Obtained {
                process,
                how: How::Spawned,
                group: None,
                orphans: Vec::new(),
                pid_file: None,
            });
        }
        sleep(LOOK).await;
    }
    let why = format!(
        "no successor after USR2, see the error log; nginx does not know USR2 in the foreground: systemctl restart {name}"
    );
    Err((Class::Transient, why))
}

/// Whether systemd knows the unit.
///
/// # Errors
/// It does not, or nobody answers.
pub(crate) async fn check(bus: &Bus, name: &str) -> Result<(), String> {
    loaded(bus, name).await.map(drop).map_err(|(_, why)| why)
}

/// Has systemd do what the signal is for.
///
/// # Errors
/// Nobody answers, or it refuses.
pub(crate) async fn signal(bus: &Bus, name: &str, signal: Signal) -> Result<(), Fault> {
    let unit = bus.unit(name).await?;
    match signal {
        Signal::Quit | Signal::Terminate => unit.ask("StopUnit").await,
        Signal::Reload => unit.ask("ReloadUnit").await,
        Signal::Continue => unit.kill("all", Number::SIGCONT as i32).await,
        // systemd knows no single workers.
        Signal::KillStopped => Ok(()),
        Signal::KillMain => unit.kill("main", Number::SIGKILL as i32).await,
        Signal::Kill => {
            // First the job, so that systemd's own `Restart=` does not take the death for an accident.
            let stop = unit.ask("StopUnit").await;
            unit.kill("all", Number::SIGKILL as i32).await.and(stop)
        }
    }
}

/// How its last main process ended; only systemd, its parent, knows.
pub(crate) async fn how_it_ended(bus: &Bus, name: &str, pid: Pid) -> Option<Exit> {
    let asking = async {
        let unit = bus.unit(name).await.ok()?;
        loop {
            let last: u32 = unit.get(OF_SERVICE, "ExecMainPID").await.ok()?;
            if last != pid.as_raw().unsigned_abs() {
                return None;
            }
            let code: i32 = unit.get(OF_SERVICE, "ExecMainCode").await.ok()?;
            let status: i32 = unit.get(OF_SERVICE, "ExecMainStatus").await.ok()?;
            match code {
                CLD_EXITED => {
                    return Some(Exit {
                        code: Some(status),
                        signal: None,
                    });
                }
                CLD_KILLED | CLD_DUMPED => {
                    return Some(Exit {
                        code: None,
                        signal: Some(status),
                    });
                }
                // It has not collected it yet.
                _ => sleep(LOOK).await,
            }
        }
    };
    timeout(COLLECTED, asking).await.ok().flatten()
}

async fn loaded(bus: &Bus, name: &str) -> Result<Unit, Refusal> {
    let unit = bus.unit(name).await.map_err(refusal)?;
    let state: String = unit.get(OF_UNIT, "LoadState").await.map_err(refusal)?;
    let why = match state.as_str() {
        "not-found" => {
            format!("there is no unit {name}; install it, or name another: mode \"systemd\" unit=")
        }
        "masked" => format!("{name} is masked: systemctl unmask {name}"),
        "bad-setting" | "error" => {
            format!("systemd cannot read {name} ({state}): systemctl status {name}")
        }
        _ => return Ok(unit),
    };
    Err((Class::Broken, why))
}

async fn warn_of_another_restarter(unit: &Unit, name: &str) {
    let restart = unit.get::<String>(OF_SERVICE, "Restart").await;
    if let Some(restart) = restart.ok().filter(|word| word != "no") {
        tracing::warn!(
            "{name} has Restart={restart}: systemd and standfast would both restart it; `systemctl edit {name}`, and \
             there `[Service]` with `Restart=no`"
        );
    }
}

/// Something to watch and signal it by; `None`: it has ended, which systemd will see.
fn watched(pid: Pid) -> Result<Option<Process>, Refusal> {
    let Ok(pidfd) = open_pidfd(pid) else {
        return Ok(None);
    };
    let process = Process::adopted(pid, pidfd).map_err(|error| (Class::Transient, error.to_string()))?;
    Ok(stat(pid).filter(|now| now.state != State::Ended).map(|_| process))
}

/// systemd keeps what it said in the journal; the program is asked again.
async fn why_it_failed(config: &ServiceConfig, name: &str, state: &UnitState) -> Refusal {
    if config.kind == ServiceKind::Nginx
        && let Err(why) = trial::test_nginx(config).await
    {
        return (classify_nginx(&why), why);
    }
    let hint = match state.result.as_str() {
        "start-limit-hit" => format!("systemctl reset-failed {name}"),
        _ => format!("journalctl -u {name}"),
    };
    let why = format!("{name} did not start ({}); see: {hint}", state.result);
    (Class::Transient, why)
}

fn refusal(fault: Fault) -> Refusal {
    const HOPELESS: [&str; 3] = ["AccessDenied", "InteractiveAuthorizationRequired", "UnitMasked"];
    let class = match &fault {
        Fault::Refused { name, .. } if HOPELESS.iter().any(|word| name.ends_with(word)) => Class::Broken,
        Fault::Refused { .. } | Fault::Silent(_) => Class::Transient,
    };
    (class, fault.to_string())
}

const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;
