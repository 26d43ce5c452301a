# SPDX-License-Identifier: Apache-2.0
"""Every namespace gets another name, and another place in the order of names."""
from model import (CLUSTER_WIDE, NoTwin, Twin, address_or_none, cluster_peers_of, cluster_policies_of,
                   cluster_selectors_of, cluster_slices_of, key_of, lines_of, objects_of, policies_of, rules_of,
                   slices_of, spec_of, steps_of)

NAME_LABEL = "kubernetes.io/metadata.name"


def make(document, rng):
    names = sorted(namespaces_of(document))
    if any("*" in pattern and pattern != "*" for pattern in namespace_patterns(document)):
        new = {name: "renamed-" + name for name in names}  # a pattern is renamed like a name
    else:
        numbers = list(range(len(names)))
        rng.shuffle(numbers)
        new = {name: "n%d-%s" % (number, name) for name, number in zip(names, numbers)}
        new["*"] = "*"
    rename = lambda name: new.get(name) or ("renamed-" + name if "*" in name else name)
    for thing in objects_of(document):
        rename_object(thing, rename)
    for policy in policies_of(document):
        for rule, peers in rules_of(policy):
            for peer in rule.get(peers) or []:
                rename_selector(peer.get("namespaceSelector") or {}, rename)
    for policy in cluster_policies_of(document):
        for peer in cluster_peers_of(policy):
            for selector, _ in cluster_selectors_of(peer):
                rename_selector(selector, rename)
    for piece in slices_of(document):
        for each in [spec_of(piece)["policyRef"]] + (spec_of(piece).get("podSelectorEndpoints") or []):
            each["namespace"] = rename(each["namespace"])
    for piece in cluster_slices_of(document):
        for selector, _ in cluster_selectors_of(spec_of(piece).get("subject") or {}):
            rename_selector(selector, rename)
        for pod in spec_of(piece).get("podSelectorEndpoints") or []:
            pod["namespace"] = rename(pod["namespace"])
    for step in steps_of(document):
        for reference in step.get("delete") or []:
            if reference["kind"] == "Namespace":
                reference["name"] = rename(reference["name"])
            elif reference["kind"] not in CLUSTER_WIDE:
                reference["namespace"] = rename(reference.get("namespace") or "default")
        for line in lines_of(step):
            line["from"], line["to"] = renamed_end(line["from"], rename), renamed_end(line["to"], rename)
        for packet in step.get("packets") or []:
            expect = packet.get("expect") or {}
            if "policy" in expect:
                expect["policy"] = renamed_end(expect["policy"], rename)
    old = {after: before for before, after in new.items()}
    return Twin(document, end=lambda text: renamed_end(text, lambda name: old.get(name, name)))


def split_end(text):
    """(prefix, namespace, name) of an end that has a namespace, else None."""
    prefix, rest = ("service:", text[8:]) if text.startswith("service:") else ("", text)
    if text.startswith("node:") or address_or_none(text) or "/" not in rest:
        return None
    namespace, name = rest.split("/", 1)
    return prefix, namespace, name


def renamed_end(text, rename):
    parts = split_end(text)
    return "%s%s/%s" % (parts[0], rename(parts[1]), parts[2]) if parts else text


def namespace_patterns(document):
    ends = [line[end] for step in steps_of(document) for line in lines_of(step) for end in ("from", "to")]
    return {parts[1] for parts in map(split_end, ends) if parts}


def namespaces_of(document):
    found = {pattern for pattern in namespace_patterns(document) if "*" not in pattern}
    for thing in objects_of(document):
        kind, namespace, name = key_of(thing)
        found.add(name if kind == "Namespace" else namespace)
    found.discard("")
    if not found:
        raise NoTwin("no namespace")
    return found


def rename_object(thing, rename):
    metadata = thing["metadata"]
    if thing["kind"] == "Namespace":
        metadata["name"] = rename(metadata["name"])
        labels = metadata.get("labels") or {}
        if NAME_LABEL in labels:
            labels[NAME_LABEL] = rename(labels[NAME_LABEL])
    elif thing["kind"] not in CLUSTER_WIDE:
        metadata["namespace"] = rename(metadata.get("namespace") or "default")


def rename_selector(selector, rename):
    labels = selector.get("matchLabels") or {}
    if NAME_LABEL in labels:
        labels[NAME_LABEL] = rename(labels[NAME_LABEL])
    for expression in selector.get("matchExpressions") or []:
        if expression["key"] == NAME_LABEL and expression.get("values"):
            expression["values"] = [rename(value) for value in expression["values"]]
