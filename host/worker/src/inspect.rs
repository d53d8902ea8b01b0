//! What a component file says of itself: read and validated, neither compiled nor run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use standfast_core::plugin::channel::COMPONENT_MAX;
use standfast_core::plugin::inspection::{Import, Inspection, Kind};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, Validator};

/// What this host offers.
const INTERFACE: &str = include_str!("../../../wit/plugin.wit");
/// The package of that.
const OURS: &str = "standfast:plugin/";
/// Packages of WASI that are offered beside it, in version 0.2.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Writes what is found as one line of JSON.
pub(crate) fn run(file: &Path) -> Result<(), String> {
    let found = inspect(file).map_err(|reason| format!("{}: {reason}", file.display()))?;
    let line = serde_json::to_string(&found).map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "{line}").map_err(|error| format!("standard output: {error}"))
}

fn inspect(file: &Path) -> Result<Inspection, String> {
    let bytes = read(file)?;
    let types = Validator::new()
        .validate_all(&bytes)
        .map_err(|error| format!("a damaged component, or one of a newer kind: {error}"))?;
    let (imports, exports) = names(&bytes)?;
    let mut imports: Vec<_> = imports.iter().map(|name| import(types.as_ref(), name)).collect();
    imports.sort_by_key(|import| (!import.interface.starts_with(OURS), import.interface.clone()));
    let exported = |interface: &str| {
        exports
            .iter()
            .any(|name| parts(name).0 == format!("{OURS}{interface}"))
    };
    let kinds = [(Kind::Check, "check"), (Kind::Hook, "notify")];
    let kinds: Vec<_> = kinds
        .into_iter()
        .filter(|(_, interface)| exported(interface))
        .map(|(kind, _)| kind)
        .collect();
    let all = imports.iter().map(|import| &import.interface).chain(&exports);
    let wants: BTreeSet<_> = all
        .filter(|name| name.starts_with(OURS))
        .map(|name| parts(name).1.to_owned())
        .collect();
    let trouble = wants
        .iter()
        .find_map(|version| other_series(version))
        .or_else(|| kinds.is_empty().then(|| no_plugin(&exports)))
        .or_else(|| imports.iter().find_map(not_offered));
    Ok(Inspection {
        file: file.to_owned(),
        size: bytes.len() as u64,
        sha256: Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        kinds,
        lifecycle: exported("lifecycle"),
        wants: wants.into_iter().collect(),
        offers: version().to_owned(),
        trouble,
        imports,
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let opened = File::open(file).map_err(|error| error.to_string())?;
    if !opened.metadata().is_ok_and(|found| found.is_file()) {
        return Err("not a regular file".into());
    }
    let mut bytes = Vec::new();
    opened
        .take(COMPONENT_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > COMPONENT_MAX {
        return Err(format!("over {} MiB", COMPONENT_MAX >> 20));
    }
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(bytes),
        Some(b"\0asm\x01\0\0\0") => Err(format!(
            "a core module, not a component of standfast:plugin {}; build for wasm32-wasip2, or make a component \
             of it with `wasm-tools component new`",
            version()
        )),
        Some(_) | None => Err(format!(
            "not WebAssembly; a plugin is a component of standfast:plugin {}",
            version()
        )),
    }
}

/// Names that the outermost component imports and exports.
fn names(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| error.to_string())?;
        if let Payload::ModuleSection { .. } | Payload::ComponentSection { .. } = payload {
            depth += 1;
        } else if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        } else if let (0, Payload::ComponentImportSection(section)) = (depth, &payload) {
            let found = section.clone().into_iter().flatten();
            imports.extend(found.map(|import| import.name.name.to_owned()));
        } else if let (0, Payload::ComponentExportSection(section)) = (depth, &payload) {
            let found = section.clone().into_iter().flatten();
            exports.extend(found.map(|export| export.name.name.to_owned()));
        }
    }
    Ok((imports, exports))
}

fn import(types: TypesRef<'_>, name: &str) -> Import {
    let mut functions = Vec::new();
    if let Some(item) = types.component_item_for_import(name)
        && let ComponentEntityType::Instance(instance) = item.ty
    {
        let exports = types[instance].exports.iter();
        functions.extend(
            exports
                .filter(|(_, export)| matches!(export.ty, ComponentEntityType::Func(_)))
                .map(|(name, _)| name.clone()),
        );
    }
    Import {
        interface: name.to_owned(),
        functions,
    }
}

/// `standfast:plugin/net@0.1.0` is `standfast:plugin/net` and `0.1.0`.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// Version of the WIT.
fn version() -> &'static str {
    let package = INTERFACE
        .lines()
        .find_map(|line| line.strip_prefix("package standfast:plugin@"));
    package.map_or("", |version| version.trim_end_matches(';'))
}

/// Versions fit within one series: 0.1 with 0.1, 1 with 1. Those before a release fit themselves only.
fn other_series(wanted: &str) -> Option<String> {
    fn series(version: &str) -> Vec<&str> {
        let most = if version.contains('-') {
            usize::MAX
        } else if version.starts_with("0.") {
            2
        } else {
            1
        };
        version.split('.').take(most).collect()
    }
    let fits = series(wanted) == series(version());
    (!fits).then(|| {
        format!(
            "it was built against standfast:plugin {wanted}, but this host offers {}: build it with the WIT of this \
             version (`standfast plugin new` copies it), or run it with the standfast that it was built for",
            version()
        )
    })
}

fn no_plugin(exports: &[String]) -> String {
    let exported = match exports {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    format!(
        "it exports neither {OURS}check@{0} (a check) nor {OURS}notify@{0} (a hook) but {exported}",
        version()
    )
}

fn not_offered(import: &Import) -> Option<String> {
    let (name, wanted) = parts(&import.interface);
    let lacks = |what: &str| Some(format!("it imports {what}, which this host does not offer"));
    if let Some(interface) = name.strip_prefix(OURS) {
        let known = functions(interface);
        let mut used = import.functions.iter();
        let missing = used.find(|function| !known.contains(&function.as_str()))?;
        return Some(format!(
            "it calls {interface}.{missing} of standfast:plugin {wanted}, which {}, offered here, does not have: use \
             a newer standfast",
            version()
        ));
    }
    let package = name.strip_prefix("wasi:").and_then(|name| name.split('/').next());
    match package {
        Some(package) if WASI.contains(&package) && wanted.starts_with("0.2.") => None,
        Some(package) if WASI.contains(&package) => lacks(&format!(
            "{} (offered are standfast:plugin {} and WASI 0.2)",
            import.interface,
            version()
        )),
        Some("http") => lacks("wasi:http; standfast:plugin/net has `http`"),
        Some(_) | None => lacks(&import.interface),
    }
}

/// Functions of one of our interfaces.
fn functions(interface: &str) -> Vec<&'static str> {
    let head = format!("interface {interface} {{");
    let body = INTERFACE.lines().skip_while(|line| *line != head);
    body.take_while(|line| *line != "}")
        .filter_map(|line| Some(line.trim().split_once(": func(")?.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_read_from_the_wit() {
        assert_eq!(version(), "0.1.0");
        assert_eq!(functions("config"), ["get", "get-all", "keys", "get-json"]);
        assert!(functions("net").contains(&"tcp-connect") && functions("nothing").is_empty());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let files = std::fs::read_dir(folder).unwrap();
        let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        assert_eq!(
            names,
            ["plugin.wit"],
            "one file is read here: read the others, too"
        );
    }

    #[test]
    fn versions_fit_within_a_series() {
        assert_eq!(other_series("0.1.7"), None);
        for wanted in ["0.2.0", "1.0.0", "0.1.0-rc.1", ""] {
            let told = other_series(wanted).unwrap();
            assert!(
                told.contains(&format!("plugin {wanted}, but this host offers 0.1.0")),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_imported_must_be_offered() {
        let import = |interface: &str, function: &str| Import {
            interface: interface.into(),
            functions: vec![function.into()],
        };
        assert_eq!(not_offered(&import("standfast:plugin/net@0.1.3", "ping")), None);
        assert_eq!(not_offered(&import("wasi:cli/stdout@0.2.6", "get-stdout")), None);
        for (interface, function, part) in [
            ("standfast:plugin/net@0.1.3", "telepathy", "net.telepathy"),
            ("wasi:cli/stdout@0.3.0", "write", "WASI 0.2"),
            ("wasi:http/types@0.2.6", "x", "has `http`"),
            ("my:own/thing", "x", "my:own/thing"),
        ] {
            let told = not_offered(&import(interface, function)).unwrap();
            assert!(told.contains(part), "{told}");
        }
    }
}
