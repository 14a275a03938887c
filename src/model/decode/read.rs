//! Reads typed values out of a document, and goes on after every problem.
//!
//! A [`Shape`] names the keys that a mapping may have; a [`Mapping`] reports all others when it is
//! made; a [`Field`] is one value, which knows what it is called, and reports when it is not what is
//! asked of it. All of them report to one list of [`Problems`], and none of them stops the reading.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::load::{Document, Entry, Node, Value};
use crate::model::units::{self, Money, Rate, Seconds, Share};
use crate::suggest::Suggester;

/// More problems of one kind are only counted.
const PROBLEMS_PER_CODE: usize = 100;

/// The longest duration that makes sense: ten years.
const DURATION_MAX: Seconds = Seconds::hours(10 * 366 * 24);

/// Everything found wrong in one document.
#[derive(Debug)]
pub(crate) struct Problems {
    findings: RefCell<Findings>,
    suggester: Suggester,
}

impl Problems {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            findings: RefCell::new(Findings::new(PROBLEMS_PER_CODE)),
            suggester: Suggester::default(),
        }
    }

    /// Those of the form of a document, to be reported with those of its meaning.
    pub(crate) fn of(document: &Document) -> Self {
        let problems = Self::new();
        document.problems.iter().for_each(|problem| problems.push(problem.clone()));
        problems
    }

    pub(crate) fn push(&self, problem: Diagnostic) {
        self.findings.borrow_mut().push(problem);
    }

    /// What was read, or everything that is wrong with it.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Diagnostic>> {
        let findings = self.findings.into_inner();
        match value {
            Some(value) if findings.is_empty() => Ok(value),
            _ => Err(findings.finish()),
        }
    }

    /// Offers the nearest of the names that would have been right, or else says `otherwise`.
    pub(crate) fn suggest<'a>(
        &self,
        problem: Diagnostic,
        word: &str,
        names: impl IntoIterator<Item = &'a str>,
        otherwise: impl FnOnce() -> Option<String>,
    ) -> Diagnostic {
        if !self.findings.borrow().has_room(problem.code) {
            return problem;
        }
        match self.suggester.nearest(word, names) {
            Some(name) => {
                problem.help(format!("did you mean `{name}`?")).replace_with(yaml_word(name))
            }
            None => match otherwise() {
                Some(help) => problem.help(help),
                None => problem,
            },
        }
    }
}

/// A name as it can be written in YAML: in quotes where it needs them.
pub(crate) fn yaml_word(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '%');
    let starts_well = name.chars().next().is_some_and(char::is_alphabetic);
    let other_type = matches!(name.to_lowercase().as_str(), "true" | "false" | "null");
    if starts_well && !other_type && name.chars().all(safe) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// What a mapping may hold.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What the mapping describes, with its article.
    pub(crate) what: &'static str,
    /// The keys it may have.
    pub(crate) keys: &'static [&'static str],
    /// Where the JSON Schema describes it, as a JSON pointer; a test compares the two.
    #[cfg_attr(not(test), expect(dead_code, reason = "held to the schemas by a test"))]
    pub(crate) schema: &'static str,
}

/// Keys that people know from elsewhere, and ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("depends_on", "dependencies"),
    ("dependsOn", "dependencies"),
    ("needs", "dependencies"),
    ("owner", "team"),
    ("type", "kind"),
    ("description", "title"),
    ("name", "title"),
    ("optional", "criticality"),
    ("coupling", "criticality"),
    ("retry", "retries"),
    ("zones", "domains"),
    ("probability", "call_probability"),
    ("duration", "bake"),
    ("percent", "exposure"),
];

/// A mapping whose keys are known to be among those of its shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping<'a> {
    pub(crate) shape: &'static Shape,
    /// Where to report what is missing.
    pub(crate) place: Place,
    entries: &'a [Entry],
    problems: &'a Problems,
}

impl<'a> Mapping<'a> {
    fn new(
        shape: &'static Shape,
        place: Place,
        entries: &'a [Entry],
        problems: &'a Problems,
    ) -> Self {
        let mapping = Self { shape, place, entries, problems };
        for entry in entries {
            let key = &*entry.key.text;
            // Merge keys are reported already.
            if !shape.keys.contains(&key) && key != "<<" {
                mapping.unknown_key(entry);
            }
        }
        mapping
    }

    fn unknown_key(&self, entry: &Entry) {
        let key = &*entry.key.text;
        let Shape { what, keys, .. } = self.shape;
        let problem = Diagnostic::error(
            Code::UnknownKey,
            format!("`{key}` is not a key of {what}"),
            entry.key.place,
        );
        let synonym = SYNONYMS.iter().find(|(theirs, ours)| *theirs == key && keys.contains(ours));
        if let Some((known, value)) = key.split_once(':').filter(|(known, _)| keys.contains(known))
        {
            let meant = format!("{known}: {value}");
            let help = "a space is missing behind the `:`";
            self.problems.push(problem.help(help).replace_with(meant));
            return;
        }
        let problem = match synonym {
            Some((_, ours)) => problem.help(format!("did you mean `{ours}`?")),
            None => self.problems.suggest(problem, key, keys.iter().copied(), || {
                Some(format!("its keys are {}", ticked(keys.iter(), "and")))
            }),
        };
        self.problems.push(problem);
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        debug_assert!(self.shape.keys.contains(&key), "`{key}` of {}", self.shape.what);
        let entry = self.entries.iter().find(|entry| &*entry.key.text == key)?;
        Some(Field {
            name: key,
            key: Some(entry.key.place),
            node: &entry.value,
            problems: self.problems,
        })
    }

    /// The value of a key; reports when it is not there, with an example of what to write.
    pub(crate) fn need(&self, key: &'static str, example: &str) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            self.missing(&format!("needs `{key}`"), &format!("{key}: {example}"));
        }
        field
    }

    /// Reports that something is not there, with an example of what to write.
    pub(crate) fn missing(&self, needs: &str, example: &str) {
        self.problems.push(
            Diagnostic::error(Code::MissingKey, format!("{} {needs}", self.shape.what), self.place)
                .help(format!("write for example `{example}`")),
        );
    }

    /// Reports when both keys are there.
    pub(crate) fn not_both(&self, key: &'static str, other: &'static str, why: &str) {
        if let (Some(first), Some(second)) = (self.get(key), self.get(other)) {
            self.problems.push(
                Diagnostic::error(
                    Code::Conflict,
                    format!("{} has either `{key}` or `{other}`, not both", self.shape.what),
                    second.place_of_key(),
                )
                .other(first.place_of_key(), "the other one")
                .help(why),
            );
        }
    }

    /// Reports a key that makes no sense here.
    pub(crate) fn refuse(&self, key: &'static str, message: impl Into<String>, help: &str) {
        if let Some(field) = self.get(key) {
            self.problems
                .push(Diagnostic::error(Code::Conflict, message, field.place_of_key()).help(help));
        }
    }

    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }
}

/// A value, and the key whose value it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// The key, for messages; for the items of a list, that of the list.
    pub(crate) name: &'a str,
    key: Option<Place>,
    pub(crate) node: &'a Node,
    problems: &'a Problems,
}

impl<'a> Field<'a> {
    /// The outermost value of a document.
    pub(crate) fn root(document: &'a Document, name: &'a str, problems: &'a Problems) -> Self {
        Self { name, key: None, node: &document.root, problems }
    }

    /// A value outside of any document.
    pub(crate) fn alone(node: &'a Node, name: &'a str, problems: &'a Problems) -> Self {
        Self { name, key: None, node, problems }
    }

    /// Where the value is.
    pub(crate) fn place(&self) -> Place {
        self.node.place
    }

    /// Where its key is, or itself in a list.
    pub(crate) fn place_of_key(&self) -> Place {
        self.key.unwrap_or(self.node.place)
    }

    pub(crate) fn report(&self, code: Code, message: impl Into<String>, help: &str) {
        self.problems.push(Diagnostic::error(code, message, self.place()).help(help));
    }

    /// Reports that the value is of another type; `what` is what the key takes.
    pub(crate) fn wrong_type(&self, what: &str) -> Diagnostic {
        let given = self.node.value.describe();
        let message = match self.node.value {
            Value::Null => format!("`{}` has no value", self.name),
            _ => format!("`{}` is {what}, but this is {given}", self.name),
        };
        let problem = Diagnostic::error(Code::WrongType, message, self.place());
        match self.node.value {
            Value::Null => problem.help(format!("write {what}, or remove the key")),
            _ => problem,
        }
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

    /// The text of a scalar, however it is meant.
    fn scalar_text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Number(number) => Some(&number.text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// Whether the value is this plain word.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(&self.node.value, Value::Text(text) if &**text == word)
    }

    /// Whether the value is a mapping.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    /// Whether the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::Sequence(_))
    }

    /// Whether the value is a number.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.node.value, Value::Number(_))
    }

    /// A text as it is written; numbers are taken as they are written, too.
    pub(crate) fn str(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Number(number) => Some(&number.text),
            value => {
                let mut problem = self.wrong_type("a text");
                if let Value::Bool(yes) = value {
                    problem = problem
                        .help("put it into quotes if it is meant as a text")
                        .replace_with(format!("\"{yes}\""));
                }
                self.problems.push(problem);
                None
            }
        }
    }

    /// A text for people, without space around it.
    pub(crate) fn text(&self) -> Option<String> {
        let text = self.str()?.trim();
        // A terminal would obey them.
        if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n') {
            let message =
                format!("`{}` holds the control character U+{:04X}", self.name, u32::from(c));
            self.report(Code::BadName, message, "remove it");
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
            self.report(Code::BadName, message, "write a few words on one line");
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
    pub(crate) fn whole(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.number("a whole number")?;
        let (least, most) = (f64::from(*range.start()), f64::from(*range.end()));
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
        let number = self.number("a number")?;
        if (1.0..=1e6).contains(&number) {
            return Some(number);
        }
        self.problems.push(self.out_of_range("a number from 1 to 1000000"));
        None
    }

    fn number(&self, what: &str) -> Option<f64> {
        if let Value::Number(number) = &self.node.value {
            return Some(number.value);
        }
        let problem = self.wrong_type(what);
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
            Value::Number(number) if number.value == 0.0 => Ok(Seconds::ZERO),
            Value::Number(number) => Err(match number.text.parse::<f64>() {
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
                units::parse_rate(text).map_err(|reason| self.bad_unit::<()>(&reason)).ok()
            }
            Value::Number(number) => {
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
                units::parse_money(text).map_err(|reason| self.bad_unit::<()>(&reason)).ok()
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

    /// A day: `2023-11-02`.
    pub(crate) fn date(&self) -> Option<Date> {
        let text = self.str()?.trim();
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
            let problem = self.wrong_type(&ticked(names(), "or"));
            self.problems.push(problem);
            return None;
        };
        let known = words.iter().find(|(name, _)| **name == **text);
        if known.is_none() {
            let message =
                format!("`{}` cannot be `{text}`: it is {}", self.name, ticked(names(), "or"));
            let problem = Diagnostic::error(Code::UnknownWord, message, self.place());
            self.problems.push(self.problems.suggest(problem, text, names(), || None));
        }
        known.map(|(_, value)| *value)
    }

    /// The items of a list, each called like the list.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        if !self.is_list() {
            let problem = self.wrong_type("a list");
            self.problems.push(match self.scalar_text() {
                Some(text) => problem
                    .help("put it into brackets")
                    .replace_with(format!("[{}]", yaml_word(text))),
                None => problem,
            });
        }
        let Self { name, problems, .. } = *self;
        self.node.items().iter().map(move |node| Self { name, key: None, node, problems })
    }

    /// A mapping of this shape.
    pub(crate) fn mapping(&self, shape: &'static Shape) -> Option<Mapping<'a>> {
        if !self.is_mapping() {
            let given = self.node.value.describe();
            self.problems.push(
                match self.node.value {
                    Value::Null => self.wrong_type("a mapping"),
                    _ => Diagnostic::error(
                        Code::WrongType,
                        format!("{} is a mapping, but this is {given}", shape.what),
                        self.place(),
                    ),
                }
                .help(format!("its keys are {}", ticked(shape.keys.iter(), "and"))),
            );
            return None;
        }
        Some(self.entries_as(shape))
    }

    /// A mapping of this shape, where nothing at all is as good as an empty one.
    pub(crate) fn mapping_or_nothing(&self, shape: &'static Shape) -> Option<Mapping<'a>> {
        match self.node.value {
            Value::Null => Some(self.entries_as(shape)),
            _ => self.mapping(shape),
        }
    }

    fn entries_as(&self, shape: &'static Shape) -> Mapping<'a> {
        let entries = self.node.entries();
        // What is missing from a block is best shown at the key above it.
        let is_block = entries.first().is_none_or(|first| first.key.place == self.node.place);
        let place = if is_block { self.place_of_key() } else { self.node.place };
        Mapping::new(shape, place, entries, self.problems)
    }

    /// The entries of a mapping whose keys are names, sorted by name; of equal ones the first.
    pub(crate) fn named(&self) -> Vec<&'a Entry> {
        if !self.is_mapping() {
            let problem = self.wrong_type("a mapping from names to what they are");
            self.problems.push(problem);
        }
        let entries = self.node.entries();
        let mut named: Vec<&Entry> =
            entries.iter().filter(|entry| &*entry.key.text != "<<").collect();
        named.sort_by(|a, b| a.key.text.cmp(&b.key.text));
        named.dedup_by(|again, first| again.key.text == first.key.text);
        named
    }

    /// The value of a named entry.
    pub(crate) fn of_entry(entry: &'a Entry, problems: &'a Problems) -> Self {
        Self { name: &entry.key.text, key: Some(entry.key.place), node: &entry.value, problems }
    }

    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }
}

/// The items of a list that must be different things, sorted; reports those that are listed twice.
pub(crate) fn distinct<'a, T: Ord + Copy>(
    field: &Field<'a>,
    resolve: impl Fn(&Field<'a>) -> Option<T>,
) -> Vec<T> {
    let mut all: Vec<(T, Field<'a>)> =
        field.items().filter_map(|item| Some((resolve(&item)?, item))).collect();
    report_repeats(&mut all);
    all.dedup_by_key(|(thing, _)| *thing);
    all.into_iter().map(|(thing, _)| thing).collect()
}

/// Sorts, and reports what is there twice.
pub(crate) fn report_repeats<T: Ord + Copy>(all: &mut [(T, Field<'_>)]) {
    all.sort_by_key(|(thing, _)| *thing);
    for pair in all.windows(2) {
        let [(first, _), (again, field)] = pair else { continue };
        if first == again {
            let message = format!("`{}` is listed twice", field.str().unwrap_or_default());
            field.report(Code::DuplicateName, message, "remove one of them");
        }
    }
}

/// Names in backticks: `a`, `b` and `c`.
pub(crate) fn ticked(names: impl IntoIterator<Item = impl Display>, last: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}
