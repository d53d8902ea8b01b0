//! A control group for each life of a service that we spawn: its main process and whatever that forks, and nothing else.
//!
//! `service-NAME/1` beside the daemon's own, or below it. Each life has the first number that is free, so that of two
//! that stand beside each other (N14) one can be ended with all that is its own.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use rustix::fs::getxattr;
use standfast_core::control_group::{MARK, folder};
use standfast_core::ids::ServiceName;

/// Lives of one service at a time; more are never wanted, and what stays is unkillable.
const LIVES: u32 = 64;
/// What was killed has left its group by then, unless the kernel does not let it go.
const AFTER_KILL: Duration = Duration::from_millis(200);
const POLL: Duration = Duration::from_millis(2);

/// The part of the tree in which we may make groups.
#[derive(Clone, Debug)]
pub(crate) struct Groups(PathBuf);

/// The group of one life.
#[derive(Clone, Debug)]
pub(crate) struct Group(PathBuf);

impl Groups {
    /// What systemd has handed over to us, and to nobody else.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn find() -> Result<Self, String> {
        let own = place_of(Pid::this()).ok_or("control groups of version 2 are not mounted here")?;
        // The unit's, be it that we are in a group below it (`DelegateSubgroup=`, systemd 254) or in itself.
        let above = own.parent().filter(|above| is_delegated(above));
        let ours = above.or_else(|| Some(own.as_path()).filter(|own| is_delegated(own)));
        match ours {
            Some(ours) => Ok(Self(ours.to_owned())),
            None => Err(format!(
                "{} is not handed over to the daemon; the unit does so by Delegate=",
                own.display()
            )),
        }
    }

    /// A new one for a life of this service. Takes away those of earlier lives that nobody is in any more.
    ///
    /// # Errors
    /// The kernel refuses, or too many are in use.
    pub(crate) fn make(&self, service: &ServiceName) -> io::Result<Group> {
        let all = self.of_service(service);
        ignore_existing(fs::create_dir(&all))?;
        for entry in fs::read_dir(&all)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                // Refused where somebody is in it.
                let _ = fs::remove_dir(entry.path());
            }
        }
        for number in 1..=LIVES {
            let group = all.join(number.to_string());
            match fs::create_dir(&group) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Group(group)),
            }
        }
        Err(io::Error::other(format!("{LIVES} of its groups are in use")))
    }

    /// The one that a process is in, if an earlier life of ours made it for this service.
    pub(crate) fn of(&self, service: &ServiceName, pid: Pid) -> Option<Group> {
        let place = place_of(pid)?;
        (place.parent()? == self.of_service(service)).then_some(Group(place))
    }

    fn of_service(&self, service: &ServiceName) -> PathBuf {
        self.0.join(format!("service-{service}"))
    }
}

impl Group {
    /// For `spawn_into`.
    ///
    /// # Errors
    /// It is gone, or we have no descriptor left.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        Ok(File::open(&self.0)?.into())
    }

    /// KILL to everyone in it at once, whatever they fork meanwhile; also to the frozen. Waits a moment for their end.
    ///
    /// # Errors
    /// The kernel is older than 5.14, or the group is gone.
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.kill"), "1")?;
        let begun = Instant::now();
        while self.is_populated() && begun.elapsed() < AFTER_KILL {
            sleep(POLL);
        }
        Ok(())
    }

    /// Where it is, for the log.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.0.join("cgroup.events"));
        events.is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }
}

fn place_of(pid: Pid) -> Option<PathBuf> {
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    folder(&cgroup, &fs::read_to_string("/proc/self/mountinfo").ok()?)
}

fn is_delegated(folder: &Path) -> bool {
    let mut value = [0_u8; 1];
    getxattr(folder, MARK, &mut value) == Ok(1) && value == *b"1"
}

fn ignore_existing(made: io::Result<()>) -> io::Result<()> {
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder stands for the kernel's.
    #[test]
    fn a_life_has_the_first_number_that_is_free() {
        let root = std::env::temp_dir().join(format!("standfast-groups-{}", std::process::id()));
        fs::create_dir_all(root.join("service-web/2/somebody")).unwrap();
        fs::create_dir(root.join("service-web/7")).unwrap();
        let groups = Groups(root.clone());
        let name: ServiceName = "web".parse().unwrap();
        let made = || groups.make(&name).map(|group| group.0);
        assert_eq!(made().unwrap(), root.join("service-web/1"));
        assert!(
            !root.join("service-web/7").exists(),
            "a stale one that nobody is in stays"
        );
        fs::create_dir(root.join("service-web/1/somebody")).unwrap();
        assert_eq!(made().unwrap(), root.join("service-web/3"));
        let other: ServiceName = "web.1".parse().unwrap();
        assert_eq!(groups.make(&other).unwrap().0, root.join("service-web.1/1"));
        assert!(groups.of(&name, Pid::this()).is_none());
        for number in 3..=LIVES {
            fs::create_dir_all(root.join(format!("service-web/{number}/somebody"))).unwrap();
        }
        assert!(made().unwrap_err().to_string().contains("in use"));
        fs::remove_dir_all(&root).unwrap();
        assert!(made().is_err());
    }
}
