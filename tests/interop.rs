//! keepalived 2.2.7 as the peer: one master at every moment, in both roles and both directions.

use std::time::{Duration, Instant};

use standfast_lab::config::{Config, master_down, skew};
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::keepalived::{self, Instance};
use standfast_lab::nginx;
use standfast_lab::node::{Node, Program};
use standfast_lab::pair::{Client, ELECTION, SLACK};
use standfast_lab::sniff::Advert;
use standfast_lab::standfast;
use standfast_lab::wait::{wait_for, wait_until};
use standfast_lab::world::World;

const SECOND: Duration = Duration::from_secs(1);
const PASS: &str = "123456";

/// Which of the two runs on `lb01` (priority 200); the other runs on `lb02` (priority 100).
#[derive(Clone, Copy)]
enum First {
    Standfast,
    Keepalived,
}

pub(crate) fn v2_standfast_first() -> Result<()> {
    both_directions(2, First::Standfast)
}

pub(crate) fn v2_keepalived_first() -> Result<()> {
    both_directions(2, First::Keepalived)
}

pub(crate) fn v3_standfast_first() -> Result<()> {
    both_directions(3, First::Standfast)
}

pub(crate) fn v3_keepalived_first() -> Result<()> {
    both_directions(3, First::Keepalived)
}

/// The harness itself, with two keepalived: what it says about them must agree with the RFC.
pub(crate) fn keepalived_pair_behaves_as_the_rfc_says() -> Result<()> {
    let world = World::with_backends()?;
    world
        .balancers()
        .into_iter()
        .try_for_each(|node| nginx::start(node).map(drop))?;
    let one = keepalived::start(&world.lb01, &Instance::new(3, 200))?;
    keepalived::start(&world.lb02, &Instance::new(3, 100))?;
    alone(&world, &world.lb01, ELECTION)?;
    let client = Client::start(&world)?;
    // The machine itself may stand still for a moment: then what is seen says nothing of the VIP.
    let calm = wait_for("a second in which the probes are quick", ELECTION, || {
        let start = Instant::now();
        std::thread::sleep(SECOND);
        let calm = client.since(start)?;
        Ok((calm.icmp.sent > 500 && calm.http.sent > 500).then_some(calm))
    })?;
    ensure!(
        calm.icmp.silence < SLACK / 2 && calm.http.silence < SLACK / 2,
        "a calm VIP is silent: {calm:?}"
    );
    let seen = client.during(|| {
        one.signal("TERM")?;
        alone(&world, &world.lb02, ELECTION)
    })?;
    // A question answered just before the goodbye, and one answered just after the advert, lie a little inside.
    let (least, most) = (
        skew(3, 100, SECOND) - SLACK / 50,
        skew(3, 100, SECOND) + SLACK / 2,
    );
    ensure!(
        (least..most).contains(&seen.icmp.silence),
        "a stop: {:?}, skew is {least:?}",
        seen.icmp.silence
    );
    ensure!(
        seen.http.by_node.contains_key("lb02"),
        "nobody was served by lb02: {seen:?}"
    );
    Ok(())
}

/// Stop and return, vanish and return of the better node.
fn both_directions(version: u8, first: First) -> Result<()> {
    let world = World::with_backends()?;
    world
        .balancers()
        .into_iter()
        .try_for_each(|node| nginx::start(node).map(drop))?;
    let mut better = begin(&world.lb01, version, 200, first)?;
    let other = match first {
        First::Standfast => First::Keepalived,
        First::Keepalived => First::Standfast,
    };
    begin(&world.lb02, version, 100, other)?;
    alone(&world, &world.lb01, ELECTION)?;
    // Until here both may have stood for the first election.
    let start = Instant::now();
    let client = Client::start(&world)?;

    let seen = client.during(|| {
        better.signal("TERM")?;
        alone(&world, &world.lb02, skew(version, 100, SECOND) + SLACK)
    })?;
    ensure!(
        seen.icmp.silence <= skew(version, 100, SECOND) + SLACK,
        "stop: {:?}",
        seen.icmp.silence
    );
    better.wait(ELECTION)?;
    better = begin(&world.lb01, version, 200, first)?;
    let seen = client.during(|| alone(&world, &world.lb01, ELECTION))?;
    ensure!(
        seen.icmp.silence <= SLACK,
        "return after a stop: {:?}",
        seen.icmp.silence
    );

    let bound = master_down(version, 100, SECOND) + SLACK;
    let seen = client.during(|| {
        world.pull(&world.lb01)?;
        alone(&world, &world.lb02, bound)
    })?;
    ensure!(seen.icmp.silence <= bound, "cable: {:?}", seen.icmp.silence);
    world.plug(&world.lb01)?;
    alone(&world, &world.lb01, ELECTION)?;
    client.wait_answers(2 * SECOND)?;
    ensure!(better.runs()?, "the better node's daemon ended");

    // Planned moves overlap for as long as make-before-break needs, never longer.
    let doubled = world.owners.doubled(start);
    ensure!(
        doubled < Duration::from_secs(1),
        "both had the VIP for {doubled:?} in four moves"
    );
    one_voice(&world, start)
}

fn begin(node: &Node, version: u8, priority: u8, software: First) -> Result<Program> {
    match software {
        First::Standfast => {
            let mut config = Config::new(version, priority);
            config.pass = (version == 2).then_some(PASS);
            Ok(standfast::start(node, &config.text(node))?.program)
        }
        First::Keepalived => {
            let mut instance = Instance::new(version, priority);
            instance.pass = (version == 2).then_some(PASS);
            keepalived::start(node, &instance)
        }
    }
}

fn alone(world: &World, node: &Node, limit: Duration) -> Result<()> {
    wait_until(&format!("the VIP at {} alone", node.name()), limit, || {
        let holders = world.holders();
        Ok(holders.len() == 1 && holders[0].name() == node.name())
    })
    .map(drop)
}

/// On the wire: a better node that returns, the worse one's answer (RFC 9568 6.4.3) and the better one again are three
/// changes of the speaker, a takeover is one: eight in four moves, and some for a busy machine. Two masters side by side
/// would change it twice a second.
fn one_voice(world: &World, start: Instant) -> Result<()> {
    let adverts = world.adverts.since(start);
    let told = |advert: &Advert| {
        format!(
            "{:?} {} priority {}",
            advert.at - start,
            advert.from,
            advert.priority
        )
    };
    let speakers: Vec<_> = adverts
        .iter()
        .filter(|advert| advert.priority > 0)
        .map(|advert| advert.from)
        .collect();
    let changes = speakers.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let all: Vec<String> = adverts.iter().map(told).collect();
    ensure!(
        changes <= 12,
        "the speaker changed {changes} times in four moves:\n{}",
        all.join("\n")
    );
    Ok(())
}
