//! Evaluates a condition where its figures are known up to intervals.

use std::rc::Rc;

use super::value::{Item, Number, Truth, Value};
use super::world::World;
use crate::diagnostic::Place;
use crate::policy::expression::{Expr, Macro, MacroKind, Node, Operator, Part};

/// How many steps the evaluation of one condition may take: some tenths of a second.
pub(super) const STEPS_MAX: u64 = 10_000_000;
/// How many comparisons and reasons are kept.
const KEPT: usize = 64;

/// A figure that was compared with a limit.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    pub(super) figure: Number,
    pub(super) sign: &'static str,
    pub(super) limit: f64,
    pub(super) truth: Truth,
}

/// What came of a condition.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) truth: Truth,
    /// Why it could not be told, where nobody said what it takes.
    pub(super) missing: Vec<Rc<str>>,
    pub(super) compared: Vec<Compared>,
    /// How many comparisons had a simulated figure.
    pub(super) comparisons: u64,
    /// Where such comparisons are written.
    pub(super) places: Vec<Place>,
    /// Whether it took too many steps, so that nothing is known.
    pub(super) is_too_much: bool,
}

/// Evaluates a condition in a world; `error` is the chance that an interval of a figure misses.
pub(super) fn evaluate(when: &Node, world: &World<'_>, error: f64) -> Found {
    let mut it = Evaluator {
        world,
        error,
        steps: 0,
        scope: Vec::new(),
        found: Found {
            truth: Truth::Missing,
            missing: Vec::new(),
            compared: Vec::new(),
            comparisons: 0,
            places: Vec::new(),
            is_too_much: false,
        },
    };
    let truth = it.truth(when);
    it.found.truth = if it.found.is_too_much { Truth::Missing } else { truth };
    it.found
}

struct Evaluator<'a> {
    world: &'a World<'a>,
    error: f64,
    steps: u64,
    scope: Vec<(&'a str, Value)>,
    found: Found,
}

impl<'a> Evaluator<'a> {
    fn truth(&mut self, node: &'a Node) -> Truth {
        match self.value(node) {
            Value::Truth(truth) => truth,
            Value::Missing(why) => self.missing(&why),
            _ => unreachable!("conditions were checked when they were read"),
        }
    }

    fn missing(&mut self, why: &Rc<str>) -> Truth {
        if self.found.missing.len() < KEPT && !self.found.missing.contains(why) {
            self.found.missing.push(why.clone());
        }
        Truth::Missing
    }

    fn value(&mut self, node: &'a Node) -> Value {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.found.is_too_much = true;
            return Value::missing("it would take too many steps");
        }
        match &node.expr {
            Expr::Bool(it) => Value::Truth(Truth::of(*it)),
            Expr::Number(it) => Value::number(*it),
            Expr::Text(it) => Value::text(it),
            Expr::Moment(it) => Value::Moment(*it),
            Expr::Span(it) => Value::Span(*it),
            Expr::List(items) => {
                let items: Vec<Value> = items.iter().map(|item| self.value(item)).collect();
                Value::list(items)
            }
            Expr::Name(name) => {
                let bound = self.scope.iter().rev().find(|(known, _)| known == name);
                bound.map_or_else(|| self.world.variable(name), |(_, value)| value.clone())
            }
            Expr::Field(of, name) => match self.value(of) {
                Value::Item(item) => self.world.field(item, name, self.error),
                it => it,
            },
            Expr::Has(of, name) => match self.value(of) {
                Value::Item(item) => Value::Truth(Truth::of(self.world.has(item, name))),
                Value::Missing(_) => Value::Truth(Truth::No),
                it => it,
            },
            Expr::Item(of, at) => {
                let (of, at) = (self.value(of), self.value(at));
                self.item(of, &at)
            }
            Expr::Not(of) => Value::Truth(self.truth(of).not()),
            Expr::Minus(of) => match self.value(of) {
                Value::Number(it) => Value::Number(it.map(|it| -it)),
                Value::Span(it) => Value::Span(-it),
                it => it,
            },
            Expr::Two(operator, both) => self.two(*operator, &both[0], &both[1], node.place),
            Expr::If(parts) => self.choice(parts),
            Expr::Size(of) => match self.value(of) {
                Value::Text(text) => Value::number(text.chars().count() as f64),
                Value::Missing(why) => Value::Missing(why),
                it => {
                    let items = self.items(it);
                    let sure = items.iter().filter(|(is_in, _)| *is_in == Truth::Yes).count();
                    let most = items.iter().filter(|(is_in, _)| *is_in != Truth::No).count();
                    let (low, high) = (sure as f64, most as f64);
                    Value::Number(Number { low, value: low, high, figure: None })
                }
            },
            Expr::Part(part, of, east) => match self.value(of) {
                Value::Moment(at) => Value::number(calendar(*part, at + east)),
                it => it,
            },
            Expr::Macro(it) => self.macro_(it),
        }
    }

    fn items(&mut self, of: Value) -> Rc<[(Truth, Value)]> {
        match of {
            Value::List(items) => items,
            Value::Item(item) => self.world.items(item),
            _ => Rc::new([]),
        }
    }

    fn item(&mut self, of: Value, at: &Value) -> Value {
        match (of, at) {
            (Value::Item(item), Value::Text(name)) => self.world.named(item, name),
            (Value::List(items), Value::Number(at)) => {
                let is_sure = items.iter().all(|(is_in, _)| *is_in == Truth::Yes);
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

    fn two(&mut self, operator: Operator, left: &'a Node, right: &'a Node, place: Place) -> Value {
        match operator {
            Operator::And => {
                let first = self.truth(left);
                if first == Truth::No {
                    return Value::Truth(first);
                }
                return Value::Truth(first.and(self.truth(right)));
            }
            Operator::Or => {
                let first = self.truth(left);
                if first == Truth::Yes {
                    return Value::Truth(first);
                }
                return Value::Truth(first.or(self.truth(right)));
            }
            _ => {}
        }
        let (left, right) = (self.value(left), self.value(right));
        match (left, right) {
            (Value::Missing(why), _) | (_, Value::Missing(why)) => Value::Missing(why),
            (Value::Number(a), Value::Number(b)) if operator.is_comparison() => {
                Value::Truth(self.compare(operator, a, b, place))
            }
            (Value::Number(a), Value::Number(b)) => {
                let sign = operator.as_str();
                Value::Number(match operator {
                    Operator::Plus => a.with(sign, &b, |a, b| a + b),
                    Operator::Minus => a.with(sign, &b, |a, b| a - b),
                    Operator::Times => a.with(sign, &b, |a, b| a * b),
                    // Where the divisor may be 0, anything may come out.
                    Operator::By if b.low <= 0.0 && b.high >= 0.0 => {
                        a.with(sign, &b, |_, _| f64::NAN)
                    }
                    Operator::By => a.with(sign, &b, |a, b| a / b),
                    _ if a.low == a.high && b.low == b.high && b.value != 0.0 => {
                        a.with(sign, &b, |a, b| a % b)
                    }
                    _ => a.with(sign, &b, |_, _| f64::NAN),
                })
            }
            (value, of) if operator == Operator::In => Value::Truth(self.contains(of, &value)),
            (left, right) => exact(operator, &left, &right),
        }
    }

    fn compare(&mut self, operator: Operator, a: Number, b: Number, place: Place) -> Truth {
        let truth = match operator {
            Operator::More => a.more(&b),
            Operator::AtMost => a.more(&b).not(),
            Operator::Less => b.more(&a),
            Operator::AtLeast => b.more(&a).not(),
            Operator::Equal => a.equal(&b),
            _ => a.equal(&b).not(),
        };
        if a.figure.is_none() && b.figure.is_none() {
            return truth;
        }
        self.found.comparisons += 1;
        if !self.found.places.contains(&place) {
            self.found.places.push(place);
        }
        let (figure, sign, limit) = match (a.figure.is_some(), operator) {
            (true, _) => (a, operator.as_str(), b.value),
            (false, Operator::More) => (b, "<", a.value),
            (false, Operator::AtLeast) => (b, "<=", a.value),
            (false, Operator::Less) => (b, ">", a.value),
            (false, Operator::AtMost) => (b, ">=", a.value),
            (false, _) => (b, operator.as_str(), a.value),
        };
        let compared = Compared { figure, sign, limit, truth };
        // Those that are clear against it say least, and there may be one for every service.
        if truth != Truth::No || self.found.compared.len() < KEPT {
            if self.found.compared.len() >= KEPT
                && let Some(at) = self.found.compared.iter().position(|it| it.truth == Truth::No)
            {
                self.found.compared.remove(at);
            }
            if self.found.compared.len() < KEPT {
                self.found.compared.push(compared);
            }
        }
        truth
    }

    fn contains(&mut self, of: Value, value: &Value) -> Truth {
        if let (Value::Item(item), Value::Text(name)) = (&of, value) {
            let named = self.world.named(*item, name);
            return Truth::of(!matches!(named, Value::Missing(_)));
        }
        let mut any = Truth::No;
        for (is_in, item) in self.items(of).iter() {
            self.steps += 1;
            let same = match (item, value) {
                (Value::Number(a), Value::Number(b)) => a.equal(b),
                (Value::Missing(why), _) => self.missing(why),
                (a, b) => Truth::of(a == b),
            };
            any = any.or(is_in.and(same));
        }
        any
    }

    fn choice(&mut self, parts: &'a [Node; 3]) -> Value {
        let condition = self.truth(&parts[0]);
        match condition {
            Truth::Yes => self.value(&parts[1]),
            Truth::No => self.value(&parts[2]),
            open => match (self.value(&parts[1]), self.value(&parts[2])) {
                (Value::Truth(a), Value::Truth(b)) if a == b => Value::Truth(a),
                (Value::Truth(_), Value::Truth(_)) => Value::Truth(open),
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

    fn macro_(&mut self, it: &'a Macro) -> Value {
        let list = match self.value(&it.list) {
            Value::Missing(why) => return Value::Missing(why),
            list => self.items(list),
        };
        let (mut any, mut every) = (Truth::No, Truth::Yes);
        let (mut sure, mut most) = (0_u32, 0_u32);
        let mut open = Truth::Missing;
        let mut made = Vec::new();
        for (is_in, item) in list.iter() {
            if self.found.is_too_much {
                break;
            }
            self.scope.push((&it.name, item.clone()));
            if it.kind == MacroKind::Map && it.then.is_none() {
                let value = self.value(&it.body);
                made.push((*is_in, value));
            } else {
                let yes = is_in.and(self.truth(&it.body));
                any = any.or(yes);
                every = every.and(is_in.not().or(yes));
                sure += u32::from(yes == Truth::Yes);
                most += u32::from(yes != Truth::No);
                if yes == Truth::Open {
                    open = yes;
                }
                let keep = matches!(it.kind, MacroKind::Filter | MacroKind::Map);
                if keep && yes != Truth::No {
                    let kept =
                        it.then.as_ref().map_or_else(|| item.clone(), |then| self.value(then));
                    made.push((yes, kept));
                }
            }
            self.scope.pop();
            let is_decided = match it.kind {
                MacroKind::Exists => any == Truth::Yes,
                MacroKind::All => every == Truth::No,
                _ => false,
            };
            if is_decided {
                break;
            }
        }
        match it.kind {
            MacroKind::Exists => Value::Truth(any),
            MacroKind::All => Value::Truth(every),
            MacroKind::ExistsOne => Value::Truth(match (sure, most) {
                (1, 1) => Truth::Yes,
                (2.., _) | (_, 0) => Truth::No,
                _ => open,
            }),
            MacroKind::Filter | MacroKind::Map => Value::List(made.into()),
        }
    }
}

/// Two values that are known exactly.
fn exact(operator: Operator, left: &Value, right: &Value) -> Value {
    use std::cmp::Ordering;
    let order = match (left, right) {
        (Value::Moment(a), Value::Moment(b)) if operator == Operator::Minus => {
            return Value::Span(a - b);
        }
        (Value::Moment(a), Value::Span(b)) => {
            return Value::Moment(if operator == Operator::Minus { a - b } else { a + b });
        }
        (Value::Span(a), Value::Span(b)) if operator == Operator::Minus => {
            return Value::Span(a - b);
        }
        (Value::Span(a), Value::Span(b)) if operator == Operator::Plus => {
            return Value::Span(a + b);
        }
        (Value::Moment(a), Value::Moment(b)) | (Value::Span(a), Value::Span(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) => match operator {
            Operator::Plus => return Value::text(&format!("{a}{b}")),
            Operator::StartsWith => return Value::Truth(Truth::of(a.starts_with(&**b))),
            Operator::EndsWith => return Value::Truth(Truth::of(a.ends_with(&**b))),
            Operator::Contains => return Value::Truth(Truth::of(a.contains(&**b))),
            _ => a.cmp(b),
        },
        (Value::Truth(a), Value::Truth(b)) => {
            let same = if a.is_known() && b.is_known() {
                Truth::of(a == b)
            } else {
                a.and(*b).or(a.not().and(b.not()))
            };
            return Value::Truth(if operator == Operator::Equal { same } else { same.not() });
        }
        _ => unreachable!("conditions were checked when they were read"),
    };
    Value::Truth(Truth::of(match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::Unequal => order != Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::AtMost => order != Ordering::Greater,
        Operator::More => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

/// A part of a moment in the Gregorian calendar.
fn calendar(part: Part, at: f64) -> f64 {
    let day_length = 86_400.0;
    let days = (at / day_length).floor();
    let second = at - days * day_length;
    match part {
        Part::Hours => return (second / 3600.0).floor(),
        Part::Minutes => return (second % 3600.0 / 60.0).floor(),
        // 1970 began on a Thursday.
        Part::DayOfWeek => return (days + 4.0).rem_euclid(7.0),
        _ => {}
    }
    let start = jiff::civil::date(1970, 1, 1);
    let span = jiff::Span::new().try_days(days as i64);
    let date = span.and_then(|span| start.checked_add(span)).unwrap_or(start);
    match part {
        Part::FullYear => f64::from(date.year()),
        Part::Month => f64::from(date.month()) - 1.0,
        Part::DayOfMonth => f64::from(date.day()) - 1.0,
        _ => f64::from(date.day()),
    }
}

/// Whether a condition asks only whether some item is so, never whether all or none are: then one
/// figure that misses can be at fault for a wrong no, however many are looked at.
pub(super) fn asks_for_some(when: &Node) -> bool {
    let mut only = true;
    when.walk(&mut |node| {
        only &= match &node.expr {
            Expr::Macro(it) => it.kind == MacroKind::Exists,
            Expr::Not(_) | Expr::If(_) | Expr::Size(_) => false,
            Expr::Two(operator, _) => {
                !matches!(operator, Operator::Equal | Operator::Unequal | Operator::In)
                    || !is_truth(node)
            }
            _ => true,
        };
    });
    only
}

/// Whether an equation may be one of yes and no.
fn is_truth(node: &Node) -> bool {
    let Expr::Two(_, both) = &node.expr else { return false };
    both.iter().any(|it| match &it.expr {
        Expr::Two(operator, _) => operator.is_comparison(),
        Expr::Bool(_) | Expr::Not(_) | Expr::Macro(_) | Expr::If(_) => true,
        _ => false,
    })
}

/// Whether a condition speaks of one of these variables.
pub(super) fn speaks_of(when: &Node, names: &[&str]) -> bool {
    let mut found = false;
    when.walk(&mut |node| {
        found |= matches!(&node.expr, Expr::Name(name) if names.contains(&name.as_str()));
    });
    found
}

/// Nothing but items that have one.
pub(super) fn all_of(count: usize, item: impl Fn(usize) -> Item) -> Rc<[(Truth, Value)]> {
    (0..count).map(|index| (Truth::Yes, Value::Item(item(index)))).collect()
}
