//! The quick rows of the fault matrix; `cargo lab faults` runs all of them, beside keepalived.

use standfast_lab::error::Result;
use standfast_lab::faults::hold;

pub(crate) fn clean_stop() -> Result<()> {
    hold("2")
}

pub(crate) fn killed_worker_of_plugins() -> Result<()> {
    hold("8")
}

pub(crate) fn killed_nginx_master() -> Result<()> {
    hold("10")
}

pub(crate) fn stopped_nginx_master() -> Result<()> {
    hold("12b")
}

pub(crate) fn bad_nginx_file_at_reload() -> Result<()> {
    hold("15")
}

pub(crate) fn invalid_file_at_reload() -> Result<()> {
    hold("32")
}

pub(crate) fn removed_vip() -> Result<()> {
    hold("35")
}
