//! Recognition by the name of a file.

use super::{Recognition, Unrendered};
use crate::import::Format;

/// Endings of programs, texts and pictures, which no keys are looked for in.
const NO_DATA: &[&str] = &[
    "rs",
    "go",
    "py",
    "js",
    "ts",
    "tsx",
    "jsx",
    "java",
    "kt",
    "cs",
    "rb",
    "php",
    "c",
    "h",
    "cpp",
    "sh",
    "bash",
    "ps1",
    "sql",
    "html",
    "css",
    "scss",
    "vue",
    "svelte",
    "proto",
    "graphql",
    "md",
    "mdx",
    "markdown",
    "rst",
    "adoc",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "ico",
    "webp",
    "pdf",
    "svg",
    "lock",
    "sum",
    "mod",
    "toml",
    "ini",
    "cfg",
    "conf",
    "properties",
    "gradle",
    "gitignore",
    "dockerignore",
    "zip",
    "gz",
    "tgz",
    "jar",
    "wasm",
    "woff",
    "woff2",
    "ttf",
];

/// Recognises a file by its name in small letters.
pub(super) fn recognize_name(name: &str, path: &str) -> Option<Recognition> {
    let ending = name.rsplit('.').next().unwrap_or_default();
    let known = match ending {
        "csv" | "tsv" => Recognition::Format(Format::Csv),
        "dot" | "gv" => Recognition::Format(Format::Dot),
        "graphml" => Recognition::Format(Format::Graphml),
        "dsl" => Recognition::Format(Format::Structurizr),
        "prom" => Recognition::Format(Format::Prometheus),
        "mmd" | "mermaid" => Recognition::Format(Format::Mermaid),
        "puml" | "plantuml" | "iuml" | "pu" | "wsd" => Recognition::Format(Format::Plantuml),
        "d2" => Recognition::Format(Format::D2),
        "tf" | "tfvars" | "hcl" => Recognition::Other("Terraform source"),
        "bicep" => Recognition::Other("Bicep source"),
        "nomad" => Recognition::Other("a Nomad job"),
        "jsonnet" | "libsonnet" => {
            Recognition::Unrendered(Unrendered::Jsonnet { file: path.to_owned() })
        }
        "tpl" => Recognition::Unrendered(Unrendered::helm_template(path)),
        _ => match name {
            "chart.yaml" => {
                Recognition::Unrendered(Unrendered::HelmChart { folder: folder_of(path) })
            }
            "kustomization.yaml" | "kustomization.yml" | "kustomization" => {
                Recognition::Unrendered(Unrendered::Kustomization { folder: folder_of(path) })
            }
            "helmfile.yaml" | "helmfile.yml" => {
                Recognition::Unrendered(Unrendered::Helmfile { file: path.to_owned() })
            }
            "skaffold.yaml" | "skaffold.yml" => {
                Recognition::Unrendered(Unrendered::Skaffold { file: path.to_owned() })
            }
            "cdk.json" => Recognition::Unrendered(Unrendered::Cdk { folder: folder_of(path) }),
            "serverless.yml" | "serverless.yaml" | "serverless.json" => {
                Recognition::Other("a service of the Serverless Framework")
            }
            "render.yaml" | "render.yml" => Recognition::Other("a blueprint of Render"),
            "azure.yaml" | "azure.yml" => {
                Recognition::Other("a project of the Azure Developer CLI")
            }
            "kong.yml" | "kong.yaml" => Recognition::Other("a configuration of Kong"),
            ".gitlab-ci.yml"
            | "bitbucket-pipelines.yml"
            | "azure-pipelines.yml"
            | "cloudbuild.yaml"
            | "buildspec.yml"
            | "appveyor.yml"
            | ".travis.yml" => Recognition::Other("a pipeline"),
            "package.json"
            | "package-lock.json"
            | "tsconfig.json"
            | "composer.json"
            | "pnpm-lock.yaml"
            | "pnpm-workspace.yaml" => Recognition::Other("a list of packages"),
            _ => return None,
        },
    };
    Some(known)
}

/// Returns whether a file is called like a Compose file.
pub(super) fn is_compose(name: &str) -> bool {
    ["compose", "docker-compose", "docker-stack", "podman-compose"].iter().any(|start| {
        name.strip_prefix(start)
            .is_some_and(|rest| rest.starts_with(['.', '-', '_']) && is_data(rest))
    })
}

/// Returns whether a file is called like YAML or JSON.
pub(super) fn is_data(name: &str) -> bool {
    [".yaml", ".yml", ".json", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

/// Returns whether a file is called like a program, a text or a picture.
pub(super) fn is_prose_or_code(name: &str) -> bool {
    NO_DATA.contains(&name.rsplit('.').next().unwrap_or_default())
}

/// Returns the directory that a file lies in.
pub(super) fn folder_of(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
        None => ".".to_owned(),
    }
}
