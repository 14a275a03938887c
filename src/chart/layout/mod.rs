//! Where boxes stand and how the links between them run.
//!
//! Sizes come in, places go out: nothing here knows what a box says. [`Layered`] is the layout that is
//! used; the trait keeps pictures apart from it.

mod acyclic;
mod layered;
mod order;
mod ranks;
mod settle;

pub(super) use layered::Layered;

/// A place in a picture, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// How much room something needs, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Graph to be laid out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LayoutGraph {
    /// The boxes.
    pub(super) boxes: Vec<Size>,
    /// Which of them stand first, if there is a choice: what breaks.
    pub(super) is_first: Vec<bool>,
    /// The links, each between two different boxes.
    pub(super) links: Vec<LayoutLink>,
}

/// A link from one box to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LayoutLink {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The room of its label.
    pub(super) label: Size,
    /// How much it matters that it is straight, above 0.
    pub(super) weight: f64,
}

/// Which way links run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From left to right.
    Right,
    /// From top to bottom.
    Down,
}

/// The layout of a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placement {
    /// The top left corner of each box.
    pub(super) boxes: Vec<Point>,
    /// How each link runs.
    pub(super) routes: Vec<Route>,
    /// The room that all of it takes.
    pub(super) size: Size,
}

/// How a link runs, from the edge of one box to the edge of the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Route {
    /// Where it begins.
    pub(super) start: Point,
    /// How it goes on.
    pub(super) strokes: Vec<Stroke>,
    /// The middle of its label.
    pub(super) label: Point,
    /// Whether it runs against the direction, since it closes a cycle.
    pub(super) is_return: bool,
}

/// A piece of a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stroke {
    /// A straight line to a point.
    Line(Point),
    /// A curve to a point that leaves and arrives in the direction of the layout.
    Curve(Point),
}

impl Stroke {
    /// Where it ends.
    pub(super) fn end(self) -> Point {
        match self {
            Self::Line(end) | Self::Curve(end) => end,
        }
    }
}

impl Route {
    /// Where it ends.
    pub(super) fn end(&self) -> Point {
        self.strokes.last().map_or(self.start, |stroke| stroke.end())
    }
}

/// A way to lay out a graph. Equal graphs give equal places; no two boxes touch.
pub(super) trait Layout {
    /// Finds a place for everything.
    fn place(&self, graph: &LayoutGraph) -> Placement;
}

#[cfg(test)]
mod tests;
