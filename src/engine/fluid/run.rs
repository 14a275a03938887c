//! Eight trials from beginning to end.

use super::acts::Acts;
use super::baseline::Baseline;
use super::call::SLACK;
use super::course::Course;
use super::lanes::{LANES, Lanes, Shares, all};
use super::load::Loads;
use super::moment::Moment;
use super::record::Record;
use super::recovery::Held;
use super::settle::Alone;
use super::setup::Setup;
use super::taping::Taped;
use super::world::{ChunkWorld, World};
use crate::compile::Plan;
use crate::engine::simd::array;
use crate::model::change::Routing;

/// Eight trials, each at a time of its own.
pub(crate) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) setup: &'a Setup,
    pub(super) world: World,
    pub(super) moment: Moment<'a, LANES>,
    pub(super) loads: Loads<LANES>,
    alone: Alone<'a>,
    pub(super) courses: Vec<Course>,
    /// By target: from when it fails; infinite until it is exposed.
    pub(super) fails_from: Vec<Lanes>,
    /// By target: the share with which it fails now, in each cohort.
    pub(super) target_shares: Vec<[Lanes; 2]>,
    /// Nodes with a place for own health, in the order of those places.
    pub(super) afflicted: Vec<u32>,
    pub(super) domains_now: Vec<u8>,
    /// By service: the lanes in which target domains take it down.
    pub(super) fallen: Vec<u8>,
    /// By service: the share of its replicas that target domains leave up.
    pub(super) replicas_up: Vec<Lanes>,
    pub(super) held: Vec<Held>,
    pub(super) acts: Acts,
    /// Room for what services can serve now, and the lanes in which they are down without overload.
    pub(super) capacities: Vec<(Lanes, u8)>,
    pub(super) baseline: Baseline,
    pub(super) record: Record,
    /// When nothing is followed any more.
    pub(super) end: f64,
    /// Into how many steps a warm-up is cut.
    pub(super) ramp_steps: u32,
    /// One lane of which everything is taken down.
    pub(super) taped: Option<Taped>,
}

impl<'a> Run<'a> {
    /// Room for eight trials of a plan.
    pub(crate) fn new(plan: &'a Plan, setup: &'a Setup, ramp_steps: u32) -> Self {
        let cohorts = if plan.routing == Routing::Sticky { 2 } else { 1 };
        Self {
            plan,
            setup,
            world: World::new(plan),
            moment: Moment::new(plan, setup, cohorts),
            loads: Loads::new(plan, cohorts),
            alone: Alone::new(plan, setup, cohorts),
            courses: Vec::new(),
            fails_from: Vec::new(),
            target_shares: Vec::new(),
            afflicted: Vec::new(),
            domains_now: Vec::new(),
            fallen: vec![0; plan.services.len()],
            replicas_up: vec![all(1.0); plan.services.len()],
            held: Vec::new(),
            acts: Acts::new(plan),
            capacities: Vec::new(),
            baseline: Baseline::default(),
            record: Record::new(plan),
            end: plan.schedule.as_ref().map_or(plan.lasting, |schedule| schedule.horizon),
            ramp_steps,
            taped: None,
        }
    }

    /// Follows eight trials of a chunk; gives what was seen of them.
    pub(crate) fn trials(&mut self, chunk: &ChunkWorld, group: u32) -> &Record {
        self.world.take(self.plan, chunk, group);
        self.moment.reaches.clone_from(&self.world.reaches);
        self.moment.works.clone_from(&self.world.works);
        self.moment.lies = self.world.lies();
        self.begin();
        if self.plan.schedule.is_some() && self.walk_baseline() {
            self.begin();
        }
        self.record.clear();
        self.walk();
        self.finish();
        &self.record
    }

    fn begin(&mut self) {
        self.moment.reset();
        self.loads.reset();
        self.courses.clear();
        self.courses.resize(LANES, Course::start(self.plan.schedule.as_ref()));
        self.fails_from.clear();
        self.fails_from.resize(self.plan.targets.len(), all(f64::INFINITY));
        self.target_shares.clear();
        self.target_shares.resize(self.plan.targets.len(), [all(0.0); 2]);
        self.fallen.fill(0);
        self.held.clear();
        self.acts.reset();
        self.find_afflicted();
    }

    fn walk(&mut self) {
        let is_timed = self.plan.schedule.is_some();
        while self.courses.iter().any(|course| course.alive) {
            for lane in 0..LANES {
                if self.courses[lane].alive {
                    self.events(lane);
                }
            }
            self.update_own();
            self.settle();
            let alive = super::lanes::mask::<LANES>(|lane| self.courses[lane].alive);
            let seen =
                super::lanes::mask::<LANES>(|lane| is_timed || self.moment.time[lane] >= self.end);
            self.observe(alive & seen);
            self.tape_moment(alive & seen);
            for lane in 0..LANES {
                if self.courses[lane].alive {
                    self.watch(lane);
                    self.clocks(lane);
                    self.step(lane, is_timed);
                }
            }
        }
    }

    /// Failure, load and overload of the present moment, and since when what has been failing.
    pub(super) fn settle(&mut self) {
        let users = self.users();
        self.moment.settle(&mut self.loads, &mut self.alone, &users);
        self.moment.note_since();
    }

    /// Goes to the next time of a lane, counting what is lost until then.
    fn step(&mut self, lane: usize, is_timed: bool) {
        let (time, next) = (self.moment.time[lane], self.next_time(lane, self.end));
        if is_timed {
            self.count_until(lane, next);
            self.tape_until(lane, next);
            self.courses[lane].has_shown |= next > time && self.shows_failure(lane);
            if next >= self.end {
                self.courses[lane].alive = false;
                return;
            }
        } else if time >= self.end {
            self.courses[lane].alive = false;
            return;
        }
        self.moment.time[lane] = next;
    }

    /// How the users are split over the cohorts.
    fn users(&self) -> Vec<Lanes> {
        if self.moment.cohorts.len() == 1 {
            return vec![all(1.0)];
        }
        let exposed: Lanes = array(|lane| self.courses[lane].exposure);
        vec![exposed, array(|lane| 1.0 - exposed[lane])]
    }

    /// A figure of one lane over the cohorts, weighted by users.
    #[inline]
    pub(super) fn over_cohorts(&self, lane: usize, figure: impl Fn(usize) -> f64) -> f64 {
        if self.moment.cohorts.len() == 1 {
            return figure(0);
        }
        let exposed = self.courses[lane].exposure;
        exposed * figure(0) + (1.0 - exposed) * figure(1)
    }

    /// A share of a node in one lane, over the cohorts.
    #[inline]
    pub(super) fn node_share(
        &self,
        node: u32,
        lane: usize,
        share: impl Fn(&Shares, usize) -> f64,
    ) -> f64 {
        let of = |cohort: usize| share(&self.moment.cohorts[cohort].shares[node as usize], lane);
        self.over_cohorts(lane, of)
    }

    /// Whether a service, or one of its endpoints, is failed now.
    pub(super) fn is_failed(&self, service: u32, lane: usize) -> bool {
        self.plan
            .nodes_of(service)
            .any(|node| self.node_share(node, lane, Shares::failing) >= self.plan.failed - SLACK)
    }
}
