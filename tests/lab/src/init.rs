//! The first process of a node: makes the node's namespaces a machine, starts what it is told, reaps what dies.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, sethostname};

use crate::enter::{ROOM, SELF, bind, mount_proc, private_mounts, tmpfs};
use crate::error::{Doing, Error, Result};
use crate::order::{Act, Answer, End, Fruit, Order, Ran};
use crate::reaper::Reaper;
use crate::{procfs, say};

/// Folders that programs of a node write to and that must not be the host's.
const OWN_FOLDERS: [&str; 5] = [
    "/var/log/nginx",
    "/var/lib/nginx",
    "/var/cache",
    "/var/tmp",
    "/tmp",
];

/// Makes the node's namespaces and starts its first process in them; returns when that ends.
pub(crate) fn outer(name: &str, dir: &str) -> Result<ExitStatus> {
    set_pdeathsig(Signal::SIGKILL)?;
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    )
    .doing(|| format!("no namespaces for node {name}"))?;
    Ok(Command::new(SELF).args(["__init", name, dir]).spawn()?.wait()?)
}

/// The life of a node's first process: ends when the world closes its standard input.
pub(crate) fn inner(name: &str, dir: &str) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getpid().as_raw() != 1 {
        return Err(Error::new("a node's init is the first process of its namespace"));
    }
    furnish(name, Path::new(dir))?;
    let reaper = Arc::new(Reaper::start());
    reply(&Answer {
        id: 0,
        result: Ok(Fruit::Done),
    })?;
    for line in std::io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let reaper = Arc::clone(&reaper);
        std::thread::spawn(move || {
            let result = perform(order.act, &reaper).map_err(|error| error.to_string());
            // The world is gone when this fails, and this process with it in a moment.
            let _ = reply(&Answer { id: order.id, result });
        });
    }
    Ok(())
}

/// Own host name, mounts and kernel settings.
fn furnish(name: &str, dir: &Path) -> Result<()> {
    sethostname(name)?;
    private_mounts()?;
    mount_proc()?;
    let run = dir.join("run");
    fs::create_dir_all(&run)?;
    tmpfs(&run)?;
    let room = run.join(Path::new(ROOM).file_name().unwrap_or_default());
    fs::create_dir_all(&room)?;
    bind(Path::new(ROOM), &room)?;
    bind(&run, Path::new("/run"))?;
    for folder in OWN_FOLDERS
        .iter()
        .map(Path::new)
        .filter(|folder| folder.is_dir() && !holds_us(folder))
    {
        tmpfs(folder)?;
    }
    let settings = [
        ("net/ipv6/conf/all/disable_ipv6", "1"),
        ("net/ipv6/conf/default/disable_ipv6", "1"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
        ("net/ipv4/ip_local_port_range", "1024 65535"),
        ("net/ipv4/ping_group_range", "0 0"),
    ];
    for (key, value) in settings {
        let path = Path::new("/proc/sys").join(key);
        if path.exists() {
            fs::write(&path, value).doing(|| format!("cannot set {key}"))?;
        }
    }
    Ok(())
}

/// Whether the programs under test lie below `folder` (a target folder under /tmp): it must stay visible then.
fn holds_us(folder: &Path) -> bool {
    let below = |path: &Path| path.starts_with(folder);
    std::env::current_exe().is_ok_and(|exe| below(&exe))
        || std::env::var_os("STANDFAST_BIN_DIR").is_some_and(|dir| below(Path::new(&dir)))
}

fn reply(answer: &Answer) -> Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}

fn perform(act: Act, reaper: &Reaper) -> Result<Fruit> {
    match act {
        Act::Spawn { argv, env, log } => spawn(&argv, &env, Path::new(&log), reaper).map(Fruit::Pid),
        Act::Run {
            argv,
            env,
            input,
            limit_ms,
        } => run(&argv, &env, input, Duration::from_millis(limit_ms), reaper).map(Fruit::Ran),
        Act::Wait { pid, limit_ms } => Ok(Fruit::End(reaper.wait(pid, Duration::from_millis(limit_ms))?)),
        Act::Signal { pid, signal } => {
            let signal: Signal = signal.parse()?;
            if pid <= 1 {
                return Err(Error::new(format!("no signal for process {pid}")));
            }
            kill(Pid::from_raw(pid), signal).doing(|| format!("cannot signal process {pid}"))?;
            Ok(Fruit::Done)
        }
        Act::KillAll => {
            // From the first process of a namespace this reaches every other process of it and nothing else.
            match kill(Pid::from_raw(-1), Signal::SIGKILL) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(Fruit::Done),
                Err(errno) => Err(errno.into()),
            }
        }
        Act::Processes => procfs::processes().map(Fruit::Processes),
    }
}

fn command(argv: &[String], env: &[(String, String)]) -> Result<Command> {
    let (program, rest) = argv.split_first().doing(|| "no program given".to_owned())?;
    let mut command = Command::new(program);
    command
        .args(rest)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "1")
        .envs(env.iter().map(|(key, value)| (key, value)))
        .process_group(0);
    Ok(command)
}

fn spawn(argv: &[String], env: &[(String, String)], log: &Path, reaper: &Reaper) -> Result<i32> {
    let out = OpenOptions::new().create(true).append(true).open(log)?;
    let err: File = out.try_clone()?;
    let mut command = command(argv, env)?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    reaper.spawn(&mut command).map(|child| child.pid)
}

fn run(
    argv: &[String],
    env: &[(String, String)],
    input: String,
    limit: Duration,
    reaper: &Reaper,
) -> Result<Ran> {
    let mut command = command(argv, env)?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = reaper.spawn(&mut command)?;
    let mut stdin = child.stdin.take().doing(|| "no input".to_owned())?;
    std::thread::spawn(move || {
        // A program that does not read its input is no fault.
        let _ = stdin.write_all(input.as_bytes());
    });
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let end = reaper.wait(child.pid, limit)?;
    if end.is_none() {
        // The process group: also a child that holds our pipes.
        let _ = kill(Pid::from_raw(-child.pid), Signal::SIGKILL);
        reaper.wait(child.pid, Duration::from_secs(2))?;
    }
    let ran = |end| -> Result<Ran> {
        Ok(Ran {
            end,
            out: text(out)?,
            err: text(err)?,
        })
    };
    match end {
        Some(end) => ran(end),
        None => {
            let ran = ran(End::Signal(9))?;
            Err(Error::new(format!(
                "{} did not end within {limit:?}: {}",
                argv.join(" "),
                ran.text().trim()
            )))
        }
    }
}

type Collected = std::thread::JoinHandle<std::io::Result<Vec<u8>>>;

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // More than this is not the output of a command that ends.
            pipe.take(4 << 20).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn text(collected: Collected) -> Result<String> {
    let bytes = collected
        .join()
        .map_err(|_| Error::new("reading an output failed"))??;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs a node's verb and tells the world's log when it fails.
pub(crate) fn verb(inner_verb: bool, name: &str, dir: &str) -> u8 {
    let outcome = if inner_verb {
        inner(name, dir).map(|()| 0)
    } else {
        outer(name, dir).map(crate::enter::code_of)
    };
    outcome.unwrap_or_else(|error| {
        say::complain(&format!("node {name}: {error}"));
        1
    })
}
