//! When outages begin and end that have nothing to do with the change.

use crate::compile::plan::{OutageOf, OutageProcess, Plan};
use crate::engine::fluid::state::lanes::{LANES, has};
use crate::engine::fluid::state::sampled_trials::{Eight, OwnFailures};

/// The most outages of one thing in one trial: only what is far rarer than any other error reaches it,
/// since as many are refused in the mean of all together.
const OUTAGES_MAX: u32 = 1_000_000;

/// Beginnings and ends of outages in eight trials.
#[derive(Debug, Default)]
pub(crate) struct OutageEvents {
    /// By lane: in the order of time.
    events: [Vec<OutageEvent>; LANES],
    /// By lane: the next of them.
    next: [usize; LANES],
}

/// An outage that begins or ends.
#[derive(Clone, Copy, Debug)]
struct OutageEvent {
    at: f64,
    of: OutageOf,
    begins: bool,
}

impl OutageEvents {
    /// Draws the outages of eight trials, given what is down at the start.
    pub(crate) fn draw(&mut self, plan: &Plan, eight: Eight<'_>, own: &OwnFailures) {
        let Some(schedule) = plan.schedule.as_ref().filter(|_| !plan.outages.is_empty()) else {
            return;
        };
        self.next = [0; LANES];
        let mut own = own.clone();
        for (lane, events) in self.events.iter_mut().enumerate() {
            events.clear();
            for process in plan.outages.iter().filter(|process| !is_down_throughout(plan, process))
            {
                let is_down = has(*own.lanes(process.of), lane);
                draw_process(process, eight, lane, is_down, schedule.horizon, events);
            }
            // Ties keep the order of the plan, so that figures do not depend on the sort.
            events.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
    }

    /// Returns whether something begins or ends in some lane.
    pub(crate) fn any(&self) -> bool {
        self.events.iter().any(|events| !events.is_empty())
    }

    /// Goes back to the start; returns whether anything had happened.
    pub(crate) fn rewind(&mut self) -> bool {
        std::mem::replace(&mut self.next, [0; LANES]) != [0; LANES]
    }

    /// When the next outage begins or ends in a lane.
    #[inline]
    pub(crate) fn next_time(&self, lane: usize) -> f64 {
        self.events[lane].get(self.next[lane]).map_or(f64::INFINITY, |event| event.at)
    }

    /// Takes the next event of a lane, if it is due.
    #[inline]
    pub(crate) fn take_due(&mut self, lane: usize, time: f64) -> Option<(OutageOf, bool)> {
        let event = self.events[lane].get(self.next[lane]).filter(|event| event.at <= time)?;
        self.next[lane] += 1;
        Some((event.of, event.begins))
    }
}

/// Returns whether the change keeps the component down the whole time: it neither fails nor comes
/// back.
fn is_down_throughout(plan: &Plan, process: &OutageProcess) -> bool {
    match process.of {
        OutageOf::Domain(domain) => plan.domains[domain].during,
        OutageOf::Service(service) => plan.services[service].during,
        OutageOf::Replica { .. } => false,
    }
}

/// Draws the outages of one thing in one trial: an alternating renewal process that is stationary at
/// the start.
fn draw_process(
    process: &OutageProcess,
    eight: Eight<'_>,
    lane: usize,
    is_down: bool,
    horizon: f64,
    events: &mut Vec<OutageEvent>,
) {
    let OutageProcess { of, rate, length, .. } = *process;
    let mut time = 0.0;
    if is_down {
        // An outage that one comes upon is drawn by its length: lognormal again, its median larger by
        // a factor of exp(sigma^2); and one comes upon it anywhere in it.
        let bias = libm::exp(length.sigma * length.sigma);
        let whole = bias * length.at(eight.normal(process.length_keys.numbered(0), lane));
        time = whole * eight.uniform(process.left_key, lane);
        if time >= horizon {
            return;
        }
        events.push(OutageEvent { at: time, of, begins: false });
    }
    for number in 1..=OUTAGES_MAX {
        let uniform = eight.uniform(process.gap_keys.numbered(number), lane);
        // Gaps are exponential: this is the inverse of their distribution.
        time += -libm::log(uniform) / rate;
        if time >= horizon {
            return;
        }
        events.push(OutageEvent { at: time, of, begins: true });
        time += length.at(eight.normal(process.length_keys.numbered(number), lane));
        if time >= horizon {
            return;
        }
        events.push(OutageEvent { at: time, of, begins: false });
    }
}
