//! Commands become deeds: the only file that acts, and the hands' answers become events.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use standfast_core::command::Command;
use standfast_core::config::file::Config;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::event::{Event, Robbed};
use standfast_core::ids::{Family, IfName, Mac, RouterName};
use standfast_core::plugin::channel::ToWorker;
use standfast_core::vrrp::addresses::Step;
use standfast_core::wire::arp::{gratuitous, probe};
use standfast_core::wire::frame;
use standfast_core::wire::neighbour::{solicitation, unsolicited};
use tokio::sync::{mpsc, oneshot};

use crate::actions::Actions;
use crate::alarm::now;
use crate::goodbyes::{Goodbyes, Said};
use crate::journal::Journal;
use crate::masters::Masters;
use crate::net::claims::Claims;
use crate::net::drains::Drains;
use crate::net::forward::Way;
use crate::net::forwarder::Forwarder;
use crate::net::jobs::{Answer, Job};
use crate::net::keeper::Keeper;
use crate::net::links::Links;
use crate::net::packet_socket::PacketSocket;
use crate::net::successors::Successors;
use crate::sockets::Sockets;
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// Where an advert says its priority (RFC 9568 section 5.2.4).
const PRIORITY: usize = 2;

/// Everything that acts.
pub(crate) struct Hands {
    pub(crate) sockets: Sockets,
    pub(crate) frames: PacketSocket,
    pub(crate) links: Links,
    /// Devices with virtual MACs, by name: what is announced on one goes out of the interface below.
    pub(crate) virtual_macs: BTreeMap<IfName, VirtualMac>,
    pub(crate) journal: Journal,
    pub(crate) supervisor: Supervisor,
    pub(crate) worker: Worker,
    pub(crate) actions: Actions,
    /// Who is master, for the next life.
    pub(crate) masters: Masters,
    /// What is said for them if we are no more.
    pub(crate) goodbyes: Goodbyes,
    /// Operators who wait, by ticket.
    pub(crate) askers: BTreeMap<u64, oneshot::Sender<Result<String, String>>>,
    pub(crate) keeper: Keeper,
    pub(crate) successors: Successors,
    pub(crate) claims: Claims,
    pub(crate) drains: Drains,
    pub(crate) forwarder: Forwarder,
    pub(crate) events: mpsc::Sender<Event>,
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
                ttl,
                mac,
                keeps,
                bytes,
            } => {
                let from = (source, mac);
                // Who could not forward had better not be forwarded to: peers take it for what it is.
                let keeps = keeps && self.forwarder.able();
                // Said before it is said: who ends in between carries on all the same.
                let priority = bytes.get(PRIORITY).copied().unwrap_or_default();
                self.masters.spoke(&router, priority, now());
                if priority == 0 {
                    self.goodbyes.released(&router);
                } else {
                    let said = Said {
                        interface: &interface,
                        source,
                        destination,
                        ttl,
                        mac,
                        bytes: &bytes,
                    };
                    self.goodbyes.spoke(&router, said);
                }
                if let Err(error) = self.send_advert(&interface, from, (destination, ttl, keeps), &bytes) {
                    tracing::trace!(%router, "advert not sent: {error}");
                    self.tell(Event::SendFailed { router });
                }
            }
            Command::AddAddresses { router, holdings } => self.queue(Job::Add { router, holdings }),
            Command::RemoveAddresses {
                router,
                holdings,
                forever,
                partial,
            } => {
                if !partial {
                    self.masters.released(&router);
                    self.goodbyes.released(&router);
                }
                self.queue(Job::Remove {
                    router,
                    holdings,
                    forever,
                    partial,
                });
            }
            Command::RenewLeases { routers, at } => self.queue(Job::Renew { routers, at }),
            Command::AwaitSuccessor { router, addresses } => {
                let place = |(dev, address)| Some((self.way_out(&dev)?.0, address));
                let places = addresses.into_iter().filter_map(place).collect();
                self.successors.expect(router, places);
            }
            Command::Drain {
                router,
                addresses,
                lifetime,
            } => {
                let counted = addresses.iter().map(|held| held.address).collect();
                self.drains.count(router.clone(), counted);
                self.queue(Job::HoldAside {
                    router,
                    addresses,
                    lifetime,
                });
            }
            Command::EndDrain(router) => {
                self.drains.forget(router.clone());
                self.queue(Job::LetGoAside(router));
            }
            Command::Forward {
                router,
                to,
                interface,
                addresses,
                lifetime,
            } => {
                let way = Way {
                    to,
                    interface,
                    addresses,
                    lifetime,
                };
                if !self.forwarder.begin(router.clone(), way) {
                    let result = Err("too much is to be forwarded".to_owned());
                    self.tell(Event::Forwarding { router, result });
                }
            }
            Command::EndForward(router) => self.forwarder.end(router),
            Command::ForgetSuccessor(router) => self.successors.forget(router),
            Command::HearClaims { router, addresses } => self.hear_claims(&router, addresses),
            Command::Probe { addresses } => self.probe(&addresses),
            Command::Announce { addresses, repeat } => self.announce(&addresses, repeat),
            Command::Check(call) => self.worker.send(ToWorker::Check(call)),
            Command::Load(load) => self.worker.send(ToWorker::Load(load)),
            Command::Act { id, user, action } => self.actions.run(id, &user, action),
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
            Command::StartService { config, beside } => self.supervisor.start(config, beside),
            Command::LookAtService { config, pid, probe } => self.supervisor.look(config, pid, probe),
            Command::ReloadService(config) => self.supervisor.reload(config),
            Command::SweepService(config) => self.supervisor.sweep(config.name),
            Command::Unlisten(service) => self.supervisor.unlisten(&service),
            Command::TestService(config) => self.supervisor.test(config),
            Command::SignalService { service, pid, signal } => self.supervisor.signal(&service, pid, signal),
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

    /// From a virtual MAC as a whole frame, so that the device which has it need not be up. To a peer never so: only
    /// the kernel knows the MAC of the next hop.
    fn send_advert(
        &self,
        interface: &IfName,
        (source, mac): (IpAddr, Option<Mac>),
        (destination, ttl, keeps): (IpAddr, u8, bool),
        bytes: &[u8],
    ) -> io::Result<()> {
        // Who cannot hear must not speak.
        let Some(socket) = self.sockets.get(interface, Family::of(source)) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let Some(frame) = mac.and_then(|mac| frame::advert(mac, source, destination, ttl, bytes)) else {
            return socket.send(source, (destination, ttl, keeps), bytes);
        };
        match self.frames.send(socket.index(), &frame) {
            // Longer than a frame: the kernel can make fragments, though not from another MAC.
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                socket.send(source, (destination, ttl, keeps), bytes)
            }
            sent => sent,
        }
    }

    /// Hands a job to the keeper; one that does not fit is answered at once.
    pub(crate) fn queue(&self, job: Job) {
        let result = Err("too many changes wait for the kernel".into());
        match self.keeper.queue(job).map_err(|job| *job) {
            Ok(())
            | Err(
                Job::Prepare { .. }
                | Job::Keep(_)
                | Job::Renew { .. }
                | Job::HoldAside { .. }
                | Job::LetGoAside(_),
            ) => {}
            Err(Job::Add { router, .. }) => self.tell(done(router, Step::Add, result)),
            Err(Job::Remove { router, partial, .. }) => {
                self.tell(done(router, Step::removal(partial), result))
            }
        }
    }

    /// Who may have to forward finds out whether it can.
    pub(crate) fn prepare_forwarding(&self, config: &Config) {
        if config.routers.values().any(|router| router.drain.is_some()) {
            self.forwarder.prepare();
        }
    }

    /// Copies outer, addresses inner, as keepalived does (keepalived.md 2.6).
    fn announce(&self, addresses: &[(IfName, IpAddr)], repeat: u32) {
        // Once for each device: a crowd of addresses shares few.
        let mut ways = BTreeMap::new();
        let frames: Vec<_> = addresses
            .iter()
            .filter_map(|(dev, address)| {
                let (index, mac) = (*ways.entry(dev).or_insert_with(|| self.way_out(dev)))?;
                let frame = match address {
                    IpAddr::V4(address) => gratuitous(mac.0, *address).to_vec(),
                    IpAddr::V6(address) => unsolicited(mac, *address),
                };
                Some((index, frame))
            })
            .collect();
        for _ in 0..repeat {
            for (index, frame) in &frames {
                if let Err(error) = self.frames.send(*index, frame) {
                    tracing::debug!(index, "announcement not sent: {error}");
                }
            }
        }
    }

    /// On the interface below a device with a virtual MAC: there everything comes by.
    fn hear_claims(&mut self, router: &RouterName, addresses: Vec<(IfName, IpAddr)>) {
        let place = |(dev, address)| Some((self.links.place(self.below(&dev))?.0, address));
        let places = addresses.into_iter().filter_map(place).collect();
        if let Err(error) = self.claims.listen(router, places) {
            tracing::warn!(%router, "who else has its addresses cannot be heard: {error}");
        }
    }

    /// Asks in the name of nobody (ARP), or of this node: never of what it holds for others.
    fn probe(&self, addresses: &[(IfName, IpAddr)]) {
        for (dev, address) in addresses {
            let dev = self.below(dev);
            let Some((index, mac)) = self.links.place(dev) else {
                continue;
            };
            let frame = match address {
                IpAddr::V4(address) => Some(probe(mac, *address).to_vec()),
                IpAddr::V6(address) => {
                    let own = self.links.link_local(dev);
                    own.map(|own| solicitation(mac, own, *address))
                }
            };
            if let Some(frame) = frame
                && let Err(error) = self.frames.send(index, &frame)
            {
                tracing::debug!(index, "question not sent: {error}");
            }
        }
    }

    fn below<'a>(&'a self, dev: &'a IfName) -> &'a IfName {
        self.virtual_macs.get(dev).map_or(dev, |device| &device.parent)
    }

    /// Where frames for addresses on this device leave, and the MAC that they come from.
    fn way_out(&self, dev: &IfName) -> Option<(u32, Mac)> {
        match self.virtual_macs.get(dev) {
            Some(device) => Some((self.links.place(&device.parent)?.0, device.mac)),
            None => self.links.place(dev),
        }
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::error!("the event queue is full: an event of the hands is lost");
        }
    }
}

/// What the keeper does with its answers; called on its thread.
pub(crate) fn tell_answers(events: mpsc::Sender<Event>) -> impl Fn(Answer) {
    move |answer| {
        let Answer { router, step, result } = answer;
        if let Err(error) = &result {
            tracing::warn!(%router, ?step, "addresses: {error}");
        }
        let event = match (step, result) {
            (Some(step), result) => done(router, step, result),
            (None, Ok(())) => return,
            (None, Err(why)) => Event::Connections {
                router,
                result: Err(why),
            },
        };
        // At the end nobody listens any more.
        let _ = events.blocking_send(event);
    }
}

/// What is done when a successor was seen; called on the thread that watches.
pub(crate) fn tell_successors(events: mpsc::Sender<Event>) -> impl Fn(RouterName) {
    move |router| {
        let _ = events.blocking_send(Event::SuccessorSeen { router });
    }
}

/// What is done when others took something away; called on the thread that watches.
pub(crate) fn tell_robbed(events: mpsc::Sender<Event>) -> impl Fn(Robbed) {
    move |robbed| {
        let _ = events.blocking_send(Event::Robbed(robbed));
    }
}

/// What is done with a number of connections; called on the thread that counts.
pub(crate) fn tell_connections(events: mpsc::Sender<Event>) -> impl Fn(RouterName, Result<usize, String>) {
    move |router, result| {
        let _ = events.blocking_send(Event::Connections { router, result });
    }
}

/// What is done when connections are forwarded, or cannot be; called on the thread that has nft do it.
pub(crate) fn tell_forwarding(events: mpsc::Sender<Event>) -> impl Fn(RouterName, Result<(), String>) {
    move |router, result| {
        let _ = events.blocking_send(Event::Forwarding { router, result });
    }
}

fn done(router: RouterName, step: Step, result: Result<(), String>) -> Event {
    Event::AddressesDone { router, step, result }
}
