//! Docker Compose: files in the order of `-f`, with `.env`, overrides, `include`, `extends` and
//! profiles; and what `docker compose config --format json` prints.
//!
//! `depends_on` is start order and stays that unless an address confirms it.

mod files;
mod interpolate;
mod service;
mod system;

use self::files::ComposeReader;
use self::service::Services;
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load;

/// In which order Compose looks for its files in a directory, with the override that goes with each.
const USUAL_NAMES: [(&str, &str); 4] = [
    ("compose.yaml", "compose.override.yaml"),
    ("compose.yml", "compose.override.yml"),
    ("docker-compose.yml", "docker-compose.override.yml"),
    ("docker-compose.yaml", "docker-compose.override.yaml"),
];

/// Reads Compose files.
pub(in crate::import) fn read_projects(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let files: Vec<String> = input.files.iter().flat_map(|path| expand_directory(path)).collect();
    let mut services = Services::new();
    let first = files.first().map_or("", String::as_str);
    let mut reader = ComposeReader::new(input, graph, first);
    for path in &files {
        reader.read_file(path, &mut services, 0)?;
    }
    if services.is_empty() {
        return Err(not_of(Format::Compose, first, "it has no `services`"));
    }
    system::add_services(&services, &mut reader);
    reader.warn_of_the_unknown();
    Ok(())
}

/// Returns the files that Compose would read in a directory; environment files are found by
/// themselves.
fn expand_directory(path: &str) -> Vec<String> {
    if path.rsplit('.').next() == Some("env") {
        return Vec::new();
    }
    if path == "-" || load::is_file(path) {
        return vec![path.to_owned()];
    }
    let folder = path.trim_end_matches('/');
    for (name, with) in USUAL_NAMES {
        let (file, with) = (format!("{folder}/{name}"), format!("{folder}/{with}"));
        if load::is_file(&file) {
            return if load::is_file(&with) { vec![file, with] } else { vec![file] };
        }
    }
    vec![path.to_owned()]
}
