//! A mail server for tests: plain, by STARTTLS or by TLS, with a login.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use standfast_core::config::mail::MailTls;
use tokio_rustls::rustls::{ServerConnection, StreamOwned};

use crate::servers::{certified, silent};

/// What has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Whether by TLS.
    pub(crate) by_tls: bool,
    /// The login, as base64.
    pub(crate) login: Option<String>,
    /// MAIL and RCPT.
    pub(crate) envelope: Vec<String>,
    /// Head and text.
    pub(crate) text: String,
}

/// A login that is good: `\0lb01\0sEcReT`.
pub(crate) const LOGIN: &str = "AGxiMDEAc0VjUmVU";

/// A server with a certificate for this name; also the file with the authority to trust, and what comes.
pub(crate) fn open(tls: MailTls, name: &str) -> (SocketAddr, PathBuf, Receiver<Letter>) {
    let (config, authority) = certified(name);
    let (listener, address) = silent();
    let (letters, come) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let secure =
                |stream| StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            match tls {
                MailTls::None => _ = serve(&mut stream, &letters, true, false),
                MailTls::Implicit => _ = serve(&mut secure(stream), &letters, true, true),
                MailTls::Starttls => {
                    if serve(&mut stream, &letters, true, false) {
                        serve(&mut secure(stream), &letters, false, true);
                    }
                }
            }
        }
    });
    (address, authority, come)
}

/// One conversation; whether it goes on by TLS.
fn serve(stream: &mut (impl Read + Write), letters: &Sender<Letter>, greets: bool, by_tls: bool) -> bool {
    let mut letter = Letter {
        by_tls,
        ..Letter::default()
    };
    if greets && stream.write_all(b"220-mx.example.net\r\n220 ready\r\n").is_err() {
        return false;
    }
    while let Some(line) = read(stream, "\r\n") {
        let answer = match line.split(' ').next().unwrap_or_default() {
            "EHLO" if by_tls => "250-mx.example.net\r\n250 AUTH PLAIN LOGIN\r\n",
            "EHLO" => "250-mx.example.net\r\n250-8BITMIME\r\n250 STARTTLS\r\n",
            "STARTTLS" => "220 go\r\n",
            "AUTH" => {
                letter.login = line.strip_prefix("AUTH PLAIN ").map(str::to_owned);
                match letter.login.as_deref() {
                    Some(LOGIN) => "235 welcome\r\n",
                    // As a server might that means ill.
                    _ => "535 sEcReT is wrong\r\n",
                }
            }
            "RCPT" if line.contains("nobody@") => "550 no such user\r\n",
            "MAIL" | "RCPT" => {
                letter.envelope.push(line.clone());
                "250 ok\r\n"
            }
            "DATA" => {
                drop(stream.write_all(b"354 go on\r\n"));
                letter.text = read(stream, "\r\n.\r\n").unwrap();
                letters.send(letter.clone()).unwrap();
                "250 taken\r\n"
            }
            _ => "221 bye\r\n",
        };
        if stream
            .write_all(answer.as_bytes())
            .and_then(|()| stream.flush())
            .is_err()
        {
            return false;
        }
        if line == "STARTTLS" {
            return true;
        }
    }
    false
}

/// Up to this end, which is not given.
fn read(stream: &mut impl Read, end: &str) -> Option<String> {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        stream.read_exact(&mut byte).ok()?;
        text.push(byte[0].into());
    }
    text.truncate(text.len() - end.len());
    Some(text)
}
