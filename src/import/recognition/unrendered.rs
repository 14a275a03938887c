//! Files that must be rendered before they say which services there are, and the commands that do it.

use super::names::folder_of;
use crate::import::graph::names::shell_word;

/// A file that stands for manifests which another program makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unrendered {
    /// A chart of Helm, by its directory.
    HelmChart {
        /// The directory that it lies in.
        folder: String,
    },
    /// A template of a chart.
    HelmTemplate {
        /// The directory of its chart, as far as the path tells.
        chart: String,
    },
    /// A list of releases for Helmfile.
    Helmfile {
        /// Its path.
        file: String,
    },
    /// A base or an overlay of Kustomize.
    Kustomization {
        /// The directory that it lies in.
        folder: String,
    },
    /// A release or a kustomization that Flux applies.
    Flux {
        /// The name of the object.
        name: String,
        /// It is a release of a chart, and no kustomization.
        is_release: bool,
    },
    /// An application that Argo CD applies.
    Argo {
        /// The name of the object.
        name: String,
    },
    /// A project of Skaffold.
    Skaffold {
        /// Its path.
        file: String,
    },
    /// A program in Jsonnet.
    Jsonnet {
        /// Its path.
        file: String,
    },
    /// A program of the AWS Cloud Development Kit.
    Cdk {
        /// The directory that it lies in.
        folder: String,
    },
    /// A template whose names are placeholders.
    Placeholders {
        /// Its path.
        file: String,
    },
}

impl Unrendered {
    /// Returns the template at a path, in the chart that lies above its `templates`.
    pub(super) fn helm_template(path: &str) -> Self {
        let folder = folder_of(path);
        let mut parts: Vec<&str> = folder.split('/').collect();
        let chart = match parts.iter().position(|part| *part == "templates") {
            Some(0) => ".".to_owned(),
            Some(at) => {
                parts.truncate(at);
                parts.join("/")
            }
            None => "CHART".to_owned(),
        };
        Self::HelmTemplate { chart }
    }

    /// Returns what the file is, in a few words.
    pub fn description(&self) -> &'static str {
        match self {
            Self::HelmChart { .. } => "a Helm chart",
            Self::HelmTemplate { .. } => "a template of a Helm chart",
            Self::Helmfile { .. } => "a list of Helm releases",
            Self::Kustomization { .. } => "a kustomization",
            Self::Flux { is_release: true, .. } => "a Helm release",
            Self::Flux { is_release: false, .. } => "a kustomization of Flux",
            Self::Argo { .. } => "an application of Argo CD",
            Self::Skaffold { .. } => "a project of Skaffold",
            Self::Jsonnet { .. } => "a program in Jsonnet",
            Self::Cdk { .. } => "a program of the AWS CDK",
            Self::Placeholders { .. } => "a template whose names are placeholders",
        }
    }

    /// Returns the command that renders it, or how to get what it stands for.
    pub fn remedy(&self) -> String {
        let piped = |command: String| {
            format!("render it first: `{command} | blastwave import kubernetes -`")
        };
        match self {
            Self::HelmChart { folder } => piped(format!("helm template {}", shell_word(folder))),
            Self::HelmTemplate { chart } => piped(format!("helm template {}", shell_word(chart))),
            Self::Helmfile { file } => piped(format!("helmfile -f {} template", shell_word(file))),
            Self::Kustomization { folder } => {
                piped(format!("kustomize build {}", shell_word(folder)))
            }
            Self::Flux { name, is_release: true } => format!(
                "import what runs (`kubectl get deploy,sts,ds,svc,cm -A -o yaml | blastwave import kubernetes \
                 -`), or render its chart: `helm template {} CHART`",
                shell_word(name)
            ),
            Self::Flux { name, is_release: false } => {
                piped(format!("flux build kustomization {} --path DIRECTORY", shell_word(name)))
            }
            Self::Argo { name } => piped(format!("argocd app manifests {}", shell_word(name))),
            Self::Skaffold { file } => piped(format!("skaffold render -f {}", shell_word(file))),
            Self::Jsonnet { file } => piped(format!("jsonnet {}", shell_word(file))),
            Self::Cdk { folder } => format!(
                "synthesize it first: `cd {} && cdk synth`, then import the templates in `cdk.out`",
                shell_word(folder)
            ),
            Self::Placeholders { .. } => "fill it in first, and import the result".to_owned(),
        }
    }
}
