// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "cmd.h"
#include "log.h"
#include "oci.h"
#include "util/cleanup.h"
#include "util/file.h"

int cmd_oci_hook(int argc, char **argv)
{
	struct eg_oci_terms terms = {};
	EG_AUTO_FREE char *state = NULL;
	struct eg_error error = {};
	size_t len = 0;
	bool help = false;
	int result = eg_oci_terms_read(argc, argv, &terms, &help, &error);

	if (help) {
		eg_help_print(&eg_oci_hook_help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0) {
		result = eg_fd_read(STDIN_FILENO, EG_OCI_TEXT_MAX, &state, &len);
		if (result < 0)
			eg_error_set(&error, EG_EXIT_FAILED, -result,
				     "cannot read the container's state from standard input: %s",
				     strerror(-result));
	}
	if (result == 0)
		result = terms.mute ? eg_oci_mute(state, len, &error)
				    : eg_oci_seal("oci-hook", state, len, &terms, &error);
	if (result == 0)
		return EG_EXIT_OK;
	/* Some runtimes throw away what a hook says. */
	openlog("egressguard", LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "oci-hook: the container is not started: %s", error.message);
	return eg_log_error("oci-hook", result, &error);
}
