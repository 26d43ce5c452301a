# SPDX-License-Identifier: Apache-2.0
"""A scenario as plain lists and mappings, and what every kind of twin asks of it."""
import ipaddress
import json
import os
import re

import yaml


class NoTwin(Exception):
    """This scenario has no twin of the kind; the text is the reason, counted in the report."""


class Twin:
    """A document, and the way back: from its steps and ends to those of the original."""

    def __init__(self, document, steps=None, end=None, notes=None):
        self.document = document
        self.steps = steps  # for each step of the twin, the original's step or None; without it: the same
        self.end = end or (lambda text: text)
        self.notes = notes or {}  # counts that the report adds up


class _Yaml12(yaml.CSafeLoader):
    """YAML 1.2's core schema: `yes`, `on`, `1:30` and `0777` are not what YAML 1.1 makes of them."""

    yaml_implicit_resolvers = {}


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Yaml12.add_implicit_resolver("tag:yaml.org,2002:" + _tag, re.compile(_pattern), list(_first))


def _int(loader, node):
    text = loader.construct_scalar(node)
    return int(text, 8) if text.startswith("0o") else int(text, 16) if text.startswith("0x") else int(text)


_Yaml12.add_constructor("tag:yaml.org,2002:int", _int)


def load(path):
    """The scenario of a file; the manifests it names stand in front of its first step's objects."""
    with open(path, encoding="utf-8") as file:
        document = yaml.load(file, Loader=_Yaml12)
    manifests = document["spec"].pop("manifests", None) or []
    objects = []
    for name in manifests:
        with open(os.path.join(os.path.dirname(path), name), encoding="utf-8") as file:
            objects += [each for each in yaml.load_all(file, Loader=_Yaml12) if each]
    steps = document["spec"]["steps"]
    if objects and steps[0].get("delete"):
        steps.insert(0, {"name": "manifests", "apply": objects})
    elif objects:
        steps[0]["apply"] = objects + (steps[0].get("apply") or [])
    for step in steps:
        step["apply"] = list(_unpacked(step.get("apply") or []))
    return document


def _unpacked(objects):
    for each in objects:
        if each.get("kind") == "List":
            yield from _unpacked(each.get("items") or [])
        else:
            yield each


def text_of(document):
    """What is written to a twin's file: JSON, which is YAML."""
    return json.dumps(document, indent=1, ensure_ascii=False)


def steps_of(document):
    return document["spec"]["steps"]


def objects_of(document):
    return [each for step in steps_of(document) for each in step["apply"]]


def lines_of(step):
    """Everything that names a from and a to."""
    lines = list(step.get("probes") or []) + list(step.get("packets") or [])
    for packet in step.get("packets") or []:
        quoted = (packet.get("icmp") or {}).get("quotes")
        if quoted:
            lines.append(quoted)
    return lines


CLUSTER_POLICIES = ("ClusterNetworkPolicy", "ClusterNetworkPolicy.networking.k8s.aws", "AdminNetworkPolicy",
                    "BaselineAdminNetworkPolicy")
CLUSTER_WIDE = ("Namespace", "Node", "ClusterPolicyEndpoint") + CLUSTER_POLICIES


def kind_of(thing):
    """As a delete calls it: two groups have a ClusterNetworkPolicy."""
    group = "." + thing["apiVersion"].split("/")[0]
    return thing["kind"] + (group if thing["kind"] + group in CLUSTER_POLICIES else "")


def key_of(thing):
    metadata = thing.get("metadata") or {}
    namespace = "" if thing["kind"] in CLUSTER_WIDE else metadata.get("namespace") or "default"
    return (kind_of(thing), namespace, metadata["name"])


def deleted_key(reference):
    namespaced = reference["kind"] not in CLUSTER_WIDE
    return (reference["kind"], (reference.get("namespace") or "default") if namespaced else "",
            reference["name"])


def spec_of(thing):
    return thing.get("spec") or {}


def status_of(thing):
    return thing.get("status") or {}


def policies_of(document):
    return [each for each in objects_of(document) if each["kind"] == "NetworkPolicy"]


def cluster_policies_of(document):
    return [each for each in objects_of(document) if kind_of(each) in CLUSTER_POLICIES]


def cluster_peers_of(policy):
    """The subject and every peer of a policy of the cluster."""
    yield spec_of(policy)["subject"]
    for rule, peers in rules_of(policy):
        yield from rule.get(peers) or []


def cluster_selectors_of(peer):
    """Pairs of a selector and whether it is one of namespaces."""
    yield peer.get("namespaces") or {}, True
    yield (peer.get("pods") or {}).get("namespaceSelector") or {}, True
    yield (peer.get("pods") or {}).get("podSelector") or {}, False
    yield peer.get("nodes") or {}, False


def slices_of(document):
    return [each for each in objects_of(document) if each["kind"] == "PolicyEndpoint"]


def cluster_slices_of(document):
    return [each for each in objects_of(document) if each["kind"] == "ClusterPolicyEndpoint"]


def infos_of(piece):
    """Every entry of a PolicyEndpoint or ClusterPolicyEndpoint."""
    for direction in ("ingress", "egress"):
        yield from spec_of(piece).get(direction) or []


def rules_of(policy):
    """Pairs of a rule and the key of its peers."""
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec_of(policy).get(direction) or []:
            yield rule, peers


def blocks_of(document):
    """Every ipBlock mapping, and every entry of a slice that has a cidr like one."""
    for policy in policies_of(document):
        for rule, peers in rules_of(policy):
            for peer in rule.get(peers) or []:
                if peer.get("ipBlock"):
                    yield peer["ipBlock"]
    for piece in slices_of(document) + cluster_slices_of(document):
        yield from (info for info in infos_of(piece) if info.get("cidr"))


def networks_of(document):
    for block in blocks_of(document):
        for text in [block["cidr"]] + list(block.get("except") or []):
            yield ipaddress.ip_network(text, strict=False)
    for policy in cluster_policies_of(document):
        for peer in cluster_peers_of(policy):
            for text in peer.get("networks") or []:
                yield ipaddress.ip_network(text, strict=False)


def address_or_none(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def literals_of(document):
    """Addresses that stand as ends, as packet sources, in EndpointSlices and in lists of selected pods."""
    found = set()
    for piece in slices_of(document) + cluster_slices_of(document):
        for pod in spec_of(piece).get("podSelectorEndpoints") or []:
            found.add(ipaddress.ip_address(pod["podIP"]))
    for step in steps_of(document):
        for line in lines_of(step):
            for key in ("from", "to", "source"):
                address = address_or_none(line.get(key) or "")
                if address:
                    found.add(address)
    for thing in objects_of(document):
        if thing["kind"] == "EndpointSlice":
            for endpoint in thing.get("endpoints") or []:
                found.update(map(ipaddress.ip_address, endpoint.get("addresses") or []))
    return found


def written_addresses(pod):
    status = status_of(pod)
    texts = [entry["ip"] for entry in status.get("podIPs") or []]
    if status.get("podIP") and status["podIP"] not in texts:
        texts.append(status["podIP"])
    return [ipaddress.ip_address(text) for text in texts]


def glob_matches(pattern, text):
    return re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), text) is not None
