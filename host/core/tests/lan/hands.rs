//! Simulated hands of one node: a kernel's address table, scripted plugins, a scripted service.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use standfast_core::command::{Command, Record};
use standfast_core::event::{Event, Link};
use standfast_core::plugin::call::{CallError, CheckOutcome, ErrorClass, NotifyEvent, Status, Verdict};
use standfast_core::plugin::channel::LoadedPlugin;
use standfast_core::service::action::{Exit, How, Signal, Started};
use standfast_core::service::failure::Class;
use standfast_core::service::look::Look;
use standfast_core::time::Instant;
use standfast_core::vrrp::addresses::Step;

use super::config::{ETH, id, ms};
use super::sights::{look, outcome};

/// What a scripted check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Pass,
    Warn,
    Fail,
    Error(ErrorClass),
    /// Never answers.
    Hangs,
    /// Passes after so many milliseconds.
    PassesAfter(u64),
    /// This.
    Exactly(CheckOutcome),
}

/// How the scripted service behaves in its next lives.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// `Err`: it cannot be spawned.
    pub(crate) spawn: Result<(), (Class, String)>,
    /// `None`: never ready.
    pub(crate) ready_after: Option<Duration>,
    /// Ends by itself so long after its start, with this code and standard error.
    pub(crate) dies: Option<(Duration, i32, String)>,
    pub(crate) test: Result<(), String>,
    /// How long a polite stop takes; `None`: deaf to it.
    pub(crate) quits_after: Option<Duration>,
    pub(crate) heeds_term: bool,
    /// What is seen of it.
    pub(crate) look: Look,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            spawn: Ok(()),
            ready_after: Some(ms(20)),
            dies: None,
            test: Ok(()),
            quits_after: Some(ms(10)),
            heeds_term: true,
            look: look(&[501, 502]),
        }
    }
}

/// What performs the commands of one node. Effects come back as events with a delay.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) own: IpAddr,
    pub(crate) link: Link,
    /// Virtual addresses that the kernel holds.
    pub(crate) table: BTreeSet<IpAddr>,
    /// Somebody outside of this LAN takes over at once whatever this node gives up.
    pub(crate) succeeded: bool,
    /// Whose announcements each router waits for.
    pub(crate) awaited: BTreeMap<standfast_core::ids::RouterName, BTreeSet<IpAddr>>,
    pub(crate) refuses_addresses: bool,
    /// What this router asks for is refused, though all but a part of it is done.
    pub(crate) refuses_a_part: Option<standfast_core::ids::RouterName>,
    pub(crate) answers_addresses: bool,
    pub(crate) says: BTreeMap<String, Says>,
    pub(crate) worker_up: bool,
    pub(crate) loads_answered: bool,
    pub(crate) hooks_fail: bool,
    /// This one never answers.
    pub(crate) deaf_hook: Option<String>,
    pub(crate) drained: super::drained::Drained,
    pub(crate) script: Script,
    /// Scripts of the next lives, before `script` counts again.
    pub(crate) next_lives: VecDeque<Script>,
    pub(crate) alive: Option<u32>,
    last_pid: u32,
    pub(crate) exited: bool,
    pub(crate) commands: Vec<(Instant, Command)>,
    pub(crate) records: Vec<Record>,
    pub(crate) told: Vec<NotifyEvent>,
    pub(crate) answers: Vec<(u64, Result<String, String>)>,
}

/// What a command leads to: an event of this node after a delay.
pub(crate) type Later = (Duration, Event);

impl Hands {
    pub(crate) fn new(own: IpAddr) -> Self {
        Self {
            own,
            link: Link {
                up: true,
                carrier: true,
                addresses: vec![own],
                ours: Vec::new(),
            },
            table: BTreeSet::new(),
            succeeded: false,
            awaited: BTreeMap::new(),
            refuses_addresses: false,
            refuses_a_part: None,
            answers_addresses: true,
            says: BTreeMap::new(),
            worker_up: true,
            loads_answered: true,
            hooks_fail: false,
            deaf_hook: None,
            drained: Default::default(),
            script: Script::default(),
            next_lives: VecDeque::new(),
            alive: None,
            last_pid: 100,
            exited: false,
            commands: Vec::new(),
            records: Vec::new(),
            told: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The kernel's news of `eth1`, as it is now.
    pub(crate) fn link_event(&self) -> Event {
        let mut link = self.link.clone();
        if link.addresses.contains(&self.own) {
            link.addresses.extend(&self.table);
            link.ours.extend(&self.table);
        }
        Event::Link {
            interface: id(ETH),
            link: Some(link),
        }
    }

    /// Performs everything but `SendAdvert`.
    pub(crate) fn perform(&mut self, command: Command, now: Instant) -> Vec<Later> {
        self.commands.push((now, command.clone()));
        match command {
            Command::SendAdvert { .. }
            | Command::Announce { .. }
            | Command::HearClaims { .. }
            | Command::Probe { .. }
            | Command::RenewLeases { .. } => Vec::new(),
            Command::AwaitSuccessor { router, addresses } => {
                let addresses = addresses.into_iter().map(|(_, address)| address);
                self.awaited.insert(router.clone(), addresses.collect());
                let seen = (Duration::ZERO, Event::SuccessorSeen { router });
                self.succeeded.then_some(seen).into_iter().collect()
            }
            Command::ForgetSuccessor(router) => {
                self.awaited.remove(&router);
                Vec::new()
            }
            Command::AddAddresses { router, holdings } => {
                let addresses = holdings.addresses.iter().map(|a| a.address);
                self.change(Step::Add, router, |table| table.extend(addresses))
            }
            Command::RemoveAddresses {
                router,
                holdings,
                partial,
                ..
            } => self.change(Step::removal(partial), router, |table| {
                table.retain(|there| holdings.addresses.iter().all(|gone| gone.address != *there));
            }),
            Command::Answer { ticket, result } => {
                self.answers.push((ticket, result));
                Vec::new()
            }
            Command::Check(call) if self.worker_up => {
                let says = self.says.get(call.check.as_str()).cloned().unwrap_or(Says::Pass);
                let Some((took, outcome)) = outcome(says) else {
                    return Vec::new();
                };
                let (check, run) = (call.check, call.run);
                vec![(
                    took,
                    Event::Checked {
                        check,
                        run,
                        outcome,
                        took,
                    },
                )]
            }
            Command::Load(load) if self.worker_up && self.loads_answered => {
                let (plugin, generation) = (load.plugin, load.generation);
                let result = Ok(loaded(plugin.as_str()));
                vec![(
                    ms(5),
                    Event::PluginLoaded {
                        plugin,
                        generation,
                        result,
                    },
                )]
            }
            Command::Notify(call) if self.deaf_hook.as_deref() == Some(call.notify.as_str()) => Vec::new(),
            Command::Notify(call) if self.worker_up => {
                let (notify, id) = (call.notify, call.event.id);
                let result = if self.hooks_fail {
                    Err(error(ErrorClass::Unavailable))
                } else {
                    self.told.push(call.event);
                    Ok(())
                };
                vec![(ms(1), Event::Notified { notify, id, result })]
            }
            Command::Check(_) | Command::Load(_) | Command::Notify(_) | Command::Act { .. } => Vec::new(),
            Command::Drain { .. }
            | Command::Forward { .. }
            | Command::EndDrain(_)
            | Command::EndForward(_) => self.drained.perform(&command).into_iter().collect(),
            Command::Record(record) => {
                self.records.push(record);
                Vec::new()
            }
            Command::Exit => {
                self.exited = true;
                Vec::new()
            }
            Command::StartService { config, beside } => self.start(config.name.as_str(), beside),
            Command::LookAtService { config, pid, .. } if self.alive == Some(pid) || self.left(pid) => {
                let (service, look) = (config.name, self.script.look.clone());
                vec![(ms(1), Event::ServiceSeen { service, pid, look })]
            }
            Command::LookAtService { .. } | Command::Unlisten(_) => Vec::new(),
            Command::ReloadService(config) => {
                let (service, result) = (config.name, Ok(()));
                vec![(ms(5), Event::ServiceReloaded { service, result })]
            }
            Command::SweepService(config) => {
                let (service, result) = (config.name, Ok(()));
                vec![(ms(5), Event::ServiceSwept { service, result })]
            }
            Command::TestService(config) => {
                let (service, result) = (config.name, self.script.test.clone());
                vec![(ms(5), Event::ServiceTested { service, result })]
            }
            Command::SignalService { service, pid, signal } => self.signal(service.as_str(), pid, signal),
        }
    }

    fn change(
        &mut self,
        step: Step,
        router: standfast_core::ids::RouterName,
        change: impl FnOnce(&mut BTreeSet<IpAddr>),
    ) -> Vec<Later> {
        if !self.answers_addresses {
            return Vec::new();
        }
        let before = self.link_event();
        let result = if self.refuses_addresses {
            Err("refused".into())
        } else {
            change(&mut self.table);
            if self.refuses_a_part.as_ref() == Some(&router) {
                Err("a route is refused".into())
            } else {
                Ok(())
            }
        };
        // A carrier report of before the change arrives after the answer, as it may with a real kernel.
        vec![
            (
                Duration::from_micros(200),
                Event::AddressesDone { router, step, result },
            ),
            (Duration::from_micros(250), before),
            (Duration::from_micros(300), self.link_event()),
        ]
    }

    fn start(&mut self, service: &str, beside: Option<u32>) -> Vec<Later> {
        assert_eq!(self.alive, beside, "started while another copy lives");
        let script = self.next_lives.pop_front().unwrap_or_else(|| self.script.clone());
        if let Err((class, why)) = script.spawn {
            let result = Err((class, why));
            let service = id(service);
            return vec![(ms(1), Event::ServiceStarted { service, result })];
        }
        self.last_pid += 1;
        let pid = self.last_pid;
        self.alive = Some(pid);
        let started = Event::ServiceStarted {
            service: id(service),
            result: Ok(Started {
                pid,
                how: How::Spawned,
            }),
        };
        let mut later = vec![(ms(1), started)];
        if let Some(after) = script.ready_after {
            let service = id(service);
            later.push((ms(1) + after, Event::ServiceReady { service, pid }));
        }
        if let Some((after, code, stderr)) = script.dies {
            later.push((ms(1) + after, exited(service, pid, Some(code), None, stderr)));
        }
        later
    }

    /// One of its workers, which serve without it.
    fn left(&self, pid: u32) -> bool {
        self.alive.is_none() && self.script.look.workers.iter().any(|worker| worker.pid == pid)
    }

    fn signal(&mut self, service: &str, pid: u32, signal: Signal) -> Vec<Later> {
        if self.alive != Some(pid) {
            return Vec::new();
        }
        let end = |after, number| (after, exited(service, pid, None, Some(number), String::new()));
        match signal {
            Signal::Reload => {
                for worker in &mut self.script.look.workers {
                    worker.pid += 1000;
                }
                Vec::new()
            }
            Signal::Continue | Signal::KillStopped => Vec::new(),
            Signal::Quit => self
                .script
                .quits_after
                .map(|after| end(after, 3))
                .into_iter()
                .collect(),
            Signal::Terminate if self.script.heeds_term => vec![end(ms(5), 15)],
            Signal::Terminate => Vec::new(),
            Signal::Kill | Signal::KillMain => vec![end(ms(1), 9)],
        }
    }
}

pub(crate) fn exited(
    service: &str,
    pid: u32,
    code: Option<i32>,
    signal: Option<i32>,
    stderr: String,
) -> Event {
    Event::ServiceExited {
        service: id(service),
        pid,
        exit: Exit {
            code,
            signal,
            stderr,
            orphans: Vec::new(),
            evidence: Vec::new(),
        },
    }
}

pub(crate) fn loaded(digest: &str) -> LoadedPlugin {
    LoadedPlugin {
        digest: digest.into(),
        interface: "0.1.0".into(),
        size: 1,
        cached: false,
        took: ms(5),
        refused: None,
    }
}

pub(crate) fn verdict(status: Status) -> CheckOutcome {
    Ok(Verdict {
        message: format!("{status:?}"),
        status,
        weight: None,
        next: None,
    })
}

pub(crate) fn error(class: ErrorClass) -> CallError {
    let message = "scripted".into();
    CallError { class, message }
}
