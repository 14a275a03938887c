//! Single values: texts, words, numbers, and numbers with their unit.

use std::fmt::Display;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::super::renamed;
use super::{Field, in_backticks};
use crate::diagnostic::{Code, Diagnostic};
use crate::load::Value;
use crate::model::units::{self, Money, Rate, Seconds, Share};

/// The longest duration that makes sense: ten years.
const DURATION_MAX: Seconds = Seconds::hours(10 * 366 * 24);

/// The highest rate, in events per second: far above any real one, and its products with durations
/// and counts stay exact in 64 bits.
const RATE_MAX: f64 = 1e12;
/// The greatest amount of money, for the same reason.
const MONEY_MAX: f64 = 1e15;

impl Field<'_> {
    /// A text for people, without space around it.
    pub(crate) fn text(&self) -> Option<String> {
        let text = self.str()?.trim();
        // A terminal would obey them.
        if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n') {
            let message =
                format!("`{}` holds the control character U+{:04X}", self.name, u32::from(c));
            self.report_problem(Code::BadName, message, "remove it");
            return None;
        }
        Some(text.to_owned())
    }

    /// A text for people that must say something, on one line.
    pub(crate) fn title(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() || text.contains('\n') {
            let reason = if text.is_empty() { "is empty" } else { "has several lines" };
            let message = format!("`{}` {reason}", self.name);
            self.report_problem(Code::BadName, message, "write a few words on one line");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        if let Value::Bool(flag) = self.node.value {
            return Some(flag);
        }
        let problem = self.wrong_type("`true` or `false`");
        // YAML 1.1 reads `yes` and `on` as `true`, and people who learned it write them.
        let meant = match self.scalar_text().map(str::to_lowercase).as_deref() {
            Some("yes" | "on" | "y" | "1" | "true") => Some("true"),
            Some("no" | "off" | "n" | "0" | "false") => Some("false"),
            _ => None,
        };
        self.problems.push(match meant {
            Some(word) => problem.help(format!("write `{word}`")).replace_with(word),
            None => problem,
        });
        None
    }

    /// A whole number within a range.
    pub(crate) fn whole_number(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.finite_number("a whole number")?;
        let (least, most) = (f64::from(*range.start()), f64::from(*range.end()));
        // 0.5 of a replica means nothing.
        if number.fract() != 0.0 || !(least..=most).contains(&number) {
            self.problems.push(self.out_of_range(format!("a whole number from {least} to {most}")));
            return None;
        }
        // Within the range of a u32, as just checked.
        #[expect(clippy::cast_sign_loss, reason = "not negative")]
        let number = number as u32;
        Some(number)
    }

    /// A factor by which something is multiplied, at least 1.
    pub(crate) fn factor(&self) -> Option<f64> {
        let number = self.finite_number("a number")?;
        if (1.0..=1e6).contains(&number) {
            return Some(number);
        }
        self.problems.push(self.out_of_range("a number from 1 to 1000000"));
        None
    }

    /// An amount of anything, above 0.
    pub(crate) fn amount(&self) -> Option<f64> {
        let number = self.finite_number("a number")?;
        if number > 0.0 && number <= 1e9 {
            return Some(number);
        }
        self.problems.push(self.out_of_range("above 0 and at most 1000000000"));
        None
    }

    fn finite_number(&self, what: &str) -> Option<f64> {
        if let Value::Number(number) = &self.node.value {
            return Some(number.value);
        }
        let problem = self.wrong_type(what);
        // A number in quotes is a text to YAML.
        let bare = self.scalar_text().filter(|text| text.parse::<u32>().is_ok());
        self.problems.push(match bare {
            Some(text) => problem.help("write it without quotes").replace_with(text),
            None => problem,
        });
        None
    }

    /// A share: `2.5%`, or a number from 0 to 1.
    pub(crate) fn share(&self) -> Option<Share> {
        match &self.node.value {
            Value::Number(number) => Share::new(number.value).or_else(|| {
                let problem = self.out_of_range("a share from 0 to 1, or from 0% to 100%");
                // A number above 1 is most likely meant as percent, but 1 itself stays 100%.
                let percent = (1.0..=100.0).contains(&number.value);
                self.problems.push(if percent {
                    let meant = format!("{}%", number.text);
                    problem.help(format!("write `{meant}` for percent")).replace_with(meant)
                } else {
                    problem
                });
                None
            }),
            Value::Text(text) => match units::parse_share(text) {
                Ok(share) => Some(share),
                Err(reason) if reason.contains("between") => {
                    self.problems.push(self.out_of_range("a share from 0% to 100%"));
                    None
                }
                Err(reason) => self.bad_unit(&reason),
            },
            _ => {
                let problem = self.wrong_type("a share").help("write for example `2.5%`");
                self.problems.push(problem);
                None
            }
        }
    }

    /// A share above 0.
    pub(crate) fn positive_share(&self) -> Option<Share> {
        let share = self.share()?;
        if share.is_zero() {
            self.problems.push(self.out_of_range("above 0%"));
            return None;
        }
        Some(share)
    }

    /// A duration: a number and a unit; 0 needs none.
    pub(crate) fn duration(&self) -> Option<Seconds> {
        let duration = match &self.node.value {
            Value::Text(text) => units::parse_duration(text),
            // A duration of 0 is the same in all units.
            Value::Number(number) if number.value == 0.0 => Ok(Seconds::ZERO),
            Value::Number(number) => Err(match number.text.parse::<f64>() {
                // The suggestion needs a number that could be meant.
                Ok(value) if value > 0.0 => format!("`{}` has no unit", number.text),
                _ => format!("`{}` is not a duration; write for example `2s`", number.text),
            }),
            _ => {
                let problem =
                    self.wrong_type("a duration").help("write for example `300ms`, `2s` or `10m`");
                self.problems.push(problem);
                return None;
            }
        };
        match duration {
            Ok(duration) if duration <= DURATION_MAX => Some(duration),
            Ok(_) => {
                self.problems.push(self.out_of_range("at most ten years"));
                None
            }
            Err(reason) if reason.contains("has no unit") => {
                let shown = self.scalar_text().unwrap_or_default().trim();
                self.problems.push(
                    Diagnostic::error(
                        Code::BadUnit,
                        format!("`{}`: `{shown}` has no unit", self.name),
                        self.place(),
                    )
                    .help("units are `ms`, `s`, `m`, `h` and `d`; if seconds are meant:")
                    .replace_with(format!("{shown}s")),
                );
                None
            }
            Err(reason) => self.bad_unit(&reason),
        }
    }

    /// A duration above 0.
    pub(crate) fn positive_duration(&self) -> Option<Seconds> {
        let duration = self.duration()?;
        if duration == Seconds::ZERO {
            self.problems.push(self.out_of_range("above 0"));
            return None;
        }
        Some(duration)
    }

    /// A rate: a number per unit of time.
    pub(crate) fn rate(&self) -> Option<Rate> {
        match &self.node.value {
            Value::Text(text) => {
                let rate =
                    units::parse_rate(text).map_err(|error| self.bad_unit::<()>(&error)).ok()?;
                self.at_most(rate.get(), RATE_MAX, " per second").then_some(rate)
            }
            Value::Number(number) => {
                // 20 a second and 20 a minute differ by sixty, so no unit is assumed.
                let reason = format!(
                    "`{}` has no unit of time; write for example `1200/min` or `20/s`",
                    number.text
                );
                self.bad_unit(&reason)
            }
            _ => {
                self.problems.push(self.wrong_type("a rate").help("write for example `1200/min`"));
                None
            }
        }
    }

    /// An amount of money.
    pub(crate) fn money(&self) -> Option<Money> {
        match &self.node.value {
            Value::Text(text) => {
                let money =
                    units::parse_money(text).map_err(|error| self.bad_unit::<()>(&error)).ok()?;
                self.at_most(money.amount, MONEY_MAX, "").then_some(money)
            }
            Value::Number(number) => {
                let reason =
                    format!("`{}` has no currency; write for example `54.20 EUR`", number.text);
                self.bad_unit(&reason)
            }
            _ => {
                let problem = self.wrong_type("an amount of money");
                self.problems.push(problem.help("write for example `54.20 EUR`"));
                None
            }
        }
    }

    /// Reports a number above a bound.
    fn at_most(&self, value: f64, most: f64, of_what: &str) -> bool {
        if value <= most {
            return true;
        }
        // A number of hundreds of digits would hide the reason.
        let shown: String = self.scalar_text().unwrap_or_default().chars().take(40).collect();
        let message = format!("`{}` is {shown}, but must be at most {most}{of_what}", self.name);
        self.problems.push(Diagnostic::error(Code::OutOfRange, message, self.place()));
        false
    }

    /// A day: `2023-11-02`.
    pub(crate) fn date(&self) -> Option<Date> {
        let text = self.str()?.trim();
        // `parse` also takes dates with times.
        let date = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten();
        if date.is_none() {
            self.bad_unit::<()>(&format!("`{text}` is not a date; write for example `2023-11-02`"));
        }
        date
    }

    /// Reports what `units` says: the fact, and after a semicolon what to write.
    fn bad_unit<T>(&self, reason: &str) -> Option<T> {
        let (fact, help) = reason.split_once("; ").unwrap_or((reason, ""));
        let message = format!("`{}`: {fact}", self.name);
        let problem = Diagnostic::error(Code::BadUnit, message, self.place());
        self.problems.push(if help.is_empty() { problem } else { problem.help(help) });
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let Value::Text(text) = &self.node.value else {
            let problem = self.wrong_type(&in_backticks(names(), "or"));
            self.problems.push(problem);
            return None;
        };
        let known = words.iter().find(|(name, _)| **name == **text);
        // A word of version 0.1 has an exact answer.
        if known.is_none()
            && let Some(now) = renamed::renamed_word(self.name, text)
        {
            let message = format!("`{}`: `{text}` is now `{now}`", self.name);
            let problem = Diagnostic::error(Code::Renamed, message, self.place());
            self.problems.push(problem.replace_with(now));
        } else if known.is_none() {
            let message = format!(
                "`{}` cannot be `{text}`: it is {}",
                self.name,
                in_backticks(names(), "or")
            );
            let problem = Diagnostic::error(Code::UnknownWord, message, self.place());
            self.problems.push(self.problems.suggest_nearest(problem, text, names(), || None));
        }
        known.map(|(_, value)| *value)
    }

    /// A number outside its range.
    fn out_of_range(&self, reason: impl Display) -> Diagnostic {
        let shown = self.scalar_text().unwrap_or_default();
        Diagnostic::error(
            Code::OutOfRange,
            format!("`{}` is {shown}, but must be {reason}", self.name),
            self.place(),
        )
    }
}
