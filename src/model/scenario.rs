//! A scenario: the files that belong together, so that one path runs everything.

use std::path::Path;

use super::decode::kind::{self, Kind};
use super::decode::read::{Field, Mapping, Problems, Shape};
use crate::diagnostic::{Diagnostic, Place, Sources};
use crate::load::Document;

/// The files of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The topology.
    pub topology: FileRef,
    /// The planned changes, in the order written; may be empty.
    pub changes: Vec<FileRef>,
    /// Policies that say when to stop, the organisation's first; may be empty.
    pub policies: Vec<FileRef>,
    /// Waivers of rules.
    pub waivers: Option<FileRef>,
    /// Environment of the topology.
    pub environment: Option<String>,
}

/// A file that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// Its path, seen from where the program runs.
    pub path: String,
    /// Where it is named.
    pub place: Place,
}

pub(crate) const SCENARIO: Shape = Shape {
    what: "a scenario",
    keys: &[
        "version",
        "scenario",
        "topology",
        "change",
        "changes",
        "policy",
        "policies",
        "waivers",
        "environment",
    ],
    schema: "",
};

impl Scenario {
    /// Decodes a scenario file. Its paths are relative to its own folder. Its paths are seen from
    /// its own folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(document: &Document, sources: &Sources) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let folder = Path::new(&sources.get(document.source).name).parent();
        let folder = folder.unwrap_or(Path::new(""));
        let scenario = kind::open_document(document, Kind::Scenario, &SCENARIO, &problems)
            .and_then(|mapping| decode_scenario(&mapping, folder));
        problems.into_result(scenario)
    }
}

fn decode_scenario(mapping: &Mapping<'_>, folder: &Path) -> Option<Scenario> {
    mapping.not_both("change", "changes", "write all of them under `changes`");
    let name = mapping.get("scenario").and_then(|field| field.title());
    let topology =
        mapping.require("topology", "webshop.yaml").and_then(|field| file_ref(&field, folder));
    let one = mapping.get("change").and_then(|field| file_ref(&field, folder));
    mapping.not_both("policy", "policies", "write all of them under `policies`");
    let list = |key| {
        let files =
            |field: Field<'_>| field.items().filter_map(|item| file_ref(&item, folder)).collect();
        mapping.get(key).map_or_else(Vec::new, files)
    };
    let policy = mapping.get("policy").and_then(|field| file_ref(&field, folder));
    let waivers = mapping.get("waivers").and_then(|field| file_ref(&field, folder));
    let changes = one.into_iter().chain(list("changes")).collect();
    let policies = policy.into_iter().chain(list("policies")).collect();
    let environment = mapping.get("environment").and_then(|field| field.title());
    Some(Scenario { name: name?, topology: topology?, changes, policies, waivers, environment })
}

pub(crate) fn file_ref(field: &Field<'_>, folder: &Path) -> Option<FileRef> {
    let path = folder.join(field.title()?);
    // Texts in, texts out.
    let path = path.to_str().expect("joined from two texts").to_owned();
    Some(FileRef { path, place: field.place() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    #[test]
    fn paths_are_seen_from_the_folder_of_the_file() {
        let mut sources = Sources::default();
        let text = "version: 1\nscenario: s\ntopology: ../shop.yaml\nchanges: [a.yaml, /b.yaml]\n";
        let document =
            load::parse_document("runs/s.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        assert_eq!(Kind::of_document(&document), Some(Kind::Scenario));
        let scenario = Scenario::from_document(&document, &sources).unwrap();
        assert_eq!(scenario.topology.path, "runs/../shop.yaml");
        let changes: Vec<&str> = scenario.changes.iter().map(|file| &*file.path).collect();
        assert_eq!(changes, ["runs/a.yaml", "/b.yaml"]);
        assert_eq!(scenario.policies, []);
    }
}
