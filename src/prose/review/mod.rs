//! An incident review: what happened, what a simulation of it says, where the two differ, what held,
//! and what would have helped; to be pasted into a post-mortem.
//!
//! Its sections are blocks of sentences and tables; each format writes them its way.

mod sections;
mod timeline;

use crate::prose::simulation::Wording;
use crate::report::replay::IncidentReport;
use crate::report::{AdviseReport, CascadeReport, ObservedReport, Report};

/// An incident, and what was simulated of it. All are of the same topology and change.
#[derive(Clone, Copy, Debug)]
pub struct Review<'a> {
    /// The simulation.
    pub report: &'a Report,
    /// The part of it that fits into a picture.
    pub focus: &'a CascadeReport,
    /// Observations with their times.
    pub observed: &'a ObservedReport,
    /// Comparison of what was observed with what the simulation finds most likely.
    pub replayed: &'a IncidentReport,
    /// Advice on what would have helped.
    pub advice: &'a AdviseReport,
}

/// The sections of a review, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReviewSection {
    Summary,
    Timeline,
    Cascade,
    Comparison,
    Protections,
    Advice,
    Grounds,
}

impl ReviewSection {
    /// Returns the anchor of the section in a page.
    pub(crate) fn anchor(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Timeline => "timeline",
            Self::Cascade => "cascade",
            Self::Comparison => "compared",
            Self::Protections => "held",
            Self::Advice => "advice",
            Self::Grounds => "assumed",
        }
    }

    /// Returns the heading of the section.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Summary => "Summary",
            Self::Timeline => "Timeline",
            Self::Cascade => "Cascade",
            Self::Comparison => "Seen and simulated",
            Self::Protections => "What contained it",
            Self::Advice => "What would have helped",
            Self::Grounds => "What this rests on",
        }
    }
}

/// A section of a review with its content.
pub(crate) struct ReviewPart {
    pub(crate) section: ReviewSection,
    pub(crate) blocks: Vec<ReviewBlock>,
}

/// Block of a section; texts are in the wording that was asked for.
pub(crate) enum ReviewBlock {
    Said(String),
    List(Vec<String>),
    /// Tasks that somebody could do.
    Tasks(Vec<String>),
    /// The first row is the head.
    Table(Vec<Vec<String>>),
    Cascade,
    Timeline,
}

impl Review<'_> {
    /// Its title, as plain text.
    pub(crate) fn review_title(&self) -> String {
        format!("Incident review: {}", self.observed.incident)
    }

    /// All sections that say something.
    pub(crate) fn review_parts(&self, wording: &Wording) -> Vec<ReviewPart> {
        let parts = [
            (ReviewSection::Summary, sections::summary_section(self, wording)),
            (ReviewSection::Timeline, timeline::timeline_blocks(self, wording)),
            (ReviewSection::Cascade, sections::cascade_section(self)),
            (ReviewSection::Comparison, sections::compared_section(self, wording)),
            (ReviewSection::Protections, sections::protections_section(self, wording)),
            (ReviewSection::Advice, sections::advice_section(self, wording)),
            (ReviewSection::Grounds, sections::grounds_section(self, wording)),
        ];
        let parts = parts.map(|(section, blocks)| ReviewPart { section, blocks });
        parts.into_iter().filter(|part| !part.blocks.is_empty()).collect()
    }
}
