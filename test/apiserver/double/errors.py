# SPDX-License-Identifier: Apache-2.0
"""Refusals, each of which becomes a Status object with the code, reason and words of the real server."""


class ApiError(Exception):
    """A refused request. `details` and `metadata` are those of the Status, `headers` go with the answer."""

    def __init__(self, code, reason, message, details=None, headers=None, metadata=None):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.headers, self.metadata = details, headers or {}, metadata or {}

    def status(self):
        """The Status object."""
        status = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure",
                  "message": self.message, "reason": self.reason}
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


class NoSuchPath(Exception):
    """Nothing is served at this path: the real server answers plain text, not a Status."""


def about(kind, name=None, **more):
    """The details of a Status: which object of which resource."""
    details = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    return {**details, "kind": kind.plural, **more}


def qualified(kind):
    return kind.plural + ("." + kind.group if kind.group else "")


def not_found(kind, name):
    return ApiError(404, "NotFound", '%s "%s" not found' % (qualified(kind), name), about(kind, name))


def already_exists(kind, name):
    return ApiError(409, "AlreadyExists", '%s "%s" already exists' % (qualified(kind), name), about(kind, name))


def conflict(kind, name, why):
    return ApiError(409, "Conflict", 'Operation cannot be fulfilled on %s "%s": %s' % (qualified(kind), name, why),
                    about(kind, name))


def changed_meanwhile(kind, name):
    return conflict(kind, name, "the object has been modified; please apply your changes to the latest version "
                                "and try again")


def bad_request(message):
    return ApiError(400, "BadRequest", message)


def unauthorized():
    return ApiError(401, "Unauthorized", "Unauthorized", headers={"WWW-Authenticate": 'Basic realm="kubernetes"'})


def forbidden(kind_details, message):
    return ApiError(403, "Forbidden", message, kind_details)


def method_not_allowed():
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_acceptable(accepted):
    return ApiError(406, "NotAcceptable",
                    "only the following media types are accepted: " + ", ".join(accepted))


def unsupported_media_type(accepted):
    return ApiError(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media "
                                                 "types include: " + ", ".join(accepted))


def expired(message, token=None):
    return ApiError(410, "Expired", message, metadata={"continue": token} if token else None)


def version_too_large(asked, current):
    return ApiError(504, "Timeout", "Too large resource version: %d, current: %d" % (asked, current),
                    {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                     "retryAfterSeconds": 1}, {"Retry-After": "1"})


def cause(reason, field, message):
    return {"reason": reason, "field": field, "message": message}


def required(field, why=""):
    return cause("FieldValueRequired", field, "Required value" + (": " + why if why else ""))


def invalid_value(field, value, why):
    text = '"%s"' % value if isinstance(value, str) else str(value)
    return cause("FieldValueInvalid", field, "Invalid value: %s: %s" % (text, why))


def not_supported(field, value, supported):
    return cause("FieldValueNotSupported", field, 'Unsupported value: "%s": supported values: %s' %
                 (value, ", ".join('"%s"' % each for each in supported)))


def not_allowed(field, why):
    return cause("FieldValueForbidden", field, "Forbidden: " + why)


def invalid(group, kind, name, causes):
    """422: `causes` are what cause() and its callers make, at least one."""
    told = ["%s: %s" % (each["field"], each["message"]) for each in causes]
    text = told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"
    return ApiError(422, "Invalid", '%s "%s" is invalid: %s' % (kind + ("." + group if group else ""), name, text),
                    {"name": name, **({"group": group} if group else {}), "kind": kind, "causes": causes})
