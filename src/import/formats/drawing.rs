//! Drawings of boxes and arrows, whichever language they are written in.
//!
//! A parser fills a [`Drawing`]; [`Drawing::add_to`] makes services and dependencies of it. An arrow means
//! that its tail depends on its head, unless the user says otherwise. People are no services: what they
//! use is where requests enter.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Code;
use crate::import::graph::EvidenceGraph;
use crate::import::graph::names::{allowed_name, one_line};
use crate::import::{Dashed, Options};
use crate::model::topology::Evidence;

/// The most arrows of a drawing; each may join groups, and nobody draws more.
pub(super) const ARROWS_MAX: usize = 200_000;

/// Words for those who use a system, where a language has no shape for people.
const PEOPLE: &[&str] = &[
    "user",
    "users",
    "customer",
    "customers",
    "visitor",
    "visitors",
    "shopper",
    "shoppers",
    "buyer",
    "person",
    "people",
    "actor",
    "end user",
    "end users",
];

/// The part that a box has in the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BoxRole {
    #[default]
    Service,
    /// Somebody who uses the system.
    Person,
    /// A point at which lines meet.
    Junction,
}

/// A box.
#[derive(Clone, Debug, Default)]
pub(super) struct DrawnBox {
    /// The text in it, where it says more than the identifier.
    pub(super) label: Option<String>,
    pub(super) role: BoxRole,
    pub(super) kind: Option<&'static str>,
    /// The identifier of the innermost group it is in.
    pub(super) group: Option<String>,
    /// Requests from outside arrive here, the drawing says.
    pub(super) is_entry: bool,
    /// It is a part of a container of C4.
    pub(super) is_component: bool,
}

/// A frame around boxes.
#[derive(Clone, Debug, Default)]
pub(super) struct DrawnFrame {
    pub(super) label: String,
    pub(super) parent: Option<String>,
    /// The frame names who owns what is in it.
    pub(super) is_team: bool,
}

/// The ends of a line that have heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Heads {
    #[default]
    Forward,
    Back,
    Both,
    None,
}

/// A line between two boxes or groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) heads: Heads,
    pub(super) is_dashed: bool,
    /// The drawing says in words that the caller does not wait.
    pub(super) is_async: bool,
    /// Counted from 1.
    pub(super) line: usize,
}

/// As the tests of the languages write it.
#[cfg(test)]
impl std::fmt::Display for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match (self.heads, self.is_dashed) {
            (Heads::Forward, false) => "->",
            (Heads::Forward, true) => "..>",
            (Heads::Back, _) => "<-",
            (Heads::Both, _) => "<->",
            (Heads::None, _) => "--",
        };
        write!(f, "{}{mark}{}", self.from, self.to)
    }
}

/// Boxes, frames and arrows by the identifiers that the drawing gives them.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    pub(super) shapes: BTreeMap<String, DrawnBox>,
    pub(super) groups: BTreeMap<String, DrawnFrame>,
    pub(super) arrows: Vec<Arrow>,
}

impl Drawing {
    /// Returns the box with this identifier; makes it in `group` when it is new.
    pub(super) fn shape_or_new(&mut self, id: &str, group: Option<&str>) -> &mut DrawnBox {
        let shape = self.shapes.entry(id.to_owned()).or_default();
        if shape.group.is_none() {
            shape.group = group.map(str::to_owned);
        }
        shape
    }

    /// Returns whether nothing is drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Adds the services and dependencies of the drawing to a graph.
    pub(super) fn add_to(mut self, path: &str, options: &Options, graph: &mut EvidenceGraph) {
        if self.arrows.len() >= ARROWS_MAX {
            let message =
                format!("`{path}` has more than {ARROWS_MAX} arrows; the others are left out");
            graph.warn_of_file(Code::NotUnderstood, message);
        }
        self.drop_frames_drawn_as_boxes();
        self.mark_people(options.reverse);
        let names = self.service_names();
        for (id, name) in &names {
            let shape = &self.shapes[*id];
            let service = graph.service_or_new(name);
            let label = shape.label.as_deref().map(one_line).filter(|label| label != name);
            service.title = label.or(service.title.take());
            service.kind = shape.kind.map(str::to_owned).or(service.kind.take());
            service.is_entry |= shape.is_entry;
            if let Some(team) = self.team_of(shape) {
                service.team.get_or_insert_with(|| one_line(team));
            }
        }
        let pairs = self.dependency_pairs(path, options.reverse, graph);
        for (caller, callee, arrow) in &pairs {
            let role = |id: &str| self.shapes.get(id).map(|shape| shape.role);
            match (names.get(caller.as_str()), names.get(callee.as_str())) {
                (Some(from), Some(to)) => {
                    let source = format!("{path}: line {}", arrow.line);
                    let known = graph.depend_on(from, to, Evidence::Declared, source);
                    let Some(dependency) = known else { continue };
                    match options.dashed {
                        Dashed::Async if arrow.is_dashed => dependency.note_call(true),
                        Dashed::Soft if arrow.is_dashed => dependency.is_soft = true,
                        _ if arrow.is_async => dependency.note_call(true),
                        _ => {}
                    }
                }
                (None, Some(to)) if role(caller) == Some(BoxRole::Person) => {
                    graph.service_or_new(to).is_entry = true;
                }
                _ => {}
            }
        }
    }

    /// Removes boxes that another part of the drawing shows as a frame around their parts.
    fn drop_frames_drawn_as_boxes(&mut self) {
        let filled: BTreeSet<String> =
            self.shapes.values().filter_map(|shape| shape.group.clone()).collect();
        self.shapes.retain(|id, _| !filled.contains(id));
        // A frame around nothing is a box.
        for (id, group) in &self.groups {
            let holds_groups = self.groups.values().any(|other| other.parent.as_ref() == Some(id));
            let is_used = self.arrows.iter().any(|arrow| arrow.from == *id || arrow.to == *id);
            if is_used && !filled.contains(id) && !holds_groups {
                let label = Some(group.label.clone()).filter(|label| label != id);
                let shape = DrawnBox { label, group: group.parent.clone(), ..DrawnBox::default() };
                self.shapes.entry(id.clone()).or_insert(shape);
            }
        }
    }

    /// Takes boxes that are called like users, and that nothing calls, for people.
    fn mark_people(&mut self, reverse: bool) {
        let called: BTreeSet<&str> = self
            .arrows
            .iter()
            .map(|arrow| {
                let is_back = arrow.heads == Heads::Back;
                if is_back == reverse { arrow.to.as_str() } else { arrow.from.as_str() }
            })
            .collect();
        for (id, shape) in &mut self.shapes {
            let words = shape.label.as_deref().unwrap_or(id).trim().to_lowercase();
            // A box called `User` that others call is a service about users, and no person.
            if PEOPLE.contains(&words.as_str()) && !called.contains(id.as_str()) {
                shape.role = BoxRole::Person;
            }
        }
    }

    /// Returns what each box is to be called as a service.
    ///
    /// The identifier is the name, except where it is made up (`A`, `n1`): then the label says more.
    fn service_names(&self) -> BTreeMap<&str, String> {
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for shape in self.shapes.values() {
            if let Some(label) = &shape.label {
                *uses.entry(allowed_name(first_line(label))).or_default() += 1;
            }
        }
        let services = self.shapes.iter().filter(|(_, shape)| shape.role == BoxRole::Service);
        services
            .map(|(id, shape)| {
                let label =
                    shape.label.as_deref().map(first_line).filter(|label| !label.is_empty());
                let name = match label {
                    Some(label) if is_made_up(id) && uses[&allowed_name(label)] == 1 => {
                        label.to_owned()
                    }
                    // Two boxes with the same label would become one service, so both keep their
                    // identifiers.
                    Some(label) if is_made_up(id) => format!("{label} {id}"),
                    _ => id.clone(),
                };
                (id.as_str(), name)
            })
            .collect()
    }

    fn team_of(&self, shape: &DrawnBox) -> Option<&str> {
        let group = self.groups.get(shape.group.as_deref()?)?;
        (group.is_team && !group.label.is_empty()).then_some(group.label.as_str())
    }

    /// Returns who depends on whom, with junctions and frames replaced by what they stand for.
    fn dependency_pairs(
        &self,
        path: &str,
        reverse: bool,
        graph: &mut EvidenceGraph,
    ) -> Vec<(String, String, Arrow)> {
        let (mut pairs, mut undirected) = (Vec::new(), 0);
        let mut through: BTreeMap<String, Vec<(String, Arrow)>> = BTreeMap::new();
        let mut direct: Vec<(String, String, Arrow)> = Vec::new();
        for arrow in &self.arrows {
            undirected += usize::from(arrow.heads == Heads::None);
            let (Some(from), Some(to)) = (self.end_of(&arrow.from), self.end_of(&arrow.to)) else {
                self.warn_of_frame(path, arrow, graph);
                continue;
            };
            let mut ends = vec![(from, to)];
            match arrow.heads {
                Heads::Both => ends.push((to, from)),
                Heads::Back => ends = vec![(to, from)],
                Heads::Forward | Heads::None => {}
            }
            for (from, to) in ends {
                let (from, to) = if reverse { (to, from) } else { (from, to) };
                if self.is_junction(from) {
                    through
                        .entry(from.to_owned())
                        .or_default()
                        .push((to.to_owned(), arrow.clone()));
                } else {
                    direct.push((from.to_owned(), to.to_owned(), arrow.clone()));
                }
            }
        }
        for (from, to, arrow) in direct {
            // Junctions may lead in a circle.
            let mut seen = BTreeSet::new();
            let mut open = vec![to];
            while let Some(to) = open.pop() {
                if !self.is_junction(&to) {
                    pairs.push((from.clone(), to, arrow.clone()));
                } else if seen.insert(to.clone()) {
                    let next = through.get(&to).into_iter().flatten();
                    open.extend(next.map(|(next, _)| next.clone()));
                }
                // A junction with n lines in and m lines out makes n times m pairs.
                if pairs.len() > ARROWS_MAX {
                    return pairs;
                }
            }
        }
        if undirected > 0 {
            let message = format!(
                "{undirected} lines of `{path}` have no arrow head; each was taken for one from its first \
                 end to its second"
            );
            graph.warn_of_file(Code::NotUnderstood, message);
        }
        pairs
    }

    fn is_junction(&self, id: &str) -> bool {
        self.shapes.get(id).is_some_and(|shape| shape.role == BoxRole::Junction)
    }

    /// Returns the box that an end of an arrow means: itself, or the only one in a frame.
    fn end_of<'d>(&'d self, id: &'d str) -> Option<&'d str> {
        if self.shapes.contains_key(id) || !self.groups.contains_key(id) {
            return Some(id);
        }
        match self.frame_members(id).as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Returns the boxes within a frame and within the frames in it.
    fn frame_members(&self, id: &str) -> Vec<&str> {
        let shapes = self.shapes.iter().filter(|(_, shape)| {
            shape.group.as_deref().is_some_and(|group| self.is_within(group, id))
        });
        shapes.map(|(id, _)| id.as_str()).collect()
    }

    fn is_within(&self, group: &str, outer: &str) -> bool {
        let mut at = Some(group);
        // As many steps as there are groups: a hostile file may put a frame into itself.
        for _ in 0..=self.groups.len() {
            match at {
                Some(id) if id == outer => return true,
                Some(id) => at = self.groups.get(id).and_then(|group| group.parent.as_deref()),
                None => return false,
            }
        }
        false
    }

    /// Warns of an arrow at a frame around several boxes, unless arrows between its boxes say more.
    fn warn_of_frame(&self, path: &str, arrow: &Arrow, graph: &mut EvidenceGraph) {
        let own = |id: &str| {
            let members = self.frame_members(id);
            if members.is_empty() {
                vec![id.to_owned()]
            } else {
                members.iter().map(|member| (*member).to_owned()).collect()
            }
        };
        let (from, to) = (own(&arrow.from), own(&arrow.to));
        let is_said_below = self.arrows.iter().any(|other| {
            (&other.from, &other.to) != (&arrow.from, &arrow.to)
                && from.contains(&other.from)
                && to.contains(&other.to)
        });
        if !is_said_below {
            let message = format!(
                "line {} of `{path}` joins `{}` and `{}`; one of them is a frame around several boxes, and \
                 which of them is meant is unknown",
                arrow.line, arrow.from, arrow.to
            );
            graph.warn_of_file(Code::NotUnderstood, message);
        }
    }
}

/// Returns whether an identifier says nothing, as `A`, `b2` and `node7` do.
fn is_made_up(id: &str) -> bool {
    let base = id.trim_end_matches(|c: char| c.is_ascii_digit());
    base.chars().count() <= 1 || base != id && matches!(base.to_lowercase().as_str(), "node" | "id")
}

fn first_line(label: &str) -> &str {
    label.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// Returns the kind that the words of a label or a technology tell.
pub(super) fn kind_of_words(words: &str) -> Option<&'static str> {
    let lower = words.to_lowercase();
    let mut parts = lower.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.find_map(|part| match part {
        "queue" | "queues" | "topic" | "topics" | "broker" | "sqs" | "sns" | "kinesis" | "amqp" => {
            Some("queue")
        }
        "cache" | "elasticache" => Some("cache"),
        "database" | "rds" | "aurora" | "postgresql" | "sql" => Some("database"),
        "gateway" | "cdn" => None,
        _ => crate::import::graph::kinds::of_image(part).filter(|kind| *kind != "gateway"),
    })
}

/// Returns a label as text: without quotes, markup and icons, with its line breaks.
pub(super) fn plain_label(text: &str) -> String {
    let text = text.trim().trim_matches('"').trim_matches('`');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '<'
            && let Some(end) = rest.find('>')
        {
            let is_break = rest[1..end].trim_matches(['/', ' ']).eq_ignore_ascii_case("br");
            // A label may hold a `<` that compares two things.
            let is_tag = rest[1..end].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
            if is_tag {
                out.push(if is_break { '\n' } else { ' ' });
                rest = &rest[end + 1..];
                continue;
            }
        }
        if let Some(after) = rest.strip_prefix("\\n") {
            out.push('\n');
            rest = after;
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    for (entity, text) in [
        ("#quot;", "\""),
        ("&quot;", "\""),
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("**", ""),
    ] {
        out = out.replace(entity, text);
    }
    // Mermaid writes icons into labels, as in `fa:fa-cart`.
    let is_icon = |word: &str| {
        matches!(word.split_once(':'), Some(("fa" | "fab" | "fas" | "far" | "mdi" | "logos", _)))
    };
    let lines = out.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !is_icon(word)).collect();
        words.join(" ")
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lose_their_markup_and_keep_their_lines() {
        assert_eq!(plain_label("\"fa:fa-car **Web** shop<br/>(React)\""), "Web shop\n(React)");
        assert_eq!(plain_label("a < b"), "a < b");
    }

    #[test]
    fn an_identifier_of_one_letter_is_made_up() {
        for id in ["A", "b2", "node7", "n10"] {
            assert!(is_made_up(id), "{id}");
        }
        for id in ["db", "api", "node", "web2"] {
            assert!(!is_made_up(id), "{id}");
        }
    }

    #[test]
    fn words_of_a_technology_tell_the_kind() {
        assert_eq!(kind_of_words("Orders queue"), Some("queue"));
        assert_eq!(kind_of_words("PostgreSQL 17"), Some("database"));
        assert_eq!(kind_of_words("TypeScript"), None);
    }
}
