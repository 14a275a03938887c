//! Candidates of a diagnosis: every service in every mode, every failure domain down.

use crate::diagnostic::Place;
use crate::model::change::{Detection, Modes, Rollback, Target, TargetRef};
use crate::model::topology::{DomainId, NodeRef, ServiceId};
use crate::model::{Change, Seconds, Share, Topology};
use crate::report::{FailureMode, PriorKind};

/// How much more often a service that surges calls what it needs.
const SURGE: f64 = 10.0;

/// Of a partial break, so many requests fail: enough to degrade what needs it, too few to fail it.
///
/// An assumption; what matters is that it lies well between the thresholds of degraded and failed.
const PARTIAL: f64 = 0.3;

/// Of all outages, so many are set off by changes (Google's SRE book, chapter 1: "roughly 70%").
const CHANGED: f64 = 0.7;

/// All modes, in the order in which candidates stand.
const MODES: [FailureMode; 4] =
    [FailureMode::Down, FailureMode::Slow, FailureMode::Corrupt, FailureMode::Surge];

/// Something that may have broken, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BreakCandidate {
    pub(super) on: TargetRef,
    pub(super) mode: FailureMode,
    /// The share of its requests that it concerns.
    pub(super) share: f64,
}

/// All candidates, those of one component side by side.
pub(super) fn all_candidates(topology: &Topology) -> Vec<BreakCandidate> {
    let services = (0..topology.services.len() as u32).flat_map(|service| {
        let on = TargetRef::Node(NodeRef { service: ServiceId(service), endpoint: None });
        // A surge of what calls nothing does nothing.
        let calls = calls_something(topology, service as usize);
        MODES
            .into_iter()
            .filter(move |mode| *mode != FailureMode::Surge || calls)
            .map(move |mode| BreakCandidate { on, mode, share: 1.0 })
            .chain([BreakCandidate { on, mode: FailureMode::Down, share: PARTIAL }])
    });
    let domains = (0..topology.domains.len() as u32).map(|domain| BreakCandidate {
        on: TargetRef::Domain(DomainId(domain)),
        mode: FailureMode::Down,
        share: 1.0,
    });
    services.chain(domains).collect()
}

fn calls_something(topology: &Topology, service: usize) -> bool {
    let item = &topology.services[service];
    !item.dependencies.is_empty()
        || item.endpoints.iter().any(|endpoint| !endpoint.dependencies.is_empty())
}

/// Returns the name of a component.
pub(super) fn name_of(topology: &Topology, on: TargetRef) -> String {
    match on {
        TargetRef::Node(node) => topology.service(node.service).name.clone(),
        TargetRef::Domain(domain) => topology.domain(domain).name.clone(),
    }
}

/// How likely each candidate is before anything is seen; the modes of a component share what it has.
pub(super) fn prior_probabilities(
    topology: &Topology,
    all: &[BreakCandidate],
    prior: PriorKind,
    deployed: &[ServiceId],
) -> Vec<f64> {
    let stated = |on: TargetRef| {
        let availability = match on {
            TargetRef::Node(node) => topology.service(node.service).availability,
            TargetRef::Domain(domain) => topology.domain(domain).availability,
        };
        availability
            .map(|availability| availability.complement().get())
            .filter(|availability| *availability > 0.0)
    };
    let known: Vec<f64> = all.iter().filter_map(|item| stated(item.on)).collect();
    // Components without a stated availability get the mean of the others, so that none is
    // impossible.
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let weight = |candidate: &BreakCandidate| {
        // A component does not become likelier because more of its modes are simulated.
        let modes = all.iter().filter(|item| item.on == candidate.on).count() as f64;
        let component = match prior {
            // Where no component states an availability all of them are alike.
            PriorKind::Stated if !known.is_empty() => stated(candidate.on).unwrap_or(mean),
            PriorKind::Stated | PriorKind::Equal => 1.0,
        };
        component / modes
    };
    let weights: Vec<f64> = all.iter().map(weight).collect();
    let is_deployed = |candidate: &BreakCandidate| match candidate.on {
        TargetRef::Node(node) => deployed.contains(&node.service),
        TargetRef::Domain(_) => false,
    };
    let sum = |wanted: bool| -> f64 {
        let both = all.iter().zip(&weights);
        both.filter(|(item, _)| is_deployed(item) == wanted).map(|(_, weight)| weight).sum()
    };
    let (changed, others) = (sum(true), sum(false));
    // Without deploys, or where all was deployed, that says nothing.
    if changed <= 0.0 || others <= 0.0 {
        return weights;
    }
    let scaled = |(candidate, weight): (&BreakCandidate, &f64)| {
        if is_deployed(candidate) {
            weight / changed * CHANGED
        } else {
            weight / others * (1.0 - CHANGED)
        }
    };
    all.iter().zip(&weights).map(scaled).collect()
}

/// The change that is these breaks: a single moment, or a course with the default delays.
pub(super) fn change_of(breaks: &[BreakCandidate], lasting: Option<Seconds>) -> Change {
    let targets = breaks.iter().map(|item| item.as_target()).collect();
    // Two breaks are two causes: neither draws the mode of the other.
    let moment = Change { independent: true, ..Change::from_targets("diagnosis", targets) };
    if lasting.is_some() {
        return moment;
    }
    // In the course of time the default delays end the break, as they would in an incident.
    Change {
        detection: Some(Detection {
            alert_threshold: Share::new(crate::model::defaults::ALERT_THRESHOLD),
            ..Detection::default()
        }),
        rollback: Some(Rollback::default()),
        ..moment
    }
}

impl BreakCandidate {
    fn as_target(self) -> Target {
        let mut target = Target::down_with_certainty(self.on, Place::default());
        let severity = Share::new(self.share).expect("a share");
        target.severity = (severity, severity);
        let share = |mode| if mode == self.mode { Share::ONE } else { Share::ZERO };
        target.modes = Modes {
            slowness: None,
            down: share(FailureMode::Down),
            slow: share(FailureMode::Slow),
            corrupt: share(FailureMode::Corrupt),
            surge: share(FailureMode::Surge),
            surge_factor: if self.mode == FailureMode::Surge { SURGE } else { 1.0 },
        };
        target
    }
}
