//! Flows that Hubble (Cilium) observed: what `hubble observe -o json` prints, one on each line.
//!
//! A flow is packets and no request: it tells who talks to whom, and in which direction, but no shares.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::traces::{LooseNumber, each_value};
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::graph::measurements::SeenAnswers;
use crate::import::{Format, Input, not_of};
use crate::model::topology::Evidence;

/// The port at which names are asked for.
const DNS_PORT: u32 = 53;

/// Ports below are those of servers, as far as packets tell.
const SERVER_PORTS: u32 = 32_768;

#[derive(Default, Deserialize)]
struct ObservedFlow<'a> {
    /// Newer versions wrap what older ones print by itself.
    #[serde(borrow, default)]
    flow: Option<Box<Self>>,
    #[serde(borrow, default)]
    verdict: Cow<'a, str>,
    #[serde(borrow, default)]
    source: Option<FlowEnd<'a>>,
    #[serde(borrow, default)]
    destination: Option<FlowEnd<'a>>,
    #[serde(default)]
    l4: Option<Transport>,
    #[serde(default)]
    is_reply: Option<bool>,
    #[serde(default)]
    reply: Option<bool>,
    #[serde(borrow, default)]
    destination_names: Vec<Cow<'a, str>>,
    /// The request or the answer that the packets are part of, where a policy makes the proxy look.
    #[serde(borrow, default)]
    l7: Option<ObservedAnswer<'a>>,
}

#[derive(Deserialize)]
struct ObservedAnswer<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    latency_ns: LooseNumber,
    #[serde(default)]
    http: Option<HttpAnswer>,
}

#[derive(Deserialize)]
struct HttpAnswer {
    #[serde(default)]
    code: LooseNumber,
}

#[derive(Deserialize)]
struct FlowEnd<'a> {
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    pod_name: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    workloads: Vec<HubbleWorkload<'a>>,
}

#[derive(Deserialize)]
struct HubbleWorkload<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Transport {
    #[serde(default, rename = "TCP")]
    tcp: Option<FlowPorts>,
    #[serde(default, rename = "UDP")]
    udp: Option<FlowPorts>,
}

#[derive(Clone, Copy, Deserialize)]
struct FlowPorts {
    #[serde(default)]
    source_port: u32,
    #[serde(default)]
    destination_port: u32,
}

/// The party at an end of a flow.
enum FlowParty {
    Service(String),
    /// Outside of the cluster.
    World,
    /// Nodes, probes, and what nothing is known of.
    Unknown,
}

/// Reads flows.
pub(crate) fn read_flows(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let path = input.files.first().cloned().unwrap_or_default();
    let (mut flows, mut dropped) = (0_u64, 0_u64);
    let mut pairs: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut answers: BTreeMap<String, SeenAnswers> = BTreeMap::new();
    each_value(Format::Hubble, input, graph, |bytes, graph| {
        let lines: Vec<ObservedFlow<'_>> = if bytes.starts_with(b"[") {
            serde_json::from_slice(bytes)?
        } else {
            vec![serde_json::from_slice(bytes)?]
        };
        for mut line in lines {
            let flow = match line.flow.take() {
                Some(flow) => *flow,
                None => line,
            };
            // Files of flows hold other events as well, such as lost ones and those of agents.
            flows += u64::from(flow.source.is_some() && flow.destination.is_some());
            // What a policy forbids does not work today, so nothing can depend on it.
            if matches!(&*flow.verdict, "DROPPED" | "ERROR") {
                dropped += 1;
            } else {
                add_flow(&flow, &mut pairs, graph);
                add_answer(&flow, &mut answers);
            }
        }
        Ok(())
    })?;
    if flows == 0 {
        let expected = "it holds no flow with `source` and `destination`";
        return Err(not_of(Format::Hubble, &path, expected));
    }
    for ((caller, callee), count) in pairs {
        for name in [&caller, &callee] {
            if let Some((_, short)) = name.split_once('/') {
                graph.note_short_name(name, short);
            }
        }
        let noun = if count == 1 { "flow" } else { "flows" };
        let source = format!("{path}: {count} {noun}");
        graph.depend_on(&caller, &callee, Evidence::Observed, source);
    }
    for (name, seen) in &answers {
        graph.service_or_new(name).note_answers(seen, None, &path);
    }
    if dropped > 0 {
        graph.remarks.push(format!(
            "{dropped} flows were dropped by policies or errors; no dependency was made of them."
        ));
    }
    Ok(())
}

/// Takes the answer of a service that a flow carries.
fn add_answer(flow: &ObservedFlow<'_>, answers: &mut BTreeMap<String, SeenAnswers>) {
    // The answer comes from the source of its flow, since it travels back to the caller.
    let (Some(answer), Some(source)) = (&flow.l7, &flow.source) else { return };
    let FlowParty::Service(name) = flow_party(source) else { return };
    // Requests have no latency yet: Hubble gives it with the answer.
    if answer.kind != "RESPONSE" {
        return;
    }
    let code = answer.http.as_ref().and_then(|http| http.code.0);
    let is_failed = code.is_some_and(|code| code >= 500);
    answers.entry(name).or_default().add_answer(answer.latency_ns.0, is_failed);
}

fn add_flow(
    flow: &ObservedFlow<'_>,
    pairs: &mut BTreeMap<(String, String), u64>,
    graph: &mut EvidenceGraph,
) {
    let (Some(source), Some(destination)) = (&flow.source, &flow.destination) else { return };
    let ports = flow.l4.as_ref().and_then(|l4| l4.tcp.or(l4.udp));
    // Everything asks for names, so an edge to DNS would connect all services with each other.
    if is_reply(flow, ports) || ports.is_some_and(|ports| ports.destination_port == DNS_PORT) {
        return;
    }
    match (flow_party(source), flow_party(destination)) {
        (FlowParty::Service(caller), FlowParty::Service(callee)) => {
            *pairs.entry((caller, callee)).or_default() += 1;
        }
        (FlowParty::World, FlowParty::Service(callee)) => {
            graph.service_or_new(&callee).is_entry = true;
        }
        (FlowParty::Service(caller), FlowParty::World) => {
            // Without a name it is an address, which says nothing of who is asked.
            if let Some(name) = flow.destination_names.first() {
                let name = name.trim_end_matches('.').to_owned();
                graph.service_or_new(&name).kind.get_or_insert_with(|| "external".to_owned());
                *pairs.entry((caller, name)).or_default() += 1;
            } else {
                graph.service_or_new(&caller);
            }
        }
        // The other end may be a node or a probe, of which nobody can say what it needs.
        (FlowParty::Service(only), FlowParty::Unknown)
        | (FlowParty::Unknown, FlowParty::Service(only)) => {
            graph.service_or_new(&only);
        }
        _ => {}
    }
}

/// Returns whether a flow goes back to who began.
fn is_reply(flow: &ObservedFlow<'_>, ports: Option<FlowPorts>) -> bool {
    if let Some(is_reply) = flow.is_reply.or(flow.reply) {
        return is_reply;
    }
    // Not said: what comes from the port of a server goes back.
    ports.is_some_and(|ports| {
        ports.source_port < SERVER_PORTS && ports.destination_port >= SERVER_PORTS
    })
}

fn flow_party(end: &FlowEnd<'_>) -> FlowParty {
    let label = |key: &str| {
        let labels = end.labels.iter();
        labels.filter_map(|label| label.split_once('=')).find_map(|(name, value)| {
            // Hubble puts the source of a label before it: `k8s:app=cart`.
            let name = name.split_once(':').map_or(name, |(_, name)| name);
            (name == key).then_some(value)
        })
    };
    let workload =
        end.workloads.iter().map(|workload| &*workload.name).find(|name| !name.is_empty());
    // Labels are less exact than the owner of the pod, but older versions of Hubble know only them.
    let labelled = ["app.kubernetes.io/name", "k8s-app", "app"].into_iter().find_map(label);
    let pod = Some(workload_of(&end.pod_name)).filter(|name| !name.is_empty());
    if let Some(name) = workload.or(labelled).or(pod) {
        let namespace = if end.namespace.is_empty() {
            label("io.kubernetes.pod.namespace").unwrap_or_default()
        } else {
            &*end.namespace
        };
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        return FlowParty::Service(format!("{prefix}{name}"));
    }
    let is = |word: &str| end.labels.iter().any(|label| *label == word);
    if is("reserved:world")
        // Ingress stands for callers outside of the cluster whose requests the proxy of Cilium
        // forwards.
        || is("reserved:world-ipv4")
        || is("reserved:world-ipv6")
        || is("reserved:ingress")
    {
        FlowParty::World
    } else {
        FlowParty::Unknown
    }
}

/// Returns the workload that a pod is called after: `store` of `store-7d9f5c-abcde`.
fn workload_of(pod: &str) -> &str {
    let is_hash = |part: &str| {
        // Kubernetes draws five characters for a pod and up to ten for its replica set.
        (5..=10).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match pod.rsplit_once('-') {
        Some((base, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => base,
        Some((base, last)) if is_hash(last) => match base.rsplit_once('-') {
            // Words such as `cart-store` look like hashes as well; those of replica sets nearly
            // always hold a digit.
            Some((base, hash)) if is_hash(hash) && hash.bytes().any(|b| b.is_ascii_digit()) => base,
            _ => base,
        },
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_called_after_their_workload() {
        assert_eq!(workload_of("store-7d9f5c-abcde"), "store");
        assert_eq!(workload_of("big-store-7d9f5c8b9-x2x4z"), "big-store");
        assert_eq!(workload_of("ledger-0"), "ledger");
        assert_eq!(workload_of("agent-x7k2p"), "agent");
        assert_eq!(workload_of("store"), "store");
    }
}
