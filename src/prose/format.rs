//! Numbers, shares, durations and lists as people say them.
//!
//! A figure shows as many digits as its interval allows, never more. 0% and 100% are said only of what
//! is exactly that; everything else keeps enough digits to differ.

use crate::digits::group_digits;
use crate::report::{Interval, Quantiles};

/// Where probabilities are too small for a percentage that can be read.
const TINY: f64 = 1e-9;

/// The most digits after the point of a percentage.
const MOST: usize = 9;
/// Powers of ten; `powi` and `log10` may differ in the last bit from machine to machine.
const POWERS: [f64; MOST + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// A share without an interval, to two digits: `56%`, `2.5%`, `0.052%`.
pub(crate) fn percent(share: f64) -> String {
    // Both ends need digits: 0.05% and 99.95% differ by them from never and always.
    let (small, left) = (share * 100.0, (1.0 - share) * 100.0);
    let digits = match () {
        // Below 9.95% two digits are one before the point and one behind it.
        () if small < 9.95 => decimals_for(small / 9.95, 1),
        () if left < 1.0 => decimals_for(left, 0),
        () => 0,
    };
    percent_with(share, digits, Trim::Zeros)
}

/// A share that may be more than 1, to two digits: `9.3%`, `139%`.
pub(crate) fn percent_of(share: f64) -> String {
    // Above 100% a share is no probability, and needs no digits that tell it from always.
    if share < 1.0 { percent(share) } else { format!("{}%", digits(share * 100.0, 3)) }
}

/// A share as it was stated: `8%`, `12.5%`.
pub(crate) fn stated_share(share: f64) -> String {
    // Six decimals hide the rounding errors of shares such as 0.1 times 100.
    percent_with(share, 6, Trim::Zeros)
}

/// The share of an estimate, with the digits that its interval allows: `90%`, `0.02%`.
pub(crate) fn estimate(of: &Interval) -> String {
    match of.exact {
        Some(exact) => percent(exact),
        None => percent_with(of.p, decimals(of), Trim::Nothing),
    }
}

/// The interval of an estimate, rounded outwards: `89–91%`, or `exact`.
pub(crate) fn interval(of: &Interval, dash: &str) -> String {
    if of.exact.is_some() {
        return "exact".to_owned();
    }
    // Rounded outwards, so that the true interval lies within the one that is shown.
    let scale = POWERS[decimals(of)];
    // A hair's breadth, so that 0.29 does not become 28% by the error of a binary fraction.
    let low = ((of.low * 100.0 * scale + 1e-6).floor() / scale).max(0.0);
    let high = ((of.high * 100.0 * scale - 1e-6).ceil() / scale).min(100.0);
    let end = |value: f64| {
        if value <= 0.0 || value >= 100.0 {
            format!("{value:.0}")
        } else {
            format!("{value:.*}", decimals(of))
        }
    };
    format!("{}{dash}{}%", end(low), end(high))
}

/// How many digits after the point a percentage deserves: as fine as its interval is wide, and as
/// fine as it takes to tell it from 0% and 100%.
fn decimals(of: &Interval) -> usize {
    // Near 0% and near 100% it is the smaller part that must be told.
    let smaller = of.p.min(1.0 - of.p) * 100.0;
    // Where little is left to 0% or 100%, half a digit more tells by how much.
    let per_digit = if smaller < 1.0 { 50.0 } else { 200.0 };
    let by_width = decimals_for((of.high - of.low) * per_digit, 0);
    by_width.max(decimals_for(smaller * 2.0, 0))
}

/// The fewest decimals, at least `least`, whose last digit is no larger than `value`.
fn decimals_for(value: f64, least: usize) -> usize {
    // A hair less than 1, since the product of two floats may fall short of it.
    let fits = |digits: &usize| value * POWERS[*digits] >= 1.0 - 1e-9;
    if value <= 0.0 { least } else { (least..MOST).find(fits).unwrap_or(MOST) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trim {
    Nothing,
    Zeros,
}

fn percent_with(share: f64, digits: usize, trim: Trim) -> String {
    match share {
        // Only what is exactly 0 or 1 is called so.
        _ if share <= 0.0 => return "0%".to_owned(),
        _ if share >= 1.0 => return "100%".to_owned(),
        _ if share < TINY => return format!("{share:.1e}"),
        _ if share > 1.0 - TINY => return ">99.9999999%".to_owned(),
        _ => {}
    }
    let text = format!("{:.digits$}", share * 100.0);
    match trim {
        Trim::Zeros if text.contains('.') => {
            format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => format!("{text}%"),
    }
}

/// A number of orders that is the mean of a distribution, with the digits its interval allows.
pub(crate) fn mean(of: &Quantiles) -> String {
    digits(of.mean, mean_digits(of))
}

/// The interval of a mean, one digit finer than the mean itself.
pub(crate) fn mean_interval(of: &Quantiles, dash: &str) -> String {
    let end = |value: f64| digits(value, (mean_digits(of) + 1).min(4));
    format!("{}{dash}{}", end(of.mean_low), end(of.mean_high))
}

/// How many digits of a mean are worth saying: two at least, four at most.
fn mean_digits(of: &Quantiles) -> usize {
    // As many digits of the mean as stand before the first digit of the width.
    let width = of.mean_high - of.mean_low;
    let known = if width > 0.0 { magnitude(of.mean) - magnitude(width) + 1 } else { 4 };
    #[expect(clippy::cast_sign_loss, reason = "clamped to what is positive")]
    let known = known.clamp(2, 4) as usize;
    known
}

/// A number to two digits: `14,000`, `61`, `0.42`.
pub(crate) fn two_digits(value: f64) -> String {
    digits(value, 2)
}

/// A quantile to two digits; to those of the mean where it is near that, since of two numbers rounded
/// differently the larger could look like the smaller.
pub(crate) fn quantile(value: f64, of: &Quantiles) -> String {
    // So near to the mean the two are compared by their last digits.
    let is_near = (value - of.mean).abs() <= 0.1 * of.mean;
    if is_near { digits(value, mean_digits(of).min(3)) } else { two_digits(value) }
}

/// A number to so many digits.
pub(crate) fn digits(value: f64, digits: usize) -> String {
    // Rounded as text, since dividing by powers of ten may differ in the last bit from machine to
    // machine.
    let rounded = format!("{value:.*e}", digits - 1).parse();
    count(rounded.unwrap_or(value))
}

/// The power of ten of the first digit.
fn magnitude(value: f64) -> i32 {
    // From text as well, since `log10` may be just below a whole number.
    let text = format!("{value:e}");
    text.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0)
}

/// A number as it is: thousands separated, millions and billions in words, small ones to two digits.
pub(crate) fn count(value: f64) -> String {
    let size = value.abs();
    let named = |unit: f64, name: &str| format!("{} {name}", trimmed_number(value / unit, 2));
    match size {
        _ if !value.is_finite() => "any number".to_owned(),
        _ if size >= 1e15 => format!("{value:.1e}"),
        _ if size >= 1e12 => named(1e12, "trillion"),
        _ if size >= 1e9 => named(1e9, "billion"),
        // Up to ten million, digits in groups are read as easily as words.
        _ if size >= 1e7 => named(1e6, "million"),
        _ if size >= 100.0 => group_digits(&format!("{value:.0}")),
        _ if size >= 10.0 => trimmed_number(value, 0),
        _ if size >= 1.0 => trimmed_number(value, 1),
        _ if size >= 1e-4 => trimmed_number(value, decimals_for(size, 1) + 1),
        _ if size > 0.0 => format!("{value:.0e}"),
        _ => "0".to_owned(),
    }
}

fn trimmed_number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with three digits, for a figure beside its limit: `0.0926`, `43.2`, `326,700`.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        small if small < 0.001 => 6,
        small if small < 0.1 => 4,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 1000.0 => 1,
        _ => return group_digits(&format!("{value:.0}")),
    };
    // Zeros at the end would claim a precision that three digits do not have.
    trimmed_number(value, decimals)
}

/// A share in percent with three digits, for a figure beside its limit: `1.62%`.
pub(crate) fn percent_three_digits(share: f64) -> String {
    format!("{}%", three_digits(share * 100.0))
}

/// A share to a tenth of a percent, for what is drawn in one trial: `33.3%`.
pub(crate) fn percent_to_a_tenth(share: f64) -> String {
    format!("{}%", (share * 1000.0).round() / 10.0)
}

/// The usual name of a window of this many seconds with a blank behind it: `monthly `.
pub(crate) fn window_name(seconds: f64) -> &'static str {
    const DAY: f64 = 86_400.0;
    // Windows are not exact: a month has 28 to 31 days.
    match seconds / DAY {
        days if (6.5..7.5).contains(&days) => "weekly ",
        days if (27.5..31.5).contains(&days) => "monthly ",
        days if (89.0..92.5).contains(&days) => "quarterly ",
        days if (364.0..366.5).contains(&days) => "yearly ",
        _ => "",
    }
}

/// A duration in its two largest units: `300 ms`, `45 s`, `16 min`, `1 h 40 min`, `2 d 3 h`.
pub(crate) fn duration(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    if !seconds.is_finite() {
        return "never".to_owned();
    }
    // From here on milliseconds would be rounded to 1000.
    if seconds < 0.9995 {
        return if seconds <= 0.0 { "0 s".to_owned() } else { milliseconds(seconds) };
    }
    #[expect(clippy::cast_sign_loss, reason = "what is below a second was dealt with")]
    let exact = seconds.round() as u64;
    // The second unit only where it says something: 1 h 40 min, but 16 min and not 16 min 12 s.
    let (unit, finer) = match exact {
        172_800.. => (86_400, 3600),
        3600.. => (3600, 60),
        600.. => (60, 60),
        100.. => (60, 1),
        _ => (1, 1),
    };
    let whole = (exact + finer / 2) / finer * finer;
    let name =
        |wanted: u64| UNITS.iter().find(|(unit, _)| *unit == wanted).expect("one of the units").1;
    match (whole / unit, whole % unit / finer) {
        (large, 0) => format!("{} {}", group_digits(&large.to_string()), name(unit)),
        (large, small) => {
            format!("{} {} {small} {}", group_digits(&large.to_string()), name(unit), name(finer))
        }
    }
}

fn milliseconds(seconds: f64) -> String {
    match seconds * 1000.0 {
        few if few < 1.0 => "under 1 ms".to_owned(),
        many => format!("{many:.0} ms"),
    }
}

/// `1 flow`, `2 flows`, `5,000 flows`.
pub(crate) fn plural(number: usize, noun: &str) -> String {
    let many = if number == 1 { "" } else { "s" };
    format!("{} {noun}{many}", group_digits(&number.to_string()))
}

/// `a`, `a and b`, `a, b and c`; after `most` of them, how many more there are.
pub(crate) fn list(items: &[String], joint: &str, most: usize) -> String {
    let more = items.len().saturating_sub(most);
    // One more is named itself: the words for it would take as much room.
    if more > 1 {
        let shown = items[..most].join(", ");
        return format!("{shown} {joint} {} more", group_digits(&more.to_string()));
    }
    match items {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {joint} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(p: f64, low: f64, high: f64) -> String {
        let of = Interval { p, low, high, exact: None };
        format!("{} ({})", estimate(&of), interval(&of, "-"))
    }

    #[test]
    fn a_share_has_the_digits_its_interval_allows() {
        assert_eq!(shown(0.9, 0.8941, 0.9058), "90% (89-91%)");
        assert_eq!(shown(0.9, 0.8994, 0.9006), "90.0% (89.9-90.1%)");
        assert_eq!(shown(0.0, 0.0, 0.000_384), "0% (0-0.04%)");
        assert_eq!(shown(1.0, 0.999_616, 1.0), "100% (99.96-100%)");
        assert_eq!(shown(0.000_02, 0.000_005, 0.000_112), "0.002% (0-0.012%)");
        assert_eq!(shown(0.996, 0.98, 0.999), "99.6% (98.0-99.9%)");
        assert_eq!(shown(0.29, 0.29, 0.30), "29% (29-30%)");
        assert_eq!(shown(0.0, 0.0, 1.0), "0% (0-100%)");
    }

    #[test]
    fn an_exact_share_says_so() {
        let exact = |p| Interval { p: 0.0, low: 0.0, high: 0.1, exact: Some(p) };
        assert_eq!(estimate(&exact(0.025)), "2.5%");
        assert_eq!(estimate(&exact(1.23e-13)), "1.2e-13");
        assert_eq!(interval(&exact(0.5), "-"), "exact");
    }

    #[test]
    fn only_nothing_is_0_and_only_all_is_100_percent() {
        let cases = [
            (0.0, "0%"),
            (0.000_000_4, "0.00004%"),
            (0.000_52, "0.052%"),
            (0.025, "2.5%"),
            (0.08, "8%"),
            (0.099_9, "10%"),
            (0.562, "56%"),
            (0.994, "99.4%"),
            (0.9996, "99.96%"),
            (1.0 - 1e-12, ">99.9999999%"),
            (1.0, "100%"),
        ];
        for (share, text) in cases {
            assert_eq!(percent(share), text, "{share}");
        }
        assert_eq!(stated_share(0.125), "12.5%");
        assert_eq!(stated_share(0.29), "29%");
    }

    #[test]
    fn a_mean_has_the_digits_its_interval_allows() {
        let mean = |mean: f64, half: f64| {
            let (mean_low, mean_high) = (mean - half, mean + half);
            super::mean(&Quantiles {
                mean,
                mean_low,
                mean_high,
                p50: 0.0,
                p95: 0.0,
                p99: 0.0,
                max: 0.0,
            })
        };
        assert_eq!(mean(5_102.37, 80.0), "5,100");
        assert_eq!(mean(5_102.37, 3.0), "5,102");
        assert_eq!(mean(5_102.37, 0.0), "5,102");
        assert_eq!(mean(12.4, 30.0), "12");
        assert_eq!(mean(0.42, 0.02), "0.42");
        assert_eq!(mean(0.0, 0.0), "0");
    }

    #[test]
    fn counts_are_readable_at_any_size() {
        let cases = [
            (0.0, "0"),
            (0.000_02, "2e-5"),
            (0.042, "0.042"),
            (0.5, "0.5"),
            (9.96, "10"),
            (61.4, "61"),
            (999.6, "1,000"),
            (61_000.0, "61,000"),
            (9_999_999.0, "9,999,999"),
            (12_400_000.0, "12.4 million"),
            (3.2e9, "3.2 billion"),
            (4.5e17, "4.5e17"),
            (f64::INFINITY, "any number"),
        ];
        for (value, text) in cases {
            assert_eq!(count(value), text, "{value}");
        }
        assert_eq!(two_digits(14_321.0), "14,000");
        assert_eq!(two_digits(0.0), "0");
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let cases = [
            (0.0, "0 s"),
            (0.000_1, "under 1 ms"),
            (0.3, "300 ms"),
            (0.9999, "1 s"),
            (45.2, "45 s"),
            (99.0, "99 s"),
            (130.0, "2 min 10 s"),
            (972.0, "16 min"),
            (3_599.0, "60 min"),
            (6_000.0, "1 h 40 min"),
            (7_200.0, "2 h"),
            (86_400.0, "24 h"),
            (183_600.0, "2 d 3 h"),
            (1e9, "11,574 d 2 h"),
            (f64::INFINITY, "never"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn lists_end_in_words() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(list(&names[..1], "and", 5), "a");
        assert_eq!(list(&names[..2], "or", 5), "a or b");
        assert_eq!(list(&names, "and", 5), "a, b, c and d");
        assert_eq!(list(&names, "and", 2), "a, b and 2 more");
        assert_eq!(list(&names, "and", 3), "a, b, c and d");
        assert_eq!(plural(1, "flow"), "1 flow");
        assert_eq!(plural(5000, "flow"), "5,000 flows");
    }
}
