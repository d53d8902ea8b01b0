//! The command line: what can be said, and which file does it.

mod ask;
mod columns;
mod plugin;
mod print;
mod run;
mod service;
mod table;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use standfast_core::control::ServiceAction;
use standfast_core::ids::ServiceName;

use crate::status_code::Code;

const EXAMPLES: &str = "Examples:
  standfast validate /etc/standfast/standfast.kdl   is the configuration right, and what follows from it?
  standfast run                                     in the foreground, as systemd runs it
  standfast status --watch                          who holds the VIP, and how is everything?
  standfast why VI_1                                why is it so?
  standfast events --follow                         what happens
  standfast drain                                   move everything away before maintenance; then `standfast resume`
  standfast service reload nginx                    `nginx -t`, reload, and see that new workers came
  standfast service status nginx                    its workers, its last failure, what happened
  standfast plugin new --lang rust disk-full        a plugin of one's own; then `plugin inspect`, `run`, `bench`
  standfast plugin list                             which plugin files serve, and since when

Exit codes: 0 ok, 1 runtime, 2 usage, 3 configuration invalid (status: not running), 4 no permission,
5 already running, 6 environment (plugin, worker, key or nft missing). An interface that is missing is waited for.";

const HANDOVER: &str = "Examples:
  standfast handover VI_1     exits 0 when another node answers for it, 1 when nobody took it over
  standfast resume VI_1       and back, if its priority is the best";

const DRAIN: &str = "Examples:
  standfast drain && systemctl restart nginx && standfast resume

A drained node serves on only where nobody else takes over (`when-alone`), and exits 1 then. That it is drained is kept
in the runtime directory: after a start of the machine it is drained no more.";

const RESUME: &str = "Examples:
  standfast resume            the node is drained no more, and what was handed over may come back
  standfast resume VI_1       only this one";

/// Keeps a service reachable at a virtual IP: VRRP, health checks as WASM plugins, nginx supervised.
#[derive(Debug, Parser)]
#[command(name = "standfast", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run in the foreground; SIGHUP reloads, SIGTERM resigns and stops.
    Run(RunArgs),
    /// Check a configuration and print what follows from it; needs no root and changes nothing.
    Validate(ValidateArgs),
    /// Show who holds the virtual addresses and how everything is; exits 0 healthy, 1 degraded, 3 not running.
    Status(StatusArgs),
    /// Say why a router, check, service, hook or plugin is as it is.
    Why {
        /// Its name, as `status` shows it.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show what has happened.
    Events(EventsArgs),
    /// Read the configuration again; all or nothing.
    Reload {
        #[command(flatten)]
        place: Place,
    },
    /// Move a router to another node now, without losing a packet; it comes back when `resume` says so.
    #[command(after_help = HANDOVER)]
    Handover {
        /// The router, or its sync group.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Move all routers of this node away, without losing a packet, and keep them away, over a restart of the daemon too.
    #[command(after_help = DRAIN)]
    Drain {
        #[command(flatten)]
        place: Place,
    },
    /// End `drain` and `handover`: routers stand for election again.
    #[command(after_help = RESUME)]
    Resume {
        /// Only this router or sync group.
        name: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Write, look at and try plugins.
    #[command(subcommand)]
    Plugin(plugin::Verb),
    /// Act on a supervised service, or say how it is.
    Service {
        /// What to do.
        #[arg(value_enum)]
        action: Action,
        /// Which service.
        name: ServiceName,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the daemon can be found.
#[derive(Clone, Debug, Args)]
struct Place {
    /// Directory of the control socket [default: $RUNTIME_DIRECTORY or /run/standfast].
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
}

impl Place {
    fn dir(&self) -> PathBuf {
        let from_systemd = || std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        self.runtime_dir
            .clone()
            .or_else(from_systemd)
            .unwrap_or_else(|| "/run/standfast".into())
    }
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/standfast/standfast.kdl")]
    config: PathBuf,
    /// Directory of compiled plugins [default: $CACHE_DIRECTORY/compiled or /var/cache/standfast].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// The worker's program [default: standfast-worker beside this one, or /usr/lib/standfast/standfast-worker].
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// We are the brain: the guardian is at the standard input.
    #[arg(long, hide = true)]
    guarded: bool,
}

#[derive(Debug, Args)]
struct ValidateArgs {
    /// The configuration.
    #[arg(default_value = "/etc/standfast/standfast.kdl")]
    file: PathBuf,
    /// Priority of the other node, to judge whether the weights can move the VIP.
    #[arg(long, value_name = "N")]
    peer_priority: Option<u8>,
    /// Print the derived numbers as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Print the snapshot as JSON.
    #[arg(long)]
    json: bool,
    /// Show it again every second.
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct EventsArgs {
    /// Wait for further events.
    #[arg(long, short)]
    follow: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Action {
    /// Start it, and forget an earlier give-up.
    Start,
    /// Stop it and keep it stopped; the node becomes unfit.
    Stop,
    /// Stop and start.
    Restart,
    /// Test its configuration, have it read again, and see that new workers came.
    Reload,
    /// nginx: start the program that lies there now beside the old one, with its sockets, then end the old one.
    Upgrade,
    /// Say how it is, and what happened to it.
    Status,
}

impl Action {
    /// What the daemon is to do; `None`: only tell.
    fn deed(self) -> Option<ServiceAction> {
        match self {
            Self::Start => Some(ServiceAction::Start),
            Self::Stop => Some(ServiceAction::Stop),
            Self::Restart => Some(ServiceAction::Restart),
            Self::Reload => Some(ServiceAction::Reload),
            Self::Upgrade => Some(ServiceAction::Upgrade),
            Self::Status => None,
        }
    }
}

/// Parses the arguments and does what they say.
pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Run(args) => return run::run(args),
        Verb::Validate(args) => validate::validate(&args),
        Verb::Status(args) => ask::status(&args),
        Verb::Why { name, place } => ask::why(&place, name),
        Verb::Events(args) => ask::events(&args),
        Verb::Reload { place } => ask::reload(&place),
        Verb::Handover { name, place } => ask::handover(&place, name),
        Verb::Drain { place } => ask::drain(&place),
        Verb::Resume { name, place } => ask::resume(&place, name),
        Verb::Plugin(verb) => plugin::plugin(&verb),
        Verb::Service { action, name, place } => match action.deed() {
            Some(deed) => ask::service(&place, name, deed),
            None => service::tell(&place, &name),
        },
    };
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            if failure.code != Code::Ok {
                eprintln!("standfast: {failure}");
            }
            failure.code.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command that `--help` and the README show is one that the program takes.
    #[test]
    fn documented_commands_parse() {
        let readme = include_str!("../../../README.md");
        let commands: Vec<&str> = EXAMPLES
            .lines()
            .chain(readme.lines())
            .map(str::trim)
            .filter(|line| line.starts_with("standfast "))
            .collect();
        assert!(commands.len() >= 7, "{commands:?}");
        for command in commands {
            // What it does stands behind two spaces or a hash.
            let words = command.split("  ").next().unwrap().split(" #").next().unwrap();
            let parsed = Cli::try_parse_from(words.split_whitespace());
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        }
    }
}
