# SPDX-License-Identifier: Apache-2.0
"""Label and field selectors as they stand in a query, turned into a question about an object."""
import re

from .errors import bad_request

ANY_KIND = ("metadata.name", "metadata.namespace")
# What the real server can select by, beyond names; for others it answers 400.
FIELDS = {
    ("", "pods"): ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                   "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "secrets"): ("type",),
    ("", "events"): ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
                     "reason", "reportingComponent", "source", "type"),
    ("batch", "jobs"): ("status.successful",),
}
_SET = re.compile(r"^\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUALS = re.compile(r"^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^\s!=,()]+)\s*$")


def selector(kind, query):
    """A function from an object to bool, or None if the query selects everything."""
    labels = [_label_term(term) for term in _terms(query.get("labelSelector", ""))]
    fields = [_field_term(kind, term) for term in _terms(query.get("fieldSelector", ""))]
    if not labels and not fields:
        return None

    def selects(thing):
        held = thing["metadata"].get("labels") or {}
        return all(term(held) for term in labels) and all(term(thing) for term in fields)
    return selects


def _terms(text):
    """At commas outside parentheses."""
    return [term for term in re.split(r",(?![^(]*\))", text) if term.strip()]


def _label_term(text):
    match = _SET.match(text)
    if match:
        key, operator, values = match[1], match[2], {value.strip() for value in match[3].split(",")}
        if operator == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: labels.get(key) not in values
    match = _EQUALS.match(text)
    if match:
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    match = _EXISTS.match(text)
    if match:
        absent, key = match.groups()
        return lambda labels: (key in labels) != bool(absent)
    raise bad_request("unable to parse requirement: %s" % text.strip())


def _field_term(kind, text):
    match = _EQUALS.match(text)
    if not match:
        raise bad_request("invalid selector: '%s'; can't understand '%s'" % (text, text))
    field, operator, value = match.groups()
    if field not in ANY_KIND + FIELDS.get(kind.collection, ()):
        raise bad_request('Unable to find "%s, Resource=%s" that match label selector "", field selector "%s": field '
                          'label not supported: %s' % (kind.api_version, kind.plural, text, field))
    path = field.split(".")

    def holds(thing):
        for step in path:
            thing = thing.get(step) if isinstance(thing, dict) else None
        held = "" if thing is None else ("true" if thing else "false") if isinstance(thing, bool) else str(thing)
        return (held == value) != (operator == "!=")
    return holds
