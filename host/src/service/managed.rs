//! Whether systemd starts, too, what a service of mode "direct" would start (N1): two who do fight.

use nix::unistd::Pid;
use standfast_core::config::service::{ServiceConfig, ServiceKind};
use standfast_core::service::failure::Class;
use tokio::task::spawn_blocking;

use super::adopt::{self, Running};
use super::obtain::Refusal;
use super::program::Program;
use super::systemd_bus::{Bus, Fault, OF_SERVICE, OF_UNIT, Unit};

/// The unit of the distribution.
const USUAL: &str = "nginx.service";

/// What of this would keep it from its start.
///
/// # Errors
/// See the two below.
pub(crate) async fn may_start(bus: &Bus, config: &ServiceConfig) -> Result<(), String> {
    if config.kind != ServiceKind::Nginx || !bus.is_systemds() {
        return Ok(());
    }
    let command = config.command.clone();
    let why = |(_, why): Refusal| why;
    refuse_a_second_starter(bus, &command).await.map_err(why)?;
    match spawn_blocking(move || adopt::find(&command).running).await {
        Ok(Running::Master(pid, _)) => refuse_a_units_process(bus, pid).await.map_err(why),
        Ok(Running::Orphans(_) | Running::Nothing) | Err(_) => Ok(()),
    }
}

/// # Errors
/// A unit that is active or enabled starts the same program.
pub(crate) async fn refuse_a_second_starter(bus: &Bus, command: &[String]) -> Result<(), Refusal> {
    let Some(program) = command.first().filter(|_| bus.is_systemds()) else {
        return Ok(());
    };
    let own = program.rsplit('/').next().unwrap_or(program);
    let own = format!("{own}.service");
    let mut names = vec![USUAL];
    if own != USUAL {
        names.push(&own);
    }
    for name in names {
        match starts_it(bus, name, program).await {
            Ok(false) => {}
            Ok(true) => {
                return Err(refusal(
                    name,
                    &format!("systemd starts {program}, too, as {name}"),
                ));
            }
            Err(fault) => {
                tracing::warn!("whether systemd starts {program}, too, is not known: {fault}");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// # Errors
/// This process is the main process of a unit that is active.
pub(crate) async fn refuse_a_units_process(bus: &Bus, pid: Pid) -> Result<(), Refusal> {
    if !bus.is_systemds() {
        return Ok(());
    }
    match unit_led_by(bus, pid).await {
        Ok(Some(name)) => Err(refusal(
            &name,
            &format!("pid {pid} runs already, and is {name} of systemd"),
        )),
        // Of no unit, or of one whose main process is another: ours, or that of somebody's session.
        Ok(None) | Err(Fault::Refused { .. }) => Ok(()),
        Err(fault) => {
            tracing::warn!("whether pid {pid} is systemd's is not known: {fault}");
            Ok(())
        }
    }
}

async fn starts_it(bus: &Bus, name: &str, program: &str) -> Result<bool, Fault> {
    let unit = bus.unit(name).await?;
    let active = is_active(&unit).await?;
    let enabled: String = unit.get(OF_UNIT, "UnitFileState").await?;
    if !active && !matches!(enabled.as_str(), "enabled" | "enabled-runtime") {
        return Ok(false);
    }
    let ours = Program::of(program);
    let started = unit.programs().await?;
    Ok(started
        .iter()
        .any(|path| path == program || ours.is_some() && Program::of(path) == ours))
}

async fn unit_led_by(bus: &Bus, pid: Pid) -> Result<Option<String>, Fault> {
    let unit = bus.unit_of(pid).await?;
    let name: String = unit.get(OF_UNIT, "Id").await?;
    if !name.ends_with(".service") || !is_active(&unit).await? {
        return Ok(None);
    }
    let main: u32 = unit.get(OF_SERVICE, "MainPID").await?;
    Ok((main == pid.as_raw().unsigned_abs()).then_some(name))
}

async fn is_active(unit: &Unit) -> Result<bool, Fault> {
    let active: String = unit.get(OF_UNIT, "ActiveState").await?;
    Ok(!matches!(active.as_str(), "inactive" | "failed"))
}

fn refusal(name: &str, what: &str) -> Refusal {
    let short = name.strip_suffix(".service").unwrap_or(name);
    let why = format!("{what}: systemctl disable --now {short} (or write mode \"systemd\" unit=\"{name}\")");
    (Class::Broken, why)
}
