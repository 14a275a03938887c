//! Planned changes of other programs to a change file: plans, manifests, rollouts and flags.
//!
//! Files come in, a [`ChangeDraft`] of effects is filled, and a change file goes out whose comments
//! say why each line is there. A changed resource that belongs to no service stays in the file as
//! `unmatched`: nobody knows what it breaks, so the gate asks for caution.

mod draft;
mod equal;
mod flags;
mod manifests;
mod owners;
mod resource_types;
mod rollouts;
mod shipping;
mod terraform;
mod workloads;
mod write;

use std::fmt::Write as _;

use self::draft::ChangeDraft;
use self::owners::ResourceOwners;
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{self, Document};
use crate::model::Topology;

word_enums! {
    /// Format of files that say what is about to change.
    ChangeFormat {
        /// Plans of Terraform and `OpenTofu`, as JSON.
        Terraform = "terraform",
        /// Rendered manifests, before and after.
        Kubernetes = "kubernetes",
        /// Rollouts of Argo: how a new version of each is shipped.
        ArgoRollouts = "argo-rollouts",
        /// Canaries of Flagger: how a new version of each is shipped.
        Flagger = "flagger",
        /// Flags of `LaunchDarkly`: as they will be, or before and after.
        Launchdarkly = "launchdarkly",
        /// Flags of flagd, the reference of `OpenFeature`: as they will be, or before and after.
        Openfeature = "openfeature",
    }
}

impl ChangeFormat {
    /// Returns the phrase for the files that it takes.
    fn expected_files(self) -> &'static str {
        match self {
            Self::Terraform => "one plan or more (`terraform show -json PLAN > plan.json`)",
            Self::Kubernetes => "two files or directories: the manifests before and after",
            Self::ArgoRollouts => "manifests of `kind: Rollout`",
            Self::Flagger => "manifests of `kind: Canary`",
            Self::Launchdarkly | Self::Openfeature => {
                "one export of flags as they will be, or two: before and after"
            }
        }
    }
}

/// A request to derive a change from files.
#[derive(Clone, Debug)]
pub struct ChangeRequest<'a> {
    /// Format of the files.
    pub format: ChangeFormat,
    /// The files, or directories of them.
    pub files: &'a [String],
    /// Name of the change.
    pub name: &'a str,
    /// Patterns of resources that belong to no service on purpose.
    pub ignored: &'a [String],
    /// The environment of flags that is changed; `None` = the only one, or `production`.
    pub environment: Option<&'a str>,
}

/// A change file made from files of another program.
#[derive(Clone, Debug)]
pub struct DerivedChange {
    /// The text of the change file.
    pub text: String,
    /// Assumptions, in sentences.
    pub assumptions: Vec<String>,
    /// How many resources change, and what became of them, in a sentence.
    pub summary: String,
}

/// Derives a change from files, for the services of a topology.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub fn derive_change(
    request: &ChangeRequest<'_>,
    topology: &Topology,
    sources: &mut Sources,
) -> Result<DerivedChange, Vec<Diagnostic>> {
    if let Some(empty) = request.ignored.iter().find(|pattern| pattern.trim().is_empty()) {
        let message = format!("`{empty}` is an empty pattern of resources to ignore");
        return Err(vec![Diagnostic::file_error(Code::BadName, message)]);
    }
    let owners = ResourceOwners::new(topology, request.ignored);
    let mut draft = ChangeDraft::default();
    match request.format {
        ChangeFormat::Terraform => {
            for path in request.files {
                for document in read_all(path, sources)? {
                    terraform::read_plan(path, &document.root, &owners, &mut draft)?;
                }
            }
        }
        ChangeFormat::Kubernetes => {
            let [old, new] = two_files(request)?;
            let (old, new) = (read_manifests(old, sources)?, read_manifests(new, sources)?);
            manifests::compare_manifests(&old, &new, &owners, &mut draft);
        }
        ChangeFormat::ArgoRollouts | ChangeFormat::Flagger => {
            let mut documents = Vec::new();
            for path in request.files {
                documents.extend(read_manifests(path, sources)?);
            }
            let kind = match request.format {
                ChangeFormat::Flagger => "Canary",
                _ => "Rollout",
            };
            if !rollouts::ship_new_versions(&documents, kind, &owners, &mut draft) {
                return Err(vec![nothing_found(request)]);
            }
        }
        ChangeFormat::Launchdarkly | ChangeFormat::Openfeature => {
            let (old, new) = if let [new] = request.files {
                (None, new.as_str())
            } else {
                let [old, new] = two_files(request)?;
                (Some(old), new)
            };
            let old = match old {
                Some(old) => Some(flags::read_flags(request, old, sources)?),
                None => None,
            };
            let new = flags::read_flags(request, new, sources)?;
            flags::compare_flags(old.as_ref(), &new, &owners, &mut draft);
        }
    }
    let summary = summary_of(&draft);
    let origin = format!("{} ({})", request.files.join(", "), request.format.as_str());
    let (text, assumptions) = write::write_change(request.name, &origin, &draft, topology);
    Ok(DerivedChange { text, assumptions, summary })
}

/// The documents of a file.
fn read_all(path: &str, sources: &mut Sources) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let documents = load::read_foreign(path, sources)?;
    let problems: Vec<Diagnostic> =
        documents.iter().flat_map(|document| document.problems.clone()).collect();
    // A key that stands there twice leaves open what is meant, so nothing is derived from it.
    if problems.iter().any(Diagnostic::is_error) { Err(problems) } else { Ok(documents) }
}

/// The manifests of a file, or of all files below a directory.
fn read_manifests(
    path: &str,
    sources: &mut Sources,
) -> Result<Vec<(String, Document)>, Vec<Diagnostic>> {
    let mut files = vec![path.to_owned()];
    if path != "-" && !load::is_file(path) {
        files = load::files_below(path);
        files.retain(|file| [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end)));
        if files.is_empty() {
            let message = format!("no manifest is in `{path}`");
            return Err(vec![Diagnostic::file_error(Code::Empty, message)]);
        }
    }
    let mut documents = Vec::new();
    for file in files {
        documents.extend(read_all(&file, sources)?.into_iter().map(|read| (file.clone(), read)));
    }
    if documents.iter().all(|(_, document)| document.root.get("kind").is_none()) {
        let message = format!("`{path}` holds no object with a `kind`");
        let help = "render it first: `helm template`, `kustomize build`";
        return Err(vec![Diagnostic::file_error(Code::WrongKind, message).help(help)]);
    }
    Ok(documents)
}

fn two_files<'a>(request: &ChangeRequest<'a>) -> Result<[&'a str; 2], Vec<Diagnostic>> {
    if let [old, new] = request.files {
        return Ok([old, new]);
    }
    let format = request.format;
    let message = format!(
        "`{}` takes {}, but {} are given",
        format.as_str(),
        format.expected_files(),
        request.files.len()
    );
    Err(vec![Diagnostic::file_error(Code::WrongKind, message)])
}

fn nothing_found(request: &ChangeRequest<'_>) -> Diagnostic {
    let message = format!(
        "`{}` takes {}, but none is in {}",
        request.format.as_str(),
        request.format.expected_files(),
        request.files.join(", ")
    );
    Diagnostic::file_error(Code::Empty, message)
}

/// Returns how many resources change, and what became of them, in a sentence.
fn summary_of(draft: &ChangeDraft) -> String {
    let count = |number: u64, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    let mut text = format!(
        "{}: {} touched",
        count(draft.resources, "changed resource", "changed resources"),
        count(draft.effects.len() as u64, "service", "services")
    );
    let left_out: usize = draft.left_out.values().map(Vec::len).sum();
    if left_out > 0 {
        let _ = write!(text, ", {left_out} without effect");
    }
    if !draft.unmatched.is_empty() {
        let _ = write!(text, ", {} of no known service", draft.unmatched.len());
    }
    text
}
