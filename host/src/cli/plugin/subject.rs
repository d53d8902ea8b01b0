//! What a plugin is called with: grants, settings and an event from the command line, as if a configuration said so.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Deserialize;
use standfast_core::config::grant::{self, Grants, Settings};
use standfast_core::config::instance::Instance;
use standfast_core::config::topic::Subject;
use standfast_core::ids::{InvalidId, PluginName, VrrpState};
use standfast_core::plugin::call::{CheckCall, NotifyCall, NotifyEvent};
use standfast_core::plugin::inspection::{Inspection, Kind};
use standfast_core::time::Instant;

use crate::keys;
use crate::status_code::{Code, Failure};

/// The block that a configuration would have.
#[derive(Debug, Args)]
pub(super) struct Block {
    /// A line of the `grant` block, as often as wanted: --grant 'tcp "127.0.0.1:80"'.
    #[arg(long, value_name = "LINE")]
    grant: Vec<String>,
    /// A setting of the `config` block, as often as wanted; the same key again adds a value.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Time for one call.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// What the plugin is told that its check or hook is called [default: name of the file].
    #[arg(long)]
    name: Option<PluginName>,
    /// Call it as a hook, if it is a check as well.
    #[arg(long)]
    pub(super) hook: bool,
    /// The event for a hook, as JSON; what is not said is as in the sample:
    /// {"kind":"vrrp","instance":"VI_1","was":"BACKUP","now":"MASTER","priority":150,"id":1,"attrs":{"cause":"…"}}.
    #[arg(long, value_name = "JSON")]
    event: Option<String>,
}

/// One call.
pub(super) enum Call {
    Check(CheckCall),
    Notify(NotifyCall),
}

impl Call {
    /// What it may use.
    pub(super) fn grants(&self) -> &Grants {
        match self {
            Self::Check(call) => &call.grants,
            Self::Notify(call) => &call.grants,
        }
    }
}

impl Block {
    /// The name under which the file is loaded.
    pub(super) fn plugin(&self, file: &Path) -> Result<PluginName, Failure> {
        let stem = || file.file_stem()?.to_str()?.parse().ok();
        match self.name.clone().or_else(stem) {
            Some(name) => Ok(name),
            None => PluginName::try_from("plugin".to_owned()).map_err(own),
        }
    }

    /// Most memory that is granted, bytes.
    pub(super) fn memory(&self) -> Result<u64, Failure> {
        Ok(self.grants()?.memory)
    }

    /// The call that this file is for.
    pub(super) fn call(&self, inspection: &Inspection) -> Result<Call, Failure> {
        let plugin = self.plugin(&inspection.file)?;
        let (settings, grants) = (self.settings()?, self.grants()?);
        let wants_hook = self.hook || self.event.is_some();
        let has = |kind| inspection.kinds.contains(&kind);
        if wants_hook && !has(Kind::Hook) {
            return Err(wrong(
                "it is a check, which is told no event: leave out --hook and --event",
            ));
        }
        if has(Kind::Check) && !wants_hook {
            return Ok(Call::Check(CheckCall {
                check: plugin.to_string().parse().map_err(own)?,
                run: 1,
                plugin,
                timeout: self.timeout,
                previous: None,
                instance: Instance::Fresh,
                settings,
                grants,
                routers: Vec::new(),
            }));
        }
        let text = match &self.event {
            Some(json) => serde_json::from_str(json).map_err(|error| wrong(format!("--event: {error}")))?,
            None => EventText::default(),
        };
        Ok(Call::Notify(NotifyCall {
            notify: plugin.to_string().parse().map_err(own)?,
            plugin,
            timeout: self.timeout,
            routers: Vec::new(),
            event: text.event().map_err(|why| wrong(format!("--event: {why}")))?,
            settings,
            grants,
        }))
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::new();
        for pair in &self.config {
            let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                return Err(wrong(format!(
                    "--config {pair}: write KEY=VALUE, as in --config address=127.0.0.1:80"
                )));
            };
            settings.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(settings)
    }

    fn grants(&self) -> Result<Grants, Failure> {
        let mut grants = grant::from_lines(&self.grant).map_err(|errors| {
            let faults = errors.faults().iter();
            let lines: Vec<_> = faults
                .map(|fault| format!("{} ({})", fault.message, fault.help))
                .collect();
            wrong(format!("--grant: {}", lines.join("; ")))
        })?;
        keys::require_of_grants("--grant", &mut grants)?;
        Ok(grants)
    }
}

/// An event as people write it: the words that the plugin `webhook` posts.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventText {
    kind: String,
    instance: String,
    was: String,
    now: String,
    priority: u8,
    id: u64,
    attrs: BTreeMap<String, String>,
}

impl Default for EventText {
    fn default() -> Self {
        let attrs = [
            ("node", "lb01"),
            ("cause", "a sample"),
            ("from", "backup"),
            ("to", "master"),
        ];
        Self {
            kind: "vrrp".into(),
            instance: "VI_1".into(),
            was: "BACKUP".into(),
            now: "MASTER".into(),
            priority: 150,
            id: 1,
            attrs: attrs.map(|(key, value)| (key.into(), value.into())).into(),
        }
    }
}

impl EventText {
    fn event(self) -> Result<NotifyEvent, String> {
        let name = self.instance;
        let bad = |error: InvalidId| error.to_string();
        let subject = match self.kind.as_str() {
            "vrrp" => Subject::Router(name.parse().map_err(bad)?),
            "group" => Subject::Group(name.parse().map_err(bad)?),
            "check" => Subject::Check(name.parse().map_err(bad)?),
            "service" => Subject::Service(name.parse().map_err(bad)?),
            "daemon" => Subject::Daemon,
            other => {
                return Err(format!(
                    "no kind {other:?}; write vrrp, group, check, service or daemon"
                ));
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(NotifyEvent {
            id: self.id,
            subject,
            was: state(&self.was)?,
            now: state(&self.now)?,
            priority: self.priority,
            at: Instant::default(),
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            attrs: self.attrs.into_iter().collect(),
        })
    }
}

fn state(word: &str) -> Result<VrrpState, String> {
    let all = [
        VrrpState::Init,
        VrrpState::Backup,
        VrrpState::Master,
        VrrpState::Fault,
        VrrpState::Stopped,
    ];
    let mut states = all.into_iter();
    let found = states.find(|state| state.to_string().eq_ignore_ascii_case(word));
    found.ok_or_else(|| format!("no state {word:?}; write INIT, BACKUP, MASTER, FAULT or STOPPED"))
}

fn own(error: InvalidId) -> Failure {
    wrong(error.to_string())
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Code::Config, message)
}
