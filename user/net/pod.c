// SPDX-License-Identifier: GPL-2.0
#include "net/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/file.h"

#define EG_AUTO_JSON EG_AUTO(json_decrefp)

#define CONFIG_MAX (4U << 20)
#define PATH_LEN   192
#define PART_MAX   253 /* the longest name that Kubernetes lets anything have */

static const char *const roots[] = {
	"/run/containerd/io.containerd.runtime.v2.task/k8s.io",
	"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
};

/* NULL: it is not there, or no name. */
static const char *annotation(const json_t *config, const char *key)
{
	const json_t *value = json_object_get(json_object_get(config, "annotations"), key);
	size_t len = json_string_length(value);

	return len > 0 && len <= PART_MAX ? json_string_value(value) : NULL;
}

int eg_pod_parse(const char *config, size_t len, char **ret_name)
{
	EG_AUTO_JSON json_t *json = json_loadb(config, len, JSON_DECODE_INT_AS_REAL, NULL);
	const char *space = annotation(json, "io.kubernetes.cri.sandbox-namespace");
	const char *pod = annotation(json, "io.kubernetes.cri.sandbox-name");
	const char *container = annotation(json, "io.kubernetes.cri.container-name");
	char *name = NULL;

	if (!space || !pod)
		return -ENOENT;
	if (asprintf(&name, "%s/%s%s%s", space, pod, container ? "/" : "",
		     container ? container : "") < 0)
		return -ENOMEM;
	*ret_name = name;
	return 0;
}

int eg_pod_name(const char *container_id, char **ret_name)
{
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		EG_AUTO_FREE char *config = NULL;
		char path[PATH_LEN];
		size_t len = 0;

		snprintf(path, sizeof(path), "%s/%s/config.json", roots[i], container_id);
		if (eg_file_read(AT_FDCWD, path, CONFIG_MAX, &config, &len) == 0)
			return eg_pod_parse(config, len, ret_name);
	}
	return -ENOENT;
}
