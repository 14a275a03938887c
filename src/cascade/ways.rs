//! The strongest way in of every box, so that a dense picture shows one arrow for each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::report::cascade::{Arrows, BoxState, CascadeEdge, CascadeReport, EdgeKind};

/// Ways whose shares of trials differ by less than this are taken for equally strong: then the one with
/// fewer calls from the origin counts.
const SAME_STRENGTH: f64 = 0.01;

/// Returns, for each box, the index of the edge over which failure reaches it most often: none for what
/// breaks itself, and for what no edge leads to. The edges make up trees that are rooted in origins.
pub(super) fn strongest_ways(cascade: &CascadeReport) -> Vec<Option<usize>> {
    let mut leaving = vec![Vec::new(); cascade.boxes.len()];
    for (index, edge) in cascade.edges.iter().enumerate() {
        leaving[edge.from].push(index);
    }
    let mut ways = vec![None; cascade.boxes.len()];
    let mut is_placed = vec![false; cascade.boxes.len()];
    let mut open = BinaryHeap::new();
    let push_all = |open: &mut BinaryHeap<_>, from: usize, depth: usize| {
        for index in &leaving[from] {
            let edge = &cascade.edges[*index];
            // Of equal strength the fewer calls first, then the order of edges: never by chance.
            open.push((edge_strength(edge, cascade.threshold), Reverse((depth + 1, from, *index))));
        }
    };
    for (index, drawn) in cascade.boxes.iter().enumerate() {
        if drawn.state == BoxState::Origin {
            is_placed[index] = true;
            push_all(&mut open, index, 0);
        }
    }
    // As Prim's algorithm: the strongest edge from what is placed to what is not.
    while let Some((_, Reverse((depth, _, index)))) = open.pop() {
        let to = cascade.edges[index].to;
        if !is_placed[to] {
            is_placed[to] = true;
            ways[to] = Some(index);
            push_all(&mut open, to, depth);
        }
    }
    ways
}

/// Returns the strength of a way in steps: failure that propagated counts above failure that was held.
fn edge_strength(edge: &CascadeEdge, threshold: f64) -> (bool, u32) {
    let propagates = edge.passed >= threshold;
    let held = edge.held.first().map_or(0.0, |guard| guard.share);
    let share = if propagates { edge.passed } else { held };
    // In steps: differences that are noise must not choose an arrow.
    #[expect(clippy::cast_sign_loss, reason = "shares are not negative")]
    let steps = (share / SAME_STRENGTH).round() as u32;
    (propagates, steps)
}

/// Counts the calls over which failure propagates and which are nobody's strongest way in.
pub(super) fn count_further_calls(cascade: &CascadeReport, ways: &[Option<usize>]) -> usize {
    let propagates =
        |edge: &CascadeEdge| edge.kind == EdgeKind::Call && edge.passed >= cascade.threshold;
    let all = cascade.edges.iter().filter(|edge| propagates(edge)).count();
    let drawn = ways.iter().flatten().filter(|index| propagates(&cascade.edges[**index])).count();
    all - drawn
}

/// Returns a cascade in which every box shows its strongest way in only; the other calls are counted.
pub fn with_one_arrow(cascade: &CascadeReport) -> CascadeReport {
    if cascade.arrows == Arrows::One {
        return cascade.clone();
    }
    let ways = strongest_ways(cascade);
    let edges = ways.iter().flatten().map(|index| cascade.edges[*index].clone());
    CascadeReport {
        edges: edges.collect(),
        arrows: Arrows::One,
        further_calls: count_further_calls(cascade, &ways),
        ..cascade.clone()
    }
}
