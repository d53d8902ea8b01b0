//! `standfast validate`.

use standfast_core::config::derived::report;

use crate::cli::ValidateArgs;
use crate::cli::print::write;
use crate::net::hindrances::hindrances;
use crate::start::read_config_elsewhere;
use crate::status_code::{Code, Failure};

pub(super) fn validate(args: &ValidateArgs) -> Result<Code, Failure> {
    let (config, unread) = match read_config_elsewhere(&args.file) {
        Ok(read) => read,
        Err(report) => {
            eprintln!("{report:?}");
            return Ok(Code::Config);
        }
    };
    let report = report(&config, args.peer_priority);
    let text = if args.json {
        let json = serde_json::to_string_pretty(&report);
        json.map_err(|error| Failure::new(Code::Runtime, error.to_string()))? + "\n"
    } else {
        report.render()
    };
    write(&text)?;
    for line in unread.into_iter().chain(hindrances(&config)) {
        eprintln!("warning: {line}");
    }
    Ok(Code::Ok)
}
