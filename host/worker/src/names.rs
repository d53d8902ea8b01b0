//! Names to addresses, with a cache, on threads of its own: a server that does not answer can hold those threads, but no
//! call, no lane and no other name that is known already.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout_at;

/// Threads that look names up.
const THREADS: usize = 16;
/// Answers kept.
const CACHE_MAX: usize = 1024;
/// An answer is asked for again after so long, by whoever needs it next; the old one serves meanwhile.
const FRESH: Duration = Duration::from_secs(30);
/// An older answer serves nobody.
const STALE: Duration = Duration::from_secs(300);
/// A name without an address is asked for again after so long.
const ABSENT: Duration = Duration::from_secs(5);

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The name has none, or nobody could say.
    Absent,
    /// No answer in time.
    Late,
}

type Found = Option<Vec<IpAddr>>;

/// The resolver.
pub(crate) struct Names {
    runtime: Runtime,
    known: Arc<Mutex<BTreeMap<String, Entry>>>,
}

struct Entry {
    /// The last answer, and when it came.
    answer: Option<(Found, Instant)>,
    /// Set while it is asked for.
    asked: Option<watch::Receiver<Option<Found>>>,
}

impl Entry {
    /// An answer that can still be given, and whether it is to be asked for again.
    fn usable(&self) -> Option<(&Found, bool)> {
        let (found, came) = self.answer.as_ref()?;
        let age = came.elapsed();
        match found {
            Some(_) if age < STALE => Some((found, age >= FRESH)),
            None if age < ABSENT => Some((found, false)),
            Some(_) | None => None,
        }
    }
}

impl Names {
    /// With threads of its own, made when they are needed.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(THREADS)
            .thread_name("names")
            .build()?;
        Ok(Self {
            runtime,
            known: Arc::default(),
        })
    }

    /// The addresses of a name. A lookup that comes too late for its caller goes on for the cache; `slots` says how
    /// many the caller may have at a time.
    pub(crate) async fn lookup(
        &self,
        name: &str,
        slots: &Arc<Semaphore>,
        until: Instant,
    ) -> Result<Vec<IpAddr>, Unresolved> {
        let name = name.to_ascii_lowercase();
        let usable = self.known().get(&name).and_then(|entry| {
            let (found, old) = entry.usable()?;
            Some((found.clone(), old))
        });
        if let Some((found, old)) = usable {
            if old && let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
                self.ask(&name, slot);
            }
            return found.ok_or(Unresolved::Absent);
        }
        let found = async {
            let slot = Arc::clone(slots).acquire_owned().await.ok()?;
            let mut asked = self.ask(&name, slot);
            let found = asked.wait_for(Option::is_some).await.ok()?;
            found.clone().flatten()
        };
        timeout_at(until.into(), found)
            .await
            .map_err(|_| Unresolved::Late)?
            .ok_or(Unresolved::Absent)
    }

    /// Asks, or joins who has asked already.
    fn ask(&self, name: &str, slot: impl Send + 'static) -> watch::Receiver<Option<Found>> {
        let mut known = self.known();
        if let Some(asked) = known.get(name).and_then(|entry| entry.asked.clone()) {
            return asked;
        }
        if !known.contains_key(name) {
            make_room(&mut known);
        }
        let (sender, asked) = watch::channel(None);
        let entry = known.entry(name.to_owned()).or_insert(Entry {
            answer: None,
            asked: None,
        });
        entry.asked = Some(asked.clone());
        drop(known);
        let (name, known) = (name.to_owned(), Arc::clone(&self.known));
        self.runtime.spawn_blocking(move || {
            let found = find(&name);
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = known.get_mut(&name) {
                entry.asked = None;
                // A server that fails takes nothing away that still serves.
                if found.is_some() || entry.usable().is_none() {
                    entry.answer = Some((found.clone(), Instant::now()));
                }
            }
            drop(known);
            sender.send_replace(Some(found));
            drop(slot);
        });
        asked
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what serves nobody, and if that is nothing the oldest answer. Names that are asked for stay: there are as many as
/// calls that wait.
fn make_room(known: &mut BTreeMap<String, Entry>) {
    if known.len() < CACHE_MAX {
        return;
    }
    let serves = |entry: &Entry| entry.usable().is_some_and(|(found, _)| found.is_some());
    known.retain(|_, entry| entry.asked.is_some() || serves(entry));
    if known.len() < CACHE_MAX {
        return;
    }
    let idle = known.iter().filter(|(_, entry)| entry.asked.is_none());
    let oldest = idle.min_by_key(|(_, entry)| entry.answer.as_ref().map(|(_, came)| *came));
    if let Some(name) = oldest.map(|(name, _)| name.clone()) {
        known.remove(&name);
    }
}

/// As this host does it: /etc/hosts, DNS, whatever nsswitch.conf says.
fn find(name: &str) -> Found {
    let found = (name, 0).to_socket_addrs().ok()?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
    (!addresses.is_empty()).then_some(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(found: Found, age: Duration) -> Entry {
        Entry {
            answer: Some((found, Instant::now() - age)),
            asked: None,
        }
    }

    #[test]
    fn an_old_answer_serves_while_a_new_one_is_asked_for() {
        let here = Some(vec![[192, 0, 2, 1].into()]);
        assert_eq!(entry(here.clone(), Duration::ZERO).usable(), Some((&here, false)));
        assert_eq!(entry(here.clone(), FRESH).usable(), Some((&here, true)));
        assert_eq!(entry(here, STALE).usable(), None);
        assert_eq!(entry(None, Duration::ZERO).usable(), Some((&None, false)));
        assert_eq!(entry(None, ABSENT).usable(), None);
    }

    #[test]
    fn the_oldest_answer_goes_when_all_are_good() {
        let here = Some(vec![[192, 0, 2, 1].into()]);
        let mut known = BTreeMap::new();
        for number in 0..CACHE_MAX as u64 {
            let age = Duration::from_millis(number);
            known.insert(number.to_string(), entry(here.clone(), age));
        }
        let oldest = (CACHE_MAX - 1).to_string();
        let (_sender, asked) = watch::channel(None);
        known.get_mut(&oldest).unwrap().asked = Some(asked);
        make_room(&mut known);
        assert_eq!(known.len(), CACHE_MAX - 1);
        let next = (CACHE_MAX - 2).to_string();
        assert!(known.contains_key(&oldest) && !known.contains_key(&next));
    }

    #[test]
    fn a_name_is_found_once_for_all_who_ask() {
        let names = Names::start().unwrap();
        let slots = Arc::new(Semaphore::new(4));
        let until = Instant::now() + Duration::from_secs(60);
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let both = runtime.block_on(async {
            tokio::join!(
                names.lookup("LocalHost", &slots, until),
                names.lookup("localhost", &slots, until)
            )
        });
        assert!(both.0.unwrap().iter().all(IpAddr::is_loopback) && both.1.is_ok());
        assert_eq!(names.known().len(), 1);
    }
}
