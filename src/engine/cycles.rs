//! When the rounds inside a cycle of dependencies are given up: the same for every engine.

/// How many rounds may go to and fro in a cycle of so many nodes.
///
/// 10,000, and in large cycles so many fewer that no more than 640,000 nodes are computed: with
/// wrong answers that callers notice, or breakers, a cycle need not have a fixed point.
pub(crate) fn free_rounds(nodes: usize) -> u32 {
    (640_000 / nodes.max(1)).clamp(100, 10_000) as u32
}

/// How many rounds may follow in which nothing gets better again.
pub(crate) const LAST_ROUNDS: u32 = 1_000;
