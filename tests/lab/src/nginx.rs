//! nginx in a node: the shipped example rendered for the laboratory, and what can go wrong with it.

use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::node::{Node, Program};
use crate::order::Process;
use crate::place::{example, system};
use crate::wait::wait_until;

/// The program.
pub const NGINX: &str = "/usr/sbin/nginx";

/// Writes the node's `etc/nginx.conf`: the example, with what a laboratory needs.
pub fn configure(node: &Node) -> Result<()> {
    system(NGINX, "nginx-light")?;
    let text = example("nginx/nginx.conf")?;
    let log = node.path("log").join("nginx-error.log");
    let changes = [
        // In a user namespace there is no other user.
        ("user www-data;", "user root;".to_owned()),
        // Two nodes, the back ends and the probes share a small machine.
        ("worker_processes auto;", "worker_processes 2;".to_owned()),
        (
            "error_log /var/log/nginx/error.log warn;",
            format!("error_log {} warn;", log.display()),
        ),
        // A thousand requests a second.
        (
            "access_log /var/log/nginx/access.log;",
            "access_log off;".to_owned(),
        ),
        // Probes ask who answered.
        (
            "listen 80;",
            "listen 80;\n        add_header X-Served-By $hostname always;".to_owned(),
        ),
    ];
    let mut rendered = text;
    for (from, to) in changes {
        if !rendered.contains(from) {
            return Err(Error::new(format!(
                "examples/nginx/nginx.conf has no line `{from}` any more"
            )));
        }
        rendered = rendered.replacen(from, &to, 1);
    }
    node.write("etc/nginx.conf", rendered).map(drop)
}

/// Writes a configuration without back ends: a page of its own; `main` stands at the top, `server` in its server.
pub fn plain(node: &Node, main: &str, server: &str) -> Result<()> {
    system(NGINX, "nginx-light")?;
    node.write("etc/nginx.conf", plain_text(node, main, server))
        .map(drop)
}

/// The same as text.
pub fn plain_text(node: &Node, main: &str, server: &str) -> String {
    let log = node.path("log").join("nginx-error.log");
    let pid = if main.contains("pid ") {
        ""
    } else {
        "pid /run/nginx.pid;\n"
    };
    format!(
        "user root;\nworker_processes 2;\n{pid}error_log {} notice;\n{main}\n\
         events {{ worker_connections 4096; }}\nhttp {{\n    access_log off;\n    server {{\n        {server}\n        \
         add_header X-Served-By $hostname always;\n        location / {{ return 200 \"ok\\n\"; }}\n    }}\n}}\n",
        log.display()
    )
}

/// What its pid file says.
pub fn pid_file(node: &Node) -> Result<String> {
    Ok(node.run(&["cat", "/run/nginx.pid"])?.out.trim().to_owned())
}

/// The number of the only master that runs.
pub fn only_master(node: &Node) -> Result<i32> {
    let masters: Vec<i32> = all(node)?
        .iter()
        .filter(|process| is(process, "master"))
        .map(|process| process.pid)
        .collect();
    match masters[..] {
        [master] => Ok(master),
        _ => Err(Error::new(format!("not one nginx master: {masters:?}"))),
    }
}

/// Starts nginx as the distribution would, without standfast.
pub fn start(node: &Node) -> Result<Program> {
    configure(node)?;
    let conf = node.path("etc/nginx.conf").display().to_string();
    let program = node.spawn("nginx", &[NGINX, "-c", &conf, "-g", "daemon off;"])?;
    wait_until("nginx with workers", Duration::from_secs(5), || {
        Ok(workers(node)?.len() == 2)
    })?;
    Ok(program)
}

/// Breaks the configuration on disk; what runs goes on with the old one.
pub fn break_config(node: &Node) -> Result<()> {
    node.write(
        "etc/nginx.conf",
        "events {}\nhttp { server { listen 80; this_is_no_directive on; } }\n",
    )
    .map(drop)
}

/// The master process, if any.
pub fn master(node: &Node) -> Result<Option<Process>> {
    Ok(all(node)?.into_iter().find(|process| is(process, "master")))
}

/// The worker processes.
pub fn workers(node: &Node) -> Result<Vec<Process>> {
    Ok(all(node)?
        .into_iter()
        .filter(|process| is(process, "worker"))
        .collect())
}

/// SIGKILL for the master; its workers become orphans and go on serving.
pub fn kill_master(node: &Node) -> Result<()> {
    let master = master(node)?.doing(|| format!("no nginx master on {}", node.name()))?;
    node.signal(master.pid, "KILL")
}

/// SIGKILL for all of it at once.
pub fn kill_all(node: &Node) -> Result<()> {
    for process in all(node)? {
        // A worker may be gone already, told by its master.
        let _ = node.signal(process.pid, "KILL");
    }
    Ok(())
}

/// SIGKILL for its workers; the master makes others.
pub fn kill_workers(node: &Node) -> Result<()> {
    for worker in workers(node)? {
        // It may be gone already.
        let _ = node.signal(worker.pid, "KILL");
    }
    Ok(())
}

/// SIGSTOP for master and workers.
pub fn freeze(node: &Node) -> Result<()> {
    for process in all(node)? {
        node.signal(process.pid, "STOP")?;
    }
    Ok(())
}

/// SIGCONT for master and workers.
pub fn thaw(node: &Node) -> Result<()> {
    for process in all(node)? {
        node.signal(process.pid, "CONT")?;
    }
    Ok(())
}

/// Every process of it that serves: not a program that is only asked for something (`nginx -T`) and gone at once.
pub fn all(node: &Node) -> Result<Vec<Process>> {
    Ok(node
        .processes()?
        .into_iter()
        .filter(|process| {
            process
                .argv
                .first()
                .is_some_and(|title| title.starts_with("nginx: "))
        })
        .collect())
}

fn is(process: &Process, role: &str) -> bool {
    process.state != 'Z' && process.argv.first().is_some_and(|title| title.contains(role))
}

/// Two small web servers on the addresses of node `backend`.
pub(crate) fn start_backends(node: &Node) -> Result<()> {
    system(NGINX, "nginx-light")?;
    let log = node.path("log").join("nginx-error.log");
    let server = |address: &str| {
        format!("server {{ listen {address}:8080; location / {{ return 200 \"from {address}\\n\"; }} }}\n")
    };
    let conf = format!(
        "user root;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log {} warn;\n\
         events {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\n{}{}}}\n",
        log.display(),
        server("10.77.0.21"),
        server("10.77.0.22"),
    );
    let path = node.write("etc/nginx.conf", conf)?.display().to_string();
    node.spawn("nginx", &[NGINX, "-c", &path, "-g", "daemon off;"])?;
    wait_until("the back ends", Duration::from_secs(5), || {
        Ok(workers(node)?.len() == 1)
    })
    .map(drop)
}
