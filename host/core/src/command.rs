//! All that can go out: the hands perform it, in order.

use std::net::Ipv4Addr;

use crate::config::router::VirtualAddress;
use crate::config::service::ServiceConfig;
use crate::ids::{IfName, RouterName, ServiceName, VrrpState};
use crate::plugin::call::{CheckCall, NotifyCall};
use crate::plugin::channel::LoadPlugin;
use crate::service::machine::Signal;
use crate::time::Instant;

/// Everything to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Put addresses on; answer with `Event::AddressesDone`.
    AddAddresses {
        /// The router.
        router: RouterName,
        /// Its addresses, in order.
        addresses: Vec<VirtualAddress>,
    },
    /// Send gratuitous ARP for each address, `repeat` times.
    Announce {
        /// The addresses, each on its own interface.
        addresses: Vec<(IfName, Ipv4Addr)>,
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
    /// All is released and stopped: end the process.
    Exit,
    /// Load a plugin; answer with `Event::PluginLoaded`.
    Load(LoadPlugin),
    /// Tell a hook; answer with `Event::Notified`.
    Notify(NotifyCall),
    /// Keep for the record: a log line and an event.
    Record(Record),
    /// Take addresses off; answer with `Event::AddressesDone`.
    RemoveAddresses {
        /// The router.
        router: RouterName,
        /// Its addresses.
        addresses: Vec<VirtualAddress>,
    },
    /// Send an advert.
    SendAdvert {
        /// The router.
        router: RouterName,
        /// Interface to send from.
        interface: IfName,
        /// Primary address of the interface.
        source: Ipv4Addr,
        /// The multicast group.
        destination: Ipv4Addr,
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
    /// Sweep what is left of a service's last life, then spawn it; answer with `Event::ServiceStarted`, then
    /// `Event::ServiceReady` and `Event::ServiceExited` as they come.
    StartService(ServiceConfig),
    /// Have a service's program test its configuration; answer with `Event::ServiceTested`.
    TestService(ServiceConfig),
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
