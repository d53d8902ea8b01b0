//! Opens a plugin file only if nobody but root could have put it there: the file, and every folder on the way to it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;

/// Symbolic links that are followed, as in the kernel.
const LINKS_MAX: usize = 40;
/// Write permission of group and others.
const OTHERS_WRITE: u32 = 0o022;
/// In such a folder only its owner can take an entry away.
const STICKY: u32 = 0o1000;
/// Who the kernel names where an owner has no number in this user namespace.
const OVERFLOW: u32 = 65534;

/// Who may own plugin files and their folders.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    owners: [u32; 2],
    /// Stands for whoever is outside this user namespace, where folders such as `/` are made.
    outside: Option<u32>,
}

/// A folder on the way, held open: what was looked at is what is walked through.
struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Trust {
    /// Root, and who runs this process. To be asked before the process becomes somebody else.
    pub(crate) fn of_this_process() -> Self {
        let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid")
            .ok()
            .and_then(|number| number.trim().parse().ok());
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self {
            owners: [0, geteuid().as_raw()],
            outside: Some(overflow.unwrap_or(OVERFLOW)).filter(|uid| !maps(&map, *uid)),
        }
    }

    /// Opens a regular file for reading, step by step from `/`; each step is opened once and judged as it is then.
    pub(crate) fn open(&self, path: &Path) -> Result<File, String> {
        if !path.is_absolute() {
            return Err(format!("{}: not an absolute path", path.display()));
        }
        let root = Path::new("/");
        let top = openat(nix::fcntl::AT_FDCWD, root, folder_flags(), Mode::empty());
        let handle = top.map_err(|errno| failed(root, errno))?;
        self.judge(root, &stat(root, &handle)?)?;
        let mut way = vec![Folder {
            handle,
            path: root.to_owned(),
        }];
        let mut steps = steps(path);
        let mut links = 0;
        while let Some(step) = steps.pop_front() {
            if step == ".." {
                way.truncate(way.len().saturating_sub(1).max(1));
                continue;
            }
            let Some(folder) = way.last() else { break };
            let here = folder.path.join(&step);
            let found = openat(&folder.handle, step.as_os_str(), folder_flags(), Mode::empty());
            let handle = found.map_err(|errno| failed(&here, errno))?;
            let about = stat(&here, &handle)?;
            match kind(&about) {
                SFlag::S_IFLNK => {
                    self.judge_owner(&here, &about)?;
                    links += 1;
                    let target = readlinkat(&handle, "").map_err(|errno| failed(&here, errno))?;
                    if links > LINKS_MAX {
                        return Err(failed(&here, Errno::ELOOP));
                    }
                    let target = Path::new(&target);
                    if target.is_absolute() {
                        way.truncate(1);
                    }
                    let mut ahead = self::steps(target);
                    ahead.append(&mut steps);
                    steps = ahead;
                }
                SFlag::S_IFDIR => {
                    self.judge(&here, &about)?;
                    way.push(Folder { handle, path: here });
                }
                _ if steps.is_empty() => return self.open_last(folder, &step, &here),
                _ => return Err(failed(&here, Errno::ENOTDIR)),
            }
        }
        Err(format!("{}: not a regular file", path.display()))
    }

    /// The file itself. What is judged is what will be read, whatever happens to its name.
    fn open_last(&self, folder: &Folder, name: &OsStr, path: &Path) -> Result<File, String> {
        // A pipe without a writer must not hold the thread.
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let opened =
            openat(&folder.handle, name, flags, Mode::empty()).map_err(|errno| failed(path, errno))?;
        let about = stat(path, &opened)?;
        if kind(&about) != SFlag::S_IFREG {
            return Err(format!("{}: not a regular file", path.display()));
        }
        self.judge(path, &about)?;
        Ok(opened.into())
    }

    fn judge(&self, path: &Path, about: &FileStat) -> Result<(), String> {
        self.judge_owner(path, about)?;
        let mode = about.st_mode & 0o7777;
        let sticky = kind(about) == SFlag::S_IFDIR && mode & STICKY != 0;
        if mode & OTHERS_WRITE != 0 && !sticky {
            let path = path.display();
            return Err(format!(
                "{path} has mode {mode:04o}, so others can change which plugin runs; chmod go-w {path}"
            ));
        }
        Ok(())
    }

    fn judge_owner(&self, path: &Path, about: &FileStat) -> Result<(), String> {
        let owner = about.st_uid;
        let file = kind(about) == SFlag::S_IFREG;
        if self.owners.contains(&owner) || (!file && self.outside == Some(owner)) {
            return Ok(());
        }
        let (path, mode) = (path.display(), about.st_mode & 0o7777);
        Err(format!(
            "{path} belongs to user {owner} (mode {mode:04o}), who could change which plugin runs; \
             chown root {path}"
        ))
    }
}

fn folder_flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn stat(path: &Path, handle: &OwnedFd) -> Result<FileStat, String> {
    fstat(handle).map_err(|errno| failed(path, errno))
}

fn kind(about: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT
}

fn failed(path: &Path, errno: Errno) -> String {
    let mend = if errno == Errno::EACCES {
        format!(
            "; user {} must be able to read it and to enter its folders: chmod a+rX {}; and links must not lead \
             to a folder of / that no grant and no `plugins` line names",
            geteuid(),
            path.display()
        )
    } else {
        String::new()
    };
    format!("{}: {}{mend}", path.display(), errno.desc())
}

/// Whether a user namespace has this number: lines of `inside outside count`.
fn maps(map: &str, uid: u32) -> bool {
    map.trim().is_empty()
        || map.lines().any(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(Ok(first)), Some(_), Some(Ok(count))) => {
                    (first..first.saturating_add(count)).contains(&u64::from(uid))
                }
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::umask;

    use super::*;

    /// A folder of its own, in one that is sticky.
    fn folder(name: &str) -> PathBuf {
        umask(Mode::from_bits_truncate(0o022));
        let folder = std::env::temp_dir().join(format!("standfast-trusted-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/x.wasm"), "x").unwrap();
        folder
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn open(path: &Path) -> Result<File, String> {
        Trust::of_this_process().open(path)
    }

    #[test]
    fn a_file_that_only_its_owner_can_change_is_opened_through_links_too() {
        let base = folder("good");
        open(&base.join("a/b/x.wasm")).unwrap();
        open(&base.join("a/../a/./b/x.wasm")).unwrap();
        symlink("b/x.wasm", base.join("a/relative.wasm")).unwrap();
        symlink(base.join("a"), base.join("absolute")).unwrap();
        open(&base.join("absolute/relative.wasm")).unwrap();
        symlink("round", base.join("round")).unwrap();
        assert!(open(&base.join("round")).unwrap_err().contains("symbolic links"));
        assert!(open(&base.join("a/b/none")).unwrap_err().contains("No such file"));
        assert!(
            open(&base.join("a/b"))
                .unwrap_err()
                .contains("not a regular file")
        );
        assert!(
            open(&base.join("a/b/x.wasm/y"))
                .unwrap_err()
                .contains("Not a directory")
        );
        assert!(open(Path::new("x.wasm")).unwrap_err().contains("absolute"));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn what_others_can_write_is_refused_with_the_line_that_mends_it() {
        let base = folder("modes");
        let file = base.join("a/b/x.wasm");
        mode(&file, 0o664);
        let reason = open(&file).unwrap_err();
        assert!(
            reason.contains("mode 0664") && reason.ends_with(&format!("chmod go-w {}", file.display())),
            "{reason}"
        );
        mode(&file, 0o644);
        mode(&base.join("a"), 0o777);
        let reason = open(&file).unwrap_err();
        assert!(
            reason.ends_with(&format!("chmod go-w {}", base.join("a").display())),
            "{reason}"
        );
        // As /tmp: others may add to it, but not take away what is ours.
        mode(&base.join("a"), 0o1777);
        open(&file).unwrap();
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let base = folder("owners");
        let stranger = Trust {
            owners: [0, geteuid().as_raw().wrapping_add(1)],
            outside: None,
        };
        let theirs = stranger.open(&base.join("a/b/x.wasm"));
        if geteuid().is_root() {
            std::os::unix::fs::chown(base.join("a/b"), Some(4711), None).unwrap();
            let reason = open(&base.join("a/b/x.wasm")).unwrap_err();
            assert!(
                reason.contains("belongs to user 4711") && reason.contains("chown root"),
                "{reason}"
            );
        } else {
            assert!(theirs.unwrap_err().contains("chown root"));
        }
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn who_has_no_number_here_is_told_from_who_has_one() {
        assert!(maps("         0          0 4294967295\n", 65534));
        assert!(!maps("         0       1000          1\n", 65534));
        assert!(maps("0 100000 65536\n", 65534) && !maps("0 100000 65534\n", 65534));
    }
}
