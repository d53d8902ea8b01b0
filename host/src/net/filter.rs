//! `accept #false`: drops what is sent to virtual addresses, with one nftables table for each router.
//!
//! The table is there as long as the router, not only while it is Master: a host that does not hold the addresses gets
//! nothing for them, and a takeover need not wait for another program.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use standfast_core::ids::{IfName, RouterName};

use crate::process::keep_from_child;

/// What to do when there is no `nft`.
pub(crate) const MEND: &str =
    "`accept #false` needs the program nft: `apt install nftables`, or write `accept #true`";

/// Why nft did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    /// It did not answer, and was killed.
    #[error("nft: no answer within {} s", PATIENCE.as_secs())]
    Hung,
    /// It is not there, or refused.
    #[error("{0}")]
    Refused(String),
}

/// Finds the program.
pub(crate) fn find_nft() -> Option<PathBuf> {
    let from_env = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&from_env).filter(|folder| folder.is_absolute());
    folders
        .chain(PLACES.iter().map(PathBuf::from))
        .map(|folder| folder.join("nft"))
        .find(|path| path.is_file())
}

/// The name of a router's table.
pub(crate) fn table(router: &RouterName) -> String {
    // nft knows no `@` in a name, and no router has a slash.
    format!("standfast-{}", router.as_str().replace('@', "/"))
}

/// Whether it may be the name of one.
pub(crate) fn is_table(name: &str) -> bool {
    let router = name.strip_prefix("standfast-").map(|rest| rest.replace('/', "@"));
    router.is_some_and(|router| router.parse::<RouterName>().is_ok())
}

/// Removes the table. It may not be there: it is made first, all in one transaction.
pub(super) fn removal(table: &str) -> String {
    format!("add table inet {table}\ndelete table inet {table}\n")
}

/// Makes the table, or makes it anew with these addresses.
///
/// Neighbour discovery passes (R-6.1-3), and so does what this host says to itself. A link-local address is one of its
/// interface: another one may have the same.
pub(super) fn ruleset(table: &str, addresses: &[(IpAddr, IfName)]) -> String {
    let mut text = removal(table);
    let _ = writeln!(text, "table inet {table} {{");
    let _ = writeln!(text, "  chain input {{");
    let _ = writeln!(text, "    type filter hook input priority 0; policy accept;");
    let _ = writeln!(text, "    iif \"lo\" accept");
    let mut v4 = Vec::new();
    let mut v6: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for (address, dev) in addresses {
        match address {
            IpAddr::V4(_) => v4.push(*address),
            IpAddr::V6(local) if local.is_unicast_link_local() => {
                v6.entry(format!("iifname \"{dev}\" "))
                    .or_default()
                    .push(*address);
            }
            IpAddr::V6(_) => v6.entry(String::new()).or_default().push(*address),
        }
    }
    if !v4.is_empty() {
        let _ = writeln!(text, "    ip daddr {{ {} }} drop", list(&v4));
    }
    for (place, addresses) in v6 {
        let discovery = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept";
        let list = list(&addresses);
        let _ = writeln!(text, "    {place}ip6 daddr {{ {list} }} {discovery}");
        let _ = writeln!(text, "    {place}ip6 daddr {{ {list} }} drop");
    }
    text.push_str("  }\n}\n");
    text
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Has nft carry a script out, all of it or nothing.
///
/// # Errors
/// There is no `nft`, it refused, or it hangs.
pub(crate) fn run(script: &str) -> Result<(), NftError> {
    let Some(nft) = find_nft() else {
        return Err(NftError::Refused(MEND.into()));
    };
    let told = |error: std::io::Error| NftError::Refused(format!("{}: {error}", nft.display()));
    let mut child = start(&nft).map_err(told)?;
    // On a thread: a program that does not read must not keep us longer than one that does not answer.
    let (written, ended) = thread::scope(|scope| {
        let pipe = child.stdin.take();
        let write = || pipe.map_or(Ok(()), |mut pipe| pipe.write_all(script.as_bytes()));
        // Where no thread is to be had its input ends at once, and so does it.
        let writer = thread::Builder::new().spawn_scoped(scope, write);
        let ended = wait(&mut child);
        // It has ended, and its end of the pipe with it.
        let lost = |_| Err(ErrorKind::BrokenPipe.into());
        let written = writer.and_then(|writer| writer.join().unwrap_or_else(lost));
        (written, ended)
    });
    match ended.map_err(told)? {
        Some(status) if status.success() => written.map_err(told),
        Some(status) => {
            let mut said = Vec::new();
            if let Some(pipe) = child.stderr.take() {
                let _ = pipe.take(MOST_SAID).read_to_end(&mut said);
            }
            let said = String::from_utf8_lossy(&said);
            let line = said.lines().find(|line| !line.trim().is_empty());
            let line = line.map_or_else(|| status.to_string(), str::to_owned);
            Err(NftError::Refused(format!("nft: {line}")))
        }
        None => Err(NftError::Hung),
    }
}

fn start(nft: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(nft);
    keep_from_child(&mut command);
    command
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// How it ended; `None`: it did not, and was killed.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(POLL);
    }
}

const PLACES: &[&str] = &["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
/// An answer that takes longer does not come.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(1);
const MOST_SAID: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// proves: -R-6.1-3 -R-6.4.3-7
    #[test]
    fn neighbour_discovery_passes_before_the_rest_is_dropped() {
        let addresses = ["192.0.2.10", "192.0.2.11", "2001:db8::10", "fe80::10"];
        let held = |address: &&str| (address.parse().unwrap(), "eth1".parse().unwrap());
        let text = ruleset("standfast-VI_1", &addresses.iter().map(held).collect::<Vec<_>>());
        let expected = "\
add table inet standfast-VI_1
delete table inet standfast-VI_1
table inet standfast-VI_1 {
  chain input {
    type filter hook input priority 0; policy accept;
    iif \"lo\" accept
    ip daddr { 192.0.2.10, 192.0.2.11 } drop
    ip6 daddr { 2001:db8::10 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip6 daddr { 2001:db8::10 } drop
    iifname \"eth1\" ip6 daddr { fe80::10 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    iifname \"eth1\" ip6 daddr { fe80::10 } drop
  }
}
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_table_name_is_one_that_nft_reads() {
        let name = table(&"VI-1.a@b_c".parse().unwrap());
        assert_eq!(name, "standfast-VI-1.a/b_c");
        assert!(is_table(&name));
        for other in [
            "filter",
            "standfast-",
            "standfast-a b",
            "standfast-a; flush ruleset",
            "standfast-a\n",
        ] {
            assert!(!is_table(other), "{other}");
        }
    }
}
