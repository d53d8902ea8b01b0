//! The standard checks against the servers that they are for: nginx, and Redis.

use std::time::Duration;

use standfast_lab::config::Config;
use standfast_lab::ensure;
use standfast_lab::error::Result;
use standfast_lab::nginx;
use standfast_lab::node::{Node, Program};
use standfast_lab::pair::{ELECTION, Pair};
use standfast_lab::place::system;
use standfast_lab::standfast::{install, start};
use standfast_lab::wait::holds_for;
use standfast_lab::world::World;

const SECOND: Duration = Duration::from_secs(1);
const PACE: &str = "interval \"300ms\"; timeout \"300ms\"; fall 2; rise 2";
const REDIS: &str = "/usr/bin/redis-server";

/// reliability M5: the kernel accepts for workers that never will, so a port that answers proves nothing.
pub(crate) fn stopped_workers_of_nginx_fail_by_http_and_pass_by_tcp() -> Result<()> {
    let check = |config: &str, grant: &str| format!("{PACE}\nconfig {{ {config} }}\ngrant {{ {grant} }}");
    let (health, load) = ("http://127.0.0.1/healthz", "http://127.0.0.1/nginx_status");
    let one = Config::new(3, 200)
        .check(
            "port",
            "tcp",
            &check("address \"127.0.0.1:80\"", "tcp \"127.0.0.1:80\""),
        )
        .check(
            "health",
            "http",
            &check(
                &format!("url \"{health}\"; body \"ok\""),
                &format!("http \"{health}\" methods=\"GET\""),
            ),
        )
        .check(
            "load",
            "nginx-status",
            &check(
                &format!("url \"{load}\"; max-active 1000; max-dropped 0; metrics #true"),
                &format!("http \"{load}\" methods=\"GET\"; state \"1KiB\"; metrics 4"),
            ),
        )
        .check(
            "processes",
            "process",
            &check("name \"nginx\"; min 3", "processes comm=\"nginx\""),
        );
    let pair = Pair::of(&one, &Config::new(3, 100))?;
    let node = &pair.world.lb01;
    let states = |wanted: [(&'static str, &'static str); 4], limit| {
        pair.one.wait_status(&format!("{wanted:?}"), limit, |status| {
            wanted
                .iter()
                .all(|(name, state)| status.check(name)["state"] == *state)
        })
    };
    let all = ["port", "health", "load", "processes"];
    states(all.map(|name| (name, "up")), ELECTION)?;
    let status = pair.one.status()?;
    let said = status.check("load")["message"].as_str().unwrap_or_default();
    ensure!(
        said.ends_with(" waiting, 0 dropped"),
        "the page was not read: {said}"
    );
    let shown = pair.one.ask(&["status"])?.out;
    ensure!(
        shown.contains("requests"),
        "status has no numbers of nginx:\n{shown}"
    );

    for worker in nginx::workers(node)? {
        node.signal(worker.pid, "STOP")?;
    }
    let stopped = [
        ("port", "up"),
        ("health", "down"),
        ("load", "down"),
        ("processes", "down"),
    ];
    states(stopped, ELECTION)?;
    pair.wait_owner(&pair.world.lb02, ELECTION)?;
    holds_for("the port answering", 2 * SECOND, || {
        Ok(pair.one.status()?.check("port")["state"] == "up")
    })?;
    nginx::thaw(node)?;
    states(all.map(|name| (name, "up")), ELECTION)?;
    pair.wait_owner(&pair.world.lb01, ELECTION)
}

/// A real Redis with a password: up as master, down when it is killed, up again.
pub(crate) fn killed_redis_is_down_and_back_again() -> Result<()> {
    system(REDIS, "redis-server")?;
    let world = World::new()?;
    let node = &world.lb01;
    node.write("etc/redis.password", "open sesame\n")?;
    install(node)?;
    let body = format!(
        "{PACE}\nconfig {{ address \"127.0.0.1:6379\"; role \"master\"; password-file \"/etc/standfast/redis.password\" }}\n\
         grant {{ tcp \"127.0.0.1:6379\"; read \"/etc/standfast/redis.password\" max=\"1KiB\" }}"
    );
    let config = Config::new(3, 200).check("redis", "redis", &body);
    let daemon = start(node, &config.text(node))?;
    daemon.wait_check("redis", "down", ELECTION)?;
    let server = redis(node)?;
    daemon.wait_check("redis", "up", ELECTION)?;
    daemon.wait_state("MASTER", ELECTION)?;
    server.kill()?;
    daemon.wait_check("redis", "down", ELECTION)?;
    daemon.wait_state("FAULT", ELECTION)?;
    let server = redis(node)?;
    daemon.wait_check("redis", "up", ELECTION)?;
    // A password that is none: the server is well, and yet the check fails and says why without the password.
    server.kill()?;
    node.write("etc/redis.password", "wrong\n")?;
    redis(node)?;
    daemon.wait_status("the password refused", ELECTION, |status| {
        let check = status.check("redis");
        let said = check["message"].as_str().unwrap_or_default();
        check["state"] == "down" && said.contains("WRONGPASS") && !said.contains("wrong")
    })
}

fn redis(node: &Node) -> Result<Program> {
    let words = [
        "--bind",
        "127.0.0.1",
        "--requirepass",
        "open sesame",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
    ];
    let folder = node.path("log").display().to_string();
    node.spawn("redis", &[&[REDIS], &words[..], &[folder.as_str()]].concat())
}
