//! How much each part matters to a flow, by exact values.
//!
//! With P the probability that the flow fails, P1 and P0 the same given that the part has failed or
//! works, and q the probability that the part fails by itself:
//!
//! - Birnbaum's importance is P1 - P0 (Birnbaum, "On the importance of different components in a
//!   multicomponent system", 1969);
//! - criticality is q (P1 - P0) / P (Lambert, "Fault trees for decision making in systems analysis",
//!   1975);
//! - Fussell and Vesely's is q P1 / P, the probability that the part has failed given that the flow
//!   fails, in the form of Dutuit and Rauzy, "Efficient algorithms to assess component and gate
//!   importance in fault tree analysis" (Reliability Engineering and System Safety 72, 2001), where it
//!   is called the diagnostic importance factor (Fussell, "How to hand-calculate system reliability
//!   and safety characteristics", 1975);
//! - risk achievement worth is P1 / P and risk reduction worth P / P0 (Vesely, Davis, Denning and
//!   Saltos, "Measures of risk importance and their applications", NUREG/CR-3385, 1983).

use crate::compile::plan::ServiceId;
use std::collections::BTreeMap;

use super::analysis::Analysis;
use super::names::{EventNames, PartName};
use crate::compile::Plan;
use crate::engine::exact::{Exact, ExactEvent, Function};
use crate::report::explain::{ImportanceReport, Measured};
use crate::report::{CutEventKind, EstimationMethod, PartKind};
use crate::sort::Arrange as _;

/// How many nodes conditioning may look at; beyond that P1 and P0 come from the derivative, with
/// fewer right digits where they are very small.
const CONDITIONED_MAX: usize = 200_000_000;

/// The figures that all measures come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    /// The probability that the flow fails.
    pub(super) p: f64,
    /// Given that the part has failed.
    pub(super) if_failed: f64,
    /// Given that it works.
    pub(super) if_works: f64,
    /// The probability that the part fails by itself.
    pub(super) q: f64,
}

impl Figures {
    /// All measures.
    pub(super) fn importance_report(
        self,
        kind: PartKind,
        name: PartName,
        birnbaum: Measured,
    ) -> ImportanceReport {
        let of_p = |value: f64| (self.p > 0.0).then(|| value / self.p);
        ImportanceReport {
            kind,
            name: name.text,
            call: name.call,
            probability: self.q,
            method: if birnbaum.low.is_some() {
                EstimationMethod::Trials
            } else {
                EstimationMethod::Exact
            },
            birnbaum,
            criticality: of_p(birnbaum.value * self.q),
            fussell_vesely: of_p(self.q * self.if_failed),
            risk_achievement_worth: of_p(self.if_failed),
            risk_reduction_worth: (self.if_works > 0.0).then(|| self.p / self.if_works),
            failed_if_failed: self.if_failed,
            failed_if_works: self.if_works,
        }
    }
}

/// The importance of every part that has any, most first.
pub(super) fn exact_importance(
    plan: &Plan,
    analysis: &Analysis,
    names: &EventNames<'_>,
    unit: usize,
) -> Vec<ImportanceReport> {
    let exact = &analysis.exact;
    let function = &exact.units[unit].failed;
    let p = exact.probability(function);
    let derivatives = exact.derivatives(function);
    // Conditioning walks the diagram once for each event.
    let is_small = function.nodes().len().saturating_mul(derivatives.len()) <= CONDITIONED_MAX;
    let mut reports = Vec::new();
    let mut replicas: BTreeMap<ServiceId, Vec<u16>> = BTreeMap::new();
    for (place, event) in exact.variables.events.iter().enumerate() {
        let q = exact.variables.chances[place];
        let kind = match event {
            // A mode is no part by itself: its target is.
            ExactEvent::Mode(..) => continue,
            ExactEvent::Replica(replica) => {
                let service = names.service_of_replica(*replica);
                // Replicas of one service are one part, of which enough must fail together.
                replicas.entry(service).or_default().push(place as u16);
                continue;
            }
            ExactEvent::Target(_) => PartKind::Target,
            other => part_kind(names.event_name(*other).0),
        };
        let birnbaum = derivatives[place];
        // A part that changes nothing has no importance.
        if birnbaum == 0.0 {
            continue;
        }
        let (if_failed, if_works) = if is_small {
            conditional_probabilities(exact, function, &[place as u16])
        } else {
            // P1 and P0 follow from the derivative, as P is linear in every chance.
            ((p + (1.0 - q) * birnbaum).min(1.0), (p - q * birnbaum).max(0.0))
        };
        let measured = Measured { value: birnbaum, low: None, high: None };
        let figures = Figures { p, if_failed, if_works, q };
        reports.push(figures.importance_report(kind, names.event_name(*event).1, measured));
    }
    for (service, places) in replicas {
        let (if_failed, if_works) = conditional_probabilities(exact, function, &places);
        let needs = plan.services[service].needs as usize;
        let chances = places.iter().map(|place| exact.variables.chances[usize::from(*place)]);
        // The part has failed once fewer replicas are up than are needed.
        let q = at_least(places.len().saturating_sub(needs) + 1, chances);
        let birnbaum = if_failed - if_works;
        if birnbaum == 0.0 {
            continue;
        }
        let measured = Measured { value: birnbaum, low: None, high: None };
        let figures = Figures { p, if_failed, if_works, q };
        reports.push(figures.importance_report(
            PartKind::Replicas,
            names.service_name(service).to_owned().into(),
            measured,
        ));
    }
    most_first(&mut reports);
    reports
}

/// P1 and P0: each summed directly, so that small ones keep their digits.
fn conditional_probabilities(exact: &Exact, function: &Function, places: &[u16]) -> (f64, f64) {
    (
        exact.conditional_probability(function, places, true),
        exact.conditional_probability(function, places, false),
    )
}

/// The probability that at least so many of independent events happen.
pub(super) fn at_least(limit: usize, chances: impl Iterator<Item = f64>) -> f64 {
    // By count, the last one for all that reach the limit.
    let mut counts = vec![0.0; limit + 1];
    counts[0] = 1.0;
    for chance in chances {
        // From the highest count down, so that each chance is added once.
        for count in (0..=limit).rev() {
            let stays = if count == limit { 1.0 } else { 1.0 - chance };
            let comes = if count == 0 { 0.0 } else { counts[count - 1] * chance };
            counts[count] = counts[count] * stays + comes;
        }
    }
    counts[limit]
}

/// By Birnbaum's importance, then by name.
pub(super) fn most_first(reports: &mut [ImportanceReport]) {
    reports.arrange_by(|a, b| {
        let by_value = b.birnbaum.value.total_cmp(&a.birnbaum.value);
        by_value.then_with(|| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)))
    });
}

/// Replicas are events one by one, and one part together.
fn part_kind(kind: CutEventKind) -> PartKind {
    match kind {
        CutEventKind::Service => PartKind::Service,
        CutEventKind::Endpoint => PartKind::Endpoint,
        CutEventKind::Domain => PartKind::Domain,
        CutEventKind::Replica => PartKind::Replicas,
        CutEventKind::Dependency => PartKind::Dependency,
        CutEventKind::Fallback => PartKind::Fallback,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_so_many_of_three_is_the_binomial_tail() {
        let tail = |limit| at_least(limit, [0.1, 0.2, 0.3].into_iter());
        assert!((tail(1) - (1.0 - 0.9 * 0.8 * 0.7)).abs() < 1e-15);
        assert!((tail(2) - 0.098).abs() < 1e-15);
        assert!((tail(3) - 0.006).abs() < 1e-15);
    }
}
