//! All decision diagrams of a computation in one place, so that equal parts stand there once.
//!
//! Equal functions are the same node: comparing two costs nothing, and what was computed once is found
//! again (Brace, Rudell and Bryant, "Efficient implementation of a BDD package", DAC 1990). Operations
//! take time in proportion to the parts that are new.

use super::bdd::{Bdd, BddNode, YES};
use super::diagram::Limits;
use super::table::HashTable;

/// A function in a store: the number of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(u32);

impl Handle {
    pub(super) const FALSE: Self = Self(0);
    pub(super) const TRUE: Self = Self(YES);
}

/// The work that was allowed is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Diagrams that share their nodes.
pub(super) struct Store {
    nodes: Vec<BddNode>,
    /// Node by variable and ends.
    known: HashTable<3>,
    /// Latest results of [`Store::if_then_else`]. A result that is overwritten is computed again.
    results: Vec<([u32; 3], u32)>,
    /// Triples of which something is still to be computed, each reached from the one before.
    open: Vec<OpenTriple>,
    steps_left: usize,
    bytes: usize,
}

struct OpenTriple {
    triple: [u32; 3],
    variable: u16,
    /// The triple where the variable is false.
    low: [u32; 3],
    /// The result where it is true, once that is known.
    high: Option<u32>,
}

/// A slot of `results` that holds none.
const NO_RESULT: ([u32; 3], u32) = ([u32::MAX; 3], 0);
/// Most slots of `results`: 64 MB.
const MOST_RESULTS: usize = 1 << 22;
/// Memory of a node: itself, and its slots in `known`, which may double before they are used.
const NODE_BYTES: usize = size_of::<BddNode>() + 4 * size_of::<([u32; 3], u32)>();

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            nodes: Bdd::ENDS.to_vec(),
            known: HashTable::new(),
            results: vec![NO_RESULT; 1 << 10],
            open: Vec::new(),
            steps_left: limits.steps,
            bytes: limits.bytes,
        }
    }

    /// Returns the function that is true where a variable is.
    pub(super) fn variable(&mut self, variable: u16) -> Result<Handle, Exhausted> {
        self.node_or_new(BddNode { variable, low: 0, high: YES }).map(Handle)
    }

    pub(super) fn or(&mut self, a: Handle, b: Handle) -> Result<Handle, Exhausted> {
        // The smaller number first, so that both orders find the same result.
        self.if_then_else(Handle(a.0.min(b.0)), Handle::TRUE, Handle(a.0.max(b.0)))
    }

    pub(super) fn and(&mut self, a: Handle, b: Handle) -> Result<Handle, Exhausted> {
        self.if_then_else(Handle(a.0.min(b.0)), Handle(a.0.max(b.0)), Handle::FALSE)
    }

    /// Returns where `a` is true and `b` is not.
    pub(super) fn without(&mut self, a: Handle, b: Handle) -> Result<Handle, Exhausted> {
        self.if_then_else(b, Handle::FALSE, a)
    }

    /// Returns the function that is `then` where `condition` is true, and `other` elsewhere. A step is
    /// taken for each triple of nodes and each node made.
    ///
    /// Without recursion, since diagrams are as deep as there are variables.
    pub(super) fn if_then_else(
        &mut self,
        condition: Handle,
        then: Handle,
        other: Handle,
    ) -> Result<Handle, Exhausted> {
        self.open.clear();
        let mut triple = [condition.0, then.0, other.0];
        'triples: loop {
            let found = settled_result(&mut triple).or_else(|| self.known_result(triple));
            let Some(mut found) = found else {
                self.take_steps(1)?;
                triple = self.split_triple(triple);
                continue;
            };
            // This may be all that others waited for.
            while let Some(open) = self.open.last_mut() {
                let Some(high) = open.high else {
                    open.high = Some(found);
                    triple = open.low;
                    continue 'triples;
                };
                let node = BddNode { variable: open.variable, low: found, high };
                let triple = open.triple;
                found = self.node_or_new(node)?;
                self.keep_result(triple, found);
                self.open.pop();
            }
            return Ok(Handle(found));
        }
    }

    /// Leaves a triple open, and continues where its first variable is true.
    fn split_triple(&mut self, triple: [u32; 3]) -> [u32; 3] {
        let nodes = triple.map(|place| self.nodes[place as usize]);
        let variable = nodes[0].variable.min(nodes[1].variable).min(nodes[2].variable);
        let (mut low, mut high) = (triple, triple);
        for (place, node) in nodes.iter().enumerate() {
            if node.variable == variable {
                (low[place], high[place]) = (node.low, node.high);
            }
        }
        self.open.push(OpenTriple { triple, variable, low, high: None });
        high
    }

    /// Returns the node that decides so: a known one, its end if both are the same, or a new one.
    fn node_or_new(&mut self, node: BddNode) -> Result<u32, Exhausted> {
        if node.low == node.high {
            return Ok(node.low);
        }
        let new = self.nodes.len() as u32;
        let known = self.known.get_or_insert([u32::from(node.variable), node.low, node.high], new);
        if known == new {
            let bytes = NODE_BYTES * self.nodes.len() + size_of_val(&*self.results);
            // The last number is kept as a mark for what is unseen.
            if bytes >= self.bytes || new == u32::MAX - 1 {
                return Err(Exhausted);
            }
            self.take_steps(1)?;
            self.nodes.push(node);
            // Grown with the nodes: small plans pay for little memory, large ones find more results
            // again.
            if self.nodes.len() > 2 * self.results.len() && self.results.len() < MOST_RESULTS {
                // Results are found again by other slots after this, or computed again.
                self.results = vec![NO_RESULT; 4 * self.results.len()];
            }
        }
        Ok(known)
    }

    fn known_result(&self, triple: [u32; 3]) -> Option<u32> {
        let (key, result) = self.results[self.slot_of(triple)];
        (key == triple).then_some(result)
    }

    fn keep_result(&mut self, triple: [u32; 3], result: u32) {
        let slot = self.slot_of(triple);
        self.results[slot] = (triple, result);
    }

    // Numbers multiplied by odd constants and folded: cheap, and spread over all slots.
    fn slot_of(&self, [a, b, c]: [u32; 3]) -> usize {
        let mixed = (u64::from(a) << 32 ^ u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 29 ^ u64::from(c)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 32) as usize & (self.results.len() - 1)
    }

    fn take_steps(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    /// Returns where at least `limit` of these functions are true.
    ///
    /// One operation for each function and count. From the function with the last variable to the one
    /// with the first, so that each is decided above all before it and takes one new node for each count.
    pub(super) fn at_least(&mut self, limit: usize, of: &[Handle]) -> Result<Handle, Exhausted> {
        let mut order: Vec<Handle> = of.to_vec();
        order.sort_by_key(|order| std::cmp::Reverse(self.nodes[order.0 as usize].variable));
        // By count: at least so many of those looked at.
        let mut reached = vec![Handle::FALSE; limit + 1];
        reached[0] = Handle::TRUE;
        for (seen, one) in order.iter().enumerate() {
            // Counts that the rest cannot raise to the limit are never asked for.
            let least = limit.saturating_sub(order.len() - seen - 1).max(1);
            for count in (least..=limit.min(seen + 1)).rev() {
                reached[count] = self.if_then_else(*one, reached[count - 1], reached[count])?;
            }
        }
        Ok(reached[limit])
    }

    /// Copies a function into the store, with some variables set to false.
    pub(super) fn import_function(
        &mut self,
        function: &Bdd,
        is_false: impl Fn(u16) -> bool,
    ) -> Result<Handle, Exhausted> {
        let mut places: Vec<u32> = vec![0, YES];
        for node in function.nodes().iter().skip(2) {
            let (low, high) = (places[node.low as usize], places[node.high as usize]);
            self.take_steps(1)?;
            places.push(if is_false(node.variable) {
                low
            } else {
                self.node_or_new(BddNode { variable: node.variable, low, high })?
            });
        }
        Ok(Handle(places[function.nodes().len() - 1]))
    }

    /// Lists the nodes of each function by itself.
    pub(super) fn export_functions(&mut self, functions: &[Handle]) -> Result<Vec<Bdd>, Exhausted> {
        const UNSEEN: u32 = u32::MAX;
        let mut places = vec![UNSEEN; self.nodes.len()];
        (places[0], places[1]) = (0, YES);
        let mut exported = Vec::with_capacity(functions.len());
        for function in functions {
            let mut listed: Vec<u32> = Vec::new();
            let mut nodes = Bdd::ENDS.to_vec();
            let mut open = vec![function.0];
            while let Some(&at) = open.last() {
                let node = self.nodes[at as usize];
                let [high, low] = [node.high, node.low].map(|end| places[end as usize]);
                if places[at as usize] != UNSEEN {
                    open.pop();
                } else if high == UNSEEN {
                    open.push(node.high);
                } else if low == UNSEEN {
                    open.push(node.low);
                } else {
                    self.take_steps(1)?;
                    places[at as usize] = nodes.len() as u32;
                    nodes.push(BddNode { variable: node.variable, low, high });
                    listed.push(at);
                }
            }
            // Only what was listed is reset, since functions share most of their nodes.
            for at in listed {
                places[at as usize] = UNSEEN;
            }
            exported.push(match *function {
                Handle::FALSE => Bdd::constant(false),
                Handle::TRUE => Bdd::constant(true),
                _ => Bdd::from_nodes(nodes),
            });
        }
        Ok(exported)
    }
}

/// Returns the result of a triple that needs no look at its nodes, and simplifies the others, so that
/// equal ones are found again.
fn settled_result(triple: &mut [u32; 3]) -> Option<u32> {
    let [condition, then, other] = triple;
    if then == condition {
        *then = YES;
    }
    if other == condition {
        *other = 0;
    }
    // The constants of logic: no look at any node is needed.
    match (*condition, *then, *other) {
        (YES, then, _) => Some(then),
        (0, _, other) => Some(other),
        (_, then, other) if then == other => Some(then),
        (condition, YES, 0) => Some(condition),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PLENTY: Limits = Limits { steps: 10_000_000, bytes: 1 << 30 };
    const VARIABLES: u16 = 6;

    /// Whether a function is true in a trial, whose bits are the variables.
    fn is_true_in(function: &Bdd, trial: u64) -> bool {
        let mut at = function.nodes().len() - 1;
        while at > YES as usize {
            let node = function.nodes()[at];
            at = (if trial >> node.variable & 1 == 1 { node.high } else { node.low }) as usize;
        }
        at == YES as usize
    }

    /// One bit by trial.
    fn truths(function: &Bdd) -> u64 {
        (0..64).filter(|trial| is_true_in(function, *trial)).map(|trial| 1 << trial).sum()
    }

    fn assert_reduced(function: &Bdd) {
        let mut seen = BTreeSet::new();
        for (place, node) in function.nodes().iter().enumerate().skip(2) {
            assert!(node.low != node.high, "{function:?}");
            for end in [node.low, node.high] {
                assert!((end as usize) < place, "{function:?}");
                assert!(node.variable < function.nodes()[end as usize].variable, "{function:?}");
            }
            assert!(seen.insert((node.variable, node.low, node.high)), "{function:?}");
        }
    }

    /// Functions of six variables with their truths: each but the first combines some before it.
    fn functions(store: &mut Store, steps: &[(u8, usize, usize, usize)]) -> Vec<(Handle, u64)> {
        let mut all = vec![(Handle::FALSE, 0), (Handle::TRUE, u64::MAX)];
        for variable in 0..VARIABLES {
            let handle = store.variable(variable).unwrap();
            let exported = store.export_functions(&[handle]).unwrap();
            all.push((handle, truths(&exported[0])));
        }
        for (operation, a, b, c) in steps {
            let [a, b, c] = [a, b, c].map(|place| all[place % all.len()]);
            all.push(match operation {
                0 => (store.or(a.0, b.0).unwrap(), a.1 | b.1),
                1 => (store.and(a.0, b.0).unwrap(), a.1 & b.1),
                2 => (store.without(a.0, b.0).unwrap(), a.1 & !b.1),
                3 => {
                    let pairs = a.1 & b.1 | b.1 & c.1 | a.1 & c.1;
                    (store.at_least(2, &[a.0, b.0, c.0]).unwrap(), pairs)
                }
                _ => (store.if_then_else(a.0, b.0, c.0).unwrap(), a.1 & b.1 | !a.1 & c.1),
            });
        }
        all
    }

    proptest! {
        #[test]
        fn functions_are_true_where_they_should_be_and_equal_only_if_they_are(
            steps in prop::collection::vec(
                (0_u8..5, 0_usize..1_000, 0_usize..1_000, 0_usize..1_000), 0..40),
        ) {
            let store = &mut Store::new(PLENTY);
            let all = functions(store, &steps);
            let handles: Vec<Handle> = all.iter().map(|(handle, _)| *handle).collect();
            let exported = store.export_functions(&handles).unwrap();
            for ((handle, expected), function) in all.iter().zip(&exported) {
                prop_assert_eq!(truths(function), *expected);
                assert_reduced(function);
                prop_assert_eq!(*handle == Handle::FALSE, *expected == 0);
                prop_assert_eq!(*handle == Handle::TRUE, *expected == u64::MAX);
                let again = store.import_function(function, |_| false).unwrap();
                prop_assert_eq!(again, *handle);
                for variable in 0..VARIABLES {
                    let where_true: u64 =
                        (0..64).filter(|trial| trial >> variable & 1 == 1).map(|trial| 1 << trial).sum();
                    let low = expected & !where_true;
                    let restricted = store.import_function(function, |store| store == variable).unwrap();
                    let restricted = store.export_functions(&[restricted]).unwrap();
                    prop_assert_eq!(truths(&restricted[0]), low | low << (1 << variable));
                }
            }
            for ((one, truths), list) in all.iter().zip(&exported) {
                for ((other, others), other_list) in all.iter().zip(&exported) {
                    prop_assert_eq!(one == other, truths == others);
                    prop_assert_eq!(list == other_list, truths == others);
                }
            }
        }
    }

    /// Where some variable is true together with the one `distance` places later: two to that power
    /// of nodes.
    fn far_pairs(distance: u16, limits: Limits) -> Result<usize, Exhausted> {
        let store = &mut Store::new(limits);
        let mut all = Handle::FALSE;
        for variable in 0..distance {
            let [a, b] = [store.variable(variable)?, store.variable(variable + distance)?];
            let both = store.and(a, b)?;
            all = store.or(all, both)?;
        }
        Ok(store.export_functions(&[all])?[0].nodes().len())
    }

    #[test]
    fn steps_and_memory_are_not_exceeded() {
        assert_eq!(far_pairs(8, PLENTY), Ok(1 << 9));
        assert_eq!(far_pairs(32, Limits { steps: 50_000, ..PLENTY }), Err(Exhausted));
        assert_eq!(far_pairs(32, Limits { bytes: 1_000_000, ..PLENTY }), Err(Exhausted));
    }

    #[test]
    fn diagrams_may_be_as_deep_as_there_are_variables() {
        let store = &mut Store::new(PLENTY);
        let depth = 20_000;
        let mut any = Handle::FALSE;
        for variable in (0..depth).rev() {
            let variable = store.variable(variable).unwrap();
            any = store.or(any, variable).unwrap();
        }
        assert_eq!(
            store.export_functions(&[any]).unwrap()[0].nodes().len(),
            2 + usize::from(depth)
        );
        let last = store.variable(depth - 1).unwrap();
        let without_last = store.without(any, last).unwrap();
        assert_eq!(
            store.export_functions(&[without_last]).unwrap()[0].nodes().len(),
            2 + usize::from(depth)
        );
        assert_eq!(store.without(any, any), Ok(Handle::FALSE));
    }

    #[test]
    fn half_of_four_hundred_takes_a_node_for_each_member_and_count() {
        let store = &mut Store::new(Limits { steps: 200_000, ..PLENTY });
        let members: Vec<Handle> =
            (0..400).map(|variable| store.variable(variable).unwrap()).collect();
        let half = store.at_least(200, &members).unwrap();
        assert_eq!(store.export_functions(&[half]).unwrap()[0].nodes().len(), 2 + 200 * 201);
    }
}
