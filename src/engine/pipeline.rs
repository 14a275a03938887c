//! The pipeline of a call where every share of requests is 0 or 1, once for all that run it.
//!
//! A state is then a set of trials. The Boolean engine has lanes of vectors for sets, the exact engine
//! decision diagrams, and eligibility no more than whether a set may hold any trial at all.

use crate::compile::plan::{Buffer, Cache, Call, DependencyId, Fallback, NodeId, Plan};
use crate::engine::tally::Protection;

/// State of a node or a call as four sets of trials, no two of which hold the same trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateSets<S> {
    pub(super) slow: S,
    pub(super) down: S,
    pub(super) corrupt: S,
    pub(super) degraded: S,
}

impl<S: Copy> StateSets<S> {
    /// Returns the state that is ok in every trial, given the empty set.
    #[inline(always)]
    pub(super) fn all_ok(none: S) -> Self {
        Self { slow: none, down: none, corrupt: none, degraded: none }
    }
}

/// Sets of trials, and what the steps of a call ask of the engine that has them.
///
/// Operations may fail, because diagrams grow beyond every limit; where they cannot, `Error` is
/// [`std::convert::Infallible`], and nothing is left of it in the machine code.
pub(super) trait CallContext {
    /// A set of trials.
    type Set: Copy;
    /// Why an operation may fail.
    type Error;
    /// The members of an `any_of` that are lost, so far.
    type Losses;

    fn plan(&self) -> &Plan;
    fn none(&self) -> Self::Set;
    fn all(&self) -> Self::Set;
    fn and(&mut self, a: Self::Set, b: Self::Set) -> Result<Self::Set, Self::Error>;
    fn or(&mut self, a: Self::Set, b: Self::Set) -> Result<Self::Set, Self::Error>;
    /// Returns the trials of `a` that are not in `b`.
    fn without(&mut self, a: Self::Set, b: Self::Set) -> Result<Self::Set, Self::Error>;

    /// Returns the state of a node.
    fn node_state(&mut self, node: NodeId) -> Result<StateSets<Self::Set>, Self::Error>;
    /// Returns the trials in which a node is slow, down or corrupt.
    fn node_failures(&mut self, node: NodeId) -> Self::Set;
    /// Returns the state of a member as this call sees it; another one than that of the node where the
    /// dependency itself is broken.
    fn called_state(
        &mut self,
        call: &Call,
        node: NodeId,
    ) -> Result<StateSets<Self::Set>, Self::Error> {
        let _ = call;
        self.node_state(node)
    }
    /// Returns the trials in which a member fails as this call sees it.
    fn called_failures(&mut self, call: &Call, node: NodeId) -> Self::Set {
        let _ = call;
        self.node_failures(node)
    }
    /// Returns the trials in which a call fails.
    fn failures(&mut self, state: &StateSets<Self::Set>) -> Result<Self::Set, Self::Error> {
        let unanswered = self.or(state.slow, state.down)?;
        self.or(unanswered, state.corrupt)
    }

    /// Returns whether nothing is felt behind a buffer. In a snapshot a failing dependency has been
    /// failing for no time at all, so any buffer still holds.
    #[inline(always)]
    fn still_holds(&self, buffer: &Buffer) -> bool {
        buffer.holds > 0.0
    }

    /// Returns the losses of so many members, none of which is lost yet.
    fn no_losses(&self, members: usize) -> Self::Losses;
    fn add_loss(&mut self, losses: &mut Self::Losses, lost: Self::Set);
    /// Returns the trials in which at least so many members are lost.
    fn at_least(&mut self, losses: &Self::Losses, count: u32) -> Result<Self::Set, Self::Error>;

    /// Returns the trials of `down` in which the fallback of a dependency works.
    fn fallback_successes(
        &mut self,
        dependency: DependencyId,
        down: Self::Set,
    ) -> Result<Self::Set, Self::Error>;
    /// Returns the trials in which failure of a dependency propagates to the caller; `None` for all.
    fn propagating(
        &mut self,
        dependency: DependencyId,
        state: &StateSets<Self::Set>,
    ) -> Result<Option<Self::Set>, Self::Error>;

    /// Receives the state of one called member before any step.
    #[inline(always)]
    fn observe_member(&mut self, _raw: &StateSets<Self::Set>) {}
    /// Receives the state after the step that belongs to a protection.
    #[inline(always)]
    fn observe_step(&mut self, _guard: Protection, _state: &StateSets<Self::Set>) {}
}

/// Runs steps 0 to 8 of a call: from the states of what it calls to the state that its caller sees.
#[inline(always)]
pub(super) fn run_pipeline<C: CallContext>(
    context: &mut C,
    call: &Call,
) -> Result<StateSets<C::Set>, C::Error> {
    let none = context.none();
    let mut state = if call.any_of {
        evaluate_any_of(context, call)?
    } else {
        let node = context.plan().members_of(call)[0].node;
        evaluate_member(context, call, node)?
    };
    let mut is_soft = call.soft;
    if let Some(buffer) = call.buffer() {
        let felt = if context.still_holds(buffer) {
            none
        } else if call.any_of {
            context.failures(&state)?
        } else {
            let node = context.plan().members_of(call)[0].node;
            context.called_failures(call, node)
        };
        state = restrict_to(context, &state, felt)?;
        context.observe_step(Protection::Buffer, &state);
        is_soft = buffer.drops;
    }
    apply_fallback(context, call, &mut state)?;
    context.observe_step(Protection::Fallback, &state);
    if is_soft {
        let lost = context.or(state.down, state.corrupt)?;
        state.degraded = context.or(state.degraded, lost)?;
        (state.down, state.corrupt) = (none, none);
        context.observe_step(Protection::Soft, &state);
    }
    if call.probability < 1.0 {
        // No share is between 0 and 1: the call is never made.
        state = StateSets::all_ok(none);
        context.observe_step(Protection::CallProbability, &state);
    }
    if let Some(reaches) = context.propagating(call.dependency, &state)? {
        state = restrict_to(context, &state, reaches)?;
        context.observe_step(Protection::Propagation, &state);
    }
    Ok(state)
}

/// Returns a state in the trials of a set, and ok in all others.
#[inline(always)]
fn restrict_to<C: CallContext>(
    context: &mut C,
    state: &StateSets<C::Set>,
    trials: C::Set,
) -> Result<StateSets<C::Set>, C::Error> {
    Ok(StateSets {
        slow: context.and(state.slow, trials)?,
        down: context.and(state.down, trials)?,
        corrupt: context.and(state.corrupt, trials)?,
        degraded: context.and(state.degraded, trials)?,
    })
}

/// Runs steps 0 to 4 for one member. Retries never change a share that is 0 or 1.
#[inline(always)]
fn evaluate_member<C: CallContext>(
    context: &mut C,
    call: &Call,
    node: NodeId,
) -> Result<StateSets<C::Set>, C::Error> {
    let none = context.none();
    let mut state = context.called_state(call, node)?;
    context.observe_member(&state);
    if call.soft {
        state.degraded = none;
    }
    if call.gives_up {
        (state.down, state.slow) = (context.or(state.down, state.slow)?, none);
    }
    if call.validates {
        (state.down, state.corrupt) = (context.or(state.down, state.corrupt)?, none);
    }
    if call.retries > 0 {
        context.observe_step(Protection::Retry, &state);
    }
    if let Some(cache) = call.cache() {
        let answers = cache_answers(context, call, cache, node)?;
        state.slow = context.without(state.slow, answers)?;
        state.down = context.without(state.down, answers)?;
        if cache.keeps_out_corrupt() {
            state.corrupt = context.without(state.corrupt, answers)?;
        }
        context.observe_step(Protection::Cache, &state);
    }
    Ok(state)
}

/// Returns the trials in which a cache answers.
#[inline(always)]
fn cache_answers<C: CallContext>(
    context: &mut C,
    call: &Call,
    cache: &Cache,
    node: NodeId,
) -> Result<C::Set, C::Error> {
    let mut answers = if cache.hit_ratio < 1.0 {
        context.none()
    } else if cache.ttl > 0.0 {
        context.all()
    } else {
        // With a time to live of zero the first failure empties the cache.
        let failing = context.called_failures(call, node);
        let all = context.all();
        context.without(all, failing)?
    };
    if let Some(node) = cache.node {
        let lost = context.node_failures(node);
        answers = context.without(answers, lost)?;
    }
    Ok(answers)
}

/// Returns the trials in which fewer members are up than needed. Members of a Boolean plan fail fast or
/// not at all.
#[inline(always)]
fn evaluate_any_of<C: CallContext>(
    context: &mut C,
    call: &Call,
) -> Result<StateSets<C::Set>, C::Error> {
    let members = context.plan().members_of(call).len();
    let mut losses = context.no_losses(members);
    for index in 0..members {
        let node = context.plan().members_of(call)[index].node;
        let member = evaluate_member(context, call, node)?;
        context.add_loss(&mut losses, member.down);
    }
    let down = context.at_least(&losses, members as u32 - call.needs + 1)?;
    let state = StateSets { down, ..StateSets::all_ok(context.none()) };
    context.observe_step(Protection::Redundancy, &state);
    Ok(state)
}

/// Runs step 6: the fallback answers where the call fails fast.
#[inline(always)]
fn apply_fallback<C: CallContext>(
    context: &mut C,
    call: &Call,
    state: &mut StateSets<C::Set>,
) -> Result<(), C::Error> {
    if call.fallback() == Fallback::None {
        return Ok(());
    }
    let caught = context.fallback_successes(call.dependency, state.down)?;
    state.down = context.without(state.down, caught)?;
    let Fallback::Node(node) = call.fallback() else {
        state.degraded = context.or(state.degraded, caught)?;
        return Ok(());
    };
    let instead = context.node_state(node)?;
    let failing = context.node_failures(node);
    let served = context.without(caught, failing)?;
    state.degraded = context.or(state.degraded, served)?;
    let corrupts = context.and(caught, instead.corrupt)?;
    state.corrupt = context.or(state.corrupt, corrupts)?;
    let fails_too = context.and(caught, instead.down)?;
    state.down = context.or(state.down, fails_too)?;
    let hangs = context.and(caught, instead.slow)?;
    if call.has_deadline {
        state.down = context.or(state.down, hangs)?;
    } else {
        state.slow = context.or(state.slow, hangs)?;
    }
    Ok(())
}
