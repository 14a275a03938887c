//! The formats that can be imported: what each is called, where its knowledge comes from, and how its
//! files are called.

/// The origin of the knowledge in a format: it decides when to distrust the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceOrigin {
    /// Files that start the system.
    Deployment,
    /// Requests that were recorded one by one.
    Requests,
    /// Traffic that was counted or watched.
    Traffic,
    /// A description of a simulated system.
    Simulated,
    /// A person wrote or drew it.
    Written,
}

macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $origin:ident;)+) => {
        /// A format that can be imported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Format {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Format {
            /// All formats, in the order in which they are read.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Returns what the format is called on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            fn origin(self) -> SourceOrigin {
                match self {
                    $(Self::$name => SourceOrigin::$origin,)+
                }
            }
        }
    };
}

formats! {
    /// Docker Compose files, or what `docker compose config --format json` prints.
    Compose = "compose", Deployment;
    /// Rendered Kubernetes manifests.
    Kubernetes = "kubernetes", Deployment;
    /// A Backstage catalog.
    Backstage = "backstage", Written;
    /// OpenTelemetry traces as JSON or lines of JSON.
    Otlp = "otlp", Requests;
    /// Jaeger traces or dependencies.
    Jaeger = "jaeger", Requests;
    /// Zipkin traces or dependencies.
    Zipkin = "zipkin", Requests;
    /// Service graph metrics.
    Prometheus = "prometheus", Requests;
    /// A table of callers and dependencies.
    Csv = "csv", Written;
    /// The same as JSON objects.
    Json = "json", Written;
    /// Graphviz.
    Dot = "dot", Written;
    /// `GraphML`.
    Graphml = "graphml", Written;
    /// Task definitions of Amazon ECS.
    Ecs = "ecs", Deployment;
    /// Templates of AWS `CloudFormation` and SAM.
    Cloudformation = "cloudformation", Deployment;
    /// States and plans of Terraform and `OpenTofu`.
    Terraform = "terraform", Deployment;
    /// Descriptions of services in Datadog's catalog.
    Datadog = "datadog", Written;
    /// Descriptions of services in Cortex.
    Cortex = "cortex", Written;
    /// Descriptions of services in `OpsLevel`.
    Opslevel = "opslevel", Written;
    /// `PlantUML` drawings of components, and C4.
    Plantuml = "plantuml", Written;
    /// Drawings in D2.
    D2 = "d2", Written;
    /// Mermaid drawings, alone or in Markdown.
    Mermaid = "mermaid", Written;
    /// A graph of Kiali.
    Kiali = "kiali", Traffic;
    /// `linkerd viz edges -o json`.
    Linkerd = "linkerd", Traffic;
    /// Flows that Hubble observed.
    Hubble = "hubble", Traffic;
    /// Service graphs and traces of AWS X-Ray.
    Xray = "xray", Requests;
    /// Topologies and traces of Apache `SkyWalking`.
    Skywalking = "skywalking", Requests;
    /// A Structurizr workspace, as JSON or in its own language.
    Structurizr = "structurizr", Written;
    /// A Bering model or snapshot.
    Bering = "bering", Written;
    /// A topology of Isotope.
    Isotope = "isotope", Simulated;
    /// A work model of µBench.
    Mubench = "mubench", Simulated;
    /// A manifest of .NET Aspire.
    Aspire = "aspire", Deployment;
    /// An architecture of Spigo.
    Spigo = "spigo", Simulated;
    /// Applications of NAIS.
    Nais = "nais", Deployment;
    /// Any YAML or JSON, by paths that the user gives.
    Mapping = "mapping", Written;
    /// Objectives in the form of `OpenSLO`.
    Openslo = "openslo", Written;
    /// Objectives of Sloth.
    Sloth = "sloth", Written;
    /// Objectives of Pyrra.
    Pyrra = "pyrra", Written;
}

impl Format {
    /// Returns when to distrust what is imported from the format.
    pub(super) fn caution(self) -> &'static str {
        match self.origin() {
            SourceOrigin::Deployment => {
                "Distrust what is missing: calls in code or in service discovery are not in such files."
            }
            SourceOrigin::Requests => {
                "Distrust what is missing: only journeys that ran while it was recorded are in it."
            }
            SourceOrigin::Traffic => {
                "Distrust what is missing: only traffic of the recorded time is in it."
            }
            SourceOrigin::Simulated => {
                "This describes a simulated system: it is as true as whoever wrote it meant it."
            }
            SourceOrigin::Written => {
                "Distrust what is old: someone wrote it down, and nothing keeps it true."
            }
        }
    }

    /// Returns the endings of file names that are looked for below a directory.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Dot => &[".dot", ".gv"],
            Self::Graphml => &[".graphml", ".xml"],
            Self::Csv => &[".csv", ".tsv"],
            Self::Mermaid => &[".mmd", ".mermaid", ".md", ".markdown", ".mdx"],
            Self::Plantuml => &[".puml", ".plantuml", ".iuml", ".pu", ".wsd", ".md"],
            Self::D2 => &[".d2"],
            Self::Structurizr => &[".dsl", ".json"],
            Self::Terraform => &[".tfstate", ".json"],
            _ => &[".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".dsl", ".prom", ".txt"],
        }
    }
}
