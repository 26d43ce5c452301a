# SPDX-License-Identifier: Apache-2.0
"""Who asks: a bearer token from the token file, or a client certificate (CN is the user, O are the groups)."""
import csv
import dataclasses
import datetime
import os
import ssl
import threading
import typing

from .errors import unauthorized


@dataclasses.dataclass(frozen=True)
class User:
    name: str
    groups: typing.Tuple[str, ...] = ()


ADMINISTRATOR = User("system:admin", ("system:masters", "system:authenticated"))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


def user(name, groups):
    """With the groups that the real server adds."""
    groups = [group for group in groups if group]
    if name.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", "system:serviceaccounts:" + name.split(":")[2]]
    return User(name, tuple(dict.fromkeys(groups + ["system:authenticated"])))


class Identity:
    """`token_file` holds lines of token,user,uid,"group,group" and is read again whenever it changes."""

    def __init__(self, token_file=None, authority=None, anonymous=False):
        self.token_file, self.anonymous = token_file, anonymous
        self.open = token_file is None and authority is None  # nobody is asked for anything
        self._authority = subject_of(authority) if authority else None
        self._lock, self._read_at = threading.Lock(), None
        self._from_file, self._added, self._removed = {}, {}, set()

    def who(self, headers, certificate):
        """The User; 401 for a token or certificate that is not good, and for nobody unless that is allowed."""
        if self.open:
            return ADMINISTRATOR
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if certificate:
            found = self._of_certificate(certificate)
            if found:
                return found
        if scheme.lower() == "bearer" and token.strip():
            found = self._tokens().get(token.strip())
            if found is None:
                raise unauthorized()
            return found
        if self.anonymous and not certificate and not scheme:
            return ANONYMOUS
        raise unauthorized()

    def change_tokens(self, added, removed):
        """`added` are mappings with token, user and groups; `removed` are tokens. Takes effect at once."""
        with self._lock:
            for entry in added:
                self._added[entry["token"]] = user(entry["user"], list(entry.get("groups") or []))
                self._removed.discard(entry["token"])
            for token in removed:
                self._added.pop(token, None)
                self._removed.add(token)
        self.open = False

    def _tokens(self):
        with self._lock:
            if self.token_file:
                state = os.stat(self.token_file)
                stamp = (state.st_mtime_ns, state.st_ino, state.st_size)
                if stamp != self._read_at:
                    self._from_file, self._read_at = read_tokens(self.token_file), stamp
            return {token: found for token, found in {**self._from_file, **self._added}.items()
                    if token not in self._removed}

    def _of_certificate(self, certificate):
        """The user of a certificate of our authority that is valid now, else None."""
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        if (_names(certificate["issuer"]) != self._authority
                or not ssl.cert_time_to_seconds(certificate["notBefore"]) <= now
                <= ssl.cert_time_to_seconds(certificate["notAfter"])):
            return None
        subject = _names(certificate["subject"])
        common = [value for field, value in subject if field == "commonName"]
        return user(common[0], [value for field, value in subject if field == "organizationName"]) if common else None


def read_tokens(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if row and not row[0].startswith("#")]
    short = [row for row in rows if len(row) < 3]
    if short:
        raise ValueError("%s: found a line of %d columns, expected token,user,uid and perhaps groups" % (
            path, len(short[0])))
    return {row[0]: user(row[1], row[3].split(",") if len(row) > 3 else []) for row in rows}


def subject_of(path):
    """The names of a certificate authority's subject, as a certificate's issuer is compared with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(path)
    return _names(context.get_ca_certs()[0]["subject"])


def _names(distinguished):
    return [pair for part in distinguished for pair in part]
