//! The thread that changes the kernel's tables, so that the loop need not wait for the kernel, for files or for nft.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use standfast_core::command::Holdings;
use standfast_core::config::virtual_mac::VirtualMac;
use standfast_core::ids::RouterName;

use crate::net::holdings::{Holder, Needed};
use crate::net::later::{Later, Work};
use crate::net::ledger::Ledger;
use crate::net::route_socket::RouteSocket;
use crate::realtime;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Put all that a router holds on; answered.
    Add {
        /// The router.
        router: RouterName,
        /// What it holds.
        holdings: Holdings,
    },
    /// Take it off; answered.
    Remove {
        /// The router.
        router: RouterName,
        /// What it holds.
        holdings: Holdings,
        /// The router is leaving.
        forever: bool,
        /// Only a part of what it holds: device and filter stay as they are.
        partial: bool,
    },
    /// Make a device ahead of time.
    Prepare {
        /// The device.
        virtual_mac: VirtualMac,
        /// It will carry IPv6 addresses.
        ipv6: bool,
    },
    /// Take away what is ours and not needed.
    Keep(Needed),
}

/// What became of an `Add` or a `Remove`.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The router.
    pub(crate) router: RouterName,
    /// It was an `Add`.
    pub(crate) added: bool,
    /// The first fault.
    pub(crate) result: Result<(), String>,
}

/// The near end of the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: SyncSender<Job>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Starts the thread. The folder is where the ledger is kept; `answer` is called on the thread.
    ///
    /// # Errors
    /// Netlink or a thread is not to be had.
    pub(crate) fn start(folder: PathBuf, answer: impl Fn(Answer) + Send + 'static) -> io::Result<Self> {
        let kernel = RouteSocket::open()?;
        let (jobs, queue) = sync_channel(QUEUE);
        let (ending, ended) = sync_channel(1);
        thread::Builder::new()
            .name("keeper".into())
            .stack_size(STACK)
            .spawn(move || {
                // Addresses are late when the processor is busy, unless this hurries, too.
                realtime::follow();
                let mut holder = Holder::new(kernel, Ledger::open(&folder));
                let mut later = Later::default();
                while let Some(job) = next(&queue, &mut holder, &mut later) {
                    perform(&mut holder, &mut later, job, &answer);
                }
                // All addresses are off, and devices down, by now. What still was to be made ready is not needed.
                let mut nothing = Needed::default();
                while holder.keep_some(&mut nothing) {}
                // Nobody may be waiting.
                let _ = ending.try_send(());
            })?;
        Ok(Self { jobs, ended })
    }

    /// Queues a job. `Err`: too much is waiting.
    pub(crate) fn queue(&self, job: Job) -> Result<(), Box<Job>> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        })
    }

    /// Waits until all jobs are done and everything borrowed is back, but not for ever. `false`: it is not.
    pub(crate) fn finish(self) -> bool {
        drop(self.jobs);
        !matches!(self.ended.recv_timeout(FAREWELL), Err(RecvTimeoutError::Timeout))
    }
}

/// The next job; while there is none, what was put off is done, a piece at a time. `None`: there will be no more.
fn next(queue: &Receiver<Job>, holder: &mut Holder, later: &mut Later) -> Option<Job> {
    loop {
        match queue.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => match later.pop() {
                Some(work) => {
                    if let Some(rest) = catch_up(holder, work) {
                        later.go_on_with(rest);
                    }
                }
                None => return queue.recv().ok(),
            },
        }
    }
}

fn perform(holder: &mut Holder, later: &mut Later, job: Job, answer: &impl Fn(Answer)) {
    match job {
        Job::Add { router, holdings } => {
            for work in later.before_adding(&router, &holdings) {
                catch_up(holder, work);
            }
            let result = holder.add(&router, &holdings);
            answer(Answer {
                router: router.clone(),
                added: true,
                result,
            });
            later.push(Work::Added { router, holdings });
        }
        Job::Remove {
            router,
            holdings,
            forever,
            partial,
        } => {
            let result = holder.remove(&router, &holdings, partial);
            answer(Answer {
                router: router.clone(),
                added: false,
                result,
            });
            if !partial {
                later.after_removing(&router);
                later.push(Work::Removed {
                    router,
                    holdings,
                    forever,
                });
            }
        }
        Job::Prepare { virtual_mac, ipv6 } => later.push(Work::Prepare { virtual_mac, ipv6 }),
        Job::Keep(needed) => later.push(Work::Keep(needed)),
    }
}

/// Does a piece of what was put off; gives back what is left of it.
fn catch_up(holder: &mut Holder, work: Work) -> Option<Work> {
    match work {
        Work::Added { router, holdings } => holder.after_add(&router, &holdings),
        Work::Removed {
            router,
            holdings,
            forever,
        } => holder.after_remove(&router, &holdings, forever),
        Work::Prepare { virtual_mac, ipv6 } => {
            if let Err(error) = holder.prepare(&virtual_mac, ipv6) {
                tracing::warn!("{error}");
            }
        }
        Work::Keep(mut needed) => return holder.keep_some(&mut needed).then_some(Work::Keep(needed)),
    }
    None
}

/// Two of each router, and then some.
const QUEUE: usize = 4096;
const STACK: usize = 256 * 1024;
/// Removing a device takes the kernel some 30 ms. What is left is switched off, and the next life knows it.
const FAREWELL: Duration = Duration::from_secs(10);
