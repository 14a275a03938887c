//! Finds and reads the files that a topology is put together from: those that it includes, or all of a folder.
//!
//! Whatever a pattern says, only regular files in the folder of the including file are read: no absolute path, no
//! `..`, no link that leads out. How many there are, and how large they are together, is bounded.

use std::path::Path;

use glob::{MatchOptions, Pattern};

use crate::diagnostic::{Code, Diagnostic, Place, Sources};
use crate::load::{self, BYTES_MAX, Document, Node, Value};
use crate::model::Kind;
use crate::model::compose_topology;
use crate::sort::Arrange as _;

/// More parts than this are a generated topology, which may as well be one file.
const PARTS_MAX: usize = 2_000;
/// Longer patterns, and such with more wildcards, could be made to match slowly.
const PATTERN_MAX: usize = 200;
const WILDCARDS_MAX: usize = 8;
/// The file of a folder that holds what is not of any team; it need not be there.
const FOLDER_ROOT: &str = "topology.yaml";

/// A topology as one document, and the paths that it was read from.
pub(super) struct ReadTopology {
    pub(super) document: Document,
    pub(super) files: Vec<String>,
}

/// Returns whether a path is a folder that stands for a topology.
pub(super) fn is_folder(path: &str) -> bool {
    path != "-" && Path::new(path).is_dir()
}

/// Reads the topology that lies in the files of a folder: `topology.yaml`, if there is one, and all others.
pub(super) fn read_folder(
    folder: &str,
    environment: Option<&str>,
    sources: &mut Sources,
) -> Result<ReadTopology, Vec<Diagnostic>> {
    let is_yaml = |path: &String| path.ends_with(".yaml") || path.ends_with(".yml");
    let mut paths: Vec<String> = load::files_below(folder).into_iter().filter(is_yaml).collect();
    if paths.is_empty() {
        let message = format!("`{folder}` holds no YAML file");
        let help = format!("put `{FOLDER_ROOT}` and the files of the teams there");
        return Err(vec![Diagnostic::file_error(Code::Empty, message).help(help)]);
    }
    let root = Path::new(folder).join(FOLDER_ROOT);
    let own = paths.iter().position(|path| Path::new(path) == root);
    if let Some(own) = own {
        let root = paths.remove(own);
        let document = load::read_document(&root, sources)?;
        if document.get("include").is_some() {
            return read_included(&root, document, environment, sources);
        }
        let parts = read_parts(&paths, sources)?;
        let files = [vec![root], paths].concat();
        let document = compose_topology(document, parts, environment);
        return Ok(ReadTopology { document, files });
    }
    let mut parts = read_parts(&paths, sources)?;
    // The first file gives the frame; the topology is called like its folder.
    let mut document = parts.remove(0);
    name_topology(&mut document.root, folder);
    let document = compose_topology(document, parts, environment);
    Ok(ReadTopology { document, files: paths })
}

fn name_topology(root: &mut Node, folder: &str) {
    let name = Path::new(folder).file_name().map(|name| name.to_string_lossy().into_owned());
    // A folder such as `..` has no name of its own; the first file's stays.
    let Some(name) = name else { return };
    let Value::Mapping(entries) = &mut root.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| &*entry.key.text == "topology") {
        entry.value.value = Value::Text(name.into());
    }
}

/// Reads the files that a topology includes, and puts them together.
pub(super) fn read_included(
    path: &str,
    document: Document,
    environment: Option<&str>,
    sources: &mut Sources,
) -> Result<ReadTopology, Vec<Diagnostic>> {
    let mut files = vec![path.to_owned()];
    let mut parts = Vec::new();
    if let Some(include) = document.get("include") {
        let found = find_included(path, &include.value, sources)?;
        parts = read_parts(&found, sources)?;
        files.extend(found);
    }
    let document = compose_topology(document, parts, environment);
    Ok(ReadTopology { document, files })
}

/// Returns the paths of the files that match the patterns, sorted, each once.
fn find_included(
    path: &str,
    include: &Node,
    sources: &Sources,
) -> Result<Vec<String>, Vec<Diagnostic>> {
    let Value::Sequence(items) = &include.value else {
        let message = format!("`include` is a list, but this is {}", include.value.describe());
        let problem = Diagnostic::error(Code::WrongType, message, include.place);
        return Err(vec![problem.help("write for example `include: [teams/*.yaml]`")]);
    };
    let place = include.place;
    if path == "-" {
        let message = "standard input has no folder that files could be included from";
        return Err(vec![Diagnostic::error(Code::Conflict, message, place)]);
    }
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for item in items {
        match included_by(item, folder, path, sources) {
            Ok(paths) => found.extend(paths),
            Err(problem) => problems.push(*problem),
        }
    }
    found.arrange_by(Ord::cmp);
    found.dedup();
    if found.len() > PARTS_MAX {
        let message = format!("{} files are included", found.len());
        let problem = Diagnostic::error(Code::TooLarge, message, place);
        problems.push(problem.help("a topology has at most 2000 parts"));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Returns the files that one pattern matches.
fn included_by(
    item: &Node,
    folder: &Path,
    root: &str,
    sources: &Sources,
) -> Result<Vec<String>, Box<Diagnostic>> {
    let Value::Text(text) = &item.value else {
        let message = format!("a file to include is a text, but this is {}", item.value.describe());
        return Err(Box::new(Diagnostic::error(Code::WrongType, message, item.place)));
    };
    let pattern = checked_pattern(text, item.place)?;
    let is_plain = |part: &&str| !part.contains(['*', '?', '[']);
    let fixed: Vec<&str> = text.split('/').take_while(is_plain).collect();
    // The part before the first wildcard is walked alone: the rest of a repository may be large.
    let start = folder.join(fixed.join("/"));
    let is_here = start.as_os_str().is_empty();
    let start = if is_here { Path::new(".").to_owned() } else { start };
    let text_of = |path: &Path| path.to_string_lossy().into_owned();
    let candidates: Vec<String> = if sources.provided(root).is_some() {
        // A topology of a commit is put together from files of that commit alone.
        sources.provided_paths().map(str::to_owned).collect()
    } else if start.is_dir() {
        let below = load::files_below(&text_of(&start));
        // Paths are compared as they are written, without what stands for the current folder.
        let plain = |path: String| path.strip_prefix("./").map_or(path.clone(), str::to_owned);
        if is_here { below.into_iter().map(plain).collect() } else { below }
    } else {
        vec![text_of(&start)].into_iter().filter(|path| load::is_file(path)).collect()
    };
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let matches = |path: &String| {
        let within = Path::new(path).strip_prefix(folder).ok().map(text_of);
        path != root && within.is_some_and(|within| pattern.matches_with(&within, options))
    };
    let found: Vec<String> = candidates.into_iter().filter(matches).collect();
    if found.is_empty() {
        let message = format!("`{text}` matches no file beside `{root}`");
        let problem = Diagnostic::error(Code::Unreadable, message, item.place);
        return Err(Box::new(problem.help("what is not read cannot be judged: mend the pattern")));
    }
    let home = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    let leads_out =
        |path: &&String| sources.provided(path).is_none() && !load::is_within(path, &home);
    if let Some(path) = found.iter().find(leads_out) {
        let message = format!("`{path}` is a link that leads out of the folder of `{root}`");
        return Err(Box::new(Diagnostic::error(Code::Unreadable, message, item.place)));
    }
    Ok(found)
}

fn checked_pattern(text: &str, place: Place) -> Result<Pattern, Box<Diagnostic>> {
    let refuse = |reason: &str| {
        let message = format!("`{text}` {reason}");
        let problem = Diagnostic::error(Code::BadName, message, place);
        Box::new(problem.help("write a path below the folder of this file: `teams/*.yaml`"))
    };
    let is_absolute = text.starts_with(['/', '\\', '~']) || text.contains([':', '\\']);
    if is_absolute {
        return Err(refuse("is no path below the folder of this file"));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(refuse("leads out of the folder of this file"));
    }
    if text.is_empty() || text.split('/').any(|part| part.is_empty() || part == ".") {
        return Err(refuse("is no path of a file"));
    }
    if text.len() > PATTERN_MAX || text.matches(['*', '[']).count() > WILDCARDS_MAX {
        return Err(refuse("is too long, or has too many wildcards"));
    }
    Pattern::new(text).map_err(|error| refuse(&format!("is no pattern: {}", error.msg)))
}

/// Reads the parts of a topology; each must be a file of this kind itself.
fn read_parts(paths: &[String], sources: &mut Sources) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    let mut bytes = 0_u64;
    for path in paths {
        let size = sources.provided(path).map(|bytes| bytes.len() as u64);
        bytes = bytes.saturating_add(size.or_else(|| load::file_size(path)).unwrap_or(0));
        if bytes > BYTES_MAX {
            let limit = BYTES_MAX / (1024 * 1024);
            let message = format!("the parts of the topology have more than {limit} MiB");
            return Err(vec![Diagnostic::file_error(Code::TooLarge, message)]);
        }
        match load::read_document(path, sources) {
            Ok(document) => match Kind::of_document(&document) {
                Some(Kind::Topology) => parts.push(document),
                kind => problems.push(not_a_part(path, &document, kind)),
            },
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(parts) } else { Err(problems) }
}

fn not_a_part(path: &str, document: &Document, kind: Option<Kind>) -> Diagnostic {
    let kind = kind.map_or("no file of this program", Kind::describe);
    let message = format!("`{path}` is {kind}, not a part of a topology");
    Diagnostic::error(Code::WrongKind, message, document.root.place)
        .help("a part starts with `version: 1` and `topology: NAME`; leave other files out of the pattern")
}
