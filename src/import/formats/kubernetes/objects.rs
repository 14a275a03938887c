//! The objects of all documents, with patches laid over what they change.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::load::{Document, Entry, Node, Value};

pub(in crate::import) type Labels = BTreeMap<String, String>;

/// An object, and the path of its file.
pub(in crate::import) struct Object<'a> {
    pub(in crate::import) path: &'a str,
    pub(in crate::import) node: Cow<'a, Node>,
}

/// All objects that have a kind.
pub(in crate::import) struct Objects<'a> {
    pub(in crate::import) all: Vec<Object<'a>>,
}

impl<'a> Objects<'a> {
    /// Collects the objects of documents, also those in lists.
    ///
    /// An object that is there twice is a base and its patch, which says only what it changes.
    pub(in crate::import) fn from_documents(documents: &'a [(String, Document)]) -> Self {
        let mut all: Vec<Object<'_>> = Vec::new();
        let mut known: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        let found = documents.iter().flat_map(|(path, document)| {
            flatten_lists(&document.root).into_iter().map(move |node| (path.as_str(), node))
        });
        for (path, node) in found {
            let Some(kind) = node.scalar_at("kind") else { continue };
            let name = node.scalar_at("metadata.name").unwrap_or_default();
            let same = known.entry((kind, name)).or_default();
            // The same name in two namespaces is two objects, while a patch often leaves the
            // namespace out.
            let of_same_space = same.iter().copied().find(|index| {
                let (one, other) = (namespace_of(&all[*index].node), namespace_of(node));
                !name.is_empty() && (one == other || one.is_none() || other.is_none())
            });
            if let Some(index) = of_same_space {
                let merged = apply_patch(&all[index].node, node);
                all[index].node = Cow::Owned(merged);
            } else {
                same.push(all.len());
                all.push(Object { path, node: Cow::Borrowed(node) });
            }
        }
        Self { all }
    }

    /// The objects of one kind.
    pub(in crate::import) fn of_kind(
        &self,
        wanted: &'static str,
    ) -> impl Iterator<Item = &Object<'a>> {
        self.all.iter().filter(move |object| object.kind() == wanted)
    }
}

impl Object<'_> {
    pub(in crate::import) fn kind(&self) -> &str {
        self.node.scalar_at("kind").unwrap_or_default()
    }

    pub(in crate::import) fn name(&self) -> Option<&str> {
        self.node.scalar_at("metadata.name")
    }

    /// The group of its version: `networking.istio.io`, and an empty one for the core.
    pub(in crate::import) fn api_group(&self) -> &str {
        let version = self.node.scalar_at("apiVersion").unwrap_or_default();
        version.split_once('/').map_or("", |(group, _)| group)
    }

    pub(in crate::import) fn namespace(&self) -> Option<&str> {
        namespace_of(&self.node)
    }

    pub(in crate::import) fn items_at(&self, path: &str) -> &[Node] {
        self.node.node_at(path).map(Node::items).unwrap_or_default()
    }
}

/// The objects of a document, also those in lists.
fn flatten_lists(node: &Node) -> Vec<&Node> {
    let is_list = node.scalar_at("kind").is_some_and(|kind| kind.ends_with("List"));
    let items = node.get("items").filter(|_| is_list).unwrap_or(node);
    match &items.value {
        Value::Sequence(items) => items.iter().collect(),
        _ => vec![node],
    }
}

pub(in crate::import) fn namespace_of(object: &Node) -> Option<&str> {
    object.scalar_at("metadata.namespace").filter(|name| !name.is_empty())
}

pub(in crate::import) fn labels_of(node: Option<&Node>) -> Labels {
    let pair = |entry: &Entry| Some((entry.key.text.to_string(), entry.value.scalar()?.to_owned()));
    node.map(Node::entries).unwrap_or_default().iter().filter_map(pair).collect()
}

/// Applies a patch to an object: mappings merge by key, lists of named things by name, all else is
/// replaced.
fn apply_patch(base: &Node, patch: &Node) -> Node {
    let value = match (&base.value, &patch.value) {
        (Value::Mapping(_), Value::Mapping(_)) => {
            let mut entries: Vec<Entry> = base.entries().to_vec();
            for entry in patch.entries() {
                match entries.iter_mut().find(|known| known.key.text == entry.key.text) {
                    Some(known) => known.value = apply_patch(&known.value, &entry.value),
                    None => entries.push(entry.clone()),
                }
            }
            Value::Mapping(entries.into())
        }
        // Kubernetes itself merges lists by a key that depends on the field, which is `name` in
        // nearly all of them.
        (Value::Sequence(_), Value::Sequence(_)) if patch.items().iter().all(is_named) => {
            let mut items: Vec<Node> = base.items().to_vec();
            for item in patch.items() {
                let name = item.scalar_at("name");
                match items.iter_mut().find(|known| known.scalar_at("name") == name) {
                    Some(known) => *known = apply_patch(known, item),
                    None => items.push(item.clone()),
                }
            }
            Value::Sequence(items.into())
        }
        (_, Value::Null) => return base.clone(),
        _ => return patch.clone(),
    };
    Node { place: base.place, value }
}

fn is_named(item: &Node) -> bool {
    item.scalar_at("name").is_some()
}
