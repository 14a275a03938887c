//! Defects that were found once: what each of them must never do again.

use std::fs;

use blastwave::cascade::{CascadeFilter, cascade_report};
use blastwave::chart::{ChartStyle, TimelineLanes, draw_timeline};
use blastwave::{Change, Report, Simulation, Topology};
use serde_json::Value;

use crate::support::program;

/// Simulates the loss of `pay`, which comes back after a while, for a topology with these flows.
fn simulate_loss(services: &str, flows: &str) -> (Topology, Report) {
    let text = format!("version: 1\ntopology: t\nservices:\n{services}flows:\n{flows}");
    let topology = Topology::from_yaml(&text).unwrap();
    let change = "version: 1\nchange: c\ntargets: [pay]\n\
                  detection: { median: 5m, p95: 20m }\nrollback: { median: 10m, p95: 30m }\n";
    let change = Change::from_yaml(change, &topology).unwrap();
    let report = Simulation::new(&topology, &change).trials(2_000).run();
    (topology, report)
}

#[test]
fn a_quantile_of_the_money_that_all_flows_lose_is_not_the_sum_of_their_quantiles() {
    let services = "  pay: {}\n";
    let flow = |name: &str, value: u32| {
        format!("  {name}: {{ steps: [pay], rate: 60/min, value: {value} EUR }}\n")
    };
    let (_, equal) = simulate_loss(services, &(flow("a", 10) + &flow("b", 10)));
    let total = equal.total.as_ref().unwrap();
    let money = &total.money_lost[0];
    assert!((money.p95.unwrap() - 10.0 * total.orders_lost.p95).abs() < 1e-6, "{money:?}");

    let (_, different) = simulate_loss(services, &(flow("a", 10) + &flow("b", 70)));
    let total = different.total.as_ref().unwrap();
    assert_eq!(total.money_lost[0].p95, None, "it is not known, so nothing is said");
    let means = different.flows.iter().map(|flow| flow.money_lost.as_ref().unwrap().mean);
    assert!((total.money_lost[0].mean - means.sum::<f64>()).abs() < 1e-6, "means do add up");
}

/// Returns the texts of the timeline of a topology with these services, by team.
fn timeline_texts(services: &str) -> Vec<String> {
    let (topology, report) = simulate_loss(services, "  order: { steps: [web] }\n");
    let cascade = cascade_report(&topology, &report, &CascadeFilter::default());
    let style = ChartStyle::default();
    let svg = draw_timeline(&report, &cascade, TimelineLanes::Team, None, &style).unwrap();
    let drawn = roxmltree::Document::parse(&svg).unwrap();
    drawn.descendants().filter_map(|node| Some(node.text()?.trim().to_owned())).collect()
}

#[test]
fn a_team_whose_name_begins_like_the_absence_of_one_has_a_lane() {
    let both = timeline_texts("  pay: { team: no sql }\n  web: { dependencies: [pay] }\n");
    for lane in ["no sql", "no team"] {
        assert!(both.iter().any(|text| text == lane), "{lane}: {both:?}");
    }
    let of_one = "  pay: { team: no sql }\n  web: { team: no sql, dependencies: [pay] }\n";
    let alone = timeline_texts(of_one);
    assert!(alone.iter().any(|text| text == "no sql"), "{alone:?}");
}

/// Returns what `check` says as JSON of a shop whose flow has a blank in its name.
fn checked(more: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let shop = "version: 1\ntopology: shop\nservices: { pay: {} }\nflows:\n  \
                place order: { steps: [pay], rate: 60/min, critical: true }\n";
    let change = "version: 1\nchange: c\ntargets: [pay]\n\
                  detection: { median: 5m, p95: 20m }\nrollback: { median: 10m, p95: 30m }\n";
    let policy = "version: 1\npolicy: p\nrules:\n  \
                  - { name: a, when: 'flows[\"place order\"].orders_lost.p99 > 10', verdict: stop }\n";
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    fs::write(folder.path().join("shop.yaml"), shop).unwrap();
    fs::write(folder.path().join("change.yaml"), change).unwrap();
    let start = ["check", "shop.yaml", "--change", "change.yaml", "--format", "json", "--quiet"];
    let output = program(folder.path()).args(start).args(more).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (json, text)
}

#[test]
fn a_limit_on_a_flow_with_a_blank_in_its_name_has_its_place() {
    let (report, text) = checked(&["--max-failed", "place order=1%", "--trials", "400"]);
    let limit = &report["verdict"]["limits"][0];
    assert_eq!(limit["flow"], "place order", "{text}");
    let places = limit["locations"].as_array().unwrap();
    let at_flow = |place: &&Value| place["file"] == "shop.yaml" && place["line"] == 5;
    assert!(places.iter().any(|place| at_flow(&place)), "{limit}");
}

#[test]
fn an_interval_without_an_upper_end_says_none() {
    // So few trials bound no 99th percentile from above.
    let more = ["--policy", "policy.yaml", "--trials", "8", "--max-trials", "8"];
    let (report, text) = checked(&more);
    assert!(!text.contains("e308") && !text.contains("1.797"), "{text}");
    let metric = report["verdict"]["rules"][0]["metrics"][0].as_object().unwrap();
    assert!(metric.contains_key("low") && !metric.contains_key("high"), "{metric:?}");
}
