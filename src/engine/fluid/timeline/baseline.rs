//! The same trials without the change: what would have failed anyway.

use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, Lanes, all, has};

use crate::engine::fluid::timeline::progress::TrialProgress;

/// What eight trials do without the change, step by step; empty where nothing goes wrong.
#[derive(Default)]
pub(crate) struct Baseline {
    steps: Vec<Step>,
    /// By service: the lanes in which it is overloaded at the end.
    overloaded: Vec<u8>,
}

struct Step {
    /// From when it holds; infinite for a lane that has no such step.
    from: Lanes,
    /// By flow: slow + down; with corrupt; corrupt alone.
    flows: Vec<[Lanes; 3]>,
    /// By the index among [`crate::engine::fluid::state::plan_index::Setup::start_nodes`]: failed.
    start_failed: Vec<u8>,
}

impl Baseline {
    /// Nothing goes wrong without the change.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.overloaded.clear();
    }

    /// Goes to the step that holds at a time.
    pub(crate) fn advance(&self, course: &mut TrialProgress, lane: usize, time: f64) {
        while self.steps.get(course.base_step + 1).is_some_and(|next| next.from[lane] <= time) {
            course.base_step += 1;
        }
    }

    /// When the next step begins.
    pub(crate) fn next_time(&self, course: &TrialProgress, lane: usize) -> f64 {
        self.steps.get(course.base_step + 1).map_or(f64::INFINITY, |next| next.from[lane])
    }

    /// What a flow loses anyway: slow + down; with corrupt; corrupt alone.
    pub(crate) fn flow(&self, flow: usize, course: &TrialProgress, lane: usize) -> [f64; 3] {
        match self.steps.get(course.base_step) {
            None => [0.0; 3],
            Some(step) => step.flows[flow].map(|share| share[lane]),
        }
    }

    /// Whether a node that a restart waits for is failed anyway.
    pub(crate) fn start_failed(&self, node: u32, lane: usize, run: &Run<'_>) -> bool {
        let index = run.index_of_plan.start_nodes.binary_search(&node);
        let step = self.steps.get(run.progress[lane].base_step);
        index.ok().zip(step).is_some_and(|(index, step)| has(step.start_failed[index], lane))
    }

    /// Whether a service is overloaded at the end anyway.
    pub(crate) fn is_overloaded(&self, service: usize, lane: usize) -> bool {
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
        let mut from = all(0.0);
        let mut alive = [true; LANES];
        while alive.contains(&true) {
            for lane in (0..LANES).filter(|lane| alive[*lane]) {
                self.act(lane);
            }
            self.update_own();
            self.settle();
            for lane in (0..LANES).filter(|lane| alive[*lane]) {
                self.watch(lane);
            }
            baseline.steps.push(self.baseline_step(from));
            for lane in 0..LANES {
                if alive[lane] {
                    let next = self.next_time(lane, self.end);
                    alive[lane] = next < self.end;
                    from[lane] = if alive[lane] { next } else { f64::INFINITY };
                    if alive[lane] {
                        self.state.time[lane] = next;
                    }
                }
            }
        }
        baseline.overloaded = (0..self.plan.services.len())
            .map(|service| {
                crate::engine::fluid::state::lanes::mask::<LANES>(|lane| {
                    self.state.overload[service][lane] > 1e-9
                })
            })
            .collect();
        self.baseline = baseline;
        true
    }

    fn baseline_step(&self, from: Lanes) -> Step {
        let flows = self.plan.flows.iter().map(|flow| {
            let of =
                |shares: fn(&crate::engine::fluid::state::lanes::Shares, usize) -> f64| -> Lanes {
                    std::array::from_fn(|lane| self.node_share(flow.node, lane, shares))
                };
            [
                of(crate::engine::fluid::state::lanes::Shares::unanswered),
                of(crate::engine::fluid::state::lanes::Shares::failing),
                of(|shares, lane| shares.corrupt[lane]),
            ]
        });
        let start_failed = self.index_of_plan.start_nodes.iter().map(|node| {
            crate::engine::fluid::state::lanes::mask::<LANES>(|lane| {
                let failing = self.node_share(
                    *node,
                    lane,
                    crate::engine::fluid::state::lanes::Shares::failing,
                );
                failing
                    >= self.plan.failed - crate::engine::fluid::propagation::call_pipeline::SLACK
            })
        });
        Step { from, flows: flows.collect(), start_failed: start_failed.collect() }
    }
}
