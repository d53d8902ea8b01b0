//! Established connections: a server that says who it is, and a client with many of them that never let go.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::netns;
use crate::node::{Node, Program};
use crate::wait::wait_until;

/// The verb of this program that serves.
pub(crate) const VERB: &str = "__echo";
/// Where it serves.
pub const PORT: u16 = 7007;
const STACK: usize = 64 << 10;
/// A reply that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server in `node` for all its addresses, each connection on a thread of its own.
pub fn server(node: &Node) -> Result<Program> {
    let program = std::env::current_exe()?.display().to_string();
    let program = node.spawn("echo", &[&program, VERB, &format!("[::]:{PORT}"), node.name()])?;
    wait_until("the echo server", Duration::from_secs(10), || {
        let listening = node.must(&["ss", "-Hltn", "sport", "=", &format!(":{PORT}")])?;
        Ok(!listening.is_empty())
    })?;
    Ok(program)
}

/// Answers each byte with the number of this node's name.
pub(crate) fn serve(address: &str, name: &str) -> Result<()> {
    let listener = TcpListener::bind(address).doing(|| format!("cannot listen at {address}"))?;
    let number = name.bytes().last().unwrap_or(b'?');
    for mut client in listener.incoming().flatten() {
        let work = move || {
            let mut byte = [0; 1];
            let _ = client.set_nodelay(true);
            while client.read_exact(&mut byte).is_ok() && client.write_all(&[number]).is_ok() {}
        };
        std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    }
    Ok(())
}

/// What became of the connections so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tale {
    /// Those that still answer.
    pub alive: usize,
    /// Questions answered.
    pub answers: usize,
    /// The longest that an answer took.
    pub worst: Duration,
    /// Who answered last, and how often it was the last one: `1` for lb01.
    pub by: Vec<(char, usize)>,
    /// Why connections ended.
    pub faults: Vec<String>,
}

/// Connections with traffic on each of them.
#[derive(Debug)]
pub struct Crowd {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Option<Result<Tale>>>,
}

impl Crowd {
    /// Opens `count` connections from `node` and keeps asking on each in turn, all of them within `round`.
    pub fn start(node: &Node, address: IpAddr, count: usize, round: Duration) -> Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let (ready, wait) = sync_channel(1);
        let ending = Arc::clone(&ends);
        let thread = netns::spawn_in(node.pid(), move || {
            let opened = open(SocketAddr::new(address, PORT), count);
            let (opened, result) = match opened {
                Ok(opened) => (opened, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            };
            let _ = ready.send(result);
            talk(opened, round, &ending)
        })?;
        wait.recv().map_err(|_| Error::new("the crowd has no voice"))??;
        Ok(Self { ends, thread })
    }

    /// Asks on each once more, lets all of them go, and tells.
    pub fn end(self) -> Result<Tale> {
        self.ends.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Some(tale)) => tale,
            Ok(None) | Err(_) => Err(Error::new("the crowd fell silent")),
        }
    }
}

/// Who answers a new connection.
pub fn ask(node: &Node, address: IpAddr) -> Result<char> {
    node.in_network(move || {
        let mut opened = open(SocketAddr::new(address, PORT), 1)?;
        let stream = opened.first_mut().doing(|| "a connection".to_owned())?;
        Ok(exchange(stream)?)
    })
}

fn open(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let one = |_| {
        let stream =
            TcpStream::connect_timeout(&address, PATIENCE).doing(|| format!("no connection to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    (0..count).map(one).collect()
}

fn exchange(stream: &mut TcpStream) -> std::io::Result<char> {
    let mut byte = [0; 1];
    stream.write_all(b"?")?;
    stream.read_exact(&mut byte)?;
    Ok(char::from(byte[0]))
}

fn talk(opened: Vec<TcpStream>, round: Duration, ends: &AtomicBool) -> Result<Tale> {
    let mut tale = Tale::default();
    let mut alive: Vec<_> = opened.into_iter().map(|stream| (stream, None)).collect();
    loop {
        let last = ends.load(Ordering::Relaxed);
        let begun = Instant::now();
        alive.retain_mut(|(stream, by)| {
            let asked = Instant::now();
            match exchange(stream) {
                Ok(who) => {
                    tale.answers += 1;
                    tale.worst = tale.worst.max(asked.elapsed());
                    *by = Some(who);
                    true
                }
                Err(error) => {
                    tale.faults.push(format!("{error} after {:?}", asked.elapsed()));
                    false
                }
            }
        });
        if last {
            break;
        }
        std::thread::sleep(round.saturating_sub(begun.elapsed()));
    }
    tale.alive = alive.len();
    for who in alive.iter().filter_map(|(_, by)| *by) {
        match tale.by.iter_mut().find(|(known, _)| *known == who) {
            Some((_, count)) => *count += 1,
            None => tale.by.push((who, 1)),
        }
    }
    Ok(tale)
}
