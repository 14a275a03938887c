//! In which row each box stands: after everything that leads to it.

use crate::sort::Arrange as _;

/// Rows for boxes of a graph without cycles, given as pairs; at most so many boxes in a row.
///
/// A box stands right after the last of those that lead to it, or in the next row with room. A box
/// that nothing leads to stands right before what it leads to.
pub(super) fn assign_ranks(boxes: usize, links: &[(usize, usize)], row_max: usize) -> Vec<usize> {
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    let mut missing = vec![0_usize; boxes];
    for (from, to) in links {
        out[*from].push(*to);
        missing[*to] += 1;
    }
    let is_start: Vec<bool> = missing.iter().map(|count| *count == 0).collect();
    let mut earliest = vec![0_usize; boxes];
    let mut ranks = vec![0_usize; boxes];
    let mut counts: Vec<usize> = Vec::new();
    // Row by row, so that what could stand early is not pushed back by what could not.
    let mut ready: Vec<usize> = (0..boxes).filter(|node| missing[*node] == 0).collect();
    while !ready.is_empty() {
        ready.arrange_by_key(|node| (earliest[*node], *node));
        for node in std::mem::take(&mut ready) {
            let mut row = earliest[node];
            // A full row pushes a box on, which is how the width is bounded.
            while counts.get(row).copied().unwrap_or(0) >= row_max.max(1) {
                row += 1;
            }
            if counts.len() <= row {
                counts.resize(row + 1, 0);
            }
            counts[row] += 1;
            ranks[node] = row;
            for to in &out[node] {
                earliest[*to] = earliest[*to].max(row + 1);
                missing[*to] -= 1;
                if missing[*to] == 0 {
                    ready.push(*to);
                }
            }
        }
    }
    // A box that nothing leads to may stand anywhere before its first successor, and close to it
    // its links are short.
    for node in (0..boxes).filter(|node| is_start[*node]) {
        let Some(next) = out[node].iter().map(|to| ranks[*to]).min() else { continue };
        let row = next - 1;
        if row > ranks[node] && counts[row] < row_max.max(1) {
            counts[ranks[node]] -= 1;
            counts[row] += 1;
            ranks[node] = row;
        }
    }
    without_gaps(ranks)
}

/// The same rows, numbered from 0 on without a gap.
fn without_gaps(ranks: Vec<usize>) -> Vec<usize> {
    let mut used: Vec<usize> = ranks.clone();
    used.sort_unstable();
    used.dedup();
    // Rows that became empty when boxes moved would leave gaps in the picture.
    let place = |rank: usize| used.binary_search(&rank).expect("it is one of them");
    ranks.into_iter().map(place).collect()
}
