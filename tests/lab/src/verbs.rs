//! Verbs that the laboratory says to itself: every program that makes worlds answers them first.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use crate::error::{Doing, Result};
use crate::{connections, init, say, web};

/// Answers a hidden verb; `None`: it was none, go on with your own command line.
pub fn internal() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["__node", name, dir] => Some(ExitCode::from(init::verb(false, name, dir))),
        ["__init", name, dir] => Some(ExitCode::from(init::verb(true, name, dir))),
        ["__talk", socket] => Some(ExitCode::from(talk(socket).map_or_else(
            |error| {
                say::complain(&error.to_string());
                1
            },
            |()| 0,
        ))),
        [web::VERB, address, page] => Some(ExitCode::from(web::serve(address, page).map_or_else(
            |error| {
                say::complain(&error.to_string());
                1
            },
            |()| 0,
        ))),
        [connections::VERB, address, name] => {
            Some(ExitCode::from(connections::serve(address, name).map_or_else(
                |error| {
                    say::complain(&error.to_string());
                    1
                },
                |()| 0,
            )))
        }
        _ => None,
    }
}

/// Sends standard input to a Unix socket as it is, and prints what comes back until the other side closes or is
/// silent for a second.
fn talk(socket: &str) -> Result<()> {
    let mut stream = UnixStream::connect(socket).doing(|| socket.to_owned())?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let mut request = Vec::new();
    std::io::stdin().take(16 << 20).read_to_end(&mut request)?;
    // The other side may have heard enough before the end: its reply is what counts.
    let _ = stream.write_all(&request);
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = stream.read(&mut buffer) {
        if length == 0 {
            break;
        }
        reply.extend_from_slice(&buffer[..length]);
    }
    say::part(&String::from_utf8_lossy(&reply));
    Ok(())
}
