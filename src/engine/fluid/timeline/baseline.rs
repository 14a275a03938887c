//! The same trials without the change: what would have failed anyway.

use crate::compile::plan::{FlowId, NodeId, ServiceId};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, Lanes, all, has, mask};
use crate::engine::fluid::timeline::progress::TrialProgress;
use crate::engine::outcome::Failures;
use crate::model::id::Table;

/// Course of eight trials without the change, step by step; empty where nothing goes wrong.
#[derive(Default)]
pub(crate) struct Baseline {
    steps: Vec<Step>,
    /// By service: the lanes in which it is overloaded at the end.
    overloaded: Table<ServiceId, u8>,
    /// By unit: the lanes in which it fails in the step that holds there now.
    now: Vec<Failures<u8>>,
    /// By unit: the lanes in which it fails in some step that counts.
    peaks: Vec<Failures<u8>>,
}

struct Step {
    /// From when it holds; infinite for a lane that has no such step.
    from: Lanes,
    /// By flow: slow + down; with corrupt; corrupt alone; late.
    flows: Table<FlowId, [Lanes; 4]>,
    /// By the index among [`crate::engine::fluid::state::plan_index::PlanIndex::start_nodes`]:
    /// failed.
    start_failed: Vec<u8>,
    /// Units that are degraded or worse, and in which lanes.
    units: Vec<(u32, Failures<u8>)>,
}

impl Baseline {
    /// Nothing goes wrong without the change.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.overloaded.clear();
        self.now.clear();
        self.peaks.clear();
    }

    /// Goes back to the first step in every lane.
    pub(crate) fn rewind(&mut self) {
        self.now.fill(Failures::default());
        if let Some(first) = self.steps.first() {
            for (unit, failures) in &first.units {
                self.now[*unit as usize] = *failures;
            }
        }
    }

    /// Goes to the step that holds at a time.
    #[inline]
    pub(crate) fn advance(&mut self, progress: &mut TrialProgress, lane: usize, time: f64) {
        while self.steps.get(progress.base_step + 1).is_some_and(|next| next.from[lane] <= time) {
            // Lanes are at steps of their own, so only this lane's bits change.
            for (unit, _) in &self.steps[progress.base_step].units {
                let now = &mut self.now[*unit as usize];
                *now = now.map(|lanes| lanes & !(1 << lane));
            }
            progress.base_step += 1;
            for (unit, failures) in &self.steps[progress.base_step].units {
                let now = &mut self.now[*unit as usize];
                now.failed |= failures.failed & 1 << lane;
                now.degraded |= failures.degraded & 1 << lane;
            }
        }
    }

    /// Returns the lanes in which a unit fails anyway in the step that holds there now.
    pub(crate) fn failures_now(&self, unit: usize) -> Failures<u8> {
        self.now.get(unit).copied().unwrap_or_default()
    }

    /// Returns the units that fail anyway at some moment, and in which lanes.
    pub(crate) fn peaks(&self) -> impl Iterator<Item = (usize, Failures<u8>)> {
        let peaks = self.peaks.iter().copied().enumerate();
        peaks.filter(|(_, failures)| failures.failed | failures.degraded != 0)
    }

    /// When the next step begins.
    #[inline]
    pub(crate) fn next_time(&self, course: &TrialProgress, lane: usize) -> f64 {
        self.steps.get(course.base_step + 1).map_or(f64::INFINITY, |next| next.from[lane])
    }

    /// Returns the loss of a flow that occurs anyway: slow + down; with corrupt; corrupt alone;
    /// and what is late anyway.
    #[inline]
    pub(crate) fn flow(&self, flow: FlowId, course: &TrialProgress, lane: usize) -> [f64; 4] {
        match self.steps.get(course.base_step) {
            None => [0.0; 4],
            Some(step) => step.flows[flow].map(|share| share[lane]),
        }
    }

    /// Whether a node that a restart waits for is failed anyway.
    pub(crate) fn start_failed(&self, node: NodeId, lane: usize, run: &Run<'_>) -> bool {
        // Start nodes come out of a set, so they are in rising order.
        let index = run.index_of_plan.start_nodes.binary_search(&node);
        let step = self.steps.get(run.progress[lane].base_step);
        index.ok().zip(step).is_some_and(|(index, step)| has(step.start_failed[index], lane))
    }

    /// Adds up what fails over the steps: over all of them, or in each lane over its last.
    fn add_peaks(&mut self, units: usize, is_timed: bool) {
        self.now = vec![Failures::default(); units];
        self.peaks = vec![Failures::default(); units];
        for (number, step) in self.steps.iter().enumerate() {
            let ends = |lane: usize| {
                let next = self.steps.get(number + 1);
                next.is_none_or(|next| next.from[lane].is_infinite())
            };
            let counts =
                mask::<LANES>(|lane| step.from[lane].is_finite() && (is_timed || ends(lane)));
            for (unit, failures) in &step.units {
                let peak = &mut self.peaks[*unit as usize];
                peak.failed |= failures.failed & counts;
                peak.degraded |= failures.degraded & counts;
            }
        }
    }

    /// Whether a service is overloaded at the end anyway.
    #[inline]
    pub(crate) fn is_overloaded(&self, service: ServiceId, lane: usize) -> bool {
        self.overloaded.get(service).is_some_and(|lanes| has(*lanes, lane))
    }
}

impl Run<'_> {
    /// Walks the trials without the change, if anything in them fails by itself; says whether it did.
    pub(crate) fn walk_baseline(&mut self) -> bool {
        self.baseline.clear();
        if !self.sampled.is_troubled {
            return false;
        }
        let mut baseline = Baseline::default();
        for course in &mut self.progress {
            course.without_change = true;
        }
        let is_timed = self.plan.schedule.is_some();
        let mut from = all(0.0);
        let mut alive = [true; LANES];
        while alive.contains(&true) {
            for lane in (0..LANES).filter(|lane| alive[*lane]) {
                self.change_outages(lane);
                self.apply_interventions(lane);
            }
            self.update_own();
            self.settle(mask::<LANES>(|lane| alive[lane]));
            for lane in (0..LANES).filter(|lane| alive[*lane]) {
                self.watch(lane);
            }
            let next: Lanes = std::array::from_fn(|lane| {
                if alive[lane] { self.next_time(lane, self.end) } else { f64::INFINITY }
            });
            let step = self.baseline_step(from, baseline.steps.last());
            baseline.steps.push(step);
            for lane in 0..LANES {
                if alive[lane] {
                    let next = next[lane];
                    // Of a snapshot it is the end that counts, of time everything before it.
                    let now = if is_timed { next } else { self.state.time[lane] };
                    alive[lane] = now < self.end;
                    from[lane] = if alive[lane] { next } else { f64::INFINITY };
                    if alive[lane] {
                        self.advance_waits(lane, next);
                        self.advance_messages(lane, next);
                        self.advance_customers(lane, next);
                        self.advance_refills(lane, next);
                        self.state.time[lane] = next;
                    }
                }
            }
        }
        baseline.add_peaks(self.record.unit_nodes().len(), is_timed);
        baseline.overloaded = self
            .plan
            .services
            .ids()
            .iter()
            .map(|service| {
                mask::<LANES>(|lane| {
                    self.state.overload[service][lane] > 1e-9 || self.is_swamped(service, lane)
                })
            })
            .collect();
        self.baseline = baseline;
        true
    }

    fn baseline_step(&self, from: Lanes, last: Option<&Step>) -> Step {
        let flows = self.plan.flows.ids().iter().map(|flow| {
            let losses: [[f64; 4]; LANES] =
                std::array::from_fn(|lane| self.flow_losses(flow, lane));
            std::array::from_fn(|level| std::array::from_fn(|lane| losses[lane][level]))
        });
        let start_failed = self.index_of_plan.start_nodes.iter().map(|node| {
            mask::<LANES>(|lane| self.failing_share(*node, lane) >= self.plan.failed - SLACK)
        });
        let mut units = self.units_failing();
        // What fails in one of two states that follow each other fails anyway in both.
        let sliding = mask::<LANES>(|lane| self.sliding[lane].is_sliding());
        for (unit, failures) in last.filter(|_| sliding != 0).into_iter().flat_map(|it| &it.units) {
            let failures = failures.map(|lanes| lanes & sliding);
            match units.binary_search_by_key(unit, |(known, _)| *known) {
                Ok(place) => {
                    let known = &mut units[place].1;
                    known.failed |= failures.failed;
                    known.degraded |= failures.degraded;
                }
                Err(place) => units.insert(place, (*unit, failures)),
            }
        }
        Step { from, flows: flows.collect(), start_failed: start_failed.collect(), units }
    }
}
