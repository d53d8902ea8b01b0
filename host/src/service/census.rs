//! One look at a running nginx: its master, its workers, and workers whose master is gone.

use nix::unistd::Pid;

use super::listeners::{Address, held_by};
use super::proc_table::{Stat, State, children, lives, on_our_network, stat, title};
use super::program::Program;

/// What a process of nginx does, by the title that it gives itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Worker,
    /// A worker that ends when its last client is gone.
    Leaving,
    /// Those that look after the cache, and what is no nginx.
    Other,
}

/// A worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) stat: Stat,
    pub(crate) leaving: bool,
}

/// A running nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) master: Stat,
    pub(crate) workers: Vec<Worker>,
    /// Children that have ended and that the master did not collect: it is stopped or stuck.
    pub(crate) uncollected: usize,
    /// The master that it started in a binary upgrade, once that has workers (N14).
    pub(crate) successor: Option<Stat>,
}

/// A worker without a master that still holds its listening sockets (M1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) stat: Stat,
    pub(crate) listens: Vec<Address>,
}

impl Census {
    /// Workers that take new clients, if nothing has stopped them.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| !worker.leaving)
    }
}

impl Role {
    /// The role of a process; a worker that was forked just now still has its master's title.
    pub(crate) fn of(pid: Pid) -> Self {
        title(pid).map_or(Self::Other, |title| Self::parse(&title))
    }

    fn parse(title: &str) -> Self {
        // Relatives of nginx put their own name before the colon.
        let says = title.split_once(": ").map_or("", |(_, says)| says);
        if says.starts_with("worker process is shutting down") {
            Self::Leaving
        } else if says.starts_with("worker process") {
            Self::Worker
        } else if says.starts_with("master process") {
            Self::Master
        } else {
            Self::Other
        }
    }
}

/// Looks at the master that had this number when it began then; `None`: it is gone. Not for the loop's thread, see
/// `proc_table::title`.
pub(crate) fn look(master: Pid, started: u64) -> Option<Census> {
    let mut census = Census {
        master: stat(master).filter(|now| now.started == started)?,
        workers: Vec::new(),
        uncollected: 0,
        successor: None,
    };
    for child in children(master) {
        if child.state == State::Ended {
            census.uncollected += 1;
            continue;
        }
        match Role::of(child.pid) {
            role @ (Role::Worker | Role::Leaving) => census.workers.push(Worker {
                stat: child,
                leaving: role == Role::Leaving,
            }),
            Role::Master if has_workers(child.pid) => census.successor = Some(child),
            Role::Master | Role::Other => {}
        }
    }
    lives_or_waits(master, started).then_some(census)
}

/// Workers of this program on our network that listen, and whose parent does not run it. All of one dead master hold
/// the same sockets. Looks at every process: not for the loop's thread.
pub(crate) fn orphans(program: &Program) -> Vec<Orphan> {
    let worker = |pid: &Pid| Role::of(*pid) == Role::Worker && on_our_network(*pid);
    let orphaned = |one: &Stat| one.state != State::Ended && !program.is_run_by(one.parent);
    let found = program.processes().into_iter().filter(worker);
    let listening = found.filter_map(stat).filter(orphaned).filter_map(|stat| {
        let mut listens: Vec<_> = held_by(stat.pid)
            .into_iter()
            .map(|held| held.listener.at)
            .collect();
        listens.dedup();
        let same = lives(stat.pid, stat.started) && !listens.is_empty();
        same.then_some(Orphan { stat, listens })
    });
    listening.collect()
}

fn has_workers(master: Pid) -> bool {
    let workers = children(master);
    workers.iter().any(|child| Role::of(child.pid) == Role::Worker)
}

/// A zombie is worth a look, too: the caller sees its state.
fn lives_or_waits(pid: Pid, started: u64) -> bool {
    stat(pid).is_some_and(|now| now.started == started)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, kill};

    use super::*;
    use crate::service::testing::{NGINX, Nginx, until};

    fn started(pid: Pid) -> u64 {
        stat(pid).unwrap().started
    }

    #[test]
    fn a_look_tells_workers_from_those_that_leave_and_those_that_are_stopped() {
        let nginx = Nginx::start();
        let (master, begin) = (nginx.master(), started(nginx.master()));
        let see = || look(master, begin).unwrap();
        let census = see();
        assert_eq!(
            (census.serving().count(), census.uncollected, census.successor),
            (2, 0, None)
        );
        assert_eq!(look(master, begin + 1), None);

        // A client that stays makes a worker leave slowly.
        let client = std::net::TcpStream::connect(nginx.at).unwrap();
        std::io::Write::write_all(&mut &client, b"GET / HTTP/1.1\r\nHost").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        kill(master, Signal::SIGHUP).unwrap();
        until("new workers, and an old one that leaves", || {
            see().workers.len() == 3 && see().serving().count() == 2
        });
        drop(client);
        until("it has left", || see().workers.len() == 2);

        kill(master, Signal::SIGSTOP).unwrap();
        until("the master is stopped", || see().master.state == State::Stopped);
        kill(see().workers[0].stat.pid, Signal::SIGKILL).unwrap();
        until("nobody collects the dead worker", || {
            see().uncollected == 1 && see().workers.len() == 1
        });
        kill(master, Signal::SIGCONT).unwrap();
        until("it is replaced", || see().serving().count() == 2);
        let worker = see().workers[0].stat.pid;
        kill(worker, Signal::SIGSTOP).unwrap();
        until("a worker is stopped", || {
            see()
                .workers
                .iter()
                .any(|one| one.stat.pid == worker && one.stat.state == State::Stopped)
        });
    }

    #[test]
    fn workers_without_a_master_are_found() {
        let mut nginx = Nginx::start();
        let program = Program::of(NGINX).unwrap();
        let of_ours = |at: &Address| {
            orphans(&program)
                .into_iter()
                .filter(|one| one.listens.contains(at))
                .collect::<Vec<_>>()
        };
        let at = Address::Tcp(nginx.at);
        assert_eq!(of_ours(&at), []);
        let workers = nginx.behead();
        until("they are orphans", || of_ours(&at).len() == 2);
        assert!(
            of_ours(&at)
                .iter()
                .all(|one| workers.iter().any(|worker| worker.pid == one.stat.pid))
        );
    }

    #[test]
    fn titles_of_relatives_count() {
        let roles = [
            (
                "nginx: master process /usr/sbin/nginx -g daemon off;",
                Role::Master,
            ),
            ("nginx: worker process", Role::Worker),
            ("angie: worker process is shutting down", Role::Leaving),
            ("nginx: cache manager process", Role::Other),
            ("/usr/sbin/nginx -t", Role::Other),
            ("", Role::Other),
        ];
        for (title, role) in roles {
            assert_eq!(Role::parse(title), role, "{title}");
        }
    }
}
