//! Numbers that carry their unit: shares, durations, rates, money, and how they are written.

use std::fmt;

/// A share of something, 0 to 1; written `2.5%` or `0.025`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);
    /// All of it.
    pub const ONE: Self = Self(1.0);

    /// A share, if `value` is one: between 0 and 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The share as a number from 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Returns the rest of the whole: 1 minus the share.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(1.0 - self.0)
    }

    /// Whether it is the whole.
    pub fn is_one(self) -> bool {
        self.0 >= 1.0
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0 <= 0.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", trimmed_number(self.0 * 100.0))
    }
}

/// Load as a share of what can be served, above 0; written `60%`. It is above 100% only for what could
/// not carry all that might come, such as a fallback.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Utilization(f64);

impl Utilization {
    /// All capacity is used.
    pub const FULL: Self = Self(1.0);
    /// The highest that makes sense: 10,000%.
    pub const MAX: f64 = 100.0;

    /// A utilization, if `value` is one: above 0 and at most [`Self::MAX`].
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value <= Self::MAX).then_some(Self(value))
    }

    /// The utilization as a number, 1 for 100%.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Utilization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", trimmed_number(self.0 * 100.0))
    }
}

/// Reads a utilization in percent: `333%`; nothing where it is written in another way.
pub(crate) fn parse_utilization(text: &str) -> Option<Utilization> {
    let number = text.trim().strip_suffix('%')?;
    Utilization::new(parse_percent(number.trim_end())?)
}

/// A duration in seconds, 0 or more; written `300ms`, `2s`, `10m`, `4h`, `2d` or `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Seconds(f64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0.0);

    /// A duration, if `value` is one: finite and not negative.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value >= 0.0).then_some(Self(value))
    }

    /// A whole number of seconds.
    pub const fn whole(seconds: u32) -> Self {
        Self(seconds as f64)
    }

    /// A whole number of minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes as f64 * 60.0)
    }

    /// A whole number of hours.
    pub const fn hours(hours: u32) -> Self {
        Self(hours as f64 * 3600.0)
    }

    /// The number of seconds.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Seconds {
    /// The largest unit that leaves a whole number, else the largest that leaves at least 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0.0 {
            return f.write_str("0s");
        }
        let whole = |unit: f64| (self.0 / unit).fract() == 0.0;
        let (unit, name) = TIME_UNITS
            .iter()
            .find(|(unit, _)| whole(*unit))
            .or_else(|| TIME_UNITS.iter().find(|(unit, _)| self.0 >= *unit))
            .copied()
            .unwrap_or((0.001, "ms"));
        write!(f, "{}{name}", trimmed_number(self.0 / unit))
    }
}

/// A rate per second, 0 or more; written `1200/min` or `20/s`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// A rate per second, if `value` is one: finite and not negative.
    pub fn per_second(value: f64) -> Option<Self> {
        (value.is_finite() && value >= 0.0).then_some(Self(value))
    }

    /// The number per second.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/min", trimmed_number(self.0 * 60.0))
    }
}

/// An amount of money with its currency; written `54.20 EUR`.
#[derive(Clone, Debug, PartialEq)]
pub struct Money {
    /// How much.
    pub amount: f64,
    /// Of what: an upper-case code such as `EUR`.
    pub currency: String,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} {}", self.amount, self.currency)
    }
}

/// Units of time in seconds, largest first.
const TIME_UNITS: [(f64, &str); 5] =
    [(86_400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"), (0.001, "ms")];

/// Reads a share: `2.5%`. A bare number is read by the caller, which knows its type.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn parse_share(text: &str) -> Result<Share, String> {
    let trimmed = text.trim();
    let value = match trimmed.strip_suffix('%') {
        Some(number) => parse_percent(number.trim_end()),
        None => parse_decimal(trimmed),
    };
    let value = value
        .ok_or_else(|| format!("`{text}` is not a share; write `2.5%` or a number from 0 to 1"))?;
    Share::new(value).ok_or_else(|| format!("`{text}` is not between 0% and 100%"))
}

/// Reads a duration: one or more numbers, each with a unit of `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn parse_duration(text: &str) -> Result<Seconds, String> {
    let wrong = || {
        format!("`{text}` is not a duration; write for example `300ms`, `2s`, `10m`, `4h`, `2d`")
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    if rest == "0" {
        return Ok(Seconds::ZERO);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("`{text}` has no unit; write `{rest}s` for seconds"))?;
        let number = parse_decimal(&rest[..digits]).ok_or_else(wrong)?;
        let unit_end = rest[digits..]
            .find(|c: char| !c.is_ascii_alphabetic())
            .map_or(rest.len(), |end| digits + end);
        let unit = match &rest[digits..unit_end] {
            "ms" => 0.001,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        total += number * unit;
        rest = rest[unit_end..].trim_start();
    }
    Seconds::new(total).ok_or_else(wrong)
}

/// Reads a rate: a number per `s`, `min`, `h` or `d`.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("`{text}` is not a rate; write for example `1200/min` or `20/s`");
    let (number, unit) = text.trim().split_once('/').ok_or_else(wrong)?;
    let number = parse_decimal(number.trim()).ok_or_else(wrong)?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(wrong()),
    };
    // A number with hundreds of digits is infinite; whoever reads it refuses what is too large.
    Ok(Rate((number / seconds).min(f64::MAX)))
}

/// Reads an amount of money: a number and an upper-case currency code of three letters.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn parse_money(text: &str) -> Result<Money, String> {
    let wrong = || format!("`{text}` is not an amount; write for example `54.20 EUR`");
    let (number, currency) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let currency = currency.trim();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(wrong());
    }
    let amount = parse_decimal(number).ok_or_else(wrong)?;
    Ok(Money { amount, currency: currency.to_owned() })
}

/// A plain decimal number: digits with at most one point, no sign, exponent, or separators.
fn parse_decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    (plain && has_digit).then(|| text.parse().ok()).flatten()
}

/// A number of percent, as the float nearest to a hundredth of it: a division would round twice, and
/// make 0.9990000000000001 of 99.9%.
fn parse_percent(text: &str) -> Option<f64> {
    parse_decimal(text).and_then(|_| format!("{text}e-2").parse().ok())
}

/// A number with at most six digits after the point, and no trailing zeros.
fn trimmed_number(value: f64) -> String {
    let fixed = format!("{value:.6}");
    fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_or_numbers() {
        assert_eq!(parse_share("2.5%").map(Share::get), Ok(0.025));
        assert_eq!(parse_share("0.025").map(Share::get), Ok(0.025));
        assert_eq!(parse_share("100 %").map(Share::get), Ok(1.0));
        assert_eq!(parse_share("99.9%").map(Share::get), Ok(0.999));
        assert_eq!(parse_share(".5%").map(Share::get), Ok(0.005));
        assert_eq!(parse_share("5.%").map(Share::get), Ok(0.05));
        for wrong in ["", "%", "-1%", "101%", "1e-3", "half", "1.2.3%", "2,5%"] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_may_be_compound() {
        assert_eq!(parse_duration("300ms").map(Seconds::get), Ok(0.3));
        assert_eq!(parse_duration("1h30m").map(Seconds::get), Ok(5400.0));
        assert_eq!(parse_duration("2d").map(Seconds::get), Ok(172_800.0));
        assert_eq!(parse_duration("0").map(Seconds::get), Ok(0.0));
        assert_eq!(parse_duration("15").unwrap_err(), "`15` has no unit; write `15s` for seconds");
        for wrong in ["", "s", "-2s", "2 weeks", "1e3s", "5M", "2h x"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_money_are_read() {
        assert_eq!(parse_rate("1200/min").map(Rate::get), Ok(20.0));
        assert_eq!(parse_rate("20/s").map(Rate::get), Ok(20.0));
        assert!(parse_rate("20").is_err());
        assert!(parse_rate("20/fortnight").is_err());
        assert_eq!(
            parse_money("54.20 EUR"),
            Ok(Money { amount: 54.2, currency: "EUR".to_owned() })
        );
        assert!(parse_money("54.20").is_err());
        assert!(parse_money("54.20 euros").is_err());
    }

    #[test]
    fn units_print_as_people_write_them() {
        let shown = |seconds| Seconds::new(seconds).expect("a duration").to_string();
        assert_eq!(shown(0.3), "300ms");
        assert_eq!(shown(90.0), "90s");
        assert_eq!(shown(5400.0), "90m");
        assert_eq!(shown(172_800.0), "2d");
        assert_eq!(Share::new(0.025).expect("a share").to_string(), "2.5%");
        assert_eq!(Rate::per_second(20.0).expect("a rate").to_string(), "1200/min");
    }
}
