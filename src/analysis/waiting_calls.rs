//! Finds calls without a stated timeout to something that may answer late, and pools of unknown use.
//!
//! Who waits for a queue without a timeout loses nothing until customers lose their patience; with one, it
//! loses all that waits for longer. For what hangs it is the other way round. So neither is the safe reading.

use super::unknowns::dependencies_mut;
use crate::compile::plan::UnknownPool;
use crate::model::change::TargetRef;
use crate::model::topology::{Caller, Dependency, Phase, Queue, Service, ServiceId, Timeout};
use crate::model::{Change, Seconds, Topology, defaults};

/// Returns the numbers of the declared dependencies that state no timeout, and whose callee may answer
/// late: a queue, threads or a pool, or a target whose answers come later by a length.
///
/// In a single moment that has not lasted nothing has queued up yet.
pub(super) fn untimed_calls_to_what_waits(
    topology: &Topology,
    change: &Change,
    lasting: Seconds,
) -> Vec<usize> {
    let is_timed = !change.is_moment() || lasting > Seconds::ZERO;
    let is_late = late_services(topology, change, is_timed);
    let waits = |caller: Caller, dependency: &Dependency| {
        // Customers have their patience instead of a timeout.
        !matches!(caller, Caller::Flow(_))
            && can_hang(dependency)
            && dependency.phase == Phase::Serve
            && dependency.on.iter().any(|on| is_late[on.service.0 as usize])
    };
    let declared = topology.declared_dependencies().enumerate();
    declared
        .filter(|(_, (caller, dependency))| waits(*caller, dependency))
        .map(|(index, _)| index)
        .collect()
}

/// Whether a caller waits for a call for as long as it takes.
pub(super) fn can_hang(dependency: &Dependency) -> bool {
    dependency.timeout == Timeout::Unstated
        && dependency.circuit_breaker != Some(true)
        && !dependency.is_async()
}

/// Returns, by service, whether its answers may come late.
fn late_services(topology: &Topology, change: &Change, is_timed: bool) -> Vec<bool> {
    let queues = |service: &Service| {
        let has_capacity = service.utilization.is_some() || service.concurrency.is_some();
        has_capacity && is_timed && service.queue != Some(Queue::Refuses)
    };
    let mut is_late: Vec<bool> = topology.services.iter().map(queues).collect();
    for target in change.targets.iter().filter(|target| target.modes.slowness.is_some()) {
        if let TargetRef::Node(node) = target.on {
            is_late[node.service.0 as usize] = true;
        }
    }
    is_late
}

/// Gives calls, by their numbers among the declared dependencies, the timeout that callers usually have.
pub(super) fn add_usual_timeouts(topology: &mut Topology, calls: &[usize]) {
    let declared: Vec<&Dependency> =
        topology.declared_dependencies().map(|(_, dependency)| dependency).collect();
    let timeouts: Vec<Timeout> =
        calls.iter().map(|index| usual_timeout(topology, declared[*index])).collect();
    let mut dependencies: Vec<&mut Dependency> = dependencies_mut(topology).collect();
    for (index, timeout) in calls.iter().zip(timeouts) {
        dependencies[*index].timeout = timeout;
    }
}

/// Returns the timeout that callers of a dependency usually have.
fn usual_timeout(topology: &Topology, dependency: &Dependency) -> Timeout {
    let latency = |service: ServiceId| topology.services[service.0 as usize].latency;
    let longest = dependency.on.iter().filter_map(|on| latency(on.service));
    let longest = longest.map(|latency| latency.p99.get()).fold(0.0, f64::max);
    let usual = defaults::USUAL_TIMEOUT;
    Timeout::After(Seconds::new(longest).filter(|longest| *longest > usual).unwrap_or(usual))
}

/// Returns the caller and the dependency of an unknown pool; of threads, the service and nothing.
pub(super) fn pool_name(topology: &Topology, pool: UnknownPool) -> (String, String) {
    match pool {
        UnknownPool::Threads(service) => (topology.service(service).name.clone(), String::new()),
        UnknownPool::Calls(dependency) => call_name(topology, dependency.index()),
    }
}

/// Returns the caller and the dependency with this number among the declared ones.
pub(super) fn call_name(topology: &Topology, index: usize) -> (String, String) {
    let mut declared = topology.declared_dependencies();
    let (caller, dependency) = declared.nth(index).expect("candidates are declared dependencies");
    (topology.caller_name(caller), topology.dependency_name(dependency))
}
