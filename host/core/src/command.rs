//! All that can go out: the hands perform it, in order.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::action::ActionConfig;
use crate::config::route::{VirtualRoute, VirtualRule};
use crate::config::service::ServiceConfig;
use crate::config::virtual_address::VirtualAddress;
use crate::config::virtual_mac::VirtualMac;
use crate::ids::{IfName, Mac, RouterName, ServiceName, VrrpState};
use crate::plugin::call::{ActionError, CheckCall, NotifyCall, User};
use crate::plugin::channel::LoadPlugin;
use crate::service::action::Signal;
use crate::time::Instant;

/// Everything to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Put addresses, routes and rules on, in one go; answer with `Event::AddressesDone`.
    AddAddresses {
        /// The router.
        router: RouterName,
        /// What to put on, in order.
        holdings: Holdings,
    },
    /// Send gratuitous ARP or unsolicited neighbour advertisements for each address, `repeat` times.
    Announce {
        /// The addresses, each on its own interface.
        addresses: Vec<(IfName, IpAddr)>,
        /// Frames per address.
        repeat: u32,
    },
    /// Answer the operator with this ticket.
    Answer {
        /// Whom.
        ticket: u64,
        /// What.
        result: Result<String, String>,
    },
    /// Run a check; answer with `Event::Checked`.
    Check(CheckCall),
    /// Run an action, or say why not; answer the worker with `ToWorker::Acted`.
    Act {
        /// The call.
        id: u64,
        /// Who asks.
        user: User,
        /// The command with the plugin's words behind it, its timeout cut to what the plugin waits for.
        action: Result<ActionConfig, ActionError>,
    },
    /// All is released and stopped: end the process.
    Exit,
    /// Watch the network for somebody else who announces one of these addresses, until `ForgetSuccessor`; answer with
    /// `Event::SuccessorSeen`.
    AwaitSuccessor {
        /// The router.
        router: RouterName,
        /// The addresses, each on its own interface.
        addresses: Vec<(IfName, IpAddr)>,
    },
    /// Serve on what was begun at these addresses: hold them where the network does not ask for them, and tell of the
    /// connections by `Event::Connections` until `EndDrain`. Comes before they are taken off.
    Drain {
        /// The router.
        router: RouterName,
        /// The addresses.
        addresses: Vec<VirtualAddress>,
        /// When the kernel ends it by itself.
        lifetime: Duration,
    },
    /// Let go of what `Drain` has asked for.
    EndDrain(RouterName),
    /// Forward what is sent to these addresses and belongs to connections that were not begun here, until `EndForward`;
    /// answer with `Event::Forwarding`. Comes before they are put on.
    Forward {
        /// The router.
        router: RouterName,
        /// The old master.
        to: IpAddr,
        /// The interface that it is on.
        interface: IfName,
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// When the kernel ends it by itself.
        lifetime: Duration,
    },
    /// Forward no longer.
    EndForward(RouterName),
    /// Do not watch any longer.
    ForgetSuccessor(RouterName),
    /// Load a plugin; answer with `Event::PluginLoaded`.
    Load(LoadPlugin),
    /// Tell a hook; answer with `Event::Notified`.
    Notify(NotifyCall),
    /// Look at a service's process; answer with `Event::ServiceSeen`.
    LookAtService {
        /// The service.
        config: ServiceConfig,
        /// Its process.
        pid: u32,
        /// Whether it is probed, too.
        probe: bool,
    },
    /// Listen for who else says that it has one of these addresses, in the place of those named before; told as
    /// `Event::Claimed`. None: listen no more.
    HearClaims {
        /// The router.
        router: RouterName,
        /// The addresses, each on its own interface.
        addresses: Vec<(IfName, IpAddr)>,
    },
    /// Ask who else has these addresses.
    Probe {
        /// The addresses, each on its own interface.
        addresses: Vec<(IfName, IpAddr)>,
    },
    /// Have the kernel keep the addresses of these routers for another lease, in one go. Not answered: what the kernel
    /// takes away is seen.
    RenewLeases {
        /// Who holds addresses on lease.
        routers: Vec<RouterName>,
        /// When it was asked for. Much later it must not be done any more: they may be another node's.
        at: Instant,
    },
    /// Run a service's reload command; answer with `Event::ServiceReloaded`.
    ReloadService(ServiceConfig),
    /// Keep for the record: a log line and an event.
    Record(Record),
    /// Take addresses, routes and rules off, in one go; answer with `Event::AddressesDone`.
    RemoveAddresses {
        /// The router.
        router: RouterName,
        /// What to take off, in reverse order.
        holdings: Holdings,
        /// The router is leaving: its virtual MAC device goes as well.
        forever: bool,
        /// Only what a reload took out: device and filter stay as they are.
        partial: bool,
    },
    /// Send an advert.
    SendAdvert {
        /// The router.
        router: RouterName,
        /// Interface to send from.
        interface: IfName,
        /// Primary or link-local address of the interface.
        source: IpAddr,
        /// The multicast group, or a unicast peer.
        destination: IpAddr,
        /// TTL or hop limit.
        ttl: u8,
        /// The virtual MAC, if the frame is to come from there (R-7.2-2).
        mac: Option<Mac>,
        /// It says that connections outlive a planned move here.
        keeps: bool,
        /// The VRRP message.
        bytes: Vec<u8>,
    },
    /// Signal a service's process.
    SignalService {
        /// The service.
        service: ServiceName,
        /// Its process.
        pid: u32,
        /// What for.
        signal: Signal,
    },
    /// Adopt a service that runs, take over from its workers, or sweep what is left of its last life and spawn it;
    /// answer with `Event::ServiceStarted`, then `Event::ServiceReady`, `Event::ServiceStirred` and
    /// `Event::ServiceExited` as they come.
    StartService {
        /// The service.
        config: ServiceConfig,
        /// Spawn it with the listening sockets of this process, which serves on (N14).
        beside: Option<u32>,
    },
    /// End what a service left behind; answer with `Event::ServiceSwept`.
    SweepService(ServiceConfig),
    /// Have a service's program test its configuration; answer with `Event::ServiceTested`.
    TestService(ServiceConfig),
    /// Close the listening sockets that are held for a service.
    Unlisten(ServiceName),
}

/// All that a router holds while it is Master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The device with the virtual MAC: up while they are held, down while not.
    pub virtual_mac: Option<VirtualMac>,
    /// Advertised and excluded addresses.
    pub addresses: Vec<VirtualAddress>,
    /// Routes.
    pub routes: Vec<VirtualRoute>,
    /// Routing rules.
    pub rules: Vec<VirtualRule>,
    /// Whether packets to the addresses are accepted.
    pub accept: bool,
    /// How long the kernel keeps the addresses when nobody renews them; `None`: for ever.
    pub lease: Option<Duration>,
}

impl Holdings {
    /// Adds what another one has.
    pub fn extend(&mut self, other: &Self) {
        add(&mut self.addresses, &other.addresses);
        add(&mut self.routes, &other.routes);
        add(&mut self.rules, &other.rules);
    }

    /// Whether there is nothing to put on or take off.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.routes.is_empty() && self.rules.is_empty()
    }
}

/// One thing that happened, for log, events and hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// `vrrp`, `check`, `service`, `plugin`, `worker`, `notify`, `config`.
    pub kind: &'static str,
    /// What it happened to.
    pub subject: String,
    /// For `vrrp`: the states before and after.
    pub moved: Option<(VrrpState, VrrpState)>,
    /// One line.
    pub message: String,
    /// Whether an operator should look.
    pub warning: bool,
}

fn add<T: Clone + PartialEq>(own: &mut Vec<T>, other: &[T]) {
    for thing in other {
        if !own.contains(thing) {
            own.push(thing.clone());
        }
    }
}
