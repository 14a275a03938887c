//! Which services a diff touches, as data.

use serde::{Deserialize, Serialize};

use super::{GuessedKind, LeftOutReason};
use crate::model::diff::{Effect, LeftOut};
use crate::model::{Diff, Topology};

/// The files of a diff, and to whom they belong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FilesReport {
    /// How many files were named.
    pub files: u64,
    /// The services that some of them belong to.
    pub services: Vec<TouchedReport>,
    /// How many belong to no service, and nobody said that they do not.
    pub unmatched: u64,
    /// The first few of these.
    pub first_unmatched: Vec<String>,
    /// How many are said to belong to no service.
    pub ignored: u64,
    /// Which change no behaviour, by the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutReport>,
    /// Kind of change, guessed from the names of the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guessed_kind: Option<GuessedKind>,
}

/// A service that changed files belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TouchedReport {
    /// Its name.
    pub name: String,
    /// How many files.
    pub files: u64,
}

/// Changed files that change no behaviour, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LeftOutReport {
    /// The reason.
    pub reason: LeftOutReason,
    /// How many files.
    pub files: u64,
    /// The first of them.
    pub first: String,
}

fn left_out(part: &LeftOut) -> LeftOutReport {
    let reason = match part.effect {
        Effect::Comments => LeftOutReason::Comments,
        Effect::Generated => LeftOutReason::Generated,
        Effect::Test => LeftOutReason::Test,
        Effect::Documentation => LeftOutReason::Documentation,
        Effect::Behaviour | Effect::Dependency => LeftOutReason::None,
    };
    LeftOutReport { reason, files: part.files, first: part.first.clone() }
}

impl FilesReport {
    /// Puts names to the services of a diff.
    pub fn new(diff: &Diff, topology: &Topology) -> Self {
        let service = |touched: &crate::model::diff::Touched| TouchedReport {
            name: topology.services[touched.service.0 as usize].name.clone(),
            files: touched.files,
        };
        Self {
            files: diff.files,
            services: diff.services.iter().map(service).collect(),
            unmatched: diff.unmatched,
            first_unmatched: diff.first_unmatched.clone(),
            ignored: diff.ignored,
            left_out: diff.left_out.iter().map(left_out).collect(),
            guessed_kind: diff.kind.map(GuessedKind::from),
        }
    }
}
