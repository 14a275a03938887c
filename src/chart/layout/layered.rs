//! A layered layout: rows of boxes, with a row for labels between any two of them.
//!
//! Every link has a place of its own in each row that it passes, so it runs straight there and bends
//! only between rows, where no boxes are: it crosses none by construction.

use super::acyclic::back_links;
use super::order::order_rows;
use super::ranks::assign_ranks;
use super::settle::settle_rows;
use super::{Direction, Layout, LayoutGraph, Placement, Point, Route, Size, Stroke};
use crate::sort::Arrange as _;

/// The layered layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layered {
    /// Which way links run.
    pub(crate) direction: Direction,
    /// Maximum number of boxes beside each other.
    pub(crate) row_max: usize,
    /// How much boxes keep apart across a row.
    pub(crate) box_gap: f64,
    /// How much a link keeps apart from boxes and other links.
    pub(crate) link_gap: f64,
    /// The least room between rows, where links bend.
    pub(crate) row_gap: f64,
    /// How much more room they are given at the most where they bend far.
    pub(crate) bend_most: f64,
}

impl Default for Layered {
    /// From left to right, with room to read by.
    fn default() -> Self {
        Self {
            direction: Direction::Right,
            row_max: usize::MAX,
            box_gap: 20.0,
            link_gap: 8.0,
            row_gap: 26.0,
            bend_most: 40.0,
        }
    }
}

/// A box, or the place of a link in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thing {
    what: What,
    row: usize,
    /// Its size in the direction of links.
    along: f64,
    /// And across.
    pub(super) across: f64,
    /// Neighbours in the row before, and the weight of each link.
    pub(super) before: Vec<(usize, f64)>,
    /// And in the row after.
    pub(super) after: Vec<(usize, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Box(usize),
    Link,
}

/// A place along and across the direction of links.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spot {
    along: f64,
    across: f64,
}

impl Layout for Layered {
    fn place(&self, graph: &LayoutGraph) -> Placement {
        let mut placement = Placement {
            boxes: vec![Point::default(); graph.boxes.len()],
            routes: vec![Route::default(); graph.links.len()],
            size: Size::default(),
        };
        let mut from = 0.0;
        for part in connected_parts(graph) {
            let drawn = LayoutPart::new(self, graph, &part).place_part();
            let across = drawn.copy_into(self.direction, from, &part, &mut placement);
            // Parts that are not connected keep more distance than boxes that are.
            from += across + self.box_gap * 1.5;
        }
        self.place_lone(graph, from, &mut placement);
        placement
    }
}

impl Layered {
    fn along(&self, size: Size) -> f64 {
        match self.direction {
            Direction::Right => size.width,
            Direction::Down => size.height,
        }
    }

    fn across(&self, size: Size) -> f64 {
        match self.direction {
            Direction::Right => size.height,
            Direction::Down => size.width,
        }
    }

    fn gap_between(&self, a: &Thing, b: &Thing) -> f64 {
        let is_box = |thing: &Thing| matches!(thing.what, What::Box(_));
        if is_box(a) && is_box(b) { self.box_gap } else { self.link_gap }
    }

    /// Boxes without any link stand in lines below the rest.
    fn place_lone(&self, graph: &LayoutGraph, from: f64, placement: &mut Placement) {
        let mut is_linked = vec![false; graph.boxes.len()];
        for link in &graph.links {
            is_linked[link.from] = true;
            is_linked[link.to] = true;
        }
        let lone: Vec<usize> = (0..graph.boxes.len()).filter(|node| !is_linked[*node]).collect();
        if lone.is_empty() {
            return;
        }
        let top = match self.direction {
            Direction::Right => from,
            Direction::Down if placement.size.height > 0.0 => {
                placement.size.height + self.box_gap * 1.5
            }
            Direction::Down => 0.0,
        };
        let widest = lone.iter().map(|node| graph.boxes[*node].width).fold(0.0, f64::max);
        // Without connected parts a width of four boxes is a shape that can be read.
        let room = placement.size.width.max(widest * 4.0 + self.box_gap * 3.0);
        let (mut x, mut y, mut line) = (0.0, top, 0.0_f64);
        for node in lone {
            let size = graph.boxes[node];
            if x > 0.0 && x + size.width > room {
                y += line + self.box_gap;
                (x, line) = (0.0, 0.0);
            }
            placement.boxes[node] = Point { x, y };
            placement.size.width = placement.size.width.max(x + size.width);
            placement.size.height = placement.size.height.max(y + size.height);
            line = line.max(size.height);
            x += size.width + self.box_gap;
        }
    }
}

/// Boxes and links that hang together, by their numbers in the whole graph.
struct Members {
    boxes: Vec<usize>,
    links: Vec<usize>,
}

/// The parts that hang together: those with what stands first, then the largest.
fn connected_parts(graph: &LayoutGraph) -> Vec<Members> {
    let mut root: Vec<usize> = (0..graph.boxes.len()).collect();
    let find = |root: &mut Vec<usize>, mut node: usize| {
        while root[node] != node {
            // Halving the path keeps later searches short.
            root[node] = root[root[node]];
            node = root[node];
        }
        node
    };
    for link in &graph.links {
        let (a, b) = (find(&mut root, link.from), find(&mut root, link.to));
        // The smaller index becomes the root, so that the result does not depend on the order of
        // links.
        root[a.max(b)] = a.min(b);
    }
    let mut parts: Vec<Members> =
        root.iter().map(|_| Members { boxes: Vec::new(), links: Vec::new() }).collect();
    for node in 0..graph.boxes.len() {
        parts[find(&mut root, node)].boxes.push(node);
    }
    for (index, link) in graph.links.iter().enumerate() {
        parts[find(&mut root, link.from)].links.push(index);
    }
    parts.retain(|part| !part.links.is_empty());
    let has_first =
        |part: &Members| part.boxes.iter().any(|node| graph.is_first.get(*node) == Some(&true));
    // What breaks is read first, and large parts before small ones.
    parts.arrange_by_key(|part| (!has_first(part), usize::MAX - part.boxes.len(), part.boxes[0]));
    parts
}

/// One part on its way to a layout.
struct LayoutPart<'a> {
    layout: &'a Layered,
    things: Vec<Thing>,
    rows: Vec<Vec<usize>>,
    /// By link of the part: its things, row by row, from the box that stands earlier.
    chains: Vec<Vec<usize>>,
    /// By link of the part: whether it closes a cycle.
    returns: Vec<bool>,
}

impl<'a> LayoutPart<'a> {
    fn new(layout: &'a Layered, graph: &LayoutGraph, members: &Members) -> Self {
        let local = local_graph(graph, members);
        let returns = back_links(&local);
        let pairs: Vec<(usize, usize)> = local
            .links
            .iter()
            .zip(&returns)
            // A return link counts in the other direction, so that the graph has no cycle.
            .map(|(link, is_return)| match is_return {
                true => (link.to, link.from),
                false => (link.from, link.to),
            })
            .collect();
        let ranks = assign_ranks(local.boxes.len(), &pairs, layout.row_max);
        let mut part =
            Self { layout, things: Vec::new(), rows: Vec::new(), chains: Vec::new(), returns };
        part.fill_rows(&local, &pairs, &ranks);
        part
    }

    /// Makes the rows: those of boxes are even, those of labels odd.
    fn fill_rows(&mut self, local: &LayoutGraph, pairs: &[(usize, usize)], ranks: &[usize]) {
        let last = ranks.iter().copied().max().unwrap_or(0);
        // Rows of labels lie between those of boxes, so a label never covers a box.
        self.rows = vec![Vec::new(); last * 2 + 1];
        for (node, size) in local.boxes.iter().enumerate() {
            let (along, across) = (self.layout.along(*size), self.layout.across(*size));
            self.add_thing(ranks[node] * 2, What::Box(node), along, across);
        }
        for (link, (from, to)) in local.links.iter().zip(pairs) {
            let mut chain = vec![*from];
            let (first, end) = (ranks[*from] * 2, ranks[*to] * 2);
            for row in first + 1..end {
                // The label stands beside the box that the link leads to.
                let is_label = row + 1 == end;
                let label = if is_label { link.label } else { Size::default() };
                let (along, across) = (self.layout.along(label), self.layout.across(label));
                // Two pixels keep links apart that have no label.
                chain.push(self.add_thing(row, What::Link, along, across.max(2.0)));
            }
            chain.push(*to);
            let inner = chain.len() - 2;
            for (index, pair) in chain.windows(2).enumerate() {
                // Long links should be straight above all.
                let is_end = index == 0 || index == inner;
                let weight = link.weight * if is_end { 1.0 } else { 8.0 };
                self.things[pair[0]].after.push((pair[1], weight));
                self.things[pair[1]].before.push((pair[0], weight));
            }
            self.chains.push(chain);
        }
    }

    fn add_thing(&mut self, row: usize, what: What, along: f64, across: f64) -> usize {
        let index = self.things.len();
        self.things.push(Thing { what, row, along, across, before: Vec::new(), after: Vec::new() });
        self.rows[row].push(index);
        index
    }

    fn place_part(mut self) -> Drawn<'a> {
        order_rows(&self.things, &mut self.rows);
        let middles = settle_rows(&self.things, &self.rows, |a, b| self.layout.gap_between(a, b));
        let least =
            // The layout knows only distances; the top edge becomes 0.
            self.things.iter().zip(&middles).map(|(item, middle)| middle - item.across / 2.0);
        let least = least.fold(f64::INFINITY, f64::min);
        let middles: Vec<f64> = middles.iter().map(|middle| middle - least).collect();
        let spans = self.row_spans(&middles);
        let routes = self.link_routes(&middles, &spans);
        Drawn { part: self, middles, spans, routes }
    }

    /// Where each row begins and ends in the direction of links.
    fn row_spans(&self, middles: &[f64]) -> Vec<(f64, f64)> {
        let mut spans = Vec::with_capacity(self.rows.len());
        let mut at = 0.0;
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                let bends = self.rows[index - 1].iter().flat_map(|node| {
                    let middle = middles[*node];
                    self.things[*node]
                        .after
                        .iter()
                        .map(move |item| (middles[item.0] - middle).abs())
                });
                // Where links bend far, steep curves would be hard to follow.
                at += self.layout.row_gap
                    + (bends.fold(0.0, f64::max) * 0.05).min(self.layout.bend_most);
            }
            let room = row.iter().map(|node| self.things[*node].along).fold(0.0, f64::max);
            spans.push((at, at + room));
            at += room;
        }
        spans
    }

    /// How links run, from the box that stands earlier to the other.
    fn link_routes(&self, middles: &[f64], spans: &[(f64, f64)]) -> Vec<LinkPath> {
        let leaving = self.link_ports(middles, |chain| (chain[0], chain[1]));
        let arriving =
            self.link_ports(middles, |chain| (chain[chain.len() - 1], chain[chain.len() - 2]));
        let route = |(index, chain): (usize, &Vec<usize>)| {
            let first = self.things[chain[0]].row;
            let leave = spans[first].0 + self.things[chain[0]].along;
            let start = Spot { along: leave, across: leaving[index] };
            let mut path = LinkPath { start, strokes: Vec::new(), label: Spot::default() };
            // Boxes of a row begin together, and may end earlier than it.
            path.strokes.push((false, Spot { along: spans[first].1, ..start }));
            for (place, node) in chain.iter().enumerate().take(chain.len() - 1).skip(1) {
                let (begin, end) = spans[first + place];
                let across = middles[*node];
                path.strokes.push((true, Spot { along: begin, across }));
                path.strokes.push((false, Spot { along: end, across }));
                path.label = Spot { along: begin.midpoint(end), across };
            }
            let (begin, _) = spans[first + chain.len() - 1];
            path.strokes.push((true, Spot { along: begin, across: arriving[index] }));
            path
        };
        self.chains.iter().enumerate().map(route).collect()
    }

    /// By link: where it touches its box, so that links beside each other touch it in their order.
    fn link_ports(&self, middles: &[f64], ends: impl Fn(&[usize]) -> (usize, usize)) -> Vec<f64> {
        let mut by_box: Vec<Vec<(f64, usize)>> = vec![Vec::new(); self.things.len()];
        for (index, chain) in self.chains.iter().enumerate() {
            let (node, next) = ends(chain);
            by_box[node].push((middles[next], index));
        }
        let mut ports = vec![0.0; self.chains.len()];
        for (node, mut links) in by_box.into_iter().enumerate() {
            // In the order of their other ends, links that leave a box side by side do not cross.
            links.arrange_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let count = links.len() as f64;
            // Many links share the side of a box, and few of them stay close to its middle.
            let step = ((self.things[node].across - 14.0) / count).clamp(0.5, 11.0);
            for (place, (_, index)) in links.into_iter().enumerate() {
                let from_middle = (place as f64 - (count - 1.0) / 2.0) * step;
                let reach = (self.things[node].across / 2.0 - 4.0).max(0.0);
                ports[index] = middles[node] + from_middle.clamp(-reach, reach);
            }
        }
        ports
    }
}

/// The part as a graph of its own.
fn local_graph(graph: &LayoutGraph, members: &Members) -> LayoutGraph {
    let place = |node: usize| members.boxes.binary_search(&node).expect("boxes are in order");
    LayoutGraph {
        boxes: members.boxes.iter().map(|node| graph.boxes[*node]).collect(),
        is_first: members
            .boxes
            .iter()
            .map(|node| graph.is_first.get(*node).copied().unwrap_or(false))
            .collect(),
        links: members
            .links
            .iter()
            .map(|index| {
                let link = graph.links[*index];
                super::LayoutLink { from: place(link.from), to: place(link.to), ..link }
            })
            .collect(),
    }
}

struct LinkPath {
    start: Spot,
    /// Whether it bends, and where to.
    strokes: Vec<(bool, Spot)>,
    label: Spot,
}

/// A part that has its places.
struct Drawn<'a> {
    part: LayoutPart<'a>,
    middles: Vec<f64>,
    spans: Vec<(f64, f64)>,
    routes: Vec<LinkPath>,
}

impl Drawn<'_> {
    /// Copies the places into the whole; says how much room it takes across.
    fn copy_into(
        &self,
        direction: Direction,
        from: f64,
        members: &Members,
        into: &mut Placement,
    ) -> f64 {
        let point = |spot: Spot| match direction {
            Direction::Right => Point { x: spot.along, y: spot.across + from },
            Direction::Down => Point { x: spot.across + from, y: spot.along },
        };
        for (row, (begin, _)) in self.part.rows.iter().zip(&self.spans) {
            for node in row {
                let What::Box(place) = self.part.things[*node].what else { continue };
                let across = self.middles[*node] - self.part.things[*node].across / 2.0;
                into.boxes[members.boxes[place]] = point(Spot { along: *begin, across });
            }
        }
        for ((path, index), is_return) in
            self.routes.iter().zip(&members.links).zip(&self.part.returns)
        {
            let route = Route {
                start: point(path.start),
                strokes: path
                    .strokes
                    .iter()
                    .map(|(bends, to)| match bends {
                        true => Stroke::Curve(point(*to)),
                        false => Stroke::Line(point(*to)),
                    })
                    .collect(),
                label: point(path.label),
                is_return: *is_return,
            };
            // Routes were found in the order of rows, and a return link runs against it.
            into.routes[*index] = if *is_return { reversed_route(&route) } else { route };
        }
        let across = self
            .part
            .things
            .iter()
            .zip(&self.middles)
            .map(|(thing, middle)| middle + thing.across / 2.0)
            .fold(0.0, f64::max);
        let along = self.spans.last().map_or(0.0, |span| span.1);
        let end = point(Spot { along, across });
        into.size.width = into.size.width.max(end.x);
        into.size.height = into.size.height.max(end.y);
        across
    }
}

/// The same way, the other way round.
fn reversed_route(route: &Route) -> Route {
    let mut points = vec![route.start];
    points.extend(route.strokes.iter().map(|stroke| stroke.end()));
    let strokes = route.strokes.iter().zip(&points).rev().map(|(stroke, before)| match stroke {
        Stroke::Line(_) => Stroke::Line(*before),
        Stroke::Curve(_) => Stroke::Curve(*before),
    });
    Route { start: route.end(), strokes: strokes.collect(), ..route.clone() }
}
