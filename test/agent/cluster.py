# SPDX-License-Identifier: Apache-2.0
"""For test programs inside the rig: a node with two pods, and an API server with TLS, tokens and RBAC whose rights for
the agent are those of deploy/base and no more.

    rig.enter()
    from cluster import Cluster
"""
import json
import os
import time
import unittest

import harness  # of test/apiserver
import real  # likewise
import rig

ROOT = os.path.join(rig.HERE, "../..")
ACCOUNT = "system:serviceaccount:kube-system:postern-agent"
TOKEN = "the-token-of-the-node"
REAL = os.environ.get("POSTERN_API_SERVER") == "real"  # else the double
WATCHED = ("namespaces", "nodes", "pods", "services", "endpointslices", "networkpolicies")


class Cluster(unittest.TestCase):
    version = "1.32"
    more_server = ()

    def setUp(self):
        tokens = os.path.join(harness.certificates(), "tokens.csv")
        with open(tokens, "w", encoding="utf-8") as file:
            file.write('%s,%s,1,"system:serviceaccounts"\n' % (TOKEN, ACCOUNT))
        if REAL:
            self.server = real.Real(tokens)
        else:
            self.server = harness.Double("--rbac", "--tokens", tokens, *self.more_server, version=self.version)
        self.addCleanup(self.server.__exit__)
        self.node = rig.Node()
        self.addCleanup(self.node.clear)
        self.a = self.node.add_pod("shop", "a", "10.244.1.11", "ptp")
        self.b = self.node.add_pod("shop", "b", "10.244.2.12", "bridge")
        self.fill()

    def fill(self):
        """What the server holds: the agent's rights, the node and its pods."""
        self.fill_rights()
        self.load_pods()
        self.load_node()

    def fill_rights(self):
        folder = os.path.join(ROOT, "deploy/base")
        for name in sorted(os.listdir(folder)):
            if "role" in name or "rbac" in name or "account" in name:
                self.server.kubectl("apply", "--validate=false", "-f", os.path.join(folder, name))

    def load(self, *things):
        self.server.load(list(things))

    def load_pods(self):
        self.load({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
                  *[pod.manifest(self.node.name) for pod in (self.a, self.b)])

    def load_node(self):
        self.load({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.node.name}})

    def start(self, *more, **how):
        return self.node.start_agent("--policy-source", "auto", "--enable-network-policy", "--kubeconfig",
                                     self.server.kubeconfig_of(token=TOKEN), *more, **how)

    def write(self, thing):
        path = os.path.join(self.node.folder, thing["metadata"]["name"] + ".json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(thing, file)
        return path

    def apply(self, thing):
        return self.server.kubectl("apply", "--validate=false", "-f", self.write(thing))

    def delete(self, kind, name):
        return self.server.kubectl("delete", kind, name, "-n", "shop")

    def wait(self, passes, source=None, target=None):
        rig.until("a ping %s" % ("passes" if passes else "is dropped"),
                  lambda: self.node.pings(source or self.a, target or self.b) == passes)

    def stays(self, passes, seconds=1.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assertEqual(self.node.pings(self.a, self.b), passes)
