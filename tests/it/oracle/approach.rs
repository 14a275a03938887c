//! How the share that a service loses to overload goes to what the loads ask for: section "One
//! moment: load travels to dependencies".

/// Less than this does not count.
pub(crate) const SETTLED: f64 = 1e-7;
/// From this round on it is looked whether what is lost swings, and what creeps leaps.
const LOOKS_FROM: usize = 8;
/// After this round all of it counts as swinging.
const SWINGS_AFTER: usize = 50;
/// After this round each step is 0.3 of the gap.
const FIXED_AFTER: usize = 100;
/// After this round it is given up.
pub(crate) const GIVEN_UP: usize = 300;

/// A service on its way.
#[derive(Clone, Debug)]
struct Service {
    before: f64,
    gap: f64,
    part: f64,
    /// The last share at which the loads asked for more, and for less, and in which round.
    more: Option<(f64, usize)>,
    less: Option<(f64, usize)>,
    /// How far apart these were when that last halved, and how many rounds ago.
    distance: f64,
    rounds: usize,
}

impl Service {
    fn new(lost: f64) -> Self {
        Self {
            before: lost,
            gap: 0.0,
            part: 0.3,
            more: None,
            less: None,
            distance: f64::INFINITY,
            rounds: 0,
        }
    }

    /// Where it goes from here; nowhere if it is at rest.
    fn next(&mut self, lost: f64, asked: f64, round: usize, swings: bool) -> Option<f64> {
        let gap = asked - lost;
        let closed = self.gap - gap;
        let last = lost - self.before;
        (self.gap, self.before) = (gap, lost);
        if gap.abs() <= SETTLED {
            return (asked == 0.0 && lost > 0.0).then_some(0.0);
        }
        let secant = (last.abs() > 1e-8).then(|| {
            let slope = closed / last;
            let creeps = last * gap > 0.0 && slope > 0.0 && slope < 0.5;
            if slope > 1.0 {
                f64::max(1.0 / slope, 0.05)
            } else if creeps {
                f64::min(1.0 / slope, f64::max(0.05 / gap.abs(), 1.0))
            } else {
                1.0
            }
        });
        if !swings {
            let part = if round >= LOOKS_FROM { secant.unwrap_or(1.0).max(1.0) } else { 1.0 };
            return Some((lost + part * gap).clamp(0.0, 1.0));
        }
        if round > FIXED_AFTER {
            return Some(lost + 0.3 * gap);
        }
        self.remember(lost, gap > 0.0, round);
        self.part = secant.unwrap_or(self.part);
        let to = lost + self.part * gap;
        let (Some((more, seen)), Some((less, seen_last))) = (self.more, self.less) else {
            return Some(to.clamp(0.0, 1.0));
        };
        if round - seen >= 12 {
            return Some(more);
        }
        if round - seen_last >= 12 {
            return Some(less);
        }
        if less - more <= SETTLED {
            return None;
        }
        let is_between = more < to && to < less;
        Some(if is_between && self.rounds < 2 { to } else { 0.5 * (more + less) })
    }

    fn remember(&mut self, lost: f64, asks_for_more: bool, round: usize) {
        if asks_for_more {
            self.more = Some((lost, round));
            self.less = self.less.filter(|(less, _)| *less > lost);
        } else {
            self.less = Some((lost, round));
            self.more = self.more.filter(|(more, _)| *more < lost);
        }
        let distance = match (self.more, self.less) {
            (Some((more, _)), Some((less, _))) => less - more,
            _ => f64::INFINITY,
        };
        if distance <= 0.5 * self.distance || distance.is_infinite() {
            (self.distance, self.rounds) = (distance, 0);
        } else {
            self.rounds += 1;
        }
    }
}

/// All services on their way.
#[derive(Clone, Debug)]
pub(crate) struct Approach {
    services: Vec<Service>,
    round: usize,
    swings: bool,
    before: Vec<f64>,
}

impl Approach {
    pub(crate) fn new(lost: &[f64]) -> Self {
        Self {
            services: lost.iter().map(|lost| Service::new(*lost)).collect(),
            round: 0,
            swings: false,
            before: lost.to_vec(),
        }
    }

    /// What is lost after one more round, and whether the rounds go on.
    pub(crate) fn next(&mut self, lost: &[f64], asked: &[f64]) -> (Vec<f64>, bool) {
        self.round += 1;
        let mut goes_on = false;
        let mut next = lost.to_vec();
        for (index, service) in self.services.iter_mut().enumerate() {
            if let Some(to) = service.next(lost[index], asked[index], self.round, self.swings) {
                next[index] = to;
                goes_on = true;
            }
        }
        let comes_back = 4.0 * farthest(&next, &self.before) <= farthest(&next, lost);
        if (self.round >= LOOKS_FROM && comes_back) || self.round >= SWINGS_AFTER {
            self.swings = true;
        }
        self.before = lost.to_vec();
        (next, goes_on && self.round < GIVEN_UP)
    }
}

/// The largest difference of two lists.
fn farthest(some: &[f64], others: &[f64]) -> f64 {
    some.iter().zip(others).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}
