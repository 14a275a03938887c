//! The facts that conditions are evaluated over, as the evaluator asks for them.

use std::sync::Arc;

use super::value::{Ternary, Value};
use crate::policy::vocabulary::{Field, Variable};

/// Everything that a condition can ask for.
///
/// Conditions are checked before they are evaluated, so a field is only ever asked of a record that
/// has it. `error` is the chance that the interval of a simulated figure may miss the truth.
pub trait Facts {
    /// Returns the value of a variable.
    fn variable(&self, variable: Variable) -> Value;

    /// Returns the value of a field.
    fn field(&self, of: FactRecord, field: Field, error: f64) -> Value;

    /// Returns whether a field is known.
    fn is_known(&self, of: FactRecord, field: Field) -> bool;

    /// Returns all records of a map.
    fn records(&self, map: Map) -> Arc<[(Ternary, Value)]>;

    /// Returns the record of this name.
    fn named(&self, map: Map, name: &str) -> Value;
}

/// A map from names to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// All flows.
    Flows,
    /// All services.
    Services,
    /// The flows that the baseline has too.
    DeltaFlows,
    /// The services that the baseline has too.
    DeltaServices,
}

/// A service or a flow, by its number in the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A service.
    Service(usize),
    /// A flow.
    Flow(usize),
}

/// A record, by the number of what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the vocabulary says what each record is")]
pub enum FactRecord {
    Flow(usize),
    Service(usize),
    Dependency(usize),
    Total,
    Change,
    Source(usize),
    Target(usize),
    Rollout,
    Stage(usize),
    Detection,
    Rollback,
    Unknown(usize),
    Failures { unit: Unit, basis: Basis },
    Estimate { unit: Unit, event: TrialEvent, per_rollout: bool },
    Outage(usize),
    Objective(usize),
    Budget(usize),
    BudgetPerRollout(usize),
    Times { unit: Unit, span: MeasuredTime },
    PerRollout(Unit),
    PerRolloutCaused(Unit),
    TotalPerRollout,
    Losses { flow: Option<usize>, orders: Orders },
    MeanPerRollout { flow: Option<usize> },
    Money(usize),
    Delta,
    DeltaFlow(usize),
    DeltaService(usize),
    DeltaTotal,
    DeltaEstimate { unit: Unit, outcome: FailureDegree },
    DeltaMean { flow: Option<usize> },
}

/// Outcome of a service or a flow in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureDegree {
    /// It fails.
    Failed,
    /// It is degraded or worse.
    Degraded,
}

/// Which failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Those with the change.
    With,
    /// Those without it.
    Baseline,
    /// Those because of it.
    Caused,
}

/// An event that has a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialEvent {
    /// A service or a flow fails, or is degraded.
    Unit(Basis, FailureDegree),
    /// The outage of a flow leaves nothing of its error budget.
    Exhausts,
    /// The outage of a flow takes more than a quarter of what is left of its error budget.
    AtRisk,
    /// The outage of a flow is not over at the horizon.
    Unfinished,
}

/// A time that trials measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasuredTime {
    /// Until the first failure.
    FirstFailed,
    /// The total time in failure.
    FailedFor,
}

/// Which orders are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// All orders that are lost.
    Lost,
    /// Those that go wrong unnoticed.
    Wrong,
    /// Served, but late because of the change.
    Late,
}
