# SPDX-License-Identifier: Apache-2.0
"""The state file: a line of JSON for each change, so that a server that was killed has it all.

Lines are {"version", "group", "resource", "namespace", "name", "object"}; no object means removed. A last
line cut short by the kill is left out. At a start the file is read and written anew, one line an object.
"""
import json
import os


class Journal:
    def __init__(self, path):
        self.path = path
        self._file = None

    def read(self):
        """What is in the file: ([(collection name, key, object)], the last resource version or 0)."""
        objects, last = {}, 0
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                for line in file:
                    if not line.endswith("\n"):
                        break
                    entry = json.loads(line)
                    last = max(last, entry["version"])
                    key = (entry["group"], entry["resource"], entry["namespace"], entry["name"])
                    objects.pop(key, None)
                    if entry["object"] is not None:
                        objects[key] = entry["object"]
        return [((group, resource), (namespace, name), thing)
                for (group, resource, namespace, name), thing in objects.items()], last

    def begin(self, entries, version):
        """Writes the file anew with `entries` as read() returns them, and keeps it open for more."""
        fresh = self.path + ".new"
        with open(fresh, "w", encoding="utf-8") as self._file:
            for name, key, thing in entries:
                self.write(name, key, thing, version)
        os.replace(fresh, self.path)
        self._file = open(self.path, "a", encoding="utf-8")

    def write(self, name, key, thing, version):
        json.dump({"version": version, "group": name[0], "resource": name[1], "namespace": key[0], "name": key[1],
                   "object": thing}, self._file, separators=(",", ":"))
        self._file.write("\n")
        self._file.flush()
