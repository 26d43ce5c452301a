# SPDX-License-Identifier: Apache-2.0
"""From a request to an answer: who asks, may they, which kind, which verb. No sockets here."""
import dataclasses
import json
import sys
import traceback

import yaml

from . import discovery, errors, kinds, lists, patches, protobuf
from .errors import ApiError, NoSuchPath
from .rbac import Access, review
from .request import name_in_field_selector
from .watches import Watch

JSON = "application/json"
PATCHES = {"application/merge-patch+json": patches.merge, "application/json-patch+json": patches.json_patch}
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
BODIES = (JSON, "application/yaml")


@dataclasses.dataclass
class Response:
    code: int
    body: bytes
    content_type: str = JSON
    headers: dict = dataclasses.field(default_factory=dict)


def of_object(thing, code=200):
    return Response(code, json.dumps(thing, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


def of_error(error):
    answer = of_object(error.status(), error.code)
    answer.headers = error.headers
    return answer


class Api:
    """Answers requests. `server` has store, kinds, objects, identity, rbac, faults and settings."""

    def __init__(self, server):
        self.server = server

    def answer(self, request, certificate):
        """A Response, or a Watch that the caller runs. Never raises."""
        try:
            request.user = self.server.identity.who(request.headers, certificate)
            self._authorize(request)
            if not request.resource:
                return self._path(request)
            return self._object(request)
        except NoSuchPath:
            return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
        except ApiError as error:
            return of_error(error)
        except Exception as error:  # a mistake of ours: the client sees what a broken server would say
            traceback.print_exc(file=sys.stderr)
            return of_error(ApiError(500, "InternalError", "Internal error occurred: %r" % error))

    def _authorize(self, request):
        if not request.resource:
            access = Access(request.verb, path=request.path)
        else:
            name = request.name
            if not name and request.verb in ("list", "watch", "deletecollection"):
                name = name_in_field_selector(request.query.get("fieldSelector", ""))
            verb = request.verb
            if verb == "patch" and self._content_type(request) == APPLY and not self._is_there(request):
                verb = "create"
            access = Access(verb, request.group, request.resource, request.subresource, request.namespace, name)
        self.server.rbac.require(request.user, access)

    def _is_there(self, request):
        return self.server.store.get((request.group, request.resource), request.key) is not None

    def _path(self, request):
        if request.verb not in ("get", "head"):
            raise errors.method_not_allowed()
        if discovery.is_health(request.path):
            return Response(200, b"ok", "text/plain; charset=utf-8")
        content_type, body = discovery.document(self.server, request)
        return Response(200, body, content_type)

    def _object(self, request):
        kind = self.server.kinds.find(request.group, request.version, request.resource)
        if kind is None or (request.subresource and not self._has_subresource(kind, request)):
            raise NoSuchPath()
        if kind.namespaced and request.name and not request.namespace:
            raise NoSuchPath()
        if request.method == "GET":
            accept = request.headers.get("Accept", "")
            if accept and not any(each in accept for each in ("json", "*/*", "application/*")):
                raise errors.not_acceptable([JSON])
        if kind == kinds.ACCESS_REVIEW:
            if request.verb != "create":
                raise errors.method_not_allowed()
            return of_object(review(self._body(request), self.server.rbac, request.user), 201)
        handler = {"get": self._get, "list": self._list, "watch": self._watch, "create": self._create,
                   "update": self._update, "patch": self._patch, "delete": self._delete,
                   "deletecollection": self._delete_collection}.get(request.verb)
        if handler is None or not self._fits(kind, request):
            raise errors.method_not_allowed()
        return handler(kind, request)

    @staticmethod
    def _fits(kind, request):
        """Whether the verb goes with a path of this form."""
        if request.subresource:
            return request.verb in ("get", "update", "patch")
        if request.verb == "create":
            return not request.name and (bool(request.namespace) or not kind.namespaced)
        return bool(request.name) or request.verb not in ("update", "patch")

    @staticmethod
    def _has_subresource(kind, request):
        return request.subresource == "status" and kind.status or (
            request.subresource == "finalize" and kind == kinds.NAMESPACE)

    def _get(self, kind, request):
        with self.server.store.lock:
            return Response(200, self.server.objects.existing(kind, request).wire(kind) + b"\n")

    def _list(self, kind, request):
        return Response(200, lists.list_objects(self.server.store, kind, request))

    def _watch(self, kind, request):
        return Watch(self.server, kind, request)

    def _create(self, kind, request):
        return Response(201, self.server.objects.create(kind, request, self._body(request)).wire(kind) + b"\n")

    def _update(self, kind, request):
        return Response(200, self.server.objects.replace(kind, request, self._body(request)).wire(kind) + b"\n")

    def _patch(self, kind, request):
        content_type = self._content_type(request)
        accepted = [*PATCHES, APPLY] + ([] if kind.custom else [STRATEGIC])
        if content_type not in accepted:
            raise errors.unsupported_media_type(accepted)
        patch = self._parsed(request)
        if not isinstance(patch, list if content_type == "application/json-patch+json" else dict):
            raise errors.bad_request("a patch of type %s cannot be a %s" % (content_type, type(patch).__name__))
        if content_type == STRATEGIC:
            change = lambda thing: patches.strategic(thing, patch, kind)
        else:
            change = lambda thing: PATCHES.get(content_type, patches.merge)(thing, patch)
        there = self._is_there(request)
        stored = self.server.objects.patch(kind, request, change, may_create=content_type == APPLY)
        return Response(200 if there else 201, stored.wire(kind) + b"\n")

    def _delete(self, kind, request):
        options = self._parsed(request) if request.body.strip() else {}
        last, gone = self.server.objects.delete(kind, request, options if isinstance(options, dict) else {})
        if not gone or kind.kind in ("Pod", "Namespace"):
            return Response(200, last.wire(kind) + b"\n")
        return of_object({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                          "details": errors.about(kind, request.name, uid=last.object["metadata"]["uid"])})

    def _delete_collection(self, kind, request):
        gone = self.server.objects.delete_matching(kind, request)
        return Response(200, lists.render(kind, {"resourceVersion": str(self.server.store.version)}, gone))

    @staticmethod
    def _content_type(request):
        return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def _body(self, request):
        """The object in the body of a create or update."""
        content_type = self._content_type(request)
        if content_type not in BODIES + (PROTOBUF, "", "*/*"):
            raise errors.unsupported_media_type(BODIES)
        thing = self._parsed(request)
        if thing is None and content_type == PROTOBUF:
            raise errors.unsupported_media_type(BODIES)
        if not isinstance(thing, dict):
            raise errors.bad_request("the object provided is unrecognized: it is not a mapping")
        return thing

    def _parsed(self, request):
        content_type = self._content_type(request)
        try:
            if content_type == PROTOBUF or request.body.startswith(protobuf.MAGIC):
                return protobuf.read(request.body)
            if "yaml" in content_type:
                return yaml.load(request.body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            return json.loads(request.body)
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            raise errors.bad_request("the body of the request cannot be read: %s" % error) from None
