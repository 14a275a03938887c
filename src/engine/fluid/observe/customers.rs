//! Customers who think for a while before they try again.
//!
//! Thinking takes a random time, exponentially distributed, so those who are to try for the k-th time
//! become fewer at the rate 1/after. While shares are constant that has a closed form: who waits for the
//! k-th attempt at the end of a step is a sum over Poisson probabilities.

use crate::compile::plan::{Flow, FlowId, Plan};
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::LANES;

/// Loads are looked at anew this often while customers think, as a part of the time for which they do.
const PART_OF_THINKING: f64 = 0.125;
/// Returning customers settle once their number is this near to where it goes, as a share of all orders.
const SETTLED: f64 = 0.01;

/// Customers of a flow who think before they try again.
#[derive(Clone, Debug)]
pub(crate) struct ThinkingCustomers {
    /// The flow.
    pub(crate) flow: FlowId,
    /// By lane: who waits for each attempt, in seconds of the flow's rate.
    waiting: [Vec<f64>; LANES],
    /// The same without the change.
    waiting_anyway: [Vec<f64>; LANES],
}

/// Result of a time in which shares are constant.
struct Elapsed {
    /// Who waits for each attempt at its end.
    waiting: Vec<f64>,
    /// Orders lost in it, and those of them that went wrong unnoticed, in seconds of the flow's rate.
    lost: [f64; 2],
}

impl ThinkingCustomers {
    /// Returns those of all flows whose customers think.
    pub(crate) fn of_flows(plan: &Plan) -> Vec<Self> {
        let thinking = plan.flows.entries().filter(|(_, flow)| flow.thinks());
        let new = |(flow, item): (FlowId, &Flow)| {
            let nobody = || std::array::from_fn(|_| vec![0.0; item.retry_attempts as usize]);
            Self { flow, waiting: nobody(), waiting_anyway: nobody() }
        };
        thinking.map(new).collect()
    }

    /// Nobody waits.
    pub(crate) fn reset(&mut self) {
        self.waiting.iter_mut().chain(&mut self.waiting_anyway).for_each(|list| list.fill(0.0));
    }

    /// Returns the orders lost in a time, given the shares of attempts without an answer and with a wrong one.
    pub(crate) fn lost(
        &self,
        flow: &Flow,
        lane: usize,
        seconds: f64,
        attempts: [f64; 2],
    ) -> [f64; 2] {
        elapse(flow, &self.waiting[lane], seconds, attempts).lost
    }

    /// Returns those lost without the change, and goes on to the end of that time.
    pub(crate) fn lose_anyway(
        &mut self,
        flow: &Flow,
        lane: usize,
        seconds: f64,
        attempts: [f64; 2],
    ) -> [f64; 2] {
        let elapsed = elapse(flow, &self.waiting_anyway[lane], seconds, attempts);
        self.waiting_anyway[lane] = elapsed.waiting;
        elapsed.lost
    }
}

/// Lets customers try again for some seconds in which the shares of attempts without an answer, and with a
/// wrong one, are constant.
fn elapse(flow: &Flow, waiting: &[f64], seconds: f64, [unanswered, corrupt]: [f64; 2]) -> Elapsed {
    let nothing = [0.0; 2];
    let is_idle = waiting.iter().all(|waiting| *waiting == 0.0);
    if is_idle && unanswered == 0.0 && corrupt == 0.0 {
        return Elapsed { waiting: waiting.to_vec(), lost: nothing };
    }
    let again = flow.retry_share * unanswered;
    let passed = seconds / flow.retry_after;
    // The chances that a customer thinks 0, 1, 2 times to an end in this time.
    let mut chance = libm::exp(-passed);
    let mut chances = Vec::with_capacity(waiting.len());
    for ends in 0..waiting.len() {
        chances.push(chance);
        chance *= passed / (ends + 1) as f64;
    }
    let mut after = Vec::with_capacity(waiting.len());
    let mut more = 1.0;
    let mut fewer = 0.0;
    for number in 0..waiting.len() {
        let (mut left, mut part) = (0.0, 1.0);
        for ends in 0..=number {
            left += chances[ends] * part * waiting[number - ends];
            part *= again;
        }
        more *= again;
        fewer += chances[number];
        after.push(left + flow.retry_after * more * (1.0 - fewer).max(0.0));
    }
    // Who comes to wait either waits at the end or has tried.
    let mut tries = seconds;
    let mut all = seconds;
    let mut lost = unanswered * (1.0 - flow.retry_share) * seconds;
    for number in 0..waiting.len() {
        tries = (waiting[number] + again * tries - after[number]).max(0.0);
        let is_last = number + 1 == waiting.len();
        lost += tries * if is_last { unanswered } else { unanswered - again };
        all += tries;
    }
    let wrong = corrupt * all;
    Elapsed { waiting: after, lost: [lost + wrong, wrong] }
}

impl Run<'_> {
    /// Lets customers of one lane think and try again until a later time.
    pub(crate) fn advance_customers(&mut self, lane: usize, until: f64) {
        let seconds = until - self.state.time[lane];
        for index in 0..self.customers.len() {
            let flow = self.customers[index].flow;
            let item = &self.plan.flows[flow];
            let attempts = self.attempts_now(flow, lane);
            let customers = &mut self.customers[index];
            let waiting = elapse(item, &customers.waiting[lane], seconds, attempts).waiting;
            let orders = 1.0 + waiting.iter().sum::<f64>() / item.retry_after;
            customers.waiting[lane] = waiting;
            let (node, known) = &mut self.state.returning[index];
            if known[lane] != orders {
                known[lane] = orders;
                for sends in &mut self.state.sends_anew {
                    sends.mark(*node);
                }
            }
        }
    }

    /// Returns when loads are looked at again because customers come back.
    pub(crate) fn next_customers(&self, lane: usize) -> f64 {
        let mut next = f64::INFINITY;
        if !self.plan.has_load {
            return next;
        }
        for customers in &self.customers {
            let item = &self.plan.flows[customers.flow];
            let [unanswered, _] = self.attempts_now(customers.flow, lane);
            let mut goes_to = 1.0;
            let is_moving = customers.waiting[lane].iter().any(|waiting| {
                goes_to *= item.retry_share * unanswered;
                (waiting / item.retry_after - goes_to).abs() > SETTLED
            });
            if is_moving {
                next = next.min(self.state.time[lane] + item.retry_after * PART_OF_THINKING);
            }
        }
        next
    }
}
