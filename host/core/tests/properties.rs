//! What holds whatever happens, in whatever order, at whatever time: S4, S5, S8, S11, and no busy loop.

mod lan;

use std::time::Duration;

use lan::config::{ETH, VIP, With, centis, check, config, hook, id, ms, node, router, secs, service, weight};
use lan::hands::{error, loaded, verdict};
use lan::packet;
use lan::sights::look;
use proptest::prelude::*;
use standfast_core::command::Command;
use standfast_core::config::check::CheckConfig;
use standfast_core::config::file::Config;
use standfast_core::config::notify::{AtStop, Phase};
use standfast_core::config::router::Preempt;
use standfast_core::config::topic::{About, State, Topic};
use standfast_core::control::ServiceAction;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Link};
use standfast_core::ids::{Version, VrrpState};
use standfast_core::plugin::call::{ErrorClass, Status};
use standfast_core::service::action::{Exit, How, Started};
use standfast_core::service::failure::Class;
use standfast_core::time::Instant;
use standfast_core::vrrp::addresses::Step;
use standfast_core::wire::advert::{Advert, ChecksumForm, GROUP};

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

/// Everything is told, and the end before it happens.
fn curious(mut config: Config) -> Config {
    let hook = config.notifies.get_mut(&id("log")).expect("there");
    let topic = |about, states: &[State]| Topic {
        about,
        states: states.to_vec(),
    };
    hook.topics.extend([
        topic(About::Check(None), &[State::UP, State::DOWN]),
        topic(
            About::Service(None),
            &[State::STARTING, State::UP, State::FAILED, State::STOPPED],
        ),
        topic(
            About::Daemon,
            &[State::START, State::RELOAD, State::REFUSED, State::STOP],
        ),
    ]);
    hook.at_stop = AtStop {
        phase: Phase::Before,
        within: ms(300),
    };
    config
}

fn configurations() -> Vec<Config> {
    let without_router = {
        let mut config = everything(100, secs(1));
        config.routers.clear();
        config
    };
    vec![
        everything(100, secs(1)),
        everything(255, Duration::ZERO),
        curious(everything(1, secs(30))).with_router(|router| router.interval = centis(1)),
        config(router(100)).with_router(|router| router.preempt = Preempt::Never),
        curious(everything(200, secs(1))).with_router(|router| router.preempt = Preempt::After(secs(3))),
        without_router,
    ]
}

fn advert(number: u8, interval: u16) -> Vec<u8> {
    let advert = Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: number,
        interval: centis(interval),
        addresses: vec![VIP],
        auth: None,
    };
    advert.encode([10, 0, 0, 9].into(), GROUP, ChecksumForm::PseudoHeader)
}

fn link(up: bool, carrier: bool, own: bool, vip: bool) -> Event {
    let mut addresses = Vec::new();
    addresses.extend(own.then_some(std::net::IpAddr::from([10, 0, 0, 1])));
    addresses.extend(vip.then_some(VIP));
    Event::Link {
        interface: id(ETH),
        link: Some(Link {
            up,
            carrier,
            addresses,
            ours: vip.then_some(VIP).into_iter().collect(),
        }),
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["hard", "soft", "log", "nobody"])
}

fn any_event() -> impl Strategy<Value = Event> {
    let step = prop_oneof![Just(Step::Add), Just(Step::Remove), Just(Step::RemoveStrays)];
    let action = proptest::sample::select(vec![
        ServiceAction::Start,
        ServiceAction::Stop,
        ServiceAction::Restart,
        ServiceAction::Reload,
    ]);
    let class = proptest::sample::select(vec![
        Class::Config,
        Class::Broken,
        Class::Conflict,
        Class::Transient,
    ]);
    let status = proptest::sample::select(vec![Status::Pass, Status::Warn, Status::Fail]);
    let stderr = proptest::sample::select(vec![
        "",
        "[emerg] unknown directive",
        "[emerg] Address already in use",
    ]);
    let pid = 1..4_u32;
    let pid_seen = pid.clone();
    prop_oneof![
        8 => Just(Event::Tick),
        4 => (any::<u8>(), 1..300_u16).prop_map(|(number, interval)| {
            Event::Packet(packet([10, 0, 0, 9].into(), advert(number, interval)))
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..30)
            .prop_map(|bytes| Event::Packet(packet([10, 0, 0, 9].into(), bytes))),
        3 => (step, any::<bool>()).prop_map(|(step, good)| Event::AddressesDone {
            router: id("VI_1"),
            step,
            result: if good { Ok(()) } else { Err("refused".into()) },
        }),
        2 => (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(up, carrier, own, vip)| link(up, carrier, own, vip)),
        2 => Just(link(true, true, true, true)),
        1 => Just(Event::Link { interface: id(ETH), link: None }),
        3 => (name(), 0..6_u64, status, 0..1000_u64).prop_map(|(name, run, status, took)| Event::Checked {
            check: id(name),
            run,
            outcome: verdict(status),
            took: ms(took),
        }),
        1 => (name(), 0..6_u64).prop_map(|(name, run)| Event::Checked {
            check: id(name),
            run,
            outcome: Err(error(ErrorClass::Trap)),
            took: ms(1),
        }),
        2 => (name(), any::<bool>()).prop_map(|(name, there)| Event::PluginFile {
            plugin: id(name),
            path: there.then(|| "/plugins/x.wasm".into()),
        }),
        2 => (name(), 0..6_u64, any::<bool>()).prop_map(|(name, generation, good)| Event::PluginLoaded {
            plugin: id(name),
            generation,
            result: if good { Ok(loaded("one")) } else { Err("bad".into()) },
        }),
        2 => Just(Event::WorkerUp("wasmtime".into())),
        1 => Just(Event::WorkerDown("killed".into())),
        1 => (0..9_u64, any::<bool>()).prop_map(|(number, good)| Event::Notified {
            notify: id("log"),
            id: number,
            result: if good { Ok(()) } else { Err(error(ErrorClass::Unavailable)) },
        }),
        1 => (action, any::<u64>())
            .prop_map(|(action, ticket)| Event::Operate { service: id("nginx"), action, ticket }),
        2 => (pid.clone(), class, any::<bool>()).prop_map(|(pid, class, good)| Event::ServiceStarted {
            service: id("nginx"),
            result: if good { Ok(Started { pid, how: How::Spawned }) } else { Err((class, "scripted".into())) },
        }),
        2 => pid.clone().prop_map(|pid| Event::ServiceReady { service: id("nginx"), pid }),
        1 => (pid, stderr).prop_map(|(pid, stderr)| Event::ServiceExited {
            service: id("nginx"),
            pid,
            exit: Exit { code: Some(1), signal: None, stderr: stderr.into(), orphans: Vec::new(), evidence: Vec::new() },
        }),
        1 => pid_seen.prop_map(|pid| Event::ServiceSeen {
            service: id("nginx"),
            pid,
            look: look(&[pid + 1]),
        }),
        1 => (1..4_u32).prop_map(|ended| Event::ServiceStirred { service: id("nginx"), ended }),
        1 => any::<bool>().prop_map(|good| Event::ServiceSwept {
            service: id("nginx"),
            result: if good { Ok(()) } else { Err("scripted".into()) },
        }),
        1 => any::<bool>().prop_map(|good| Event::ServiceTested {
            service: id("nginx"),
            result: if good { Ok(()) } else { Err("scripted".into()) },
        }),
        1 => (0..6_usize).prop_map(|which| Event::Reload(Box::new(configurations().swap_remove(which)))),
        1 => Just(Event::ReloadRefused("scripted".into())),
        1 => Just(Event::SendFailed { router: id("VI_1") }),
        1 => Just(Event::Shutdown),
    ]
}

/// Milliseconds that pass before an event; now and then a long pause, now and then a clock that runs back.
fn any_pause() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 8 => 0..700_i64, 2 => 0..20_000_i64, 1 => Just(86_400_000), 1 => -500..0_i64]
}

/// The wish that the commands so far express: whether the addresses shall be on.
#[derive(Default)]
struct World {
    wanted: bool,
    exits: u32,
}

impl World {
    fn drain(&mut self, engine: &mut Engine) -> usize {
        let mut count = 0;
        while let Some(command) = engine.poll_command() {
            count += 1;
            if let Command::AddAddresses { .. } = command {
                self.wanted = true;
            }
            if let Command::RemoveAddresses { .. } = command {
                self.wanted = false;
            }
            if let Command::SendAdvert {
                source,
                destination,
                bytes,
                ..
            } = &command
            {
                let advert = Advert::decode(bytes, *source, *destination);
                let (advert, _) = advert.expect("S8: own adverts are right");
                assert_eq!(advert.addresses, [VIP]);
            }
            self.exits += u32::from(command == Command::Exit);
        }
        count
    }
}

fn invariants(engine: &Engine, world: &World, now: Instant) {
    let status = engine.status(now);
    for router in &status.routers {
        let answering = router.answering_ms.is_some();
        assert_eq!(
            world.wanted,
            router.state == VrrpState::Master || answering,
            "S4: addresses are wanted exactly while master or handing over, in {}",
            router.state
        );
        assert!(
            !answering || matches!(router.state, VrrpState::Backup | VrrpState::Stopped),
            "S4: answers in {}",
            router.state
        );
        let armed = router.timer_ms.is_some();
        let timed = matches!(router.state, VrrpState::Master | VrrpState::Backup);
        assert_eq!(armed, timed, "S5: timer in {}", router.state);
        let owner = router.effective_priority == 255;
        assert!(
            !timed || owner == (router.priority == 255),
            "255 is an owner's and nobody else's"
        );
        assert_ne!(router.effective_priority, 0);
    }
    for hook in &status.notifies {
        assert!(hook.queued <= 16 * 5, "16 for each of its subjects");
    }
    assert!(world.exits <= 1);
    let _ = (
        engine.why("VI_1", now),
        engine.why("nginx", now),
        engine.why("hard", now),
    );
}

/// After as many ticks as the engine wants, it must want to sleep.
fn must_sleep(engine: &mut Engine, world: &mut World, now: Instant) {
    for _ in 0..50 {
        match engine.poll_timeout(now) {
            Some((at, _)) if at <= now => {
                engine.handle(Event::Tick, now);
                assert!(world.drain(engine) < 100, "unbounded work");
                invariants(engine, world, now);
            }
            _ => return,
        }
    }
    panic!("a busy loop: {:?}", engine.poll_timeout(now));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// proves: -R-6.4.1-3
    #[test]
    fn whatever_happens_the_promises_hold(
        first in 0..5_usize,
        seed: u64,
        events in proptest::collection::vec((any_pause(), any_event(), any::<bool>()), 0..80),
    ) {
        let mut now = Instant::from_nanos(10_000_000_000);
        let mut engine = Engine::new(configurations().swap_remove(first), seed, now);
        let mut world = World::default();
        world.drain(&mut engine);
        for (pause, event, sleeps) in events {
            let length = ms(pause.unsigned_abs());
            now = if pause < 0 { now - length } else { now + length };
            engine.handle(event, now);
            prop_assert!(world.drain(&mut engine) < 100);
            invariants(&engine, &world, now);
            if sleeps {
                must_sleep(&mut engine, &mut world, now);
            }
        }
        // Left alone it goes from deadline to deadline, always forward.
        for _ in 0..50 {
            must_sleep(&mut engine, &mut world, now);
            let Some((at, _)) = engine.poll_timeout(now) else { break };
            prop_assert!(at > now);
            now = at;
        }
    }
}
