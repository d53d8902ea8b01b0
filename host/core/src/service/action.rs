//! What the machine of a service wants done, and what it is told of the processes.

/// A signal, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Finish what is going on, then end (nginx: QUIT; others: TERM, or what `stop-signal` says).
    Quit,
    /// End now (TERM, and CONT in case it is stopped).
    Terminate,
    /// KILL, to all of it.
    Kill,
    /// KILL, to the main process alone: its workers serve on.
    KillMain,
    /// KILL, to those of its workers that are stopped.
    KillStopped,
    /// CONT, to all of it.
    Continue,
    /// Read the configuration again (HUP, or what `reload-signal` says).
    Reload,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Find the one that runs already, or take over what serves without a main process, or sweep and spawn. With a
    /// process: spawn beside that one, with its listening sockets (N14).
    Start(Option<u32>),
    /// Have the program test its configuration.
    Test,
    /// Look at this process; and ask its probe.
    Look(u32, bool),
    /// Signal the process.
    Signal(u32, Signal),
    /// Run its reload command.
    RunReload,
    /// End what serves without a main process.
    Sweep,
    /// Close the listening sockets that are held for it (N13).
    Unlisten,
    /// Answer the operator who asked.
    Answer(u64, Result<String, String>),
    /// For the record: a line, and whether it is bad news.
    Say(String, bool),
}

/// A process that the hands have found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its process.
    pub pid: u32,
    /// Where it comes from.
    pub how: How,
}

/// Where a process comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Spawned, or started by systemd.
    Spawned,
    /// It ran already (N4).
    Adopted,
    /// Spawned with the listening sockets of workers whose main process was gone; they end when it is ready (M3).
    TookOver,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal number, if it was killed.
    pub signal: Option<i32>,
    /// The end of its standard error.
    pub stderr: String,
    /// Workers that serve on without it.
    pub orphans: Vec<u32>,
    /// What an operator would look at next: who holds its address, the last lines of its error log.
    pub evidence: Vec<String>,
}
