//! The conditions of a policy: CEL, the Common Expression Language, checked before anything is run.
//!
//! The `cel` crate reads the text. [`read()`] turns its tree into a [`Node`], in which every name,
//! field and type is known to be right, and which is evaluated where the figures are. Of CEL there
//! are all operators, `has`, `size`, `in`, the macros `exists`, `all`, `exists_one`, `filter` and
//! `map`, the texts' `startsWith`, `endsWith` and `contains`, and `timestamp` and `duration` with the
//! accessors of timestamps. Numbers are one type: `1 / 2` is 0.5, and `500 < 500.5`.
//!
//! **Invariant:** the work is bounded: [`TEXT_MAX`] bytes, [`DEPTH_MAX`] levels, [`MACROS_MAX`] macros
//! inside one another; the evaluation counts its steps.

mod places;
mod read;
mod types;

pub use read::moment;
pub(crate) use read::read;

use crate::diagnostic::Place;

/// How long a condition may be, in bytes.
pub const TEXT_MAX: usize = 4096;
/// How deeply brackets and operators may be nested.
pub const DEPTH_MAX: usize = 32;
/// How many macros may stand inside one another.
pub const MACROS_MAX: usize = 3;

/// A part of a condition, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub expr: Expr,
    /// Where.
    pub place: Place,
}

/// What a part of a condition is.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `true`, `false`.
    Bool(bool),
    /// A number, whole or not.
    Number(f64),
    /// A text.
    Text(String),
    /// A moment, in seconds since 1970.
    Moment(f64),
    /// A duration, in seconds.
    Span(f64),
    /// A list.
    List(Vec<Node>),
    /// A variable, of the result or of a macro.
    Name(String),
    /// A field of a record.
    Field(Box<Node>, &'static str),
    /// Whether a field is known.
    Has(Box<Node>, &'static str),
    /// An item of a list by its number, or of a mapping by its name.
    Item(Box<Node>, Box<Node>),
    /// Not.
    Not(Box<Node>),
    /// Minus.
    Minus(Box<Node>),
    /// Two, and what is between them.
    Two(Operator, Box<[Node; 2]>),
    /// A condition and what holds if it is true, or if not.
    If(Box<[Node; 3]>),
    /// How many items, or letters.
    Size(Box<Node>),
    /// A part of a moment, so many seconds east of Greenwich.
    Part(Part, Box<Node>, f64),
    /// A macro.
    Macro(Box<Macro>),
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Operator {
    And,
    Or,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Plus,
    Minus,
    Times,
    By,
    Modulo,
    In,
    StartsWith,
    EndsWith,
    Contains,
}

impl Operator {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::By => "/",
            Self::Modulo => "%",
            Self::In => "in",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
        }
    }

    /// Whether it compares, with yes or no for an answer.
    pub fn is_comparison(self) -> bool {
        use Operator::{AtLeast, AtMost, Equal, Less, More, Unequal};
        matches!(self, Equal | Unequal | Less | AtMost | More | AtLeast)
    }
}

/// A part of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
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

/// What is asked of every item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Macro {
    /// What comes of the answers.
    pub kind: MacroKind,
    /// The list.
    pub list: Node,
    /// What an item is called.
    pub name: String,
    /// What is asked of it.
    pub body: Node,
    /// Of a `map` with a condition: what becomes of an item; the body is then the condition.
    pub then: Option<Node>,
}

/// What comes of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacroKind {
    /// Yes for at least one.
    Exists,
    /// Yes for all.
    All,
    /// Yes for exactly one.
    ExistsOne,
    /// The items with yes.
    Filter,
    /// The answers.
    Map,
}

impl Node {
    /// Calls `visit` for this part and all parts of it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match &self.expr {
            Expr::Bool(_)
            | Expr::Number(_)
            | Expr::Text(_)
            | Expr::Moment(_)
            | Expr::Span(_)
            | Expr::Name(_) => {}
            Expr::List(items) => items.iter().for_each(|it| it.walk(visit)),
            Expr::Field(of, _)
            | Expr::Has(of, _)
            | Expr::Not(of)
            | Expr::Minus(of)
            | Expr::Size(of)
            | Expr::Part(_, of, _) => of.walk(visit),
            Expr::Item(of, at) => {
                of.walk(visit);
                at.walk(visit);
            }
            Expr::Two(_, both) => both.iter().for_each(|it| it.walk(visit)),
            Expr::If(parts) => parts.iter().for_each(|it| it.walk(visit)),
            Expr::Macro(it) => {
                it.list.walk(visit);
                it.body.walk(visit);
                it.then.iter().for_each(|then| then.walk(visit));
            }
        }
    }
}
