//! Guesses the kind of change from the names of the files of a diff.

use crate::model::change::ChangeKind;

/// Endings of files that say how data is laid out.
const SCHEMA: [&str; 11] =
    ["sql", "proto", "avsc", "avdl", "graphql", "gql", "xsd", "thrift", "prisma", "fbs", "capnp"];
/// Folders that hold such files.
const SCHEMA_FOLDERS: [&str; 6] =
    ["migrations", "migration", "schema", "schemas", "flyway", "alembic"];
/// Endings of files that programs are set up by.
const CONFIG: [&str; 14] = [
    "yaml",
    "yml",
    "toml",
    "json",
    "ini",
    "env",
    "conf",
    "cfg",
    "properties",
    "tf",
    "tfvars",
    "hcl",
    "jsonnet",
    "cue",
];
/// Files with such an ending that say what a program is built from.
const BUILD: [&str; 7] = [
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "composer.json",
    "cargo.toml",
    "pyproject.toml",
    "tsconfig.json",
];

/// Which sorts of file were seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sorts {
    schema: bool,
    config: bool,
    code: bool,
    dependency: bool,
}

impl Sorts {
    /// Adds a file.
    pub(super) fn add_file(&mut self, name: &[u8], is_dependency: bool) {
        match kind_of_file(name) {
            // What is known of the content comes before what the name looks like.
            _ if is_dependency => self.dependency = true,
            ChangeKind::Schema => self.schema = true,
            ChangeKind::Config => self.config = true,
            _ => self.code = true,
        }
    }

    /// The sort that is hardest to take back: a schema, else code, else what the program is built
    /// from, else configuration alone.
    pub(super) fn guessed_kind(self) -> Option<ChangeKind> {
        match self {
            Self { schema: true, .. } => Some(ChangeKind::Schema),
            Self { code: true, .. } => Some(ChangeKind::Code),
            Self { dependency: true, .. } => Some(ChangeKind::Dependency),
            Self { config: true, .. } => Some(ChangeKind::Config),
            _ => None,
        }
    }
}

fn kind_of_file(name: &[u8]) -> ChangeKind {
    let mut parts = name.rsplit(|byte| *byte == b'/');
    let file = parts.next().unwrap_or_default();
    let is = |text: &[u8], words: &[&str]| {
        words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    // A name without a dot has no ending.
    let ending = file.rsplit(|byte| *byte == b'.').next().filter(|item| item.len() < file.len());
    let ends = |words| ending.is_some_and(|ending| is(ending, words));
    if ends(&SCHEMA) || parts.any(|folder| is(folder, &SCHEMA_FOLDERS)) {
        return ChangeKind::Schema;
    }
    // A file of settings that a build reads decides what the program is.
    if ends(&CONFIG) && !is(file, &BUILD) { ChangeKind::Config } else { ChangeKind::Code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(names: &[&str]) -> Option<ChangeKind> {
        let mut sorts = Sorts::default();
        names.iter().for_each(|name| sorts.add_file(name.as_bytes(), false));
        sorts.guessed_kind()
    }

    #[test]
    fn the_kind_is_guessed_from_endings_and_folders() {
        assert_eq!(guess(&["deploy/pay.YAML", ".env"]), Some(ChangeKind::Config));
        assert_eq!(guess(&["deploy/pay.yaml", "src/main.rs"]), Some(ChangeKind::Code));
        assert_eq!(guess(&["src/main.rs", "db/migrations/1.py"]), Some(ChangeKind::Schema));
        assert_eq!(guess(&["api/pay.proto"]), Some(ChangeKind::Schema));
        assert_eq!(guess(&["package.json"]), Some(ChangeKind::Code));
        assert_eq!(guess(&["Makefile"]), Some(ChangeKind::Code));
        assert_eq!(guess(&[]), None);
    }
}
