/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What policy says of (peer, protocol, port) in one direction of a pod: class of the peer, the row's
 * word for that class, and if the word leads on, the body, the port directory and the port page.
 * Every read is bounded by the shape of the tables, not by policy: ports and prefixes are free.
 *
 * A walk that leads nowhere (an index outside its table, a word that is still zero) ends in step 0,
 * which denies with reason `none`: a hole in the tables is closed and visible.
 */
#ifndef POSTERN_DATAPATH_POLICY_H
#define POSTERN_DATAPATH_POLICY_H

#include "engine/datapath/env.h"
#include "engine/datapath/parse.h"

/* No class: the tables have a hole. Never a class of the compiler. */
#define PN_CLASS_HOLE 0xffffffffu

/* What a packet asks of policy. */
struct pn_question {
    struct pn_address peer;
    pn_u16 port; /* host order; read only if the protocol has ports */
    pn_u16 protocol;
    pn_u32 pad;
};

/* The class of the block that holds the address: one run of segments per page. */
PN_INLINE pn_u32 pn_block_class(struct pn_env *env, struct pn_address address)
{
    const pn_u64 *index = pn_env_idx(env, pn_idx_page(address));
    if (!index)
        return PN_CLASS_HOLE;
    pn_u64 run = PN_READ_ONCE(*index);
    pn_u32 left = pn_high(run);
    pn_u32 at = pn_low(run);
    if (left == 0)
        return at;
    /* Segment `at` starts at or before the address; halve what may follow it. */
    for (int halving = 0; halving < PN_SEG_SEARCH_STEPS && left > 1; halving++) {
        pn_u32 half = left >> 1;
        const struct pn_segment *segment = pn_env_seg(env, at + half);
        if (!segment)
            return PN_CLASS_HOLE;
        if (pn_address_before(address, segment->first)) {
            left = half;
        } else {
            at += half;
            left -= half;
        }
    }
    const struct pn_segment *segment = pn_env_seg(env, at);
    return segment ? PN_READ_ONCE(segment->class_id) : PN_CLASS_HOLE;
}

/* A way that changes hands meanwhile is taken for the other's only if their tags are equal, too: 32 bits
 * that nobody outside can compute. */
PN_INLINE pn_u32 pn_peer_class(struct pn_env *env, const struct pn_address *peer, pn_u32 dir_flags)
{
    const struct pn_node *node = pn_env_node(env);
    struct pn_address address = *peer;
    if (!node)
        return PN_CLASS_HOLE;
    pn_u64 hash = pn_hash(address, node->hash_secret);
    pn_u32 tag = pn_hash_tag(hash);
    const struct pn_hosts_bucket *bucket = pn_env_hosts(env, pn_hash_bucket(hash) & node->hosts_mask);
    if (!bucket)
        return PN_CLASS_HOLE;
    for (int way = 0; way < PN_HOSTS_WAYS; way++) {
        pn_u64 word = PN_READ_ONCE(bucket->words[way]);
        PN_BARRIER();
        if (pn_high(word) == tag && pn_same_address(bucket->addresses[way], address))
            return pn_low(word);
    }
    if (PN_READ_ONCE(bucket->head) & PN_HOSTS_SPILLED) {
        const pn_u32 *far = pn_env_hosts_far(env, peer);
        if (far)
            return PN_READ_ONCE(*far);
    }
    return (dir_flags & PN_DIR_BLOCKS) ? pn_block_class(env, address) : 0;
}

/* The final step of a port behind a directory. */
PN_INLINE pn_u32 pn_port_step(struct pn_env *env, pn_u32 directory, pn_u32 port)
{
    const struct pn_port_steps *steps = pn_env_portdir(env, directory);
    if (!steps)
        return 0;
    pn_u32 step = PN_READ_ONCE(steps->steps[(port >> 8) & 0xffu]);
    if (pn_step_is_final(step))
        return step;
    steps = pn_env_portpage(env, pn_step_index(step));
    return steps ? PN_READ_ONCE(steps->steps[port & 0xffu]) : 0;
}

PN_INLINE pn_u32 pn_body_step(struct pn_env *env, const struct pn_body *body,
                              const struct pn_question *question)
{
    pn_u32 protocol = question->protocol;
    pn_u32 port = question->port;
    if (!pn_has_ports(protocol))
        return body->other;
    if (body->interval_protocol == protocol && body->interval_lo <= port && port <= body->interval_hi)
        return body->interval_step;
    pn_u32 step = protocol == PN_IP_TCP ? body->tcp : protocol == PN_IP_UDP ? body->udp : body->sctp;
    return pn_step_is_final(step) ? step : pn_port_step(env, pn_step_index(step), port);
}

/* Always final. */
PN_INLINE pn_u32 pn_class_step(struct pn_env *env, const struct pn_pod_dir *dir, pn_u32 peer_class,
                               const struct pn_question *question)
{
    if (peer_class == PN_CLASS_HOLE)
        return 0;
    /* Classes beyond the row are those no rule of this content tells from class 0. */
    if (peer_class >= dir->row_len)
        peer_class = 0;
    const struct pn_row_chunk *chunk = pn_env_row(env, dir->row + peer_class / PN_ROW_CHUNK);
    if (!chunk)
        return 0;
    pn_u32 step = PN_READ_ONCE(chunk->steps[peer_class % PN_ROW_CHUNK]);
    if (!pn_step_is_final(step)) {
        const struct pn_body *body = pn_env_body(env, pn_step_index(step));
        step = body ? pn_body_step(env, body, question) : 0;
    }
    if (!pn_step_is_final(step))
        return 0;
    return pn_has_ports(question->protocol) || pn_is_icmp(question->protocol) ? step : pn_step_portless(step);
}

/* The policy of a judged direction. */
PN_UNIT pn_u32 pn_policy_step(struct pn_env *env, const struct pn_pod_dir *dir,
                              const struct pn_question *question)
{
    PN_KEEP(env);
    if (!dir || !question)
        return 0;
    return pn_class_step(env, dir, pn_peer_class(env, &question->peer, dir->flags), question);
}

#endif
