# SPDX-License-Identifier: Apache-2.0
"""The protobuf bodies that kubectl sends where it has no manifest: `create namespace`, `create serviceaccount`,
`auth can-i`. Everything else comes as JSON; for other kinds in protobuf the answer is 415.

A body is "k8s\\0" and the message Unknown{1: TypeMeta{1: apiVersion, 2: kind}, 2: raw}; the tables below give
the fields of raw that are read: number -> (name, None for a string, a table for a message).
"""
METADATA = {1: ("name", None), 2: ("generateName", None), 3: ("namespace", None)}
RESOURCE = {1: ("namespace", None), 2: ("verb", None), 3: ("group", None), 4: ("version", None),
            5: ("resource", None), 6: ("subresource", None), 7: ("name", None)}
REVIEW = {1: ("resourceAttributes", RESOURCE), 2: ("nonResourceAttributes", {1: ("path", None), 2: ("verb", None)})}
UNKNOWN = {1: ("type", {1: ("apiVersion", None), 2: ("kind", None)}), 2: ("raw", bytes)}
MESSAGES = {"Namespace": {1: ("metadata", METADATA)}, "ServiceAccount": {1: ("metadata", METADATA)},
            "SelfSubjectAccessReview": {1: ("metadata", METADATA), 2: ("spec", REVIEW)}}
MAGIC = b"k8s\x00"


def read(body):
    """The object, or None if its kind is not in the tables; ValueError for anything but protobuf."""
    if not body.startswith(MAGIC):
        raise ValueError("a protobuf body begins with k8s and a zero byte")
    envelope = _message(body[len(MAGIC):], UNKNOWN)
    table = MESSAGES.get(envelope.get("type", {}).get("kind"))
    return {**envelope["type"], **_message(envelope.get("raw", b""), table)} if table else None


def _message(data, table):
    result, position = {}, 0
    while position < len(data):
        tag, position = _number(data, position)
        if tag & 7 == 0:
            _, position = _number(data, position)
        elif tag & 7 == 2:
            length, position = _number(data, position)
            value, position = data[position:position + length], position + length
            name, inner = table.get(tag >> 3, (None, None))
            if name:
                result[name] = value if inner is bytes else _message(value, inner) if inner else value.decode()
        else:
            raise ValueError("wire type %d in a body" % (tag & 7))
    return {name: value for name, value in result.items() if value != ""}


def _number(data, position):
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("a protobuf body that ends within a number")
        byte = data[position]
        value, shift, position = value | (byte & 127) << shift, shift + 7, position + 1
        if byte < 128:
            return value, position
