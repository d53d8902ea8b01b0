//! `standfast run`: the guardian, and the brain that it starts.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::alone::alone;
use crate::bond::Bond;
use crate::cli::RunArgs;
use crate::daemon::{self, Options};
use crate::guardian;
use crate::log;
use crate::net::leftovers::Keep;
use crate::start::read_config;
use crate::status_code::Code;

pub(super) fn run(args: RunArgs) -> ExitCode {
    if args.guarded {
        brain(args).into()
    } else {
        guardian::run(&args.place.dir())
    }
}

fn brain(args: RunArgs) -> Code {
    let (bond, birth) = Bond::take();
    let _log = log::start_beside();
    let config = match read_config(&args.config) {
        Ok(config) => config,
        Err(report) => {
            eprintln!("{report:?}");
            // The last life may have ended without a word: its addresses must not stay beside those of the peer.
            drop(alone(&args.place.dir(), Keep::default));
            return Code::Config;
        }
    };
    // A panic in one part ends the whole daemon: half a daemon that still sends adverts would be worse.
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        show(panic);
        std::process::abort();
    }));
    // Below it: systemd gives all of a folder that is not root's back to root at each start, and the worker takes no
    // compiled plugin that is not its own.
    let from_systemd = || Some(PathBuf::from(std::env::var_os("CACHE_DIRECTORY")?).join("compiled"));
    let options = Options {
        config: args.config,
        runtime_dir: args.place.dir(),
        cache_dir: args
            .cache_dir
            .or_else(from_systemd)
            .unwrap_or_else(|| "/var/cache/standfast".into()),
        worker: args.worker,
        bond,
        birth,
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("standfast: {error}");
            return Code::Runtime;
        }
    };
    let ended = LocalSet::new().block_on(&runtime, daemon::run(options, config));
    // Threads that still read the disk are not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Code::Ok,
        Err(failure) => {
            eprintln!("standfast: {failure}");
            failure.code
        }
    }
}
