//! WASI for one call: the `config` block as environment, sockets as `tcp` and `udp` grant them, folders of `preopen`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use standfast_core::config::grant::Grants;
use standfast_core::plugin::call::{CallError, ErrorClass};
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::grants::Want;
use crate::scope::{Pins, Scope};
use crate::stdio::Output;
use crate::subject::Subject;
use crate::text;

/// Most random bytes at a time: they are made on a thread that other calls wait for.
const RANDOM_MAX: u64 = 64 << 10;

/// What WASI offers to this call.
pub(crate) async fn context(scope: &Scope, output: &Output) -> Result<WasiCtx, CallError> {
    let mut wasi = WasiCtx::builder();
    // Every address is asked for below.
    wasi.stdout(output.clone())
        .stderr(output.clone())
        .max_random_size(RANDOM_MAX)
        .allow_tcp(true)
        .allow_udp(true);
    for (key, values) in &scope.facts.settings {
        wasi.env(key, values.first().map_or("", String::as_str));
    }
    let gate = Gate {
        grants: scope.facts.grants.clone(),
        subject: Arc::clone(&scope.subject),
        pins: Arc::clone(&scope.pins),
    };
    wasi.socket_addr_check(move |address, wanted| {
        let allowed = gate.allows(address, wanted);
        Box::pin(async move { allowed })
    });
    let folders = scope.facts.grants.preopen.clone();
    if !folders.is_empty() {
        // A file system that does not answer must not hold the thread.
        let opened = scope.subject.blocking(scope.reach, move || {
            for folder in &folders {
                let name = folder.to_string_lossy();
                let opened = wasi.preopened_dir(folder, name, FsPerms::ReadOnly);
                opened.map_err(|error| cannot(folder, &format!("{error:#}")))?;
            }
            Ok(wasi)
        });
        let silent = || Err(cannot(Path::new("a folder"), "the file system does not answer"));
        wasi = opened.await.unwrap_or_else(silent)?;
    }
    Ok(wasi.build())
}

fn cannot(folder: &Path, why: &str) -> CallError {
    CallError {
        class: ErrorClass::Unavailable,
        message: text::line(&format!("preopen {}: {why}", folder.display())),
    }
}

struct Gate {
    grants: Grants,
    subject: Arc<Subject>,
    pins: Pins,
}

impl Gate {
    fn allows(&self, address: SocketAddr, wanted: SocketAddrUse) -> bool {
        match wanted {
            // Asked before a connection, too; a port of one's own choice is for servers.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                address.ip().is_unspecified() && address.port() == 0
            }
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
            SocketAddrUse::TcpConnect => self.reaches(address, true, true),
            SocketAddrUse::UdpSend => self.reaches(address, false, true),
            SocketAddrUse::UdpReceive => self.reaches(address, false, false),
        }
    }

    fn reaches(&self, address: SocketAddr, tcp: bool, tell: bool) -> bool {
        let port = address.port();
        let want = |host| match tcp {
            true => Want::Tcp { host, port },
            false => Want::Udp { host, port },
        };
        let ip = address.ip().to_canonical();
        let text = ip.to_string();
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = pins.iter().filter(|(_, pinned)| *pinned == ip);
        if want(&text).granted(&self.grants)
            || names.clone().any(|(name, _)| want(name).granted(&self.grants))
        {
            return true;
        }
        if tell {
            let host = names.next().map_or(text.as_str(), |(name, _)| name.as_str());
            self.subject.deny(want(host));
        }
        false
    }
}
