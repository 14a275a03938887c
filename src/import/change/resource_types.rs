//! Types and attributes of Terraform resources: what a change of each can break.

use super::draft::{FailureMode, Impact};
use crate::import::formats::terraform::kind_of_type;

/// Role of a resource for the requests of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResourceRole {
    /// It serves requests itself: a program, a database, a queue.
    Serving,
    /// Packets go through it or not: dropped ones leave callers waiting.
    Network,
    /// Callers find the service by it.
    Naming,
    /// It leads requests to the service.
    Routing,
    /// It allows calls.
    Permission,
    /// No request depends on it while it runs.
    NoTraffic,
    /// Not known.
    Other,
}

impl ResourceRole {
    /// Returns how a service breaks where such a resource is wrong.
    pub(super) fn break_of_it(self) -> Impact {
        match self {
            Self::Network => Impact::some_break(FailureMode::Slow),
            Self::Serving
            | Self::Naming
            | Self::Routing
            | Self::Permission
            | Self::NoTraffic
            | Self::Other => Impact::some_break(FailureMode::Down),
        }
    }

    /// Returns why it breaks like that, as a clause.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Network => "a wrong rule drops packets, and callers hang",
            Self::Naming => "a wrong name is not found, and calls fail",
            Self::Routing => "a wrong route refuses requests",
            Self::Permission => "a missing permission refuses calls",
            Self::Serving => "it serves requests",
            Self::NoTraffic => "no request needs it",
            Self::Other => "what it can break is not known by its type",
        }
    }
}

/// Ends of types, behind the provider, by what they do.
const ROLES: [(ResourceRole, &[&str]); 4] = [
    (
        ResourceRole::Network,
        &[
            "security_group",
            "security_group_rule",
            "security_group_ingress_rule",
            "security_group_egress_rule",
            "network_acl",
            "network_acl_rule",
            "route",
            "route_table",
            "route_table_association",
            "nat_gateway",
            "internet_gateway",
            "subnet",
            "vpc",
            "vpc_endpoint",
            "vpc_peering_connection",
            "compute_firewall",
            "compute_network",
            "compute_subnetwork",
            "compute_route",
            "router_nat",
            "network_security_group",
            "network_security_rule",
            "virtual_network",
            "network_policy",
            "network_policy_v1",
            "firewall_policy",
            "firewall_rule_group",
        ],
    ),
    (
        ResourceRole::Naming,
        &[
            "route53_record",
            "route53_zone",
            "dns_record",
            "dns_record_set",
            "dns_managed_zone",
            "dns_a_record",
            "dns_cname_record",
            "dns_zone",
            "service_discovery_service",
            "service_discovery_private_dns_namespace",
        ],
    ),
    (
        ResourceRole::Routing,
        &[
            "lb_listener",
            "lb_listener_rule",
            "lb_target_group",
            "lb_target_group_attachment",
            "alb_listener",
            "alb_listener_rule",
            "alb_target_group",
            "api_gateway_deployment",
            "api_gateway_integration",
            "api_gateway_stage",
            "apigatewayv2_integration",
            "apigatewayv2_route",
            "apigatewayv2_stage",
            "acm_certificate",
            "compute_backend_service",
            "compute_forwarding_rule",
            "compute_health_check",
            "wafv2_web_acl",
            "wafv2_web_acl_association",
            "ingress",
            "ingress_v1",
        ],
    ),
    (
        ResourceRole::Permission,
        &[
            "iam_role",
            "iam_role_policy",
            "iam_role_policy_attachment",
            "iam_policy",
            "iam_user_policy",
            "iam_member",
            "iam_binding",
            "service_account",
            "service_account_v1",
            "role_assignment",
            "key_vault_access_policy",
            "kms_key",
            "kms_key_policy",
            "kms_grant",
            "bucket_policy",
            "queue_policy",
            "lambda_permission",
            "secretsmanager_secret",
            "secretsmanager_secret_version",
            "secret_manager_secret_version",
        ],
    ),
];

/// Types that no request depends on while it runs, by their beginning.
const NO_TRAFFIC: [&str; 22] = [
    "null_resource",
    "terraform_data",
    "random_",
    "local_",
    "time_",
    "archive_",
    "external",
    "aws_cloudwatch_log_",
    "aws_cloudwatch_metric_alarm",
    "aws_cloudwatch_composite_alarm",
    "aws_cloudwatch_dashboard",
    "aws_budgets_",
    "aws_resourcegroups_",
    "google_monitoring_",
    "google_logging_",
    "azurerm_monitor_",
    "datadog_",
    "grafana_",
    "newrelic_",
    "pagerduty_",
    "opsgenie_",
    "github_",
];

/// Returns what resources of a type do.
pub(super) fn role_of_type(kind: &str) -> ResourceRole {
    if NO_TRAFFIC.iter().any(|start| kind.starts_with(start)) {
        return ResourceRole::NoTraffic;
    }
    let behind_provider = kind.split_once('_').map_or(kind, |(_, rest)| rest);
    // Whole words only: `aws_vpc_endpoint_route_table_association` ends as a route does.
    let ends_so = |end: &&str| {
        behind_provider
            .strip_suffix(*end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    };
    let by_end = ROLES.iter().find(|(_, ends)| ends.iter().any(ends_so));
    match by_end {
        Some((role, _)) => *role,
        None if kind_of_type(kind).is_some() => ResourceRole::Serving,
        None => ResourceRole::Other,
    }
}

/// Role of a changed attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttributeRole {
    /// Nothing that runs reads it.
    Label,
    /// How much the resource can serve, as a number.
    Capacity,
    /// Which program runs.
    Program,
    /// It restarts what runs.
    Restart,
    /// Any other setting.
    Setting,
}

const LABELS: [&str; 10] = [
    "tags",
    "tags_all",
    "labels",
    "effective_labels",
    "terraform_labels",
    "description",
    "comment",
    "timeouts",
    "last_modified",
    "last_updated",
];
const CAPACITIES: [&str; 21] = [
    "desired_count",
    "desired_capacity",
    "max_size",
    "max_capacity",
    "max_instance_count",
    "replicas",
    "replica_count",
    "node_count",
    "instance_count",
    "num_cache_nodes",
    "num_node_groups",
    "number_of_broker_nodes",
    "shard_count",
    "read_capacity",
    "write_capacity",
    "memory",
    "memory_size",
    "cpu",
    "iops",
    "reserved_concurrent_executions",
    "provisioned_concurrent_executions",
];
const PROGRAMS: [&str; 12] = [
    "image",
    "image_uri",
    "task_definition",
    "container_definitions",
    "source_code_hash",
    "s3_key",
    "s3_object_version",
    "filename",
    "runtime",
    "handler",
    "template",
    "launch_template",
];
const RESTARTS: [&str; 10] = [
    "instance_class",
    "instance_type",
    "machine_type",
    "node_type",
    "engine_version",
    "parameter_group_name",
    "multi_az",
    "storage_type",
    "database_version",
    "tier",
];

/// Returns what a change of an attribute means.
pub(super) fn attribute_role(name: &str) -> AttributeRole {
    let tables: [(&[&str], AttributeRole); 4] = [
        (&LABELS, AttributeRole::Label),
        (&CAPACITIES, AttributeRole::Capacity),
        (&PROGRAMS, AttributeRole::Program),
        (&RESTARTS, AttributeRole::Restart),
    ];
    let found = tables.iter().find(|(names, _)| names.contains(&name));
    found.map_or(AttributeRole::Setting, |(_, role)| *role)
}
