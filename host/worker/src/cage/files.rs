//! Landlock: which files this process can still reach, whoever it is.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// What is asked of the kernel; older ones are asked for what they know.
const KNOWN: ABI = ABI::V6;

/// Processes, and whatever looking up a name and trusting a certificate may need: the C library loads parts of itself
/// late, and its settings are links to elsewhere on some systems.
const SYSTEM: [&str; 10] = [
    "/proc",
    "/run",
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/var/lib/ca-certificates",
];

/// What stays within reach.
pub(super) enum Reach<'a> {
    /// Reading the system's folders and these, as far as the account may; writing in the cache alone. No file is
    /// executed, no TCP port taken, nobody outside traced, signalled, or spoken to by an abstract socket.
    Granted {
        /// Below them lie plugins and granted files.
        folders: &'a [PathBuf],
        /// The cache.
        own: Option<&'a Path>,
    },
    /// No file at all.
    Nothing,
}

/// From now on, for this thread and those it starts.
pub(super) fn restrict(reach: Reach<'_>) -> Result<(), String> {
    let status = rules(reach).map_err(|error| format!("Landlock: {error}"))?;
    match status {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err("Landlock in part: this kernel is older than 6.12".into()),
        RulesetStatus::NotEnforced => Err("no Landlock: this kernel has none, or it is switched off".into()),
    }
}

fn rules(reach: Reach<'_>) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN) & !connect(&reach))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    if let Reach::Granted { folders, own } = reach {
        let system = SYSTEM.iter().map(Path::new);
        for folder in system.chain(folders.iter().map(PathBuf::as_path)) {
            rules = add(rules, folder, AccessFs::ReadFile | AccessFs::ReadDir)?;
        }
        if let Some(own) = own {
            let write = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
            rules = add(rules, own, write | AccessFs::ReadFile | AccessFs::ReadDir)?;
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// Which addresses are reached is the grants' to say; the compiler reaches none.
fn connect(reach: &Reach<'_>) -> BitFlags<AccessNet> {
    match reach {
        Reach::Granted { .. } => AccessNet::ConnectTcp.into(),
        Reach::Nothing => BitFlags::EMPTY,
    }
}

fn add(
    rules: landlock::RulesetCreated,
    folder: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, RulesetError> {
    match PathFd::new(folder) {
        // A certificate may be a file, and a file has no entries.
        Ok(handle) if !folder.is_dir() => {
            rules.add_rule(PathBeneath::new(handle, access & AccessFs::from_file(KNOWN)))
        }
        Ok(handle) => rules.add_rule(PathBeneath::new(handle, access)),
        // What is not there cannot be reached either.
        Err(_) => Ok(rules),
    }
}
