//! Simulates incidents with and without the actions of operators.

use crate::project::IncidentCase;

use super::badness_of;
use super::predict::{Prediction, predict_incident};
use crate::analysis::simulate::Settings;
use crate::engine::Progress;
use crate::model::action::Action;
use crate::model::change::{Delay, Detection, Rollback};
use crate::model::defaults::fix_delay;
use crate::model::incident::FixKind;
use crate::model::{Change, Share};
use crate::report::replay::ActionReport;

/// The change without anything that operators did: detection and rollback take what they take by
/// their delays.
pub(super) fn without_actions(change: &Change) -> Change {
    Change { actions: Vec::new(), ..change.clone() }
}

/// The change whose cause ends as late as a fix of this kind usually comes, and nothing else of what
/// operators did.
pub(super) fn with_fix(change: &Change, fix: FixKind) -> Change {
    Change {
        // From the first failure on, since that is what the published times count from.
        detection: Some(Detection { delay: Some(Delay::default()), ..Detection::default() }),
        rollback: Some(Rollback {
            delay: Some(fix_delay(fix)),
            needs_factor: 1.0,
            ..Rollback::default()
        }),
        kill_switch: None,
        ..without_actions(change)
    }
}

/// Each of the things that operators did, and what is different without it.
pub(super) fn action_reports(
    case: &IncidentCase,
    full: &Prediction,
    settings: &Settings,
    progress: &dyn Progress,
) -> Vec<ActionReport> {
    let one = |(index, item): (usize, &Action)| {
        let mut change = case.change.clone();
        change.actions.remove(index);
        let without = predict_incident(&case.topology, &change, settings, progress);
        let worse = |a: &Prediction, b: &Prediction| {
            let is_worse = |unit: &usize| {
                badness_of(a.likely_state(*unit)) > badness_of(b.likely_state(*unit))
            };
            let units = (0..case.topology.services.len()).filter(is_worse);
            units.map(|unit| case.topology.services[unit].name.clone()).collect()
        };
        ActionReport {
            at_s: item.at.get(),
            action: item.action.into(),
            target: item.target.map(|target| case.topology.service(target).name.clone()),
            caller: item.caller.map(|caller| case.topology.service(caller).name.clone()),
            share: item.share.map(Share::get),
            spared: worse(&without, full),
            made_worse: worse(full, &without),
            with_s: full.duration,
            without_s: without.duration,
        }
    };
    case.change.actions.iter().enumerate().map(one).collect()
}
