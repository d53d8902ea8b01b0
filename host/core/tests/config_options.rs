//! One configuration that uses every word, what it means, and what it means to leave words out.

use std::time::Duration;

use standfast_core::config::address::{HostPort, HttpPrefix};
use standfast_core::config::auth::{Auth, AuthPass, KeySource, Secret};
use standfast_core::config::bounds::Bounds;
use standfast_core::config::check::OnError;
use standfast_core::config::derived::report;
use standfast_core::config::file::Config;
use standfast_core::config::grant::Grants;
use standfast_core::config::mail::{MailGrant, MailLogin, MailTls};
use standfast_core::config::notify::{AtStop, Phase};
use standfast_core::config::reach::{NamePattern, PingTarget, ProcessGrant, ReadGrant};
use standfast_core::config::router::Preempt;
use standfast_core::config::service::{RestartPolicy, ServiceKind};
use standfast_core::config::topic::{About, State, Topic};
use standfast_core::config::virtual_address::Scope;
use standfast_core::config::worker::EngineKind;
use standfast_core::ids::{Version, VrrpState};

const ALL: &str = r##"
node "lb01"
plugins "/opt/plugins" "/etc/standfast/plugins"
worker { user "plugins"; engine "pulley" }
service "nginx" {
    kind "nginx"
    command "/usr/sbin/nginx" "-c" "/etc/nginx/nginx.conf"
    mode "direct"
    restart backoff="100ms" max="5s" jitter=0.25 budget=7 within="2m" settle="30s"
    takeover-after "1.5s"
    stop-timeout "20s"
}
service "app" { kind "process"; command "/usr/bin/app" }
check "every-word" {
    plugin "http" sha256="00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"; interval "2s"; timeout "1s"; fast "300ms"; rise 4; fall 5; weight -20 min=-30 max=5; on-error "hold"
    config {
        url "http://127.0.0.1/"
        hosts "a" "b"
        status 200
        share 0.5
        strict #true
        raw #"C:\x"#
    }
    grant {
        tcp "127.0.0.1:80" "[::1]:80"; tcp "DB.example.net:5432"
        udp "192.0.2.53:53"
        http "https://hooks.example.net" "http://[2001:db8::1]:8080/a/b"; http "http://a/" methods="GET HEAD"
        mail "SMTP.example.net:587"; mail "127.0.0.1:25" tls="none"
        mail "[2001:db8::25]:465" tls="implicit" user="lb01" password-file="/etc/standfast/mail.password"
        mail "mx.example.net:587" tls="starttls" user="lb01" password-credential="mail"
        resolve "*.SVC.example.net" "db.example.net"
        ping "192.0.2.0/24" "192.0.2.1" "gw.example.net"
        read "/etc/standfast/maintenance"; read "/run/redis.pid" max="4KiB"
        preopen "/srv/data" mode="ro"
        processes comm="nginx" comm="php-fpm"
        processes comm="app" exe="/usr/sbin/nginx" pidfile="/run/nginx.pid" cgroup="/system.slice/nginx.service"
        action "reload-nginx"
        memory "16MiB"
        state "64KiB"; metrics 20
        log "20/s"
    }
}
action "reload-nginx" { exec "/usr/sbin/nginx" "-s" "reload"; user "nginx"; timeout "3s"; args 1 }
check "plain" { plugin "tcp" }
/- check "taken-out" { interval "nonsense" }
vrrp "VI_1" {
    interface "eth1"
    virtual-router-id 55
    priority 150
    version 2
    advert-interval "2s"
    auth pass="123456"
    preempt #true delay="5s"
    virtual-address "192.168.31.5/24" label="eth1:1" dev="eth1" broadcast="192.168.31.255" scope="link"
    virtual-address "192.168.31.6"
    track {
        service "nginx" "app"
        check "plain" weight=10
        check "every-word"
        interface "eth0" weight=-20
        interface "eth2"
    }
}
vrrp "VI_2" { interface "eth2"; virtual-router-id 55; virtual-address "10.0.0.1/8"; preempt #false }
notify "pager" {
    plugin "webhook"
    on "master" "backup" "fault" "init" "stopped" vrrp="VI_1"
    on instance="VI_2" to="master"
    on "fault" group="*"
    on check="every-word"
    on "failed" service="nginx" to="gave-up"
    on daemon=#true
    timeout "3s"; retry 0; deadline "10m"
    at-stop "before" within="300ms"
    config { url "https://hooks.example.net/x" }
    grant { http "https://hooks.example.net/" }
}
notify "log" { plugin "log"; on "master" }
"##;

/// proves: +R-5.2.3-1 +R2-9
#[test]
fn every_word_means_what_it_says() {
    let config =
        Config::parse("all", ALL).unwrap_or_else(|errors| panic!("{:?}", errors.lines().collect::<Vec<_>>()));
    assert_eq!(config.node.as_str(), "lb01");
    assert_eq!(config.plugin_dirs.len(), 2);
    assert_eq!(
        (config.worker.user.as_deref(), config.worker.engine),
        (Some("plugins"), EngineKind::Pulley)
    );
    let pin = "00112233445566778899aabbccddeeff".repeat(2);
    assert_eq!(config.pins, [("http".parse().expect("a name"), pin)].into());

    let nginx = &config.services[&"nginx".parse().expect("a name")];
    assert_eq!(nginx.kind, ServiceKind::Nginx);
    assert_eq!(nginx.command, ["/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf"]);
    assert_eq!(
        nginx.restart,
        RestartPolicy {
            backoff: Duration::from_millis(100),
            max: Duration::from_secs(5),
            jitter_permille: 250,
            budget: 7,
            within: Duration::from_secs(120),
            settle: Duration::from_secs(30),
        }
    );
    assert_eq!(
        (nginx.takeover_after, nginx.stop_timeout),
        (Duration::from_millis(1500), Duration::from_secs(20))
    );

    let check = &config.checks[&"every-word".parse().expect("a name")];
    let times = [2000, 1000, 300].map(Duration::from_millis);
    assert_eq!([check.interval, check.timeout, check.fast], times);
    assert_eq!((check.rise, check.fall, check.on_error), (4, 5, OnError::Hold));
    assert_eq!(check.weight.map(i16::from), Some(-20));
    assert_eq!(check.bounds, Some(Bounds { min: -30, max: 5 }));
    let setting = |key: &str| check.settings[key].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(setting("hosts"), ["a", "b"]);
    assert_eq!(
        [setting("status"), setting("share"), setting("strict")],
        [["200"], ["0.5"], ["true"]]
    );
    assert_eq!(setting("raw"), ["C:\\x"]);
    let host = |host: &str, port| HostPort {
        host: host.into(),
        port,
    };
    let mail = |at: &str, port, tls, source: Option<KeySource>| MailGrant {
        server: host(at, port),
        tls,
        login: source.map(|source| MailLogin {
            user: "lb01".into(),
            source,
            password: Secret::default(),
        }),
    };
    assert_eq!(
        check.grants,
        Grants {
            tcp: vec![
                host("127.0.0.1", 80),
                host("::1", 80),
                host("db.example.net", 5432)
            ],
            http: vec![
                HttpPrefix {
                    tls: true,
                    authority: host("hooks.example.net", 443),
                    path: "/".into(),
                    methods: Vec::new(),
                },
                HttpPrefix {
                    tls: false,
                    authority: host("2001:db8::1", 8080),
                    path: "/a/b".into(),
                    methods: Vec::new(),
                },
                HttpPrefix {
                    tls: false,
                    authority: host("a", 80),
                    path: "/".into(),
                    methods: vec!["GET".into(), "HEAD".into()],
                },
            ],
            mail: vec![
                mail("smtp.example.net", 587, MailTls::Starttls, None),
                mail("127.0.0.1", 25, MailTls::None, None),
                mail(
                    "2001:db8::25",
                    465,
                    MailTls::Implicit,
                    Some(KeySource::File("/etc/standfast/mail.password".into())),
                ),
                mail(
                    "mx.example.net",
                    587,
                    MailTls::Starttls,
                    Some(KeySource::Credential("mail".into())),
                ),
            ],
            udp: vec![host("192.0.2.53", 53)],
            resolve: vec![
                NamePattern::Below("svc.example.net".into()),
                NamePattern::Exactly("db.example.net".into()),
            ],
            ping: vec![
                PingTarget::Network([192, 0, 2, 0].into(), 24),
                PingTarget::Network([192, 0, 2, 1].into(), 32),
                PingTarget::Name("gw.example.net".into()),
            ],
            read: vec![
                "/etc/standfast/maintenance".into(),
                ReadGrant {
                    path: "/run/redis.pid".into(),
                    max: Some(4096),
                },
            ],
            preopen: vec!["/srv/data".into()],
            processes: vec![
                "nginx".into(),
                "php-fpm".into(),
                "app".into(),
                ProcessGrant::Exe("/usr/sbin/nginx".into()),
                ProcessGrant::Pidfile("/run/nginx.pid".into()),
                ProcessGrant::Cgroup("/system.slice/nginx.service".into()),
            ],
            actions: vec!["reload-nginx".parse().expect("a name")],
            memory: 16 << 20,
            state: 64 << 10,
            metrics: 20,
            log_per_second: 20,
        }
    );
    let action = &config.actions[&"reload-nginx".parse().expect("a name")];
    assert_eq!(action.exec, ["/usr/sbin/nginx", "-s", "reload"]);
    assert_eq!(
        (action.user.as_str(), action.timeout, action.args),
        ("nginx", Duration::from_secs(3), 1)
    );

    let router = &config.routers[&"VI_1".parse().expect("a name")];
    assert_eq!(
        (
            router.interface.as_str(),
            router.vrid.get(),
            router.priority.get()
        ),
        ("eth1", 55, 150)
    );
    assert_eq!((router.version, router.interval.seconds()), (Version::V2, 2));
    assert_eq!(router.auth, Auth::Pass(AuthPass(*b"123456\0\0")));
    assert_eq!(router.preempt, Preempt::After(Duration::from_secs(5)));
    let [first, second] = &router.addresses[..] else {
        panic!("two addresses");
    };
    assert_eq!(
        (first.prefix, first.label.as_deref(), first.scope),
        (24, Some("eth1:1"), Scope::Link)
    );
    assert_eq!(
        first.broadcast.map(|address| address.to_string()).as_deref(),
        Some("192.168.31.255")
    );
    assert_eq!(
        (second.prefix, second.dev.as_str(), second.scope),
        (32, "eth1", Scope::Global)
    );
    let checks = router
        .track
        .checks
        .iter()
        .map(|check| (check.name.as_str(), check.weight.map(i16::from)));
    assert_eq!(
        checks.collect::<Vec<_>>(),
        [("plain", Some(10)), ("every-word", Some(-20))]
    );
    let interfaces = router
        .track
        .interfaces
        .iter()
        .map(|found| (found.name.as_str(), found.weight.map(i16::from)));
    assert_eq!(
        interfaces.collect::<Vec<_>>(),
        [("eth0", Some(-20)), ("eth2", None)]
    );

    let pager = &config.notifies[&"pager".parse().expect("a name")];
    let told = |topic: &Topic| {
        topic
            .states
            .iter()
            .map(|state| state.word)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let topics: Vec<_> = pager
        .topics
        .iter()
        .map(|topic| (topic.about.clone(), told(topic)))
        .collect();
    assert_eq!(
        topics,
        [
            (
                About::Router(Some("VI_1".parse().expect("a name"))),
                "master backup fault init stopped".to_owned()
            ),
            (
                About::Router(Some("VI_2".parse().expect("a name"))),
                "master".to_owned()
            ),
            (About::Group(None), "fault".to_owned()),
            (
                About::Check(Some("every-word".parse().expect("a name"))),
                "up down".to_owned()
            ),
            (
                About::Service(Some("nginx".parse().expect("a name"))),
                "failed gave-up".to_owned()
            ),
            (About::Daemon, "start reload refused stop".to_owned()),
        ]
    );
    assert_eq!((pager.timeout, pager.retry), (Duration::from_secs(3), 0));
    assert_eq!(pager.deadline, Duration::from_secs(600));
    let (phase, within) = (Phase::Before, Duration::from_millis(300));
    assert_eq!(pager.at_stop, AtStop { phase, within });
}

/// proves: +R-5.2.4-2 +R-6.1-1
#[test]
fn what_is_left_out_is_as_documented() {
    let config = Config::parse("all", ALL).expect("parses");
    let check = &config.checks[&"plain".parse().expect("a name")];
    assert_eq!(
        [check.interval, check.timeout, check.fast],
        [1000, 500, 250].map(Duration::from_millis)
    );
    assert_eq!(
        (check.rise, check.fall, check.weight, check.on_error),
        (2, 3, None, OnError::Fail)
    );
    assert_eq!(check.grants, Grants::default());
    let app = &config.services[&"app".parse().expect("a name")];
    assert_eq!(app.restart, RestartPolicy::default());
    assert_eq!(
        (app.takeover_after, app.stop_timeout),
        (Duration::from_secs(1), Duration::from_secs(30))
    );
    let router = &config.routers[&"VI_2".parse().expect("a name")];
    assert_eq!(
        (router.priority.get(), router.version, router.interval.centis()),
        (100, Version::V3, 100)
    );
    assert_eq!(router.preempt, Preempt::Never);
    let log = &config.notifies[&"log".parse().expect("a name")];
    let limits = (log.timeout, log.retry, log.deadline, log.grants.log_per_second);
    assert_eq!(
        limits,
        (Duration::from_secs(5), 100, Duration::from_secs(3600), 1000)
    );
    let (about, states) = (About::Router(None), vec![State::router(VrrpState::Master)]);
    assert_eq!(log.topics, [Topic { about, states }]);
    let (phase, within) = (Phase::After, Duration::from_secs(2));
    assert_eq!(log.at_stop, AtStop { phase, within });
    let short = "node a\nvrrp V { interface e; virtual-router-id 1; virtual-address \"10.0.0.1\" }\ncheck c { plugin x; interval \"100ms\" }";
    let config = Config::parse("short", short).expect("parses");
    let check = &config.checks[&"c".parse().expect("a name")];
    assert_eq!([check.timeout, check.fast], [100, 100].map(Duration::from_millis));
    assert_eq!(config.plugin_dirs.len(), 2);
}

#[test]
fn the_report_adds_up_and_warns() {
    let config = Config::parse("all", ALL).expect("parses");
    let report = report(&config, None);
    let first = &report.routers[0];
    assert_eq!((first.lowest.get(), first.highest.get()), (100, 165));
    assert_eq!(
        first.skew,
        Duration::from_micros(414_062) + Duration::from_nanos(500)
    );
    let plain = first
        .covered
        .iter()
        .find(|fault| fault.what == "check plain")
        .expect("tracked");
    assert_eq!(plain.alone.map(u8::from), Some(150));
    let text = report.render();
    assert!(
        text.contains("a peer moves the VIP only if its priority is above 100 and below 165"),
        "{text}"
    );
    assert!(text.contains("no warnings"), "{text}");
}
