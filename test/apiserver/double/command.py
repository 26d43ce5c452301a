# SPDX-License-Identifier: Apache-2.0
"""The command: reads options, puts the parts together, says where it listens, and serves until it is ended."""
import argparse
import json
import os
import signal
import sys
import threading

from . import defaults, kinds
from .api import Api
from .control import Control
from .faults import Faults
from .identity import Identity
from .journal import Journal
from .objects import Objects
from .rbac import Rbac
from .requestlog import RequestLog
from .server import ControlListener, Listener, tls_context
from .store import Store


class Server:
    """Everything that the parts share."""

    def __init__(self, options):
        self.minor = int(options.version.partition(".")[2])
        self.modern = self.minor >= 26  # aggregated discovery, OpenAPI version 3
        self.watch_list = self.minor >= 32
        self.bookmark_period, self.bookmark_calls = options.bookmark_period, 0
        self.tls_folder = options.tls_dir
        authority = os.path.join(options.tls_dir, "ca.crt") if options.tls_dir else None
        self.identity = Identity(options.tokens, authority, options.anonymous)
        self.kinds, self.faults, self.log = kinds.Kinds(), Faults(), RequestLog()
        journal = Journal(options.state) if options.state else None
        entries, last = journal.read() if journal else ([], 0)
        self.store = Store(options.first_resource_version or max(last, 1), options.history)
        self.objects = Objects(self.store, self.kinds, options.graceful_pods)
        self.rbac = Rbac(self.store, options.rbac)
        self.api = Api(self)
        self._begin(entries, options.first_resource_version is not None)
        if journal:
            journal.begin([(name, key, stored.object) for name, collection in self.store.collections.items()
                           for key, stored in collection.in_order()], self.store.version)
            self.store.journal = journal.write

    def _begin(self, entries, starts_over):
        """The state file's objects as they were, or those of a new cluster; history begins behind them."""
        fresh = [(self.kinds.of_object(thing), thing) for thing in defaults.bootstrap()]
        self.kept = {(kind.collection, ("", thing["metadata"]["name"])) for kind, thing in fresh}
        for kind, thing in [] if entries else fresh:
            self.objects.load(kind, thing)
        for name, key, thing in entries:
            if name == kinds.CRD.collection:
                self.kinds.define(thing)
            if starts_over:
                self.store.put(name, key, thing)
            else:
                self.store.restore(name, key, thing)
        self.store.forget_past()


def address(text):
    """HOST:PORT, [HOST]:PORT; port 0 takes a free one."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="apiserver", description="An API server for tests, in memory.")
    add = parser.add_argument
    add("--listen", default="127.0.0.1:0", metavar="ADDRESS:PORT", help="port 0 takes a free one")
    add("--control", default="127.0.0.1:0", metavar="ADDRESS:PORT|unix:PATH", help="where tests steer it")
    add("--ready-file", metavar="FILE", help="JSON with url, control and pid, written once it serves")
    add("--tls-dir", metavar="DIR", help="serve TLS with server.crt and server.key; client certificates of ca.crt")
    add("--server-certificate", default="server", metavar="NAME", help="another NAME.crt of the TLS folder")
    add("--tokens", metavar="FILE", help='lines of token,user,uid,"group,group"; read again when it changes')
    add("--anonymous", action="store_true", help="requests without credentials are system:anonymous, not 401")
    add("--rbac", action="store_true", help="let roles and bindings decide; without it everybody may do all")
    add("--version", default="1.32", choices=["1.20", "1.32"], help="whose ways it has")
    add("--state", metavar="FILE", help="keep the objects there, and begin with them")
    add("--first-resource-version", type=int, metavar="N", help="start over from N instead of going on")
    add("--history", type=int, default=10000, metavar="N", help="events kept for each kind")
    add("--bookmark-period", type=float, default=5.0, metavar="SECONDS")
    add("--graceful-pods", action="store_true",
        help="a pod that has a node is only marked by a delete without --grace-period=0, as no kubelet is there")
    return parser.parse_args(arguments)


def main(arguments):
    options = options_of(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = Server(options)
    context = tls_context(options.tls_dir, options.server_certificate) if options.tls_dir else None
    try:
        server.listener = Listener(*address(options.listen), server, context)
        unix = options.control.startswith("unix:")
        where = options.control[len("unix:"):] if unix else address(options.control)
        if unix and os.path.exists(where):
            os.unlink(where)
        control = ControlListener(where, Control(server))
    except OSError as error:
        sys.exit("apiserver: cannot listen at %s or %s: %s" % (options.listen, options.control, error))
    for each in (server.listener, control):
        threading.Thread(target=each.serve_forever, daemon=True).start()
    ready = {"url": ("https://" if context else "http://") + _printed(server.listener.server_address),
             "control": options.control if unix else "http://" + _printed(control.server_address), "pid": os.getpid()}
    if options.ready_file:
        with open(options.ready_file + ".new", "w", encoding="utf-8") as file:
            json.dump(ready, file)
        os.replace(options.ready_file + ".new", options.ready_file)
    print("apiserver: %(url)s, control %(control)s" % ready, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _printed(server_address):
    host, port = server_address[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)
