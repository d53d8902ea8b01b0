//! Each standard plugin: what passes, what fails, what is no verdict.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standfast_core::plugin::call::{CheckCall, ErrorClass, Status};
use standfast_core::plugin::channel::LogLevel;

use crate::driver::{Worker, check, folder, notify, settings};
use crate::servers::{closed, http, http_grant, https, silent, tcp_grant, trusting};

const TIMEOUT: Duration = Duration::from_secs(20);

fn tcp(address: std::net::SocketAddr) -> CheckCall {
    let mut call = check("tcp", TIMEOUT);
    call.settings = settings(&[("address", &address.to_string())]);
    call.grants.tcp.push(tcp_grant(address));
    call
}

#[test]
fn tcp_passes_where_somebody_listens_and_fails_where_nobody_does() {
    let mut worker = Worker::serving(&["tcp"]);
    let (_listener, address) = silent();
    let verdict = worker.verdict(tcp(address));
    assert_eq!(verdict.status, Status::Pass, "{}", verdict.message);
    let verdict = worker.verdict(tcp(closed()));
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.ends_with("connection refused"),
        "{}",
        verdict.message
    );
}

#[test]
fn tcp_resolves_a_granted_name() {
    let mut worker = Worker::serving(&["tcp"]);
    let (_listener, address) = silent();
    let mut call = tcp(address);
    call.settings = settings(&[("address", &format!("localhost:{}", address.port()))]);
    call.grants.tcp[0].host = "localhost".into();
    assert_eq!(worker.verdict(call).status, Status::Pass);
}

#[test]
fn tcp_says_how_to_mend_its_settings() {
    let mut worker = Worker::serving(&["tcp"]);
    let error = worker.error(check("tcp", TIMEOUT));
    assert_eq!(error.class, ErrorClass::Config);
    assert!(
        error.message.contains("address \"127.0.0.1:80\""),
        "{}",
        error.message
    );
}

#[test]
fn file_absent_fails_while_the_file_is_there() {
    let mut worker = Worker::serving(&["file-absent"]);
    let path = folder().join("maintenance");
    let mut call = check("file-absent", TIMEOUT);
    call.settings = settings(&[("path", path.to_str().unwrap())]);
    call.grants.read.push(path.clone().into());
    assert_eq!(worker.verdict(call.clone()).status, Status::Pass);
    fs::write(&path, "").unwrap();
    let verdict = worker.verdict(call);
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(verdict.message, format!("maintenance: {} exists", path.display()));
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well";
const MOVED: &str = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

fn web(address: std::net::SocketAddr, more: &[(&str, &str)]) -> CheckCall {
    let mut call = check("http", TIMEOUT);
    call.settings = settings(&[("url", &format!("http://{address}/health?x=1"))]);
    call.settings.extend(settings(more));
    call.grants.http.push(http_grant(address, "/health"));
    call
}

#[test]
fn http_judges_status_and_body() {
    let mut worker = Worker::serving(&["http"]);
    let (good, requests) = http(OK);
    let verdict = worker.verdict(web(good, &[("body", "all we"), ("host", "www.example.net")]));
    assert_eq!(verdict.status, Status::Pass, "{}", verdict.message);
    let (head, _) = requests.recv().unwrap();
    assert!(head.starts_with("GET /health?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: www.example.net\r\n"), "{head}");
    let verdict = worker.verdict(web(good, &[("body", "unwell")]));
    assert!(
        verdict.message.contains("no \"unwell\" in the body"),
        "{}",
        verdict.message
    );
    let verdict = worker.verdict(web(http(BROKEN).0, &[]));
    assert_eq!(verdict.status, Status::Fail);
    assert!(verdict.message.ends_with("status 503"), "{}", verdict.message);
}

#[test]
fn http_follows_no_redirect_and_takes_ranges() {
    let mut worker = Worker::serving(&["http"]);
    let moved = http(MOVED).0;
    assert_eq!(worker.verdict(web(moved, &[])).status, Status::Pass);
    assert_eq!(
        worker.verdict(web(moved, &[("status", "200-299")])).status,
        Status::Fail
    );
    assert_eq!(
        worker
            .verdict(web(moved, &[("status", "200"), ("status", "300-310")]))
            .status,
        Status::Pass
    );
    assert_eq!(
        worker.error(web(moved, &[("status", "good")])).class,
        ErrorClass::Config
    );
}

#[test]
fn http_fails_on_a_closed_port_and_on_a_server_that_speaks_no_tls() {
    let mut worker = Worker::serving(&["http"]);
    let verdict = worker.verdict(web(closed(), &[]));
    assert!(
        verdict.message.ends_with("connection refused"),
        "{}",
        verdict.message
    );
    let plain = http(OK).0;
    let mut call = web(plain, &[]);
    call.settings = settings(&[("url", &format!("https://{plain}/health"))]);
    call.grants.http[0].tls = true;
    let verdict = worker.verdict(call);
    assert_eq!(verdict.status, Status::Fail);
    assert!(verdict.message.contains("TLS: "), "{}", verdict.message);
}

#[test]
fn http_trusts_the_certificates_of_the_host_and_asks_for_the_name_in_the_host_header() {
    let (address, authority) = https(OK, "www.example.net");
    let mut worker = trusting(&authority, "http");
    let mut call = web(address, &[("host", "www.example.net"), ("body", "all well")]);
    call.settings
        .insert("url".into(), vec![format!("https://{address}/health")]);
    call.grants.http[0].tls = true;
    let verdict = worker.verdict(call.clone());
    assert_eq!(verdict.status, Status::Pass, "{}", verdict.message);
    call.settings
        .insert("host".into(), vec!["mail.example.net".into()]);
    let verdict = worker.verdict(call);
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.contains("TLS: ") && verdict.message.contains("mail.example.net"),
        "{}",
        verdict.message
    );
}

#[test]
fn http_sends_header_fields_and_expects_some() {
    const PLAIN: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok";
    let mut worker = Worker::serving(&["http"]);
    let (server, requests) = http(PLAIN);
    let verdict = worker.verdict(web(
        server,
        &[
            ("header", "Accept: text/plain"),
            ("header", "X-Probe:1"),
            ("expect-header", "Content-Type: text/plain"),
        ],
    ));
    assert_eq!(verdict.status, Status::Pass, "{}", verdict.message);
    let (head, _) = requests.recv().unwrap();
    assert!(
        head.contains("accept: text/plain\r\n") && head.contains("x-probe: 1\r\n"),
        "{head}"
    );
    let verdict = worker.verdict(web(
        server,
        &[("expect-header", "content-type: application/json")],
    ));
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict
            .message
            .ends_with("but no header content-type: application/json"),
        "{}",
        verdict.message
    );
    let error = worker.error(web(server, &[("header", "Accept")]));
    assert_eq!(error.class, ErrorClass::Config);
}

#[test]
fn http_says_that_a_silent_server_is_silent() {
    let mut worker = Worker::serving(&["http"]);
    let (_listener, address) = silent();
    let mut call = web(address, &[]);
    call.timeout = Duration::from_secs(1);
    let verdict = worker.verdict(call);
    assert_eq!(verdict.status, Status::Fail);
    assert!(
        verdict.message.ends_with("no answer in time"),
        "{}",
        verdict.message
    );
}

#[test]
fn process_sees_stopped_masters_stopped_workers_and_nothing() {
    let mut worker = Worker::serving(&["process"]);
    let family = Family::start(&format!("sf{}", std::process::id()), 2);
    let mut call = check("process", TIMEOUT);
    call.settings = settings(&[("name", &family.name)]);
    call.grants.processes.push(family.name.clone().into());
    let verdict = worker.eventually(&call, Status::Pass);
    assert_eq!(verdict, format!("{}: 3 alive, 0 stopped", family.name));

    let mut many = call.clone();
    many.settings = settings(&[("name", &family.name), ("min", "4")]);
    worker.eventually(&many, Status::Fail);

    family.signal(family.master(), Signal::SIGSTOP);
    let master = family.master();
    let verdict = worker.eventually(&call, Status::Fail);
    assert_eq!(
        verdict,
        format!("{}: master {master} stopped (SIGSTOP)", family.name)
    );
    family.signal(master, Signal::SIGCONT);
    worker.eventually(&call, Status::Pass);

    family
        .workers()
        .into_iter()
        .for_each(|pid| family.signal(pid, Signal::SIGSTOP));
    let verdict = worker.eventually(&call, Status::Fail);
    assert_eq!(
        verdict,
        format!(
            "{}: all workers of master {master} stopped (SIGSTOP)",
            family.name
        )
    );
    family
        .workers()
        .into_iter()
        .for_each(|pid| family.signal(pid, Signal::SIGCONT));
    worker.eventually(&call, Status::Pass);

    drop(family);
    // A zombie may be left where nobody reaps.
    let message = worker.eventually(&call, Status::Fail);
    assert!(
        message.contains("0 alive, 0 stopped") && message.ends_with("; 1 needed"),
        "{message}"
    );
}

#[test]
fn log_writes_the_event() {
    let mut worker = Worker::serving(&["log"]);
    worker.notify(notify("log")).unwrap();
    let (subject, level, message) = worker.log("VI_1");
    assert_eq!((subject.as_str(), level), ("log-hook", LogLevel::Info));
    assert_eq!(
        message,
        "VI_1: BACKUP to MASTER, priority 150, event 7 node=lb01 cause=peer is silent"
    );
}

#[test]
fn webhook_posts_json_and_takes_2xx_only() {
    let mut worker = Worker::serving(&["webhook"]);
    let (good, requests) = http("HTTP/1.1 204 No Content\r\n\r\n");
    let mut call = notify("webhook");
    call.settings = settings(&[("url", &format!("http://{good}/hook"))]);
    call.grants.http.push(http_grant(good, "/"));
    worker.notify(call).unwrap();
    let (head, body) = requests.recv().unwrap();
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!({
        "node": "lb01", "kind": "vrrp", "instance": "VI_1", "was": "BACKUP", "now": "MASTER", "priority": 150,
        "at": "2001-09-09T01:46:40.123Z", "id": 7, "cause": "peer is silent", "from": null, "to": null,
    });
    assert_eq!(body, expected);

    let broken = http(BROKEN).0;
    let mut call = notify("webhook");
    call.settings = settings(&[("url", &format!("http://{broken}/hook"))]);
    call.grants.http.push(http_grant(broken, "/"));
    let error = worker.notify(call).unwrap_err();
    assert_eq!(error.class, ErrorClass::Unavailable);
    assert!(error.message.ends_with("status 503"), "{}", error.message);
}

impl Worker {
    /// Runs the check again and again until it says so: the look at /proc may be 100 ms old.
    fn eventually(&mut self, call: &CheckCall, status: Status) -> String {
        let begun = Instant::now();
        loop {
            let verdict = self.verdict(call.clone());
            if verdict.status == status {
                return verdict.message;
            }
            assert!(begun.elapsed() < TIMEOUT, "still {verdict:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A master and its workers, all of one name.
struct Family {
    name: String,
    shell: Child,
}

impl Family {
    fn start(name: &str, workers: usize) -> Self {
        let (masters, workings) = (folder(), folder());
        fs::copy(Path::new("/bin/sh"), masters.join(name)).unwrap();
        fs::copy(Path::new("/bin/sleep"), workings.join(name)).unwrap();
        let worker = format!("{}/{name} 600 & ", workings.display());
        let script = format!("{}wait", worker.repeat(workers));
        let shell = Command::new(masters.join(name))
            .args(["-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let family = Self {
            name: name.to_owned(),
            shell,
        };
        while family.workers().len() < workers {
            std::thread::sleep(Duration::from_millis(5));
        }
        family
    }

    fn master(&self) -> u32 {
        self.shell.id()
    }

    fn workers(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.master());
        let pids = fs::read_to_string(children).unwrap();
        let named = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == self.name)
                && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| !exe.ends_with("sh"))
        };
        pids.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .filter(named)
            .collect()
    }

    fn signal(&self, pid: u32, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.workers()
            .into_iter()
            .for_each(|pid| self.signal(pid, Signal::SIGKILL));
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}
