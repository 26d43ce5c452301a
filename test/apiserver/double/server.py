# SPDX-License-Identifier: Apache-2.0
"""The HTTP side: connections and threads, TLS, chunked streams, and what faults do to bytes."""
import http.server
import json
import os
import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
import traceback
import zlib

from .api import of_error
from .request import parse
from .watches import Watch

X509_NO_CHECK_TIME = 0x200000  # OpenSSL's flag: an expired client certificate gets a 401, not a failed handshake
COMPRESSED_FROM = 128 * 1024  # bytes; as the real server, for clients that take gzip
GARBAGE = b"<html><body>502 Bad Gateway</body></html>\n"
CLIENT_AUTHORITIES = ("ca.crt", "other-ca.crt")


def tls_context(folder, name="server"):
    """Serves NAME.crt with NAME.key; asks for client certificates, which identity judges."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= X509_NO_CHECK_TIME
    for each in CLIENT_AUTHORITIES:
        if os.path.exists(os.path.join(folder, each)):
            context.load_verify_locations(os.path.join(folder, each))
    return context


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread a connection. `server` is the whole double, `context` the TLS side or None."""
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, host, port, server, context=None):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.double, self.context = server, context
        self._lock, self._open = threading.Lock(), set()
        super().__init__((host, port), Handler)

    def connected(self, handler):
        with self._lock:
            self._open.add(handler)

    def left(self, handler):
        with self._lock:
            self._open.discard(handler)

    def close_connections(self, resource=None):
        """Cuts connections, or those that serve a request for `resource` now; returns how many."""
        with self._lock:
            chosen = [each for each in self._open if resource is None or each.serving == resource]
        for each in chosen:
            each.cut()
        return len(chosen)

    def handle_error(self, request, client_address):
        """Clients that leave in the middle, or break off TLS, are the point of these tests: no trace of those."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc(file=sys.stderr)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "apiserver-double", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and a short body go out together

    def setup(self):
        self.serving, self.certificate, self.raw = None, None, self.request
        if self.server.context:
            self.raw.settimeout(20)
            self.request = self.server.context.wrap_socket(self.raw, server_side=True)
            self.request.settimeout(None)
            self.raw, self.certificate = self.request, self.request.getpeercert() or None
        super().setup()
        self.server.connected(self)

    def finish(self):
        self.server.left(self)
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_):
        """Requests are in the log that the control channel shows."""

    def serve(self):
        double = self.server.double
        request = parse(self.command, self.path)
        request.headers, request.body = self.headers, self._read_body()
        entry = double.log.begin(request)
        self.serving = request.resource
        try:
            fault = double.faults.take(request, "start")
            if fault:
                entry["fault"] = fault.name
                if self._suffer(fault):
                    return
            answer = of_error(fault.error()) if fault and fault.name == "status" else double.api.answer(
                request, self.certificate)
            entry["user"] = request.user.name if request.user else ""
            if isinstance(answer, Watch):
                entry["code"] = 200
                self._stream(answer)
            else:
                entry["code"] = answer.code
                self._send(answer, fault)
        except (BrokenPipeError, ConnectionError, ssl.SSLError, TimeoutError):
            self.close_connection = True
        finally:
            self.serving = None
            double.log.end(entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def _suffer(self, fault):
        """What comes before the answer; returns whether it takes the answer's place."""
        if fault.name in ("hang", "delay"):
            self.server.double.faults.wait_out(fault, Sink(self))
        if fault.name == "close":
            self.cut()
        if fault.name == "garbage":
            body = fault.get("body", GARBAGE.decode()).encode()
            self._head(fault.get("code", 200), "application/json", {"Content-Length": str(len(body)),
                                                                        "Connection": "close"})
            self.wfile.write(body)
            self.wfile.flush()
            self.close_connection = True
        return fault.name in ("close", "garbage")

    def _read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _head(self, code, content_type, headers):
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Cache-Control", "no-cache, private")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, answer, fault):
        if len(answer.body) > COMPRESSED_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            packer = zlib.compressobj(1, wbits=31)
            answer.body = packer.compress(answer.body) + packer.flush()
            answer.headers = {**answer.headers, "Content-Encoding": "gzip"}
        self._head(answer.code, answer.content_type, {**answer.headers, "Content-Length": str(len(answer.body))})
        if self.command != "HEAD":
            if fault and fault.name == "truncate":
                self.wfile.write(answer.body[:len(answer.body) // 2])
                self.wfile.flush()
                return self.cut()
            for piece in pieces(answer.body, fault):
                self.wfile.write(piece)
                if fault:
                    self.wfile.flush()
        self.wfile.flush()

    def _stream(self, watch):
        self._head(200, "application/json", {"Transfer-Encoding": "chunked"})
        self.wfile.flush()
        sink = Sink(self)
        watch.run(sink)
        if sink.closed:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

    def cut(self):
        """Ends the connection at once, without TLS's or HTTP's good manners."""
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def pieces(data, fault):
    """The data whole, or (dribble) in small pieces."""
    size = fault.get("size", 7) if fault and fault.name == "dribble" else len(data) or 1
    return [data[start:start + size] for start in range(0, len(data), size)]


class Sink:
    """Where a watch writes. `finished`: nothing more should come; `closed`: the client is gone, or was cut off."""

    def __init__(self, handler):
        self.handler, self.finished, self._cut = handler, False, False
        self._poll = select.poll()
        self._poll.register(handler.raw.fileno(), select.POLLRDHUP)

    @property
    def closed(self):
        return self._cut or bool(self._poll.poll(0))

    def send(self, lines):
        self._write(b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines))

    def spoil(self, line, fault):
        """Sends a line as the fault has it."""
        if fault.name == "duplicate":
            self.send([line, line])
        elif fault.name == "garbage":
            self.send([fault.get("body", '{"type":"MODIFIED","object":{"kind":\n').encode(), line])
        elif fault.name == "dribble":
            for piece in pieces(line, fault):
                self.send([piece])
        elif fault.name == "truncate" and fault.get("clean"):
            self.send([line[:len(line) // 2]])
            self.finished = True
        else:
            if fault.name == "truncate":
                self._write(b"%x\r\n%s" % (len(line), line[:len(line) // 2]))
            self._cut = True
            self.handler.cut()

    def _write(self, data):
        try:
            self.handler.wfile.write(data)
            self.handler.wfile.flush()
        except OSError:
            self._cut = True


class Control(http.server.BaseHTTPRequestHandler):
    """The control channel: JSON in, JSON out; control.py knows the verbs."""
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, result = self.server.control.answer(self.command, self.path, body)
        data = json.dumps(result).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = serve

    def log_message(self, *_):
        """Nobody reads it."""

    def address_string(self):
        return "control"


class ControlListener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address, control):
        self.control = control
        self.address_family = socket.AF_UNIX if isinstance(address, str) else (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        super().__init__(address, Control)
