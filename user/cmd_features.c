// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "kern/features.h"
#include "kern/guard.h"
#include "kern/hold.h"
#include "log.h"
#include "options.h"
#include "out/render.h"

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_JSON,
	{},
};

static const struct eg_help help = {
	.command = "features",
	.usage = "[--json]",
	.summary = "Show what this kernel and this process can enforce, found by trying, and what "
		   "follows where something is missing.",
	.options = option_table,
	.example = "egressguard features",
};

struct feature_row {
	const char *name;
	const char *what;
	bool present;
	const char *detail;   /* where present */
	const char *missing;  /* what follows where it is not */
	const char *obstacle; /* why it could not be tried, NULL where it could */
};

static struct eg_feature_view view_of(const struct feature_row *row)
{
	bool unknown = !row->present && row->obstacle;
	const char *detail = row->present ? row->detail : unknown ? row->obstacle : row->missing;

	return (struct eg_feature_view){.name = row->name,
					.what = row->what,
					.present = row->present,
					.unknown = unknown,
					.detail = detail && detail[0] ? detail : NULL};
}

/* Why what has failed may work all the same: NULL where privileges are not the reason. */
static const char *find_obstacle(const struct eg_features *f)
{
	if (!f->bpf && f->bpf_errno != EPERM && f->bpf_errno != EACCES)
		return NULL;
	if (f->missing_caps[0])
		return "run as root";
	return f->bpf ? NULL : "bpf() is not permitted to this process";
}

/* The layers that not every kernel or machine has. */
struct layers {
	bool socket, setsockopt, netns;
	struct eg_error why_no_socket, why_no_netns;
	char netns_missing[EG_ERROR_LEN + 100];
};

static void probe_layers(const struct eg_features *f, struct layers *layers)
{
	if (!f->bpf)
		return;
	layers->socket = eg_sockets_are_possible(&layers->setsockopt, &layers->why_no_socket);
	layers->netns = f->netfilter_link && eg_hold_is_possible(&layers->why_no_netns);
	snprintf(layers->netns_missing, sizeof(layers->netns_missing),
		 "an interface that appears later is not covered until attach runs again%s%s",
		 layers->why_no_netns.message[0] ? ": " : "", layers->why_no_netns.message);
}

static int render(const struct eg_renderer *renderer, const struct eg_features *f,
		  const struct layers *layers)
{
	const char *cgroup_obstacle = f->cgroup2 ? eg_sockets_obstacle() : NULL;
	char bpf_missing[160];
	const char *obstacle = find_obstacle(f);
	/* Without a capability that is missing; with all of them, bpf() itself has failed. */
	const char *bpf_obstacle = f->missing_caps[0] ? obstacle : NULL;
	const struct feature_row rows[] = {
		{"kernel", "kernel", true, f->kernel, NULL, NULL},
		{"privileges", "privileges", !f->missing_caps[0], NULL, f->missing_caps, NULL},
		{"bpf", "BPF programs", f->bpf, NULL, bpf_missing, bpf_obstacle},
		{"jit", "BPF just-in-time compiler", f->jit, NULL,
		 "programs are interpreted: each packet costs several times as much", obstacle},
		{"btf", "kernel BTF", f->btf, NULL,
		 "layers `device` and `peer` load without it, but for the test of pending "
		 "checksums",
		 NULL},
		{"checksum_test", "test of pending checksums", f->checksum_test, NULL,
		 "not covered: a process with CAP_NET_RAW can have the kernel rewrite an "
		 "allowed packet after the check",
		 obstacle},
		{"tcx", "tcx links", f->tcx, NULL,
		 "layers `device` and `peer` use clsact filters instead", obstacle},
		{"clsact", "clsact filters", f->clsact, NULL,
		 "without tcx, layers `device` and `peer` are not available", obstacle},
		{"netfilter_link", "BPF netfilter links", f->netfilter_link, NULL,
		 "layer `netns` is not available: an interface that appears later is not "
		 "covered until attach runs again",
		 obstacle},
		{"ringbuf_maps", "ring buffers in maps of maps", f->ringbuf_maps, NULL,
		 "`events` is not available", obstacle},
		{"netns_cookie", "cookies of network namespaces", f->netns_cookie, NULL,
		 "a namespace is told apart by its inode alone", NULL},
		{"bpffs", "bpffs at /sys/fs/bpf", f->bpffs, NULL,
		 "attach mounts it, or needs --pin-dir", obstacle},
		{"cgroup2", "cgroup v2", f->cgroup2 && !cgroup_obstacle, f->cgroup2_path,
		 cgroup_obstacle ? cgroup_obstacle
				 : "events can't name the container; layers `socket` and `cgroup` "
				   "are not available",
		 NULL},
		{"socket", "layer `socket`", layers->socket,
		 layers->setsockopt
			 ? "names who made a socket; refuses PACKET_QDISC_BYPASS"
			 : "names who made a socket; PACKET_QDISC_BYPASS is for `peer` to "
			   "see, before Linux 5.15",
		 layers->why_no_socket.message[0] ? layers->why_no_socket.message
						  : "no layer can be loaded",
		 obstacle},
		{"netns", "layer `netns`", layers->netns, "held by attach --foreground",
		 layers->netns_missing[0] ? layers->netns_missing : "no layer can be loaded",
		 obstacle},
		{"wireguard", "WireGuard in the kernel", f->wireguard, NULL,
		 "a tunnel needs a userspace WireGuard", NULL},
	};
	struct eg_feature_view views[sizeof(rows) / sizeof(rows[0])];

	snprintf(bpf_missing, sizeof(bpf_missing),
		 "bpf() fails (%s): no layer can be loaded, attach is not possible",
		 strerror(f->bpf_errno));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		views[i] = view_of(&rows[i]);
	return renderer->features(views, sizeof(views) / sizeof(views[0]), stdout);
}

static int show(bool json, struct eg_error *error)
{
	const struct eg_renderer *renderer = json ? &eg_render_json : &eg_render_text;
	struct eg_features features = {};
	struct layers layers = {};
	int result;

	eg_features_probe(&features);
	probe_layers(&features, &layers);
	result = render(renderer, &features, &layers);
	if (result == 0 && fflush(stdout) != 0)
		result = -errno;
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "%s", strerror(-result));
	return 0;
}

int cmd_features(int argc, char **argv)
{
	struct eg_common common = {};
	struct eg_error error = {};
	int result = eg_common_read(&common, &help, argc, argv, &error);

	if (result == 0 && common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0 && common.guard)
		result = eg_error_set(&error, EG_EXIT_USAGE, EINVAL,
				      "features is about this "
				      "machine: it takes no GUARD");
	if (result == 0)
		result = show(common.json, &error);
	return result < 0 ? eg_log_error("features", result, &error) : EG_EXIT_OK;
}
