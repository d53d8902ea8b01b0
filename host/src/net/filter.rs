//! `accept #false`: drops what is sent to virtual addresses, with one nftables table for each router.
//!
//! The table is there as long as the router, not only while it is Master: a host that does not hold the addresses gets
//! nothing for them, and a takeover need not wait for another program.

use std::env;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use standfast_core::ids::RouterName;

/// What to do when there is no `nft`.
pub(crate) const MEND: &str =
    "`accept #false` needs the program nft: `apt install nftables`, or write `accept #true`";

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

/// Makes the table, or makes it anew with these addresses.
///
/// # Errors
/// There is no `nft`, or it refused.
pub(crate) fn install(table: &str, addresses: impl Iterator<Item = IpAddr>) -> Result<(), String> {
    run(&ruleset(table, addresses))
}

/// Removes the table; one that is not there is fine.
///
/// # Errors
/// There is no `nft`, or it refused.
pub(crate) fn uninstall(table: &str) -> Result<(), String> {
    run(&removal(table))
}

/// Removing what may not be there: it is made first, all in one transaction.
fn removal(table: &str) -> String {
    format!("add table inet {table}\ndelete table inet {table}\n")
}

/// Neighbour discovery passes (R-6.1-3), and so does what this host says to itself.
fn ruleset(table: &str, addresses: impl Iterator<Item = IpAddr>) -> String {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.partition(IpAddr::is_ipv4);
    let mut text = removal(table);
    let _ = writeln!(text, "table inet {table} {{");
    let _ = writeln!(text, "  chain input {{");
    let _ = writeln!(text, "    type filter hook input priority 0; policy accept;");
    let _ = writeln!(text, "    iif \"lo\" accept");
    if !v4.is_empty() {
        let _ = writeln!(text, "    ip daddr {{ {} }} drop", list(&v4));
    }
    if !v6.is_empty() {
        let discovery = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept";
        let _ = writeln!(text, "    ip6 daddr {{ {} }} {discovery}", list(&v6));
        let _ = writeln!(text, "    ip6 daddr {{ {} }} drop", list(&v6));
    }
    text.push_str("  }\n}\n");
    text
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn run(script: &str) -> Result<(), String> {
    let Some(nft) = find_nft() else {
        return Err(MEND.into());
    };
    let told = |error: std::io::Error| format!("{}: {error}", nft.display());
    let mut child = start(&nft).map_err(told)?;
    // A few kilobytes: the pipe takes them whole, whether anyone reads or not.
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut pipe| pipe.write_all(script.as_bytes()));
    let ended = wait(&mut child).map_err(told)?;
    written.map_err(told)?;
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(_) => {
            let mut said = Vec::new();
            if let Some(pipe) = child.stderr.take() {
                let _ = pipe.take(MOST_SAID).read_to_end(&mut said);
            }
            let said = String::from_utf8_lossy(&said);
            Err(format!("nft: {}", said.lines().next().unwrap_or("it failed")))
        }
        None => Err(format!("nft: no answer within {} s", PATIENCE.as_secs())),
    }
}

fn start(nft: &Path) -> std::io::Result<Child> {
    Command::new(nft)
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
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(1);
const MOST_SAID: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// proves: -R-6.1-3 -R-6.4.3-7
    #[test]
    fn neighbour_discovery_passes_before_the_rest_is_dropped() {
        let addresses = ["192.0.2.10", "192.0.2.11", "2001:db8::10"];
        let text = ruleset(
            "standfast-VI_1",
            addresses.iter().map(|text| text.parse().unwrap()),
        );
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
  }
}
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_table_name_is_one_that_nft_reads() {
        let name = table(&"VI-1.a@b_c".parse().unwrap());
        assert_eq!(name, "standfast-VI-1.a/b_c");
    }
}
