//! For tests: a message bus of their own, and a systemd on it that really starts and ends programs.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::oneshot;
use zbus::connection::Builder;
use zbus::fdo;
use zbus::zvariant::OwnedObjectPath;

use super::fake_unit::{Given, seen};
use super::systemd_bus::Bus;
use super::testing::{Folder, until};

/// A bus with one unit, `web.service` or another name.
#[derive(Debug)]
pub(crate) struct FakeSystemd {
    pub(crate) folder: Folder,
    unit: Arc<Mutex<Given>>,
    bus: Child,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeSystemd {
    pub(crate) fn with(name: &str, command: &[&str]) -> Self {
        let folder = Folder::new();
        let conf = folder.write("bus.conf", &bus_conf(&folder));
        let bus = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--config-file"])
            .arg(conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs a message bus: apt-get install dbus-daemon");
        until("the bus listens", || {
            UnixStream::connect(folder.path("bus")).is_ok()
        });
        let unit = Arc::new(Mutex::new(Given {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            load_state: "loaded".into(),
            enabled: "disabled".into(),
            restart: "no".into(),
            active: "inactive".into(),
            result: "success".into(),
            ..Given::default()
        }));
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let (address, unit_name, its) = (address(&folder), name.to_owned(), unit.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let manager = Manager {
                    name: unit_name.clone(),
                    unit: its.clone(),
                };
                let of_unit = OfUnit {
                    name: unit_name,
                    unit: its.clone(),
                };
                let built = Builder::address(address.as_str())
                    .unwrap()
                    .serve_at("/org/freedesktop/systemd1", manager)
                    .unwrap()
                    .serve_at(PATH, of_unit)
                    .unwrap()
                    .serve_at(PATH, OfService { unit: its })
                    .unwrap()
                    .serve_at(NONE, OfUnit::missing())
                    .unwrap()
                    .name("org.freedesktop.systemd1")
                    .unwrap();
                let _connection = built.build().await.unwrap();
                ready.send(()).unwrap();
                let _ = ended.await;
            });
        });
        is_ready
            .recv_timeout(Duration::from_secs(10))
            .expect("the fake is on its bus");
        Self {
            folder,
            unit,
            bus,
            end: Some(end),
            thread: Some(thread),
        }
    }

    pub(crate) fn bus(&self) -> Bus {
        Bus::at(address(&self.folder))
    }

    pub(crate) fn unit(&self) -> MutexGuard<'_, Given> {
        self.unit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As `systemctl start` of an administrator does.
    pub(crate) fn start(&self) -> Pid {
        self.unit().start();
        self.main()
    }

    pub(crate) fn main(&self) -> Pid {
        self.unit().main.unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.unit().asked.clone()
    }

    /// The bus goes away.
    pub(crate) fn cut(&mut self) {
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

impl Drop for FakeSystemd {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.cut();
        let mut unit = self.unit.lock().unwrap_or_else(PoisonError::into_inner);
        if unit.main.is_some() {
            let _ = killpg(unit.group(), Signal::SIGKILL);
        }
        if let Some(mut child) = unit.child.take() {
            let _ = child.wait();
        }
    }
}

#[derive(Debug)]
struct Manager {
    name: String,
    unit: Arc<Mutex<Given>>,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        let known = name == self.name;
        path(if known { PATH } else { NONE })
    }

    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, pid: u32) -> fdo::Result<OwnedObjectPath> {
        match seen(&self.unit).main() == pid {
            true => Ok(path(PATH)),
            false => Err(fdo::Error::Failed("no unit".into())),
        }
    }

    fn start_unit(&self, _name: &str, _mode: &str) -> OwnedObjectPath {
        let mut unit = seen(&self.unit);
        unit.asked.push("start".into());
        if unit.main.is_none() {
            unit.start();
        }
        path("/org/freedesktop/systemd1/job/1")
    }

    fn stop_unit(&self, _name: &str, _mode: &str) -> OwnedObjectPath {
        let mut unit = seen(&self.unit);
        unit.asked.push("stop".into());
        if unit.main.is_some() {
            unit.active = "deactivating".into();
            let _ = kill(Pid::from_raw(unit.main().cast_signed()), Signal::SIGTERM);
        }
        path("/org/freedesktop/systemd1/job/2")
    }

    fn reload_unit(&self, _name: &str, _mode: &str) -> fdo::Result<OwnedObjectPath> {
        let mut unit = seen(&self.unit);
        unit.asked.push("reload".into());
        let Some(signal) = unit.reload else {
            return Err(fdo::Error::NotSupported(
                "Job type reload is not applicable".into(),
            ));
        };
        if let Some(main) = unit.main {
            let _ = kill(main, signal);
        }
        Ok(path("/org/freedesktop/systemd1/job/3"))
    }

    fn kill_unit(&self, _name: &str, whom: &str, signal: i32) {
        let mut unit = seen(&self.unit);
        unit.asked.push(format!("kill {whom} {signal}"));
        // It may have ended just now.
        let Some(main) = unit.main else { return };
        let signal = Signal::try_from(signal).unwrap();
        let _ = if whom == "all" {
            killpg(unit.group(), signal)
        } else {
            kill(main, signal)
        };
    }
}

#[derive(Debug)]
struct OfUnit {
    name: String,
    unit: Arc<Mutex<Given>>,
}

impl OfUnit {
    fn missing() -> Self {
        let given = Given {
            load_state: "not-found".into(),
            active: "inactive".into(),
            ..Given::default()
        };
        Self {
            name: "none.service".into(),
            unit: Arc::new(Mutex::new(given)),
        }
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl OfUnit {
    #[zbus(property)]
    fn id(&self) -> String {
        self.name.clone()
    }

    #[zbus(property)]
    fn load_state(&self) -> String {
        seen(&self.unit).load_state.clone()
    }

    #[zbus(property)]
    fn active_state(&self) -> String {
        seen(&self.unit).active.clone()
    }

    #[zbus(property)]
    fn sub_state(&self) -> String {
        seen(&self.unit).active.clone()
    }

    #[zbus(property)]
    fn unit_file_state(&self) -> String {
        seen(&self.unit).enabled.clone()
    }

    #[zbus(property)]
    fn job(&self) -> (u32, OwnedObjectPath) {
        (0, path("/"))
    }
}

#[derive(Debug)]
struct OfService {
    unit: Arc<Mutex<Given>>,
}

/// A line of `ExecStart`, as systemd tells it.
type Line = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl OfService {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        seen(&self.unit).main()
    }

    #[zbus(property, name = "ExecMainPID")]
    fn exec_main_pid(&self) -> u32 {
        seen(&self.unit).last.0
    }

    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        seen(&self.unit).last.1
    }

    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        seen(&self.unit).last.2
    }

    #[zbus(property)]
    fn result(&self) -> String {
        seen(&self.unit).result.clone()
    }

    #[zbus(property)]
    fn restart(&self) -> String {
        seen(&self.unit).restart.clone()
    }

    #[zbus(property, name = "PIDFile")]
    fn pid_file(&self) -> String {
        seen(&self.unit).pid_file.clone()
    }

    #[zbus(property)]
    fn exec_start(&self) -> Vec<Line> {
        let command = seen(&self.unit).command.clone();
        vec![(command[0].clone(), command, false, 0, 0, 0, 0, 0, 0, 0)]
    }
}

fn path(text: &str) -> OwnedObjectPath {
    text.to_owned().try_into().unwrap()
}

fn address(folder: &Folder) -> String {
    format!("unix:path={}", folder.path("bus").display())
}

fn bus_conf(folder: &Folder) -> String {
    format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>system</type><listen>{}\
         </listen><auth>EXTERNAL</auth><policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>\
         <allow user=\"*\"/></policy></busconfig>\n",
        address(folder)
    )
}

const PATH: &str = "/org/freedesktop/systemd1/unit/web_2eservice";
const NONE: &str = "/org/freedesktop/systemd1/unit/none";
