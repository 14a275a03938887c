//! The shape of a comparison: two or more architectures, or plans, under the same trials.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ComparedKind, ComponentKind, Interval, Metric, Protection, Report};

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/compare/v1";

/// Differences between architectures, or plans, when the same trials are simulated on each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CompareReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// Kind of the sides: topologies under one change, or changes to one topology.
    pub of: ComparedKind,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials were run on each side.
    pub trials: u64,
    /// Whether it was interrupted, so that fewer trials were run than asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Metric of the comparison: orders lost; the failing share in snapshots and where no flow has
    /// a rate.
    pub metric: Metric,
    /// Pairs of the earlier and the later name of the same thing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renames: Vec<[String; 2]>,
    /// Sides that were compared, in the order given.
    pub sides: Vec<SideReport>,
    /// Each side but the first against the first.
    pub pairs: Vec<PairReport>,
}

/// One of the things compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SideReport {
    /// Name of the side: that of its topology or change, or its file where names repeat.
    pub name: String,
    /// Result of `simulate`, without unknowns and example trials.
    pub result: Report,
    /// Services and failure domains that fail a flow when they alone are down.
    pub single_points: Vec<SinglePoint>,
}

/// A service or failure domain that fails flows when it alone is completely down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SinglePoint {
    /// Its name.
    pub name: String,
    /// A service or a failure domain.
    pub kind: ComponentKind,
    /// The flows that then fail.
    pub flows: Vec<String>,
}

/// Two sides: what the second has more or less of than the first. All differences are the second
/// minus the first, from differences within each trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PairReport {
    /// The first side, by name.
    pub a: String,
    /// The second side.
    pub b: String,
    /// Whether nothing that is simulated differs: then all differences are exactly 0.
    pub identical: bool,
    /// The difference in a sentence.
    pub verdict: String,
    /// Over all flows that both have.
    pub total: LossDifference,
    /// Flows that both have, by name.
    pub flows: Vec<FlowDifference>,
    /// Services that both have and whose chance to fail differs in some trial, most different first.
    pub services: Vec<UnitDifference>,
    /// Calls at which only the first contains failure.
    pub only_a_contains: Vec<OnlyContained>,
    /// Calls at which only the second does.
    pub only_b_contains: Vec<OnlyContained>,
    /// Single points of failure that only the second has.
    pub single_points_gained: Vec<String>,
    /// Single points of failure that only the first has.
    pub single_points_lost: Vec<String>,
    /// Services and flows that only the first has.
    pub only_in_a: Vec<String>,
    /// Services and flows that only the second has.
    pub only_in_b: Vec<String>,
}

/// A difference with its 95% interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Difference {
    /// The mean of the differences.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Difference {
    /// Whether its interval leaves no doubt of its sign.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// How two sides differ in what they lose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LossDifference {
    /// The mean of the first.
    pub a: f64,
    /// The mean of the second.
    pub b: f64,
    /// The difference.
    pub difference: Difference,
    /// The same as a share of the mean of the first; absent where that is not clearly above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<Difference>,
    /// In which share of trials the first loses more.
    pub a_loses_more: Interval,
    /// In which share the second does.
    pub b_loses_more: Interval,
}

/// A flow that both have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FlowDifference {
    /// Its name.
    pub name: String,
    /// Of the probability that it fails.
    pub failed: Difference,
    /// Of the probability that it is degraded or worse.
    pub degraded: Difference,
    /// Of its peak failing share.
    pub failing_share: Difference,
    /// Orders lost, where both count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<LossDifference>,
}

/// A service that both have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UnitDifference {
    /// Its name.
    pub name: String,
    /// Of the probability that it fails.
    pub failed: Difference,
    /// Of the mean of its peak failing share; no interval is known.
    pub failing_share: f64,
}

/// A call at which one side contains failure that the other does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OnlyContained {
    /// Who calls.
    pub caller: String,
    /// Callee of the dependency.
    pub dependency: String,
    /// In which share of trials this side contained failure while it passed on the other; where the
    /// other has no such call, in which share it was contained.
    pub share: f64,
    /// Whether the other side has this call at all.
    pub in_both: bool,
    /// Shares of all trials in which each protection contained it.
    pub by: BTreeMap<Protection, f64>,
}
