//! systemd, asked over the system's message bus: what a unit is doing, and jobs on it. Every call has a time limit.

use std::path::Path;
use std::time::Duration;

use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Structure, Type, Value};

use super::proc_table::{FileId, network_of};

/// A call that is not answered within this is not answered.
const LIMIT: Duration = Duration::from_secs(5);
const USUAL: &str = "unix:path=/run/dbus/system_bus_socket";
const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";
const OF_MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(crate) const OF_UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(crate) const OF_SERVICE: &str = "org.freedesktop.systemd1.Service";

/// Why systemd did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no bus, nobody at its other end, or no answer in time.
    #[error("systemd's bus does not answer: {0}; mode \"direct\" needs none")]
    Silent(String),
    /// It answered, and does not.
    #[error("systemd refuses: {text}")]
    Refused { name: String, text: String },
}

/// The way to systemd. Each errand has a connection of its own: nothing is to be mended when the bus was away.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    address: Option<String>,
}

/// A unit that systemd has loaded, or has tried to.
#[derive(Debug)]
pub(crate) struct Unit {
    connection: Connection,
    path: OwnedObjectPath,
}

/// What a unit is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `active`, `activating`, `deactivating`, `reloading`, `inactive`, `failed`.
    pub(crate) active: String,
    /// `running`, `auto-restart`, `stop-sigterm` ...
    pub(crate) sub: String,
    /// A job on it waits or runs.
    pub(crate) busy: bool,
    pub(crate) main: Option<Pid>,
    /// `success`, `exit-code`, `signal`, `start-limit-hit` ...
    pub(crate) result: String,
}

impl Bus {
    /// As every program of the system finds it.
    pub(crate) fn of_the_system() -> Self {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok();
        Self {
            address: address.filter(|address| !address.is_empty()),
        }
    }

    #[cfg(test)]
    pub(crate) fn at(address: String) -> Self {
        Self {
            address: Some(address),
        }
    }

    /// systemd runs this machine, and the network that we are on: what it starts can meet what we start.
    pub(crate) fn is_systemds(&self) -> bool {
        let ours = network_of(Pid::this());
        // Without the right to look, it is taken for ours.
        let apart = network_of(Pid::from_raw(1)).is_some_and(|its: FileId| Some(its) != ours);
        self.address.is_some() || Path::new("/run/systemd/system").is_dir() && !apart
    }

    /// A unit by its name, loaded if need be.
    ///
    /// # Errors
    /// Nobody answers. A unit that does not exist is one whose `LoadState` says so.
    pub(crate) async fn unit(&self, name: &str) -> Result<Unit, Fault> {
        let connection = self.connect().await?;
        let found = call(&connection, MANAGER, OF_MANAGER, "LoadUnit", &(name,)).await?;
        let path = body(&found)?;
        Ok(Unit { connection, path })
    }

    /// The unit that a process belongs to.
    ///
    /// # Errors
    /// Nobody answers, or it belongs to none.
    pub(crate) async fn unit_of(&self, pid: Pid) -> Result<Unit, Fault> {
        let connection = self.connect().await?;
        let number = (pid.as_raw().unsigned_abs(),);
        let found = call(&connection, MANAGER, OF_MANAGER, "GetUnitByPID", &number).await?;
        let path = body(&found)?;
        Ok(Unit { connection, path })
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let address = self.address.as_deref().unwrap_or(USUAL);
        let connecting = async { Builder::address(address)?.build().await };
        match timeout(LIMIT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Fault::Silent(format!("{address}: {error}"))),
            Err(_) => Err(Fault::Silent(format!(
                "{address}: no greeting within {} s",
                LIMIT.as_secs()
            ))),
        }
    }
}

impl Unit {
    /// What it is doing now.
    ///
    /// # Errors
    /// Nobody answers.
    pub(crate) async fn state(&self) -> Result<UnitState, Fault> {
        let job: OwnedValue = self.property(OF_UNIT, "Job").await?;
        let job = Structure::try_from(Value::from(job)).ok();
        let job = job.and_then(|job| u32::try_from(job.fields().first()?).ok());
        let main: u32 = self.get(OF_SERVICE, "MainPID").await?;
        Ok(UnitState {
            active: self.get(OF_UNIT, "ActiveState").await?,
            sub: self.get(OF_UNIT, "SubState").await?,
            busy: job.is_some_and(|number| number != 0),
            main: i32::try_from(main).ok().filter(|pid| *pid > 0).map(Pid::from_raw),
            result: self.get(OF_SERVICE, "Result").await?,
        })
    }

    /// One of its properties.
    ///
    /// # Errors
    /// Nobody answers, or it has no such property.
    pub(crate) async fn get<T: TryFrom<OwnedValue>>(
        &self,
        interface: &str,
        property: &str,
    ) -> Result<T, Fault> {
        let value = self.property(interface, property).await?;
        T::try_from(value).map_err(|_| Fault::Silent(format!("{property} is of another type")))
    }

    /// The programs that it starts.
    ///
    /// # Errors
    /// Nobody answers.
    pub(crate) async fn programs(&self) -> Result<Vec<String>, Fault> {
        let value = self.property(OF_SERVICE, "ExecStart").await?;
        let Value::Array(lines) = Value::from(value) else {
            return Ok(Vec::new());
        };
        let program = |line: &Value<'_>| {
            let line = Structure::try_from(line.try_clone().ok()?).ok()?;
            String::try_from(line.fields().first()?.try_clone().ok()?).ok()
        };
        Ok(lines.iter().filter_map(program).collect())
    }

    /// Queues a job: `StartUnit`, `StopUnit`, `ReloadUnit`, `RestartUnit`.
    ///
    /// # Errors
    /// Nobody answers, or systemd refuses.
    pub(crate) async fn ask(&self, method: &str) -> Result<(), Fault> {
        let name: String = self.get(OF_UNIT, "Id").await?;
        call(&self.connection, MANAGER, OF_MANAGER, method, &(name, "replace"))
            .await
            .map(drop)
    }

    /// Signals its processes; `whom` is `main` or `all`.
    ///
    /// # Errors
    /// Nobody answers, or systemd refuses.
    pub(crate) async fn kill(&self, whom: &str, signal: i32) -> Result<(), Fault> {
        let name: String = self.get(OF_UNIT, "Id").await?;
        call(
            &self.connection,
            MANAGER,
            OF_MANAGER,
            "KillUnit",
            &(name, whom, signal),
        )
        .await
        .map(drop)
    }

    async fn property(&self, interface: &str, property: &str) -> Result<OwnedValue, Fault> {
        let properties = "org.freedesktop.DBus.Properties";
        let words = (interface, property);
        body(&call(&self.connection, self.path.as_str(), properties, "Get", &words).await?)
    }
}

async fn call<B: Serialize + DynamicType>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    words: &B,
) -> Result<Message, Fault> {
    let calling = connection.call_method(Some(NAME), path, Some(interface), method, words);
    match timeout(LIMIT, calling).await {
        Ok(answer) => answer.map_err(|error| fault(method, error)),
        Err(_) => Err(Fault::Silent(format!(
            "no answer to {method} within {} s",
            LIMIT.as_secs()
        ))),
    }
}

fn body<T: DeserializeOwned + Type>(answer: &Message) -> Result<T, Fault> {
    let read = answer.body().deserialize();
    read.map_err(|error| Fault::Silent(format!("an answer cannot be read: {error}")))
}

/// An answer of the bus itself is that there is nobody else.
fn fault(method: &str, error: zbus::Error) -> Fault {
    let zbus::Error::MethodError(name, text, _) = error else {
        return Fault::Silent(format!("{method}: {error}"));
    };
    let text = text.unwrap_or_else(|| name.to_string());
    let of_the_bus = [
        "NameHasNoOwner",
        "ServiceUnknown",
        "NoReply",
        "Disconnected",
        "Timeout",
        "TimedOut",
        "LimitsExceeded",
    ];
    let word = name.strip_prefix("org.freedesktop.DBus.Error.");
    if word.is_some_and(|word| of_the_bus.contains(&word) || word.starts_with("Spawn.")) {
        Fault::Silent(text)
    } else {
        Fault::Refused {
            name: name.to_string(),
            text,
        }
    }
}
