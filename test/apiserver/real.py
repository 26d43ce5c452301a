# SPDX-License-Identifier: Apache-2.0
"""For test programs: a real API server behind the interface of harness.Double, where there is one. What only a double
can do, faults above all, is not there: such tests stay on the double.

    with Real(tokens="/tmp/tokens.csv") as server:
        server.load([...])
        server.kubectl("get", "pods", "-A")
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import harness

ASSETS = "KUBEBUILDER_ASSETS"
PLURALS = {"EndpointSlice": "endpointslices", "NetworkPolicy": "networkpolicies"}
CLUSTER_WIDE = ("Namespace", "Node", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")


def needs_assets():
    """Ends the program as skipped where no folder of assets is named. A wrong one fails, when a server is started."""
    if not os.environ.get(ASSETS):
        print("skipped: %s is not set" % ASSETS)
        sys.exit(harness.SKIPPED)


def collection_path(thing):
    """Where objects of its kind and namespace are."""
    version, kind = thing["apiVersion"], thing["kind"]
    path = "/apis/%s/" % version if "/" in version else "/api/%s/" % version
    if kind not in CLUSTER_WIDE:
        path += "namespaces/%s/" % thing["metadata"].get("namespace", "default")
    return path + PLURALS.get(kind, kind.lower() + "s")


class Real:
    """A running kube-apiserver with certificates of its own; `kubeconfig` is the administrator's."""
    version = None
    environment, kubectl, client = harness.Double.environment, harness.Double.kubectl, harness.Double.client
    kubeconfig_of = harness.Double.kubeconfig_of

    def __init__(self, tokens=None):
        self.folder, self.clients = tempfile.mkdtemp(prefix="postern-apiserver-"), []
        self.tls = os.path.join(self.folder, "server")
        os.mkdir(self.tls)
        with socket.create_server(("127.0.0.1", 0)) as held:
            listen = "127.0.0.1:%d" % held.getsockname()[1]
        self.url = "https://" + listen
        self.process = subprocess.Popen([os.path.join(harness.HERE, "real-for-scenarios"), listen, self.tls,
                                         *([tokens] if tokens else [])])
        end = time.monotonic() + 60
        while not os.path.exists(self.tls + "/ready"):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError("the real API server did not start")
            time.sleep(0.05)
        self.kubeconfig = self.kubeconfig_of("admin")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.clients:
            each.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method, path, body=None, taken=(200, 201)):
        client = harness.Client(self)
        try:
            status, answer, _ = client.send(method, path, body)
        finally:
            client.close()
        if status not in taken:
            raise AssertionError("%s %s: %d %s" % (method, path, status, answer))
        return status, answer

    def load(self, things):
        """Creates or replaces, and writes the status where there is one: with the object itself it would be dropped."""
        for thing in things:
            collection = collection_path(thing)
            path = collection + "/" + thing["metadata"]["name"]
            status, now = self.ask("POST", collection, thing, (201, 409))
            if status == 409:
                now = self.ask("PUT", path, self.newer(thing, self.ask("GET", path)[1]))[1]
            if "status" in thing:
                self.ask("PUT", path + "/status", self.newer(thing, now))

    @staticmethod
    def newer(thing, now):
        return {**thing, "metadata": {**thing["metadata"], "resourceVersion": now["metadata"]["resourceVersion"]}}

    def remove(self, things):
        """At once: there is no kubelet that would confirm the end of a pod."""
        for thing in things:
            path = "%s/%s?gracePeriodSeconds=0" % (collection_path(thing), thing["metadata"]["name"])
            self.ask("DELETE", path, taken=(200, 404))
