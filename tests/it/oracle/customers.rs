//! Customers who think before they try again: the end of section "Time".

use super::graph::Graph;
use super::load::Moment;

/// Into how many steps the time is cut for which customers think on average.
const STEPS: f64 = 64.0;

/// By flow: who waits for which attempt, in seconds of the flow's rate.
#[derive(Clone, Debug)]
pub(crate) struct Customers(Vec<Vec<f64>>);

impl Customers {
    /// Nobody waits.
    pub(crate) fn new(graph: &Graph) -> Self {
        let flows = graph.topology.flows.iter();
        let attempts = flows.map(|flow| flow.retry_by_users.map_or(0, |users| users.attempts));
        Self(attempts.map(|attempts| vec![0.0; attempts as usize]).collect())
    }

    /// Lets them think and try for some seconds, step by step.
    pub(crate) fn go_on(&mut self, graph: &Graph, seconds: f64, moment: &Moment) {
        for (number, flow) in graph.topology.flows.iter().enumerate() {
            let Some(users) = flow.retry_by_users else { continue };
            let Some(after) = users.after else { continue };
            let state = moment.states[graph.flow(number)];
            let again = users.share.get() * (state.slow + state.down);
            let waiting = &mut self.0[number];
            let mut left = seconds;
            while left > 0.0 {
                let step = left.min(after.get() / STEPS);
                left -= step;
                let mut comes = again * step;
                for waits in waiting.iter_mut() {
                    let tries = *waits * step / after.get();
                    *waits += comes - tries;
                    comes = again * tries;
                }
            }
        }
    }

    /// By flow: the orders that are placed; 1 is normal.
    pub(crate) fn orders(&self, graph: &Graph) -> Vec<f64> {
        let flows = graph.topology.flows.iter().zip(&self.0);
        flows
            .map(|(flow, waiting)| {
                let after = flow.retry_by_users.and_then(|users| users.after);
                after.map_or(1.0, |after| 1.0 + waiting.iter().sum::<f64>() / after.get())
            })
            .collect()
    }
}
