//! The engine against single requests: small systems, written once as YAML and once as objects.
//!
//! Each test draws systems of one kind, from a fixed seed. A share may differ by 0.05, a number of orders by 15%:
//! what is compared is a model of rates with single requests, which come in bursts.

use blastwave::{Change, Simulation, Topology};

use super::draws::{Draws, Time};
use super::simulator::simulate;
use super::system::{Call, Flow, Happening, Of, Service, System};

/// How far a share may be from that of the simulated requests.
const SHARE_TOLERANCE: f64 = 0.05;

/// The failing share and the orders lost of the only flow, as the engine has them.
fn engine(topology: &str, change: &str) -> (f64, f64) {
    let topology = Topology::from_yaml(topology).expect("it is right");
    let change = Change::from_yaml(change, &topology).expect("it is right");
    let report = Simulation::new(&topology, &change).trials(50).run();
    let flow = &report.flows[0];
    (flow.failing_share, flow.orders_lost.as_ref().map_or(0.0, |lost| lost.mean))
}

/// A number between `low` and `high`, rounded as a person would write it.
fn between(draws: &mut Draws, low: f64, high: f64) -> f64 {
    ((low + (high - low) * draws.share()) * 100.0).round() / 100.0
}

#[test]
fn retries_help_as_often_as_single_attempts_succeed() {
    let mut draws = Draws::new(1);
    for _ in 0..12 {
        let share = between(&mut draws, 0.1, 0.95);
        let retries = draws.index(4);
        let (found, _) = engine(
            &format!(
                "{{version: 1, topology: t, services: {{web: {{dependencies: [{{service: db, timeout: 1s, retries: {retries}}}]}}, db: {{}}}},
                flows: {{buy: {{steps: [web], rate: 200/s}}}}}}"
            ),
            &format!("{{version: 1, change: c, kind: infrastructure, targets: [{{service: db, severity: {share}}}]}}"),
        );
        let quick = Time::Fixed(0.001);
        let system = System {
            services: vec![
                Service::new(quick).calling(Call::new(1, 1.0).retries(retries)),
                Service::new(quick),
            ],
            flows: vec![Flow::new(0, 200.0)],
            events: vec![(0.0, Happening::Fails { service: 1, share, of: Of::Attempts })],
        };
        let expected = simulate(&system, 100.0, 1).failing_share(0, 0.0, 90.0);
        assert!(
            (found - expected).abs() <= SHARE_TOLERANCE,
            "{share} {retries}: {found}, not {expected}"
        );
    }
}
