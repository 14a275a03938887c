//! Which service a file belongs to: patterns as in `CODEOWNERS`, the last that matches counts.

use std::borrow::Cow;
use std::cell::Cell;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::path_pattern::PathPattern;
use crate::model::topology::{ServiceId, Topology};
use crate::sort::Arrange as _;

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

/// The patterns of all services, ready to be asked; those that count more come later.
pub(super) struct Owners {
    patterns: Vec<(PathPattern, Belongs)>,
    /// Steps that comparisons took so far.
    steps: Cell<u64>,
}

/// The most steps for all files of a diff: some seconds. Beside it, a thousand services with three patterns
/// each and ten thousand files take a hundredth.
const STEPS_MAX: u64 = 4_000_000_000;

impl Owners {
    /// The `paths` of the services in the order in which they are written; before all of them, files
    /// that belong to none.
    pub(super) fn new(topology: &Topology, ignored: &[String]) -> Result<Self, Vec<Diagnostic>> {
        let mut services: Vec<_> = (0..).map(ServiceId).zip(&topology.services).collect();
        // By place in the file and not by name, since of several owners the last one written
        // counts.
        services.arrange_by_key(|(_, service)| service.place.start);
        let ignored = ignored.iter().map(|pattern| (Belongs::ToNone, pattern));
        let owned = services.iter().flat_map(|(id, service)| {
            service.paths.iter().map(|pattern| (Belongs::To(*id), pattern))
        });
        let (mut patterns, mut wrong) = (Vec::new(), Vec::new());
        for (owner, text) in ignored.chain(owned) {
            match PathPattern::new(text) {
                // All patterns are read even after a wrong one, so that all problems are told at
                // once.
                Ok(pattern) => patterns.push((pattern, owner)),
                Err(error) => {
                    let message = format!("`{text}` is not a path pattern: {error}");
                    let problem = Diagnostic::file_error(Code::BadName, message);
                    wrong.push(problem.help("write for example `docs/**`"));
                }
            }
        }
        if wrong.is_empty() { Ok(Self { patterns, steps: Cell::new(0) }) } else { Err(wrong) }
    }

    /// Returns the problem that patterns and files are too many to be compared, if they are: then owners are
    /// not known.
    pub(super) fn overflow(&self) -> Option<Diagnostic> {
        (self.steps.get() >= STEPS_MAX).then(|| {
            let message =
                "the `paths` of all services are too much work for the files of this diff";
            Diagnostic::file_error(Code::TooLarge, message)
                .help("write fewer wildcards: `payments/**` is told apart by its beginning alone")
        })
    }

    /// To whom a file belongs. What is no text in a name is like any other single character.
    pub(super) fn owner_of(&self, name: &[u8]) -> Belongs {
        let name: Cow<'_, str> = String::from_utf8_lossy(name);
        // From the last, which counts most.
        let mut patterns = self.patterns.iter().rev();
        let last = patterns.find(|(pattern, _)| {
            self.steps.get() < STEPS_MAX && pattern.matches_path(&name, &self.steps)
        });
        last.map_or(Belongs::Unknown, |(_, owner)| *owner)
    }
}
