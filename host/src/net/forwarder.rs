//! Has connections forwarded that were begun at another node, on a thread of its own: nft is another program. What an
//! earlier life left of it goes at the start.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use standfast_core::ids::RouterName;

use crate::net::connections;
use crate::net::filter::{NftError, find_nft};
use crate::net::forward::{Way, is_table, removal, ruleset, table};
use crate::realtime;

/// The near end of the thread.
#[derive(Debug)]
pub(crate) struct Forwarder {
    orders: SyncSender<Order>,
    ended: Receiver<()>,
    able: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Order {
    Try,
    Begin(RouterName, Way),
    End(RouterName),
}

/// What the thread has.
struct Tables<R> {
    /// Names of those that may be there, for the next life.
    file: PathBuf,
    there: BTreeSet<String>,
    run: R,
}

impl Forwarder {
    /// Starts the thread. `folder` is where it notes what it has made; `run` is what carries a script out, `answer` is
    /// called on the thread, once for each `begin`.
    ///
    /// # Errors
    /// A thread is not to be had.
    pub(crate) fn start(
        folder: &Path,
        run: impl Fn(&str) -> Result<(), NftError> + Send + 'static,
        answer: impl Fn(RouterName, Result<(), String>) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, queue) = sync_channel(QUEUE);
        let (ending, ended) = sync_channel(1);
        let able = Arc::new(AtomicBool::new(false));
        let mut tables = Tables {
            file: folder.join("forwarding"),
            there: BTreeSet::new(),
            run,
        };
        let tried = Arc::clone(&able);
        thread::Builder::new()
            .name("forwarder".into())
            .stack_size(STACK)
            .spawn(move || {
                // A new master waits for it.
                realtime::follow();
                tables.clear();
                for order in &queue {
                    match order {
                        Order::Try => tried.store(tables.tries(), Ordering::Relaxed),
                        Order::Begin(router, way) => {
                            let result = tables.begin(&router, &way);
                            answer(router, result);
                        }
                        Order::End(router) => tables.end(&router),
                    }
                }
                tables.clear();
                // Nobody may be waiting.
                let _ = ending.try_send(());
            })?;
        Ok(Self { orders, ended, able })
    }

    /// Finds out whether this host can forward, with all that the kernel has to load for it; says so if not.
    pub(crate) fn prepare(&self) {
        self.give(Order::Try);
    }

    /// Whether it can, as far as is known.
    pub(crate) fn able(&self) -> bool {
        self.able.load(Ordering::Relaxed)
    }

    /// Forwards from now on; answered. `false`: too much is waiting, and there is no answer.
    pub(crate) fn begin(&self, router: RouterName, way: Way) -> bool {
        self.give(Order::Begin(router, way))
    }

    /// Forwards no longer.
    pub(crate) fn end(&self, router: RouterName) {
        self.give(Order::End(router));
    }

    fn give(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                tracing::warn!("too much is to be forwarded: {order:?} is not done");
                false
            }
        }
    }

    /// Waits until nothing is forwarded any more, but not for ever. `false`: nft does not answer.
    pub(crate) fn finish(self) -> bool {
        drop(self.orders);
        self.ended.recv_timeout(FAREWELL).is_ok()
    }
}

impl<R: Fn(&str) -> Result<(), NftError>> Tables<R> {
    /// Makes a table and takes it away in the same moment.
    fn tries(&self) -> bool {
        const TRIAL: &str = "standfast/trial";
        let ways = ["192.0.2.1", "2001:db8::1"].map(|at| at.parse().ok());
        let mut script = String::new();
        for address in ways.into_iter().flatten() {
            let Ok(interface) = "lo".parse() else { return false };
            let way = Way {
                to: address,
                interface,
                addresses: vec![address],
                lifetime: Duration::from_secs(1),
            };
            script += &ruleset(TRIAL, &way, &[]);
        }
        let tried = match find_nft() {
            Some(_) => (self.run)(&(script + &removal(TRIAL))).map_err(|error| error.to_string()),
            None => Err("the program nft is missing (`apt install nftables`)".into()),
        };
        match &tried {
            Ok(()) => tracing::info!("established connections outlive planned moves"),
            Err(why) => tracing::info!("established connections do not outlive planned moves: {why}"),
        }
        tried.is_ok()
    }

    fn begin(&mut self, router: &RouterName, way: &Way) -> Result<(), String> {
        let own = connections::to(&way.addresses).map_err(|error| format!("sock_diag: {error}"))?;
        if own.len() > MOST_OWN {
            return Err(format!("{} connections of its own are too many", own.len()));
        }
        let table = table(router);
        self.there.insert(table.clone());
        // Written down before it is made: we may die in between.
        self.write();
        (self.run)(&ruleset(&table, way, &own)).map_err(|error| error.to_string())
    }

    fn end(&mut self, router: &RouterName) {
        let table = table(router);
        if self.there.contains(&table) {
            self.remove(&BTreeSet::from([table]));
        }
    }

    /// Takes away all, be it of an earlier life.
    fn clear(&mut self) {
        let written = fs::read_to_string(&self.file).unwrap_or_default();
        let written = written.lines().filter(|line| is_table(line)).map(str::to_owned);
        self.there.extend(written.take(MOST_TABLES));
        let all = self.there.clone();
        if !all.is_empty() {
            self.remove(&all);
        }
    }

    fn remove(&mut self, gone: &BTreeSet<String>) {
        let script: String = gone.iter().map(|table| removal(table)).collect();
        match (self.run)(&script) {
            Ok(()) => self.there.retain(|table| !gone.contains(table)),
            Err(error) => tracing::warn!("what was forwarded: {error}; the next start tries again"),
        }
        self.write();
    }

    fn write(&self) {
        let lines: String = self.there.iter().map(|table| format!("{table}\n")).collect();
        let result = match lines.is_empty() {
            true => fs::remove_file(&self.file),
            false => fs::write(&self.file, lines),
        };
        if let Err(error) = result
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{}: {error}", self.file.display());
        }
    }
}

const QUEUE: usize = 2048;
const STACK: usize = 256 * 1024;
const FAREWELL: Duration = Duration::from_secs(5);
/// A script with more takes nft too long.
const MOST_OWN: usize = 20_000;
const MOST_TABLES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn way() -> Way {
        Way {
            to: "192.0.2.1".parse().unwrap(),
            interface: "eth1".parse().unwrap(),
            addresses: vec!["192.0.2.10".parse().unwrap()],
            lifetime: Duration::from_secs(60),
        }
    }

    #[test]
    fn what_is_made_is_written_down_and_goes_at_the_end_or_with_the_next_life() {
        let folder = std::env::temp_dir().join(format!("standfast-forwarder-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("forwarding");
        fs::write(&file, "standfast/OLD\nfilter; flush ruleset\n").unwrap();
        let (scripts, seen) = channel();
        let (answers, told) = channel();
        let run = move |script: &str| {
            let _ = scripts.send(script.to_owned());
            Ok(())
        };
        let answer = move |router: RouterName, result| answers.send((router.to_string(), result)).unwrap();
        let forwarder = Forwarder::start(&folder, run, answer).unwrap();
        assert_eq!(seen.recv_timeout(SOON).unwrap(), removal("standfast/OLD"));
        let router: RouterName = "VI_1".parse().unwrap();
        assert!(forwarder.begin(router.clone(), way()));
        assert!(seen.recv_timeout(SOON).unwrap().contains("dup to 192.0.2.1"));
        assert_eq!(told.recv_timeout(SOON).unwrap(), ("VI_1".to_owned(), Ok(())));
        assert_eq!(fs::read_to_string(&file).unwrap(), "standfast/VI_1\n");
        assert!(forwarder.finish());
        assert_eq!(seen.recv_timeout(SOON).unwrap(), removal("standfast/VI_1"));
        assert!(!file.exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
