//! Writes a change file whose comments say why each line is there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::draft::{AT_ONCE, ChangeDraft, Effect, FailureMode, Impact, SourceRollout};
use super::shipping::{detection_text, rollback_text, rollout_text, share_text};
use crate::import::graph::names::one_line;
use crate::import::yaml_scalar;
use crate::model::change::ChangeKind;
use crate::model::shipping::Shipping;
use crate::model::{Seconds, Topology, defaults};
use crate::sort::Arrange as _;

/// How many reasons stand above a target.
const REASONS: usize = 6;
/// How many resources without effect are named, by reason.
const NAMED: usize = 5;

/// Returns the text of a change file, and what is assumed in it.
pub(super) fn write_change(
    name: &str,
    origin: &str,
    draft: &ChangeDraft,
    topology: &Topology,
) -> (String, Vec<String>) {
    let mut writer = Writer { topology, draft, text: String::new(), assumptions: Vec::new() };
    writer.line(&format!(
        "# Made by `blastwave change` from {}. The comments say why; correct what is wrong.",
        one_line(origin)
    ));
    writer.line("version: 1");
    writer.line(&format!("change: {}", yaml_scalar(name)));
    if let Some(kind) = writer.kind() {
        writer.line(&format!("kind: {}", kind.as_str()));
    }
    writer.write_probability();
    writer.write_targets();
    writer.write_shipping();
    writer.write_actions();
    writer.write_unmatched();
    writer.write_left_out();
    (writer.text, writer.assumptions)
}

struct Writer<'a> {
    topology: &'a Topology,
    draft: &'a ChangeDraft,
    text: String,
    assumptions: Vec<String>,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.draft.effects.values().flatten()
    }

    /// The kind of all effects; of several, the one that is hardest to see through.
    fn kind(&self) -> Option<ChangeKind> {
        let order =
            [ChangeKind::Infrastructure, ChangeKind::Code, ChangeKind::Config, ChangeKind::Flag];
        let has = |kind: ChangeKind, of_breaks: bool| {
            self.effects().any(|effect| {
                let is_break = matches!(effect.impact, Impact::Break { .. });
                effect.kind == kind && (is_break || !of_breaks)
            })
        };
        // How a break looks follows from what may break, and only then from what is taken away.
        let find = |of_breaks| order.into_iter().find(|kind| has(*kind, of_breaks));
        find(true).or_else(|| find(false))
    }

    /// Whether something happens with certainty, whatever else breaks.
    fn is_certain(&self) -> bool {
        self.effects().any(|effect| !matches!(effect.impact, Impact::Break { .. }))
    }

    fn write_probability(&mut self) {
        if self.draft.effects.is_empty() {
            if self.draft.unmatched.is_empty() {
                self.line("failure_probability: 0%  # nothing that it touches can break");
            }
            return;
        }
        let declared = self.declared_shipping().failure_probability;
        let assumed = defaults::failure_probability(self.kind());
        if self.is_certain() {
            self.line("# Something is taken away: that happens with certainty.");
            self.line("failure_probability: 100%");
        } else if let Some(declared) = declared {
            self.line(&format!("failure_probability: {declared}  # as the topology declares"));
        } else {
            self.line(&format!(
                "# failure_probability: {assumed}  # assumed: no record says how often such changes break"
            ));
        }
    }

    fn write_targets(&mut self) {
        let draft = self.draft;
        let broken: Vec<(&String, &Vec<Effect>)> =
            draft.effects.iter().filter(|(_, effects)| has_target(effects)).collect();
        if broken.is_empty() {
            self.line("targets: []");
            return;
        }
        self.line("targets:");
        let has_common = self.common_rollout().is_some();
        for (service, effects) in broken {
            for reason in reasons_of(effects) {
                self.line(&format!("  # {}", one_line(&reason)));
                self.assumptions.push(reason);
            }
            let target = self.target_text(service, effects, has_common);
            self.line(&format!("  - {target}"));
        }
    }

    fn target_text(&mut self, service: &str, effects: &[Effect], has_common: bool) -> String {
        let mut parts = vec![format!("service: {}", yaml_scalar(service))];
        let is_out = effects.iter().any(|effect| effect.impact == Impact::Outage);
        if is_out {
            // What is taken away is down; how the rest may break no longer matters.
            parts.push("modes: down".to_owned());
            if !has_common {
                parts.push(format!("rollout: {AT_ONCE}"));
            }
        } else {
            if self.is_certain() {
                let declared = self.declared_shipping().failure_probability;
                let assumed = declared.unwrap_or_else(|| defaults::failure_probability(None));
                parts.push(format!("probability: {assumed}"));
            }
            let (modes, severity) = break_of(effects);
            parts.push(format!("modes: {modes}"));
            if severity != (1.0, 1.0) {
                let (min, max) = (share_text(severity.0), share_text(severity.1));
                parts.push(format!("severity: {{ min: {min}, max: {max} }}"));
            }
        }
        if !has_common
            && !is_out
            && let Some(rollout) = boldest_rollout(effects)
        {
            // Users are kept on changed instances of all targets or of none, so one target has no routing.
            let yaml = rollout.yaml.replace("routing: sticky, ", "");
            parts.push(format!("rollout: {yaml}"));
        }
        format!("{{ {} }}", parts.join(", "))
    }

    /// The rollout of all targets, where each has the same.
    fn common_rollout(&self) -> Option<&SourceRollout> {
        let mut of_targets = self
            .draft
            .effects
            .values()
            .filter(|effects| has_target(effects))
            .map(|effects| boldest_rollout(effects));
        let first = of_targets.next()??;
        of_targets.all(|other| other.is_some_and(|other| other.yaml == first.yaml)).then_some(first)
    }

    /// How the topology says that the touched services are shipped; of several, what protects least.
    fn declared_shipping(&self) -> Shipping {
        let services = self.topology.services.iter();
        let touched = services.filter(|service| self.draft.effects.contains_key(&service.name));
        let shipping = touched.map(|service| self.topology.shipping_of(service));
        shipping.reduce(Shipping::weaker_of_each).unwrap_or_default()
    }

    fn write_shipping(&mut self) {
        if self.draft.effects.is_empty() {
            return;
        }
        let declared = self.declared_shipping();
        let common = self.common_rollout().cloned();
        match (common, &declared.rollout) {
            (Some(rollout), _) => {
                let reason = one_line(&rollout.reason);
                self.line(&format!("# {reason}"));
                self.line(&format!("rollout: {}", rollout.yaml));
                self.assumptions.push(rollout.reason);
            }
            (None, Some(rollout)) => {
                self.line("# As the topology declares.");
                self.line(&format!("rollout: {}", rollout_text(rollout)));
            }
            (None, None) => {}
        }
        if let Some(detection) = &declared.detection {
            let text = detection_text(detection, self.topology);
            self.line(&format!("detection: {text}  # as the topology declares"));
        }
        if let Some(rollback) = &declared.rollback {
            let text = rollback_text(rollback, self.topology);
            self.line(&format!("rollback: {text}  # as the topology declares"));
        }
        if let Some((yaml, reason)) = &self.draft.kill_switch {
            self.line(&format!("# {}", one_line(reason)));
            self.line(&format!("kill_switch: {yaml}"));
            self.assumptions.push(reason.clone());
        }
    }

    /// Capacity that goes away, and comes back once somebody notices and takes the change back.
    fn write_actions(&mut self) {
        let cuts: BTreeMap<&String, (f64, Vec<String>)> = self
            .draft
            .effects
            .iter()
            // A service that is down has no capacity that could be cut.
            .filter(|(_, effects)| effects.iter().all(|effect| effect.impact != Impact::Outage))
            .filter_map(|(service, effects)| Some((service, capacity_cut(effects)?)))
            .collect();
        if cuts.is_empty() {
            return;
        }
        let shipping = self.declared_shipping();
        let detection = shipping.detection.and_then(|detection| detection.delay);
        let rollback = shipping.rollback.and_then(|rollback| rollback.delay);
        let noticed = detection.map_or(defaults::DETECTION.0, |delay| delay.median).get();
        let back = rollback.map_or(defaults::ROLLBACK.0, |delay| delay.median).get();
        let until = Seconds::new((noticed + back).ceil()).unwrap_or(defaults::ROLLBACK.0);
        let reason = format!(
            "capacity that is cut comes back after {until}: the median until it is noticed and taken back"
        );
        self.line("actions:");
        self.line(&format!("  # Assumed: {reason}."));
        self.assumptions.push(reason);
        for (service, (share, reasons)) in cuts {
            for reason in reasons {
                self.line(&format!("  # {}", one_line(&reason)));
                self.assumptions.push(reason);
            }
            self.line(&format!(
                "  - {{ at: 0s, action: remove, target: {}, share: {}, until: {until} }}",
                yaml_scalar(service),
                share_text(share)
            ));
        }
    }

    fn write_unmatched(&mut self) {
        if self.draft.unmatched.is_empty() {
            self.line("# All that changes belongs to a service, or breaks nothing.");
            self.line("unmatched: []");
            return;
        }
        self.line(
            "# These belong to no service: add `resources` to the service that each belongs to, or remove the \
             line of what breaks nothing.",
        );
        self.line("unmatched:");
        for (name, reason) in &self.draft.unmatched {
            let _ =
                writeln!(self.text, "  - {}  # {}", yaml_scalar(&one_line(name)), one_line(reason));
        }
    }

    fn write_left_out(&mut self) {
        for (reason, names) in &self.draft.left_out {
            let first: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
            let more = names.len() - first.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = one_line(&first.join(", "));
            let _ = writeln!(self.text, "# Without effect ({reason}): {named}{more}");
        }
    }
}

/// Whether a service breaks, or may.
fn has_target(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| !matches!(effect.impact, Impact::CapacityCut(_)))
}

/// Returns why a service is a target, the worst reasons first.
fn reasons_of(effects: &[Effect]) -> Vec<String> {
    let mut breaks: Vec<&Effect> =
        effects.iter().filter(|effect| !matches!(effect.impact, Impact::CapacityCut(_))).collect();
    // Stable, so that equally bad ones keep the order of the source.
    breaks.arrange_by_key(|effect| effect.impact != Impact::Outage);
    let mut reasons: Vec<String> =
        breaks.iter().take(REASONS).map(|effect| effect.reason.clone()).collect();
    if breaks.len() > REASONS {
        reasons.push(format!("and {} more changes", breaks.len() - REASONS));
    }
    reasons
}

/// Returns the value of `modes`, and the range of severities that covers all effects.
fn break_of(effects: &[Effect]) -> (String, (f64, f64)) {
    let breaks: Vec<(FailureMode, (f64, f64))> = effects
        .iter()
        .filter_map(|effect| match effect.impact {
            Impact::Break { mode, severity } => Some((mode, severity)),
            Impact::Outage | Impact::CapacityCut(_) => None,
        })
        .collect();
    let least = breaks.iter().map(|(_, severity)| severity.0).fold(1.0, f64::min);
    let greatest = breaks.iter().map(|(_, severity)| severity.1).fold(0.0, f64::max);
    let slow = breaks.iter().filter(|(mode, _)| *mode == FailureMode::Slow).count();
    let modes = match (slow, breaks.len()) {
        (0, _) => FailureMode::Down.yaml_word().to_owned(),
        (slow, all) if slow == all => FailureMode::Slow.yaml_word().to_owned(),
        // Each change is as likely as the others to be the one that breaks.
        (slow, all) => {
            let slow = (slow as f64 / all as f64 * 1e4).round() / 1e4;
            format!("{{ down: {}, slow: {} }}", share_text(1.0 - slow), share_text(slow))
        }
    };
    (modes, (least, greatest))
}

/// Returns the rollout of a target: where its effects differ, at once stands before all others.
fn boldest_rollout(effects: &[Effect]) -> Option<&SourceRollout> {
    let of_target = |effect: &&Effect| !matches!(effect.impact, Impact::CapacityCut(_));
    let rollouts: Vec<&SourceRollout> =
        effects.iter().filter(of_target).filter_map(|effect| effect.rollout.as_ref()).collect();
    let at_once = rollouts.iter().find(|rollout| rollout.yaml == AT_ONCE);
    at_once.or(rollouts.first()).copied()
}

/// Returns the share of capacity that all cuts together take away, with their reasons.
fn capacity_cut(effects: &[Effect]) -> Option<(f64, Vec<String>)> {
    let cuts: Vec<(f64, String)> = effects
        .iter()
        .filter_map(|effect| match effect.impact {
            Impact::CapacityCut(share) => Some((share, effect.reason.clone())),
            Impact::Outage | Impact::Break { .. } => None,
        })
        .collect();
    if cuts.is_empty() {
        return None;
    }
    // Half of the replicas with half of the processor each are a quarter.
    let left: f64 = cuts.iter().map(|(share, _)| 1.0 - share).product();
    Some((1.0 - left, cuts.into_iter().map(|(_, reason)| reason).collect()))
}
