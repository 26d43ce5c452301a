# SPDX-License-Identifier: Apache-2.0
"""CloudWatch Logs, STS, EC2's DescribeTags, the agent of EKS Pod Identity and an instance's metadata, as far as a
sink of log lines meets them, in one HTTP server on one port.

Every signed request is verified with botocore, which shares nothing with the code under test. The limits of
PutLogEvents are enforced. Actions that deploy/cloudwatch-policy.json does not allow are refused. What a client should
never do is written down in `violations`, so that a test can ask for none of it.

    double = Double()
    double.keys["AKID"] = Key("secret")
    double.faults += ["throttle", "cut"]      # of the next requests to CloudWatch Logs, one each
    double.events("/aws/eks/c/cluster")       # [(timestamp, message)] of all streams of the group
"""
import collections
import datetime
import hmac
import http.server
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

HERE = os.path.dirname(os.path.realpath(__file__))
POLICY = os.path.join(HERE, "../../deploy/cloudwatch-policy.json")
HOUR = 3600 * 1000
DAY = 24 * HOUR

Key = collections.namedtuple("Key", "secret token expires", defaults=(None, None))


def allowed_actions():
    with open(POLICY) as file:
        statements = json.load(file)["Statement"]
    actions = set()
    for statement in statements:
        assert statement["Effect"] == "Allow"
        given = statement["Action"]
        actions |= {given} if isinstance(given, str) else set(given)
    return actions


def iso(seconds):
    return datetime.datetime.utcfromtimestamp(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refusal(Exception):
    def __init__(self, status, kind, message=""):
        super().__init__(kind)
        self.status, self.kind, self.message = status, kind, message


class Double:
    def __init__(self, region="eu-test-1", tls=None):
        self.lock = threading.RLock()
        self.region = region
        self.tls = tls                # (certificate, key)
        self.keys = {}                # access key -> Key
        self.groups = {}              # name -> {stream: [(timestamp, message)]}
        self.allowed = allowed_actions()
        self.asked = []               # (action, what came of it), in order
        self.batches = []             # numbers of events of the batches taken
        self.violations = []
        self.faults = []              # consumed from the front by requests to CloudWatch Logs
        self.random_faults = None     # (random.Random, share, [fault, ...])
        self.denied = set()           # actions that the policy allows and somebody forbids all the same
        self.poison = "POISON"        # a message with it is malformed
        self.retention = None         # milliseconds
        self.delay = 0
        # STS, Pod Identity, metadata: how long what they hand out is good for, and what they ask for.
        self.life = 3600
        self.identity_token = "identity"
        self.role = "node-role"
        self.container_token = "container"
        self.metadata_token = "metadata-token"
        self.instance_tags = {"aws:eks:cluster-name": "tagged"}
        self.tag_faults = []          # HTTP statuses of the next DescribeTags
        self.handed_out = []          # (source, access key)
        self.proxied = []             # hosts for which this was the proxy
        self.port = 0
        self.server = None
        self.start()

    # --- the server

    def start(self):
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                double.serve(self)

            do_POST = do_PUT = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            connections = []

            def get_request(self):
                connection, address = super().get_request()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections.append(connection)
                return connection, address

            def handle_error(self, request, client_address):
                pass  # a client that hung up

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.connections = []
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Nobody listens any more, and open connections are cut."""
        self.server.shutdown()
        self.server.server_close()
        for connection in self.server.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.tls else "http", self.port)

    def environment(self, **more):
        """Of a client of this double, without credentials."""
        return {"AWS_REGION": self.region, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": self.url + "/",
                "AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, **more}

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        body = handler.rfile.read(length)
        if handler.path.startswith("http://"):
            url = urllib.parse.urlsplit(handler.path)
            self.proxied.append(url.netloc)
            handler.path = url.path
        try:
            if handler.path.startswith("/latest/"):
                return self.metadata(handler)
            if handler.path == "/v1/credentials":
                return self.container(handler)
            if handler.headers.get("X-Amz-Target"):
                return self.logs(handler, body)
            form = dict(urllib.parse.parse_qsl(body.decode()))
            if form.get("Action") == "AssumeRoleWithWebIdentity":
                return self.sts(handler, form)
            if form.get("Action") == "DescribeTags":
                return self.describe_tags(handler, body, form)
            self.violation("%s %s: nobody is asked so" % (handler.command, handler.path))
            self.answer(handler, 404, b"")
        except Refusal as refusal:
            self.answer_refusal(handler, refusal)
        except (BrokenPipeError, ConnectionError):
            pass

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    @staticmethod
    def answer(handler, status, body, kind="application/x-amz-json-1.1", headers=()):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def answer_refusal(self, handler, refusal):
        body = json.dumps({"__type": "com.amazonaws.logs#" + refusal.kind, "message": refusal.message}).encode()
        self.answer(handler, refusal.status, body)

    # --- signatures

    def verify(self, handler, body, service):
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
                             r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
                             handler.headers.get("Authorization", ""))
        if not found:
            self.violation("no signature: %r" % handler.headers.get("Authorization"))
            raise Refusal(400, "MissingAuthenticationTokenException")
        access, date, region, signed_service, names, signature = found.groups()
        names = names.split(";")
        moment = handler.headers.get("X-Amz-Date", "")
        needed = {"host", "x-amz-date"} | {name for name in ("content-type", "x-amz-target", "x-amz-security-token")
                                           if handler.headers.get(name)}
        problems = []
        if region != self.region or signed_service != service or not moment.startswith(date):
            problems.append("scope %s/%s/%s" % (date, region, signed_service))
        if not needed <= set(names):
            problems.append("unsigned headers %s" % (needed - set(names)))
        try:
            sent = datetime.datetime.strptime(moment, botocore.auth.SIGV4_TIMESTAMP)
            if abs((datetime.datetime.utcnow() - sent).total_seconds()) > 300:
                problems.append("moment %s" % moment)
        except ValueError:
            problems.append("moment %r" % moment)
        with self.lock:
            key = self.keys.get(access)
        if key is None or (key.token or "") != handler.headers.get("X-Amz-Security-Token", ""):
            raise Refusal(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
        url = "http://" + handler.headers["Host"] + handler.path
        request = botocore.awsrequest.AWSRequest(
            handler.command, url, data=body,
            headers={name: handler.headers[name] for name in names if name != "host"})
        request.context["timestamp"] = moment
        auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(access, key.secret, key.token), service, region)
        expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        if not hmac.compare_digest(expected, signature):
            problems.append("signature")
        if problems:
            self.violation("wrong in a signature: " + ", ".join(problems))
            raise Refusal(403, "InvalidSignatureException", ", ".join(problems))
        if key.expires is not None and time.time() >= key.expires:
            raise Refusal(400, "ExpiredTokenException", "The security token included in the request is expired")

    def permit(self, action):
        if action not in self.allowed:
            self.violation("the policy does not allow " + action)
            raise Refusal(400, "AccessDeniedException", "not allowed: " + action)
        if action in self.denied:
            raise Refusal(400, "AccessDeniedException", "User is not authorized to perform: " + action)

    # --- CloudWatch Logs

    def logs(self, handler, body):
        prefix, _, operation = handler.headers["X-Amz-Target"].partition(".")
        action = "logs:" + operation
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
            if fault is None and self.random_faults:
                rng, share, kinds = self.random_faults
                fault = rng.choice(kinds) if rng.random() < share else None
        time.sleep(self.delay)
        try:
            if prefix != "Logs_20140328" or handler.headers.get("Content-Type") != "application/x-amz-json-1.1":
                self.violation("headers of no request of the API: " + str(handler.headers))
            if fault is not None and self.fail(handler, action, fault):
                return
            self.verify(handler, body, "logs")
            self.permit(action)
            operations = {"CreateLogGroup": self.create_group, "CreateLogStream": self.create_stream,
                          "PutLogEvents": self.put_events}
            if operation not in operations:
                self.violation("no such operation here: " + operation)
                raise Refusal(400, "UnknownOperationException")
            with self.lock:
                answer = operations[operation](json.loads(body))
                self.asked.append((action, "done"))
        except Refusal as refusal:
            with self.lock:
                self.asked.append((action, refusal.kind))
            raise
        if fault == "lost answer":
            return self.cut(handler)
        self.answer(handler, 200, json.dumps(answer).encode() if answer is not None else b"")

    def fail(self, handler, action, fault):
        """True when the request is answered with it."""
        if fault == "lost answer":
            return False
        with self.lock:
            self.asked.append((action, fault))
        if fault == "throttle":
            self.answer_refusal(handler, Refusal(400, "ThrottlingException", "Rate exceeded"))
        elif fault == "unavailable":
            self.answer_refusal(handler, Refusal(503, "ServiceUnavailableException", ""))
        elif fault == "500":
            self.answer_refusal(handler, Refusal(500, "InternalFailure", ""))
        elif fault == "502":
            self.answer(handler, 502, b"<html>Bad Gateway</html>", "text/html")
        elif fault == "expired":
            self.answer_refusal(handler, Refusal(400, "ExpiredTokenException", "expired"))
        elif fault == "cut":
            self.cut(handler)
        else:
            raise AssertionError("no such fault: " + fault)
        return True

    @staticmethod
    def cut(handler):
        # A head and no end: a client does not take this for a connection that had been idle too long.
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    def create_group(self, given):
        if given["logGroupName"] in self.groups:
            raise Refusal(400, "ResourceAlreadyExistsException", "The specified log group already exists")
        self.groups[given["logGroupName"]] = {}

    def create_stream(self, given):
        streams = self.groups.get(given["logGroupName"])
        if streams is None:
            raise Refusal(400, "ResourceNotFoundException", "The specified log group does not exist.")
        if given["logStreamName"] in streams:
            raise Refusal(400, "ResourceAlreadyExistsException", "The specified log stream already exists")
        streams[given["logStreamName"]] = []

    def malformed(self, text):
        self.violation(text)
        raise Refusal(400, "InvalidParameterException", text)

    def put_events(self, given):
        events = given["logEvents"]
        sizes = [len(event["message"].encode()) + 26 for event in events]
        times = [event["timestamp"] for event in events]
        if not 1 <= len(events) <= 10000:
            self.malformed("%d events in a batch" % len(events))
        if sum(sizes) > 1048576:
            self.malformed("%d bytes in a batch" % sum(sizes))
        if max(sizes) > 262144 or min(sizes) == 26:
            self.malformed("an event of %d bytes" % max(sizes))
        if times != sorted(times) or times[0] < 0:
            self.malformed("events out of their order in a batch")
        if times[-1] - times[0] >= DAY:
            self.malformed("a batch of %d ms" % (times[-1] - times[0]))
        if any(self.poison in event["message"] for event in events):
            raise Refusal(400, "InvalidParameterException", "1 validation error detected")
        stream = self.groups.get(given["logGroupName"], {}).get(given["logStreamName"])
        if stream is None:
            raise Refusal(400, "ResourceNotFoundException", "The specified log stream does not exist.")
        now = time.time() * 1000
        too_old = sum(moment < now - 14 * DAY for moment in times)
        expired = sum(self.retention is not None and moment < now - self.retention for moment in times)
        in_time = sum(moment <= now + 2 * HOUR for moment in times)
        rejected = {}
        if too_old:
            rejected["tooOldLogEventEndIndex"] = too_old
        if expired:
            rejected["expiredLogEventEndIndex"] = expired
        if in_time < len(times):
            rejected["tooNewLogEventStartIndex"] = in_time
        kept = events[max(too_old, expired):in_time]
        stream.extend((event["timestamp"], event["message"]) for event in kept)
        self.batches.append(len(events))
        answer = {"nextSequenceToken": "4953"}
        if rejected:
            answer["rejectedLogEventsInfo"] = rejected
        return answer

    def events(self, group):
        with self.lock:
            return [event for stream in self.groups.get(group, {}).values() for event in stream]

    def messages(self, group):
        return [message for _, message in self.events(group)]

    def count(self, action, outcome):
        with self.lock:
            return self.asked.count((action, outcome))

    # --- where credentials come from

    def hand_out(self, source):
        with self.lock:
            access = "ASIA%s%d" % (source.upper(), len(self.handed_out))
            key = Key("secret-of-" + access, "token-of-" + access, time.time() + self.life)
            self.keys[access] = key
            self.handed_out.append((source, access))
        return access, key

    def sts(self, handler, form):
        if handler.headers.get("Authorization"):
            self.violation("AssumeRoleWithWebIdentity is signed")
        wanted = {"Version": "2011-06-15", "RoleArn": "arn:aws:iam::1:role/r", "WebIdentityToken": self.identity_token}
        if any(form.get(name) != value for name, value in wanted.items()) or not form.get("RoleSessionName"):
            body = ("<ErrorResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Error><Type>Sender</Type>"
                    "<Code>InvalidIdentityToken</Code><Message>No such token &amp; role</Message></Error>"
                    "</ErrorResponse>")
            return self.answer(handler, 400, body.encode(), "text/xml")
        access, key = self.hand_out("web")
        body = ("<?xml version='1.0'?><AssumeRoleWithWebIdentityResponse "
                "xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleWithWebIdentityResult><Credentials>"
                "<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>"
                "<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                "</AssumeRoleWithWebIdentityResponse>" % (access, key.secret, key.token, iso(key.expires)))
        self.answer(handler, 200, body.encode(), "text/xml")

    def container(self, handler):
        if handler.headers.get("Authorization") != self.container_token:
            return self.answer(handler, 401, b'{"message":"no such token"}')
        access, key = self.hand_out("pod")
        self.answer(handler, 200, json.dumps({"AccessKeyId": access, "SecretAccessKey": key.secret, "Token": key.token,
                                              "Expiration": iso(key.expires), "AccountId": "1"}).encode())

    def metadata(self, handler):
        if handler.path == "/latest/api/token":
            if handler.command != "PUT" or not handler.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
                self.violation("a token is asked for otherwise than by version 2")
                return self.answer(handler, 400, b"")
            return self.answer(handler, 200, self.metadata_token.encode(), "text/plain")
        if handler.headers.get("X-aws-ec2-metadata-token") != self.metadata_token:
            return self.answer(handler, 401, b"")
        roles = "/latest/meta-data/iam/security-credentials/"
        if handler.path == roles and self.role:
            return self.answer(handler, 200, self.role.encode(), "text/plain")
        if self.role and handler.path == roles + self.role:
            access, key = self.hand_out("instance")
            return self.answer(handler, 200, json.dumps(
                {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": access, "SecretAccessKey": key.secret,
                 "Token": key.token, "Expiration": iso(key.expires)}).encode())
        plain = {"/latest/meta-data/placement/region": self.region, "/latest/meta-data/instance-id": "i-0123"}
        text = plain.get(handler.path)
        self.answer(handler, 404 if text is None else 200, (text or "").encode(), "text/plain")

    # --- EC2

    def describe_tags(self, handler, body, form):
        if self.tag_faults:
            return self.answer(handler, self.tag_faults.pop(0), b"<html/>", "text/html")
        try:
            self.verify(handler, body, "ec2")
            self.permit("ec2:DescribeTags")
        except Refusal as refusal:
            with self.lock:
                self.asked.append(("ec2:DescribeTags", refusal.kind))
            text = ("<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>%s</Message></Error></Errors>"
                    "</Response>" % refusal.kind)
            return self.answer(handler, 403, text.encode(), "text/xml")
        with self.lock:
            self.asked.append(("ec2:DescribeTags", "done"))
        filters = {form["Filter.%d.Name" % n]: form["Filter.%d.Value.1" % n] for n in (1, 2)}
        if filters.get("resource-id") != "i-0123":
            self.violation("tags of another instance: %s" % filters)
        value = self.instance_tags.get(filters.get("key"))
        item = "" if value is None else ("<item><resourceId>i-0123</resourceId><resourceType>instance</resourceType>"
                                         "<key>%s</key><value>%s</value></item>" % (filters["key"], value))
        text = ("<?xml version='1.0' encoding='UTF-8'?>"
                "<DescribeTagsResponse xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><requestId>r</requestId><tagSet>%s</tagSet></DescribeTagsResponse>" % item)
        self.answer(handler, 200, text.encode(), "text/xml")
