//! Lists what could be tried: at dependencies through which failure propagated, at services that
//! failed, and in the course of the change.

use crate::compile::plan::DependencyId;
use crate::model::id::Table;
use std::collections::BTreeMap;

use super::protection::{ProtectionCandidate, ProtectionStep};
use crate::engine::Tally;
use crate::model::cost::THE_CHANGE;
use crate::model::topology::{Caller, Dependency, DomainId, Phase, Queue, Service, ServiceId};
use crate::model::{Change, Seconds, Topology};
use crate::report::{AdviceKind, CallReport};
use crate::sort::Arrange as _;

/// How many dependencies are looked at, most often passed first.
const PLACES: usize = 64;
/// How many services are, most often failed first.
const SERVICES: usize = 8;

/// The dependencies of services through which failure passed, most often first.
pub(super) fn passed_dependencies(topology: &Topology, tally: &Tally) -> Vec<usize> {
    let written = topology.declared_dependencies().zip(&tally.dependencies).enumerate();
    let mut found: Vec<(u64, usize)> = written
        .filter(|(_, ((caller, written), seen))| {
            // The steps of a flow are what customers do: no code of a service protects them.
            let is_step = matches!(caller, Caller::Flow(_));
            seen.passed > 0 && written.phase == Phase::Serve && !is_step
        })
        .map(|(index, (_, seen))| (seen.passed, index))
        .collect();
    found.arrange_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    found.into_iter().take(PLACES).map(|(_, index)| index).collect()
}

/// The dependencies of services for which requests wait in vain, most often first: those that hold threads,
/// and those whose answers come too late.
pub(super) fn waiting_dependencies(topology: &Topology, tally: &Tally) -> Vec<usize> {
    let declared: Vec<_> = topology.declared_dependencies().collect();
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for (reason, count) in &tally.reasons {
        let Some(index) = reason.dependency.map(DependencyId::index) else { continue };
        if matches!(declared.get(index), Some((Caller::Node(_), _))) {
            let most = counts.entry(index).or_default();
            *most = (*most).max(*count);
        }
    }
    let mut found: Vec<(usize, u64)> = counts.into_iter().collect();
    found.arrange_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    found.into_iter().take(PLACES).map(|(index, _)| index).collect()
}

/// Everything to try.
pub(super) fn all_candidates(
    topology: &Topology,
    change: &Change,
    tally: &Tally,
    places: &[usize],
) -> Vec<ProtectionCandidate> {
    let mut found = Vec::new();
    for at in places {
        at_dependency(topology, *at, &mut found);
    }
    at_services(topology, tally, &mut found);
    if !change.is_moment() {
        of_change(change, &mut found);
    }
    found
}

fn at_dependency(topology: &Topology, at: usize, found: &mut Vec<ProtectionCandidate>) {
    let (caller, declared_dependency) =
        topology.declared_dependencies().nth(at).expect("a dependency as written");
    let threads = match caller {
        Caller::Node(node) => topology.service(node.service).concurrency,
        Caller::Flow(_) => None,
    };
    let (caller, on) =
        (topology.caller_name(caller), topology.dependency_name(declared_dependency));
    // A call without a timeout waits for ever for a dependency that hangs, unless a breaker opens
    // or nobody waits.
    let can_hang = !declared_dependency.timeout.is_set()
        && declared_dependency.circuit_breaker != Some(true)
        && !declared_dependency.is_async();
    let can_lie = declared_dependency.validates != Some(true);
    let may_be_soft =
        !declared_dependency.is_soft() && !topology.must_stay_hard(declared_dependency);
    // To answer without what must stay hard is to do without it: an order without a payment. And who
    // writes `fallback: none` has answered already.
    let may_be_answered =
        may_be_soft && declared_dependency.fallback.is_none() && !declared_dependency.no_fallback;
    let mut add = |kind, what: String, steps: Vec<ProtectionStep>| {
        let call = CallReport { caller: caller.clone(), dependency: on.clone() };
        let at = format!("{caller} > {on}");
        found.push(ProtectionCandidate { kind, at, call: Some(call), what, steps });
    };
    if can_hang {
        add(
            AdviceKind::Timeout,
            format!("let {caller} give up on {on} after 2 s"),
            vec![ProtectionStep::Timeout(at)],
        );
    }
    if can_lie {
        let what = format!("let {caller} check what {on} answers");
        add(AdviceKind::Validation, what, vec![ProtectionStep::Validate(at)]);
    }
    // A call that nobody waits for has nothing to break off.
    if declared_dependency.circuit_breaker != Some(true) && !declared_dependency.is_async() {
        let what = format!("put a circuit breaker between {caller} and {on}");
        add(AdviceKind::CircuitBreaker, what, vec![ProtectionStep::Breaker(at)]);
    }
    // More retries where there are some would change a decision of the file, and add load.
    if declared_dependency.retries.unwrap_or(0) == 0 {
        let what = format!("let {caller} call {on} up to twice more, within a budget of 20%");
        add(AdviceKind::Retry, what, vec![ProtectionStep::Retry(at)]);
    }
    if declared_dependency.retries.unwrap_or(0) > 0 && declared_dependency.retry_budget.is_none() {
        let what = format!("limit the retries of {caller} at {on} to 10% of its calls");
        add(AdviceKind::RetryBudget, what, vec![ProtectionStep::RetryBudget(at)]);
    }
    if declared_dependency.cache.as_ref().is_some_and(|cache| cache.ttl.is_some()) {
        let what = format!("let {caller} keep the answers of {on} until there are new ones");
        add(AdviceKind::StaticCache, what, vec![ProtectionStep::StaticCache(at)]);
    }
    if declared_dependency.cache.as_ref().is_some_and(|cache| cache.refill.is_some()) {
        let what = format!("fill the cache of {on} in {caller} before it serves again");
        add(AdviceKind::WarmCache, what, vec![ProtectionStep::WarmCache(at)]);
    }
    if let Some(calls) = bulkhead_size(threads, declared_dependency) {
        let what = format!("let {caller} have at most {calls} calls to {on} in progress");
        add(AdviceKind::Bulkhead, what, vec![ProtectionStep::Bulkhead(at, calls)]);
    }
    if declared_dependency.cache.is_none() {
        let what = format!("keep answers of {on} in {caller} for 10 min");
        add(AdviceKind::Cache, what, vec![ProtectionStep::Cache(at)]);
    }
    // What only catches calls that fail fast may need them to fail fast, and wrong answers noticed.
    for with in helper_steps(at, can_hang, can_lie) {
        let and = |step: ProtectionStep| [with.as_slice(), &[step]].concat();
        let also = also_clause(&with);
        if may_be_answered {
            let what = format!("give {caller} something to answer without {on}{also}");
            add(AdviceKind::Fallback, what, and(ProtectionStep::Fallback(at)));
        }
        if may_be_soft {
            let what = format!("let {caller} do without {on}{also}");
            add(AdviceKind::Soft, what, and(ProtectionStep::Soft(at)));
        }
    }
}

/// Returns how many calls in progress leave most threads of a caller to other requests: a quarter of them.
/// `None` where the caller states no threads, or does not wait for the call, or has a limit.
fn bulkhead_size(threads: Option<u32>, dependency: &Dependency) -> Option<u32> {
    let is_limited = dependency.max_in_flight.is_some() || dependency.is_async();
    threads.filter(|_| !is_limited).map(|threads| (threads / 4).max(1))
}

/// Which steps may have to go before another.
fn helper_steps(at: usize, can_hang: bool, can_lie: bool) -> Vec<Vec<ProtectionStep>> {
    let mut all = vec![Vec::new()];
    if can_hang {
        all.push(vec![ProtectionStep::Timeout(at)]);
    }
    if can_lie {
        all.push(vec![ProtectionStep::Validate(at)]);
    }
    if can_hang && can_lie {
        all.push(vec![ProtectionStep::Timeout(at), ProtectionStep::Validate(at)]);
    }
    all
}

fn also_clause(steps: &[ProtectionStep]) -> &'static str {
    match steps {
        [] => "",
        [ProtectionStep::Timeout(_)] => ", and give up on it after 2 s",
        [ProtectionStep::Validate(_)] => ", and check what it answers",
        _ => ", give up on it after 2 s, and check what it answers",
    }
}

fn at_services(topology: &Topology, tally: &Tally, found: &mut Vec<ProtectionCandidate>) {
    let mut waits: Table<ServiceId, u64> = Table::filled(0, topology.services.len());
    for (reason, count) in &tally.reasons {
        if let Some(service) = reason.service {
            let most = &mut waits[service];
            *most = (*most).max(*count);
        }
    }
    let mut failed: Vec<(u64, ServiceId)> = waits
        .entries()
        .map(|(id, waits)| (tally.units[id.index()].failed.max(*waits), id))
        .filter(|(failed, _)| *failed > 0)
        .collect();
    failed.arrange_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    // Each kind is counted apart, so that services with two domains do not crowd out the others.
    let (mut moved, mut shedding, mut bounded) = (0, 0, 0);
    for (_, id) in failed {
        let service = topology.service(id);
        let name = &service.name;
        if let Some(domain) = second_domain(topology, service)
            && moved < SERVICES
        {
            moved += 1;
            found.push(ProtectionCandidate {
                kind: AdviceKind::SecondDomain,
                at: name.clone(),
                call: None,
                what: format!("run {name} in {} too", topology.domain(domain).name),
                steps: vec![ProtectionStep::SecondDomain(id, domain)],
            });
        }
        if let Some(work) = shorter_queue(topology, id)
            && bounded < SERVICES
        {
            bounded += 1;
            found.push(ProtectionCandidate {
                kind: AdviceKind::BoundedQueue,
                at: name.clone(),
                call: None,
                what: format!("let {work} of work at most wait at {name}"),
                steps: vec![ProtectionStep::BoundedQueue(id, work)],
            });
        }
        // A service that refuses what it cannot serve does so already.
        let collapses = service.queue.unwrap_or_default() != Queue::Refuses;
        if service.utilization.is_some() && collapses && shedding < SERVICES {
            shedding += 1;
            found.push(ProtectionCandidate {
                kind: AdviceKind::Shed,
                at: name.clone(),
                call: None,
                what: format!("let {name} refuse at once what it cannot serve"),
                steps: vec![ProtectionStep::Shed(id)],
            });
        }
    }
}

/// Returns how much work may wait at a service so that its most impatient caller is served: half of that
/// caller's timeout, which leaves as much for the work itself. `None` where no caller states a timeout, or the
/// queue is that short.
fn shorter_queue(topology: &Topology, id: ServiceId) -> Option<Seconds> {
    let service = topology.service(id);
    service.utilization?;
    let calls = topology.declared_dependencies().map(|(_, call)| call);
    let calls = calls.filter(|call| call.phase == Phase::Serve && !call.is_async());
    let to_it = calls.filter(|call| call.on.iter().any(|node| node.service == id));
    let shortest = to_it.filter_map(Dependency::waits_per_attempt).map(Seconds::get);
    let shortest = shortest.reduce(f64::min)?;
    let milliseconds = (shortest * 500.0).floor();
    let half = Seconds::new(milliseconds / 1000.0).filter(|_| milliseconds >= 1.0)?;
    match service.queue.unwrap_or_default() {
        Queue::Unbounded => Some(half),
        Queue::Holds(work) if work > half => Some(half),
        Queue::Holds(_) | Queue::Refuses | Queue::Threads { .. } => None,
    }
}

/// Another failure domain of the same kind for a service that has only one.
fn second_domain(topology: &Topology, service: &Service) -> Option<DomainId> {
    let replicas = service.replicas.as_ref().map_or(&[][..], |replica| &replica.domains);
    let only = match (service.domains.as_slice(), replicas) {
        // Replicas may say where they run in place of the service.
        ([one], _) | ([], [one]) => *one,
        _ => return None,
    };
    let kind = &topology.domain(only).kind;
    let others = (0..topology.domains.len() as u32).map(DomainId).filter(|u32| *u32 != only);
    let mut alike = others.filter(|other| topology.domain(*other).kind == *kind);
    // A domain within the present one, or around it, fails together with it.
    alike.find(|alike| !lies_within(topology, *alike, only) && !lies_within(topology, only, *alike))
}

/// Whether a failure domain lies within another, however deep; no domain lies within itself.
fn lies_within(topology: &Topology, inner: DomainId, outer: DomainId) -> bool {
    let outside = |id: &DomainId| topology.domain(*id).within;
    std::iter::successors(outside(&inner), outside)
        // A hostile file may put a domain into itself.
        .take(topology.domains.len())
        .any(|id| id == outer)
}

fn of_change(change: &Change, found: &mut Vec<ProtectionCandidate>) {
    let mut add = |kind, what: &str, step| {
        let (at, what) = (THE_CHANGE.to_owned(), what.to_owned());
        found.push(ProtectionCandidate { kind, at, call: None, what, steps: vec![step] });
    };
    if change.kill_switch.is_none() {
        let what = "put the change behind a switch that takes 2 min to turn off";
        add(AdviceKind::KillSwitch, what, ProtectionStep::KillSwitch);
    }
    let stages = change.rollout.as_ref().map_or(&[][..], |rollout| &rollout.stages);
    // A first stage of 1% or less is as careful as the proposal.
    if stages.first().is_none_or(|first| first.exposure.get() > 0.01) {
        let what = "let 1% have the change first, and wait 10 min";
        add(AdviceKind::SmallerFirstStage, what, ProtectionStep::SmallerFirst);
    }
    if stages.len() > 1 {
        add(
            AdviceKind::LongerBake,
            "wait three times as long between stages",
            ProtectionStep::LongerBake,
        );
    }
    // A gate that catches half already is as good as the proposal.
    if stages.iter().any(|stage| stage.bake.is_some() && stage.catch_probability.get() < 0.5) {
        let what = "compare old and new at the end of each stage, and stop what is worse";
        add(AdviceKind::Gate, what, ProtectionStep::Gate);
    }
    add(AdviceKind::FasterDetection, "notice it twice as fast", ProtectionStep::FasterDetection);
    add(AdviceKind::FasterRollback, "take it back twice as fast", ProtectionStep::FasterRollback);
}
