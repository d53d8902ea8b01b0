//! Commands become deeds: the only file that acts, and the hands' answers become events.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use standfast_core::command::Command;
use standfast_core::config::router::VirtualAddress;
use standfast_core::config::service::ServiceKind;
use standfast_core::event::Event;
use standfast_core::ids::{IfName, RouterName, ServiceName};
use standfast_core::plugin::channel::ToWorker;
use standfast_core::vrrp::addresses::Step;
use standfast_core::wire::arp::gratuitous;
use tokio::sync::{mpsc, oneshot};

use crate::alarm::now;
use crate::journal::Journal;
use crate::net::addresses::Addresses;
use crate::net::links::Links;
use crate::net::packet_socket::PacketSocket;
use crate::net::vrrp_socket::VrrpSocket;
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// Everything that acts.
pub(crate) struct Hands {
    pub(crate) sockets: BTreeMap<IfName, VrrpSocket>,
    pub(crate) frames: PacketSocket,
    pub(crate) links: Links,
    pub(crate) journal: Journal,
    pub(crate) supervisor: Supervisor,
    pub(crate) worker: Worker,
    pub(crate) kinds: BTreeMap<ServiceName, ServiceKind>,
    /// Operators who wait, by ticket.
    pub(crate) askers: BTreeMap<u64, oneshot::Sender<Result<String, String>>>,
    pub(crate) address_jobs: mpsc::Sender<AddressJob>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// Addresses to be put on or taken off, each on the interface with this index.
#[derive(Debug)]
pub(crate) struct AddressJob {
    router: RouterName,
    step: Step,
    addresses: Vec<(Option<u32>, VirtualAddress)>,
}

impl Hands {
    /// Performs one command. `true`: it was `Exit`.
    pub(crate) fn perform(&mut self, command: Command) -> bool {
        match command {
            Command::SendAdvert {
                router,
                interface,
                source,
                destination,
                bytes,
            } => {
                let sent = self
                    .sockets
                    .get_mut(&interface)
                    .map(|s| s.send(source, destination, &bytes));
                if !matches!(sent, Some(Ok(()))) {
                    tracing::trace!(%router, ?sent, "advert not sent");
                    self.tell(Event::SendFailed { router });
                }
            }
            Command::AddAddresses { router, addresses } => self.queue(router, Step::Add, addresses),
            Command::RemoveAddresses { router, addresses } => self.queue(router, Step::Remove, addresses),
            Command::Announce { addresses, repeat } => self.announce(&addresses, repeat),
            Command::Check(call) => self.worker.send(ToWorker::Check(call)),
            Command::Load(load) => self.worker.send(ToWorker::Load(load)),
            Command::Notify(mut call) => {
                // The time of the event, however late it is told.
                let age = now().since(call.event.at);
                let then = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .saturating_sub(age);
                call.event.at_ms = u64::try_from(then.as_millis()).unwrap_or(u64::MAX);
                self.worker.send(ToWorker::Notify(call));
            }
            Command::StartService(config) => {
                self.kinds.insert(config.name.clone(), config.kind);
                self.supervisor.start(config);
            }
            Command::TestService(config) => self.supervisor.test(config),
            Command::SignalService { service, pid, signal } => {
                let kind = self.kinds.get(&service).copied().unwrap_or(ServiceKind::Process);
                self.supervisor.signal(&service, kind, pid, signal);
            }
            Command::Answer { ticket, result } => {
                if let Some(asker) = self.askers.remove(&ticket) {
                    // An asker who has left is fine.
                    let _ = asker.send(result);
                }
            }
            Command::Record(record) => self.journal.write(record),
            Command::Exit => return true,
        }
        false
    }

    fn queue(&self, router: RouterName, step: Step, addresses: Vec<VirtualAddress>) {
        let with_index =
            |address: VirtualAddress| (self.links.snapshot(&address.dev).map(|link| link.index), address);
        let addresses = addresses.into_iter().map(with_index).collect();
        if let Err(error) = self.address_jobs.try_send(AddressJob {
            router,
            step,
            addresses,
        }) {
            let router = match error {
                mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job) => job.router,
            };
            let result = Err("too many changes wait for the kernel".into());
            self.tell(Event::AddressesDone { router, step, result });
        }
    }

    /// Copies outer, addresses inner, as keepalived does (keepalived.md 2.6).
    fn announce(&self, addresses: &[(IfName, std::net::Ipv4Addr)], repeat: u32) {
        let frames: Vec<_> = addresses
            .iter()
            .filter_map(|(dev, address)| {
                let link = self.links.snapshot(dev)?;
                Some((link.index, gratuitous(link.mac, *address)))
            })
            .collect();
        for _ in 0..repeat {
            for (index, frame) in &frames {
                if let Err(error) = self.frames.send(*index, frame) {
                    tracing::debug!(index, "gratuitous ARP not sent: {error}");
                }
            }
        }
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::error!("the event queue is full: an event of the hands is lost");
        }
    }
}

/// Carries address jobs out, one after the other, in order.
pub(crate) async fn work_on_addresses(
    kernel: Addresses,
    mut jobs: mpsc::Receiver<AddressJob>,
    events: mpsc::Sender<Event>,
) {
    while let Some(AddressJob {
        router,
        step,
        addresses,
    }) = jobs.recv().await
    {
        let result = change(&kernel, step, addresses).await;
        if let Err(error) = &result {
            tracing::warn!(%router, ?step, "addresses: {error}");
        }
        if events
            .send(Event::AddressesDone { router, step, result })
            .await
            .is_err()
        {
            return;
        }
    }
}

/// All addresses are tried; the first fault is told.
async fn change(
    kernel: &Addresses,
    step: Step,
    addresses: Vec<(Option<u32>, VirtualAddress)>,
) -> Result<(), String> {
    let mut by_device: BTreeMap<Option<u32>, Vec<VirtualAddress>> = BTreeMap::new();
    for (index, address) in addresses {
        by_device.entry(index).or_default().push(address);
    }
    let mut first_fault = Ok(());
    for (index, addresses) in by_device {
        let result = match (index, step) {
            (Some(index), Step::Add) => kernel
                .add_all(index, &addresses, None)
                .await
                .map_err(|error| error.to_string()),
            (Some(index), Step::Remove) => kernel
                .remove_all(index, &addresses)
                .await
                .map_err(|error| error.to_string()),
            (None, Step::Add) => Err(addresses.first().map_or_else(String::new, |address| {
                format!("interface {} does not exist", address.dev)
            })),
            // With the interface its addresses are gone.
            (None, Step::Remove) => Ok(()),
        };
        first_fault = first_fault.and(result);
    }
    first_fault
}
