# SPDX-License-Identifier: Apache-2.0
"""Waves of pods for an agent to follow: real namespaces and veths, routed as Calico does it, an API server that says
what they are, and policies of every shape. A wave has the names, addresses and interface indexes of the wave three
before it; some indexes share a slot of the tables. Datagrams between two pods of a wave say what is in force.
"""
import contextlib
import ctypes
import os
import select
import socket
import subprocess
import time
import uuid

import rig

NODE_MAC = "ee:ee:ee:ee:ee:ee"
SLOTS = 3       # how many waves have names of their own
PODS = 24       # of a wave; one of them is replaced while the wave lives
MADE = PODS + 1
POLICIES = 25
ROLES = ("client", "web", "db", "lone")
NEW_NETWORK = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def hurry_kernel():
    """Before rig.enter(). Each program put on a hook waits for the kernel, for 15 ms without this, and it is the
    kernel's waiting that most of the time would go into. It holds for the whole machine until this program and what it
    becomes are gone, also when they are killed."""
    path = "/sys/kernel/rcu_expedited"
    if os.environ.get(rig.INSIDE) or not os.access(path, os.W_OK):
        return
    with open(path, encoding="ascii") as file:
        if file.read().strip() != "0":
            return
    ours, theirs = os.pipe()
    subprocess.Popen(["sh", "-c", "cat; echo 0 >" + path], stdin=ours, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(ours)
    os.set_inheritable(theirs, True)  # open for as long as the program lives
    with open(path, "w", encoding="ascii") as file:
        file.write("1")


def batch(lines, *more):
    rig.run("ip", *more, "-batch", "-", text="\n".join(lines) + "\n")


@contextlib.contextmanager
def network_of(pod):
    """Sockets made in here are the pod's."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/" + pod.name, os.O_RDONLY)
    try:
        if libc.setns(there, NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "setns to " + pod.name)
        yield
        if libc.setns(home, NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "setns back")
    finally:
        os.close(home)
        os.close(there)


class Pod:
    def __init__(self, slot, place, namespace, role):
        self.namespace, self.role, self.place = namespace, role, place
        self.name = "churn-%d-%d" % (slot, place)
        self.interface = "ch%d-%d" % (slot, place)
        self.v4, self.v6 = "10.77.%d.%d" % (slot, 10 + place), "fd77::%x:%x" % (slot + 1, 10 + place)
        self.group = 70 + slot
        # Every eighth shares the slot of its neighbour in the tables (index modulo 65,536).
        self.index = 1000 + slot * 100 + place if place % 8 != 7 else 66536 + slot * 100 + place - 1

    def host_lines(self):
        return ["netns add " + self.name,
                "link add %s index %d group %d address %s type veth peer name eth0 netns %s" % (
                    self.interface, self.index, self.group, NODE_MAC, self.name),
                "link set %s up" % self.interface,
                "route add %s/32 dev %s" % (self.v4, self.interface),
                "route add %s/128 dev %s" % (self.v6, self.interface)]

    def own_lines(self):
        return ["link set eth0 up", "addr add %s/32 dev eth0" % self.v4, "addr add %s/128 dev eth0 nodad" % self.v6,
                "neigh add 169.254.1.1 lladdr %s dev eth0 nud permanent" % NODE_MAC,
                "neigh add fe80::1 lladdr %s dev eth0 nud permanent" % NODE_MAC,
                "route add default via 169.254.1.1 dev eth0 onlink", "route add default via fe80::1 dev eth0"]

    def manifest(self, node):
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": self.name, "namespace": self.namespace, "uid": str(uuid.uuid4()),
                             "labels": {"role": self.role, "pod": str(self.place)}},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "c"}]},
                "status": {"phase": "Running", "podIP": self.v4, "podIPs": [{"ip": self.v4}, {"ip": self.v6}]}}


def make(pods):
    batch([line for pod in pods for line in pod.host_lines()])
    inside = [(pod, subprocess.Popen(["ip", "-n", pod.name, "-batch", "-"], stdin=subprocess.PIPE, text=True))
              for pod in pods]
    for pod, process in inside:
        process.communicate("\n".join(pod.own_lines()) + "\n")
        if process.returncode != 0:
            raise AssertionError("the network of %s could not be made" % pod.name)


class Wave:
    """Steps: arrive, change, go. `server` is the API server's double, `node` the rig's."""

    def __init__(self, number, node, server):
        self.number, self.node, self.server = number, node, server
        self.slot = number % SLOTS
        self.namespace = "churn-%d" % self.slot
        self.pods = [Pod(self.slot, place, self.namespace, ROLES[place % len(ROLES)]) for place in range(PODS)]
        # Numbers that no other wave of a run of usual size has, so that nothing is shared by accident.
        self.web_port, self.db_port = 10000 + number * 11 % 20000, 30000 + number % 10000
        self.own_port = 40000 + number * 25 % 20000

    def of_role(self, role):
        return [pod for pod in self.pods if pod.role == role]

    # What the API server says

    def load(self, things):
        return self.server.control("load", {"objects": things})["resource_version"]

    def remove(self, things):
        return self.server.control("delete", {"objects": things})["resource_version"]

    def policy(self, name, selector, **spec):
        return rig.policy(name, self.namespace, selector, **spec)

    def own_policy(self, place, excepted):
        """What only one pod has: a port for all pods but some."""
        blocks = [{"cidr": "10.77.0.0/16", "except": [pod.v4 + "/32" for pod in excepted]},
                  {"cidr": "fd77::/32", "except": [pod.v6 + "/128" for pod in excepted]}]
        name = "own-%d" % place if place % 4 == 1 else "own-%d-of-%d" % (place, self.number)
        return self.policy(name, {"pod": str(place)}, policyTypes=["Ingress"], ingress=[
            {"from": [{"ipBlock": block} for block in blocks],
             "ports": [{"protocol": "UDP", "port": self.own_port + place}]}])

    def policies(self):
        to_web = [{"protocol": "UDP", "port": self.web_port, "endPort": self.web_port + 9}]
        lone = self.of_role("lone")
        return [
            self.policy("isolate", None, policyTypes=["Ingress"]),
            self.policy("web", {"role": "web"}, policyTypes=["Ingress"], ingress=[
                {"from": [{"podSelector": {"matchLabels": {"role": "client"}}}], "ports": to_web}]),
            self.policy("db", {"role": "db"}, policyTypes=["Ingress"], ingress=[
                {"from": [{"namespaceSelector": {"matchLabels": {"wave": str(self.number)}},
                           "podSelector": {"matchLabels": {"role": "web"}}}],
                 "ports": [{"protocol": "UDP", "port": self.db_port}]}]),
            self.policy("client", {"role": "client"}, policyTypes=["Egress"], egress=[
                {"to": [{"podSelector": {"matchLabels": {"role": "web"}}}], "ports": to_web},
                {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.77.0.0/17"]}}],
                 "ports": [{"protocol": "UDP", "port": 53}]}])] + [
            self.own_policy(place, lone[:1]) for place in range(POLICIES - 4)]

    def services(self):
        address = "10.96.%d.%d" % (self.slot, 1 + self.number % 2)
        port = {"name": "web", "protocol": "UDP", "port": 80}
        web = self.of_role("web")
        return [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": self.namespace},
                 "spec": {"clusterIP": address, "clusterIPs": [address], "selector": {"role": "web"},
                          "ports": [{**port, "targetPort": self.web_port}]}},
                {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                 "metadata": {"name": "web-1", "namespace": self.namespace,
                              "labels": {"kubernetes.io/service-name": "web"}},
                 "ports": [{"name": "web", "protocol": "UDP", "port": self.web_port}],
                 "endpoints": [{"addresses": [pod.v4], "conditions": {"ready": True},
                                "targetRef": {"kind": "Pod", "name": pod.name, "namespace": pod.namespace}}
                               for pod in web]}]

    def surroundings(self):
        """The namespace, and a pod of another node that a rule selects."""
        away = Pod(self.slot, PODS, self.namespace, "client")
        return [{"apiVersion": "v1", "kind": "Namespace",
                 "metadata": {"name": self.namespace, "labels": {"wave": str(self.number)}}}], [away.manifest("away")]

    # What happens

    def arrive(self):
        namespaces, away = self.surroundings()
        pods = [pod.manifest(self.node.name) for pod in self.pods]
        policies, services = self.policies(), self.services()
        if self.number % 2:  # pods of which the agent has to wait for the interface, or the other way round
            make(self.pods)
        versions = {"namespaces": self.load(namespaces), "pods": self.load(away + pods)}
        if self.number % 2 == 0:
            make(self.pods)
        self.wait(**versions, endpointslices=self.load(services), networkpolicies=self.load(policies))

    def change(self):
        """A pod is another under its name, address and index; a label and two policies are others."""
        old = self.pods[0]
        self.remove([old.manifest(self.node.name)])
        batch(["link del " + old.interface, "netns del " + old.name])
        make([old])
        lone = self.of_role("lone")
        lone[2].role = "client"
        version = self.load([old.manifest(self.node.name), lone[2].manifest(self.node.name)])
        self.wait(pods=version, networkpolicies=self.load([self.own_policy(1, lone[1:2]), self.own_policy(2, lone)]))

    def go(self):
        namespaces, away = self.surroundings()
        pods = [pod.manifest(self.node.name) for pod in self.pods]
        rest = self.services() + self.policies() + namespaces
        batch_of_names = ["netns del " + pod.name for pod in self.pods]
        way = self.number % 3
        if way == 0:  # objects first, policies before pods
            self.remove(rest)
            self.remove(pods + away)
            batch(batch_of_names)
        elif way == 1:  # interfaces first, policies last
            rig.run("ip", "link", "del", "group", str(self.pods[0].group))
            batch(batch_of_names)
            self.remove(pods + away)
            self.remove(rest)
        else:  # all at once; the interfaces go when the kernel comes to it
            batch(batch_of_names)
            self.remove(away + rest + pods)
        rig.until("the interfaces are gone", lambda: not [
            name for name in os.listdir("/sys/class/net") if name.startswith("ch%d-" % self.slot)])

    def wait(self, **versions):
        for resource, version in versions.items():
            self.node.wait_version(resource, version)

    # What is in force

    def expectations(self, changed, other=None):
        """(from, to, port, family, whether it passes), other: a wave that lives at the same time."""
        client, web, db, lone = (self.of_role(role) for role in ROLES)
        found = [(client[0], web[0], self.web_port + 3, 4, True), (client[0], web[0], self.web_port + 10, 4, False),
                 (lone[0], web[1], self.web_port + 3, 4, False), (web[0], db[0], self.db_port, 4, True),
                 (web[0], db[0], self.db_port, 6, True), (client[1], db[0], self.db_port, 6, False),
                 (lone[0], web[0], self.own_port + 1, 4, changed), (lone[1], web[0], self.own_port + 1, 4, not changed),
                 (lone[0], web[0], self.own_port + 1, 6, changed), (lone[1], web[0], self.own_port + 1, 6, not changed),
                 (lone[1], db[0], self.own_port + 2, 4, not changed)]
        if changed:
            found.append((client[-1], web[1], self.web_port, 4, True))
        if other:
            found.append((other.of_role("web")[0], db[1], self.db_port, 4, False))
        return found


def datagrams(expectations):
    """Which of the datagrams arrived, as `expectations` has them. All are sent; those that may not pass get as long as
    those that may have taken, and 20 ms."""
    sockets = {}
    with contextlib.ExitStack() as closing:
        for _, target, port, family, _ in expectations:
            where = (target.v4 if family == 4 else target.v6, port)
            if where in sockets:
                continue
            with network_of(target):
                receiver = closing.enter_context(socket.socket(
                    socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM))
            receiver.bind(where)
            sockets[where] = receiver
        for number, (source, target, port, family, _) in enumerate(expectations):
            with network_of(source):
                sender = closing.enter_context(socket.socket(
                    socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM))
            sender.bind((source.v4 if family == 4 else source.v6, 0))
            sender.sendto(b"%d" % number, (target.v4 if family == 4 else target.v6, port))
        wanted, arrived = {number for number, each in enumerate(expectations) if each[-1]}, set()
        end, last = time.monotonic() + 2, None
        while (left := (last or end) - time.monotonic()) > 0:
            for receiver in select.select(list(sockets.values()), [], [], left)[0]:
                arrived.add(int(receiver.recv(64)))
            if last is None and wanted <= arrived:
                last = time.monotonic() + 0.02
    return [(*each[:-1], number in arrived) for number, each in enumerate(expectations)]
