# SPDX-License-Identifier: Apache-2.0
"""Writing objects: create, replace, patch and delete, with the metadata and refusals of the real server."""
import copy
import datetime
import random
import uuid

from . import defaults, errors, kinds, schema, validation
from .selectors import selector
from .store import Stored

KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """Every method takes the store's lock, so that a write is one step for everybody else."""

    def __init__(self, store, served, graceful_pods=False):
        self.store, self.kinds = store, served
        self.graceful_pods = graceful_pods  # a pod with a node goes only when a kubelet, or --force, says so

    def existing(self, kind, request):
        found = self.store.collection(kind.collection).objects.get(request.key)
        if found is None:
            raise errors.not_found(kind, request.name)
        return found

    def create(self, kind, request, thing):
        """Returns the Stored that came to be."""
        metadata = self._checked_body(kind, request, thing)
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        with self.store.lock:
            self._require_namespace(kind, request)
            name = metadata.get("name") or request.name
            if not name and metadata.get("generateName"):
                name = metadata["generateName"] + "".join(random.choices(NAME_LETTERS, k=5))
            metadata["name"] = name or ""
            if kind.status and kind.kind != "Node":
                thing.pop("status", None)
            for field in KEPT + ("selfLink", "generation"):
                metadata.pop(field, None)
            self.born(kind, thing)
            self._finish(kind, thing)
            key = (metadata.get("namespace", ""), metadata["name"])
            if key in self.store.collection(kind.collection).objects:
                raise errors.already_exists(kind, metadata["name"])
            return self._keep(kind, key, thing, request.dry_run)

    @staticmethod
    def born(kind, thing):
        metadata = thing["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", now())
        if kind.generation:
            metadata.setdefault("generation", 1)

    def replace(self, kind, request, thing):
        """PUT: returns the Stored that is there afterwards."""
        metadata = self._checked_body(kind, request, thing)
        if metadata.get("name") != request.name:
            raise errors.bad_request("the name of the object (%s) does not match the name on the URL (%s)" % (
                metadata.get("name", ""), request.name))
        with self.store.lock:
            return self._update(kind, request, self.existing(kind, request), thing)

    def patch(self, kind, request, change, may_create=False):
        """`change` makes the new object from the old one; a server-side apply may also create it."""
        with self.store.lock:
            if may_create and request.key not in self.store.collection(kind.collection).objects:
                thing = change({"apiVersion": kind.api_version, "kind": kind.kind})
                return self.create(kind, request, thing)
            before = self.existing(kind, request)
            return self._update(kind, request, before, change(before.object))

    def _update(self, kind, request, before, thing):
        old, metadata = before.object, thing.get("metadata") or {}
        thing = {**thing, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": dict(metadata)}
        metadata = thing["metadata"]
        if metadata.get("resourceVersion", old["metadata"]["resourceVersion"]) != old["metadata"]["resourceVersion"]:
            raise errors.changed_meanwhile(kind, request.name)
        if metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise errors.conflict(kind, request.name, "Precondition failed: UID in precondition: %s, UID in object "
                                  "meta: %s" % (metadata["uid"], old["metadata"]["uid"]))
        if request.subresource == "status":
            thing = {**old, "status": thing.get("status"), "metadata": {
                **old["metadata"], **{field: metadata[field] for field in ("annotations", "labels")
                                      if field in metadata and not kind.custom}}}
            thing = {key: value for key, value in thing.items() if key != "status" or value is not None}
        elif kind.status:
            thing.pop("status", None)
            if "status" in old:
                thing["status"] = old["status"]
        thing = copy.deepcopy(thing)
        metadata = thing["metadata"]
        for field in ("resourceVersion", "generation", "name", "namespace") + KEPT:
            metadata.pop(field, None)
            if field in old["metadata"]:
                metadata[field] = old["metadata"][field]
        self._finish(kind, thing)
        if thing == old:
            return before
        if kind.generation and _meaning(kind, thing) != _meaning(kind, old):
            metadata["generation"] = old["metadata"].get("generation", 1) + 1
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and not request.dry_run:
            return self._gone(kind, request.key)
        return self._keep(kind, request.key, thing, request.dry_run)

    def delete(self, kind, request, options):
        """Returns (the last or marked state, whether it is gone)."""
        with self.store.lock:
            before = self.existing(kind, request)
            old = before.object
            for field, wanted in (options.get("preconditions") or {}).items():
                if old["metadata"].get(field) != wanted:
                    raise errors.conflict(kind, request.name, "Precondition failed: %s in precondition: %s, in object "
                                          "meta: %s" % (field, wanted, old["metadata"].get(field)))
            if request.dry_run:
                return before, True
            grace = request.query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
            waits = bool(old["metadata"].get("finalizers")) or (
                self.graceful_pods and kind.kind == "Pod" and old["spec"].get("nodeName") and str(grace) != "0")
            if waits:
                if "deletionTimestamp" in old["metadata"]:
                    return before, False
                marked = {**old, "metadata": {**old["metadata"], "deletionTimestamp": now()}}
                if kind.kind == "Pod":
                    marked["metadata"]["deletionGracePeriodSeconds"] = 30 if grace is None else int(grace)
                return self._keep(kind, request.key, marked, False), False
            if kind == kinds.NAMESPACE:
                marked = {**old, "status": {**old.get("status", {}), "phase": "Terminating"},
                          "metadata": {**old["metadata"], "deletionTimestamp": now()}}
                self._keep(kind, request.key, marked, False)
                self._empty(request.name)
            return self._gone(kind, request.key), True

    def delete_matching(self, kind, request):
        """DELETE of a collection: returns the last states."""
        with self.store.lock:
            selects = selector(kind, request.query)
            keys = [key for key, stored in self.store.collection(kind.collection).in_order()
                    if request.namespace in ("", key[0]) and (selects is None or selects(stored.object))]
            return [self._gone(kind, key) for key in keys]

    def load(self, kind, thing, raw=False):
        """Creates or replaces without asking questions; `raw` leaves even defaults out. For the control channel."""
        with self.store.lock:
            thing.setdefault("metadata", {})
            if kind.namespaced:
                thing["metadata"].setdefault("namespace", "default")
            else:
                thing["metadata"].pop("namespace", None)
            key = (thing["metadata"].get("namespace", ""), thing["metadata"]["name"])
            old = self.store.get(kind.collection, key)
            if old:
                for field in ("uid", "creationTimestamp"):
                    thing["metadata"].setdefault(field, old["metadata"].get(field))
            self.born(kind, thing)
            if not raw:
                defaults.fill_in(kind, thing, self.store)
            return self._keep(kind, key, thing, False)

    def drop(self, kind, key):
        """Removes one object whatever stands against it; returns whether it was there."""
        return self._gone(kind, key) is not None

    def _finish(self, kind, thing):
        """Defaults and validation; a shape that is not the kind's at all gets 400, as when decoding fails."""
        found = []
        if kind.schema:
            schema.prune(kind.schema, thing)
            schema.fill_in(kind.schema, thing)
            found = list(schema.check(kind.schema, thing))
        try:
            validation.check(kind, thing, found)
            defaults.fill_in(kind, thing, self.store)
        except (AttributeError, KeyError, TypeError) as error:
            raise errors.bad_request("%s in version \"%s\" cannot be handled as a %s: %s" % (
                kind.kind, kind.version, kind.kind, error)) from None

    def _keep(self, kind, key, thing, dry_run):
        if dry_run:
            thing["metadata"].setdefault("resourceVersion", str(self.store.version))
            return Stored(thing)
        if kind == kinds.CRD:
            self.kinds.define(thing)
        return self.store.put(kind.collection, key, thing)

    def _gone(self, kind, key):
        last = self.store.remove(kind.collection, key)
        if last and kind == kinds.CRD:
            name = kinds.collection_of(last.object)
            for each in list(self.store.collection(name).objects):
                self.store.remove(name, each)
            self.kinds.forget(last.object)
        return last

    def _empty(self, namespace):
        for name in list(self.store.collections):
            for key in [key for key in self.store.collection(name).objects if key[0] == namespace]:
                self.store.remove(name, key)

    def _require_namespace(self, kind, request):
        if not kind.namespaced:
            return
        found = self.store.get(kinds.NAMESPACE.collection, ("", request.namespace))
        if found is None:
            raise errors.not_found(kinds.NAMESPACE, request.namespace)
        if "deletionTimestamp" in found["metadata"]:
            raise errors.forbidden(errors.about(kind), "unable to create new content in namespace %s because it is "
                                   "being terminated" % request.namespace)

    @staticmethod
    def _checked_body(kind, request, thing):
        """The metadata of a body whose kind and namespace are those of the path."""
        if thing.get("apiVersion", kind.api_version) != kind.api_version or thing.get("kind", kind.kind) != kind.kind:
            raise errors.bad_request("the API version in the data (%s, kind %s) does not match the expected API "
                                     "version (%s, kind %s)" % (thing.get("apiVersion"), thing.get("kind"),
                                                                kind.api_version, kind.kind))
        thing["apiVersion"], thing["kind"] = kind.api_version, kind.kind
        metadata = thing.get("metadata")
        if not isinstance(metadata, dict):
            metadata = thing["metadata"] = {}
        if kind.namespaced:
            if metadata.get("namespace", request.namespace) != request.namespace:
                raise errors.bad_request("the namespace of the provided object does not match the namespace sent on "
                                         "the request")
            metadata["namespace"] = request.namespace
        else:
            metadata.pop("namespace", None)
        return metadata


def _meaning(kind, thing):
    """What metadata.generation counts changes of."""
    return {key: value for key, value in thing.items() if key != "metadata" and not (kind.status and key == "status")}
