# SPDX-License-Identifier: Apache-2.0
"""Which kinds are served: a fixed table, and whatever CustomResourceDefinitions add and take away."""
import dataclasses
import typing

EVERYTHING = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclasses.dataclass(frozen=True)
class Kind:
    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    short_names: typing.Tuple[str, ...] = ()
    status: bool = False  # has the subresource, and therefore a status that plain writes leave alone
    generation: bool = True  # metadata.generation counts changes of anything but metadata and status
    custom: bool = False
    schema: typing.Optional[dict] = None  # of a custom kind: openAPIV3Schema
    singular: str = ""
    list_kind: str = ""
    verbs: typing.Tuple[str, ...] = EVERYTHING

    @property
    def api_version(self):
        return self.group + "/" + self.version if self.group else self.version

    @property
    def collection(self):
        """Where objects are kept: versions of a kind share it."""
        return (self.group, self.plural)

    @property
    def list_name(self):
        return self.list_kind or self.kind + "List"


def _core(kind, plural, namespaced, *short_names, status=False):
    return Kind("", "v1", kind, plural, namespaced, short_names, status, generation=False)


CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False,
           ("crd", "crds"), True)
NAMESPACE = _core("Namespace", "namespaces", False, "ns", status=True)
ACCESS_REVIEW = Kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False,
                     verbs=("create",))
RBAC = "rbac.authorization.k8s.io"

BUILT_IN = (
    _core("ConfigMap", "configmaps", True, "cm"),
    _core("Endpoints", "endpoints", True, "ep"),
    _core("Event", "events", True, "ev"),
    NAMESPACE,
    _core("Node", "nodes", False, "no", status=True),
    _core("Pod", "pods", True, "po", status=True),
    _core("Secret", "secrets", True),
    _core("Service", "services", True, "svc", status=True),
    _core("ServiceAccount", "serviceaccounts", True, "sa"),
    Kind("apps", "v1", "DaemonSet", "daemonsets", True, ("ds",), True),
    Kind("apps", "v1", "Deployment", "deployments", True, ("deploy",), True),
    Kind("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), True),
    Kind("apps", "v1", "StatefulSet", "statefulsets", True, ("sts",), True),
    Kind("batch", "v1", "CronJob", "cronjobs", True, ("cj",), True),
    Kind("batch", "v1", "Job", "jobs", True, (), True),
    Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",)),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), True),
    Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False, ("pc",)),
    Kind(RBAC, "v1", "ClusterRole", "clusterroles", False, generation=False),
    Kind(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", False, generation=False),
    Kind(RBAC, "v1", "Role", "roles", True, generation=False),
    Kind(RBAC, "v1", "RoleBinding", "rolebindings", True, generation=False),
    ACCESS_REVIEW,
    CRD,
)


class Kinds:
    """The kinds served now. The store's lock guards changes; readers take whole values."""

    def __init__(self):
        self._by_path = {(each.group, each.version, each.plural): each for each in BUILT_IN}

    def served(self):
        """All of them, in the order of the table, custom ones last."""
        return list(self._by_path.values())

    def find(self, group, version, plural):
        """The kind at this path, or None."""
        return self._by_path.get((group, version, plural))

    def of_object(self, thing):
        """The kind that an object with apiVersion and kind belongs to, or None."""
        group, _, version = str(thing.get("apiVersion", "")).rpartition("/")
        for each in self.served():
            if (each.group, each.version, each.kind) == (group, version, thing.get("kind")):
                return each
        return None

    def define(self, definition):
        """Serves what a CustomResourceDefinition defines, in place of what it defined before."""
        found = dict(self._by_path)
        for path in [path for path, kind in found.items() if kind.collection == collection_of(definition)]:
            del found[path]
        for each in custom_kinds(definition):
            found[(each.group, each.version, each.plural)] = each
        self._by_path = found

    def forget(self, definition):
        gone = collection_of(definition)
        self._by_path = {path: kind for path, kind in self._by_path.items()
                         if not (kind.custom and kind.collection == gone)}


def collection_of(definition):
    return (definition["spec"]["group"], definition["spec"]["names"]["plural"])


def custom_kinds(definition):
    """The kinds, one for each served version, of a CustomResourceDefinition that was accepted."""
    spec = definition["spec"]
    names = spec["names"]
    return [Kind(spec["group"], version["name"], names["kind"], names["plural"], spec["scope"] == "Namespaced",
                 tuple(names.get("shortNames") or ()), "status" in (version.get("subresources") or {}), True, True,
                 (version.get("schema") or {}).get("openAPIV3Schema"), names.get("singular", ""),
                 names.get("listKind", ""))
            for version in spec["versions"] if version.get("served")]
