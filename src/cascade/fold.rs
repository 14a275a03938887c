//! Shows many services as one box, so that a picture of thousands can be read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Grouping;
use super::ways::{count_further_calls, strongest_ways};
use crate::prose::format::plural;
use crate::report::cascade::{
    Arrows, BoxState, CascadeBox, CascadeEdge, CascadeReport, FoldedServices,
};

/// Leaves at most so many boxes: of the callers of each box those that lead to most failures stay, and
/// the others become one box with all that they reach. Every box keeps its strongest way in.
pub(super) fn fold_callers(cascade: CascadeReport, boxes_max: usize) -> CascadeReport {
    let ways = strongest_ways(&cascade);
    let forest = Forest::new(&cascade, &ways);
    let kept = forest.kept_boxes(boxes_max);
    let further_calls = count_further_calls(&cascade, &ways);
    let mut places: Vec<Option<usize>> = vec![None; cascade.boxes.len()];
    // Boxes keep their order, which is that of impact.
    let mut boxes = Vec::new();
    for index in (0..cascade.boxes.len()).filter(|index| kept[*index]) {
        places[index] = Some(boxes.len());
        boxes.push(cascade.boxes[index].clone());
    }
    let edge_to = |index: usize| ways[index].map(|way| cascade.edges[way].clone());
    // A box is kept only after its parent, so its arrow always has a start.
    let place_of = |index: usize| places[index].expect("parents of kept boxes are kept");
    let mut edges: Vec<CascadeEdge> = Vec::new();
    for index in (0..cascade.boxes.len()).filter(|index| kept[*index]) {
        edges.extend(edge_to(index).map(|edge| CascadeEdge {
            from: place_of(edge.from),
            to: place_of(index),
            ..edge
        }));
    }
    for ((parent, _), direct) in forest.unkept_children(&kept) {
        let members = forest.with_all_below(&direct);
        let to = boxes.len();
        boxes.push(match members.as_slice() {
            // A fold of one would say less than the box itself.
            [only] => cascade.boxes[*only].clone(),
            _ => folded_box(&cascade, &members, direct.len(), caller_label(&direct, parent)),
        });
        let Some(parent) = parent else { continue };
        let strongest = direct.iter().filter_map(|index| edge_to(*index));
        // A fold has one arrow in, like every other box here: the strongest.
        let strongest = strongest.max_by(|a, b| a.passed.total_cmp(&b.passed));
        edges.extend(strongest.map(|edge| CascadeEdge { from: place_of(parent), to, ..edge }));
    }
    CascadeReport { boxes, edges, arrows: Arrows::One, further_calls, ..cascade }
}

fn caller_label(direct: &[usize], parent: Option<usize>) -> String {
    match parent {
        Some(_) => plural(direct.len(), "more caller"),
        None => plural(direct.len(), "more service"),
    }
}

/// Shows the services of each group as one box. What breaks itself stays as it is.
pub(super) fn fold_groups(cascade: CascadeReport, grouping: Grouping) -> CascadeReport {
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut order: Vec<Vec<usize>> = Vec::new();
    for (index, drawn) in cascade.boxes.iter().enumerate() {
        // What breaks is what the picture is about, so no group swallows it.
        if drawn.state == BoxState::Origin {
            order.push(vec![index]);
        } else {
            members.entry(group_label(drawn, grouping)).or_default().push(index);
        }
    }
    let mut groups: Vec<(String, Vec<usize>)> = members.into_iter().collect();
    // Boxes stand in the order of impact: so do groups, by their first one.
    groups.sort_by_key(|(_, indices)| indices[0]);
    let mut places = vec![0; cascade.boxes.len()];
    let mut boxes = Vec::new();
    for indices in &order {
        places[indices[0]] = boxes.len();
        boxes.push(cascade.boxes[indices[0]].clone());
    }
    for (label, indices) in groups {
        for index in &indices {
            places[*index] = boxes.len();
        }
        let direct = indices.len();
        boxes.push(folded_box(&cascade, &indices, direct, label));
    }
    let edges = merged_edges(&cascade, &places);
    CascadeReport { boxes, edges, ..cascade }
}

fn group_label(drawn: &CascadeBox, grouping: Grouping) -> String {
    let named = |what: &str, name: Option<String>| match name {
        Some(name) => format!("{what} {name}"),
        None => format!("no {what}"),
    };
    match grouping {
        Grouping::Team => named("team", drawn.team.clone()),
        Grouping::Zone if drawn.zones.is_empty() => named("zone", None),
        Grouping::Zone => named("zone", Some(drawn.zones.join(", "))),
        Grouping::Tier => named("tier", drawn.tier.map(|tier| tier.to_string())),
        Grouping::Kind => named("kind", drawn.kind.clone()),
    }
}

/// Returns the strongest edge between any two groups.
fn merged_edges(cascade: &CascadeReport, places: &[usize]) -> Vec<CascadeEdge> {
    let mut merged: BTreeMap<(usize, usize), CascadeEdge> = BTreeMap::new();
    for edge in &cascade.edges {
        let (from, to) = (places[edge.from], places[edge.to]);
        // A link within a group has both ends in one box.
        if from == to {
            continue;
        }
        let moved = || CascadeEdge { from, to, ..edge.clone() };
        let known = merged.entry((from, to)).or_insert_with(moved);
        if edge.passed > known.passed {
            *known = moved();
        }
    }
    merged.into_values().collect()
}

/// Returns one box for several; that of the one that fails most often, with a label for its name.
fn folded_box(
    cascade: &CascadeReport,
    members: &[usize],
    direct: usize,
    label: String,
) -> CascadeBox {
    let all = || members.iter().map(|index| &cascade.boxes[*index]);
    let most = |a: &&CascadeBox, b: &&CascadeBox| {
        let by_failed = a.failed.p.total_cmp(&b.failed.p);
        by_failed.then(a.degraded.p.total_cmp(&b.degraded.p))
    };
    let worst = all().max_by(most).expect("a fold has members");
    let count = |states: &[BoxState]| all().filter(|drawn| states.contains(&drawn.state)).count();
    let mut flows: Vec<String> = all().flat_map(|drawn| drawn.flows.iter().cloned()).collect();
    flows.sort();
    flows.dedup();
    CascadeBox {
        name: label,
        title: None,
        // The worst state of all: a fold must not look better than a part of it.
        state: all().map(|drawn| drawn.state).min().expect("a fold has members"),
        rank: None,
        flows,
        team: None,
        zones: Vec::new(),
        // A fold has no team, zone or tier, since its members may have several.
        tier: None,
        waiting: Vec::new(),
        folded: Some(FoldedServices {
            names: all().map(|drawn| drawn.name.clone()).collect(),
            direct,
            failing: count(&[BoxState::Origin, BoxState::Fails, BoxState::MayFail]),
            degraded: count(&[BoxState::Degrades]),
        }),
        ..worst.clone()
    }
}

/// Boxes by their strongest ways in.
struct Forest<'a> {
    cascade: &'a CascadeReport,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// By box: the expected number of failing services among it and all that are reached through it.
    failures: Vec<f64>,
}

impl<'a> Forest<'a> {
    fn new(cascade: &'a CascadeReport, ways: &[Option<usize>]) -> Self {
        let count = cascade.boxes.len();
        let parents: Vec<Option<usize>> =
            ways.iter().map(|way| way.map(|index| cascade.edges[index].from)).collect();
        let mut children = vec![Vec::new(); count];
        for (index, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(index);
            }
        }
        let mut forest = Self { cascade, parents, children, failures: vec![0.0; count] };
        let roots: Vec<usize> =
            (0..count).filter(|index| forest.parents[*index].is_none()).collect();
        let order = forest.with_all_below(&roots);
        // Children stand after their parents: backwards, every box is summed up before it is added.
        for index in order.into_iter().rev() {
            forest.failures[index] += cascade.boxes[index].failed.p;
            if let Some(parent) = forest.parents[index] {
                forest.failures[parent] += forest.failures[index];
            }
        }
        forest
    }

    /// Returns boxes and all that are reached through them, parents before children.
    fn with_all_below(&self, roots: &[usize]) -> Vec<usize> {
        let mut found = roots.to_vec();
        let mut next = 0;
        while next < found.len() {
            found.extend(&self.children[found[next]]);
            next += 1;
        }
        found
    }

    /// Returns the key of the fold that a box belongs to unless it is kept: what holds is not mixed with
    /// what is hit.
    fn fold_key(&self, index: usize) -> (Option<usize>, bool) {
        // What holds would make what fails look harmless.
        (self.parents[index], self.cascade.boxes[index].state == BoxState::Holds)
    }

    /// Chooses the boxes that are kept, so that they and the folds of the others are at most so many.
    fn kept_boxes(&self, boxes_max: usize) -> Vec<bool> {
        let order = self.by_importance();
        // How many children of each fold are not kept so far.
        let mut left: BTreeMap<(Option<usize>, bool), usize> = BTreeMap::new();
        for index in 0..self.parents.len() {
            if self.parents[index].is_none() {
                *left.entry(self.fold_key(index)).or_default() += 1;
            }
        }
        let mut best = 1;
        for (count, index) in order.iter().enumerate() {
            let key = self.fold_key(*index);
            let remaining = left.entry(key).or_default();
            // A child that is kept leaves its fold.
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                left.remove(&key);
            }
            for child in &self.children[*index] {
                *left.entry(self.fold_key(*child)).or_default() += 1;
            }
            // Folds take room as well; a larger choice may fit again, since a whole fold may go.
            if count + 1 + left.len() <= boxes_max {
                best = count + 1;
            }
        }
        let mut kept = vec![false; self.parents.len()];
        for index in &order[..best.min(order.len())] {
            kept[*index] = true;
        }
        kept
    }

    /// Returns all boxes, parents before children: what breaks first, then always that which leads to
    /// most failures.
    fn by_importance(&self) -> Vec<usize> {
        #[expect(clippy::cast_sign_loss, reason = "sums of shares are not negative")]
        let key = |index: usize| {
            let drawn = &self.cascade.boxes[index];
            // Thousandths, since floating-point numbers have no order of their own.
            let failures = (self.failures[index] * 1000.0).round() as u64;
            let tier = drawn.tier.unwrap_or(u32::MAX);
            // Of equal ones the more important tier first, then the order of the boxes: never by
            // chance.
            (drawn.state == BoxState::Origin, failures, Reverse((tier, index)))
        };
        let mut open: BinaryHeap<_> = (0..self.parents.len())
            .filter(|index| self.parents[*index].is_none())
            .map(key)
            .collect();
        let mut order = Vec::with_capacity(self.parents.len());
        while let Some((_, _, Reverse((_, index)))) = open.pop() {
            order.push(index);
            // Children only after their parent, so that no box is kept without the way to it.
            open.extend(self.children[index].iter().map(|child| key(*child)));
        }
        order
    }

    /// Returns the boxes that are not kept though their parents are, by fold.
    fn unkept_children(&self, kept: &[bool]) -> BTreeMap<(Option<usize>, bool), Vec<usize>> {
        let mut folds: BTreeMap<(Option<usize>, bool), Vec<usize>> = BTreeMap::new();
        for index in 0..self.parents.len() {
            let is_next = self.parents[index].is_none_or(|parent| kept[parent]);
            if is_next && !kept[index] {
                folds.entry(self.fold_key(index)).or_default().push(index);
            }
        }
        folds
    }
}
