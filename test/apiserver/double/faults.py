# SPDX-License-Identifier: Apache-2.0
"""Faults that tests ask for: what a broken server, a proxy or a bad network does to a client.

A fault befalls requests that match its verb, resource and user, at their start or (watches) at an event.
It is used up after `count` times, or stays until it is removed.
"""
import threading
import time

from .errors import ApiError

# Name -> where it befalls a watch unless the test says "at". Other requests know only their start.
PLACES = {"status": "start", "hang": "start", "close": "start", "delay": "start", "garbage": "event",
          "truncate": "event", "duplicate": "event", "dribble": "event", "error_event": "event"}
ONLY_WATCHES = ("duplicate", "error_event")
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict",
           410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
FIELDS = {"fault", "verb", "resource", "user", "count", "skip", "at", "code", "reason", "message", "retry_after",
          "seconds", "body", "size", "clean", "id"}


class Fault:
    """`options` are those of the control channel; README.md lists them."""

    def __init__(self, number, options):
        unknown = set(options) - FIELDS
        if unknown:
            raise ValueError("unknown fields %s; known are %s" % (sorted(unknown), sorted(FIELDS)))
        if options.get("fault") not in PLACES:
            raise ValueError("fault %r; known are %s" % (options.get("fault"), sorted(PLACES)))
        self.id, self.name, self.options = number, options["fault"], dict(options)
        self.left = options.get("count")  # None: until removed
        self.to_skip = options.get("skip", 0)
        self.removed = threading.Event()

    def get(self, name, default=None):
        return self.options.get(name, default)

    def befalls(self, request, place):
        for wanted, is_now in ((self.get("verb", "*"), request.verb), (self.get("resource", "*"), request.resource),
                               (self.get("user", "*"), request.user.name if request.user else "")):
            if wanted not in ("*", is_now):
                return False
        if request.verb != "watch":
            return place == "start" and self.name not in ONLY_WATCHES and self.get("at") != "event"
        where = self.get("at") or PLACES[self.name]
        if place == "idle":
            return self.name == "error_event"
        return where == place

    def error(self):
        """The Status that this fault answers with: 500 unless the test says otherwise, 410 as an event."""
        code = self.get("code", 410 if self.name == "error_event" else 500)
        headers, details = {}, {}
        if self.get("retry_after") is not None:
            headers["Retry-After"] = str(self.get("retry_after"))
            details["retryAfterSeconds"] = self.get("retry_after")
        return ApiError(code, self.get("reason", REASONS.get(code, "InternalError")),
                        self.get("message", "a fault that the test asked for"), details, headers)

    def described(self):
        return {**self.options, "id": self.id, "left": self.left}


class Faults:
    def __init__(self):
        self._lock = threading.Lock()
        self._set, self._next = [], 1

    @property
    def any_set(self):
        return bool(self._set)

    def add(self, options):
        with self._lock:
            fault = Fault(self._next, options)
            self._next += 1
            self._set = self._set + [fault]
            return fault

    def remove(self, number=None):
        """One by its id, or all; returns how many. Whoever hangs in one goes on."""
        with self._lock:
            gone = [fault for fault in self._set if number in (None, fault.id)]
            self._set = [fault for fault in self._set if fault not in gone]
        for fault in gone:
            fault.removed.set()
        return len(gone)

    def described(self):
        return [fault.described() for fault in self._set]

    def take(self, request, place):
        """The first fault that befalls the request at this place (start, event or idle), one use of it spent."""
        if not self._set:
            return None
        with self._lock:
            for fault in self._set:
                if not fault.befalls(request, place):
                    continue
                if fault.to_skip > 0:
                    fault.to_skip -= 1
                    continue
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left <= 0:
                        self._set = [each for each in self._set if each is not fault]
                return fault
        return None

    @staticmethod
    def wait_out(fault, sink=None):
        """delay: its seconds. hang: until it is removed, its seconds are over (if given) or the client leaves."""
        seconds = fault.get("seconds", 1 if fault.name == "delay" else None)
        end = None if seconds is None else time.monotonic() + seconds
        while not fault.removed.wait(0.2 if end is None else max(0.0, min(0.2, end - time.monotonic()))):
            if (end is not None and time.monotonic() >= end) or (sink is not None and sink.closed):
                return
