# SPDX-License-Identifier: Apache-2.0
"""Refusals (422) of broken objects: names of every kind, and NetworkPolicy, Pod and CustomResourceDefinition."""
import ipaddress
import re

from .errors import invalid, invalid_value, not_supported, required

SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
PORT_NAME = re.compile(r"^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$")
PROTECTED_GROUP = re.compile(r"(^|\.)(k8s|kubernetes)\.io$")
FREE_NAMES = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
SUBDOMAIN_TEXT = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                  "must start and end with an alphanumeric character")


def check(kind, thing, schema_causes=()):
    """Raises the 422 that lists everything wrong with the object, in its own group and kind."""
    name = thing["metadata"].get("name", "")
    causes = list(schema_causes)
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    elif kind.kind in FREE_NAMES:
        if "/" in name or "%" in name:
            causes.append(invalid_value("metadata.name", name, "may not contain '/' or '%'"))
    elif len(name) > 253 or not SUBDOMAIN.match(name):
        causes.append(invalid_value("metadata.name", name, SUBDOMAIN_TEXT))
    own = {"NetworkPolicy": _network_policy, "Pod": _pod, "CustomResourceDefinition": _definition}.get(kind.kind)
    if own and not kind.custom:
        causes.extend(own(thing))
    if causes:
        raise invalid(kind.group, kind.kind, name, causes)


def _pod(thing):
    containers = (thing.get("spec") or {}).get("containers")
    if not containers:
        yield required("spec.containers")
    for number, container in enumerate(containers or []):
        if not container.get("name"):
            yield required("spec.containers[%d].name" % number)


def _definition(thing):
    spec, name = thing.get("spec") or {}, thing["metadata"].get("name")
    names = spec.get("names") or {}
    missing = [field for field, held in (("spec.group", spec.get("group")), ("spec.scope", spec.get("scope")),
                                         ("spec.names.plural", names.get("plural")),
                                         ("spec.names.kind", names.get("kind")),
                                         ("spec.versions", spec.get("versions"))) if not held]
    yield from (required(field) for field in missing)
    if not missing and name != names["plural"] + "." + spec["group"]:
        yield invalid_value("metadata.name", name, "must be spec.names.plural+\".\"+spec.group")
    approval = (thing["metadata"].get("annotations") or {}).get("api-approved.kubernetes.io", "")
    if PROTECTED_GROUP.search(spec.get("group") or "") and not approval.startswith(("unapproved", "https://", "http://")):
        where, why = "metadata.annotations[api-approved.kubernetes.io]", "protected groups must have approval annotation"
        yield invalid_value(where, approval, why) if approval else required(where, why)
    if spec.get("versions") and sum(bool(version.get("storage")) for version in spec["versions"]) != 1:
        yield invalid_value("spec.versions", "versions", "must have exactly one version marked as storage version")
    for number, version in enumerate(spec.get("versions") or []):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required("spec.versions[%d].schema.openAPIV3Schema" % number, "schemas are required")


def _network_policy(thing):
    spec = thing.get("spec") or {}
    for number, each in enumerate(spec.get("policyTypes") or []):
        if each not in ("Ingress", "Egress"):
            yield not_supported("spec.policyTypes[%d]" % number, each, ["Ingress", "Egress"])
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction) or []):
            where = "spec.%s[%d]" % (direction, number)
            for index, port in enumerate(rule.get("ports") or []):
                yield from _port(port, "%s.ports[%d]" % (where, index))
            for index, peer in enumerate(rule.get(peers) or []):
                yield from _peer(peer, "%s.%s[%d]" % (where, peers, index))


def _port(port, where):
    value, end = port.get("port"), port.get("endPort")
    if port.get("protocol", "TCP") not in ("TCP", "UDP", "SCTP"):
        yield not_supported(where + ".protocol", port["protocol"], ["TCP", "UDP", "SCTP"])
    if isinstance(value, int) and not 1 <= value <= 65535:
        yield invalid_value(where + ".port", value, "must be between 1 and 65535, inclusive")
    if isinstance(value, str) and not PORT_NAME.match(value):
        yield invalid_value(where + ".port", value, "must be a name of at most 15 lower case letters, digits and '-'")
    if end is None:
        return
    if value is None or isinstance(value, str):
        yield invalid_value(where + ".endPort", end, "may not be specified when `port` is not specified as a number")
    elif end < value:
        yield invalid_value(where + ".endPort", end, "must be greater than or equal to `port`")


def _peer(peer, where):
    chosen = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    if not chosen:
        yield required(where, "must specify a peer")
    if "ipBlock" not in chosen:
        return
    if len(chosen) > 1:
        yield {"reason": "FieldValueForbidden", "field": where,
               "message": "Forbidden: may not specify both ipBlock and another peer"}
    block = peer["ipBlock"]
    try:
        network = ipaddress.ip_network(block.get("cidr", ""), strict=False)
    except ValueError:
        yield invalid_value(where + ".ipBlock.cidr", block.get("cidr", ""), "must be a valid CIDR value")
        return
    for number, text in enumerate(block.get("except") or []):
        field = "%s.ipBlock.except[%d]" % (where, number)
        try:
            hole = ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield invalid_value(field, text, "must be a valid CIDR value")
            continue
        if hole.version != network.version or not hole.subnet_of(network) or hole == network:
            yield invalid_value(field, text, "must be a strict subset of `cidr`")
