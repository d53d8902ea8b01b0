//! Counts the connections that routers drain, now and then, on a thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use standfast_core::ids::RouterName;

use crate::net::connections;

/// The near end of the thread.
#[derive(Debug)]
pub(crate) struct Drains(SyncSender<Order>);

type Order = (RouterName, Option<Vec<IpAddr>>);

impl Drains {
    /// Starts the thread; `counted` is called on it, at once for each router and whenever its number is another one.
    ///
    /// # Errors
    /// A thread is not to be had.
    pub(crate) fn start(
        counted: impl Fn(RouterName, Result<usize, String>) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, queue) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("drains".into())
            .stack_size(STACK)
            .spawn(move || work(&queue, &counted))?;
        Ok(Self(orders))
    }

    /// Counts from now on.
    pub(crate) fn count(&self, router: RouterName, addresses: Vec<IpAddr>) {
        self.give((router, Some(addresses)));
    }

    /// Counts no longer.
    pub(crate) fn forget(&self, router: RouterName) {
        self.give((router, None));
    }

    fn give(&self, order: Order) {
        if self.0.try_send(order).is_err() {
            tracing::warn!("too many routers drain: the connections of one are not counted");
        }
    }
}

/// What is counted, and the last number.
struct Watch {
    addresses: Vec<IpAddr>,
    told: Option<Result<usize, String>>,
}

fn work(queue: &Receiver<Order>, counted: &impl Fn(RouterName, Result<usize, String>)) {
    let mut watches: BTreeMap<RouterName, Watch> = BTreeMap::new();
    let mut pause = PAUSE;
    loop {
        let order = match watches.is_empty() {
            true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => queue.recv_timeout(pause),
        };
        match order {
            Ok((router, Some(addresses))) => {
                let told = None;
                watches.insert(router, Watch { addresses, told });
            }
            Ok((router, None)) => {
                watches.remove(&router);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let begun = Instant::now();
        for (router, watch) in &mut watches {
            let found = connections::to(&watch.addresses);
            let count = found
                .map(|found| found.len())
                .map_err(|error| format!("sock_diag: {error}"));
            if watch.told.as_ref() != Some(&count) {
                watch.told = Some(count.clone());
                counted(router.clone(), count);
            }
        }
        // A million connections take the kernel some time: most of it is left to others.
        pause = PAUSE.max(begun.elapsed() * 10);
    }
}

const QUEUE: usize = 1024;
const STACK: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(250);
