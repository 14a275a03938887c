//! The simulator: a queue of events, and an object for each attempt of each request.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::draws::Draws;
use super::system::{Cache, Flow, Happening, Of, Service, System};

/// A request of a user, as it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub flow: usize,
    /// When the user asked first, in seconds from the start.
    pub asked_at: f64,
    /// How long the user waited in all, in seconds.
    pub took: f64,
    pub is_answered: bool,
}

/// What a simulation gives.
pub(crate) struct Run {
    pub outcomes: Vec<Outcome>,
    /// How many requests each service took on, refused ones left out.
    pub served: Vec<usize>,
    /// How many attempts each service refused, because all threads or places were taken.
    pub refused: Vec<usize>,
    /// How long attempts waited for a server in all, in seconds, by service.
    pub waited: Vec<f64>,
    pub cache_hits: usize,
    pub cache_misses: usize,
}

impl Run {
    /// The requests of a flow that were asked between two moments.
    fn of(&self, flow: usize, from: f64, until: f64) -> impl Iterator<Item = &Outcome> {
        self.outcomes
            .iter()
            .filter(move |o| o.flow == flow && o.asked_at >= from && o.asked_at < until)
    }

    /// How many requests of a flow that were asked between two moments got no answer.
    pub(crate) fn lost(&self, flow: usize, from: f64, until: f64) -> f64 {
        self.of(flow, from, until).filter(|o| !o.is_answered).count() as f64
    }

    /// The share of a flow's requests between two moments that got no answer.
    pub(crate) fn failing_share(&self, flow: usize, from: f64, until: f64) -> f64 {
        self.lost(flow, from, until) / self.of(flow, from, until).count() as f64
    }
}

/// Simulates a system from 0 to `end`, in seconds. What is in progress then gets no answer.
pub(crate) fn simulate(system: &System, end: f64, seed: u64) -> Run {
    let mut simulator = Simulator::new(system, seed);
    simulator.start();
    simulator.run_until(end);
    simulator.run
}

/// Seconds as whole nanoseconds, so that events have an order.
#[expect(clippy::cast_sign_loss, reason = "time runs from 0")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).min(1e18) as u64
}

/// Something that comes due; attempts and requests are named by their index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Arrival(usize),
    /// An attempt's work is done. Work is rescheduled when the speed changes: the number tells which schedule is meant.
    WorkDone(usize, u32),
    TimedOut(usize),
    Happening(usize),
}

/// What an attempt answers to.
#[derive(Clone, Copy)]
enum Asker {
    /// A user's request, by its index among the outcomes, with the attempts that are left.
    User { request: usize, retries_left: usize },
    /// An attempt one level up.
    Attempt(usize),
}

/// One attempt of a request at one service.
struct Attempt {
    service: usize,
    asker: Asker,
    /// The user's request: bad requests are bad wherever they come.
    request: usize,
    /// Whether somebody still waits for the answer.
    is_awaited: bool,
    /// Which call is made now, and how many of its attempts are left.
    call: usize,
    retries_left: usize,
    key: usize,
    arrived_at: f64,
    /// Work that is left, in seconds at full speed, from `worked_at` on.
    work_left: f64,
    worked_at: f64,
    schedule: u32,
}

/// What a service is doing.
struct Activity {
    speed: f64,
    fails: (f64, Of),
    hangs: (f64, Of),
    in_progress: usize,
    at_work: Vec<usize>,
    waiting: VecDeque<usize>,
}

/// The entries of one cache: when each was fetched, and when it was used last.
struct Entries {
    fetched: BTreeMap<usize, f64>,
    used: VecDeque<(usize, u64)>,
    last_use: BTreeMap<usize, u64>,
    clock: u64,
    popularity: Vec<f64>,
}

struct Simulator<'a> {
    system: &'a System,
    draws: Draws,
    now: f64,
    due: BinaryHeap<Reverse<(u64, u64, Due)>>,
    order: u64,
    attempts: Vec<Attempt>,
    activities: Vec<Activity>,
    caches: BTreeMap<(usize, usize), Entries>,
    /// For each request of a user, where it stands between the bad ones and the good ones.
    luck: Vec<f64>,
    run: Run,
}

impl<'a> Simulator<'a> {
    fn new(system: &'a System, seed: u64) -> Self {
        let count = system.services.len();
        let activity = || Activity {
            speed: 1.0,
            fails: (0.0, Of::Attempts),
            hangs: (0.0, Of::Attempts),
            in_progress: 0,
            at_work: Vec::new(),
            waiting: VecDeque::new(),
        };
        Self {
            system,
            draws: Draws::new(seed),
            now: 0.0,
            due: BinaryHeap::new(),
            order: 0,
            attempts: Vec::new(),
            activities: (0..count).map(|_| activity()).collect(),
            caches: BTreeMap::new(),
            luck: Vec::new(),
            run: Run {
                outcomes: Vec::new(),
                served: vec![0; count],
                refused: vec![0; count],
                waited: vec![0.0; count],
                cache_hits: 0,
                cache_misses: 0,
            },
        }
    }

    fn start(&mut self) {
        for (index, (at, _)) in self.system.events.iter().enumerate() {
            self.schedule(*at, Due::Happening(index));
        }
        for flow in 0..self.system.flows.len() {
            self.schedule_arrival(flow);
        }
    }

    fn schedule(&mut self, at: f64, due: Due) {
        self.order += 1;
        self.due.push(Reverse((nanoseconds(at), self.order, due)));
    }

    fn schedule_arrival(&mut self, flow: usize) {
        let gap = self.draws.exponential(1.0 / self.system.flows[flow].rate);
        self.schedule(self.now + gap, Due::Arrival(flow));
    }

    fn run_until(&mut self, end: f64) {
        while let Some(Reverse((at, _, due))) = self.due.pop() {
            self.now = at as f64 / 1e9;
            if self.now > end {
                return;
            }
            match due {
                Due::Arrival(flow) => self.arrive(flow),
                Due::WorkDone(attempt, schedule) => self.work_done(attempt, schedule),
                Due::TimedOut(attempt) => self.give_up(attempt),
                Due::Happening(index) => self.happen(self.system.events[index].1),
            }
        }
    }

    fn service(&self, attempt: usize) -> &'a Service {
        &self.system.services[self.attempts[attempt].service]
    }

    fn arrive(&mut self, flow: usize) {
        self.schedule_arrival(flow);
        let request = self.run.outcomes.len();
        let outcome = Outcome { flow, asked_at: self.now, took: f64::INFINITY, is_answered: false };
        self.run.outcomes.push(outcome);
        let luck = self.draws.share();
        self.luck.push(luck);
        let Flow { service, patience, user_retries, .. } = self.system.flows[flow];
        self.begin(service, Asker::User { request, retries_left: user_retries }, request, patience);
    }

    /// Begins an attempt at a service; its asker gives up after `timeout` seconds.
    fn begin(&mut self, service: usize, asker: Asker, request: usize, timeout: f64) {
        let attempt = self.attempts.len();
        self.attempts.push(Attempt {
            service,
            asker,
            request,
            is_awaited: true,
            call: 0,
            retries_left: 0,
            key: 0,
            arrived_at: self.now,
            work_left: 0.0,
            worked_at: 0.0,
            schedule: 0,
        });
        if timeout.is_finite() {
            self.schedule(self.now + timeout, Due::TimedOut(attempt));
        }
        let Service { threads, servers, waiting_places, work, .. } = self.system.services[service];
        let hangs = self.activities[service].hangs;
        if self.meets(hangs, request) {
            return; // Nobody ever answers, and nothing is held here.
        }
        let activity = &self.activities[service];
        let is_free = servers.is_none_or(|servers| activity.at_work.len() < servers);
        let has_place =
            is_free || waiting_places.is_none_or(|places| activity.waiting.len() < places);
        if threads.is_some_and(|threads| activity.in_progress >= threads) || !has_place {
            self.run.refused[service] += 1;
            self.answer(attempt, false);
            return;
        }
        self.run.served[service] += 1;
        self.activities[service].in_progress += 1;
        self.attempts[attempt].work_left = self.draws.time(work);
        if is_free {
            self.start_work(attempt);
        } else {
            self.activities[service].waiting.push_back(attempt);
        }
    }

    fn meets(&mut self, (share, of): (f64, Of), request: usize) -> bool {
        match of {
            Of::Attempts => self.draws.is_below(share),
            Of::Requests => self.luck[request] < share,
        }
    }

    fn start_work(&mut self, attempt: usize) {
        let service = self.attempts[attempt].service;
        self.run.waited[service] += self.now - self.attempts[attempt].arrived_at;
        self.attempts[attempt].worked_at = self.now;
        if self.system.services[service].servers.is_some() {
            self.activities[service].at_work.push(attempt);
        }
        self.schedule_end_of_work(attempt);
    }

    fn schedule_end_of_work(&mut self, attempt: usize) {
        let a = &mut self.attempts[attempt];
        a.schedule += 1;
        let (schedule, left, service) = (a.schedule, a.work_left, a.service);
        let speed = self.activities[service].speed;
        if speed > 0.0 {
            self.schedule(self.now + left / speed, Due::WorkDone(attempt, schedule));
        }
    }

    fn work_done(&mut self, attempt: usize, schedule: u32) {
        if self.attempts[attempt].schedule != schedule {
            return; // The speed has changed since.
        }
        let service = self.attempts[attempt].service;
        if self.system.services[service].servers.is_some() {
            self.activities[service].at_work.retain(|&other| other != attempt);
            self.start_next(service);
        }
        self.next_call(attempt);
    }

    fn start_next(&mut self, service: usize) {
        while let Some(next) = self.activities[service].waiting.pop_front() {
            if self.system.services[service].drops_expired && !self.attempts[next].is_awaited {
                self.activities[service].in_progress -= 1;
                continue;
            }
            self.start_work(next);
            return;
        }
    }

    /// Makes the call that is next, or answers when all were made.
    fn next_call(&mut self, attempt: usize) {
        let service = self.attempts[attempt].service;
        let Some(call) = self.service(attempt).calls.get(self.attempts[attempt].call) else {
            let (fails, request) = (self.activities[service].fails, self.attempts[attempt].request);
            let is_good = !self.meets(fails, request);
            self.finish(attempt, is_good);
            return;
        };
        if let Some(cache) = &call.cache {
            let place = (service, self.attempts[attempt].call);
            let entries = self.caches.entry(place).or_insert_with(|| Entries::new(cache));
            let key = entries.draw_key(&mut self.draws);
            self.attempts[attempt].key = key;
            if entries.holds(key, cache, self.now) {
                self.run.cache_hits += 1;
                self.attempts[attempt].call += 1;
                self.next_call(attempt);
                return;
            }
            self.run.cache_misses += 1;
        }
        self.attempts[attempt].retries_left = call.retries;
        self.attempt_call(attempt);
    }

    fn attempt_call(&mut self, attempt: usize) {
        let call = &self.service(attempt).calls[self.attempts[attempt].call];
        let request = self.attempts[attempt].request;
        self.begin(call.service, Asker::Attempt(attempt), request, call.timeout);
    }

    fn finish(&mut self, attempt: usize, is_good: bool) {
        self.activities[self.attempts[attempt].service].in_progress -= 1;
        self.answer(attempt, is_good);
    }

    fn answer(&mut self, attempt: usize, is_good: bool) {
        if std::mem::replace(&mut self.attempts[attempt].is_awaited, false) {
            self.receive(self.attempts[attempt].asker, is_good);
        }
    }

    fn give_up(&mut self, attempt: usize) {
        self.answer(attempt, false);
    }

    /// Lets whoever asked go on with an answer, or without.
    fn receive(&mut self, asker: Asker, is_good: bool) {
        match asker {
            Asker::User { request, retries_left } if !is_good && retries_left > 0 => {
                let Flow { service, patience, .. } =
                    self.system.flows[self.run.outcomes[request].flow];
                let asker = Asker::User { request, retries_left: retries_left - 1 };
                self.begin(service, asker, request, patience);
            }
            Asker::User { request, .. } => {
                let outcome = &mut self.run.outcomes[request];
                outcome.took = self.now - outcome.asked_at;
                outcome.is_answered = is_good;
            }
            Asker::Attempt(caller) => self.receive_in_service(caller, is_good),
        }
    }

    fn receive_in_service(&mut self, caller: usize, is_good: bool) {
        let call = &self.service(caller).calls[self.attempts[caller].call];
        if !is_good && self.attempts[caller].retries_left > 0 {
            self.attempts[caller].retries_left -= 1;
            self.attempt_call(caller);
            return;
        }
        if is_good && let Some(cache) = &call.cache {
            let place = (self.attempts[caller].service, self.attempts[caller].call);
            let key = self.attempts[caller].key;
            let age = self.draws.share();
            let entries = self.caches.get_mut(&place).expect("it was asked before the call");
            entries.keep(key, cache, self.now, age);
        }
        if is_good || call.is_soft {
            self.attempts[caller].call += 1;
            self.next_call(caller);
        } else {
            self.finish(caller, false);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Fails { service, share, of } => self.activities[service].fails = (share, of),
            Happening::Hangs { service, share, of } => self.activities[service].hangs = (share, of),
            Happening::Speed { service, share } => self.change_speed(service, share),
        }
    }

    /// Work that is begun goes on at the new speed.
    fn change_speed(&mut self, service: usize, share: f64) {
        let old = std::mem::replace(&mut self.activities[service].speed, share);
        for attempt in self.activities[service].at_work.clone() {
            let a = &mut self.attempts[attempt];
            a.work_left = (a.work_left - (self.now - a.worked_at) * old).max(0.0);
            a.worked_at = self.now;
            self.schedule_end_of_work(attempt);
        }
    }
}

impl Entries {
    fn new(cache: &Cache) -> Self {
        let mut sum = 0.0;
        let popularity = (1..=cache.keys)
            .map(|rank| {
                sum += (rank as f64).powf(-cache.skew);
                sum
            })
            .collect();
        Self {
            fetched: BTreeMap::new(),
            used: VecDeque::new(),
            last_use: BTreeMap::new(),
            clock: 0,
            popularity,
        }
    }

    fn draw_key(&self, draws: &mut Draws) -> usize {
        let total = self.popularity[self.popularity.len() - 1];
        let target = draws.share() * total;
        self.popularity.partition_point(|&sum| sum <= target).min(self.popularity.len() - 1)
    }

    fn holds(&mut self, key: usize, cache: &Cache, now: f64) -> bool {
        let is_there = self.fetched.get(&key).is_some_and(|&at| now - at < cache.ttl);
        if is_there && cache.room.is_some() {
            self.touch(key);
        }
        is_there
    }

    /// Keeps what was fetched now. The first time it has an age of up to the time to live, as it would
    /// have in a cache that has run for long: otherwise all entries would expire at once for ever.
    fn keep(&mut self, key: usize, cache: &Cache, now: f64, age: f64) {
        let is_first = cache.ttl.is_finite() && !self.fetched.contains_key(&key);
        self.fetched.insert(key, if is_first { now - age * cache.ttl } else { now });
        let Some(room) = cache.room else { return };
        self.touch(key);
        while self.fetched.len() > room {
            let (oldest, at) = self.used.pop_front().expect("every entry was used");
            if self.last_use.get(&oldest) == Some(&at) {
                self.fetched.remove(&oldest);
                self.last_use.remove(&oldest);
            }
        }
    }

    fn touch(&mut self, key: usize) {
        self.clock += 1;
        self.last_use.insert(key, self.clock);
        self.used.push_back((key, self.clock));
    }
}
