//! Values that may be known up to an interval, or not at all.

use std::sync::Arc;

use super::facts::{FactRecord, Map, TrialEvent, Unit};

/// A yes or no that may not be known: Kleene's logic with two reasons for not knowing.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ternary {
    /// It is not so.
    False,
    /// It is so.
    True,
    /// More trials may tell.
    Undetermined,
    /// The input lacks what it takes to tell.
    NoData,
}

impl Ternary {
    /// Returns a yes or no that is known.
    pub fn known(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }

    /// Kleene's "and": what is not known does not matter beside a no. `Undetermined` comes before
    /// `NoData`, since more trials may yet tell no.
    pub fn and(self, other: Self) -> Self {
        use Ternary::{False, NoData, True, Undetermined};
        match (self, other) {
            (False, _) | (_, False) => False,
            (True, item) | (item, True) => item,
            (Undetermined, _) | (_, Undetermined) => Undetermined,
            (NoData, NoData) => NoData,
        }
    }

    /// Kleene's "or".
    pub fn or(self, other: Self) -> Self {
        self.negated().and(other.negated()).negated()
    }

    /// Returns the opposite; what is not known stays so.
    pub fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            item => item,
        }
    }

    /// Whether it is a yes or a no.
    pub fn is_known(self) -> bool {
        matches!(self, Self::False | Self::True)
    }
}

/// A number and its interval; of a simulated figure, with its name.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The lower end of the interval.
    pub low: f64,
    /// The estimate.
    pub value: f64,
    /// The upper end.
    pub high: f64,
    /// The simulated figure that it is; a number of the input is none.
    pub figure: Option<Arc<Figure>>,
}

/// A simulated figure: its name in conditions, and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The path, as a condition would name it.
    pub path: String,
    /// The service or flow that it is about.
    pub unit: Option<Unit>,
    /// Metric of the figure.
    pub metric: Metric,
}

/// Metric of a simulated figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The probability of an event: per rollout, or if the change breaks.
    Probability {
        /// The event.
        event: TrialEvent,
        /// Whether it is multiplied out by the failure probability of the change.
        per_rollout: bool,
    },
    /// The mean of the highest failing share.
    FailingShare,
    /// Outage minutes.
    Outage(Statistic),
    /// The share of the error budget that is used.
    Budget(Statistic),
    /// The mean share of the error budget that is used, where no trial counts for more than all of it.
    BudgetUsed {
        /// The mean of the outage minutes themselves.
        mean_minutes: f64,
    },
    /// Orders lost.
    Orders(Statistic),
    /// Another share, or one that is computed from others.
    Share,
    /// Another number, or one that is computed from others.
    Other,
}

/// A statistic of a distribution over trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// A quantile, in percent.
    Quantile(u8),
}

impl Number {
    /// Returns a number of the input.
    pub fn exact(value: f64) -> Self {
        Self { low: value, value, high: value, figure: None }
    }

    /// Applies a monotone function.
    pub fn map(&self, by: impl Fn(f64) -> f64) -> Self {
        // A decreasing function, such as a change of sign, exchanges the two ends.
        let (a, b) = (by(self.low), by(self.high));
        let value = by(self.value);
        Self { low: a.min(b), value, high: a.max(b), figure: self.figure.clone() }
    }

    /// Combines two numbers: the ends of the result enclose what any two values inside can give.
    pub fn combine(&self, sign: &str, other: &Self, by: impl Fn(f64, f64) -> f64) -> Self {
        // The operators are monotone in each operand, so the extremes are at the corners.
        let ends = [
            by(self.low, other.low),
            by(self.low, other.high),
            by(self.high, other.low),
            by(self.high, other.high),
        ];
        let name = |other: &Self| match &other.figure {
            Some(figure) => figure.path.clone(),
            None => format!("{}", other.value),
        };
        // A figure that is computed from figures is one too; it has no unit, since it may be about
        // several.
        let figure = (self.figure.is_some() || other.figure.is_some()).then(|| {
            let path = format!("{} {sign} {}", name(self), name(other));
            Arc::new(Figure { path, unit: None, metric: Metric::Other })
        });
        let value = by(self.value, other.value);
        // Without a number at an end there is no bound: anything is possible, and no comparison is
        // clear.
        if ends.iter().any(|end| end.is_nan()) || value.is_nan() {
            return Self { low: f64::NEG_INFINITY, value: 0.0, high: f64::INFINITY, figure };
        }
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { low, value, high, figure }
    }

    /// Whether it is greater than the other number.
    pub fn exceeds(&self, other: &Self) -> Ternary {
        match () {
            () if self.low > other.high => Ternary::True,
            // An equal end does not exceed, so `>` at the limit itself is a clear no.
            () if self.high <= other.low => Ternary::False,
            () => Ternary::Undetermined,
        }
    }

    /// Whether it is equal to the other number.
    pub fn equals(&self, other: &Self) -> Ternary {
        match () {
            () if self.low > other.high || self.high < other.low => Ternary::False,
            // Two intervals that overlap are only equal for certain where both are single points.
            () if self.low == self.high && other.low == other.high => Ternary::True,
            () => Ternary::Undetermined,
        }
    }
}

/// A value of a part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// It is not known; the text says why.
    Missing(Arc<str>),
    /// A yes or no.
    Bool(Ternary),
    /// A number.
    Number(Number),
    /// A text.
    Text(Arc<str>),
    /// Seconds since 1970.
    Timestamp(f64),
    /// Seconds.
    Duration(f64),
    /// Items, and whether each belongs to the list.
    List(Arc<[(Ternary, Self)]>),
    /// All records of a kind, by name.
    Map(Map),
    /// A record, by its number.
    Record(FactRecord),
}

impl Value {
    /// Returns a text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Returns a number that is known exactly.
    pub fn number(value: f64) -> Self {
        Self::Number(Number::exact(value))
    }

    /// Returns that nothing is known, with the reason.
    pub fn missing(why: impl Into<Arc<str>>) -> Self {
        Self::Missing(why.into())
    }

    /// Returns a list of items that all belong to it.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().map(|item| (Ternary::True, item)).collect())
    }

    /// Returns a list of texts.
    pub fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self::list(items.into_iter().map(Self::text))
    }

    /// Returns a list of the records with the numbers 0 to `count`.
    pub fn records(count: usize, record: impl Fn(usize) -> FactRecord) -> Self {
        Self::list((0..count).map(|index| Self::Record(record(index))))
    }

    /// Returns a text, or why there is none.
    pub fn text_or(text: Option<&str>, why: impl Fn() -> String) -> Self {
        text.map_or_else(|| Self::missing(why()), Self::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_matters_only_where_it_decides() {
        use Ternary::{False, NoData, True, Undetermined};
        assert_eq!(False.and(NoData), False);
        assert_eq!(True.and(Undetermined), Undetermined);
        assert_eq!(Undetermined.and(NoData), Undetermined);
        assert_eq!(True.or(NoData), True);
        assert_eq!(False.or(NoData), NoData);
        assert_eq!(NoData.negated(), NoData);
    }

    #[test]
    fn numbers_between_ends_compare_only_where_they_are_clear() {
        let number = |low, high| Number { low, value: low, high, figure: None };
        let limit = Number::exact(2.0);
        assert_eq!(number(2.5, 3.0).exceeds(&limit), Ternary::True);
        assert_eq!(number(1.0, 2.0).exceeds(&limit), Ternary::False);
        assert_eq!(number(1.0, 2.5).exceeds(&limit), Ternary::Undetermined);
        assert_eq!(number(1.0, 2.5).equals(&limit), Ternary::Undetermined);
        assert_eq!(Number::exact(2.0).equals(&limit), Ternary::True);
        let product = number(-1.0, 2.0).combine("*", &number(3.0, 4.0), |a, b| a * b);
        assert_eq!((product.low, product.high), (-4.0, 8.0));
        let nothing = number(0.0, 1.0).combine("/", &number(0.0, 1.0), |a, b| a / b);
        assert_eq!((nothing.low, nothing.high), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
