// SPDX-License-Identifier: GPL-2.0
/* How commands of this machine's reach what is looked at: the namespace, the files of those in it,
 * and whoever keeps it running. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "net/cgroup.h"
#include "net/process.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define CGROUP_MAX 16384
#define PIDS_MAX   256

/* --- into the namespace ----------------------------------------------------------------------- */

static void find_way_in(const struct eg_target *target, struct eg_doctor_words *words)
{
	char word[EG_DOCTOR_WORD];
	int len = 0;

	if (target->kind == EG_TARGET_NETNS &&
	    eg_doctor_word(word, target->text + strlen("netns:")))
		len = snprintf(words->enter, sizeof(words->enter), "ip netns exec %s", word);
	else if (target->kind == EG_TARGET_PATH && eg_doctor_word(word, target->text))
		len = snprintf(words->enter, sizeof(words->enter), "nsenter --net=%s", word);
	else if (target->pid)
		len = snprintf(words->enter, sizeof(words->enter), "nsenter -t %d -n",
			       (int)target->pid);
	if (len >= (int)sizeof(words->enter))
		words->enter[0] = '\0';
	/* wg-quick is run where the file was found */
	if (words->inside && target->pid)
		snprintf(words->quick, sizeof(words->quick), "nsenter -t %d -m -n",
			 (int)target->pid);
	else
		strcpy(words->quick, words->enter);
}

/* `path` is as the container has it, or, where it was named, as we have it. */
static void find_conf(const struct eg_target *target, const char *path,
		      struct eg_doctor_words *words)
{
	char whole[PATH_MAX] = "";

	if (words->inside) {
		eg_doctor_word(words->conf_there, path);
		/* by a process it is found only until that ends, as with the next restart */
		if (target->pid &&
		    (eg_doctor_here(target->pid, path, whole) ||
		     snprintf(whole, sizeof(whole), "/proc/%d/root%s", (int)target->pid, path) > 0))
			eg_doctor_word(words->conf, whole);
	} else if (realpath(path, whole)) {
		eg_doctor_word(words->conf, whole);
		eg_doctor_word(words->conf_there, whole);
	}
}

void eg_doctor_collect_words(const struct eg_doctor_request *request,
			     const struct eg_target *target, struct eg_doctor_facts *facts)
{
	struct eg_doctor_words *words = &facts->words;

	words->inside = !request->conf && facts->conf_path;
	eg_doctor_word(words->target, target->text);
	if (request->common->pin_dir)
		eg_doctor_word(words->pin_dir, request->common->pin_dir);
	if (facts->conf_path)
		find_conf(target, facts->conf_path, words);
	find_way_in(target, words);
	words->attach_conf = target->kind != EG_TARGET_CONTAINER || !words->inside;
}

/* --- what is in it ---------------------------------------------------------------------------- */

/* "/system.slice/qbittorrent.service" */
static bool find_unit(pid_t pid, char unit[EG_DOCTOR_WORD])
{
	EG_AUTO_FREE char *text = NULL;
	char path[64], *rest = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (eg_file_read(AT_FDCWD, path, CGROUP_MAX, &text, &len) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *name = strrchr(line, '/');
		size_t n = name ? strlen(name) : 0;

		/* below user@1000.service it is another's systemd that must be asked */
		if (n > strlen("/.service") &&
		    strcmp(name + n - strlen(".service"), ".service") == 0 &&
		    !strstr(line, "user@") && strstr(line, "/system.slice/"))
			return eg_doctor_word(unit, name + 1);
	}
	return false;
}

void eg_doctor_find_rejoin(const struct eg_target *target, struct eg_doctor_facts *facts)
{
	struct eg_doctor_words *words = &facts->words;
	pid_t pids[PIDS_MAX];
	char word[EG_DOCTOR_WORD];
	size_t n = 0;

	if (target->kind == EG_TARGET_CONTAINER) {
		if (eg_doctor_word(word, target->container.name))
			snprintf(words->rejoin, sizeof(words->rejoin), "%s restart %.480s",
				 eg_runtime_names[target->container.runtime], word);
		return;
	}
	if (eg_netns_pids(&target->netns, pids, PIDS_MAX, &n) < 0)
		return;
	for (size_t i = 0; i < n && !words->rejoin[0]; i++) {
		char id[65];

		if (eg_cgroup_container_of(pids[i], id)) {
			for (enum eg_runtime runtime = 0;
			     runtime < EG_RUNTIME_COUNT && !words->rejoin[0]; runtime++) {
				EG_AUTO_CONTAINER struct eg_container found = {};

				if (eg_runtime_inspect(runtime, id, &found, NULL) == 0 &&
				    eg_doctor_word(word, found.name))
					snprintf(words->rejoin, sizeof(words->rejoin),
						 "%s restart %.480s", eg_runtime_names[runtime],
						 word);
			}
		} else if (find_unit(pids[i], word)) {
			snprintf(words->rejoin, sizeof(words->rejoin), "systemctl restart %.480s",
				 word);
		}
	}
}

/* What compose made, it makes anew; how another made it is not known. Paths are the engine's word.
 */
char *eg_doctor_again(const struct eg_container *container)
{
	EG_AUTO_TEXT struct eg_text text = {};
	char word[EG_DOCTOR_WORD], file[PATH_MAX];

	if (!container->compose_service || !container->compose_files)
		return NULL;
	eg_text_printf(&text, "%s compose", eg_runtime_names[container->runtime]);
	for (const char *at = container->compose_files; *at;) {
		size_t len = strcspn(at, ",");

		if (len >= sizeof(file))
			return NULL;
		memcpy(file, at, len);
		file[len] = '\0';
		if (!eg_doctor_word(word, file))
			return NULL;
		eg_text_printf(&text, " -f %s", word);
		at += len + (at[len] == ',');
	}
	if (container->compose_project) {
		if (!eg_doctor_word(word, container->compose_project))
			return NULL;
		eg_text_printf(&text, " -p %s", word);
	}
	if (!eg_doctor_word(word, container->compose_service))
		return NULL;
	eg_text_printf(&text, " up -d --no-deps --force-recreate %s", word);
	return eg_text_take(&text);
}

/* --- resolv.conf ------------------------------------------------------------------------------ */

static bool is_our_mount(pid_t pid)
{
	struct stat theirs, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat("/proc/self/ns/mnt", &ours) == 0 && stat(path, &theirs) == 0 &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

pid_t eg_doctor_resolv_pid(const struct eg_target *target)
{
	pid_t pids[PIDS_MAX];
	size_t n = 0;

	if (target->kind == EG_TARGET_CONTAINER || target->kind == EG_TARGET_PID)
		return target->pid;
	if (eg_netns_pids(&target->netns, pids, PIDS_MAX, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!is_our_mount(pids[i]))
			return pids[i];
	}
	return 0;
}
