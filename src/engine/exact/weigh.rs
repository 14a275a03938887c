//! Probabilities of functions, and how they change with those of the events.

use biodivine_lib_bdd::Bdd;

/// The probability of every node of a diagram, in its order: nodes come after what they point at.
///
/// Everything added is positive, so that a probability of 1e-15 has as many right digits as one of
/// a half.
fn nodes(function: &Bdd, chance: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut probabilities = Vec::with_capacity(function.size());
    for pointer in function.pointers() {
        let probability = if pointer.is_terminal() {
            if pointer.is_one() { 1.0 } else { 0.0 }
        } else {
            let p = chance(function.var_of(pointer).to_index());
            let low: f64 = probabilities[function.low_link_of(pointer).to_index()];
            let high: f64 = probabilities[function.high_link_of(pointer).to_index()];
            (1.0 - p) * low + p * high
        };
        probabilities.push(probability);
    }
    probabilities
}

/// The probability that a function is true. Linear in its nodes.
pub(super) fn probability(function: &Bdd, chance: impl Fn(usize) -> f64) -> f64 {
    nodes(function, chance).last().copied().unwrap_or(0.0)
}

/// By event: the derivative of the probability that a function is true by that of the event, which
/// is what certainty of the event adds over certainty of the contrary (Birnbaum, "On the importance
/// of different components in a multicomponent system", 1969). Linear in the nodes: each adds how
/// likely it is reached times what its two ends differ by (Dutuit and Rauzy, "Efficient algorithms
/// to assess component and gate importance in fault tree analysis", 2001).
pub(super) fn derivatives(function: &Bdd, chances: &[f64]) -> Vec<f64> {
    let probabilities = nodes(function, |place| chances[place]);
    let mut reached = vec![0.0; function.size()];
    let mut derivatives = vec![0.0; chances.len()];
    if let Some(root) = reached.last_mut() {
        *root = 1.0;
    }
    let all: Vec<_> = function.pointers().collect();
    for pointer in all.into_iter().rev().filter(|pointer| !pointer.is_terminal()) {
        let (low, high) = (function.low_link_of(pointer), function.high_link_of(pointer));
        let place = function.var_of(pointer).to_index();
        let here = reached[pointer.to_index()];
        let (low, high) = (low.to_index(), high.to_index());
        derivatives[place] += here * (probabilities[high] - probabilities[low]);
        reached[low] += here * (1.0 - chances[place]);
        reached[high] += here * chances[place];
    }
    derivatives
}
