//! The daemon's side of the control socket: limits on length, clients and time; a slow client is cut off.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use standfast_core::control::{Answer, EventLine, REQUEST_MAX, Reply, Request};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::time::timeout;

/// Clients at a time; more are told to come back.
const CLIENTS: usize = 32;
/// A client that sends no whole request in this time is cut off.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// A client that does not read its reply in this time is cut off.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// The longest that the daemon works on one request (a restart with all its patience).
const WORK_LIMIT: Duration = Duration::from_secs(60);

/// What a client asked, with the way back.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    /// Whether the client may change anything.
    pub(crate) may_write: bool,
    pub(crate) reply: oneshot::Sender<Told>,
}

/// What goes back.
#[derive(Debug)]
pub(crate) enum Told {
    /// One reply.
    Once(Reply),
    /// Events: those kept, and those to come.
    Stream(Vec<EventLine>, Option<broadcast::Receiver<EventLine>>),
}

/// Listens until the runtime ends.
///
/// # Errors
/// The socket cannot be made.
pub(crate) fn listen(path: &Path, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    // The lock of the runtime directory is held: a socket that is there is a dead daemon's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    tokio::task::spawn_local(accept(listener, asked));
    Ok(())
}

async fn accept(listener: UnixListener, asked: mpsc::Sender<Asked>) {
    let seats = Rc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: give others time to end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asked = asked.clone();
        let seats = Rc::clone(&seats);
        tokio::task::spawn_local(async move {
            match seats.try_acquire() {
                Ok(_seat) => serve(stream, &asked).await,
                Err(_) => {
                    let (_, mut writer) = stream.into_split();
                    write(
                        &mut writer,
                        &Err(format!("{CLIENTS} clients are connected; try again")),
                    )
                    .await;
                }
            }
        });
    }
}

/// Requests of one client, one after the other, until it leaves or breaks a limit.
async fn serve(stream: UnixStream, asked: &mpsc::Sender<Asked>) {
    let own = nix::unistd::geteuid().as_raw();
    let may_write = stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let request = match timeout(REQUEST_LIMIT, read_request(&mut reader)).await {
            Err(_) | Ok(Ok(None)) => return,
            Ok(Ok(Some(request))) => request,
            Ok(Err(fault)) => {
                write(&mut writer, &Err(fault.message)).await;
                if fault.fatal {
                    return;
                }
                continue;
            }
        };
        let (reply, told) = oneshot::channel();
        if asked
            .send(Asked {
                request,
                may_write,
                reply,
            })
            .await
            .is_err()
        {
            return;
        }
        let going = match timeout(WORK_LIMIT, told).await {
            Ok(Ok(Told::Once(reply))) => write(&mut writer, &reply).await,
            Ok(Ok(Told::Stream(kept, news))) => {
                stream_events(&mut reader, &mut writer, kept, news).await;
                return;
            }
            Ok(Err(_)) => write(&mut writer, &Err("the daemon is stopping".into())).await,
            Err(_) => {
                let slow = "still at work; see `standfast events` for how it ends";
                write(&mut writer, &Err(slow.into())).await
            }
        };
        if !going {
            return;
        }
    }
}

struct Fault {
    message: String,
    /// What follows on this connection cannot be understood.
    fatal: bool,
}

async fn read_request(reader: &mut BufReader<OwnedReadHalf>) -> Result<Option<Request>, Fault> {
    let mut line = Vec::new();
    let limit = u64::try_from(REQUEST_MAX).unwrap_or(u64::MAX) + 1;
    let read = reader.take(limit).read_until(b'\n', &mut line).await;
    match read {
        Err(error) => {
            return Err(Fault {
                message: error.to_string(),
                fatal: true,
            });
        }
        Ok(0) => return Ok(None),
        Ok(_) => {}
    }
    if line.last() != Some(&b'\n') {
        let message = format!("a request is one line of at most {REQUEST_MAX} bytes");
        return Err(Fault { message, fatal: true });
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| Fault {
        message: format!("not a request: {error}"),
        fatal: false,
    })
}

async fn stream_events(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    kept: Vec<EventLine>,
    news: Option<broadcast::Receiver<EventLine>>,
) {
    for event in kept {
        if !write(writer, &Ok(Answer::Event { event })).await {
            return;
        }
    }
    let Some(mut news) = news else { return };
    let mut byte = [0];
    loop {
        let event = tokio::select! {
            event = news.recv() => event,
            // The client has nothing to say any more: it has left.
            _ = reader.read(&mut byte) => return,
        };
        // A follower that is too far behind is cut off.
        let Ok(event) = event else { return };
        if !write(writer, &Ok(Answer::Event { event })).await {
            return;
        }
    }
}

/// Writes one line; `false`: the client is gone or too slow.
async fn write(writer: &mut OwnedWriteHalf, reply: &Reply) -> bool {
    let Ok(mut line) = serde_json::to_vec(reply) else {
        return false;
    };
    line.push(b'\n');
    matches!(timeout(WRITE_LIMIT, writer.write_all(&line)).await, Ok(Ok(())))
}
