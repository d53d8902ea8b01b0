//! Processes that nothing can end, not even SIGKILL, until they are let go: what a broken disk does, done by a freezer
//! of cgroup version 1 (one of version 2 lets a process die).

use std::time::Duration;

use crate::error::Result;
use crate::node::Node;
use crate::wait::wait_until;

/// Where the node has it.
const AT: &str = "/run/freezer";
/// A frozen process is so within milliseconds.
const LIMIT: Duration = Duration::from_secs(5);

/// A group of frozen processes of one node; they go on when this value ends.
#[derive(Debug)]
pub struct Freezer {
    node: Node,
    folder: String,
}

impl Freezer {
    /// Makes the group, in a mount of the node's own; `None`: the kernel has no such freezer, or gives it away to
    /// nobody here (a user namespace).
    pub fn of(node: &Node) -> Result<Option<Self>> {
        let script = format!("mkdir -p {AT} && mount -t cgroup -o freezer freezer {AT}");
        if node.run(&["sh", "-c", &script])?.code() != Some(0) {
            return Ok(None);
        }
        // The groups are the whole machine's: another run must not have the same.
        let unique = node.must(&["cat", "/proc/sys/kernel/random/uuid"])?;
        let freezer = Self {
            node: node.clone(),
            folder: format!("{AT}/standfast-lab-{}", unique.trim()),
        };
        node.must(&["mkdir", &freezer.folder])?;
        Ok(Some(freezer))
    }

    /// From now on these do nothing, and hear no signal.
    pub fn freeze(&self, pids: &[i32]) -> Result<()> {
        for pid in pids {
            self.write("cgroup.procs", &pid.to_string())?;
        }
        self.write("freezer.state", "FROZEN")?;
        let state = format!("{}/freezer.state", self.folder);
        wait_until("all of it frozen", LIMIT, || {
            Ok(self.node.must(&["cat", &state])?.trim() == "FROZEN")
        })
        .map(drop)
    }

    /// They go on with what was sent to them meanwhile.
    pub fn thaw(&self) -> Result<()> {
        self.write("freezer.state", "THAWED")
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let script = format!("echo {text} > {}/{file}", self.folder);
        self.node.must(&["sh", "-c", &script]).map(drop)
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // Whoever is left in it goes to the group above, which lets this one be removed.
        let script = format!(
            "cd {0} && echo THAWED > freezer.state; for pid in $(cat cgroup.procs); do echo $pid > ../cgroup.procs; done; \
             cd /; rmdir {0}; umount {AT}",
            self.folder
        );
        let _ = self.node.run(&["sh", "-c", &script]);
    }
}
