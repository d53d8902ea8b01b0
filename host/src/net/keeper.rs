//! The thread that changes the kernel's tables, so that the loop need not wait for the kernel, for files or for nft.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::net::filter::{self, NftError};
use crate::net::filters::Filters;
use crate::net::holdings::Holder;
use crate::net::jobs::{Answer, Backlog, Job};
use crate::net::ledger::Ledger;
use crate::net::performer::Performer;
use crate::net::route_socket::RouteSocket;
use crate::realtime;

/// The near end of the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: SyncSender<Job>,
    ended: Receiver<()>,
    /// The last job did not fit: that is told once.
    full: AtomicBool,
    /// Number of the socket by which it changes the kernel's tables.
    port: u32,
}

impl Keeper {
    /// Starts the thread. The folder is where the ledger is kept; `answer` is called on the thread.
    ///
    /// # Errors
    /// Netlink or a thread is not to be had.
    pub(crate) fn start(folder: PathBuf, answer: impl Fn(Answer) + Send + 'static) -> io::Result<Self> {
        Self::start_with(folder, filter::run, answer)
    }

    fn start_with(
        folder: PathBuf,
        nft: impl Fn(&str) -> Result<(), NftError> + Send + 'static,
        answer: impl Fn(Answer) + Send + 'static,
    ) -> io::Result<Self> {
        let kernel = RouteSocket::open()?;
        let port = kernel.port();
        let filters = Filters::start(nft)?;
        let (jobs, queue) = sync_channel(QUEUE);
        let (ending, ended) = sync_channel(1);
        thread::Builder::new()
            .name("keeper".into())
            .stack_size(STACK)
            .spawn(move || {
                // Addresses are late when the processor is busy, unless this hurries, too.
                realtime::follow();
                let holder = Holder::new(kernel, Ledger::open(&folder), filters);
                let mut performer = Performer::new(holder, answer);
                work(&queue, &mut performer);
                performer.finish();
                // Nobody may be waiting.
                let _ = ending.try_send(());
            })?;
        Ok(Self {
            jobs,
            ended,
            full: AtomicBool::new(false),
            port,
        })
    }

    /// The number of its socket, by which the kernel names it.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Queues a job. `Err`: too much is waiting.
    pub(crate) fn queue(&self, job: Job) -> Result<(), Box<Job>> {
        let result = self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        });
        if !self.full.swap(result.is_err(), Ordering::Relaxed) && result.is_err() {
            tracing::warn!("more than {QUEUE} changes wait for the kernel: no more are taken for now");
        }
        result
    }

    /// Waits until all jobs are done and everything borrowed is back, but not for ever. `false`: it is not.
    pub(crate) fn finish(self) -> bool {
        drop(self.jobs);
        !matches!(self.ended.recv_timeout(FAREWELL), Err(RecvTimeoutError::Timeout))
    }
}

/// Performs jobs until there will be no more; while there is none, what was put off is done, a piece at a time.
fn work(queue: &Receiver<Job>, performer: &mut Performer<impl Fn(Answer)>) {
    let mut backlog = Backlog::default();
    loop {
        let open = take_all(queue, &mut backlog);
        let pause = performer.poll(Instant::now());
        if let Some((job, overtaken)) = backlog.pop() {
            performer.perform(job, overtaken, Instant::now());
            continue;
        }
        if !open {
            return;
        }
        if performer.catch_up() {
            continue;
        }
        let job = match pause {
            Some(pause) => queue.recv_timeout(pause).ok(),
            None => queue.recv().ok(),
        };
        if let Some(job) = job {
            backlog.push(job);
        }
    }
}

/// Takes what has come. `false`: nothing more will.
fn take_all(queue: &Receiver<Job>, backlog: &mut Backlog) -> bool {
    while backlog.len() < QUEUE {
        match queue.try_recv() {
            Ok(job) => backlog.push(job),
            Err(error) => return error == TryRecvError::Empty,
        }
    }
    true
}

/// Two of each router, and then some.
const QUEUE: usize = 4096;
const STACK: usize = 256 * 1024;
/// Removing a device takes the kernel some 30 ms. What is left is switched off, and the next life knows it.
const FAREWELL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Sender, channel};

    use standfast_core::command::Holdings;
    use standfast_core::ids::RouterName;
    use standfast_core::vrrp::addresses::Step;

    use super::*;

    /// Long enough for a busy machine, and shorter than nft is waited for.
    const SOON: Duration = Duration::from_secs(2);

    struct Scene {
        keeper: Keeper,
        answers: Receiver<Answer>,
        begun: Receiver<()>,
        end: Sender<Result<(), NftError>>,
        folder: PathBuf,
    }

    /// A keeper with an nft that ends when it is told.
    fn scene(name: &str) -> Scene {
        let folder = std::env::temp_dir().join(format!("standfast-keeper-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (told, answers) = channel();
        let (beginning, begun) = channel();
        let (end, orders) = channel();
        let nft = move |_: &str| {
            let _ = beginning.send(());
            orders.recv().unwrap_or(Ok(()))
        };
        let answer = move |answer| told.send(answer).unwrap();
        let keeper = Keeper::start_with(folder.clone(), nft, answer).unwrap();
        Scene {
            keeper,
            answers,
            begun,
            end,
            folder,
        }
    }

    fn name(router: &str) -> RouterName {
        router.parse().unwrap()
    }

    fn add(router: &str, accept: bool) -> Job {
        Job::Add {
            router: name(router),
            holdings: Holdings {
                accept,
                ..Holdings::default()
            },
        }
    }

    fn remove(router: &str, partial: bool) -> Job {
        Job::Remove {
            router: name(router),
            holdings: Holdings::default(),
            forever: false,
            partial,
        }
    }

    impl Scene {
        fn queue(&self, jobs: impl IntoIterator<Item = Job>) {
            for job in jobs {
                self.keeper.queue(job).unwrap();
            }
        }

        /// The next answer: whose, to an `Add`, good.
        fn answer(&self) -> (String, bool, bool) {
            let answer = self.answers.recv_timeout(SOON).unwrap();
            (
                answer.router.as_str().to_owned(),
                answer.step == Some(Step::Add),
                answer.result.is_ok(),
            )
        }

        fn expect(&self, answers: &[(&str, bool, bool)]) {
            for (router, added, good) in answers {
                assert_eq!(self.answer(), ((*router).to_owned(), *added, *good));
            }
        }
    }

    #[test]
    fn nobody_but_the_router_that_needs_nft_waits_for_it() {
        let scene = scene("others");
        scene.queue([add("A", false)]);
        scene.begun.recv_timeout(SOON).unwrap();
        scene.queue([remove("A", true), remove("B", false), add("C", true)]);
        scene.expect(&[("B", false, true), ("C", true, true)]);
        scene.end.send(Ok(())).unwrap();
        // In order, each once.
        scene.expect(&[("A", true, true), ("A", false, true)]);
        scene.end.send(Ok(())).unwrap();
        // What is put off after a takeover keeps nobody, either.
        scene.begun.recv_timeout(SOON).unwrap();
        scene.queue([remove("A", false)]);
        scene.expect(&[("A", false, true)]);
        assert!(scene.answers.try_recv().is_err());
        fs::remove_dir_all(scene.folder).unwrap();
    }

    #[test]
    fn a_newer_change_of_a_router_that_waits_overtakes_it() {
        let scene = scene("overtakes");
        scene.queue([add("A", false)]);
        scene.begun.recv_timeout(SOON).unwrap();
        scene.queue([remove("A", true), add("A", false)]);
        scene.expect(&[("A", true, false), ("A", false, true)]);
        scene.queue([remove("A", false)]);
        scene.expect(&[("A", true, false), ("A", false, true)]);
        scene.end.send(Err(NftError::Hung)).unwrap();
        scene.queue([add("B", true)]);
        scene.expect(&[("B", true, true)]);
        let limit = Instant::now() + SOON;
        // Once it is known that nft hangs, a router that needs it is told at once.
        while scene.begun.try_recv().is_err() && Instant::now() < limit {
            scene.queue([add("A", false)]);
            if scene.answer() == ("A".into(), true, false) {
                break;
            }
        }
        let Scene { keeper, folder, .. } = scene;
        assert!(keeper.finish());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn whoever_still_waits_at_the_end_is_answered() {
        let scene = scene("end");
        scene.queue([add("A", false)]);
        scene.begun.recv_timeout(SOON).unwrap();
        let Scene {
            keeper,
            answers,
            end,
            folder,
            ..
        } = scene;
        drop(keeper.jobs);
        assert!(answers.recv_timeout(SOON).unwrap().result.is_err());
        drop(end);
        keeper.ended.recv_timeout(SOON).unwrap();
        assert!(!folder.join("borrowed.json").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
