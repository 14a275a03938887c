//! Values that may not be known exactly, or not at all.

use std::rc::Rc;

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    No,
    Yes,
    /// More trials may tell.
    Open,
    /// Nobody said what it takes to tell.
    Missing,
}

impl Truth {
    pub(super) fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// Kleene's and: what is not known does not matter beside a no. What more trials may tell comes
    /// before what nobody said, since they may tell no.
    pub(super) fn and(self, other: Self) -> Self {
        use Truth::{Missing, No, Open, Yes};
        match (self, other) {
            (No, _) | (_, No) => No,
            (Yes, it) | (it, Yes) => it,
            (Open, _) | (_, Open) => Open,
            (Missing, Missing) => Missing,
        }
    }

    /// Kleene's or.
    pub(super) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Yes => Self::No,
            it => it,
        }
    }

    pub(super) fn is_known(self) -> bool {
        matches!(self, Self::No | Self::Yes)
    }
}

/// A number between two ends; of a figure that was simulated, with its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) low: f64,
    pub(super) value: f64,
    pub(super) high: f64,
    pub(super) figure: Option<Rc<str>>,
}

impl Number {
    pub(super) fn exact(value: f64) -> Self {
        Self { low: value, value, high: value, figure: None }
    }

    pub(super) fn map(&self, by: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (by(self.low), by(self.high));
        let value = by(self.value);
        Self { low: a.min(b), value, high: a.max(b), figure: self.figure.clone() }
    }

    /// The ends of what two numbers between ends can give.
    pub(super) fn with(&self, sign: &str, other: &Self, by: impl Fn(f64, f64) -> f64) -> Self {
        let ends = [
            by(self.low, other.low),
            by(self.low, other.high),
            by(self.high, other.low),
            by(self.high, other.high),
        ];
        let name = |it: &Self| match &it.figure {
            Some(figure) => figure.to_string(),
            None => format!("{}", it.value),
        };
        let figure = (self.figure.is_some() || other.figure.is_some())
            .then(|| format!("{} {sign} {}", name(self), name(other)).into());
        let value = by(self.value, other.value);
        if ends.iter().any(|end| end.is_nan()) || value.is_nan() {
            return Self { low: f64::NEG_INFINITY, value: 0.0, high: f64::INFINITY, figure };
        }
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { low, value, high, figure }
    }

    pub(super) fn more(&self, other: &Self) -> Truth {
        match () {
            () if self.low > other.high => Truth::Yes,
            () if self.high <= other.low => Truth::No,
            () => Truth::Open,
        }
    }

    pub(super) fn equal(&self, other: &Self) -> Truth {
        match () {
            () if self.low > other.high || self.high < other.low => Truth::No,
            () if self.low == self.high && other.low == other.high => Truth::Yes,
            () => Truth::Open,
        }
    }
}

/// What a part of a condition may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Not known, and why not.
    Missing(Rc<str>),
    Truth(Truth),
    Number(Number),
    Text(Rc<str>),
    /// Seconds since 1970.
    Moment(f64),
    /// Seconds.
    Span(f64),
    /// Items, and whether each is in it.
    List(Rc<[(Truth, Self)]>),
    Item(Item),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn number(value: f64) -> Self {
        Self::Number(Number::exact(value))
    }

    pub(super) fn missing(why: impl Into<Rc<str>>) -> Self {
        Self::Missing(why.into())
    }

    pub(super) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().map(|item| (Truth::Yes, item)).collect())
    }

    pub(super) fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self::list(items.into_iter().map(Self::text))
    }

    pub(super) fn items(range: usize, item: impl Fn(usize) -> Item) -> Self {
        Self::list((0..range).map(|index| Self::Item(item(index))))
    }

    pub(super) fn optional_text(text: Option<&str>, why: impl Fn() -> String) -> Self {
        text.map_or_else(|| Self::missing(why()), Self::text)
    }
}

/// Something with fields, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Flows,
    Services,
    Flow(usize),
    Service(usize),
    Dependency(usize),
    Total,
    Change,
    Source(usize),
    Target(usize),
    Rollout,
    Stage(usize),
    Detection,
    Rollback,
    Unknown(usize),
    /// The probability that a unit fails, or is degraded.
    Estimate {
        unit: usize,
        degraded: bool,
        per_rollout: bool,
    },
    /// When a unit first failed, or for how long.
    Times {
        unit: usize,
        lasted: bool,
    },
    /// The figures of a unit per rollout.
    PerRollout(usize),
    TotalPerRollout,
    /// The orders that a flow, or all of them, lose.
    Losses {
        flow: Option<usize>,
        wrong: bool,
    },
    MeanPerRollout(Option<usize>),
    Money(usize),
    Delta,
    DeltaFlows,
    DeltaServices,
    DeltaFlow(usize),
    DeltaService(usize),
    DeltaTotal,
    DeltaEstimate {
        unit: usize,
        degraded: bool,
    },
    DeltaMean(Option<usize>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_matters_only_where_it_decides() {
        use Truth::{Missing, No, Open, Yes};
        assert_eq!(No.and(Missing), No);
        assert_eq!(Yes.and(Open), Open);
        assert_eq!(Open.and(Missing), Open);
        assert_eq!(Yes.or(Missing), Yes);
        assert_eq!(No.or(Missing), Missing);
        assert_eq!(Missing.not(), Missing);
    }

    #[test]
    fn numbers_between_ends_compare_only_where_they_are_clear() {
        let number = |low, high| Number { low, value: low, high, figure: None };
        let limit = Number::exact(2.0);
        assert_eq!(number(2.5, 3.0).more(&limit), Truth::Yes);
        assert_eq!(number(1.0, 2.0).more(&limit), Truth::No);
        assert_eq!(number(1.0, 2.5).more(&limit), Truth::Open);
        assert_eq!(number(1.0, 2.5).equal(&limit), Truth::Open);
        assert_eq!(Number::exact(2.0).equal(&limit), Truth::Yes);
        let product = number(-1.0, 2.0).with("*", &number(3.0, 4.0), |a, b| a * b);
        assert_eq!((product.low, product.high), (-4.0, 8.0));
        let nothing = number(0.0, 1.0).with("/", &number(0.0, 1.0), |a, b| a / b);
        assert_eq!((nothing.low, nothing.high), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
