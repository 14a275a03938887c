//! One thing wrong, or doubtful, in an input file.
//!
//! A [`Diagnostic`] is data only: rooms collect them, all of them rather than the first, and
//! [`crate::render::text::diagnostics`] shows them beside the lines they speak of.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::sort::Arrange as _;

/// The number of an input file within one [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A stretch of bytes in one input file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Place {
    /// The bytes as a range.
    pub fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// An input file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user wrote it; `<stdin>` for standard input.
    pub name: String,
    /// The whole text, without a byte-order mark.
    pub text: String,
}

/// The input files of one run, so that a [`Place`] can be shown with its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<Source>,
    provided: BTreeMap<String, Vec<u8>>,
}

impl Sources {
    /// Adds a file and gives it its number.
    pub fn add(&mut self, source: Source) -> SourceId {
        let id = SourceId(u32::try_from(self.files.len()).expect("fewer than 2^32 input files"));
        self.files.push(source);
        id
    }

    /// Provides the bytes that stand for a file, such as those of an earlier version; the path is then
    /// not opened.
    pub fn provide(&mut self, path: &str, bytes: Vec<u8>) {
        self.provided.insert(path.to_owned(), bytes);
    }

    /// Returns the bytes that were provided for a path.
    pub fn provided(&self, path: &str) -> Option<&[u8]> {
        self.provided.get(path).map(Vec::as_slice)
    }

    /// Returns the paths whose bytes were provided, sorted.
    pub fn provided_paths(&self) -> impl Iterator<Item = &str> {
        self.provided.keys().map(String::as_str)
    }

    /// The file with this number.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.files[id.0 as usize]
    }

    /// Puts stars in the place of secrets, so that no message that shows a line can show one.
    pub fn hide(&mut self, source: SourceId, places: &[Place]) {
        let text = &mut self.files[source.0 as usize].text;
        let mut bytes = std::mem::take(text).into_bytes();
        for place in places.iter().filter(|place| place.source == source) {
            let end = place.span().end.min(bytes.len());
            let start = place.span().start.min(end);
            bytes[start..end]
                .iter_mut()
                // Line breaks stay, so that places behind still have their lines.
                .filter(|byte| **byte != b'\n')
                .for_each(|byte| *byte = b'*');
        }
        // A place may begin within a character; what is left of it is replaced.
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }

    /// The line and column of a place, both counted from 1; columns count characters.
    pub fn line_column(&self, place: Place) -> (usize, usize) {
        let text = &self.get(place.source).text;
        let mut start = (place.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (line, before[line_start..].chars().count() + 1)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input cannot be used: exit status 2, or 1 for `validate`.
    Error,
    /// The input can be used, but a reader should look: an error under `--strict`.
    Warning,
}

/// A place with a few words on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// Text of the label; may be empty.
    pub text: String,
}

/// A replacement that would fix the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The bytes to replace.
    pub place: Place,
    /// Text to put there.
    pub replacement: String,
}

/// One thing wrong, or doubtful, in an input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Kind of problem, as a stable kebab-case word.
    pub code: Code,
    /// Whether the input can still be used.
    pub severity: Severity,
    /// The fact: lower case, no full stop, names in backticks.
    pub message: String,
    /// Where; `None` when the file as a whole is meant (it is then named in the message).
    pub primary: Option<Label>,
    /// Other places that explain it.
    pub others: Vec<Label>,
    /// Advice on what to do about it.
    pub help: Option<String>,
    /// The text that would fix it.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// An error about a place.
    pub fn error(code: Code, message: impl Into<String>, place: Place) -> Self {
        Self::new(code, Severity::Error, message, Some(place))
    }

    /// A warning about a place.
    pub fn warning(code: Code, message: impl Into<String>, place: Place) -> Self {
        Self::new(code, Severity::Warning, message, Some(place))
    }

    /// An error about a whole file, which the message names.
    pub fn file_error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message, None)
    }

    fn new(
        code: Code,
        severity: Severity,
        message: impl Into<String>,
        place: Option<Place>,
    ) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            primary: place.map(|place| Label { place, text: String::new() }),
            others: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// Puts words under the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(primary) = &mut self.primary {
            primary.text = text.into();
        }
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn other_place(mut self, place: Place, text: impl Into<String>) -> Self {
        self.others.push(Label { place, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Offers a replacement of the primary place.
    #[must_use]
    pub fn replace_with(mut self, replacement: impl Into<String>) -> Self {
        if let Some(primary) = &self.primary {
            self.fix = Some(Fix { place: primary.place, replacement: replacement.into() });
        }
        self
    }

    /// Whether the input cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Sorts by file and place, file-wide ones first, so that the order never depends on the checks'.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.arrange_by(|a, b| {
        let place = |d: &Diagnostic| {
            d.primary.as_ref().map(|label| (label.place.source, label.place.start))
        };
        // By all that is shown, so that equal problems stand side by side and one of them can go.
        (place(a), a.severity, a.code, &a.message).cmp(&(place(b), b.severity, b.code, &b.message))
    });
    // Two checks may find the same problem.
    diagnostics.dedup();
}

/// A list of diagnostics that stays short however wrong the input is.
///
/// A generated file can hold the same mistake a million times. Of each kind the first few are kept,
/// and the others counted.
#[derive(Clone, Debug)]
pub struct Findings {
    kept_per_code: usize,
    list: Vec<Diagnostic>,
    counts: BTreeMap<Code, CodeCount>,
}

#[derive(Clone, Debug, Default)]
struct CodeCount {
    all: usize,
    first_left_out: Option<Diagnostic>,
}

impl Findings {
    /// An empty list that keeps this many of each kind.
    pub fn new(kept_per_code: usize) -> Self {
        Self { kept_per_code, list: Vec::new(), counts: BTreeMap::new() }
    }

    /// Whether one more of this kind would be kept: ask before working out a costly one.
    pub fn has_room(&self, code: Code) -> bool {
        self.counts.get(&code).is_none_or(|count| count.all < self.kept_per_code)
    }

    /// Adds one, or counts it.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.add(diagnostic.code, || diagnostic);
    }

    /// Adds one of this kind, or counts it; what would only be counted is not made.
    pub fn add(&mut self, code: Code, make: impl FnOnce() -> Diagnostic) {
        let count = self.counts.entry(code).or_default();
        count.all += 1;
        if count.all <= self.kept_per_code {
            self.list.push(make());
        } else if count.first_left_out.is_none() {
            // One that is left out is kept, since a single one is shown itself instead of a count of
            // one.
            count.first_left_out = Some(make());
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the diagnostics that were kept, sorted, and for each kind with more one that tells
    /// how many.
    pub fn finish(self) -> Vec<Diagnostic> {
        let Self { kept_per_code, mut list, counts } = self;
        for (code, count) in counts {
            let Some(mut rest) = count.first_left_out else { continue };
            let more = count.all - kept_per_code;
            // A line that says `1 more problem` would take the room of the problem itself.
            if more > 1 {
                rest = Diagnostic {
                    message: format!("{more} more problems of the kind `{code}`"),
                    primary: rest
                        .primary
                        .map(|label| Label { text: "the first of them".to_owned(), ..label }),
                    others: Vec::new(),
                    help: None,
                    fix: None,
                    ..rest
                };
            }
            list.push(rest);
        }
        sort(&mut list);
        list
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Every kind of problem the tool knows, each with a fixture in `tests/it/broken`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// One sentence on what it means.
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    // The file.
    /// The file cannot be read.
    Unreadable = "unreadable",
    /// The file is larger than the tool accepts.
    TooLarge = "too-large",
    /// The file is not UTF-8 text.
    NotUtf8 = "not-utf8",
    /// The file holds nothing.
    Empty = "empty",
    /// The text is not YAML.
    Syntax = "syntax",
    /// Values are nested more deeply than the tool accepts.
    TooDeep = "too-deep",
    /// Aliases expand to more values than the tool accepts.
    AliasBomb = "alias-bomb",
    /// The file holds more than one YAML document.
    SeveralDocuments = "several-documents",
    /// A merge key (`<<`), which is not supported.
    MergeKey = "merge-key",
    /// A tag (`!name`), which is not supported.
    Tag = "tag",
    /// The same key twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// The file is of another kind than the command needs.
    WrongKind = "wrong-kind",
    /// The file's `version` is not one this program knows.
    UnknownVersion = "unknown-version",
    // Values.
    /// A key that has no meaning there.
    UnknownKey = "unknown-key",
    /// A key or word of version 0.1 that has another name now.
    Renamed = "renamed",
    /// A key that must be there is not.
    MissingKey = "missing-key",
    /// A value of another type than the key takes.
    WrongType = "wrong-type",
    /// A duration, rate, share, amount or date that cannot be read.
    BadUnit = "bad-unit",
    /// A number outside its range.
    OutOfRange = "out-of-range",
    /// A word that is not among those the key takes.
    UnknownWord = "unknown-word",
    /// A name with characters that names must not have.
    BadName = "bad-name",
    /// One name for two things.
    DuplicateName = "duplicate-name",
    // References.
    /// A service that is not defined.
    UnknownService = "unknown-service",
    /// An endpoint that its service does not define.
    UnknownEndpoint = "unknown-endpoint",
    /// A failure domain that is not defined.
    UnknownDomain = "unknown-domain",
    /// A team that no service names.
    UnknownTeam = "unknown-team",
    /// A flow that is not defined.
    UnknownFlow = "unknown-flow",
    /// A failure domain within itself.
    DomainCycle = "domain-cycle",
    /// A service that depends on itself.
    SelfDependency = "self-dependency",
    // Sense.
    /// More members or replicas needed than there are.
    NeedsTooMany = "needs-too-many",
    /// Weights of failure modes that do not sum to 100%.
    ModeWeights = "mode-weights",
    /// A rollout whose exposure goes down.
    RolloutGoesDown = "rollout-goes-down",
    /// A flow without steps.
    EmptyFlow = "empty-flow",
    /// A change that changes nothing.
    NoTargets = "no-targets",
    /// A 95th percentile below the median.
    DelayOrder = "delay-order",
    /// Keys that exclude one another, or one that needs another.
    Conflict = "conflict",
    // Rules.
    /// A condition that is not CEL.
    RuleSyntax = "rule-syntax",
    /// A condition whose types do not fit.
    RuleType = "rule-type",
    /// A condition that speaks of a variable, field or function that does not exist.
    UnknownName = "unknown-name",
    /// A condition that is too long, too deep or too much work.
    RuleTooLarge = "rule-too-large",
    // Doubts.
    /// Hard dependencies in a circle.
    DependencyCycle = "dependency-cycle",
    /// A dependency without a stated timeout.
    NoTimeout = "no-timeout",
    /// A caller that gives up before its dependency has finished trying.
    TimeoutInversion = "timeout-inversion",
    /// A caller that gives up before the last attempts of its dependency begin.
    LateRetries = "late-retries",
    /// A caller that gives up before the fallback of its dependency begins.
    LateFallback = "late-fallback",
    /// A gate that cannot see enough failed requests.
    BlindGate = "blind-gate",
    /// A queue holds more work than any caller waits for.
    LongQueue = "long-queue",
    /// A soft dependency that hangs fills a pool.
    SmallPool = "small-pool",
    /// Retries at several layers of one path multiply.
    RetryAmplification = "retry-amplification",
    /// A fallback that needs what it replaces, or the same thing that it needs.
    SharedFallback = "shared-fallback",
    /// Redundancy inside one failure domain.
    SharedDomain = "shared-domain",
    /// A service that no flow reaches.
    UnreachedService = "unreached-service",
    /// A flow without a rate, where others have one.
    NoRate = "no-rate",
    /// The same dependency written twice by one caller.
    RepeatedDependency = "repeated-dependency",
    /// A stage of a rollout that is no whole number of replicas.
    PartialReplica = "partial-replica",
    /// A key that has no effect as written.
    NoEffect = "no-effect",
    /// A name that looks like another, or that mixes letters which look alike.
    ConfusableName = "confusable-name",
    // Imports.
    /// A part of a foreign file that cannot be understood, and is left out.
    NotUnderstood = "not-understood",
    /// A foreign file names something that is not in it.
    Dangling = "dangling",
    /// Two sources, or a source and a topology, contradict each other.
    ImportConflict = "import-conflict",
}

impl Code {
    /// Returns whether a warning of this kind means that something which a file states does not reach the
    /// result, so that a verdict may look better than it should.
    pub fn hides_something(self) -> bool {
        matches!(
            self,
            Self::NoEffect
                | Self::UnreachedService
                | Self::NoRate
                | Self::RepeatedDependency
                | Self::ConfusableName
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_the_first_are_kept_and_the_others_counted() {
        let mut findings = Findings::new(2);
        let at = |start| Place { source: SourceId(0), start, end: start };
        for start in (0..5).rev() {
            findings.push(Diagnostic::error(Code::UnknownKey, format!("key {start}"), at(start)));
        }
        findings.push(Diagnostic::error(Code::Syntax, "other", at(9)));
        assert!(!findings.has_room(Code::UnknownKey));
        let messages: Vec<String> =
            findings.finish().into_iter().map(|problem| problem.message).collect();
        let more = "3 more problems of the kind `unknown-key`";
        assert_eq!(messages, [more, "key 3", "key 4", "other"]);
    }

    #[test]
    fn a_single_one_more_is_not_worth_counting() {
        let mut findings = Findings::new(1);
        for message in ["a", "b"] {
            findings.push(Diagnostic::file_error(Code::Empty, message));
        }
        assert_eq!(findings.finish().len(), 2);
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let mut sources = Sources::default();
        let source = sources.add(Source { name: "x".to_owned(), text: "a\nä☃b\n".to_owned() });
        let at = |start| sources.line_column(Place { source, start, end: start });
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (2, 1));
        assert_eq!(at(7), (2, 3));
        assert_eq!(at(999), (3, 1));
    }
}
