//! Actions of operators and automations in the course of an incident.

use super::decode::names::Names;
use super::decode::read::{Field, Shape};
use super::topology::ServiceId;
use super::units::{Seconds, Share};
use crate::diagnostic::{Code, Place};

/// Something that operators do at a time that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// When, from the start: of the incident, or of the rollout.
    pub at: Seconds,
    /// Kind of the action.
    pub action: ActionKind,
    /// To which service; `None` = to what the change breaks, or as [`ActionKind`] says.
    pub target: Option<ServiceId>,
    /// Whose calls alone are led around the target; `None` = everybody's. Only for a bypass.
    pub caller: Option<ServiceId>,
    /// To which share of it, of its traffic or of its capacity; `None` = all of it.
    pub share: Option<Share>,
    /// When it is undone; `None` = never. Not for what cannot be: restarts, rollbacks and fixes.
    pub until: Option<Seconds>,
    /// Whether what restarts gets no calls any more before it does.
    pub drained: bool,
    /// Where it is written.
    pub place: Place,
}

impl Action {
    /// Whether it takes the cause away, so that nothing is drawn for that: a rollback, a fix, or the
    /// change switched off.
    pub fn ends_cause(&self) -> bool {
        match self.action {
            ActionKind::Rollback | ActionKind::Fix => true,
            // Without a target it is the change that is switched off.
            ActionKind::Disable => self.target.is_none(),
            _ => false,
        }
    }
}

/// Kinds of actions. The arithmetic is in [`crate::semantics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Lead calls around a service: to something that the topology does not show.
    Bypass,
    /// Turn a share of the requests away; without a target, of all orders.
    Shed,
    /// Start a service anew.
    Restart,
    /// Give a service more capacity; without a target, all that state their utilization.
    AddCapacity,
    /// Take instances of a service away.
    Remove,
    /// Switch a service off, which then calls nothing; without a target, the change.
    Disable,
    /// Take the change back; without a target, all of it.
    Rollback,
    /// Mend what is broken; without a target, all of it.
    Fix,
}

impl ActionKind {
    /// Every one of them, with its word in files.
    pub const ALL: [(&'static str, Self); 8] = [
        ("bypass", Self::Bypass),
        ("shed", Self::Shed),
        ("restart", Self::Restart),
        ("add-capacity", Self::AddCapacity),
        ("remove", Self::Remove),
        ("disable", Self::Disable),
        ("rollback", Self::Rollback),
        ("fix", Self::Fix),
    ];

    /// Its word in files.
    pub fn yaml_word(self) -> &'static str {
        Self::ALL.iter().find(|(_, item)| *item == self).expect("all of them are there").0
    }
}

/// Rule of a service of `kind: automation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Automation {
    /// The service that it looks at.
    pub watches: ServiceId,
    /// It acts once this share of the requests to it fails, above 0...
    pub failing: Share,
    /// ...and has done so for this long without a break.
    pub lasting: Seconds,
    /// Kind of the action.
    pub action: ActionKind,
    /// To which service: by default the one that it looks at.
    pub target: ServiceId,
    /// To which share of it; `None` = all of it.
    pub share: Option<Share>,
    /// From one time to the next, at least.
    pub every: Seconds,
    /// How often in all, at least 1.
    pub at_most: u32,
    /// For how long what it did stays after what it looks at fails no more.
    pub keep: Seconds,
}

pub(crate) const ACTION: Shape = Shape {
    what: "an action",
    keys: &["at", "action", "target", "caller", "share", "until", "drained"],
    schema: "/$defs/action",
};

pub(crate) const AUTOMATION: Shape = Shape {
    what: "an automation",
    keys: &["watches", "failing", "for", "action", "target", "share", "every", "at_most", "keep"],
    schema: "/$defs/automation",
};

/// How often an automation acts at the most.
const AT_MOST: u32 = 1000;
/// For how long what an automation did stays after its reason is gone, when it does not say: what helps
/// would otherwise be taken back in the moment it begins to.
const KEEP: Seconds = Seconds::minutes(15);
/// From which share on what it looks at counts as failing, when it does not say.
const FAILING: f64 = 0.5;

/// The actions of a list, in the order written.
pub(crate) fn decode_actions(field: Option<Field<'_>>, names: &Names<'_>) -> Vec<Action> {
    field.iter().flat_map(Field::items).filter_map(|item| decode_action(&item, names)).collect()
}

fn decode_action(item: &Field<'_>, names: &Names<'_>) -> Option<Action> {
    let mapping = item.mapping(&ACTION)?;
    let at = mapping.require("at", "90m").and_then(|field| field.duration());
    let kind = mapping.require("action", "rollback").and_then(|field| field.word(&ActionKind::ALL));
    let target = mapping.get("target").and_then(|field| names.resolve_service(&field));
    let share = mapping.get("share").and_then(|field| field.share());
    let caller = mapping.get("caller").and_then(|field| names.resolve_service(&field));
    if mapping.get("caller").is_some() {
        if !matches!(kind, None | Some(ActionKind::Bypass)) {
            mapping.refuse_key(
                "caller",
                "`caller` with an action that is no bypass",
                "only calls can be led around by one caller alone",
            );
        }
        if mapping.get("target").is_none() {
            mapping.report_missing("needs `target` with `caller`", "target: payments");
        }
    }
    let until = mapping.get("until").and_then(|field| decode_until(&field, at, kind));
    if mapping.get("drained").is_some() && !matches!(kind, None | Some(ActionKind::Restart)) {
        mapping.refuse_key(
            "drained",
            "`drained` with an action that is no restart",
            "only what restarts can be drained before",
        );
    }
    let drained = mapping.get("drained").and_then(|field| field.flag()).unwrap_or_default();
    let place = item.place();
    Some(Action { at: at?, action: kind?, target, caller, share, until, drained, place })
}

/// Reads when an action is undone.
fn decode_until(
    field: &Field<'_>,
    at: Option<Seconds>,
    kind: Option<ActionKind>,
) -> Option<Seconds> {
    let until = field.duration()?;
    // What is restarted or fixed has no state to go back to.
    if matches!(kind, Some(ActionKind::Restart | ActionKind::Rollback | ActionKind::Fix)) {
        field.report_problem(
            Code::Conflict,
            "`until` with an action that cannot be undone",
            "remove it; a restart ends by itself, and what is fixed stays so",
        );
        return None;
    }
    if at.is_some_and(|at| until <= at) {
        field.report_problem(
            Code::OutOfRange,
            "the action ends before it begins",
            "`until` is a time from the start, after `at`",
        );
        return None;
    }
    Some(until)
}

/// The rules of an automation: one, or a list of them.
pub(crate) fn decode_automations(field: &Field<'_>, names: &Names<'_>) -> Vec<Automation> {
    // One rule is what most automations have, and needs no list.
    if field.is_mapping() {
        return decode_automation(field, names).into_iter().collect();
    }
    field.items().filter_map(|item| decode_automation(&item, names)).collect()
}

fn decode_automation(item: &Field<'_>, names: &Names<'_>) -> Option<Automation> {
    let mapping = item.mapping(&AUTOMATION)?;
    let watches =
        mapping.require("watches", "storage").and_then(|need| names.resolve_service(&need));
    let kind = mapping.require("action", "restart").and_then(|field| field.word(&ActionKind::ALL));
    let target = match mapping.get("target") {
        Some(field) => names.resolve_service(&field),
        // An automation usually acts on what it looks at.
        None => watches,
    };
    // Without a time between them, all actions would fall into one moment.
    if mapping.get("at_most").is_some() && mapping.get("every").is_none() {
        mapping.report_missing("needs `every` with `at_most`", "every: 5m");
    }
    let every = mapping.get("every").and_then(|field| field.positive_duration());
    let times = mapping.get("at_most").and_then(|field| field.whole_number(1..=AT_MOST));
    Some(Automation {
        failing: mapping
            .get("failing")
            .and_then(|field| field.positive_share())
            .unwrap_or_else(|| Share::new(FAILING).expect("a share")),
        lasting: mapping.get("for").and_then(|field| field.duration()).unwrap_or_default(),
        share: mapping.get("share").and_then(|field| field.share()),
        // Without `every` there is no next time.
        at_most: times.unwrap_or(if every.is_some() { AT_MOST } else { 1 }),
        every: every.unwrap_or_default(),
        keep: mapping.get("keep").and_then(|field| field.duration()).unwrap_or(KEEP),
        watches: watches?,
        action: kind?,
        target: target?,
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Diagnostic, Sources};
    use crate::load;
    use crate::model::action::ActionKind;
    use crate::model::{Change, Topology};

    const SHOP: &str = "version: 1\ntopology: shop\nservices: {cart: {}, stock: {}}\n\
                        flows: {buy: {steps: [cart]}}\n";

    fn topology(text: &str) -> Result<Topology, Vec<Diagnostic>> {
        let document =
            load::parse_document("shop", text.as_bytes().to_vec(), &mut Sources::default());
        Topology::from_document(&document.unwrap())
    }

    fn change(actions: &str) -> Result<Change, Vec<Diagnostic>> {
        let text = format!("version: 1\nchange: c\ntargets: [cart]\nactions: {actions}\n");
        let document = load::parse_document("change", text.into_bytes(), &mut Sources::default());
        Change::from_document(&document.unwrap(), &topology(SHOP).unwrap())
    }

    #[test]
    fn a_change_with_actions_has_a_course_in_time() {
        let change = change(
            "[{ at: 5m, action: bypass, target: stock, caller: cart }, { at: 1h, action: disable }]",
        )
        .unwrap();
        assert!(!change.is_moment());
        assert_eq!(change.actions[0].action, ActionKind::Bypass);
        assert!(change.actions[0].caller.is_some());
        let ends: Vec<bool> = change.actions.iter().map(super::Action::ends_cause).collect();
        assert_eq!(ends, [false, true], "without a target it is the change that is switched off");
    }

    #[test]
    fn only_a_bypass_of_something_has_a_caller() {
        let said = |actions: &str| change(actions).unwrap_err()[0].message.clone();
        assert_eq!(
            said("[{ at: 5m, action: shed, target: stock, caller: cart }]"),
            "`caller` with an action that is no bypass"
        );
        assert_eq!(
            said("[{ at: 5m, action: bypass, caller: cart }]"),
            "an action needs `target` with `caller`"
        );
    }

    #[test]
    fn an_automation_acts_once_unless_it_says_how_often() {
        let with = |rule: &str| {
            topology(&format!(
                "version: 1\ntopology: shop\nservices:\n  cart: {{}}\n  keeper: {{ kind: automation, \
                 automation: {{ watches: cart, action: restart{rule} }} }}\nflows: {{buy: {{steps: [cart]}}}}\n"
            ))
        };
        let rule = |text: &str| with(text).unwrap().services[1].automations[0].clone();
        let once = rule("");
        assert_eq!((once.at_most, once.target), (1, once.watches));
        assert_eq!(rule(", every: 5m").at_most, super::AT_MOST);
        assert_eq!(rule(", every: 5m, at_most: 3").at_most, 3);
        let wrong = with(", at_most: 3").unwrap_err();
        assert_eq!(wrong[0].message, "an automation needs `every` with `at_most`");
    }
}
