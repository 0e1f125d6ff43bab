// SPDX-License-Identifier: GPL-2.0
#include "net/wireguard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/wireguard_ways.h"
#include "util/text.h"

#define ESCAPED_LEN 128

void eg_wg_device_free(struct eg_wg_device *device)
{
	free(device->peers);
	*device = (struct eg_wg_device){0};
}

static bool is_kernel(const struct eg_link *link)
{
	return strcmp(link->kind, "wireguard") == 0;
}

static bool is_ip_tun(const struct eg_link *link)
{
	return strcmp(link->kind, "tun") == 0 && !link->tap;
}

enum eg_tunnel_kind eg_tunnel_kind(const struct eg_netns *netns, const struct eg_link *link)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};

	if (is_kernel(link))
		return EG_TUNNEL_KERNEL;
	if (!is_ip_tun(link))
		return EG_TUNNEL_NOT;
	return eg_wg_get_userspace(netns, link, &device) < 0 ? EG_TUNNEL_TUN : EG_TUNNEL_USERSPACE;
}

static const char instead[] = "name the endpoint yourself: --endpoint ADDR:PORT or --wg-conf FILE";

static int kernel_error(int result, const char *name, struct eg_error *error)
{
	const char *why = strerror(-result);

	if (result == -EPERM)
		why = "not permitted (CAP_NET_ADMIN is needed in the namespace)";
	else if (result == -ENODEV)
		why = "the interface is gone";
	else if (result == -ENOENT)
		why = "the kernel's WireGuard does not answer";
	return eg_error_set(error, EG_EXIT_FAILED, -result,
			    "cannot read the WireGuard interface '%s': %s; %s", name, why, instead);
}

static int userspace_error(int result, const char *name, struct eg_error *error)
{
	const char *why = strerror(-result);

	if (result == -ENOENT)
		why = "no process was found that holds its tun device";
	else if (result == -ECONNREFUSED)
		why = "its process does not answer at /var/run/wireguard/IFACE.sock";
	else if (result == -ETIMEDOUT)
		why = "its process did not answer within two seconds";
	else if (result == -EFBIG)
		why = "its process answered with more than 1 MiB";
	else if (result == -EBADMSG)
		why = "what its process answered is not WireGuard's UAPI";
	return eg_error_set(error, EG_EXIT_FAILED, -result,
			    "cannot read the userspace WireGuard '%s': %s; %s", name, why, instead);
}

int eg_wg_get(const struct eg_netns *netns, const struct eg_link *link,
	      struct eg_wg_device *ret_device, struct eg_error *error)
{
	char name[ESCAPED_LEN];
	int result;

	eg_escape(name, sizeof(name), link->name, sizeof(link->name));
	if (is_kernel(link)) {
		result = eg_wg_get_kernel(netns, link, ret_device);
		return result < 0 ? kernel_error(result, name, error) : 0;
	}
	if (is_ip_tun(link)) {
		result = eg_wg_get_userspace(netns, link, ret_device);
		return result < 0 ? userspace_error(result, name, error) : 0;
	}
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "'%s' is not a WireGuard interface (it is %s%s)", name,
			    link->kind[0] ? "of kind " : "a device without a kind",
			    link->kind[0] ? link->kind : "");
}
