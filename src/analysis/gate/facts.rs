//! The facts of a simulation: the topology, the change, and what was counted so far.

use crate::compile::plan::{DependencyId, FlowId};
use std::sync::Arc;

use super::{baseline, interval};
use crate::analysis::reach::Reach;
use crate::analysis::{budget, exact};
use crate::engine::Tally;
use crate::engine::outcome::{Anomalies, Failures};
use crate::engine::sketch::Sketch;
use crate::engine::tally::UnitTally;
use crate::model::change::{Author, ChangeKind, Component, Routing, TargetRef};
use crate::model::topology::{Caller, Dependency};
use crate::model::units::Seconds;
use crate::model::{Change, Topology, defaults};
use crate::policy::evaluate::{
    Basis, FactRecord, Facts, FailureDegree, Figure, Map, MeasuredTime, Metric, Number, Orders,
    Statistic, Ternary, TrialEvent, Unit, Value,
};
use crate::policy::expression::parse_timestamp;
use crate::policy::vocabulary::{
    BudgetField, BudgetPerRolloutField, ChangeField, DeltaField, DeltaFlowField, DeltaServiceField,
    DependencyField, DetectionField, EstimateField, FailuresField, Field, FlowField, LossesField,
    MoneyField, ObjectiveField, OutageField, PerRolloutField, RollbackField, RolloutField,
    ServiceField, SourceField, StageField, TargetField, TimesField, TotalField, UnknownField,
    Variable,
};
use crate::report::compare::SinglePoint;
use crate::report::{Interval, Report, UnitReport, Unknown};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Facts for conditions: the trials simulated so far, and the scenario.
pub(super) struct TrialFacts<'a> {
    pub(super) topology: &'a Topology,
    pub(super) change: &'a Change,
    pub(super) failure_probability: f64,
    pub(super) tally: &'a Tally,
    /// Which checkpoint this is, from 1.
    pub(super) checkpoint: u32,
    pub(super) unknowns: &'a [Unknown],
    /// The current time in seconds since 1970, where the user gives it.
    pub(super) now: Option<f64>,
    pub(super) baseline: Option<&'a Report>,
    /// The single points of failure of this topology.
    pub(super) single_points: &'a [SinglePoint],
    /// The dependencies as declared, in the order of their tallies: looking each up by its number
    /// would take quadratic time.
    pub(super) dependencies: &'a [(Caller, &'a Dependency)],
    pub(super) intervals: &'a interval::IntervalCache,
    /// Units that the change could hit at all: nothing else does it in any trial.
    pub(super) reach: &'a Reach,
    /// The exact probabilities by unit, where they are known: they decide.
    pub(super) exact: Option<&'a [exact::Values]>,
    /// By flow: the outage minutes that are already spent of its error budget.
    pub(super) spent: &'a [f64],
    /// Whether figures are taken at their estimates, without their intervals.
    pub(super) is_point: bool,
}

/// A value with the ends of its interval.
#[derive(Clone, Copy)]
struct IntervalEnds {
    low: f64,
    value: f64,
    high: f64,
}

impl IntervalEnds {
    fn named(self, path: String, unit: impl Into<Option<Unit>>, metric: Metric) -> Value {
        let Self { low, value, high } = self;
        let figure = Figure { path, unit: unit.into(), metric };
        Value::Number(Number { low, value, high, figure: Some(Arc::new(figure)) })
    }

    fn exact(value: f64) -> Self {
        Self { low: value, value, high: value }
    }

    fn scaled_by(self, factor: f64) -> Self {
        Self { low: self.low * factor, value: self.value * factor, high: self.high * factor }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            value: self.value + other.value,
            high: self.high + other.high,
        }
    }
}

impl Facts for TrialFacts<'_> {
    fn variable(&self, variable: Variable) -> Value {
        match variable {
            Variable::Flows => Value::Map(Map::Flows),
            Variable::Services => Value::Map(Map::Services),
            Variable::Dependencies => {
                Value::records(self.tally.dependencies.len(), FactRecord::Dependency)
            }
            Variable::Total => Value::Record(FactRecord::Total),
            Variable::Change => Value::Record(FactRecord::Change),
            Variable::Unknowns => Value::records(self.unknowns.len(), FactRecord::Unknown),
            Variable::Metastable => self.anomalous_services(|counts| counts.metastable),
            Variable::NeverRecovers => self.anomalous_services(|counts| counts.never_recovers),
            Variable::Delta if self.baseline.is_none() => {
                Value::missing("it needs an earlier result. Add `--baseline RESULT`")
            }
            Variable::Delta => Value::Record(FactRecord::Delta),
            Variable::Now => self.now.map_or_else(missing_now, Value::Timestamp),
        }
    }

    fn records(&self, map: Map) -> Arc<[(Ternary, Value)]> {
        let (count, record): (usize, fn(usize) -> FactRecord) = match map {
            Map::Flows => (self.topology.flows.len(), FactRecord::Flow),
            Map::Services => (self.topology.services.len(), FactRecord::Service),
            Map::DeltaFlows => (self.topology.flows.len(), FactRecord::DeltaFlow),
            Map::DeltaServices => (self.topology.services.len(), FactRecord::DeltaService),
        };
        let is_there = |index: &usize| match map {
            Map::Flows | Map::Services => true,
            Map::DeltaFlows => self.unit_before(Unit::Flow(*index)).is_some(),
            Map::DeltaServices => self.unit_before(Unit::Service(*index)).is_some(),
        };
        let there = (0..count).filter(is_there);
        there.map(|index| (Ternary::True, Value::Record(record(index)))).collect()
    }

    fn named(&self, map: Map, name: &str) -> Value {
        // Flows and services are sorted by name.
        let flow = || self.topology.flows.binary_search_by(|flow| flow.name.as_str().cmp(name));
        let service =
            || self.topology.services.binary_search_by(|service| service.name.as_str().cmp(name));
        let in_both = |unit: &Unit| self.unit_before(*unit).is_some();
        let (what, found) = match map {
            Map::Flows => ("flow", flow().ok().map(FactRecord::Flow)),
            Map::Services => ("service", service().ok().map(FactRecord::Service)),
            Map::DeltaFlows => (
                "flow in both results",
                flow().ok().filter(|flow| in_both(&Unit::Flow(*flow))).map(FactRecord::DeltaFlow),
            ),
            Map::DeltaServices => (
                "service in both results",
                (service().ok().filter(|service| in_both(&Unit::Service(*service))))
                    .map(FactRecord::DeltaService),
            ),
        };
        found.map_or_else(|| Value::missing(format!("there is no {what} `{name}`")), Value::Record)
    }

    fn is_known(&self, of: FactRecord, field: Field) -> bool {
        match field {
            Field::Change(ChangeField::Rollout) => self.change.rollout.is_some(),
            Field::Change(ChangeField::Detection) => self.change.detection.is_some(),
            Field::Change(ChangeField::Rollback) => self.change.rollback.is_some(),
            Field::Change(ChangeField::FailureProbability) => {
                self.change.failure_probability.is_some()
            }
            _ => match self.field(of, field, 0.05) {
                Value::Missing(_) => false,
                Value::Record(
                    FactRecord::Losses { flow, .. } | FactRecord::MeanPerRollout { flow },
                ) => self.counts_orders(flow),
                Value::Record(FactRecord::Outage(_) | FactRecord::Budget(_)) => {
                    !self.change.is_moment()
                }
                Value::Record(FactRecord::Estimate { event: TrialEvent::Unfinished, .. }) => {
                    !self.change.is_moment()
                }
                Value::Record(FactRecord::Money(flow)) => {
                    self.counts_orders(Some(flow)) && self.topology.flows[flow].value.is_some()
                }
                _ => true,
            },
        }
    }

    fn field(&self, of: FactRecord, field: Field, error: f64) -> Value {
        match self.known_field(of, field, error) {
            Value::Number(number) if self.is_point => {
                Value::Number(Number { low: number.value, high: number.value, ..number })
            }
            value => value,
        }
    }
}

impl TrialFacts<'_> {
    fn known_field(&self, of: FactRecord, field: Field, error: f64) -> Value {
        match (of, field) {
            (FactRecord::Flow(flow), Field::Flow(field)) => self.flow_field(flow, field, error),
            (FactRecord::Service(service), Field::Service(field)) => {
                self.service_field(service, field, error)
            }
            (FactRecord::Dependency(index), Field::Dependency(field)) => {
                self.dependency_field(index, field, error)
            }
            (FactRecord::Total, Field::Total(field)) => match field {
                TotalField::OrdersLost => {
                    Value::Record(FactRecord::Losses { flow: None, orders: Orders::Lost })
                }
                TotalField::PerRollout => Value::Record(FactRecord::TotalPerRollout),
            },
            (FactRecord::TotalPerRollout, Field::TotalPerRollout(_)) => {
                Value::Record(FactRecord::MeanPerRollout { flow: None })
            }
            (FactRecord::Change, Field::Change(field)) => self.change_field(field),
            (FactRecord::Source(index), Field::Source(field)) => self.source_field(index, field),
            (FactRecord::Target(index), Field::Target(field)) => self.target_field(index, field),
            (FactRecord::Rollout, Field::Rollout(field)) => self.rollout_field(field),
            (FactRecord::Stage(index), Field::Stage(field)) => self.stage_field(index, field),
            (FactRecord::Detection, Field::Detection(field)) => self.detection_field(field),
            (FactRecord::Rollback, Field::Rollback(field)) => self.rollback_field(field),
            (FactRecord::Unknown(index), Field::Unknown(field)) => self.unknown_field(index, field),
            (
                FactRecord::Estimate { unit, event, per_rollout },
                Field::Estimate(EstimateField::P),
            ) => self.probability(unit, event, per_rollout, error),
            (FactRecord::Failures { unit, basis }, Field::Failures(field)) => {
                failures_field(unit, basis, false, field)
            }
            (FactRecord::PerRolloutCaused(unit), Field::Failures(field)) => {
                failures_field(unit, Basis::Caused, true, field)
            }
            (FactRecord::Outage(flow), Field::Outage(field)) => {
                self.outage_field(flow, field, error)
            }
            (FactRecord::Objective(flow), Field::Objective(field)) => {
                self.objective_field(flow, field)
            }
            (FactRecord::Budget(flow), Field::Budget(field)) => {
                self.budget_field(flow, field, error)
            }
            (FactRecord::BudgetPerRollout(flow), Field::BudgetPerRollout(field)) => {
                let event = match field {
                    BudgetPerRolloutField::Exhausts => TrialEvent::Exhausts,
                    BudgetPerRolloutField::AtRisk => TrialEvent::AtRisk,
                    BudgetPerRolloutField::Unfinished => TrialEvent::Unfinished,
                };
                event_of(Unit::Flow(flow), event, true)
            }
            (FactRecord::PerRollout(unit), Field::PerRollout(field)) => {
                per_rollout_field(unit, field)
            }
            (FactRecord::Times { unit, span }, Field::Times(field)) => {
                self.times_field(unit, span, field, error)
            }
            (FactRecord::Losses { flow, orders }, Field::Losses(field)) => {
                match self.orders(flow, orders, field, error) {
                    Ok(ends) => ends.named(
                        format!("{}.{}", self.losses_path(flow, orders), field.as_str()),
                        flow.map(Unit::Flow),
                        Metric::Orders(statistic_of(field)),
                    ),
                    Err(missing) => missing,
                }
            }
            (FactRecord::MeanPerRollout { flow }, Field::Mean(_)) => {
                match self.orders(flow, Orders::Lost, LossesField::Mean, error) {
                    Ok(ends) => ends.scaled_by(self.failure_probability).named(
                        format!("{}.per_rollout.orders_lost.mean", self.path_of(flow)),
                        flow.map(Unit::Flow),
                        Metric::Other,
                    ),
                    Err(missing) => missing,
                }
            }
            (FactRecord::Money(flow), Field::Money(field)) => self.money_field(flow, field, error),
            (FactRecord::Delta, Field::Delta(field)) => self.delta_field(field),
            (FactRecord::DeltaFlow(flow), Field::DeltaFlow(field)) => {
                let estimate =
                    |outcome| FactRecord::DeltaEstimate { unit: Unit::Flow(flow), outcome };
                match field {
                    DeltaFlowField::Name => Value::text(&self.topology.flows[flow].name),
                    DeltaFlowField::OrdersLost => {
                        Value::Record(FactRecord::DeltaMean { flow: Some(flow) })
                    }
                    DeltaFlowField::Failed => Value::Record(estimate(FailureDegree::Failed)),
                    DeltaFlowField::Degraded => Value::Record(estimate(FailureDegree::Degraded)),
                }
            }
            (FactRecord::DeltaService(service), Field::DeltaService(field)) => {
                let unit = Unit::Service(service);
                let estimate = |outcome| FactRecord::DeltaEstimate { unit, outcome };
                match field {
                    DeltaServiceField::Name => Value::text(&self.topology.services[service].name),
                    DeltaServiceField::Failed => Value::Record(estimate(FailureDegree::Failed)),
                    DeltaServiceField::Degraded => Value::Record(estimate(FailureDegree::Degraded)),
                }
            }
            (FactRecord::DeltaTotal, Field::DeltaTotal(_)) => {
                Value::Record(FactRecord::DeltaMean { flow: None })
            }
            (FactRecord::DeltaEstimate { unit, outcome }, Field::Estimate(EstimateField::P)) => {
                self.probability_difference(unit, outcome, error)
            }
            (FactRecord::DeltaMean { flow }, Field::Mean(_)) => self.mean_difference(flow, error),
            _ => unreachable!("conditions were checked when they were read"),
        }
    }

    /// Returns the names of the services with an anomaly in some trial; those that the change never
    /// touches have it anyway, and are not its doing.
    fn anomalous_services(&self, count_of: fn(&Anomalies<u64>) -> u64) -> Value {
        let services = self.topology.services.iter().enumerate().zip(&self.tally.anomalies);
        let anomalous = services.filter(|((index, _), counts)| {
            // An anomaly that the change does not even degrade is one of the topology.
            count_of(counts) > 0 && self.tally.units[*index].caused.degraded > 0
        });
        Value::texts(anomalous.map(|((_, service), _)| &*service.name))
    }

    fn unit_tally(&self, unit: Unit) -> &UnitTally {
        &self.tally.units[self.unit_index(unit)]
    }

    fn unit_index(&self, unit: Unit) -> usize {
        match unit {
            Unit::Service(index) => index,
            // Flows come last, after services and endpoints.
            Unit::Flow(index) => self.tally.units.len() - self.topology.flows.len() + index,
        }
    }

    fn flow_field(&self, index: usize, field: FlowField, error: f64) -> Value {
        let flow = &self.topology.flows[index];
        let unit = Unit::Flow(index);
        match field {
            FlowField::Name => Value::text(&flow.name),
            FlowField::Title => Value::text(flow.title.as_ref().unwrap_or(&flow.name)),
            FlowField::Critical => Value::Bool(Ternary::known(flow.critical)),
            FlowField::RatePerS => flow.rate.map_or_else(
                || Value::missing(format!("flow `{}` has no rate", flow.name)),
                |rate| Value::number(rate.get()),
            ),
            FlowField::Judged => Value::Bool(Ternary::known(self.topology.is_judged(flow))),
            FlowField::Failed => estimate_record(unit, FailureDegree::Failed),
            FlowField::Degraded => estimate_record(unit, FailureDegree::Degraded),
            FlowField::Baseline => failures_record(unit, Basis::Baseline),
            FlowField::Caused => failures_record(unit, Basis::Caused),
            FlowField::Lost => Value::Record(FactRecord::Outage(index)),
            FlowField::Objective => Value::Record(FactRecord::Objective(index)),
            FlowField::Budget => Value::Record(FactRecord::Budget(index)),
            FlowField::Unfinished => event_of(unit, TrialEvent::Unfinished, false),
            FlowField::FailingShare => self.failing_share(unit, error),
            FlowField::LateShare => self.late_share(unit, error),
            FlowField::FirstFailedS => times_record(unit, MeasuredTime::FirstFailed),
            FlowField::FailedForS => times_record(unit, MeasuredTime::FailedFor),
            FlowField::OrdersLost => {
                Value::Record(FactRecord::Losses { flow: Some(index), orders: Orders::Lost })
            }
            FlowField::WrongOrders => {
                Value::Record(FactRecord::Losses { flow: Some(index), orders: Orders::Wrong })
            }
            FlowField::LateOrders => {
                Value::Record(FactRecord::Losses { flow: Some(index), orders: Orders::Late })
            }
            FlowField::MoneyLost => Value::Record(FactRecord::Money(index)),
            FlowField::PerRollout => Value::Record(FactRecord::PerRollout(unit)),
        }
    }

    fn service_field(&self, index: usize, field: ServiceField, error: f64) -> Value {
        let service = &self.topology.services[index];
        let unit = Unit::Service(index);
        let unsaid = |what: &str| format!("service `{}` does not say its {what}", service.name);
        match field {
            ServiceField::Name => Value::text(&service.name),
            ServiceField::Title => Value::text(service.title.as_ref().unwrap_or(&service.name)),
            ServiceField::Kind => Value::text(&service.kind),
            ServiceField::Team => Value::text_or(service.team.as_deref(), || unsaid("team")),
            ServiceField::Tier => service.tier.map_or_else(
                || Value::missing(unsaid("tier")),
                |tier| Value::number(f64::from(tier)),
            ),
            ServiceField::IsTarget => {
                Value::Bool(Ternary::known(self.change.targets.iter().any(|target| {
                    matches!(target.on, TargetRef::Node(node) if node.service.0 as usize == index)
                })))
            }
            ServiceField::Failed => estimate_record(unit, FailureDegree::Failed),
            ServiceField::Degraded => estimate_record(unit, FailureDegree::Degraded),
            ServiceField::Baseline => failures_record(unit, Basis::Baseline),
            ServiceField::Caused => failures_record(unit, Basis::Caused),
            ServiceField::FailingShare => self.failing_share(unit, error),
            ServiceField::LateShare => self.late_share(unit, error),
            ServiceField::FirstFailedS => times_record(unit, MeasuredTime::FirstFailed),
            ServiceField::FailedForS => times_record(unit, MeasuredTime::FailedFor),
            ServiceField::PerRollout => Value::Record(FactRecord::PerRollout(unit)),
        }
    }

    fn failing_share(&self, unit: Unit, error: f64) -> Value {
        let ends = self.share(self.unit_tally(unit).share, error);
        ends.named(format!("{}.failing_share", self.unit_path(unit)), unit, Metric::FailingShare)
    }

    fn late_share(&self, unit: Unit, error: f64) -> Value {
        let ends = self.share(self.unit_tally(unit).late, error);
        ends.named(format!("{}.late_share", self.unit_path(unit)), unit, Metric::Share)
    }

    fn probability(&self, unit: Unit, event: TrialEvent, per_rollout: bool, error: f64) -> Value {
        let path = self.unit_path(unit);
        let q = self.failure_probability;
        let metric = Metric::Probability { event, per_rollout };
        match event {
            TrialEvent::Unit(basis, outcome) => {
                let name = match outcome {
                    FailureDegree::Failed => "failed",
                    FailureDegree::Degraded => "degraded",
                };
                let of = |basis| self.unit_probability(unit, basis, outcome, error);
                let (ends, prefix) = match (basis, per_rollout) {
                    (Basis::With, false) => (of(basis), ""),
                    (Basis::With, true) => {
                        let (with, without) = (of(Basis::With), of(Basis::Baseline));
                        // Of rollouts, the share q breaks and the others are as without the change.
                        (with.scaled_by(q).plus(without.scaled_by(1.0 - q)), ".per_rollout")
                    }
                    (Basis::Baseline, _) => (of(basis), ".baseline"),
                    (Basis::Caused, false) => (of(basis), ".caused"),
                    (Basis::Caused, true) => (of(basis).scaled_by(q), ".per_rollout.caused"),
                };
                ends.named(format!("{path}{prefix}.{name}.p"), unit, metric)
            }
            TrialEvent::Exhausts | TrialEvent::AtRisk | TrialEvent::Unfinished => {
                let Unit::Flow(flow) = unit else {
                    unreachable!("only flows have an error budget")
                };
                let Some((count, name)) = self.outage_count(flow, event) else {
                    return missing_outage();
                };
                // What cannot be hit is known exactly, without trials.
                let ends = if self.is_reached(unit) {
                    self.share(count as f64, error)
                } else {
                    IntervalEnds::exact(0.0)
                };
                if per_rollout {
                    let path = format!("{path}.budget.per_rollout.{name}.p");
                    return ends.scaled_by(q).named(path, unit, metric);
                }
                let prefix = if event == TrialEvent::Unfinished { "" } else { ".budget" };
                ends.named(format!("{path}{prefix}.{name}.p"), unit, metric)
            }
        }
    }

    /// Returns the probability of a failure: the exact one, where it is known.
    fn unit_probability(
        &self,
        unit: Unit,
        basis: Basis,
        outcome: FailureDegree,
        error: f64,
    ) -> IntervalEnds {
        if basis == Basis::Caused && !self.is_reached(unit) {
            // A bound of 3/n beside a certain zero would make rules undecided.
            return IntervalEnds::exact(0.0);
        }
        let tally = self.unit_tally(unit);
        let (count, exact) = match basis {
            Basis::With => {
                let count = Failures { failed: tally.failed, degraded: tally.degraded };
                (count, self.exact.map(|all| all[self.unit_index(unit)].with))
            }
            Basis::Baseline => {
                (tally.baseline, self.exact.map(|all| all[self.unit_index(unit)].baseline))
            }
            Basis::Caused => {
                (tally.caused, self.exact.and_then(|all| all[self.unit_index(unit)].caused))
            }
        };
        // Exact values have no interval, so a rule over them is decided at once.
        if let Some(exact) = exact {
            return IntervalEnds::exact(of_outcome(exact, outcome));
        }
        self.share(of_outcome(count, outcome) as f64, error)
    }

    /// Returns whether the change could hit a service or flow at all.
    fn is_reached(&self, unit: Unit) -> bool {
        match unit {
            Unit::Service(index) => self.reach.has_service(index),
            Unit::Flow(index) => self.reach.has_flow(index),
        }
    }

    /// Returns in how many trials the outage of a flow does this, and its name.
    fn outage_count(&self, flow: usize, event: TrialEvent) -> Option<(u64, &'static str)> {
        let tally = &self.tally.flows[FlowId::new(flow)];
        if self.change.is_moment() {
            return None;
        }
        let left = budget::left_minutes(self.topology, flow, self.spent) * 60.0;
        Some(match event {
            TrialEvent::Exhausts => (tally.outage.count_above(left), "exhausts"),
            TrialEvent::AtRisk => (tally.outage.count_above(left * budget::AT_RISK), "at_risk"),
            TrialEvent::Unfinished | TrialEvent::Unit(..) => (tally.unfinished, "unfinished"),
        })
    }

    fn outage_field(&self, flow: usize, field: OutageField, error: f64) -> Value {
        let path = format!("{}.lost.{}", self.unit_path(Unit::Flow(flow)), field.as_str());
        let field = match field {
            OutageField::Mean => LossesField::Mean,
            OutageField::P50 => LossesField::P50,
            OutageField::P95 => LossesField::P95,
            OutageField::P99 => LossesField::P99,
        };
        match self.outage_minutes(flow, field, error) {
            Some(ends) => ends.named(path, Unit::Flow(flow), Metric::Outage(statistic_of(field))),
            None => missing_outage(),
        }
    }

    fn outage_minutes(&self, flow: usize, field: LossesField, error: f64) -> Option<IntervalEnds> {
        if self.change.is_moment() {
            return None;
        }
        Some(
            self.sketch_figure(&self.tally.flows[FlowId::new(flow)].outage, field, error)
                .scaled_by(1.0 / 60.0),
        )
    }

    fn objective_field(&self, flow: usize, field: ObjectiveField) -> Value {
        let objective = self.topology.flows[flow].objective();
        Value::number(match field {
            ObjectiveField::Availability => objective.availability.get(),
            ObjectiveField::WindowS => objective.window.get(),
            ObjectiveField::BudgetMin => objective.budget_minutes(),
            ObjectiveField::SpentMin => *self.spent.get(flow).unwrap_or(&0.0),
        })
    }

    fn budget_field(&self, flow: usize, field: BudgetField, error: f64) -> Value {
        let unit = Unit::Flow(flow);
        let losses = match field {
            BudgetField::Exhausts => return event_of(unit, TrialEvent::Exhausts, false),
            BudgetField::AtRisk => return event_of(unit, TrialEvent::AtRisk, false),
            BudgetField::PerRollout => return Value::Record(FactRecord::BudgetPerRollout(flow)),
            BudgetField::Used => return self.budget_used(flow, error),
            BudgetField::Mean => LossesField::Mean,
            BudgetField::P50 => LossesField::P50,
            BudgetField::P95 => LossesField::P95,
        };
        let budget = self.topology.flows[flow].objective().budget_minutes();
        match self.outage_minutes(flow, losses, error) {
            Some(ends) => ends.scaled_by(1.0 / budget).named(
                format!("{}.budget.{}", self.unit_path(unit), field.as_str()),
                unit,
                Metric::Budget(statistic_of(losses)),
            ),
            None => missing_outage(),
        }
    }

    /// Returns the share of the error budget that a break uses on average, where no break counts for more
    /// than all of it: so it changes by little where any input does, and one outage of a week does not
    /// outweigh a hundred rollouts that lose nothing.
    fn budget_used(&self, flow: usize, error: f64) -> Value {
        let unit = Unit::Flow(flow);
        if self.change.is_moment() {
            return missing_outage();
        }
        let seconds = self.topology.flows[flow].objective().budget_minutes() * 60.0;
        let outage = &self.tally.flows[FlowId::new(flow)].outage;
        // Each break counts for at most the whole budget.
        let used = outage.capped_sum(seconds) / seconds;
        let mean_minutes = outage.mean().unwrap_or(0.0) / 60.0;
        let path = format!("{}.budget.used", self.unit_path(unit));
        self.share(used, error).named(path, unit, Metric::BudgetUsed { mean_minutes })
    }

    fn times_field(&self, unit: Unit, span: MeasuredTime, field: TimesField, error: f64) -> Value {
        if self.change.is_moment() {
            return Value::missing("a single moment has no times");
        }
        let tally = self.unit_tally(unit);
        let (sketch, name) = match span {
            MeasuredTime::FirstFailed => (&tally.first, "first_failed_s"),
            MeasuredTime::FailedFor => (&tally.lasted, "failed_for_s"),
        };
        let q = match field {
            TimesField::P50 => 0.5,
            TimesField::P95 => 0.95,
        };
        let ends = quantile_ends(sketch, q, error);
        ends.named(
            format!("{}.{name}.{}", self.unit_path(unit), field.as_str()),
            unit,
            Metric::Other,
        )
    }

    fn share(&self, successes: f64, error: f64) -> IntervalEnds {
        // Several rules ask for the same count, and its interval takes a search.
        let (low, high) = self.intervals.share(successes, self.tally.trials, error);
        IntervalEnds { low, value: successes / self.tally.trials.max(1) as f64, high }
    }

    /// Whether orders can be counted.
    fn counts_orders(&self, flow: Option<usize>) -> bool {
        let flows = &self.topology.flows;
        let has_rate = flow.map_or_else(
            || flows.iter().any(|flow| flow.rate.is_some()),
            |flow| flows[flow].rate.is_some(),
        );
        has_rate && !self.change.is_moment()
    }

    /// Returns orders lost by a flow or by all, or why they are not known.
    fn orders(
        &self,
        flow: Option<usize>,
        orders: Orders,
        field: LossesField,
        error: f64,
    ) -> Result<IntervalEnds, Value> {
        let flows = &self.topology.flows;
        if !self.counts_orders(flow) {
            return Err(Value::missing(match flow {
                _ if self.change.is_moment() => {
                    "a single moment loses no orders: the change has no rollout, detection or rollback"
                        .to_owned()
                }
                Some(flow) => {
                    format!("flow `{}` has no rate, so its orders are not counted", flows[flow].name)
                }
                None => "no flow has a rate, so orders are not counted".to_owned(),
            }));
        }
        // A total over flows of which some are not counted is less than it says.
        if flow.is_none() && flows.iter().any(|flow| flow.rate.is_none()) {
            return Err(Value::missing("some flows have no rate, so the total is not known"));
        }
        let sketch = match (flow, orders) {
            (None, _) => &self.tally.lost,
            (Some(flow), Orders::Wrong) => &self.tally.flows[FlowId::new(flow)].wrong,
            (Some(flow), Orders::Late) => &self.tally.flows[FlowId::new(flow)].late,
            (Some(flow), Orders::Lost) => &self.tally.flows[FlowId::new(flow)].lost,
        };
        Ok(self.sketch_figure(sketch, field, error))
    }

    fn sketch_figure(&self, sketch: &Sketch, field: LossesField, error: f64) -> IntervalEnds {
        let q = match field {
            LossesField::Mean => {
                let (low, high) = interval::mean_interval(sketch, error, self.checkpoint);
                return IntervalEnds { low, value: sketch.mean().unwrap_or(0.0), high };
            }
            LossesField::P50 => 0.5,
            LossesField::P95 => 0.95,
            LossesField::P99 => 0.99,
        };
        quantile_ends(sketch, q, error)
    }

    fn money_field(&self, flow: usize, field: MoneyField, error: f64) -> Value {
        let of = &self.topology.flows[flow];
        let Some(value) = &of.value else {
            let name = &of.name;
            return Value::missing(format!("flow `{name}` does not say what an order is worth"));
        };
        let losses = match field {
            MoneyField::Currency => return Value::text(&value.currency),
            MoneyField::Mean => LossesField::Mean,
            MoneyField::P95 => LossesField::P95,
        };
        let path = self.unit_path(Unit::Flow(flow));
        match self.orders(Some(flow), Orders::Lost, losses, error) {
            Ok(ends) => {
                let path = format!("{path}.money_lost.{}", field.as_str());
                ends.scaled_by(value.amount).named(path, Unit::Flow(flow), Metric::Other)
            }
            Err(missing) => missing,
        }
    }

    fn dependency_field(&self, index: usize, field: DependencyField, error: f64) -> Value {
        let (caller, dependency) = self.dependencies[index];
        let caller = || self.topology.caller_name(caller);
        let called = || self.topology.dependency_name(dependency);
        let tally = &self.tally.dependencies[DependencyId::new(index)];
        let count = match field {
            DependencyField::Caller => return Value::text(&caller()),
            DependencyField::Dependency => return Value::text(&called()),
            DependencyField::Exposed => tally.tried,
            DependencyField::Passed => tally.passed,
        };
        let ends = self.share(count as f64, error);
        let path = format!("dependencies[\"{} > {}\"].{}", caller(), called(), field.as_str());
        ends.named(path, None, Metric::Share)
    }

    fn change_field(&self, field: ChangeField) -> Value {
        let change = self.change;
        let unsaid = |key: &str, what: &str| format!("the change does not say {what} (`{key}`)");
        match field {
            ChangeField::Name => Value::text(&change.name),
            ChangeField::Kind => Value::text_or(change.kind.map(ChangeKind::as_str), || {
                unsaid("kind", "what sort it is")
            }),
            ChangeField::AuthoredBy => {
                Value::text_or(change.authored_by.map(Author::as_str), || {
                    unsaid("authored_by", "who wrote it")
                })
            }
            ChangeField::ReviewedBy => change.reviewed_by.as_ref().map_or_else(
                || Value::missing(unsaid("reviewed_by", "who reviewed it")),
                |names| Value::texts(names.iter().map(String::as_str)),
            ),
            ChangeField::Sources => Value::records(change.sources.len(), FactRecord::Source),
            ChangeField::FailureProbability => Value::number(self.failure_probability),
            ChangeField::Targets => Value::records(change.targets.len(), FactRecord::Target),
            ChangeField::Rollout => Value::Record(FactRecord::Rollout),
            ChangeField::Detection => Value::Record(FactRecord::Detection),
            ChangeField::Rollback => Value::Record(FactRecord::Rollback),
            ChangeField::HorizonS => Value::number(change.horizon.get()),
            ChangeField::During => Value::texts(change.during.iter().map(|during| match during {
                Component::Service(id) => &*self.topology.services[id.0 as usize].name,
                Component::Domain(id) => &*self.topology.domain(*id).name,
            })),
        }
    }

    fn source_field(&self, index: usize, field: SourceField) -> Value {
        let source = &self.change.sources[index];
        let updated = source
            .updated
            .and_then(|day| parse_timestamp(&format!("{day}T00:00:00Z")))
            .ok_or_else(|| {
                let title = &source.title;
                Value::missing(format!("source `{title}` does not say when it was `updated`"))
            });
        match (field, updated, self.now) {
            (SourceField::Title, ..) => Value::text(&source.title),
            (_, Err(missing), _) => missing,
            (SourceField::Updated, Ok(updated), _) => Value::Timestamp(updated),
            (SourceField::AgeDays, _, None) => missing_now(),
            (SourceField::AgeDays, Ok(updated), Some(now)) => {
                // An age counts whole days, as the date has no time.
                Value::number(((now - updated) / SECONDS_PER_DAY).floor())
            }
        }
    }

    fn target_field(&self, index: usize, field: TargetField) -> Value {
        let target = &self.change.targets[index];
        match field {
            TargetField::Name => Value::text(&match target.on {
                TargetRef::Node(node) => self.topology.node_name(node),
                TargetRef::Domain(domain) => self.topology.domain(domain).name.clone(),
            }),
            TargetField::Probability => Value::number(target.probability.get()),
            TargetField::MinExposure => Value::number(target.min_exposure.get()),
        }
    }

    fn rollout_field(&self, field: RolloutField) -> Value {
        let rollout = self.change.rollout.as_ref();
        match field {
            // Without a rollout everything changes at once: one stage of 100%.
            RolloutField::Stages => {
                Value::records(rollout.map_or(1, |rollout| rollout.stages.len()), FactRecord::Stage)
            }
            RolloutField::Routing => {
                Value::text(match rollout.map_or(Routing::Random, |rollout| rollout.routing) {
                    Routing::Random => "random",
                    Routing::Sticky => "sticky",
                })
            }
        }
    }

    fn stage_field(&self, index: usize, field: StageField) -> Value {
        let stage = self.change.rollout.as_ref().and_then(|rollout| rollout.stages.get(index));
        Value::number(match field {
            StageField::Exposure => stage.map_or(1.0, |stage| stage.exposure.get()),
            StageField::BakeS => stage.and_then(|stage| stage.bake).map_or(0.0, Seconds::get),
            StageField::CatchProbability => {
                stage.map_or(0.0, |stage| stage.catch_probability.get())
            }
        })
    }

    fn detection_field(&self, field: DetectionField) -> Value {
        let Some(detection) = &self.change.detection else {
            return Value::missing("the change does not say how a break is noticed (`detection`)");
        };
        let delay = defaults::detection_delay(self.change);
        Value::number(match field {
            DetectionField::MedianS => delay.median.get(),
            DetectionField::P95S => delay.p95.get(),
            DetectionField::AlertThreshold => detection
                .alert_threshold
                .map_or(defaults::ALERT_THRESHOLD, crate::model::Share::get),
        })
    }

    fn rollback_field(&self, field: RollbackField) -> Value {
        let Some(rollback) = &self.change.rollback else {
            return Value::missing("the change does not say how it is taken back (`rollback`)");
        };
        let delay = defaults::rollback_delay(self.change);
        Value::number(match field {
            RollbackField::MedianS => delay.median.get(),
            RollbackField::P95S => delay.p95.get(),
            RollbackField::Works => rollback.works.get(),
        })
    }

    fn unknown_field(&self, index: usize, field: UnknownField) -> Value {
        let unknown = &self.unknowns[index];
        match field {
            UnknownField::Caller => Value::text(&unknown.caller),
            UnknownField::Dependency => Value::text(&unknown.dependency),
            UnknownField::What => Value::text(unknown.what.as_str()),
            UnknownField::Best => Value::number(unknown.best),
            UnknownField::Worst => Value::number(unknown.worst),
            UnknownField::Metric => Value::text(unknown.metric.as_str()),
        }
    }

    fn delta_field(&self, field: DeltaField) -> Value {
        let Some(before) = self.baseline else { return self.variable(Variable::Delta) };
        let points = || {
            baseline::single_points(self.single_points, before).ok_or_else(|| {
                Value::missing(
                    "the earlier result does not say what its single points of failure are",
                )
            })
        };
        let texts = |names: &[String]| Value::texts(names.iter().map(String::as_str));
        match field {
            DeltaField::Flows => Value::Map(Map::DeltaFlows),
            DeltaField::Services => Value::Map(Map::DeltaServices),
            DeltaField::Total => Value::Record(FactRecord::DeltaTotal),
            DeltaField::Added => texts(&baseline::names_on_one_side(self.topology, before).0),
            DeltaField::Removed => texts(&baseline::names_on_one_side(self.topology, before).1),
            DeltaField::SinglePointsGained => {
                points().map_or_else(|missing| missing, |(gained, _)| texts(&gained))
            }
            DeltaField::SinglePointsLost => {
                points().map_or_else(|missing| missing, |(_, lost)| texts(&lost))
            }
        }
    }

    /// Returns a service or flow of the earlier result.
    fn unit_before(&self, unit: Unit) -> Option<&UnitReport> {
        let baseline = self.baseline?;
        let (units, name) = match unit {
            Unit::Flow(index) => (&baseline.flows, &self.topology.flows[index].name),
            Unit::Service(index) => (&baseline.services, &self.topology.services[index].name),
        };
        units.iter().find(|known| known.name == *name)
    }

    fn probability_difference(&self, unit: Unit, outcome: FailureDegree, error: f64) -> Value {
        let Some(before) = self.unit_before(unit) else {
            return Value::missing("the earlier result does not have it");
        };
        let (Interval { p, low, high, exact, .. }, name) = match outcome {
            FailureDegree::Failed => (before.failed, "failed"),
            FailureDegree::Degraded => (before.degraded, "degraded"),
        };
        // Two exact values differ exactly, and then no trials are needed to tell.
        let (p, low, high) = exact.map_or((p, low, high), |exact| (exact, exact, exact));
        let now = self.unit_probability(unit, Basis::With, outcome, error);
        let difference =
        // The ends farthest apart: the difference is wrong only if one of the two intervals is.
            IntervalEnds { low: now.low - high, value: now.value - p, high: now.high - low };
        difference.named(format!("delta.{}.{name}.p", self.unit_path(unit)), unit, Metric::Share)
    }

    fn mean_difference(&self, flow: Option<usize>, error: f64) -> Value {
        let before = match flow {
            Some(flow) => self
                .unit_before(Unit::Flow(flow))
                .and_then(|unit_before| unit_before.orders_lost.as_ref()),
            None => self
                .baseline
                .and_then(|baseline| baseline.total.as_ref())
                .map(|baseline| &baseline.orders_lost),
        };
        let Some(before) = before else {
            return Value::missing("the earlier result does not count these orders");
        };
        match self.orders(flow, Orders::Lost, LossesField::Mean, error) {
            Ok(now) => {
                let difference = IntervalEnds {
                    low: now.low - before.mean_high,
                    value: now.value - before.mean,
                    high: now.high - before.mean_low,
                };
                let path = format!("delta.{}.orders_lost.mean", self.path_of(flow));
                difference.named(path, flow.map(Unit::Flow), Metric::Other)
            }
            Err(missing) => missing,
        }
    }

    fn unit_path(&self, unit: Unit) -> String {
        match unit {
            Unit::Flow(flow) => format!("flows[\"{}\"]", self.topology.flows[flow].name),
            Unit::Service(service) => {
                format!("services[\"{}\"]", self.topology.services[service].name)
            }
        }
    }

    /// Returns the path of a flow, or of all of them.
    fn path_of(&self, flow: Option<usize>) -> String {
        flow.map_or_else(|| "total".to_owned(), |flow| self.unit_path(Unit::Flow(flow)))
    }

    fn losses_path(&self, flow: Option<usize>, orders: Orders) -> String {
        let name = match orders {
            Orders::Lost => "orders_lost",
            Orders::Wrong => "wrong_orders",
            Orders::Late => "late_orders",
        };
        format!("{}.{name}", self.path_of(flow))
    }
}

fn per_rollout_field(unit: Unit, field: PerRolloutField) -> Value {
    let estimate = |outcome| event_of(unit, TrialEvent::Unit(Basis::With, outcome), true);
    match (field, unit) {
        (PerRolloutField::Failed, _) => estimate(FailureDegree::Failed),
        (PerRolloutField::Degraded, _) => estimate(FailureDegree::Degraded),
        (PerRolloutField::Caused, _) => Value::Record(FactRecord::PerRolloutCaused(unit)),
        (PerRolloutField::OrdersLost, Unit::Flow(flow)) => {
            Value::Record(FactRecord::MeanPerRollout { flow: Some(flow) })
        }
        (PerRolloutField::OrdersLost, Unit::Service(_)) => {
            Value::missing("orders are lost by flows, not by services")
        }
    }
}

fn statistic_of(field: LossesField) -> Statistic {
    match field {
        LossesField::Mean => Statistic::Mean,
        LossesField::P50 => Statistic::Quantile(50),
        LossesField::P95 => Statistic::Quantile(95),
        LossesField::P99 => Statistic::Quantile(99),
    }
}

fn failures_record(unit: Unit, basis: Basis) -> Value {
    Value::Record(FactRecord::Failures { unit, basis })
}

fn failures_field(unit: Unit, basis: Basis, per_rollout: bool, field: FailuresField) -> Value {
    let outcome = match field {
        FailuresField::Failed => FailureDegree::Failed,
        FailuresField::Degraded => FailureDegree::Degraded,
    };
    event_of(unit, TrialEvent::Unit(basis, outcome), per_rollout)
}

fn event_of(unit: Unit, event: TrialEvent, per_rollout: bool) -> Value {
    Value::Record(FactRecord::Estimate { unit, event, per_rollout })
}

fn of_outcome<T>(failures: Failures<T>, outcome: FailureDegree) -> T {
    match outcome {
        FailureDegree::Failed => failures.failed,
        FailureDegree::Degraded => failures.degraded,
    }
}

fn estimate_record(unit: Unit, outcome: FailureDegree) -> Value {
    event_of(unit, TrialEvent::Unit(Basis::With, outcome), false)
}

fn times_record(unit: Unit, span: MeasuredTime) -> Value {
    Value::Record(FactRecord::Times { unit, span })
}

fn missing_outage() -> Value {
    Value::missing(
        "a single moment has no duration: the change has no rollout, detection or rollback",
    )
}

fn missing_now() -> Value {
    Value::missing("it needs today's date. Add `--now clock`")
}

fn quantile_ends(of: &Sketch, q: f64, error: f64) -> IntervalEnds {
    let (low, high) = interval::quantile_interval(of, q, error);
    IntervalEnds { low, value: of.quantile(q).unwrap_or(0.0), high }
}
