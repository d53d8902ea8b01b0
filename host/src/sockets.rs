//! Which sockets are open: one for each interface and family that adverts use, as long as the interface is there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};

use futures_util::future::select_all;
use standfast_core::config::file::Config;
use standfast_core::ids::{Family, IfName};

use crate::net::link_table::LinkState;
use crate::net::links::Links;
use crate::net::vrrp_socket::VrrpSocket;
use crate::start::open_failure;
use crate::status_code::Failure;

type Place = (IfName, Family);

/// The sockets of all virtual routers.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    wanted: BTreeSet<Place>,
    open: BTreeMap<Place, VrrpSocket>,
    /// Interfaces without carrier, whose groups are joined again when they come back.
    silent: BTreeSet<IfName>,
    /// Where a socket could not be opened, which was said once.
    deaf: BTreeSet<Place>,
}

impl Sockets {
    /// Opens what a configuration needs in addition; what is not needed any more stays open until `settle`.
    ///
    /// An interface that does not exist is waited for.
    ///
    /// # Errors
    /// No permission; then nothing has changed.
    pub(crate) fn want(&mut self, config: &Config, links: &Links) -> Result<(), Failure> {
        let wanted = places(config);
        let mut opened = Vec::new();
        let new: Vec<_> = wanted.difference(&self.wanted).cloned().collect();
        for place in new {
            let (interface, family) = &place;
            let Some((index, _)) = links.place(interface) else {
                tracing::warn!("interface {interface} does not exist; it is waited for");
                continue;
            };
            match VrrpSocket::open(interface, index, *family) {
                Ok(socket) => opened.push((place, socket)),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(open_failure(interface, &error));
                }
                Err(error) => self.complain(&place, &error),
            }
        }
        // Sockets that are open stay: their queues hold what peers say just now.
        for (place, socket) in opened {
            self.open.entry(place).or_insert(socket);
        }
        self.wanted.extend(wanted);
        Ok(())
    }

    /// Closes what this configuration does not need.
    pub(crate) fn settle(&mut self, config: &Config) {
        self.wanted = places(config);
        self.open.retain(|place, _| self.wanted.contains(place));
        self.deaf.retain(|place| self.wanted.contains(place));
    }

    /// An interface changed: one that is gone has no socket, one that was made anew a new one, and one that came back
    /// joins its groups again.
    pub(crate) fn on_link(&mut self, interface: &IfName, state: Option<&LinkState>) {
        for family in [Family::V4, Family::V6] {
            let place = (interface.clone(), family);
            let index = self.open.get(&place).map(VrrpSocket::index);
            if index.is_some() && index != state.map(|state| state.index) {
                self.open.remove(&place);
            }
            match state {
                None => {
                    self.deaf.remove(&place);
                }
                Some(state) => self.listen(&place, state.index),
            }
        }
        if state.is_some_and(|state| !state.carrier) {
            self.silent.insert(interface.clone());
        } else if self.silent.remove(interface) {
            let here = self.open.iter().filter(|((name, _), _)| name == interface);
            for (_, socket) in here {
                if let Err(error) = socket.rejoin() {
                    tracing::warn!(%interface, "the group could not be joined again: {error}");
                }
            }
        }
    }

    /// Tries again where a socket could not be opened; tells the interfaces that can be heard now.
    pub(crate) fn retry(&mut self, links: &Links) -> BTreeSet<IfName> {
        let mut heard = BTreeSet::new();
        for place in self.deaf.clone() {
            if let Some((index, _)) = links.place(&place.0) {
                self.listen(&place, index);
                if self.open.contains_key(&place) {
                    heard.insert(place.0);
                }
            }
        }
        heard
    }

    /// Families whose adverts should be received on an interface; whether they are.
    pub(crate) fn heard(&self, interface: &IfName) -> impl Iterator<Item = (Family, bool)> {
        let places = [Family::V4, Family::V6].map(|family| (interface.clone(), family));
        let wanted = places.into_iter().filter(|place| self.wanted.contains(place));
        wanted.map(|place| (place.1, self.open.contains_key(&place)))
    }

    fn listen(&mut self, place: &Place, index: u32) {
        if !self.wanted.contains(place) || self.open.contains_key(place) {
            return;
        }
        let (interface, family) = place;
        match VrrpSocket::open(interface, index, *family) {
            Ok(socket) => {
                tracing::info!(%interface, "{family} adverts are received");
                self.deaf.remove(place);
                self.open.insert(place.clone(), socket);
            }
            Err(error) => self.complain(place, &error),
        }
    }

    fn complain(&mut self, place: &Place, error: &io::Error) {
        let (interface, family) = place;
        if self.deaf.insert(place.clone()) {
            tracing::warn!(%interface, "{family} adverts cannot be received: {error}; it is tried every second");
        }
    }

    /// The socket of an interface and family.
    pub(crate) fn get(&self, interface: &IfName, family: Family) -> Option<&VrrpSocket> {
        self.open.get(&(interface.clone(), family))
    }

    /// All that are open, and the interface of each.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&IfName, &mut VrrpSocket)> {
        self.open
            .iter_mut()
            .map(|((interface, _), socket)| (interface, socket))
    }

    /// Packets that were no adverts at all, on all sockets.
    pub(crate) fn malformed(&self) -> u64 {
        let dropped = self.open.values().map(VrrpSocket::dropped);
        dropped.map(|dropped| dropped.oversized + dropped.malformed).sum()
    }

    /// Waits until one of them can be read.
    pub(crate) async fn readable(&self) {
        if self.open.is_empty() {
            std::future::pending::<()>().await;
        }
        // An error is met again, and handled, when the socket is read.
        let _ = select_all(self.open.values().map(|socket| Box::pin(socket.readable()))).await;
    }
}

fn places(config: &Config) -> BTreeSet<Place> {
    config
        .routers
        .values()
        .map(|router| (router.interface.clone(), router.family))
        .collect()
}
