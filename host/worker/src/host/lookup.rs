//! `wasi:sockets/ip-name-lookup` of our own: literals always, names by grant, on threads that no call waits for.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::vec;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi::{ResourceTable, WasiView};

use crate::addresses::{literal, only_spelled_out};
use crate::grants::Want;
use crate::names::Unresolved;
use crate::scope::{Scope, pin};
use crate::session::Session;

/// As wasmtime-wasi names it; others of 0.2 are matched to it.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

type Found = Result<Vec<IpAddr>, ErrorCode>;

/// A lookup under way, or what is left of its answer.
enum Lookup {
    Asked(AbortOnDropJoinHandle<Found>),
    Answered(Result<vec::IntoIter<IpAddr>, ErrorCode>),
}

impl Lookup {
    /// The next address, or that there is none yet.
    fn next(&mut self) -> Result<Option<IpAddress>, ErrorCode> {
        let Self::Answered(answer) = self else {
            return Err(ErrorCode::WouldBlock);
        };
        match answer {
            Ok(addresses) => Ok(addresses.next().map(Into::into)),
            Err(code) => Err(*code),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let Self::Asked(answer) = self {
            *self = Self::Answered(answer.await.map(Vec::into_iter));
        }
    }
}

/// Puts ours in place of wasmtime-wasi's.
pub(crate) fn shadow(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource(
        "resolve-address-stream",
        ResourceType::host::<Lookup>(),
        |mut store, handle| {
            table(&mut store).delete(Resource::<Lookup>::new_own(handle))?;
            Ok(())
        },
    )?;
    interface.func_wrap(
        "resolve-addresses",
        |mut store: StoreContextMut<'_, Session>, (_, name): (Resource<Network>, String)| {
            let lookup = match begin(&store.data().scope, name) {
                Ok(lookup) => lookup,
                Err(code) => return Ok((Err(code),)),
            };
            Ok((Ok(table(&mut store).push(lookup)?),))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: StoreContextMut<'_, Session>, (lookup,): (Resource<Lookup>,)| {
            Ok((table(&mut store).get_mut(&lookup)?.next(),))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: StoreContextMut<'_, Session>, (lookup,): (Resource<Lookup>,)| {
            let ready: Resource<DynPollable> = subscribe(table(&mut store), lookup)?;
            Ok((ready,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

fn table<'a>(store: &'a mut StoreContextMut<'_, Session>) -> &'a mut ResourceTable {
    store.data_mut().ctx().table
}

fn begin(scope: &Scope, name: String) -> Result<Lookup, ErrorCode> {
    if let Some(address) = literal(&name) {
        return Ok(Lookup::Answered(Ok(vec![address].into_iter())));
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if !scope.allows(Want::Resolve(&name)) {
        return Err(ErrorCode::AccessDenied);
    }
    let (shared, subject) = (scope.shared.clone(), scope.subject.clone());
    let (pins, until) = (scope.pins.clone(), scope.reach);
    Ok(Lookup::Asked(spawn(async move {
        let found = shared.names.lookup(&name, subject.lookups(), until).await;
        let found = found.map_err(|why| match why {
            Unresolved::Absent => ErrorCode::NameUnresolvable,
            Unresolved::Late => ErrorCode::TemporaryResolverFailure,
        })?;
        let mut pins = pins.lock().unwrap_or_else(PoisonError::into_inner);
        // What must be spelled out is not reached by its name.
        let usual = found.iter().filter(|address| !only_spelled_out(**address));
        usual.for_each(|address| pin(&mut pins, &name, *address));
        Ok(found)
    })))
}
