//! A program of any kind is supervised: ready when a check says so, asked at its page, stopped and reloaded as it wants.

use std::time::Duration;

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::node::Node;
use standfast_lab::order::Process;
use standfast_lab::standfast::{self, Daemon};
use standfast_lab::wait::wait_until;
use standfast_lab::web;
use standfast_lab::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// A world whose `lb01` supervises a small web server.
struct Web {
    daemon: Daemon,
    world: World,
}

impl Web {
    fn start(config: impl FnOnce(Config) -> Config, more: &str) -> Result<Self> {
        let world = World::new()?;
        standfast::install(&world.lb01)?;
        let page = world.lb01.write("page", "one\n")?;
        let command = web::command("0.0.0.0:8080", &page)?;
        let words: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
        let body = format!("kind \"process\"\ncommand {}\n{more}", words.join(" "));
        let config = config(Config::new(3, 100).every(Duration::from_millis(200)));
        let daemon = standfast::start(&world.lb01, &config.service("web", &body).text(&world.lb01))?;
        let web = Self { daemon, world };
        web.daemon.wait_service("web", "up", 10 * SECOND)?;
        Ok(web)
    }

    fn node(&self) -> &Node {
        &self.world.lb01
    }

    fn process(&self) -> Result<Option<Process>> {
        let all = self.node().processes()?;
        Ok(all
            .into_iter()
            .find(|one| one.argv.iter().any(|word| word == "__web") && one.state != 'Z'))
    }

    fn pid(&self) -> Result<i32> {
        Ok(self.process()?.map_or(0, |process| process.pid))
    }

    fn ask(&self, verb: &str) -> Result<String> {
        let ran = self.daemon.ask(&["service", verb, "web"])?;
        ensure!(ran.code() == Some(0), "service {verb}: {ran:?}");
        Ok(ran.text())
    }

    fn wait_replaced(&self, old: i32) -> Result<()> {
        self.daemon.wait_status("a successor", 10 * SECOND, |status| {
            let service = status.service("web");
            service["state"] == "up" && service["pid"].as_i64().is_some_and(|pid| pid != i64::from(old))
        })
    }

    fn page(&self) -> Result<String> {
        self.node()
            .must(&["curl", "-s", "-m", "1", "http://127.0.0.1:8080/"])
    }

    /// The signal that it says it was ended by.
    fn ended_by(&self) -> String {
        std::fs::read_to_string(self.node().path("page.end")).unwrap_or_default()
    }
}

/// Its page is asked: killed or stopped, it is started again.
pub(crate) fn a_program_with_a_page_is_kept_alive() -> Result<()> {
    let probe = "probe \"http://127.0.0.1:8080/\" interval=\"200ms\" timeout=\"300ms\" fall=2";
    let web = Web::start(|config| config, probe)?;
    let old = web.pid()?;
    web.node().signal(old, "KILL")?;
    web.wait_replaced(old)?;
    let old = web.pid()?;
    wait_until("the stopped one is ended", 10 * SECOND, || {
        Ok(web.node().signal(old, "STOP").is_err())
    })?;
    web.wait_replaced(old)?;
    let why = web.daemon.why("web")?;
    let events: String = web.daemon.events()?.iter().map(ToString::to_string).collect();
    ensure!(
        events.contains("http") || events.contains("127.0.0.1:8080: connected, no answer"),
        "{why}\n{events}"
    );
    Ok(())
}

/// A stop by its signal, a reload by HUP; an upgrade is not for it.
pub(crate) fn it_is_stopped_and_reloaded_by_its_signals() -> Result<()> {
    let web = Web::start(|config| config, "stop-signal \"USR1\"\nreload-signal \"HUP\"")?;
    let pid = web.pid()?;
    web.node().write("page", "two\n")?;
    web.ask("reload")?;
    wait_until("the new page", 2 * SECOND, || Ok(web.page()? == "two\n"))?;
    ensure!(web.pid()? == pid, "it was replaced");
    let ran = web.daemon.ask(&["service", "upgrade", "web"])?;
    ensure!(
        ran.code() == Some(1) && ran.text().contains("restart"),
        "upgrade: {ran:?}"
    );
    web.ask("stop")?;
    ensure!(web.ended_by() == "SIGUSR1", "ended by {:?}", web.ended_by());
    ensure!(web.process()?.is_none(), "it runs on");
    web.ask("start")?;
    web.daemon.wait_service("web", "up", 5 * SECOND)
}

/// A reload by a command: its failure is told.
pub(crate) fn it_is_reloaded_by_its_command() -> Result<()> {
    let script = "[ -e /run/refuse ] && echo refused by the script && exit 3; : > /run/reloaded";
    let command = format!("reload-command \"/bin/sh\" \"-c\" \"{script}\"");
    let web = Web::start(|config| config, &command)?;
    web.ask("reload")?;
    web.node().must(&["test", "-e", "/run/reloaded"])?;
    web.node().must(&["touch", "/run/refuse"])?;
    let ran = web.daemon.ask(&["service", "reload", "web"])?;
    ensure!(
        ran.code() == Some(1) && ran.text().contains("refused by the script"),
        "reload: {ran:?}"
    );
    web.daemon.wait_service("web", "up", SECOND)
}

/// It is ready when its check passes, and not before.
pub(crate) fn it_is_ready_when_its_check_says_so() -> Result<()> {
    let check = |config: Config| {
        let body = "interval \"100ms\"; timeout \"100ms\"; rise 1; fall 3; weight -10\n\
                    config { address \"127.0.0.1:8080\" }\ngrant { tcp \"127.0.0.1:8080\" }";
        config.check("port", "tcp", body)
    };
    let web = Web::start(check, "ready-check \"port\"\nstart-timeout \"5s\"")?;
    web.daemon.wait_check("port", "up", SECOND)?;
    let old = web.pid()?;
    web.node().signal(old, "KILL")?;
    web.wait_replaced(old)
}
