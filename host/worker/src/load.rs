//! How a plugin file comes to serve: read, hash, compile outside, link, try, swap. Until then the old one serves.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use standfast_core::config::grant::{Grants, Settings};
use standfast_core::config::instance;
use standfast_core::plugin::call::{CallError, CheckCall};
use standfast_core::plugin::channel::{COMPONENT_MAX, LoadPlugin, LoadedPlugin, SET_ASIDE};
use wasmtime::component::Component;

use crate::bindings::exports::standfast::plugin::{check, lifecycle, notify};
use crate::cache::{Cache, Entry};
use crate::call::Caller;
use crate::catalog::{Catalog, Loaded};
use crate::compile::Compiler;
use crate::grants::MEMORY_MAX;
use crate::native;
use crate::scope::Facts;
use crate::subject::{Kind, Subjects};
use crate::text;
use crate::trusted::Trust;

/// Time to make a first instance of a file that is not called on trial.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(5);

/// Loads one file at a time.
pub(crate) struct Loader {
    pub(crate) caller: Caller,
    pub(crate) cache: Cache,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) subjects: Arc<Subjects>,
    pub(crate) trust: Trust,
    pub(crate) compiler: Compiler,
}

impl Loader {
    /// Does one load; on `Err` nothing has changed.
    pub(crate) async fn load(&self, request: LoadPlugin) -> Result<LoadedPlugin, String> {
        let begun = Instant::now();
        let fresh = self.fresh(&request).await.map_err(|reason| text::line(&reason));
        let (digest, size, cached, refused) = match fresh {
            Ok((digest, size, cached)) => (digest, size, cached, None),
            Err(reason) => {
                let lost = |why: Option<String>| match why {
                    Some(why) if self.is_set_aside(&request) => text::line(&why),
                    Some(_) | None => reason.clone(),
                };
                let (digest, size) = self.fallback(&request).await.map_err(lost)?;
                (digest, size, true, Some(reason))
            }
        };
        let serving = self.catalog.get(&request.plugin);
        Ok(LoadedPlugin {
            digest,
            interface: serving
                .map(|serving| serving.interface.clone())
                .unwrap_or_default(),
            size,
            cached,
            took: begun.elapsed(),
            refused,
        })
    }

    async fn fresh(&self, request: &LoadPlugin) -> Result<(String, u64, bool), String> {
        let bytes = self.read(&request.path)?;
        let digest = hex(&Sha256::digest(&bytes));
        matches_pin(request, &digest)?;
        let size = bytes.len() as u64;
        if request.set_aside.as_ref() == Some(&digest) {
            return Err(SET_ASIDE.into());
        }
        let serving = self.catalog.get(&request.plugin);
        if serving.as_ref().is_some_and(|serving| serving.digest == digest) {
            return Ok((digest, size, true));
        }
        let (component, cached) = match self.cached(&digest) {
            Some((component, _)) => (component, true),
            None => (self.compiled(&digest, bytes).await?, false),
        };
        let loaded = self.link(&component, digest.clone())?;
        if let Some(serving) = serving {
            keeps_its_exports(&serving, &loaded)?;
        }
        if request.fallback.as_ref() == Some(&digest) {
            // It has served: what it would say now is for its checks, not for us.
            self.instantiate(request, &loaded).await?;
        } else {
            self.try_out(request, &loaded).await?;
        }
        self.catalog.swap(request.plugin.clone(), loaded);
        Ok((digest, size, cached))
    }

    /// What serves is what an operator goes back from.
    fn is_set_aside(&self, request: &LoadPlugin) -> bool {
        let serving = self.catalog.get(&request.plugin);
        serving.is_some_and(|serving| request.set_aside.as_ref() == Some(&serving.digest))
    }

    /// What served before a restart of the worker, if nothing does, or before an operator goes back. The error says why
    /// not, if there is something to go back to.
    async fn fallback(&self, request: &LoadPlugin) -> Result<(String, u64), Option<String>> {
        let digest = request.fallback.clone().ok_or(None)?;
        matches_pin(request, &digest)?;
        if self.catalog.get(&request.plugin).is_some() && !self.is_set_aside(request) {
            return Err(None);
        }
        let gone = || "the version before is not in the cache any more".to_owned();
        let (component, size) = self.cached(&digest).ok_or_else(gone)?;
        let loaded = self.link(&component, digest.clone())?;
        // Not called: it has served, and what it asks for may hang just now.
        self.instantiate(request, &loaded).await?;
        self.catalog.swap(request.plugin.clone(), loaded);
        Ok((digest, size))
    }

    /// Opened once and read whole.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let file = self.trust.open(path)?;
        file.take(COMPONENT_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if bytes.len() as u64 > COMPONENT_MAX {
            return Err(format!("{}: over {} MiB", path.display(), COMPONENT_MAX >> 20));
        }
        match bytes.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => Ok(bytes),
            Some(b"\0asm\x01\0\0\0") => Err(format!(
                "{}: a core module, not a component; build for wasm32-wasip2",
                path.display()
            )),
            Some(_) | None => Err(format!("{}: not a WebAssembly component", path.display())),
        }
    }

    fn cached(&self, digest: &str) -> Option<(Component, u64)> {
        let entry = self.cache.get(digest)?;
        match self.native(&entry) {
            Ok(component) => Some((component, entry.size())),
            Err(reason) => {
                eprintln!("standfast-worker: compiling anew, the cache has {digest} but {reason}");
                self.cache.forget(digest);
                None
            }
        }
    }

    async fn compiled(&self, digest: &str, component: Vec<u8>) -> Result<Component, String> {
        let size = component.len() as u64;
        let code = self.compiler.compile(component).await?;
        self.native(&self.cache.put(digest, size, &code))
    }

    fn native(&self, entry: &Entry) -> Result<Component, String> {
        native::component(&self.caller.machine.engine, entry).map_err(|error| format!("{error:#}"))
    }

    fn link(&self, component: &Component, digest: String) -> Result<Loaded, String> {
        let machine = &self.caller.machine;
        let pre = machine.linker.instantiate_pre(component).map_err(|error| {
            format!("{error:#}; this host offers standfast:plugin {INTERFACE} and WASI 0.2")
        })?;
        let check = check::GuestIndices::new(&pre).ok();
        let notify = notify::GuestIndices::new(&pre).ok();
        if check.is_none() && notify.is_none() {
            let component_type = component.component_type();
            let exports: Vec<&str> = component_type
                .exports(&machine.engine)
                .map(|(name, _)| name)
                .collect();
            return Err(format!(
                "it exports neither standfast:plugin/check@{INTERFACE} (a check) nor \
                 standfast:plugin/notify@{INTERFACE} (a hook) but {}",
                if exports.is_empty() {
                    "nothing".to_owned()
                } else {
                    exports.join(", ")
                },
            ));
        }
        Ok(Loaded {
            digest,
            interface: self.interface(component),
            lifecycle: lifecycle::GuestIndices::new(&pre).ok(),
            pre,
            check,
            notify,
        })
    }

    /// Version of the exported interface.
    fn interface(&self, component: &Component) -> String {
        let engine = &self.caller.machine.engine;
        let component_type = component.component_type();
        let mut exports = component_type.exports(engine);
        let ours = exports.find_map(|(name, _)| name.strip_prefix("standfast:plugin/")?.split_once('@'));
        ours.map(|(_, version)| version.to_owned()).unwrap_or_default()
    }

    /// One call with the real grants, its verdict thrown away and all that it keeps, tells and asks for with it; a hook
    /// is only made, for it has effects.
    async fn try_out(&self, request: &LoadPlugin, loaded: &Loaded) -> Result<(), String> {
        match request.trial.clone() {
            Some(trial) => self
                .try_check(loaded, trial)
                .await
                .map_err(|error| failed(&error)),
            None => self.instantiate(request, loaded).await,
        }
    }

    async fn instantiate(&self, request: &LoadPlugin, loaded: &Loaded) -> Result<(), String> {
        let name = request.plugin.as_str();
        let subject = self.subjects.get(Kind::Trial, name);
        let made = self
            .caller
            .instantiate(loaded, nobody(name), subject, INSTANCE_TIMEOUT);
        made.await.map_err(|error| failed(&error))
    }

    async fn try_check(&self, loaded: &Loaded, trial: CheckCall) -> Result<(), CallError> {
        let name = trial.check.as_str();
        let subject = self.subjects.get(Kind::Trial, name);
        subject.begin_as(&self.subjects.get(Kind::Check, name));
        let trial = CheckCall {
            instance: instance::Instance::Fresh,
            ..trial
        };
        // A plugin that says itself that it could not do its work does work.
        let said = self.caller.check(loaded, trial, subject, Instant::now()).await;
        said.map(drop)
    }
}

/// Version of `wit/plugin.wit`.
const INTERFACE: &str = "0.1.0";

/// A check must not turn into a hook behind the back of those who use it.
fn keeps_its_exports(serving: &Loaded, loaded: &Loaded) -> Result<(), String> {
    let lost = match (&serving.check, &loaded.check, &serving.notify, &loaded.notify) {
        (Some(_), None, _, _) => "check",
        (_, _, Some(_), None) => "notify",
        _ => return Ok(()),
    };
    Err(format!(
        "it does not export standfast:plugin/{lost}@{INTERFACE}, which the serving one does"
    ))
}

/// A file that the configuration names by its digest must be that very one.
fn matches_pin(request: &LoadPlugin, digest: &str) -> Result<(), String> {
    match &request.pin {
        Some(pin) if pin != digest => Err(format!(
            "{} has sha256 {digest}, but the configuration pins {pin}; put that file back, or pin this one",
            request.path.display()
        )),
        Some(_) | None => Ok(()),
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(error: &CallError) -> String {
    format!(
        "its first call failed ({}): {}",
        error.class.word(),
        error.message
    )
}

/// Of memory there is as much as any use can grant: its own limit holds at each call.
fn nobody(name: &str) -> Facts {
    Facts {
        name: name.to_owned(),
        number: 0,
        previous: None,
        settings: Settings::new(),
        grants: Grants {
            memory: MEMORY_MAX as u64,
            ..Grants::default()
        },
        routers: Vec::new(),
    }
}
