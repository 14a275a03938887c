//! How a topology says that changes are shipped, as values of a change file.

use crate::model::change::{Delay, Detection, Rollback, Rollout, Routing};
use crate::model::topology::ServiceId;
use crate::model::{Share, Topology};

/// Returns a share as YAML: a percentage that reads back as the same share.
pub(super) fn share_text(share: f64) -> String {
    let percent = (share.clamp(0.0, 1.0) * 1e6).round() / 1e4;
    format!("{percent}%")
}

/// Returns the value of `rollout`.
pub(super) fn rollout_text(rollout: &Rollout) -> String {
    // What a strategy takes away while it goes on is not in its stages.
    if let Some(replacing) = rollout.replacing {
        let step = replacing.lasts.get() / rollout.stages.len().max(1) as f64;
        return format!(
            "{{ strategy: rolling, max_unavailable: {}, max_surge: {}, step: {} }}",
            replacing.unavailable,
            replacing.surge,
            crate::model::Seconds::new(step).unwrap_or(replacing.lasts)
        );
    }
    let stages: Vec<String> = rollout
        .stages
        .iter()
        .map(|stage| {
            let mut text = format!("{{ exposure: {}", stage.exposure);
            if let Some(bake) = stage.bake {
                text += &format!(", bake: {bake}");
            }
            if !stage.catch_probability.is_zero() {
                text += &format!(", catch_probability: {}", stage.catch_probability);
            }
            text + " }"
        })
        .collect();
    let routing = match rollout.routing {
        Routing::Random => "",
        Routing::Sticky => "routing: sticky, ",
    };
    format!("{{ {routing}stages: [{}] }}", stages.join(", "))
}

/// Returns the value of `detection`.
pub(super) fn detection_text(detection: &Detection, topology: &Topology) -> String {
    let mut parts = Vec::new();
    if let Some(share) = detection.alert_threshold {
        parts.push(format!("alert_threshold: {share}"));
    }
    if let Some(count) = detection.failures {
        parts.push(format!("failures: {count}"));
    }
    if let Some(watches) = detection.watches {
        let words = [("flows", watches.flows), ("target", watches.target)];
        let words: Vec<&str> =
            words.iter().filter(|(_, is_watched)| *is_watched).map(|(word, _)| *word).collect();
        parts.push(format!("watches: [{}]", words.join(", ")));
    }
    parts.extend(detection.delay.map(delay_parts));
    parts.extend(needs_text(&detection.depends_on, detection.needs_factor, topology));
    parts.extend(detection.corrupt.map(|delay| format!("corrupt: {{ {} }}", delay_parts(delay))));
    format!("{{ {} }}", parts.join(", "))
}

/// Returns the value of `rollback`.
pub(super) fn rollback_text(rollback: &Rollback, topology: &Topology) -> String {
    let mut parts = Vec::new();
    parts.extend(rollback.delay.map(delay_parts));
    parts.extend(needs_text(&rollback.depends_on, rollback.needs_factor, topology));
    if rollback.works != Share::ONE {
        parts.push(format!("works: {}", rollback.works));
    }
    if !rollback.worsens.is_zero() {
        parts.push(format!("worsens: {}", rollback.worsens));
    }
    if rollback.takes.get() > 0.0 {
        parts.push(format!("takes: {}", rollback.takes));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn delay_parts(delay: Delay) -> String {
    format!("median: {}, p95: {}", delay.median, delay.p95)
}

/// Services without which something takes longer, and by which factor.
fn needs_text(services: &[ServiceId], factor: f64, topology: &Topology) -> Option<String> {
    if services.is_empty() {
        return None;
    }
    let names: Vec<String> =
        services.iter().map(|id| crate::import::yaml_scalar(&topology.service(*id).name)).collect();
    Some(format!("depends_on: [{}], needs_factor: {factor}", names.join(", ")))
}
