// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "kern/features.h"
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
	const char *detail;  /* where present */
	const char *missing; /* what follows where it is not */
};

static struct eg_feature_view view_of(const struct feature_row *row)
{
	const char *detail = row->present ? row->detail : row->missing;

	return (struct eg_feature_view){.name = row->name,
					.what = row->what,
					.present = row->present,
					.detail = detail && detail[0] ? detail : NULL};
}

static int render(const struct eg_renderer *renderer, const struct eg_features *f)
{
	char bpf_missing[160];
	const struct feature_row rows[] = {
		{"kernel", "kernel", true, f->kernel, NULL},
		{"privileges", "privileges", !f->missing_caps[0], NULL, f->missing_caps},
		{"bpf", "BPF programs", f->bpf, NULL, bpf_missing},
		{"jit", "BPF just-in-time compiler", f->jit, NULL,
		 "programs are interpreted: each packet costs several times as much"},
		{"btf", "kernel BTF", f->btf, NULL,
		 "layers `device` and `peer` load without it, but for the test of pending "
		 "checksums"},
		{"checksum_test", "test of pending checksums", f->checksum_test, NULL,
		 "not covered: a process with CAP_NET_RAW can have the kernel rewrite an "
		 "allowed packet after the check"},
		{"tcx", "tcx links", f->tcx, NULL,
		 "layers `device` and `peer` use clsact filters instead"},
		{"clsact", "clsact filters", f->clsact, NULL,
		 "without tcx, layers `device` and `peer` are not available"},
		{"netfilter_link", "BPF netfilter links", f->netfilter_link, NULL,
		 "layer `netns` is not available: an interface that appears later is not "
		 "covered until attach runs again"},
		{"ringbuf_maps", "ring buffers in maps of maps", f->ringbuf_maps, NULL,
		 "`events` is not available"},
		{"netns_cookie", "cookies of network namespaces", f->netns_cookie, NULL,
		 "a namespace is told apart by its inode alone"},
		{"bpffs", "bpffs at /sys/fs/bpf", f->bpffs, NULL,
		 "attach mounts it, or needs --pin-dir"},
		{"cgroup2", "cgroup v2", f->cgroup2, f->cgroup2_path,
		 "events can't name the container; layers `socket` and `cgroup` are not "
		 "available"},
		{"wireguard", "WireGuard in the kernel", f->wireguard, NULL,
		 "a tunnel needs a userspace WireGuard"},
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
	int result;

	eg_features_probe(&features);
	result = render(renderer, &features);
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
	return result < 0 ? eg_log_error("features", &error) : EG_EXIT_OK;
}
