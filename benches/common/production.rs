//! Graphs with the published degrees of two production systems.

use blastwave::model::Topology;
use blastwave::model::shipping::ShippingDefaults;
use blastwave::model::topology::Thresholds;

use super::{Numbers, hard, service, share};

/// What is known of a graph: how many services it has, and percentiles of degrees.
pub struct Shape {
    pub name: &'static str,
    pub services: u32,
    /// (share of services, at most so many dependencies).
    pub out: &'static [(f64, f64)],
    /// (share of services, at most so many callers).
    pub callers: &'static [(f64, f64)],
    /// The share of dependencies that go anywhere, so that cycles form.
    pub back: f64,
}

/// A sample of call graphs published with the Jaeger tracing project: 1,238 services, 4,271
/// dependencies, the largest cycle 356 services.
pub const JAEGER: Shape = Shape {
    name: "jaeger-1238",
    services: 1_238,
    out: &[(0.19, 0.0), (0.5, 1.0), (0.9, 9.0), (0.99, 24.0), (1.0, 83.0)],
    callers: &[(0.31, 0.0), (0.5, 1.0), (0.9, 6.0), (0.99, 43.0), (1.0, 231.0)],
    back: 0.06,
};

/// Huye et al., "Lifting the veil on Meta's microservice architecture" (USENIX ATC 2023): 18,571
/// services, about 200,000 dependencies.
pub const META: Shape = Shape {
    name: "meta-18571",
    services: 18_571,
    out: &[(0.1, 0.0), (0.5, 4.0), (0.75, 7.0), (0.9, 13.0), (0.99, 93.0), (1.0, 5_865.0)],
    callers: &[(0.27, 0.0), (0.5, 2.0), (0.9, 12.0), (0.99, 70.0), (1.0, 14_084.0)],
    back: 0.01,
};

/// A graph of a shape, or of a smaller one with the same percentiles. Dependencies mostly go to
/// services further on, chosen by how many callers they are to have; failure crosses each with a
/// chance of `propagation`.
pub fn production(shape: &Shape, services: u32, propagation: f64) -> Topology {
    let numbers = &mut Numbers::new(13);
    let mut all: Vec<_> = (0..services).map(service).collect();
    let mut until = 0.0;
    let weights: Vec<f64> = (0..services)
        .map(|_| {
            until += at(shape.callers, numbers.unit());
            until
        })
        .collect();
    for from in 0..services {
        let wanted = at(shape.out, numbers.unit()).round().min(f64::from(services) / 3.0);
        let mut called = std::collections::BTreeSet::new();
        for _ in 0..wanted as u32 {
            let after = if numbers.chance(shape.back) { 0.0 } else { weights[from as usize] };
            let point = after + numbers.unit() * (until - after);
            let on = weights.partition_point(|weight| *weight < point) as u32;
            if on != from && on < services && called.insert(on) {
                let mut edge = hard(on);
                edge.propagation = share(propagation);
                all[from as usize].dependencies.push(edge);
            }
        }
    }
    Topology {
        name: shape.name.to_owned(),
        thresholds: Thresholds::default(),
        domains: Vec::new(),
        services: all,
        flows: Vec::new(),
        shipping: ShippingDefaults::default(),
        unknown_pools: blastwave::model::topology::UnknownPools::LimitNothing,
        failing_targets_call: false,
    }
}

/// The degree at this rank between 0 and 1, on straight lines of its logarithm between percentiles.
fn at(percentiles: &[(f64, f64)], rank: f64) -> f64 {
    let mut before = (0.0, 0.0_f64);
    for (share, degree) in percentiles {
        if rank <= *share {
            let way = (rank - before.0) / (share - before.0);
            return (before.1.ln_1p() + way * (degree.ln_1p() - before.1.ln_1p())).exp_m1();
        }
        before = (*share, *degree);
    }
    before.1
}
