# SPDX-License-Identifier: Apache-2.0
"""For test programs: starts the API server, steers it, runs kubectl against it, and speaks HTTP to it raw.

    with Double("--rbac", version="1.32") as double:
        double.control("load", {"objects": [...]})
        double.kubectl("get", "pods", "-A")
"""
import atexit
import functools
import http.client
import importlib.machinery
import importlib.util
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
PODS = "/api/v1/pods"
KUBECTL = os.environ.get("KUBECTL", "kubectl")
SKIPPED = 77


def needs_kubectl():
    """Ends the program as skipped where there is no kubectl."""
    if shutil.which(KUBECTL) is None:
        print("there is no kubectl")
        sys.exit(SKIPPED)
    told = subprocess.run([KUBECTL, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    print("kubectl " + json.loads(told.stdout)["clientVersion"]["gitVersion"], flush=True)


def make_kubeconfig(path, **options):
    """Writes what the command make-kubeconfig prints."""
    loader = importlib.machinery.SourceFileLoader("make_kubeconfig", os.path.join(HERE, "make-kubeconfig"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_kubeconfig", loader))
    loader.exec_module(module)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(module.kubeconfig(**options), file)
    return path


@functools.lru_cache(None)
def certificates():
    """A folder with what make-certificates makes, for all servers of this program; it goes when the program ends."""
    folder = tempfile.mkdtemp(prefix="postern-apiserver-tls-")
    atexit.register(shutil.rmtree, folder, True)
    subprocess.run([os.path.join(HERE, "make-certificates"), folder], check=True)
    return folder


class Double:
    """A running API server with a folder of its own; `tls` has certificates, `kubeconfig` is the administrator's."""

    def __init__(self, *options, version="1.32", tls=True):
        self.folder = tempfile.mkdtemp(prefix="postern-apiserver-")
        self.tls, self.version, self.process = certificates() if tls else None, version, None
        self.clients = []  # closed with the server
        self.options = ["--version", version, *options] + (["--tls-dir", self.tls] if tls else [])
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.clients:
            each.close()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *more):
        """Again after kill(), at the port it had."""
        ready = os.path.join(self.folder, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        listen = urllib.parse.urlsplit(self.url).netloc if self.process else "127.0.0.1:0"
        self.process = subprocess.Popen([os.path.join(HERE, "apiserver"), "--listen", listen, "--ready-file", ready,
                                         *self.options, *more], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not os.path.exists(ready):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the API server did not start")
            time.sleep(0.01)
        with open(ready, encoding="utf-8") as file:
            told = json.load(file)
        self.url, self.control_url = told["url"], told["control"]
        self.kubeconfig = self.kubeconfig_of("admin") if self.tls else make_kubeconfig(
            os.path.join(self.folder, "kubeconfig"), server=self.url)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def kubeconfig_of(self, client=None, token=None, authority="ca"):
        """A kubeconfig with the certificate CLIENT.crt, or with a token."""
        name = "kubeconfig-%s-%s" % (client or token, authority)
        pair = {"certificate": "%s/%s.crt" % (self.tls, client), "key": "%s/%s.key" % (self.tls, client)} \
            if client else {"token": token}
        return make_kubeconfig(os.path.join(self.folder, name), server=self.url,
                               authority="%s/%s.crt" % (self.tls, authority), **pair)

    def control(self, verb, body=None, method=None):
        """What the control channel answers; a mapping is sent as JSON, text as it is."""
        data = body if isinstance(body, (bytes, type(None))) else (
            body.encode() if isinstance(body, str) else json.dumps(body).encode())
        request = urllib.request.Request(self.control_url + "/" + verb, data,
                                         method=method or ("POST" if data is not None else "GET"))
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def load(self, things):
        """Creates or replaces, status included."""
        return self.control("load", {"objects": things})

    def remove(self, things):
        return self.control("delete", {"objects": things})

    def environment(self, kubeconfig=None):
        """Of a process that uses the server: nothing of the machine's own kubectl settings reaches it."""
        return {**os.environ, "HOME": self.folder, "KUBECONFIG": kubeconfig or self.kubeconfig}

    def kubectl(self, *arguments, kubeconfig=None, text=None, status=0):
        """Output and errors of kubectl as one text; raises unless it ends with `status`."""
        done = subprocess.run([KUBECTL, *arguments], input=text, env=self.environment(kubeconfig), timeout=50,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != status:
            raise AssertionError("kubectl %s ended with %d instead of %d:\n%s" % (
                " ".join(arguments), done.returncode, status, done.stdout))
        return done.stdout

    def client(self, **credentials):
        self.clients.append(Client(self, **credentials))
        return self.clients[-1]


class Client:
    """Requests without a library in between. With TLS it is the administrator, unless told otherwise."""

    def __init__(self, double, certificate="admin", token=None, timeout=20):
        address = urllib.parse.urlsplit(double.url)
        self.headers = {"Authorization": "Bearer " + token} if token else {}
        self.place, self.context, self.timeout = (address.hostname, address.port), None, timeout
        if address.scheme == "https":
            self.context = ssl.create_default_context(cafile=double.tls + "/ca.crt")
            if certificate and not token:
                path = os.path.join(double.tls, certificate)
                self.context.load_cert_chain(path + ".crt", path + ".key")
        self.connection, self.streams = None, []

    def close(self):
        for each in self.streams + ([self.connection] if self.connection else []):
            each.close()

    def open(self):
        kind = http.client.HTTPSConnection if self.context else http.client.HTTPConnection
        return kind(*self.place, timeout=self.timeout, **({"context": self.context} if self.context else {}))

    def send(self, method, path, body=None, content_type="application/json", headers=(), parse=True):
        """(status, body, headers) over one connection that is kept; JSON is parsed unless `parse` is False."""
        if self.connection is None:
            self.connection = self.open()
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            self.connection.request(method, path, data, {"Content-Type": content_type, **self.headers, **dict(headers)})
            answer = self.connection.getresponse()
            read = answer.read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise
        is_json = parse and read and answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(read) if is_json else read, answer.headers

    def get(self, path):
        """The parsed body of a GET that must succeed."""
        status, body, _ = self.send("GET", path)
        if status != 200:
            raise AssertionError("GET %s: %d %s" % (path, status, body))
        return body

    def watch(self, path, **query):
        """A Stream of the events; `path` may have a query of its own."""
        query = {"watch": "1", **{name: str(value) for name, value in query.items()}}
        connection = self.open()
        connection.request("GET", path + ("&" if "?" in path else "?") + urllib.parse.urlencode(query),
                           headers=self.headers)
        self.streams.append(Stream(connection))
        return self.streams[-1]


class Stream:
    """A running watch."""

    def __init__(self, connection):
        self.connection, self.answer = connection, connection.getresponse()
        self.status = self.answer.status

    def line(self):
        """The next line as bytes; b"" at the end of the stream."""
        return self.answer.readline()

    def next(self):
        """The next event, or None at the end of the stream."""
        line = self.line()
        return json.loads(line) if line else None

    def take(self, count):
        return [self.next() for _ in range(count)]

    def close(self):
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.answer.close()
        self.connection.close()


def told(event):
    """An event as text: "ADDED shop/web"."""
    metadata = event["object"].get("metadata", {})
    name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    return (event["type"] + " " + name).strip()


def pod(name, namespace="default", node="", labels=None, address=None):
    """A Pod as the control channel takes it."""
    thing = {"apiVersion": "v1", "kind": "Pod",
             "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
             "spec": {"containers": [{"name": "c", "image": "c"}]}, "status": {"phase": "Running"}}
    if node:
        thing["spec"]["nodeName"] = node
    if address:
        thing["status"].update(podIP=address, podIPs=[{"ip": address}])
    return thing


class OneServer(unittest.TestCase):
    """Tests that share a server; each begins with one that holds nothing."""
    options, version = (), "1.32"

    @classmethod
    def setUpClass(cls):
        cls.double = Double("--bookmark-period", "600", *cls.options, version=cls.version)
        cls.addClassCleanup(cls.double.__exit__)

    def setUp(self):
        self.double.control("close", {})  # no watch of an earlier test may take what is meant for this one
        self.double.control("clear", {})
        self.client = self.double.client()

    def load(self, *things):
        return self.double.control("load", {"objects": list(things)})["resource_version"]

    def watch(self, path=PODS, **query):
        return self.client.watch(path, **query)
