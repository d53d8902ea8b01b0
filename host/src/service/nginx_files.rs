//! What nginx's configuration says of itself: its pid file, and where it listens (`nginx -T`).

use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::listeners::Address;

/// nginx looks up the names of its upstreams before it says anything.
const LIMIT: Duration = Duration::from_secs(10);
/// A configuration is not longer.
const MOST: usize = 4 << 20;

/// What one nginx is configured to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) pid: Option<PathBuf>,
    pub(crate) listens: Vec<Address>,
}

/// Asks the program. Waits for it, ten seconds at most: not for the loop's thread.
///
/// # Errors
/// It cannot be asked; a configuration that it refuses says nothing, and is no error.
pub(crate) fn files(command: &[String]) -> io::Result<Files> {
    let dump = ask(command, &["-T", "-q"])?;
    let mut files = parse(&dump);
    if let Some(said) = command.iter().find(|word| word.contains("pid ")) {
        // `-g "pid /run/other.pid;"`
        files.pid = parse(said).pid.or(files.pid);
    }
    if files.pid.is_none() {
        let built = ask(command.get(..1).unwrap_or_default(), &["-V"])?;
        let path = built
            .split_whitespace()
            .find_map(|word| word.strip_prefix("--pid-path="));
        files.pid = path.map(PathBuf::from);
    }
    Ok(files)
}

/// What it writes, errors included.
fn ask(command: &[String], more: &[&str]) -> io::Result<String> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
    let (mut output, writer) = io::pipe()?;
    let mut asked = Command::new(program);
    asked
        .args(arguments)
        .args(more)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let child = asked.spawn()?;
    // Its ends of the pipe: ours would keep it open.
    drop(asked);
    let mut ended = Ended(child);
    let deadline = Instant::now() + LIMIT;
    let (mut said, mut piece) = (Vec::new(), [0; 16 << 10]);
    while said.len() < MOST {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        if poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match output.read(&mut piece)? {
            0 => {
                ended.0.wait()?;
                break;
            }
            length => said.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Nothing of it is left behind.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

fn parse(dump: &str) -> Files {
    let mut files = Files::default();
    let lines = dump
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    for directive in lines.flat_map(|line| line.split([';', '{', '}'])) {
        let mut words = directive.split_whitespace();
        match (words.next(), words.next()) {
            (Some("pid"), Some(path)) => {
                files
                    .pid
                    .get_or_insert_with(|| path.trim_matches(['"', '\'']).into());
            }
            (Some("listen"), Some(at)) => files.listens.extend(address(at)),
            _ => {}
        }
    }
    files
}

/// `80`, `*:80`, `192.0.2.1`, `[::]:443`, `unix:/run/n.sock`; a name is not looked up.
fn address(word: &str) -> Option<Address> {
    if let Some(path) = word.strip_prefix("unix:") {
        return Some(Address::Unix(path.to_owned()));
    }
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let bare = |text: &str| match text.trim_matches(['[', ']']) {
        "*" => Some(everywhere),
        "::" => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        text => text.parse().ok(),
    };
    let port = word.parse().ok().map(|port| SocketAddr::new(everywhere, port));
    let whole = || {
        let (ip, port) = word.rsplit_once(':').filter(|(ip, _)| !ip.is_empty())?;
        Some(SocketAddr::new(bare(ip)?, port.parse().ok()?))
    };
    let ip = || Some(SocketAddr::new(bare(word)?, 80));
    port.or_else(whole).or_else(ip).map(Address::Tcp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Nginx, command};

    #[test]
    fn a_configuration_says_its_pid_file_and_where_it_listens() {
        let text = "# pid /no;\npid \"/run/n.pid\"; daemon on;\nhttp { server { listen 80 default_server; listen [::]:443 ssl;\n\
            listen 192.0.2.1; listen *:81; listen unix:/run/n.sock; listen localhost:90; } }";
        let files = parse(text);
        assert_eq!(files.pid, Some("/run/n.pid".into()));
        let shown: Vec<_> = files.listens.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "0.0.0.0:80",
                "[::]:443",
                "192.0.2.1:80",
                "0.0.0.0:81",
                "unix:/run/n.sock"
            ]
        );
    }

    #[test]
    fn a_real_nginx_is_asked() {
        let nginx = Nginx::start();
        let files = files(&command(&nginx.folder)).unwrap();
        assert_eq!(files.pid, Some(nginx.pid_file()));
        assert_eq!(files.listens, [Address::Tcp(nginx.at)]);
    }

    #[test]
    fn one_that_never_says_anything_is_given_up_and_leaves_nothing() {
        assert!(ask(&["/no/such".to_owned()], &[]).is_err());
        let silent = ["/bin/sh".into(), "-c".into(), "echo pid /x\\;; exit 1".into()];
        assert_eq!(parse(&ask(&silent, &[]).unwrap()).pid, Some("/x".into()));
    }
}
