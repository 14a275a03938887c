//! Colours by what they mean, for light and dark paper.
//!
//! Contrast was checked for text on each, and the states differ in brightness, so that print in grey
//! keeps their order; a state is never told by its colour alone.

/// Colour of something, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    Paper,
    Text,
    Soft,
    Faint,
    Lane,
    Origin,
    OnOrigin,
    Fails,
    OnFails,
    MayFail,
    OnMayFail,
    Degrades,
    OnDegrades,
    Holds,
    OnHolds,
    Outline,
    BarFails,
    BarDegrades,
    BarEmpty,
    Spread,
    SpreadText,
    Guard,
    GuardText,
    Range,
    Heat(u8),
}

/// How many steps of heat there are: white to darkest.
pub(super) const HEATS: u8 = 8;

const HEAT: [(&str, &str); HEATS as usize] = [
    ("#FFFFFF", "#16191D"),
    ("#FDF0E2", "#2B211A"),
    ("#FAD9B2", "#43301F"),
    ("#F5B87A", "#623F20"),
    ("#EA9348", "#7A4722"),
    ("#D06A24", "#9A5420"),
    ("#A23C0A", "#DB7430"),
    ("#5C1E04", "#FF9A52"),
];

impl Palette {
    /// All of them.
    const ALL: [Self; 24] = [
        Self::Paper,
        Self::Text,
        Self::Soft,
        Self::Faint,
        Self::Lane,
        Self::Origin,
        Self::OnOrigin,
        Self::Fails,
        Self::OnFails,
        Self::MayFail,
        Self::OnMayFail,
        Self::Degrades,
        Self::OnDegrades,
        Self::Holds,
        Self::OnHolds,
        Self::Outline,
        Self::BarFails,
        Self::BarDegrades,
        Self::BarEmpty,
        Self::Spread,
        Self::SpreadText,
        Self::Guard,
        Self::GuardText,
        Self::Range,
    ];

    /// The colours on light and on dark paper, and the word for it in classes.
    fn palette_entry(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Paper => ("#FFFFFF", "#16191D", "paper"),
            Self::Text => ("#1A1A1A", "#ECEEF0", "text"),
            Self::Soft => ("#50575E", "#B4BCC4", "soft"),
            Self::Faint => ("#C3C9CF", "#4A525A", "faint"),
            Self::Lane => ("#F5F7F9", "#1E2328", "lane"),
            Self::Origin => ("#1A1A1A", "#F4F5F6", "origin"),
            Self::OnOrigin => ("#FFFFFF", "#111111", "on-origin"),
            Self::Fails => ("#B2420A", "#E8662A", "fails"),
            Self::OnFails => ("#FFFFFF", "#111111", "on-fails"),
            Self::MayFail => ("#F0A45D", "#B9742F", "may-fail"),
            Self::OnMayFail => ("#1A1A1A", "#111111", "on-may-fail"),
            Self::Degrades => ("#FBE3C4", "#4A3A29", "degrades"),
            Self::OnDegrades => ("#1A1A1A", "#F6E8D6", "on-degrades"),
            Self::Holds => ("#FFFFFF", "#16191D", "holds"),
            Self::OnHolds => ("#1A1A1A", "#ECEEF0", "on-holds"),
            Self::Outline => ("#5A5A5A", "#9AA3AB", "outline"),
            Self::BarFails => ("#5C1E04", "#FFD9B8", "bar-fails"),
            Self::BarDegrades => ("#B27A35", "#A06C3A", "bar-degrades"),
            Self::BarEmpty => ("#FFFFFF", "#16191D", "bar-empty"),
            Self::Spread => ("#B2420A", "#F0803F", "spread"),
            Self::SpreadText => ("#8A3206", "#F5A06B", "spread-text"),
            Self::Guard => ("#0072B2", "#56B4E9", "guard"),
            Self::GuardText => ("#005A8E", "#7CC4EF", "guard-text"),
            Self::Range => ("#C9CED4", "#4C545C", "range"),
            Self::Heat(step) => {
                let names = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"];
                let step = usize::from(step.min(HEATS - 1));
                (HEAT[step].0, HEAT[step].1, names[step])
            }
        }
    }

    /// The colour on light paper.
    pub(super) fn light_color(self) -> &'static str {
        self.palette_entry().0
    }

    /// The colour on dark paper.
    pub(super) fn dark_color(self) -> &'static str {
        self.palette_entry().1
    }

    /// The word for it in classes.
    pub(super) fn class_name(self) -> &'static str {
        self.palette_entry().2
    }

    /// Returns the colour of text on a step of heat.
    pub(super) fn on_heat(step: u8) -> Self {
        // The steps run from light to dark on light paper and the other way on dark: so does the text.
        if step >= 6 { Self::Paper } else { Self::Text }
    }

    /// The rules that turn a picture dark, one per line.
    pub(super) fn dark_rules() -> String {
        let heats = (0..HEATS).map(Self::Heat);
        let rule = |color: Self| {
            let (word, dark) = (color.class_name(), color.dark_color());
            format!(".bw-f-{word}{{fill:{dark}}}.bw-s-{word}{{stroke:{dark}}}\n")
        };
        Self::ALL.into_iter().chain(heats).map(rule).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.1).
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn all_text_can_be_read_on_light_and_on_dark_paper() {
        let mut pairs = vec![
            (Palette::Text, Palette::Paper),
            (Palette::Soft, Palette::Paper),
            (Palette::Text, Palette::Lane),
            (Palette::Soft, Palette::Lane),
            (Palette::SpreadText, Palette::Paper),
            (Palette::GuardText, Palette::Paper),
            (Palette::OnOrigin, Palette::Origin),
            (Palette::OnFails, Palette::Fails),
            (Palette::OnMayFail, Palette::MayFail),
            (Palette::OnDegrades, Palette::Degrades),
            (Palette::OnHolds, Palette::Holds),
        ];
        pairs.extend((0..HEATS).map(|step| (Palette::on_heat(step), Palette::Heat(step))));
        for (text, paper) in pairs {
            for contrast in [
                contrast(text.light_color(), paper.light_color()),
                contrast(text.dark_color(), paper.dark_color()),
            ] {
                assert!(contrast >= 4.5, "{text:?} on {paper:?}: {contrast:.1}");
            }
        }
    }

    #[test]
    fn all_lines_and_areas_can_be_told_apart() {
        let pairs = [
            (Palette::Spread, Palette::Paper),
            (Palette::Guard, Palette::Paper),
            (Palette::Outline, Palette::Paper),
            (Palette::Spread, Palette::Lane),
            (Palette::Guard, Palette::Lane),
            (Palette::Outline, Palette::Lane),
            (Palette::BarFails, Palette::BarDegrades),
            (Palette::BarDegrades, Palette::BarEmpty),
            (Palette::Outline, Palette::Degrades),
        ];
        for (a, b) in pairs {
            for contrast in [
                contrast(a.light_color(), b.light_color()),
                contrast(a.dark_color(), b.dark_color()),
            ] {
                assert!(contrast >= 3.0, "{a:?} beside {b:?}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn states_keep_their_order_in_grey() {
        let states =
            [Palette::Origin, Palette::Fails, Palette::MayFail, Palette::Degrades, Palette::Holds];
        let light: Vec<f64> = states.iter().map(|color| luminance(color.light_color())).collect();
        assert!(light.windows(2).all(|pair| pair[1] > pair[0] + 0.1), "{light:?}");
        let dark: Vec<f64> = states.iter().map(|color| luminance(color.dark_color())).collect();
        assert!(dark.windows(2).all(|pair| pair[1] < pair[0]), "{dark:?}");
    }
}
