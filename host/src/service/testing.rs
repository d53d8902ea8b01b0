//! For the tests of these leaves: a folder that goes away, a real nginx on free ports, and waiting.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tracing::subscriber::{DefaultGuard, set_default};

use super::proc_table::{Stat, children, title};

pub(crate) const NGINX: &str = "/usr/sbin/nginx";

/// Waits until it is so, ten seconds at most.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// What is logged on this thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    /// From now on, until the guard goes.
    pub(crate) fn listen(&self) -> DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false);
        set_default(subscriber.with_writer(move || writer.clone()).finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder of this test alone.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("standfast-service-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An address of loopback that nobody listens on just now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A real nginx with two workers; it and all of its group go away with this.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) folder: Folder,
    pub(crate) at: SocketAddr,
    master: Child,
    successor: Option<Pid>,
}

impl Nginx {
    /// Answers everything with 200 and `hello`.
    pub(crate) fn start() -> Self {
        Self::start_with("", |_, at| format!("listen {at};"))
    }

    /// With other lines of the main context, and other lines than `listen` of the one server.
    pub(crate) fn start_with(main: &str, server: impl Fn(&Folder, SocketAddr) -> String) -> Self {
        let (folder, at) = (Folder::new(), free_address());
        configure(&folder, main, &server(&folder, at));
        let master = Command::new(need_nginx())
            .args(arguments(&folder))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let nginx = Self {
            folder,
            at,
            master: master.unwrap(),
            successor: None,
        };
        until("nginx has its workers", || nginx.workers().len() == 2);
        nginx
    }

    pub(crate) fn master(&self) -> Pid {
        Pid::from_raw(self.master.id().cast_signed())
    }

    pub(crate) fn workers(&self) -> Vec<Stat> {
        let mut found = children(self.master());
        found.retain(|child| title(child.pid).is_some_and(|title| title.contains(": worker process")));
        found
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.folder.path("nginx.pid")
    }

    /// Kills the master alone; answers with its workers, which go on (M1).
    pub(crate) fn behead(&mut self) -> Vec<Stat> {
        let workers = self.workers();
        kill(self.master(), Signal::SIGKILL).unwrap();
        self.master.wait().unwrap();
        workers
    }

    /// Another master, of its own group, goes away with this, too.
    pub(crate) fn successor(&mut self, master: Pid) {
        self.successor = Some(master);
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(successor) = self.successor {
            let _ = killpg(successor, Signal::SIGKILL);
        }
        let _ = killpg(self.master(), Signal::SIGKILL);
        let _ = self.master.wait();
    }
}

/// Clients that ask all the time, each time over a new connection.
#[derive(Debug)]
pub(crate) struct Clients {
    asking: Arc<AtomicBool>,
    served: Arc<AtomicU32>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Clients {
    pub(crate) fn of(at: SocketAddr) -> Self {
        let (asking, served) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let client = || {
            let (asking, served) = (asking.clone(), served.clone());
            thread::spawn(move || {
                let mut failed = Vec::new();
                while asking.load(Ordering::Relaxed) {
                    match get(at) {
                        Ok(text) if text.starts_with("HTTP/1.1 200 ") => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(text) => failed.push(text),
                        Err(error) => failed.push(error.to_string()),
                    }
                }
                failed
            })
        };
        let threads = (0..2).map(|_| client()).collect();
        let clients = Self {
            asking,
            served,
            threads,
        };
        until("clients are served", || clients.count() > 10);
        clients
    }

    /// Answered with 200 so far.
    pub(crate) fn count(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }

    /// Answered with 200, and what went wrong with the others.
    pub(crate) fn stop(self) -> (u32, Vec<String>) {
        self.asking.store(false, Ordering::Relaxed);
        let failed = self.threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let failed = failed.collect();
        (self.served.load(Ordering::Relaxed), failed)
    }
}

fn get(at: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&at, Duration::from_secs(3))?;
    connection.set_read_timeout(Some(Duration::from_secs(3)))?;
    connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    Ok(text)
}

/// The arguments that an nginx of this folder is started with.
/// As a configuration has it.
pub(crate) fn command(folder: &Folder) -> Vec<String> {
    let program = std::iter::once(NGINX.to_owned());
    program.chain(arguments(folder)).collect()
}

pub(crate) fn arguments(folder: &Folder) -> [String; 6] {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (conf, log) = (folder.path("nginx.conf"), folder.path("error.log"));
    [
        "-c".into(),
        text(&conf),
        "-e".into(),
        text(&log),
        "-g".into(),
        "daemon off;".into(),
    ]
}

/// A certificate and its key, for tests of TLS.
pub(crate) fn certificate(folder: &Folder) -> (PathBuf, PathBuf) {
    let files = (folder.path("certificate.pem"), folder.path("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-subj", "/CN=localhost", "-out"])
        .arg(&files.0)
        .arg("-keyout")
        .arg(&files.1)
        .stderr(Stdio::null())
        .status();
    let made = made.expect("this test needs openssl: apt-get install openssl");
    assert!(made.success());
    files
}

pub(crate) fn configure(folder: &Folder, main: &str, server: &str) {
    let user = if nix::unistd::getuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let own = |name: &str| folder.path(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {};\n", own(kind)))
        .collect();
    let (pid, log) = (own("nginx.pid"), own("error.log"));
    folder.write(
        "nginx.conf",
        &format!(
            "{user}\nworker_processes 2;\npid {pid};\nerror_log {log} notice;\n{main}\nevents {{}}\nhttp {{\naccess_log \
             off;\n{temporary}server {{\n{server}\nlocation / {{ return 200 hello; }}\n}}\n}}\n"
        ),
    );
}

fn need_nginx() -> &'static str {
    assert!(
        Path::new(NGINX).exists(),
        "this test needs a real nginx: apt-get install nginx-light"
    );
    NGINX
}
