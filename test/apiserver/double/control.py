# SPDX-License-Identifier: Apache-2.0
"""The control channel's verbs: what tests do to the server, and what they ask it about its clients."""
import json
import time
import urllib.parse

import yaml

from . import kinds
from .server import tls_context


class Control:
    def __init__(self, server):
        self.server = server
        self.started = time.monotonic()
        self.verbs = {("GET", "status"): self.status, ("POST", "load"): self.load, ("POST", "delete"): self.delete,
                      ("POST", "clear"): self.clear, ("POST", "expire"): self.expire,
                      ("POST", "bookmark"): self.bookmark, ("POST", "close"): self.close,
                      ("GET", "faults"): self.faults, ("POST", "faults"): self.add_fault,
                      ("DELETE", "faults"): self.remove_faults, ("GET", "requests"): self.requests,
                      ("GET", "counts"): self.counts, ("DELETE", "requests"): self.forget_requests,
                      ("POST", "tokens"): self.tokens, ("POST", "certificate"): self.certificate}

    def answer(self, method, target, body):
        """(HTTP status, value for JSON); 400 with what is wrong, 404 with the verbs there are."""
        path, _, query = target.partition("?")
        verb = self.verbs.get((method, path.strip("/")))
        if verb is None:
            return 404, {"error": "no %s %s" % (method, path), "verbs": sorted(" ".join(each) for each in self.verbs)}
        options = dict(urllib.parse.parse_qsl(query))
        try:
            if method == "POST" and body.strip():
                read = json.loads(body) if body.lstrip()[:1] in b"{[" else list(
                    yaml.load_all(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
                options.update(read if isinstance(read, dict) and "kind" not in read else {"objects": read})
            return 200, verb(options)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, yaml.YAMLError) as error:
            return 400, {"error": "%s: %s" % (type(error).__name__, error)}

    def status(self, _):
        store = self.server.store
        with store.lock:
            objects = {".".join(filter(None, (name[1], name[0]))): len(collection.objects)
                       for name, collection in sorted(store.collections.items()) if collection.objects}
            running = [each for each in self.server.log.entries() if each["running"]]
            return {"version": "1.%d" % self.server.minor, "resource_version": store.version, "objects": objects,
                    "watches": sum(each["verb"] == "watch" for each in running),
                    "seconds": round(time.monotonic() - self.started, 3)}

    def load(self, options):
        """Creates or replaces objects: a list, a List, one object, or YAML documents."""
        with self.server.store.lock:
            loaded = 0
            for thing in _objects(options["objects"]):
                kind = self._kind(thing)
                self.server.objects.load(kind, thing, bool(options.get("raw")))
                loaded += 1
            return {"loaded": loaded, "resource_version": self.server.store.version}

    def delete(self, options):
        """Removes the objects named in `objects`, or all of `resource` (in `namespace`, if given)."""
        with self.server.store.lock:
            chosen = []
            for thing in _objects(options.get("objects") or []):
                kind, metadata = self._kind(thing), thing["metadata"]
                namespace = metadata.get("namespace", "default") if kind.namespaced else ""
                chosen.append((kind, (namespace, metadata["name"])))
            if "resource" in options:
                kind = self._resource(options["resource"])
                chosen += [(kind, key) for key in list(self.server.store.collection(kind.collection).objects)
                           if options.get("namespace") in (None, key[0])]
            return {"deleted": sum(self.server.objects.drop(kind, key) for kind, key in chosen),
                    "resource_version": self.server.store.version}

    def clear(self, _):
        """Removes everything but what a new server has; watches see it go. Faults and counts go too."""
        with self.server.store.lock:
            self.server.faults.remove()
            for kind in self.server.kinds.served():
                for key in list(self.server.store.collection(kind.collection).objects):
                    if (kind.collection, key) not in self.server.kept:
                        self.server.objects.drop(kind, key)
            self.server.log.clear()
            return {"resource_version": self.server.store.version}

    def expire(self, options):
        name = self._resource(options["resource"]).collection if options.get("resource") else None
        self.server.store.expire(name, bool(options.get("running")))
        return {"resource_version": self.server.store.version}

    def bookmark(self, _):
        self.server.bookmark_calls += 1
        self.server.store.wake()
        return {"resource_version": self.server.store.version}

    def close(self, options):
        closed = self.server.listener.close_connections(options.get("resource"))
        self.server.store.wake()
        return {"closed": closed}

    def faults(self, _):
        return {"faults": self.server.faults.described()}

    def add_fault(self, options):
        fault = self.server.faults.add(options)
        self.server.store.wake()
        return fault.described()

    def remove_faults(self, options):
        return {"removed": self.server.faults.remove(int(options["id"]) if "id" in options else None)}

    def requests(self, options):
        since = int(options.pop("since", 0))
        return {"requests": self.server.log.entries(since, **options)}

    def counts(self, _):
        return {"counts": self.server.log.counts()}

    def forget_requests(self, _):
        self.server.log.clear()
        return {}

    def tokens(self, options):
        self.server.identity.change_tokens(options.get("add") or [], options.get("remove") or [])
        return {}

    def certificate(self, options):
        """Serves NAME.crt of the TLS folder to whoever connects from now on."""
        self.server.listener.context = tls_context(self.server.tls_folder, options["name"])
        return {}

    def _kind(self, thing):
        kind = self.server.kinds.of_object(thing)
        if kind is None:
            raise ValueError("no kind %s in %s is served" % (thing.get("kind"), thing.get("apiVersion")))
        return kind

    def _resource(self, text):
        """By `plural` or `plural.group`."""
        for kind in self.server.kinds.served():
            if text in (kind.plural, kind.plural + "." + kind.group) and kind != kinds.ACCESS_REVIEW:
                return kind
        raise ValueError("no resource %s is served" % text)


def _objects(value):
    for thing in value if isinstance(value, list) else [value]:
        if thing is None:
            continue
        if "items" in thing and str(thing.get("kind", "")).endswith("List"):
            yield from thing["items"]
        else:
            yield thing
