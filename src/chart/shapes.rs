//! The signs of states, as paths: fonts draw them differently, or not at all.

use super::layout::Point;
use super::palette::Palette;
use super::svg::{LineStyle, Svg, SvgPath};
use crate::report::cascade::BoxState;

/// The look of a state.
pub(super) trait StateLook {
    /// Returns the colour that fills a box.
    fn fill_color(self) -> Palette;

    /// Returns the colour of the text in a box.
    fn text_color(self) -> Palette;

    /// Returns the line around a box.
    fn outline_style(self) -> LineStyle;

    /// Draws the sign of the state, about 14 pixels high, around a middle.
    fn draw_sign(self, svg: &mut Svg, middle: Point, color: Palette);
}

impl StateLook for BoxState {
    fn fill_color(self) -> Palette {
        match self {
            Self::Origin => Palette::Origin,
            Self::Fails => Palette::Fails,
            Self::MayFail => Palette::MayFail,
            Self::Degrades => Palette::Degrades,
            Self::Holds => Palette::Holds,
        }
    }

    fn text_color(self) -> Palette {
        match self {
            Self::Origin => Palette::OnOrigin,
            Self::Fails => Palette::OnFails,
            Self::MayFail => Palette::OnMayFail,
            Self::Degrades => Palette::OnDegrades,
            Self::Holds => Palette::OnHolds,
        }
    }

    fn outline_style(self) -> LineStyle {
        match self {
            Self::Origin => LineStyle::new(Palette::Outline, 3.0),
            Self::Degrades => LineStyle::new(Palette::Outline, 1.3).dashed("5 3"),
            _ => LineStyle::new(Palette::Outline, 1.3),
        }
    }

    fn draw_sign(self, svg: &mut Svg, middle: Point, color: Palette) {
        let Point { x, y } = middle;
        let at = |dx: f64, dy: f64| Point { x: x + dx, y: y + dy };
        match self {
            Self::Origin => {
                let bolt =
                    [(1.5, -7.5), (-5.0, 1.0), (-0.8, 1.0), (-1.8, 7.5), (5.0, -1.8), (0.6, -1.8)];
                let points: Vec<(f64, f64)> =
                    bolt.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
                svg.draw_path(&SvgPath::polygon(&points), Some(color), None);
            }
            Self::Fails => {
                let cross = SvgPath::new()
                    .move_to(at(-5.0, -5.0))
                    .line_to(at(5.0, 5.0))
                    .move_to(at(5.0, -5.0))
                    .line_to(at(-5.0, 5.0));
                svg.draw_path(&cross, None, Some(LineStyle::new(color, 2.6)));
            }
            Self::MayFail => {
                let points = [(x, y - 6.5), (x + 7.0, y + 5.5), (x - 7.0, y + 5.5)];
                svg.draw_path(&SvgPath::polygon(&points), Some(color), None);
            }
            Self::Degrades => {
                svg.draw_circle(middle, 5.4, None, Some(LineStyle::new(color, 1.6)));
                let half = SvgPath::new().move_to(at(0.0, -5.4)).curve_to(
                    at(-7.2, -5.4),
                    at(-7.2, 5.4),
                    at(0.0, 5.4),
                );
                svg.draw_path(&half.closed(), Some(color), None);
            }
            Self::Holds => {
                let tick = SvgPath::new()
                    .move_to(at(-5.5, 0.5))
                    .line_to(at(-1.5, 4.5))
                    .line_to(at(5.5, -4.5));
                svg.draw_path(&tick, None, Some(LineStyle::new(color, 2.6)));
            }
        }
    }
}

/// The shares that a bar shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ShareColumns {
    /// Of trials in which something fails because of the change.
    pub(super) failed: f64,
    /// Of trials in which it is degraded or worse because of the change.
    pub(super) degraded: f64,
    /// Of trials in which it fails without the change.
    pub(super) anyway: f64,
}

/// Draws shares as a bar: that of failing, beyond it that of being degraded, and as a thin line below
/// what fails without the change.
pub(super) fn draw_bar(
    svg: &mut Svg,
    at: Point,
    (width, height): (f64, f64),
    shares: ShareColumns,
) {
    let outline = LineStyle::new(Palette::Outline, 0.7);
    svg.draw_rect(at, (width, height), 0.0, Some(Palette::BarEmpty), Some(outline));
    let length = |share: f64| width * share.clamp(0.0, 1.0);
    let degraded = length(shares.degraded.max(shares.failed));
    if degraded > 0.05 {
        svg.draw_rect(at, (degraded, height), 0.0, Some(Palette::BarDegrades), None);
    }
    let failed = length(shares.failed);
    if failed > 0.05 {
        svg.draw_rect(at, (failed, height), 0.0, Some(Palette::BarFails), None);
    }
    let anyway = length(shares.anyway);
    if anyway > 0.5 {
        let below = Point { x: at.x, y: at.y + height };
        svg.draw_rect(below, (anyway, 1.8), 0.0, Some(Palette::Outline), None);
    }
}
