//! The Boolean engine's frequencies against probabilities summed over all possible worlds.

use std::fmt::Write as _;

use blastwave::compile::compile;
use blastwave::diagnostic::Sources;
use blastwave::engine::{Choice, Silent, Simulator, Tally, simd::InstructionSet};
use blastwave::load;
use blastwave::model::{Change, Seconds, Topology};

use crate::random::Dice;

const SERVICES: usize = 6;
const TRIALS: u64 = 20_480;

/// Services that may fail by themselves, edges between any of them, and a gate.
struct Graph {
    own: [f64; SERVICES],
    /// Caller, dependency, the chance that failure crosses.
    edges: Vec<(usize, usize, f64)>,
    /// Caller, members, how many it needs.
    gate: (usize, [usize; 3], usize),
}

impl Graph {
    fn random(dice: &mut Dice) -> Self {
        let gate = (5, [1, 2, 3], 1 + dice.below(2));
        let mut edges: Vec<(usize, usize, f64)> = Vec::new();
        while edges.len() < 9 {
            let (from, to) = (dice.below(SERVICES), dice.below(SERVICES));
            let is_in_gate = from == gate.0 && gate.1.contains(&to);
            let is_known = edges.iter().any(|edge| (edge.0, edge.1) == (from, to));
            if from != to && !is_in_gate && !is_known {
                edges.push((from, to, (1 + dice.below(19)) as f64 / 20.0));
            }
        }
        let own = |service| if service == 2 || service == 4 { 0.25 } else { 0.0 };
        Self { own: std::array::from_fn(own), edges, gate }
    }

    fn yaml(&self) -> String {
        let mut text = "version: 1\ntopology: small\nservices:\n".to_owned();
        for service in 0..SERVICES {
            let up = 100.0 * (1.0 - self.own[service]);
            writeln!(text, "  s{service}:\n    availability: {up}%").unwrap();
            writeln!(text, "    dependencies:").unwrap();
            for (_, to, chance) in self.edges.iter().filter(|edge| edge.0 == service) {
                writeln!(text, "      - {{ service: s{to}, propagation: {chance} }}").unwrap();
            }
            let (caller, members, needs) = self.gate;
            if caller == service {
                let names = members.map(|member| format!("s{member}")).join(", ");
                writeln!(text, "      - {{ any_of: [{names}], needs: {needs} }}").unwrap();
            }
        }
        text.replace("    dependencies:\n  s", "  s")
    }

    /// Which services fail in a world in which these edges are crossed and these services are down.
    fn failing(&self, mut failed: [bool; SERVICES], crossed: u32) -> [bool; SERVICES] {
        loop {
            let before = failed;
            for (number, (from, to, _)) in self.edges.iter().enumerate() {
                failed[*from] |= failed[*to] && crossed >> number & 1 == 1;
            }
            let (caller, members, needs) = self.gate;
            failed[caller] |= members.iter().filter(|member| !failed[**member]).count() < needs;
            if failed == before {
                return failed;
            }
        }
    }

    /// The probability that each service fails when `s0` is down, over all worlds.
    fn exact(&self) -> [f64; SERVICES] {
        let mut sums = [0.0; SERVICES];
        let ailing: Vec<usize> = (0..SERVICES).filter(|item| self.own[*item] > 0.0).collect();
        for down in 0..1_u32 << ailing.len() {
            let mut failed = [false; SERVICES];
            failed[0] = true;
            let mut chance_of_down = 1.0;
            for (number, service) in ailing.iter().enumerate() {
                let is_down = down >> number & 1 == 1;
                failed[*service] |= is_down;
                let chance = self.own[*service];
                chance_of_down *= if is_down { chance } else { 1.0 - chance };
            }
            for crossed in 0..1_u32 << self.edges.len() {
                let chances = self.edges.iter().enumerate().map(|(number, edge)| {
                    if crossed >> number & 1 == 1 { edge.2 } else { 1.0 - edge.2 }
                });
                let chance = chance_of_down * chances.product::<f64>();
                for (sum, failed) in sums.iter_mut().zip(self.failing(failed, crossed)) {
                    *sum += if failed { chance } else { 0.0 };
                }
            }
        }
        sums
    }
}

fn counted(graph: &Graph, seed: u64) -> Vec<u64> {
    let mut sources = Sources::default();
    let document =
        load::parse_document("small.yaml", graph.yaml().into_bytes(), &mut sources).unwrap();
    let topology = Topology::from_document(&document).unwrap();
    let change = Change::from_breaks(&["s0".to_owned()], &topology, &mut sources).unwrap();
    let plan = compile(&topology, &change, Seconds::ZERO);
    let simulation = Simulator::with_engine(&plan, seed, Choice::Boolean(InstructionSet::best()));
    let mut tally = Tally::new(&plan);
    simulation.run_trials(0..TRIALS, &mut tally, &Silent);
    tally.units.iter().map(|unit| unit.failed).collect()
}

#[test]
fn frequencies_stray_from_exact_probabilities_as_chance_has_it() {
    let dice = &mut Dice::new(5);
    let (mut squares, mut checks, mut largest) = (0.0, 0_u32, 0.0_f64);
    for seed in 0..150 {
        let graph = Graph::random(dice);
        let counts = counted(&graph, seed);
        for (count, p) in counts.iter().zip(graph.exact()) {
            if !(0.001..=0.999).contains(&p) {
                assert!((*count as f64 / TRIALS as f64 - p).abs() < 0.005, "{p} {count}");
                continue;
            }
            let n = TRIALS as f64;
            let z = (*count as f64 - n * p) / (n * p * (1.0 - p)).sqrt();
            squares += z * z;
            checks += 1;
            largest = largest.max(z.abs());
        }
    }
    let rms = (squares / f64::from(checks)).sqrt();
    assert!(checks >= 500, "only {checks} checks");
    assert!((0.9..=1.1).contains(&rms), "the z-scores have an rms of {rms} in {checks} checks");
    assert!(largest < 5.0, "a z-score of {largest}");
}
