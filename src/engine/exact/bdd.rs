//! Reduced ordered binary decision diagrams: Boolean functions in a canonical form.
//!
//! A node tests a variable and continues at one of two others; every path tests variables in their
//! order. No node has equal ends and no two nodes are equal, so that equal functions have equal
//! diagrams (Bryant, "Graph-based algorithms for Boolean function manipulation", 1986).

/// A Boolean function.
///
/// Its nodes are listed ends first, the root last, in the order in which a walk that takes the
/// high end first leaves them: equal functions have equal lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bdd {
    nodes: Box<[BddNode]>,
}

/// A decision by the truth of one variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BddNode {
    /// The variable. The two terminal nodes, which test nothing, have a number above all others.
    pub variable: u16,
    /// Place of the node to continue at if the variable is false.
    pub low: u32,
    /// Place of the node to continue at if it is true.
    pub high: u32,
}

/// Place of the terminal node at which a function is false.
const NO: u32 = 0;
/// Place of the terminal node at which it is true.
pub(super) const YES: u32 = 1;

impl Bdd {
    /// The two terminal nodes, which come first.
    pub(super) const ENDS: [BddNode; 2] = [
        BddNode { variable: u16::MAX, low: NO, high: NO },
        BddNode { variable: u16::MAX, low: YES, high: YES },
    ];

    /// Returns the function that is always true, or never.
    pub(super) fn constant(value: bool) -> Self {
        Self { nodes: Self::ENDS[..=usize::from(value)].into() }
    }

    /// Creates a function that is not constant from its nodes in order.
    pub(super) fn from_nodes(nodes: Vec<BddNode>) -> Self {
        Self { nodes: nodes.into() }
    }

    /// Returns the nodes: first the terminal one at which the function is false, then the one at which
    /// it is true (unless it never is), then decisions, each after its ends. The last one is the root.
    pub fn nodes(&self) -> &[BddNode] {
        &self.nodes
    }

    /// Returns whether the function is never true.
    pub fn is_false(&self) -> bool {
        self.root() == NO
    }

    /// Returns whether the function is always true.
    pub fn is_true(&self) -> bool {
        self.root() == YES
    }

    fn root(&self) -> u32 {
        self.nodes.len() as u32 - 1
    }
}
