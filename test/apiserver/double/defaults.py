# SPDX-License-Identifier: Apache-2.0
"""What the real server fills in when an object is written: as much of it as clients of the tests can notice."""
import ipaddress

from . import kinds

SERVICE_BLOCKS = {"IPv4": ipaddress.ip_network("10.96.0.0/16"), "IPv6": ipaddress.ip_network("fd00:10:96::/112")}


def fill_in(kind, thing, store):
    """Changes `thing`, which nobody else holds yet."""
    filler = {"Namespace": _namespace, "Pod": _pod, "NetworkPolicy": _network_policy, "EndpointSlice": _slice,
              "CustomResourceDefinition": _definition, "Deployment": _workload, "DaemonSet": _workload,
              "ReplicaSet": _workload, "StatefulSet": _workload}.get(kind.kind)
    if kind.custom:
        return
    if filler:
        filler(thing)
    elif kind.kind == "Service":
        _service(thing, store)


def _namespace(thing):
    labels = thing["metadata"].setdefault("labels", {})
    labels.setdefault("kubernetes.io/metadata.name", thing["metadata"]["name"])
    thing.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    thing.setdefault("status", {}).setdefault("phase", "Active")


def _pod(thing):
    _pod_spec(thing["spec"])
    thing["spec"].setdefault("serviceAccountName", "default")
    thing.setdefault("status", {}).setdefault("phase", "Pending")


def _pod_spec(spec):
    for field, value in (("restartPolicy", "Always"), ("dnsPolicy", "ClusterFirst"), ("schedulerName",
                         "default-scheduler"), ("terminationGracePeriodSeconds", 30), ("securityContext", {})):
        spec.setdefault(field, value)
    for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
        container.setdefault("resources", {})
        container.setdefault("imagePullPolicy", "IfNotPresent")
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
            if spec.get("hostNetwork"):
                port.setdefault("hostPort", port.get("containerPort"))


def _workload(thing):
    spec = thing["spec"]
    if thing["kind"] != "DaemonSet":
        spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _network_policy(thing):
    spec = thing.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
    for rule in (spec.get("ingress") or []) + (spec.get("egress") or []):
        for port in rule.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _slice(thing):
    for port in thing.get("ports") or []:
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _definition(thing):
    spec = thing["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    spec.setdefault("conversion", {"strategy": "None"})
    when = thing["metadata"].get("creationTimestamp")
    thing["status"] = {
        "acceptedNames": dict(names),
        "conditions": [{"type": kind, "status": "True", "reason": reason, "message": message,
                        "lastTransitionTime": when}
                       for kind, reason, message in (("NamesAccepted", "NoConflicts", "no conflicts found"),
                                                     ("Established", "InitialNamesAccepted",
                                                      "the initial names have been accepted"))],
        "storedVersions": [version["name"] for version in spec["versions"] if version.get("storage")]}


def _service(thing, store):
    spec = thing["spec"]
    for field, value in (("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")):
        spec.setdefault(field, value)
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    thing.setdefault("status", {}).setdefault("loadBalancer", {})
    if spec["type"] == "ExternalName":
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    given = [address for address in spec.get("clusterIPs") or [] if address != "None"]
    families = spec.setdefault("ipFamilies", ["IPv6" if ":" in each else "IPv4" for each in given] or ["IPv4"])
    policy = spec.setdefault("ipFamilyPolicy", "SingleStack" if len(families) == 1 else "RequireDualStack")
    if policy != "SingleStack" and len(families) == 1:
        families.append("IPv6" if families[0] == "IPv4" else "IPv4")
    if spec.get("clusterIP") == "None":
        return
    for family in families[len(given):]:
        given.append(_free_address(family, store))
    spec["clusterIP"], spec["clusterIPs"] = given[0], given


def _free_address(family, store):
    """The lowest address of the block that no Service has. Callers hold the store's lock."""
    taken = {address for key, stored in store.collection(("", "services")).in_order()
             for address in stored.object["spec"].get("clusterIPs") or []}
    return next(str(address) for address in SERVICE_BLOCKS[family].hosts() if str(address) not in taken)


def bootstrap():
    """The objects a cluster has from its start, as (kind, object)."""
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    discovery = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                 "/version", "/version/"]
    public = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
    reviews = {"apiGroups": ["authorization.k8s.io"], "resources": [kinds.ACCESS_REVIEW.plural], "verbs": ["create"]}
    signed_in, nobody = "system:authenticated", "system:unauthenticated"
    for name, rules, groups in (
            ("cluster-admin", everything, ["system:masters"]),
            ("system:basic-user", [reviews], [signed_in]),
            ("system:discovery", [{"nonResourceURLs": discovery, "verbs": ["get"]}], [signed_in]),
            ("system:public-info-viewer", [{"nonResourceURLs": public, "verbs": ["get"]}], [signed_in, nobody])):
        yield {"apiVersion": kinds.RBAC + "/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
        yield {"apiVersion": kinds.RBAC + "/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
               "roleRef": {"apiGroup": kinds.RBAC, "kind": "ClusterRole", "name": name},
               "subjects": [{"apiGroup": kinds.RBAC, "kind": "Group", "name": group} for group in groups]}
