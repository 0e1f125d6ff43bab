// SPDX-License-Identifier: GPL-2.0
/* What doctor says of what was seen: a healthy pattern, and one thing wrong at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/judge.h"
#include "policy/address.h"
#include "rules.h"

#define NS_PER_S 1000000000ULL
#define ETH0     2
#define WG0      3
#define NOW      1700000000ULL

static const char conf[] =
	"[Interface]\n"
	"Address = 10.13.13.2/32\n"
	"PostUp = ip route replace 10.0.0.0/8 via 172.18.0.1 dev eth0\n"
	"PostUp = ip route replace 172.16.0.0/12 via 172.18.0.1 dev eth0\n"
	"PostUp = ip route replace 192.168.0.0/16 via 172.18.0.1 dev eth0\n"
	"PostUp = iptables -A OUTPUT ! -o %i -d 10.0.0.0/8,172.16.0.0/12,"
	"192.168.0.0/16 -j ACCEPT\n"
	"PostUp = iptables -A OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) "
	"-m addrtype ! --dst-type LOCAL -j REJECT\n"
	"[Peer]\n"
	"PublicKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
	"AllowedIPs = 0.0.0.0/0\n"
	"Endpoint = 203.0.113.9:51820\n";

static const char rules6[] = "*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n";

static void add_route(struct eg_doctor_facts *facts, const char *prefix, __u32 table, __u32 ifindex,
		      const char *gateway)
{
	struct eg_route *route = &facts->routes[facts->n_routes++];
	__u8 family;

	*route = (struct eg_route){.table = table, .ifindex = ifindex, .type = RTN_UNICAST};
	if (*prefix)
		route->prefix = prefix_of(prefix);
	else
		route->prefix.family = EG_FAMILY_IPV4;
	route->has_gateway = gateway != NULL;
	if (gateway)
		assert_int_equal(eg_addr_parse(gateway, &family, &route->gateway, NULL), 0);
}

static void add_lookup(struct eg_doctor_facts *facts, const char *address, bool public,
		       __u32 ifindex)
{
	struct eg_doctor_lookup *lookup = &facts->lookups[facts->n_lookups++];

	*lookup = (struct eg_doctor_lookup){
		.address = prefix_of(address),
		.public = public,
		.route = {.ifindex = ifindex, .type = RTN_UNICAST, .table = EG_TABLE_MAIN},
	};
}

static void read_conf(struct eg_doctor_facts *facts, const char *text)
{
	facts->conf_text = strdup(text);
	assert_int_equal(eg_wgfile_parse(facts->conf_text, strlen(text), &facts->conf_file, NULL),
			 0);
	facts->conf_facts.ifname = facts->tunnel;
	assert_int_equal(eg_wgmodel_read(facts->conf_file, &facts->conf_facts, &facts->model), 0);
	strcpy(facts->conf, "wg0.conf");
}

static void read_tables(struct eg_doctor_facts *facts, enum eg_doctor_backend backend,
			const char *four, const char *six)
{
	eg_doctor_tables_free(&facts->tables[backend]);
	assert_int_equal(eg_doctor_tables_read(four, six, &facts->tables[backend]), 0);
}

static void make_links(struct eg_doctor_facts *facts)
{
	facts->links = calloc(3, sizeof(*facts->links));
	facts->n_links = 3;
	facts->links[0] = (struct eg_link){.ifindex = 1, .name = "lo", .loopback = true};
	facts->links[1] =
		(struct eg_link){.ifindex = ETH0, .name = "eth0", .kind = "veth", .flags = IFF_UP};
	facts->links[2] = (struct eg_link){
		.ifindex = WG0, .name = "wg0", .kind = "wireguard", .flags = IFF_UP};
	facts->tunnel_link = &facts->links[2];
	facts->kind = EG_TUNNEL_KERNEL;
	facts->addrs = calloc(1, sizeof(*facts->addrs));
	facts->n_addrs = 1;
	facts->addrs[0] = (struct eg_link_addr){
		.ifindex = WG0, .addr = prefix_of("10.13.13.2").addr, .family = EG_FAMILY_IPV4};
}

static void make_wireguard(struct eg_doctor_facts *facts)
{
	struct eg_endpoint endpoint = {};

	assert_int_equal(eg_endpoint_parse("203.0.113.9:51820", &endpoint, NULL), 0);
	facts->have_wg = true;
	facts->wg.fwmark = 51820;
	facts->wg.n_peers = 1;
	facts->wg.peers = calloc(1, sizeof(*facts->wg.peers));
	memset(facts->wg.peers[0].public_key, 1, 32);
	facts->wg.peers[0].endpoint = endpoint;
	facts->wg.peers[0].default_route = true;
	facts->wg.peers[0].last_handshake_s = NOW - 20;
	facts->now_realtime_ns = NOW * NS_PER_S;
}

static void make_routes(struct eg_doctor_facts *facts)
{
	facts->have_routes = true;
	facts->routes = calloc(16, sizeof(*facts->routes));
	facts->lookups = calloc(16, sizeof(*facts->lookups));
	facts->rules = calloc(4, sizeof(*facts->rules));
	add_route(facts, "", 51820, WG0, NULL);
	add_route(facts, "", EG_TABLE_MAIN, ETH0, "172.18.0.1");
	add_route(facts, "10.0.0.0/8", EG_TABLE_MAIN, ETH0, "172.18.0.1");
	add_route(facts, "172.16.0.0/12", EG_TABLE_MAIN, ETH0, "172.18.0.1");
	add_route(facts, "192.168.0.0/16", EG_TABLE_MAIN, ETH0, "172.18.0.1");
	facts->rules[0] = (struct eg_ip_rule){
		.family = EG_FAMILY_IPV4, .priority = 32764, .table = EG_TABLE_MAIN, .suppress = 0};
	facts->rules[1] = (struct eg_ip_rule){.family = EG_FAMILY_IPV4,
					      .priority = 32765,
					      .table = 51820,
					      .mark = 51820,
					      .has_mark = true,
					      .invert = true,
					      .suppress = -1};
	facts->n_rules = 2;
	add_lookup(facts, "1.1.1.1", true, WG0);
	add_lookup(facts, "10.255.255.254", false, ETH0);
	add_lookup(facts, "172.31.255.254", false, ETH0);
	add_lookup(facts, "192.168.255.254", false, ETH0);
}

static struct eg_doctor_facts *healthy(void)
{
	struct eg_doctor_facts *facts = calloc(1, sizeof(*facts));

	facts->target = strdup("docker:wireguard");
	facts->owner = strdup("wireguard");
	facts->have_engine = true;
	strcpy(facts->tunnel, "wg0");
	strcpy(facts->underlay, "eth0");
	make_links(facts);
	make_wireguard(facts);
	make_routes(facts);
	read_conf(facts, conf);
	read_tables(facts, EG_DOCTOR_LEGACY, "", "");
	read_tables(facts, EG_DOCTOR_NFT, rules4, rules6);
	facts->started_realtime_ns = (NOW - 1000) * NS_PER_S;
	facts->conf_changed_realtime_ns = (NOW - 5000) * NS_PER_S;
	facts->sysctls = (struct eg_doctor_sysctls){1, 1, 1, 1, 0, 0, 0};
	facts->guard = EG_DOCTOR_GUARD_ENFORCING;
	facts->dns = calloc(1, sizeof(*facts->dns));
	facts->n_dns = 1;
	facts->dns[0] = (struct eg_doctor_dns){.server = "10.2.0.1",
					       .known = true,
					       .ifindex = WG0,
					       .asked = EG_DOCTOR_DNS_ANSWERED};
	facts->ports = calloc(1, sizeof(*facts->ports));
	facts->n_ports = 1;
	facts->ports[0] = (struct eg_doctor_port){.proto = 6,
						  .port = 80,
						  .host_port = 8080,
						  .host = "127.0.0.1",
						  .outside = EG_DOCTOR_ANSWERED,
						  .inside = EG_DOCTOR_ANSWERED};
	return facts;
}

/* What is found, in order: "a b c". Frees `facts`. */
static void expect(struct eg_doctor_facts *facts, const char *wanted)
{
	EG_AUTO_DOCTOR_REPORT struct eg_doctor_report *report = NULL;
	char found[512] = "";

	assert_int_equal(eg_doctor_judge(facts, &report), 0);
	for (size_t i = 0; i < report->n_findings; i++) {
		assert_non_null(report->findings[i].what);
		assert_non_null(report->findings[i].fix);
		if (i)
			strcat(found, " ");
		strcat(found, eg_doctor_infos[report->findings[i].id].id);
	}
	assert_string_equal(found, wanted);
	eg_doctor_facts_free(facts);
	free(facts);
}

static void looked_at(struct eg_doctor_facts *facts, const char *name, enum eg_doctor_state state,
		      const char *words)
{
	EG_AUTO_DOCTOR_REPORT struct eg_doctor_report *report = NULL;
	bool found = false;

	assert_int_equal(eg_doctor_judge(facts, &report), 0);
	for (size_t i = 0; i < report->n_checks; i++) {
		if (strcmp(report->checks[i].name, name) != 0)
			continue;
		found = true;
		assert_int_equal(report->checks[i].state, state);
		assert_non_null(strstr(report->checks[i].detail, words));
	}
	assert_true(found);
	eg_doctor_facts_free(facts);
	free(facts);
}

/* --- cases --------------------------------------------------------------------------------------
 */

static void test_healthy(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	expect(facts, "");
	facts = healthy();
	facts->guard = EG_DOCTOR_GUARD_NONE; /* the kill switch holds */
	expect(facts, "no-guard");
}

static void test_containers(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->containers = calloc(2, sizeof(*facts->containers));
	facts->n_containers = 2;
	facts->containers[0].name = strdup("fine");
	facts->containers[1] =
		(struct eg_doctor_container){.name = strdup("lost"), .stranded = true};
	expect(facts, "stranded");
	facts = healthy();
	facts->stopped = true;
	expect(facts, "not-running");
	facts = healthy();
	facts->owner_gone = true;
	facts->tunnel_link = NULL;
	expect(facts, "stranded");
}

static void test_tunnel(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->tunnel_link = NULL;
	facts->have_wg = false;
	facts->lookups[0].route.ifindex = ETH0;
	expect(facts, "no-tunnel"); /* the guard holds what would leave */
	facts = healthy();
	facts->tunnel_link = NULL;
	facts->have_wg = false;
	facts->lookups[0].route.ifindex = ETH0;
	facts->guard = EG_DOCTOR_GUARD_NONE;
	read_tables(facts, EG_DOCTOR_NFT, "", "");
	expect(facts, "no-tunnel leaves-in-clear kill-switch-missing no-guard");
	facts = healthy();
	facts->links[2].flags = 0;
	expect(facts, "tunnel-down");
	facts = healthy();
	facts->kind = EG_TUNNEL_NOT;
	expect(facts, "not-wireguard");
}

static void test_handshake(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->wg.peers[0].last_handshake_s = 0;
	expect(facts, "no-handshake");
	facts = healthy();
	facts->wg.peers[0].last_handshake_s = NOW - 900;
	facts->provoked = true;
	expect(facts, "no-handshake");
	/* an idle tunnel that could not be woken says nothing */
	facts = healthy();
	facts->wg.peers[0].last_handshake_s = NOW - 900;
	looked_at(facts, "handshake", EG_DOCTOR_CANNOT_TELL, "900 s ago");
	facts = healthy();
	facts->asked = true;
	facts->sent = 300;
	expect(facts, "tunnel-silent");
}

/* The cause comes first. */
static void test_causes(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->wg.peers[0].last_handshake_s = 0;
	facts->sysctls.valid_mark_all = facts->sysctls.valid_mark_underlay = 0;
	facts->dns[0].asked = EG_DOCTOR_DNS_SILENT;
	expect(facts, "rp-filter no-handshake");
	facts = healthy();
	facts->wg.peers[0].last_handshake_s = 0;
	read_tables(facts, EG_DOCTOR_NFT, "*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n", rules6);
	expect(facts, "tunnel-blocked endpoint-blocked no-handshake lan-blocked");
	facts = healthy();
	facts->wg.peers[0].last_handshake_s = 0;
	facts->guard_endpoint_known = true;
	expect(facts, "guard-blocks-endpoint no-handshake");
}

static void test_conf(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->conf_changed_realtime_ns = (NOW - 500) * NS_PER_S;
	expect(facts, "stale-conf");
	/* what an image writes as it starts is no edit */
	facts = healthy();
	facts->conf_changed_realtime_ns = facts->started_realtime_ns + NS_PER_S;
	expect(facts, "");
	facts = healthy();
	facts->wg.peers[0].public_key[31] = 2;
	expect(facts, "other-conf");
	facts = healthy();
	facts->started_realtime_ns = 0;
	looked_at(facts, "wg0.conf", EG_DOCTOR_CANNOT_TELL, "when the container started");
}

static void test_routes(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->n_rules = 1;
	expect(facts, "rule-missing");
	facts = healthy();
	facts->rules[2] = facts->rules[0]; /* asked too late */
	facts->rules[0].table = 100;
	facts->n_rules = 3;
	expect(facts, "rule-missing");
	facts = healthy();
	facts->mute = true;
	expect(facts, "mute");
	facts = healthy();
	facts->wg.fwmark = 0;
	expect(facts, "no-mark endpoint-blocked"); /* which is let out by its mark */
	facts = healthy();
	facts->routes[0].ifindex = ETH0;
	expect(facts, "tunnel-route-missing");
	facts = healthy();
	facts->n_routes = 4;
	facts->lookups[3].route.ifindex = WG0;
	expect(facts, "lan-route-missing");
	facts = healthy();
	add_route(facts, "192.168.0.0/16", 51820, WG0, "172.18.0.1");
	expect(facts, "gateway-in-tunnel");
	facts = healthy();
	facts->n_addrs = 0;
	expect(facts, "address-missing");
	facts = healthy();
	facts->lookups[0].route.ifindex = ETH0;
	expect(facts, "not-in-tunnel");
}

/* Without strictness, and with the mark counted, it does no harm. */
static void test_reverse_path(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->sysctls = (struct eg_doctor_sysctls){2, 1, 0, 0, 0, 0, 0};
	expect(facts, "");
	facts = healthy();
	facts->sysctls = (struct eg_doctor_sysctls){0, 1, 0, 0, 0, 0, 0};
	expect(facts, "rp-filter");
	facts = healthy();
	facts->sysctls = (struct eg_doctor_sysctls){-1, -1, -1, -1, -1, -1, -1};
	looked_at(facts, "reverse path", EG_DOCTOR_CANNOT_TELL, "cannot be read");
}

static void test_ipv6(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->guard = EG_DOCTOR_GUARD_NONE;
	add_lookup(facts, "2001:db8::1", true, ETH0);
	read_tables(facts, EG_DOCTOR_NFT, rules4, "");
	expect(facts, "ipv6-bypass no-guard");
	facts = healthy();
	eg_wgmodel_free(facts->model);
	eg_wgfile_free(facts->conf_file);
	free(facts->conf_text);
	read_conf(facts, "[Interface]\nAddress = 10.13.13.2/32, fd13::2/128\n[Peer]\n"
			 "AllowedIPs = 0.0.0.0/0, ::/0\n");
	facts->sysctls.no_ipv6_all = 1;
	expect(facts, "ipv6-missing");
}

static void test_holding(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	read_tables(facts, EG_DOCTOR_LEGACY, rules4, "");
	expect(facts, "both-backends");
	facts = healthy();
	read_tables(facts, EG_DOCTOR_NFT, "", rules6);
	expect(facts, "kill-switch-missing");
	facts = healthy();
	facts->guard = EG_DOCTOR_GUARD_OTHER;
	strcpy(facts->guard_state, "audit");
	expect(facts, "guard-not-enforcing");
	/* rules that are not followed prove nothing */
	facts = healthy();
	facts->tables[EG_DOCTOR_NFT].others = true;
	read_tables(facts, EG_DOCTOR_NFT, "", "");
	facts->tables[EG_DOCTOR_NFT].others = true;
	looked_at(facts, "iptables", EG_DOCTOR_CANNOT_TELL, "more than is followed");
	facts = healthy();
	eg_doctor_tables_free(&facts->tables[EG_DOCTOR_LEGACY]);
	strcpy(facts->tables[EG_DOCTOR_LEGACY].why, "not installed");
	looked_at(facts, "iptables", EG_DOCTOR_CANNOT_TELL, "iptables-legacy: not installed");
}

static void test_dns(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->dns[0].ifindex = ETH0;
	expect(facts, "dns-outside");
	facts = healthy();
	facts->dns[0].asked = EG_DOCTOR_DNS_SILENT;
	expect(facts, "dns-silent");
	facts = healthy();
	facts->dns[0] = (struct eg_doctor_dns){
		.server = "127.0.0.11", .docker = true, .seen = EG_DOCTOR_DNS_OUTSIDE};
	expect(facts, "dns-outside");
	facts = healthy();
	facts->dns[0] = (struct eg_doctor_dns){.server = "127.0.0.11", .docker = true};
	looked_at(facts, "dns", EG_DOCTOR_CANNOT_TELL, "was not seen");
}

static void test_ports(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->ports[0].outside = EG_DOCTOR_SILENT;
	expect(facts, "port-silent");
	facts = healthy();
	facts->ports[0].outside = EG_DOCTOR_SILENT;
	facts->docker_desktop = true;
	expect(facts, "wedged-proxy");
	/* routes explain it as well: no word of a wedged proxy */
	facts = healthy();
	facts->ports[0].outside = EG_DOCTOR_SILENT;
	facts->docker_desktop = true;
	facts->n_routes = 4;
	facts->lookups[3].route.ifindex = WG0;
	expect(facts, "lan-route-missing port-silent");
	facts = healthy();
	facts->ports[0].inside = facts->ports[0].outside = EG_DOCTOR_SILENT;
	expect(facts, "service-silent");
	facts = healthy();
	facts->ports[0].inside = EG_DOCTOR_REFUSED;
	expect(facts, "no-service");
	facts = healthy();
	facts->ports[0].outside = EG_DOCTOR_REFUSED;
	expect(facts, "port-unreachable");
	facts = healthy();
	facts->ports[0].outside = EG_DOCTOR_UNTRIED;
	strcpy(facts->ports[0].why, "run curl");
	looked_at(facts, "ports", EG_DOCTOR_CANNOT_TELL, "port 8080: run curl");
}

/* --- what is to be pasted -----------------------------------------------------------------------
 */

/* The commands of the first finding, all ways, a line for each. Frees `facts`. */
static void commands_of(struct eg_doctor_facts *facts, char to[2048])
{
	EG_AUTO_DOCTOR_REPORT struct eg_doctor_report *report = NULL;
	const struct eg_doctor_finding *finding;

	*to = '\0';
	assert_int_equal(eg_doctor_judge(facts, &report), 0);
	assert_true(report->n_findings > 0);
	finding = &report->findings[0];
	for (size_t i = 0; i < finding->n_remedies; i++) {
		for (size_t k = 0; k < finding->remedies[i].n_commands; k++) {
			strcat(to, finding->remedies[i].commands[k]);
			strcat(to, "\n");
		}
	}
	eg_doctor_facts_free(facts);
	free(facts);
}

static void add_container(struct eg_doctor_facts *facts, const char *name, bool stranded)
{
	facts->containers = calloc(1, sizeof(*facts->containers));
	facts->n_containers = 1;
	facts->containers[0] =
		(struct eg_doctor_container){.name = strdup(name), .stranded = stranded};
}

static void test_commands(void **state)
{
	struct eg_doctor_facts *facts = healthy();
	char said[2048];

	(void)state;
	add_container(facts, "it's; $(lost)", true);
	facts->podman = true;
	commands_of(facts, said);
	assert_string_equal(said, "podman restart 'it'\\''s; $(lost)'\n");
	/* what no terminal shows is not pasted */
	facts = healthy();
	add_container(facts, "a\x1b[2Jb", true);
	commands_of(facts, said);
	assert_string_equal(said, "");
	/* nor is a rule's comment, which is anybody's */
	facts = healthy();
	strcpy(facts->words.enter, "nsenter -t 12 -n");
	read_tables(facts, EG_DOCTOR_NFT,
		    "*filter\n-A OUTPUT -o lo -j ACCEPT\n"
		    "-A OUTPUT -o wg0 -m comment --comment \"$(x)\" -j DROP\n",
		    rules6);
	commands_of(facts, said);
	assert_string_equal(said, "nsenter -t 12 -n iptables-nft -D OUTPUT 2\n");
	/* the rule of the mark goes behind the one for the main table */
	facts = healthy();
	strcpy(facts->words.enter, "ip netns exec vpn");
	facts->rules[0].priority = 32765;
	facts->n_rules = 1;
	commands_of(facts, said);
	assert_non_null(strstr(
		said,
		"ip netns exec vpn ip -4 rule del table main suppress_prefixlength 0\n"
		"ip netns exec vpn ip -4 rule add table main suppress_prefixlength 0 priority "
		"32764\n"
		"ip netns exec vpn ip -4 rule add not fwmark 51820 table 51820 priority "
		"32765\n"));
	/* who has no tunnel tells `attach` where the endpoint stands */
	facts = healthy();
	facts->guard = EG_DOCTOR_GUARD_NONE;
	read_tables(facts, EG_DOCTOR_NFT, rules4, "");
	add_lookup(facts, "2001:db8::1", true, ETH0);
	strcpy(facts->words.target, "netns:vpn");
	strcpy(facts->words.conf, "'/a b/wg0.conf'");
	facts->words.attach_conf = true;
	commands_of(facts, said);
	assert_non_null(
		strstr(said, "egressguard attach --netns netns:vpn --wg-conf '/a b/wg0.conf'\n"));
}

/* A provider's resolver that is held back off the tunnel is not let out for that. */
static void test_dns_stays_held(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->dns[0].ifindex = ETH0;
	facts->dns[0].asked = EG_DOCTOR_DNS_SILENT;
	facts->dns[0].address = prefix_of("10.2.0.1");
	read_tables(facts, EG_DOCTOR_LEGACY, "*filter\n-A OUTPUT -d 10.2.0.1/32 -j REJECT\n", "");
	expect(facts, "dns-outside both-backends");
}

/* What was edited is a suspect of what it may explain, and else comes late. */
static void test_stale(void **state)
{
	struct eg_doctor_facts *facts = healthy();

	(void)state;
	facts->tunnel_made_realtime_ns = (NOW - 100) * NS_PER_S;
	facts->conf_changed_realtime_ns = (NOW - 500) * NS_PER_S;
	expect(facts, ""); /* read when the tunnel was made anew */
	facts = healthy();
	facts->conf_changed_realtime_ns = (NOW - 500) * NS_PER_S;
	facts->n_rules = 1;
	expect(facts, "rule-missing stale-conf");
	facts = healthy();
	facts->conf_changed_realtime_ns = (NOW - 500) * NS_PER_S;
	facts->n_addrs = 0;
	expect(facts, "stale-conf address-missing");
	facts = healthy();
	facts->conf_changed_realtime_ns = (NOW - 500) * NS_PER_S;
	facts->wg.peers[0].last_handshake_s = 0;
	facts->wg.peers[0].endpoint.port++;
	expect(facts, "stale-conf no-handshake");
}

/* A namespace with nothing but lo has nothing else to tell. */
static void test_cut_off(void **state)
{
	struct eg_doctor_facts *facts = healthy();
	char said[2048];

	(void)state;
	facts->cut_off = true;
	facts->tunnel_link = NULL;
	strcpy(facts->words.rejoin, "systemctl restart torrents.service");
	commands_of(facts, said);
	assert_string_equal(said, "systemctl restart torrents.service\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),  cmocka_unit_test(test_containers),
		cmocka_unit_test(test_tunnel),   cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_causes),   cmocka_unit_test(test_conf),
		cmocka_unit_test(test_routes),   cmocka_unit_test(test_reverse_path),
		cmocka_unit_test(test_ipv6),     cmocka_unit_test(test_holding),
		cmocka_unit_test(test_dns),      cmocka_unit_test(test_ports),

		cmocka_unit_test(test_commands), cmocka_unit_test(test_dns_stays_held),
		cmocka_unit_test(test_stale),    cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
