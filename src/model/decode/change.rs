//! From a document to a change.

use super::delay::{decode_delay, delay_of, needed_delay};
use super::kind::{self, Kind};
use super::names::Names;
use super::read::{Field, Mapping, Problems, Shape, distinct_items, report_repeats};
use super::rollout::decode_rollout;
use super::waiting;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::{Document, Value};
use crate::model::action::decode_actions;
use crate::model::change::{
    Author, Change, ChangeKind, ChangePlaces, Delay, Detection, KillSwitch, Modes, NEEDS_FACTOR,
    ReliedOn, Rollback, SeverityOf, Target, TargetRef, Watches,
};
use crate::model::topology::{ServiceId, Topology};
use crate::model::units::Share;

pub(crate) const CHANGE: Shape = Shape {
    what: "a change",
    keys: &[
        "version",
        "change",
        "kind",
        "authored_by",
        "reviewed_by",
        "sources",
        "failure_probability",
        "targets",
        "independent",
        "rollout",
        "detection",
        "rollback",
        "kill_switch",
        "repair",
        "horizon",
        "actions",
        "during",
        "unmatched",
    ],
    schema: "",
};
pub(crate) const RELIED_ON: Shape = Shape {
    what: "a source",
    keys: &["title", "url", "updated"],
    schema: "/$defs/relied_on_settings",
};
pub(crate) const TARGET: Shape = Shape {
    what: "a target",
    keys: &[
        "service",
        "domain",
        "probability",
        "modes",
        "severity",
        "onset",
        "min_exposure",
        "rollout",
    ],
    schema: "/$defs/target_settings",
};
pub(crate) const MODES: Shape = Shape {
    what: "`modes`",
    keys: &["down", "slow", "corrupt", "surge"],
    schema: "/$defs/modes_settings",
};
pub(crate) const SURGE: Shape =
    Shape { what: "a surge", keys: &["probability", "factor"], schema: "/$defs/surge" };
pub(crate) const SEVERITY: Shape = Shape {
    what: "a severity",
    keys: &["share", "min", "max", "of"],
    schema: "/$defs/severity_settings",
};
pub(crate) const DETECTION: Shape = Shape {
    what: "`detection`",
    keys: &[
        "alert_threshold",
        "failures",
        "watches",
        "median",
        "p95",
        "depends_on",
        "needs_factor",
        "corrupt",
    ],
    schema: "/$defs/detection_settings",
};
pub(crate) const ROLLBACK: Shape = Shape {
    what: "`rollback`",
    keys: &["median", "p95", "depends_on", "needs_factor", "works", "worsens", "takes"],
    schema: "/$defs/rollback_settings",
};
pub(crate) const KILL_SWITCH: Shape = Shape {
    what: "`kill_switch`",
    keys: &["median", "p95", "depends_on", "needs_factor", "works"],
    schema: "/$defs/kill_switch_settings",
};

/// The most failed requests that a detection may wait for.
const FAILURES_MAX: u32 = 1_000_000;
/// How far the chances of the modes may be from a sum of 1.
const MODES_SLACK: f64 = 1e-6;

impl Change {
    /// Decodes a change file for a topology.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(
        document: &Document,
        topology: &Topology,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let names = Names::of_topology(topology);
        let change = kind::open_document(document, Kind::Change, &CHANGE, &problems)
            .and_then(|mapping| decode_change(&mapping, &names));
        if let Some(change) = &change {
            // What is slow by a factor needs the latency of its service, which only the topology
            // has.
            waiting::check_slowness(change, topology, &|problem| problems.push(problem));
        }
        let with_horizon = change.map(|change| change.with_default_horizon(topology));
        let place = document.root.place;
        // Outages are counted over the horizon, so it must be known.
        let too_many = with_horizon.as_ref().map(|it| it.find_too_many_outages(topology, place));
        too_many.flatten().into_iter().for_each(|problem| problems.push(problem));
        problems.into_result(with_horizon)
    }
}

impl Change {
    /// Reads how a change is shipped out of a change file without targets, and returns `diff` shipped
    /// that way. What the file leaves open stays as `diff` has it.
    ///
    /// # Errors
    /// Returns everything that is wrong with the file, sorted by place.
    pub fn shipped_as(
        document: &Document,
        topology: &Topology,
        diff: Self,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let names = Names::of_topology(topology);
        let read =
            kind::open_document(document, Kind::Change, &CHANGE, &problems).and_then(|mapping| {
                mapping.refuse_key(
                    "targets",
                    "`targets` in a file that only says how changes are shipped",
                    "the targets are the services that the changed files belong to: remove it",
                );
                change_of(&mapping, &names, Vec::new())
            });
        let read = problems.into_result(read)?;
        // Nothing breaks where nothing is touched, whatever the file says.
        let probability = match diff.targets.as_slice() {
            [] => diff.failure_probability,
            _ => read.failure_probability.or(diff.failure_probability),
        };
        Ok(Self {
            kind: read.kind.or(diff.kind),
            failure_probability: probability,
            name: diff.name,
            targets: diff.targets,
            ..read
        })
    }
}

fn decode_change(mapping: &Mapping<'_>, names: &Names<'_>) -> Option<Change> {
    let kind = mapping.get("kind").and_then(|field| change_kind(&field));
    let targets = mapping
        .require("targets", "[{ service: payments }]")
        .map(|field| {
            // A change that names all it touches may touch no service.
            let may_be_empty = mapping.get("unmatched").is_some();
            decode_targets(&field, kind, may_be_empty, names)
        })
        .unwrap_or_default();
    change_of(mapping, names, targets)
}

fn change_of(mapping: &Mapping<'_>, names: &Names<'_>, targets: Vec<Target>) -> Option<Change> {
    let get = |key| mapping.get(key);
    let name = get("change").and_then(|field| field.title());
    let during = get("during")
        .map(|field| distinct_items(&field, |item| names.resolve_component(item)))
        .unwrap_or_default();
    let place = |key| get(key).map(|field: Field<'_>| field.place_of_key());
    let key_place = |field: &Field<'_>, key: &str| {
        let entries = field.is_mapping().then(|| field.node.entries()).into_iter().flatten();
        entries.into_iter().find(|entry| &*entry.key.text == key).map(|entry| entry.key.place)
    };
    // One target that leaves it open is enough for the default to matter.
    let of_all_targets = |key: &str| {
        let field = get("targets")?;
        // `collect` gives nothing as soon as one target lacks the key.
        let places: Option<Vec<Place>> =
            field.items().map(|target| key_place(&target, key)).collect();
        places?.first().copied()
    };
    let places = ChangePlaces {
        modes: of_all_targets("modes"),
        severity: of_all_targets("severity"),
        onset: of_all_targets("onset"),
        repair: place("repair"),
        corrupt_detection: get("detection").and_then(|field| {
            let inner = field.node.entries().iter().find(|entry| &*entry.key.text == "corrupt");
            inner.map(|entry| entry.key.place)
        }),
        rollout: place("rollout"),
        horizon: place("horizon"),
        during: place("during"),
    };
    Some(Change {
        kind: get("kind").and_then(|field| field.word(ChangeKind::WORDS)),
        authored_by: get("authored_by").and_then(|field| field.word(Author::WORDS)),
        reviewed_by: get("reviewed_by").map(|field| decode_reviewers(&field)),
        sources: get("sources").map(|field| decode_sources(&field)).unwrap_or_default(),
        failure_probability: get("failure_probability").and_then(|field| field.share()),
        independent: get("independent").and_then(|field| field.flag()).unwrap_or_default(),
        rollout: get("rollout").and_then(|field| decode_rollout(&field)),
        detection: get("detection").and_then(|field| decode_detection(&field, names)),
        rollback: get("rollback").and_then(|field| decode_rollback(&field, names)),
        kill_switch: get("kill_switch").and_then(|field| kill_switch(&field, names)),
        repair: get("repair").and_then(|field| decode_delay(&field)),
        horizon: get("horizon")
            .and_then(|field| field.positive_duration())
            .unwrap_or(Change::DEFAULT_HORIZON),
        actions: decode_actions(get("actions"), names),
        during,
        unmatched: get("unmatched")
            .map(|field| field.items().filter_map(|item| item.title()).collect()),
        places,
        ..Change::from_targets(name?, targets)
    })
}

/// One name, or several; an empty list is nobody.
fn decode_reviewers(field: &Field<'_>) -> Vec<String> {
    if field.is_list() {
        return field.items().filter_map(|item| item.title()).collect();
    }
    if field.is_mapping() {
        field.problems().push(field.wrong_type("a name or a list of names"));
        return Vec::new();
    }
    field.title().into_iter().collect()
}

fn decode_sources(field: &Field<'_>) -> Vec<ReliedOn> {
    let source = |item: Field<'_>| {
        if !item.is_mapping() {
            return Some(ReliedOn { title: item.title()?, url: None, updated: None });
        }
        let mapping = item.mapping(&RELIED_ON)?;
        let updated = mapping.get("updated").and_then(|field| field.date());
        let url = mapping.get("url").and_then(|field| field.title());
        // A page is named by its address where nobody gives it a title.
        let title = match (mapping.get("title"), &url) {
            (None, Some(url)) => url.clone(),
            _ => mapping.require("title", "runbook")?.title()?,
        };
        Some(ReliedOn { title, url, updated })
    };
    field.items().filter_map(source).collect()
}

fn decode_targets(
    field: &Field<'_>,
    kind: Option<ChangeKind>,
    may_be_empty: bool,
    names: &Names<'_>,
) -> Vec<Target> {
    if field.is_list() && field.node.items().is_empty() && !may_be_empty {
        field.report_problem(
            Code::NoTargets,
            "the change has no targets",
            "name what it changes: `targets: [{ service: payments }]`",
        );
    }
    let read: Vec<(Target, Field<'_>)> =
        field.items().filter_map(|item| decode_target(&item, kind, names)).collect();
    report_repeats(&mut read.iter().map(|(target, field)| (target.on, *field)).collect::<Vec<_>>());
    read.into_iter().map(|(target, _)| target).collect()
}

/// Reads what sort of thing changes, without a word about what is wrong: that is reported once, where the
/// change is read.
fn change_kind(field: &Field<'_>) -> Option<ChangeKind> {
    ChangeKind::WORDS.iter().find(|(word, _)| field.is_word(word)).map(|(_, kind)| *kind)
}

/// The target, and where it is named.
fn decode_target<'a>(
    item: &Field<'a>,
    kind: Option<ChangeKind>,
    names: &Names<'_>,
) -> Option<(Target, Field<'a>)> {
    if !item.is_mapping() {
        let on = names.resolve_target(item)?;
        return Some((Target::down_with_certainty(on, item.place()), *item));
    }
    let mapping = item.mapping(&TARGET)?;
    mapping.not_both("service", "domain", "write two targets if both change");
    let (on, field) = match (mapping.get("service"), mapping.get("domain")) {
        (Some(field), _) => (target_service(&field, names), field),
        (None, Some(field)) => (target_domain(&field, names), field),
        (None, None) => {
            mapping.require("service", "payments");
            return None;
        }
    };
    let get = |key| mapping.get(key);
    let probability = get("probability").map_or(Some(Share::ONE), |field| field.share());
    let modes = get("modes").map_or(Some(Modes::default()), |field| decode_modes(&field));
    let severity =
        get("severity").map_or(Some((Share::ONE, Share::ONE)), |field| decode_severity(&field));
    let onset = get("onset").map_or(Some(Delay::default()), |field| decode_delay(&field));
    let min_exposure = get("min_exposure").map_or(Some(Share::ZERO), |field| field.share());
    if get("domain").is_some() && get("service").is_none() {
        refuse_partial_domain(&mapping, modes, severity);
    }
    if let Some(rollout) = get("rollout").filter(Field::is_mapping) {
        refuse_own_routing(&rollout);
    }
    let target = Target {
        probability: probability?,
        modes: modes?,
        severity: severity?,
        severity_of: get("severity")
            .and_then(|field| decode_severity_of(&field))
            .unwrap_or_else(|| SeverityOf::usual_for(kind)),
        onset: onset?,
        min_exposure: min_exposure?,
        rollout: get("rollout").and_then(|field| decode_rollout(&field)),
        ..Target::down_with_certainty(on?, field.place())
    };
    Some((target, field))
}

/// Refuses routing in the rollout of one target: users are kept on exposed instances of all targets, or of
/// none.
fn refuse_own_routing(field: &Field<'_>) {
    let entries = field.node.entries().iter();
    for entry in entries.filter(|entry| &*entry.key.text == "routing") {
        let message = "`routing` in the rollout of one target has no effect";
        let problem = Diagnostic::error(Code::Conflict, message, entry.key.place)
            .help("write it into the rollout of the change: it holds for all targets");
        field.problems().push(problem);
    }
}

fn target_service(field: &Field<'_>, names: &Names<'_>) -> Option<TargetRef> {
    let name = field.str()?;
    // A name that exists as the other kind gets a better answer than "unknown".
    if names.domain_id(name).is_some() {
        let message = format!("`{name}` is a failure domain, not a service");
        field.report_problem(Code::UnknownService, message, &format!("write `domain: {name}`"));
        return None;
    }
    names.resolve_node(field).map(TargetRef::Node)
}

fn target_domain(field: &Field<'_>, names: &Names<'_>) -> Option<TargetRef> {
    let name = field.str()?;
    if names.service_id(name).is_some() {
        let message = format!("`{name}` is a service, not a failure domain");
        field.report_problem(Code::UnknownDomain, message, &format!("write `service: {name}`"));
        return None;
    }
    names.resolve_domain(field).map(TargetRef::Domain)
}

/// Returns whether a failure domain can break like this: it is down, or what is in it hangs.
pub(super) fn breaks_domains(modes: &Modes) -> bool {
    modes.corrupt.is_zero() && modes.surge.is_zero() && modes.slowness.is_none()
}

/// A failure domain has no instances that could answer wrongly, or fail in part.
fn refuse_partial_domain(
    mapping: &Mapping<'_>,
    modes: Option<Modes>,
    severity: Option<(Share, Share)>,
) {
    if modes.is_some_and(|modes| !breaks_domains(&modes)) {
        let message = "a failure domain can only be down, or hang (`slow`)";
        mapping.refuse_key(
            "modes",
            message,
            "target the services in it to break them in another way",
        );
    }
    let help = "target the services in it to break them in another way";
    if severity.is_some_and(|(min, max)| !min.is_one() || !max.is_one()) {
        mapping.refuse_key("severity", "a failure domain is completely down or not at all", help);
    }
}

fn decode_modes(field: &Field<'_>) -> Option<Modes> {
    let none = Modes { down: Share::ZERO, ..Modes::default() };
    if !field.is_mapping() {
        // The word alone cannot carry the factor that a surge needs.
        if field.is_word("surge") {
            let help = "write `modes: { surge: { probability: 100%, factor: 8 } }`";
            field.report_problem(Code::MissingKey, "a surge needs `factor`", help);
            return None;
        }
        return field.word(&[
            ("down", Modes::default()),
            ("slow", Modes { slow: Share::ONE, ..none }),
            ("corrupt", Modes { corrupt: Share::ONE, ..none }),
        ]);
    }
    let mapping = field.mapping(&MODES)?;
    let share = |key| mapping.get(key).map_or(Some(Share::ZERO), |field| field.share());
    let (down, corrupt) = (share("down"), share("corrupt"));
    let slow = mapping.get("slow").map_or(Some((Share::ZERO, None)), |field| waiting::slow(&field));
    let surge = mapping.get("surge").map_or(Some((Share::ZERO, 1.0)), |field| decode_surge(&field));
    let (surge, surge_factor) = surge?;
    let (slow, slowness) = slow?;
    let modes = Modes { down: down?, slow, corrupt: corrupt?, surge, surge_factor, slowness };
    let sum = modes.down.get() + modes.slow.get() + modes.corrupt.get() + surge.get();
    // Thirds written as decimals never sum to exactly 1.
    if (sum - 1.0).abs() > MODES_SLACK {
        // Millionths of a percent, so that what is wrong by little does not look right.
        let percent = (sum * 1e8).round() / 1e6;
        field.problems().push(
            Diagnostic::error(
                Code::ModeWeights,
                format!("the modes sum to {percent}%, not to 100%"),
                mapping.place,
            )
            .help("they are the ways in which a broken target breaks: one of them happens"),
        );
        return None;
    }
    Some(modes)
}

fn decode_surge(field: &Field<'_>) -> Option<(Share, f64)> {
    let mapping = field.mapping(&SURGE)?;
    let probability = mapping.get("probability").map_or(Some(Share::ONE), |field| field.share());
    let factor = mapping.require("factor", "8").and_then(|field| field.factor());
    Some((probability?, factor?))
}

fn decode_severity(field: &Field<'_>) -> Option<(Share, Share)> {
    if !field.is_mapping() {
        let severity = field.share()?;
        return Some((severity, severity));
    }
    let mapping = field.mapping(&SEVERITY)?;
    // The two forms cannot both be meant.
    for range in ["min", "max"] {
        mapping.not_both("share", range, "`share` is a severity that is known exactly");
    }
    if let Some(share) = mapping.get("share") {
        let severity = share.share()?;
        return Some((severity, severity));
    }
    // A missing end is the widest that a severity can be.
    let read = |key, default| mapping.get(key).map_or(Some(default), |field| field.share());
    let (min, max) = (read("min", Share::ZERO)?, read("max", Share::ONE)?);
    if min > max {
        field.problems().push(
            Diagnostic::error(
                Code::OutOfRange,
                format!("the least severity {min} is above the greatest {max}"),
                mapping.place,
            )
            .help("swap `min` and `max`"),
        );
        return None;
    }
    Some((min, max))
}

/// Reads what a severity is a share of, where a mapping states it.
fn decode_severity_of(field: &Field<'_>) -> Option<SeverityOf> {
    // A share by itself takes the default of its kind of change.
    if !field.is_mapping() {
        return None;
    }
    let words = [("requests", SeverityOf::Requests), ("attempts", SeverityOf::Attempts)];
    field.mapping(&SEVERITY)?.get("of")?.word(&words)
}

/// The services without which something takes longer.
fn depends_on(mapping: &Mapping<'_>, names: &Names<'_>) -> Vec<ServiceId> {
    let read = |field: Field<'_>| distinct_items(&field, |item| names.resolve_service(item));
    mapping.get("depends_on").map(read).unwrap_or_default()
}

fn needs_factor(mapping: &Mapping<'_>) -> f64 {
    mapping.get("needs_factor").and_then(|field| field.factor()).unwrap_or(NEEDS_FACTOR)
}

pub(super) fn decode_detection(field: &Field<'_>, names: &Names<'_>) -> Option<Detection> {
    let default = Detection::default();
    if !field.is_mapping() {
        return Some(Detection {
            delay: Some(duration_or_mapping(field, "detection")?),
            ..default
        });
    }
    let mapping = field.mapping(&DETECTION)?;
    Some(Detection {
        alert_threshold: mapping.get("alert_threshold").and_then(|field| field.share()),
        failures: mapping.get("failures").and_then(|field| field.whole_number(1..=FAILURES_MAX)),
        watches: mapping.get("watches").and_then(|field| decode_watches(&field)),
        delay: delay_of(&mapping),
        corrupt: mapping.get("corrupt").and_then(|field| decode_delay(&field)),
        depends_on: depends_on(&mapping, names),
        needs_factor: needs_factor(&mapping),
    })
}

/// Reads what is watched: one word, or a list of them.
fn decode_watches(field: &Field<'_>) -> Option<Watches> {
    const WORDS: &[(&str, bool)] = &[("flows", true), ("target", false)];
    let mut watches = Watches { flows: false, target: false };
    let items: Vec<Field<'_>> =
        if field.is_list() { field.items().collect() } else { vec![*field] };
    for item in &items {
        let watched = if item.word(WORDS)? { &mut watches.flows } else { &mut watches.target };
        *watched = true;
    }
    if items.is_empty() {
        field.report_problem(
            Code::OutOfRange,
            "a detection that watches nothing",
            "write `watches: [flows, target]`, or remove it",
        );
        return None;
    }
    Some(watches)
}

/// The short form of what takes a while: how long it takes.
fn duration_or_mapping(field: &Field<'_>, what: &str) -> Option<Delay> {
    // A value without a unit is reported by `decode_delay`, which says what to write.
    if matches!(field.node.value, Value::Text(_) | Value::Number(_)) {
        return decode_delay(field);
    }
    let problem = field.wrong_type("a duration or a mapping");
    field.problems().push(problem.help(format!("write for example `{what}: 10m`")));
    None
}

pub(super) fn decode_rollback(field: &Field<'_>, names: &Names<'_>) -> Option<Rollback> {
    let default = Rollback::default();
    if !field.is_mapping() {
        return Some(Rollback { delay: Some(duration_or_mapping(field, "rollback")?), ..default });
    }
    let mapping = field.mapping(&ROLLBACK)?;
    let share = |key, default| {
        mapping.get(key).and_then(|field: Field<'_>| field.share()).unwrap_or(default)
    };
    Some(Rollback {
        delay: delay_of(&mapping),
        depends_on: depends_on(&mapping, names),
        needs_factor: needs_factor(&mapping),
        works: share("works", default.works),
        worsens: share("worsens", default.worsens),
        takes: mapping.get("takes").and_then(|field| field.duration()).unwrap_or_default(),
    })
}

fn kill_switch(field: &Field<'_>, names: &Names<'_>) -> Option<KillSwitch> {
    if !field.is_mapping() {
        // A single duration never varies.
        return Some(KillSwitch {
            delay: duration_or_mapping(field, "kill_switch")?,
            depends_on: Vec::new(),
            needs_factor: NEEDS_FACTOR,
            works: Share::ONE,
        });
    }
    let mapping = field.mapping(&KILL_SWITCH)?;
    let depends_on = depends_on(&mapping, names);
    let works = mapping.get("works").map_or(Some(Share::ONE), |field| field.share());
    Some(KillSwitch {
        delay: needed_delay(&mapping)?,
        depends_on,
        needs_factor: needs_factor(&mapping),
        works: works?,
    })
}

/// A factor for a surge that was asked for on the command line.
pub(crate) fn surge_factor(text: &str) -> Option<f64> {
    // `parse` takes `inf`, `NaN` and signs as well, which no factor has.
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let factor: f64 = plain.then(|| text.parse().ok()).flatten()?;
    (1.0..=1e6).contains(&factor).then_some(factor)
}
