# SPDX-License-Identifier: Apache-2.0
"""Every list whose order means nothing is shuffled: objects, rules, peers, ports, labels, blocks."""
from model import (CLUSTER_POLICIES, NoTwin, Twin, cluster_peers_of, cluster_selectors_of, infos_of, key_of, kind_of,
                   objects_of, rules_of, spec_of, steps_of, text_of)


def make(document, rng):
    before = text_of(document)
    rules_are_counted = any("rule" in (packet.get("expect") or {})
                            for step in steps_of(document) for packet in step.get("packets") or [])
    for thing in objects_of(document):
        shuffle_labels(thing, rng)
        if thing["kind"] == "NetworkPolicy":
            shuffle_policy(thing, rng, rules_are_counted)
        elif kind_of(thing) in CLUSTER_POLICIES:
            shuffle_cluster_policy(thing, rng)
        elif thing["kind"] in ("PolicyEndpoint", "ClusterPolicyEndpoint"):
            shuffle_slice(thing, rng)
        elif thing["kind"] == "Service":
            mix(spec_of(thing).get("ports"), rng)
        elif thing["kind"] == "EndpointSlice":
            mix(thing.get("endpoints"), rng)
            mix(thing.get("ports"), rng)
    for step in steps_of(document):
        mix(step.get("delete"), rng)
        step["apply"] = shuffled_objects(step["apply"], rng)
    if text_of(document) == before:
        raise NoTwin("nothing to shuffle")
    return Twin(document)


def mix(items, rng):
    if items:
        rng.shuffle(items)


def shuffled_objects(objects, rng):
    """A later apply of the same object wins, so versions of one object keep their order."""
    order = list(range(len(objects)))
    rng.shuffle(order)
    versions = {}
    for thing in objects:
        versions.setdefault(key_of(thing), []).append(thing)
    waiting = {key: iter(things) for key, things in versions.items()}
    return [next(waiting[key_of(objects[i])]) for i in order]


def shuffle_mapping(mapping, rng):
    if mapping:
        items = list(mapping.items())
        rng.shuffle(items)
        mapping.clear()
        mapping.update(items)


def shuffle_labels(thing, rng):
    shuffle_mapping((thing.get("metadata") or {}).get("labels"), rng)
    template = spec_of(thing).get("template") or {}
    shuffle_mapping((template.get("metadata") or {}).get("labels"), rng)


def shuffle_selector(selector, rng):
    if not selector:
        return
    shuffle_mapping(selector.get("matchLabels"), rng)
    mix(selector.get("matchExpressions"), rng)
    for expression in selector.get("matchExpressions") or []:
        mix(expression.get("values"), rng)


def shuffle_slice(piece, rng):
    """Rules of slices are numbered by their actions and ports, so no order means anything."""
    spec = spec_of(piece)
    shuffle_selector(spec.get("podSelector"), rng)
    for key in ("podIsolation", "podSelectorEndpoints", "ingress", "egress"):
        mix(spec.get(key), rng)
    for info in infos_of(piece):
        mix(info.get("except"), rng)
        mix(info.get("ports"), rng)


def shuffle_cluster_policy(policy, rng):
    """The order of its rules has a meaning, that inside a rule has none."""
    for peer in cluster_peers_of(policy):
        for selector, _ in cluster_selectors_of(peer):
            shuffle_selector(selector, rng)
        mix(peer.get("networks"), rng)
    for rule, peers in rules_of(policy):
        mix(rule.get(peers), rng)
        mix(rule.get("protocols"), rng)
        mix(rule.get("ports"), rng)


def shuffle_policy(policy, rng, rules_are_counted):
    spec = spec_of(policy)
    shuffle_selector(spec.get("podSelector"), rng)
    mix(spec.get("policyTypes"), rng)
    for rule, peers in rules_of(policy):
        mix(rule.get("ports"), rng)
        mix(rule.get(peers), rng)
        for peer in rule.get(peers) or []:
            shuffle_selector(peer.get("podSelector"), rng)
            shuffle_selector(peer.get("namespaceSelector"), rng)
            mix((peer.get("ipBlock") or {}).get("except"), rng)
    if not rules_are_counted:
        mix(spec.get("ingress"), rng)
        mix(spec.get("egress"), rng)
