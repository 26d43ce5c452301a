# SPDX-License-Identifier: Apache-2.0
"""What a request asks for, read from its method, path and query as the real server reads them."""
import dataclasses
import urllib.parse

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "GET": "get", "HEAD": "get", "DELETE": "delete"}


@dataclasses.dataclass
class Request:
    """`resource` is empty for anything but objects (then `verb` is the method in lower case)."""
    method: str
    path: str
    query: dict
    headers: object = None
    body: bytes = b""
    verb: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    user: object = None

    def flag(self, name):
        return self.query.get(name, "").lower() in ("1", "true")

    @property
    def dry_run(self):
        return "dryRun" in self.query

    @property
    def key(self):
        """Of the object in its collection; the namespace of a Namespace is itself only in its path."""
        return ("" if self.resource == "namespaces" else self.namespace, self.name)


def parse(method, target):
    """A Request without headers, body and user."""
    path, _, query = target.partition("?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    request = Request(method, urllib.parse.unquote(path), {})
    for name, value in pairs:
        request.query.setdefault(name, value)
    parts = [part for part in request.path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        request.version, parts = parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        request.group, request.version, parts = parts[1], parts[2], parts[3:]
    else:
        request.verb = method.lower()
        return request
    if parts[0] == "namespaces" and len(parts) > 1:
        request.namespace = parts[1]
        if len(parts) > 2 and not (len(parts) == 3 and parts[2] in ("status", "finalize")):
            parts = parts[2:]
    request.resource, request.name, request.subresource = (parts + ["", "", ""])[:3]
    request.verb = _verb(request)
    return request


def _verb(request):
    verb = VERBS.get(request.method, "")
    if request.name:
        return verb
    if verb == "get":
        return "watch" if request.flag("watch") else "list"
    return "deletecollection" if verb == "delete" else verb


def name_in_field_selector(selector):
    """The name in `metadata.name=NAME`, or "": roles that name objects count for such lists and watches."""
    for term in selector.split(","):
        field, _, value = term.partition("=")
        if field == "metadata.name" and "!" not in term:
            return value.lstrip("=")
    return ""
