//! Configurations by code, so that scenarios do not depend on the parser.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use standfast_core::config::auth::{Auth, AuthPass};
use standfast_core::config::check::{CheckConfig, OnError};
use standfast_core::config::file::Config;
use standfast_core::config::garp::Garp;
use standfast_core::config::grant::{Grants, Settings};
use standfast_core::config::instance::Instance;
use standfast_core::config::notify::{AtStop, NotifyConfig};
use standfast_core::config::probe::Probe;
use standfast_core::config::router::{Preempt, RouterConfig, WhenAlone};
use standfast_core::config::service::{
    Mode, Reload, ReloadSignal, RestartPolicy, ServiceConfig, ServiceKind,
};
use standfast_core::config::topic::{About, State, Topic};
use standfast_core::config::track::{Track, Tracked};
use standfast_core::config::unicast::Transport;
use standfast_core::config::virtual_address::{Scope, VirtualAddress};
use standfast_core::config::worker::WorkerConfig;
use standfast_core::ids::{AdvertInterval, Family, Priority, Version, VrrpState, Weight};
use standfast_core::wire::advert::Advert;

pub(crate) const ETH: &str = "eth1";
pub(crate) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));
pub(crate) const ROUTER: &str = "VI_1";

/// A name of any kind.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a legal name")
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn priority(number: u8) -> Priority {
    Priority::try_from(number).expect("a legal priority")
}

pub(crate) fn vip(address: IpAddr) -> VirtualAddress {
    VirtualAddress {
        address,
        prefix: 24,
        dev: id(ETH),
        label: None,
        broadcast: None,
        scope: Scope::Global,
        peer: None,
        noprefixroute: false,
        nodad: true,
        preferred: None,
    }
}

/// VRID 51 on `eth1`, version 3, one second, one address, preempting at once.
pub(crate) fn router(number: u8) -> RouterConfig {
    RouterConfig {
        name: id(ROUTER),
        interface: id(ETH),
        vrid: 51.try_into().expect("legal"),
        priority: priority(number),
        version: Version::V3,
        interval: AdvertInterval::DEFAULT,
        family: Family::V4,
        auth: Auth::None,
        preempt: Preempt::After(Duration::ZERO),
        accept: true,
        when_alone: WhenAlone::Serve,
        drain: None,
        startup_delay: Duration::ZERO,
        down_adverts: 3,
        transport: Transport::Multicast,
        virtual_mac: None,
        garp: Garp::default(),
        lease: Some(secs(5)),
        addresses: vec![vip(VIP)],
        excluded: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        track: Track::default(),
    }
}

/// A node with nothing but this router.
pub(crate) fn config(router: RouterConfig) -> Config {
    Config {
        node: id("node"),
        plugin_dirs: vec![PathBuf::from("/plugins")],
        pins: BTreeMap::new(),
        worker: WorkerConfig::default(),
        services: BTreeMap::new(),
        checks: BTreeMap::new(),
        routers: [(router.name.clone(), router)].into(),
        groups: BTreeMap::new(),
        notifies: BTreeMap::new(),
        actions: BTreeMap::new(),
    }
}

/// A node with one router of this priority.
pub(crate) fn node(number: u8) -> Config {
    config(router(number))
}

/// Every second, 500 ms, fast 250 ms, rise 2, fall 3; the plugin has the check's name.
pub(crate) fn check(name: &str) -> CheckConfig {
    CheckConfig {
        name: id(name),
        plugin: id(name),
        interval: secs(1),
        timeout: ms(500),
        fast: ms(250),
        rise: 2,
        fall: 3,
        weight: None,
        bounds: None,
        on_error: OnError::Fail,
        instance: Instance::Fresh,
        settings: Settings::new(),
        grants: Grants::default(),
    }
}

/// nginx with the defaults, one second of `takeover-after`.
pub(crate) fn service(name: &str) -> ServiceConfig {
    ServiceConfig {
        name: id(name),
        kind: ServiceKind::Nginx,
        mode: Mode::Direct,
        command: vec!["/usr/sbin/nginx".into()],
        probe: Some(Probe::default()),
        ready_check: None,
        start_timeout: secs(10),
        listen: Vec::new(),
        stop_signal: None,
        reload: Reload::Signal(ReloadSignal::Hup),
        restart: RestartPolicy::default(),
        takeover_after: secs(1),
        stop_timeout: secs(30),
    }
}

/// A hook for all routers: 5 s, three retries.
pub(crate) fn hook(name: &str, states: &[VrrpState]) -> NotifyConfig {
    NotifyConfig {
        name: id(name),
        plugin: id(name),
        topics: vec![Topic {
            about: About::Router(None),
            states: states.iter().copied().map(State::router).collect(),
        }],
        timeout: secs(5),
        retry: 3,
        deadline: secs(3600),
        at_stop: AtStop::default(),
        settings: Settings::new(),
        grants: Grants::default(),
    }
}

pub(crate) fn tracked<N>(name: N, weight: Option<Weight>) -> Tracked<N> {
    Tracked {
        name,
        weight,
        bounds: None,
        reverse: false,
    }
}

/// Adds to a configuration and has its routers track what is added.
pub(crate) trait With: Sized {
    fn with_router(self, change: impl Fn(&mut RouterConfig)) -> Self;
    fn with_check(self, check: CheckConfig) -> Self;
    fn with_service(self, service: ServiceConfig) -> Self;
    fn with_hook(self, hook: NotifyConfig) -> Self;
}

impl With for Config {
    fn with_router(mut self, change: impl Fn(&mut RouterConfig)) -> Self {
        self.routers.values_mut().for_each(change);
        self
    }

    fn with_check(mut self, check: CheckConfig) -> Self {
        let (name, weight, bounds) = (check.name.clone(), check.weight, check.bounds);
        self.checks.insert(name.clone(), check);
        self.with_router(|router| {
            let plain = tracked(name.clone(), weight);
            router.track.checks.push(Tracked { bounds, ..plain });
        })
    }

    fn with_service(mut self, service: ServiceConfig) -> Self {
        let name = service.name.clone();
        self.services.insert(name.clone(), service);
        self.with_router(|router| router.track.services.push(tracked(name.clone(), None)))
    }

    fn with_hook(mut self, hook: NotifyConfig) -> Self {
        self.notifies.insert(hook.name.clone(), hook);
        self
    }
}

/// A version 2 router as keepalived users have it.
pub(crate) fn version_2(router: &mut RouterConfig) {
    router.version = Version::V2;
    router.auth = Auth::Pass(AuthPass(*b"123456\0\0"));
}

pub(crate) fn weight(number: i16) -> Option<Weight> {
    Some(Weight::try_from(number).expect("a legal weight"))
}

pub(crate) fn centis(number: u16) -> AdvertInterval {
    AdvertInterval::from_centis(number).expect("a legal interval")
}

/// An advert of `router`'s virtual router with this priority.
pub(crate) fn advert(number: u8) -> Advert {
    Advert {
        version: Version::V3,
        vrid: 51.try_into().expect("legal"),
        priority: number,
        interval: AdvertInterval::DEFAULT,
        addresses: vec![VIP],
        auth: None,
    }
}
