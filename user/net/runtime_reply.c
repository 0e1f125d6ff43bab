// SPDX-License-Identifier: GPL-2.0
/* What container engines answer. All of it may be wrong in type, length and meaning. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "net/parse.h"
#include "policy/address.h"
#include "policy/array.h"
#include "policy/networks.h"
#include "util/cleanup.h"
#include "util/text.h"

#define ID_LEN         64
#define STRING_MAX_LEN 4096
#define MANY           1024 /* networks, DNS servers, names */
#define NS_PER_S       1000000000ULL

#define EG_AUTO_JSON EG_AUTO(json_decrefp)

static int malformed(struct eg_error *error, const char *what)
{
	eg_error_set(error, EG_EXIT_FAILED, EBADMSG,
		     "the container engine's answer is malformed: %s", what);
	return -EBADMSG;
}

static int no_memory(struct eg_error *error)
{
	eg_error_no_memory(error);
	return -ENOMEM;
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* What is not to be had as text: a NUL, and bytes that are no UTF-8. Nothing that is believed has
 * either. */
static void make_plain(char *json, size_t len)
{
	static const char nul[] = "u0000", replacement[] = "ufffd";

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)json[i] >= 0x80)
			json[i] = '?';
		if (json[i] != '\\' || ++i == len)
			continue;
		if (len - i >= strlen(nul) && memcmp(json + i, nul, strlen(nul)) == 0)
			memcpy(json + i, replacement, strlen(replacement));
	}
}

/* A label of an image may be any text, and is told among all else: what the reader of JSON refuses
 * there must not hide the container, nor those that are told of with it. */
static json_t *load(const char *json, size_t len)
{
	json_t *root = json_loadb(json, len, 0, NULL);
	EG_AUTO_FREE char *plain = root || !len ? NULL : malloc(len);

	if (!plain)
		return root;
	memcpy(plain, json, len);
	make_plain(plain, len);
	return json_loadb(plain, len, 0, NULL);
}

/* --- pieces -------------------------------------------------------------------------------- */

/* A member that may be absent or null (then *ret_member is NULL) but not of another type. */
static int get_member(const json_t *object, const char *key, json_type type, json_t **ret_member,
		      struct eg_error *error)
{
	json_t *member = json_object_get(object, key);

	if (member && json_is_null(member))
		member = NULL;
	if (member && json_typeof(member) != type)
		return malformed(error, key);
	*ret_member = member;
	return 0;
}

static int check_string(const json_t *string, const char *key, struct eg_error *error)
{
	return json_string_length(string) > STRING_MAX_LEN ? malformed(error, key) : 0;
}

/* *ret_text stays the object's; "" where it is absent. */
static int get_text(const json_t *object, const char *key, const char **ret_text,
		    struct eg_error *error)
{
	json_t *member;
	int result = get_member(object, key, JSON_STRING, &member, error);

	if (!result && member)
		result = check_string(member, key, error);
	if (result < 0)
		return result;
	*ret_text = member ? json_string_value(member) : "";
	return 0;
}

static int copy_text(const json_t *object, const char *key, char **ret_text, struct eg_error *error)
{
	const char *text;
	int result = get_text(object, key, &text, error);

	if (result < 0)
		return result;
	*ret_text = strdup(text);
	return *ret_text ? 0 : no_memory(error);
}

static int get_integer(const json_t *object, const char *key, json_int_t max,
		       json_int_t *ret_integer, struct eg_error *error)
{
	json_t *member;
	int result = get_member(object, key, JSON_INTEGER, &member, error);

	if (result < 0)
		return result;
	*ret_integer = member ? json_integer_value(member) : 0;
	if (*ret_integer < 0 || *ret_integer > max)
		return malformed(error, key);
	return 0;
}

static int get_id(const json_t *object, char id[ID_LEN + 1], struct eg_error *error)
{
	const char *text;
	int result = get_text(object, "Id", &text, error);

	if (result < 0)
		return result;
	if (strlen(text) != ID_LEN || strspn(text, "0123456789abcdef") != ID_LEN)
		return malformed(error, "Id");
	memcpy(id, text, ID_LEN + 1);
	return 0;
}

static int copy_name(const char *name, char **ret_name, struct eg_error *error)
{
	if (*name == '/')
		name++;
	/* No engine gives one with what make_plain() takes out. */
	if (!*name || strstr(name, "\xef\xbf\xbd"))
		return malformed(error, "Name");
	*ret_name = strdup(name);
	return *ret_name ? 0 : no_memory(error);
}

/* --- time ---------------------------------------------------------------------------------- */

/* ".123456789" as nanoseconds; what follows it is *ret_rest. */
static bool parse_fraction(const char *text, __u64 *ret_ns, const char **ret_rest)
{
	__u64 ns = 0, unit = NS_PER_S / 10;

	if (*text == '.') {
		const char *digits = ++text;

		for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
			ns += unit * (__u64)(*text - '0');
		if (text == digits)
			return false;
	}
	*ret_ns = ns;
	*ret_rest = text;
	return true;
}

/* "Z" or "+hh:mm" as seconds. */
static bool parse_zone(const char *text, long *ret_seconds)
{
	unsigned int hours, minutes;
	int end = 0;

	if (strcmp(text, "Z") == 0) {
		*ret_seconds = 0;
		return true;
	}
	if ((*text != '+' && *text != '-') ||
	    sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &end) != 2 || end != 5 || text[6] ||
	    hours > 23 || minutes > 59)
		return false;
	*ret_seconds = (long)(hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
	return true;
}

__u64 eg_rfc3339_parse(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	long zone;
	time_t seconds;
	__u64 ns;

	if (!rest || !parse_fraction(rest, &ns, &rest) || !parse_zone(rest, &zone))
		return 0;
	seconds = timegm(&tm) - zone;
	/* Nothing that runs was started outside of these bounds, and they cannot overflow. */
	if (seconds <= 0 || seconds > INT_MAX * 4LL)
		return 0;
	return (__u64)seconds * NS_PER_S + ns;
}

/* --- one container ------------------------------------------------------------------------- */

static int add_subnet(const json_t *network, const char *address_key, const char *len_key,
		      struct eg_container *container, struct eg_error *error)
{
	struct eg_prefix prefix = {0};
	json_int_t prefix_len;
	const char *address;
	int result = get_text(network, address_key, &address, error);

	if (!result)
		result = get_integer(network, len_key, 128, &prefix_len, error);
	if (result < 0)
		return result;
	/* A network that it is not connected to at this moment, or that gave no address. */
	if (!*address)
		return 0;
	if (eg_addr_parse(address, &prefix.family, &prefix.addr, NULL) < 0)
		return malformed(error, address_key);
	if (!prefix_len || prefix_len > eg_family_bits(prefix.family))
		return malformed(error, len_key);
	prefix.len = (__u8)prefix_len;
	eg_addr_mask(prefix.family, &prefix.addr, prefix.len);
	return EG_ARRAY_ADD(container->subnets, container->n_subnets, prefix) < 0 ? no_memory(error)
										  : 0;
}

static int take_networks(const json_t *root, struct eg_container *container, struct eg_error *error)
{
	json_t *settings, *networks = NULL, *network;
	const char *name;
	int result = get_member(root, "NetworkSettings", JSON_OBJECT, &settings, error);

	if (!result)
		result = copy_text(settings, "SandboxKey", &container->sandbox, error);
	if (!result && settings)
		result = get_member(settings, "Networks", JSON_OBJECT, &networks, error);
	if (result < 0 || !networks)
		return result;
	if (json_object_size(networks) > MANY)
		return malformed(error, "Networks");
	json_object_foreach(networks, name, network)
	{
		if (json_is_null(network))
			continue;
		if (!json_is_object(network))
			return malformed(error, "Networks");
		result = add_subnet(network, "IPAddress", "IPPrefixLen", container, error);
		if (!result)
			result = add_subnet(network, "GlobalIPv6Address", "GlobalIPv6PrefixLen",
					    container, error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}] */
static int take_binding(const char *name, const json_t *binding, struct eg_container *container)
{
	const char *host = json_string_value(json_object_get(binding, "HostIp"));
	const char *host_port = json_string_value(json_object_get(binding, "HostPort"));
	struct eg_published one = {};
	char proto[8] = "";
	unsigned int port = 0;
	int number;

	if (sscanf(name, "%5u/%7s", &port, proto) != 2 || !port || port > UINT16_MAX ||
	    !host_port || eg_port_parse(host_port, &one.host_port, NULL) < 0)
		return 0;
	number = eg_proto_parse(proto);
	if (number < 0 || (host && strlen(host) >= sizeof(one.host)))
		return 0;
	one.proto = (__u8)number;
	one.port = (__u16)port;
	strcpy(one.host, host ? host : "");
	return EG_ARRAY_ADD(container->published, container->n_published, one);
}

/* Nothing is decided by them, so what is odd about them is no reason to refuse the answer. */
static int take_published(const json_t *root, struct eg_container *container,
			  struct eg_error *error)
{
	const json_t *settings = json_object_get(root, "NetworkSettings");
	json_t *ports = json_object_get(settings, "Ports"), *bindings;
	const char *name;

	json_object_foreach(ports, name, bindings)
	{
		size_t index;
		json_t *binding;

		json_array_foreach(bindings, index, binding)
		{
			if (container->n_published < MANY &&
			    take_binding(name, binding, container) < 0)
				return no_memory(error);
		}
	}
	return 0;
}

static int take_dns(const json_t *host_config, struct eg_container *container,
		    struct eg_error *error)
{
	json_t *servers, *server;
	size_t index;
	int result = get_member(host_config, "Dns", JSON_ARRAY, &servers, error);

	if (result < 0 || !servers)
		return result;
	if (json_array_size(servers) > MANY)
		return malformed(error, "Dns");
	container->dns = calloc(json_array_size(servers) + 1, sizeof(*container->dns));
	if (!container->dns)
		return no_memory(error);
	json_array_foreach(servers, index, server)
	{
		if (!json_is_string(server) || check_string(server, "Dns", NULL) < 0)
			return malformed(error, "Dns");
		container->dns[index] = strdup(json_string_value(server));
		if (!container->dns[index])
			return no_memory(error);
	}
	return 0;
}

static int take_host_config(const json_t *root, struct eg_container *container,
			    struct eg_error *error)
{
	json_t *host_config, *restart = NULL;
	int result = get_member(root, "HostConfig", JSON_OBJECT, &host_config, error);

	if (result < 0)
		return result;
	result = copy_text(host_config, "NetworkMode", &container->network_mode, error);
	if (!result)
		result = take_dns(host_config, container, error);
	if (!result)
		result = get_member(host_config, "RestartPolicy", JSON_OBJECT, &restart, error);
	if (!result)
		result = copy_text(restart, "Name", &container->restart_policy, error);
	return result;
}

static int take_state(const json_t *root, struct eg_container *container, struct eg_error *error)
{
	json_t *state, *running;
	const char *started;
	json_int_t pid;
	int result = get_member(root, "State", JSON_OBJECT, &state, error);

	if (result < 0)
		return result;
	running = json_object_get(state, "Running");
	if (!json_is_boolean(running))
		return malformed(error, "State.Running");
	result = get_integer(state, "Pid", INT_MAX, &pid, error);
	if (!result)
		result = get_text(state, "StartedAt", &started, error);
	if (result < 0)
		return result;
	container->running = json_is_true(running);
	if (!container->running)
		return 0;
	if (!pid)
		return malformed(error, "State.Pid");
	container->pid = (pid_t)pid;
	container->started_realtime_ns = eg_rfc3339_parse(started);
	return 0;
}

/* Labels are anybody's: what is no text is left out. */
static char *copy_label(const json_t *labels, const char *name)
{
	const char *text = json_string_value(json_object_get(labels, name));

	return text && *text ? strdup(text) : NULL;
}

static int take_container(const json_t *root, struct eg_container *container,
			  struct eg_error *error)
{
	const json_t *labels = json_object_get(json_object_get(root, "Config"), "Labels");
	const char *name;
	int result = get_id(root, container->id, error);

	if (!result)
		result = get_text(root, "Name", &name, error);
	if (!result)
		result = copy_name(name, &container->name, error);
	if (!result)
		result = take_state(root, container, error);
	if (!result)
		result = take_host_config(root, container, error);
	if (!result)
		result = take_networks(root, container, error);
	if (!result)
		result = take_published(root, container, error);
	container->compose_project = copy_label(labels, "com.docker.compose.project");
	container->compose_service = copy_label(labels, "com.docker.compose.service");
	container->compose_files = copy_label(labels, "com.docker.compose.project.config_files");
	return result;
}

int eg_container_parse(const char *json, size_t len, enum eg_runtime runtime,
		       struct eg_container *ret_container, struct eg_error *error)
{
	EG_AUTO_CONTAINER struct eg_container container = {.runtime = runtime};
	EG_AUTO_JSON json_t *root = load(json, len);
	int result;

	if (!json_is_object(root))
		return malformed(error, "it is not a JSON object");
	result = take_container(root, &container, error);
	if (result < 0)
		return result;
	*ret_container = container;
	container = (struct eg_container){0};
	return 0;
}

/* --- lists --------------------------------------------------------------------------------- */

struct containers {
	struct eg_container *containers;
	size_t n;
};

static void containers_free(struct containers *list)
{
	for (size_t i = 0; i < list->n; i++)
		eg_container_free(&list->containers[i]);
	free(list->containers);
}

static int take_entry(const json_t *entry, enum eg_runtime runtime, struct containers *list,
		      struct eg_error *error)
{
	struct eg_container container = {.runtime = runtime, .running = true};
	const json_t *name;
	json_t *names = NULL;
	int result = get_id(entry, container.id, error);

	if (!result)
		result = get_member(entry, "Names", JSON_ARRAY, &names, error);
	if (result < 0)
		return result;
	name = json_array_get(names, 0);
	/* It has none while it is being removed. */
	if (!name)
		return 0;
	if (!json_is_string(name) || check_string(name, "Names", NULL) < 0)
		return malformed(error, "Names");
	result = copy_name(json_string_value(name), &container.name, error);
	if (result < 0)
		return result;
	container.compose_service =
		copy_label(json_object_get(entry, "Labels"), "com.docker.compose.service");
	if (EG_ARRAY_ADD(list->containers, list->n, container) < 0) {
		eg_container_free(&container);
		return no_memory(error);
	}
	return 0;
}

int eg_container_list_parse(const char *json, size_t len, enum eg_runtime runtime,
			    struct eg_container **ret_containers, size_t *ret_n,
			    struct eg_error *error)
{
	EG_AUTO(containers_free) struct containers list = {0};
	EG_AUTO_JSON json_t *root = load(json, len);
	json_t *entry;
	size_t index;

	if (!json_is_array(root))
		return malformed(error, "it is not a JSON array");
	json_array_foreach(root, index, entry)
	{
		int result = take_entry(entry, runtime, &list, error);

		if (result < 0)
			return result;
	}
	*ret_containers = list.containers;
	*ret_n = list.n;
	list = (struct containers){0};
	return 0;
}

int eg_engine_text(char *to, size_t size, const char *key, const char *json, size_t len)
{
	EG_AUTO_JSON json_t *root = load(json, len);
	const json_t *text = json_object_get(root, key);

	if (!json_is_string(text) || !json_string_length(text) || json_string_length(text) >= size)
		return -EBADMSG;
	memcpy(to, json_string_value(text), json_string_length(text) + 1);
	return 0;
}

char *eg_engine_message(char *to, size_t size, const char *json, size_t len)
{
	EG_AUTO_JSON json_t *root = load(json, len);
	const json_t *message = json_object_get(root, "message");

	if (!json_is_string(message))
		return eg_escape(to, size, "", 0);
	return eg_escape(to, size, json_string_value(message), json_string_length(message));
}

static void take_attribute(char *to, size_t size, const json_t *value)
{
	if (json_is_string(value) && json_string_length(value) < size)
		memcpy(to, json_string_value(value), json_string_length(value) + 1);
}

/* What goes on in a container all the time, and changes nothing of it: its image may ask for a
 * check of its health each millisecond. */
static bool is_its_own(const char *action)
{
	static const char *const kinds[] = {"exec", "health_status", "oom"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(action, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

/* It comes before what an image can say, and a quote within a text is never without a backslash. */
void eg_engine_event_begin(const char *json, size_t len, struct eg_engine_event *ret_event)
{
	static const char *const keys[] = {"\"id\":\"", "\"ID\":\""};
	const size_t key_len = strlen(keys[0]);
	struct eg_engine_event event = {};
	const char *first = NULL;

	for (size_t i = 0; len && i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *at = memmem(json, len, keys[i], key_len);

		if (at && (!first || at < first))
			first = at;
	}
	first = first ? first + key_len : json + len;
	if ((size_t)(json + len - first) > ID_LEN && first[ID_LEN] == '"' &&
	    strspn(first, "0123456789abcdef") == ID_LEN)
		memcpy(event.id, first, ID_LEN);
	*ret_event = event;
}

/* Of a network the engine says which container came to it, and its own name. */
int eg_engine_event_parse(const char *json, size_t len, struct eg_engine_event *ret_event)
{
	EG_AUTO_JSON json_t *root = load(json, len);
	const json_t *type = json_object_get(root, "Type");
	const char *action = json_string_value(json_object_get(root, "Action"));
	const json_t *actor = json_object_get(root, "Actor");
	const json_t *attributes = json_object_get(actor, "Attributes");
	struct eg_engine_event event = {};

	if (!json_is_string(type) || !json_is_object(actor))
		return -EBADMSG;
	if (is_its_own(action ? action : ""))
		return -ENOMSG;
	if (strcmp(json_string_value(type), "container") == 0) {
		take_attribute(event.id, sizeof(event.id), json_object_get(actor, "ID"));
		take_attribute(event.name, sizeof(event.name), json_object_get(attributes, "name"));
	} else if (strcmp(json_string_value(type), "network") == 0) {
		take_attribute(event.id, sizeof(event.id),
			       json_object_get(attributes, "container"));
	}
	if (!event.id[0] && !event.name[0])
		return -ENOMSG;
	*ret_event = event;
	return 0;
}
