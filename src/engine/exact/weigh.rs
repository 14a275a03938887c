//! Probabilities of functions, and how they change with those of the events.

use super::bdd::Bdd;

/// Returns the probability of every node of a diagram, in its order: ends come before their nodes.
///
/// Everything added is positive, so that a probability of 1e-15 has as many right digits as one of
/// a half.
fn node_probabilities(function: &Bdd, chance: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut probabilities = vec![0.0, 1.0];
    probabilities.reserve(function.nodes().len());
    for node in function.nodes().iter().skip(2) {
        let p = chance(usize::from(node.variable));
        let (low, high) = (probabilities[node.low as usize], probabilities[node.high as usize]);
        probabilities.push((1.0 - p) * low + p * high);
    }
    // The diagram of a constant has fewer nodes than the two ends begun with.
    probabilities.truncate(function.nodes().len());
    probabilities
}

/// Returns the probability that a function is true. Linear in its nodes.
pub(super) fn function_probability(function: &Bdd, chance: impl Fn(usize) -> f64) -> f64 {
    node_probabilities(function, chance).last().copied().unwrap_or(0.0)
}

/// Returns, by event, the derivative of the probability of a function by that of the event. It is the
/// probability given the event minus the probability given its contrary (Birnbaum, "On the importance
/// of different components in a multicomponent system", 1969). Linear in the nodes: each adds how
/// likely it is reached times what its two ends differ by (Dutuit and Rauzy, "Efficient algorithms
/// to assess component and gate importance in fault tree analysis", 2001).
pub(super) fn function_derivatives(function: &Bdd, chances: &[f64]) -> Vec<f64> {
    let probabilities = node_probabilities(function, |place| chances[place]);
    let mut reached = vec![0.0; function.nodes().len()];
    let mut derivatives = vec![0.0; chances.len()];
    if let Some(root) = reached.last_mut() {
        *root = 1.0;
    }
    // From the root down, so that how often a node is reached is known before it is passed on.
    for (number, node) in function.nodes().iter().enumerate().skip(2).rev() {
        let (low, high) = (node.low as usize, node.high as usize);
        let place = usize::from(node.variable);
        let here = reached[number];
        derivatives[place] += here * (probabilities[high] - probabilities[low]);
        reached[low] += here * (1.0 - chances[place]);
        reached[high] += here * chances[place];
    }
    derivatives
}
