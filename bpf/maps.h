/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All maps of a guard. include/eg_abi.h says what is in them, and who writes: where user space
 * alone does, the programs cannot (BPF_F_RDONLY_PROG), whatever is wrong with them.
 *
 * Sizes are the most a policy may ask for. Tries grow on demand; a hash table takes memory for its
 * buckets at once, so whoever loads the programs may make `rules`, `endpoints` and `policy` smaller
 * where the policy is.
 */
#ifndef EG_MAPS_H
#define EG_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "eg_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_SLOTS);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_SLOTS);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_front4);
} front4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_SLOTS);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_front6);
} front6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, EG_SLOTS *EG_MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct eg_addr4_key);
	__type(value, struct eg_addr_value);
} addr4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, EG_SLOTS *EG_MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct eg_addr6_key);
	__type(value, struct eg_addr_value);
} addr6 SEC(".maps");

/* The values of these two hold nothing: what counts is that the key is there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_SLOTS *EG_MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct eg_endpoint_key);
	__type(value, __u8);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_SLOTS *EG_MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct eg_rule_key);
	__type(value, __u8);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_SLOTS);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_tunnels);
} tunnels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_SLOTS);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_bootstrap);
} bootstrap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_bootstrap_window);
} window SEC(".maps");

/* Of a guard on a cgroup alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_home);
} home SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EG_COUNTERS_ALL);
	__type(key, __u32);
	__type(value, struct eg_counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_answers);
} answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EG_RECENT_MAX);
	__type(key, struct eg_recent_key);
	__type(value, struct eg_recent_value);
} recent SEC(".maps");

/* What a viewer puts here has a size of its own; this one only tells the kind. A multiple of the
 * page size everywhere, 64 KiB pages included. */
struct eg_viewer_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EG_VIEWERS);
	__type(key, __u32);
	__array(values, struct eg_viewer_ring);
} viewers SEC(".maps");

/* Mapped by every viewer, so that each writes its own word alone. The kernel refuses a writable
 * mapping of what is read-only for programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct eg_viewer_beats);
} viewer_beats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_VIEWERS);
	__type(key, __u32);
	__type(value, __u64);
} viewer_lost SEC(".maps");

/* BPF_F_CLONE: what listens passes its owner on to the connections it accepts. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct eg_maker);
} owners SEC(".maps");

/* The value holds nothing, as above. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_MAX_UNDERLAYS);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, __u8);
} underlays SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_probes);
} probes SEC(".maps");

/* No program reads these two: the guard's identity and its policy's text, kept beside it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_meta);
} meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_POLICY_CHUNKS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, struct eg_policy_key);
	__type(value, struct eg_policy_chunk);
} policy SEC(".maps");

#endif /* EG_MAPS_H */
