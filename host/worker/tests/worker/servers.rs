//! Servers that probes meet: one that only accepts, those that send back, one that answers HTTP as told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{fs, thread};

use standfast_core::config::address::{HostPort, HttpPrefix};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::driver::{PROGRAM, Worker, folder, run, wasm};

/// Accepts and says nothing, until dropped.
pub(crate) fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port where nobody listens.
pub(crate) fn closed() -> SocketAddr {
    silent().1
}

/// Answers each request with this text, and hands out what was asked: head and body.
pub(crate) fn http(answer: &'static str) -> (SocketAddr, Receiver<(String, String)>) {
    let (listener, address) = silent();
    let (requests, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            serve(stream, answer, &requests);
        }
    });
    (address, received)
}

/// The same over TLS, with a certificate for this name; also the file with the authority to trust.
pub(crate) fn https(answer: &'static str, name: &str) -> (SocketAddr, PathBuf) {
    let (config, file) = certified(name);
    let (listener, address) = silent();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(connection, stream), answer, &channel().0);
        }
    });
    (address, file)
}

/// TLS with a certificate for this name, and the file with the authority to trust.
pub(crate) fn certified(name: &str) -> (Arc<ServerConfig>, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(
        config
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap(),
    );
    let file = folder().join("authority.pem");
    fs::write(&file, made.cert.pem()).unwrap();
    (config, file)
}

/// Sends back what it reads, piece by piece, in capitals.
pub(crate) fn echo() -> SocketAddr {
    let (listener, address) = silent();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut piece = [0; 1000];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                drop(stream.write_all(&piece[..length].to_ascii_uppercase()));
            }
        }
    });
    address
}

/// The same with datagrams.
pub(crate) fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut piece = [0; 1000];
        while let Ok((length, from)) = socket.recv_from(&mut piece) {
            drop(socket.send_to(&piece[..length].to_ascii_uppercase(), from));
        }
    });
    address
}

pub(crate) fn tcp_grant(address: SocketAddr) -> HostPort {
    HostPort {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

pub(crate) fn http_grant(address: SocketAddr, path: &str) -> HttpPrefix {
    HttpPrefix {
        tls: false,
        authority: tcp_grant(address),
        path: path.to_owned(),
        methods: Vec::new(),
    }
}

fn serve(stream: impl Read + Write, answer: &str, requests: &Sender<(String, String)>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    drop(requests.send((head, String::from_utf8(body).unwrap())));
    drop(reader.get_mut().write_all(answer.as_bytes()));
}

/// A pipe that nobody writes; whoever opens it to read hangs.
pub(crate) fn pipe(folder: &Path) -> PathBuf {
    let pipe = folder.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    pipe
}

/// A worker with one plugin, and these authorities for TLS.
pub(crate) fn trusting(authority: &Path, plugin: &str) -> Worker {
    let mut command = Command::new(PROGRAM);
    command
        .args(run(&folder().join("cache")))
        .env("SSL_CERT_FILE", authority);
    let mut worker = Worker::spawn(command);
    worker.load(plugin, &wasm(plugin)).unwrap();
    worker
}
