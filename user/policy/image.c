// SPDX-License-Identifier: GPL-2.0
/*
 * Policy to image. What the policy says becomes statements, each about one prefix; sorted, a prefix
 * comes right before those it covers, so one pass with a stack of the covering prefixes finds what
 * is true of each.
 */
#include "policy/image.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/array.h"
#include "policy/judge.h"
#include "policy/networks.h"
#include "policy/qname.h"
#include "util/cleanup.h"

/* Said of prefixes while compiling only, above the flags of the ABI. */
#define SAYS_NOT_LAN  (1U << 30) /* cut out of the LAN */
#define SAYS_EXPLICIT (1U << 31) /* an --allow without port: takes back what is derived */

/* protocol << 16 | port, so that they sort by protocol and "any port" comes first */
#define PAIR_NONE UINT32_MAX

static __u32 pair_of(__u8 proto, __u16 port)
{
	return (__u32)proto << 16 | port;
}

struct statement {
	struct eg_prefix prefix;
	__u32 says;
	__u32 pair;
};

/* What rules with a port or protocol allow at some prefix. */
struct pairs {
	__u32 *pair; /* ascending */
	size_t n;
	/* Ids of the sets made of it, where plain transports are allowed anyway and where not. */
	bool known[2];
	__u32 id[2];
};

/* A prefix that covers the one at hand, with all that is true of it. */
struct cover {
	struct eg_prefix prefix;
	__u32 says;
	struct pairs *pairs; /* NULL: none */
	bool owns_pairs;     /* else they are the next cover's below */
	struct eg_addr_value value;
};

#define COVERS_MAX  130 /* lengths 0 to 128, and the ground */
#define SET_BUCKETS 16384

struct rule_set {
	size_t start; /* in image->rules */
	size_t n;
	__u32 next; /* in the bucket, 0: none */
};

struct compiler {
	const struct eg_policy *policy;
	struct eg_image *image;
	struct eg_error *error;
	struct statement *statements;
	size_t n_statements;
	size_t n_per_family[2];
	struct rule_set *sets; /* the set with id i is sets[i - 1] */
	size_t n_sets;
	__u32 buckets[SET_BUCKETS]; /* ids by hash, 0: none */
	struct cover covers[COVERS_MAX];
	size_t n_covers;
};

/* --- statements ------------------------------------------------------------------------------ */

static int say(struct compiler *compiler, const struct eg_prefix *prefix, __u32 says, __u32 pair)
{
	struct statement statement = {.prefix = *prefix, .says = says, .pair = pair};

	/* A stray host bit would tear the order that the pass over them relies on. */
	eg_addr_mask(prefix->family, &statement.prefix.addr, prefix->len);
	if (EG_ARRAY_ADD(compiler->statements, compiler->n_statements, statement) < 0)
		return eg_error_no_memory(compiler->error);
	return 0;
}

static int say_each(struct compiler *compiler, const struct eg_prefix *prefixes, size_t n,
		    __u32 says)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = say(compiler, &prefixes[i], says, PAIR_NONE);
	return r;
}

/* A port without a protocol is TCP's and UDP's. */
static int say_port(struct compiler *compiler, const struct eg_prefix *prefix, __u32 says,
		    __u16 port)
{
	int r = say(compiler, prefix, says, pair_of(EG_PROTO_TCP, port));

	return r < 0 ? r : say(compiler, prefix, says, pair_of(EG_PROTO_UDP, port));
}

static int say_rule(struct compiler *compiler, const struct eg_rule *rule)
{
	if (rule->proto >= 0)
		return say(compiler, &rule->prefix, 0, pair_of((__u8)rule->proto, rule->port));
	if (rule->port)
		return say_port(compiler, &rule->prefix, 0, rule->port);
	return say(compiler, &rule->prefix, EG_ADDR_RULE | SAYS_EXPLICIT, PAIR_NONE);
}

static int say_dns(struct compiler *compiler, const struct eg_prefix *prefix)
{
	int r = say_port(compiler, prefix, EG_ADDR_DNS_EXCEPT, 53);

	return r < 0 ? r : say_port(compiler, prefix, EG_ADDR_DNS_EXCEPT, 853);
}

static int add_endpoint(struct compiler *compiler, const struct eg_endpoint *endpoint)
{
	struct eg_image *image = compiler->image;
	struct eg_prefix prefix = {
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};

	if (endpoint->family == EG_FAMILY_NONE)
		return eg_error_set(compiler->error, EG_EXIT_USAGE, EINVAL,
				    "the endpoint '%s:%u' has no address: its host name was not "
				    "resolved; write the address instead",
				    endpoint->host ? endpoint->host : "", endpoint->port);
	image->endpoints[image->n_endpoints++] = (struct eg_image_endpoint){
		.addr = endpoint->addr, .port = endpoint->port, .family = endpoint->family};
	return say(compiler, &prefix, EG_ADDR_ENDPOINT, PAIR_NONE);
}

static int add_endpoints(struct compiler *compiler)
{
	const struct eg_policy *policy = compiler->policy;
	size_t n = policy->n_endpoints + policy->derived.n_endpoints;
	int r = 0;

	compiler->image->endpoints = calloc(n ? n : 1, sizeof(*compiler->image->endpoints));
	if (!compiler->image->endpoints)
		return eg_error_no_memory(compiler->error);
	for (size_t i = 0; i < policy->n_endpoints && r == 0; i++)
		r = add_endpoint(compiler, &policy->endpoints[i]);
	for (size_t i = 0; i < policy->derived.n_endpoints && r == 0; i++)
		r = add_endpoint(compiler, &policy->derived.endpoints[i]);
	return r;
}

/* Names are of use where some resolver may be asked for them, and the other way round. */
static int add_names(struct compiler *compiler)
{
	const struct eg_policy *policy = compiler->policy;
	const struct eg_derived *derived = &policy->derived;
	int r = 0;

	if (!policy->n_bootstrap_dns || !derived->n_names)
		return 0;
	for (size_t i = 0; i < derived->n_names && r == 0; i++) {
		struct eg_bootstrap_name name;

		r = eg_qname_make(derived->names[i].host, &name, compiler->error);
		if (r == 0 && eg_qname_add(&compiler->image->bootstrap, &name) < 0)
			r = eg_error_set(compiler->error, EG_EXIT_USAGE, E2BIG,
					 "with --bootstrap-dns at most %d endpoints can be given "
					 "by name: write the addresses of the others",
					 EG_BOOTSTRAP_NAMES);
	}
	compiler->image->config.flags |= EG_CONFIG_BOOTSTRAP;
	return r < 0 ? r
		     : say_each(compiler, policy->bootstrap_dns, policy->n_bootstrap_dns,
				EG_ADDR_BOOTSTRAP);
}

static int say_lan(struct compiler *compiler)
{
	int r;

	if (!compiler->policy->lan)
		return 0;
	r = say_each(compiler, eg_lan_prefixes, EG_LAN_PREFIXES, EG_ADDR_LAN);
	return r < 0 ? r : say(compiler, &eg_lan_exception, SAYS_NOT_LAN, PAIR_NONE);
}

static int say_all(struct compiler *compiler)
{
	const struct eg_policy *policy = compiler->policy;
	const struct eg_derived *derived = &policy->derived;
	int r = say_lan(compiler);

	for (size_t i = 0; i < policy->n_allow && r == 0; i++)
		r = say_rule(compiler, &policy->allow[i]);
	for (size_t i = 0; i < policy->n_allow_dns && r == 0; i++)
		r = say_dns(compiler, &policy->allow_dns[i]);
	if (r == 0 && policy->allow_multicast)
		r = say_each(compiler, eg_multicast_prefixes, EG_MULTICAST_PREFIXES, EG_ADDR_RULE);
	if (r == 0)
		r = say_each(compiler, policy->deny, policy->n_deny, EG_ADDR_DENIED);
	if (r == 0)
		r = say_each(compiler, derived->tunnel_only, derived->n_tunnel_only,
			     EG_ADDR_TUNNEL_ONLY);
	if (r == 0)
		r = say_each(compiler, derived->sources, derived->n_sources, EG_ADDR_SOURCE);
	if (r == 0)
		r = say_each(compiler, derived->on_link, derived->n_on_link, EG_ADDR_ON_LINK);
	if (r == 0)
		r = add_endpoints(compiler);
	if (r == 0)
		r = add_names(compiler);
	return r;
}

static int compare_statements(const void *a, const void *b)
{
	const struct statement *left = a, *right = b;

	return eg_prefix_compare(&left->prefix, &right->prefix);
}

/* --- sets of (protocol, port) pairs ---------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
	__u32 left = *(const __u32 *)a, right = *(const __u32 *)b;

	return left < right ? -1 : left > right;
}

/* The pairs of `below` and those of the statements, ascending, each once. */
static int merge_pairs(const struct pairs *below, const struct statement *statements, size_t n,
		       struct pairs **ret_pairs)
{
	size_t n_below = below ? below->n : 0, kept = 0;
	struct pairs *merged = calloc(1, sizeof(*merged));

	if (!merged)
		return -ENOMEM;
	merged->pair = reallocarray(NULL, n_below + n, sizeof(*merged->pair));
	if (!merged->pair) {
		free(merged);
		return -ENOMEM;
	}
	if (n_below)
		memcpy(merged->pair, below->pair, n_below * sizeof(*merged->pair));
	merged->n = n_below;
	for (size_t i = 0; i < n; i++)
		if (statements[i].pair != PAIR_NONE)
			merged->pair[merged->n++] = statements[i].pair;
	qsort(merged->pair, merged->n, sizeof(*merged->pair), compare_pairs);
	for (size_t i = 0; i < merged->n; i++)
		if (!kept || merged->pair[kept - 1] != merged->pair[i])
			merged->pair[kept++] = merged->pair[i];
	merged->n = kept;
	*ret_pairs = merged;
	return 0;
}

static void free_pairs(struct pairs *pairs)
{
	free(pairs->pair);
	free(pairs);
}

/* Leaves out the pairs that decide nothing: a port of a protocol of which any port is allowed and,
 * where `plain_allowed`, those of plain transports. `reduced` has room for all. */
static void reduce_pairs(const struct pairs *pairs, __u8 family, bool plain_allowed,
			 struct pairs *reduced)
{
	int any_port_of = -1;

	for (size_t i = 0; i < pairs->n; i++) {
		__u8 proto = (__u8)(pairs->pair[i] >> 16);
		__u16 port = (__u16)pairs->pair[i];

		if (plain_allowed && eg_proto_is_plain(family, proto))
			continue;
		if (port && proto == any_port_of)
			continue;
		if (!port)
			any_port_of = proto;
		reduced->pair[reduced->n++] = pairs->pair[i];
	}
}

static bool set_is(const struct compiler *compiler, const struct rule_set *set,
		   const struct pairs *pairs)
{
	if (set->n != pairs->n)
		return false;
	for (size_t i = 0; i < set->n; i++) {
		const struct eg_image_rule *rule = &compiler->image->rules[set->start + i];

		if (pair_of(rule->proto, rule->port) != pairs->pair[i])
			return false;
	}
	return true;
}

static int new_set(struct compiler *compiler, const struct pairs *pairs, __u32 *bucket)
{
	struct eg_image *image = compiler->image;
	struct rule_set set = {.start = image->n_rules, .n = pairs->n, .next = *bucket};

	if (image->n_rules + pairs->n > EG_MAX_RULES)
		return eg_error_set(compiler->error, EG_EXIT_USAGE, E2BIG,
				    "the rules with a port or protocol come to more than %u where "
				    "their prefixes overlap; allow whole prefixes instead",
				    EG_MAX_RULES);
	if (EG_ARRAY_ADD(compiler->sets, compiler->n_sets, set) < 0)
		return eg_error_no_memory(compiler->error);
	*bucket = (__u32)compiler->n_sets;
	for (size_t i = 0; i < pairs->n; i++) {
		struct eg_image_rule rule = {
			.rule_set = (__u32)compiler->n_sets,
			.port = (__u16)pairs->pair[i],
			.proto = (__u8)(pairs->pair[i] >> 16),
		};

		if (EG_ARRAY_ADD(image->rules, image->n_rules, rule) < 0)
			return eg_error_no_memory(compiler->error);
	}
	return 0;
}

/* The id of the set that holds just these pairs; 0 for no pairs. */
static int intern_set(struct compiler *compiler, const struct pairs *pairs, __u32 *ret_id)
{
	__u32 hash = 2166136261U; /* FNV-1a */
	__u32 *bucket;
	__u32 id;
	int r;

	if (!pairs->n) {
		*ret_id = 0;
		return 0;
	}
	for (size_t i = 0; i < pairs->n; i++)
		hash = (hash ^ pairs->pair[i]) * 16777619U;
	bucket = &compiler->buckets[(hash ^ hash >> 16) % SET_BUCKETS];
	for (id = *bucket; id; id = compiler->sets[id - 1].next)
		if (set_is(compiler, &compiler->sets[id - 1], pairs))
			break;
	if (!id) {
		r = new_set(compiler, pairs, bucket);
		if (r < 0)
			return r;
		id = *bucket;
	}
	*ret_id = id;
	return 0;
}

static int set_of_pairs(struct compiler *compiler, struct pairs *pairs, __u8 family,
			bool plain_allowed, __u32 *ret_id)
{
	EG_AUTO_FREE __u32 *room = NULL;
	struct pairs reduced = {};
	int r;

	if (!pairs->known[plain_allowed]) {
		room = reallocarray(NULL, pairs->n, sizeof(*room));
		if (!room)
			return eg_error_no_memory(compiler->error);
		reduced.pair = room;
		reduce_pairs(pairs, family, plain_allowed, &reduced);
		r = intern_set(compiler, &reduced, &pairs->id[plain_allowed]);
		if (r < 0)
			return r;
		pairs->known[plain_allowed] = true;
	}
	*ret_id = pairs->id[plain_allowed];
	return 0;
}

/* --- flattening ------------------------------------------------------------------------------ */

/*
 * What the programs are told of a prefix. Flags that can decide nothing there are left out, so that
 * policies that mean the same give the same image, and so that front4 can answer more often:
 * SOURCE where any source is accepted (row 6 asks for one of the three), and IPv4's ON_LINK without
 * DHCP, which alone asks for it. ON_LINK inside the LAN is not like that: it makes DHCP `control`,
 * which holds for a denied server and for an unspecified source too.
 */
static int settle(struct compiler *compiler, struct cover *cover)
{
	__u32 flags = cover->says & ~(SAYS_NOT_LAN | SAYS_EXPLICIT);
	__u32 rule_set = 0;
	int r;

	if (cover->says & SAYS_NOT_LAN)
		flags &= ~(__u32)EG_ADDR_LAN;
	if (cover->says & SAYS_EXPLICIT)
		flags &= ~(__u32)EG_ADDR_TUNNEL_ONLY;
	if (flags & (EG_ADDR_LAN | EG_ADDR_RULE))
		flags &= ~(__u32)EG_ADDR_SOURCE;
	if (cover->prefix.family == EG_FAMILY_IPV4 && !compiler->policy->allow_dhcp)
		flags &= ~(__u32)EG_ADDR_ON_LINK;
	if (cover->pairs) {
		bool plain_allowed =
			(flags & (EG_ADDR_LAN | EG_ADDR_RULE)) && !(flags & EG_ADDR_TUNNEL_ONLY);

		r = set_of_pairs(compiler, cover->pairs, cover->prefix.family, plain_allowed,
				 &rule_set);
		if (r < 0)
			return r;
	}
	if (rule_set)
		flags |= EG_ADDR_RULES;
	cover->value = (struct eg_addr_value){.flags = flags, .rule_set = rule_set};
	return 0;
}

static void pop_cover(struct compiler *compiler)
{
	struct cover *cover = &compiler->covers[--compiler->n_covers];

	if (cover->owns_pairs)
		free_pairs(cover->pairs);
	cover->owns_pairs = false;
}

static int emit(struct compiler *compiler, const struct cover *cover)
{
	struct eg_image *image = compiler->image;
	struct eg_image_addr entry = {.prefix = cover->prefix, .value = cover->value};
	size_t *n = &compiler->n_per_family[cover->prefix.family == EG_FAMILY_IPV6];

	if (++*n > EG_MAX_PREFIXES)
		return eg_error_set(compiler->error, EG_EXIT_USAGE, E2BIG,
				    "the policy has more than %u prefixes of IPv%u, more than a "
				    "guard holds: join neighbouring ones",
				    EG_MAX_PREFIXES, cover->prefix.family);
	if (EG_ARRAY_ADD(image->addrs, image->n_addrs, entry) < 0)
		return eg_error_no_memory(compiler->error);
	return 0;
}

/* The `n` statements of one prefix. */
static int flatten_prefix(struct compiler *compiler, const struct statement *statements, size_t n)
{
	const struct cover *below;
	struct cover *cover;
	bool has_pairs = false;
	int r;

	while (compiler->n_covers > 1 &&
	       !eg_prefix_covers(&compiler->covers[compiler->n_covers - 1].prefix,
				 &statements->prefix))
		pop_cover(compiler);
	below = &compiler->covers[compiler->n_covers - 1];
	cover = &compiler->covers[compiler->n_covers++];
	*cover = (struct cover){
		.prefix = statements->prefix, .says = below->says, .pairs = below->pairs};
	for (size_t i = 0; i < n; i++) {
		cover->says |= statements[i].says;
		has_pairs |= statements[i].pair != PAIR_NONE;
	}
	if (has_pairs) {
		if (merge_pairs(below->pairs, statements, n, &cover->pairs) < 0)
			return eg_error_no_memory(compiler->error);
		cover->owns_pairs = true;
	}
	r = settle(compiler, cover);
	if (r < 0)
		return r;
	if (cover->value.flags == below->value.flags &&
	    cover->value.rule_set == below->value.rule_set)
		return 0;
	return emit(compiler, cover);
}

static int flatten(struct compiler *compiler)
{
	size_t end;
	int r = 0;

	if (compiler->n_statements)
		qsort(compiler->statements, compiler->n_statements, sizeof(*compiler->statements),
		      compare_statements);
	compiler->n_covers = 1; /* the ground: nothing is said of any address */
	for (size_t i = 0; i < compiler->n_statements && r == 0; i = end) {
		end = i + 1;
		while (end < compiler->n_statements &&
		       !compare_statements(&compiler->statements[i], &compiler->statements[end]))
			end++;
		r = flatten_prefix(compiler, &compiler->statements[i], end - i);
	}
	return r;
}

/* --- the rest of the image ------------------------------------------------------------------- */

static int sort_endpoints(struct compiler *compiler)
{
	struct eg_image *image = compiler->image;
	size_t kept = 0;

	qsort(image->endpoints, image->n_endpoints, sizeof(*image->endpoints),
	      eg_image_endpoint_compare);
	for (size_t i = 0; i < image->n_endpoints; i++)
		if (!kept ||
		    eg_image_endpoint_compare(&image->endpoints[kept - 1], &image->endpoints[i]))
			image->endpoints[kept++] = image->endpoints[i];
	image->n_endpoints = kept;
	if (kept > EG_MAX_ENDPOINTS)
		return eg_error_set(compiler->error, EG_EXIT_USAGE, E2BIG,
				    "%zu endpoints are more than a guard holds (%u)", kept,
				    EG_MAX_ENDPOINTS);
	return 0;
}

/* The first of each family. */
static void fill_endpoints(struct eg_image *image)
{
	struct eg_config *config = &image->config;

	for (size_t i = image->n_endpoints; i-- > 0;) {
		const struct eg_image_endpoint *endpoint = &image->endpoints[i];

		if (endpoint->family == EG_FAMILY_IPV4) {
			config->endpoint4_be = endpoint->addr.v4_be;
			config->endpoint4_port_be = EG_BE16(endpoint->port);
		} else {
			config->endpoint6 = endpoint->addr;
			config->endpoint6_port_be = EG_BE16(endpoint->port);
		}
	}
}

static void fill_config(struct compiler *compiler)
{
	const struct eg_policy *policy = compiler->policy;
	struct eg_config *config = &compiler->image->config;

	if (policy->mode == EG_MODE_AUDIT)
		config->flags |= EG_CONFIG_AUDIT;
	if (eg_policy_dns(policy) == EG_DNS_TUNNEL)
		config->flags |= EG_CONFIG_DNS_TUNNEL;
	if (policy->allow_dhcp)
		config->flags |= EG_CONFIG_DHCP;
	if (policy->endpoint_shape == EG_SHAPE_ANY)
		config->flags |= EG_CONFIG_SHAPE_ANY;
	if (policy->on_block == EG_ON_BLOCK_REJECT)
		config->flags |= EG_CONFIG_REJECT;
	config->source_port_be = EG_BE16(policy->source_port);
}

/* Behind a name's NUL a mask is zero: what stands there in the kernel is left over. */
static void fill_tunnels(struct compiler *compiler)
{
	const struct eg_policy *policy = compiler->policy;

	for (size_t i = 0; i < policy->n_tunnels; i++) {
		struct eg_tunnel_name *tunnel = &compiler->image->tunnels.names[i];
		size_t len = strlen(policy->tunnels[i]) + 1;

		memcpy(tunnel->name, policy->tunnels[i], len);
		memset(tunnel->mask, 0xff, len);
	}
}

static void compiler_freep(struct compiler **pointer)
{
	struct compiler *compiler = *pointer;

	if (!compiler)
		return;
	while (compiler->n_covers)
		pop_cover(compiler);
	eg_image_free(compiler->image);
	free(compiler->statements);
	free(compiler->sets);
	free(compiler);
}

int eg_image_compile(const struct eg_policy *policy, struct eg_image **ret_image,
		     struct eg_error *error)
{
	EG_AUTO(compiler_freep) struct compiler *compiler = calloc(1, sizeof(*compiler));
	int r;

	if (!compiler)
		return eg_error_no_memory(error);
	compiler->policy = policy;
	compiler->error = error;
	compiler->image = calloc(1, sizeof(*compiler->image));
	if (!compiler->image)
		return eg_error_no_memory(error);
	fill_config(compiler);
	fill_tunnels(compiler);
	r = say_all(compiler);
	if (r == 0)
		r = sort_endpoints(compiler);
	if (r == 0)
		r = flatten(compiler);
	if (r < 0)
		return r;
	fill_endpoints(compiler->image);
	if (eg_image_fill_fronts(compiler->image) < 0)
		return eg_error_no_memory(error);
	*ret_image = EG_TAKE(compiler->image);
	return 0;
}

void eg_image_free(struct eg_image *image)
{
	if (!image)
		return;
	free(image->addrs);
	free(image->rules);
	free(image->endpoints);
	free(image->front4);
	free(image->front6);
	free(image);
}
