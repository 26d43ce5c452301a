# SPDX-License-Identifier: Apache-2.0
"""Structural schemas of custom kinds: fields that are not in the schema go, defaults come, the rest is checked.

Rules in CEL (x-kubernetes-validations) are not evaluated: what only they refuse, this server takes.
"""
import copy
import re

from .errors import cause, invalid_value, not_supported, required

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def prune(schema, value, root=True):
    """Removes what the schema does not name; apiVersion, kind and metadata of the root stay."""
    if isinstance(value, list):
        for each in value:
            prune(schema.get("items") or {}, each, False)
        return
    if not isinstance(value, dict):
        return
    named = schema.get("properties") or {}
    if root:
        named = {key: each for key, each in named.items() if key not in ("apiVersion", "kind", "metadata")}
    further = schema.get("additionalProperties")
    for key in list(value):
        if root and key in ("apiVersion", "kind", "metadata"):
            continue
        if key in named:
            prune(named[key], value[key], False)
        elif isinstance(further, dict):
            prune(further, value[key], False)
        elif further is not True and not schema.get("x-kubernetes-preserve-unknown-fields"):
            del value[key]


def fill_in(schema, value):
    """Sets defaults where a field is absent, in mappings that are there."""
    if isinstance(value, list):
        for each in value:
            fill_in(schema.get("items") or {}, each)
    if isinstance(value, dict):
        for key, each in (schema.get("properties") or {}).items():
            if key not in value and "default" in each:
                value[key] = copy.deepcopy(each["default"])
            if key in value:
                fill_in(each, value[key])


def check(schema, value, where=""):
    """Yields a cause for everything in `value` that the schema forbids."""
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value):
        yield cause("FieldValueTypeInvalid", where, 'Invalid value: "%s": %s in body must be of type %s: "%s"' % (
            _type_of(value), where, schema["type"], _type_of(value)))
        return
    if "enum" in schema and value not in schema["enum"]:
        yield not_supported(where, value, schema["enum"])
    if isinstance(value, dict):
        yield from _check_object(schema, value, where)
    elif isinstance(value, list):
        yield from _limits(schema, len(value), "Items", where, "items")
        for number, each in enumerate(value):
            yield from check(schema.get("items") or {}, each, "%s[%d]" % (where, number))
    elif isinstance(value, str):
        yield from _limits(schema, len(value), "Length", where, "characters")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield invalid_value(where, value, "%s in body should match '%s'" % (where, schema["pattern"]))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield invalid_value(where, value, "%s in body should be greater than or equal to %s" % (
                where, schema["minimum"]))
        if value > schema.get("maximum", value):
            yield invalid_value(where, value, "%s in body should be less than or equal to %s" % (
                where, schema["maximum"]))


def _check_object(schema, value, where):
    prefix = where + "." if where else ""
    for key in schema.get("required") or []:
        if key not in value:
            yield required(prefix + key)
    yield from _limits(schema, len(value), "Properties", where, "properties")
    named, further = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, each in value.items():
        if not where and key == "metadata":
            continue
        if key in named:
            yield from check(named[key], each, prefix + key)
        elif isinstance(further, dict):
            yield from check(further, each, prefix + key)


def _limits(schema, count, what, where, noun):
    least, most = schema.get("min" + what, count), schema.get("max" + what, count)
    if count < least:
        yield invalid_value(where, count, "%s in body should have at least %d %s" % (where, least, noun))
    if count > most:
        yield cause("FieldValueTooMany", where, "Too many: %d: must have at most %d %s" % (count, most, noun))


def _has_type(schema, value):
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    wanted = schema.get("type")
    if wanted in ("integer", "number"):
        return not isinstance(value, bool) and isinstance(value, int if wanted == "integer" else (int, float))
    return wanted not in TYPES or isinstance(value, TYPES[wanted])


def _type_of(value):
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")
