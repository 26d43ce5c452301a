# SPDX-License-Identifier: Apache-2.0
"""One batch or several, nothing being probed between them: what holds at the end is the same."""
from model import NoTwin, Twin, deleted_key, key_of, objects_of, steps_of, written_addresses


def merged(document, rng):
    """Some steps become one, which judges what the last of them judged; at least two steps do."""
    steps = steps_of(document)
    if len(steps) == 1:
        raise NoTwin("has one step")
    if any(step.get("packets") for step in steps):
        raise NoTwin("connections live across its steps")
    ends = {number for number in range(len(steps) - 1) if rng.random() < 0.5}
    ends.discard(rng.randrange(len(steps) - 1))
    ends.add(len(steps) - 1)
    state, origin, result, group = {}, [], [], []
    for number, step in enumerate(steps):
        group.append(step)
        if number in ends:
            after = state_after(state, group)
            result.append(at_once(state, after, group))
            origin.append(number)
            state, group = after, []
    document["spec"]["steps"] = result
    return Twin(document, steps=origin)


def state_after(state, steps):
    """The objects by key once the batches of these steps have taken effect."""
    state = dict(state)
    for step in steps:
        for kind, namespace, name in map(deleted_key, step.get("delete") or []):
            gone = {(kind, namespace, name)}
            if kind == "Namespace":
                gone |= {key for key in state if key[1] == name}
            state = {key: thing for key, thing in state.items() if key not in gone}
        for thing in step["apply"]:
            state[key_of(thing)] = thing
    return state


def at_once(before, after, steps):
    """One step from one state to the other."""
    step = dict(steps[-1])
    step["delete"] = [{"kind": key[0], "name": key[2], **({"namespace": key[1]} if key[1] else {})}
                      for key in before if key not in after]
    step["apply"] = [thing for key, thing in after.items() if before.get(key) is not thing]
    return step


def split(document, rng):
    """The other way round: half of a step's objects arrive before the rest."""
    steps = steps_of(document)
    if any(step.get("packets") for step in steps):
        raise NoTwin("connections live across its steps")
    if addresses_change_hands(document):
        raise NoTwin("pods trade addresses within a step")
    origin, result = [], []
    for number, step in enumerate(steps):
        if len(step["apply"]) > 1:
            cut = rng.randrange(1, len(step["apply"]))
            first = {"name": step.get("name", "a step") + ", the first half", "delete": step.pop("delete", []),
                     "apply": step["apply"][:cut]}
            step["apply"] = step["apply"][cut:]
            result.append(first)
            origin.append(None)
        result.append(step)
        origin.append(number)
    if len(result) == len(steps):
        raise NoTwin("no step applies two objects")
    document["spec"]["steps"] = result
    return Twin(document, steps=origin)


def addresses_change_hands(document):
    owners = {}
    for thing in objects_of(document):
        if thing["kind"] == "Pod":
            for address in written_addresses(thing):
                owners.setdefault(address, set()).add(key_of(thing))
    return any(len(keys) > 1 for keys in owners.values())
