/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the bytes of a frame to the facts that policy and connection tracking ask for. Never reads
 * past the frame, at any truncation. A header that is cut or contradicts itself makes the packet
 * malformed; nothing is guessed (R19, R21, R38).
 *
 * A payload that was cut off does not matter: the transport header must be in the frame and within
 * the packet's own length, no more. IPv6 is recognised, not parsed: its place is pn_parse_ipv6.
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
    PN_IP_ICMPV6 = 58,
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
#define PN_TCP_LENGTH 20u
#define PN_UDP_LENGTH 8u
#define PN_SCTP_LENGTH 12u
#define PN_ICMP_LENGTH 8u
#define PN_QUOTE_TRANSPORT 8u /* an ICMP error quotes at least this much behind the IP header */

enum pn_packet_kind {
    PN_KIND_MALFORMED = 0,
    PN_KIND_IPV4 = 1,      /* every field below holds */
    PN_KIND_FRAGMENT = 2,  /* IPv4, addresses only: a later fragment, or a first one that is too short */
    PN_KIND_IPV6 = 3,      /* not enforced yet */
    PN_KIND_ALWAYS = 4,    /* ARP, neighbour discovery, multicast listener messages */
    PN_KIND_ETHERTYPE = 5, /* neither IP nor ARP */
};

enum pn_packet_flags {
    PN_PACKET_TRACKED = 1u << 0, /* belongs to a connection: the tuple can be looked up */
    PN_PACKET_OPENS = 1u << 1,   /* TCP SYN without ACK, SCTP INIT, ICMP echo request: never a reply */
    PN_PACKET_ANSWERS = 1u << 2, /* SYN with ACK, RST, ICMP echo reply: never the first of a connection */
    PN_PACKET_QUOTES = 1u << 3,  /* an ICMP error; `quote` is the packet it complains of */
};

/* Addresses and ports in network order. ICMP echo: both ports are the id; no ports: zero. */
struct pn_tuple {
    pn_u32 source;
    pn_u32 destination;
    pn_u16 source_port;
    pn_u16 destination_port;
    pn_u32 protocol; /* IP protocol */
};

struct pn_packet {
    struct pn_tuple tuple;
    pn_u32 kind;   /* enum pn_packet_kind */
    pn_u32 flags;  /* enum pn_packet_flags */
    pn_u32 family; /* 4, 6 or 0 */
    pn_u32 tcp_flags;
    pn_u32 icmp;   /* type << 8 | code */
    struct pn_tuple quote; /* only with PN_PACKET_QUOTES */
};

PN_INLINE int pn_icmp_is_error(pn_u32 type)
{
    return type == 3 || type == 4 || type == 11 || type == 12;
}

/* The packet inside an ICMP error. It need not be readable: then the error is ICMP like any other. */
PN_INLINE void pn_parse_quote(const pn_u8 *ip, const pn_u8 *end, struct pn_packet *packet)
{
    if (!pn_holds(ip, end, PN_IPV4_LENGTH))
        return;
    pn_u32 header = (ip[0] & 0x0fu) * 4u;
    if ((ip[0] >> 4) != 4 || header < PN_IPV4_LENGTH || (pn_swap16(pn_load16(ip + 6)) & 0x1fffu) != 0)
        return;
    pn_u32 protocol = ip[9];
    struct pn_tuple *quote = &packet->quote;
    quote->source = pn_load32(ip + 12);
    quote->destination = pn_load32(ip + 16);
    quote->protocol = protocol;
    if (!pn_holds(ip, end, header))
        return;
    const pn_u8 *transport = ip + header;
    if (!pn_holds(transport, end, PN_QUOTE_TRANSPORT))
        return;
    if (protocol == PN_IP_ICMP) {
        if (transport[0] != 8 && transport[0] != 0)
            return;
        quote->source_port = pn_load16(transport + 4);
        quote->destination_port = quote->source_port;
    } else if (protocol == PN_IP_TCP || protocol == PN_IP_UDP || protocol == PN_IP_SCTP) {
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
    packet->icmp = (type << 8) | icmp[1];
    if (type == 8 || type == 0) {
        packet->tuple.source_port = pn_load16(icmp + 4);
        packet->tuple.destination_port = packet->tuple.source_port;
        packet->flags |= PN_PACKET_TRACKED | (type == 8 ? PN_PACKET_OPENS : PN_PACKET_ANSWERS);
    } else if (pn_icmp_is_error(type)) {
        pn_parse_quote(icmp + PN_ICMP_LENGTH, end, packet);
    }
}

PN_INLINE void pn_parse_tcp(const pn_u8 *tcp, struct pn_packet *packet)
{
    pn_u32 flags = tcp[13];
    packet->tcp_flags = flags;
    if ((flags & (PN_TCP_SYN | PN_TCP_ACK)) == PN_TCP_SYN)
        packet->flags |= PN_PACKET_OPENS;
    else if (flags & (PN_TCP_SYN | PN_TCP_RST))
        packet->flags |= PN_PACKET_ANSWERS;
}

/* Bytes that the transport header must have; 0: nothing of it is read (R18, R21). */
PN_INLINE pn_u32 pn_transport_length(pn_u32 protocol)
{
    switch (protocol) {
    case PN_IP_TCP:
        return PN_TCP_LENGTH;
    case PN_IP_UDP:
        return PN_UDP_LENGTH;
    case PN_IP_SCTP:
        return PN_SCTP_LENGTH;
    case PN_IP_ICMP:
        return PN_ICMP_LENGTH;
    default:
        return 0;
    }
}

/* `transport` holds a whole header of `protocol`. */
PN_INLINE void pn_parse_transport(const pn_u8 *transport, const pn_u8 *end, struct pn_packet *packet)
{
    pn_u32 protocol = packet->tuple.protocol;
    if (protocol == PN_IP_ICMP) {
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

/* `length` is that of the whole frame, of which only a part may lie before `end`. */
PN_INLINE void pn_parse_ipv4(const pn_u8 *ip, const pn_u8 *end, pn_u32 length, struct pn_packet *packet)
{
    packet->family = 4;
    if (!pn_holds(ip, end, PN_IPV4_LENGTH))
        return;
    pn_u32 header = (ip[0] & 0x0fu) * 4u;
    pn_u32 total = pn_swap16(pn_load16(ip + 2));
    pn_u32 fragment = pn_swap16(pn_load16(ip + 6));
    pn_u32 protocol = ip[9];
    pn_u32 needs = pn_transport_length(protocol);
    if ((ip[0] >> 4) != 4 || header < PN_IPV4_LENGTH)
        return;
    packet->tuple.source = pn_load32(ip + 12);
    packet->tuple.destination = pn_load32(ip + 16);
    packet->tuple.protocol = protocol;
    /* Segments above 64 KiB that the stack keeps whole cannot say their length. */
    if (total == 0 && length > 0xffffu)
        total = 0xffffu;
    if (total < header || !pn_holds(ip, end, header))
        return;
    if (fragment & 0x1fffu) {
        /* The fragment table (R19) comes here: the verdict of the first one. */
        packet->kind = PN_KIND_FRAGMENT;
        return;
    }
    const pn_u8 *transport = ip + header;
    if (needs != 0) {
        /* What a whole packet without its transport header is, and what a first fragment is. */
        packet->kind = (fragment & 0x2000u) ? PN_KIND_FRAGMENT : PN_KIND_MALFORMED;
        if (total < header + needs || !pn_holds_transport(transport, end, protocol))
            return;
        pn_parse_transport(transport, end, packet);
    }
    packet->kind = PN_KIND_IPV4;
}

/* IPv6 comes here. Until then only what the link itself needs is told from the rest: neighbour
 * discovery (133-137) and multicast listener messages (130-132, 143), the latter behind one
 * hop-by-hop header of eight bytes. */
PN_INLINE void pn_parse_ipv6(const pn_u8 *ip, const pn_u8 *end, struct pn_packet *packet)
{
    packet->family = 6;
    if (!pn_holds(ip, end, PN_IPV6_LENGTH + 1))
        return;
    packet->kind = PN_KIND_IPV6;
    pn_u32 next = ip[6];
    pn_u32 type = ip[PN_IPV6_LENGTH];
    packet->tuple.protocol = next;
    if (next == PN_IP_HOP_BY_HOP && pn_holds(ip, end, PN_IPV6_LENGTH + 9) && ip[PN_IPV6_LENGTH + 1] == 0) {
        next = ip[PN_IPV6_LENGTH];
        type = ip[PN_IPV6_LENGTH + 8];
    }
    if (next == PN_IP_ICMPV6 && ((type >= 130 && type <= 137) || type == 143))
        packet->kind = PN_KIND_ALWAYS;
}

/* `data` is the Ethernet header, `length` that of the whole frame. Fills `packet`. */
PN_INLINE void pn_parse(const pn_u8 *data, const pn_u8 *end, pn_u32 length, struct pn_packet *packet)
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
    switch (type) {
    case PN_ETH_IPV4:
        pn_parse_ipv4(next, end, length, packet);
        return;
    case PN_ETH_IPV6:
        pn_parse_ipv6(next, end, packet);
        return;
    case PN_ETH_ARP:
        packet->kind = PN_KIND_ALWAYS;
        return;
    default:
        packet->kind = PN_KIND_ETHERTYPE;
        return;
    }
}

#endif
