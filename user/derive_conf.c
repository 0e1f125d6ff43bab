// SPDX-License-Identifier: GPL-2.0
/* What the tunnel's configuration says: a file on the host that the user named, or the one inside
 * the container. */
#include "derivation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "policy/wgconf.h"
#include "util/cleanup.h"
#include "util/file.h"

/* A wg0.conf has keys in it. */
static void wipe(char *text, size_t len)
{
	if (text)
		explicit_bzero(text, len);
}

/* What of a wg0.conf narrows: its addresses and its DNS servers. */
static int take_narrowing(const struct eg_wgconf *conf, struct eg_policy *policy)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < conf->n_addresses; i++)
		result = eg_derive_add_tunnel_only(policy, &conf->addresses[i]);
	for (size_t i = 0; result == 0 && i < conf->n_dns; i++)
		result = eg_derive_add_tunnel_only(policy, &conf->dns[i]);
	if (conf->n_dns)
		policy->derived.dns_servers = true;
	return result;
}

/* The policy is read again from elsewhere. */
static int make_absolute(char **path)
{
	char *absolute = realpath(*path, NULL);

	if (!absolute)
		return -errno;
	free(*path);
	*path = absolute;
	return 0;
}

static int take_conf_file(struct eg_policy *policy, struct eg_error *error)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error at = {};
	char path[512];
	size_t len = 0;
	int result = eg_file_read(AT_FDCWD, policy->wg_conf, EG_WGCONF_MAX, &text, &len);

	eg_escape(path, sizeof(path), policy->wg_conf, strlen(policy->wg_conf));
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "cannot read %s: %s", path,
				    strerror(-result));
	result = eg_wgconf_parse(text, len, &conf, &at);
	wipe(text, len);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "%s:%u:%u: %s", path, at.line,
				    at.column, at.message);
	result = take_narrowing(conf, policy);
	if (result == 0)
		result = make_absolute(&policy->wg_conf);
	if (result < 0)
		return eg_error_no_memory(error);
	/* the user's --endpoint is more explicit still */
	for (size_t i = 0; policy->n_endpoints == 0 && i < conf->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &conf->endpoints[i];
		struct eg_derived *derived = &policy->derived;

		result = endpoint->family == EG_FAMILY_NONE
				 ? eg_policy_add_endpoint(&derived->names, &derived->n_names,
							  endpoint)
				 : eg_policy_add_endpoint(&derived->endpoints,
							  &derived->n_endpoints, endpoint);
		if (result < 0)
			return eg_error_no_memory(error);
	}
	return 0;
}

/* The places where images keep the tunnel's configuration. */
static const char *const conf_places[] = {
	"/etc/wireguard/%s.conf",
	"/config/wg_confs/%s.conf",
	"/config/%s.conf",
};

/* -ENOENT: there is none. The text is a stranger's, and the caller's to free; *ret_path is where it
 * is, on failure too. */
static int read_conf_inside(pid_t pid, const char *tunnel, char **ret_text, size_t *ret_len,
			    char *ret_path, size_t path_size)
{
	EG_AUTO_CLOSE int root = -1;

	snprintf(ret_path, path_size, "/proc/%d/root", (int)pid);
	root = open(ret_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(conf_places) / sizeof(conf_places[0]); i++) {
		int result;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(ret_path, path_size, conf_places[i], tunnel);
#pragma GCC diagnostic pop
		result = eg_file_read_in_root(root, ret_path, EG_WGCONF_MAX, ret_text, ret_len);
		if (result != -ENOENT && result != -ENOTDIR)
			return result;
	}
	return -ENOENT;
}

/* A container's own configuration, of which only what narrows is taken; one that can't be read
 * takes nothing away and is worth a warning, no failure. */
static int take_conf_inside(pid_t pid, const char *tunnel, struct eg_policy *policy,
			    struct eg_text *warnings, struct eg_error *error)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error at = {};
	char path[256];
	size_t len = 0;
	int result = read_conf_inside(pid, tunnel, &text, &len, path, sizeof(path));

	if (result == -ENOENT)
		return 0;
	if (result < 0) {
		eg_text_printf(
			warnings,
			"the container's %s cannot be read (%s): its DNS servers and subnets "
			"are not known as tunnel-only\n",
			path, result == -EINVAL ? "it is no regular file" : strerror(-result));
		return 0;
	}
	result = eg_wgconf_parse(text, len, &conf, &at);
	wipe(text, len);
	if (result < 0) {
		eg_text_printf(warnings,
			       "the container's %s:%u:%u: %s; its DNS servers and subnets are not "
			       "known as tunnel-only\n",
			       path, at.line, at.column, at.message);
		return 0;
	}
	return take_narrowing(conf, policy) < 0 ? eg_error_no_memory(error) : 0;
}

int eg_derive_conf(const struct eg_derivation *derivation, struct eg_error *error)
{
	const struct eg_target *target = derivation->target;
	struct eg_policy *policy = derivation->policy;
	bool container = target->kind == EG_TARGET_CONTAINER;
	int result = 0;

	if (policy->wg_conf ? strcmp(policy->wg_conf, "none") == 0 : !container)
		return 0;
	if (policy->wg_conf && strcmp(policy->wg_conf, "auto") != 0)
		return take_conf_file(policy, error);
	if (derivation->terms == EG_DERIVE_STARTING)
		return 0;
	if (!target->pid)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--wg-conf auto looks inside the container that owns the "
				    "namespace, but '%s' names no process: give --wg-conf FILE",
				    target->text);
	for (size_t i = 0; result == 0 && i < policy->n_tunnels; i++)
		result = take_conf_inside(target->pid, policy->tunnels[i], policy,
					  derivation->warnings, error);
	return result;
}
