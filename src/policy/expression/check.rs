//! Checks a condition: from its text to a tree of known types, or to diagnostics with their places.

use std::rc::Rc;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr as Cel, LiteralValue, SourceInfo};
use cel::parser::{Expression, Parser};
use jiff::Timestamp;
use jiff::civil::Date;

use super::nesting::nesting;
use super::source_map::SourceMap;
use super::{
    Accessor, DEPTH_MAX, Expr, ExprNode, MACROS_MAX, Macro, MacroKind, Operator, TEXT_MAX,
};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::Topology;
use crate::model::decode::read::{Problems, in_backticks};
use crate::model::units::parse_duration;
use crate::policy::vocabulary::{MapKind, RecordType, Type, Variable};

/// Checks a condition. With a topology, the flows and services that it names must be there.
pub(crate) fn check(
    text: &str,
    file: &str,
    whole: Place,
    topology: Option<&Topology>,
    problems: &Problems,
) -> Option<ExprNode> {
    let source_map = SourceMap::new(text, file, whole);
    // Before the parser, which calls itself for every level.
    if let Some((code, message, help)) = size_problem(text) {
        problems.push(Diagnostic::error(code, message, whole).help(help));
        return None;
    }
    // Well above our own limit, so that it is our message which people see.
    let parsed = Parser::new().max_recursion_depth(64).parse_with_source_info(text);
    let (tree, info) = match parsed {
        Ok(parsed) => parsed,
        Err(wrong) => {
            // Only the first error: behind it the parser guesses, and the rest are mostly
            // consequences.
            for error in wrong.errors.iter().take(1) {
                let (at, message) = syntax_problem(error, text);
                let place = source_map.of(at, at + 1);
                let message = format!("this is not a condition: {message}");
                problems.push(Diagnostic::error(Code::RuleSyntax, message, place).help(
                    "conditions are written in CEL: `flows[\"checkout\"].failed.p > 0.2 && total.orders_lost.mean > 500`",
                ));
            }
            return None;
        }
    };
    let mut checker = Checker {
        text,
        info: &info,
        source_map: &source_map,
        topology,
        problems,
        scope: Vec::new(),
    };
    let (node, of) = checker.node(&tree)?;
    if !of.agrees_with(&Type::Bool) {
        checker.wrong_type(&node, "a condition is a yes or no", &of);
        return None;
    }
    Some(node)
}

fn size_problem(text: &str) -> Option<(Code, String, String)> {
    if text.len() > TEXT_MAX {
        let message = format!("this condition is {} bytes long", text.len());
        let help = format!("a condition has at most {TEXT_MAX} bytes: make several rules of it");
        return Some((Code::RuleTooLarge, message, help));
    }
    let deepest = nesting(text);
    (deepest > DEPTH_MAX).then(|| {
        let message = format!("this condition is nested {deepest} deep");
        (Code::RuleTooLarge, message, format!("a condition is nested at most {DEPTH_MAX} deep"))
    })
}

/// Where the parser stopped, as a byte, and why, without its list of everything else.
fn syntax_problem(error: &cel::ParseError, text: &str) -> (usize, String) {
    // The parser counts lines and columns from 1, and may give neither.
    let (line, column) = error.pos;
    let line = usize::try_from(line).unwrap_or(1).max(1) - 1;
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let at = start + rest.char_indices().nth(column).map_or(rest.trim_end().len(), |(at, _)| at);
    let message = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    // It lists every token that could stand there, which is most of the language.
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message = message.lines().next().unwrap_or_default().replace("<EOF>", "its end");
    // An error at the end of the text is shown at its last character, since there is nothing behind
    // it.
    (at.min(text.len().saturating_sub(1)), message)
}

struct Checker<'a> {
    text: &'a str,
    info: &'a SourceInfo,
    source_map: &'a SourceMap,
    topology: Option<&'a Topology>,
    problems: &'a Problems,
    /// The names that macros give to items, outermost first.
    scope: Vec<(String, Type)>,
}

type Typed = (ExprNode, Type);

impl Checker<'_> {
    fn node(&mut self, tree: &Expression) -> Option<Typed> {
        let own = self.token_place(tree.id);
        match &tree.expr {
            Cel::Literal(literal) => self.literal(literal, own),
            Cel::Ident(name) => self.name(name, own),
            Cel::Select(select) => {
                let of = self.node(&select.operand)?;
                self.field(of, &select.field, select.test, own)
            }
            Cel::List(list) => {
                let mut items = Vec::new();
                let mut kind: Option<Type> = None;
                for item in &list.elements {
                    let (node, of) = self.node(item)?;
                    if let Some(first) = &kind
                        && !first.agrees_with(&of)
                    {
                        let message = format!("this list holds {} first", first.describe());
                        self.wrong_type(&node, &message, &of);
                        return None;
                    }
                    kind.get_or_insert(of);
                    items.push(node);
                }
                let of = Type::List(Rc::new(kind.unwrap_or(Type::Any)));
                Some((ExprNode { place: own, expr: Expr::List(items) }, of))
            }
            Cel::Call(call) => self.call(call, own),
            Cel::Comprehension(comprehension) => self.checked_macro(comprehension, own),
            Cel::Map(_) | Cel::Struct(_) | Cel::Unspecified => {
                self.refuse(own, "this part of CEL has no use in a rule", "compare figures");
                None
            }
        }
    }

    /// Where the token of a part is.
    fn token_place(&self, id: u64) -> Place {
        let (start, stop) = self.info.offset_for(id).unwrap_or((0, 0));
        // The parser counts characters, a place bytes.
        let byte = |character: u32| {
            let found = self.text.char_indices().nth(character as usize);
            found.map_or(self.text.len(), |(byte, _)| byte)
        };
        self.source_map.of(byte(start), byte(stop + 1))
    }

    // CEL's three kinds of numbers are one here: `count > 1` must not fail for want of a decimal
    // point.
    fn literal(&self, literal: &LiteralValue, place: Place) -> Option<Typed> {
        let (expr, of) = match literal {
            LiteralValue::Boolean(boolean) => (Expr::Bool(**boolean), Type::Bool),
            LiteralValue::Double(double) => (Expr::Number(**double), Type::Number),
            LiteralValue::Int(int) => (Expr::Number(**int as f64), Type::Number),
            LiteralValue::UInt(u_int) => (Expr::Number(**u_int as f64), Type::Number),
            LiteralValue::String(text) => (Expr::Text((**text).to_owned()), Type::Text),
            LiteralValue::Null | LiteralValue::Bytes(_) => {
                let help = "ask with `has(..)` whether something is known";
                self.refuse(place, "nothing in a rule is null or bytes", help);
                return None;
            }
        };
        Some((ExprNode { expr, place }, of))
    }

    fn name(&self, name: &str, place: Place) -> Option<Typed> {
        // Names of macros come first, as in CEL, even where a variable has the same name.
        if let Some((_, of)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Some((ExprNode { expr: Expr::Binding(name.to_owned()), place }, of.clone()));
        }
        if let Some(variable) = Variable::parse(name) {
            return Some((
                ExprNode { expr: Expr::Variable(variable), place },
                variable.value_type(),
            ));
        }
        let bindings = self.scope.iter().map(|(name, _)| &**name);
        let names: Vec<&str> = bindings.chain(Variable::ALL.map(Variable::as_str)).collect();
        let problem =
            Diagnostic::error(Code::UnknownName, format!("there is no variable `{name}`"), place);
        let all = || Some(format!("there are {}", in_backticks(names.iter(), "and")));
        self.push(self.problems.suggest_nearest(problem, name, names.iter().copied(), all));
        None
    }

    fn field(&self, of: Typed, field: &str, is_test: bool, dot: Place) -> Option<Typed> {
        let (node, kind) = of;
        let place = Place { start: node.place.start, ..place_after(dot, field) };
        let own = place_after(dot, field);
        // CEL reads `flows.checkout` as `flows["checkout"]`.
        if let Type::Map(names, inner) = &kind
            && !is_test
        {
            self.require_known(*names, field, own)?;
            let key = ExprNode { expr: Expr::Text(field.to_owned()), place: own };
            let expr = Expr::Index(Box::new(node), Box::new(key));
            return Some((ExprNode { expr, place }, (**inner).clone()));
        }
        let Type::Record(record) = &kind else {
            let message = format!("{} has no fields", kind.describe());
            self.refuse(own, &message, "only records such as flows and services have fields");
            return None;
        };
        let Some((id, of)) = record.field(field) else {
            self.unknown_field(record, field, own);
            return None;
        };
        let expr =
            if is_test { Expr::Has(Box::new(node), id) } else { Expr::Select(Box::new(node), id) };
        Some((ExprNode { expr, place }, if is_test { Type::Bool } else { of }))
    }

    fn unknown_field(&self, record: &RecordType, field: &str, place: Place) {
        let message = format!("{} has no field `{field}`", record.what);
        let problem = Diagnostic::error(Code::UnknownName, message, place);
        // A hint for a field that people look for tells more than the nearest name.
        if let Some((_, hint)) = record.hints.iter().find(|(name, _)| *name == field) {
            self.push(problem.help(*hint));
            return;
        }
        let names = || record.fields.iter().map(|(name, ..)| *name);
        let all = || {
            let (verb, noun) =
                if record.fields.len() == 1 { ("is", "field") } else { ("are", "fields") };
            Some(format!("its {noun} {verb} {}", in_backticks(names(), "and")))
        };
        self.push(self.problems.suggest_nearest(problem, field, names(), all));
    }

    /// Whether there is a flow or service of this name; reports when not.
    fn require_known(&self, names: MapKind, name: &str, place: Place) -> Option<()> {
        // Policies are also checked alone, and then nobody knows the names yet.
        let Some(topology) = self.topology else { return Some(()) };
        let (code, what, all): (_, _, Vec<&str>) = match names {
            MapKind::Flow => {
                (Code::UnknownFlow, "flow", topology.flows.iter().map(|flow| &*flow.name).collect())
            }
            MapKind::Service => (
                Code::UnknownService,
                "service",
                topology.services.iter().map(|service| &*service.name).collect(),
            ),
        };
        if all.contains(&name) {
            return Some(());
        }
        let problem = Diagnostic::error(
            code,
            format!("there is no {what} `{name}` in `{}`", topology.name),
            place,
        );
        let mut problem = self.problems.suggest_nearest(problem, name, all.iter().copied(), || {
            // A list of dozens of names would hide the message.
            (all.len() <= 12).then(|| format!("there are {}", in_backticks(all.iter(), "and")))
        });
        // The place is that of a text in a text: what would replace it is said, not offered.
        problem.fix = None;
        self.push(problem);
        None
    }

    fn call(&mut self, call: &CallExpr, own: Place) -> Option<Typed> {
        let mut operands = Vec::new();
        for operand in call.target.as_deref().into_iter().chain(&call.args) {
            operands.push(self.node(operand)?);
        }
        let name = call.func_name.as_str();
        let operator = operator_of(name);
        let place = operands.iter().fold(own, |all, (node, _)| union(all, node.place));
        match (operator, operands.len(), name) {
            (Some(operator), 2, _) => self.binary(operator, operands, place),
            (_, 2, "_[_]") => self.index(operands, place),
            (_, 1, "!_") => {
                let [(node, of)] = operand_array(operands);
                self.require(&node, &of, &Type::Bool, "`!` negates a yes or no")?;
                Some((ExprNode { expr: Expr::Not(Box::new(node)), place }, Type::Bool))
            }
            (_, 1, "-_") => {
                let [(node, of)] = operand_array(operands);
                if !of.agrees_with(&Type::Duration) {
                    self.require(&node, &of, &Type::Number, "`-` negates a number")?;
                }
                Some((ExprNode { expr: Expr::Negate(Box::new(node)), place }, of))
            }
            (_, 3, "_?_:_") => {
                let [(condition, of), (yes, yes_of), (no, no_of)] = operand_array(operands);
                self.require(&condition, &of, &Type::Bool, "before `?` stands a yes or no")?;
                if !yes_of.agrees_with(&no_of) {
                    let message = format!("before `:` stands {}", yes_of.describe());
                    self.wrong_type(&no, &message, &no_of);
                    return None;
                }
                let expr = Expr::Conditional(Box::new([condition, yes, no]));
                Some((ExprNode { expr, place }, yes_of))
            }
            (_, 1, "size") => {
                let [(node, of)] = operand_array(operands);
                if !matches!(of, Type::List(_) | Type::Map(..) | Type::Text) {
                    self.wrong_type(
                        &node,
                        "`size` counts the items of a list or the letters of a text",
                        &of,
                    );
                    return None;
                }
                Some((ExprNode { expr: Expr::Size(Box::new(node)), place }, Type::Number))
            }
            (_, 1, "timestamp" | "duration") => self.constant(name, operands, place),
            (_, 1 | 2, _) if accessor_of(name).is_some() => {
                self.accessor(accessor_of(name).expect("just asked"), operands, place)
            }
            _ => {
                let known = [
                    "size",
                    "has",
                    "exists",
                    "all",
                    "exists_one",
                    "filter",
                    "map",
                    "startsWith",
                    "endsWith",
                    "contains",
                    "timestamp",
                    "duration",
                    "getFullYear",
                    "getMonth",
                    "getDate",
                    "getDayOfMonth",
                    "getDayOfWeek",
                    "getHours",
                    "getMinutes",
                ];
                // The token of a method is its opening bracket; the name stands before it.
                let before = Place { start: own.start.saturating_sub(name.len() as u32), ..own };
                let before = if call.target.is_some() { before } else { own };
                // A known name gets here when its operands do not fit.
                let is_known = known.contains(&name);
                let message = if is_known {
                    format!("`{name}` is used wrongly")
                } else {
                    format!("there is no function `{name}`")
                };
                let problem = Diagnostic::error(Code::UnknownName, message, before);
                self.push(if is_known {
                    problem.help(usage(name))
                } else {
                    self.problems.suggest_nearest(problem, name, known, || {
                        Some(format!("there are {}", in_backticks(known, "and")))
                    })
                });
                None
            }
        }
    }

    fn binary(&self, operator: Operator, operands: Vec<Typed>, place: Place) -> Option<Typed> {
        use Operator as Op;
        let [(left, a), (right, b)] = operand_array(operands);
        let sign = operator.as_str();
        let of = match operator {
            Op::And | Op::Or => {
                let rule = format!("`{sign}` joins a yes or no");
                self.require(&left, &a, &Type::Bool, &rule)?;
                self.require(&right, &b, &Type::Bool, &rule)?;
                Type::Bool
            }
            Op::Eq | Op::Ne => {
                let is_plain =
                    // Records, maps and lists have no order and no single value; what is meant is
                    // mostly one of their fields.
                    |of: &Type| !matches!(of, Type::Record(_) | Type::Map(..) | Type::List(_));
                for (node, of) in [(&left, &a), (&right, &b)] {
                    if !is_plain(of) {
                        self.wrong_type(node, &format!("`{sign}` compares single values"), of);
                        return None;
                    }
                }
                self.require(
                    &right,
                    &b,
                    &a,
                    &format!("`{sign}` compares it with {}", a.describe()),
                )?;
                Type::Bool
            }
            Op::Lt | Op::Le | Op::Gt | Op::Ge => {
                if !matches!(a, Type::Number | Type::Timestamp | Type::Duration | Type::Text) {
                    self.wrong_type(&left, &format!("`{sign}` compares numbers"), &a);
                    return None;
                }
                self.require(
                    &right,
                    &b,
                    &a,
                    &format!("`{sign}` compares it with {}", a.describe()),
                )?;
                Type::Bool
            }
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Modulo => {
                let found = match (operator, &a, &b) {
                    (_, Type::Number, Type::Number) => Some(Type::Number),
                    (Op::Add, Type::Text, Type::Text) => Some(Type::Text),
                    (Op::Add | Op::Sub, Type::Duration, Type::Duration) => Some(Type::Duration),
                    (Op::Add | Op::Sub, Type::Timestamp, Type::Duration) => Some(Type::Timestamp),
                    (Op::Sub, Type::Timestamp, Type::Timestamp) => Some(Type::Duration),
                    _ => None,
                };
                let Some(of) = found else {
                    let message = format!("`{sign}` cannot follow {}", a.describe());
                    self.wrong_type(&right, &message, &b);
                    return None;
                };
                of
            }
            Op::In => match &b {
                Type::List(of) => {
                    self.require(&left, &a, of, &format!("the list holds {}", of.describe()))?;
                    Type::Bool
                }
                Type::Map(..) => {
                    self.require(&left, &a, &Type::Text, "names are texts")?;
                    Type::Bool
                }
                _ => {
                    self.wrong_type(&right, "behind `in` stands a list", &b);
                    return None;
                }
            },
            Op::StartsWith | Op::EndsWith | Op::Contains => {
                let rule = format!("`{sign}` is asked of a text about a text");
                self.require(&left, &a, &Type::Text, &rule)?;
                self.require(&right, &b, &Type::Text, &rule)?;
                Type::Bool
            }
        };
        Some((ExprNode { expr: Expr::Binary(operator, Box::new([left, right])), place }, of))
    }

    fn index(&self, operands: Vec<Typed>, place: Place) -> Option<Typed> {
        let [(of, kind), (at, at_kind)] = operand_array(operands);
        let inner = match &kind {
            Type::List(inner) => {
                self.require(&at, &at_kind, &Type::Number, "items of a list have numbers from 0")?;
                (**inner).clone()
            }
            Type::Map(names, inner) => {
                let help = format!("{} take a name in quotes", kind.describe());
                self.require(&at, &at_kind, &Type::Text, &help)?;
                // A name that is computed can only be looked up in the evaluation.
                if let Expr::Text(name) = &at.expr {
                    self.require_known(*names, name, at.place)?;
                }
                (**inner).clone()
            }
            _ => {
                self.wrong_type(&of, "only lists, `flows` and `services` have items", &kind);
                return None;
            }
        };
        // The closing bracket has no token of its own.
        let place = Place { end: place.end.max(at.place.end + 1), ..place };
        Some((ExprNode { expr: Expr::Index(Box::new(of), Box::new(at)), place }, inner))
    }

    fn constant(&self, name: &str, operands: Vec<Typed>, place: Place) -> Option<Typed> {
        let [(node, _)] = operand_array(operands);
        // Only a constant can be checked when the policy is read, and a slip is worth knowing then.
        let Expr::Text(text) = &node.expr else {
            self.refuse(node.place, &format!("`{name}` takes a text in quotes"), usage(name));
            return None;
        };
        let found = if name == "timestamp" {
            parse_timestamp(text).map(|at| (Expr::Timestamp(at), Type::Timestamp))
        } else {
            parse_duration(text)
                .ok()
                .map(|parse_duration| (Expr::Duration(parse_duration.get()), Type::Duration))
        };
        let Some((expr, of)) = found else {
            self.refuse(node.place, &format!("`{text}` is not a {name}"), usage(name));
            return None;
        };
        Some((ExprNode { expr, place }, of))
    }

    fn accessor(&self, accessor: Accessor, operands: Vec<Typed>, place: Place) -> Option<Typed> {
        let mut operands = operands.into_iter();
        let (node, of) = operands.next()?;
        self.require(&node, &of, &Type::Timestamp, "this is asked of a timestamp, such as `now`")?;
        let mut east = 0.0;
        if let Some((zone, _)) = operands.next() {
            let Expr::Text(text) = &zone.expr else {
                self.refuse(zone.place, "a time zone is a text", usage("getHours"));
                return None;
            };
            // Zones by name depend on a database of the machine, so the same rule could give two
            // answers.
            let Some(found) = utc_offset(text) else {
                let message = format!("`{text}` is not an offset from UTC");
                self.refuse(
                    zone.place,
                    &message,
                    "write for example `+01:00`: rules know no zones by name",
                );
                return None;
            };
            east = found;
        }
        Some((
            ExprNode { expr: Expr::Accessor(accessor, Box::new(node), east), place },
            Type::Number,
        ))
    }

    fn checked_macro(
        &mut self,
        comprehension_expr: &ComprehensionExpr,
        own: Place,
    ) -> Option<Typed> {
        let (list, kind) = self.node(&comprehension_expr.iter_range)?;
        let Some(item) = kind.item_type() else {
            self.wrong_type(&list, "a macro goes over a list, `flows` or `services`", &kind);
            return None;
        };
        // The work of macros inside one another multiplies.
        if self.scope.len() == MACROS_MAX {
            let message = format!("more than {MACROS_MAX} macros inside one another");
            self.push(
                Diagnostic::error(Code::RuleTooLarge, message, own)
                    .help("the work would grow without bound: make several rules of it"),
            );
            return None;
        }
        let Some(parts) = macro_parts(comprehension_expr) else {
            self.refuse(own, "this macro has no use in a rule", usage("exists"));
            return None;
        };
        self.scope.push((comprehension_expr.iter_var.clone(), item.clone()));
        let read = self.node(parts.body);
        let then = parts.then.map(|then| self.node(then));
        // Also where the body is wrong: the name must not be known behind the macro.
        self.scope.pop();
        let (body, of) = read?;
        // Only a plain `map` makes a value of each item; all others ask a question.
        if parts.kind != MacroKind::Map || then.is_some() {
            self.require(&body, &of, &Type::Bool, "it is a yes or no that is asked of each item")?;
        }
        let then = match then {
            Some(then) => Some(then?),
            None => None,
        };
        let of = match (parts.kind, &then) {
            (MacroKind::Filter, _) => Type::List(Rc::new(item)),
            (MacroKind::Map, Some((_, of))) => Type::List(Rc::new(of.clone())),
            (MacroKind::Map, None) => Type::List(Rc::new(of)),
            _ => Type::Bool,
        };
        let place = union(union(own, list.place), body.place);
        let (kind, name) = (parts.kind, comprehension_expr.iter_var.clone());
        let made = Macro { kind, list, name, body, then: then.map(|(node, _)| node) };
        Some((ExprNode { expr: Expr::Macro(Box::new(made)), place }, of))
    }

    fn require(&self, node: &ExprNode, of: &Type, wanted: &Type, rule: &str) -> Option<()> {
        if of.agrees_with(wanted) {
            return Some(());
        }
        self.wrong_type(node, rule, of);
        None
    }

    fn wrong_type(&self, node: &ExprNode, rule: &str, given: &Type) {
        let message = format!("{rule}, but this is {}", given.describe());
        let problem = Diagnostic::error(Code::RuleType, message, node.place);
        self.push(match given {
            Type::Record(record) if record.field("p").is_some() => {
                problem.help("compare its `p`, the probability")
            }
            Type::Record(record) if record.field("p95").is_some() => {
                problem.help("compare its `p95`, or another of its fields")
            }
            Type::Record(record) if record.field("mean").is_some() => {
                problem.help("compare its `mean`")
            }
            _ => problem,
        });
    }

    fn refuse(&self, place: Place, message: &str, help: &str) {
        self.push(Diagnostic::error(Code::RuleType, message, place).help(help));
    }

    fn push(&self, problem: Diagnostic) {
        self.problems.push(problem);
    }
}

fn operand_array<const N: usize>(operands: Vec<Typed>) -> [Typed; N] {
    operands.try_into().expect("as many as were matched")
}

fn union(a: Place, b: Place) -> Place {
    Place { start: a.start.min(b.start), end: a.end.max(b.end), ..a }
}

/// The parts of a macro that the parser has written out as a loop.
struct MacroParts<'a> {
    kind: MacroKind,
    body: &'a Expression,
    then: Option<&'a Expression>,
}

fn macro_parts(comprehension_expr: &ComprehensionExpr) -> Option<MacroParts<'_>> {
    // The parser has written the macro out as a loop, and the shape of the loop tells which one it
    // was.
    let Cel::Call(step) = &comprehension_expr.loop_step.expr else { return None };
    let plain = |kind, body| Some(MacroParts { kind, body, then: None });
    match (&comprehension_expr.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
        (Cel::Literal(LiteralValue::Boolean(_)), "_||_", [_, body]) => {
            plain(MacroKind::Exists, body)
        }
        (Cel::Literal(LiteralValue::Boolean(_)), "_&&_", [_, body]) => plain(MacroKind::All, body),
        (Cel::Literal(LiteralValue::Int(_)), _, [body, ..]) => plain(MacroKind::ExistsOne, body),
        (Cel::List(_), "_+_", [_, made]) => plain(MacroKind::Map, only(made)?),
        (Cel::List(_), "_?_:_", [body, added, _]) => {
            let Cel::Call(added) = &added.expr else { return None };
            let made = only(added.args.get(1)?)?;
            // `filter` and `map` with a condition differ only in what they add to the list.
            if matches!(&made.expr, Cel::Ident(name) if *name == comprehension_expr.iter_var) {
                return plain(MacroKind::Filter, body);
            }
            Some(MacroParts { kind: MacroKind::Map, body, then: Some(made) })
        }
        _ => None,
    }
}

fn only(list: &Expression) -> Option<&Expression> {
    match &list.expr {
        Cel::List(list) => list.elements.first(),
        _ => None,
    }
}

fn operator_of(name: &str) -> Option<Operator> {
    Some(match name {
        "_&&_" => Operator::And,
        "_||_" => Operator::Or,
        "_==_" => Operator::Eq,
        "_!=_" => Operator::Ne,
        "_<_" => Operator::Lt,
        "_<=_" => Operator::Le,
        "_>_" => Operator::Gt,
        "_>=_" => Operator::Ge,
        "_+_" => Operator::Add,
        "_-_" => Operator::Sub,
        "_*_" => Operator::Mul,
        "_/_" => Operator::Div,
        "_%_" => Operator::Modulo,
        "@in" => Operator::In,
        "startsWith" => Operator::StartsWith,
        "endsWith" => Operator::EndsWith,
        "contains" => Operator::Contains,
        _ => return None,
    })
}

fn accessor_of(name: &str) -> Option<Accessor> {
    Some(match name {
        "getFullYear" => Accessor::FullYear,
        "getMonth" => Accessor::Month,
        "getDate" => Accessor::Date,
        "getDayOfMonth" => Accessor::DayOfMonth,
        "getDayOfWeek" => Accessor::DayOfWeek,
        "getHours" => Accessor::Hours,
        "getMinutes" => Accessor::Minutes,
        _ => return None,
    })
}

fn usage(name: &str) -> &'static str {
    match name {
        "timestamp" => "write for example `timestamp(\"2026-12-20T00:00:00Z\")`",
        "duration" => "write for example `duration(\"36h\")`",
        "size" => "write for example `size(change.reviewed_by)`",
        "startsWith" | "endsWith" | "contains" => {
            "write for example `change.name.startsWith(\"hotfix\")`"
        }
        "has" => "write for example `has(change.rollback)`",
        "exists" | "all" | "exists_one" | "filter" | "map" => {
            "write for example `services.exists(s, s.tier == 1 && s.failed.p > 0.2)`"
        }
        _ => "write for example `now.getHours(\"+01:00\") >= 17`",
    }
}

/// `2026-12-20T00:00:00Z`, or a day, which starts at midnight UTC, in seconds since 1970.
pub fn parse_timestamp(text: &str) -> Option<f64> {
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        // Exactly ten characters: the parser also takes a date with a time, and would drop the
        // time.
        let day: Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
        format!("{day}T00:00:00Z").parse().ok()
    })?;
    Some(at.as_second() as f64)
}

/// `+01:00` in seconds.
fn utc_offset(text: &str) -> Option<f64> {
    if text == "UTC" {
        return Some(0.0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    // Parsing alone would take `+1` for two digits.
    let is_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| is_digits(text).then(|| text.parse::<u32>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| sign * f64::from(hours * 3600 + minutes * 60))
}

/// Where a name behind a dot is.
fn place_after(dot: Place, name: &str) -> Place {
    let end = dot.end + name.len() as u32;
    Place { start: dot.end.min(end), end, ..dot }
}
