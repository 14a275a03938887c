//! Answers that come late: section "One moment: answers that come late".

use blastwave::model::topology::{Latency, Queue};

use super::graph::Graph;
use super::moment::SLACK;

/// An answer that comes this much before a limit is as good as late.
pub(crate) const EDGE: f64 = 1e-6;
/// Nothing takes longer, in seconds.
const LONGEST: f64 = 1e9;

/// A share of requests that are answered later than usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) share: f64,
    /// By how many seconds.
    pub(crate) length: f64,
    /// How many times as long the answer itself takes.
    pub(crate) factor: f64,
}

/// A delay: what is not in any piece comes as usual.
pub(crate) type Delay = Vec<Piece>;

pub(crate) fn later(share: f64, length: f64) -> Piece {
    Piece { share, length, factor: 1.0 }
}

/// How answers spread in normal times; nothing where it is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual(Option<(f64, f64)>);

impl Usual {
    pub(crate) fn of(latency: Option<Latency>) -> Self {
        Self(latency.map(|latency| {
            let spread = libm::log(latency.p99.get() / latency.median.get());
            (latency.median.get(), spread / 2.326_347_874_040_840_8)
        }))
    }

    pub(crate) fn mean(self) -> f64 {
        self.0.map_or(0.0, |(median, sigma)| median * libm::exp(sigma * sigma / 2.0))
    }

    fn exceeds(self, time: f64) -> f64 {
        let Some((median, sigma)) = self.0 else { return 0.0 };
        match () {
            () if time <= 0.0 => 1.0,
            () if sigma <= 0.0 => f64::from(u8::from(median >= time)),
            () => libm::erfc(libm::log(time / median) / sigma / libm::sqrt(2.0)) / 2.0,
        }
    }
}

impl Piece {
    /// How much later than usual on average.
    pub(crate) fn mean(self, usual: Usual) -> f64 {
        (self.length + (self.factor - 1.0) * usual.mean()).min(LONGEST)
    }

    /// The share that comes after a limit, among what does not in normal times.
    pub(crate) fn beyond(self, usual: Usual, limit: f64) -> f64 {
        if limit.is_infinite() {
            return 0.0;
        }
        if self.length >= limit - EDGE || usual.exceeds(limit) >= 1.0 {
            return 1.0;
        }
        let (now, normally) =
            (usual.exceeds((limit - self.length) / self.factor), usual.exceeds(limit));
        ((now - normally) / (1.0 - normally)).max(0.0)
    }
}

/// The share of a delay that comes after a limit.
pub(crate) fn beyond(delay: &Delay, usual: Usual, limit: f64) -> f64 {
    delay.iter().map(|piece| piece.share * piece.beyond(usual, limit)).sum::<f64>().min(1.0)
}

/// The pieces in the order of their lengths, without those that are none.
fn in_order(mut delay: Delay) -> Delay {
    delay.retain(|piece| piece.share > 1e-12 && (piece.length > 0.0 || piece.factor > 1.0));
    delay.sort_by(|a, b| a.length.total_cmp(&b.length));
    delay
}

/// What parts the pieces of a node's delay.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) limits: &'a [f64],
    /// The time that a factor multiplies.
    pub(crate) usual: f64,
}

/// One piece for all that lie between the same limits.
pub(crate) fn cut(delay: Delay, bounds: Bounds<'_>) -> Delay {
    let mut groups: Vec<Delay> = vec![Delay::new(); bounds.limits.len() + 1];
    for piece in in_order(delay) {
        let length = piece.length + (piece.factor - 1.0) * bounds.usual;
        groups[bounds.limits.partition_point(|limit| *limit <= length + EDGE)].push(piece);
    }
    groups.retain(|group| !group.is_empty());
    let one = |group: Delay| {
        let share = total(&group);
        let mean = |of: fn(&Piece) -> f64| {
            group.iter().map(|piece| piece.share * of(piece)).sum::<f64>() / share
        };
        Piece { share, length: mean(|piece| piece.length), factor: mean(|piece| piece.factor) }
    };
    groups.into_iter().map(one).collect()
}

/// The delay of two things, one after the other or beside each other.
pub(crate) fn both(one: &Delay, other: &Delay, beside: bool, bounds: Bounds<'_>) -> Delay {
    let (one, other) = (cut(one.clone(), bounds), cut(other.clone(), bounds));
    let rest = |delay: &Delay| (1.0 - total(delay)).max(0.0);
    let mut all = Delay::new();
    all.extend(one.iter().map(|piece| Piece { share: piece.share * rest(&other), ..*piece }));
    all.extend(other.iter().map(|piece| Piece { share: piece.share * rest(&one), ..*piece }));
    for a in &one {
        for b in &other {
            let length = if beside { a.length.max(b.length) } else { a.length + b.length };
            let (share, factor) = (a.share * b.share, a.factor * b.factor);
            all.push(Piece { share, length: length.min(LONGEST), factor });
        }
    }
    cut(all, bounds)
}

pub(crate) fn total(delay: &Delay) -> f64 {
    delay.iter().map(|piece| piece.share).sum()
}

pub(crate) fn scaled(delay: &Delay, by: f64) -> Delay {
    delay.iter().map(|piece| Piece { share: piece.share * by, ..*piece }).collect()
}

/// What the attempts of a call come to.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    /// Of requests that are answered, and of those that fail: shares of all.
    pub(crate) answered: Delay,
    pub(crate) failed: Delay,
    pub(crate) failing: f64,
    pub(crate) made: f64,
}

/// Attempts of which a share fails at once and another times out, up to `retries` more of them.
pub(crate) fn attempts(
    [at_once, timed_out]: [f64; 2],
    retries: u32,
    tried_again: f64,
    [timeout, in_all]: [f64; 2],
    answered: &Delay,
) -> Attempts {
    let on_time = (1.0 - at_once - timed_out - total(answered)).max(0.0);
    let waited = |timeouts: u32| {
        if timeouts == 0 { 0.0 } else { (f64::from(timeouts) * timeout).min(in_all) }
    };
    let mut all =
        Attempts { answered: Delay::new(), failed: Delay::new(), failing: 0.0, made: 0.0 };
    // Shares of requests before an attempt, by how many have timed out.
    let mut before = vec![(0_u32, 1.0)];
    for attempt in 0..=retries {
        let mut after: Vec<(u32, f64)> = Vec::new();
        for (timeouts, share) in &before {
            all.made += share;
            all.answered.push(later(share * on_time, waited(*timeouts)));
            all.answered.extend(answered.iter().map(|piece| Piece {
                share: share * piece.share,
                length: (waited(*timeouts) + piece.length).min(in_all),
                ..*piece
            }));
            for (more, part) in [(0, at_once), (1, timed_out)] {
                match after.iter_mut().find(|(known, _)| *known == timeouts + more) {
                    Some((_, sum)) => *sum += share * part,
                    None => after.push((timeouts + more, share * part)),
                }
            }
        }
        for (timeouts, share) in &mut after {
            let again = match () {
                () if attempt == retries || waited(*timeouts) >= in_all - EDGE => 0.0,
                () if attempt == 0 => tried_again,
                () => 1.0,
            };
            all.failing += *share * (1.0 - again);
            all.failed.push(later(*share * (1.0 - again), waited(*timeouts)));
            *share *= again;
        }
        before = after;
    }
    (all.answered, all.failed) = (in_order(all.answered), in_order(all.failed));
    all
}

/// The work that waits at each service, and what it does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Waiting {
    /// Whether time goes on at all.
    pub(crate) is_timed: bool,
    /// By service: seconds of work at full capacity.
    pub(crate) backlog: Vec<f64>,
    /// By service: seconds that a request waits.
    pub(crate) wait: Vec<f64>,
    /// By service: the wait that a jump ended, and when.
    pub(crate) echo: Vec<(f64, f64)>,
}

impl Waiting {
    pub(crate) fn none(services: usize) -> Self {
        Self {
            is_timed: false,
            backlog: vec![0.0; services],
            wait: vec![0.0; services],
            echo: vec![(0.0, f64::NEG_INFINITY); services],
        }
    }

    /// Whether there is no room for more; in a single moment there is none.
    pub(crate) fn is_full(&self, graph: &Graph, service: usize) -> bool {
        if !self.is_timed {
            return true;
        }
        match graph.topology.services[service].queue.unwrap_or_default() {
            Queue::Unbounded => false,
            Queue::Refuses | Queue::Threads { .. } => true,
            Queue::Holds(work) => self.backlog[service] >= work.get() - SLACK,
        }
    }

    /// The most work that can wait at a service that works at this share of its capacity.
    fn longest(graph: &Graph, service: usize, capacity: f64) -> f64 {
        let stated = &graph.topology.services[service];
        let queue = match stated.queue.unwrap_or_default() {
            Queue::Unbounded => f64::INFINITY,
            Queue::Refuses | Queue::Threads { .. } => 0.0,
            Queue::Holds(work) => work.get(),
        };
        let patient = graph.timeouts_of_service(service).into_iter().fold(0.0, f64::max);
        if stated.drop_expired && patient > 0.0 && patient.is_finite() {
            queue.min(patient * capacity)
        } else {
            queue
        }
    }

    /// Lets work gather or shrink for some seconds, given what came and how fast each service works.
    pub(crate) fn go_on(&mut self, graph: &Graph, seconds: f64, coming: &[f64], capacity: &[f64]) {
        for (service, stated) in graph.topology.services.iter().enumerate() {
            let Some(used) = stated.utilization else { continue };
            let longest = Self::longest(graph, service, capacity[service]);
            let growth = used.get() * coming[service] - capacity[service];
            let backlog = (self.backlog[service] + growth * seconds).clamp(0.0, longest);
            if capacity[service] > 0.0 && self.backlog[service] > 0.0 {
                // What it comes to by and by is no jump.
                self.wait[service] = (backlog / capacity[service]).min(LONGEST);
            }
            self.backlog[service] = backlog;
        }
    }

    /// How long a request waits that comes now.
    pub(crate) fn look(&mut self, graph: &Graph, now: f64, capacity: &[f64], down: &[bool]) {
        for (service, stated) in graph.topology.services.iter().enumerate() {
            if stated.utilization.is_none() {
                continue;
            }
            if down[service] {
                self.backlog[service] = 0.0;
            }
            let longest = Self::longest(graph, service, capacity[service]);
            self.backlog[service] = self.backlog[service].min(longest);
            let before = self.wait[service];
            self.wait[service] = if !down[service] && capacity[service] <= 0.0 {
                LONGEST
            } else if self.backlog[service] > 0.0 {
                (self.backlog[service] / capacity[service]).min(LONGEST)
            } else {
                0.0
            };
            if self.is_timed && self.wait[service] < before - EDGE {
                self.echo[service] = (before, now);
            }
        }
    }
}
