//! Boolean functions as decision diagrams, under a limit on work.

use std::rc::Rc;

use biodivine_lib_bdd::{Bdd, BddVariable, BddVariableSet, op_function};

/// A Boolean function of the events.
pub type Function = Rc<Bdd>;

/// The work that was allowed is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// How much may be done. Both count nodes and steps, never time, so that equal inputs end equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps in all: about the nodes that operations read and write. Memory stays below some 20
    /// bytes for each.
    pub steps: usize,
    /// The most nodes of one function.
    pub nodes: usize,
}

impl Limits {
    /// What may be spent without being asked: some hundredths of a second.
    pub const CHEAP: Self = Self { steps: 300_000, nodes: 30_000 };
    /// What may be spent on being asked: some seconds.
    pub const THOROUGH: Self = Self { steps: 40_000_000, nodes: 1_000_000 };
}

/// Makes functions, and counts what that takes.
pub(super) struct Workshop {
    variables: BddVariableSet,
    limits: Limits,
    left: usize,
    pub(super) no: Function,
    pub(super) yes: Function,
}

/// An operation whose pairs of nodes are more than so many times its nodes is tried out first: it
/// may take as many steps as there are pairs.
const PAIRS: usize = 16;

impl Workshop {
    pub(super) fn new(variables: usize, limits: Limits) -> Self {
        let count = u16::try_from(variables).expect("as many as the crate can number");
        let variables = BddVariableSet::new_anonymous(count);
        let (no, yes) = (Rc::new(variables.mk_false()), Rc::new(variables.mk_true()));
        Self { variables, limits, left: limits.steps, no, yes }
    }

    pub(super) fn constant(&self, value: bool) -> Function {
        if value { self.yes.clone() } else { self.no.clone() }
    }

    pub(super) fn variable(&self, place: u16) -> Function {
        Rc::new(self.variables.mk_var(BddVariable::from_index(usize::from(place))))
    }

    pub(super) fn or(&mut self, a: &Function, b: &Function) -> Result<Function, Exhausted> {
        match () {
            () if a.is_false() || b.is_true() || Rc::ptr_eq(a, b) => Ok(b.clone()),
            () if b.is_false() || a.is_true() => Ok(a.clone()),
            () => self.apply(a, b, op_function::or),
        }
    }

    pub(super) fn and(&mut self, a: &Function, b: &Function) -> Result<Function, Exhausted> {
        match () {
            () if a.is_true() || b.is_false() || Rc::ptr_eq(a, b) => Ok(b.clone()),
            () if b.is_true() || a.is_false() => Ok(a.clone()),
            () => self.apply(a, b, op_function::and),
        }
    }

    pub(super) fn without(&mut self, a: &Function, b: &Function) -> Result<Function, Exhausted> {
        match () {
            () if a.is_false() || b.is_true() || Rc::ptr_eq(a, b) => Ok(self.no.clone()),
            () if b.is_false() => Ok(a.clone()),
            () => self.apply(a, b, op_function::and_not),
        }
    }

    /// Where at least so many of these are true.
    ///
    /// # Complexity
    /// One operation for each of them and each count up to the limit.
    pub(super) fn at_least(
        &mut self,
        limit: usize,
        of: &[Function],
    ) -> Result<Function, Exhausted> {
        // By count: at least so many of those looked at.
        let mut reached = vec![self.no.clone(); limit + 1];
        reached[0] = self.yes.clone();
        for (seen, one) in of.iter().enumerate() {
            for count in (1..=limit.min(seen + 1)).rev() {
                let with = self.and(one, &reached[count - 1])?;
                reached[count] = self.or(&with, &reached[count])?;
            }
        }
        Ok(reached.swap_remove(limit))
    }

    fn apply(
        &mut self,
        a: &Function,
        b: &Function,
        operation: fn(Option<bool>, Option<bool>) -> Option<bool>,
    ) -> Result<Function, Exhausted> {
        let nodes = a.size() + b.size();
        let mut steps = nodes;
        if a.size().saturating_mul(b.size()) > PAIRS * nodes {
            let tried = Bdd::check_binary_op(self.left, a, b, operation).ok_or(Exhausted)?;
            steps += tried.1;
        }
        let made = Bdd::binary_op_with_limit(self.limits.nodes, a, b, operation);
        let made = made.ok_or(Exhausted)?;
        steps += made.size();
        self.left = self.left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(Rc::new(made))
    }
}
