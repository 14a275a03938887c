//! One moment: failure, load and overload until they agree.
//!
//! Most trials settle in a few rounds, and some take hundreds. Those go on alone, so that they do
//! not keep seven others busy; a lane computed alone gives the same bits.

use super::lanes::{LANES, Lanes, Left, has};
use super::load::Loads;
use super::moment::Moment;
use super::setup::Setup;
use crate::compile::Plan;

/// So few lanes, or fewer, go on alone...
const FEW: u32 = 3;
/// ...once they have taken so many rounds.
const LONG: u32 = 4;

/// Room for one lane that takes long.
pub(super) struct Alone<'a> {
    moment: Moment<'a, 1>,
    loads: Loads<1>,
}

impl<'a> Alone<'a> {
    pub(super) fn new(plan: &'a Plan, setup: &'a Setup, cohorts: usize) -> Self {
        Self { moment: Moment::new(plan, setup, cohorts), loads: Loads::new(plan, cohorts) }
    }

    /// Takes over a lane: all that its state follows from. The state itself is computed anew.
    fn take(&mut self, from: &Moment<'a, LANES>, loads: &Loads<LANES>, lane: usize) {
        self.moment.reset();
        self.loads.reset();
        self.moment.time = [from.time[lane]];
        self.moment.lies = u8::from(has(from.lies, lane));
        let bit = |mask: &u8| u8::from(has(*mask, lane));
        copy(&mut self.moment.reaches, &from.reaches, bit);
        copy(&mut self.moment.works, &from.works, bit);
        copy(&mut self.moment.overload, &from.overload, |share| [share[lane]]);
        let entry = |(key, share): &(u32, Lanes)| (*key, [share[lane]]);
        copy(&mut self.moment.led_around, &from.led_around, |(key, share)| (*key, [share[lane]]));
        copy(&mut self.moment.switched_off, &from.switched_off, entry);
        for (mine, theirs) in self.moment.cohorts.iter_mut().zip(&from.cohorts) {
            copy(&mut mine.own_index, &theirs.own_index, |index| *index);
            copy(&mut mine.own, &theirs.own, |left| Left(left.0.map(|level| [level[lane]])));
            copy(&mut mine.floors, &theirs.floors, |(node, left)| {
                (*node, Left(left.0.map(|level| [level[lane]])))
            });
            copy(&mut mine.surge, &theirs.surge, |(node, factor)| (*node, [factor[lane]]));
            for limits in &from.setup.limits {
                *mine.failing_since_mut(limits.watched) =
                    [theirs.failing_since(limits.watched)[lane]];
            }
        }
        copy(&mut self.loads.capacity, &loads.capacity, |capacity| [capacity[lane]]);
        copy(&mut self.loads.exempt, &loads.exempt, bit);
        copy(&mut self.loads.before, &loads.before, |share| [share[lane]]);
        copy(&mut self.loads.gap, &loads.gap, |share| [share[lane]]);
        copy(&mut self.loads.part, &loads.part, |share| [share[lane]]);
        self.loads.damped = bit(&loads.damped);
    }
}

fn copy<A, B>(into: &mut Vec<A>, from: &[B], one: impl Fn(&B) -> A) {
    into.clear();
    into.extend(from.iter().map(one));
}

impl<'a> Moment<'a, LANES> {
    /// Failure, then loads, then overload, until nothing changes. Each lane stops when it has
    /// settled. `shares_of_users` weighs the cohorts.
    pub(super) fn settle(
        &mut self,
        loads: &mut Loads<LANES>,
        alone: &mut Alone<'a>,
        shares_of_users: &[Lanes],
    ) {
        self.sweep();
        if !self.plan.has_load {
            return;
        }
        let enough = |round, moving: u8| round >= LONG && moving.count_ones() <= FEW;
        let (round, moving) = self.rounds(loads, shares_of_users, 0, enough);
        if moving == 0 || round == super::load::ROUNDS {
            return;
        }
        for lane in (0..LANES).filter(|lane| has(moving, *lane)) {
            alone.take(self, loads, lane);
            alone.moment.touch_all();
            alone.moment.sweep();
            let users: Vec<[f64; 1]> = shares_of_users.iter().map(|users| [users[lane]]).collect();
            alone.moment.rounds(&mut alone.loads, &users, round, |_, _| false);
            for (service, share) in alone.moment.overload.iter().enumerate() {
                if self.overload[service][lane] != share[0] {
                    self.overload[service][lane] = share[0];
                    self.touch_service(service as u32);
                }
                loads.swings[service] |= alone.loads.swings[service] << lane;
            }
        }
        // What the lanes that went alone remember of their last rounds is not known here.
        loads.stir_all();
        self.sweep();
        self.refresh_load(loads, shares_of_users);
    }
}
