//! The account that plugins run as: never the daemon's own, where that can be helped.

use nix::unistd::{Gid, Uid, User, geteuid, setgroups, setresgid, setresuid};

/// Tried in this order where none is configured.
const USUAL: [&str; 2] = ["standfast", "nobody"];

/// Somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    name: String,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Account {
    /// The configured account, or the usual one; `None` when this process may not choose.
    pub(crate) fn find(configured: Option<&str>) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let found = configured.and_then(Self::named);
        if let (Some(name), None) = (configured, &found) {
            eprintln!(
                "standfast-worker: there is no account {name} other than root's; `worker {{ user }}` must name one of this \
                 host: useradd --system --no-create-home --shell /usr/sbin/nologin {name}"
            );
        }
        found.or_else(|| USUAL.into_iter().find_map(Self::named))
    }

    fn named(name: &str) -> Option<Self> {
        let user = User::from_name(name).ok()??;
        (!user.uid.is_root()).then_some(Self {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
        })
    }

    /// For ever, with no group but its own.
    pub(super) fn become_it(&self) -> Result<(), String> {
        let (uid, gid) = (self.uid, self.gid);
        setgroups(&[])
            .and_then(|()| setresgid(gid, gid, gid))
            .and_then(|()| setresuid(uid, uid, uid))
            .map_err(|errno| {
                format!(
                    "it keeps user {}: it cannot become {}: {}",
                    geteuid(),
                    self.name,
                    errno.desc()
                )
            })
    }
}
