#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP(S) server that answers as a test tells it to, line by line.

Usage: scripted_server.py [CERTIFICATE KEY [CLIENT_CA]]
It prints its port, then reads commands from standard input and answers each with one line:
  put PATH NAME JSON     an object is there now; PATH is a collection, "/api/v1/pods"
  delete PATH NAME       and now it is not
  lose PATH NAME         it is not there, and nobody is told
  collection PATH        there are such objects, if none yet
  forbid PATH            such objects may not be read: 403
  permit PATH            and now they may
  answer N STATUS TEXT   the next N requests get this status and body (\\n stands for a line end)
  header NAME VALUE      in every answer of `answer` from now on
  token TEXT             requests without this bearer token get 401; "-" is none
  send PATH TEXT         bytes into every watch of PATH
  cut PATH               ends every watch of PATH, without the end of its body
  end PATH               ends every watch of PATH as it should be ended
  silent                 from now on connections are taken and nothing is said
  log                    "METHOD TARGET TOKEN BODY" of the requests so far, with | between them
"""
import http.server
import json
import socket
import ssl
import sys
import threading
import urllib.parse

lock = threading.RLock()
world = {}        # path -> {name: object}
version = 100
forbidden = set() # paths
watches = []      # (path, handler)
answers = []      # [status, text]
extra_headers = []
token = None
silent = False
requests = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.handle_request()

    def do_POST(self):
        self.handle_request()

    def do_PATCH(self):
        self.handle_request()

    def do_PUT(self):
        self.handle_request()

    def whole(self, status, text, headers=()):
        body = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        given = self.headers.get("Authorization", "-").replace("Bearer ", "")
        with lock:
            requests.append(f"{self.command} {self.path} {given} {body}".strip())
            if token is not None and given != token:
                return self.whole(401, '{"kind":"Status","code":401,"reason":"Unauthorized","message":"Unauthorized"}')
            if answers:
                answers[0][0] -= 1
                _, status, text = answers[0]
                if answers[0][0] == 0:
                    answers.pop(0)
                return self.whole(status, text, extra_headers)
        split = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(split.query))
        if silent:
            return threading.Event().wait()
        if self.command != "GET":
            return self.whole(201, body)
        with lock:
            collection, _, name = split.path.rpartition("/")
            if name in world.get(collection, {}):
                return self.whole(200, json.dumps(world[collection][name]))
            if split.path in forbidden:
                return self.whole(403, json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
                                                   "reason": "Forbidden", "message": "may not " + split.path}))
            if split.path not in world:
                return self.whole(404, "404 page not found\n")
            if "watch" not in query:
                return self.list(split.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            self.ended = threading.Event()
            watches.append((split.path, self))
        self.ended.wait()

    def list(self, path):
        kind = next((item["kind"] for item in world[path].values()), KINDS.get(path, "Thing"))
        items = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
                 for item in world[path].values()]
        self.whole(200, json.dumps({"kind": kind + "List", "apiVersion": "v1",
                                    "metadata": {"resourceVersion": str(version)}, "items": items}))

    def send_chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


KINDS = {"/api/v1/pods": "Pod", "/api/v1/namespaces": "Namespace", "/api/v1/nodes": "Node",
         "/api/v1/services": "Service", "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
         "/apis/networking.k8s.io/v1/networkpolicies": "NetworkPolicy",
         "/apis/networking.k8s.aws/v1alpha1/policyendpoints": "PolicyEndpoint"}


def each_watch(path, action):
    for entry in list(watches):
        if entry[0] != path:
            continue
        try:
            action(entry[1])
        except OSError:
            watches.remove(entry)


def event(path, kind, item):
    line = json.dumps({"type": kind, "object": item}).encode() + b"\n"
    # In two chunks, so that the line does not arrive in one.
    each_watch(path, lambda handler: (handler.send_chunk(line[:20]), handler.send_chunk(line[20:])))


def end(path, handler, proper):
    if proper:
        handler.wfile.write(b"0\r\n\r\n")
        handler.wfile.flush()
    else:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
    watches.remove((path, handler))
    handler.ended.set()


def command(line):
    global version, token, silent
    word, _, rest = line.partition(" ")
    if word == "put":
        path, name, text = rest.split(" ", 2)
        version += 1
        item = json.loads(text)
        item["metadata"]["resourceVersion"] = str(version)
        known = name in world.setdefault(path, {})
        world[path][name] = item
        event(path, "MODIFIED" if known else "ADDED", item)
    elif word == "collection":
        world.setdefault(rest, {})
    elif word in ("forbid", "permit"):
        (forbidden.add if word == "forbid" else forbidden.discard)(rest)
    elif word == "delete":
        path, name = rest.split(" ")
        version += 1
        item = world[path].pop(name)
        item["metadata"]["resourceVersion"] = str(version)
        event(path, "DELETED", item)
    elif word == "lose":
        path, name = rest.split(" ")
        version += 1
        del world[path][name]
    elif word == "answer":
        count, status, text = rest.split(" ", 2)
        answers.append([int(count), int(status), text.replace("\\n", "\n")])
    elif word == "header":
        extra_headers.append(tuple(rest.split(" ", 1)))
    elif word == "token":
        token = None if rest == "-" else rest
    elif word == "send":
        path, text = rest.split(" ", 1)
        each_watch(path, lambda handler: handler.send_chunk(text.encode()))
    elif word in ("cut", "end"):
        each_watch(rest, lambda handler: end(rest, handler, word == "end"))
    elif word == "silent":
        silent = True
    elif word == "log":
        return "|".join(requests)
    elif word == "watches":
        return str(sum(1 for entry in watches if entry[0] == rest))
    else:
        return "unknown command " + word
    return "ok"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET

    def handle_error(self, request, client_address):
        pass  # clients that turn away are part of the tests


def main():
    port = 0
    arguments = sys.argv[1:]
    if arguments and arguments[0].isdigit():
        port = int(arguments.pop(0))
    server = Server(("127.0.0.1", port), Handler)
    if arguments:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments[0], arguments[1])
        if len(arguments) > 2:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(arguments[2])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        with lock:
            print(command(line.rstrip("\n")), flush=True)


main()
