//! Plans of Terraform and `OpenTofu` as JSON (`terraform show -json PLAN`): what each action does to
//! the services that its resource belongs to.

use super::draft::{ChangeDraft, Effect, FailureMode, Impact, Resource};
use super::owners::ResourceOwners;
use super::resource_types::{AttributeRole, ResourceRole, attribute_role, role_of_type};
use crate::diagnostic::{Code, Diagnostic};
use crate::import::change::equal::is_equal_value;
use crate::load::{Node, Value};
use crate::model::change::ChangeKind;

/// How many changed attributes a reason names.
const NAMED: usize = 4;
/// Attributes whose values are often the name of a service, the best first.
const NAMES: [&str; 8] = [
    "service_name",
    "function_name",
    "name",
    "family",
    "identifier",
    "cluster_identifier",
    "replication_group_id",
    "bucket",
];
/// Tags that name a service.
const TAGS: [&str; 4] = ["tags.service", "tags.Service", "tags.app", "labels.app"];

/// Action of a plan on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanAction {
    /// Nothing that changes what runs.
    Nothing,
    Create,
    Update,
    Destroy,
    /// Destroyed first, then created.
    Replace,
    /// Created first, then the old one is destroyed.
    ReplaceAfterwards,
    /// Not known to this program.
    Unknown,
}

impl PlanAction {
    fn of_change(change: &Node) -> Self {
        let actions = change.get("actions").map(Node::items).unwrap_or_default();
        let words: Vec<&str> = actions.iter().filter_map(Node::scalar).collect();
        match words.as_slice() {
            // `forget` only takes the resource out of the state; it goes on running.
            ["no-op" | "read" | "forget"] => Self::Nothing,
            ["create"] => Self::Create,
            ["update"] => Self::Update,
            ["delete"] => Self::Destroy,
            ["delete", "create"] => Self::Replace,
            ["create", "delete" | "forget"] => Self::ReplaceAfterwards,
            _ => Self::Unknown,
        }
    }
}

/// Adds what a plan changes.
///
/// # Errors
/// Returns what keeps the plan from being understood.
pub(super) fn read_plan(
    path: &str,
    root: &Node,
    owners: &ResourceOwners<'_>,
    draft: &mut ChangeDraft,
) -> Result<(), Vec<Diagnostic>> {
    check_plan(path, root)?;
    for resource in root.get("resource_changes").map(Node::items).unwrap_or_default() {
        read_resource(resource, owners, draft);
    }
    // What a provider puts off is not in the plan: nobody knows yet what it does.
    for deferred in root.get("deferred_changes").map(Node::items).unwrap_or_default() {
        let address = deferred.scalar_at("resource_change.address").unwrap_or("a deferred change");
        let reason = deferred.scalar_at("reason").unwrap_or("the plan does not say why");
        draft.resources += 1;
        draft.unmatched.push((address.to_owned(), format!("the plan puts it off: {reason}")));
    }
    Ok(())
}

/// Refuses what is no complete plan of a known edition.
fn check_plan(path: &str, root: &Node) -> Result<(), Vec<Diagnostic>> {
    let refuse = |message: String, help: &str| {
        Err(vec![Diagnostic::file_error(Code::WrongKind, message).help(help)])
    };
    let help =
        "make it with `terraform plan -out=PLAN` and `terraform show -json PLAN > plan.json`";
    let Some(version) = root.scalar_at("format_version") else {
        return refuse(format!("`{path}` is no plan: it has no `format_version`"), help);
    };
    // Editions with the same first number only add keys.
    if version.split('.').next() != Some("1") {
        let message = format!("`{path}` is a plan of format {version}, and 1.x is understood");
        return refuse(message, "use a release of the program that writes format 1.x");
    }
    if root.get("planned_values").is_none() && root.get("resource_changes").is_none() {
        let message = format!("`{path}` is a state, not a plan: it has no `resource_changes`");
        return refuse(message, help);
    }
    if root.scalar_at("errored") == Some("true") {
        let message = format!("the plan in `{path}` ended with errors, so changes are missing");
        return refuse(message, "mend the configuration, and plan again");
    }
    Ok(())
}

fn read_resource(resource: &Node, owners: &ResourceOwners<'_>, draft: &mut ChangeDraft) {
    // Data sources only read.
    if resource.scalar_at("mode") == Some("data") {
        return;
    }
    let address = resource.scalar_at("address").unwrap_or("a resource without an address");
    let Some(change) = resource.get("change") else {
        draft.unmatched.push((address.to_owned(), "the plan does not say what changes".to_owned()));
        return;
    };
    let action = PlanAction::of_change(change);
    if action == PlanAction::Nothing {
        return;
    }
    let kind = resource.scalar_at("type").unwrap_or_default();
    let role = role_of_type(kind);
    if role == ResourceRole::NoTraffic {
        draft.leave_out("of a type that serves no request", address);
        return;
    }
    let effects = match effects_of(action, role, resource, change) {
        Ok(effects) => effects,
        Err(reason) => {
            draft.leave_out(reason, address);
            return;
        }
    };
    let hints = hints_of(resource, change);
    let names = [address];
    let effects = effects.into_iter().map(|effect| match effect.kind {
        // A program is shipped as its team ships it; all else holds once the plan is applied.
        ChangeKind::Code => effect,
        _ => effect.at_once(address),
    });
    let resource = Resource { name: address, names: &names, hints: &hints };
    draft.add_effects(owners, resource, effects.collect());
}

/// Names in a resource that may be those of its service, the best first.
fn hints_of<'a>(resource: &'a Node, change: &'a Node) -> Vec<&'a str> {
    // What is destroyed has no values afterwards.
    let states = ["after", "before"].map(|state| change.get(state));
    let values = |path: &'static str| {
        states.into_iter().flatten().filter_map(move |state| state.scalar_at(path))
    };
    let mut hints: Vec<&str> = TAGS.iter().flat_map(|path| values(path)).collect();
    hints.extend(NAMES.iter().flat_map(|path| values(path)));
    hints.extend(resource.scalar_at("name"));
    // The nearest module says most about a resource that is called `this`.
    let modules = resource.scalar_at("module_address").unwrap_or_default();
    let mut modules: Vec<&str> = modules
        .split("module.")
        .map(|part| part.trim_end_matches('.'))
        .map(|part| part.split('[').next().unwrap_or(part))
        .collect();
    modules.reverse();
    hints.extend(modules);
    hints.retain(|hint| !hint.is_empty());
    hints
}

/// Returns what an action does, or why it does nothing.
fn effects_of(
    action: PlanAction,
    role: ResourceRole,
    resource: &Node,
    change: &Node,
) -> Result<Vec<Effect>, &'static str> {
    let infrastructure =
        |impact, reason: String| vec![Effect::new(ChangeKind::Infrastructure, impact, reason)];
    match action {
        PlanAction::Nothing => Err("unchanged"),
        PlanAction::Create if role == ResourceRole::Serving => {
            Err("created: nothing that runs uses it yet")
        }
        PlanAction::Create => {
            Ok(infrastructure(role.break_of_it(), format!("created; {}", role.why())))
        }
        PlanAction::Destroy if role == ResourceRole::Serving => Ok(infrastructure(
            Impact::Outage,
            "destroyed: down for whoever still calls it".to_owned(),
        )),
        PlanAction::Destroy => {
            Ok(infrastructure(role.break_of_it(), format!("destroyed; {}", role.why())))
        }
        PlanAction::Replace => {
            let forced = forced_by(change);
            let reason = format!("replaced{forced}: down from its end until the new one serves");
            Ok(infrastructure(Impact::Outage, reason))
        }
        PlanAction::ReplaceAfterwards => {
            let forced = forced_by(change);
            let reason = format!("replaced{forced} by a new one that is created first");
            Ok(infrastructure(Impact::whole_break(FailureMode::Down), reason))
        }
        PlanAction::Update => update_effects(role, resource, change),
        PlanAction::Unknown => {
            let reason = "changed by an action that is not known to this program".to_owned();
            Ok(infrastructure(Impact::whole_break(FailureMode::Down), reason))
        }
    }
}

/// Returns the attributes that force a replacement, as a clause.
fn forced_by(change: &Node) -> String {
    let paths = change.get("replace_paths").map(Node::items).unwrap_or_default();
    let first = paths.first().and_then(|path| path.items().first()?.scalar());
    first.map_or_else(String::new, |name| format!(" (`{name}` cannot change in place)"))
}

/// Returns what an update in place does, by the attributes that change.
fn update_effects(
    role: ResourceRole,
    resource: &Node,
    change: &Node,
) -> Result<Vec<Effect>, &'static str> {
    let changed = changed_attributes(change);
    let felt: Vec<&ChangedAttribute<'_>> =
        changed.iter().filter(|attribute| attribute.role != AttributeRole::Label).collect();
    if felt.is_empty() {
        return Err("only labels, tags or descriptions change");
    }
    let mut effects = Vec::new();
    let mut others: Vec<&ChangedAttribute<'_>> = Vec::new();
    for attribute in felt {
        match attribute.capacity_cut() {
            Some(cut) if cut >= 1.0 => {
                let reason = format!("{} from {} to 0", attribute.name, attribute.before_text());
                effects.push(Effect::new(ChangeKind::Infrastructure, Impact::Outage, reason));
            }
            Some(cut) if cut > 0.0 => {
                let (before, after) = (attribute.before_text(), attribute.after_text());
                let reason = format!("{} from {before} to {after}: less capacity", attribute.name);
                let impact = Impact::CapacityCut(cut);
                effects.push(Effect::new(ChangeKind::Infrastructure, impact, reason));
            }
            // More capacity breaks nothing.
            Some(_) => {}
            None => others.push(attribute),
        }
    }
    if let Some(effect) = break_by_attributes(role, resource, &others) {
        effects.push(effect);
    }
    if effects.is_empty() { Err("only more capacity") } else { Ok(effects) }
}

fn break_by_attributes(
    role: ResourceRole,
    resource: &Node,
    attributes: &[&ChangedAttribute<'_>],
) -> Option<Effect> {
    if attributes.is_empty() {
        return None;
    }
    let has = |role| attributes.iter().any(|attribute| attribute.role == role);
    let mut names: Vec<&str> =
        attributes.iter().take(NAMED).map(|attribute| attribute.name).collect();
    let more = format!("{} more", attributes.len().saturating_sub(NAMED));
    if attributes.len() > NAMED {
        names.push(&more);
    }
    let names = names.join(", ");
    let effect = if has(AttributeRole::Restart) && role == ResourceRole::Serving {
        let reason = format!("updated in place ({names}): it may restart, and be down meanwhile");
        Effect::new(ChangeKind::Infrastructure, Impact::whole_break(FailureMode::Down), reason)
    } else if has(AttributeRole::Program) {
        let reason = format!("updated in place ({names}): another program runs");
        Effect::new(ChangeKind::Code, Impact::some_break(FailureMode::Down), reason)
    } else if role == ResourceRole::Serving || role == ResourceRole::Other {
        let kind = resource.scalar_at("type").unwrap_or("resource");
        let reason = format!("updated in place ({names}): settings of the {kind}");
        Effect::new(ChangeKind::Config, Impact::some_break(FailureMode::Down), reason)
    } else {
        let reason = format!("updated in place ({names}); {}", role.why());
        Effect::new(ChangeKind::Infrastructure, role.break_of_it(), reason)
    };
    Some(effect)
}

/// An attribute that differs before and after.
struct ChangedAttribute<'a> {
    name: &'a str,
    role: AttributeRole,
    before: Option<&'a Node>,
    after: Option<&'a Node>,
}

impl ChangedAttribute<'_> {
    /// Returns the share of capacity that is gone afterwards, 0 where there is more; `None` where it is
    /// no attribute of capacity, or a number is not known.
    fn capacity_cut(&self) -> Option<f64> {
        if self.role != AttributeRole::Capacity {
            return None;
        }
        let (before, after) = (self.before?.number()?, self.after?.number()?);
        let is_count = before > 0.0 && before.is_finite() && after >= 0.0 && after.is_finite();
        is_count.then(|| (1.0 - after / before).max(0.0))
    }

    // Only counts are written: other values may be secrets.
    fn before_text(&self) -> &str {
        self.before.and_then(Node::scalar).unwrap_or("?")
    }

    fn after_text(&self) -> &str {
        self.after.and_then(Node::scalar).unwrap_or("?")
    }
}

/// The attributes of an update that differ, or are not known before it is applied.
fn changed_attributes(change: &Node) -> Vec<ChangedAttribute<'_>> {
    let entries = |key| change.get(key).map(Node::entries).unwrap_or_default();
    let (before, after) = (entries("before"), entries("after"));
    let unknown = change.get("after_unknown");
    let mut found = Vec::new();
    for entry in before {
        let name = &*entry.key.text;
        let later = after.iter().find(|other| other.key.text == entry.key.text);
        let later = later.map(|entry| &entry.value);
        let is_equal = later.is_some_and(|later| is_equal_value(&entry.value, later));
        if !is_equal {
            let before = Some(&entry.value);
            found.push(ChangedAttribute { name, role: attribute_role(name), before, after: later });
        }
    }
    for entry in after {
        let name = &*entry.key.text;
        let is_new = before.iter().all(|other| other.key.text != entry.key.text);
        if is_new && entry.value.value != Value::Null {
            let after = Some(&entry.value);
            found.push(ChangedAttribute { name, role: attribute_role(name), before: None, after });
        }
    }
    // What only a provider works out follows from the rest, and is told where nothing else is.
    let is_computed = |attribute: &ChangedAttribute<'_>| {
        attribute.after.is_none()
            && unknown.and_then(|unknown| unknown.get(attribute.name)).is_some()
    };
    if found.iter().any(|attribute| !is_computed(attribute)) {
        found.retain(|attribute| {
            !is_computed(attribute) || attribute.role != AttributeRole::Setting
        });
    }
    found
}
