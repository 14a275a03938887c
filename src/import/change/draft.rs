//! A change in the making: what each changed resource does to its services, and why it is judged so.

use std::collections::BTreeMap;

use super::owners::{Owner, ResourceOwners};
use crate::model::change::ChangeKind;

/// How a service fails through a changed resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailureMode {
    /// Calls fail fast.
    Down,
    /// Calls hang: packets are dropped.
    Slow,
}

impl FailureMode {
    /// Returns the word for it in a change file.
    pub(super) fn yaml_word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow => "slow",
        }
    }
}

/// Effect of a changed resource on a service.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Impact {
    /// Takes it down completely, with certainty: what it runs on is taken away.
    Outage,
    /// May break it.
    Break {
        /// How it fails then.
        mode: FailureMode,
        /// The least and the greatest share of requests that fails on changed instances.
        severity: (f64, f64),
    },
    /// Takes this share of its capacity away, with certainty.
    CapacityCut(f64),
}

impl Impact {
    /// Returns a break of which only the range of plausible severities is known.
    pub(super) const fn some_break(mode: FailureMode) -> Self {
        // Below a tenth a break is seldom called one; the range is the one that deciders take.
        Self::Break { mode, severity: (0.1, 1.0) }
    }

    /// Returns a break in which every request to a changed instance fails.
    pub(super) const fn whole_break(mode: FailureMode) -> Self {
        Self::Break { mode, severity: (1.0, 1.0) }
    }
}

/// How a source says that a change reaches users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceRollout {
    /// The value of `rollout`, as YAML on one line.
    pub(super) yaml: String,
    /// Why it is written so.
    pub(super) reason: String,
}

/// The rollout of what reaches everybody at once.
pub(super) const AT_ONCE: &str = "all-at-once";

/// Effect of one changed resource, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effect {
    /// The change, and why it is judged so, as a clause: `image of web: 1.0 to 1.1`.
    pub(super) reason: String,
    pub(super) kind: ChangeKind,
    pub(super) impact: Impact,
    pub(super) rollout: Option<SourceRollout>,
}

impl Effect {
    pub(super) fn new(kind: ChangeKind, impact: Impact, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind, impact, rollout: None }
    }

    /// Returns the effect as one that nothing spreads over time.
    pub(super) fn at_once(self, resource: &str) -> Self {
        let rollout = SourceRollout {
            yaml: AT_ONCE.to_owned(),
            reason: format!("{resource} holds for everybody as soon as it is applied"),
        };
        Self { rollout: Some(rollout), ..self }
    }
}

/// A resource that changes, as a source names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource<'a> {
    /// The name that people know it by.
    pub(super) name: &'a str,
    /// Names that patterns may call it by, `name` among them.
    pub(super) names: &'a [&'a str],
    /// Names that may be those of a service, the best first.
    pub(super) hints: &'a [&'a str],
}

/// Everything that sources say about a change.
#[derive(Debug, Default)]
pub(super) struct ChangeDraft {
    /// Effects on each service, by its name.
    pub(super) effects: BTreeMap<String, Vec<Effect>>,
    /// Resources that belong to no service, each with its change.
    pub(super) unmatched: Vec<(String, String)>,
    /// Resources that break nothing, by the reason.
    pub(super) left_out: BTreeMap<String, Vec<String>>,
    /// A faster way back, as YAML, and why.
    pub(super) kill_switch: Option<(String, String)>,
    /// How many resources change.
    pub(super) resources: u64,
}

impl ChangeDraft {
    /// Adds a changed resource whose effects are known, to all services that it belongs to.
    pub(super) fn add_effects(
        &mut self,
        owners: &ResourceOwners<'_>,
        resource: Resource<'_>,
        effects: Vec<Effect>,
    ) {
        self.resources += 1;
        let (services, is_guess) = match owners.owner_of(resource.names, resource.hints) {
            Owner::Stated(services) => (services, false),
            Owner::ByName(service) => (vec![service], true),
            Owner::Ignored => {
                self.note_left_out("said to belong to no service", resource.name);
                return;
            }
            Owner::Unknown => {
                let reasons: Vec<String> =
                    effects.into_iter().map(|effect| effect.reason).collect();
                self.unmatched.push((resource.name.to_owned(), reasons.join("; ")));
                return;
            }
        };
        for service in services {
            let all = self.effects.entry(service).or_default();
            all.extend(effects.iter().cloned().enumerate().map(|(index, effect)| {
                // Once for each resource is enough.
                let by_name = if is_guess && index == 0 { " (matched by its name)" } else { "" };
                Effect {
                    reason: format!("{}: {}{by_name}", resource.name, effect.reason),
                    ..effect
                }
            }));
        }
    }

    /// Adds a changed resource that breaks nothing.
    pub(super) fn leave_out(&mut self, reason: &str, name: &str) {
        self.resources += 1;
        self.note_left_out(reason, name);
    }

    fn note_left_out(&mut self, reason: &str, name: &str) {
        self.left_out.entry(reason.to_owned()).or_default().push(name.to_owned());
    }
}
