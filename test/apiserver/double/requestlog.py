# SPDX-License-Identifier: Apache-2.0
"""What clients did: the latest requests one by one, and how many there were of each verb and resource."""
import collections
import threading
import time

KEPT = 10000


class RequestLog:
    def __init__(self):
        self._lock = threading.Lock()
        self.clear()

    def clear(self):
        """Forgets what is over; numbers go on."""
        with self._lock:
            self._entries = collections.deque((each for each in getattr(self, "_entries", ()) if each["running"]), KEPT)
            self._counts = collections.Counter()
            self._last = getattr(self, "_last", 0)

    def begin(self, request):
        """The entry of a request that has just come; the caller ends it."""
        with self._lock:
            self._last += 1
            entry = {"id": self._last, "time": time.time(), "method": request.method, "path": request.path,
                     "query": request.query, "verb": request.verb, "group": request.group,
                     "resource": request.resource, "subresource": request.subresource,
                     "namespace": request.namespace, "name": request.name,
                     "agent": request.headers.get("User-Agent", ""), "user": "", "code": 0, "fault": "",
                     "running": True}
            self._entries.append(entry)
            self._counts[(request.verb, request.resource or request.path)] += 1
            return entry

    @staticmethod
    def end(entry):
        entry["running"] = False

    def entries(self, since=0, **wanted):
        """Entries with a number above `since` whose fields are as `wanted`."""
        with self._lock:
            return [dict(each) for each in self._entries
                    if each["id"] > since and all(str(each.get(field)) == value for field, value in wanted.items())]

    def counts(self):
        """{"verb resource": times}."""
        with self._lock:
            return {"%s %s" % key: number for key, number in sorted(self._counts.items())}
