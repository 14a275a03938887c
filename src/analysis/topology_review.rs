//! Reviews a topology that changes: every single break in both states, and what differs.

use std::collections::BTreeMap;

use super::gate::{Check, Gate};
use super::rank::{RankingRequest, rank_origins};
use super::simulate::{Settings, Stop};
use super::single_points::find_single_points;
use crate::diagnostic::{Diagnostic, Label, Sources};
use crate::engine::Progress;
use crate::model::cost::AdviceKind;
use crate::model::topology::{CallKind, Caller, Dependency, Flow, Phase, Timeout};
use crate::model::{Change, Seconds, Topology};
use crate::policy::{Policy, Waiver};
use crate::report::compare::SinglePoint;
use crate::report::topology_review::{
    BreakReview, BudgetReview, DependencyReview, FlowReview, FlowTrend, ReviewReport,
    ReviewedTopology, SCHEMA,
};
use crate::report::{CallReport, ComponentKind, OriginKind, PlaceReport, Report};
use crate::sort::Arrange as _;

/// Minutes of 90 days, over which outages are added up: three windows of the default objective.
const MINUTES: f64 = 90.0 * 24.0 * 60.0;
/// From this share of trials on, a single break is said to fail a flow.
const FAILS: f64 = 0.5;
/// Trials of the earlier state: rules cannot ask for more of them later.
const BASELINE_TRIALS: u64 = 20_000;
/// A difference counts from so many of its standard errors on: there are many comparisons.
const ERRORS: f64 = 5.0;
/// Smaller differences between shares are of no use to anybody, however sure they are.
const LEAST: f64 = 0.005;

/// Question of a review: two states, and how the difference is judged.
#[derive(Clone, Copy, Debug)]
pub struct ReviewRequest<'a> {
    /// The topology as it was, and where it was read.
    pub before: (&'a Topology, &'a str),
    /// The topology as it shall be, and where it was read.
    pub after: (&'a Topology, &'a str),
    /// The text of the new state's files, to say where its dependencies are declared.
    pub sources: &'a Sources,
    /// The policy, and whether it comes with the program.
    pub policy: (&'a Policy, bool),
    /// Waivers of rules of the policy.
    pub waivers: &'a [Waiver],
    /// The current time, in seconds since 1970.
    pub now: Option<f64>,
    /// After how many trials the policy looks first.
    pub first_look: u64,
}

/// Breaks every service and failure domain of both states, one at a time, and compares.
///
/// # Errors
/// One diagnostic for each rule that takes too much work for the topology.
pub fn review_topologies(
    request: &ReviewRequest<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<ReviewReport, Vec<Diagnostic>> {
    let nothing = Change::from_targets("nothing", Vec::new());
    let gate_settings = Settings { stop: Stop::Trials(request.first_look), ..*settings };
    // The earlier state is the baseline, so that rules can speak of `delta`.
    let unjudged = Gate { single_points: true, explains: false, ..Gate::default() };
    let [before, after] = [request.before.0, request.after.0];
    let earlier_settings = Settings { stop: Stop::Trials(BASELINE_TRIALS), ..*settings };
    let earlier = Check::new(before, &nothing, &unjudged, &earlier_settings)?.run(progress);
    let gate = Gate {
        policy: Some(request.policy),
        waivers: request.waivers,
        now: request.now,
        baseline: Some(&earlier),
        ..unjudged
    };
    let later = Check::new(after, &nothing, &gate, &gate_settings)?.run(progress);
    let breaks = [before, after].map(|topology| Breaks::simulate(topology, settings, progress));
    let partial = earlier.partial || later.partial || breaks.iter().any(|side| side.is_partial);
    let points = [before, after].map(|topology| find_single_points(topology, Seconds::ZERO));
    let mut flows = flow_reviews(request, &breaks, &earlier, &later);
    // Weaker ones first; equals stay in the order of the topology.
    flows.arrange_by_key(|flow| (flow.trend, !flow.critical));
    let [unprotected, weakened] = dependency_reviews(before, after, request.sources);
    Ok(ReviewReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.seed,
        trials: breaks[1].trials,
        partial,
        before: reviewed_topology(request.before, &breaks[0]),
        after: reviewed_topology(request.after, &breaks[1]),
        flows,
        single_points_gained: points_beyond(&points[1], &points[0]),
        single_points_lost: points_beyond(&points[0], &points[1]),
        unprotected_dependencies: unprotected,
        weakened_dependencies: weakened,
        added: names_beyond(after, before),
        removed: names_beyond(before, after),
        verdict: later.verdict,
    })
}

/// Every single break of one state.
struct Breaks {
    trials: u64,
    is_partial: bool,
    /// By kind and name: the share of trials in which each flow fails because of it.
    shares: BTreeMap<(ComponentKind, String), Vec<f64>>,
}

impl Breaks {
    fn simulate(topology: &Topology, settings: &Settings, progress: &dyn Progress) -> Self {
        let mut all = Self { trials: 0, is_partial: false, shares: BTreeMap::new() };
        for by in [OriginKind::Service, OriginKind::Domain] {
            let request = RankingRequest { by, ..RankingRequest::default() };
            let ranking = rank_origins(topology, request, settings, progress);
            all.is_partial |= ranking.partial;
            all.trials = all.trials.max(ranking.trials);
            let kind = match by {
                OriginKind::Domain => ComponentKind::Domain,
                _ => ComponentKind::Service,
            };
            let rows = ranking.matrix.origins.into_iter().zip(ranking.matrix.failed);
            all.shares.extend(rows.map(|(name, shares)| ((kind, name), shares)));
        }
        all
    }
}

fn reviewed_topology((topology, file): (&Topology, &str), breaks: &Breaks) -> ReviewedTopology {
    ReviewedTopology {
        name: topology.name.clone(),
        file: file.to_owned(),
        services: topology.services.len() as u64,
        dependencies: topology.declared_dependencies().count() as u64,
        breaks: breaks.shares.len() as u64,
    }
}

fn flow_reviews(
    request: &ReviewRequest<'_>,
    breaks: &[Breaks; 2],
    earlier: &Report,
    later: &Report,
) -> Vec<FlowReview> {
    let [before, after] = [request.before.0, request.after.0];
    let review = |(index, flow): (usize, &Flow)| {
        let was = before.flows.iter().position(|known| known.name == flow.name)?;
        let share_before = |shares: &Vec<f64>| shares[was];
        let share_after = |shares: &Vec<f64>| shares[index];
        let count = |side: &Breaks, share: &dyn Fn(&Vec<f64>) -> f64| {
            side.shares.values().filter(|shares| share(shares) >= FAILS).count() as u64
        };
        let mut worse = Vec::new();
        let mut better = Vec::new();
        let gone = breaks[0].shares.keys().filter(|key| !breaks[1].shares.contains_key(*key));
        for key in breaks[1].shares.keys().chain(gone) {
            let item = BreakReview {
                name: key.1.clone(),
                kind: key.0,
                before: breaks[0].shares.get(key).map(share_before),
                after: breaks[1].shares.get(key).map(share_after),
            };
            let difference = item.after.unwrap_or(0.0) - item.before.unwrap_or(0.0);
            if !is_clear(&item, breaks) {
                continue;
            }
            if difference > 0.0 { worse.push(item) } else { better.push(item) }
        }
        for list in [&mut worse, &mut better] {
            let size =
                |item: &BreakReview| (item.after.unwrap_or(0.0) - item.before.unwrap_or(0.0)).abs();
            list.arrange_by(|a, b| size(b).total_cmp(&size(a)));
        }
        let trend = match (worse.is_empty(), better.is_empty()) {
            (false, true) => FlowTrend::Weaker,
            (true, false) => FlowTrend::Stronger,
            (false, false) => FlowTrend::Mixed,
            (true, true) => FlowTrend::Unchanged,
        };
        Some(FlowReview {
            name: flow.name.clone(),
            critical: flow.critical,
            trend,
            breaks_before: count(&breaks[0], &share_before),
            breaks_after: count(&breaks[1], &share_after),
            worse,
            better,
            budget: BudgetReview {
                before_min: outage_minutes(before, earlier, &flow.name),
                after_min: outage_minutes(after, later, &flow.name),
                budget_min: (1.0 - flow.objective().availability.get()) * MINUTES,
                is_assumed: flow.objective.is_none(),
            },
        })
    };
    after.flows.iter().enumerate().filter_map(review).collect()
}

/// Whether the difference between two shares is more than chance, and large enough to matter.
fn is_clear(item: &BreakReview, breaks: &[Breaks; 2]) -> bool {
    let variance = |share: f64, trials: u64| share * (1.0 - share) / (trials.max(1) as f64);
    let (before, after) = (item.before.unwrap_or(0.0), item.after.unwrap_or(0.0));
    let error = libm::sqrt(variance(before, breaks[0].trials) + variance(after, breaks[1].trials));
    (after - before).abs() > LEAST.max(ERRORS * error)
}

/// Returns the outage minutes of a flow over 90 days without any change: exact where that is cheap.
///
/// `None` where no availability is declared: no outage at all would look like a promise.
fn outage_minutes(topology: &Topology, report: &Report, flow: &str) -> Option<f64> {
    let of_services = topology.services.iter().any(|service| {
        let replicas = service.replicas.as_ref();
        service.availability.is_some()
            || replicas.is_some_and(|replicas| replicas.availability.is_some())
    });
    let is_declared =
        of_services || topology.domains.iter().any(|domain| domain.availability.is_some());
    let unit = report.flows.iter().find(|unit| unit.name == flow).filter(|_| is_declared)?;
    Some(unit.failed.exact.unwrap_or(unit.failed.p) * MINUTES)
}

/// Returns single points with the flows that they fail on one side and not on the other.
fn points_beyond(these: &[SinglePoint], others: &[SinglePoint]) -> Vec<SinglePoint> {
    let beyond = |point: &SinglePoint| {
        let other =
            others.iter().find(|other| other.name == point.name && other.kind == point.kind);
        let is_new = |flow: &&String| other.is_none_or(|other| !other.flows.contains(flow));
        let flows: Vec<String> = point.flows.iter().filter(is_new).cloned().collect();
        (!flows.is_empty()).then(|| SinglePoint { flows, ..point.clone() })
    };
    these.iter().filter_map(beyond).collect()
}

fn names_beyond(these: &Topology, others: &Topology) -> Vec<String> {
    let services = |topology: &Topology| -> Vec<String> {
        topology.services.iter().map(|service| service.name.clone()).collect()
    };
    let flows = |topology: &Topology| -> Vec<String> {
        topology.flows.iter().map(|flow| format!("flow {}", flow.name)).collect()
    };
    let other: std::collections::BTreeSet<String> =
        services(others).into_iter().chain(flows(others)).collect();
    services(these).into_iter().chain(flows(these)).filter(|name| !other.contains(name)).collect()
}

/// Returns new dependencies without protection, and known ones that lost one.
fn dependency_reviews(
    before: &Topology,
    after: &Topology,
    sources: &Sources,
) -> [Vec<DependencyReview>; 2] {
    let call = |topology: &Topology, caller: Caller, dependency: &Dependency| CallReport {
        caller: topology.caller_name(caller),
        dependency: topology.dependency_name(dependency),
    };
    let mut known: BTreeMap<(String, String), &Dependency> = BTreeMap::new();
    for (caller, dependency) in before.declared_dependencies() {
        let CallReport { caller, dependency: name, .. } = call(before, caller, dependency);
        known.entry((caller, name)).or_insert(dependency);
    }
    let (mut unprotected, mut weakened) = (Vec::new(), Vec::new());
    for (caller, dependency) in after.declared_dependencies() {
        // Steps of flows are the customers' own calls, and what is needed only to start serves nobody.
        if matches!(caller, Caller::Flow(_)) || dependency.phase != Phase::Serve {
            continue;
        }
        let call = call(after, caller, dependency);
        let earlier = known.get(&(call.caller.clone(), call.dependency.clone()));
        let (list, missing) = match earlier {
            None => (&mut unprotected, missing_protections(dependency)),
            Some(earlier) => (&mut weakened, lost_protections(earlier, dependency)),
        };
        if !missing.is_empty() {
            let label = Label { place: dependency.place, text: String::new() };
            let place = Some(PlaceReport::new(&label, sources));
            list.push(DependencyReview { call, missing, place });
        }
    }
    [unprotected, weakened]
}

/// Returns the protections without which a new dependency is said to be unprotected.
fn missing_protections(dependency: &Dependency) -> Vec<AdviceKind> {
    let mut missing = Vec::new();
    // Nobody waits for a message.
    let is_waited_for = dependency.kind != Some(CallKind::Async);
    if is_waited_for && !has_timeout(dependency) {
        missing.push(AdviceKind::Timeout);
    }
    let has_other_members = dependency.on.len() as u64 > u64::from(dependency.needs);
    let is_covered = dependency.is_soft()
        || dependency.fallback.is_some()
        || dependency.cache.is_some()
        || dependency.buffer.is_some()
        || has_other_members;
    if !is_covered {
        missing.push(AdviceKind::Fallback);
    }
    missing
}

/// Whether a dependency has a protection.
type HasProtection = fn(&Dependency) -> bool;

/// Returns the protections that a dependency had and has no longer.
fn lost_protections(earlier: &Dependency, now: &Dependency) -> Vec<AdviceKind> {
    let had: [(AdviceKind, HasProtection); 7] = [
        (AdviceKind::Timeout, has_timeout),
        (AdviceKind::CircuitBreaker, |item| item.circuit_breaker == Some(true)),
        (AdviceKind::Validation, |item| item.validates == Some(true)),
        (AdviceKind::Cache, |item| item.cache.is_some()),
        (AdviceKind::Fallback, |item| item.fallback.is_some()),
        (AdviceKind::Soft, Dependency::is_soft),
        (AdviceKind::Bulkhead, |item| item.max_in_flight.is_some()),
    ];
    had.into_iter().filter(|(_, has)| has(earlier) && !has(now)).map(|(kind, _)| kind).collect()
}

fn has_timeout(dependency: &Dependency) -> bool {
    dependency.attempt_timeout.is_some() || matches!(dependency.timeout, Timeout::After(_))
}
