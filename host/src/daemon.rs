//! The loop: wait, feed the engine, carry out its commands, set the alarm. Nothing here waits for anything else.

mod guarded;
pub(crate) mod network;
mod plugins;
mod reload;
mod requests;
mod waiting;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use standfast_core::config::drain::ON_STOP;
use standfast_core::config::file::Config;
use standfast_core::engine::Engine;
use standfast_core::event::{Event, Packet};
use standfast_core::guarding::bond::{Birth, ToGuardian};
use standfast_core::ids::IfName;
use standfast_core::status::GuardianStatus;
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;

use crate::actions::Actions;
use crate::adopted;
use crate::alarm::{Alarm, now};
use crate::alone::alone;
use crate::bond::Bond;
use crate::control::server::{Asked, Told, listen};
use crate::daemon::guarded::Pulse;
use crate::daemon::network::{ToldTime, needed, virtual_macs};
use crate::daemon::reload::Reread;
use crate::daemon::waiting::{Signals, tick, until};
use crate::effects::{Hands, tell_answers, tell_connections, tell_forwarding, tell_robbed, tell_successors};
use crate::goodbyes::Goodbyes;
use crate::journal::Journal;
use crate::masters::{Left, Masters};
use crate::net::claims::Claims;
use crate::net::drains::Drains;
use crate::net::filter;
use crate::net::forwarder::Forwarder;
use crate::net::jobs::Job;
use crate::net::keeper::Keeper;
use crate::net::leftovers::{Keep, Unspoken};
use crate::net::links::Links;
use crate::net::packet::Read;
use crate::net::packet_socket::PacketSocket;
use crate::net::route_watch;
use crate::net::successors::Successors;
use crate::plugin_files::Look;
use crate::service::systemd_bus::Bus;
use crate::sockets::Sockets;
use crate::status_code::{Code, Failure};
use crate::supervisor::Supervisor;
use crate::systemd::Systemd;
use crate::watch::Watch;
use crate::worker::Worker;
use crate::{drained, keys, orphans, plugin_files, process, realtime, start, systemd};

/// Events of tasks that may wait for the loop.
const EVENTS: usize = 1024;
/// Packets read from one socket before anything else is looked at: more than its receive buffer holds.
const PACKETS_PER_TURN: usize = 512;
/// After a full turn the sockets rest, and the kernel drops what does not fit: a flood must not let a real-time
/// process take the machine from nginx.
const FLOOD_PAUSE: Duration = Duration::from_millis(10);
/// A turn of reading that takes longer was interrupted: what has queued meanwhile is read, too, some times at most.
const STALL: Duration = Duration::from_millis(20);
const READ_AGAIN: u32 = 3;
/// Events of tasks taken before a deadline is acted on.
const EVENTS_PER_TURN: usize = 64;
/// systemd's status line is refreshed this often.
const STATUS_LINE: Duration = Duration::from_secs(1);

/// What `run` was told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) config: PathBuf,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) cache_dir: PathBuf,
    pub(crate) worker: Option<PathBuf>,
    pub(crate) bond: Bond,
    /// What the guardian has said of the lives before.
    pub(crate) birth: Option<Birth>,
}

struct Daemon {
    options: Options,
    config: Config,
    engine: Engine,
    hands: Hands,
    watch: Watch,
    events: mpsc::Receiver<Event>,
    /// Of the supervisor alone: a crowd of other events cannot make one of these be lost.
    service_events: mpsc::Receiver<Event>,
    /// Results of reading the configuration again, from the thread that may touch the disk.
    reloads: mpsc::Receiver<Reread>,
    reload_done: mpsc::Sender<Reread>,
    /// Operators who wait for a reading of the configuration, by its number.
    reload_askers: BTreeMap<u64, oneshot::Sender<Told>>,
    next_ticket: u64,
    /// The last reading of the configuration that was begun, and the last that was taken.
    reads: (u64, u64),
    looks: Sender<Look>,
    /// Plugin folders that were missing and are there now.
    appeared: mpsc::Receiver<PathBuf>,
    systemd: Systemd,
    leaving: bool,
    /// Index of each interface when it was last heard of.
    indices: BTreeMap<IfName, u32>,
    told_time: ToldTime,
    /// What is known of the guardian; `None` without one.
    guardian: Option<GuardianStatus>,
    /// A flood is going on: the sockets are not looked at until then, unless a deadline is due.
    pause: Option<tokio::time::Instant>,
}

/// Runs until told to stop.
///
/// # Errors
/// What kept it from starting, with its exit code.
pub(crate) async fn run(options: Options, mut config: Config) -> Result<(), Failure> {
    // Whatever keeps it from starting after this: nothing of an earlier life stays without a speaker.
    let mut left = Left::default();
    let _alone = alone(&options.runtime_dir, || {
        left = Left::read(&options.runtime_dir, &config, now());
        Keep::of(&config, left.spoke.keys(), left.all)
    })?;
    let unspoken = Unspoken::default();
    let goodbyes = Goodbyes::begin(options.bond.clone(), config.routers.keys(), &left.spoke);
    process::seal_descriptors().map_err(|e| start::open_failure("descriptors", &e))?;
    keys::require(&mut config)?;
    start::check_plugins(&config)?;
    start::check_filter(&config)?;
    start::tell_warnings(&config);
    start::tell_hindrances(&config);
    let program = start::find_worker(options.worker.clone())?;
    let links = Links::open(config.interfaces())
        .await
        .map_err(|e| start::open_failure("netlink", &e))?;
    let mut sockets = Sockets::default();
    sockets.want(&config, &links)?;
    let frames = PacketSocket::open().map_err(|e| start::open_failure("packet socket", &e))?;
    orphans::become_subreaper().map_err(|e| start::open_failure("subreaper", &e))?;
    adopted::keep_collecting().map_err(|e| start::open_failure("thread", &e))?;

    let runtime = |error: std::io::Error| Failure::new(Code::Runtime, error.to_string());
    let (event_sender, events) = mpsc::channel(EVENTS);
    let answers = tell_answers(event_sender.clone());
    let keeper = Keeper::start(options.runtime_dir.clone(), answers)
        .map_err(|e| start::open_failure("netlink", &e))?;
    let successors = Successors::start(tell_successors(event_sender.clone())).map_err(runtime)?;
    route_watch::start(keeper.port(), tell_robbed(event_sender.clone())).map_err(runtime)?;
    let drains = Drains::start(tell_connections(event_sender.clone())).map_err(runtime)?;
    let told = tell_forwarding(event_sender.clone());
    let forwarder = Forwarder::start(&options.runtime_dir, filter::run, told).map_err(runtime)?;
    let (asked_sender, asked) = mpsc::channel(EVENTS);
    let socket = options.runtime_dir.join("control.sock");
    listen(&socket, asked_sender).map_err(|e| start::open_failure(socket.display(), &e))?;
    let watch = Watch::new(config.plugin_dirs.iter().map(PathBuf::as_path)).map_err(runtime)?;
    for line in realtime::request() {
        tracing::warn!("{line}");
    }
    let (reload_done, reloads) = mpsc::channel(4);
    let (service_sender, service_events) = mpsc::channel(EVENTS);
    let (appeared_sender, appeared) = mpsc::channel(EVENTS);
    let looks = plugin_files::start(event_sender.clone(), appeared_sender).map_err(runtime)?;
    let systemd = Systemd::start(options.bond.clone()).map_err(runtime)?;
    let worker = Worker::start(
        program,
        options.cache_dir.clone(),
        config.worker_needs(),
        event_sender.clone(),
    );
    let hands = Hands {
        sockets,
        frames,
        virtual_macs: virtual_macs(&config),
        links,
        journal: Journal::new(),
        supervisor: Supervisor::new(service_sender, Bus::of_the_system(), start::find_groups(&config)),
        actions: Actions::new(worker.clone()),
        worker,
        masters: Masters::begin(&options.runtime_dir, &config, &left.spoke),
        goodbyes,
        askers: BTreeMap::new(),
        keeper,
        successors,
        claims: Claims::new(),
        drains,
        forwarder,
        events: event_sender,
    };
    hands.prepare_forwarding(&config);
    // Of an earlier life.
    hands.queue(Job::Keep(needed(&config)));
    let index = |name: IfName| hands.links.snapshot(&name).map(|link| (name, link.index));
    let indices = config.interfaces().into_iter().filter_map(index).collect();
    let seed = now().as_nanos();
    let mut engine = Engine::new(config.clone(), seed, now());
    engine.carry_on(left.spoke);
    if drained::is(&options.runtime_dir) {
        tracing::info!("the node is drained; `standfast resume` ends that");
        engine.begin_drained();
    }
    unspoken.ends();
    let guardian = options.birth.as_ref().map(guarded::status);
    let mut daemon = Daemon {
        options,
        config,
        engine,
        hands,
        watch,
        events,
        service_events,
        reloads,
        reload_done,
        reload_askers: BTreeMap::new(),
        next_ticket: 0,
        reads: (0, 0),
        looks,
        appeared,
        systemd,
        leaving: false,
        pause: None,
        indices,
        told_time: None,
        guardian,
    };
    daemon.tell_patience();
    daemon.await_missing_folders();
    daemon.tell_time();
    daemon.tell_links();
    daemon.look_at_plugins(None);
    let ended = daemon.turn(asked).await;
    daemon.options.bond.tell(&ToGuardian::Ending);
    let Daemon { hands, events, .. } = daemon;
    hands.masters.end();
    // The keeper does not wait for somebody to hear its answers.
    drop(events);
    let kept = hands.keeper.finish();
    if !hands.forwarder.finish() || !kept {
        tracing::warn!("not everything was put back in time; the next start goes on with it");
    }
    // What remains of the socket would only mislead.
    let _ = std::fs::remove_file(socket);
    ended
}

impl Daemon {
    async fn turn(&mut self, mut asked: mpsc::Receiver<Asked>) -> Result<(), Failure> {
        let runtime = |error: std::io::Error| Failure::new(Code::Runtime, error.to_string());
        let mut alarm = Alarm::new().map_err(runtime)?;
        let mut signals = Signals::new().map_err(runtime)?;
        let mut watchdog = systemd::watchdog_interval().map(interval);
        let mut status_line = interval(STATUS_LINE);
        let mut pulse = Pulse::new(&self.options.bond).map_err(runtime)?;
        tracing::info!(node = %self.config.node, "standfast {} runs", env!("CARGO_PKG_VERSION"));
        self.systemd.ready();
        loop {
            if self.act() {
                return Ok(());
            }
            pulse.beat();
            self.tell_death();
            alarm
                .set(self.engine.poll_timeout(now()).map(|(at, _)| at))
                .map_err(runtime)?;
            tokio::select! {
                () = self.hands.sockets.readable(), if self.pause.is_none() => {}
                () = until(self.pause) => self.pause = None,
                () = pulse.next() => {}
                rung = alarm.ring() => rung.map_err(runtime)?,
                Some(event) = self.events.recv() => self.on_event(event),
                Some(event) = self.service_events.recv() => self.engine.handle(event, now()),
                changes = self.hands.links.changed() => self.on_links(changes),
                claims = self.hands.claims.heard() => self.on_claims(claims),
                changed = self.watch.changed() => self.on_plugin_change(changed).map_err(runtime)?,
                Some(folder) = self.appeared.recv() => self.on_folder(&folder),
                Some(asked) = asked.recv() => self.on_request(asked),
                Some(reread) = self.reloads.recv() => self.on_reload(reread),
                _ = signals.terminate.recv() => self.leave(),
                _ = signals.interrupt.recv() => self.leave(),
                _ = signals.hangup.recv() => self.begin_reload(None),
                () = tick(watchdog.as_mut()) => self.systemd.alive(),
                _ = status_line.tick() => {
                    self.systemd.status(&self.engine.status(now()));
                    self.tell_time();
                    self.listen_again();
                    self.look_at_links_again();
                }
            }
            // Late is not now: what has queued is read before any deadline is acted on (S10).
            for _ in 0..READ_AGAIN {
                let begun = now();
                let due = self.engine.poll_timeout(begun).is_some_and(|(at, _)| at <= begun);
                if (self.pause.is_none() || due) && self.read_packets() {
                    self.pause = Some(tokio::time::Instant::now() + FLOOD_PAUSE);
                }
                // A pause of the process in between has let the queue fill again.
                if now().since(begun) < STALL {
                    break;
                }
            }
            for _ in 0..EVENTS_PER_TURN {
                let Ok(event) = self.service_events.try_recv().or_else(|_| self.events.try_recv()) else {
                    break;
                };
                self.on_event(event);
            }
            if self.engine.poll_timeout(now()).is_some_and(|(at, _)| at <= now()) {
                self.engine.handle(Event::Tick, now());
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        if matches!(event, Event::WorkerDown(_)) {
            self.hands.actions.forsake();
        }
        self.engine.handle(event, now());
    }

    /// Carries out all commands. `true`: it is over.
    fn act(&mut self) -> bool {
        while let Some(command) = self.engine.poll_command() {
            if self.hands.perform(command) {
                return true;
            }
        }
        false
    }

    /// Bounded, so that a flood cannot keep the alarm from being heard. `true`: there may be more.
    fn read_packets(&mut self) -> bool {
        let mut more = false;
        for (interface, socket) in self.hands.sockets.iter_mut() {
            let mut room = PACKETS_PER_TURN;
            let mut faults = 0;
            while room > 0 {
                let received = match socket.try_recv() {
                    Ok(Some(Read::Packet(received))) => received,
                    // It has cost as much as a good one.
                    Ok(Some(Read::Oversized | Read::Malformed)) => {
                        room -= 1;
                        continue;
                    }
                    // It is told once, ahead of what has queued; what stays with a link that went down, netlink tells.
                    Err(_) if faults == 0 => {
                        faults += 1;
                        continue;
                    }
                    Ok(None) | Err(_) => break,
                };
                room -= 1;
                let packet = Packet {
                    interface: interface.clone(),
                    source: received.source,
                    destination: received.destination,
                    ttl: received.ttl,
                    keeps: received.keeps,
                    waited: received.waited,
                    payload: received.payload,
                };
                self.engine.handle(Event::Packet(packet), now());
            }
            more |= room == 0;
        }
        more
    }

    /// Asked again, it hurries: each further signal is the next rung of stopping the services.
    fn leave(&mut self) {
        self.leaving = true;
        self.systemd.stopping(self.longest_stop());
        self.engine.handle(Event::Shutdown, now());
    }

    fn longest_stop(&self) -> Duration {
        let longest = self
            .config
            .services
            .values()
            .map(|service| service.stop_timeout)
            .max();
        let hooks = self.config.notifies.values().map(|hook| hook.at_stop.within);
        // Those told before the release, and those told after it.
        let hooks = hooks.max().unwrap_or_default() * 2;
        // What is drained before the services end.
        let drain = self.config.routers.values().any(|router| router.drain.is_some());
        let drain = if drain { ON_STOP } else { Duration::ZERO };
        longest.unwrap_or_default() + hooks + drain + Duration::from_secs(10)
    }
}
