//! Rollouts: stages as written, or the stages that a usual strategy stands for.
//!
//! What a strategy does not say is assumed. The numbers are ours, meant as what a careful team does
//! today; each can be overridden, and a rollout that is known better is written as stages.

use super::read::{Field, Mapping, Shape};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::change::{Replacing, Rollout, Routing, Stage, Strategy};
use crate::model::units::{Seconds, Share};

pub(crate) const ROLLOUT: Shape = Shape {
    what: "a rollout",
    keys: &[
        "routing",
        "stages",
        "strategy",
        "first",
        "steps",
        "count",
        "bake",
        "catch_probability",
        "max_unavailable",
        "max_surge",
        "step",
    ],
    schema: "/$defs/rollout_settings",
};
pub(crate) const STAGE: Shape = Shape {
    what: "a stage",
    keys: &["exposure", "bake", "catch_probability"],
    schema: "/$defs/stage_settings",
};

/// A canary gets 5% of the traffic, enough for a comparison and small enough to lose.
const CANARY_FIRST: f64 = 0.05;
/// A canary, a new fleet or a cell is watched for ten minutes before the next step.
const BAKE: Seconds = Seconds::minutes(10);
/// An automatic comparison sees every second failing target: it looks at a few metrics only.
const CATCH_PROBABILITY: f64 = 0.5;
/// The most stages of a rollout: a day of one every two minutes.
const STAGES_MAX: usize = 1000;
/// A quarter of the instances at a time, as the default of Kubernetes (`maxUnavailable: 25%`).
const ROLLING_STEPS: u32 = 4;
/// A minute until a quarter of the instances is replaced and ready.
const ROLLING_BAKE: Seconds = Seconds::minutes(1);
/// Ten cells.
const CELLS: u32 = 10;

const STEPS_MAX: u32 = 1000;

const STRATEGIES: &[(&str, Strategy)] = &[
    ("all-at-once", Strategy::AllAtOnce),
    ("canary", Strategy::Canary),
    ("blue-green", Strategy::BlueGreen),
    ("rolling", Strategy::Rolling),
    ("cells", Strategy::Cells),
];

/// The keys that belong to no strategy: all others are parameters of some.
const OF_ALL_ROLLOUTS: [&str; 3] = ["routing", "stages", "strategy"];

/// The keys that say more about a strategy.
fn strategy_keys(strategy: Strategy) -> &'static [&'static str] {
    match strategy {
        Strategy::AllAtOnce => &[],
        Strategy::Canary => &["first", "bake", "catch_probability"],
        Strategy::BlueGreen => &["bake", "catch_probability"],
        Strategy::Rolling => {
            &["steps", "bake", "catch_probability", "max_unavailable", "max_surge", "step"]
        }
        Strategy::Cells => &["count", "bake", "catch_probability"],
    }
}

/// A rollout, or the bare name of a strategy.
pub(crate) fn decode_rollout(field: &Field<'_>) -> Option<Rollout> {
    if !field.is_mapping() {
        let strategy = field.word(STRATEGIES)?;
        return Some(expand_strategy(strategy, None, &Parameters::default()));
    }
    let mapping = field.mapping(&ROLLOUT)?;
    let routing = mapping
        .get("routing")
        .and_then(|field| field.word(&[("random", Routing::Random), ("sticky", Routing::Sticky)]));
    mapping.not_both("stages", "strategy", "a strategy stands for certain stages");
    let rollout = match (mapping.get("stages"), mapping.get("strategy")) {
        // Parameters of strategies mean nothing beside stages.
        (Some(field), _) => {
            refuse_parameters(
                &mapping,
                &[],
                "goes with a `strategy`; each stage has its own `bake` and `catch_probability`",
            );
            let stages = decode_stages(&field)?;
            let routing = routing.unwrap_or_default();
            Rollout { routing, stages, strategy: None, replacing: None }
        }
        (None, Some(field)) => {
            let strategy = field.word(STRATEGIES)?;
            refuse_parameters(
                &mapping,
                strategy_keys(strategy),
                "says nothing about this strategy",
            );
            expand_strategy(strategy, routing, &Parameters::decode_parameters(&mapping))
        }
        (None, None) => {
            mapping.require("strategy", "canary");
            return None;
        }
    };
    Some(rollout)
}

fn refuse_parameters(mapping: &Mapping<'_>, allowed: &[&str], why: &str) {
    let parameters = ROLLOUT.keys.iter().filter(|key| !OF_ALL_ROLLOUTS.contains(key));
    // A parameter of another strategy would otherwise be ignored without a word.
    for key in parameters {
        if !allowed.contains(key) {
            mapping.refuse_key(key, format!("`{key}` {why}"), "remove it");
        }
    }
}

/// Parameters of a strategy.
#[derive(Debug, Default)]
struct Parameters {
    first: Option<Share>,
    steps: Option<u32>,
    count: Option<u32>,
    bake: Option<Seconds>,
    catch_probability: Option<Share>,
    /// The shares of instances that may be away, and beyond the usual number.
    at_once: Option<(Share, Share)>,
}

impl Parameters {
    fn decode_parameters(mapping: &Mapping<'_>) -> Self {
        let whole = |key| mapping.get(key)?.whole_number(1..=STEPS_MAX);
        mapping.not_both("steps", "max_unavailable", "how many steps there are follows from it");
        mapping.not_both("steps", "max_surge", "how many steps there are follows from it");
        mapping.not_both("bake", "step", "they are the same for a rolling update");
        let bake = mapping.get("bake").or_else(|| mapping.get("step"));
        Self {
            at_once: decode_at_once(mapping),
            first: mapping.get("first").and_then(|field| field.positive_share()),
            steps: whole("steps"),
            count: whole("count"),
            bake: bake.and_then(|field| field.positive_duration()),
            catch_probability: mapping.get("catch_probability").and_then(|field| field.share()),
        }
    }
}

/// Reads how many instances are replaced at once; reports when that is none.
fn decode_at_once(mapping: &Mapping<'_>) -> Option<(Share, Share)> {
    let share = |key| mapping.get(key).map(|field: Field<'_>| field.share());
    let (away, surge) = (share("max_unavailable"), share("max_surge"));
    if away.is_none() && surge.is_none() {
        return None;
    }
    let (away, surge) = (away.unwrap_or(Some(Share::ZERO))?, surge.unwrap_or(Some(Share::ZERO))?);
    let least = 1.0 / f64::from(STEPS_MAX);
    if away.get() + surge.get() < least {
        let field = mapping.get("max_unavailable").or_else(|| mapping.get("max_surge"))?;
        field.report_problem(
            Code::OutOfRange,
            format!("less than {} of the instances is replaced at once", Share::new(least)?),
            "write for example `max_unavailable: 25%`, or `max_surge: 25%`",
        );
        return None;
    }
    Some((away, surge))
}

/// The stages that a strategy stands for.
fn expand_strategy(
    strategy: Strategy,
    routing: Option<Routing>,
    parameters: &Parameters,
) -> Rollout {
    let share = |value| Share::new(value).expect("a constant between 0 and 1");
    let bake = parameters.bake.unwrap_or(BAKE);
    let catch_probability = parameters.catch_probability.unwrap_or(share(CATCH_PROBABILITY));
    let whole = Stage { exposure: Share::ONE, bake: None, catch_probability: Share::ZERO };
    let stages = match strategy {
        Strategy::AllAtOnce => vec![whole],
        Strategy::Canary => {
            let first = parameters.first.unwrap_or(share(CANARY_FIRST));
            vec![Stage { exposure: first, bake: Some(bake), catch_probability }, whole]
        }
        Strategy::BlueGreen => vec![Stage { bake: Some(bake), catch_probability, ..whole }],
        Strategy::Rolling => {
            let bake = parameters.bake.unwrap_or(ROLLING_BAKE);
            // An orchestrator waits for readiness only, and a change that breaks seldom breaks that.
            let catch_probability = parameters.catch_probability.unwrap_or(Share::ZERO);
            match parameters.at_once {
                Some((unavailable, surge)) => {
                    stages_by(unavailable.get() + surge.get(), bake, catch_probability)
                }
                None => {
                    equal_stages(parameters.steps.unwrap_or(ROLLING_STEPS), bake, catch_probability)
                }
            }
        }
        Strategy::Cells => equal_stages(parameters.count.unwrap_or(CELLS), bake, catch_probability),
    };
    // A cell has its own users; elsewhere each call may meet either.
    let usual = if strategy == Strategy::Cells { Routing::Sticky } else { Routing::Random };
    let replacing = parameters.at_once.map(|(unavailable, surge)| {
        let step = parameters.bake.unwrap_or(ROLLING_BAKE);
        Replacing { unavailable, surge, lasts: lasting(step, stages.len()) }
    });
    Rollout { routing: routing.unwrap_or(usual), stages, strategy: Some(strategy), replacing }
}

/// Stages that each replace this share of the instances, and the last one what is left.
fn stages_by(share: f64, bake: Seconds, catch_probability: Share) -> Vec<Stage> {
    // At least one, and no more than there may be: less at once was refused.
    let count = (1..=STEPS_MAX).find(|count| f64::from(*count) * share >= 1.0 - 1e-9);
    let count = count.unwrap_or(STEPS_MAX);
    let mut stages = equal_stages(count, bake, catch_probability);
    for (number, stage) in (1_u32..).zip(&mut stages) {
        let exposure = (f64::from(number) * share).min(1.0);
        stage.exposure = Share::new(exposure).unwrap_or(Share::ONE);
    }
    stages
}

/// Returns how long so many steps take.
fn lasting(step: Seconds, steps: usize) -> Seconds {
    Seconds::new(step.get() * steps as f64).unwrap_or(step)
}

/// Stages of equal size, each but the last with a bake.
fn equal_stages(count: u32, bake: Seconds, catch_probability: Share) -> Vec<Stage> {
    let stage = |number: u32| {
        // Computed from whole numbers, the last exposure is exactly 100%.
        let exposure = Share::new(f64::from(number) / f64::from(count)).expect("at most count");
        if number == count {
            Stage { exposure, bake: None, catch_probability: Share::ZERO }
        } else {
            Stage { exposure, bake: Some(bake), catch_probability }
        }
    };
    (1..=count).map(stage).collect()
}

fn decode_stages(field: &Field<'_>) -> Option<Vec<Stage>> {
    let items: Vec<Field<'_>> = field.items().collect();
    if items.is_empty() {
        if field.is_list() {
            field.report_problem(
                Code::OutOfRange,
                "a rollout has at least one stage",
                "write for example `[{ exposure: 1%, bake: 10m }, { exposure: 100% }]`",
            );
        }
        return None;
    }
    if items.len() > STAGES_MAX {
        field.report_problem(
            Code::OutOfRange,
            format!("a rollout has at most {STAGES_MAX} stages, but this one has {}", items.len()),
            "each stage is an event in every trial; leave out stages that change nothing",
        );
        return None;
    }
    let stages: Vec<Option<Stage>> = items.iter().map(decode_stage).collect();
    for (pair, fields) in stages.windows(2).zip(items.windows(2)) {
        if let [Some(before), Some(after)] = pair
            // A rollout that goes down would be a rollback, which has settings of its own.
            && after.exposure < before.exposure
        {
            let message =
                format!("the exposure goes down from {} to {}", before.exposure, after.exposure);
            field.problems().push(
                Diagnostic::error(Code::RolloutGoesDown, message, fields[1].place())
                    .other_place(fields[0].place(), "the stage before")
                    .help("stages follow each other; taking a change back is the `rollback`"),
            );
        }
    }
    stages.into_iter().collect()
}

fn decode_stage(field: &Field<'_>) -> Option<Stage> {
    if !field.is_mapping() {
        return Some(Stage {
            exposure: field.share()?,
            bake: None,
            catch_probability: Share::ZERO,
        });
    }
    let mapping = field.mapping(&STAGE)?;
    let exposure = mapping.require("exposure", "25%").and_then(|field| field.share());
    let bake = mapping.get("bake").map(|field| field.positive_duration());
    let catch_probability =
        mapping.get("catch_probability").map_or(Some(Share::ZERO), |field| field.share());
    // Without a bake nothing has time to fail before the check.
    if bake.is_none() {
        mapping.refuse_key(
            "catch_probability",
            "`catch_probability` without `bake`",
            "the check looks at what fails during the bake: say how long it lasts",
        );
    }
    Some(Stage { exposure: exposure?, bake: bake.flatten(), catch_probability: catch_probability? })
}
