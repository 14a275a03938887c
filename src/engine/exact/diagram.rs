//! Boolean functions as decision diagrams, under a limit on work.

use std::rc::Rc;

use super::bdd::{Bdd, Combiner, Exhausted, Operation};

/// A Boolean function of the events.
pub type Function = Rc<Bdd>;

/// How much may be done. Both count nodes and steps, never time, so that equal inputs end equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps in all: pairs of nodes that operations look at, and nodes that they write. Memory
    /// stays below some 60 bytes for each.
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
    combiner: Combiner,
    limits: Limits,
    left: usize,
    pub(super) no: Function,
    pub(super) yes: Function,
}

impl Workshop {
    pub(super) fn new(limits: Limits) -> Self {
        let [no, yes] = [false, true].map(|value| Rc::new(Bdd::constant(value)));
        Self { combiner: Combiner::new(), limits, left: limits.steps, no, yes }
    }

    pub(super) fn constant(&self, value: bool) -> Function {
        if value { self.yes.clone() } else { self.no.clone() }
    }

    pub(super) fn variable(place: u16) -> Function {
        Rc::new(Bdd::variable(place))
    }

    pub(super) fn or(&mut self, a: &Function, b: &Function) -> Result<Function, Exhausted> {
        match () {
            () if a.is_false() || b.is_true() || Rc::ptr_eq(a, b) => Ok(b.clone()),
            () if b.is_false() || a.is_true() => Ok(a.clone()),
            () => self.apply(a, b, Operation::Or),
        }
    }

    pub(super) fn and(&mut self, a: &Function, b: &Function) -> Result<Function, Exhausted> {
        match () {
            () if a.is_true() || b.is_false() || Rc::ptr_eq(a, b) => Ok(b.clone()),
            () if b.is_true() || a.is_false() => Ok(a.clone()),
            () => self.apply(a, b, Operation::And),
        }
    }

    pub(super) fn without(&mut self, a: &Function, b: &Function) -> Result<Function, Exhausted> {
        match () {
            () if a.is_false() || b.is_true() || Rc::ptr_eq(a, b) => Ok(self.no.clone()),
            () if b.is_false() => Ok(a.clone()),
            () => self.apply(a, b, Operation::AndNot),
        }
    }

    /// Returns the function that this one is where some variables are false.
    pub(super) fn restricted(
        &mut self,
        of: &Function,
        is_false: impl Fn(u16) -> bool,
    ) -> Result<Function, Exhausted> {
        self.left = self.left.checked_sub(of.nodes().len()).ok_or(Exhausted)?;
        Ok(Rc::new(of.restricted(is_false)))
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
        operation: Operation,
    ) -> Result<Function, Exhausted> {
        let made = self.combiner.combine(operation, [a, b], self.limits.nodes, &mut self.left)?;
        Ok(Rc::new(made))
    }
}
