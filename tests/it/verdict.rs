//! The verdict is about the change: budgets, likelihood, and what nobody said.

use crate::support::program;
use std::fs;
use std::path::Path;

const TILL: &str = "\
version: 1
topology: till
services:
  front: { dependencies: [{ service: till, timeout: 1s, fallback: none }] }
  till: {}
  idle: {}
flows:
  pay: { steps: [{ service: front, timeout: 5s }], critical: true }
";

/// A change of the till that is noticed and taken back after so many minutes each.
fn change(severity: f64, probability: f64, minutes: f64, exposure: f64) -> String {
    format!(
        "version: 1\nchange: till-9\nfailure_probability: {probability}\n\
         targets: [{{ service: till, modes: down, severity: {severity} }}]\n\
         rollout: {{ stages: [{{ exposure: {exposure}, bake: 10h }}] }}\n\
         detection: {minutes}m\nrollback: {minutes}m\n"
    )
}

struct Answer {
    status: i32,
    text: String,
}

fn check_in(folder: &Path, arguments: &[&str]) -> Answer {
    let output = program(folder).arg("check").args(arguments).arg("--quiet").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Answer { status: output.status.code().expect("it ends"), text }
}

fn check(topology: &str, change: &str, more: &[&str]) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), topology).unwrap();
    fs::write(folder.path().join("c.yaml"), change).unwrap();
    check_in(folder.path(), &[&["t.yaml", "--change", "c.yaml"], more].concat())
}

/// Returns a change in which one input has this value.
type Vary = fn(f64) -> String;

/// How bad a status is: proceed, caution, stop.
fn badness(status: i32) -> u8 {
    match status {
        0 => 0,
        3 => 1,
        1 => 2,
        other => panic!("not a verdict: {other}"),
    }
}

#[test]
fn worse_input_never_gives_a_better_verdict_and_neighbours_never_jump() {
    // Each row varies one input by steps of 4% or less, from harmless to hopeless.
    let steps = |from: f64, to: f64| {
        let count = 24;
        (0..=count).map(move |step| from * (to / from).powf(f64::from(step) / f64::from(count)))
    };
    let rows: [(Vary, f64, f64); 4] = [
        (|severity| change(severity, 0.1, 30.0, 1.0), 0.12, 0.9),
        (|probability| change(1.0, probability, 15.0, 0.8), 0.0005, 0.02),
        (|minutes| change(0.5, 0.1, minutes, 1.0), 8.0, 60.0),
        (|exposure| change(1.0, 0.1, 30.0, exposure), 0.1, 0.9),
    ];
    for (vary, from, to) in rows {
        let verdicts: Vec<u8> = steps(from, to)
            .map(|value| badness(check(TILL, &vary(value), &["--format", "short"]).status))
            .collect();
        assert!(verdicts.is_sorted(), "{verdicts:?}");
        assert!(verdicts.windows(2).all(|pair| pair[1] - pair[0] <= 1), "{verdicts:?}");
        assert_eq!((verdicts[0], verdicts[24]), (0, 2), "{verdicts:?}");
    }
}

#[test]
fn a_change_that_never_breaks_or_reaches_no_flow_proceeds() {
    assert_eq!(check(TILL, &change(1.0, 0.0, 300.0, 1.0), &[]).status, 0);
    let idle = change(1.0, 1.0, 300.0, 1.0).replace("service: till", "service: idle");
    let shaky = TILL.replace("till: {}", "till: { availability: 90% }");
    let answer = check(&shaky, &idle, &[]);
    assert_eq!(answer.status, 0, "{}", answer.text);
}

#[test]
fn what_is_spent_of_a_budget_counts() {
    // 10 outage minutes of 43.2.
    let change = change(1.0, 0.1, 5.0, 1.0);
    assert_eq!(check(TILL, &change, &[]).status, 0);
    assert_eq!(check(TILL, &change, &["--spent", "pay=20m"]).status, 3);
    let answer = check(TILL, &change, &["--spent", "pay=50m"]);
    assert_eq!(answer.status, 1);
    let start = "STOP: pay loses outage minutes with nothing left of its monthly error budget in 10% of \
                 rollouts (limit 1%; rule: budget exhausted)";
    let text = answer.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn limits_add_to_the_policy_and_judge_what_the_change_causes() {
    let hopeless = change(1.0, 1.0, 300.0, 1.0);
    assert_eq!(check(TILL, &hopeless, &["--max-failed", "pay=99.9%"]).status, 1);
    // The till is away in 10% of simulations anyway: that is not the doing of a change of `idle`.
    let shaky = TILL.replace("till: {}", "till: { availability: 90% }");
    let idle = hopeless.replace("service: till", "service: idle");
    assert_eq!(check(&shaky, &idle, &["--max-failed", "pay=1%"]).status, 0);
}

#[test]
fn a_rule_that_judges_nothing_asks_for_caution() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), TILL).unwrap();
    let policy = |when: &str| {
        let text = format!(
            "version: 1\npolicy: p\nrules: [{{ name: a, when: '{when}', verdict: stop }}]\n"
        );
        fs::write(folder.path().join("p.yaml"), text).unwrap();
        check_in(folder.path(), &["t.yaml", "--break", "idle", "--policy", "p.yaml"])
    };
    let vacuous = policy("services.exists(s, s.tier == 9 && s.caused.failed.p > 0.1)");
    assert_eq!(vacuous.status, 3, "{}", vacuous.text);
    let empty = policy("flows.exists(f, f.name == \"cart\" && f.caused.failed.p > 0.1)");
    assert!(empty.text.starts_with("CAUTION: the rule `a` judges nothing"), "{}", empty.text);
    assert_eq!(policy("flows.exists(f, f.caused.failed.p > 0.1)").status, 0);
}

#[test]
fn without_a_change_each_flow_is_held_to_its_objective() {
    let folder = tempfile::tempdir().unwrap();
    for (availability, status) in [("99.95%", 0), ("99.5%", 1)] {
        let text = TILL.replace("till: {}", &format!("till: {{ availability: {availability} }}"));
        fs::write(folder.path().join("t.yaml"), text).unwrap();
        let answer = check_in(folder.path(), &["t.yaml"]);
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

#[test]
fn a_rule_over_many_dependencies_takes_linear_time() {
    let mut text = String::from("version: 1\ntopology: t\nservices:\n");
    for index in 0..3_000 {
        text += &format!("  s{index}: {{ dependencies: [");
        text += &(1..=5).map(|by| format!("s{}, ", index + by)).collect::<String>();
        text += "] }\n";
    }
    for index in 3_000..3_006 {
        text += &format!("  s{index}: {{}}\n");
    }
    text += "flows: { f: { steps: [s0] } }\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), text).unwrap();
    let rule =
        "dependencies.exists(d, d.caller == \"s1\" && d.dependency == \"s9\" && d.passed > 0.5)";
    let policy =
        format!("version: 1\npolicy: p\nrules: [{{ name: a, when: '{rule}', verdict: stop }}]\n");
    fs::write(folder.path().join("p.yaml"), policy).unwrap();
    let start = std::time::Instant::now();
    let arguments =
        ["t.yaml", "--break", "s2999", "--policy", "p.yaml", "--trials", "64", "--format", "short"];
    check_in(folder.path(), &arguments);
    // Quadratic time took a minute and more in this build.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn ranks_go_by_money_or_else_by_critical_flows_and_not_by_raw_calls() {
    let first = |flows: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "version: 1\ntopology: t\nservices: {{ pages: {{}}, till: {{}} }}\nflows:\n{flows}"
        );
        fs::write(folder.path().join("t.yaml"), text).unwrap();
        let arguments = ["rank", "t.yaml", "--trials", "64", "--format", "json", "--quiet"];
        let output = program(folder.path()).args(arguments).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["origins"][0]["name"].as_str().expect("a name").to_owned()
    };
    let browse = "  browse: { steps: [pages], rate: 1000/s";
    let pay = "  pay: { steps: [till], rate: 1/s";
    assert_eq!(first(&format!("{browse} }}\n{pay}, critical: true }}\n")), "till");
    let (cheap, dear) = ("value: 0.01 EUR", "value: 50 EUR");
    assert_eq!(first(&format!("{browse}, {cheap} }}\n{pay}, {dear} }}\n")), "till");
    assert_eq!(first(&format!("{browse} }}\n{pay} }}\n")), "pages");
}

#[test]
fn what_would_turn_the_verdict_is_named_with_its_turning_point() {
    // 60 outage minutes in 10% of rollouts: a rollback of 30 minutes is far too slow.
    let answer = check(TILL, &change(1.0, 0.1, 30.0, 1.0), &[]);
    assert_eq!(answer.status, 1);
    let text = answer.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("caution if the first stage exposes less than 3"), "{text}");
    assert!(text.contains("(stated 100%)"), "{text}");
}
