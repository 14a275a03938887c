//! How changes of a service are shipped: a fact about the service or its team, not about each change.

use std::collections::BTreeMap;

use super::change::{Delay, Detection, Rollback, Rollout};
use super::defaults;
use super::topology::{Service, Topology};
use super::units::{Seconds, Share};

/// How changes of a service reach users, are noticed and are taken back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shipping {
    /// How likely a change breaks; `None` = not declared.
    pub failure_probability: Option<Share>,
    /// How they reach users; `None` = not declared, which means everything at once.
    pub rollout: Option<Rollout>,
    /// How a break is noticed; `None` = not declared.
    pub detection: Option<Detection>,
    /// How they are taken back; `None` = not declared.
    pub rollback: Option<Rollback>,
}

/// How changes are shipped where a service does not declare it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShippingDefaults {
    /// For every service.
    pub all: Shipping,
    /// For the services of a team, by its name; it comes before `all`.
    pub teams: BTreeMap<String, Shipping>,
}

impl Shipping {
    /// Returns whether anything is declared.
    pub fn is_declared(&self) -> bool {
        self.failure_probability.is_some() || self.is_course_declared()
    }

    /// Returns whether anything is declared of how changes spread, are noticed or are taken back.
    pub fn is_course_declared(&self) -> bool {
        self.rollout.is_some() || self.detection.is_some() || self.rollback.is_some()
    }

    /// Returns this with what it leaves open taken from `other`.
    #[must_use]
    pub fn or_else_from(self, other: &Self) -> Self {
        Self {
            failure_probability: self.failure_probability.or(other.failure_probability),
            rollout: self.rollout.or_else(|| other.rollout.clone()),
            detection: self.detection.or_else(|| other.detection.clone()),
            rollback: self.rollback.or_else(|| other.rollback.clone()),
        }
    }

    /// Returns the part of each that protects less: the bolder rollout, the slower detection and the
    /// slower rollback. What is not declared counts with its documented default.
    #[must_use]
    pub fn weaker_of_each(self, other: Self) -> Self {
        Self {
            failure_probability: likelier_failure(
                self.failure_probability,
                other.failure_probability,
            ),
            rollout: bolder_rollout(self.rollout, other.rollout),
            detection: slower_detection(self.detection, other.detection),
            rollback: slower_rollback(self.rollback, other.rollback),
        }
    }
}

impl Topology {
    /// Returns how changes of a service are shipped: as it declares, else as its team does, else as all
    /// do.
    pub fn shipping_of(&self, service: &Service) -> Shipping {
        let own = service.shipping.as_deref().cloned().unwrap_or_default();
        let team = service.team.as_ref().and_then(|team| self.shipping.teams.get(team));
        let own = team.map_or(own.clone(), |team| own.or_else_from(team));
        own.or_else_from(&self.shipping.all)
    }
}

/// Returns the rollout that exposes more at first, or as much for a shorter time; `None` is all at once.
pub(crate) fn bolder_rollout(a: Option<Rollout>, b: Option<Rollout>) -> Option<Rollout> {
    // A change without a rollout reaches everybody at once, and nothing is bolder.
    let (a, b) = (a?, b?);
    let boldness = |rollout: &Rollout| {
        let first = rollout.stages.first();
        // The longer the first stage is watched, the less bold it is.
        let bake = first.and_then(|stage| stage.bake).map_or(0.0, Seconds::get);
        (first.map_or(1.0, |stage| stage.exposure.get()), -bake)
    };
    Some(if boldness(&b) > boldness(&a) { b } else { a })
}

/// Returns the greater probability; one that is not declared has the documented default.
fn likelier_failure(a: Option<Share>, b: Option<Share>) -> Option<Share> {
    let usual = defaults::failure_probability(None);
    match (a, b) {
        (None, None) => None,
        (a, b) => {
            let (a, b) = (a.unwrap_or(usual), b.unwrap_or(usual));
            Some(if b > a { b } else { a })
        }
    }
}

/// Returns the detection that takes longer.
pub(crate) fn slower_detection(a: Option<Detection>, b: Option<Detection>) -> Option<Detection> {
    slower_of(a, b, |detection| {
        let usual = Delay { median: defaults::DETECTION.0, p95: defaults::DETECTION.1 };
        detection.and_then(|detection| detection.delay).unwrap_or(usual)
    })
}

/// Returns the rollback that takes longer.
pub(crate) fn slower_rollback(a: Option<Rollback>, b: Option<Rollback>) -> Option<Rollback> {
    slower_of(a, b, |rollback| {
        let usual = Delay { median: defaults::ROLLBACK.0, p95: defaults::ROLLBACK.1 };
        rollback.and_then(|rollback| rollback.delay).unwrap_or(usual)
    })
}

/// Returns the one with the longer delay; one that is not declared has the documented default.
fn slower_of<T>(a: Option<T>, b: Option<T>, delay: impl Fn(Option<&T>) -> Delay) -> Option<T> {
    let is_slower = delay(b.as_ref()).median > delay(a.as_ref()).median;
    match (a, b) {
        (Some(a), Some(b)) => Some(if is_slower { b } else { a }),
        (a, b) => a.or(b),
    }
}
