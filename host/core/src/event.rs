//! All that can come in.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::file::Config;
use crate::control::ServiceAction;
use crate::ids::{CheckName, Family, IfName, NotifyName, PluginName, RouterName, ServiceName};
use crate::plugin::call::{ActionCall, CallError, CheckOutcome, Usage};
use crate::plugin::channel::LoadedPlugin;
use crate::service::action::{Exit, Started};
use crate::service::failure::Class;
use crate::service::look::Look;
use crate::vrrp::addresses::Step;
use crate::wire::claim::Claim;

/// Everything that happens, as the engine is told it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A plugin asks for an action; answered by `Command::Act`.
    Act(ActionCall),
    /// The kernel answered an `AddAddresses` or `RemoveAddresses`.
    AddressesDone {
        /// The router.
        router: RouterName,
        /// Which of the two.
        step: Step,
        /// What became of it.
        result: Result<(), String>,
    },
    /// A check run was answered.
    Checked {
        /// The check.
        check: CheckName,
        /// The run.
        run: u64,
        /// What came of it.
        outcome: CheckOutcome,
        /// How long it took.
        took: Duration,
    },
    /// Another host says that an address is its own (`Command::HearClaims`).
    Claimed {
        /// The router that holds it.
        router: RouterName,
        /// What it says.
        claim: Claim,
    },
    /// The connections to the addresses of a router that drains were counted (`Command::Drain`), or cannot be.
    Connections {
        /// The router.
        router: RouterName,
        /// How many there are.
        result: Result<usize, String>,
    },
    /// A `Command::Forward` was carried out, or not.
    Forwarding {
        /// The router.
        router: RouterName,
        /// What became of it.
        result: Result<(), String>,
    },
    /// An interface changed; `None`: it is gone.
    Link {
        /// Its name.
        interface: IfName,
        /// Its whole state.
        link: Option<Link>,
    },
    /// A delivery to a hook was answered.
    Notified {
        /// The hook.
        notify: NotifyName,
        /// Event id.
        id: u64,
        /// What came of it.
        result: Result<(), CallError>,
    },
    /// An operator moves routers; `ticket` is answered by `Command::Answer` when it has come to its end.
    Move {
        /// What.
        moving: Moving,
        /// Names the asker.
        ticket: u64,
    },
    /// An operator asks something of a service; `ticket` is answered by `Command::Answer`.
    Operate {
        /// The service.
        service: ServiceName,
        /// What.
        action: ServiceAction,
        /// Names the asker.
        ticket: u64,
    },
    /// A packet of protocol 112.
    Packet(Packet),
    /// The file of a plugin appeared, changed or went (`None`).
    PluginFile {
        /// The plugin.
        plugin: PluginName,
        /// Its file, the first one found in the folders.
        path: Option<PathBuf>,
    },
    /// A load was answered.
    PluginLoaded {
        /// The plugin.
        plugin: PluginName,
        /// The load.
        generation: u64,
        /// What serves now, or why nothing changed.
        result: Result<LoadedPlugin, String>,
    },
    /// Somebody else took away what this node has put on.
    Robbed(Robbed),
    /// A new configuration, parsed.
    Reload(Box<Config>),
    /// A new configuration was refused; shown in status until one is accepted.
    ReloadRefused(String),
    /// An advert could not be sent.
    SendFailed {
        /// The router.
        router: RouterName,
    },
    /// An operator wants the version of a plugin that served before; answered by `Command::Answer`.
    RollBack {
        /// The plugin.
        plugin: PluginName,
        /// Whom to answer.
        ticket: u64,
    },
    /// A service's process ended.
    ServiceExited {
        /// The service.
        service: ServiceName,
        /// Its process.
        pid: u32,
        /// How.
        exit: Exit,
    },
    /// A service does its work.
    ServiceReady {
        /// The service.
        service: ServiceName,
        /// Its process.
        pid: u32,
    },
    /// A service's reload command ended, or systemd does not reload it.
    ServiceReloaded {
        /// The service.
        service: ServiceName,
        /// Whether it succeeded, or what it said.
        result: Result<(), String>,
    },
    /// The hands have looked at a service.
    ServiceSeen {
        /// The service.
        service: ServiceName,
        /// Its process.
        pid: u32,
        /// What they saw.
        look: Look,
    },
    /// A worker of a service ended.
    ServiceStirred {
        /// The service.
        service: ServiceName,
        /// The worker.
        ended: u32,
    },
    /// What a service left behind has ended, or why not.
    ServiceSwept {
        /// The service.
        service: ServiceName,
        /// Why something is left.
        result: Result<(), String>,
    },
    /// A service was spawned, or could not be.
    ServiceStarted {
        /// The service.
        service: ServiceName,
        /// Its process, or why there is none.
        result: Result<Started, (Class, String)>,
    },
    /// A configuration test ended.
    ServiceTested {
        /// The service.
        service: ServiceName,
        /// Whether it passed, or what it said.
        result: Result<(), String>,
    },
    /// Somebody else has announced an address that is awaited (`Command::AwaitSuccessor`).
    SuccessorSeen {
        /// The router.
        router: RouterName,
    },
    /// Leave: resign, release, stop the services, then `Command::Exit`.
    Shutdown,
    /// Time has passed.
    Tick,
    /// What plugins were denied, and what they measured.
    Used(Usage),
    /// The wall clock reads so many nanoseconds since 1970 (UTC); told at the start and now and then.
    WallClock(u64),
    /// The worker ended.
    WorkerDown(String),
    /// The worker is there; the text names its engine.
    WorkerUp(String),
}

/// A route or rule with our mark that somebody else has removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Robbed {
    /// A route.
    Route {
        /// Its family.
        family: Family,
        /// Destination and prefix length.
        destination: (IpAddr, u8),
        /// Its table.
        table: u32,
        /// Its metric in the kernel.
        metric: u32,
    },
    /// A routing rule.
    Rule {
        /// Its family.
        family: Family,
        /// Its priority.
        priority: u32,
    },
    /// News were lost: there may be any of them.
    Unknown,
}

/// What an operator moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moving {
    /// A router, or all of a sync group, goes to another node now, and comes back when it is told to.
    HandOver(String),
    /// All routers go, and stay away.
    Drain,
    /// A router, or all, may come back.
    Resume(Option<String>),
}

/// A packet of protocol 112 with what the checks of RFC 9568 section 7.1 need from its IP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it came in.
    pub interface: IfName,
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// It says that connections outlive a planned move there.
    pub keeps: bool,
    /// How long it waited to be read: timers count from its arrival (S10).
    pub waited: Duration,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// An interface as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Administratively up.
    pub up: bool,
    /// Has a carrier.
    pub carrier: bool,
    /// Its addresses in kernel order; none that is still being checked for duplicates.
    pub addresses: Vec<IpAddr>,
    /// Those of them that standfast put on, in this life or an earlier one.
    pub ours: Vec<IpAddr>,
}
