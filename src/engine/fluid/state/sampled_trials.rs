//! Everything that is drawn for a trial, for eight of them at a time.

use crate::compile::Key;
use crate::compile::plan::{
    DependencyId, DomainId, Lognormal, OutageOf, Plan, ReplicaId, ServiceId, Target, TargetId,
};
use crate::engine::draws::{CHUNK, ChunkDraws, Draws};
use crate::engine::fluid::state::lanes::{LANES, Lanes, all, has, mask};
use crate::engine::fluid::state::outage_events::OutageEvents;
use crate::engine::fluid::state::trial_order::TrialOrder;
use crate::engine::simd::array;
use crate::model::id::Overwrite;
use crate::model::id::Table;

/// How a broken target breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Down,
    Slow,
    Corrupt,
    Surge,
}

/// The draws of 64 trials; bit `i` of a mask belongs to the `i`-th in the order of [`TrialOrder`].
pub(crate) struct SampledChunk {
    draws: ChunkDraws,
    order: TrialOrder,
    /// By service: down for its own reasons or `during`.
    services: Table<ServiceId, u64>,
    /// By domain: down for its own reasons or `during`.
    domains: Table<DomainId, u64>,
    /// By replica: down for its own reasons.
    replicas: Table<ReplicaId, u64>,
    /// By dependency: failure reaches the caller.
    reaches: Table<DependencyId, u64>,
    /// By dependency: the fallback works.
    works: Table<DependencyId, u64>,
    /// By target: broken, and of those down, slow, corrupt.
    targets: Table<TargetId, [u64; 4]>,
    /// By stage, of the change and then of targets with a rollout of their own: the gate catches.
    gates: Vec<u64>,
    rollback_works: u64,
    rollback_worsens: u64,
    kill_switch_works: u64,
}

impl SampledChunk {
    /// Draws the 64 trials of a chunk, of which those that are valid come first; `corrupting_last` puts those
    /// in which something answers wrongly side by side.
    pub(crate) fn new(
        plan: &Plan,
        draws: Draws,
        (chunk, valid): (u64, u64),
        corrupting_last: bool,
    ) -> Self {
        let draws = draws.chunk(chunk);
        let target_of = |(id, item): (TargetId, &Target)| {
            // The trial of its own, or all that are drawn.
            let turn = if plan.rotate_targets { 1 << (id.0 % CHUNK) } else { u64::MAX };
            target(&draws, item).map(|mask| mask & turn)
        };
        let targets: Table<TargetId, [u64; 4]> = plan.targets.entries().map(target_of).collect();
        let order = order_of_trials(plan, (&draws, valid), &targets, corrupting_last);
        let bernoulli = |key, probability| order.arranged(draws.bernoulli(key, probability));
        let down = |key, unavailability, during| {
            if during { u64::MAX } else { bernoulli(key, unavailability) }
        };
        let services = plan
            .services
            .iter()
            .map(|service| down(service.key, service.unavailability, service.during))
            .collect();
        let domains = plan
            .domains
            .iter()
            .map(|domain| down(domain.key, domain.unavailability, domain.during))
            .collect();
        let schedule = plan.schedule.as_ref();
        let certain = |what, probability: Option<f64>| {
            probability.map_or(0, |p| bernoulli(Key::new(what, ""), p))
        };
        Self {
            services,
            domains,
            replicas: plan
                .replicas
                .iter()
                .map(|replica| down(replica.key, replica.unavailability, false))
                .collect(),
            reaches: plan
                .dependencies
                .iter()
                .map(|dependency| bernoulli(dependency.propagation_key, dependency.propagation))
                .collect(),
            works: plan
                .dependencies
                .iter()
                .map(|dependency| bernoulli(dependency.works_key, dependency.works))
                .collect(),
            targets: targets.iter().map(|masks| masks.map(|mask| order.arranged(mask))).collect(),
            gates: schedule.map_or_else(Vec::new, |schedule| {
                let of_targets = plan.targets.iter().flat_map(|target| &target.stages);
                let stages = schedule.stages.iter().chain(of_targets);
                stages.map(|stage| bernoulli(stage.gate_key, stage.gate)).collect()
            }),
            rollback_works: certain(
                "rollback-works",
                schedule.map(|schedule| schedule.rollback_works),
            ),
            rollback_worsens: certain(
                "rollback-worsens",
                schedule.map(|schedule| schedule.rollback_worsens),
            ),
            kill_switch_works: certain(
                "kill-switch-works",
                schedule.map(|schedule| schedule.kill_switch_works),
            ),
            order,
            draws,
        }
    }

    /// In which order the trials of the chunk are computed.
    pub(crate) fn order(&self) -> &TrialOrder {
        &self.order
    }
}

/// Puts trials side by side that take about as many moments: that break in the same mode, and are noticed
/// after about the same time.
fn order_of_trials(
    plan: &Plan,
    (draws, valid): (&ChunkDraws, u64),
    targets: &Table<TargetId, [u64; 4]>,
    corrupting_last: bool,
) -> TrialOrder {
    let corrupt = targets.iter().fold(0, |all, [.., corrupt]| all | corrupt);
    let slow = targets.iter().fold(0, |all, [_, _, slow, _]| all | slow);
    let is_in = |mask: u64, trial: usize| mask >> trial & 1 == 1;
    match &plan.schedule {
        Some(schedule) if plan.has_load => {
            let (key, varies) = (Key::new("detection", ""), schedule.detection.delay.sigma > 0.0);
            let noticed: [u64; 64] = array(|trial| {
                // Positive numbers are in the order of their bits.
                if varies { draws.uniform(key, trial as u32).to_bits() } else { 0 }
            });
            TrialOrder::by_cost(|trial| {
                // Nobody asked for the others, so no group is computed for them.
                let is_asked_for = is_in(valid, trial);
                (!is_asked_for, is_in(corrupt, trial), is_in(slow, trial), noticed[trial])
            })
        }
        _ if corrupting_last => {
            TrialOrder::by_cost(|trial| (!is_in(valid, trial), is_in(corrupt, trial)))
        }
        _ => TrialOrder::plain(),
    }
}

/// Takes the lanes of eight trials out of masks of 64.
fn take_lanes<'a>(
    into: &mut impl Overwrite<u8>,
    from: impl IntoIterator<Item = &'a u64>,
    shift: u32,
) {
    into.overwrite(from.into_iter().map(|mask| (mask >> shift) as u8));
}

/// A domain is down with the one it is within.
fn close_domains(plan: &Plan, down: &mut Table<DomainId, u8>) {
    for domain in &plan.domain_order {
        if let Some(within) = plan.domains[*domain].within {
            down[*domain] |= down[within];
        }
    }
}

fn target(draws: &ChunkDraws, target: &Target) -> [u64; 4] {
    let broken = draws.bernoulli(target.key, target.probability);
    let [down, slow, corrupt] =
        [0, 1, 2].map(|mode| draws.bernoulli(target.mode_keys[mode], target.modes[mode]));
    [broken, broken & down, broken & !down & slow, broken & !down & !slow & corrupt]
}

/// Broken target in eight trials.
#[derive(Clone, Debug)]
pub(crate) struct BrokenTarget {
    pub(crate) broken: u8,
    pub(crate) mode: [Mode; LANES],
    pub(crate) severity: Lanes,
    pub(crate) onset: Lanes,
}

/// The draws of eight trials.
pub(crate) struct SampledTrials {
    /// By service: wholly down without the change.
    pub(crate) down: Table<ServiceId, u8>,
    /// By service: the share of its replicas that are up without the change.
    pub(crate) capacity: Table<ServiceId, Lanes>,
    /// By domain: down without the change.
    pub(crate) domains: Table<DomainId, u8>,
    /// Components that are down for their own reasons now.
    own: OwnFailures,
    /// The same at the start, where something comes and goes.
    own_at_start: OwnFailures,
    /// The outages that begin or end later.
    outages: OutageEvents,
    /// Services that may fare otherwise since the last outages began or ended.
    pub(crate) changed_services: Vec<ServiceId>,
    pub(crate) reaches: Table<DependencyId, u8>,
    pub(crate) works: Table<DependencyId, u8>,
    pub(crate) targets: Table<TargetId, BrokenTarget>,
    /// The share of requests that some broken target fails wherever it meets them: the largest severity
    /// of those that fail certain requests, 1 where there is none.
    pub(crate) bad_requests: Lanes,
    pub(crate) gates: Vec<u8>,
    /// By stage: the uniform draw for whether its gate sees enough failed requests.
    pub(crate) gate_counts: Vec<Lanes>,
    pub(crate) rollback_works: u8,
    pub(crate) rollback_worsens: u8,
    pub(crate) kill_switch_works: u8,
    pub(crate) detection: Lanes,
    pub(crate) detection_corrupt: Lanes,
    pub(crate) rollback: Lanes,
    pub(crate) kill_switch: Lanes,
    pub(crate) repair: Lanes,
    /// Whether anything at all is down, or a replica is, without the change.
    pub(crate) is_troubled: bool,
}

impl SampledTrials {
    /// Trials in which nothing is down and nothing breaks.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            down: Table::filled(0, plan.services.len()),
            capacity: Table::filled(all(1.0), plan.services.len()),
            domains: Table::filled(0, plan.domains.len()),
            own: OwnFailures::default(),
            own_at_start: OwnFailures::default(),
            outages: OutageEvents::default(),
            changed_services: Vec::new(),
            reaches: Table::filled(u8::MAX, plan.dependencies.len()),
            works: Table::filled(u8::MAX, plan.dependencies.len()),
            targets: Table::new(),
            bad_requests: all(1.0),
            gates: Vec::new(),
            gate_counts: Vec::new(),
            rollback_works: 0,
            rollback_worsens: 0,
            kill_switch_works: 0,
            detection: all(0.0),
            detection_corrupt: all(0.0),
            rollback: all(0.0),
            kill_switch: all(0.0),
            repair: all(0.0),
            is_troubled: false,
        }
    }

    /// Takes the draws of group `group` (0 to 7) of a chunk.
    pub(crate) fn take(&mut self, plan: &Plan, chunk: &SampledChunk, group: u32) {
        let shift = group * LANES as u32;
        take_lanes(&mut self.own.services, &chunk.services, shift);
        take_lanes(&mut self.own.domains, &chunk.domains, shift);
        take_lanes(&mut self.own.replicas, &chunk.replicas, shift);
        take_lanes(&mut self.reaches, &chunk.reaches, shift);
        take_lanes(&mut self.works, &chunk.works, shift);
        take_lanes(&mut self.gates, &chunk.gates, shift);
        self.rollback_works = (chunk.rollback_works >> shift) as u8;
        self.rollback_worsens = (chunk.rollback_worsens >> shift) as u8;
        self.kill_switch_works = (chunk.kill_switch_works >> shift) as u8;
        let eight = Eight { draws: &chunk.draws, trials: chunk.order.eight(group) };
        self.outages.draw(plan, eight, &self.own);
        if !plan.outages.is_empty() {
            self.own_at_start.clone_from(&self.own);
        }
        self.take_background(plan);
        self.targets.clear();
        for (target, masks) in plan.targets.iter().zip(&chunk.targets) {
            let masks = masks.map(|mask| (mask >> shift) as u8);
            self.targets.push(broken_target(target, eight, masks));
        }
        self.take_bad_requests(plan);
        self.take_delays(plan, eight);
    }

    fn take_bad_requests(&mut self, plan: &Plan) {
        let mut largest: Lanes = all(0.0);
        for (target, item) in plan.targets.iter().zip(&self.targets) {
            for lane in (0..LANES).filter(|lane| target.of_requests && has(item.broken, *lane)) {
                largest[lane] = largest[lane].max(item.severity[lane]);
            }
        }
        self.bad_requests = largest.map(|share| if share > 0.0 { share } else { 1.0 });
    }

    /// The lanes in which something that is broken answers wrongly.
    pub(crate) fn corrupt_lanes(&self) -> u8 {
        let corrupt_lanes = |target: &BrokenTarget| {
            target.broken & mask::<LANES>(|lane| target.mode[lane] == Mode::Corrupt)
        };
        self.targets.iter().fold(0, |all, target| all | corrupt_lanes(target))
    }

    fn take_background(&mut self, plan: &Plan) {
        self.is_troubled = self.outages.any();
        if !plan.has_background {
            return;
        }
        self.domains.clone_from(&self.own.domains);
        close_domains(plan, &mut self.domains);
        for service in plan.services.ids() {
            let (down, capacity) = self.health(plan, service, &self.domains);
            self.is_troubled |= down != 0 || capacity != all(1.0);
            (self.down[service], self.capacity[service]) = (down, capacity);
        }
    }

    /// In which lanes a service is wholly down, and the share of its replicas that are up, when
    /// these domains are down.
    pub(crate) fn health(
        &self,
        plan: &Plan,
        id: ServiceId,
        domains: &Table<DomainId, u8>,
    ) -> (u8, Lanes) {
        let service = &plan.services[id];
        let mut down = self.own.services[id];
        if !service.domains.is_empty() {
            let all_down =
                service.domains.iter().fold(u8::MAX, |all, domain| all & domains[*domain]);
            down |= all_down;
        }
        let count = service.replicas.len() as u32;
        if count == 0 {
            return (down, all(1.0));
        }
        let mut missing = [0_u32; LANES];
        for replica in service.replicas {
            let domain = plan.replicas[replica].domain;
            let with_domain = domain.map_or(0, |domain| domains[domain]);
            let lost = self.own.replicas[replica] | with_domain;
            if lost != 0 {
                for (lane, missing) in missing.iter_mut().enumerate() {
                    *missing += u32::from(has(lost, lane));
                }
            }
        }
        down |= mask::<LANES>(|lane| count - missing[lane] < service.needs);
        (down, missing.map(|missing| f64::from(count - missing) / f64::from(count)))
    }

    fn take_delays(&mut self, plan: &Plan, eight: Eight<'_>) {
        let Some(schedule) = &plan.schedule else { return };
        let delays = |what, delay: Lognormal| {
            // Draws are addressed, so leaving one out changes no other.
            if delay.sigma == 0.0 {
                return all(delay.median);
            }
            let key = Key::new(what, "");
            eight.normals(key).map(|normal| delay.at(normal))
        };
        self.detection = delays("detection", schedule.detection.delay);
        self.detection_corrupt = delays("detection-corrupt", schedule.detection_corrupt.delay);
        self.rollback = delays("rollback", schedule.rollback.delay);
        self.gate_counts.clear();
        let of_targets = plan.targets.iter().flat_map(|target| &target.stages);
        self.gate_counts.extend(schedule.stages.iter().chain(of_targets).map(|stage| {
            if stage.gate > 0.0 { eight.uniforms(stage.count_key) } else { all(1.0) }
        }));
        if let Some(kill_switch) = &schedule.kill_switch {
            self.kill_switch = delays("kill-switch", kill_switch.delay);
        }
        if let Some(repair) = schedule.repair {
            self.repair = delays("repair", repair);
        }
    }
}

/// Components that are down for their own reasons: the lanes of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnFailures {
    pub(crate) services: Table<ServiceId, u8>,
    pub(crate) domains: Table<DomainId, u8>,
    pub(crate) replicas: Table<ReplicaId, u8>,
}

impl OwnFailures {
    /// Returns the lanes in which something is down.
    pub(crate) fn lanes(&mut self, of: OutageOf) -> &mut u8 {
        match of {
            OutageOf::Domain(domain) => &mut self.domains[domain],
            OutageOf::Service(service) => &mut self.services[service],
            OutageOf::Replica { replica, .. } => &mut self.replicas[replica],
        }
    }
}

impl SampledTrials {
    /// Goes back to the start, where outages were followed beyond it.
    pub(crate) fn rewind(&mut self, plan: &Plan) {
        if self.outages.rewind() {
            self.own.clone_from(&self.own_at_start);
            self.take_background(plan);
        }
    }

    /// When the next outage begins or ends in a lane; infinite where none does.
    pub(crate) fn next_outage(&self, lane: usize) -> f64 {
        self.outages.next_time(lane)
    }

    /// Lets outages that are due in a lane begin and end, and notes the services that may fare otherwise
    /// from now on.
    pub(crate) fn change_outages(
        &mut self,
        plan: &Plan,
        services_in: &Table<DomainId, Vec<ServiceId>>,
        lane: usize,
        time: f64,
    ) {
        let mut services = std::mem::take(&mut self.changed_services);
        services.clear();
        let mut has_domains = false;
        while let Some((of, begins)) = self.outages.take_due(lane, time) {
            let lanes = self.own.lanes(of);
            *lanes = if begins { *lanes | 1 << lane } else { *lanes & !(1 << lane) };
            match of {
                OutageOf::Domain(domain) => {
                    has_domains = true;
                    services.extend_from_slice(&services_in[domain]);
                }
                OutageOf::Service(service) | OutageOf::Replica { service, .. } => {
                    services.push(service);
                }
            }
        }
        if has_domains {
            self.domains.clone_from(&self.own.domains);
            close_domains(plan, &mut self.domains);
        }
        for &service in &services {
            let (down, capacity) = self.health(plan, service, &self.domains);
            (self.down[service], self.capacity[service]) = (down, capacity);
        }
        self.changed_services = services;
    }
}

/// Draws that are numbers, for eight trials of a chunk.
#[derive(Clone, Copy)]
pub(crate) struct Eight<'a> {
    draws: &'a ChunkDraws,
    trials: [u8; LANES],
}

impl Eight<'_> {
    fn uniforms(self, key: Key) -> Lanes {
        array(|lane| self.uniform(key, lane))
    }

    fn normals(self, key: Key) -> Lanes {
        array(|lane| self.normal(key, lane))
    }

    /// Draws a number strictly between 0 and 1 for one lane.
    pub(crate) fn uniform(self, key: Key, lane: usize) -> f64 {
        self.draws.uniform(key, u32::from(self.trials[lane]))
    }

    /// Draws a standard normal number for one lane.
    pub(crate) fn normal(self, key: Key, lane: usize) -> f64 {
        self.draws.normal(key, u32::from(self.trials[lane]))
    }
}

fn broken_target(target: &Target, eight: Eight<'_>, masks: [u8; 4]) -> BrokenTarget {
    let [broken, down, slow, corrupt] = masks;
    let mode = std::array::from_fn(|lane| match () {
        () if has(down, lane) => Mode::Down,
        () if has(slow, lane) => Mode::Slow,
        () if has(corrupt, lane) => Mode::Corrupt,
        () => Mode::Surge,
    });
    let (min, max) = (target.severity_min, target.severity_max);
    let severity = if min < max {
        eight.uniforms(target.severity_key).map(|uniform| min + (max - min) * uniform)
    } else {
        all(min)
    };
    let onset = if target.onset.sigma == 0.0 {
        all(target.onset.median)
    } else {
        eight.normals(target.onset_key).map(|normal| target.onset.at(normal))
    };
    BrokenTarget { broken, mode, severity, onset }
}
