# SPDX-License-Identifier: Apache-2.0
"""Who may do what, read from the roles and bindings that are in the store; refusals in the real server's words."""
from . import errors, kinds

ROLES, CLUSTER_ROLES = (kinds.RBAC, "roles"), (kinds.RBAC, "clusterroles")
BINDINGS, CLUSTER_BINDINGS = (kinds.RBAC, "rolebindings"), (kinds.RBAC, "clusterrolebindings")


class Access:
    """One question. For anything but objects, `resource` is empty and `path` is what was asked for."""

    def __init__(self, verb, group="", resource="", subresource="", namespace="", name="", path=""):
        self.verb, self.group, self.resource, self.subresource = verb, group, resource, subresource
        self.namespace, self.name, self.path = namespace, name, path

    @property
    def full_resource(self):
        return self.resource + ("/" + self.subresource if self.subresource else "")

    def refusal(self, user, notes):
        """The 403 that says which permission lacks."""
        if not self.resource:
            return errors.forbidden({}, 'forbidden: User "%s" cannot %s path "%s"' % (user.name, self.verb, self.path))
        where = 'in the namespace "%s"' % self.namespace if self.namespace else "at the cluster scope"
        thing = self.resource + ("." + self.group if self.group else "")
        if self.name:
            thing += ' "%s"' % self.name
        text = '%s is forbidden: User "%s" cannot %s resource "%s" in API group "%s" %s' % (
            thing, user.name, self.verb, self.full_resource, self.group, where)
        details = {"name": self.name} if self.name else {}
        if self.group:
            details["group"] = self.group
        return errors.forbidden({**details, "kind": self.resource}, text + (": RBAC: " + notes if notes else ""))


class Rbac:
    def __init__(self, store, enabled):
        self.store, self.enabled = store, enabled

    def require(self, user, access):
        """Raises the 403 unless `user` may."""
        allowed, notes = self.judge(user, access)
        if not allowed:
            raise access.refusal(user, notes)

    def judge(self, user, access):
        """(allowed, notes about bindings whose role is missing)."""
        if not self.enabled or "system:masters" in user.groups:
            return True, ""
        missing = []
        with self.store.lock:
            for rules in self._rules_for(user, access.namespace, missing):
                if any(_covers(rule, access) for rule in rules):
                    return True, ""
        return False, ", ".join(missing)

    def _rules_for(self, user, namespace, missing):
        bindings = [stored.object for _, stored in self.store.collection(CLUSTER_BINDINGS).in_order()]
        if namespace:
            bindings += [stored.object for key, stored in self.store.collection(BINDINGS).in_order()
                         if key[0] == namespace]
        for binding in bindings:
            if not any(_is(subject, user, binding) for subject in binding.get("subjects") or []):
                continue
            reference = binding["roleRef"]
            cluster_wide = reference["kind"] == "ClusterRole"
            key = ("" if cluster_wide else binding["metadata"]["namespace"], reference["name"])
            role = self.store.get(CLUSTER_ROLES if cluster_wide else ROLES, key)
            if role is None:
                missing.append('%s.rbac.authorization.k8s.io "%s" not found' % (
                    "clusterrole" if cluster_wide else "role", reference["name"]))
            else:
                yield role.get("rules") or []


def _is(subject, user, binding):
    if subject["kind"] == "ServiceAccount":
        namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
        return user.name == "system:serviceaccount:%s:%s" % (namespace, subject["name"])
    return subject["name"] == user.name if subject["kind"] == "User" else subject["name"] in user.groups


def _covers(rule, access):
    if not _one_of(access.verb, rule.get("verbs")):
        return False
    if not access.resource:
        return any(path in ("*", access.path) or (path.endswith("*") and access.path.startswith(path[:-1]))
                   for path in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    resources = rule.get("resources") or []
    return (_one_of(access.group, rule.get("apiGroups"))
            and (_one_of(access.full_resource, resources)
                 or (access.subresource and "*/" + access.subresource in resources))
            and (not names or access.name in names))


def _one_of(value, allowed):
    return "*" in (allowed or []) or value in (allowed or [])


def review(thing, rbac, user):
    """The answer to a SelfSubjectAccessReview: the object with its status."""
    spec = thing.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource:
        access = Access(resource.get("verb", ""), resource.get("group", ""), resource.get("resource", ""),
                        resource.get("subresource", ""), resource.get("namespace", ""), resource.get("name", ""))
    else:
        access = Access((path or {}).get("verb", ""), path=(path or {}).get("path", ""))
    allowed, notes = rbac.judge(user, access)
    return {"kind": kinds.ACCESS_REVIEW.kind, "apiVersion": kinds.ACCESS_REVIEW.api_version, "metadata": {},
            "spec": spec, "status": {"allowed": allowed, **({"reason": notes} if notes else {})}}
