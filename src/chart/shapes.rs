//! The signs of states, as paths: fonts draw them differently, or not at all.

use super::ink::Ink;
use super::layout::Point;
use super::svg::{Line, Path, Svg};

/// What state something is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Origin,
    Fails,
    MayFail,
    Degrades,
    Holds,
}

impl State {
    /// The state of a word in a report.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "origin" => Self::Origin,
            "fails" => Self::Fails,
            "may_fail" => Self::MayFail,
            "degrades" => Self::Degrades,
            _ => Self::Holds,
        }
    }

    /// All of them, worst first.
    pub(super) const ALL: [Self; 5] =
        [Self::Origin, Self::Fails, Self::MayFail, Self::Degrades, Self::Holds];

    /// What a box is filled with.
    pub(super) fn fill(self) -> Ink {
        match self {
            Self::Origin => Ink::Origin,
            Self::Fails => Ink::Fails,
            Self::MayFail => Ink::MayFail,
            Self::Degrades => Ink::Degrades,
            Self::Holds => Ink::Holds,
        }
    }

    /// What is written in it.
    pub(super) fn text(self) -> Ink {
        match self {
            Self::Origin => Ink::OnOrigin,
            Self::Fails => Ink::OnFails,
            Self::MayFail => Ink::OnMayFail,
            Self::Degrades => Ink::OnDegrades,
            Self::Holds => Ink::OnHolds,
        }
    }

    /// The line around it.
    pub(super) fn outline(self) -> Line {
        match self {
            Self::Origin => Line::new(Ink::Outline, 3.0),
            Self::Degrades => Line::new(Ink::Outline, 1.3).dashed("5 3"),
            _ => Line::new(Ink::Outline, 1.3),
        }
    }

    /// Draws its sign, about 14 pixels high, around a middle.
    pub(super) fn sign(self, svg: &mut Svg, middle: Point, ink: Ink) {
        let Point { x, y } = middle;
        let at = |dx: f64, dy: f64| Point { x: x + dx, y: y + dy };
        match self {
            Self::Origin => {
                let bolt =
                    [(1.5, -7.5), (-5.0, 1.0), (-0.8, 1.0), (-1.8, 7.5), (5.0, -1.8), (0.6, -1.8)];
                let points: Vec<(f64, f64)> =
                    bolt.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
                svg.path(&Path::polygon(&points), Some(ink), None);
            }
            Self::Fails => {
                let cross = Path::new()
                    .jump(at(-5.0, -5.0))
                    .line(at(5.0, 5.0))
                    .jump(at(5.0, -5.0))
                    .line(at(-5.0, 5.0));
                svg.path(&cross, None, Some(Line::new(ink, 2.6)));
            }
            Self::MayFail => {
                let points = [(x, y - 6.5), (x + 7.0, y + 5.5), (x - 7.0, y + 5.5)];
                svg.path(&Path::polygon(&points), Some(ink), None);
            }
            Self::Degrades => {
                svg.circle(middle, 5.4, None, Some(Line::new(ink, 1.6)));
                let half = Path::new().jump(at(0.0, -5.4)).curve(
                    at(-7.2, -5.4),
                    at(-7.2, 5.4),
                    at(0.0, 5.4),
                );
                svg.path(&half.closed(), Some(ink), None);
            }
            Self::Holds => {
                let tick = Path::new().jump(at(-5.5, 0.5)).line(at(-1.5, 4.5)).line(at(5.5, -4.5));
                svg.path(&tick, None, Some(Line::new(ink, 2.6)));
            }
        }
    }
}

/// Two shares of something as a bar: what fails, and beyond it what is degraded.
pub(super) fn bar(
    svg: &mut Svg,
    at: Point,
    (width, height): (f64, f64),
    fails: f64,
    degrades: f64,
) {
    svg.rect(at, (width, height), 0.0, Some(Ink::BarEmpty), Some(Line::new(Ink::Outline, 0.7)));
    let degraded = width * degrades.max(fails).clamp(0.0, 1.0);
    if degraded > 0.05 {
        svg.rect(at, (degraded, height), 0.0, Some(Ink::BarDegrades), None);
    }
    let failed = width * fails.clamp(0.0, 1.0);
    if failed > 0.05 {
        svg.rect(at, (failed, height), 0.0, Some(Ink::BarFails), None);
    }
}
