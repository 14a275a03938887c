//! Caches that were lost and come back cold: step 4, and the end of section "Time".

use std::collections::BTreeMap;

use blastwave::model::topology::Cache;

use super::graph::Graph;
use super::load::Moment;
use super::moment::reaches;

/// In how many steps half of what is missing comes back.
const STEPS: f64 = 8.0;

/// By dependency as written and member: for how many seconds a cache that was lost has been refilled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refills {
    refilled: BTreeMap<(usize, usize), f64>,
}

impl Refills {
    /// Lets caches fill for some seconds by the misses that are answered.
    pub(crate) fn go_on(&mut self, seconds: f64, moment: &Moment) {
        for ((written, member), refilled) in &mut self.refilled {
            let cohorts = moment.weights.iter().zip(&moment.contributions);
            let answered: f64 = cohorts
                .map(|(weight, calls)| weight * calls[*written].members[*member].misses_answered)
                .sum();
            *refilled += answered * seconds;
        }
    }

    /// Empties the caches that are lost at a moment.
    pub(crate) fn look(&mut self, graph: &Graph, moment: &Moment) {
        for (written, call) in graph.written.iter().enumerate() {
            if call.dependency.cache.and_then(|cache| cache.refill).is_none() || !call.serves() {
                continue;
            }
            let failing = match (call.cache_service, graph.caller_of(written)) {
                (Some(node), _) => moment.with_too_late(node).failing(),
                (None, Some(service)) => {
                    let nodes = graph.nodes_of(service).into_iter();
                    nodes.map(|node| moment.own_failing[node]).fold(0.0, f64::max)
                }
                (None, None) => 0.0,
            };
            if reaches(failing, graph.topology.thresholds.failed.get()) {
                for member in 0..call.on.len() {
                    self.refilled.insert((written, member), 0.0);
                }
            }
        }
    }

    /// The shares of their usual answers that caches give.
    pub(crate) fn warm(&self, graph: &Graph) -> BTreeMap<(usize, usize), f64> {
        let mut warm = BTreeMap::new();
        for (key, refilled) in &self.refilled {
            let cache = graph.written[key.0].dependency.cache.expect("it was lost");
            warm.insert(*key, warm_share(&cache, *refilled));
        }
        warm
    }
}

fn warm_share(cache: &Cache, refilled: f64) -> f64 {
    let half = cache.refill.expect("it was lost").get();
    let step = (libm::log2((refilled + half) / half) * STEPS + 1e-6).floor();
    let missing = libm::exp2(-(step + 0.5) / STEPS);
    let hits = cache.hit_ratio.get();
    let is_full = if hits < 1.0 { missing * hits <= 0.01 * (1.0 - hits) } else { missing <= 0.01 };
    if is_full { 1.0 } else { 1.0 - missing }
}
