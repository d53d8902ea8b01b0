//! What all calls of this worker share: one look at /proc, and TLS set up once.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::Mutex;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::bindings::standfast::plugin::processes::Process;

/// What all calls share.
#[derive(Default)]
pub(crate) struct Shared {
    /// The last look at /proc.
    pub(crate) processes: Snapshot,
    /// TLS, set up at the first https request.
    pub(crate) tls: Tls,
}

/// The last look, and when it was.
#[derive(Default)]
pub(crate) struct Snapshot(pub(crate) Mutex<Option<(Instant, Arc<Vec<Process>>)>>);

/// Certificates of this host, read when first needed.
#[derive(Default)]
pub(crate) struct Tls(OnceLock<Result<Arc<ClientConfig>, String>>);

impl Tls {
    /// The client side, or why there is none.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        self.0.get_or_init(client).clone()
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
