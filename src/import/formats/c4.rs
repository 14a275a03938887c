//! The macros of C4, as Mermaid and `PlantUML` have them: `Container(id, "Label", "Technology")` and
//! `Rel(from, to, "text")`.

use std::collections::BTreeMap;

use super::drawing::{
    ARROWS_MAX, Arrow, BoxRole, Drawing, DrawnFrame, Heads, kind_of_words, plain_label,
};

/// The deepest nesting of boundaries; deeper ones count to the last.
const DEPTH_MAX: usize = 100;

/// A macro with its arguments.
struct MacroCall {
    name: String,
    arguments: Vec<String>,
    named: BTreeMap<String, String>,
}

impl MacroCall {
    fn argument(&self, at: usize, name: &str) -> &str {
        let named = self.named.get(name).map(String::as_str);
        named.or_else(|| self.arguments.get(at).map(String::as_str)).unwrap_or_default()
    }
}

/// Reads macros, one on each line, into a drawing; `first` is the number of the first line.
pub(super) fn parse_macros(text: &str, first: usize, drawing: &mut Drawing) {
    let mut open: Vec<Option<String>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches(['>', ' ']);
        // `%%` begins a comment in Mermaid, `'` in PlantUML.
        if line.starts_with("%%") || line.starts_with('\'') {
            continue;
        }
        let closes = line.chars().take_while(|c| *c == '}').count();
        for _ in 0..closes {
            open.pop();
        }
        let Some(call) = parse_call(&line[closes..]) else {
            if line.ends_with('{') {
                open.push(None);
            }
            continue;
        };
        let group = open.iter().rev().flatten().next().cloned();
        apply_call(&call, first + index, group.as_deref(), drawing);
        if line.ends_with('{') && open.len() < DEPTH_MAX {
            let is_frame = is_frame(&call.name);
            open.push(is_frame.then(|| call.argument(0, "alias").to_owned()));
        }
    }
}

/// Returns whether a line is a macro of C4.
pub(super) fn is_macro(line: &str) -> bool {
    parse_call(line.trim()).is_some_and(|call| {
        is_frame(&call.name)
            || element_of(&call.name).is_some()
            || relation_of(&call.name).is_some()
            || ["Update", "Lay_", "LAYOUT_", "SHOW_", "Add"]
                .iter()
                .any(|item| call.name.starts_with(item))
    })
}

/// Returns the identifier of the frame that a macro opens.
pub(super) fn frame_of(line: &str) -> Option<String> {
    let call = parse_call(line.trim())?;
    is_frame(&call.name).then(|| call.argument(0, "alias").to_owned())
}

fn is_frame(name: &str) -> bool {
    // The ends `_L` and `_R` only place the frame to the left or to the right.
    let base = name.trim_end_matches("_L").trim_end_matches("_R");
    name.ends_with("Boundary") || matches!(base, "Node" | "Deployment_Node")
}

/// Reads `Name(argument, "argument", $key="value")`.
fn parse_call(line: &str) -> Option<MacroCall> {
    let (name, rest) = line.split_once('(')?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let mut call =
        MacroCall { name: name.to_owned(), arguments: Vec::new(), named: BTreeMap::new() };
    let (mut text, mut is_quoted, mut depth) = (String::new(), false, 0_usize);
    let mut take = |text: &mut String| {
        let whole = std::mem::take(text);
        let whole = whole.trim();
        match whole.strip_prefix('$').and_then(|strip_prefix| strip_prefix.split_once('=')) {
            Some((key, value)) => {
                call.named.insert(key.trim().to_owned(), plain_label(value));
            }
            None => call.arguments.push(plain_label(whole)),
        }
    };
    for c in rest.chars() {
        match c {
            '"' => {
                is_quoted = !is_quoted;
                text.push(c);
            }
            ',' if !is_quoted && depth == 0 => take(&mut text),
            '(' if !is_quoted => {
                depth += 1;
                text.push(c);
            }
            ')' if !is_quoted && depth == 0 => {
                take(&mut text);
                return Some(call);
            }
            ')' if !is_quoted => {
                depth -= 1;
                text.push(c);
            }
            c => text.push(c),
        }
    }
    None
}

/// An element: a person or not, its kind, and whether it is a part of a container.
struct C4Element {
    is_person: bool,
    is_component: bool,
    kind: Option<&'static str>,
}

fn element_of(name: &str) -> Option<C4Element> {
    let (base, is_external) = match name.strip_suffix("_Ext") {
        Some(base) => (base, true),
        None => (name, false),
    };
    let (base, kind) = match (base.strip_suffix("Db"), base.strip_suffix("Queue")) {
        (Some(base), _) => (base, Some("database")),
        (_, Some(base)) => (base, Some("queue")),
        _ => (base, is_external.then_some("external")),
    };
    let is_person = base == "Person";
    let is_known = matches!(base, "Person" | "System" | "Container" | "Component");
    is_known.then_some(C4Element { is_person, is_component: base == "Component", kind })
}

/// Returns where the relation of a macro begins among the arguments, and its heads.
fn relation_of(name: &str) -> Option<(usize, Heads)> {
    let base = name.split('_').next().unwrap_or_default();
    match base {
        "Rel" if name.starts_with("Rel_Back") => Some((0, Heads::Back)),
        "Rel" => Some((0, Heads::Forward)),
        "BiRel" => Some((0, Heads::Both)),
        "RelIndex" => Some((1, Heads::Forward)),
        _ => None,
    }
}

fn apply_call(call: &MacroCall, line: usize, group: Option<&str>, drawing: &mut Drawing) {
    let id = call.argument(0, "alias").to_owned();
    if let Some((first, heads)) = relation_of(&call.name) {
        let (from, to) = (call.argument(first, "from"), call.argument(first + 1, "to"));
        if from.is_empty() || to.is_empty() || drawing.arrows.len() >= ARROWS_MAX {
            return;
        }
        let words = [call.argument(first + 2, "label"), call.argument(first + 3, "techn")];
        let is_async = words.iter().any(|text| text.to_lowercase().contains("async"));
        let (from, to) = (from.to_owned(), to.to_owned());
        drawing.arrows.push(Arrow { from, to, heads, is_async, line, ..Arrow::default() });
    } else if id.is_empty() {
    } else if is_frame(&call.name) {
        let label = call.argument(1, "label").to_owned();
        let group = DrawnFrame { label, parent: group.map(str::to_owned), is_team: false };
        drawing.groups.insert(id, group);
    } else if let Some(element) = element_of(&call.name) {
        let label = call.argument(1, "label").to_owned();
        // `System` and `Person` have no technology: a description stands in its place.
        let technology = if call.name.starts_with("System") || element.is_person {
            ""
        } else {
            call.argument(2, "techn")
        };
        let shape = drawing.shape_or_new(&id, group);
        shape.label = Some(label).filter(|label| !label.is_empty() && *label != id);
        shape.kind = element.kind.or_else(|| kind_of_words(technology));
        shape.is_component = element.is_component;
        if element.is_person {
            shape.role = BoxRole::Person;
        }
    }
}

/// Lifts components to the container around them, unless no arrow ends at anything but components: then
/// the components are the services.
pub(super) fn settle_levels(drawing: &mut Drawing) {
    let is_larger = |id: &String| {
        drawing
            .shapes
            .get(id)
            .is_some_and(|shape| !shape.is_component && shape.role == BoxRole::Service)
    };
    if !drawing.arrows.iter().any(|arrow| is_larger(&arrow.from) || is_larger(&arrow.to)) {
        return;
    }
    let lifted: BTreeMap<String, String> = drawing
        .shapes
        .iter()
        .filter(|(_, shape)| shape.is_component)
        .filter_map(|(id, shape)| Some((id.clone(), shape.group.clone()?)))
        .collect();
    for (component, container) in &lifted {
        drawing.shapes.remove(component);
        let Some(group) = drawing.groups.get(container) else { continue };
        let (label, parent) = (group.label.clone(), group.parent.clone());
        let shape = drawing.shape_or_new(container, parent.as_deref());
        if !label.is_empty() && label != *container {
            shape.label.get_or_insert(label);
        }
    }
    for container in lifted.values() {
        drawing.groups.remove(container);
    }
    for arrow in &mut drawing.arrows {
        for end in [&mut arrow.from, &mut arrow.to] {
            if let Some(container) = lifted.get(end.as_str()) {
                container.clone_into(end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_hold_commas_and_brackets() {
        let call = parse_call("Container(api, \"A, (b)\", $techn=\"Go\")").unwrap();
        assert_eq!(call.arguments, ["api", "A, (b)"]);
        assert_eq!(call.argument(2, "techn"), "Go");
        assert!(parse_call("a note (with brackets)").is_none());
        assert!(parse_call("Container(api").is_none());
    }

    #[test]
    fn components_are_lifted_to_their_container_where_containers_are_drawn_too() {
        let text = "Container(spa, \"SPA\")\nContainer_Boundary(api, \"API\") {\nComponent(a, \"A\")\nComponent(b, \
                    \"B\")\n}\nRel(spa, a, \"\")\nRel(a, b, \"\")";
        let mut drawing = Drawing::default();
        parse_macros(text, 1, &mut drawing);
        settle_levels(&mut drawing);
        assert_eq!(drawing.shapes.keys().collect::<Vec<_>>(), ["api", "spa"]);
        let ends: Vec<_> = drawing.arrows.iter().map(|arrow| (&*arrow.from, &*arrow.to)).collect();
        assert_eq!(ends, [("spa", "api"), ("api", "api")]);
    }
}
