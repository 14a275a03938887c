//! Laws of the layout, on random graphs.

use super::*;

/// A small generator of numbers (splitmix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A graph of 1 to `most` boxes with cycles, in one part or in several.
fn random(seed: u64, most: usize) -> LayoutGraph {
    let mut numbers = Numbers(seed);
    let count = 1 + numbers.below(most);
    let size = |numbers: &mut Numbers| Size {
        width: 60.0 + numbers.below(140) as f64,
        height: 30.0 + numbers.below(40) as f64,
    };
    let boxes: Vec<Size> = (0..count).map(|_| size(&mut numbers)).collect();
    let wanted = numbers.below(count * 2 + 1);
    let mut pairs = Vec::new();
    for _ in 0..wanted {
        let from = numbers.below(count);
        // Mostly near, as in real systems, so that there are several parts.
        let to = (from + 1 + numbers.below(6)) % count;
        let (from, to) = if numbers.below(8) == 0 { (to, from) } else { (from, to) };
        if from != to && !pairs.contains(&(from, to)) {
            pairs.push((from, to));
        }
    }
    let links = pairs.into_iter().map(|(from, to)| LayoutLink {
        from,
        to,
        label: Size { width: 20.0 + numbers.below(80) as f64, height: 14.0 },
        weight: 1.0 + numbers.below(5) as f64,
    });
    LayoutGraph {
        is_first: (0..count).map(|node| node == 0).collect(),
        links: links.collect(),
        boxes,
    }
}

fn layouts() -> [Layered; 3] {
    let right = Layered::default();
    let tight = Layered { row_gap: 12.0, bend_most: 8.0, box_gap: 16.0, ..right };
    [right, Layered { direction: Direction::Down, row_max: 5, ..right }, tight]
}

/// The points of a route, close enough to each other to see what it crosses.
fn points(route: &Route, direction: Direction) -> Vec<Point> {
    let mut points = vec![route.start];
    let mut from = route.start;
    for stroke in &route.strokes {
        let to = stroke.end();
        for step in 1..=24 {
            let t = f64::from(step) / 24.0;
            points.push(match stroke {
                Stroke::Line(_) => {
                    Point { x: from.x + (to.x - from.x) * t, y: from.y + (to.y - from.y) * t }
                }
                Stroke::Curve(_) => {
                    // A cubic whose inner points lie in the middle of the way along.
                    let along = |a: f64, b: f64| {
                        let (m, s) = (a.midpoint(b), 1.0 - t);
                        a * s * s * s + 3.0 * m * s * s * t + 3.0 * m * s * t * t + b * t * t * t
                    };
                    let across = |a: f64, b: f64| a + (b - a) * t * t * (3.0 - 2.0 * t);
                    match direction {
                        Direction::Right => {
                            Point { x: along(from.x, to.x), y: across(from.y, to.y) }
                        }
                        Direction::Down => {
                            Point { x: across(from.x, to.x), y: along(from.y, to.y) }
                        }
                    }
                }
            });
        }
        from = to;
    }
    points
}

fn check(graph: &LayoutGraph, layout: &Layered) {
    let placement = layout.place(graph);
    let corner = |node: usize| {
        let (at, size) = (placement.boxes[node], graph.boxes[node]);
        (at.x, at.y, at.x + size.width, at.y + size.height)
    };
    for a in 0..graph.boxes.len() {
        let (left, top, right, bottom) = corner(a);
        assert!(left >= -1e-6 && top >= -1e-6, "box {a} is within the picture");
        assert!(right <= placement.size.width + 1e-6 && bottom <= placement.size.height + 1e-6);
        for b in 0..a {
            let other = corner(b);
            let apart = right <= other.0 || other.2 <= left || bottom <= other.1 || other.3 <= top;
            assert!(apart, "boxes {a} and {b} overlap");
        }
    }
    for (link, route) in graph.links.iter().zip(&placement.routes) {
        for point in points(route, layout.direction) {
            for node in (0..graph.boxes.len()).filter(|node| *node != link.from && *node != link.to)
            {
                let (left, top, right, bottom) = corner(node);
                let is_inside = point.x > left + 0.5
                    && point.x < right - 0.5
                    && point.y > top + 0.5
                    && point.y < bottom - 0.5;
                assert!(!is_inside, "the link {link:?} goes through box {node}");
            }
        }
        let touches = |point: Point, node: usize| {
            let (left, top, right, bottom) = corner(node);
            (left - 0.6..=right + 0.6).contains(&point.x)
                && (top - 0.6..=bottom + 0.6).contains(&point.y)
        };
        assert!(touches(route.start, link.from), "{link:?} begins at its box");
        assert!(touches(route.end(), link.to), "{link:?} ends at its box");
    }
    assert_eq!(layout.place(graph), placement, "equal graphs give equal places");
}

#[test]
fn no_box_overlaps_and_no_link_goes_through_a_box_in_a_thousand_graphs() {
    for seed in 0..1000 {
        // Large ones are rare, since every pair is looked at.
        let most = match seed % 100 {
            0 => 400,
            1..10 => 80,
            _ => 20,
        };
        let graph = random(seed, most);
        // The third differs from the first by its gaps alone.
        let count = if seed % 5 == 0 { 3 } else { 2 };
        for layout in &layouts()[..count] {
            check(&graph, layout);
        }
    }
}

#[test]
fn what_breaks_stands_first_even_in_a_cycle() {
    let size = Size { width: 50.0, height: 30.0 };
    let link = |from, to| LayoutLink { from, to, label: size, weight: 1.0 };
    let graph = LayoutGraph {
        boxes: vec![size; 3],
        is_first: vec![false, true, false],
        links: vec![link(0, 1), link(1, 2), link(2, 0)],
    };
    let placement = layouts()[0].place(&graph);
    assert!(placement.boxes[1].x < placement.boxes[2].x);
    assert!(placement.boxes[2].x < placement.boxes[0].x);
    let returns: Vec<bool> = placement.routes.iter().map(|route| route.is_return).collect();
    assert_eq!(returns, [true, false, false]);
}

#[test]
fn a_chain_is_straight() {
    let size = Size { width: 50.0, height: 30.0 };
    let link =
        |from, to| LayoutLink { from, to, label: Size { width: 30.0, height: 14.0 }, weight: 1.0 };
    let graph = LayoutGraph {
        boxes: vec![size; 4],
        is_first: vec![true, false, false, false],
        links: vec![link(0, 1), link(1, 2), link(2, 3)],
    };
    let placement = layouts()[0].place(&graph);
    assert!(placement.boxes.windows(2).all(|pair| pair[0].y == pair[1].y && pair[0].x < pair[1].x));
}

#[test]
fn a_row_holds_no_more_than_it_may() {
    let size = Size { width: 50.0, height: 30.0 };
    let label = Size { width: 30.0, height: 14.0 };
    let links = (1..14).map(|to| LayoutLink { from: 0, to, label, weight: 1.0 }).collect();
    let graph = LayoutGraph { boxes: vec![size; 14], is_first: vec![true], links };
    let placement = layouts()[1].place(&graph);
    let mut rows: Vec<f64> = placement.boxes.iter().map(|at| at.y).collect();
    rows.sort_by(f64::total_cmp);
    assert!(rows.chunk_by(|a, b| a == b).all(|row| row.len() <= 5), "{rows:?}");
}
