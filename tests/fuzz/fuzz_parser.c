// SPDX-License-Identifier: GPL-2.0
/*
 * Frames, under two policies: the decision on the host against the oracle. The first eight bytes
 * say what the kernel knows of a frame beside its bytes:
 *
 *   0     bit 0 no link-layer header, 1-2 tags beside the bytes, 3 checksum pending, 4 the policy
 *   1     added to the frame's length, times 512 (a long GSO frame without its bytes)
 *   2, 3  gso_size
 *   4, 5  checksum_start
 *   6, 7  checksum_offset
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/explain.h"
#include "unit/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define ASIDE     8
#define FRAME_MAX 200000

static const char *const texts[2] = {
	"[Lan]\nDns = lan\n"
	"Allow = 100.64.0.0/10\nAllow = 203.0.113.80:443/tcp\nAllow = [2001:db8:80::1]:443/tcp\n"
	"Allow = 192.168.7.7:*/esp\nAllow = 10.2.0.80:80/tcp\nAllow = 203.0.113.90:*/udp\n"
	"AllowDns = 192.168.1.53\nDeny = 192.168.66.0/24\nDeny = fd00:66::/32\n"
	"[WireGuard]\nEndpoint = 203.0.113.9:51820\nEndpoint = [2001:db8::9]:51820\n"
	"[Derived]\nTunnelOnly = 10.2.0.0/16\nTunnelOnly = fd00:2::/32\n"
	"Source = 198.51.100.2\nSource = 2001:db8:51::2\n"
	"OnLink = 172.18.0.0/16\nOnLink = 2001:db8:51::/64\n",
	"[Lan]\nLan = no\nDns = tunnel\nAllow = 192.0.0.0/4\nAllow = 2000::/12\nAllowDhcp = yes\n"
	"AllowMulticast = yes\n"
	"[WireGuard]\nEndpoint = 10.0.0.9:51820\nEndpointShape = any\nSourcePort = 51820\n"
	"[Derived]\nOnLink = 10.0.0.0/8\n",
};
static struct eg_policy *policies[2];
static struct eg_image *images[2];

static void require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_parser: %s\n", what);
	abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct eg_error error = {};

	(void)argc;
	(void)argv;
	for (int i = 0; i < 2; i++) {
		require(eg_policy_new(&policies[i]) == 0, "no memory");
		require(eg_policy_parse(policies[i], texts[i], strlen(texts[i]), true, &error) == 0,
			error.message);
		require(eg_image_compile(policies[i], &images[i], &error) == 0, error.message);
	}
	return 0;
}

static uint32_t number(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eg_host_frame frame = {};
	enum eg_reason reason, second;
	struct eg_packet packet;
	size_t length;
	uint8_t *bytes;
	int policy;

	if (size < ASIDE)
		return -1;
	length = size - ASIDE + data[1] * 512U;
	if (length > FRAME_MAX)
		return -1;
	/* Of just this size, so that a read beyond it is seen. */
	bytes = calloc(1, length);
	require(bytes || !length, "no memory");
	if (size > ASIDE)
		memcpy(bytes, data + ASIDE, size - ASIDE);
	frame.bytes = bytes;
	frame.captured = frame.length = (uint32_t)length;
	frame.link_header = !(data[0] & 1);
	frame.vlan_tags = data[0] >> 1 & 3;
	frame.checksum_pending = data[0] >> 3 & 1;
	frame.gso_size = number(data + 2);
	frame.checksum_start = number(data + 4);
	frame.checksum_offset = number(data + 6);
	policy = data[0] >> 4 & 1;

	reason = eg_image_judge(images[policy], &frame, &packet);
	second = oracle_judge(policies[policy], &frame);
	if (reason != second)
		fprintf(stderr, "the host says %s, the oracle %s\n", eg_reason_names[reason],
			eg_reason_names[second]);
	require(reason == second, "they differ");
	require(reason >= EG_REASON_CONTROL && reason < EG_REASON_COUNT, "no reason of the table");
	free(bytes);
	return 0;
}
