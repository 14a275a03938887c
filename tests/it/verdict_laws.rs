//! Laws of the verdict over random topologies and changes: worse input never gives a better verdict, near
//! inputs give near verdicts, and what reaches no flow proceeds.

use crate::random::{Features, Scenario, scenario};
use blastwave::analysis::{Check, Gate, Settings, Stop};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::change::Delay;
use blastwave::model::{Change, Seconds, Share, Topology};
use blastwave::policy::Policy;
use blastwave::report::{Decision, Verdict};

const SCENARIOS: u64 = 8;
/// The factors of an input, from harmless to as drawn.
const STEPS: i32 = 4;
/// What neighbours differ by.
const NEAR: f64 = 1.01;

/// What is monotone by itself. Left out is what helps only once enough fails (breakers, kill switches) or
/// spares others by failing (load), and what a change of another sort adds (bad rollbacks, crashes).
fn monotone() -> Features {
    Features {
        services: (2, 6),
        surge: false,
        breakers: false,
        cycles: false,
        start_phase: false,
        load: false,
        retry_by_users: false,
        sticky: false,
        min_exposure: false,
        onset: false,
        kill_switch: false,
        bad_rollback: false,
        repair: false,
        recovery: false,
        ..Features::time()
    }
}

/// Returns a random scenario that is detected in the same way however little fails.
fn question(seed: u64) -> Scenario {
    let mut scenario = scenario(seed, &monotone());
    // Without rates no failed requests can be counted: alerts go by shares alone.
    scenario.topology.flows.iter_mut().for_each(|flow| flow.rate = None);
    let change = &mut scenario.change;
    if let Some(detection) = &mut change.detection {
        detection.alert_threshold = Some(share(1e-9));
    }
    let own = change.targets.iter_mut().filter_map(|target| target.rollout.as_mut());
    for stage in own.chain(&mut change.rollout).flat_map(|rollout| &mut rollout.stages) {
        stage.catch_probability = Share::ZERO;
    }
    change.failure_probability = Some(share(0.3));
    scenario
}

fn share(value: f64) -> Share {
    Share::new(value.clamp(0.0, 1.0)).expect("it is between 0 and 1")
}

fn judge(topology: &Topology, change: &Change) -> Verdict {
    let policy = Policy::default_policy(&mut Sources::default());
    let gate =
        Gate { policy: Some((&policy, true)), explains: false, max_trials: 512, ..Gate::default() };
    let settings = Settings { stop: Stop::Trials(128), ..Settings::default() };
    let check = Check::new(topology, change, &gate, &settings);
    check.unwrap_or_else(|_| panic!("the default policy is affordable")).verdict(&Silent)
}

/// An input, made better by a factor of at most 1.
type Scale = fn(&mut Change, f64);

fn scale_delay(delay: Delay, factor: f64) -> Delay {
    let times = |time: Seconds| Seconds::new(time.get() * factor).expect("a duration");
    Delay { median: times(delay.median), p95: times(delay.p95) }
}

const INPUTS: [(&str, Scale); 4] = [
    ("failure probability", |change, factor| {
        let probability = change.failure_probability.expect("it is stated");
        change.failure_probability = Some(share(probability.get() * factor));
    }),
    ("severity", |change, factor| {
        for target in &mut change.targets {
            let (low, high) = target.severity;
            target.severity = (share(low.get() * factor), share(high.get() * factor));
        }
    }),
    ("exposure", |change, factor| {
        let own = change.targets.iter_mut().filter_map(|target| target.rollout.as_mut());
        for stage in own.chain(&mut change.rollout).flat_map(|rollout| &mut rollout.stages) {
            stage.exposure = share(stage.exposure.get() * factor);
        }
    }),
    ("duration", |change, factor| {
        let detection = change.detection.as_mut().expect("it is stated");
        detection.delay = detection.delay.map(|delay| scale_delay(delay, factor));
        detection.corrupt = detection.corrupt.map(|delay| scale_delay(delay, factor));
        let rollback = change.rollback.as_mut().expect("it is stated");
        rollback.delay = rollback.delay.map(|delay| scale_delay(delay, factor));
    }),
];

#[test]
fn worse_input_never_gives_a_better_verdict_and_never_jumps_from_proceed_to_stop() {
    let mut seen = [0_u32; 3];
    for seed in 0..SCENARIOS {
        let scenario = question(seed);
        for (name, scale) in INPUTS {
            let judge_at = |factor: f64| {
                let mut change = scenario.change.clone();
                scale(&mut change, factor);
                judge(&scenario.topology, &change)
            };
            let at = |factor: f64| judge_at(factor).decision;
            let factors: Vec<f64> =
                (0..=STEPS).rev().map(|step| libm::pow(0.35, f64::from(step))).collect();
            let decisions: Vec<Decision> = factors.iter().map(|factor| at(*factor)).collect();
            decisions.iter().for_each(|decision| seen[*decision as usize] += 1);
            assert!(decisions.is_sorted(), "{seed}, {name}: {decisions:?}");
            for (pair, ends) in decisions.windows(2).zip(factors.windows(2)) {
                if pair == [Decision::Proceed, Decision::Stop] {
                    let (mut better, mut worse) = (ends[0], ends[1]);
                    let mut between = Decision::Stop;
                    while worse / better > NEAR && between != Decision::Caution {
                        let middle = (better * worse).sqrt();
                        between = at(middle);
                        match between {
                            Decision::Proceed => better = middle,
                            _ => worse = middle,
                        }
                    }
                    let reasons = || [better, worse].map(|factor| judge_at(factor).reasons);
                    assert_eq!(between, Decision::Caution, "{seed}, {name}: {:#?}", reasons());
                }
            }
        }
    }
    assert!(seen.iter().all(|count| *count >= 3), "all verdicts are met: {seen:?}");
}

#[test]
fn a_break_that_reaches_no_flow_proceeds_at_any_size_and_any_background() {
    for (size, availability) in [(3, "50%"), (20, "99%"), (60, "99.9%")] {
        let mut text = "version: 1\ntopology: t\nservices:\n  mailer: {}\n".to_owned();
        for index in 0..size {
            let next = (index + 1).min(size - 1);
            let calls = if next > index { format!("s{next}") } else { String::new() };
            text += &format!(
                "  s{index}: {{ availability: {availability}, dependencies: [{calls}] }}\n"
            );
        }
        text += "flows: { buy: { steps: [s0], critical: true } }\n";
        let changes = [
            "failure_probability: 100%\ntargets: [mailer]\n",
            "failure_probability: 100%\ntargets: [mailer]\nrollout: canary\nrollback: 2h\nhorizon: 6h\n",
        ];
        let mut sources = Sources::default();
        let mut read = |name: &str, text: &str| {
            load::parse_document(name, text.as_bytes().to_vec(), &mut sources).unwrap()
        };
        let topology = Topology::from_document(&read("t.yaml", &text)).unwrap();
        for change in changes {
            let text = format!("version: 1\nchange: c\n{change}");
            let change = Change::from_document(&read("c.yaml", &text), &topology).unwrap();
            let verdict = judge(&topology, &change);
            assert_eq!(verdict.decision, Decision::Proceed, "{:?}", verdict.reasons);
            assert_eq!(verdict.reasons[0], "no flow fails because of the change");
        }
    }
}
