//! Feature flags: exports of `LaunchDarkly`, and flags of flagd, the reference of `OpenFeature`.
//!
//! A flag reaches users at once, and a share of them that stays the same. It is taken back by
//! switching it off, which is faster than any rollback.

use std::collections::BTreeMap;

use super::draft::{ChangeDraft, Effect, FailureMode, Impact, Resource, SourceRollout};
use super::owners::ResourceOwners;
use super::shipping::share_text;
use super::{ChangeFormat, ChangeRequest, read_all};
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{Node, Value};
use crate::model::change::ChangeKind;
use crate::suggest::nearest;

/// Weights of a percentage rollout of `LaunchDarkly` are thousandths of a percent.
const LAUNCHDARKLY_WHOLE: f64 = 100_000.0;

/// A flag: who gets what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FlagState {
    /// The share of users who get something else than with the flag off; `None` = not known.
    exposure: Option<f64>,
    /// Everything that decides who gets what, to see whether it changed.
    rules: Vec<Node>,
    /// Names that may be those of its service.
    tags: Vec<String>,
}

/// Flags by their key.
pub(super) type Flags = BTreeMap<String, FlagState>;

/// Reads the flags of an export.
///
/// # Errors
/// It cannot be read, or is no export of flags.
pub(super) fn read_flags(
    request: &ChangeRequest<'_>,
    path: &str,
    sources: &mut Sources,
) -> Result<Flags, Vec<Diagnostic>> {
    let mut flags = Flags::new();
    for document in read_all(path, sources)? {
        match request.format {
            ChangeFormat::Openfeature => flags.extend(flagd_flags(&document.root)),
            _ => flags.extend(launchdarkly_flags(request, &document.root)?),
        }
    }
    if flags.is_empty() {
        let message = format!("no flag of the format `{}` is in `{path}`", request.format.as_str());
        return Err(vec![Diagnostic::file_error(Code::Empty, message)]);
    }
    Ok(flags)
}

fn launchdarkly_flags(request: &ChangeRequest<'_>, root: &Node) -> Result<Flags, Vec<Diagnostic>> {
    // A list of the REST interface, a single flag of it, or a list alone.
    let listed = root.get("items").map_or_else(|| root.items(), Node::items);
    let flags: Vec<&Node> = if listed.is_empty() { vec![root] } else { listed.iter().collect() };
    let mut found = Flags::new();
    for flag in flags {
        let (Some(key), Some(environments)) = (flag.scalar_at("key"), flag.get("environments"))
        else {
            continue;
        };
        let environment = environment_of(request, key, environments)?;
        let tags = flag.get("tags").map(Node::items).unwrap_or_default();
        let state = FlagState {
            exposure: launchdarkly_exposure(environment),
            rules: ["on", "fallthrough", "rules", "targets", "contextTargets", "offVariation"]
                .iter()
                .map(|part| environment.get(part).cloned().unwrap_or_else(nothing))
                .collect(),
            tags: tags.iter().filter_map(Node::scalar).map(str::to_owned).collect(),
        };
        found.insert(key.to_owned(), state);
    }
    Ok(found)
}

fn nothing() -> Node {
    Node { place: crate::diagnostic::Place::default(), value: Value::Null }
}

/// The settings of a flag in the environment that is changed.
fn environment_of<'a>(
    request: &ChangeRequest<'_>,
    flag: &str,
    environments: &'a Node,
) -> Result<&'a Node, Vec<Diagnostic>> {
    let all = environments.entries();
    let named = request.environment.unwrap_or("production");
    if let Some(environment) = environments.get(named) {
        return Ok(environment);
    }
    // With a single environment there is nothing to choose.
    if let ([only], None) = (all, request.environment) {
        return Ok(&only.value);
    }
    let names: Vec<&str> = all.iter().map(|entry| &*entry.key.text).collect();
    let message = format!("the flag `{flag}` has no environment `{named}`");
    let help = match nearest(named, names.iter().copied()) {
        Some(near) => format!("did you mean `--environment {near}`?"),
        None => format!("name one with `--environment`: {}", names.join(", ")),
    };
    Err(vec![Diagnostic::file_error(Code::UnknownWord, message).help(help)])
}

/// Returns the share of users who get another variation than with the flag off.
fn launchdarkly_exposure(environment: &Node) -> Option<f64> {
    if environment.scalar_at("on") != Some("true") {
        return Some(0.0);
    }
    let count = |key: &str| environment.get(key).map_or(0, |node| node.items().len());
    // How many users a rule fits is not in an export.
    if count("rules") > 0 || count("targets") > 0 || count("contextTargets") > 0 {
        return None;
    }
    let off = environment.get("offVariation").and_then(Node::number);
    let is_other = |variation: Option<f64>| match (variation, off) {
        (Some(variation), Some(off)) => variation.total_cmp(&off).is_ne(),
        _ => true,
    };
    let default = environment.get("fallthrough")?;
    if let Some(variation) = default.get("variation") {
        return Some(if is_other(variation.number()) { 1.0 } else { 0.0 });
    }
    let weights = default.node_at("rollout.variations").map(Node::items)?;
    let other =
        weights.iter().filter(|item| is_other(item.get("variation").and_then(Node::number)));
    let weight: f64 = other.filter_map(|item| item.get("weight")?.number()).sum();
    Some((weight / LAUNCHDARKLY_WHOLE).clamp(0.0, 1.0))
}

fn flagd_flags(root: &Node) -> Flags {
    let mut found = Flags::new();
    for entry in root.get("flags").map(Node::entries).unwrap_or_default() {
        let flag = &entry.value;
        let tags = flag.node_at("metadata.tags").map(Node::items).unwrap_or_default();
        let owner = flag.node_at("metadata.service").and_then(Node::scalar);
        let tags = tags.iter().filter_map(Node::scalar).chain(owner);
        let state = FlagState {
            exposure: flagd_exposure(flag),
            rules: ["state", "defaultVariant", "variants", "targeting"]
                .iter()
                .map(|part| flag.get(part).cloned().unwrap_or_else(nothing))
                .collect(),
            tags: tags.map(str::to_owned).collect(),
        };
        found.insert(entry.key.text.to_string(), state);
    }
    found
}

/// Returns the share of users who get another variant than `off`; without one, than the default.
fn flagd_exposure(flag: &Node) -> Option<f64> {
    if flag.scalar_at("state") == Some("DISABLED") {
        return Some(0.0);
    }
    let default = flag.scalar_at("defaultVariant");
    let has_off = flag.get("variants").is_some_and(|variants| variants.get("off").is_some());
    let off = if has_off { Some("off") } else { default };
    let is_other = |variant: Option<&str>| variant != off;
    let targeting = flag.get("targeting").filter(|node| !node.entries().is_empty());
    let Some(targeting) = targeting else {
        return Some(if is_other(default) { 1.0 } else { 0.0 });
    };
    // A split at the outermost place is a share of all users; any other rule may fit anybody.
    let split = targeting.get("fractional").map(Node::items)?;
    let parts: Vec<(&str, f64)> = split
        .iter()
        .filter_map(|part| {
            let [variant, rest @ ..] = part.items() else { return None };
            let weight = rest.first().map_or(Some(1.0), Node::number)?;
            Some((variant.scalar()?, weight.max(0.0)))
        })
        .collect();
    let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
    let other: f64 =
        parts.iter().filter(|(variant, _)| is_other(Some(variant))).map(|(_, weight)| weight).sum();
    (total > 0.0 && total.is_finite()).then(|| other / total)
}

/// Adds the flags that differ, or all of them where nothing says how they were before.
pub(super) fn compare_flags(
    old: Option<&Flags>,
    new: &Flags,
    owners: &ResourceOwners<'_>,
    draft: &mut ChangeDraft,
) {
    for (key, state) in new {
        let before = old.and_then(|old| old.get(key));
        let label = format!("flag/{key}");
        if before.is_some_and(|before| before.is_same(state)) {
            continue;
        }
        let exposure = match (before.map(|before| before.exposure), state.exposure) {
            // Everybody who is moved meets something else than before, in either direction.
            (Some(Some(before)), Some(after)) => Some((after - before).abs()),
            (None, after) => after,
            _ => None,
        };
        if exposure.is_some_and(|exposure| exposure <= 0.0) {
            draft.leave_out("no user gets another variation", &label);
            continue;
        }
        draft.add_effects(
            owners,
            resource_of(&label, key, state).as_resource(),
            vec![effect_of(exposure)],
        );
    }
    // A flag that is gone leaves its users with what the program takes by default.
    for (key, state) in old.into_iter().flatten().filter(|(key, _)| !new.contains_key(*key)) {
        let label = format!("flag/{key}");
        let effect = Effect {
            reason: "removed: the default of the program holds".to_owned(),
            ..effect_of(None)
        };
        draft.add_effects(owners, resource_of(&label, key, state).as_resource(), vec![effect]);
    }
    if !draft.effects.is_empty() {
        draft.kill_switch = Some((
            "{ median: 2m, p95: 15m }".to_owned(),
            "Assumed: once a break is noticed, half of the flags are off within 2 min, 19 of 20 within 15"
                .to_owned(),
        ));
    }
}

impl FlagState {
    fn is_same(&self, other: &Self) -> bool {
        self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(|(a, b)| super::equal::is_equal_value(a, b))
    }
}

/// Names of a flag, kept while patterns are compared with them.
struct FlagNames<'a> {
    label: &'a str,
    names: [&'a str; 1],
    hints: Vec<&'a str>,
}

impl FlagNames<'_> {
    fn as_resource(&self) -> Resource<'_> {
        Resource { name: self.label, names: &self.names, hints: &self.hints }
    }
}

fn resource_of<'a>(label: &'a str, key: &'a str, state: &'a FlagState) -> FlagNames<'a> {
    let hints = state.tags.iter().map(String::as_str).chain([key]).collect();
    FlagNames { label, names: [label], hints }
}

fn effect_of(exposure: Option<f64>) -> Effect {
    let (share, said) = match exposure {
        Some(share) => (share, format!("{} of users get another variation", share_text(share))),
        None => {
            (1.0, "by rules: which share of users they fit is not known, so all count".to_owned())
        }
    };
    let rollout = SourceRollout {
        yaml: format!("{{ routing: sticky, stages: [{}] }}", share_text(share.max(0.0001))),
        reason: "a flag reaches its share of users at once, and always the same ones".to_owned(),
    };
    let effect = Effect::new(ChangeKind::Flag, Impact::some_break(FailureMode::Down), said);
    Effect { rollout: Some(rollout), ..effect }
}
