//! The conditions of a policy: CEL, the Common Expression Language, checked before anything is run.
//!
//! The `cel` crate parses the text. [`check()`] turns its tree into a [`ExprNode`], in which every name,
//! field and type is known to be right. Of CEL there are all operators, `has`, `size`, `in`, the macros
//! `exists`, `all`, `exists_one`, `filter` and `map`, `startsWith`, `endsWith` and `contains` of texts,
//! and `timestamp` and `duration` with the accessors of timestamps. Numbers are one type: `1 / 2` is
//! 0.5, and `500 < 500.5`.
//!
//! **Invariant:** the work is bounded: [`TEXT_MAX`] bytes, [`DEPTH_MAX`] levels, [`MACROS_MAX`] macros
//! inside one another; the evaluation counts its steps.

mod check;
mod nesting;
mod source_map;

pub(crate) use check::check;
pub use check::parse_timestamp;

use super::vocabulary::{Field, Variable};
use crate::diagnostic::Place;

/// The longest condition, in bytes.
pub const TEXT_MAX: usize = 4096;
/// The deepest nesting of brackets and operators.
pub const DEPTH_MAX: usize = 32;
/// The deepest nesting of macros: their work multiplies.
pub const MACROS_MAX: usize = 3;

/// A part of a condition, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct ExprNode {
    /// The part.
    pub expr: Expr,
    /// Its place in the file.
    pub place: Place,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `true`, `false`.
    Bool(bool),
    /// A number, whole or not.
    Number(f64),
    /// A text.
    Text(String),
    /// A timestamp, in seconds since 1970.
    Timestamp(f64),
    /// A duration, in seconds.
    Duration(f64),
    /// A list.
    List(Vec<ExprNode>),
    /// A variable of the language.
    Variable(Variable),
    /// The item of a macro, by the name that the macro gives it.
    Binding(String),
    /// A field of a record.
    Select(Box<ExprNode>, Field),
    /// Whether a field is known.
    Has(Box<ExprNode>, Field),
    /// An item of a list by its number, or of a map by its name.
    Index(Box<ExprNode>, Box<ExprNode>),
    /// `!`.
    Not(Box<ExprNode>),
    /// `-` before a number or a duration.
    Negate(Box<ExprNode>),
    /// An operator between two operands.
    Binary(Operator, Box<[ExprNode; 2]>),
    /// `condition ? then : otherwise`.
    Conditional(Box<[ExprNode; 3]>),
    /// The number of items of a list, or of letters of a text.
    Size(Box<ExprNode>),
    /// A part of a timestamp at an offset from UTC, in seconds east of Greenwich.
    Accessor(Accessor, Box<ExprNode>, f64),
    /// A macro.
    Macro(Box<Macro>),
}

/// The operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in CEL")]
pub enum Operator {
    And,
    Or,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Modulo,
    In,
    StartsWith,
    EndsWith,
    Contains,
}

impl Operator {
    /// Returns the operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Modulo => "%",
            Self::In => "in",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
        }
    }

    /// Whether it compares two values and gives a yes or no.
    pub fn is_comparison(self) -> bool {
        use Operator::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

/// The accessors of timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accessor {
    /// The year.
    FullYear,
    /// The month, from 0.
    Month,
    /// The day of the month, from 1.
    Date,
    /// The day of the month, from 0.
    DayOfMonth,
    /// The day of the week, from 0 for Sunday.
    DayOfWeek,
    /// The hour.
    Hours,
    /// The minute.
    Minutes,
}

/// A macro: a condition or an expression over every item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Macro {
    /// Which macro.
    pub kind: MacroKind,
    /// The list.
    pub list: ExprNode,
    /// The name of an item in `body`.
    pub name: String,
    /// The expression that is evaluated for each item.
    pub body: ExprNode,
    /// Of a `map` with a condition: the expression of the result; `body` is then the condition.
    pub then: Option<ExprNode>,
}

/// The macros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacroKind {
    /// Yes if it holds for at least one item.
    Exists,
    /// Yes if it holds for all items.
    All,
    /// Yes if it holds for exactly one item.
    ExistsOne,
    /// The items for which it holds.
    Filter,
    /// The results for all items.
    Map,
}

impl ExprNode {
    /// Calls `visit` for this part and all parts of it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match &self.expr {
            Expr::Bool(_)
            | Expr::Number(_)
            | Expr::Text(_)
            | Expr::Timestamp(_)
            | Expr::Duration(_)
            | Expr::Variable(_)
            | Expr::Binding(_) => {}
            Expr::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Expr::Select(of, _)
            | Expr::Has(of, _)
            | Expr::Not(of)
            | Expr::Negate(of)
            | Expr::Size(of)
            | Expr::Accessor(_, of, _) => of.walk(visit),
            Expr::Index(of, at) => {
                of.walk(visit);
                at.walk(visit);
            }
            Expr::Binary(_, both) => both.iter().for_each(|both| both.walk(visit)),
            Expr::Conditional(parts) => parts.iter().for_each(|part| part.walk(visit)),
            Expr::Macro(item) => {
                item.list.walk(visit);
                item.body.walk(visit);
                item.then.iter().for_each(|then| then.walk(visit));
            }
        }
    }

    /// Whether the condition names a variable for which `wanted` holds.
    pub fn mentions(&self, wanted: impl Fn(Variable) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |node| {
            found |= matches!(&node.expr, Expr::Variable(variable) if wanted(*variable));
        });
        found
    }

    /// Returns whether the condition is purely existential: it asks whether some item is so, never
    /// whether all or none are. A false negative then needs only one missed interval, so the error
    /// budget is split per place of comparison, not per item.
    pub fn is_existential(&self) -> bool {
        let mut only = true;
        self.walk(&mut |node| {
            only &= match &node.expr {
                Expr::Macro(item) => item.kind == MacroKind::Exists,
                // A negation turns "some" into "none", and a count or a choice can do the same.
                Expr::Not(_) | Expr::Conditional(_) | Expr::Size(_) => false,
                Expr::Binary(Operator::Eq | Operator::Ne | Operator::In, both) => {
                    // A comparison of two answers can also turn one around: `exists(..) == false`.
                    !both.iter().any(Self::may_be_bool)
                }
                _ => true,
            };
        });
        only
    }

    /// Whether the part may be a yes or no.
    fn may_be_bool(&self) -> bool {
        match &self.expr {
            Expr::Binary(operator, _) => operator.is_comparison(),
            Expr::Bool(_) | Expr::Not(_) | Expr::Macro(_) | Expr::Conditional(_) => true,
            _ => false,
        }
    }
}
