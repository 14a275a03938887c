//! Recognition of files: a format that can be imported, something to be rendered first, or a file of
//! another tool.
//!
//! A format is recognised by what only it has. A file that merely looks similar is left out and named:
//! invented services beside the real ones are worse than missing ones.

mod documents;
mod names;
mod text;
mod unrendered;

pub use unrendered::Unrendered;

use super::Format;
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{self, Node};

/// The number of bytes at the beginning of a file that are looked at, where they are enough.
const HEAD: usize = 64 * 1024;

/// The nature of a file, as far as it is recognised.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Recognition {
    /// A format that can be imported.
    Format(Format),
    /// It must be rendered first.
    Unrendered(Unrendered),
    /// A file of another tool, by what that calls it.
    Other(&'static str),
    /// It looks like YAML or JSON, and is none.
    Unreadable(Vec<Diagnostic>),
    /// Like nothing that is known.
    Unknown,
}

/// Recognises a file.
///
/// # Errors
/// It cannot be read at all.
pub fn recognize_file(path: &str) -> Result<Recognition, Vec<Diagnostic>> {
    if path == "-" {
        return Err(vec![
            Diagnostic::file_error(Code::Unreadable, "standard input can be read only once")
                .help("name the format: `blastwave import FORMAT -`"),
        ]);
    }
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_lowercase();
    if let Some(known) = names::recognize_name(&name, path) {
        return Ok(known);
    }
    let head = load::first_bytes(path, HEAD).map_err(|problem| vec![*problem])?;
    let head = String::from_utf8_lossy(&head);
    if let Some(known) = text::recognize_text(&head) {
        return Ok(known);
    }
    // Neither YAML nor JSON: no key can tell what it is.
    if names::is_prose_or_code(&name) {
        return Ok(Recognition::Unknown);
    }
    match load::read_foreign(path, &mut Sources::default()) {
        Ok(list) => Ok(documents::recognize_documents(&list, &name, path)),
        Err(problems) => Ok(match text::recognize_template(&head, path) {
            Some(template) => template,
            None if names::is_data(&name) => Recognition::Unreadable(problems),
            None => Recognition::Unknown,
        }),
    }
}

/// Returns how to render the first of these files that must be rendered.
pub(super) fn rendering_remedy(files: &[String]) -> Option<String> {
    files.iter().take(100).find_map(|path| match recognize_file(path) {
        Ok(Recognition::Unrendered(what)) => {
            Some(format!("`{path}` is {}; {}", what.description(), what.remedy()))
        }
        _ => None,
    })
}

/// Returns whether an object is called by a placeholder that a template left.
pub(super) fn has_placeholder_name(root: &Node) -> bool {
    root.scalar_at("metadata.name").is_some_and(text::is_placeholder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn recognized(name: &str, content: &str) -> Recognition {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(&path, content).expect("it can be written");
        recognize_file(path.to_str().expect("text")).expect("it can be read")
    }

    #[track_caller]
    fn is(name: &str, content: &str, format: Format) {
        assert_eq!(recognized(name, content), Recognition::Format(format), "{name}: {content}");
    }

    #[track_caller]
    fn is_left_out(name: &str, content: &str) {
        let known = recognized(name, content);
        assert!(matches!(known, Recognition::Other(_) | Recognition::Unknown), "{name}: {known:?}");
    }

    #[track_caller]
    fn is_unrendered(name: &str, content: &str) {
        let known = recognized(name, content);
        assert!(matches!(known, Recognition::Unrendered(_)), "{name}: {known:?}");
    }

    #[test]
    fn formats_are_recognised_by_what_only_they_have() {
        is("a.yaml", "services: {web: {image: x}}", Format::Compose);
        is("a.yaml", "include: [other.yaml]", Format::Compose);
        is("compose.override.yaml", "services: {web: {}}", Format::Compose);
        is("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}", Format::Kubernetes);
        is(
            "a.json",
            "{\"resources\":{\"a\":{\"type\":\"project.v0\",\"path\":\"x\"}}}",
            Format::Aspire,
        );
        is("a.yaml", "services: [{name: a, script: [{call: b}]}, {name: b}]", Format::Isotope);
        is("a.md", "# A\n```mermaid\nflowchart LR\na-->b\n```\n", Format::Mermaid);
        is("a.txt", "graph TD\n a --> b\n", Format::Mermaid);
        is("a.txt", "graph G { a -- b }", Format::Dot);
        is("a.txt", "calls_total{client=\"a\",server=\"b\"} 4\n", Format::Prometheus);
        is("a.json", "{\"family\":\"a\",\"containerDefinitions\":[]}", Format::Ecs);
        is("a.yaml", "Resources: {Q: {Type: 'AWS::SQS::Queue'}}", Format::Cloudformation);
        is("a.yaml", "schema-version: v2.2\ndd-service: a", Format::Datadog);
        is("a.yaml", "apiVersion: v3\nkind: service\nmetadata: {name: a}", Format::Datadog);
        is("a.yaml", "openapi: 3.0.0\ninfo: {title: A, x-cortex-tag: a}", Format::Cortex);
        is("a.yml", "version: 1\nservice: {name: A, aliases: [a]}", Format::Opslevel);
        is("a.txt", "@startuml\n[a] --> [b]\n@enduml", Format::Plantuml);
        is("a.json", "{\"flow\":{\"verdict\":\"FORWARDED\",\"is_reply\":false}}", Format::Hubble);
    }

    #[test]
    fn files_of_other_tools_are_taken_for_no_format() {
        is_left_out("kong.yml", "_format_version: '3.0'\nservices: [{name: a, url: 'http://a'}]");
        is_left_out("render.yaml", "services: [{type: web, name: a}]");
        is_left_out("azure.yaml", "name: x\nservices: {api: {project: ., host: containerapp}}");
        is_left_out("serverless.yml", "service: x\nresources: {Resources: {T: {Type: 'A::B'}}}");
        is_left_out(
            "p.yml",
            "stages: [a]\nservices: [{name: 'postgres:17', alias: db}]\na: {script: [x]}",
        );
        is_left_out("a.tf", "expr = \"http_requests_total{code=500}\"");
        is_left_out(
            "a.yaml",
            "apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: x}",
        );
        is_left_out(
            "rules.yaml",
            "groups: [{name: a, rules: [{expr: 'rate(x_total{a=\"b\"}[5m])'}]}]",
        );
        is_left_out("a.yaml", "version: 1\ntopology: x\nservices: {a: {}}");
    }

    #[test]
    fn what_must_be_rendered_is_told_from_what_can_be_read() {
        is_unrendered("Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0");
        is_unrendered("kustomization.yaml", "resources: [a.yaml]");
        is_unrendered("t.yaml", "kind: A\nname: {{ .Values.x }}\n");
        is_unrendered(
            "a.yaml",
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: x}",
        );
        is_unrendered(
            "a.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}",
        );
        is_unrendered(
            "a.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: '${{ values.name }}'}",
        );
        is(
            "a.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: x}",
            Format::Kubernetes,
        );
    }
}
