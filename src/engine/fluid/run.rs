//! Eight trials from beginning to end.

use super::load::fixed_point::Alone;
use super::load::spread::Loads;
use super::observe::customers::ThinkingCustomers;
use super::observe::record::Record;
use super::observe::tracing::TracedLane;
use super::propagation::call_pipeline::SLACK;
use super::propagation::step_state::{AffectedId, StepState};
use super::state::lanes::{LANES, Lanes, Shares, all};
use super::state::plan_index::PlanIndex;
use super::state::sampled_trials::{SampledChunk, SampledTrials};
use super::timeline::baseline::Baseline;
use super::timeline::evidence::Evidence;
use super::timeline::failover::Failover;
use super::timeline::interventions::AppliedInterventions;
use super::timeline::progress::TrialProgress;
use super::timeline::recovery::PendingRestart;
use super::timeline::sliding::SlidingWait;
use super::timeline::waits::WaitingSpell;
use crate::compile::Plan;
use crate::compile::plan::{ConsumerId, DomainId, FlowId, NodeId, ServiceId, TargetId};
use crate::engine::simd::array;
use crate::model::change::Routing;
use crate::model::id::Table;

/// Eight trials, each at a time of its own.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) index_of_plan: &'a PlanIndex,
    pub(crate) sampled: SampledTrials,
    pub(crate) state: StepState<'a, LANES>,
    pub(crate) loads: Loads<LANES>,
    alone: Alone<'a>,
    /// Whether the first cohort holds only the requests that the change fails wherever they meet it.
    pub(crate) splits_requests: bool,
    pub(crate) progress: Vec<TrialProgress>,
    /// By target: from when it fails; infinite until it is exposed.
    pub(crate) fails_from: Table<TargetId, Lanes>,
    /// By target: the share with which it fails now, in each cohort.
    pub(crate) target_shares: Table<TargetId, [Lanes; 2]>,
    /// Nodes with a place for own health, in the order of those places.
    pub(crate) affected: Table<AffectedId, NodeId>,
    pub(crate) domains_now: Table<DomainId, u8>,
    /// By domain: the lanes in which what is in it hangs because it is a target.
    pub(crate) domains_hanging: Table<DomainId, u8>,
    /// By service: the lanes in which target domains take it down.
    pub(crate) fallen: Table<ServiceId, u8>,
    /// By service: the share of its replicas that target domains leave up.
    pub(crate) replicas_up: Table<ServiceId, Lanes>,
    /// By service: the share of its calls that hangs in target domains, where callers never learn that it
    /// does.
    pub(crate) hanging: Table<ServiceId, Lanes>,
    /// By service: the lanes in which what is lost to target domains hangs.
    pub(crate) loses_slowly: Table<ServiceId, u8>,
    pub(crate) pending_restarts: Vec<PendingRestart>,
    pub(crate) interventions: AppliedInterventions,
    /// Room for what services can serve now, and the lanes in which they are down without overload.
    pub(crate) capacities: Table<ServiceId, (Lanes, u8)>,
    /// By lane: for how long something has been waiting.
    pub(crate) spells: [WaitingSpell; LANES],
    /// By lane: what waits at a limit.
    pub(crate) sliding: [SlidingWait; LANES],
    /// By service: how long requests waited when the last moment ended.
    pub(crate) waits_before: Table<ServiceId, Lanes>,
    /// By consumer: by how much the messages that wait for it grow in a second.
    pub(crate) message_growth: Table<ConsumerId, Lanes>,
    /// For each flow whose customers think before they try again: who does.
    pub(crate) customers: Vec<ThinkingCustomers>,
    pub(crate) baseline: Baseline,
    pub(crate) evidence: Evidence,
    pub(crate) failovers: Vec<Failover>,
    pub(crate) record: Record,
    /// When nothing is followed any more.
    pub(crate) end: f64,
    /// Into how many steps a warm-up is cut.
    pub(crate) ramp_steps: u32,
    /// One lane of which everything is taken down.
    pub(crate) traced: Option<TracedLane>,
}

impl<'a> Run<'a> {
    /// Room for eight trials of a plan.
    pub(crate) fn new(plan: &'a Plan, index_of_plan: &'a PlanIndex, ramp_steps: u32) -> Self {
        let splits_requests = plan.splits_requests();
        let is_split = plan.routing == Routing::Sticky || splits_requests;
        let cohorts = if is_split { 2 } else { 1 };
        Self {
            plan,
            index_of_plan,
            sampled: SampledTrials::new(plan),
            state: StepState::new(plan, index_of_plan, cohorts),
            loads: Loads::new(plan, cohorts),
            splits_requests,
            alone: Alone::new(plan, index_of_plan, cohorts),
            progress: Vec::new(),
            fails_from: Table::new(),
            target_shares: Table::new(),
            affected: Table::new(),
            domains_now: Table::new(),
            domains_hanging: Table::new(),
            fallen: Table::filled(0, plan.services.len()),
            replicas_up: Table::filled(all(1.0), plan.services.len()),
            hanging: Table::filled(all(0.0), plan.services.len()),
            loses_slowly: Table::filled(0, plan.services.len()),
            pending_restarts: Vec::new(),
            interventions: AppliedInterventions::new(plan),
            capacities: Table::new(),
            spells: [WaitingSpell::default(); LANES],
            sliding: Default::default(),
            waits_before: Table::filled(all(0.0), plan.services.len()),
            customers: ThinkingCustomers::of_flows(plan),
            message_growth: Table::filled(all(0.0), plan.consumers.len()),
            baseline: Baseline::default(),
            evidence: Evidence::new(plan),
            failovers: Failover::of_services(plan),
            record: Record::new(plan),
            end: plan.schedule.as_ref().map_or(plan.lasting, |schedule| schedule.horizon),
            ramp_steps,
            traced: None,
        }
    }

    /// Follows eight trials of a chunk; gives what was seen of them.
    pub(crate) fn trials(&mut self, chunk: &SampledChunk, group: u32) -> &Record {
        self.sampled.take(self.plan, chunk, group);
        self.state.reaches.clone_from(&self.sampled.reaches);
        self.state.works.clone_from(&self.sampled.works);
        self.state.corrupt_lanes = self.sampled.corrupt_lanes();
        self.begin();
        // The same trials without the change come first: what fails anyway is not its impact.
        if self.walk_baseline() {
            self.begin();
        }
        self.record.clear();
        self.walk();
        self.finish();
        &self.record
    }

    fn begin(&mut self) {
        self.sampled.rewind(self.plan);
        self.state.reset();
        self.loads.reset();
        self.progress.clear();
        self.progress.resize(LANES, TrialProgress::start(self.plan));
        self.fails_from.clear();
        self.fails_from.resize(self.plan.targets.len(), all(f64::INFINITY));
        self.target_shares.clear();
        self.target_shares.resize(self.plan.targets.len(), [all(0.0); 2]);
        self.fallen.fill(0);
        self.hanging.fill(all(0.0));
        self.loses_slowly.fill(0);
        self.pending_restarts.clear();
        self.interventions.reset();
        self.reset_waits();
        self.waits_before.fill(all(0.0));
        self.message_growth.fill(all(0.0));
        self.customers.iter_mut().for_each(ThinkingCustomers::reset);
        self.baseline.rewind();
        self.evidence.reset();
        self.reset_failovers();
        self.register_all_affected();
    }

    fn walk(&mut self) {
        let is_timed = self.plan.schedule.is_some();
        while self.progress.iter().any(|course| course.alive) {
            for lane in 0..LANES {
                if self.progress[lane].alive {
                    self.events(lane);
                }
            }
            self.update_own();
            let alive = super::state::lanes::mask::<LANES>(|lane| self.progress[lane].alive);
            self.settle(alive);
            // In a single moment only the last one counts: those before it say since when things
            // fail.
            let seen = super::state::lanes::mask::<LANES>(|lane| {
                is_timed || self.state.time[lane] >= self.end
            });
            self.observe(alive & seen);
            self.trace_step(alive & seen);
            for lane in 0..LANES {
                if self.progress[lane].alive {
                    self.watch(lane);
                    self.clocks(lane);
                    self.step(lane, is_timed);
                }
            }
        }
    }

    /// Failure, load and overload of the present moment, and since when what has been failing, in
    /// these lanes.
    pub(crate) fn settle(&mut self, alive: u8) {
        let users = self.users();
        self.state.touch_echoes();
        self.look_at_waits(alive);
        self.state.settle(&mut self.loads, &mut self.alone, &users, alive);
        // Retries that a jump leaves behind are load at this very moment.
        if self.note_jumps() {
            self.state.settle(&mut self.loads, &mut self.alone, &users, alive);
        }
        if self.note_wait_rates() {
            // What fails is the same; what changed is when the next piece crosses a limit.
            self.state.sweep();
        }
        self.note_message_rates(&users);
        self.note_lost_caches();
        self.state.note_active_members();
        self.state.note_since();
    }

    /// Goes to the next time of a lane, counting what is lost until then.
    fn step(&mut self, lane: usize, is_timed: bool) {
        let (time, next) = (self.state.time[lane], self.next_time(lane, self.end));
        if is_timed {
            self.count_until(lane, next);
            self.count_evidence(lane, next);
            self.trace_until(lane, next);
            self.progress[lane].has_shown |= next > time && self.shows_failure(lane);
            if next >= self.end {
                self.progress[lane].alive = false;
                return;
            }
        } else if time >= self.end {
            self.progress[lane].alive = false;
            return;
        }
        self.advance_waits(lane, next);
        self.advance_messages(lane, next);
        self.advance_customers(lane, next);
        self.advance_refills(lane, next);
        self.state.time[lane] = next;
    }

    /// How the users are split over the cohorts.
    fn users(&self) -> Vec<Lanes> {
        if self.state.cohorts.len() == 1 {
            return vec![all(1.0)];
        }
        let first: Lanes = array(|lane| self.first_cohort(lane));
        vec![first, array(|lane| 1.0 - first[lane])]
    }

    /// Returns the share of all requests that are in the first of two cohorts: those of users who meet
    /// the change, those that it fails wherever they meet it, or those that are both.
    #[inline]
    pub(crate) fn first_cohort(&self, lane: usize) -> f64 {
        let sticky = self.plan.routing == Routing::Sticky;
        let left = || self.progress[lane].exposure * self.left_of_exposure(lane);
        let exposed = if sticky { left() } else { 1.0 };
        if self.splits_requests { exposed * self.sampled.bad_requests[lane] } else { exposed }
    }

    /// A figure of one lane over the cohorts, weighted by users.
    #[inline]
    pub(crate) fn over_cohorts(&self, lane: usize, figure: impl Fn(usize) -> f64) -> f64 {
        if self.state.cohorts.len() == 1 {
            return figure(0);
        }
        let first = self.first_cohort(lane);
        first * figure(0) + (1.0 - first) * figure(1)
    }

    /// A share of a node in one lane, over the cohorts.
    #[inline]
    pub(crate) fn node_share(
        &self,
        node: NodeId,
        lane: usize,
        share: impl Fn(&Shares, usize) -> f64,
    ) -> f64 {
        let of = |cohort: usize| share(&self.state.cohorts[cohort].shares[node], lane);
        self.over_cohorts(lane, of)
    }

    /// The failing share of a node in one lane: what it does not answer, or wrongly, or too late for
    /// its most impatient caller.
    pub(crate) fn failing_share(&self, node: NodeId, lane: usize) -> f64 {
        self.over_cohorts(lane, |cohort| {
            let cohort = &self.state.cohorts[cohort];
            let too_late = cohort.too_late.get(node).map_or(0.0, |late| late[lane]);
            cohort.shares[node].failing_with(too_late, lane)
        })
    }

    /// The degraded share of a node in one lane, apart from what it answers too late.
    pub(crate) fn degraded_share(&self, node: NodeId, lane: usize) -> f64 {
        self.over_cohorts(lane, |cohort| {
            let cohort = &self.state.cohorts[cohort];
            let too_late = cohort.too_late.get(node).map_or(0.0, |late| late[lane]);
            cohort.shares[node].degraded[lane] * (1.0 - too_late)
        })
    }

    /// The share of a node's requests that are answered, but later than they should be: of a flow,
    /// than it promises; of a service, than usual.
    pub(crate) fn late_share(&self, node: NodeId, flow: Option<FlowId>, lane: usize) -> f64 {
        let by_messages = flow.map_or(0.0, |flow| self.late_messages(flow, lane));
        if !self.plan.has_delays && by_messages <= 0.0 {
            return 0.0;
        }
        self.over_cohorts(lane, |cohort| {
            let cohort = &self.state.cohorts[cohort];
            let answered = 1.0 - cohort.shares[node].unanswered(lane);
            if !self.plan.has_delays {
                return answered * by_messages;
            }
            let delay = &cohort.delays[node][lane];
            match flow.map(|flow| &self.plan.flows[flow]) {
                None => {
                    let too_late = cohort.too_late[node][lane];
                    answered * (delay.noticeable() - too_late).max(0.0)
                }
                Some(flow) => {
                    let late = delay.late_orders(flow.latency, flow.promised, flow.patience);
                    answered * (late + (1.0 - late) * by_messages)
                }
            }
        })
    }

    /// Whether a service, or one of its endpoints, is failed now.
    pub(crate) fn is_failed(&self, service: ServiceId, lane: usize) -> bool {
        self.plan
            .nodes_of(service)
            .any(|node| self.failing_share(node, lane) >= self.plan.failed - SLACK)
    }
}
