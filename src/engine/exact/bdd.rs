//! Reduced ordered binary decision diagrams: Boolean functions in a form that only they have.
//!
//! A node asks for a variable and goes on at one of two others; every path asks for variables in
//! their order. No node has equal ends and no two nodes are equal, so that equal functions have
//! equal diagrams. Two diagrams are combined pair by pair of their nodes, each pair once (Bryant,
//! "Graph-based algorithms for Boolean function manipulation", 1986, section 4.3), and what comes
//! out is reduced on the way.

use std::collections::BTreeMap;

use super::table::Table;

/// A Boolean function.
///
/// Its nodes are listed ends first, the root last, in the order in which a walk that takes the
/// high end first leaves them: equal functions have equal lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bdd {
    nodes: Box<[Node]>,
}

/// A decision, by the truth of one variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The variable; of the two last answers, which ask for nothing, a number above all others.
    pub variable: u16,
    /// The place of the node to go on at where it is false.
    pub low: u32,
    /// Where it is true.
    pub high: u32,
}

/// The node at which a function is false.
const NO: u32 = 0;
/// The node at which it is true.
pub(super) const YES: u32 = 1;

/// The two answers, which stand first.
const ENDS: [Node; 2] = [
    Node { variable: u16::MAX, low: NO, high: NO },
    Node { variable: u16::MAX, low: YES, high: YES },
];

/// The work that was allowed is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Bdd {
    /// What is always true, or never.
    pub(super) fn constant(value: bool) -> Self {
        Self { nodes: ENDS[..=usize::from(value)].into() }
    }

    /// What is true where a variable is.
    pub(super) fn variable(variable: u16) -> Self {
        let [no, yes] = ENDS;
        Self { nodes: [no, yes, Node { variable, low: NO, high: YES }].into() }
    }

    /// Its nodes: first the one at which it is false, then the one at which it is true (unless it
    /// never is), then decisions, each after its ends; the last is where to start.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether it is never true.
    pub fn is_false(&self) -> bool {
        self.root() == NO
    }

    /// Whether it is always true.
    pub fn is_true(&self) -> bool {
        self.root() == YES
    }

    /// Returns the function that this one is where some variables are false.
    ///
    /// The new diagram is reduced, but may list its nodes in another order than [`Bdd`] promises,
    /// and with them some that nothing reaches: it is for combining, not for comparing.
    pub(super) fn restricted(&self, is_false: impl Fn(u16) -> bool) -> Self {
        let mut nodes: Vec<Node> = ENDS.to_vec();
        let mut known = BTreeMap::new();
        let mut places: Vec<u32> = vec![NO, YES];
        for node in self.nodes.iter().skip(2) {
            let (low, high) = (places[node.low as usize], places[node.high as usize]);
            places.push(if is_false(node.variable) || low == high {
                low
            } else {
                *known.entry((node.variable, low, high)).or_insert_with(|| {
                    nodes.push(Node { variable: node.variable, low, high });
                    nodes.len() as u32 - 1
                })
            });
        }
        // Nodes come after what they point at, so that nothing behind the root is part of it.
        nodes.truncate(places[self.root() as usize] as usize + 1);
        Self { nodes: nodes.into() }
    }

    fn root(&self) -> u32 {
        self.nodes.len() as u32 - 1
    }
}

/// How two functions are combined.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Or,
    And,
    AndNot,
}

impl Operation {
    /// What comes of two nodes, where one end settles it.
    #[inline]
    fn settled(self, [left, right]: [u32; 2]) -> Option<u32> {
        let (no, yes) = match self {
            Self::Or => (left == NO && right == NO, left == YES || right == YES),
            Self::And => (left == NO || right == NO, left == YES && right == YES),
            Self::AndNot => (left == NO || right == YES, left == YES && right == NO),
        };
        if yes { Some(YES) } else { no.then_some(NO) }
    }
}

/// Combines diagrams, in memory that it keeps from one time to the next.
pub(super) struct Combiner {
    /// By pair of nodes what comes of it.
    done: Table<2>,
    /// By variable and ends the node that has them.
    known: Table<3>,
    /// Pairs of which something is still to be combined, each reached from the one before.
    open: Vec<Open>,
    nodes: Vec<Node>,
}

struct Open {
    pair: [u32; 2],
    variable: u16,
    /// The pair where the variable is false.
    low: [u32; 2],
    /// What comes of the pair where it is true, once that is known.
    high: Option<u32>,
}

impl Combiner {
    pub(super) fn new() -> Self {
        let (done, known) = (Table::new(), Table::new());
        Self { done, known, open: Vec::new(), nodes: Vec::new() }
    }

    /// Combines two functions into one of at most so many nodes. A step is taken from those left
    /// for each pair of nodes and each node made; that bounds time and memory.
    ///
    /// Without recursion, since diagrams are as deep as there are variables.
    pub(super) fn combine(
        &mut self,
        operation: Operation,
        of: [&Bdd; 2],
        most_nodes: usize,
        steps: &mut usize,
    ) -> Result<Bdd, Exhausted> {
        self.done.clear();
        self.known.clear();
        self.open.clear();
        self.nodes.clear();
        self.nodes.extend(ENDS);
        let mut pair = of.map(Bdd::root);
        'pairs: loop {
            let found = operation.settled(pair).or_else(|| self.done.get(pair));
            let Some(mut found) = found else {
                take(steps)?;
                pair = self.split(pair, of);
                continue;
            };
            // What is known now may be all that others waited for.
            while let Some(open) = self.open.last_mut() {
                let Some(high) = open.high else {
                    open.high = Some(found);
                    pair = open.low;
                    continue 'pairs;
                };
                let node = Node { variable: open.variable, low: found, high };
                let pair = open.pair;
                found = self.node(node, most_nodes, steps)?;
                self.done.get_or_insert(pair, found);
                self.open.pop();
            }
            // The root was made last, or is an end; of what is never true the other end goes.
            let all = if found == NO { &ENDS[..1] } else { &self.nodes };
            return Ok(Bdd { nodes: all.into() });
        }
    }

    /// Leaves a pair open, and goes on where its first variable is true.
    fn split(&mut self, pair: [u32; 2], of: [&Bdd; 2]) -> [u32; 2] {
        let (left, right) = (of[0].nodes[pair[0] as usize], of[1].nodes[pair[1] as usize]);
        let variable = left.variable.min(right.variable);
        let (mut low, mut high) = (pair, pair);
        if left.variable == variable {
            (low[0], high[0]) = (left.low, left.high);
        }
        if right.variable == variable {
            (low[1], high[1]) = (right.low, right.high);
        }
        self.open.push(Open { pair, variable, low, high: None });
        high
    }

    /// The one node that decides so: an old one, or none but its end, or a new one.
    fn node(&mut self, it: Node, most: usize, steps: &mut usize) -> Result<u32, Exhausted> {
        if it.low == it.high {
            return Ok(it.low);
        }
        let new = self.nodes.len() as u32;
        let known = self.known.get_or_insert([u32::from(it.variable), it.low, it.high], new);
        if known == new {
            // Nodes are numbered with 32 bits, the last of which is none.
            if self.nodes.len() >= most.min(u32::MAX as usize - 1) {
                return Err(Exhausted);
            }
            take(steps)?;
            self.nodes.push(it);
        }
        Ok(known)
    }
}

fn take(steps: &mut usize) -> Result<(), Exhausted> {
    *steps = steps.checked_sub(1).ok_or(Exhausted)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PLENTY: usize = 1_000_000;
    const VARIABLES: u16 = 6;

    fn combine(operation: Operation, left: &Bdd, right: &Bdd) -> Bdd {
        Combiner::new().combine(operation, [left, right], PLENTY, &mut { PLENTY }).unwrap()
    }

    /// Whether a function is true in a world, whose bits are the variables.
    fn is_true_in(function: &Bdd, world: u64) -> bool {
        let mut at = function.root();
        while at > YES {
            let node = function.nodes[at as usize];
            at = if world >> node.variable & 1 == 1 { node.high } else { node.low };
        }
        at == YES
    }

    /// By world one bit.
    fn truths(function: &Bdd) -> u64 {
        (0..64).filter(|world| is_true_in(function, *world)).map(|world| 1 << world).sum()
    }

    fn assert_reduced(function: &Bdd) {
        let decisions = function.nodes.iter().enumerate().skip(2);
        let mut seen = BTreeSet::new();
        for (place, node) in decisions {
            assert!(node.low != node.high, "{function:?}");
            for end in [node.low, node.high] {
                assert!((end as usize) < place, "{function:?}");
                assert!(node.variable < function.nodes[end as usize].variable, "{function:?}");
            }
            assert!(seen.insert((node.variable, node.low, node.high)), "{function:?}");
        }
    }

    /// Functions of six variables with their truths: each but the first combines two before it.
    fn functions(steps: &[(u8, usize, usize)]) -> Vec<(Bdd, u64)> {
        let mut all = vec![(Bdd::constant(false), 0), (Bdd::constant(true), u64::MAX)];
        for variable in 0..VARIABLES {
            let it = Bdd::variable(variable);
            let truths = truths(&it);
            all.push((it, truths));
        }
        for (operation, left, right) in steps {
            let (left, right) = (&all[left % all.len()], &all[right % all.len()]);
            all.push(match operation {
                0 => (combine(Operation::Or, &left.0, &right.0), left.1 | right.1),
                1 => (combine(Operation::And, &left.0, &right.0), left.1 & right.1),
                _ => (combine(Operation::AndNot, &left.0, &right.0), left.1 & !right.1),
            });
        }
        all
    }

    proptest! {
        #[test]
        fn combined_functions_are_true_where_they_should_be_and_equal_only_if_they_are(
            steps in prop::collection::vec((0_u8..3, 0_usize..1_000, 0_usize..1_000), 0..40),
        ) {
            let all = functions(&steps);
            for (function, expected) in &all {
                prop_assert_eq!(truths(function), *expected);
                assert_reduced(function);
                prop_assert_eq!(function.is_false(), *expected == 0);
                prop_assert_eq!(function.is_true(), *expected == u64::MAX);
            }
            for (function, expected) in &all {
                for variable in 0..VARIABLES {
                    // Both halves of the truths as those where the variable is false.
                    let no = truths(&Bdd::variable(variable));
                    let low = expected & !no;
                    let restricted = function.restricted(|it| it == variable);
                    prop_assert_eq!(truths(&restricted), low | low << (1 << variable));
                }
            }
            for (one, truths) in &all {
                for (other, others) in &all {
                    prop_assert_eq!(one == other, truths == others);
                }
            }
        }
    }

    /// Where some variable is true together with the one so many places later: two to that power
    /// of nodes.
    fn far_pairs(distance: u16, most_nodes: usize, steps: &mut usize) -> Result<Bdd, Exhausted> {
        let mut combiner = Combiner::new();
        let mut all = Bdd::constant(false);
        for variable in 0..distance {
            let pair = [variable, variable + distance].map(Bdd::variable);
            let both = combiner.combine(Operation::And, [&pair[0], &pair[1]], most_nodes, steps)?;
            all = combiner.combine(Operation::Or, [&all, &both], most_nodes, steps)?;
        }
        Ok(all)
    }

    #[test]
    fn a_function_has_as_many_nodes_as_allowed_and_no_more() {
        let nodes = far_pairs(8, PLENTY, &mut { PLENTY }).unwrap().nodes.len();
        assert_eq!(nodes, 1 << 9);
        assert!(far_pairs(8, nodes, &mut { PLENTY }).is_ok());
        assert_eq!(far_pairs(8, nodes - 1, &mut { PLENTY }), Err(Exhausted));
    }

    #[test]
    fn steps_are_pairs_and_nodes_made_and_are_not_exceeded() {
        let [a, b] = [0, 1].map(Bdd::variable);
        let mut left = 100;
        let both = Combiner::new().combine(Operation::And, [&a, &b], PLENTY, &mut left).unwrap();
        // The two roots, and yes with the second; as many nodes.
        assert_eq!((left, both.nodes.len()), (100 - 4, 4));
        let mut left = PLENTY;
        far_pairs(8, PLENTY, &mut left).unwrap();
        let needed = PLENTY - left;
        assert!(far_pairs(8, PLENTY, &mut { needed }).is_ok());
        assert_eq!(far_pairs(8, PLENTY, &mut { needed - 1 }), Err(Exhausted));
        let mut left = 50_000;
        assert_eq!(far_pairs(32, PLENTY, &mut left), Err(Exhausted));
        assert_eq!(left, 0);
    }

    #[test]
    fn diagrams_may_be_as_deep_as_there_are_variables() {
        let depth = 20_000;
        let mut all: Vec<Bdd> = (0..depth).map(Bdd::variable).collect();
        while all.len() > 1 {
            let halves = all.chunks(2).map(|pair| match pair {
                [left, right] => combine(Operation::Or, left, right),
                one => one[0].clone(),
            });
            all = halves.collect();
        }
        let any = all.pop().unwrap();
        assert_eq!(any.nodes.len(), 2 + usize::from(depth));
        let without_last = combine(Operation::AndNot, &any, &Bdd::variable(depth - 1));
        assert_eq!(without_last.nodes.len(), 2 + usize::from(depth));
        assert!(combine(Operation::AndNot, &any, &any).is_false());
    }
}
