//! `lab languages`: installs the tools of other languages, and builds the same plugin in each: `examples/plugins/`.
//!
//! Tools and plugins lie in `languages/` of the target folder; what has not changed since it was made is not made again.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::error::{Doing, Error, Result};
use crate::{place, provision, say};

/// The folders of `examples/plugins/`; `host/worker/tests/languages/` has a test for each.
pub const LANGUAGES: [&str; 8] = [
    "rust",
    "c",
    "cpp",
    "zig",
    "javascript",
    "python",
    "go",
    "assemblyscript",
];
/// Builds at the same time.
const JOBS: usize = 2;
/// Lines of a failed build that are shown.
const TAIL: usize = 12;

/// Installs the tools and builds every language, or the one that is named. Returns the exit code.
pub fn run(wanted: Option<&str>) -> Result<u8> {
    provision::languages()?;
    let workshop = Workshop::new()?;
    workshop.tools();
    let queue = LANGUAGES
        .into_iter()
        .filter(|name| wanted.is_none_or(|wanted| wanted == *name));
    let queue = Mutex::new(queue.collect::<VecDeque<_>>());
    let failed = Mutex::new(0_u8);
    let work = || {
        loop {
            // A name by itself: the lock must not be held while it is built.
            let next = locked(&queue).pop_front();
            let Some(name) = next else { return };
            let outcome = workshop.build(name);
            let good = outcome.is_ok();
            let text = outcome.unwrap_or_else(|error| error.to_string());
            let verdict = say::verdict(good, if good { "built" } else { "FAILED" });
            say::line(&format!("{verdict} {name}: {text}"));
            *locked(&failed) += u8::from(!good);
        }
    };
    thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(work);
        }
    });
    Ok(u8::from(*locked(&failed) > 0))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where sources, tools and built plugins lie.
struct Workshop {
    sources: PathBuf,
    folder: PathBuf,
    compiler: String,
}

impl Workshop {
    fn new() -> Result<Self> {
        let programs = place::programs()?;
        let folder = programs.parent().unwrap_or(&programs).join("languages");
        fs::create_dir_all(&folder).doing(|| format!("cannot make {}", folder.display()))?;
        let compiler = Command::new("rustc")
            .arg("-V")
            .output()
            .doing(|| "cannot run rustc".to_owned())?;
        Ok(Self {
            sources: place::repository().join("examples/plugins"),
            folder,
            compiler: String::from_utf8_lossy(&compiler.stdout).into_owned(),
        })
    }

    /// A part that cannot be had is said here; the languages that need it then fail by name.
    fn tools(&self) {
        let (source, tools) = (self.sources.join("tools"), self.folder.join("tools"));
        let stamp = Stamp::new(&tools).text(&self.compiler).folder(&source);
        if stamp.holds() {
            return;
        }
        say::line("installing compilers from crates.io, PyPI and npm …");
        let start = Instant::now();
        let mut command = Command::new("sh");
        command.arg(source.join("install.sh")).arg(&tools);
        let made = logged(command, &self.folder.join("tools.log"));
        if let Err(error) = made.and_then(|()| stamp.set()) {
            say::complain(&error.to_string());
        }
        say::line(&format!("that took {:.0} s", start.elapsed().as_secs_f32()));
    }

    /// What to say of a language that was built.
    fn build(&self, name: &str) -> Result<String> {
        let (source, out) = (self.sources.join(name), self.folder.join(name));
        let plugin = out.join("limit.wasm");
        let stamp = Stamp::new(&out)
            .text(&self.compiler)
            .folder(&self.sources.join("tools"))
            .folder(&place::repository().join("wit"))
            .folder(&source);
        if stamp.holds() && plugin.is_file() {
            return Ok("unchanged".to_owned());
        }
        fs::create_dir_all(&out).doing(|| format!("cannot make {}", out.display()))?;
        // What was built of other sources must not pass for this.
        let _ = fs::remove_file(&plugin);
        let start = Instant::now();
        let mut command = Command::new("sh");
        command
            .args(["-c", ". \"$0\" && exec sh \"$1\" \"$2\""])
            .arg(self.folder.join("tools/env"))
            .arg(source.join("build.sh"))
            .arg(&out)
            // The laboratory's own wishes are no one else's.
            .env_remove("CARGO_TARGET_DIR");
        logged(command, &out.join("build.log"))?;
        let size = fs::metadata(&plugin)
            .doing(|| format!("{} was not made", plugin.display()))?
            .len();
        stamp.set()?;
        Ok(format!(
            "{:.1} s, {:.1} KiB",
            start.elapsed().as_secs_f32(),
            size as f64 / 1024.0
        ))
    }
}

/// Runs a command; what it prints goes to a file, and the end of that into the error.
fn logged(mut command: Command, log: &Path) -> Result<()> {
    let file = fs::File::create(log).doing(|| format!("cannot write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .doing(|| "cannot run sh".to_owned())?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let mut said = format!("{status}, see {}", log.display());
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        let _ = write!(said, "\n    {line}");
    }
    Err(Error::new(said))
}

/// A file that holds the hash of all that something was made of.
struct Stamp {
    file: PathBuf,
    hasher: DefaultHasher,
}

impl Stamp {
    fn new(made: &Path) -> Self {
        Self {
            file: made.join("stamp"),
            hasher: DefaultHasher::new(),
        }
    }

    fn text(mut self, text: &str) -> Self {
        text.hash(&mut self.hasher);
        self
    }

    /// Names and content of all files, but for what a build by hand has left.
    fn folder(mut self, folder: &Path) -> Self {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for path in entries.into_iter().filter(|path| !path.ends_with("build")) {
            if path.is_dir() {
                self = self.folder(&path);
            } else {
                path.file_name().hash(&mut self.hasher);
                fs::read(&path).ok().hash(&mut self.hasher);
            }
        }
        self
    }

    fn holds(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text == self.digest())
    }

    fn set(&self) -> Result<()> {
        fs::write(&self.file, self.digest()).doing(|| format!("cannot write {}", self.file.display()))
    }

    fn digest(&self) -> String {
        format!("{:016x}", self.hasher.finish())
    }
}
