//! The vocabulary of conditions: the variables, the records behind them, and the type of every field.
//!
//! Every field has an identifier, and the facts answer for each identifier by an exhaustive `match`: a
//! field that is added here and forgotten there does not compile.

use std::rc::Rc;

/// A type of the language.
#[derive(Clone, Debug)]
pub(super) enum Type {
    Bool,
    Number,
    Text,
    Timestamp,
    Duration,
    /// The type of the items of an empty list: it agrees with every type.
    Any,
    List(Rc<Self>),
    /// Records by name.
    Map(MapKind, Rc<Self>),
    Record(&'static RecordType),
}

/// Kind of thing that the keys of a map name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapKind {
    Flow,
    Service,
}

/// A record type: its fields, and hints for fields that people look for in vain.
#[derive(Debug)]
pub(super) struct RecordType {
    /// The name for messages, with its article.
    pub(super) what: &'static str,
    pub(super) fields: &'static [FieldType],
    /// A field that is not there, and what to tell those who ask for it.
    pub(super) hints: &'static [(&'static str, &'static str)],
}

/// A field: its name in conditions, its identifier, and its type.
pub(super) type FieldType = (&'static str, Field, fn() -> Type);

impl RecordType {
    /// Returns the identifier and the type of a field.
    pub(super) fn field(&self, name: &str) -> Option<(Field, Type)> {
        let found = self.fields.iter().find(|(known, ..)| *known == name);
        found.map(|(_, field, of)| (*field, of()))
    }
}

impl Type {
    /// Returns the name for messages, with its article.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Bool => "a yes or no".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Timestamp => "a timestamp".to_owned(),
            Self::Duration => "a duration".to_owned(),
            Self::Any => "anything".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(MapKind::Flow, _) => "all flows by name".to_owned(),
            Self::Map(MapKind::Service, _) => "all services by name".to_owned(),
            Self::Record(record) => record.what.to_owned(),
        }
    }

    /// Whether values of the two types can be equal.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) => a.agrees_with(b),
            (Self::Map(a, _), Self::Map(b, _)) => a == b,
            // Each record type exists once, as a static, so its address is its identity.
            (Self::Record(a), Self::Record(b)) => std::ptr::eq(*a, *b),
            // The types left have nothing inside that could differ.
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    /// Returns the type of the items that a macro goes over.
    pub(super) fn item_type(&self) -> Option<Self> {
        match self {
            Self::List(of) | Self::Map(_, of) => Some((**of).clone()),
            _ => None,
        }
    }
}

fn list(of: Type) -> Type {
    Type::List(Rc::new(of))
}

fn record(of: &'static RecordType) -> Type {
    Type::Record(of)
}

/// Declares identifiers with the names that they have in conditions.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the name in conditions says it")]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            /// Returns the name in conditions.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

/// Declares record types: the identifiers of their fields, and their descriptions.
macro_rules! records {
    ($(
        $(#[$doc:meta])*
        $record:ident($static:ident, $ids:ident, $what:literal) {
            $($variant:ident = $name:literal: $of:expr,)*
        } hints { $($missing:literal => $hint:literal,)* }
    )*) => {
        $(
            named! {
                $(#[$doc])*
                $ids { $($variant = $name,)* }
            }

            pub(super) static $static: RecordType = RecordType {
                what: $what,
                fields: &[$(($name, Field::$record($ids::$variant), || $of),)*],
                hints: &[$(($missing, $hint),)*],
            };
        )*

        /// The identifier of a field, under the record that has it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field {
            $(
                $(#[$doc])*
                $record($ids),
            )*
        }

        impl Field {
            /// Returns the name in conditions.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$record(field) => field.as_str(),)*
                }
            }
        }
    };
}

impl Field {
    /// Whether its value comes from trials.
    pub fn is_simulated(self) -> bool {
        match self {
            Self::Estimate(_)
            | Self::Outage(_)
            | Self::Losses(_)
            | Self::Mean(_)
            | Self::Times(_)
            | Self::Budget(
                BudgetField::Mean | BudgetField::P50 | BudgetField::P95 | BudgetField::Used,
            )
            | Self::Money(MoneyField::Mean | MoneyField::P95)
            | Self::Flow(FlowField::FailingShare | FlowField::LateShare)
            | Self::Service(ServiceField::FailingShare | ServiceField::LateShare)
            | Self::Dependency(DependencyField::Exposed | DependencyField::Passed) => true,
            // Written out, so that a new field does not compile until someone has decided.
            Self::Failures(_)
            | Self::Objective(_)
            | Self::Budget(_)
            | Self::BudgetPerRollout(_)
            | Self::Money(_)
            | Self::PerRollout(_)
            | Self::Flow(_)
            | Self::Service(_)
            | Self::Dependency(_)
            | Self::Total(_)
            | Self::TotalPerRollout(_)
            | Self::Change(_)
            | Self::Source(_)
            | Self::Target(_)
            | Self::Rollout(_)
            | Self::Stage(_)
            | Self::Detection(_)
            | Self::Rollback(_)
            | Self::Unknown(_)
            | Self::Delta(_)
            | Self::DeltaFlow(_)
            | Self::DeltaService(_)
            | Self::DeltaTotal(_) => false,
        }
    }
}

named! {
    /// A variable of the language.
    Variable {
        Flows = "flows",
        Services = "services",
        Dependencies = "dependencies",
        Total = "total",
        Change = "change",
        Unknowns = "unknowns",
        Metastable = "metastable",
        NeverRecovers = "never_recovers",
        Delta = "delta",
        Now = "now",
    }
}

impl Variable {
    /// All variables, in the order in which messages name them.
    pub(super) const ALL: [Self; 10] = [
        Self::Flows,
        Self::Services,
        Self::Dependencies,
        Self::Total,
        Self::Change,
        Self::Unknowns,
        Self::Metastable,
        Self::NeverRecovers,
        Self::Delta,
        Self::Now,
    ];

    /// Returns the variable of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Returns the type of its value.
    pub(super) fn value_type(self) -> Type {
        match self {
            Self::Flows => Type::Map(MapKind::Flow, Rc::new(record(&FLOW))),
            Self::Services => Type::Map(MapKind::Service, Rc::new(record(&SERVICE))),
            Self::Dependencies => list(record(&DEPENDENCY)),
            Self::Total => record(&TOTAL),
            Self::Change => record(&CHANGE),
            Self::Unknowns => list(record(&UNKNOWN)),
            Self::Metastable | Self::NeverRecovers => list(Type::Text),
            Self::Delta => record(&DELTA),
            Self::Now => Type::Timestamp,
        }
    }

    /// Whether its value comes from trials.
    pub fn is_simulated(self) -> bool {
        match self {
            Self::Flows
            | Self::Services
            | Self::Dependencies
            | Self::Total
            | Self::Metastable
            | Self::NeverRecovers
            | Self::Delta => true,
            Self::Change | Self::Unknowns | Self::Now => false,
        }
    }
}

/// Returns every path that a condition may name, with the type of its value, for the reference:
/// `flows[..].failed.p`, a number.
pub fn condition_paths() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for variable in Variable::ALL {
        add_paths(variable.as_str(), &variable.value_type(), &mut paths);
    }
    paths
}

fn add_paths(path: &str, value_type: &Type, paths: &mut Vec<(String, String)>) {
    paths.push((path.to_owned(), value_type.describe()));
    match value_type {
        Type::List(item) | Type::Map(_, item) => {
            if let Type::Record(_) = &**item {
                add_fields(&format!("{path}[..]"), item, paths);
            }
        }
        Type::Record(_) => add_fields(path, value_type, paths),
        _ => {}
    }
}

fn add_fields(path: &str, value_type: &Type, paths: &mut Vec<(String, String)>) {
    let Type::Record(record) = value_type else { return };
    for (name, _, of) in record.fields {
        add_paths(&format!("{path}.{name}"), &of(), paths);
    }
}

records! {
    /// A probability.
    Estimate(ESTIMATE, EstimateField, "an estimate") {
        P = "p": Type::Number,
    } hints {
        "low" => "`p` stands for the whole interval: trials go on until all of it is beyond the limit",
        "high" => "`p` stands for the whole interval: trials go on until all of it is beyond the limit",
    }

    /// Probabilities of the two degrees of failure.
    Failures(FAILURES, FailuresField, "probabilities of failure") {
        Failed = "failed": record(&ESTIMATE),
        Degraded = "degraded": record(&ESTIMATE),
    } hints {
        "p" => "name the degree of failure: `failed.p` or `degraded.p`",
    }

    /// Outage minutes because of the change.
    Outage(OUTAGE, OutageField, "outage minutes") {
        Mean = "mean": Type::Number,
        P50 = "p50": Type::Number,
        P95 = "p95": Type::Number,
        P99 = "p99": Type::Number,
    } hints {
        "max" => "the worst trial only grows with the trials: compare `p99`",
    }

    /// The objective of a flow.
    Objective(OBJECTIVE, ObjectiveField, "an objective") {
        Availability = "availability": Type::Number,
        WindowS = "window_s": Type::Number,
        BudgetMin = "budget_min": Type::Number,
        SpentMin = "spent_min": Type::Number,
    } hints {}

    /// The share of the error budget that a break uses.
    Budget(BUDGET, BudgetField, "an error budget") {
        Mean = "mean": Type::Number,
        P50 = "p50": Type::Number,
        P95 = "p95": Type::Number,
        Used = "used": Type::Number,
        Exhausts = "exhausts": record(&ESTIMATE),
        AtRisk = "at_risk": record(&ESTIMATE),
        PerRollout = "per_rollout": record(&BUDGET_PER_ROLLOUT),
    } hints {}

    /// The risk to the error budget per rollout.
    BudgetPerRollout(BUDGET_PER_ROLLOUT, BudgetPerRolloutField, "the risk to an error budget") {
        Exhausts = "exhausts": record(&ESTIMATE),
        AtRisk = "at_risk": record(&ESTIMATE),
        Unfinished = "unfinished": record(&ESTIMATE),
    } hints {}

    /// Orders lost.
    Losses(LOSSES, LossesField, "orders lost") {
        Mean = "mean": Type::Number,
        P50 = "p50": Type::Number,
        P95 = "p95": Type::Number,
        P99 = "p99": Type::Number,
    } hints {
        "max" => "the worst trial only grows with the trials: compare `p99`",
    }

    /// A mean.
    Mean(MEAN, MeanField, "a mean") {
        Mean = "mean": Type::Number,
    } hints {}

    /// Quantiles of times.
    Times(TIMES, TimesField, "a spread of times") {
        P50 = "p50": Type::Number,
        P95 = "p95": Type::Number,
    } hints {}

    /// Money lost.
    Money(MONEY, MoneyField, "money") {
        Mean = "mean": Type::Number,
        P95 = "p95": Type::Number,
        Currency = "currency": Type::Text,
    } hints {}

    /// Figures of a flow or a service per rollout.
    PerRollout(PER_ROLLOUT, PerRolloutField, "figures per rollout") {
        Failed = "failed": record(&ESTIMATE),
        Degraded = "degraded": record(&ESTIMATE),
        Caused = "caused": record(&FAILURES),
        OrdersLost = "orders_lost": record(&MEAN),
    } hints {}

    /// A flow.
    Flow(FLOW, FlowField, "a flow") {
        Name = "name": Type::Text,
        Title = "title": Type::Text,
        Critical = "critical": Type::Bool,
        Judged = "judged": Type::Bool,
        RatePerS = "rate_per_s": Type::Number,
        Failed = "failed": record(&ESTIMATE),
        Degraded = "degraded": record(&ESTIMATE),
        Baseline = "baseline": record(&FAILURES),
        Caused = "caused": record(&FAILURES),
        FailingShare = "failing_share": Type::Number,
        LateShare = "late_share": Type::Number,
        FirstFailedS = "first_failed_s": record(&TIMES),
        FailedForS = "failed_for_s": record(&TIMES),
        Lost = "lost": record(&OUTAGE),
        Objective = "objective": record(&OBJECTIVE),
        Budget = "budget": record(&BUDGET),
        Unfinished = "unfinished": record(&ESTIMATE),
        OrdersLost = "orders_lost": record(&LOSSES),
        WrongOrders = "wrong_orders": record(&LOSSES),
        LateOrders = "late_orders": record(&LOSSES),
        MoneyLost = "money_lost": record(&MONEY),
        PerRollout = "per_rollout": record(&PER_ROLLOUT),
    } hints {
        "rate" => "did you mean `rate_per_s`?",
    }

    /// A service.
    Service(SERVICE, ServiceField, "a service") {
        Name = "name": Type::Text,
        Title = "title": Type::Text,
        Kind = "kind": Type::Text,
        Team = "team": Type::Text,
        Tier = "tier": Type::Number,
        IsTarget = "is_target": Type::Bool,
        Failed = "failed": record(&ESTIMATE),
        Degraded = "degraded": record(&ESTIMATE),
        Baseline = "baseline": record(&FAILURES),
        Caused = "caused": record(&FAILURES),
        FailingShare = "failing_share": Type::Number,
        LateShare = "late_share": Type::Number,
        FirstFailedS = "first_failed_s": record(&TIMES),
        FailedForS = "failed_for_s": record(&TIMES),
        PerRollout = "per_rollout": record(&PER_ROLLOUT),
    } hints {
        "orders_lost" => "orders are lost by flows: `flows.exists(f, f.orders_lost.mean > 100)`",
    }

    /// A dependency.
    Dependency(DEPENDENCY, DependencyField, "a dependency") {
        Caller = "caller": Type::Text,
        Dependency = "dependency": Type::Text,
        Exposed = "exposed": Type::Number,
        Passed = "passed": Type::Number,
    } hints {
        "tried" => "`tried` is now `exposed`, as in results",
    }

    /// Figures over all flows.
    Total(TOTAL, TotalField, "the total") {
        OrdersLost = "orders_lost": record(&LOSSES),
        PerRollout = "per_rollout": record(&TOTAL_PER_ROLLOUT),
    } hints {
        "money_lost" => "money is told by flow, since currencies differ: `flows[..].money_lost`",
    }

    /// Figures over all flows per rollout.
    TotalPerRollout(TOTAL_PER_ROLLOUT, TotalPerRolloutField, "figures per rollout") {
        OrdersLost = "orders_lost": record(&MEAN),
    } hints {}

    /// The change.
    Change(CHANGE, ChangeField, "a change") {
        Name = "name": Type::Text,
        Kind = "kind": Type::Text,
        AuthoredBy = "authored_by": Type::Text,
        ReviewedBy = "reviewed_by": list(Type::Text),
        Sources = "sources": list(record(&SOURCE)),
        FailureProbability = "failure_probability": Type::Number,
        Targets = "targets": list(record(&TARGET)),
        Rollout = "rollout": record(&ROLLOUT),
        Detection = "detection": record(&DETECTION),
        Rollback = "rollback": record(&ROLLBACK),
        HorizonS = "horizon_s": Type::Number,
        During = "during": list(Type::Text),
    } hints {}

    /// A source that the author of the change relied on.
    Source(SOURCE, SourceField, "a source of a change") {
        Title = "title": Type::Text,
        Updated = "updated": Type::Timestamp,
        AgeDays = "age_days": Type::Number,
    } hints {}

    /// A target of the change.
    Target(TARGET, TargetField, "a target") {
        Name = "name": Type::Text,
        Probability = "probability": Type::Number,
        MinExposure = "min_exposure": Type::Number,
    } hints {}

    /// The rollout.
    Rollout(ROLLOUT, RolloutField, "a rollout") {
        Routing = "routing": Type::Text,
        Stages = "stages": list(record(&STAGE)),
    } hints {}

    /// A stage of the rollout.
    Stage(STAGE, StageField, "a stage") {
        Exposure = "exposure": Type::Number,
        BakeS = "bake_s": Type::Number,
        CatchProbability = "catch_probability": Type::Number,
    } hints {
        "bake" => "did you mean `bake_s`? it is in seconds",
        "gate" => "`gate` is now `catch_probability`",
    }

    /// The detection.
    Detection(DETECTION, DetectionField, "a detection") {
        AlertThreshold = "alert_threshold": Type::Number,
        MedianS = "median_s": Type::Number,
        P95S = "p95_s": Type::Number,
    } hints {}

    /// The rollback.
    Rollback(ROLLBACK, RollbackField, "a rollback") {
        MedianS = "median_s": Type::Number,
        P95S = "p95_s": Type::Number,
        Works = "works": Type::Number,
    } hints {}

    /// Something unknown.
    Unknown(UNKNOWN, UnknownField, "something unknown") {
        Caller = "caller": Type::Text,
        Dependency = "dependency": Type::Text,
        What = "what": Type::Text,
        Best = "best": Type::Number,
        Worst = "worst": Type::Number,
        Metric = "metric": Type::Text,
    } hints {
        "measure" => "`measure` is now `metric`, as in results",
    }

    /// The difference from the baseline.
    Delta(DELTA, DeltaField, "a difference from the baseline") {
        Flows = "flows": Type::Map(MapKind::Flow, Rc::new(record(&DELTA_FLOW))),
        Services = "services": Type::Map(MapKind::Service, Rc::new(record(&DELTA_SERVICE))),
        Total = "total": record(&DELTA_TOTAL),
        Added = "added": list(Type::Text),
        Removed = "removed": list(Type::Text),
        SinglePointsGained = "single_points_gained": list(Type::Text),
        SinglePointsLost = "single_points_lost": list(Type::Text),
    } hints {}

    /// The difference of a flow.
    DeltaFlow(DELTA_FLOW, DeltaFlowField, "a difference of a flow") {
        Name = "name": Type::Text,
        Failed = "failed": record(&ESTIMATE),
        Degraded = "degraded": record(&ESTIMATE),
        OrdersLost = "orders_lost": record(&MEAN),
    } hints {}

    /// The difference of a service.
    DeltaService(DELTA_SERVICE, DeltaServiceField, "a difference of a service") {
        Name = "name": Type::Text,
        Failed = "failed": record(&ESTIMATE),
        Degraded = "degraded": record(&ESTIMATE),
    } hints {}

    /// The difference over all flows.
    DeltaTotal(DELTA_TOTAL, DeltaTotalField, "a difference of the total") {
        OrdersLost = "orders_lost": record(&MEAN),
    } hints {}
}
