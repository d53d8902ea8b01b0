//! What operators move: a router handed over, a node drained, and back. Nothing is lost by it: who gives up answers
//! until its successor does.

use std::time::Duration;

use crate::command::Command;
use crate::config::group::FaultPolicy;
use crate::config::router::WhenAlone;
use crate::engine::Engine;
use crate::engine::router::Router;
use crate::event::Moving;
use crate::health::board::Condition;
use crate::ids::{Priority, RouterName, VrrpState};
use crate::time::Instant;

/// The kernel has so long to take the addresses off before the asker is answered.
const KERNEL: Duration = Duration::from_secs(2);

/// An operator who waits for the end of a move.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    ticket: u64,
    /// Said first.
    what: &'static str,
    /// Those that were master.
    routers: Vec<RouterName>,
}

impl Engine {
    /// The node was drained in an earlier life. Before anything else is told.
    pub fn begin_drained(&mut self) {
        self.drained = true;
    }

    /// An operator asks for a move.
    pub(super) fn on_move(&mut self, moving: &Moving, ticket: u64, now: Instant) {
        let refused = match moving {
            _ if self.is_leaving() => Some("standfast is being stopped".to_owned()),
            Moving::HandOver(name) => self.hand_over(name, ticket, now).err(),
            Moving::Drain => {
                self.drain(ticket, now);
                None
            }
            Moving::Resume(name) => self.resume(name.as_deref(), ticket, now).err(),
        };
        if let Some(why) = refused {
            self.answer(ticket, Err(why));
        }
    }

    fn hand_over(&mut self, name: &str, ticket: u64, now: Instant) -> Result<(), String> {
        let routers = self.moved_by(name)?;
        let masters = self.masters_among(&routers);
        if masters.is_empty() {
            let first = routers.first().and_then(|name| self.routers.get(name));
            let state = first.map(|router| router.machine.state());
            let state = state.map(|state| state.to_string()).unwrap_or_default();
            return Err(format!("{name} is {state} here: there is nothing to hand over"));
        }
        self.away.extend(routers);
        self.give_up(masters, "", "handed over by an operator", ticket, now);
        Ok(())
    }

    fn drain(&mut self, ticket: u64, now: Instant) {
        self.drained = true;
        self.record("config", "drain", "the node is drained".into(), false, now);
        let all: Vec<_> = self.routers.keys().cloned().collect();
        let masters = self.masters_among(&all);
        let what = "drained, until `standfast resume`; ";
        self.give_up(masters, what, "the node is drained", ticket, now);
    }

    fn resume(&mut self, name: Option<&str>, ticket: u64, now: Instant) -> Result<(), String> {
        let message = match name {
            Some(name) => {
                let routers = self.moved_by(name)?;
                let was = routers.iter().filter(|router| self.away.remove(*router)).count();
                if self.drained {
                    return Err(
                        "the node is drained, and all its routers with it: `standfast resume` ends that"
                            .into(),
                    );
                }
                match was {
                    0 => format!("{name} was not handed over"),
                    _ => format!("{name} stands for election again"),
                }
            }
            None => {
                let was = self.drained || !self.away.is_empty();
                self.drained = false;
                self.away.clear();
                match was {
                    true => "all routers stand for election again".to_owned(),
                    false => "nothing was drained or handed over".to_owned(),
                }
            }
        };
        self.record("config", "resume", message.clone(), false, now);
        self.answer(ticket, Ok(message));
        Ok(())
    }

    /// The routers that a name moves: a router alone, or all of its sync group.
    fn moved_by(&self, name: &str) -> Result<Vec<RouterName>, String> {
        let mut groups = self.config.groups.values();
        if let Some(group) = groups.find(|group| group.name.as_str() == name) {
            return Ok(group.members.clone());
        }
        let Some(router) = self.routers.keys().find(|router| router.as_str() == name) else {
            return Err(format!(
                "no router and no sync group is called {name}; `standfast status` lists them"
            ));
        };
        let together = self
            .group_of(router)
            .filter(|group| group.fault == FaultPolicy::Any);
        Ok(together.map_or_else(|| vec![router.clone()], |group| group.members.clone()))
    }

    fn masters_among(&self, names: &[RouterName]) -> Vec<RouterName> {
        let masters = names.iter().filter(|name| self.is_master(name));
        masters.cloned().collect()
    }

    fn give_up(
        &mut self,
        masters: Vec<RouterName>,
        what: &'static str,
        cause: &str,
        ticket: u64,
        now: Instant,
    ) {
        for name in &masters {
            self.with_router(name, now, |router, deeds| {
                // One that drops its addresses does not wait until it would be master again.
                router.leaves = drops(router);
                router.demote(cause.to_owned(), now, deeds);
                router.leaves = false;
            });
        }
        self.asked.push(Asked {
            ticket,
            what,
            routers: masters,
        });
    }

    /// Answers those whose moves have ended.
    pub(super) fn finish_moves(&mut self, now: Instant) {
        for asked in std::mem::take(&mut self.asked) {
            let routers = asked.routers.iter().filter_map(|name| self.routers.get(name));
            if routers.clone().all(|router| has_moved(router, now)) {
                let ends: Vec<_> = routers.map(end).collect();
                let good = ends.iter().all(|(good, _)| *good);
                let lines: Vec<_> = ends.into_iter().map(|(_, line)| line).collect();
                let lines = match lines.is_empty() {
                    true => "nothing was master here".to_owned(),
                    false => lines.join("; "),
                };
                let message = format!("{}{lines}", asked.what);
                self.answer(asked.ticket, if good { Ok(message) } else { Err(message) });
            } else {
                self.asked.push(asked);
            }
        }
    }

    fn answer(&mut self, ticket: u64, result: Result<String, String>) {
        self.commands.push_back(Command::Answer { ticket, result });
    }

    /// What an operator's word makes of a router.
    pub(super) fn sent_away(&self, router: &Router) -> Option<Condition> {
        let why = if self.drained {
            "the node is drained: another one is to be master, until `standfast resume`"
        } else if self.away.contains(&router.config.name) {
            "handed over: another node is to be master, until `standfast resume`"
        } else {
            return None;
        };
        let moves = || {
            self.routers
                .values()
                .any(|router| router.answers_until().is_some())
        };
        Some(match drops(router) && !moves() {
            true => Condition::Bad(why.into()),
            false => Condition::Poor(why.into()),
        })
    }

    /// Whether the node is drained.
    pub(super) fn is_drained(&self) -> bool {
        self.drained
    }
}

/// Whether it gives its addresses up though nobody else comes. No weight makes an owner less than the best, so it has
/// no other way to stay away.
fn drops(router: &Router) -> bool {
    router.config.when_alone == WhenAlone::Drop || router.config.priority == Priority::OWNER
}

fn has_moved(router: &Router, now: Instant) -> bool {
    let gone = router.ended_at().is_none_or(|ended| now >= ended + KERNEL);
    router.answers_until().is_none() && (gone || router.handed().is_some())
}

/// Whether another one took it, and a line.
fn end(router: &Router) -> (bool, String) {
    let name = &router.config.name;
    if router.machine.state() == VrrpState::Master {
        return (false, format!("nobody took {name} over: it stays master here"));
    }
    match router.handed() {
        Some(handed) => (handed.successor.is_some(), format!("{name}: {}", handed.line())),
        None => (true, format!("{name}: let go at once")),
    }
}
