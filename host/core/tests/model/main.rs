//! A model check: every order of events of three routers with few faults, on the real state machine, in whole ticks.
//!
//! A tick is a quarter of the interval. With the priorities of the models the skews are whole ticks too, so nothing is
//! rounded. A message takes no or one tick, in any order; a router is never late. Within that, everything is tried.

#[path = "../lan/mod.rs"]
mod lan;
mod world;

use std::net::Ipv4Addr;
use std::time::Duration;

use lan::config::{VIP, ms, priority, router, secs};
use standfast_core::config::router::Preempt;
use standfast_core::ids::{AdvertInterval, Version, VrrpState};
use standfast_core::time::Instant;
use standfast_core::vrrp::machine::{Action, Machine, Standing};
use standfast_core::wire::advert::Advert;
use stateright::{Checker, Model, Property};
use world::{DELAY, Message, Step, World, address};

/// A quarter of a second.
const TICK: u64 = 250;
/// Ticks of silence after which the slowest of the models' routers takes over.
const DOWN: u8 = 15;
/// What S1 waits for: the slowest takes over, is heard, and whoever promoted with it has given up.
const SETTLED: u8 = DOWN + 4 + 2 * DELAY;

/// Three routers, their rules, and how many faults are tried.
#[derive(Clone)]
struct Routers {
    /// Multiples of 64.
    priorities: [u8; 3],
    version: Version,
    preempt: Preempt,
    losses: u8,
    /// How many end without a word, each started again at any time.
    crashes: u8,
    /// How many are stopped in good order, each started again at any time.
    stops: u8,
}

impl Routers {
    fn started(&self, router_: usize, now: Instant) -> Machine {
        let mut config = router(self.priorities[router_]);
        config.version = self.version;
        config.preempt = self.preempt;
        let mut machine = Machine::new(&config, now);
        machine.set_primary(Some(address(router_).into()));
        machine.set_standing(Standing::Fit(config.priority), now, &mut Vec::new());
        machine
    }

    fn advert(&self, number: u8) -> Advert {
        Advert {
            version: self.version,
            vrid: 51.try_into().expect("legal"),
            priority: number,
            interval: AdvertInterval::DEFAULT,
            addresses: vec![VIP],
            auth: Default::default(),
        }
    }

    /// Gives an advert to a router that lives, and judges what it makes of it.
    fn deliver(&self, world: &mut World, message: Message) {
        let Message {
            from,
            to,
            priority: number,
            ..
        } = message;
        let Some(machine) = &mut world.routers[to] else {
            return;
        };
        let (before, timer) = (machine.state(), machine.deadline());
        let mut out = Vec::new();
        machine.on_advert(address(from).into(), &self.advert(number), world.now, &mut out);
        let (after, deadline) = (machine.state(), machine.deadline());
        // In ticks: 12 are three intervals, 256 - P over 64 the skew.
        let skew = ms(TICK) * ((256 - u32::from(self.priorities[to])) / 64);
        let down = ms(12 * TICK) + skew;
        let obeyed = match (before, after) {
            (VrrpState::Backup, VrrpState::Backup) => {
                let acceptable = number >= self.priorities[to] || self.preempt == Preempt::Never;
                let wanted = match number {
                    0 => Some(world.now + skew),
                    _ if acceptable => Some(world.now + down),
                    _ => timer.map(|(at, _)| at),
                };
                deadline.map(|(at, _)| at) == wanted && out.is_empty()
            }
            (VrrpState::Master, VrrpState::Backup) => {
                let larger = number > 0 && (number, address(from)) > self.key(to);
                larger && deadline.is_some_and(|(at, _)| at == world.now + down)
            }
            (VrrpState::Master, VrrpState::Master) => {
                let answers = out.iter().any(|action| matches!(action, Action::Send(_)));
                world.answered[to] |= answers && number > 0;
                let due = number == 0 || (self.version == Version::V3 && !world.answered[to]);
                (number == 0 || (number, address(from)) < self.key(to)) && (answers || !due)
            }
            _ => false,
        };
        if !obeyed {
            world.wrong = Some("S3, S6, S9: what an advert does to timer and state");
        }
        world.say(to, self.priorities[to], &out);
    }

    fn key(&self, router: usize) -> (u8, Ipv4Addr) {
        (self.priorities[router], address(router))
    }
}

impl Model for Routers {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let now = Instant::from_nanos(1_000_000_000);
        vec![World {
            now,
            routers: [0, 1, 2].map(|router| Some(self.started(router, now))),
            answered: [false; 3],
            under_way: Vec::new(),
            losses: 0,
            crashes: 0,
            stops: 0,
            quiet: 0,
            wrong: None,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let mut messages = world.under_way.clone();
        messages.dedup();
        steps.extend(messages.iter().map(|message| Step::Deliver(*message)));
        if world.losses < self.losses {
            steps.extend(messages.iter().map(|message| Step::Lose(*message)));
        }
        let mut due = false;
        for router in 0..3 {
            match &world.routers[router] {
                Some(machine) => {
                    if machine.deadline().is_some_and(|(at, _)| at <= world.now) {
                        due = true;
                        steps.push(Step::Fire(router));
                    }
                    if world.crashes < self.crashes {
                        steps.push(Step::Crash(router));
                    }
                    if world.stops < self.stops {
                        steps.push(Step::Stop(router));
                    }
                }
                None => steps.push(Step::Start(router)),
            }
        }
        if !due && world.under_way.iter().all(|message| message.left > 0) {
            steps.push(Step::Pass);
        }
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        let mut out = Vec::new();
        match step {
            Step::Deliver(message) => {
                world.take(message);
                self.deliver(&mut world, message);
            }
            Step::Lose(message) => {
                world.take(message);
                world.losses += 1;
                world.quiet = 0;
            }
            Step::Fire(router) => {
                let machine = world.routers[router].as_mut()?;
                machine.on_time(world.now, &mut out);
                if machine.state() != VrrpState::Master || !matches!(out[0], Action::Send(1..)) {
                    world.wrong =
                        Some("a timer that fires makes or keeps an Active, and the advert goes first");
                }
                world.say(router, self.priorities[router], &out);
            }
            Step::Crash(router) => {
                world.routers[router] = None;
                world.answered[router] = false;
                world.crashes += 1;
                world.quiet = 0;
            }
            Step::Stop(router) => {
                let mut machine = world.routers[router].take()?;
                let spoke = machine.state() == VrrpState::Master;
                machine.stop("stopped", world.now, &mut out);
                if out.contains(&Action::Send(0)) != spoke {
                    world.wrong = Some("an Active says goodbye, nobody else does");
                }
                world.say(router, self.priorities[router], &out);
                world.answered[router] = false;
                world.stops += 1;
                world.quiet = 0;
            }
            Step::Start(router) => {
                world.routers[router] = Some(self.started(router, world.now));
                world.quiet = 0;
            }
            Step::Pass => {
                world.now = world.now + ms(TICK);
                world.answered = [false; 3];
                world.under_way.iter_mut().for_each(|message| message.left -= 1);
                world.quiet = (world.quiet + 1).min(2 * SETTLED);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S1: one Active when quiet", |_, world: &World| {
                world.quiet < SETTLED || world.alive().next().is_none() || world.active().len() == 1
            }),
            Property::always("S2: the best one wins", |model: &Self, world: &World| {
                // By priority: a Backup of equal priority leaves an Active of a lower address alone (R-6.4.2-9).
                let priority = |router: &usize| model.priorities[*router];
                let calm = world.quiet >= 2 * SETTLED && model.preempt != Preempt::Never;
                !calm
                    || world.alive().map(|router| priority(&router)).max()
                        == world.active().iter().map(priority).max()
            }),
            Property::always(
                "S5: one timer in Backup and Active, none elsewhere",
                |_, world: &World| {
                    let timed = |machine: &Machine| {
                        let listens = matches!(machine.state(), VrrpState::Backup | VrrpState::Master);
                        let longest = ms(TICK) * u32::from(DOWN);
                        listens
                            && machine
                                .deadline()
                                .is_some_and(|(at, _)| at.since(world.now) <= longest)
                    };
                    world.routers.iter().flatten().all(timed)
                },
            ),
            Property::always("S6 and the rest of a step", |_, world: &World| {
                world.wrong.is_none()
            }),
            // The other way round: what must be able to happen, or the check checks nothing.
            Property::sometimes("two are Active for a while", |_, world: &World| {
                world.active().len() > 1
            }),
            Property::sometimes("the worst is Active for long", |model: &Self, world: &World| {
                let worst = (0..3).min_by_key(|router| model.key(*router));
                model.losses == 0
                    || model.crashes == 0
                    || worst.is_some_and(|worst| world.active() == [worst])
            }),
        ]
    }
}

fn check(mut model: Routers) {
    if cfg!(debug_assertions) {
        // Slow there: the machine's own assertions are what counts.
        model.losses = model.losses.min(1);
        model.crashes = 0;
    }
    assert_eq!(
        Duration::from_millis(4 * TICK),
        secs(1),
        "a tick is a quarter of the interval"
    );
    assert!(
        model
            .priorities
            .iter()
            .all(|number| priority(*number).get().is_multiple_of(64)),
        "whole ticks"
    );
    let started = std::time::Instant::now();
    let checker = model.checker().threads(2).spawn_dfs().join();
    eprintln!("{} states, {:?}", checker.unique_state_count(), started.elapsed());
    checker.assert_properties();
}

/// Version 3, preempting.
const ROUTERS: Routers = Routers {
    priorities: [192, 128, 64],
    version: Version::V3,
    preempt: Preempt::After(Duration::ZERO),
    losses: 2,
    crashes: 1,
    stops: 0,
};

/// proves: -R-6.4.2-7 -R-6.4.2-10 -R-6.4.3-11
#[test]
fn every_order_of_two_losses_and_a_crash() {
    check(ROUTERS);
}

/// proves: +R-6.4.2-6 -R-6.4.3-8
#[test]
fn every_order_of_a_loss_and_a_stop() {
    check(Routers {
        losses: 1,
        crashes: 0,
        stops: 1,
        ..ROUTERS
    });
}

/// proves: -R-8.3.2-2
#[test]
fn every_order_of_a_loss_with_equal_priorities() {
    check(Routers {
        priorities: [128, 128, 64],
        losses: 1,
        crashes: 0,
        ..ROUTERS
    });
}

#[test]
fn every_order_of_a_loss_and_a_crash_without_preemption() {
    check(Routers {
        preempt: Preempt::Never,
        losses: 1,
        ..ROUTERS
    });
}

#[test]
fn every_order_of_a_loss_and_a_crash_in_version_2() {
    check(Routers {
        version: Version::V2,
        losses: 1,
        ..ROUTERS
    });
}
