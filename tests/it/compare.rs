//! Comparisons: the same trials on every side, differences with their intervals, what only one side
//! contains.

use blastwave::analysis::compare::{Side, compare_sides};
use blastwave::analysis::{Settings, Stop};
use blastwave::compile::compile;
use blastwave::engine::{Silent, Simulator};
use blastwave::model::Seconds;
use blastwave::render;
use blastwave::report::CompareReport;
use blastwave::report::ComparedKind;
use blastwave::report::schema;
use blastwave::summary::difference::Paired;

use crate::exact::topology;
use crate::topologies::change;

const TRIALS: u64 = 2_048;

fn shipped(path: &str) -> String {
    std::fs::read_to_string(format!("{}/topologies/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn settings() -> Settings {
    Settings { stop: Stop::Trials(TRIALS), ..Settings::default() }
}

/// Compares two topologies under one change.
fn under(texts: [&str; 2], change_text: &str) -> CompareReport {
    let topologies = texts.map(topology);
    let changes = [0, 1].map(|side| change(&topologies[side], change_text));
    let side = |at: usize| Side {
        name: ["a", "b"][at].to_owned(),
        topology: &topologies[at],
        change: &changes[at],
    };
    let report =
        compare_sides(&[side(0), side(1)], ComparedKind::Topologies, &[], &settings(), &Silent);
    let json = serde_json::to_value(&report).unwrap();
    let schema = serde_json::from_str(schema::COMPARE).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &json) {
        panic!("{error}");
    }
    report
}

#[test]
fn a_topology_is_identical_to_itself() {
    let text = shipped("webshop.yaml");
    let report = under([&text, &text], &shipped("changes/webshop/payments-v4.yaml"));
    let pair = &report.pairs[0];
    assert!(pair.identical && pair.verdict.contains("identical"), "{}", pair.verdict);
    let widths =
        pair.flows.iter().flat_map(|flow| [flow.failed, flow.degraded, flow.failing_share]);
    for width in widths.chain([pair.total.difference]) {
        assert_eq!((width.value, width.low, width.high), (0.0, 0.0, 0.0));
    }
    assert!(pair.services.is_empty() && pair.single_points_gained.is_empty());
}

#[test]
fn a_changed_edge_is_seen_five_times_more_sharply_with_the_same_draws() {
    let before = shipped("webshop.yaml");
    let edge = "{ service: fraud-check, criticality: soft, timeout: 700ms";
    assert!(before.contains(edge), "the edge that is changed");
    let after = before.replace(
        edge,
        "{ service: fraud-check, criticality: soft, timeout: none, propagation: 25%",
    );
    let topologies = [topology(&before), topology(&after)];
    let text = shipped("changes/webshop/payments-v4.yaml");
    let plans = topologies
        .each_ref()
        .map(|each_ref| compile(each_ref, &change(each_ref, &text), Seconds::ZERO));
    let lost = plans.each_ref().map(|plan| {
        let mut all = Vec::new();
        Simulator::new(plan, 1).each_outcome(0..TRIALS, &Silent, |outcome| {
            for trial in 0..64 {
                all.push(outcome.flows.iter().map(|flow| flow.lost[trial]).sum::<f64>());
            }
        });
        all
    });
    let mut paired = Paired::default();
    lost[0].iter().zip(&lost[1]).for_each(|(a, b)| paired.add_trial(*a, *b));
    let width =
        |difference: blastwave::summary::paired::PairedDifference| difference.high - difference.low;
    let (with, without) = (width(paired.mean_difference()), width(paired.unpaired_difference()));
    assert!(with > 0.0, "the edge matters in some trial");
    assert!(without > 5.0 * with, "{without} against {with}");
}

#[test]
fn a_split_database_confines_a_schema_change_and_adds_single_points() {
    let report = under(
        [
            &shipped("comparisons/monolith-database.yaml"),
            &shipped("comparisons/split-database.yaml"),
        ],
        &shipped("comparisons/changes/orders-schema.yaml"),
    );
    let pair = &report.pairs[0];
    let flow = |name: &str| pair.flows.iter().find(|flow| flow.name == name).unwrap();
    assert!((flow("browse").failed.value + 1.0).abs() < 1e-12, "{:?}", flow("browse").failed);
    assert!((flow("sign-in").failed.value + 1.0).abs() < 1e-12);
    assert_eq!(flow("place-order").failed.value, 0.0);
    assert_eq!(pair.single_points_gained, ["accounts-db", "catalog-db"]);
    assert_eq!(pair.only_in_b, ["accounts-db", "catalog-db"]);
    let relative = pair.total.relative.unwrap();
    assert!(relative.high < -0.95 && pair.verdict.contains("fewer orders"), "{}", pair.verdict);
    assert!(pair.total.a_loses_more.p > 0.99 && pair.total.b_loses_more.p < 0.01);
}

#[test]
fn two_active_regions_save_what_a_failover_loses_three_times_in_ten() {
    let report = under(
        [&shipped("comparisons/active-passive.yaml"), &shipped("comparisons/active-active.yaml")],
        &shipped("comparisons/changes/region-a-network.yaml"),
    );
    let pair = &report.pairs[0];
    let failed = pair.flows[0].failed;
    assert!(failed.low < -0.3 && failed.high > -0.3 - 5.0 * 0.011, "{failed:?}");
    assert!((failed.value + 0.3).abs() < 5.0 * 0.011, "{failed:?}");
    assert!(
        pair.only_b_contains
            .iter()
            .any(|only_b_contain| only_b_contain.caller == "edge" && !only_b_contain.in_both)
    );
}

#[test]
fn a_cell_loses_a_quarter_of_what_one_region_loses() {
    let report = under(
        [&shipped("comparisons/one-region.yaml"), &shipped("comparisons/cells.yaml")],
        &shipped("comparisons/changes/orders-v7.yaml"),
    );
    let relative = report.pairs[0].total.relative.unwrap();
    assert!((relative.value + 0.75).abs() < 1e-9, "{relative:?}");
}

#[test]
fn plans_for_one_topology_are_compared_in_the_same_worlds() {
    let shop = topology(&shipped("comparisons/one-region.yaml"));
    let text = shipped("comparisons/changes/orders-v7.yaml");
    let staged = format!(
        "{text}rollout: {{ stages: [{{ exposure: 5%, bake: 30m, catch_probability: 80% }}, {{ exposure: 100% }}] }}\n"
    );
    let changes = [change(&shop, &text), change(&shop, &staged)];
    let side = |at: usize| Side {
        name: ["at-once", "canary"][at].to_owned(),
        topology: &shop,
        change: &changes[at],
    };
    let report =
        compare_sides(&[side(0), side(1)], ComparedKind::Changes, &[], &settings(), &Silent);
    let pair = &report.pairs[0];
    assert!(pair.total.relative.unwrap().high < -0.5, "{:?}", pair.total);
    assert!(pair.verdict.starts_with("canary loses"), "{}", pair.verdict);
    let style = render::text::TextStyle { width: 80, ascii: true, color: false };
    let said = render::text::render_comparison(&report, &style);
    assert!(said.lines().all(|line| line.len() <= 80), "{said}");
    let markdown = render::markdown::render_comparison(&report);
    assert!(markdown.starts_with("**canary loses"), "{markdown}");
}
