# SPDX-License-Identifier: Apache-2.0
"""IPv4 becomes IPv6: every address is carried over bit by bit, in one of two places of the longer one."""
import ipaddress

from model import (CLUSTER_POLICIES, NoTwin, Twin, address_or_none, blocks_of, cluster_peers_of, cluster_policies_of,
                   lines_of, networks_of, objects_of, status_of, steps_of, written_addresses)

ICMP_TYPES = {0: 129, 3: 1, 8: 128, 11: 3, 12: 4}
HEADER_GROWTH = 20  # bytes: an IPv6 header less an IPv4 one
FRAGMENT_HEADER = 8  # bytes: what IPv4 has in its own header
# Where addresses are assigned from; a block over one of these means other pods in another family.
ASSIGNED = [ipaddress.ip_network("10.244.0.0/16"), ipaddress.ip_network("172.18.0.0/16")]


class Carrier:
    """Puts the 32 bits behind a prefix: the last ones of the address, or some in the middle."""

    def __init__(self, middle):
        self.base, self.bits_before = (0xfd0b0005 << 96, 32) if middle else (0xfd0b000000000005 << 64, 96)
        self.rest = 1 if middle else 0  # of an address; of a network it is zero
        self.back = {}

    def address(self, text):
        old = ipaddress.ip_address(text)
        if old.version != 4:
            raise NoTwin("an IPv6 address in an IPv4 scenario")
        new = ipaddress.ip_address(self.base | int(old) << (96 - self.bits_before) | self.rest)
        self.back[new] = str(old)
        return str(new)

    def network(self, text):
        host, _, length = text.partition("/")
        length = length or "32"  # a PolicyEndpoint may name a host without it
        if ipaddress.ip_address(host).version == 6:
            if text != "::/0":
                raise NoTwin("an IPv6 block in an IPv4 scenario")
            return "0.0.0.0/0"
        if text == "0.0.0.0/0":
            return "::/0"
        new = self.base | int(ipaddress.ip_address(host)) << (96 - self.bits_before)
        length = 0 if length == "0" else int(length) + self.bits_before
        return "%s/%d" % (ipaddress.ip_address(new), length)

    def end(self, text):
        address = address_or_none(text)
        return self.back.get(address, text) if address else text


def make(document, rng):
    spec = document["spec"]
    if spec.get("ipFamily", "IPv4") != "IPv4":
        raise NoTwin("is not IPv4")
    if any(step.get("replay") for step in steps_of(document)):
        raise NoTwin("replays a capture")
    if blocks_over_assigned(document):
        raise NoTwin("a block over assigned addresses")
    carrier = Carrier(middle=rng.random() < 0.5)
    spec["ipFamily"] = "IPv6"
    for thing in objects_of(document):
        carry_object(carrier, thing)
    for block in blocks_of(document):
        block["cidr"] = carrier.network(block["cidr"])
        block["except"] = [carrier.network(each) for each in block.get("except") or []]
    for policy in cluster_policies_of(document):
        for peer in cluster_peers_of(policy):
            if peer.get("networks"):
                peer["networks"] = [carrier.network(each) for each in peer["networks"]]
    for step in steps_of(document):
        for line in lines_of(step):
            for key in ("from", "to", "source"):
                if address_or_none(line.get(key) or ""):
                    line[key] = carrier.address(line[key])
        for packet in step.get("packets") or []:
            carry_packet(packet)
    return Twin(document, end=carrier.end)


def blocks_over_assigned(document):
    """Does some block say something of an address that nobody wrote?"""
    networks = [each for each in networks_of(document) if each.version == 4 and each.prefixlen > 0]
    if not any(each.overlaps(assigned) for each in networks for assigned in ASSIGNED):
        return False
    for thing in objects_of(document):
        if thing["kind"] == "Pod" and status_of(thing).get("podIP") != "" and not written_addresses(thing):
            if not (thing.get("spec") or {}).get("hostNetwork"):
                return True
        if thing["kind"] not in ("Namespace", "Node", "Pod", "Service", "EndpointSlice", "NetworkPolicy",
                                 "PolicyEndpoint", "ClusterPolicyEndpoint") + CLUSTER_POLICIES:
            return True
    return False


def carry_object(carrier, thing):
    spec, status = thing.get("spec") or {}, status_of(thing)
    if thing["kind"] == "Pod":
        if status.get("podIP"):
            status["podIP"] = carrier.address(status["podIP"])
        for entry in status.get("podIPs") or []:
            entry["ip"] = carrier.address(entry["ip"])
    elif thing["kind"] == "Node":
        for entry in status.get("addresses") or []:
            if address_or_none(entry["address"]):
                entry["address"] = carrier.address(entry["address"])
    elif thing["kind"] == "Service":
        if spec.get("clusterIP") not in (None, "", "None"):
            spec["clusterIP"] = carrier.address(spec["clusterIP"])
        if spec.get("clusterIPs"):
            spec["clusterIPs"] = [carrier.address(each) for each in spec["clusterIPs"]]
    elif thing["kind"] in ("PolicyEndpoint", "ClusterPolicyEndpoint"):
        for pod in spec.get("podSelectorEndpoints") or []:
            pod["podIP"], pod["hostIP"] = carrier.address(pod["podIP"]), carrier.address(pod["hostIP"])
    elif thing["kind"] == "EndpointSlice":
        thing["addressType"] = "IPv6"
        for endpoint in thing.get("endpoints") or []:
            endpoint["addresses"] = [carrier.address(each) for each in endpoint.get("addresses") or []]


def carry_packet(packet):
    if "frame" in packet or "options" in packet:
        raise NoTwin("a packet that only IPv4 has")
    for part in (packet, (packet.get("icmp") or {}).get("quotes") or {}):
        if part.get("icmp"):
            if part["icmp"]["type"] not in ICMP_TYPES:
                raise NoTwin("an ICMP type that only IPv4 has")
            part["icmp"]["type"] = ICMP_TYPES[part["icmp"]["type"]]
    if "length" in packet:
        if packet["length"] < HEADER_GROWTH:
            raise NoTwin("a packet cut inside its IPv4 header")
        packet["length"] += HEADER_GROWTH + (FRAGMENT_HEADER if "fragment" in packet else 0)
