"""The graph `1k` of the bench `boolean` in other tools: trials per second and mean reach.

Runs what is installed of cynetdiff, igraph, networkit, ndlib and networkx, and says what is not.
"""

import random
import sys
import time

MASK = (1 << 64) - 1


class Numbers:
    """splitmix64, as in `benches/common/mod.rs`."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, limit):
        return self.next() % max(limit, 1)

    def unit(self):
        return (self.next() >> 11) * 2.0**-53


def cascade(services, degree, back):
    """Edges from what is called to its caller, with the chance that failure crosses."""
    numbers = Numbers(11)
    per_layer = -(-services // 12)
    edges = []
    for caller in range(services):
        layer = caller // per_layer
        called = set()
        for _ in range(degree):
            if numbers.unit() < back:
                on = numbers.below(services)
            else:
                further = 0 if numbers.unit() < 0.7 else numbers.below(3)
                first = (layer + 1 + further) * per_layer
                if first >= services:
                    continue
                count = min(per_layer, services - first)
                on = first + min(int(count * numbers.unit() ** 5.0), count - 1)
            if on != caller and on not in called:
                called.add(on)
                spread = 0.2 * (numbers.below(1 << 20) / 1048576.0)
                edges.append((on, caller, 0.1 + spread))
    return edges, (services - 1) // per_layer * per_layer


def search(neighbours, origin):
    """One trial over lists of (caller, chance)."""
    seen = {origin}
    stack = [origin]
    while stack:
        for caller, chance in neighbours(stack.pop()):
            if caller not in seen and random.random() < chance:
                seen.add(caller)
                stack.append(caller)
    return len(seen)


def with_cynetdiff(services, edges, origin, trials):
    import networkx
    from cynetdiff.utils import networkx_to_ic_model

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(services))
    for called, caller, chance in edges:
        graph.add_edge(called, caller, activation_prob=chance)
    made = networkx_to_ic_model(graph)
    model = made[0] if isinstance(made, tuple) else made
    model.set_seeds([origin])

    def run():
        reached = 0
        for _ in range(trials):
            model.reset_model()
            model.advance_until_completion()
            reached += model.get_num_activated_nodes()
        return reached

    return run


def with_igraph(services, edges, origin, trials):
    import igraph

    pairs = [(called, caller) for called, caller, _ in edges]

    def run():
        reached = 0
        for _ in range(trials):
            open_ones = [pair for pair, edge in zip(pairs, edges) if random.random() < edge[2]]
            graph = igraph.Graph(n=services, edges=open_ones, directed=True)
            reached += len(graph.subcomponent(origin, mode="out"))
        return reached

    return run


def with_networkit(services, edges, origin, trials):
    import networkit

    def run():
        reached = 0
        for _ in range(trials):
            graph = networkit.Graph(services, directed=True)
            for called, caller, chance in edges:
                if random.random() < chance:
                    graph.addEdge(called, caller)
            found = networkit.distance.BFS(graph, origin, storePaths=False)
            found.run()
            reached += found.getReachableNodes() if hasattr(found, "getReachableNodes") else sum(
                1 for distance in found.getDistances() if distance < services
            )
        return reached

    return run


def with_networkx(services, edges, origin, trials):
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(services))
    graph.add_weighted_edges_from(edges, weight="chance")

    def neighbours(node):
        return ((caller, data["chance"]) for caller, data in graph.adj[node].items())

    return lambda: sum(search(neighbours, origin) for _ in range(trials))


def with_ndlib(services, edges, origin, trials):
    import networkx
    import ndlib.models.ModelConfig as configuration
    import ndlib.models.epidemics as epidemics

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(services))
    graph.add_edges_from((called, caller) for called, caller, _ in edges)
    config = configuration.Configuration()
    config.add_model_initial_configuration("Infected", [origin])
    for called, caller, chance in edges:
        config.add_edge_configuration("threshold", (called, caller), chance)

    def run():
        reached = 0
        for _ in range(trials):
            model = epidemics.IndependentCascadesModel(graph)
            model.set_initial_status(config)
            counts = model.iteration(node_status=False)["node_count"]
            while counts[1] > 0:
                counts = model.iteration(node_status=False)["node_count"]
            reached += counts[2]
        return reached

    return run


TOOLS = [
    ("cynetdiff", with_cynetdiff, 100_000),
    ("igraph", with_igraph, 2_000),
    ("networkit", with_networkit, 500),
    ("ndlib", with_ndlib, 200),
    ("networkx", with_networkx, 1_000),
]


def main():
    services = 1_000
    edges, origin = cascade(services, 5, 0.002)
    print(f"{services} services, {len(edges)} dependencies")
    for name, prepare, trials in TOOLS:
        try:
            run = prepare(services, edges, origin, trials)
        except ImportError as error:
            print(f"{name:12} not installed ({error.name})")
            continue
        started = time.perf_counter()
        reached = run()
        seconds = time.perf_counter() - started
        print(f"{name:12} {trials / seconds:12.0f} trials/s, reach {reached / trials:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
