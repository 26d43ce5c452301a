# SPDX-License-Identifier: Apache-2.0
"""What kubectl asks before it asks for objects: versions, groups and resources, and the OpenAPI documents.

The OpenAPI documents hold no schemas: kubectl then leaves validation to the server (version 3: each kind's
patch takes fieldValidation), or finds nothing to validate against (version 2) and goes on.
"""
import json

from .errors import NoSuchPath

AGGREGATED = ("v2", "v2beta1")
OPENAPI_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ADDRESSES = [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]


def document(server, request):
    """(content type, bytes) of a discovery path; NoSuchPath for any other."""
    accept = request.headers.get("Accept", "")
    parts = [part for part in request.path.split("/") if part]
    served = server.kinds.served()
    form = next((form for form in AGGREGATED if ("v=%s;as=APIGroupDiscoveryList" % form) in accept), None)
    if parts in (["api"], ["apis"]) and form and server.modern:
        told = _aggregated([each for each in served if bool(each.group) == (parts == ["apis"])], form)
        return ("application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList" % form,
                json.dumps(told).encode())
    if parts == ["openapi", "v2"]:
        return _openapi_v2(accept)
    if parts[:2] == ["openapi", "v3"] and server.modern:
        return "application/json", json.dumps(_openapi_v3(served, "/".join(parts[2:]))).encode()
    if parts == ["version"]:
        return "application/json", json.dumps(version(server.minor)).encode()
    return "application/json", json.dumps(_plain(served, parts)).encode()


def version(minor):
    patch = {20: 15, 32: 4}[minor]
    return {"major": "1", "minor": str(minor), "gitVersion": "v1.%d.%d" % (minor, patch), "gitCommit": "0" * 40,
            "gitTreeState": "clean", "buildDate": "2025-01-01T00:00:00Z", "goVersion": "go1.23.8", "compiler": "gc",
            "platform": "linux/amd64"}


def _plain(served, parts):
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": ADDRESSES}
    groups = {}
    for each in served:
        if each.group:
            groups.setdefault(each.group, {}).setdefault(each.version)
    if parts == ["apis"]:
        return {"kind": "APIGroupList", "apiVersion": "v1",
                "groups": [_group(group, versions) for group, versions in groups.items()]}
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
    group_version = "/".join(parts[1:])
    found = [each for each in served if each.api_version == group_version]
    if not found or parts[0] != ("apis" if found[0].group else "api"):
        raise NoSuchPath()
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
            "resources": [entry for each in found for entry in _resources(each)]}


def _group(name, versions):
    told = [{"groupVersion": name + "/" + each, "version": each} for each in versions]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def _resources(kind):
    yield {"name": kind.plural, "singularName": kind.singular or kind.kind.lower(), "namespaced": kind.namespaced,
           "kind": kind.kind, "verbs": list(kind.verbs), **({"shortNames": list(kind.short_names)}
                                                            if kind.short_names else {})}
    if kind.status:
        yield {"name": kind.plural + "/status", "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
               "verbs": ["get", "patch", "update"]}


def _aggregated(served, form):
    groups = {}
    for kind in served:
        entry = {"resource": kind.plural, "singularResource": kind.singular or kind.kind.lower(),
                 "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
                 "scope": "Namespaced" if kind.namespaced else "Cluster", "verbs": list(kind.verbs)}
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.status:
            entry["subresources"] = [{"subresource": "status", "responseKind": entry["responseKind"],
                                      "verbs": ["get", "patch", "update"]}]
        groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(entry)
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/" + form, "metadata": {},
            "items": [{"metadata": {"name": group} if group else {},
                       "versions": [{"version": each, "freshness": "Current", "resources": resources}
                                    for each, resources in versions.items()]} for group, versions in groups.items()]}


def _openapi_v2(accept):
    if "protobuf" in accept:
        # Document{swagger = 1: "2.0", info = 2: Info{title = 1, version = 2}}, as protobuf writes it.
        title, number = b"Kubernetes", b"v1"
        info = b"\x0a" + bytes([len(title)]) + title + b"\x12" + bytes([len(number)]) + number
        return OPENAPI_V2_PROTOBUF, b"\x0a\x032.0" + b"\x12" + bytes([len(info)]) + info
    return "application/json", json.dumps({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1"},
                                           "paths": {}, "definitions": {}}).encode()


def _openapi_v3(served, path):
    if not path:
        places = {_place(kind) for kind in served}
        return {"paths": {place: {"serverRelativeURL": "/openapi/v3/" + place} for place in sorted(places)}}
    found = [kind for kind in served if _place(kind) == path]
    if not found:
        raise NoSuchPath()
    paths = {}
    for kind in found:
        place = "namespaces/{namespace}/" + kind.plural if kind.namespaced else kind.plural
        paths["/%s/%s/{name}" % (path, place)] = {"patch": _patch_operation(kind)}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1"}, "components": {"schemas": {}},
            "paths": paths}


def _place(kind):
    return ("apis/" if kind.group else "api/") + kind.api_version


def _patch_operation(kind):
    return {"x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
            "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}}
                           for name in ("dryRun", "fieldManager", "fieldValidation")],
            "responses": {"200": {"description": "OK"}}}


def is_health(path):
    return path.rstrip("/") in ("/healthz", "/livez", "/readyz")
