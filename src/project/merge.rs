//! Merges several changes of one window into one change.

use crate::model::shipping::{bolder_rollout, slower_detection, slower_rollback};
use crate::model::{Change, Share, defaults};

/// Merges changes that ship in one window into one change in which all of them break; `None` without any.
///
/// What holds for the whole window is taken from the change that protects least: the rollout that
/// exposes most at first, the slowest detection and rollback, the longest horizon. The window breaks when
/// any of the changes does, each independently of the others.
pub fn merge_changes(changes: &[Change]) -> Option<Change> {
    let (first, rest) = changes.split_first()?;
    let mut all = first.clone();
    for next in rest {
        all.name = format!("{} + {}", all.name, next.name);
        all.targets.extend(next.targets.iter().cloned());
        all.sources.extend(next.sources.iter().cloned());
        all.during.extend(&next.during);
        // Two kinds are neither of them: what depends on the kind then takes its general value.
        all.kind = if all.kind == next.kind { all.kind } else { None };
        // A machine had a hand in it where it had one in any; nobody reviewed it where any was not.
        if all.authored_by != next.authored_by {
            all.authored_by =
                all.authored_by.and(next.authored_by).map(|_| crate::model::change::Author::Mixed);
        }
        all.reviewed_by = match (all.reviewed_by.take(), &next.reviewed_by) {
            (Some(these), Some(those)) if !these.is_empty() && !those.is_empty() => {
                Some(these.into_iter().chain(those.iter().cloned()).collect())
            }
            (Some(these), Some(_)) if these.is_empty() => Some(these),
            (Some(_), Some(those)) => Some(those.clone()),
            _ => None,
        };
        // None of them breaks only if each of them does not: independent, so the chances multiply.
        let spared = (1.0 - failure_probability(&all)) * (1.0 - failure_probability(next));
        all.failure_probability = Share::new(1.0 - spared);
        // Asked before the rollouts are joined, since a rollout gives a change a course in time.
        let is_moment = (all.is_moment(), next.is_moment());
        all.rollout = match is_moment {
            (true, false) => next.rollout.clone(),
            (false, true) => all.rollout,
            _ => bolder_rollout(all.rollout.take(), next.rollout.clone()),
        };
        all.detection = slower_detection(all.detection.take(), next.detection.clone());
        all.rollback = slower_rollback(all.rollback.take(), next.rollback.clone());
        // A switch for one change takes nothing away of another.
        all.kill_switch = all.kill_switch.filter(|_| next.kill_switch.is_some());
        all.repair = match (all.repair, next.repair) {
            // The window is over when the slowest repair is.
            (Some(a), Some(b)) => Some(if b.median > a.median { b } else { a }),
            (a, b) => a.or(b),
        };
        // Only where each names all that it touches, all that is touched is named.
        all.unmatched = match (all.unmatched.take(), &next.unmatched) {
            (Some(these), Some(those)) => Some(these.into_iter().chain(those.clone()).collect()),
            (these, those) => these.or_else(|| those.clone()).filter(|names| !names.is_empty()),
        };
        all.actions.extend(next.actions.iter().cloned());
        all.horizon = if next.horizon > all.horizon { next.horizon } else { all.horizon };
    }
    // Two changes may name the same thing, which can be down only once.
    all.during.sort();
    all.during.dedup();
    Some(all)
}

/// Returns the probability that a change breaks: as declared, or the default for its kind.
pub(crate) fn failure_probability(change: &Change) -> f64 {
    let stated = change.failure_probability;
    stated.unwrap_or_else(|| defaults::failure_probability(change.kind)).get()
}
