//! Evaluates a condition over facts that are known up to intervals.

mod facts;
mod value;

pub use facts::{
    Basis, FactRecord, Facts, FailureDegree, Map, MeasuredTime, Orders, TrialEvent, Unit,
};
pub use value::{Figure, Metric, Number, Statistic, Ternary, Value};

use std::sync::Arc;

use super::expression::{Accessor, Expr, ExprNode, Macro, MacroKind, Operator};
use crate::diagnostic::Place;

/// The most steps that the evaluation of one condition may take: some tenths of a second.
pub const STEPS_MAX: u64 = 10_000_000;
/// The most comparisons and reasons that are kept for reports.
const KEPT_MAX: usize = 64;

/// A simulated figure that was compared with a limit.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The figure and its interval.
    pub figure: Number,
    /// The operator, with the figure to its left.
    pub operator: Operator,
    /// The limit.
    pub limit: f64,
    /// The result.
    pub result: Ternary,
}

/// The result of a condition, and the figures that it is based on.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The result.
    pub result: Ternary,
    /// Inputs that are missing, where that matters.
    pub missing: Vec<Arc<str>>,
    /// Comparisons of simulated figures: at most 64, those that are clearly false last.
    pub comparisons: Vec<Comparison>,
    /// The number of comparisons of simulated figures.
    pub comparison_count: u64,
    /// The places of those comparisons in the condition.
    pub places: Vec<Place>,
    /// Whether a macro asked for a figure of its items and met no item that has it.
    pub has_vacuous_macro: bool,
    /// Whether it took more than [`STEPS_MAX`] steps, so that nothing is known.
    pub is_too_large: bool,
}

/// Evaluates a condition; `error` is the chance that the interval of a figure misses the truth.
pub fn evaluate(when: &ExprNode, facts: &dyn Facts, error: f64) -> Evaluation {
    let mut evaluator = Evaluator {
        facts,
        error,
        steps: 0,
        scope: Vec::new(),
        evaluation: Evaluation {
            result: Ternary::NoData,
            missing: Vec::new(),
            comparisons: Vec::new(),
            comparison_count: 0,
            places: Vec::new(),
            has_vacuous_macro: false,
            is_too_large: false,
        },
    };
    let result = evaluator.condition(when);
    let mut evaluation = evaluator.evaluation;
    // Behind the limit parts went unevaluated, so no answer is worth anything, not even a clear
    // one.
    evaluation.result = if evaluation.is_too_large { Ternary::NoData } else { result };
    evaluation
}

struct Evaluator<'a> {
    facts: &'a dyn Facts,
    error: f64,
    steps: u64,
    /// The items of the macros that are being evaluated, outermost first.
    scope: Vec<(&'a str, Value)>,
    evaluation: Evaluation,
}

impl<'a> Evaluator<'a> {
    fn condition(&mut self, node: &'a ExprNode) -> Ternary {
        match self.value(node) {
            Value::Bool(truth) => truth,
            Value::Missing(why) => self.note_missing(&why),
            _ => unreachable!("conditions were checked when they were read"),
        }
    }

    fn note_missing(&mut self, why: &Arc<str>) -> Ternary {
        // There may be one reason for every service; a report needs only some of them.
        if self.evaluation.missing.len() < KEPT_MAX && !self.evaluation.missing.contains(why) {
            self.evaluation.missing.push(why.clone());
        }
        Ternary::NoData
    }

    fn value(&mut self, node: &'a ExprNode) -> Value {
        // Counted by part and not by time, so that the answer does not depend on the machine.
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.evaluation.is_too_large = true;
            return Value::missing("it would take too many steps");
        }
        match &node.expr {
            Expr::Bool(bool) => Value::Bool(Ternary::known(*bool)),
            Expr::Number(item) => Value::number(*item),
            Expr::Text(item) => Value::text(item),
            Expr::Timestamp(timestamp) => Value::Timestamp(*timestamp),
            Expr::Duration(duration) => Value::Duration(*duration),
            Expr::List(items) => {
                let items: Vec<Value> = items.iter().map(|item| self.value(item)).collect();
                Value::list(items)
            }
            Expr::Variable(variable) => self.facts.variable(*variable),
            Expr::Binding(name) => {
                // From the innermost macro, since its name hides the same name of those around it.
                let bound = self.scope.iter().rev().find(|(known, _)| known == name);
                bound.expect("bindings were checked when the condition was read").1.clone()
            }
            Expr::Select(of, field) => match self.value(of) {
                Value::Record(record) => self.facts.field(record, *field, self.error),
                value => value,
            },
            Expr::Has(of, field) => match self.value(of) {
                Value::Record(record) => {
                    // Whether the field is known, not what it is: this is answered even where the
                    // figure is open.
                    Value::Bool(Ternary::known(self.facts.is_known(record, *field)))
                }
                // A field of something that is missing is not known either, which is an answer and
                // no missing input.
                Value::Missing(_) => Value::Bool(Ternary::False),
                value => value,
            },
            Expr::Index(of, at) => {
                let (of, at) = (self.value(of), self.value(at));
                self.index(of, &at)
            }
            Expr::Not(of) => Value::Bool(self.condition(of).negated()),
            Expr::Negate(of) => match self.value(of) {
                Value::Number(number) => Value::Number(number.map(|item| -item)),
                Value::Duration(duration) => Value::Duration(-duration),
                value => value,
            },
            Expr::Binary(operator, both) => self.binary(*operator, &both[0], &both[1], node.place),
            Expr::Conditional(parts) => self.conditional(parts),
            Expr::Size(of) => match self.value(of) {
                // Letters and not bytes, as CEL counts.
                Value::Text(text) => Value::number(text.chars().count() as f64),
                Value::Missing(why) => Value::Missing(why),
                item => {
                    // Items that may or may not belong to the list make its size an interval.
                    let items = self.items(item);
                    let sure = items.iter().filter(|(is_in, _)| *is_in == Ternary::True).count();
                    let most = items.iter().filter(|(is_in, _)| *is_in != Ternary::False).count();
                    let (low, high) = (sure as f64, most as f64);
                    Value::Number(Number { low, value: low, high, figure: None })
                }
            },
            Expr::Accessor(accessor, of, east) => match self.value(of) {
                Value::Timestamp(at) => Value::number(calendar_part(*accessor, at + east)),
                value => value,
            },
            Expr::Macro(item) => self.macro_result(item),
        }
    }

    fn items(&mut self, of: Value) -> Arc<[(Ternary, Value)]> {
        match of {
            Value::List(items) => items,
            Value::Map(map) => self.facts.records(map),
            _ => Arc::new([]),
        }
    }

    fn index(&mut self, of: Value, at: &Value) -> Value {
        match (of, at) {
            (Value::Map(map), Value::Text(name)) => self.facts.named(map, name),
            (Value::List(items), Value::Number(at)) => {
                // Where an earlier item may be missing, the number of each later one is open.
                let is_sure = items.iter().all(|(is_in, _)| *is_in == Ternary::True);
                if !is_sure || at.low != at.high {
                    return Value::missing("it is not sure which item of a list is meant");
                }
                #[expect(clippy::cast_sign_loss, reason = "negative numbers are asked about first")]
                let index =
                    (at.value >= 0.0 && at.value.fract() == 0.0).then_some(at.value as usize);
                let found = index.and_then(|index| items.get(index));
                found.map_or_else(
                    || Value::missing(format!("a list has no item number {}", at.value)),
                    |(_, item)| item.clone(),
                )
            }
            (Value::Missing(why), _) => Value::Missing(why),
            (_, Value::Missing(why)) => Value::Missing(why.clone()),
            _ => unreachable!("conditions were checked when they were read"),
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &'a ExprNode,
        right: &'a ExprNode,
        place: Place,
    ) -> Value {
        match operator {
            Operator::And => {
                let first = self.condition(left);
                // What is right of a clear no cannot change it; looking would only report inputs
                // that do not matter.
                if first == Ternary::False {
                    return Value::Bool(first);
                }
                return Value::Bool(first.and(self.condition(right)));
            }
            Operator::Or => {
                let first = self.condition(left);
                // As with `&&`: behind a clear yes the rest cannot matter.
                if first == Ternary::True {
                    return Value::Bool(first);
                }
                return Value::Bool(first.or(self.condition(right)));
            }
            _ => {}
        }
        let (left, right) = (self.value(left), self.value(right));
        match (left, right) {
            // A missing operand leaves the result missing, with its reason, rather than making it
            // false.
            (Value::Missing(why), _) | (_, Value::Missing(why)) => Value::Missing(why),
            (Value::Number(a), Value::Number(b)) if operator.is_comparison() => {
                Value::Bool(self.compare(operator, a, b, place))
            }
            (Value::Number(a), Value::Number(b)) => {
                let sign = operator.as_str();
                Value::Number(match operator {
                    Operator::Add => a.combine(sign, &b, |a, b| a + b),
                    Operator::Sub => a.combine(sign, &b, |a, b| a - b),
                    Operator::Mul => a.combine(sign, &b, |a, b| a * b),
                    // Where the divisor may be 0, anything may come out.
                    Operator::Div if b.low <= 0.0 && b.high >= 0.0 => {
                        a.combine(sign, &b, |_, _| f64::NAN)
                    }
                    Operator::Div => a.combine(sign, &b, |a, b| a / b),
                    // The rest of a division is not monotone: the ends of an interval do not
                    // enclose it.
                    _ if a.low == a.high && b.low == b.high && b.value != 0.0 => {
                        a.combine(sign, &b, |a, b| a % b)
                    }
                    _ => a.combine(sign, &b, |_, _| f64::NAN),
                })
            }
            (value, of) if operator == Operator::In => Value::Bool(self.contains(of, &value)),
            (left, right) => compare_exactly(operator, &left, &right),
        }
    }

    fn compare(&mut self, operator: Operator, a: Number, b: Number, place: Place) -> Ternary {
        let result = match operator {
            Operator::Gt => a.exceeds(&b),
            // `<=` is the opposite of `>`, so that of the two exactly one holds wherever either is
            // known.
            Operator::Le => a.exceeds(&b).negated(),
            Operator::Lt => b.exceeds(&a),
            Operator::Ge => b.exceeds(&a).negated(),
            Operator::Eq => a.equals(&b),
            _ => a.equals(&b).negated(),
        };
        // Only simulated figures have an interval that more trials can narrow; the rest is plain
        // arithmetic.
        if a.figure.is_none() && b.figure.is_none() {
            return result;
        }
        self.evaluation.comparison_count += 1;
        // Where a condition only asks whether some item is so, the error is split over the places
        // in its text.
        if !self.evaluation.places.contains(&place) {
            self.evaluation.places.push(place);
        }
        // A figure to the right of its limit is reported to the left of it: the comparison is turned.
        let (figure, operator, limit) = match (a.figure.is_some(), operator) {
            (true, _) => (a, operator, b.value),
            (false, Operator::Gt) => (b, Operator::Lt, a.value),
            (false, Operator::Ge) => (b, Operator::Le, a.value),
            (false, Operator::Lt) => (b, Operator::Gt, a.value),
            (false, Operator::Le) => (b, Operator::Ge, a.value),
            (false, _) => (b, operator, a.value),
        };
        let comparison = Comparison { figure, operator, limit, result };
        // Those that are clear against it say least, and there may be one for every service.
        if result != Ternary::False || self.evaluation.comparisons.len() < KEPT_MAX {
            if self.evaluation.comparisons.len() >= KEPT_MAX
                && let Some(at) = self
                    .evaluation
                    .comparisons
                    .iter()
                    .position(|comparison| comparison.result == Ternary::False)
            {
                self.evaluation.comparisons.remove(at);
            }
            if self.evaluation.comparisons.len() < KEPT_MAX {
                self.evaluation.comparisons.push(comparison);
            }
        }
        result
    }

    fn contains(&mut self, of: Value, value: &Value) -> Ternary {
        // A map is asked by its names; going over its records would compare records with texts.
        if let (Value::Map(map), Value::Text(name)) = (&of, value) {
            let named = self.facts.named(*map, name);
            return Ternary::known(!matches!(named, Value::Missing(_)));
        }
        let mut any = Ternary::False;
        for (is_in, item) in self.items(of).iter() {
            self.steps += 1;
            let same = match (item, value) {
                (Value::Number(a), Value::Number(b)) => a.equals(b),
                (Value::Missing(why), _) => self.note_missing(why),
                (a, b) => Ternary::known(a == b),
            };
            any = any.or(is_in.and(same));
        }
        any
    }

    fn conditional(&mut self, parts: &'a [ExprNode; 3]) -> Value {
        let condition = self.condition(&parts[0]);
        match condition {
            Ternary::True => self.value(&parts[1]),
            Ternary::False => self.value(&parts[2]),
            // What the condition leaves open does not matter where both parts say the same.
            open => match (self.value(&parts[1]), self.value(&parts[2])) {
                (Value::Bool(a), Value::Bool(b)) if a == b => Value::Bool(a),
                (Value::Bool(_), Value::Bool(_)) => Value::Bool(open),
                // The result lies in one of the two intervals, so an interval around both holds it.
                (Value::Number(a), Value::Number(b)) => Value::Number(Number {
                    low: a.low.min(b.low),
                    value: a.value,
                    high: a.high.max(b.high),
                    figure: a.figure.or(b.figure),
                }),
                (a, b) if a == b => a,
                _ => Value::missing("it is not sure which part of `? :` is meant"),
            },
        }
    }

    fn macro_result(&mut self, entry: &'a Macro) -> Value {
        let list = match self.value(&entry.list) {
            // What is missing is not an empty list, over which `all` would be true.
            Value::Missing(why) => return Value::Missing(why),
            list => self.items(list),
        };
        let (mut any, mut every) = (Ternary::False, Ternary::True);
        let (mut sure, mut most) = (0_u32, 0_u32);
        // Trials can decide only where an item is undetermined; else it is input that is missing.
        let mut open = Ternary::NoData;
        let mut made = Vec::new();
        let compared_before = self.evaluation.comparison_count;
        for (is_in, item) in list.iter() {
            // The steps are used up, and the other items would only be asked to no end.
            if self.evaluation.is_too_large {
                break;
            }
            self.scope.push((&entry.name, item.clone()));
            if entry.kind == MacroKind::Map && entry.then.is_none() {
                let value = self.value(&entry.body);
                made.push((*is_in, value));
            } else {
                let yes = is_in.and(self.condition(&entry.body));
                any = any.or(yes);
                // For `all` an item counts only as far as it belongs to the list.
                every = every.and(is_in.negated().or(yes));
                sure += u32::from(yes == Ternary::True);
                most += u32::from(yes != Ternary::False);
                if yes == Ternary::Undetermined {
                    open = yes;
                }
                let keep = matches!(entry.kind, MacroKind::Filter | MacroKind::Map);
                // An item that is only perhaps in the result stays, marked as such.
                if keep && yes != Ternary::False {
                    let kept =
                        entry.then.as_ref().map_or_else(|| item.clone(), |then| self.value(then));
                    made.push((yes, kept));
                }
            }
            self.scope.pop();
            // The rest of the list cannot change the answer, and it may be thousands of services.
            let is_decided = match entry.kind {
                MacroKind::Exists => any == Ternary::True,
                MacroKind::All => every == Ternary::False,
                _ => false,
            };
            if is_decided {
                break;
            }
        }
        // Such a rule looks as if it held, but it was never put to the test.
        if self.evaluation.comparison_count == compared_before && asks_for_figures(&entry.body) {
            self.evaluation.has_vacuous_macro = true;
        }
        match entry.kind {
            MacroKind::Exists => Value::Bool(any),
            MacroKind::All => Value::Bool(every),
            // One that surely holds and none that may: anything less is open.
            MacroKind::ExistsOne => Value::Bool(match (sure, most) {
                (1, 1) => Ternary::True,
                (2.., _) | (_, 0) => Ternary::False,
                _ => open,
            }),
            MacroKind::Filter | MacroKind::Map => Value::List(made.into()),
        }
    }
}

/// Whether a condition on an item asks for a simulated figure, and does not care itself for items that
/// lack it.
fn asks_for_figures(body: &ExprNode) -> bool {
    let (mut asks, mut cares) = (false, false);
    body.walk(&mut |node| match &node.expr {
        // A condition that asks `has(..)` itself expects items without the figure.
        Expr::Select(_, field) => asks |= field.is_simulated(),
        Expr::Has(..) => cares = true,
        _ => {}
    });
    asks && !cares
}

/// Applies an operator to two values that are known exactly.
fn compare_exactly(operator: Operator, left: &Value, right: &Value) -> Value {
    use std::cmp::Ordering;
    let order = match (left, right) {
        (Value::Timestamp(a), Value::Timestamp(b)) if operator == Operator::Sub => {
            return Value::Duration(a - b);
        }
        (Value::Timestamp(a), Value::Duration(b)) => {
            return Value::Timestamp(if operator == Operator::Sub { a - b } else { a + b });
        }
        (Value::Duration(a), Value::Duration(b)) if operator == Operator::Sub => {
            return Value::Duration(a - b);
        }
        (Value::Duration(a), Value::Duration(b)) if operator == Operator::Add => {
            return Value::Duration(a + b);
        }
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => {
            a.total_cmp(b)
        }
        (Value::Text(a), Value::Text(b)) => match operator {
            Operator::Add => return Value::text(&format!("{a}{b}")),
            Operator::StartsWith => return Value::Bool(Ternary::known(a.starts_with(&**b))),
            Operator::EndsWith => return Value::Bool(Ternary::known(a.ends_with(&**b))),
            Operator::Contains => return Value::Bool(Ternary::known(a.contains(&**b))),
            _ => a.cmp(b),
        },
        (Value::Bool(a), Value::Bool(b)) => {
            let same = if a.is_known() && b.is_known() {
                Ternary::known(a == b)
            } else {
                // Two open answers may be equal or not; Kleene's logic says what follows from what
                // is known of each.
                a.and(*b).or(a.negated().and(b.negated()))
            };
            return Value::Bool(if operator == Operator::Eq { same } else { same.negated() });
        }
        _ => unreachable!("conditions were checked when they were read"),
    };
    Value::Bool(Ternary::known(match operator {
        Operator::Eq => order == Ordering::Equal,
        Operator::Ne => order != Ordering::Equal,
        Operator::Lt => order == Ordering::Less,
        Operator::Le => order != Ordering::Greater,
        Operator::Gt => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

/// Returns a part of a timestamp in the Gregorian calendar.
fn calendar_part(accessor: Accessor, at: f64) -> f64 {
    let day_length = 86_400.0;
    let days = (at / day_length).floor();
    let second = at - days * day_length;
    match accessor {
        Accessor::Hours => return (second / 3600.0).floor(),
        Accessor::Minutes => return (second % 3600.0 / 60.0).floor(),
        // 1970 began on a Thursday.
        Accessor::DayOfWeek => return (days + 4.0).rem_euclid(7.0),
        _ => {}
    }
    // The days are counted from 1970 in the calendar, so no time zone takes part.
    let start = jiff::civil::date(1970, 1, 1);
    let span = jiff::Span::new().try_days(days as i64);
    let date = span.and_then(|span| start.checked_add(span)).unwrap_or(start);
    match accessor {
        Accessor::FullYear => f64::from(date.year()),
        Accessor::Month => f64::from(date.month()) - 1.0,
        Accessor::DayOfMonth => f64::from(date.day()) - 1.0,
        _ => f64::from(date.day()),
    }
}
