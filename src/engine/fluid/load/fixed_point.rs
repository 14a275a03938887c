//! One moment: failure, load and overload until they agree.
//!
//! Most trials settle in a few rounds, and some take hundreds. Those go on alone, so that they do
//! not keep seven others busy; a lane computed alone gives the same bits.

use crate::compile::Plan;
use crate::compile::plan::DependencyId;
use crate::engine::fluid::load::spread::Loads;
use crate::engine::fluid::propagation::step_state::{Echo, Slowed, StepState};
use crate::engine::fluid::state::lanes::{LANES, Lanes, SurvivalProducts, every, has};
use crate::engine::fluid::state::plan_index::PlanIndex;
use crate::model::id::Overwrite;

/// Most lanes that continue one by one, instead of side by side.
const FEW: u32 = 3;
/// Round from which they do.
const LONG: u32 = 4;

/// Buffers for one lane that takes long to settle.
pub(crate) struct Alone<'a> {
    state: StepState<'a, 1>,
    loads: Loads<1>,
}

impl<'a> Alone<'a> {
    pub(crate) fn new(plan: &'a Plan, index_of_plan: &'a PlanIndex, cohorts: usize) -> Self {
        Self {
            state: StepState::new(plan, index_of_plan, cohorts),
            loads: Loads::new(plan, cohorts),
        }
    }

    /// Takes over a lane: all that its state follows from. The state itself is computed anew.
    fn take(&mut self, from: &StepState<'a, LANES>, loads: &Loads<LANES>, lane: usize) {
        self.state.reset();
        self.loads.reset();
        self.state.active = every::<1>();
        self.state.time = [from.time[lane]];
        self.state.corrupt_lanes = u8::from(has(from.corrupt_lanes, lane));
        let bit = |mask: &u8| u8::from(has(*mask, lane));
        copy(&mut self.state.reaches, &from.reaches, bit);
        copy(&mut self.state.works, &from.works, bit);
        copy(&mut self.state.overload, &from.overload, |share| [share[lane]]);
        let entry = |(key, share): &(DependencyId, Lanes)| (*key, [share[lane]]);
        copy(&mut self.state.waits, &from.waits, |wait| [wait[lane]]);
        copy(&mut self.state.wait_rates, &from.wait_rates, |rate| [rate[lane]]);
        copy(&mut self.state.echoes, &from.echoes, |echo| Echo {
            wait: [echo.wait[lane]],
            since: [echo.since[lane]],
        });
        copy(&mut self.state.admitted, &from.admitted, |share| [share[lane]]);
        copy(&mut self.state.messages, &from.messages, |waits| [waits[lane]]);
        copy(&mut self.state.spilled, &from.spilled, |share| [share[lane]]);
        copy(&mut self.state.refilled, &from.refilled, |seconds| [seconds[lane]]);
        copy(&mut self.state.returning, &from.returning, |(node, orders)| (*node, [orders[lane]]));
        copy(&mut self.state.bypassed, &from.bypassed, |(key, share)| (*key, [share[lane]]));
        copy(&mut self.state.switched_off, &from.switched_off, entry);
        for (mine, theirs) in self.state.cohorts.iter_mut().zip(&from.cohorts) {
            copy(&mut mine.own_index, &theirs.own_index, |index| *index);
            copy(&mut mine.own, &theirs.own, |left| {
                SurvivalProducts(left.0.map(|level| [level[lane]]))
            });
            copy(&mut mine.own_sends, &theirs.own_sends, |share| [share[lane]]);
            copy(&mut mine.floors, &theirs.floors, |(node, left)| {
                (*node, SurvivalProducts(left.0.map(|level| [level[lane]])))
            });
            copy(&mut mine.slowed, &theirs.slowed, |slowed| Slowed {
                node: slowed.node,
                share: [slowed.share[lane]],
                adds: slowed.adds,
                factor: slowed.factor,
            });
            copy(&mut mine.active_members, &theirs.active_members, |active| [active[lane]]);
            copy(&mut mine.call_times, &theirs.call_times, |(place, times)| {
                (*place, [times[lane]])
            });
            copy(&mut mine.surge, &theirs.surge, |(node, factor)| (*node, [factor[lane]]));
            for limits in &from.index_of_plan.limits {
                *mine.failing_since_mut(limits.watched) =
                    [theirs.failing_since(limits.watched)[lane]];
            }
        }
        copy(&mut self.loads.capacity, &loads.capacity, |capacity| [capacity[lane]]);
        copy(&mut self.loads.speed, &loads.speed, |speed| [speed[lane]]);
        copy(&mut self.loads.arrives, &loads.arrives, |share| [share[lane]]);
        copy(&mut self.loads.healthy, &loads.healthy, |share| [share[lane]]);
        copy(&mut self.loads.usable, &loads.usable, |capacity| [capacity[lane]]);
        copy(&mut self.loads.backlog, &loads.backlog, |backlog| [backlog[lane]]);
        copy(&mut self.loads.stuck, &loads.stuck, |stuck| [stuck[lane]]);
        copy(&mut self.loads.exempt, &loads.exempt, bit);
        copy(&mut self.loads.approaches, &loads.approaches, |approach| [approach[lane]]);
        self.loads.swings = bit(&loads.swings);
    }
}

fn copy<'a, A, B: 'a>(
    into: &mut impl Overwrite<A>,
    from: impl IntoIterator<Item = &'a B>,
    one: impl Fn(&B) -> A,
) {
    into.overwrite(from.into_iter().map(one));
}

impl<'a> StepState<'a, LANES> {
    /// Failure, then loads, then overload, until nothing changes. Each lane stops when it has
    /// settled. `shares_of_users` weighs the cohorts; only the lanes of `alive` are computed.
    pub(crate) fn settle(
        &mut self,
        loads: &mut Loads<LANES>,
        alone: &mut Alone<'a>,
        shares_of_users: &[Lanes],
        alive: u8,
    ) {
        self.active = alive;
        self.sweep();
        if !self.plan.has_load {
            return;
        }
        let enough = |round, moving: u8| round >= LONG && moving.count_ones() <= FEW;
        let (round, moving) = self.rounds(loads, shares_of_users, 0, enough);
        self.active = alive;
        // What is given up is not taken further alone either.
        if moving == 0 || round == crate::engine::fluid::load::spread::ROUNDS {
            return;
        }
        for lane in (0..LANES).filter(|lane| has(moving, *lane)) {
            alone.take(self, loads, lane);
            alone.state.touch_all();
            alone.state.sweep();
            let users: Vec<[f64; 1]> = shares_of_users.iter().map(|users| [users[lane]]).collect();
            // Counting goes on from this round, so that the lane gets the bits it would get side by
            // side.
            alone.state.rounds(&mut alone.loads, &users, round, |_, _| false);
            for (service, wait) in alone.state.waits.entries() {
                loads.backlog[service][lane] = alone.loads.backlog[service][0];
                if self.waits[service][lane] != wait[0] {
                    self.waits[service][lane] = wait[0];
                    self.touch_service(service);
                }
            }
            for (bulkhead, share) in alone.state.admitted.iter().enumerate() {
                if self.admitted[bulkhead][lane] != share[0] {
                    self.admitted[bulkhead][lane] = share[0];
                    for limited in &self.plan.bulkheads[bulkhead].calls {
                        self.touch(limited.node);
                    }
                }
            }
            for (consumer, share) in alone.state.spilled.entries() {
                if self.spilled[consumer][lane] != share[0] {
                    self.spilled[consumer][lane] = share[0];
                    self.touch_callers_of_consumer(consumer);
                }
            }
            for (service, share) in alone.state.overload.entries() {
                if self.overload[service][lane] != share[0] {
                    self.overload[service][lane] = share[0];
                    self.touch_service(service);
                }
                loads.oscillates[service] |= alone.loads.oscillates[service] << lane;
            }
        }
        // What the lanes that went alone remember of their last rounds is not known here.
        loads.mark_all_dirty();
        self.sweep();
        self.refresh_load(loads, shares_of_users);
        self.look_at_pools(loads);
    }
}
