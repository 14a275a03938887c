//! Which service a file belongs to: patterns as in `CODEOWNERS`, the last that matches counts.

use globset::{Candidate, Glob, GlobBuilder, GlobSet};

use crate::diagnostic::{Code, Diagnostic};
use crate::model::topology::{ServiceId, Topology};

/// To whom a file belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To this service.
    To(ServiceId),
    /// To none, on purpose.
    ToNone,
    /// Nobody said.
    Unknown,
}

/// The patterns of all services, ready to be asked.
pub(super) struct Owners {
    globs: GlobSet,
    /// To whom files belong that match the pattern of this number; those that count more come later.
    owners: Vec<Belongs>,
    matches: Vec<usize>,
}

impl Owners {
    /// The `paths` of the services in the order in which they are written; before all of them, files
    /// that belong to none.
    pub(super) fn new(topology: &Topology, ignored: &[String]) -> Result<Self, Vec<Diagnostic>> {
        let mut services: Vec<_> = (0..).map(ServiceId).zip(&topology.services).collect();
        services.sort_by_key(|(_, service)| service.place.start);
        let ignored = ignored.iter().map(|pattern| (Belongs::ToNone, pattern));
        let owned = services.iter().flat_map(|(id, service)| {
            service.paths.iter().map(|pattern| (Belongs::To(*id), pattern))
        });
        let (mut globs, mut owners, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for (owner, pattern) in ignored.chain(owned) {
            match compile(pattern) {
                Ok(these) => {
                    owners.extend(these.iter().map(|_| owner));
                    globs.extend(these);
                }
                Err(error) => {
                    let message = format!("`{pattern}` is not a path pattern: {}", error.kind());
                    let problem = Diagnostic::file_error(Code::BadName, message);
                    wrong.push(problem.help("write for example `docs/**`"));
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let globs = GlobSet::new(globs).map_err(|error| {
            let message = format!("the path patterns cannot be used: {error}");
            vec![Diagnostic::file_error(Code::TooLarge, message).help("use fewer wildcards")]
        })?;
        Ok(Self { globs, owners, matches: Vec::new() })
    }

    /// To whom a file belongs.
    pub(super) fn of(&mut self, name: &[u8]) -> Belongs {
        let candidate = Candidate::from_bytes(name);
        self.globs.matches_candidate_into(&candidate, &mut self.matches);
        self.matches.iter().max().map_or(Belongs::Unknown, |last| self.owners[*last])
    }
}

/// The globs of a pattern. One without a slash matches in every folder, one that ends with a slash, or
/// whose last part has no wildcard, also all that is in the folder it names.
fn compile(pattern: &str) -> Result<Vec<Glob>, globset::Error> {
    let rooted = pattern.strip_prefix('/');
    let (name, is_folder) = match rooted.unwrap_or(pattern).strip_suffix('/') {
        Some(name) => (name, true),
        None => (rooted.unwrap_or(pattern), false),
    };
    let is_anywhere = rooted.is_none() && !name.contains('/') && !name.starts_with("**");
    let name = if is_anywhere { format!("**/{name}") } else { name.to_owned() };
    let last = name.rsplit('/').next().unwrap_or_default();
    let mut globs = Vec::new();
    if !is_folder {
        globs.push(glob(&name)?);
    }
    if is_folder || !last.contains(['*', '?', '[', '{', '}']) {
        globs.push(glob(&format!("{name}/**"))?);
    }
    Ok(globs)
}

fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()
}
