// SPDX-License-Identifier: GPL-2.0
/*
 * clsact filters, for kernels without tcx (before 6.6). A filter belongs to its interface and not
 * to a pin: ours are told by the ids of their programs. libbpf's functions work in the calling
 * thread's namespace, so what changes something is called inside of it.
 */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "kern/internal.h"
#include "net/netlink.h"
#include "util/cleanup.h"

#define PRIORITY 1

/* --- dumps ---------------------------------------------------------------------------------- */

static int dump(const struct eg_netns *netns, __u16 type, __u32 ifindex, __u32 parent,
		int (*visit)(const struct nlmsghdr *message, void *argument),
		void (*reset)(void *argument), void *argument)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	char buffer[1024] = {};
	struct nlmsghdr *request = eg_netlink_request(buffer, type, NLM_F_DUMP);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(request, sizeof(*tc));
	int err = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);

	if (err)
		return err;
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	return eg_netlink_ask(netlink, request, visit, reset, argument);
}

/* --- what is on an interface ------------------------------------------------------------------ */

struct filter {
	__u32 handle;
	__u32 priority;
	__u32 prog_id; /* 0: not a BPF program */
};

#define FILTERS_MAX 256

struct filters {
	__u32 ifindex;
	size_t n;
	struct filter list[FILTERS_MAX]; /* in the order in which they run */
};

static __u32 prog_id_in(const struct nlattr *options)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, options) if (mnl_attr_get_type(attr) ==
						    TCA_BPF_ID) return mnl_attr_get_u32(attr);
	return 0;
}

static int keep_filter(const struct nlmsghdr *header, void *argument)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(header);
	struct filters *filters = argument;
	struct filter filter = {};
	const struct nlattr *attr;
	bool bpf = false, options = false;

	mnl_attr_for_each(attr, header, sizeof(*tc))
	{
		if (mnl_attr_get_type(attr) == TCA_KIND) {
			bpf = strcmp(mnl_attr_get_str(attr), "bpf") == 0;
		} else if (mnl_attr_get_type(attr) == TCA_OPTIONS) {
			options = true;
			if (bpf)
				filter.prog_id = prog_id_in(attr);
		} else if (mnl_attr_get_type(attr) == TCA_CHAIN && mnl_attr_get_u32(attr)) {
			return 0; /* runs only where a filter of chain 0 sends it */
		}
	}
	/* Each priority is first announced by itself, without a filter. */
	if (!options || tc->tcm_ifindex != (int)filters->ifindex || filters->n == FILTERS_MAX)
		return 0;
	filter.handle = tc->tcm_handle;
	filter.priority = TC_H_MAJ(tc->tcm_info) >> 16;
	filters->list[filters->n++] = filter;
	return 0;
}

static void forget_filters(void *argument)
{
	((struct filters *)argument)->n = 0;
}

static __u32 parent_of(enum eg_direction direction)
{
	return TC_H_MAKE(TC_H_CLSACT, direction == EG_EGRESS ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

/* The qdisc that filters of both directions hang on. `ingress` has the same handle, takes filters
 * for egress too, and runs them on ingress: only the kind tells. */
struct qdisc {
	__u32 ifindex;
	bool there;
	bool clsact;
};

static int keep_qdisc(const struct nlmsghdr *header, void *argument)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(header);
	struct qdisc *qdisc = argument;
	const struct nlattr *attr;

	if (tc->tcm_ifindex != (int)qdisc->ifindex || tc->tcm_parent != TC_H_CLSACT)
		return 0;
	mnl_attr_for_each(attr, header, sizeof(*tc))
	{
		if (mnl_attr_get_type(attr) == TCA_KIND) {
			qdisc->there = true;
			qdisc->clsact = strcmp(mnl_attr_get_str(attr), "clsact") == 0;
		}
	}
	return 0;
}

static int check_qdisc(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		       bool *ret_there)
{
	struct qdisc qdisc = {.ifindex = ifindex};
	int err = dump(netns, RTM_GETQDISC, ifindex, 0, keep_qdisc, NULL, &qdisc);

	if (err)
		return err;
	*ret_there = qdisc.there && (qdisc.clsact || direction == EG_INGRESS);
	return 0;
}

static int get_filters(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		       struct filters *ret_filters)
{
	bool there = false;
	int err = check_qdisc(netns, ifindex, direction, &there);

	ret_filters->ifindex = ifindex;
	ret_filters->n = 0;
	if (err || !there)
		return err;
	return dump(netns, RTM_GETTFILTER, ifindex, parent_of(direction), keep_filter,
		    forget_filters, ret_filters);
}

static bool is_one_of(__u32 id, const __u32 *ids, size_t n)
{
	for (size_t i = 0; id && i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

int eg_clsact_state(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		    const __u32 *prog_ids, size_t n, enum eg_cover_state *ret_state)
{
	enum eg_cover_state state = EG_COVER_NONE;
	struct filters filters;
	int err = get_filters(netns, ifindex, direction, &filters);

	if (err)
		return err;
	for (size_t i = 0; i < filters.n && state == EG_COVER_NONE; i++)
		if (is_one_of(filters.list[i].prog_id, prog_ids, n))
			state = i == 0 ? EG_COVER_ATTACHED : EG_COVER_BEHIND;
	*ret_state = state;
	return 0;
}

int eg_clsact_progs(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		    __u32 ids[EG_TCX_MAX])
{
	struct filters filters;
	int n = 0, err = get_filters(netns, ifindex, direction, &filters);

	if (err)
		return err;
	for (size_t i = 0; i < filters.n && n < EG_TCX_MAX; i++)
		if (filters.list[i].prog_id)
			ids[n++] = filters.list[i].prog_id;
	return n;
}

/* --- changes -------------------------------------------------------------------------------- */

static struct bpf_tc_hook hook_of(__u32 ifindex, enum eg_direction direction)
{
	return (struct bpf_tc_hook){
		.sz = sizeof(struct bpf_tc_hook),
		.ifindex = (int)ifindex,
		.attach_point = direction == EG_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS,
	};
}

int eg_clsact_attach(const struct eg_netns *netns, int prog_fd, __u32 ifindex,
		     enum eg_direction direction)
{
	struct bpf_tc_hook hook = hook_of(ifindex, direction);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .priority = PRIORITY);
	bool there = false;
	int err;

	eg_libbpf_capture();
	/* There may be one already, which is not ours to delete then or later. */
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return err;
	err = check_qdisc(netns, ifindex, direction, &there);
	if (err)
		return err;
	if (!there)
		return -EMEDIUMTYPE;
	return bpf_tc_attach(&hook, &opts);
}

static int detach_from(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		       const __u32 *prog_ids, size_t n)
{
	struct bpf_tc_hook hook = hook_of(ifindex, direction);
	struct filters filters;
	int err = get_filters(netns, ifindex, direction, &filters);

	for (size_t i = 0; !err && i < filters.n; i++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = filters.list[i].handle,
			    .priority = filters.list[i].priority);

		if (!is_one_of(filters.list[i].prog_id, prog_ids, n))
			continue;
		err = bpf_tc_detach(&hook, &opts);
		if (err == -ENOENT)
			err = 0;
	}
	/* An interface that has gone meanwhile took its filters with it. */
	return err == -ENODEV ? 0 : err;
}

struct interfaces {
	__u32 *list;
	size_t n;
};

static int keep_interface(const struct nlmsghdr *header, void *argument)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(header);
	struct interfaces *interfaces = argument;
	__u32 *list;

	if (tc->tcm_parent != TC_H_CLSACT)
		return 0;
	list = reallocarray(interfaces->list, interfaces->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	interfaces->list = list;
	list[interfaces->n++] = (__u32)tc->tcm_ifindex;
	return 0;
}

static void forget_interfaces(void *argument)
{
	((struct interfaces *)argument)->n = 0;
}

static int detach_from_both(const struct eg_netns *netns, __u32 ifindex, const __u32 *prog_ids,
			    size_t n)
{
	int egress = detach_from(netns, ifindex, EG_EGRESS, prog_ids, n);
	int ingress = detach_from(netns, ifindex, EG_INGRESS, prog_ids, n);

	return egress ? egress : ingress;
}

static int detach_from_all(const struct eg_netns *netns, const __u32 *prog_ids, size_t n)
{
	struct interfaces interfaces = {};
	int err = dump(netns, RTM_GETQDISC, 0, 0, keep_interface, forget_interfaces, &interfaces);

	for (size_t i = 0; !err && i < interfaces.n; i++)
		err = detach_from_both(netns, interfaces.list[i], prog_ids, n);
	free(interfaces.list);
	return err;
}

int eg_clsact_detach(const struct eg_netns *netns, __u32 ifindex, const __u32 *prog_ids, size_t n)
{
	eg_libbpf_capture();
	return ifindex ? detach_from_both(netns, ifindex, prog_ids, n)
		       : detach_from_all(netns, prog_ids, n);
}
