//! The hands on services, one leaf each: what runs, what it listens on, what it says, and how it is taken over.

pub(crate) mod adopt;
pub(crate) mod answer;
pub(crate) mod by_systemd;
pub(crate) mod census;
pub(crate) mod ending;
pub(crate) mod error_log;
#[cfg(test)]
pub(crate) mod fake_systemd;
#[cfg(test)]
pub(crate) mod fake_unit;
pub(crate) mod group;
pub(crate) mod held;
pub(crate) mod inherit;
pub(crate) mod life;
pub(crate) mod listeners;
pub(crate) mod looking;
pub(crate) mod managed;
pub(crate) mod nginx_files;
pub(crate) mod obtain;
pub(crate) mod pid_file;
pub(crate) mod proc_table;
pub(crate) mod program;
pub(crate) mod spawn_into;
pub(crate) mod spawning;
pub(crate) mod systemd_bus;
pub(crate) mod take_sockets;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod trial;
