//! Any faults, then heal, then life is demanded: the end comes, everyone is answered, the best node owns the address.

mod lan;

use std::collections::BTreeSet;
use std::time::Duration;

use lan::Lan;
use lan::config::{VIP, With, centis, check, hook, ms, node, secs, service, weight};
use proptest::prelude::*;
use standfast_core::config::check::CheckConfig;
use standfast_core::config::file::Config;
use standfast_core::control::ServiceAction;
use standfast_core::event::Event;
use standfast_core::ids::VrrpState;

const STATES: &[VrrpState] = &[
    VrrpState::Init,
    VrrpState::Master,
    VrrpState::Backup,
    VrrpState::Fault,
    VrrpState::Stopped,
];

/// One of everything.
fn everything(number: u8, takeover: Duration) -> Config {
    let mut nginx = service("nginx");
    nginx.takeover_after = takeover;
    let soft = CheckConfig {
        weight: weight(-50),
        ..check("soft")
    };
    node(number)
        .with_check(check("hard"))
        .with_check(soft)
        .with_service(nginx)
        .with_hook(hook("log", STATES))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_that_is_asked_is_answered_and_the_end_comes(
        events in proptest::collection::vec((0..3_000_u64, 0..12_u8), 0..30),
    ) {
        let mut lan = Lan::new([everything(100, secs(1)), everything(150, secs(1))]);
        let mut asked = 0;
        for (pause, event) in events {
            lan.run_for(ms(pause));
            let action = match event {
                0 => ServiceAction::Start,
                1 => ServiceAction::Stop,
                2 => ServiceAction::Restart,
                3 => ServiceAction::Reload,
                // The hands tell of an end after they have told of the start.
                4 if lan.hands(0).alive.is_some_and(|pid| lan.service(0).pid == Some(pid)) => {
                    lan.kill_service(0, "nginx");
                    continue;
                }
                5 => {
                    lan.handle(0, Event::WorkerDown("killed".into()));
                    lan.handle(0, Event::WorkerUp("again".into()));
                    continue;
                }
                6 | 7 => {
                    lan.cable(0, event == 6);
                    continue;
                }
                8 => {
                    lan.hands(0).script.ready_after = None;
                    continue;
                }
                9 => {
                    lan.hands(0).script.ready_after = Some(ms(10));
                    continue;
                }
                10 => {
                    lan.meddle(0, false);
                    continue;
                }
                _ => continue,
            };
            asked += 1;
            lan.operate(0, "nginx", action, asked);
        }
        lan.shutdown(0);
        lan.run_for(secs(120));
        prop_assert!(lan.hands(0).exited, "{}", lan.story());
        let answered: Vec<_> = lan.hands(0).answers.iter().map(|(ticket, _)| *ticket).collect();
        let once: BTreeSet<_> = answered.iter().copied().collect();
        prop_assert_eq!(answered.len(), once.len(), "answered twice");
        prop_assert_eq!(once, (1..=asked).collect::<BTreeSet<_>>());
        lan.wait_master(1, secs(10));
    }

    /// VOPR's way: any faults, then heal, then liveness is demanded (S1, S2, L3).
    #[test]
    fn after_any_faults_a_healed_lan_has_the_best_node_as_its_only_owner(
        faults in proptest::collection::vec((0..3_000_u64, 0..3_usize, 0..3_usize, 0..8_u8), 0..25),
        interval in proptest::sample::select(vec![1_u16, 20, 100]),
    ) {
        let of = |number| node(number).with_router(|router| router.interval = centis(interval));
        let mut lan = Lan::new([of(200), of(150), of(100)]);
        let mut running = [true; 3];
        // A second master that goes before the first has heard of it: nobody can know what it told the neighbours.
        let (mut split, mut unheard) = (false, false);
        for (pause, node, peer, fault) in faults {
            lan.run_for(ms(pause));
            let master = running[node] && lan.state(node) == VrrpState::Master;
            unheard |= split && master && matches!(fault, 0 | 4);
            match fault {
                0 if running[node] => {
                    lan.crash(node);
                    running[node] = false;
                }
                1 if !running[node] => {
                    lan.start(node);
                    running[node] = true;
                }
                2 => {
                    lan.cut(node, peer);
                    split = true;
                }
                3 => lan.heal(),
                4 => lan.cable(node, false),
                5 => lan.cable(node, true),
                6 => lan.freeze(node, true),
                7 => lan.freeze(node, false),
                _ => {}
            }
        }
        lan.heal();
        for (node, runs) in running.into_iter().enumerate() {
            lan.freeze(node, false);
            lan.cable(node, true);
            if !runs {
                lan.start(node);
            }
        }
        lan.run_for(secs(12));
        prop_assert_eq!((lan.masters(), lan.owners()), (vec![0], vec![0]), "{}", lan.story());
        prop_assert!(unheard || lan.arp.get(&VIP) == Some(&0), "L3: {:?} {}", lan.arp, lan.story());
        let moves: Vec<_> = (0..3).map(|node| lan.moves(node)).collect();
        lan.run_for(secs(20));
        prop_assert_eq!(moves, (0..3).map(|node| lan.moves(node)).collect::<Vec<_>>(), "L5: quiet");
    }
}
