// SPDX-License-Identifier: GPL-2.0
/* What takes the tunnel and what does not: exclusions, tables, DNS servers, endpoints. */
#include <string.h>

#include "policy/address.h"
#include "policy/networks.h"
#include "policy/wgcheck_internal.h"

/* --- exclusions ------------------------------------------------------------------------------- */

struct exclusion {
	bool main;   /* by a route in the main table */
	bool policy; /* in the one that the tunnel's rules look into */
	bool rule;   /* by an `ip rule` */
	bool unsure; /* by something that may run or not */
	const struct eg_wgop *op;
};

static bool touch(const struct eg_prefix *a, const struct eg_prefix *b)
{
	return eg_prefix_covers(a, b) || eg_prefix_covers(b, a);
}

/* A user's narrower subnets are his own decision. */
static struct exclusion find_exclusion(const struct eg_wgmodel *model,
				       const struct eg_prefix *network)
{
	struct exclusion found = {};
	bool sure = false;

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind == EG_WGOP_ROUTE && eg_wgkey_is_up(op->phase) &&
		    (op->unknown_prefix || (op->conditional && op->has_prefix)) && !op->to_tunnel)
			found.unsure = true;
		if (eg_wgop_rule_excludes(model, op, &sure) && touch(&op->prefix, network)) {
			found.rule |= sure;
			found.unsure |= !sure;
		}
		if (!eg_wgop_excludes(op) || !touch(&op->prefix, network))
			continue;
		found.op = found.op ? found.op : op;
		found.main |= op->table == EG_WGTABLE_MAIN;
		found.policy |=
			eg_wgop_in_policy_table(model, op) && !eg_wgop_falls_into_tunnel(model, op);
	}
	return found;
}

/* The rule that makes a route of the main table enough, asked before the tunnel's. */
static bool has_suppress_rule(const struct eg_wgmodel *model)
{
	return model->order4.suppress < model->order4.tunnel;
}

static void tell_not_excluded(struct eg_wgchecker *checker, const char *name,
			      const struct exclusion *found)
{
	if (found->unsure) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, EG_WGNOWHERE,
			  "whether %s has a route past the tunnel cannot be told", name);
		eg_wgfix(checker, "write its route as a plain `ip route replace` command");
		return;
	}
	if (found->op && eg_wgop_falls_into_tunnel(checker->model, found->op)) {
		eg_wgfind(checker, EG_WGFINDING_LAN_NOT_EXCLUDED, found->op->place,
			  "the one route for %s goes into the tunnel after all: it has no device",
			  name);
		eg_wgfix(checker, "name the device too, the one of the default route: via ... "
				  "dev DEVICE table ...");
		return;
	}
	if (found->op && checker->model->order4.suppress_op) {
		eg_wgfind(checker, EG_WGFINDING_LAN_WRONG_TABLE, found->op->place,
			  "the route for %s is in the main table, and the rule that looks there "
			  "(line %u) is asked after the one that looks into the tunnel's",
			  name, checker->model->order4.suppress_op->place.line);
		eg_wgfix(checker, "add that rule after the tunnel's: without a priority the last "
				  "one added is the first one asked");
		return;
	}
	if (found->op) {
		eg_wgfind(checker, EG_WGFINDING_LAN_WRONG_TABLE, found->op->place,
			  "the route for %s is in a table that is not the one that counts", name);
		eg_wgfix(checker, checker->model->way == EG_WGWAY_MAIN
					  ? "without a default route in AllowedIPs it belongs into "
					    "the main table: leave 'table' out"
					  : "add it to the table of the tunnel's rules too");
		return;
	}
	eg_wgfind(checker, EG_WGFINDING_LAN_NOT_EXCLUDED, EG_WGNOWHERE,
		  "%s has no route past the tunnel, in no table", name);
	eg_wgfix(
		checker,
		"`egressguard wgconf render --in-place %s` writes it; by hand: PostUp = via=$(ip "
		"-4 "
		"route show default | sed -n '1s/^default \\(.*dev [^ ]*\\).*/\\1/p'); ip -4 route "
		"replace %s $via; ip -4 route replace %s $via table $(wg show %%i fwmark)",
		eg_wgname(checker), name, name);
}

static void check_network(struct eg_wgchecker *checker, const struct eg_prefix *network)
{
	const struct eg_wgmodel *model = checker->model;
	struct exclusion found = find_exclusion(model, network);
	bool suppress = has_suppress_rule(model);
	/* a default route for IPv6 alone makes rules for IPv6 alone */
	bool main =
		model->way == EG_WGWAY_MAIN || (model->way == EG_WGWAY_RULES && !model->default4);
	char name[EG_ADDRESS_TEXT_LEN];
	bool enough;

	if (found.rule)
		return;
	/* a narrower subnet of the file's own is what it is about */
	eg_prefix_format(name, found.op ? &found.op->prefix : network);
	if (main)
		enough = found.main;
	else if (suppress)
		enough = found.main || found.policy;
	else
		enough = found.policy;
	if (!enough) {
		tell_not_excluded(checker, name, &found);
	} else if (found.main != found.policy && !main) {
		eg_wgfind(checker, EG_WGFINDING_LAN_ONE_TABLE, found.op->place,
			  "the route for %s is in %s alone", name,
			  found.main ? "the main table" : "the tunnel's table");
		eg_wgfix(checker,
			 found.main ? "add it with its device and `table $(wg show %%i fwmark)` "
				      "as well"
				    : "add it without 'table' as well");
	}
}

/* A route for more than the LAN that goes into the tunnel, or may. */
static bool may_take_tunnel(const struct eg_wgop *op)
{
	return op->kind == EG_WGOP_ROUTE && op->act != EG_WGACT_DELETE &&
	       (op->to_tunnel || op->unknown_way || (op->dev && strchr(op->dev, '$'))) &&
	       !(op->has_prefix && eg_wgcheck_is_private(&op->prefix));
}

/* Whether a hook routes into the tunnel, or does what is not followed here. */
static bool may_route(const struct eg_wgmodel *model)
{
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (eg_wgkey_is_up(op->phase) &&
		    (op->kind == EG_WGOP_UNKNOWN || may_take_tunnel(op)))
			return true;
	}
	for (size_t i = 0; i < model->hooks->n_hooks; i++) {
		if (eg_wgkey_is_up(model->hooks->hooks[i].line->key) &&
		    model->hooks->hooks[i].shell->lost)
			return true;
	}
	return false;
}

static struct eg_wgplace table_place(const struct eg_wgmodel *model)
{
	struct eg_wgplace place = {};

	for (size_t i = 0; i < model->file->n_lines; i++) {
		const struct eg_wgline *line = &model->file->lines[i];

		if (line->kind == EG_WGLINE_SETTING && line->key == EG_WGKEY_TABLE)
			place = eg_wgat(line, line->name.column);
	}
	return place;
}

/* Only what the tunnel would take needs a way past it. */
static void check_lan(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;

	if (model->way == EG_WGWAY_OFF && !may_route(model)) {
		eg_wgfind(checker, EG_WGFINDING_TABLE_OFF, table_place(model),
			  "Table = off, and no hook routes anything into the tunnel");
		eg_wgfix(checker, "leave Table out: wg-quick then makes the routes and the rules");
		return;
	}
	if (model->way == EG_WGWAY_OFF) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, EG_WGNOWHERE,
			  "with Table = off, what takes the tunnel is for the hooks alone to say");
		eg_wgfix(checker, "leave Table out: wg-quick's own routes are the ones that this "
				  "check, and the pattern, know");
		return;
	}
	for (size_t i = 0; i < EG_WGLAN_NETWORKS; i++) {
		if (eg_wgmodel_tunnels(model, eg_wglan_networks[i]))
			check_network(checker, eg_wglan_networks[i]);
	}
}

/* --- tables ----------------------------------------------------------------------------------- */

static bool is_by_hand(const struct eg_wgop *op)
{
	return (op->kind == EG_WGOP_ROUTE || op->kind == EG_WGOP_RULE) &&
	       op->table == EG_WGTABLE_NUMBER && op->table_number == EG_WGTABLE_DEFAULT;
}

static void check_table_by_hand(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;
	size_t told = (size_t)-1;

	if (model->way != EG_WGWAY_RULES || model->fwmark)
		return;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (!is_by_hand(op) || op->hook == told)
			continue;
		told = op->hook;
		eg_wgfind(checker, EG_WGFINDING_TABLE_BY_HAND, op->place,
			  "table %u is written by hand", op->table_number);
		eg_wgfix(checker,
			 "write `table $(wg show %%i fwmark)`; or pin the number: FwMark = "
			 "51820 in [Interface]");
	}
}

/* Told once for each hook. */
static void check_gateway(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;
	size_t told = (size_t)-1;

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		char command[EG_WGCOMMAND_LEN];

		if (!eg_wgop_falls_into_tunnel(model, op) || op->hook == told)
			continue;
		told = op->hook;
		eg_wgfind(checker, EG_WGFINDING_GATEWAY_IN_TUNNEL, op->place,
			  "'%s' names a gateway and no device, in the table of the tunnel",
			  eg_wgcommand_format(checker, op, command));
		eg_wgfix(checker, "name the device too, the one of the default route: via ... "
				  "dev DEVICE table ...");
	}
}

/* Whether a rule is for some packets alone: by where they come from, or what they are. */
static bool is_for_some(const struct eg_wghooks *hooks, const struct eg_wgop *op)
{
	static const char *const selectors[] = {"from",  "iif",   "uidrange", "ipproto",
						"sport", "dport", "tos",      "dsfield"};
	const struct eg_shell_command *command = eg_wgop_command(hooks, op);

	for (size_t i = 0; i + 1 < command->n_words; i++) {
		for (size_t k = 0; k < sizeof(selectors) / sizeof(selectors[0]); k++) {
			if (strcmp(command->words[i].text, selectors[k]) == 0 &&
			    strcmp(command->words[i + 1].text, "all") != 0)
				return true;
		}
	}
	return op->has_prefix || op->unknown_prefix;
}

static void check_table_used(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;
	const struct eg_wgop *some = NULL;

	if (model->way != EG_WGWAY_NUMBER)
		return;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind != EG_WGOP_RULE || op->act == EG_WGACT_DELETE ||
		    (!eg_wgop_in_policy_table(model, op) && op->table != EG_WGTABLE_UNKNOWN))
			continue;
		if (!is_for_some(model->hooks, op))
			return;
		some = op;
	}
	if (some) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, some->place,
			  "some packets are sent to table %u: which others take the tunnel cannot "
			  "be told",
			  model->table);
		eg_wgfix(checker, "leave Table out: wg-quick then makes the rules itself");
		return;
	}
	eg_wgfind(checker, EG_WGFINDING_TABLE_UNUSED, table_place(model),
		  "Table = %u, and no hook adds an `ip rule` that looks there", model->table);
	eg_wgfix(checker, "leave Table out: wg-quick then makes the rules itself");
}

static void check_partial(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;

	if (model->n_allowed == 0 || model->full4)
		return;
	eg_wgfind(checker, EG_WGFINDING_PARTIAL_TUNNEL, model->allowed[0].place,
		  "AllowedIPs do not take all of the internet's IPv4 addresses");
	eg_wgfix(checker, "AllowedIPs = 0.0.0.0/0, ::/0");
}

/* --- addresses -------------------------------------------------------------------------------- */

/* The narrowest route of the hooks for an address, as an exclusion or into the tunnel. */
static const struct eg_wgop *route_of(const struct eg_wgmodel *model,
				      const struct eg_prefix *address)
{
	const struct eg_wgop *best = NULL;

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind != EG_WGOP_ROUTE || op->act == EG_WGACT_DELETE || !op->has_prefix ||
		    op->conditional || !eg_wgkey_is_up(op->phase) ||
		    !eg_prefix_covers(&op->prefix, address))
			continue;
		if (!best || op->prefix.len >= best->prefix.len)
			best = op;
	}
	return best;
}

/* Of AllowedIPs, what is narrower than the exclusion wins over it in the main table. */
static bool tunnel_is_narrower(const struct eg_wgmodel *model, const struct eg_prefix *address,
			       const struct eg_prefix *excluded)
{
	for (size_t i = 0; i < model->n_allowed; i++) {
		if (model->allowed[i].prefix.len > excluded->len &&
		    eg_prefix_covers(&model->allowed[i].prefix, address))
			return true;
	}
	return false;
}

static const struct eg_wgop *excluded_by(const struct eg_wgmodel *model,
					 const struct eg_prefix *address)
{
	const struct eg_wgop *op = route_of(model, address);

	if (!op || op->to_tunnel || tunnel_is_narrower(model, address, &op->prefix))
		return NULL;
	return op;
}

/* By a rule, where no route of the main table sends the address into the tunnel. */
static const struct eg_wgop *excluded_by_rule(const struct eg_wgmodel *model,
					      const struct eg_prefix *address)
{
	const struct eg_wgop *route = route_of(model, address);
	bool sure = false;

	if (route && route->to_tunnel)
		return NULL;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (eg_wgop_rule_excludes(model, op, &sure) && sure &&
		    eg_prefix_covers(&op->prefix, address))
			return op;
	}
	return NULL;
}

static void check_dns(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;

	for (size_t i = 0; i < model->n_dns; i++) {
		const struct eg_wgop *op = excluded_by(model, &model->dns[i].prefix);
		char server[EG_ADDRESS_TEXT_LEN], network[EG_ADDRESS_TEXT_LEN];

		if (!op)
			op = excluded_by_rule(model, &model->dns[i].prefix);
		if (!op)
			continue;
		eg_prefix_format(server, &model->dns[i].prefix);
		eg_wgfind(checker, EG_WGFINDING_DNS_IN_LAN, model->dns[i].place,
			  "the DNS server %s is inside %s, which line %u sends past the tunnel",
			  server, eg_prefix_format(network, &op->prefix), op->place.line);
		eg_wgfix(checker,
			 "if it is the provider's, send it into the tunnel: PostUp = ip -4 route "
			 "replace %s dev %%i; ip -4 route replace %s dev %%i table $(wg show %%i "
			 "fwmark); if it stands in your LAN, write the provider's instead: DNS = "
			 "ADDRESS",
			 server, server);
	}
}

static struct eg_prefix whole(const struct eg_endpoint *endpoint)
{
	return (struct eg_prefix){
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};
}

/* Without wg-quick's rules only a route keeps WireGuard's own packets off the tunnel. */
static void check_loop(struct eg_wgchecker *checker, const struct eg_wgendpoint *endpoint,
		       const struct eg_prefix *address)
{
	const struct eg_wgmodel *model = checker->model;
	char version = address->family == EG_FAMILY_IPV6 ? '6' : '4';
	char name[EG_ADDRESS_TEXT_LEN];

	if (!eg_wgmodel_is_markless(model, address->family) ||
	    !eg_wgmodel_tunnels(model, address) || excluded_by(model, address))
		return;
	eg_prefix_format(name, address);
	eg_wgfind(checker, EG_WGFINDING_ENDPOINT_IN_TUNNEL, endpoint->place,
		  "AllowedIPs send packets to the endpoint %s into the tunnel", name);
	eg_wgfix(checker,
		 "AllowedIPs = 0.0.0.0/0, ::/0 (wg-quick then sees to it); or a route of its own: "
		 "PostUp = via=$(ip -%c route show default | sed -n '1s/^default \\(.*dev [^ "
		 "]*\\).*/\\1/p'); ip -%c route replace %s $via",
		 version, version, name);
}

static void check_endpoints(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;

	for (size_t i = 0; i < model->n_endpoints; i++) {
		const struct eg_wgendpoint *endpoint = &model->endpoints[i];
		struct eg_prefix address = whole(&endpoint->endpoint);
		char name[EG_ADDRESS_TEXT_LEN];

		if (endpoint->endpoint.host) {
			eg_wgfind(checker, EG_WGFINDING_ENDPOINT_BY_NAME, endpoint->place,
				  "the endpoint is a name, '%s'", endpoint->endpoint.host);
			eg_wgfix(checker,
				 "write its address: Endpoint = ADDRESS:%u (`getent ahosts "
				 "%s` tells it)",
				 endpoint->endpoint.port, endpoint->endpoint.host);
			continue;
		}
		check_loop(checker, endpoint, &address);
		if (!eg_addr_is_lan(address.family, &address.addr))
			continue;
		eg_wgfind(checker, EG_WGFINDING_ENDPOINT_IN_LAN, endpoint->place,
			  "the endpoint %s is a private address", eg_prefix_format(name, &address));
		eg_wgfix(checker, "Endpoint = the public address of the VPN's server, unless it "
				  "really stands in this LAN");
	}
}

static void check_overlap(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;

	for (size_t i = 0; i < model->n_allowed; i++) {
		const struct eg_wgprefix *allowed = &model->allowed[i];
		char name[EG_ADDRESS_TEXT_LEN], network[EG_ADDRESS_TEXT_LEN];

		for (size_t k = 0; k < model->hooks->n_ops; k++) {
			const struct eg_wgop *op = &model->hooks->ops[k];

			if (!eg_wgop_excludes(op) || allowed->prefix.family != op->prefix.family ||
			    !eg_prefix_covers(&op->prefix, &allowed->prefix))
				continue;
			eg_wgfind(checker, EG_WGFINDING_ALLOWED_OVERLAP, allowed->place,
				  "AllowedIPs has %s, and line %u sends %s past the tunnel",
				  eg_prefix_format(name, &allowed->prefix), op->place.line,
				  eg_prefix_format(network, &op->prefix));
			eg_wgfix(checker, "leave one of the two out");
			break;
		}
	}
}

void eg_wgcheck_routes(struct eg_wgchecker *checker)
{
	check_lan(checker);
	check_table_by_hand(checker);
	check_gateway(checker);
	check_table_used(checker);
	check_partial(checker);
	check_dns(checker);
	check_endpoints(checker);
	check_overlap(checker);
}
