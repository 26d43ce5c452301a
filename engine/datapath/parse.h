/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the bytes of a frame to the facts that policy and connection tracking ask for. Never reads
 * past the frame, at any truncation. A header that is cut or contradicts itself makes the packet
 * malformed; nothing is guessed (R19, R20, R21, R38).
 *
 * The two families differ in how their header is read (pn_read_ipv4, pn_read_ipv6), and in nothing
 * behind it. A payload that was cut off does not matter: the transport header must be in the frame and
 * within the packet's own length, no more.
 */
#ifndef POSTERN_DATAPATH_PARSE_H
#define POSTERN_DATAPATH_PARSE_H

#include "engine/datapath/env.h"

enum pn_ethertype {
    PN_ETH_IPV4 = 0x0800,
    PN_ETH_ARP = 0x0806,
    PN_ETH_VLAN = 0x8100,
    PN_ETH_IPV6 = 0x86dd,
    PN_ETH_QINQ = 0x88a8,
};

enum pn_ip_protocol {
    PN_IP_HOP_BY_HOP = 0,
    PN_IP_ICMP = 1,
    PN_IP_TCP = 6,
    PN_IP_UDP = 17,
    PN_IP_ROUTING = 43,
    PN_IP_FRAGMENT = 44,
    PN_IP_ICMPV6 = 58,
    PN_IP_DESTINATION = 60,
    PN_IP_SCTP = 132,
};

enum pn_tcp_flag {
    PN_TCP_FIN = 0x01,
    PN_TCP_SYN = 0x02,
    PN_TCP_RST = 0x04,
    PN_TCP_ACK = 0x10,
};

#define PN_ETH_LENGTH 14u
#define PN_VLAN_LENGTH 4u
#define PN_VLAN_TAGS 2
#define PN_IPV4_LENGTH 20u
#define PN_IPV6_LENGTH 40u
#define PN_EXTENSION_UNIT 8u     /* extension headers are as long as a multiple of this */
#define PN_EXTENSIONS_MAX 8      /* more of them: malformed (R20) */
#define PN_HEADERS_MASK 0x3fffu  /* so are more bytes of headers than this */
#define PN_TCP_LENGTH 20u
#define PN_UDP_LENGTH 8u
#define PN_SCTP_LENGTH 12u
#define PN_ICMP_LENGTH 8u
#define PN_QUOTE_TRANSPORT 8u /* an ICMP error quotes at least this much behind the IP header */

enum pn_packet_kind {
    PN_KIND_MALFORMED = 0,
    PN_KIND_IP = 1,        /* every field below holds */
    PN_KIND_FRAGMENT = 2,  /* addresses only: a later fragment, or a first one that is too short */
    PN_KIND_ALWAYS = 3,    /* ARP, neighbour discovery, multicast listener messages */
    PN_KIND_ETHERTYPE = 4, /* neither IP nor ARP */
};

enum pn_packet_flags {
    PN_PACKET_TRACKED = 1u << 0, /* belongs to a connection: the tuple can be looked up */
    PN_PACKET_OPENS = 1u << 1,   /* TCP SYN without ACK, SCTP INIT, ICMP echo request: never a reply */
    PN_PACKET_ANSWERS = 1u << 2, /* SYN with ACK, RST, ICMP echo reply: never the first of a connection */
    PN_PACKET_ERROR = 1u << 3,   /* an ICMP error */
    PN_PACKET_QUOTES = 1u << 4,  /* and `quote` is the packet it complains of */
    PN_PACKET_FIRST = 1u << 5,   /* a first fragment with its whole transport header */
    PN_PACKET_LATER = 1u << 6,   /* a later fragment */
};

/* Ports in network order. ICMP echo: both ports are the id; no ports: zero. */
struct pn_tuple {
    struct pn_address source;
    struct pn_address destination;
    pn_u16 source_port;
    pn_u16 destination_port;
    pn_u32 protocol; /* IP protocol */
};

struct pn_packet {
    struct pn_tuple tuple;
    pn_u32 flags;  /* enum pn_packet_flags */
    pn_u16 kind;   /* enum pn_packet_kind */
    pn_u16 family; /* 4, 6 or 0 */
    pn_u16 tcp_flags;
    pn_u16 icmp;   /* type << 8 | code */
    /* Only with PN_PACKET_FIRST or PN_PACKET_LATER: */
    pn_u16 fragment_at;       /* bytes of the datagram: where a first one ends, where a later one begins */
    pn_u16 fragment_protocol; /* as the IPv4 or fragment header names it: maybe an extension header */
    pn_u32 fragment_id;       /* as it stands in the packet */
    pn_u32 tcp_space; /* sequence << 16 | acknowledgement number, in units (engine/abi/conntrack.h) */
    struct pn_tuple quote; /* only with PN_PACKET_QUOTES */
};

/* An IP header of either family, and what stands before the transport header. */
struct pn_ip {
    struct pn_address source;
    struct pn_address destination;
    pn_u32 family;
    pn_u32 protocol;       /* of the transport header */
    pn_u32 offset;         /* of the transport header, from the start of the IP header */
    pn_u32 room;           /* bytes from there to the end of the packet, by the header's own word */
    pn_u32 first_fragment; /* others follow */
    pn_u32 later_fragment; /* no transport header here */
    /* Only of fragments: */
    pn_u32 fragment_id;
    pn_u32 fragment_offset;   /* bytes */
    pn_u32 fragment_start;    /* of what is fragmented, from the start of the IP header */
    pn_u32 fragment_protocol; /* of what is fragmented */
};

PN_INLINE int pn_is_icmp(pn_u32 protocol) { return protocol == PN_IP_ICMP || protocol == PN_IP_ICMPV6; }

PN_INLINE int pn_has_ports(pn_u32 protocol)
{
    return protocol == PN_IP_TCP || protocol == PN_IP_UDP || protocol == PN_IP_SCTP;
}

/* What a type of ICMP is to a firewall (R17). */
enum pn_icmp_kind {
    PN_ICMP_OTHER = 0,
    PN_ICMP_ECHO = 1,
    PN_ICMP_ERROR = 2, /* quotes the packet it complains of */
    PN_ICMP_LINK = 3,  /* neighbour discovery, multicast listener messages */
};

/* Only the ICMP of the header's own family is ICMP. */
PN_INLINE enum pn_icmp_kind pn_icmp_sort(pn_u32 family, pn_u32 protocol, pn_u32 type)
{
    if (family == 4 && protocol == PN_IP_ICMP) {
        if (type == 8 || type == 0)
            return PN_ICMP_ECHO;
        return type == 3 || type == 4 || type == 11 || type == 12 ? PN_ICMP_ERROR : PN_ICMP_OTHER;
    }
    if (family == 6 && protocol == PN_IP_ICMPV6) {
        if (type == 128 || type == 129)
            return PN_ICMP_ECHO;
        if (type >= 1 && type <= 4)
            return PN_ICMP_ERROR;
        return (type >= 130 && type <= 137) || type == 143 ? PN_ICMP_LINK : PN_ICMP_OTHER;
    }
    return PN_ICMP_OTHER;
}

/* Of an echo: the request, in either family. */
PN_INLINE int pn_icmp_asks(pn_u32 type) { return type == 8 || type == 128; }

PN_INLINE struct pn_address pn_load_v4(const pn_u8 *bytes) { return pn_address_v4(pn_swap32(pn_load32(bytes))); }

PN_INLINE struct pn_address pn_load_v6(const pn_u8 *bytes)
{
    struct pn_address address = {
        .high = ((pn_u64)pn_swap32(pn_load32(bytes)) << 32) | pn_swap32(pn_load32(bytes + 4)),
        .low = ((pn_u64)pn_swap32(pn_load32(bytes + 8)) << 32) | pn_swap32(pn_load32(bytes + 12)),
    };
    return address;
}

/* `length`: of the whole frame, of which only a part may lie before `end`; it only matters beyond
 * 64 KiB, where segments that the stack keeps whole cannot say how long they are. 0: malformed. */
PN_INLINE int pn_read_ipv4(const pn_u8 *ip, const pn_u8 *end, pn_u32 length, struct pn_ip *out)
{
    out->family = 4;
    if (!pn_holds(ip, end, PN_IPV4_LENGTH))
        return 0;
    pn_u32 header = (ip[0] & 0x0fu) * 4u;
    pn_u32 total = pn_swap16(pn_load16(ip + 2));
    pn_u32 fragment = pn_swap16(pn_load16(ip + 6));
    if ((ip[0] >> 4) != 4 || header < PN_IPV4_LENGTH)
        return 0;
    if (total == 0 && length > 0xffffu)
        total = 0xffffu;
    if (total < header || !pn_holds(ip, end, header))
        return 0;
    out->source = pn_load_v4(ip + 12);
    out->destination = pn_load_v4(ip + 16);
    out->protocol = ip[9];
    out->offset = header;
    out->room = total - header;
    out->later_fragment = (fragment & 0x1fffu) != 0;
    out->first_fragment = !out->later_fragment && (fragment & 0x2000u) != 0;
    out->fragment_id = pn_load16(ip + 4);
    out->fragment_offset = (fragment & 0x1fffu) * 8u;
    out->fragment_start = header;
    out->fragment_protocol = out->protocol;
    return 1;
}

PN_INLINE int pn_is_extension(pn_u32 protocol)
{
    return protocol == PN_IP_HOP_BY_HOP || protocol == PN_IP_ROUTING || protocol == PN_IP_DESTINATION ||
           protocol == PN_IP_FRAGMENT;
}

/* What a walk over extension headers ends with; 0: too many of them, cut, or a fragment in a fragment. */
#define PN_WALKED 0x80000000u
#define PN_WALKED_LATER 0x40000000u /* a later fragment */
#define PN_WALKED_FIRST 0x20000000u /* a first fragment */
#define PN_WALKED_PROTOCOL_SHIFT 16 /* what follows, above its offset */
#define PN_WALKED_FRAGMENT_SHIFT 32 /* offset of a fragment's header */

#define PN_FRAGMENT_OFFSET 0xfff8u /* of the second word of a fragment header: in bytes */
#define PN_FRAGMENT_MORE 1u

/* From the first extension header, of kind `protocol`, to what follows the last (R20). What follows a
 * later fragment's header is payload. */
PN_PART pn_u64 pn_walk_extensions(const pn_u8 *ip, const pn_u8 *end, pn_u32 protocol)
{
    pn_u32 offset = PN_IPV6_LENGTH;
    pn_u32 fragment = 0;
    pn_u32 fragment_header = 0;
    PN_ROLLED
    for (int walked = 0; walked < PN_EXTENSIONS_MAX; walked++) {
        const pn_u8 *header = ip + offset;
        PN_PINNED(header);
        if (!pn_holds(header, end, PN_EXTENSION_UNIT))
            return 0;
        pn_u32 length = PN_EXTENSION_UNIT;
        if (protocol == PN_IP_FRAGMENT) {
            if (fragment & (PN_FRAGMENT_OFFSET | PN_FRAGMENT_MORE))
                return 0;
            fragment = pn_swap16(pn_load16(header + 2));
            fragment_header = offset;
        } else {
            length += (pn_u32)header[1] * PN_EXTENSION_UNIT;
        }
        protocol = header[0];
        offset = pn_opaque(offset + length);
        if (offset > PN_HEADERS_MASK || !pn_holds(ip, end, offset))
            return 0;
        if ((fragment & PN_FRAGMENT_OFFSET) || !pn_is_extension(protocol)) {
            pn_u32 kind = (fragment & PN_FRAGMENT_OFFSET) ? PN_WALKED_LATER
                          : (fragment & PN_FRAGMENT_MORE) ? PN_WALKED_FIRST
                                                          : 0;
            pn_u32 ending = PN_WALKED | kind | (protocol << PN_WALKED_PROTOCOL_SHIFT) | offset;
            return ((pn_u64)fragment_header << PN_WALKED_FRAGMENT_SHIFT) | ending;
        }
    }
    return 0;
}

PN_INLINE int pn_read_extensions(const pn_u8 *ip, const pn_u8 *end, struct pn_ip *out)
{
    pn_u64 found = pn_walk_extensions(ip, end, out->protocol);
    pn_u32 walked = pn_opaque((pn_u32)found);
    out->protocol = (walked >> PN_WALKED_PROTOCOL_SHIFT) & 0xffu;
    out->offset = walked & 0xffffu;
    out->later_fragment = (walked & PN_WALKED_LATER) != 0;
    out->first_fragment = (walked & PN_WALKED_FIRST) != 0;
    if (!(walked & (PN_WALKED_LATER | PN_WALKED_FIRST)))
        return walked != 0;
    pn_u32 at = pn_opaque((pn_u32)(found >> PN_WALKED_FRAGMENT_SHIFT)) & PN_HEADERS_MASK;
    const pn_u8 *header = ip + at;
    PN_PINNED(header);
    if (!pn_holds(header, end, PN_EXTENSION_UNIT))
        return 0;
    out->fragment_protocol = header[0];
    out->fragment_offset = pn_swap16(pn_load16(header + 2)) & PN_FRAGMENT_OFFSET;
    out->fragment_id = pn_load32(header + 4);
    out->fragment_start = at + PN_EXTENSION_UNIT;
    return 1;
}

/* As pn_read_ipv4. A header with an address that stands for one of IPv4 is malformed: it would borrow
 * what rules say of that one (R36). */
PN_INLINE int pn_read_ipv6(const pn_u8 *ip, const pn_u8 *end, pn_u32 length, struct pn_ip *out)
{
    out->family = 6;
    out->first_fragment = 0;
    out->later_fragment = 0;
    if (!pn_holds(ip, end, PN_IPV6_LENGTH) || (ip[0] >> 4) != 6)
        return 0;
    out->source = pn_load_v6(ip + 8);
    out->destination = pn_load_v6(ip + 24);
    if (pn_is_v4(out->source) || pn_is_v4(out->destination))
        return 0;
    pn_u32 total = PN_IPV6_LENGTH + pn_swap16(pn_load16(ip + 4));
    if (total == PN_IPV6_LENGTH && length > 0xffffu)
        total = PN_IPV6_LENGTH + 0xffffu;
    out->protocol = ip[6];
    out->offset = PN_IPV6_LENGTH;
    if (pn_is_extension(out->protocol) && !pn_read_extensions(ip, end, out))
        return 0;
    if (out->offset > total)
        return 0;
    out->room = total - out->offset;
    return 1;
}

/* Where the transport header starts. The verifier has to see a bound, and that what is checked is what is
 * read. */
PN_INLINE const pn_u8 *pn_transport(const pn_u8 *ip, const struct pn_ip *header)
{
    const pn_u8 *transport = ip + (header->offset & PN_HEADERS_MASK);
    PN_PINNED(transport);
    return transport;
}

/* The packet inside an ICMP error. It need not be readable: then the error is ICMP like any other. */
PN_INLINE void pn_parse_quote(const pn_u8 *ip, const pn_u8 *end, struct pn_packet *packet)
{
    struct pn_ip header;
    struct pn_tuple *quote = &packet->quote;
    int read = packet->family == 4 ? pn_read_ipv4(ip, end, 0, &header) : pn_read_ipv6(ip, end, 0, &header);
    if (!read || header.later_fragment)
        return;
    const pn_u8 *transport = pn_transport(ip, &header);
    if (!pn_holds(transport, end, PN_QUOTE_TRANSPORT))
        return;
    quote->source = header.source;
    quote->destination = header.destination;
    quote->protocol = header.protocol;
    if (pn_icmp_sort(header.family, header.protocol, transport[0]) == PN_ICMP_ECHO) {
        quote->source_port = pn_load16(transport + 4);
        quote->destination_port = quote->source_port;
    } else if (pn_has_ports(header.protocol)) {
        quote->source_port = pn_load16(transport);
        quote->destination_port = pn_load16(transport + 2);
    } else {
        return;
    }
    packet->flags |= PN_PACKET_QUOTES;
}

PN_INLINE void pn_parse_icmp(const pn_u8 *icmp, const pn_u8 *end, struct pn_packet *packet)
{
    pn_u32 type = icmp[0];
    packet->icmp = (pn_u16)((type << 8) | icmp[1]);
    switch (pn_icmp_sort(packet->family, packet->tuple.protocol, type)) {
    case PN_ICMP_ECHO:
        packet->tuple.source_port = pn_load16(icmp + 4);
        packet->tuple.destination_port = packet->tuple.source_port;
        packet->flags |= PN_PACKET_TRACKED;
        packet->flags |= pn_icmp_asks(type) ? (pn_u32)PN_PACKET_OPENS : (pn_u32)PN_PACKET_ANSWERS;
        return;
    case PN_ICMP_ERROR:
        packet->flags |= PN_PACKET_ERROR;
        pn_parse_quote(icmp + PN_ICMP_LENGTH, end, packet);
        return;
    case PN_ICMP_LINK:
        packet->kind = PN_KIND_ALWAYS;
        return;
    case PN_ICMP_OTHER:
        return;
    }
}

PN_INLINE void pn_parse_tcp(const pn_u8 *tcp, struct pn_packet *packet)
{
    pn_u32 flags = tcp[13];
    packet->tcp_flags = (pn_u16)flags;
    packet->tcp_space = (pn_swap32(pn_load32(tcp + 4)) >> PN_CT_SPACE_UNIT_SHIFT) << 16 |
                        pn_swap32(pn_load32(tcp + 8)) >> PN_CT_SPACE_UNIT_SHIFT;
    if ((flags & (PN_TCP_SYN | PN_TCP_ACK)) == PN_TCP_SYN)
        packet->flags |= PN_PACKET_OPENS;
    else if (flags & (PN_TCP_SYN | PN_TCP_RST))
        packet->flags |= PN_PACKET_ANSWERS;
}

/* Bytes that the transport header must have; 0: nothing of it is read (R18, R21). */
PN_INLINE pn_u32 pn_transport_length(pn_u32 family, pn_u32 protocol)
{
    switch (protocol) {
    case PN_IP_TCP:
        return PN_TCP_LENGTH;
    case PN_IP_UDP:
        return PN_UDP_LENGTH;
    case PN_IP_SCTP:
        return PN_SCTP_LENGTH;
    case PN_IP_ICMP:
        return family == 4 ? PN_ICMP_LENGTH : 0;
    case PN_IP_ICMPV6:
        return family == 6 ? PN_ICMP_LENGTH : 0;
    default:
        return 0;
    }
}

/* `transport` holds a whole header of `protocol`. */
PN_INLINE void pn_parse_transport(const pn_u8 *transport, const pn_u8 *end, pn_u32 protocol,
                                  struct pn_packet *packet)
{
    if (pn_is_icmp(protocol)) {
        pn_parse_icmp(transport, end, packet);
        return;
    }
    packet->tuple.source_port = pn_load16(transport);
    packet->tuple.destination_port = pn_load16(transport + 2);
    packet->flags |= PN_PACKET_TRACKED;
    if (protocol == PN_IP_TCP)
        pn_parse_tcp(transport, packet);
    else if (protocol == PN_IP_SCTP && pn_holds(transport, end, PN_SCTP_LENGTH + 1) &&
             transport[PN_SCTP_LENGTH] == 1)
        packet->flags |= PN_PACKET_OPENS;
}

/* Whether a whole transport header of `protocol` is in the frame. One constant per test: the verifier
 * learns nothing from a comparison with a variable length. */
PN_INLINE int pn_holds_transport(const pn_u8 *transport, const pn_u8 *end, pn_u32 protocol)
{
    switch (protocol) {
    case PN_IP_TCP:
        return pn_holds(transport, end, PN_TCP_LENGTH);
    case PN_IP_SCTP:
        return pn_holds(transport, end, PN_SCTP_LENGTH);
    default:
        return pn_holds(transport, end, PN_UDP_LENGTH);
    }
}

/* `ip` is a header that pn_read_ipv4 or pn_read_ipv6 has read. */
PN_INLINE void pn_parse_ip(const pn_u8 *ip, const pn_u8 *end, const struct pn_ip *header,
                           struct pn_packet *packet)
{
    pn_u32 protocol = header->protocol;
    PN_PINNED(protocol);
    pn_u32 needs = pn_transport_length(header->family, protocol);
    packet->tuple.source = header->source;
    packet->tuple.destination = header->destination;
    packet->tuple.protocol = protocol;
    packet->fragment_id = header->fragment_id;
    packet->fragment_protocol = (pn_u16)header->fragment_protocol;
    if (header->later_fragment) {
        packet->kind = PN_KIND_FRAGMENT;
        packet->flags |= PN_PACKET_LATER;
        packet->fragment_at = (pn_u16)header->fragment_offset;
        return;
    }
    const pn_u8 *transport = pn_transport(ip, header);
    if (needs != 0 && (header->room < needs || !pn_holds_transport(transport, end, protocol))) {
        /* What a whole packet without its transport header is, and what a first fragment is. */
        packet->kind = header->first_fragment ? PN_KIND_FRAGMENT : PN_KIND_MALFORMED;
        return;
    }
    packet->kind = PN_KIND_IP;
    if (header->first_fragment) {
        packet->flags |= PN_PACKET_FIRST;
        packet->fragment_at = (pn_u16)(header->offset + header->room - header->fragment_start);
    }
    if (needs != 0)
        pn_parse_transport(transport, end, protocol, packet);
}

/* `data` is the Ethernet header, `length` that of the whole frame. Fills `packet`. */
PN_PART void pn_parse(const pn_u8 *data, const pn_u8 *end, pn_u32 length, struct pn_packet *packet)
{
    __builtin_memset(packet, 0, __builtin_offsetof(struct pn_packet, quote));
    if (!pn_holds(data, end, PN_ETH_LENGTH))
        return;
    pn_u32 type = pn_swap16(pn_load16(data + 12));
    const pn_u8 *next = data + PN_ETH_LENGTH;
    for (int tag = 0; tag < PN_VLAN_TAGS && (type == PN_ETH_VLAN || type == PN_ETH_QINQ); tag++) {
        if (!pn_holds(next, end, PN_VLAN_LENGTH))
            return;
        type = pn_swap16(pn_load16(next + 2));
        next += PN_VLAN_LENGTH;
    }
    if (type != PN_ETH_IPV4 && type != PN_ETH_IPV6) {
        packet->kind = type == PN_ETH_ARP ? PN_KIND_ALWAYS : PN_KIND_ETHERTYPE;
        return;
    }
    struct pn_ip header;
    int read = type == PN_ETH_IPV4 ? pn_read_ipv4(next, end, length, &header)
                                   : pn_read_ipv6(next, end, length, &header);
    packet->family = (pn_u16)header.family;
    if (read)
        pn_parse_ip(next, end, &header, packet);
}

#endif
