//! Ranks the impact of everything that can break: every service, endpoint, failure domain or
//! dependency, one at a time.

mod boolean;
mod fluid;

use crate::compile::Plan;
use crate::compile::compile;
use crate::compile::plan::DependencyId;
use crate::engine::boolean::{self as engine, NotBoolean};
use crate::engine::origins::{FailureMode, Impact, Moments, Origin, is_random};
use crate::engine::{Choice, Progress};
use crate::model::id::Table;
use crate::model::topology::{Caller, Dependency, NodeRef, Phase};
use crate::model::{Change, Topology};
use crate::report::rank::{self, MatrixReport, OriginReport, RankFlow, RankReport, SCHEMA};
use crate::report::{self, CallReport, EngineName, OriginKind};
use crate::sort::Arrange as _;
use crate::summary::estimate::Z975;

use super::simulate::{Settings, Stop};

/// Request for a ranking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankingRequest {
    /// Kind of component that breaks, one at a time.
    pub by: OriginKind,
    /// How; failure domains are always down.
    pub mode: FailureMode,
    /// How many are reported at the most.
    pub top: Option<usize>,
}

/// Counts what may break.
pub fn origin_count(topology: &Topology, by: OriginKind) -> usize {
    all_origins(topology, &compile_calm(topology, &Settings::default()), by).len()
}

/// Why a ranking is not for the Boolean engine; nothing if it is.
pub fn fluid_reason(
    topology: &Topology,
    ranking: RankingRequest,
    settings: &Settings,
) -> Option<NotBoolean> {
    let plan = compile_calm(topology, settings);
    engine::find_obstacle_with_origins(
        &plan,
        &all_origins(topology, &plan, ranking.by),
        ranking.mode,
    )
}

/// Fails everything one at a time, and orders it by impact: by money per minute where the value of all
/// orders is known, else by how likely critical flows fail; then by orders per minute, flows, services.
///
/// What fails in the same trial anyway is not charged to an origin, nor is the failure of its own
/// service.
pub fn rank_origins(
    topology: &Topology,
    ranking: RankingRequest,
    settings: &Settings,
    progress: &dyn Progress,
) -> RankReport {
    let plan = compile_calm(topology, settings);
    let origins = all_origins(topology, &plan, ranking.by);
    // Once for all origins: they are ranked against each other by the same engine.
    let obstacle = engine::find_obstacle_with_origins(&plan, &origins, ranking.mode);
    let is_boolean = obstacle.is_none() && settings.engine != Choice::Fluid;
    // Every origin gets the same trials, so a precision has no meaning here.
    let trials = match settings.stop {
        Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials,
    };
    let is_random = is_random(&plan);
    let work = Work {
        topology,
        plan: &plan,
        origins: &origins,
        mode: ranking.mode,
        settings,
        // Where chance decides nothing, one trial is as good as all of them.
        trials: if is_random { trials } else { trials.min(1) },
        progress,
    };
    let mut impacts =
        if is_boolean { boolean::boolean_impacts(&work) } else { fluid::fluid_impacts(&work) };
    // After an interruption some origins may have had fewer trials.
    let done = impacts.iter().map(|impact| impact.trials).min().unwrap_or(work.trials);
    let is_partial = done < work.trials;
    // The one trial stands for as many as were asked for.
    let done = if is_random { done } else { done * trials };
    if !is_random {
        impacts.iter_mut().for_each(|impact| impact.repeat_for(trials));
    }
    let names =
        OriginNames { topology, plan: &plan, written: topology.declared_dependencies().collect() };
    let scale = ImpactScale { topology, is_random };
    let mut reports: Vec<(OriginReport, &Impact)> = (origins.iter().zip(&impacts))
        .map(|(origin, impact)| (scale.origin_report(&names, *origin, impact), impact))
        .collect();
    let worth = order_values(topology);
    let weight = |(item, impact): &(OriginReport, &Impact)| {
        [
            nine_digits(business_impact(topology, worth.as_deref(), impact)),
            item.orders_per_min.map_or(0.0, |orders| orders.mean),
            item.flows.mean,
            item.services.mean,
        ]
    };
    // A stable sort: equals stay in the order of the topology.
    reports.arrange_by(|a, b| {
        let pairs = weight(b).into_iter().zip(weight(a));
        pairs.fold(std::cmp::Ordering::Equal, |so_far, (b, a)| so_far.then(b.total_cmp(&a)))
    });
    // Equal impact is equal rank, as in sports.
    for index in 0..reports.len() {
        let same = index > 0 && weight(&reports[index]) == weight(&reports[index - 1]);
        reports[index].0.rank = if same { reports[index - 1].0.rank } else { index as u64 + 1 };
    }
    let shown = ranking.top.unwrap_or(usize::MAX).min(reports.len());
    let left_out = (reports.len() - shown) as u64;
    reports.truncate(shown);
    RankReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        topology: topology.name.clone(),
        by: ranking.by,
        mode: match ranking.mode {
            FailureMode::Down => report::FailureMode::Down,
            FailureMode::Slow => report::FailureMode::Slow,
            FailureMode::Corrupt => report::FailureMode::Corrupt,
        },
        lasting_s: settings.lasting.get(),
        seed: settings.seed,
        trials: done,
        engine: if is_boolean { EngineName::Boolean } else { EngineName::Fluid },
        partial: is_partial,
        thresholds: topology.thresholds.into(),
        services: topology.services.len() as u64,
        flows: flow_heads(topology),
        left_out,
        matrix: matrix_report(topology, &reports),
        assumptions: rank_assumptions(topology, is_random),
        origins: reports.into_iter().map(|(report, _)| report).collect(),
    }
}

/// Returns the value of the orders of each flow per second, where every flow with a rate states it and
/// all are in one currency: sums of some of them would mislead.
fn order_values(topology: &Topology) -> Option<Vec<f64>> {
    let rated = || topology.flows.iter().filter(|flow| flow.rate.is_some());
    // Currencies cannot be added, and a sum without some flows would rank them last.
    let first = rated().next()?.value.as_ref()?;
    let is_known = |flow: &crate::model::topology::Flow| {
        flow.value.as_ref().is_some_and(|value| value.currency == first.currency)
    };
    let value = |flow: &crate::model::topology::Flow| {
        let rate = flow.rate.map_or(0.0, crate::model::Rate::get);
        rate * flow.value.as_ref().map_or(0.0, |value| value.amount)
    };
    rated().all(is_known).then(|| topology.flows.iter().map(value).collect())
}

/// Returns the money per second of the flows that fail because of an origin; without values, how many of
/// the flows that decide about a verdict fail: their outage minutes per minute.
fn business_impact(topology: &Topology, worth: Option<&[f64]>, impact: &Impact) -> f64 {
    let shares = impact.failed.iter().map(|failed| *failed as f64 / impact.trials.max(1) as f64);
    let flows = topology.flows.iter().zip(shares).enumerate();
    flows
        .map(|(index, (flow, share))| {
            // Where nothing has a price, each flow that decides counts as one.
            let judged = f64::from(u8::from(topology.is_judged(flow)));
            share * worth.map_or(judged, |worth| worth[index])
        })
        .sum()
}

/// Work of a ranking.
struct Work<'a> {
    topology: &'a Topology,
    /// Nothing breaks in it but by itself.
    plan: &'a Plan,
    origins: &'a [Origin],
    mode: FailureMode,
    settings: &'a Settings,
    trials: u64,
    progress: &'a dyn Progress,
}

/// A plan in which nothing breaks but by itself.
fn compile_calm(topology: &Topology, settings: &Settings) -> Plan {
    compile(topology, &Change::from_targets("nothing", Vec::new()), settings.lasting)
}

fn all_origins(topology: &Topology, plan: &Plan, by: OriginKind) -> Vec<Origin> {
    let services = plan.services.ids().iter();
    match by {
        OriginKind::Service => services.map(Origin::Service).collect(),
        OriginKind::Endpoint => services
            .flat_map(|service| {
                let nodes = plan.services[service].endpoints.iter();
                nodes.map(move |node| Origin::Endpoint { service, node: *node })
            })
            .collect(),
        OriginKind::Domain => plan.domains.ids().iter().map(Origin::Domain).collect(),
        OriginKind::Dependency => {
            (topology.declared_dependencies().zip(plan.dependencies.entries()))
                .filter(|((_, declared_dependency), (_, dependency))| {
                    declared_dependency.phase == Phase::Serve
                    // A dependency that no call stands for cannot break.
                    && dependency.observed.is_some()
                })
                .map(|(_, (id, _))| Origin::Dependency(id))
                .collect()
        }
    }
}

/// Names of origins.
struct OriginNames<'a> {
    topology: &'a Topology,
    plan: &'a Plan,
    written: Table<DependencyId, (Caller, &'a Dependency)>,
}

impl OriginNames<'_> {
    /// Returns the call of an origin that is a dependency.
    fn call_of(&self, origin: Origin) -> Option<CallReport> {
        let Origin::Dependency(dependency) = origin else { return None };
        let (caller, declared) = self.written[dependency];
        Some(CallReport {
            caller: self.topology.caller_name(caller),
            dependency: self.topology.dependency_name(declared),
        })
    }

    fn origin_name(&self, origin: Origin) -> String {
        let topology = self.topology;
        match origin {
            Origin::Service(service) => topology.service(service).name.clone(),
            Origin::Endpoint { service, node } => {
                let endpoints = &self.plan.services[service].endpoints;
                let endpoint = endpoints.iter().position(|endpoint| *endpoint == node);
                topology
                    .node_name(NodeRef { service, endpoint: endpoint.map(|number| number as u32) })
            }
            Origin::Domain(domain) => topology.domain(domain).name.clone(),
            Origin::Dependency(dependency) => {
                let (caller, written) = self.written[dependency];
                let prefix = if matches!(caller, Caller::Flow(_)) { "flow " } else { "" };
                let caller = topology.caller_name(caller);
                format!("{prefix}{caller} > {}", topology.dependency_name(written))
            }
        }
    }
}

/// Turns sums into means with intervals.
struct ImpactScale<'a> {
    topology: &'a Topology,
    is_random: bool,
}

impl ImpactScale<'_> {
    fn origin_report(
        &self,
        names: &OriginNames<'_>,
        origin: Origin,
        impact: &Impact,
    ) -> OriginReport {
        let topology = self.topology;
        let service = match origin {
            Origin::Service(service) => Some(topology.service(service)),
            _ => None,
        };
        let kind = match origin {
            Origin::Domain(domain) => topology.domain(domain).kind.clone(),
            _ => service.map(|service| service.kind.clone()),
        };
        let others =
            // What breaks is not counted among the services that fail because of it.
            topology.services.len() as f64 - f64::from(u8::from(origin.own_service().is_some()));
        let rates = topology.flows.iter().filter_map(|flow| flow.rate);
        let per_min = rates.clone().map(crate::model::Rate::get).sum::<f64>() * 60.0;
        OriginReport {
            rank: 0,
            name: names.origin_name(origin),
            call: names.call_of(origin),
            title: service.and_then(|service| service.title.clone()),
            kind,
            team: service.and_then(|service| service.team.clone()),
            tier: service.and_then(|service| service.tier),
            services: self.impact_report(&impact.services, impact.trials, 1.0, others),
            flows: self.impact_report(
                &impact.flows,
                impact.trials,
                1.0,
                topology.flows.len() as f64,
            ),
            orders_per_min: (rates.count() > 0)
                .then(|| self.impact_report(&impact.orders, impact.trials, 60.0, per_min)),
            single_point_of: single_point_of(topology, impact),
        }
    }

    /// A mean with a normal interval, and at the least as wide as the rule of three has it: what was
    /// not seen in n trials has a chance of at most 3/n (Hanley and Lippman-Hand, 1983).
    fn impact_report(
        &self,
        of: &Moments,
        trials: u64,
        factor: f64,
        limit: f64,
    ) -> rank::ImpactReport {
        let n = (trials as f64).max(1.0);
        let mean = of.sum / n;
        // The variance of the mean, with n - 1 since the mean is estimated from the same trials.
        let variance = (of.squares / n - mean * mean).max(0.0) / (n - 1.0).max(1.0);
        let reach = Z975 * libm::sqrt(variance);
        // Without randomness nothing is unseen.
        let unseen = if self.is_random { (3.0 / n).min(1.0) } else { 0.0 };
        let (mean, reach) = (mean * factor, reach * factor);
        // Towards 0 what was seen may be rarer, towards the limit what was not seen may be there.
        let low = (mean - reach).min(mean - mean * unseen);
        let high = (mean + reach).max(mean + (limit - mean) * unseen);
        rank::ImpactReport {
            mean: nine_digits(mean),
            low: nine_digits(low.max(0.0)),
            // Rounding may put the ends on the wrong side of the mean.
            high: nine_digits(high.min(limit).max(mean)),
            worst: nine_digits(of.worst * factor),
        }
    }
}

/// A figure to nine significant digits: the engines add up rates in different orders, and what lies
/// behind those digits is the order of addition.
fn nine_digits(figure: f64) -> f64 {
    format!("{figure:.8e}").parse().expect("a number as it was written")
}

fn single_point_of(topology: &Topology, impact: &Impact) -> Vec<String> {
    let counts = impact.failed.iter().zip(&impact.baseline);
    let flows = topology.flows.iter().zip(counts);
    flows
        // A single point fails the flow in every trial in which it would have worked.
        .filter(|(_, (failed, anyway))| **failed > 0 && *failed + *anyway == impact.trials)
        .map(|(flow, _)| flow.name.clone())
        .collect()
}

fn flow_heads(topology: &Topology) -> Vec<RankFlow> {
    let flow = |flow: &crate::model::topology::Flow| RankFlow {
        name: flow.name.clone(),
        title: flow.title.clone(),
        critical: flow.critical,
        rate_per_s: flow.rate.map(crate::model::Rate::get),
    };
    topology.flows.iter().map(flow).collect()
}

fn matrix_report(topology: &Topology, reports: &[(OriginReport, &Impact)]) -> MatrixReport {
    let shares = |counts: &[u64], trials: u64| {
        counts.iter().map(|count| *count as f64 / trials.max(1) as f64).collect()
    };
    MatrixReport {
        origins: reports.iter().map(|(report, _)| report.name.clone()).collect(),
        flows: topology.flows.iter().map(|flow| flow.name.clone()).collect(),
        failed: reports.iter().map(|(_, impact)| shares(&impact.failed, impact.trials)).collect(),
        degraded: reports
            .iter()
            .map(|(_, impact)| shares(&impact.degraded, impact.trials))
            .collect(),
    }
}

fn rank_assumptions(topology: &Topology, is_random: bool) -> Vec<String> {
    let mut said = Vec::new();
    let unknown = topology.flows.iter().filter(|flow| flow.rate.is_none()).count();
    // Where none states a rate there are no orders per minute at all.
    if unknown > 0 && unknown < topology.flows.len() {
        let verb = if unknown == 1 {
            "flow states no rate and adds"
        } else {
            "flows state no rate and add"
        };
        said.push(format!("{unknown} {verb} nothing to the orders per minute"));
    }
    if !is_random {
        said.push("nothing is left to chance in this topology: every trial is the same".to_owned());
    }
    said
}
