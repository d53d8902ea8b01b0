//! A small web server for the laboratory: a stranger on somebody's port, and a program that standfast supervises.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use crate::error::{Doing, Result};
use crate::node::{Node, Program};
use crate::wait::wait_until;

/// The verb of this program that serves.
pub(crate) const VERB: &str = "__web";

/// The command line: serves the text of `page` at `address`; HUP reads it again, INT, TERM and USR1 end it and leave
/// their name in `page.end`.
pub fn command(address: &str, page: &Path) -> Result<Vec<String>> {
    let program = std::env::current_exe()?.display().to_string();
    let page = page.display().to_string();
    Ok([&program, VERB, address, &page].map(str::to_owned).to_vec())
}

/// A program in `node` that has taken port `port`.
pub fn stranger(node: &Node, port: u16) -> Result<Program> {
    let page = node.write("stranger", "a stranger\n")?;
    let argv = command(&format!("0.0.0.0:{port}"), &page)?;
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let program = node.spawn("stranger", &argv)?;
    wait_until("the stranger serves", Duration::from_secs(5), || {
        let listening = node.must(&["ss", "-Hltn", "sport", "=", &format!(":{port}")])?;
        Ok(!listening.is_empty())
    })?;
    Ok(program)
}

/// Serves until a signal ends it.
pub(crate) fn serve(address: &str, page: &str) -> Result<()> {
    let page = PathBuf::from(page);
    let signals: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1]
        .into_iter()
        .collect();
    signals.thread_block()?;
    let listener = TcpListener::bind(address).doing(|| format!("cannot listen at {address}"))?;
    let text = Arc::new(Mutex::new(std::fs::read_to_string(&page)?));
    let shown = Arc::clone(&text);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let text = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // A client that has gone is no fault.
            let _ = answer(client, &text);
        }
    });
    loop {
        let signal = signals.wait()?;
        if signal != Signal::SIGHUP {
            let mut end = page.into_os_string();
            end.push(".end");
            return Ok(std::fs::write(end, signal.as_str())?);
        }
        *text.lock().unwrap_or_else(PoisonError::into_inner) = std::fs::read_to_string(&page)?;
    }
}

fn answer(mut client: TcpStream, text: &str) -> Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = [0; 1024];
    let _ = client.read(&mut request)?;
    Ok(write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )?)
}
