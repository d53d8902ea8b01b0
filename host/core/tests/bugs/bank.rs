//! The bug bank as a list: defects to be put back, each with the test that must fail then.

/// One defect.
pub(crate) struct Bug {
    /// Name.
    pub(crate) name: String,
    /// Whose, and what it does.
    #[allow(dead_code, reason = "said by the laboratory only")]
    pub(crate) what: String,
    /// Test target of the core, or `lib`.
    pub(crate) target: String,
    /// The test that must fail.
    pub(crate) test: String,
    /// What is changed; most need one change only.
    pub(crate) edits: Vec<Edit>,
}

/// One change of a defect.
#[derive(Default)]
pub(crate) struct Edit {
    /// File below `host/core`.
    pub(crate) file: String,
    /// What stands there now.
    pub(crate) right: String,
    /// What is put there instead.
    #[allow(dead_code, reason = "put there by the laboratory only")]
    pub(crate) wrong: String,
}

/// Reads the bank; `Err` names the line.
pub(crate) fn read(text: &str) -> Result<Vec<Bug>, String> {
    let mut bugs: Vec<Bug> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (word, rest) = line
            .split_once(' ')
            .ok_or_else(|| format!("one word only: {line}"))?;
        if word == "bug" {
            let (name, what) = rest.split_once(": ").ok_or_else(|| format!("no colon: {line}"))?;
            bugs.push(Bug {
                name: name.to_owned(),
                what: what.to_owned(),
                target: String::new(),
                test: String::new(),
                edits: Vec::new(),
            });
            continue;
        }
        let bug = bugs
            .last_mut()
            .ok_or_else(|| format!("before the first bug: {line}"))?;
        match word {
            "test" => {
                let (target, test) = rest.split_once(' ').ok_or_else(|| format!("no target: {line}"))?;
                (bug.target, bug.test) = (target.to_owned(), test.to_owned());
            }
            "file" => bug.edits.push(Edit {
                file: rest.to_owned(),
                ..Edit::default()
            }),
            "-" | "+" => {
                let edit = bug
                    .edits
                    .last_mut()
                    .ok_or_else(|| format!("before a file: {line}"))?;
                add(
                    if word == "-" {
                        &mut edit.right
                    } else {
                        &mut edit.wrong
                    },
                    rest,
                );
            }
            _ => return Err(format!("not understood: {line}")),
        }
    }
    let whole = |bug: &&Bug| {
        let edited = !bug.edits.is_empty() && bug.edits.iter().all(|edit| !edit.right.is_empty());
        edited && !bug.test.is_empty()
    };
    match bugs.iter().find(|bug| !whole(bug)) {
        Some(bug) => Err(format!("{} lacks a line", bug.name)),
        None => Ok(bugs),
    }
}

/// Lines are joined without one at the end, so that a last line may be the beginning of what stands there.
fn add(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
