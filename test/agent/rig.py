# SPDX-License-Identifier: Apache-2.0
"""A node in a network, mount and process namespace of its own: its agent, an API server, and pods that real CNI
plug-ins connect. When the test program ends, however it ends, the kernel takes everything away.

    rig.enter()                       # first of all; the program starts again inside
    node = rig.Node()
    a = node.add_pod("shop", "a", "10.244.1.11", "ptp")
    node.start_agent("--policy-source", "directory", ...)
    node.pings(a, b)
"""
import atexit
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "apiserver"))
POSTERN = os.environ.get("POSTERN", os.path.join(HERE, "../../build/release/bin/postern"))
CNI = "/usr/lib/cni"
SKIPPED = 77
INSIDE = "POSTERN_RIG"
METRICS = "http://127.0.0.1:8162/metrics"
# Exactly what deploy/base gives the agent, in every set that a container has.
LISTED = "-all,+bpf,+net_admin,+perfmon"
LISTED_BITS = 1 << 39 | 1 << 12 | 1 << 38
WITH_LISTED_RIGHTS = ("setpriv", "--no-new-privs", "--inh-caps", LISTED, "--bounding-set", LISTED)
PATIENCE = 30  # seconds; how long anything may take on a machine that is busy with other things


def run(*command, text=None, environment=None, check=True):
    done = subprocess.run(command, input=text, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if check and done.returncode != 0:
        raise AssertionError("%s ended with %d:\n%s" % (" ".join(command), done.returncode, done.stdout))
    return done


def enter():
    """Starts the program again inside namespaces of its own; ends it as skipped where that is not allowed."""
    if os.environ.get(INSIDE):
        inside()
        return
    missing = [tool for tool in (CNI + "/ptp", CNI + "/bridge", "/usr/bin/ping", "/bin/ping")[:2]
               if not os.path.exists(tool)]
    if shutil.which("ping") is None:
        missing.append("ping")
    if os.geteuid() != 0 or missing:
        print("skipped: this needs root" + "".join(" and " + tool for tool in missing))
        sys.exit(SKIPPED)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                          "--propagation", "private", sys.executable, *sys.argv])


def inside():
    # Nothing of the machine's own may be seen or touched: names of namespaces, BPF pins, state of plug-ins.
    for folder, kind in (("/run/netns", "tmpfs"), ("/sys", "sysfs"), ("/var/lib/cni", "tmpfs")):
        os.makedirs(folder, exist_ok=True)
        run("mount", "-t", kind, kind, folder)
    run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    run("ip", "link", "set", "lo", "up")
    for setting in ("net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1"):
        name, value = setting.split("=")
        with open("/proc/sys/" + name, "w", encoding="ascii") as file:
            file.write(value)
    # What agents keep for the command line, and what uninstalling removes, is not the machine's own.
    folder = tempfile.mkdtemp(prefix="postern-run-")
    atexit.register(shutil.rmtree, folder, True)
    os.environ["POSTERN_RUN_FOLDER"] = folder
    # The first process of a namespace takes over orphans; it must not die of a signal that a test sends.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def nftables(commands):
    """A rule that asks for the state of connections makes the node track them."""
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    failed = library.nft_run_cmd_from_buffer(context, commands.encode())
    library.nft_ctx_free(context)
    if failed:
        raise AssertionError("nftables refuses " + commands)


def until(what, holds, patience=PATIENCE):
    """Waits until holds() is true; what it returned then."""
    end = time.monotonic() + patience
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %d s in vain: %s" % (patience, what))
        time.sleep(0.02)


class Pod:
    def __init__(self, namespace, name, address, plugin):
        self.namespace, self.name, self.address, self.plugin = namespace, name, address, plugin
        self.netns = "%s-%s" % (namespace, name)

    def run(self, *command, check=True):
        return run("ip", "netns", "exec", self.netns, *command, check=check)

    def start(self, *command, **how):
        return subprocess.Popen(["ip", "netns", "exec", self.netns, *command], **how)

    def amazon_interface(self):
        name = "%s.%s" % (self.namespace, self.name)
        return "eni" + hashlib.sha1(name.encode()).hexdigest()[:11]

    def manifest(self, node, labels=None):
        """As the API server has it; without a node for a folder of manifests."""
        spec = {"containers": [{"name": "c", "image": "c"}]}
        if node:
            spec["nodeName"] = node
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": self.name, "namespace": self.namespace, "labels": labels or {"app": self.name}},
                "spec": spec,
                "status": {"phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}]}}


class Agent:
    """A running `postern agent` with its log."""

    def __init__(self, log, process):
        self.log_file, self.process = log, process

    def log(self):
        with open(self.log_file, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.startswith("{")]

    def messages(self, level=None):
        return [line["msg"] for line in self.log() if level in (None, line["level"])]

    def has_listed_rights(self):
        """Fails unless the process holds the listed capabilities and no others."""
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as file:
            held = {line.split()[0]: int(line.split()[1], 16) for line in file if line.startswith("Cap")}
        expected = {"CapInh:": LISTED_BITS, "CapPrm:": LISTED_BITS, "CapEff:": LISTED_BITS, "CapBnd:": LISTED_BITS,
                    "CapAmb:": 0}
        if held != expected:
            raise AssertionError("the agent holds %s, expected %s" % (held, expected))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


class Node:
    def __init__(self, name="node-1"):
        self.name, self.pods, self.agent = name, [], None
        self.folder = tempfile.mkdtemp(prefix="postern-node-")

    # Pods

    def network(self, plugin):
        """The plug-ins' networks: 10.244.1.0/24 is routed by ptp, 10.244.2.0/24 is on a bridge."""
        third = {"ptp": 1, "bridge": 2}[plugin]
        ranges = [[{"subnet": "10.244.%d.0/24" % third}]]
        network = {"cniVersion": "1.0.0", "name": "rig-" + plugin, "type": plugin,
                   "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}],
                            "dataDir": os.path.join(self.folder, "cni")}}
        if plugin == "bridge":
            network.update(bridge="cni0", isGateway=True)
        return network

    def cni(self, command, pod):
        run(os.path.join(CNI, pod.plugin), text=json.dumps(self.network(pod.plugin)), environment={
            "PATH": os.environ["PATH"], "CNI_PATH": CNI, "CNI_COMMAND": command, "CNI_CONTAINERID": pod.netns,
            "CNI_NETNS": "/run/netns/" + pod.netns, "CNI_IFNAME": "eth0",
            "CNI_ARGS": "IgnoreUnknown=1;IP=" + pod.address})

    def connect_as_amazon(self, pod):
        """What the VPC CNI has done by the time it calls the agent: an interface of a name that tells the pod, a route
        to its address, and in the pod a gateway whose hardware address is known."""
        host = pod.amazon_interface()
        run("ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", pod.netns)
        run("ip", "link", "set", host, "up")
        with open("/sys/class/net/%s/address" % host, encoding="ascii") as file:
            hardware = file.read().strip()
        pod.run("ip", "addr", "add", pod.address + "/32", "dev", "eth0")
        pod.run("ip", "link", "set", "eth0", "up")
        pod.run("ip", "route", "add", "169.254.1.1", "dev", "eth0", "scope", "link")
        pod.run("ip", "route", "add", "default", "via", "169.254.1.1")
        pod.run("ip", "neigh", "add", "169.254.1.1", "lladdr", hardware, "dev", "eth0", "nud", "permanent")
        run("ip", "route", "add", pod.address, "dev", host, "scope", "link")

    def add_pod(self, namespace, name, address, plugin):
        """`plugin`: ptp, bridge, or amazon, which is connected by hand."""
        pod = Pod(namespace, name, address, plugin)
        run("ip", "netns", "add", pod.netns)
        pod.run("ip", "link", "set", "lo", "up")
        if plugin == "amazon":
            self.connect_as_amazon(pod)
        else:
            self.cni("ADD", pod)
        self.pods.append(pod)
        return pod

    def delete_pod(self, pod):
        if pod.plugin == "amazon":
            run("ip", "link", "del", pod.amazon_interface())
        else:
            self.cni("DEL", pod)
        run("ip", "netns", "del", pod.netns)
        self.pods.remove(pod)
        if pod.plugin == "bridge":  # another pod may get its address at once, which no cluster does
            # It fails when the kernel drops one of them meanwhile.
            until("nobody is remembered at the bridge",
                  lambda: run("ip", "neigh", "flush", "dev", "cni0", check=False).returncode == 0)

    def clear(self):
        """No agent, nothing of ours in the kernel, no pod."""
        if self.agent and self.agent.process.poll() is None:
            self.agent.kill()
        run(POSTERN, "agent", "--uninstall", "--log-file=")
        for pod in list(self.pods):
            self.delete_pod(pod)
        shutil.rmtree(self.folder, ignore_errors=True)

    def give_v6(self, pod, address):
        """An address, and a way between pod and node by static neighbours."""
        pod.v6 = address
        host = re.search(r" dev (\S+)", run("ip", "route", "get", pod.address).stdout).group(1)

        def hardware(text):
            return re.search(r"link/ether (\S+)", text).group(1)
        here = hardware(run("ip", "link", "show", "dev", host).stdout)
        there = hardware(pod.run("ip", "link", "show", "dev", "eth0").stdout)
        pod.run("ip", "-6", "addr", "add", address + "/128", "dev", "eth0", "nodad")
        pod.run("ip", "-6", "neigh", "add", "fe80::1", "lladdr", here, "dev", "eth0", "nud", "permanent")
        pod.run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0", "onlink")
        run("ip", "-6", "neigh", "add", address, "lladdr", there, "dev", host, "nud", "permanent")
        run("ip", "-6", "route", "add", address, "dev", host)

    def pings(self, source, target):
        """Whether an echo and its reply get through."""
        return source.run("ping", "-n", "-c", "1", "-W", "0.5", target.address, check=False).returncode == 0

    # The agent

    def start_agent(self, *arguments, log="agent.log", wrapper=WITH_LISTED_RIGHTS, wait=True, environment=None):
        path = os.path.join(self.folder, log)
        command = [*wrapper, POSTERN, "agent", "--node-name", self.name, "--log-file", "", "--log-level", "info",
                   "--grpc-socket", "", "--ipamd-socket", "", *arguments]
        with open(path, "a", encoding="utf-8") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
        self.agent = Agent(path, process)
        if wait:
            self.wait_ready()
        return self.agent

    def wait_ready(self):
        def ready():
            if self.agent.process.poll() is not None:
                raise AssertionError("the agent ended with %d:\n%s" % (
                    self.agent.process.returncode, open(self.agent.log_file, encoding="utf-8").read()))
            return self.probe("readyz")
        until("the agent is ready", ready)
        self.agent.has_listed_rights()

    def probe(self, name):
        """Whether /healthz or /readyz says that all is well."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:8163/" + name, timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def metrics(self):
        """{'postern_pods{interface="known"}': 2.0, ...}"""
        with urllib.request.urlopen(METRICS, timeout=5) as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in re.findall(r"^([a-z][^ ]*) (\S+)$", text, re.MULTILINE)}

    def metric(self, name):
        return self.metrics().get(name, 0.0)

    def wait_version(self, resource, version):
        """Until that resourceVersion is in force."""
        name = 'postern_source_version_in_force{resource="%s"}' % resource
        until("%s %s is in force" % (resource, version), lambda: self.metric(name) >= int(version))


def policy(name, namespace, selector=None, **spec):
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"podSelector": {"matchLabels": selector} if selector else {}, **spec}}


def cluster_policy(name, tier, selector=None, priority=1, **spec):
    """Its subject: pods of any namespace with these labels."""
    pods = {"namespaceSelector": {}, "podSelector": {"matchLabels": selector} if selector else {}}
    return {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": name},
            "spec": {"tier": tier, "priority": priority, "subject": {"pods": pods}, **spec}}


def pins():
    """What of ours is pinned, as paths below the BPF file system."""
    return sorted(os.path.join(at, name)[len("/sys/fs/bpf/"):] for at, _, files in os.walk("/sys/fs/bpf/postern")
                  for name in files)
