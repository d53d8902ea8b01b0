//! Tests: services that systemd starts, with a real message bus and a systemd that is none; and who may start what (N1).

use std::time::Duration;

use nix::sys::signal::{Signal as Number, kill};
use nix::unistd::Pid;
use standfast_core::config::file::Config;
use standfast_core::config::service::ServiceConfig;
use standfast_core::event::Event;
use standfast_core::service::action::{Exit, How, Signal};
use standfast_core::service::failure::Class;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use super::Supervisor;
use crate::service::fake_systemd::FakeSystemd;
use crate::service::proc_table::stat;
use crate::service::systemd_bus::Bus;
use crate::service::testing::{Folder, Said, arguments, command, configure, free_address, until};

const SLEEPER: [&str; 3] = [
    "/bin/sh",
    "-c",
    "trap 'exit 7' TERM; while :; do sleep 0.02; done",
];

#[test]
fn systemd_starts_it_and_knows_how_it_ended() {
    play(async {
        let systemd = FakeSystemd::with("web.service", &SLEEPER);
        let mut bench = Bench::new(systemd.bus(), &process());
        let (pid, how) = bench.start().await.unwrap();
        assert_eq!((pid, how), (systemd.main(), How::Spawned));
        assert_eq!(systemd.asked(), ["start"]);
        bench.ready().await;
        kill(pid, Number::SIGKILL).unwrap();
        let exit = bench.exit().await;
        assert_eq!((exit.code, exit.signal), (None, Some(9)));
        let (again, how) = bench.start().await.unwrap();
        assert!(again != pid && how == How::Spawned);
        kill(again, Number::SIGTERM).unwrap();
        assert_eq!(bench.exit().await.code, Some(7));
    });
}

#[test]
fn what_runs_is_adopted_and_its_signals_are_jobs() {
    play(async {
        let systemd = FakeSystemd::with("web.service", &SLEEPER);
        let running = systemd.start();
        let mut bench = Bench::new(systemd.bus(), &process());
        assert_eq!(bench.start().await, Ok((running, How::Adopted)));
        assert!(systemd.asked().is_empty());
        bench.signal(running, Signal::Reload);
        let refused = bench.reloaded().await.unwrap_err();
        assert!(refused.contains("systemd refuses"), "{refused}");
        systemd.unit().reload = Some(Number::SIGCONT);
        bench.signal(running, Signal::Reload);
        while systemd.asked().len() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        bench.signal(running, Signal::Continue);
        bench.signal(running, Signal::Quit);
        assert_eq!(bench.exit().await.code, Some(7));
        assert_eq!(systemd.asked(), ["reload", "reload", "kill all 18", "stop"]);
        let (pid, how) = bench.start().await.unwrap();
        assert_eq!(how, How::Spawned);
        bench.signal(pid, Signal::Kill);
        let exit = bench.exit().await;
        // The stop that goes before may have been heard first.
        assert!(exit.signal == Some(9) || exit.code == Some(7), "{exit:?}");
        assert_eq!(systemd.asked()[4..], ["start", "stop", "kill all 9"]);
    });
}

#[test]
fn what_systemd_restarts_itself_is_adopted() {
    play(async {
        let systemd = FakeSystemd::with("web.service", &SLEEPER);
        systemd.unit().restart = "always".into();
        let first = systemd.start();
        let mut bench = Bench::new(systemd.bus(), &process());
        bench.start().await.unwrap();
        kill(first, Number::SIGKILL).unwrap();
        bench.exit().await;
        let (second, how) = bench.start().await.unwrap();
        assert!(second != first && how == How::Adopted);
        assert!(systemd.asked().is_empty(), "restarted behind its back");
    });
}

#[test]
fn a_unit_that_systemd_restarts_itself_is_warned_of() {
    for (restart, warned) in [("no", false), ("on-failure", true), ("always", true)] {
        let said = Said::default();
        let _listening = said.listen();
        play(async {
            let systemd = FakeSystemd::with("web.service", &SLEEPER);
            systemd.unit().restart = restart.into();
            let mut bench = Bench::new(systemd.bus(), &process());
            bench.start().await.unwrap();
        });
        let said = said.text();
        let line = format!("web.service has Restart={restart}: systemd and standfast would both restart it");
        assert_eq!(said.contains(&line), warned, "{said}");
        assert_eq!(said.contains("`systemctl edit web.service`"), warned, "{said}");
    }
}

#[test]
fn a_start_that_fails_says_why() {
    play(async {
        let systemd = FakeSystemd::with("web.service", &["/no/such/program"]);
        let mut bench = Bench::new(systemd.bus(), &process());
        let (class, why) = bench.start().await.unwrap_err();
        assert_eq!(class, Class::Transient);
        assert!(why.contains("journalctl -u web.service"), "{why}");

        let folder = Folder::new();
        configure(&folder, "", "listen nowhere:x;");
        let mut bench = Bench::new(
            systemd.bus(),
            &nginx(&folder, "mode \"systemd\" unit=\"web.service\""),
        );
        let (class, why) = bench.start().await.unwrap_err();
        assert!(class == Class::Config && why.contains("nowhere"), "{why}");

        let mut bench = Bench::new(systemd.bus(), &process().replace("web.service", "other.service"));
        let (class, why) = bench.start().await.unwrap_err();
        assert_eq!(class, Class::Broken);
        assert!(why.contains("there is no unit other.service"), "{why}");
        assert_eq!(bench.test().await.unwrap_err(), why);
    });
}

#[test]
fn a_bus_that_never_answers_or_is_missing_is_an_error_in_time() {
    play(async {
        let folder = Folder::new();
        let silent = folder.path("silent");
        let _listener = std::os::unix::net::UnixListener::bind(&silent).unwrap();
        for (path, limit) in [(silent, 6), (folder.path("missing"), 1)] {
            let begin = Instant::now();
            let mut bench = Bench::new(Bus::at(format!("unix:path={}", path.display())), &process());
            let (class, why) = bench.start().await.unwrap_err();
            assert!(begin.elapsed() < Duration::from_secs(limit));
            assert_eq!(class, Class::Transient);
            assert!(
                why.starts_with("systemd's bus does not answer")
                    && why.ends_with("mode \"direct\" needs none"),
                "{why}"
            );
        }
    });
}

#[test]
fn without_its_bus_the_process_is_watched_and_signalled_on() {
    play(async {
        let mut systemd = FakeSystemd::with("web.service", &SLEEPER);
        let running = systemd.start();
        let mut bench = Bench::new(systemd.bus(), &process());
        bench.start().await.unwrap();
        systemd.cut();
        kill(running, Number::SIGSTOP).unwrap();
        bench.signal(running, Signal::Continue);
        bench.signal(running, Signal::Quit);
        let exit = bench.exit().await;
        assert_eq!(
            (exit.code, exit.signal),
            (None, None),
            "only systemd could tell how"
        );
        let (class, why) = bench.start().await.unwrap_err();
        assert!(
            class == Class::Transient && why.contains("bus does not answer"),
            "{why}"
        );
    });
}

#[test]
fn mode_direct_refuses_what_systemd_starts_too_until_that_is_disabled() {
    play(async {
        let systemd = FakeSystemd::with("nginx.service", &["/usr/sbin/nginx"]);
        systemd.unit().enabled = "enabled".into();
        let folder = Folder::new();
        configure(&folder, "", &format!("listen {};", free_address()));
        let mut bench = Bench::new(systemd.bus(), &nginx(&folder, "mode \"direct\""));
        let (class, why) = bench.start().await.unwrap_err();
        assert_eq!(class, Class::Broken);
        assert!(why.contains("systemctl disable --now nginx"), "{why}");
        assert_eq!(bench.test().await, Err(why), "what the next try would find");
        systemd.unit().command = vec!["/bin/sleep".into()];
        assert_eq!(
            bench.test().await,
            Ok(()),
            "a unit of that name for another program"
        );
        systemd.unit().command = vec!["/usr/sbin/nginx".into()];
        systemd.unit().enabled = "disabled".into();
        assert_eq!(bench.test().await, Ok(()));
        let (pid, how) = bench.start().await.unwrap();
        assert_eq!(how, How::Spawned);
        bench.ready().await;
        systemd.unit().enabled = "enabled".into();
        assert_eq!(bench.test().await, Ok(()), "it may be reloaded all the same");
        bench.signal(pid, Signal::Terminate);
        bench.exit().await;
    });
}

#[test]
fn mode_direct_adopts_no_process_of_a_unit() {
    play(async {
        let folder = Folder::new();
        configure(&folder, "", &format!("listen {};", free_address()));
        let words = command(&folder);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let systemd = FakeSystemd::with("shop.service", &words);
        let running = systemd.start();
        until("it listens", || folder.path("nginx.pid").exists());
        let mut bench = Bench::new(systemd.bus(), &nginx(&folder, "mode \"direct\""));
        let (class, why) = bench.start().await.unwrap_err();
        assert_eq!(class, Class::Broken);
        assert!(
            why.contains(&format!("pid {running}")) && why.contains("systemctl disable --now shop"),
            "{why}"
        );
        assert_eq!(bench.test().await, Err(why));
    });
}

#[test]
fn an_upgrade_is_nginxs_own_and_systemd_follows_its_pid_file() {
    play(async {
        let folder = Folder::new();
        configure(&folder, "", &format!("listen {};", free_address()));
        let mut words = command(&folder);
        words.truncate(words.len() - 2);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let systemd = FakeSystemd::with("web.service", &words);
        let mut bench = Bench::new(
            systemd.bus(),
            &nginx(&folder, "mode \"systemd\" unit=\"web.service\""),
        );
        systemd.unit().pid_file = folder.path("nginx.pid").display().to_string();
        let (old, _) = bench.start().await.unwrap();
        bench.ready().await;
        bench.begin(Some(old));
        let (new, how) = bench.started().await.unwrap();
        assert!(new != old && how == How::Spawned);
        bench.ready().await;
        bench.signal(old, Signal::Quit);
        bench.exit().await;
        assert_eq!(systemd.asked(), ["start"], "the old one alone was meant");
        assert!(stat(new).is_some());
        bench.signal(new, Signal::Quit);
        bench.exit().await;
        assert_eq!(systemd.asked(), ["start", "stop"]);
    });
}

/// One service, and what is told of it.
struct Bench {
    supervisor: Supervisor,
    events: mpsc::Receiver<Event>,
    config: ServiceConfig,
}

impl Bench {
    fn new(bus: Bus, service: &str) -> Self {
        let router = "vrrp \"V\" { interface \"lo\"; virtual-router-id 1; virtual-address \"192.0.2.1/24\" }";
        let text = format!("node \"a\"\n{router}\n{service}\n");
        let config = Config::parse("test", &text).map_err(|errors| errors.lines().collect::<Vec<_>>());
        let (sender, events) = mpsc::channel(64);
        Self {
            supervisor: Supervisor::new(sender, bus, None),
            events,
            config: config.unwrap().services.pop_first().unwrap().1,
        }
    }

    fn begin(&self, beside: Option<Pid>) {
        let beside = beside.map(|pid| pid.as_raw().unsigned_abs());
        self.supervisor.start(self.config.clone(), beside);
    }

    async fn start(&mut self) -> Result<(Pid, How), (Class, String)> {
        self.begin(None);
        self.started().await
    }

    async fn started(&mut self) -> Result<(Pid, How), (Class, String)> {
        self.until(|event| {
            let Event::ServiceStarted { result, .. } = event else {
                return None;
            };
            Some(result.map(|started| (Pid::from_raw(started.pid.cast_signed()), started.how)))
        })
        .await
    }

    async fn ready(&mut self) {
        self.until(|event| matches!(event, Event::ServiceReady { .. }).then_some(()))
            .await;
    }

    async fn exit(&mut self) -> Exit {
        self.until(|event| {
            let Event::ServiceExited { exit, .. } = event else {
                return None;
            };
            Some(exit)
        })
        .await
    }

    async fn reloaded(&mut self) -> Result<(), String> {
        self.until(|event| {
            let Event::ServiceReloaded { result, .. } = event else {
                return None;
            };
            Some(result)
        })
        .await
    }

    async fn test(&mut self) -> Result<(), String> {
        self.supervisor.test(self.config.clone());
        self.until(|event| {
            let Event::ServiceTested { result, .. } = event else {
                return None;
            };
            Some(result)
        })
        .await
    }

    fn signal(&self, pid: Pid, signal: Signal) {
        let pid = pid.as_raw().unsigned_abs();
        self.supervisor.signal(&self.config.name, pid, signal);
    }

    async fn until<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        timeout(Duration::from_secs(20), waiting)
            .await
            .expect("told in time")
    }
}

fn process() -> String {
    "service \"web\" { kind \"process\"; mode \"systemd\" unit=\"web.service\"; command \"/bin/sh\" }".into()
}

fn nginx(folder: &Folder, mode: &str) -> String {
    let words: Vec<_> = arguments(folder)
        .iter()
        .take(4)
        .map(|word| format!("{word:?}"))
        .collect();
    format!(
        "service \"web\" {{ kind \"nginx\"; {mode}; command \"/usr/sbin/nginx\" {} }}",
        words.join(" ")
    )
}

fn play(scene: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.unwrap(), scene);
}
