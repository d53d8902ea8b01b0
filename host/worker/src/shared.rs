//! What all calls of this worker share: the resolver, one look at /proc, TLS set up once, actions that run.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use standfast_core::plugin::channel::FromWorker;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::desk::Desk;
use crate::executables::Executables;
use crate::names::Names;
use crate::proc::Look;
use crate::trace::Tracer;

/// What all calls share.
pub(crate) struct Shared {
    /// The resolver.
    pub(crate) names: Names,
    /// Actions that run.
    pub(crate) desk: Desk,
    /// The last look at /proc.
    pub(crate) processes: Snapshot,
    /// What processes execute.
    pub(crate) executables: Arc<Executables>,
    /// TLS, set up at the first https request.
    pub(crate) tls: Tls,
    /// Where calls are noted, if they are.
    pub(crate) tracer: Option<Tracer>,
}

impl Shared {
    /// Actions are asked for at `out`.
    pub(crate) fn new(
        out: mpsc::Sender<FromWorker>,
        executables: Executables,
        tracer: Option<Tracer>,
    ) -> io::Result<Self> {
        Ok(Self {
            names: Names::start()?,
            desk: Desk::new(out),
            processes: Snapshot::default(),
            executables: Arc::new(executables),
            tls: Tls::default(),
            tracer,
        })
    }
}

/// Threads that may hang while they look.
const LOOKS_MAX: usize = 2;

/// The last look.
pub(crate) struct Snapshot {
    /// It, and when it was.
    pub(crate) last: Mutex<Option<(Instant, Arc<Look>)>>,
    /// Whoever looks does it for all, so none of its own threads is taken: they may hang elsewhere.
    pub(crate) looking: Arc<Semaphore>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            last: Mutex::default(),
            looking: Arc::new(Semaphore::new(LOOKS_MAX)),
        }
    }
}

/// Certificates of this host are read again when they are older: authorities come and go.
const CERTIFICATES_AGE: Duration = Duration::from_secs(300);

/// Certificates of this host, read when needed.
#[derive(Default)]
pub(crate) struct Tls(std::sync::Mutex<Option<(Instant, Arc<ClientConfig>)>>);

impl Tls {
    /// The client side, or why there is none.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, client)) = known.as_ref()
            && read.elapsed() < CERTIFICATES_AGE
        {
            return Ok(Arc::clone(client));
        }
        match (client(), known.as_ref()) {
            (Ok(client), _) => {
                *known = Some((Instant::now(), Arc::clone(&client)));
                Ok(client)
            }
            // Those of before are better than none.
            (Err(_), Some((_, before))) => Ok(Arc::clone(before)),
            (Err(why), None) => Err(why),
        }
    }
}

fn client() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("this host has no certificate authorities; install the package ca-certificates".into());
    }
    Ok(Arc::new(
        ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}
