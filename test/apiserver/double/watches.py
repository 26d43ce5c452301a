# SPDX-License-Identifier: Apache-2.0
"""Watches: events after a resource version, one JSON object a line, until the client or the clock ends it.

A watch reads its collection's events by position, so it misses none and gets none twice. Bookmarks carry the
version of the whole store, which is often later than the last event's. A version that the store has not
reached yet is waited for in silence, as by the real server's cache: that is what clients see after the
server's data was set back.
"""
import json
import time

from . import errors
from .lists import number
from .selectors import selector

LONGEST_WAIT = 0.5  # s between looks at whether the client is still there
DEFAULT_TIMEOUT = 1800  # s
INITIAL_EVENTS_END = {"annotations": {"k8s.io/initial-events-end": "true"}}


class Watch:
    """One watch. Options are checked here (422 or 400 at once); run() sends the stream."""

    def __init__(self, server, kind, request):
        self.server, self.kind, self.request = server, kind, request
        self.query = request.query
        self.namespace, self.selects = request.namespace, selector(kind, request.query)
        self.bookmarks = request.flag("allowWatchBookmarks")
        self.asked = number(self.query.get("resourceVersion") or "0")
        self.wants_list = "sendInitialEvents" in self.query and server.watch_list
        self._check_options()
        seconds = self.query.get("timeoutSeconds", "")
        self.deadline = time.monotonic() + (int(seconds) if seconds.isdigit() and int(seconds) else DEFAULT_TIMEOUT)
        self._begin(server.store)

    def _begin(self, store):
        """Takes the place in history before the client sees an answer: nothing after that is missed."""
        with store.lock:
            self.collection = collection = store.collection(self.kind.collection)
            if self.wants_list and self.asked > store.version:
                raise errors.version_too_large(self.asked, store.version)
            self.ended, self.bookmark_calls = collection.ended, self.server.bookmark_calls
            self.whole = self.request.flag("sendInitialEvents") if self.wants_list else self.asked == 0
            self.sent = store.version if self.whole or self.asked == 0 else self.asked
            self.too_old = not self.whole and self.sent < collection.oldest
            self.initial = collection.in_order() if self.whole else []
            self.position = collection.position_after(self.sent)

    def _check_options(self):
        query, field, causes = self.query, "resourceVersionMatch", []
        match = query.get(field, "")
        if not self.server.watch_list:
            if match:
                causes.append(errors.not_allowed(field, field + " is forbidden for watch"))
        elif self.wants_list and match != "NotOlderThan":
            causes.append(errors.not_allowed(field, "sendInitialEvents requires setting resourceVersionMatch to "
                                                    "NotOlderThan"))
        elif match and not self.wants_list:
            causes.append(errors.not_allowed(field, field + " is forbidden for watch unless sendInitialEvents is "
                                                            "provided"))
        if causes:
            raise errors.invalid("meta.k8s.io", "ListOptions", "", causes)

    def run(self, sink):
        """Sends to `sink` until the end of the watch; the caller ends the response."""
        collection = self.collection
        if self.too_old:
            return self._send_error(sink)
        self._send(sink, [self._line(b"ADDED", stored) for key, stored in self.initial if self._has(key, stored)])
        if self.whole and self.wants_list and self.bookmarks:
            sink.send([self._bookmark(self.sent, INITIAL_EVENTS_END)])
        self.initial, self.next_bookmark = [], time.monotonic() + self.server.bookmark_period
        over = False
        while not (over or sink.closed or sink.finished):
            with self.server.store.lock:
                now = time.monotonic()
                if not self._has_news():
                    collection.changed.wait(max(0.0, min(LONGEST_WAIT, self.deadline - now, self.next_bookmark - now)))
                lines, lost = self._new_events()
                over = time.monotonic() >= self.deadline
                lines += self._due_bookmark(over)
            if lost or collection.ended != self.ended:
                return self._send_error(sink)
            self._send(sink, lines)
        return None

    def _has_news(self):
        collection = self.collection
        return (self.position != collection.dropped + len(collection.events) or collection.ended != self.ended
                or self.server.bookmark_calls != self.bookmark_calls)

    def _due_bookmark(self, over):
        """A list with the bookmark whose time has come, if one has; none goes back behind what was sent."""
        now, calls = time.monotonic(), self.server.bookmark_calls
        if not self.bookmarks or not (over or now >= self.next_bookmark or calls != self.bookmark_calls):
            self.bookmark_calls = calls
            return []
        self.next_bookmark, self.bookmark_calls = now + self.server.bookmark_period, calls
        version = self.server.store.version
        return [self._bookmark(version)] if version >= self.sent else []

    def _has(self, key, stored):
        return self.namespace in ("", key[0]) and (self.selects is None or self.selects(stored.object))

    def _new_events(self):
        """The lines of the events since the last call, and whether history was cut before they were read."""
        collection = self.collection
        if self.position < collection.dropped:
            return [], True
        fresh = collection.events[self.position - collection.dropped:]
        self.position += len(fresh)
        lines = []
        for event in fresh:
            if event.version <= self.sent:
                continue
            self.sent = event.version
            before = event.previous is not None and self._has(event.key, event.previous)
            after = event.type != "DELETED" and self._has(event.key, event.stored)
            if after:
                lines.append(self._line(b"MODIFIED" if before else b"ADDED", event.stored))
            elif before:
                lines.append(self._line(b"DELETED", event.stored))
        return lines, False

    def _line(self, kind_of_event, stored):
        return b'{"type":"%s","object":%s}\n' % (kind_of_event, stored.wire(self.kind))

    def _bookmark(self, version, more=()):
        metadata = {"resourceVersion": str(version), "creationTimestamp": None, **dict(more)}
        thing = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        if self.kind.kind == "Pod":
            thing.update(spec={"containers": None}, status={})
        return json.dumps({"type": "BOOKMARK", "object": thing}, separators=(",", ":")).encode() + b"\n"

    def _send_error(self, sink):
        text = "too old resource version: %d (%d)" % (self.sent, self.collection.oldest)
        sink.send([error_line(errors.expired(text))])

    def _send(self, sink, lines):
        """Sends lines; while faults are set, one by one, each asked whether a fault befalls it."""
        faults = self.server.faults
        if sink.closed:
            return
        if not faults.any_set:
            if lines:
                sink.send(lines)
            return
        if not lines:
            fault = faults.take(self.request, "idle")
            if fault:
                self._send_error_event(sink, fault)
        for line in lines:
            fault = faults.take(self.request, "event")
            if fault is None:
                sink.send([line])
            elif fault.name in ("hang", "delay"):
                faults.wait_out(fault, sink)
                sink.send([line])
            elif fault.name == "error_event":
                self._send_error_event(sink, fault)
            else:
                sink.spoil(line, fault)
            if sink.closed or sink.finished:
                return

    @staticmethod
    def _send_error_event(sink, fault):
        sink.send([error_line(fault.error())])
        sink.finished = True


def error_line(error):
    return json.dumps({"type": "ERROR", "object": error.status()}, separators=(",", ":")).encode() + b"\n"
