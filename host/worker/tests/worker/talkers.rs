//! Servers that say more than one thing: DNS by datagram and stream, mail, Redis.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::servers::silent;

/// What a name server makes of a question.
pub(crate) type Resolve = fn(&[u8]) -> Vec<u8>;

/// A name server: one answer by datagram, another by stream, at the same port.
pub(crate) fn dns(by_udp: Resolve, by_tcp: Resolve) -> SocketAddr {
    let (listener, socket) = both();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            drop(socket.send_to(&by_udp(&question[..length]), from));
        }
    });
    thread::spawn(move || {
        // The streams stay open: who asked must know where the answer ends.
        let mut open = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).unwrap();
            let answer = by_tcp(&question);
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            drop(stream.write_all(&[&length[..], &answer].concat()));
            open.push(stream);
        }
    });
    address
}

/// A port that is free for both.
fn both() -> (TcpListener, UdpSocket) {
    (0..100)
        .find_map(|_| {
            let (listener, address) = silent();
            Some((listener, UdpSocket::bind(address).ok()?))
        })
        .unwrap()
}

/// The answer to a question: these flags, and an address record for each of these last bytes of 192.0.2.0.
pub(crate) fn addresses(question: &[u8], flags: u16, hosts: &[u8]) -> Vec<u8> {
    let mut answer = question[..2].to_vec();
    for word in [flags, 1, u16::try_from(hosts.len()).unwrap(), 0, 0] {
        answer.extend(word.to_be_bytes());
    }
    answer.extend(&question[12..]);
    for host in hosts {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, *host]);
    }
    answer
}

/// Greets, and answers each line as told until told to hang up (an empty text); hands out what it heard.
pub(crate) fn lines(
    greeting: &'static str,
    answer: fn(&str) -> &'static str,
) -> (SocketAddr, Receiver<String>) {
    let (listener, address) = silent();
    let (heard, hears) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            // Byte by byte: whoever reads must put replies together.
            for byte in greeting.as_bytes() {
                drop(stream.write_all(&[*byte]));
            }
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
                let told = answer(line.trim_end());
                drop(heard.send(line.trim_end().to_owned()));
                if told.is_empty() || stream.write_all(told.as_bytes()).is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    (address, hears)
}

/// Reads until it has seen this, gives the answer to all of it and hangs up; hands out what it heard.
pub(crate) fn until(end: &'static str, answer: fn(&str) -> &'static str) -> (SocketAddr, Receiver<String>) {
    let (listener, address) = silent();
    let (heard, hears) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = String::new();
            let mut piece = [0; 1000];
            while !asked.ends_with(end)
                && let Ok(length @ 1..) = stream.read(&mut piece)
            {
                asked.push_str(str::from_utf8(&piece[..length]).unwrap());
            }
            drop(stream.write_all(answer(&asked).as_bytes()));
            drop(heard.send(asked));
        }
    });
    (address, hears)
}

/// Says one line that never ends.
pub(crate) fn endless() -> SocketAddr {
    let (listener, address) = silent();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while stream.write_all(&[b'2'; 4096]).is_ok() {}
        }
    });
    address
}
