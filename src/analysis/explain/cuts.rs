//! The minimal cut sets of a flow, with names and probabilities.

use super::analysis::Analysis;
use super::names::EventNames;
use crate::engine::exact::ExactEvent;
use crate::engine::exact::solutions::{self, EventRole, ORDERS, Solutions};
use crate::report::EventScope;
use crate::report::explain::{CutSetReport, CutSetsReport, OrderCount};
use crate::sort::Arrange as _;

/// How many nodes the families of sets may take: below some hundred megabytes.
const NODES_MAX: usize = 400_000;
/// The orders that are tried where all sets are too many.
const ORDERS_TRIED: [u32; 5] = [6, 4, 3, 2, 1];
/// How many sets are listed.
const LISTED: usize = 50;

/// The minimal cut sets of a unit.
///
/// `is_structural` lets every service and domain be down, however unlikely; otherwise only what can
/// happen is part of a set. Where there are too many, only those of the smaller orders are given.
pub(super) fn find_cut_sets(
    analysis: &Analysis,
    names: &EventNames<'_>,
    unit: usize,
    max_order: Option<u32>,
    is_structural: bool,
) -> Result<CutSetsReport, String> {
    let exact = &analysis.exact;
    let function = &exact.units[unit].failed;
    let role = |event, chance| event_role(event, chance, is_structural);
    let tried: Vec<Option<u32>> = match max_order {
        Some(most) => {
            let smaller = ORDERS_TRIED.into_iter().filter(|order| *order < most);
            [most].into_iter().chain(smaller).map(Some).collect()
        }
        None => [None].into_iter().chain(ORDERS_TRIED.map(Some)).collect(),
    };
    // The first order that fits into the limit is the largest that can be listed completely.
    let mut found = tried.into_iter().filter_map(|order| {
        solutions::find_cut_sets(function, &exact.variables, role, order, NODES_MAX).ok()
    });
    let found = found.next().ok_or_else(|| {
        format!("even the smallest sets take more than {NODES_MAX} nodes of a decision diagram")
    })?;
    let total = exact.probability(function);
    Ok(CutSetsReport {
        events: if is_structural { EventScope::Structural } else { EventScope::Possible },
        count: found.sets_total(),
        by_order: by_order(&found),
        complete_to_order: found.complete_to,
        sets: cut_set_reports(&found, names, total),
        simplified: analysis.simplified.clone(),
    })
}

/// Returns the role of an event in cut sets. An event that never happens is left out, unless
/// services and domains are asked about as such; one that always happens is left out too, unless
/// it is a cause.
fn event_role(event: ExactEvent, chance: f64, is_structural: bool) -> EventRole {
    let possible = |is_possible| if is_possible { EventRole::Event } else { EventRole::Never };
    match event {
        ExactEvent::Domain(_) | ExactEvent::Service(_) => possible(is_structural || chance > 0.0),
        ExactEvent::Target(_) | ExactEvent::Mode(..) | ExactEvent::Replica(_) => {
            possible(chance > 0.0)
        }
        ExactEvent::Reaches(_) | ExactEvent::NoFallback(_) if chance >= 1.0 => EventRole::Always,
        ExactEvent::Reaches(_) | ExactEvent::NoFallback(_) => possible(chance > 0.0),
    }
}

fn by_order(found: &Solutions) -> Vec<OrderCount> {
    let counts = (0..=ORDERS as u32).zip(found.by_order);
    counts
        .filter(|(_, count)| *count > 0)
        .map(|(order, count)| OrderCount { order, count })
        .collect()
}

fn cut_set_reports(found: &Solutions, names: &EventNames<'_>, total: f64) -> Vec<CutSetReport> {
    let mut sets: Vec<CutSetReport> = found
        .most_likely(LISTED)
        .into_iter()
        .map(|(parts, probability)| {
            let mut events: Vec<_> = parts
                .iter()
                .map(|part| names.cut_event_report(&found.parts[*part as usize]))
                .collect();
            events.sort();
            CutSetReport {
                order: events.len() as u32,
                events,
                probability,
                share: (total > 0.0).then(|| probability / total),
            }
        })
        .collect();
    sets.arrange_by(|a, b| {
        let by_chance = b.probability.total_cmp(&a.probability);
        by_chance.then(a.order.cmp(&b.order)).then_with(|| a.events.cmp(&b.events))
    });
    sets
}
