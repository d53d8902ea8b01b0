//! Failover of the whole node: stop, cable, silence, crash, preemption.

use std::time::{Duration, Instant};

use standfast_lab::config::{Config, master_down, skew};
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::order::End;
use standfast_lab::pair::{ELECTION, Pair, SLACK};
use standfast_lab::wait::{holds_for, wait_until};
use standfast_lab::world::BALANCERS;

const SECOND: Duration = Duration::from_secs(1);

/// Story line 1: a stop costs at most the backup's skew time, and the way back costs nothing.
pub(crate) fn stop_hands_over_after_skew_and_return_takes_it_back() -> Result<()> {
    let mut pair = Pair::of_examples("nginx-pass")?;
    let client = pair.client()?;
    let start = Instant::now();
    let seen = client.during(|| {
        let end = pair.one.stop()?;
        ensure!(end == End::Code(0), "a stopped daemon ended with {end:?}");
        pair.wait_owner(&pair.world.lb02, skew(2, 100, SECOND) + SLACK)
    })?;
    let bound = skew(2, 100, SECOND) + SLACK;
    ensure!(
        seen.icmp.silence <= bound,
        "stop: {:?} of silence, at most {bound:?} expected",
        seen.icmp.silence
    );
    let goodbye = pair.world.adverts.from(BALANCERS[0], start);
    ensure!(
        goodbye.last().is_some_and(|advert| advert.priority == 0),
        "no goodbye was sent: {goodbye:?}"
    );

    pair.restart_one()?;
    let seen = client.during(|| pair.wait_owner(&pair.world.lb01, ELECTION))?;
    ensure!(
        seen.icmp.silence <= SLACK,
        "return: {:?} of silence",
        seen.icmp.silence
    );
    pair.two.wait_state("BACKUP", ELECTION)
}

/// Story line 2: a pulled cable costs Master_Down; after the return there is one owner.
pub(crate) fn pulled_cable_moves_the_vip_after_master_down() -> Result<()> {
    let pair = Pair::of_examples("nginx-pass")?;
    let client = pair.client()?;
    let bound = master_down(2, 100, SECOND) + SLACK;
    let start = Instant::now();
    let seen = client.during(|| {
        pair.world.pull(&pair.world.lb01)?;
        pair.one.wait_state("FAULT", 2 * SECOND)?;
        pair.wait_owner(&pair.world.lb02, bound)
    })?;
    ensure!(
        seen.icmp.silence <= bound,
        "{:?} of silence, at most {bound:?} expected",
        seen.icmp.silence
    );
    pair.world.plug(&pair.world.lb01)?;
    pair.wait_owner(&pair.world.lb01, ELECTION)?;
    client.wait_answers(2 * SECOND)?;
    let doubled = pair.world.owners.doubled(start);
    ensure!(doubled < SECOND, "both had the VIP for {doubled:?}");
    Ok(())
}

/// A cut that no node can see makes two masters; healing leaves one within an advert interval.
pub(crate) fn healed_cut_leaves_one_owner_within_an_interval() -> Result<()> {
    let pair = Pair::of(&Config::new(3, 200), &Config::new(3, 100))?;
    pair.world.cut(&pair.world.lb01)?;
    wait_until("lb02 taking over", master_down(3, 100, SECOND) + SLACK, || {
        Ok(pair.world.owners.holds("lb02"))
    })?;
    ensure!(
        pair.world.owners.holds("lb01"),
        "a master that hears nothing gave its VIP away"
    );
    pair.world.heal(&pair.world.lb01)?;
    pair.wait_owner(&pair.world.lb01, SECOND + SLACK)?;
    pair.two.wait_state("BACKUP", 2 * SECOND)?;
    pair.client()?.wait_answers(2 * SECOND)
}

/// A node that vanishes costs at most Master_Down, at adverts every 100 ms too.
pub(crate) fn vanished_node_costs_master_down() -> Result<()> {
    let pace = Duration::from_millis(100);
    let pair = Pair::of(&Config::new(3, 200).every(pace), &Config::new(3, 100).every(pace))?;
    let client = pair.client()?;
    let bound = master_down(3, 100, pace) + SLACK;
    let seen = client.during(|| {
        pair.world.crash(&pair.world.lb01)?;
        pair.wait_owner(&pair.world.lb02, bound)
    })?;
    ensure!(
        seen.icmp.silence <= bound,
        "{:?} of silence, at most {bound:?} expected",
        seen.icmp.silence
    );
    ensure!(
        seen.http.by_node.contains_key("lb02"),
        "nobody was served by lb02: {:?}",
        seen.http
    );
    Ok(())
}

/// Story line 7: with preempt off the VIP stays where it is.
pub(crate) fn returned_node_leaves_the_vip_with_preempt_off() -> Result<()> {
    let mut pair = Pair::of_examples("nopreempt")?;
    let client = pair.client()?;
    client.during(|| {
        pair.one.stop()?;
        pair.wait_owner(&pair.world.lb02, skew(2, 90, SECOND) + SLACK)
    })?;
    pair.restart_one()?;
    pair.one.wait_state("BACKUP", ELECTION)?;
    let start = Instant::now();
    holds_for("the VIP at lb02 alone", 5 * SECOND, || {
        Ok(pair.world.owners.holds("lb02") && !pair.world.owners.holds("lb01"))
    })?;
    let seen = client.since(start)?;
    ensure!(
        seen.icmp.silence <= SLACK,
        "{:?} of silence though nothing moved",
        seen.icmp.silence
    );
    ensure!(
        !seen.http.by_node.contains_key("lb01"),
        "lb01 served requests: {:?}",
        seen.http
    );
    Ok(())
}

/// A daemon killed by SIGKILL cannot say goodbye: the peer takes over after Master_Down, and the daemon that starts
/// again does not ignore the VIP that was left behind.
pub(crate) fn killed_daemon_is_replaced_and_cleans_up_when_it_returns() -> Result<()> {
    let mut pair = Pair::of(&Config::new(3, 200).no_preempt(), &Config::new(3, 100))?;
    for process in pair
        .world
        .lb01
        .processes()?
        .iter()
        .filter(|p| p.comm.starts_with("standfast"))
    {
        // The worker may die with its parent before its turn comes.
        let _ = pair.world.lb01.signal(process.pid, "KILL");
    }
    let bound = master_down(3, 100, SECOND) + SLACK;
    wait_until("lb02 taking over", bound, || Ok(pair.world.owners.holds("lb02")))?;
    pair.restart_one()?;
    pair.wait_owner(&pair.world.lb02, SECOND + SLACK)?;
    pair.client()?.wait_answers(2 * SECOND)
}
