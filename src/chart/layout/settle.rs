//! Where the things of a row stand across it: as near as possible to what they are linked to, in
//! their order, none overlapping another.

use super::layered::Thing;

/// Finds the middle of each thing across its row. `gap` says how much two neighbours keep apart.
pub(super) fn settle_rows(
    things: &[Thing],
    rows: &[Vec<usize>],
    gap: impl Fn(&Thing, &Thing) -> f64,
) -> Vec<f64> {
    let offsets: Vec<Vec<f64>> = rows.iter().map(|row| least_offsets(things, row, &gap)).collect();
    let mut middles = vec![0.0; things.len()];
    for (row, offsets) in rows.iter().zip(&offsets) {
        let half = offsets.last().copied().unwrap_or(0.0) / 2.0;
        for (node, offset) in row.iter().zip(offsets) {
            middles[*node] = offset - half;
        }
    }
    let passes = if things.len() > 20_000 { 6 } else { 24 };
    for pass in 0..passes {
        for step in 0..rows.len() {
            let row = if pass % 2 == 0 { step } else { rows.len() - 1 - step };
            // The last passes look both ways, so that nothing is drawn to one side only.
            let is_last = pass + 4 >= passes;
            let (before, after) = (is_last || pass % 2 == 0, is_last || pass % 2 == 1);
            settle_row(things, &rows[row], &offsets[row], &mut middles, before, after);
        }
    }
    middles
}

/// How far each thing stands from the first of its row where all stand as close as they may.
fn least_offsets(things: &[Thing], row: &[usize], gap: impl Fn(&Thing, &Thing) -> f64) -> Vec<f64> {
    let mut at = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    for (index, node) in row.iter().enumerate() {
        if index > 0 {
            let (before, this) = (&things[row[index - 1]], &things[*node]);
            at += before.across / 2.0 + gap(before, this) + this.across / 2.0;
        }
        offsets.push(at);
    }
    offsets
}

fn settle_row(
    things: &[Thing],
    row: &[usize],
    offsets: &[f64],
    middles: &mut [f64],
    before: bool,
    after: bool,
) {
    let wishes: Vec<(f64, f64)> = row
        .iter()
        .map(|node| {
            let (mut sum, mut weight) = (0.0, 0.0);
            let thing = &things[*node];
            let before = before.then_some(&thing.before).into_iter().flatten();
            let after = after.then_some(&thing.after).into_iter().flatten();
            for (other, by) in before.chain(after) {
                sum += by * middles[*other];
                weight += by;
            }
            // A thing without neighbours stays where it is, unless others need its place.
            if weight > 0.0 { (sum / weight, weight) } else { (middles[*node], 0.01) }
        })
        .collect();
    let shifted: Vec<(f64, f64)> = wishes
        .iter()
        .zip(offsets)
        // With the least offsets taken off, keeping the order means that the sequence never falls.
        .map(|((wish, weight), offset)| (wish - offset, *weight))
        .collect();
    for ((node, place), offset) in row.iter().zip(isotonic_regression(&shifted)).zip(offsets) {
        middles[*node] = place + offset;
    }
}

/// The rising sequence with the least weighted squares of distances to the wishes: neighbours that
/// are in the wrong order get their mean (pool adjacent violators; Ayer et al. 1955).
fn isotonic_regression(wishes: &[(f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(wishes.len());
    for (wish, weight) in wishes {
        let mut pool = (*wish, *weight, 1);
        while let Some(last) = pools.last().filter(|last| last.0 > pool.0) {
            let weight = last.1 + pool.1;
            let mean = (last.0 * last.1 + pool.0 * pool.1) / weight;
            pool = (mean, weight, last.2 + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, _, count)| std::iter::repeat_n(mean, count)).collect()
}
