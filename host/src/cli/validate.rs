//! `standfast validate`.

#![allow(clippy::print_stdout, reason = "printing is what this verb does")]

use standfast_core::config::derived::report;

use crate::cli::ValidateArgs;
use crate::start::read_config;
use crate::status_code::Code;

pub(super) fn validate(args: &ValidateArgs) -> Code {
    let config = match read_config(&args.file) {
        Ok(config) => config,
        Err(report) => {
            eprintln!("{report:?}");
            return Code::Config;
        }
    };
    let report = report(&config, args.peer_priority);
    if !args.json {
        print!("{}", report.render());
        return Code::Ok;
    }
    match serde_json::to_string_pretty(&report) {
        Ok(text) => {
            println!("{text}");
            Code::Ok
        }
        Err(error) => {
            eprintln!("standfast: {error}");
            Code::Runtime
        }
    }
}
