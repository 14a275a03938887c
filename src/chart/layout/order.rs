//! In which order the things of a row stand, so that few links cross: by the mean place of what they
//! are linked to, back and forth (Sugiyama, Tagawa and Toda 1981), and then by swapping neighbours.

use super::layered::Thing;
use crate::sort::Arrange as _;

/// Beyond so many things neighbours are not swapped: it would take long, and show little.
const SWAPPED_MAX: usize = 2000;

/// Puts each row in order.
pub(super) fn order_rows(things: &[Thing], rows: &mut [Vec<usize>]) {
    // Each pass takes time in proportion to the picture, so large ones get fewer.
    let passes = match things.len() {
        0..=3000 => 16,
        3001..=20_000 => 6,
        _ => 2,
    };
    let mut at = places_in_rows(things.len(), rows);
    // A pass may make things worse, so the best order is kept.
    let mut best = (count_crossings(things, rows, &at), rows.to_vec());
    for pass in 0..passes {
        if best.0 == 0 {
            break;
        }
        // Down and up in turn: each pass looks at one side of a row only.
        if pass % 2 == 0 {
            for row in 1..rows.len() {
                by_means(&mut rows[row], &mut at, |node| &things[node].before);
            }
        } else {
            for row in (0..rows.len().saturating_sub(1)).rev() {
                by_means(&mut rows[row], &mut at, |node| &things[node].after);
            }
        }
        if things.len() <= SWAPPED_MAX {
            swap_neighbours(things, rows, &mut at);
        }
        let found = count_crossings(things, rows, &at);
        if found < best.0 {
            best = (found, rows.to_vec());
        }
    }
    rows.clone_from_slice(&best.1);
}

fn places_in_rows(things: usize, rows: &[Vec<usize>]) -> Vec<usize> {
    let mut at = vec![0; things];
    for row in rows {
        for (place, node) in row.iter().enumerate() {
            at[*node] = place;
        }
    }
    at
}

fn by_means<'a>(row: &mut [usize], at: &mut [usize], linked: impl Fn(usize) -> &'a [(usize, f64)]) {
    let mut keys: Vec<(f64, usize, usize)> = row
        .iter()
        .map(|node| {
            let linked = linked(*node);
            let sum: f64 = linked.iter().map(|(other, _)| at[*other] as f64).sum();
            // A thing without links on this side stays where it is.
            let mean = if linked.is_empty() { at[*node] as f64 } else { sum / linked.len() as f64 };
            (mean, at[*node], *node)
        })
        .collect();
    // Ties keep their order, so the result does not depend on the sort.
    keys.arrange_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for (place, (slot, (_, _, node))) in row.iter_mut().zip(keys).enumerate() {
        *slot = node;
        at[node] = place;
    }
}

/// Swaps neighbours wherever that saves crossings, a few times over.
fn swap_neighbours(things: &[Thing], rows: &mut [Vec<usize>], at: &mut [usize]) {
    for _ in 0..4 {
        let mut has_swapped = false;
        for row in rows.iter_mut() {
            for place in 1..row.len() {
                let (a, b) = (row[place - 1], row[place]);
                let (a, b) = (&things[a], &things[b]);
                let now = crossings_between(&a.before, &b.before, at)
                    + crossings_between(&a.after, &b.after, at);
                let then = crossings_between(&b.before, &a.before, at)
                    + crossings_between(&b.after, &a.after, at);
                if then < now {
                    row.swap(place - 1, place);
                    at[row[place - 1]] = place - 1;
                    at[row[place]] = place;
                    has_swapped = true;
                }
            }
        }
        if !has_swapped {
            break;
        }
    }
}

/// How many links of two neighbours cross, `a` standing before `b`.
fn crossings_between(a: &[(usize, f64)], b: &[(usize, f64)], at: &[usize]) -> usize {
    let behind = |of_a: usize| b.iter().filter(|(of_b, _)| at[*of_b] < of_a).count();
    a.iter().map(|(of_a, _)| behind(at[*of_a])).sum()
}

/// How many links cross in all, counted row by row as inversions (Barth, Jünger and Mutzel 2002).
pub(super) fn count_crossings(things: &[Thing], rows: &[Vec<usize>], at: &[usize]) -> usize {
    let mut all = 0;
    for pair in rows.windows(2) {
        let mut tree = vec![0_usize; pair[1].len() + 1];
        let mut seen = 0;
        for node in &pair[0] {
            let mut ends: Vec<usize> =
                things[*node].after.iter().map(|(other, _)| at[*other]).collect();
            ends.sort_unstable();
            // All ends of one node are counted before any of them is added: links of one node do
            // not cross.
            for end in &ends {
                all += seen - prefix_sum(&tree, *end);
            }
            for end in &ends {
                add_at(&mut tree, *end);
            }
            seen += ends.len();
        }
    }
    all
}

/// How many were added at places up to this one.
fn prefix_sum(tree: &[usize], place: usize) -> usize {
    let (mut index, mut sum) = (place + 1, 0);
    while index > 0 {
        sum += tree[index];
        index &= index - 1;
    }
    sum
}

fn add_at(tree: &mut [usize], place: usize) {
    let mut index = place + 1;
    while index < tree.len() {
        tree[index] += 1;
        index += index & index.wrapping_neg();
    }
}
