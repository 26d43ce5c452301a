# SPDX-License-Identifier: Apache-2.0
"""Pods become Deployments and StatefulSets of one replica; a pod whose address is spoken of stays a Pod."""
import ipaddress

from model import (NoTwin, Twin, address_or_none, deleted_key, glob_matches, key_of, lines_of, literals_of,
                   networks_of, objects_of, spec_of, status_of, steps_of, written_addresses)

ASSIGNED = {4: ipaddress.ip_network("10.244.0.0/16"), 6: ipaddress.ip_network("fd00::/8")}
KINDS = ("Deployment", "StatefulSet")


def make(document, rng):
    versions = {}  # every Pod object of a key, over all steps
    for thing in objects_of(document):
        if thing["kind"] == "Pod":
            versions.setdefault(key_of(thing), []).append(thing)
    if not versions:
        raise NoTwin("no Pod object")
    stays = {key: why_it_stays(document, pods) for key, pods in versions.items()}
    shared_addresses_stay(versions, stays)
    wrapped = {key for key, why in stays.items() if why is None}
    wrapped -= colliding(document, versions, wrapped)
    left = len(versions) - len(wrapped)
    if not wrapped:
        reasons = sorted({why for why in stays.values() if why})
        raise NoTwin("no pod can be wrapped: " + " and ".join(reasons or ["a name is taken"]))
    kinds = {key: rng.choice(KINDS) for key in sorted(wrapped)}
    names = Names(versions, wrapped)
    for step in steps_of(document):
        step["apply"] = [wrap(each, kinds.get(key_of(each))) for each in step["apply"]]
        for reference in step.get("delete") or []:
            reference["kind"] = kinds.get(deleted_key(reference), reference["kind"])
        for line in lines_of(step):
            for end in ("from", "to"):
                line[end] = names.adapted(line[end])
    return Twin(document, end=names.back, notes={"pods wrapped": len(wrapped), "pods left": left})


def why_it_stays(document, pods):
    """None: a replica with any address would do in this pod's place."""
    dual = document["spec"].get("ipFamily") == "DualStack"
    addresses = {tuple(written_addresses(pod)) for pod in pods}
    for pod in pods:
        status = status_of(pod)
        if spec_of(pod).get("hostNetwork"):
            return "hostNetwork"
        if status.get("podIP") == "" or status.get("conditions") or status.get("phase", "Running") != "Running":
            return "a status that a template cannot say"
        if dual and written_addresses(pod):
            return "addresses of chosen families"
    if len(addresses) > 1:
        return "its address changes"
    written = [each for some in addresses for each in some]
    if any(each in literals_of(document) for each in written):
        return "its address is written elsewhere"
    networks = [each for each in networks_of(document) if each.prefixlen > 0]
    if written and any(each.overlaps(ASSIGNED[each.version]) for each in networks):
        return "a block over assigned addresses"
    if any(each in network for each in written for network in networks if each.version == network.version):
        return "its address is in a block"
    return None


def shared_addresses_stay(versions, stays):
    """An address that two pods have one after the other is the point of the story."""
    owners = {}
    for key, pods in versions.items():
        for address in {each for pod in pods for each in written_addresses(pod)}:
            owners.setdefault(address, set()).add(key)
    for keys in owners.values():
        for key in keys if len(keys) > 1 else ():
            stays[key] = stays[key] or "its address is another pod's too"


def colliding(document, versions, wrapped):
    """Pods whose replica, or whose workload, would take a name that is in use."""
    taken = {(key[1], key[2]) for key in versions if key not in wrapped}
    for thing in objects_of(document):
        _, namespace, name = key_of(thing)
        if thing["kind"] in KINDS + ("DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"):
            taken.add((namespace, name))
            taken.update((namespace, "%s-%d" % (name, i)) for i in range(16))
    return {key for key in wrapped if (key[1], key[2] + "-0") in taken or (key[1], key[2]) in taken}


def wrap(thing, kind):
    if kind is None:
        return thing
    metadata = thing["metadata"]
    labels = metadata.get("labels") or {}
    template = {"metadata": {"labels": labels}, "spec": thing["spec"]}
    if metadata.get("annotations"):
        template["metadata"]["annotations"] = metadata["annotations"]
    return {"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": metadata["name"], "namespace": metadata.get("namespace") or "default",
                         "labels": {"wrapped": "here"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}


class Names:
    """`ns/pod` of the original and `ns/pod-0` of the twin, for exact names and for globs."""

    def __init__(self, versions, wrapped):
        self.new = {}
        for kind, namespace, name in versions:
            old = "%s/%s" % (namespace, name)
            self.new[old] = old + "-0" if (kind, namespace, name) in wrapped else old
        self.old = {new: old for old, new in self.new.items()}

    def back(self, text):
        return self.old.get(text, text)

    def adapted(self, text):
        if ":" in text or "/" not in text or address_or_none(text):
            return text
        if "*" not in text:
            return self.new.get(text, text)
        wanted = {new for old, new in self.new.items() if glob_matches(text, old)}
        for pattern in (text, text + "-0"):
            if {new for new in self.old if glob_matches(pattern, new)} == wanted:
                return pattern
        raise NoTwin("a glob that no other glob stands for")
