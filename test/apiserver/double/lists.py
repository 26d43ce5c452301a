# SPDX-License-Identifier: Apache-2.0
"""Lists: the whole of a collection or page by page, every page of one list from one state.

A continue token holds the version of the first page and the last key given. Once the history it needs is
forgotten the answer is 410, with a token that goes on from the state of now, as the real server gives.
"""
import base64
import binascii
import json

from . import errors
from .selectors import selector

EXPIRED_TOKEN = ("The provided continue parameter is too old to display a consistent list result. You can start a new "
                 "list without the continue parameter.")


def list_objects(store, kind, request):
    """The list as bytes of JSON, for a request with verb list."""
    query, selects = request.query, selector(kind, request.query)
    check_options(query)
    limit = int(query.get("limit") or 0) if query.get("limit", "0").isdigit() else 0
    token = query.get("continue", "")
    with store.lock:
        collection = store.collection(kind.collection)
        if token:
            version, after = _read_token(store, collection, query)
        else:
            version, after = _version(store, collection, query), None
            if query.get("resourceVersion") == "0":
                limit = 0  # such a list comes from the real server's cache, which knows no pages
        entries = collection.at(version)
    found = [(key, stored) for key, stored in entries
             if (after is None or key > after) and request.namespace in ("", key[0])
             and (selects is None or selects(stored.object))]
    metadata = {"resourceVersion": str(version)}
    if limit and len(found) > limit:
        metadata["continue"] = _token(version, found[limit - 1][0])
        if selects is None:
            metadata["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    return render(kind, metadata, [stored for _, stored in found])


def render(kind, metadata, stored):
    """Items of built-in kinds lack kind and apiVersion, those of custom kinds have them."""
    items = [each.wire(kind) for each in stored] if kind.custom else [each.body for each in stored]
    return b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":[%s]}\n' % (
        kind.list_name.encode(), kind.api_version.encode(), json.dumps(metadata).encode(), b",".join(items))


def check_options(query):
    """422 for options of a list that do not go together."""
    match, causes = query.get("resourceVersionMatch", ""), []
    field = "resourceVersionMatch"
    if match:
        if not query.get("resourceVersion"):
            causes.append(errors.not_allowed(field, field + " is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(errors.not_allowed(field, field + " is forbidden with continue"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(errors.not_supported(field, match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and query.get("resourceVersion") == "0":
            causes.append(errors.not_allowed(field, field + ' "exact" is forbidden for resourceVersion "0"'))
    if causes:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", causes)


def number(text):
    if not text.isdigit():
        raise errors.bad_request('Invalid value: "%s": a resource version is a number here' % text)
    return int(text)


def _version(store, collection, query):
    """Which state a first page, or a whole list, shows."""
    asked = number(query.get("resourceVersion") or "0")
    if asked > store.version:
        raise errors.version_too_large(asked, store.version)
    if query.get("resourceVersionMatch") == "Exact":
        if asked < collection.oldest:
            raise errors.expired("The resourceVersion for the provided list is too old.")
        return asked
    return store.version


def _token(version, key):
    return base64.urlsafe_b64encode(json.dumps({"rv": version, "after": key}).encode()).decode().rstrip("=")


def _read_token(store, collection, query):
    """The version and the key that a token stands for; version -1 in a token is the state of now."""
    if query.get("resourceVersion", "") not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    text = query["continue"]
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        version, after = int(token["rv"]), (str(token["after"][0]), str(token["after"][1]))
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error):
        raise errors.bad_request("continue key is not valid: %s" % text) from None
    if version == -1:
        return store.version, after
    if version < collection.oldest or version > store.version:
        raise errors.expired(EXPIRED_TOKEN, _token(-1, after))
    return version, after
