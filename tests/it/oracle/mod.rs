//! The oracle: a second, plain implementation of `src/semantics.md`, one trial at a time.
//!
//! It shares nothing with the engines but the keyed draws and the model types, and is written to
//! be read beside the page: names are the page's, nothing is clever, nothing is fast.
//!
//! - [`moment()`]: a single moment, load included.
//! - [`lasting`]: the moment after the break has lasted for some time.
//! - [`story`]: a change with time, on a fixed grid.
//!
//! Where the page leaves something open:
//! - Failing-for is kept by each cohort of sticky users on its own.
//! - A service named in a `needs` is failed if the worst of its nodes is.
//! - A service that restarts as a target keeps the target's own share alone, whether it crashes or
//!   not; one that crashes keeps, for all its nodes, the slow and down shares of the worst of them.
//! - A rollback that worsens does so whether it works or not; a kill switch that works after it
//!   still ends the cause.
//! - Of a rollback and a kill switch that are done at one time, the kill switch is first.
//! - The `needs` of rollback and kill switch look at the last moment before the detection.
//! - Dependencies of a service on its own endpoints hold up no restart.
//! - A dependency of several is tried as much as the worst of its members, and contained by the
//!   step after which its failing share no longer reaches the `degraded` threshold.

mod approach;
mod cause;
mod customers;
mod evidence;
mod graph;
mod interventions;
mod load;
mod messages;
mod moment;
mod outcome;
mod refills;
mod time;
mod waiting;
mod walk;
mod world;

use blastwave::model::{Change, Topology};

pub(crate) use moment::State;
pub(crate) use outcome::{DetectedBy, Guard, Outcome, Trial};

use cause::{Failovers, Wrongs};
use graph::Graph;
use interventions::Acts;
use outcome::Recorder;
use time::Story;
use walk::Walk;
use world::World;

/// A single moment of a change that says nothing of rollout, detection and taking back: all broken
/// targets are in effect, wholly. Peaks are those of that moment, and no time passes.
pub(crate) fn moment(topology: &Topology, change: &Change, seed: u64, trial: u64) -> Trial {
    lasting(topology, change, seed, trial, 0.0)
}

/// The moment after the break, and the background failures with it, have lasted `duration`
/// seconds. Caches and buffers are used up one after the other on the way; only the last moment is
/// counted.
pub(crate) fn lasting(
    topology: &Topology,
    change: &Change,
    seed: u64,
    trial: u64,
    duration: f64,
) -> Trial {
    assert!(change.is_moment(), "a change with a story has no single moment");
    let graph = Graph::new(topology);
    let world = World::draw(&graph, change, seed, trial);
    let after = |wrongs: &Wrongs| {
        let mut walk = Walk::new(&graph, &world, false);
        let mut now = 0.0;
        loop {
            let moment = walk.go_to(now, wrongs.situation(&graph, &world, change, now)).clone();
            if now >= duration {
                return moment;
            }
            now = walk.next_overdue(now).map_or(duration, |due| due.min(duration));
        }
    };
    let mut recorder = Recorder::new(&graph, &world);
    let with = after(&Wrongs::single_moment(&world, change));
    recorder.record(duration, 0.0, &with, &after(&Wrongs::none(&world, change)));
    recorder.finish()
}

/// A change with time, computed at every multiple of `step` seconds before the horizon, and whenever an
/// outage of its own begins or ends, beside the same trial without the change. The change says how it is detected and taken back.
pub(crate) fn story(
    topology: &Topology,
    change: &Change,
    seed: u64,
    trial: u64,
    step: f64,
) -> Trial {
    assert!(step > 0.0, "time goes on");
    let graph = Graph::new(topology);
    let world = World::draw(&graph, change, seed, trial);
    let mut story = Story::new(&graph, &world, change);
    let (mut with, mut without) =
        (Walk::new(&graph, &world, true), Walk::new(&graph, &world, true));
    let start = world.infrastructure(&graph, change, &[], 0.0);
    let mut failovers = [Failovers::new(&graph, &start), Failovers::new(&graph, &start)];
    let mut anyway = Anyway::new(&graph, &world, change);
    let mut recorder = Recorder::new(&graph, &world);
    let horizon = change.horizon.get();
    let points = points(&world, step, horizon);
    for (index, &now) in points.iter().enumerate() {
        let next = points.get(index + 1).copied().unwrap_or(horizon);
        for (service, share) in story.act(now, with.last(), without.last()) {
            with.forget(service, share);
        }
        story.happen(now, with.last(), without.last());
        let mut wrongs = story.wrongs(now);
        let domains = wrongs.domains(&world, change);
        let up = world.infrastructure(&graph, change, &domains, now).up;
        wrongs.failing_over = failovers[0].look(&graph, now, &up);
        let moment = with.go_to(now, wrongs.situation(&graph, &world, change, now));
        for (service, share) in anyway.act(now) {
            without.forget(service, share);
        }
        let mut without_change = anyway.wrongs();
        let up = world.infrastructure(&graph, change, &[], now).up;
        without_change.failing_over = failovers[1].look(&graph, now, &up);
        let background = without_change.situation(&graph, &world, change, now);
        let baseline = without.go_to(now, background);
        anyway.acts.watch(now, baseline);
        recorder.record(now, next - now, moment, baseline);
        story.acts.watch(now, moment);
        story.start_clocks(now, moment, baseline);
        story.count(now, moment, baseline, next - now);
    }
    if let (Some(last), Some(baseline)) = (with.last(), without.last()) {
        recorder.conclude(&story.conclude(last, baseline));
    }
    let trial = recorder.finish();
    let (sliding, anyway) = (with.sliding(), without.sliding());
    // Where both slide, the grid has them at different sides of the limit at the same time. Where two limits
    // meet, the mean of the states around them is not the only one that stays there.
    let restless = trial.restless || sliding.min(anyway) > 0 || sliding.max(anyway) > 1;
    Trial { restless, slides: sliding + anyway > 0, ..trial }
}

/// The times at which a story is computed, in order.
fn points(world: &World, step: f64, horizon: f64) -> Vec<f64> {
    let turns = world.turns.values().flatten().copied();
    let mut points: Vec<f64> = turns.filter(|turn| *turn < horizon).collect();
    for point in 0.. {
        let now = f64::from(point) * step;
        if now >= horizon {
            break;
        }
        points.push(now);
    }
    points.sort_by(f64::total_cmp);
    points.dedup();
    points
}

/// What automations do without the change.
struct Anyway<'a> {
    graph: &'a Graph<'a>,
    none: Wrongs,
    acts: Acts<'a>,
    restarts: std::collections::BTreeMap<usize, cause::Restart>,
}

impl<'a> Anyway<'a> {
    fn new(graph: &'a Graph<'a>, world: &World, change: &Change) -> Self {
        let restarts = std::collections::BTreeMap::new();
        let none = Wrongs::none(world, change);
        Self { graph, none, acts: Acts::new(graph, change, false), restarts }
    }

    /// Does what is due; gives the shares of the services that start anew.
    fn act(&mut self, now: f64) -> Vec<(usize, f64)> {
        let mut anew = Vec::new();
        for deed in self.acts.due(now) {
            if let interventions::Rest::Restart(service) = self.acts.perform(deed) {
                cause::by_hand(&mut self.restarts, self.graph, service, deed);
                anew.push((service, deed.share));
            }
        }
        anew
    }

    fn wrongs(&self) -> Wrongs {
        Wrongs {
            restarts: self.restarts.clone(),
            effects: Some(self.acts.effects.clone()),
            ..self.none.clone()
        }
    }
}
