//! Minimal cut sets: the smallest sets of events that make a function true.
//!
//! They are the minimal elements of the sets of events for which the function is true, found node by
//! node of its diagram: those without the first event, and those with it that contain none of the
//! former (Rauzy, "New algorithms for fault trees analysis", 1993). Families of sets are kept as
//! zero-suppressed diagrams (Minato, "Zero-suppressed BDDs for set manipulation in combinatorial
//! problems", 1993), in which hundreds of thousands of sets take a few nodes, and are counted
//! without being listed.
//!
//! Where one failure may hide another (a service that fails fast gives no wrong answers), more failures may
//! mean that the function is false again. A set is then still the least that makes it true with
//! nothing else failing; nothing is said of its supersets.

use crate::compile::plan::TargetId;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::bdd::{Bdd, BddNode as Decision, YES};
use super::diagram::Function;
use super::events::{EventVariables, ExactEvent};
use super::table::HashTable;

/// A family of sets: a node of [`Families`].
pub type Family = u32;

/// No set at all.
const NONE: Family = 0;
/// The empty set alone.
const EMPTY: Family = 1;
/// Orders that are counted separately; all larger ones are counted together.
pub const ORDERS: usize = 12;

/// Role of an event in the search for cut sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRole {
    /// It may be part of a set.
    Event,
    /// It does not happen.
    Never,
    /// It always happens and is left out of sets.
    Always,
}

/// Element of a set: an event, or a target in one of its modes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CutPart {
    /// The event; of a target, a break of that target.
    pub event: ExactEvent,
    /// Of a target: its mode, down, slow or corrupt (0 to 2).
    pub mode: Option<u8>,
    /// Its probability.
    pub chance: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FamilyNode {
    part: u32,
    /// The sets without the part.
    without: Family,
    /// Those with it, it taken out.
    with: Family,
}

/// Families of sets, shared among each other.
pub struct Families {
    nodes: Vec<FamilyNode>,
    known: HashTable<3>,
    minus: HashTable<2>,
    cut: HashTable<2>,
    limit: usize,
}

/// The families need more nodes than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// The minimal cut sets of a function.
pub struct Solutions {
    /// Elements of sets.
    pub parts: Vec<CutPart>,
    /// Number of sets by order, from 0 on; the last entry counts all larger orders.
    pub by_order: [u64; ORDERS + 1],
    /// Order up to which they are complete; `None` if all were found.
    pub complete_to: Option<u32>,
    families: Families,
    root: Family,
}

impl Families {
    fn new(limit: usize) -> Self {
        let end = FamilyNode { part: u32::MAX, without: NONE, with: NONE };
        Self {
            nodes: vec![end; 2],
            known: HashTable::new(),
            minus: HashTable::new(),
            cut: HashTable::new(),
            limit,
        }
    }

    fn new_family(&mut self, part: u32, without: Family, with: Family) -> Result<Family, TooMany> {
        // A node whose second family is empty says nothing: zero-suppressed.
        if with == NONE {
            return Ok(without);
        }
        let key = [part, without, with];
        if let Some(known) = self.known.get(key) {
            return Ok(known);
        }
        // Results of operations are kept too: all of it together stays below the limit.
        if self.nodes.len() + self.minus.len() + self.cut.len() >= self.limit {
            return Err(TooMany);
        }
        let new = self.nodes.len() as Family;
        self.nodes.push(FamilyNode { part, without, with });
        self.known.get_or_insert(key, new);
        Ok(new)
    }

    /// Returns the sets of a family that contain none of another's; neither holds two sets one within the
    /// other. Without recursion, since diagrams are as deep as there are events.
    fn without_supersets(&mut self, a: Family, b: Family) -> Result<Family, TooMany> {
        let mut open = vec![(a, b)];
        while let Some(&(a, b)) = open.last() {
            // It may have been computed for another parent meanwhile.
            if self.minus_known(a, b).is_some() {
                open.pop();
                continue;
            }
            let (left, right) = (self.nodes[a as usize], self.nodes[b as usize]);
            let needs: [(Family, Family); 2] = match left.part.cmp(&right.part) {
                Ordering::Less => [(left.without, b), (left.with, b)],
                Ordering::Greater => [(a, right.without); 2],
                Ordering::Equal => [(left.without, right.without), (left.with, right.with)],
            };
            let known = needs.map(|(a, b)| self.minus_known(a, b));
            let [Some(first), Some(second)] = known else {
                let missing = needs.iter().zip(known).filter(|(_, known)| known.is_none());
                open.extend(missing.map(|(need, _)| *need));
                continue;
            };
            let result = match left.part.cmp(&right.part) {
                Ordering::Less => self.new_family(left.part, first, second)?,
                Ordering::Greater => first,
                Ordering::Equal => {
                    if let Some(with) = self.minus_known(second, right.without) {
                        self.new_family(left.part, first, with)?
                    } else {
                        open.push((second, right.without));
                        continue;
                    }
                }
            };
            if self.nodes.len() + self.minus.len() + self.cut.len() >= self.limit {
                return Err(TooMany);
            }
            self.minus.get_or_insert([a, b], result);
        }
        Ok(self.minus_known(a, b).expect("it was just computed"))
    }

    fn minus_known(&self, a: Family, b: Family) -> Option<Family> {
        match (a, b) {
            (NONE, _) | (_, EMPTY) => Some(NONE),
            (_, NONE) => Some(a),
            _ if a == b => Some(NONE),
            // The empty set contains no set but itself.
            (EMPTY, _) => Some(EMPTY),
            _ => self.minus.get([a, b]),
        }
    }

    /// Returns the sets of at most `order` events.
    fn at_most(&mut self, family: Family, order: u32) -> Result<Family, TooMany> {
        let mut open = vec![(family, order)];
        while let Some(&(family, order)) = open.last() {
            if self.at_most_known(family, order).is_some() {
                open.pop();
                continue;
            }
            let node = self.nodes[family as usize];
            let without = self.at_most_known(node.without, order);
            // A set with the part uses up one event of the order.
            let with =
                if order == 0 { Some(NONE) } else { self.at_most_known(node.with, order - 1) };
            match (without, with) {
                (Some(without), Some(with)) => {
                    let result = self.new_family(node.part, without, with)?;
                    self.cut.get_or_insert([family, order], result);
                }
                (None, _) => open.push((node.without, order)),
                (_, None) => open.push((node.with, order - 1)),
            }
        }
        Ok(self.at_most_known(family, order).expect("it was just computed"))
    }

    fn at_most_known(&self, family: Family, order: u32) -> Option<Family> {
        if family <= EMPTY { Some(family) } else { self.cut.get([family, order]) }
    }
}

/// Finds the minimal cut sets of a function, those of at most `max_order` events, with at most
/// `limit` nodes at work.
///
/// # Errors
/// If there are too many to be kept.
pub fn find_cut_sets(
    function: &Function,
    variables: &EventVariables,
    role: impl Fn(ExactEvent, f64) -> EventRole,
    max_order: Option<u32>,
    limit: usize,
) -> Result<Solutions, TooMany> {
    let mut finder = Finder {
        function,
        variables,
        role: &role,
        families: Families::new(limit),
        parts: Vec::new(),
        numbers: BTreeMap::new(),
        found: vec![NONE, EMPTY],
        max_order,
    };
    finder.number_parts();
    // Nodes are listed ends first, so the families of both ends are known.
    for decision in function.nodes().iter().skip(2) {
        let family = finder.solutions_at(*decision)?;
        finder.found.push(family);
    }
    let root = if function.is_false() { NONE } else { *finder.found.last().unwrap_or(&NONE) };
    let (families, parts) = (finder.families, finder.parts);
    let mut item =
        Solutions { parts, by_order: [0; ORDERS + 1], complete_to: max_order, families, root };
    item.by_order = item.count_by_order();
    Ok(item)
}

struct Finder<'a, R> {
    function: &'a Bdd,
    variables: &'a EventVariables,
    role: &'a R,
    families: Families,
    parts: Vec<CutPart>,
    /// By event and mode the number of the part.
    numbers: BTreeMap<(ExactEvent, Option<u8>), u32>,
    /// By node of the function: its solutions. Of nodes that only lie within the modes of a target
    /// nothing is asked.
    found: Vec<Family>,
    max_order: Option<u32>,
}

impl<R: Fn(ExactEvent, f64) -> EventRole> Finder<'_, R> {
    /// Numbers all parts in the order of the events.
    fn number_parts(&mut self) {
        for (place, event) in self.variables.events.iter().enumerate() {
            let chance = self.variables.chances[place];
            match event {
                ExactEvent::Target(target) => {
                    for (mode, share) in self.variables.modes[*target].iter().enumerate() {
                        let mode = Some(mode as u8);
                        self.number_part(CutPart { event: *event, mode, chance: chance * share });
                    }
                }
                ExactEvent::Mode(..) => {}
                _ => self.number_part(CutPart { event: *event, mode: None, chance }),
            }
        }
    }

    fn number_part(&mut self, part: CutPart) {
        self.numbers.insert((part.event, part.mode), self.parts.len() as u32);
        self.parts.push(part);
    }

    fn solutions_of(&self, at: u32) -> Family {
        self.found[at as usize]
    }

    /// Returns the solutions at a node whose ends have theirs.
    fn solutions_at(&mut self, decision: Decision) -> Result<Family, TooMany> {
        let Decision { variable, low, high } = decision;
        let place = usize::from(variable);
        let event = self.variables.events[place];
        match (event, (self.role)(event, self.variables.chances[place])) {
            // Only reached through the target, which looks through them itself.
            (ExactEvent::Mode(..), _) => Ok(NONE),
            (_, EventRole::Never) => Ok(self.solutions_of(low)),
            (_, EventRole::Always) => Ok(self.solutions_of(high)),
            (ExactEvent::Target(target), EventRole::Event) => {
                self.solutions_at_target(target, low, high)
            }
            (_, EventRole::Event) => {
                let without = self.solutions_of(low);
                let with = self.families.without_supersets(self.solutions_of(high), without)?;
                let number = self.numbers[&(event, None)];
                self.join_families(number, without, with)
            }
        }
    }

    fn join_families(
        &mut self,
        number: u32,
        without: Family,
        with: Family,
    ) -> Result<Family, TooMany> {
        let joined = self.families.new_family(number, without, with)?;
        // Cut at every step, so that large sets never take memory.
        match self.max_order {
            Some(order) => self.families.at_most(joined, order),
            None => Ok(joined),
        }
    }

    /// Returns the solutions at a target, which does nothing or breaks in one of its exclusive modes.
    fn solutions_at_target(
        &mut self,
        target: TargetId,
        low: u32,
        high: u32,
    ) -> Result<Family, TooMany> {
        // One node for each mode, the last mode innermost, as parts are numbered.
        let mut all = self.solutions_of(low);
        let spared = all;
        for mode in (0..3).rev() {
            if self.variables.modes[target][usize::from(mode)] <= 0.0 {
                continue;
            }
            let broken = self.in_mode(high, target, mode);
            let with = self.families.without_supersets(self.solutions_of(broken), spared)?;
            let number = self.numbers[&(ExactEvent::Target(target), Some(mode))];
            all = self.join_families(number, all, with)?;
        }
        Ok(all)
    }

    /// Returns where a function continues when a target breaks in a mode, past the nodes of its modes.
    fn in_mode(&self, mut at: u32, target: TargetId, mode: u8) -> u32 {
        while at > YES {
            let decision = self.function.nodes()[at as usize];
            match self.variables.events[usize::from(decision.variable)] {
                ExactEvent::Mode(item, drawn) if item == target => {
                    at = if drawn == mode { decision.high } else { decision.low };
                }
                _ => break,
            }
        }
        at
    }
}

impl Solutions {
    /// Returns the number of sets.
    pub fn sets_total(&self) -> u64 {
        self.by_order.iter().fold(0, |all, count| all.saturating_add(*count))
    }

    fn count_by_order(&self) -> [u64; ORDERS + 1] {
        let mut counts = vec![[0_u64; ORDERS + 1]; self.root as usize + 1];
        if let Some(empty) = counts.get_mut(EMPTY as usize) {
            empty[0] = 1;
        }
        for family in 2..counts.len() {
            let node = self.families.nodes[family];
            let (without, with) = (counts[node.without as usize], counts[node.with as usize]);
            let here = &mut counts[family];
            *here = without;
            for order in 0..=ORDERS {
                let more = (order + 1).min(ORDERS);
                // Saturated, since there may be more sets than a number can hold.
                here[more] = here[more].saturating_add(with[order]);
            }
        }
        counts[self.root as usize]
    }

    /// Returns the most likely sets, most likely first, then the smallest: at most `most`, each as
    /// numbers of [`Solutions::parts`] and its probability.
    ///
    /// Takes memory in proportion to the nodes, and to `most` times their depth, however many sets are
    /// equally likely.
    pub fn most_likely(&self, most: usize) -> Vec<(Vec<u32>, f64)> {
        let mut ranking = SetRanking::new(self);
        (0..most).map_while(|rank| ranking.set_of_rank(self.root, rank as u32)).collect()
    }
}

/// Sets of families from the most likely one on, as far as they were asked for.
///
/// The sets of a node are those of its two ends, merged. So the next set of a node needs one more set
/// of one end (Huang and Chiang, "Better k-best parsing", IWPT 2005, algorithm 3).
struct SetRanking<'a> {
    solutions: &'a Solutions,
    families: Vec<Ranked>,
}

/// The most likely sets of one family.
#[derive(Clone, Default)]
struct Ranked {
    sets: Vec<RankedSet>,
    /// Ranks of the next candidates among the sets without the part and with it.
    next: [u32; 2],
    /// Whether there are no more sets.
    is_complete: bool,
}

/// A set, as the set of an end that it continues with.
#[derive(Clone, Copy)]
struct RankedSet {
    chance: f64,
    order: u32,
    has_part: bool,
    rank: u32,
}

impl RankedSet {
    /// Compares by likelihood, then by order.
    fn is_before(&self, other: &Self) -> bool {
        match self.chance.total_cmp(&other.chance) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.order < other.order,
        }
    }
}

/// Whether a set of this rank is known.
enum Known {
    Set(RankedSet),
    NoSuchSet,
    NotYet,
}

impl<'a> SetRanking<'a> {
    fn new(solutions: &'a Solutions) -> Self {
        // Room for the empty set even where the root is nothing.
        let mut families = vec![Ranked::default(); solutions.root.max(EMPTY) as usize + 1];
        let empty = RankedSet { chance: 1.0, order: 0, has_part: false, rank: 0 };
        families[EMPTY as usize].sets.push(empty);
        families[NONE as usize].is_complete = true;
        families[EMPTY as usize].is_complete = true;
        Self { solutions, families }
    }

    fn known_up_to(&self, family: Family, rank: u32) -> Known {
        let ranked = &self.families[family as usize];
        match ranked.sets.get(rank as usize) {
            Some(set) => Known::Set(*set),
            None if ranked.is_complete => Known::NoSuchSet,
            None => Known::NotYet,
        }
    }

    /// Finds the sets of a family up to this rank. Without recursion, since diagrams are as deep as
    /// there are events.
    fn extend_to(&mut self, family: Family, rank: u32) {
        let mut open = vec![(family, rank)];
        while let Some(&(family, rank)) = open.last() {
            if !matches!(self.known_up_to(family, rank), Known::NotYet) {
                open.pop();
                continue;
            }
            let node = self.solutions.families.nodes[family as usize];
            let next = self.families[family as usize].next;
            let ends = [node.without, node.with];
            let known = [0, 1].map(|end| self.known_up_to(ends[end], next[end]));
            if let Some(end) = known.iter().position(|known| matches!(known, Known::NotYet)) {
                open.push((ends[end], next[end]));
                continue;
            }
            let part = self.solutions.parts[node.part as usize].chance;
            let [without, with] = known.map(|known| match known {
                Known::Set(set) => Some(set),
                Known::NoSuchSet | Known::NotYet => None,
            });
            let without = without.map(|set| RankedSet { has_part: false, rank: next[0], ..set });
            let with = with.map(|set| RankedSet {
                chance: set.chance * part,
                order: set.order + 1,
                has_part: true,
                rank: next[1],
            });
            // Of equals the one with the part, so that the order is always the same.
            let best = match (without, with) {
                (Some(without), Some(with)) if without.is_before(&with) => Some(without),
                (without, with) => with.or(without),
            };
            let ranked = &mut self.families[family as usize];
            match best {
                Some(set) => {
                    ranked.next[usize::from(set.has_part)] += 1;
                    ranked.sets.push(set);
                }
                None => ranked.is_complete = true,
            }
        }
    }

    /// Returns the parts of the set of this rank, and its probability.
    fn set_of_rank(&mut self, mut family: Family, mut rank: u32) -> Option<(Vec<u32>, f64)> {
        self.extend_to(family, rank);
        let (mut parts, mut probability) = (Vec::new(), 1.0);
        while let Some(set) = self.families[family as usize].sets.get(rank as usize) {
            if family == EMPTY {
                return Some((parts, probability));
            }
            let node = self.solutions.families.nodes[family as usize];
            rank = set.rank;
            family = if set.has_part { node.with } else { node.without };
            if set.has_part {
                parts.push(node.part);
                probability *= self.solutions.parts[node.part as usize].chance;
            }
        }
        None
    }
}
