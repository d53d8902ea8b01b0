//! `standfast run`.

use std::io::IsTerminal;
use std::path::PathBuf;

use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::alone::alone;
use crate::cli::RunArgs;
use crate::daemon::{self, Options};
use crate::net::leftovers::Keep;
use crate::start::read_config;
use crate::status_code::Code;

pub(super) fn run(args: RunArgs) -> Code {
    let _log = start_log();
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

/// Log lines go through a thread of their own: a reader that stops cannot stop the loop, lines are dropped instead.
fn start_log() -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let filter = EnvFilter::try_from_env("STANDFAST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        // journald has its own clock.
        builder.without_time().init();
    } else {
        builder.init();
    }
    guard
}
