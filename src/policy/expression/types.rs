//! What a condition can speak of: the variables, their fields, and the types of those.

use std::rc::Rc;

/// A type.
#[derive(Clone, Debug)]
pub(super) enum Type {
    Bool,
    Number,
    Text,
    Moment,
    Span,
    /// The items of an empty list: any type.
    Any,
    List(Rc<Self>),
    /// By name.
    Map(Names, Rc<Self>),
    Record(&'static Record),
}

/// What the keys of a mapping name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Flow,
    Service,
}

/// A name and what is behind it.
pub(super) type Named = (&'static str, fn() -> Type);

/// A type with fields.
#[derive(Debug)]
pub(super) struct Record {
    /// With its article.
    pub(super) what: &'static str,
    pub(super) fields: &'static [Named],
    /// What people may look for in it, and what to tell them.
    pub(super) hints: &'static [(&'static str, &'static str)],
}

impl Record {
    pub(super) fn field(&self, name: &str) -> Option<(&'static str, Type)> {
        let found = self.fields.iter().find(|(known, _)| *known == name);
        found.map(|(known, of)| (*known, of()))
    }
}

impl Type {
    /// With its article.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Bool => "a yes or no".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Moment => "a moment".to_owned(),
            Self::Span => "a duration".to_owned(),
            Self::Any => "anything".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(Names::Flow, _) => "all flows by name".to_owned(),
            Self::Map(Names::Service, _) => "all services by name".to_owned(),
            Self::Record(record) => record.what.to_owned(),
        }
    }

    /// Whether values of the two can be equal.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) => a.is(b),
            (Self::Map(a, _), Self::Map(b, _)) => a == b,
            (Self::Record(a), Self::Record(b)) => std::ptr::eq(*a, *b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    /// What a macro goes over.
    pub(super) fn items(&self) -> Option<Self> {
        match self {
            Self::List(of) | Self::Map(_, of) => Some((**of).clone()),
            _ => None,
        }
    }
}

fn list(of: Type) -> Type {
    Type::List(Rc::new(of))
}

/// The variables.
pub(super) const VARIABLES: &[Named] = &[
    ("flows", || Type::Map(Names::Flow, Rc::new(Type::Record(&FLOW)))),
    ("services", || Type::Map(Names::Service, Rc::new(Type::Record(&SERVICE)))),
    ("dependencies", || list(Type::Record(&DEPENDENCY))),
    ("total", || Type::Record(&TOTAL)),
    ("change", || Type::Record(&CHANGE)),
    ("unknowns", || list(Type::Record(&UNKNOWN))),
    ("metastable", || list(Type::Text)),
    ("never_recovers", || list(Type::Text)),
    ("delta", || Type::Record(&DELTA)),
    ("now", || Type::Moment),
];

static ESTIMATE: Record = Record {
    what: "an estimate",
    fields: &[("p", || Type::Number)],
    hints: &[
        (
            "low",
            "`p` stands for the whole interval: trials go on until all of it is beyond the limit",
        ),
        (
            "high",
            "`p` stands for the whole interval: trials go on until all of it is beyond the limit",
        ),
    ],
};

static LOSSES: Record = Record {
    what: "orders lost",
    fields: &[
        ("mean", || Type::Number),
        ("p50", || Type::Number),
        ("p95", || Type::Number),
        ("p99", || Type::Number),
    ],
    hints: &[("max", "the worst trial only grows with the trials: compare `p99`")],
};

static MEAN: Record = Record { what: "a mean", fields: &[("mean", || Type::Number)], hints: &[] };

static SPREAD: Record = Record {
    what: "a spread of times",
    fields: &[("p50", || Type::Number), ("p95", || Type::Number)],
    hints: &[],
};

static MONEY: Record = Record {
    what: "money",
    fields: &[("mean", || Type::Number), ("p95", || Type::Number), ("currency", || Type::Text)],
    hints: &[],
};

static PER_ROLLOUT: Record = Record {
    what: "figures per rollout",
    fields: &[
        ("failed", || Type::Record(&ESTIMATE)),
        ("degraded", || Type::Record(&ESTIMATE)),
        ("orders_lost", || Type::Record(&MEAN)),
    ],
    hints: &[],
};

static FLOW: Record = Record {
    what: "a flow",
    fields: &[
        ("name", || Type::Text),
        ("title", || Type::Text),
        ("critical", || Type::Bool),
        ("rate_per_s", || Type::Number),
        ("failed", || Type::Record(&ESTIMATE)),
        ("degraded", || Type::Record(&ESTIMATE)),
        ("failing_share", || Type::Number),
        ("first_failed_s", || Type::Record(&SPREAD)),
        ("failed_for_s", || Type::Record(&SPREAD)),
        ("orders_lost", || Type::Record(&LOSSES)),
        ("wrong_orders", || Type::Record(&LOSSES)),
        ("money_lost", || Type::Record(&MONEY)),
        ("per_rollout", || Type::Record(&PER_ROLLOUT)),
    ],
    hints: &[("rate", "did you mean `rate_per_s`?")],
};

static SERVICE: Record = Record {
    what: "a service",
    fields: &[
        ("name", || Type::Text),
        ("title", || Type::Text),
        ("kind", || Type::Text),
        ("team", || Type::Text),
        ("tier", || Type::Number),
        ("is_target", || Type::Bool),
        ("failed", || Type::Record(&ESTIMATE)),
        ("degraded", || Type::Record(&ESTIMATE)),
        ("failing_share", || Type::Number),
        ("first_failed_s", || Type::Record(&SPREAD)),
        ("failed_for_s", || Type::Record(&SPREAD)),
        ("per_rollout", || Type::Record(&PER_ROLLOUT)),
    ],
    hints: &[(
        "orders_lost",
        "orders are lost by flows: `flows.exists(f, f.orders_lost.mean > 100)`",
    )],
};

static DEPENDENCY: Record = Record {
    what: "a dependency",
    fields: &[
        ("caller", || Type::Text),
        ("dependency", || Type::Text),
        ("tried", || Type::Number),
        ("passed", || Type::Number),
    ],
    hints: &[],
};

static TOTAL: Record = Record {
    what: "the total",
    fields: &[
        ("orders_lost", || Type::Record(&LOSSES)),
        ("per_rollout", || Type::Record(&TOTAL_PER_ROLLOUT)),
    ],
    hints: &[(
        "money_lost",
        "money is told by flow, since currencies differ: `flows[..].money_lost`",
    )],
};

static TOTAL_PER_ROLLOUT: Record = Record {
    what: "figures per rollout",
    fields: &[("orders_lost", || Type::Record(&MEAN))],
    hints: &[],
};

static CHANGE: Record = Record {
    what: "a change",
    fields: &[
        ("name", || Type::Text),
        ("kind", || Type::Text),
        ("authored_by", || Type::Text),
        ("reviewed_by", || list(Type::Text)),
        ("sources", || list(Type::Record(&SOURCE))),
        ("failure_probability", || Type::Number),
        ("targets", || list(Type::Record(&TARGET))),
        ("rollout", || Type::Record(&ROLLOUT)),
        ("detection", || Type::Record(&DETECTION)),
        ("rollback", || Type::Record(&ROLLBACK)),
        ("horizon_s", || Type::Number),
        ("during", || list(Type::Text)),
    ],
    hints: &[],
};

static SOURCE: Record = Record {
    what: "a source of a change",
    fields: &[
        ("title", || Type::Text),
        ("updated", || Type::Moment),
        ("age_days", || Type::Number),
    ],
    hints: &[],
};

static TARGET: Record = Record {
    what: "a target",
    fields: &[
        ("name", || Type::Text),
        ("probability", || Type::Number),
        ("min_exposure", || Type::Number),
    ],
    hints: &[],
};

static ROLLOUT: Record = Record {
    what: "a rollout",
    fields: &[("routing", || Type::Text), ("stages", || list(Type::Record(&STAGE)))],
    hints: &[],
};

static STAGE: Record = Record {
    what: "a stage",
    fields: &[
        ("exposure", || Type::Number),
        ("bake_s", || Type::Number),
        ("gate", || Type::Number),
    ],
    hints: &[("bake", "did you mean `bake_s`? it is in seconds")],
};

static DETECTION: Record = Record {
    what: "a detection",
    fields: &[
        ("alert_threshold", || Type::Number),
        ("median_s", || Type::Number),
        ("p95_s", || Type::Number),
    ],
    hints: &[],
};

static ROLLBACK: Record = Record {
    what: "a rollback",
    fields: &[
        ("median_s", || Type::Number),
        ("p95_s", || Type::Number),
        ("works", || Type::Number),
    ],
    hints: &[],
};

static UNKNOWN: Record = Record {
    what: "something unknown",
    fields: &[
        ("caller", || Type::Text),
        ("dependency", || Type::Text),
        ("what", || Type::Text),
        ("best", || Type::Number),
        ("worst", || Type::Number),
        ("measure", || Type::Text),
    ],
    hints: &[],
};

static DELTA: Record = Record {
    what: "a difference from the baseline",
    fields: &[
        ("flows", || Type::Map(Names::Flow, Rc::new(Type::Record(&DELTA_FLOW)))),
        ("services", || Type::Map(Names::Service, Rc::new(Type::Record(&DELTA_SERVICE)))),
        ("total", || Type::Record(&DELTA_TOTAL)),
        ("added", || list(Type::Text)),
        ("removed", || list(Type::Text)),
        ("single_points_gained", || list(Type::Text)),
        ("single_points_lost", || list(Type::Text)),
    ],
    hints: &[],
};

static DELTA_FLOW: Record = Record {
    what: "a difference of a flow",
    fields: &[
        ("name", || Type::Text),
        ("failed", || Type::Record(&ESTIMATE)),
        ("degraded", || Type::Record(&ESTIMATE)),
        ("orders_lost", || Type::Record(&MEAN)),
    ],
    hints: &[],
};

static DELTA_SERVICE: Record = Record {
    what: "a difference of a service",
    fields: &[
        ("name", || Type::Text),
        ("failed", || Type::Record(&ESTIMATE)),
        ("degraded", || Type::Record(&ESTIMATE)),
    ],
    hints: &[],
};

static DELTA_TOTAL: Record = Record {
    what: "a difference of the total",
    fields: &[("orders_lost", || Type::Record(&MEAN))],
    hints: &[],
};
