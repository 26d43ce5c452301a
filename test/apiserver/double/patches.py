# SPDX-License-Identifier: Apache-2.0
"""The kinds of patch: JSON merge, strategic merge, JSON patch; each returns a new object.

Strategic merge knows the lists of built-in kinds that have a merge key; every other list is atomic, as the
lists of NetworkPolicy, EndpointSlice and the RBAC kinds are.
"""
import copy

from .errors import ApiError, bad_request

# Path from below: (field that holds the list's owner, list) -> merge key. "*" stands for any owner.
MERGE_KEYS = {
    ("*", "containers"): "name", ("*", "initContainers"): "name", ("*", "ephemeralContainers"): "name",
    ("*", "volumes"): "name", ("*", "imagePullSecrets"): "name", ("*", "hostAliases"): "ip",
    ("*", "topologySpreadConstraints"): "topologyKey", ("*", "env"): "name", ("*", "volumeMounts"): "mountPath",
    ("*", "volumeDevices"): "devicePath", ("*", "ownerReferences"): "uid", ("*", "conditions"): "type",
    ("status", "podIPs"): "ip", ("status", "hostIPs"): "ip", ("status", "addresses"): "type",
    ("containers", "ports"): "containerPort", ("initContainers", "ports"): "containerPort",
    ("Service.spec", "ports"): "port", ("ServiceAccount", "secrets"): "name",
}
MERGED_PRIMITIVES = ("finalizers",)


def merge(target, patch):
    """RFC 7386: null removes, mappings merge, anything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target, patch, kind):
    """As kubectl apply and kubectl patch send for built-in kinds."""
    return _strategic(target, patch, kind.kind, kind.kind)


def _strategic(target, patch, owner, root):
    if patch.get("$patch") == "replace":
        return _without_directives(patch)
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [each for each in result.get(field) or [] if each not in value]
        elif key.startswith("$"):
            continue
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(key, None)
        elif isinstance(value, dict):
            name = "Service.spec" if (root, owner, key) == ("Service", "Service", "spec") else key
            result[key] = _strategic(result.get(key), value, name, root)
        elif isinstance(value, list):
            result[key] = _merged_list(result.get(key) or [], value, (owner, key), root)
        else:
            result[key] = value
    for key, order in patch.items():
        field = key.partition("/")[2]
        if key.startswith("$setElementOrder/") and isinstance(result.get(field), list):
            result[field] = _in_order(result[field], order, _merge_key((owner, field)))
    return result


def _merge_key(place):
    return MERGE_KEYS.get(place) or MERGE_KEYS.get(("*", place[1]))


def _merged_list(target, patch, place, root):
    key = _merge_key(place)
    if key is None:
        if place[1] in MERGED_PRIMITIVES:
            return target + [each for each in patch if each not in target]
        return copy.deepcopy(patch)
    if any(each.get("$patch") == "replace" for each in patch):
        return [each for each in patch if "$patch" not in each]
    result = list(target)
    for item in patch:
        if key not in item:
            raise bad_request("map: %s does not contain declared merge key: %s" % (item, key))
        found = next((i for i, each in enumerate(result) if each.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if found is not None:
                del result[found]
        elif found is None:
            result.append(_without_directives(item))
        else:
            result[found] = _strategic(result[found], item, place[1], root)
    return result


def _in_order(items, order, key):
    """The items that `order` names in its order, others after them as they stood."""
    wanted = [each.get(key) for each in order] if key else list(order)
    rank = {value: number for number, value in reversed(list(enumerate(wanted)))}
    return sorted(items, key=lambda item: rank.get(item.get(key) if key else item, len(wanted)))


def _without_directives(value):
    if isinstance(value, dict):
        return {key: _without_directives(each) for key, each in value.items()
                if not key.startswith("$") and each is not None}
    if isinstance(value, list):
        return [_without_directives(each) for each in value]
    return value


def json_patch(target, operations):
    """RFC 6902."""
    result = copy.deepcopy(target)
    for operation in operations:
        kind, path = operation.get("op"), _steps(operation.get("path", ""))
        try:
            if kind in ("add", "replace", "test"):
                value = copy.deepcopy(operation.get("value"))
            if kind in ("move", "copy"):
                value = copy.deepcopy(_look_up(result, _steps(operation["from"])))
            if kind == "test":
                if _look_up(result, path) != value:
                    raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request")
                continue
            if kind in ("remove", "replace"):
                _take(result, path)
            if kind == "move":
                _take(result, _steps(operation["from"]))
            if kind in ("add", "replace", "move", "copy"):
                _insert(result, path, value)
            elif kind != "remove":
                raise bad_request("Unexpected kind: %s" % kind)
        except (KeyError, IndexError, ValueError, TypeError):
            raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request") from None
    return result


def _steps(path):
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _look_up(value, steps):
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _take(value, steps):
    owner = _look_up(value, steps[:-1])
    del owner[int(steps[-1]) if isinstance(owner, list) else steps[-1]]


def _insert(value, steps, new):
    owner = _look_up(value, steps[:-1])
    if isinstance(owner, list):
        owner.insert(len(owner) if steps[-1] == "-" else int(steps[-1]), new)
    else:
        owner[steps[-1]] = new
