//! What a condition speaks of: the topology, the change, and what was counted so far.

use std::rc::Rc;

use super::evaluate::all_of;
use super::value::{Item, Number, Truth, Value};
use crate::engine::Tally;
use crate::engine::outcome::Anomalies;
use crate::engine::sketch::Sketch;
use crate::model::change::{Author, ChangeKind, Component, Routing, TargetRef};
use crate::model::{Change, Topology, defaults};
use crate::report::compare::SinglePoint;
use crate::report::{Interval, Report, Unknown};
use crate::summary::sequential;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Everything that conditions are evaluated in.
pub(super) struct World<'a> {
    pub(super) topology: &'a Topology,
    pub(super) change: &'a Change,
    pub(super) failure_probability: f64,
    pub(super) tally: &'a Tally,
    /// How often the tally was looked at, this time included.
    pub(super) look: u32,
    pub(super) unknowns: &'a [Unknown],
    /// Seconds since 1970, where the user says what time it is.
    pub(super) now: Option<f64>,
    pub(super) baseline: Option<&'a Report>,
    /// The single points of failure of this topology.
    pub(super) single_points: &'a [SinglePoint],
}

impl World<'_> {
    pub(super) fn variable(&self, name: &str) -> Value {
        match name {
            "flows" => Value::Item(Item::Flows),
            "services" => Value::Item(Item::Services),
            "dependencies" => Value::items(self.tally.dependencies.len(), Item::Dependency),
            "total" => Value::Item(Item::Total),
            "change" => Value::Item(Item::Change),
            "unknowns" => Value::items(self.unknowns.len(), Item::Unknown),
            "metastable" => self.anomalous(|counts| counts.metastable),
            "never_recovers" => self.anomalous(|counts| counts.never_recovers),
            "delta" if self.baseline.is_none() => Value::missing(
                "there is nothing to compare with: name an earlier result with `--baseline`",
            ),
            "delta" => Value::Item(Item::Delta),
            "now" => self.now.map_or_else(no_now, Value::Moment),
            _ => unreachable!("names were checked when the condition was read"),
        }
    }

    /// The names of the services with this kind of anomaly in some trial.
    fn anomalous(&self, count_of: fn(&Anomalies<u64>) -> u64) -> Value {
        let all = self.topology.services.iter().zip(&self.tally.anomalies);
        Value::texts(all.filter(|(_, counts)| count_of(counts) > 0).map(|(it, _)| &*it.name))
    }

    pub(super) fn items(&self, of: Item) -> Rc<[(Truth, Value)]> {
        match of {
            Item::Flows => all_of(self.topology.flows.len(), Item::Flow),
            Item::Services => all_of(self.topology.services.len(), Item::Service),
            Item::DeltaFlows => {
                let known = |index: &usize| self.before(self.flow_unit(*index)).is_some();
                let flows = (0..self.topology.flows.len()).filter(known);
                flows.map(|index| (Truth::Yes, Value::Item(Item::DeltaFlow(index)))).collect()
            }
            Item::DeltaServices => {
                let known = |index: &usize| self.before(*index).is_some();
                let services = (0..self.topology.services.len()).filter(known);
                services.map(|index| (Truth::Yes, Value::Item(Item::DeltaService(index)))).collect()
            }
            _ => Rc::new([]),
        }
    }

    /// The flow or service of this name.
    pub(super) fn named(&self, of: Item, name: &str) -> Value {
        let flow = || self.topology.flows.iter().position(|it| it.name == name);
        let service = || self.topology.services.iter().position(|it| it.name == name);
        let (what, found) = match of {
            Item::Flows => ("flow", flow().map(Item::Flow)),
            Item::Services => ("service", service().map(Item::Service)),
            Item::DeltaFlows => (
                "flow in both results",
                flow().filter(|it| self.before(self.flow_unit(*it)).is_some()).map(Item::DeltaFlow),
            ),
            _ => (
                "service in both results",
                service().filter(|it| self.before(*it).is_some()).map(Item::DeltaService),
            ),
        };
        found.map_or_else(|| Value::missing(format!("there is no {what} `{name}`")), Value::Item)
    }

    pub(super) fn has(&self, of: Item, name: &str) -> bool {
        match (of, name) {
            (Item::Change, "rollout") => self.change.rollout.is_some(),
            (Item::Change, "detection") => self.change.detection.is_some(),
            (Item::Change, "rollback") => self.change.rollback.is_some(),
            (Item::Change, "failure_probability") => self.change.failure_probability.is_some(),
            _ => match self.field(of, name, 0.05) {
                Value::Missing(_) => false,
                Value::Item(Item::Losses { flow, .. } | Item::MeanPerRollout(flow)) => {
                    self.counts_orders(flow)
                }
                Value::Item(Item::Money(flow)) => {
                    self.counts_orders(Some(flow)) && self.topology.flows[flow].value.is_some()
                }
                _ => true,
            },
        }
    }

    pub(super) fn field(&self, of: Item, name: &str, error: f64) -> Value {
        match of {
            Item::Flow(index) => self.flow(index, name, error),
            Item::Service(index) => self.service(index, name, error),
            Item::Change => self.of_change(name),
            Item::Delta => self.delta(name),
            Item::Dependency(index) => self.dependency(index, name, error),
            Item::Total => match name {
                "orders_lost" => Value::Item(Item::Losses { flow: None, wrong: false }),
                _ => Value::Item(Item::TotalPerRollout),
            },
            Item::TotalPerRollout => Value::Item(Item::MeanPerRollout(None)),
            Item::Unknown(index) => {
                let it = &self.unknowns[index];
                match name {
                    "caller" => Value::text(&it.caller),
                    "dependency" => Value::text(&it.dependency),
                    "what" => Value::text(&it.what),
                    "best" => Value::number(it.best),
                    "worst" => Value::number(it.worst),
                    _ => Value::text(&it.measure),
                }
            }
            Item::Source(index) => self.source(index, name),
            Item::Target(index) => {
                let it = &self.change.targets[index];
                match name {
                    "name" => Value::text(&self.target(it.on)),
                    "probability" => Value::number(it.probability.get()),
                    _ => Value::number(it.min_exposure.get()),
                }
            }
            Item::Rollout => self.rollout(name),
            Item::Stage(index) => self.stage(index, name),
            Item::Detection | Item::Rollback => self.delay(of, name),
            Item::Estimate { unit, degraded, per_rollout } => {
                let tally = &self.tally.units[unit];
                let count = if degraded { tally.degraded } else { tally.failed };
                let figure = self.share(count as f64, error);
                let path = self.path(of);
                Value::Number(self.scaled(figure, per_rollout, format!("{path}.p")))
            }
            Item::PerRollout(unit) => match name {
                "orders_lost" => {
                    let first = self.flow_unit(0);
                    match unit.checked_sub(first) {
                        Some(flow) => Value::Item(Item::MeanPerRollout(Some(flow))),
                        None => Value::missing("orders are lost by flows, not by services"),
                    }
                }
                _ => Value::Item(Item::Estimate {
                    unit,
                    degraded: name == "degraded",
                    per_rollout: true,
                }),
            },
            Item::Times { unit, lasted } => {
                let tally = &self.tally.units[unit];
                let sketch = if lasted { &tally.lasted } else { &tally.first };
                if self.change.is_moment() {
                    return Value::missing("a single moment has no times");
                }
                quantile(sketch, name, error, format!("{}.{name}", self.path(of)))
            }
            Item::Losses { flow, wrong } => self.losses(flow, wrong, name, error, &self.path(of)),
            Item::MeanPerRollout(flow) => match self.losses(flow, false, "mean", error, "") {
                Value::Number(it) => {
                    let path = format!("{}.mean", self.path(of));
                    Value::Number(self.scaled((it.low, it.value, it.high), true, path))
                }
                other => other,
            },
            Item::Money(flow) => self.money(flow, name, error),
            Item::DeltaFlow(index) => match name {
                "name" => Value::text(&self.topology.flows[index].name),
                "orders_lost" => Value::Item(Item::DeltaMean(Some(index))),
                _ => Value::Item(Item::DeltaEstimate {
                    unit: self.flow_unit(index),
                    degraded: name == "degraded",
                }),
            },
            Item::DeltaService(index) => match name {
                "name" => Value::text(&self.topology.services[index].name),
                _ => Value::Item(Item::DeltaEstimate { unit: index, degraded: name == "degraded" }),
            },
            Item::DeltaTotal => Value::Item(Item::DeltaMean(None)),
            Item::DeltaEstimate { unit, degraded } => self.delta_share(unit, degraded, error),
            Item::DeltaMean(flow) => self.delta_mean(flow, error),
            Item::Flows | Item::Services | Item::DeltaFlows | Item::DeltaServices => {
                unreachable!("they have names, not fields")
            }
        }
    }

    fn flow_unit(&self, flow: usize) -> usize {
        self.tally.units.len() - self.topology.flows.len() + flow
    }

    fn flow(&self, index: usize, name: &str, error: f64) -> Value {
        let it = &self.topology.flows[index];
        match name {
            "name" => Value::text(&it.name),
            "title" => Value::text(it.title.as_ref().unwrap_or(&it.name)),
            "critical" => Value::Truth(Truth::of(it.critical)),
            "rate_per_s" => it.rate.map_or_else(
                || Value::missing(format!("flow `{}` has no rate", it.name)),
                |rate| Value::number(rate.get()),
            ),
            "orders_lost" => Value::Item(Item::Losses { flow: Some(index), wrong: false }),
            "wrong_orders" => Value::Item(Item::Losses { flow: Some(index), wrong: true }),
            "money_lost" => Value::Item(Item::Money(index)),
            _ => self.unit(self.flow_unit(index), name, error),
        }
    }

    fn service(&self, index: usize, name: &str, error: f64) -> Value {
        let it = &self.topology.services[index];
        let unsaid = |what: &str| format!("service `{}` does not say its {what}", it.name);
        match name {
            "name" => Value::text(&it.name),
            "title" => Value::text(it.title.as_ref().unwrap_or(&it.name)),
            "kind" => Value::text(&it.kind),
            "team" => Value::optional_text(it.team.as_deref(), || unsaid("team")),
            "tier" => it.tier.map_or_else(
                || Value::missing(unsaid("tier")),
                |tier| Value::number(f64::from(tier)),
            ),
            "is_target" => Value::Truth(Truth::of(self.change.targets.iter().any(|target| {
                matches!(target.on, TargetRef::Node(node) if node.service.0 as usize == index)
            }))),
            _ => self.unit(index, name, error),
        }
    }

    fn unit(&self, unit: usize, name: &str, error: f64) -> Value {
        match name {
            "failed" | "degraded" => Value::Item(Item::Estimate {
                unit,
                degraded: name == "degraded",
                per_rollout: false,
            }),
            "failing_share" => {
                let (low, value, high) = self.share(self.tally.units[unit].share, error);
                let path = format!("{}.failing_share", self.unit_path(unit));
                Value::Number(Number { low, value, high, figure: Some(path.into()) })
            }
            "first_failed_s" | "failed_for_s" => {
                Value::Item(Item::Times { unit, lasted: name == "failed_for_s" })
            }
            _ => Value::Item(Item::PerRollout(unit)),
        }
    }

    fn share(&self, successes: f64, error: f64) -> (f64, f64, f64) {
        let (low, high) = sequential::share(successes, self.tally.trials, error);
        (low, successes / self.tally.trials.max(1) as f64, high)
    }

    fn scaled(&self, of: (f64, f64, f64), per_rollout: bool, path: String) -> Number {
        let by = if per_rollout { self.failure_probability } else { 1.0 };
        let (low, value, high) = (of.0 * by, of.1 * by, of.2 * by);
        Number { low, value, high, figure: Some(path.into()) }
    }

    /// Whether orders can be counted.
    fn counts_orders(&self, flow: Option<usize>) -> bool {
        let flows = &self.topology.flows;
        let has_rate = flow.map_or_else(
            || flows.iter().any(|it| it.rate.is_some()),
            |flow| flows[flow].rate.is_some(),
        );
        has_rate && !self.change.is_moment()
    }

    fn losses(
        &self,
        flow: Option<usize>,
        wrong: bool,
        name: &str,
        error: f64,
        path: &str,
    ) -> Value {
        if !self.counts_orders(flow) {
            return Value::missing(match flow {
                _ if self.change.is_moment() => {
                    "a single moment loses no orders: the change has no rollout, detection or rollback"
                        .to_owned()
                }
                Some(flow) => {
                    format!("flow `{}` has no rate, so its orders are not counted", self.topology.flows[flow].name)
                }
                None => "no flow has a rate, so orders are not counted".to_owned(),
            });
        }
        // A total over flows of which some are not counted is less than it says.
        if flow.is_none() && self.topology.flows.iter().any(|it| it.rate.is_none()) {
            return Value::missing("some flows have no rate, so the total is not known");
        }
        let sketch = match flow {
            None => &self.tally.lost,
            Some(flow) if wrong => &self.tally.flows[flow].wrong,
            Some(flow) => &self.tally.flows[flow].lost,
        };
        if name == "mean" {
            let (low, high) = sequential::mean(sketch, error, self.look);
            let value = sketch.mean().unwrap_or(0.0);
            let figure = Some(format!("{path}.mean").into());
            return Value::Number(Number { low, value, high, figure });
        }
        quantile(sketch, name, error, format!("{path}.{name}"))
    }

    fn money(&self, flow: usize, name: &str, error: f64) -> Value {
        let it = &self.topology.flows[flow];
        let Some(value) = &it.value else {
            return Value::missing(format!(
                "flow `{}` does not say what an order is worth",
                it.name
            ));
        };
        if name == "currency" {
            return Value::text(&value.currency);
        }
        match self.losses(Some(flow), false, name, error, "") {
            Value::Number(orders) => Value::Number(Number {
                figure: Some(
                    format!("{}.money_lost.{name}", self.unit_path(self.flow_unit(flow))).into(),
                ),
                ..orders.map(|orders| orders * value.amount)
            }),
            other => other,
        }
    }

    fn dependency(&self, index: usize, name: &str, error: f64) -> Value {
        let (caller, it) =
            self.topology.written().nth(index).expect("as many as there are tallies of");
        let (caller, called) =
            (self.topology.caller_name(caller), self.topology.dependency_name(it));
        let tally = &self.tally.dependencies[index];
        let count = match name {
            "caller" => return Value::text(&caller),
            "dependency" => return Value::text(&called),
            "tried" => tally.tried,
            _ => tally.passed,
        };
        let (low, value, high) = self.share(count as f64, error);
        let path = format!("dependencies[\"{caller} > {called}\"].{name}");
        Value::Number(Number { low, value, high, figure: Some(path.into()) })
    }

    fn of_change(&self, name: &str) -> Value {
        let it = self.change;
        let unsaid = |key: &str, what: &str| format!("the change does not say {what} (`{key}`)");
        match name {
            "name" => Value::text(&it.name),
            "kind" => Value::optional_text(it.kind.map(kind), || unsaid("kind", "what sort it is")),
            "authored_by" => Value::optional_text(it.authored_by.map(author), || {
                unsaid("authored_by", "who wrote it")
            }),
            "reviewed_by" => it.reviewed_by.as_ref().map_or_else(
                || Value::missing(unsaid("reviewed_by", "who reviewed it")),
                |names| Value::texts(names.iter().map(String::as_str)),
            ),
            "sources" => Value::items(it.sources.len(), Item::Source),
            "failure_probability" => {
                let stated = it.failure_probability;
                let it = stated.unwrap_or_else(|| defaults::failure_probability(it.kind));
                Value::number(it.get())
            }
            "targets" => Value::items(it.targets.len(), Item::Target),
            "rollout" => Value::Item(Item::Rollout),
            "detection" => Value::Item(Item::Detection),
            "rollback" => Value::Item(Item::Rollback),
            "horizon_s" => Value::number(it.horizon.get()),
            _ => Value::list(it.during.iter().map(|it| {
                Value::text(match it {
                    Component::Service(id) => &self.topology.services[id.0 as usize].name,
                    Component::Domain(id) => &self.topology.domain(*id).name,
                })
            })),
        }
    }

    fn source(&self, index: usize, name: &str) -> Value {
        let it = &self.change.sources[index];
        if name == "title" {
            return Value::text(&it.title);
        }
        let updated = it
            .updated
            .and_then(|day| crate::policy::expression::moment(&format!("{day}T00:00:00Z")));
        let Some(updated) = updated else {
            return Value::missing(format!(
                "source `{}` does not say when it was `updated`",
                it.title
            ));
        };
        match (name, self.now) {
            ("updated", _) => Value::Moment(updated),
            (_, None) => no_now(),
            (_, Some(now)) => Value::number(((now - updated) / SECONDS_PER_DAY).floor()),
        }
    }

    fn target(&self, on: TargetRef) -> String {
        match on {
            TargetRef::Node(node) => self.topology.node_name(node),
            TargetRef::Domain(domain) => self.topology.domain(domain).name.clone(),
        }
    }

    fn rollout(&self, name: &str) -> Value {
        let rollout = self.change.rollout.as_ref();
        if name == "stages" {
            // Without a rollout everything changes at once: one stage of 100%.
            return Value::items(rollout.map_or(1, |it| it.stages.len()), Item::Stage);
        }
        Value::text(match rollout.map_or(Routing::Random, |it| it.routing) {
            Routing::Random => "random",
            Routing::Sticky => "sticky",
        })
    }

    fn stage(&self, index: usize, name: &str) -> Value {
        let stage = self.change.rollout.as_ref().and_then(|it| it.stages.get(index));
        Value::number(match (name, stage) {
            ("exposure", stage) => stage.map_or(1.0, |it| it.exposure.get()),
            ("bake_s", stage) => {
                stage.and_then(|it| it.bake).map_or(0.0, crate::model::units::Seconds::get)
            }
            (_, stage) => stage.map_or(0.0, |it| it.catch_probability.get()),
        })
    }

    fn delay(&self, of: Item, name: &str) -> Value {
        let it = self.change;
        let is_detection = of == Item::Detection;
        let stated = if is_detection { it.detection.is_some() } else { it.rollback.is_some() };
        if !stated {
            let what = if is_detection { "how a break is noticed" } else { "how it is taken back" };
            let key = if is_detection { "detection" } else { "rollback" };
            return Value::missing(format!("the change does not say {what} (`{key}`)"));
        }
        let delay = if is_detection { defaults::detection(it) } else { defaults::rollback(it) };
        Value::number(match name {
            "median_s" => delay.median.get(),
            "p95_s" => delay.p95.get(),
            "alert_threshold" => it.detection.as_ref().map_or(0.0, |it| it.alert_threshold.get()),
            _ => it.rollback.as_ref().map_or(1.0, |it| it.works.get()),
        })
    }

    fn delta(&self, name: &str) -> Value {
        let Some(baseline) = self.baseline else { return self.variable("delta") };
        match name {
            "flows" => Value::Item(Item::DeltaFlows),
            "services" => Value::Item(Item::DeltaServices),
            "total" => Value::Item(Item::DeltaTotal),
            "single_points_gained" | "single_points_lost" => {
                let points = super::baseline::single_points(self.single_points, baseline);
                let Some((gained, lost)) = points else {
                    return Value::missing(
                        "the earlier result does not say what its single points of failure are",
                    );
                };
                let names = if name == "single_points_gained" { gained } else { lost };
                Value::texts(names.iter().map(String::as_str))
            }
            _ => {
                let (added, removed) = super::baseline::names(self.topology, baseline);
                let names = if name == "added" { added } else { removed };
                Value::texts(names.iter().map(String::as_str))
            }
        }
    }

    /// A service or flow in the earlier result.
    fn before(&self, unit: usize) -> Option<&crate::report::UnitReport> {
        let baseline = self.baseline?;
        if let Some(flow) = unit.checked_sub(self.flow_unit(0)) {
            let name = &self.topology.flows[flow].name;
            baseline.flows.iter().find(|it| it.name == *name)
        } else {
            let name = &self.topology.services.get(unit)?.name;
            baseline.services.iter().find(|it| it.name == *name)
        }
    }

    fn delta_share(&self, unit: usize, degraded: bool, error: f64) -> Value {
        let Some(before) = self.before(unit) else {
            return Value::missing("the earlier result does not have it");
        };
        let Interval { p, low, high, .. } = if degraded { before.degraded } else { before.failed };
        let tally = &self.tally.units[unit];
        let count = if degraded { tally.degraded } else { tally.failed };
        let now = self.share(count as f64, error);
        let what = if degraded { "degraded" } else { "failed" };
        let path = format!("delta.{}.{what}.p", self.unit_path(unit));
        let (low, value, high) = (now.0 - high, now.1 - p, now.2 - low);
        Value::Number(Number { low, value, high, figure: Some(path.into()) })
    }

    fn delta_mean(&self, flow: Option<usize>, error: f64) -> Value {
        let before = match flow {
            Some(flow) => self.before(self.flow_unit(flow)).and_then(|it| it.orders_lost.as_ref()),
            None => self.baseline.and_then(|it| it.total.as_ref()).map(|it| &it.orders_lost),
        };
        let Some(before) = before else {
            return Value::missing("the earlier result does not count these orders");
        };
        let place =
            flow.map_or_else(|| "total".to_owned(), |it| self.unit_path(self.flow_unit(it)));
        let path = format!("delta.{place}.orders_lost.mean");
        match self.losses(flow, false, "mean", error, "") {
            Value::Number(now) => Value::Number(Number {
                low: now.low - before.mean_high,
                value: now.value - before.mean,
                high: now.high - before.mean_low,
                figure: Some(path.into()),
            }),
            other => other,
        }
    }

    fn unit_path(&self, unit: usize) -> String {
        match unit.checked_sub(self.flow_unit(0)) {
            Some(flow) => format!("flows[\"{}\"]", self.topology.flows[flow].name),
            None => format!("services[\"{}\"]", self.topology.services[unit].name),
        }
    }

    fn path(&self, of: Item) -> String {
        match of {
            Item::Estimate { unit, degraded, per_rollout } => format!(
                "{}{}.{}",
                self.unit_path(unit),
                if per_rollout { ".per_rollout" } else { "" },
                if degraded { "degraded" } else { "failed" }
            ),
            Item::Times { unit, lasted } => format!(
                "{}.{}",
                self.unit_path(unit),
                if lasted { "failed_for_s" } else { "first_failed_s" }
            ),
            Item::Losses { flow: None, .. } => "total.orders_lost".to_owned(),
            Item::Losses { flow: Some(flow), wrong } => format!(
                "{}.{}",
                self.unit_path(self.flow_unit(flow)),
                if wrong { "wrong_orders" } else { "orders_lost" }
            ),
            Item::MeanPerRollout(None) => "total.per_rollout.orders_lost".to_owned(),
            Item::MeanPerRollout(Some(flow)) => {
                format!("{}.per_rollout.orders_lost", self.unit_path(self.flow_unit(flow)))
            }
            _ => String::new(),
        }
    }
}

fn no_now() -> Value {
    Value::missing("what time it is was not said: give it with `--now`")
}

fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Code => "code",
        ChangeKind::Config => "config",
        ChangeKind::Schema => "schema",
        ChangeKind::Infrastructure => "infrastructure",
        ChangeKind::Data => "data",
        ChangeKind::Dependency => "dependency",
        ChangeKind::Flag => "flag",
    }
}

fn author(author: Author) -> &'static str {
    match author {
        Author::Human => "human",
        Author::Ai => "ai",
        Author::Mixed => "mixed",
    }
}

fn quantile(of: &Sketch, name: &str, error: f64, path: String) -> Value {
    let q = match name {
        "p50" => 0.5,
        "p95" => 0.95,
        _ => 0.99,
    };
    let (low, high) = sequential::quantile(of, q, error);
    let value = of.quantile(q).unwrap_or(0.0);
    Value::Number(Number { low, value, high, figure: Some(path.into()) })
}
