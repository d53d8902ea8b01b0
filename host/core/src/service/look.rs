//! What the hands see when they look at a running service.

/// One look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// How its main process is.
    pub master: Life,
    /// Its workers; none for a program that is not known to have any.
    pub workers: Vec<Worker>,
    /// What its probe came to, in words; `None`: it was not asked.
    pub answer: Option<Result<String, String>>,
    /// What an operator would look at next, if something is wrong: states, the last lines of its error log.
    pub evidence: Vec<String>,
    /// The last grave line of its error log since it was signalled to reload (M10).
    pub grave: Option<String>,
}

/// One worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its process.
    pub pid: u32,
    /// How it is.
    pub life: Life,
    /// It takes no new connection, and ends with its last one.
    pub leaving: bool,
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs, or sleeps until it has something to do.
    Runs,
    /// SIGSTOP, or a debugger, has stopped it.
    Stopped,
    /// It waits for the kernel, and hears no signal, not even KILL.
    Uninterruptible,
    /// It has ended.
    Dead,
}
