# SPDX-License-Identifier: Apache-2.0
"""The objects, one counter of resource versions over all of them, and the recent events of each collection.

An object is never changed once it is in here, so whoever got one may read it without the lock. Each keeps
its JSON, so that ten thousand pods are listed by joining bytes. An event keeps what it replaced, so an
older state can be told by walking back: pages of one list show one state although objects change.
"""
import bisect
import json
import threading


class Stored:
    """An object, and its JSON without kind and apiVersion (the items of a list lack them)."""

    __slots__ = ("object", "_body")

    def __init__(self, thing):
        self.object, self._body = thing, None

    @property
    def body(self):
        if self._body is None:
            rest = {key: value for key, value in self.object.items() if key not in ("kind", "apiVersion")}
            self._body = json.dumps(rest, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
        return self._body

    def wire(self, kind):
        """The JSON with its kind, in the version of `kind`."""
        return b'{"kind":"%s","apiVersion":"%s",%s' % (kind.kind.encode(), kind.api_version.encode(), self.body[1:])


class Event:
    __slots__ = ("version", "type", "key", "stored", "previous")

    def __init__(self, version, kind_of_event, key, stored, previous):
        self.version, self.type, self.key, self.stored, self.previous = (version, kind_of_event, key, stored,
                                                                         previous)


class Collection:
    """The objects of one kind by (namespace, name), and their events after version `oldest`."""

    def __init__(self, lock, version):
        self.objects, self._sorted = {}, None
        self.events, self.versions, self.dropped = [], [], 0
        self.oldest = version  # a watch may start here or later
        self.ended = 0  # counts how often running watches were told 410
        self.changed = threading.Condition(lock)

    def in_order(self):
        """Pairs of key and Stored, in the order of keys."""
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        return [(key, self.objects[key]) for key in self._sorted]

    def at(self, version):
        """As in_order, but as it was when the counter stood at `version`, which is `oldest` or later."""
        newer = self.events[bisect.bisect_right(self.versions, version):]
        if not newer:
            return self.in_order()
        objects = dict(self.objects)
        for event in reversed(newer):
            if event.previous is None:
                objects.pop(event.key, None)
            else:
                objects[event.key] = event.previous
        return sorted(objects.items())

    def position_after(self, version):
        """Where in the stream of events (counted from the first ever) those after `version` begin."""
        return self.dropped + bisect.bisect_right(self.versions, version)

    def add(self, event):
        if event.type != "MODIFIED":
            self._sorted = None
        self.events.append(event)
        self.versions.append(event.version)
        self.changed.notify_all()

    def drop_events(self, count):
        self.oldest = max(self.oldest, self.versions[count - 1])
        del self.events[:count], self.versions[:count]
        self.dropped += count


class Store:
    """All collections. Callers hold `lock` around whatever must not be torn; every method takes it too."""

    def __init__(self, first_version=1, history=10000, journal=None):
        self.lock = threading.RLock()
        self.version = first_version
        self.oldest = first_version  # what a collection that nobody has touched yet goes back to
        self.history = history
        self.journal = journal  # called with each change as (collection name, key, object or None)
        self.collections = {}

    def collection(self, name):
        """The collection (group, plural), made when it is first asked for."""
        with self.lock:
            if name not in self.collections:
                self.collections[name] = Collection(self.lock, self.oldest)
            return self.collections[name]

    def get(self, name, key):
        found = self.collection(name).objects.get(key)
        return found.object if found else None

    def put(self, name, key, thing):
        """Creates or replaces; gives `thing` (which is the store's from now on) its resource version."""
        with self.lock:
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            collection, stored = self.collection(name), Stored(thing)
            previous = collection.objects.get(key)
            collection.objects[key] = stored
            self._happened(name, collection,
                           Event(self.version, "MODIFIED" if previous else "ADDED", key, stored, previous))
            return stored

    def restore(self, name, key, thing):
        """Puts back an object of an earlier run, with the version it had; no event tells of it."""
        collection = self.collection(name)
        collection.objects[key], collection._sorted = Stored(thing), None

    def remove(self, name, key):
        """Takes an object away; returns its last state, which carries the version of its removal, or None."""
        with self.lock:
            collection = self.collection(name)
            previous = collection.objects.pop(key, None)
            if previous is None:
                return None
            self.version += 1
            thing = previous.object
            last = Stored({**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}})
            self._happened(name, collection, Event(self.version, "DELETED", key, last, previous))
            return last

    def _happened(self, name, collection, event):
        collection.add(event)
        excess = len(collection.events) - self.history
        if excess > self.history // 4:
            collection.drop_events(excess)
        if self.journal:
            self.journal(name, event.key, None if event.type == "DELETED" else event.stored.object, self.version)

    def expire(self, name=None, running=False):
        """Forgets the past of one collection, or all: older versions and continue tokens get 410 from now on.
        Running watches go on, unless `running`: then they get an ERROR event with code 410."""
        with self.lock:
            self.version += 1
            if self.journal:
                self.journal(("", ""), ("", ""), None, self.version)  # so that a later start goes on from here
            self.forget_past(name, running)

    def forget_past(self, name=None, running=False):
        """As expire, but who knows the present version may go on from it: how a server begins."""
        with self.lock:
            if name is None:
                self.oldest = self.version
            for each in [name] if name else list(self.collections):
                collection = self.collection(each)
                collection.oldest = self.version  # events stay, for watches that have yet to read them
                if running:
                    collection.ended += 1
                    collection.changed.notify_all()

    def wake(self):
        """Lets every watch look around: for faults, bookmarks and shutdown."""
        with self.lock:
            for collection in self.collections.values():
                collection.changed.notify_all()
