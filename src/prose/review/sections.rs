//! Sections of a review.

use super::{Review, ReviewBlock};
use crate::prose::simulation::{self, Wording};
use crate::prose::{advice as advised, format};
use crate::report::ComponentState;
use crate::report::replay::{ActionReport, ComponentReport, ContainmentReport, DurationReport};

/// How many names a sentence holds.
const NAMES: usize = 6;
/// How many guards are named.
const GUARDS: usize = 8;
/// How many protections are named one at a time.
const ALONE: usize = 6;
/// A duration is told as missed where it is further off than by this factor.
const NEAR: f64 = 2.0;

/// Returns the summary: what happened, what set it off, and how the simulation compares.
pub(super) fn summary_section(review: &Review<'_>, wording: &Wording) -> Vec<ReviewBlock> {
    let mut items = vec![format!("What happened: {}", happened_sentence(review, wording))];
    items.extend(course_sentence(review).map(|said| format!("When: {said}")));
    items.push(format!(
        "What the simulation says: {}",
        simulation::headline(review.report, wording)
    ));
    items.push(format!("How well it agrees: {}", agreement_sentence(review)));
    let advice = advised::headline(review.advice, wording).join(" ");
    // The headline begins with what this line says already.
    let advice = advice.strip_prefix("What helps most: ").unwrap_or(&advice);
    items.push(format!("What would have helped: {advice}"));
    vec![ReviewBlock::List(items)]
}

fn happened_sentence(review: &Review<'_>, wording: &Wording) -> String {
    let of = |state: ComponentState| -> Vec<String> {
        let all = review.replayed.components.iter().filter(|component| component.observed == state);
        all.map(|item| (wording.name)(&item.name)).collect()
    };
    let (failed, degraded, well) =
        (of(ComponentState::Failed), of(ComponentState::Degraded), of(ComponentState::Unaffected));
    let late = of(ComponentState::Late);
    let mut parts = Vec::new();
    if !failed.is_empty() {
        parts.push(format!("{} failed", format::list(&failed, "and", NAMES)));
    }
    if !degraded.is_empty() {
        let verb = if degraded.len() == 1 { "was" } else { "were" };
        parts.push(format!("{} {verb} degraded", format::list(&degraded, "and", NAMES)));
    }
    if !late.is_empty() {
        let verb = if late.len() == 1 { "was" } else { "were" };
        parts.push(format!("{} {verb} late", format::list(&late, "and", NAMES)));
    }
    if !well.is_empty() {
        let verb = if well.len() == 1 { "was" } else { "were" };
        parts.push(format!("{} {verb} not affected", format::list(&well, "and", NAMES)));
    }
    if parts.is_empty() { "nothing is written down.".to_owned() } else { parts.join("; ") + "." }
}

/// When it was noticed, when the cause was gone, how long it lasted, as far as known.
fn course_sentence(review: &Review<'_>) -> Option<String> {
    let seen = review.observed;
    let lasted = review.replayed.duration.and_then(|duration| duration.observed_s);
    let parts = [
        seen.detected_s.map(|at| format!("noticed after {}", format::duration(at))),
        seen.mitigated_s.map(|at| format!("the cause gone after {}", format::duration(at))),
        lasted.map(|lasted| {
            format!("{} from the first impact to the last", format::duration(lasted))
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", ") + ".")
}

fn agreement_sentence(review: &Review<'_>) -> String {
    let all = &review.replayed.components;
    let hits = all.iter().filter(|item| item.is_hit()).count();
    let known = format::plural(all.len(), "component");
    let misses = all.len() - hits;
    let verdict = match (all.len(), misses) {
        (0, _) => "nothing was written down to hold it against".to_owned(),
        (1, 0) => "the one component whose state is known is in the state that is most likely by \
                   the simulation"
            .to_owned(),
        (_, 0) => {
            format!(
                "all {known} whose state is known are in the state that is most likely by the simulation"
            )
        }
        _ => format!(
            "{hits} of {known} are in the state that is most likely by the simulation, {misses} {} not",
            if misses == 1 { "is" } else { "are" }
        ),
    };
    let lasted = review.replayed.duration.and_then(duration_sentence);
    lasted.map_or_else(|| format!("{verdict}."), |lasted| format!("{verdict}; {lasted}."))
}

fn duration_sentence(item: DurationReport) -> Option<String> {
    let (observed, predicted) = (item.observed_s?, item.predicted_s?);
    let mut said = format!(
        "it took {}, and takes {} (median) by the simulation",
        format::duration(observed),
        format::duration(predicted)
    );
    if let Some(given) = item.given_actions_s {
        let given = format::duration(given);
        said.push_str(&format!(", {given} with what operators did"));
    }
    Some(said)
}

/// The picture, and how to read it.
pub(super) fn cascade_section(review: &Review<'_>) -> Vec<ReviewBlock> {
    let shares = if review.report.trials == 1 { "the trial" } else { "trials" };
    vec![
        ReviewBlock::Said(format!(
            "Simulated. Arrows point the way failure spreads, from a dependency to its caller; beside \
             them stands in which share of {shares} it propagated, or a protection contained it."
        )),
        ReviewBlock::Cascade,
    ]
}

/// Every component of known state, then every miss in words.
pub(super) fn compared_section(review: &Review<'_>, wording: &Wording) -> Vec<ReviewBlock> {
    let all = &review.replayed.components;
    let mut blocks = Vec::new();
    if !all.is_empty() {
        let heads = ["component", "seen", "most likely", "fails", "degraded or worse", ""];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        // Misses come first: they are what a reader can learn from.
        let (hits, misses): (Vec<_>, Vec<_>) = all.iter().partition(|item| item.is_hit());
        rows.extend(misses.into_iter().chain(hits).map(|miss| component_row(miss, wording)));
        blocks.push(ReviewBlock::Table(rows));
    }
    let mut misses: Vec<String> =
        all.iter().filter(|item| !item.is_hit()).map(|item| miss_sentence(item, wording)).collect();
    misses.extend(review.replayed.duration.and_then(missed_duration));
    misses.extend(unseen_sentence(review, wording));
    if misses.is_empty() {
        blocks.push(ReviewBlock::Said("They agree wherever something is known.".to_owned()));
    } else {
        blocks.push(ReviewBlock::Said("Where they differ, or cannot be compared:".to_owned()));
        blocks.push(ReviewBlock::List(misses));
    }
    blocks
}

fn component_row(component: &ComponentReport, wording: &Wording) -> Vec<String> {
    vec![
        (wording.name)(&component.name),
        component.observed.to_string(),
        component.predicted.to_string(),
        format::percent(rounded_share(component.failed)),
        format::percent(rounded_share(component.degraded)),
        if component.is_hit() { "agrees" } else { "miss" }.to_owned(),
    ]
}

fn miss_sentence(component: &ComponentReport, wording: &Wording) -> String {
    let name = (wording.name)(&component.name);
    let was = state_word(component.observed);
    let by = match component.predicted {
        ComponentState::Failed => {
            format!("fails in {} of trials", format::percent(rounded_share(component.failed)))
        }
        ComponentState::Degraded => format!(
            "is degraded in {} of trials, and fails in {}",
            format::percent(rounded_share(component.degraded)),
            format::percent(rounded_share(component.failed))
        ),
        ComponentState::Late => "answers late, and does not fail".to_owned(),
        ComponentState::Unaffected => {
            format!("is hit in {} of trials", format::percent(rounded_share(component.degraded)))
        }
    };
    format!("{name} {was}; by the simulation it {by}.")
}

fn state_word(observed: ComponentState) -> &'static str {
    match observed {
        ComponentState::Failed => "failed",
        ComponentState::Degraded => "was degraded",
        ComponentState::Late => "was late",
        ComponentState::Unaffected => "was not affected",
    }
}

fn missed_duration(item: DurationReport) -> Option<String> {
    let (observed, predicted) = (item.observed_s?, item.predicted_s?);
    // Both ways round, since a factor is the same in either direction.
    let is_near = observed <= predicted * NEAR && predicted <= observed * NEAR;
    (!is_near).then(|| {
        format!(
            "It took {}; by the simulation {} (median), with the delays of detection and rollback \
             that are stated or else documented defaults.",
            format::duration(observed),
            format::duration(predicted)
        )
    })
}

/// Returns the sentence about what fails by the simulation and has no observation.
fn unseen_sentence(review: &Review<'_>, wording: &Wording) -> Option<String> {
    let known =
        |name: &str| review.replayed.components.iter().any(|component| component.name == name);
    let failing = review
        .report
        .services
        .iter()
        // From half of the trials on, failing is what the simulation finds most likely.
        .filter(|service| service.failed.p >= 0.5 && !known(&service.name));
    let names: Vec<String> = failing.map(|failing| (wording.name)(&failing.name)).collect();
    let verb = if names.len() == 1 { "fails" } else { "fail" };
    (!names.is_empty()).then(|| {
        format!(
            "{} {verb} by the simulation, and nothing is written down of what they did.",
            format::list(&names, "and", NAMES)
        )
        .replace("of what they did", if names.len() == 1 { "of it" } else { "of them" })
    })
}

/// Returns the difference, by the simulation, that an action of operators makes.
pub(super) fn action_difference(action: &ActionReport, wording: &Wording) -> String {
    let names = |all: &[String]| {
        let all: Vec<String> = all.iter().map(|item| (wording.name)(item)).collect();
        format::list(&all, "and", NAMES)
    };
    let mut parts = Vec::new();
    if !action.spared.is_empty() {
        parts.push(format!("without it worse: {}", names(&action.spared)));
    }
    if !action.made_worse.is_empty() {
        parts.push(format!("without it better: {}", names(&action.made_worse)));
    }
    if let Some([with, without]) = action.durations_if_different() {
        let [with, without] = [with, without].map(format::duration);
        parts.push(format!("it lasts {with} with it, {without} without"));
    }
    if parts.is_empty() {
        "changes neither what fails nor how long it all lasts".to_owned()
    } else {
        parts.join("; ")
    }
}

/// Returns the protections that held: as reported, by taking each away, and by the simulation.
pub(super) fn protections_section(review: &Review<'_>, wording: &Wording) -> Vec<ReviewBlock> {
    let mut blocks = Vec::new();
    let told = &review.observed.what_held;
    if !told.is_empty() {
        blocks.push(ReviewBlock::Said("By the facts:".to_owned()));
        blocks.push(ReviewBlock::List(told.iter().map(|told| (wording.name)(told)).collect()));
    }
    let taken: Vec<String> = review
        .replayed
        .containment
        .iter()
        .map(|containment| containment_sentence(containment, wording))
        .collect();
    if !taken.is_empty() {
        blocks.push(ReviewBlock::Said("Taken away in the simulation, one at a time:".to_owned()));
        blocks.push(ReviewBlock::List(taken));
    }
    let guards = simulation::contained_calls(review.report);
    let count = guards.len();
    let mut items: Vec<String> = guards
        .into_iter()
        .take(GUARDS)
        .map(|guard| {
            let call = wording.call(&guard.at.caller, &guard.at.dependency);
            let through = match guard.at.passed {
                passed if passed > 0.0 => format!("; propagated in {}", format::percent(passed)),
                _ => String::new(),
            };
            format!("{call}: {}{through}", guard.guards)
        })
        .collect();
    if count > GUARDS {
        items.push(format!("and at {}", format::plural(count - GUARDS, "more call")));
    }
    if !items.is_empty() {
        blocks.push(ReviewBlock::Said("By the simulation, as shares of trials:".to_owned()));
        blocks.push(ReviewBlock::List(items));
    }
    let open: Vec<String> = simulation::uncontained_calls(review.report)
        .into_iter()
        .map(|unheld| wording.call(&unheld.caller, &unheld.dependency))
        .collect();
    if !open.is_empty() {
        let calls = format::list(&open, "and", NAMES);
        blocks.push(ReviewBlock::Said(format!("Nothing contained failure at {calls}.")));
    }
    blocks
}

fn containment_sentence(containment: &ContainmentReport, wording: &Wording) -> String {
    let what = (wording.name)(&containment.what);
    let names = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| (wording.name)(name)).collect();
        format::list(&names, "and", NAMES)
    };
    match containment.confirmed {
        Some(true) => {
            format!(
                "{what}: without it, {} would have been worse",
                names(&containment.newly_impacted)
            )
        }
        Some(false) => format!(
            "{what}: it kept {} from failing by the facts, and makes no difference to them in the \
             simulation",
            names(&containment.stopped)
        ),
        None => format!("{what}: the topology has no call to take it away from"),
    }
}

/// Returns the advice on what would have helped, as tasks to decide on.
pub(super) fn advice_section(review: &Review<'_>, wording: &Wording) -> Vec<ReviewBlock> {
    let advice = review.advice;
    let mut blocks = vec![ReviewBlock::Said(advised::headline(advice, wording).join(" "))];
    let mut sections = advised::sections(advice, wording);
    // What works together is the advice to decide on; the single steps are for comparison.
    if let Some(at) = sections.iter().position(|section| section.title == "Together") {
        let together = sections.remove(at);
        blocks.push(ReviewBlock::Said(format!("To decide on ({}):", together.remark)));
        blocks.push(ReviewBlock::Tasks(together.lines));
    }
    if let Some(alone) = sections.iter_mut().find(|section| section.title == "One at a time") {
        blocks.push(ReviewBlock::Said(format!("Each by itself ({}):", alone.remark)));
        let mut lines = std::mem::take(&mut alone.lines);
        lines.truncate(ALONE);
        blocks.push(ReviewBlock::List(lines));
    }
    let assumed: Vec<String> =
        advice.assumptions.iter().map(|assumption| (wording.name)(assumption)).collect();
    if !assumed.is_empty() {
        blocks.push(ReviewBlock::Said(format!("Taken for granted: {}.", assumed.join("; "))));
    }
    blocks
}

/// Sources, what is not known, and how it was simulated.
pub(super) fn grounds_section(review: &Review<'_>, wording: &Wording) -> Vec<ReviewBlock> {
    let mut items = Vec::new();
    let sources: Vec<String> =
        review.replayed.sources.iter().map(|source| (wording.name)(source)).collect();
    if !sources.is_empty() {
        items.push(format!("Sources: {}", sources.join(", ")));
    }
    items.extend(review.observed.notes.as_ref().map(|note| (wording.name)(note)));
    let unknowns = simulation::relevant_unknowns(review.report).into_iter();
    items.extend(unknowns.map(|item| {
        format!("Not stated, and it matters: {}", simulation::unknown_sentence(item, wording))
    }));
    let assumed = review.report.assumptions.iter();
    items.extend(assumed.map(|assumed| format!("Assumed: {}", (wording.name)(assumed))));
    items.push(simulation::footer(review.report));
    vec![ReviewBlock::List(items)]
}

/// No more than a tenth of a percent.
fn rounded_share(share: f64) -> f64 {
    // Near the ends a rounded share would read as never or as always.
    if (0.001..=0.999).contains(&share) { (share * 1000.0).round() / 1000.0 } else { share }
}
