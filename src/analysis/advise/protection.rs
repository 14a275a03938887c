//! Protections as steps that edit a topology or a change.

use crate::analysis::unknowns::dependency_mut;
use crate::model::change::{
    Delay, Detection, KillSwitch, NEEDS_FACTOR, Rollback, Rollout, Routing, Stage,
};
use crate::model::cost::Costs;
use crate::model::topology::{
    Cache, Caller, Criticality, DomainId, Fallback, Queue, ServiceId, Timeout,
};
use crate::model::{Change, Seconds, Share, Topology, defaults};
use crate::report::advise::EditReport;
use crate::report::{AdviceKind, CallReport, EditedFile};

/// Something to try.
#[derive(Clone, Debug)]
pub(super) struct ProtectionCandidate {
    pub(super) kind: AdviceKind,
    /// Whose.
    pub(super) at: String,
    /// Call that it protects, where it is at a dependency.
    pub(super) call: Option<CallReport>,
    /// In a sentence.
    pub(super) what: String,
    pub(super) steps: Vec<ProtectionStep>,
}

impl ProtectionCandidate {
    /// Returns the cost of all its steps.
    pub(super) fn total_cost(&self, costs: &Costs) -> f64 {
        // Each step is paid for: a fallback that needs a timeout costs both.
        self.steps.iter().map(|step| costs.cost_of(step.advice_kind(), &self.at)).sum()
    }
}

/// One thing to change; dependencies by their number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ProtectionStep {
    Timeout(usize),
    Breaker(usize),
    Validate(usize),
    Soft(usize),
    Fallback(usize),
    Retry(usize),
    Cache(usize),
    StaticCache(usize),
    /// A cache that comes back full.
    WarmCache(usize),
    RetryBudget(usize),
    /// At most so many calls in progress.
    Bulkhead(usize, u32),
    /// A queue that holds so much work.
    BoundedQueue(ServiceId, Seconds),
    SecondDomain(ServiceId, DomainId),
    Shed(ServiceId),
    KillSwitch,
    SmallerFirst,
    LongerBake,
    Gate,
    FasterDetection,
    FasterRollback,
}

fn share_of(value: f64) -> Share {
    Share::new(value).expect("a constant between 0 and 1")
}

/// Half of a delay, in whole seconds or milliseconds: so it is written in a file as it is simulated.
pub(super) fn half_delay(delay: Delay) -> Delay {
    let half = |seconds: Seconds| {
        let half = seconds.get() / 2.0;
        let rounded = if half >= 10.0 { half.round() } else { (half * 1e3).round() / 1e3 };
        Seconds::new(rounded).expect("half of a duration is one")
    };
    Delay { median: half(delay.median), p95: half(delay.p95) }
}

pub(super) fn delay_yaml(delay: Delay) -> String {
    format!("median: {}, p95: {}", delay.median, delay.p95)
}

pub(super) const KILL_SWITCH: Delay =
    Delay { median: Seconds::minutes(2), p95: Seconds::minutes(5) };
/// Retries that keep the load of a failing dependency near the usual: a tenth of the calls.
const RETRY_BUDGET: f64 = 0.1;
/// A first stage that shows most breaks and costs little.
pub(super) const FIRST: (f64, Seconds) = (0.01, Seconds::minutes(10));
/// An automatic comparison at the end of a bake sees so many failing targets.
pub(super) const GATE: f64 = 0.5;

impl ProtectionStep {
    /// The kind of protection that this step alone is.
    fn advice_kind(self) -> AdviceKind {
        match self {
            Self::Timeout(_) => AdviceKind::Timeout,
            Self::Breaker(_) => AdviceKind::CircuitBreaker,
            Self::Validate(_) => AdviceKind::Validation,
            Self::Soft(_) => AdviceKind::Soft,
            Self::Fallback(_) => AdviceKind::Fallback,
            Self::Retry(_) => AdviceKind::Retry,
            Self::Cache(_) => AdviceKind::Cache,
            Self::StaticCache(_) => AdviceKind::StaticCache,
            Self::WarmCache(_) => AdviceKind::WarmCache,
            Self::RetryBudget(_) => AdviceKind::RetryBudget,
            Self::Bulkhead(..) => AdviceKind::Bulkhead,
            Self::BoundedQueue(..) => AdviceKind::BoundedQueue,
            Self::SecondDomain(..) => AdviceKind::SecondDomain,
            Self::Shed(_) => AdviceKind::Shed,
            Self::KillSwitch => AdviceKind::KillSwitch,
            Self::SmallerFirst => AdviceKind::SmallerFirstStage,
            Self::LongerBake => AdviceKind::LongerBake,
            Self::Gate => AdviceKind::Gate,
            Self::FasterDetection => AdviceKind::FasterDetection,
            Self::FasterRollback => AdviceKind::FasterRollback,
        }
    }

    /// Makes the change.
    pub(super) fn apply_to(self, topology: &mut Topology, change: &mut Change) {
        match self {
            Self::Timeout(at) => {
                dependency_mut(topology, at).timeout = Timeout::After(Seconds::whole(2));
            }
            Self::Breaker(at) => dependency_mut(topology, at).circuit_breaker = Some(true),
            Self::Validate(at) => dependency_mut(topology, at).validates = Some(true),
            Self::Soft(at) => dependency_mut(topology, at).criticality = Some(Criticality::Soft),
            Self::Fallback(at) => {
                dependency_mut(topology, at).fallback =
                    Some(Fallback { on: None, works: Share::ONE });
            }
            Self::Retry(at) => {
                let item = dependency_mut(topology, at);
                item.retries = Some(2);
                item.retry_budget = Some(share_of(0.2));
            }
            Self::Cache(at) => {
                dependency_mut(topology, at).cache = Some(Cache {
                    refill: None,
                    ttl: Some(Seconds::minutes(10)),
                    hit_ratio: share_of(0.9),
                    service: None,
                });
            }
            Self::StaticCache(at) => {
                if let Some(cache) = &mut dependency_mut(topology, at).cache {
                    cache.ttl = None;
                }
            }
            Self::WarmCache(at) => {
                if let Some(cache) = &mut dependency_mut(topology, at).cache {
                    cache.refill = None;
                }
            }
            Self::RetryBudget(at) => {
                dependency_mut(topology, at).retry_budget = Some(share_of(RETRY_BUDGET));
            }
            Self::Bulkhead(at, calls) => {
                dependency_mut(topology, at).max_in_flight = Some(calls);
            }
            Self::BoundedQueue(service, work) => {
                topology.services[service.0 as usize].queue = Some(Queue::Holds(work));
            }
            Self::SecondDomain(service, domain) => {
                let service = &mut topology.services[service.0 as usize];
                // A service may state its domains at its replicas alone.
                if !service.domains.is_empty() && !service.domains.contains(&domain) {
                    service.domains.push(domain);
                    service.domains.sort();
                }
                if let Some(replicas) = &mut service.replicas
                    && replicas.domains.len() == 1
                {
                    replicas.domains.push(domain);
                    // In two domains there must be as many replicas in each as there were before.
                    replicas.count = replicas.count.saturating_mul(2);
                }
            }
            Self::Shed(service) => {
                topology.services[service.0 as usize].queue = Some(Queue::Refuses);
            }
            Self::KillSwitch => {
                change.kill_switch = Some(KillSwitch {
                    delay: KILL_SWITCH,
                    depends_on: Vec::new(),
                    needs_factor: NEEDS_FACTOR,
                    works: Share::ONE,
                });
            }
            Self::SmallerFirst | Self::LongerBake | Self::Gate => {
                let rollout = self.changed_rollout(change);
                change.rollout = Some(rollout);
            }
            Self::FasterDetection => {
                let (delay, corrupt) = (
                    half_delay(defaults::detection_delay(change)),
                    half_delay(defaults::detection_corrupt(change)),
                );
                // The delay of wrong answers matters only where there can be any.
                let is_corrupt = may_be_corrupt(change);
                let get_or_insert = change.detection.get_or_insert_with(Detection::default);
                get_or_insert.delay = Some(delay);
                if is_corrupt {
                    get_or_insert.corrupt = Some(corrupt);
                }
            }
            Self::FasterRollback => {
                let delay = half_delay(defaults::rollback_delay(change));
                let get_or_insert = change.rollback.get_or_insert_with(Rollback::default);
                get_or_insert.delay = Some(delay);
            }
        }
    }

    /// The rollout with other stages.
    pub(super) fn changed_rollout(self, change: &Change) -> Rollout {
        let whole = Stage { exposure: Share::ONE, bake: None, catch_probability: Share::ZERO };
        let mut rollout = change.rollout.clone().unwrap_or(Rollout {
            routing: Routing::default(),
            stages: vec![whole],
            strategy: None,
            replacing: None,
        });
        // The stages are changed, so the name of the strategy no longer stands for them.
        rollout.strategy = None;
        let last = rollout.stages.len() - 1;
        match self {
            Self::SmallerFirst => rollout.stages.insert(
                0,
                Stage {
                    exposure: share_of(FIRST.0),
                    bake: Some(FIRST.1),
                    catch_probability: Share::ZERO,
                },
            ),
            Self::Gate => {
                for stage in rollout.stages.iter_mut().filter(|stage| stage.bake.is_some()) {
                    if stage.catch_probability < share_of(GATE) {
                        stage.catch_probability = share_of(GATE);
                    }
                }
            }
            _ => {
                // The last stage is the whole rollout, and nothing follows its bake.
                for stage in &mut rollout.stages[..last] {
                    // A stage without a bake gets one, which three times nothing would not give.
                    let bake = stage.bake.map_or(FIRST.1.get(), |item| item.get() * 3.0);
                    stage.bake = Seconds::new(bake);
                }
            }
        }
        rollout
    }

    /// Returns the text to write, and its place.
    pub(super) fn edit_report(self, topology: &Topology, change: &Change) -> EditReport {
        let of_change = |path: &str, yaml: String| EditReport {
            file: EditedFile::Change,
            path: path.to_owned(),
            yaml,
        };
        let of_topology =
            |path: String, yaml: String| EditReport { file: EditedFile::Topology, path, yaml };
        let at_dependency = |at, yaml: &str| of_topology(path_of(topology, at), yaml.to_owned());
        let service = |id: ServiceId| format!("services.{}", topology.service(id).name);
        match self {
            Self::Timeout(at) => at_dependency(at, "timeout: 2s"),
            Self::Breaker(at) => at_dependency(at, "circuit_breaker: true"),
            Self::Validate(at) => at_dependency(at, "validates: true"),
            Self::Soft(at) => at_dependency(at, "criticality: soft"),
            Self::Fallback(at) => at_dependency(at, "fallback: static"),
            Self::Retry(at) => at_dependency(at, "retries: 2, retry_budget: 20%"),
            Self::Cache(at) => at_dependency(at, "cache: { ttl: 10m, hit_ratio: 90% }"),
            Self::StaticCache(at) => {
                let hit_ratio = cache_hit_ratio(topology, at);
                at_dependency(at, &format!("cache: {{ ttl: static, hit_ratio: {hit_ratio} }}"))
            }
            Self::WarmCache(at) => at_dependency(at, "cache: { refill: 0s }"),
            Self::RetryBudget(at) => at_dependency(at, "retry_budget: 10%"),
            Self::Bulkhead(at, calls) => at_dependency(at, &format!("max_in_flight: {calls}")),
            Self::BoundedQueue(id, work) => of_topology(service(id), format!("queue: {work}")),
            Self::SecondDomain(id, domain) => {
                let item = topology.service(id);
                let names = |ids: &[DomainId]| {
                    let all = ids.iter().chain([&domain]).map(|ids| &*topology.domain(*ids).name);
                    all.collect::<Vec<_>>().join(", ")
                };
                let mut keys = Vec::new();
                if !item.domains.is_empty() {
                    keys.push(format!("domains: [{}]", names(&item.domains)));
                }
                if let Some(replicas) =
                    item.replicas.as_ref().filter(|replica| replica.domains.len() == 1)
                {
                    let count = replicas.count.saturating_mul(2);
                    let domains = names(&replicas.domains);
                    let needs = replicas.needs;
                    let availability =
                        replicas.availability.map_or_else(String::new, |availability| {
                            format!(", availability: {availability}")
                        });
                    keys.push(format!(
                        "replicas: {{ count: {count}, needs: {needs}{availability}, domains: [{domains}] }}"
                    ));
                }
                of_topology(service(id), keys.join(", "))
            }
            Self::Shed(id) => of_topology(service(id), "queue: none".to_owned()),
            Self::KillSwitch => {
                of_change("kill_switch", format!("{{ {} }}", delay_yaml(KILL_SWITCH)))
            }
            Self::SmallerFirst | Self::LongerBake | Self::Gate => {
                let stages = self.changed_rollout(change).stages;
                let stages: Vec<String> = stages.iter().map(stage_yaml).collect();
                of_change("rollout.stages", format!("[{}]", stages.join(", ")))
            }
            Self::FasterDetection => {
                let corrupt = delay_yaml(half_delay(defaults::detection_corrupt(change)));
                let delay = delay_yaml(half_delay(defaults::detection_delay(change)));
                let corrupt = format!(", corrupt: {{ {corrupt} }}");
                let corrupt = if may_be_corrupt(change) { corrupt.as_str() } else { "" };
                of_change("detection", format!("{delay}{corrupt}"))
            }
            Self::FasterRollback => {
                of_change("rollback", delay_yaml(half_delay(defaults::rollback_delay(change))))
            }
        }
    }
}

/// Returns the hit ratio of the cache of a dependency that has one.
pub(super) fn cache_hit_ratio(topology: &Topology, at: usize) -> Share {
    let (_, declared) = topology.declared_dependencies().nth(at).expect("a dependency as declared");
    declared.cache.as_ref().map_or(Share::ONE, |cache| cache.hit_ratio)
}

/// Whether a target may give wrong answers, so that it matters how long these go unnoticed.
pub(super) fn may_be_corrupt(change: &Change) -> bool {
    change.targets.iter().any(|target| !target.modes.corrupt.is_zero())
}

pub(super) fn stage_yaml(stage: &Stage) -> String {
    let bake = stage.bake.map_or_else(String::new, |bake| format!(", bake: {bake}"));
    let gate = if stage.catch_probability.is_zero() {
        String::new()
    } else {
        format!(", catch_probability: {}", stage.catch_probability)
    };
    format!("{{ exposure: {}{bake}{gate} }}", stage.exposure)
}

/// Returns the declaring caller and the dependency's index among that caller's dependencies.
pub(super) fn written_at(topology: &Topology, at: usize) -> (Caller, usize) {
    let (caller, _) = topology.declared_dependencies().nth(at).expect("a dependency as written");
    (
        caller,
        // Dependencies are listed by caller, so their number within it is how many came before.
        topology.declared_dependencies().take(at).filter(|(other, _)| *other == caller).count(),
    )
}

/// Where a dependency is written, as a path of keys and an index.
fn path_of(topology: &Topology, at: usize) -> String {
    let (caller, first) = written_at(topology, at);
    match caller {
        Caller::Flow(flow) => {
            format!("flows.{}.steps[{first}]", topology.flows[flow as usize].name)
        }
        Caller::Node(node) => {
            let service = topology.service(node.service);
            let endpoint = node.endpoint.map_or_else(String::new, |index| {
                format!(".endpoints.{}", service.endpoints[index as usize].name)
            });
            format!("services.{}{endpoint}.dependencies[{first}]", service.name)
        }
    }
}
