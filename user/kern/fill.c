// SPDX-License-Identifier: GPL-2.0
/*
 * An image into the maps. A slot's tables are compared with the image element by element, by what
 * the kernel really holds, and only the difference is written: whatever a failed or killed command
 * left in the slot goes, and a small change of a large policy is a small change.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

/* --- rows: keys with their values, side by side --------------------------------------------- */

struct rows {
	size_t key_size;
	size_t value_size;
	size_t slot_offset;
	__u32 slot;
	char *data;
	size_t n;
	size_t room;
};

static void rows_free(struct rows *rows)
{
	free(rows->data);
}
#define AUTO_ROWS EG_AUTO(rows_free)

static size_t row_size(const struct rows *rows)
{
	return rows->key_size + rows->value_size;
}

static char *row_at(const struct rows *rows, size_t i)
{
	return rows->data + i * row_size(rows);
}

static int rows_add(struct rows *rows, const void *key, const void *value)
{
	if (rows->n == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 256;
		char *data = reallocarray(rows->data, room, row_size(rows));

		if (!data)
			return -ENOMEM;
		rows->data = data;
		rows->room = room;
	}
	memcpy(row_at(rows, rows->n), key, rows->key_size);
	memcpy(row_at(rows, rows->n) + rows->key_size, value, rows->value_size);
	rows->n++;
	return 0;
}

static int compare_rows(const void *a, const void *b, void *key_size)
{
	return memcmp(a, b, *(size_t *)key_size);
}

static void rows_sort(struct rows *rows)
{
	if (rows->n)
		qsort_r(rows->data, rows->n, row_size(rows), compare_rows, &rows->key_size);
}

static int collect_row(const void *key, const void *value, void *argument)
{
	struct rows *rows = argument;
	__u32 slot;

	memcpy(&slot, (const char *)key + rows->slot_offset, sizeof(slot));
	return slot == rows->slot ? rows_add(rows, key, value) : 0;
}

/* --- a table -------------------------------------------------------------------------------- */

static int table_error(int err, enum eg_map map, __u32 max_entries, struct eg_error *error)
{
	if (err == -E2BIG || err == -ENOSPC)
		return eg_error_set(error, EG_EXIT_FAILED, E2BIG,
				    "the table of %s is full: it holds %u, for the policy in force "
				    "and the next one together; nothing changed",
				    eg_maps[map].what, max_entries);
	if (err == -ENOMEM)
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM,
				    "no memory for the table of %s; nothing changed",
				    eg_maps[map].what);
	return eg_error_set(error, EG_EXIT_FAILED, -err,
			    "cannot write the table of %s: %s; nothing changed", eg_maps[map].what,
			    strerror(-err));
}

static __u32 max_entries_of(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.max_entries;
}

/* What is to be written to or deleted from a map, until there is a batch of it. */
struct batch {
	int fd;
	const struct rows *rows; /* whose sizes count */
	bool remove;
	bool one_by_one; /* the kernel has no batches for this map */
	char *keys;
	char *values;
	__u32 n;
};
#define BATCH 4096

static void batch_free(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
}

static int change_one(const struct batch *batch, const char *key, const char *value)
{
	if (!batch->remove)
		return bpf_map_update_elem(batch->fd, key, value, BPF_ANY) < 0 ? -errno : 0;
	return bpf_map_delete_elem(batch->fd, key) < 0 && errno != ENOENT ? -errno : 0;
}

/* Doing one twice does no harm: what fails in a batch is tried again alone, and says why. */
static int batch_flush(struct batch *batch)
{
	__u32 n = batch->n;
	int err = -EOPNOTSUPP;

	batch->n = 0;
	if (n && !batch->one_by_one)
		err = batch->remove
			      ? bpf_map_delete_batch(batch->fd, batch->keys, &(__u32){n}, NULL)
			      : bpf_map_update_batch(batch->fd, batch->keys, batch->values,
						     &(__u32){n}, NULL);
	if (!n || !err)
		return 0;
	batch->one_by_one |= eg_batch_is_unsupported(errno);
	err = 0;
	for (__u32 i = 0; i < n && !err; i++)
		err = change_one(batch, batch->keys + i * batch->rows->key_size,
				 batch->values + i * batch->rows->value_size);
	return err;
}

static int batch_add(struct batch *batch, const char *row)
{
	memcpy(batch->keys + batch->n * batch->rows->key_size, row, batch->rows->key_size);
	memcpy(batch->values + batch->n * batch->rows->value_size, row + batch->rows->key_size,
	       batch->rows->value_size);
	return ++batch->n == BATCH ? batch_flush(batch) : 0;
}

/* Walks both sorted lists at once. With `remove`, deletes what is only there, else writes what is
 * only wanted or differs. */
static int table_change(int fd, const struct rows *there, const struct rows *wanted, bool remove)
{
	EG_AUTO(batch_free)
	struct batch batch = {
		.fd = fd,
		.rows = wanted,
		.remove = remove,
		.keys = calloc(BATCH, wanted->key_size),
		.values = calloc(BATCH, wanted->value_size),
	};
	size_t i = 0, j = 0;
	int err = batch.keys && batch.values ? 0 : -ENOMEM;

	while ((i < there->n || j < wanted->n) && !err) {
		char *old = i < there->n ? row_at(there, i) : NULL;
		char *new = j < wanted->n ? row_at(wanted, j) : NULL;
		int order = !old ? 1 : !new ? -1 : memcmp(old, new, wanted->key_size);
		bool same = order == 0 && memcmp(old, new, row_size(wanted)) == 0;

		if (remove && order < 0)
			err = batch_add(&batch, old);
		if (!remove && order >= 0 && !same)
			err = batch_add(&batch, new);
		i += order <= 0;
		j += order >= 0;
	}
	return err ? err : batch_flush(&batch);
}

static int table_fill(struct eg_guard *guard, enum eg_map map, struct rows *wanted,
		      struct eg_error *error)
{
	AUTO_ROWS struct rows there = *wanted;
	int fd = eg_guard_map(guard, map);
	int err;

	there.data = NULL;
	there.n = there.room = 0;
	if (fd < 0)
		return table_error(fd, map, 0, error);
	err = eg_map_visit(fd, wanted->key_size, wanted->value_size, collect_row, &there);
	if (!err) {
		rows_sort(&there);
		rows_sort(wanted);
		err = table_change(fd, &there, wanted, true);
	}
	if (!err)
		err = table_change(fd, &there, wanted, false);
	return err ? table_error(err, map, max_entries_of(fd), error) : 0;
}

static struct rows rows_of(enum eg_map map, size_t slot_offset, __u32 slot)
{
	return (struct rows){
		.key_size = eg_maps[map].key_size,
		.value_size = eg_maps[map].value_size,
		.slot_offset = slot_offset,
		.slot = slot,
	};
}

/* --- the tables of an image ------------------------------------------------------------------ */

static int rows_of_addr4(const struct eg_image *image, struct rows *rows)
{
	for (size_t i = 0; i < image->n_addrs; i++) {
		const struct eg_image_addr *addr = &image->addrs[i];
		struct eg_addr4_key key = {
			.prefix_len = EG_SLOT_PREFIX_LEN + addr->prefix.len,
			.slot = rows->slot,
			.addr_be = addr->prefix.addr.v4_be,
		};

		if (addr->prefix.family == EG_FAMILY_IPV4 && rows_add(rows, &key, &addr->value))
			return -ENOMEM;
	}
	return 0;
}

static int rows_of_addr6(const struct eg_image *image, struct rows *rows)
{
	for (size_t i = 0; i < image->n_addrs; i++) {
		const struct eg_image_addr *addr = &image->addrs[i];
		struct eg_addr6_key key = {
			.prefix_len = EG_SLOT_PREFIX_LEN + addr->prefix.len,
			.slot = rows->slot,
		};

		memcpy(key.addr, addr->prefix.addr.bytes, sizeof(key.addr));
		if (addr->prefix.family == EG_FAMILY_IPV6 && rows_add(rows, &key, &addr->value))
			return -ENOMEM;
	}
	return 0;
}

static int rows_of_endpoints(const struct eg_image *image, struct rows *rows)
{
	const __u8 there = 1;

	for (size_t i = 0; i < image->n_endpoints; i++) {
		const struct eg_image_endpoint *endpoint = &image->endpoints[i];
		struct eg_endpoint_key key = {
			.addr = endpoint->addr,
			.slot = rows->slot,
			.port_be = htobe16(endpoint->port),
			.family = endpoint->family,
		};

		if (rows_add(rows, &key, &there))
			return -ENOMEM;
	}
	return 0;
}

static int rows_of_rules(const struct eg_image *image, struct rows *rows)
{
	const __u8 there = 1;

	for (size_t i = 0; i < image->n_rules; i++) {
		const struct eg_image_rule *rule = &image->rules[i];
		struct eg_rule_key key = {
			.slot = rows->slot,
			.rule_set = rule->rule_set,
			.port_be = htobe16(rule->port),
			.proto = rule->proto,
		};

		if (rows_add(rows, &key, &there))
			return -ENOMEM;
	}
	return 0;
}

/* Those that are one value for each slot. */
static const void *value_of_front4(const struct eg_image *image)
{
	return image->front4;
}

static const void *value_of_front6(const struct eg_image *image)
{
	return image->front6;
}

static const void *value_of_tunnels(const struct eg_image *image)
{
	return &image->tunnels;
}

static const void *value_of_bootstrap(const struct eg_image *image)
{
	return &image->bootstrap;
}

static const struct whole {
	enum eg_map map;
	const void *(*value)(const struct eg_image *image);
} wholes[] = {
	{EG_MAP_TUNNELS, value_of_tunnels},
	{EG_MAP_FRONT4, value_of_front4},
	{EG_MAP_FRONT6, value_of_front6},
	{EG_MAP_BOOTSTRAP, value_of_bootstrap},
};
#define N_WHOLES (sizeof(wholes) / sizeof(wholes[0]))

/* All others. */
static const struct table {
	enum eg_map map;
	size_t slot_offset;
	int (*rows)(const struct eg_image *image, struct rows *rows);
} tables[] = {
	{EG_MAP_ADDR4, offsetof(struct eg_addr4_key, slot), rows_of_addr4},
	{EG_MAP_ADDR6, offsetof(struct eg_addr6_key, slot), rows_of_addr6},
	{EG_MAP_ENDPOINTS, offsetof(struct eg_endpoint_key, slot), rows_of_endpoints},
	{EG_MAP_RULES, offsetof(struct eg_rule_key, slot), rows_of_rules},
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

int eg_guard_fill(struct eg_guard *guard, __u32 slot, const struct eg_image *image,
		  struct eg_error *error)
{
	int err = 0;

	for (size_t i = 0; i < N_WHOLES; i++) {
		err = eg_guard_update(guard, wholes[i].map, &slot, wholes[i].value(image));
		if (err)
			return table_error(err, wholes[i].map, EG_SLOTS, error);
	}
	for (size_t i = 0; i < N_TABLES && !err; i++) {
		AUTO_ROWS struct rows rows = rows_of(tables[i].map, tables[i].slot_offset, slot);

		err = tables[i].rows(image, &rows);
		if (!err)
			err = table_fill(guard, tables[i].map, &rows, error);
	}
	return err;
}

/* --- whether they are still what was filled in -------------------------------------------------
 */

/* 1 or 0. */
static int table_is_same(struct eg_guard *guard, const struct table *table, __u32 slot,
			 const struct eg_image *image)
{
	AUTO_ROWS struct rows there = rows_of(table->map, table->slot_offset, slot);
	AUTO_ROWS struct rows wanted = rows_of(table->map, table->slot_offset, slot);
	int err = table->rows(image, &wanted), fd = eg_guard_map(guard, table->map);

	if (!err && fd < 0)
		err = fd;
	if (!err)
		err = eg_map_visit(fd, there.key_size, there.value_size, collect_row, &there);
	if (err)
		return err;
	rows_sort(&there);
	rows_sort(&wanted);
	return there.n == wanted.n &&
	       (!there.n || memcmp(there.data, wanted.data, there.n * row_size(&there)) == 0);
}

/* 1 or 0. */
static int settings_are_same(struct eg_guard *guard, __u32 slot, const struct eg_image *image)
{
	struct eg_config config;
	int err = eg_guard_lookup(guard, EG_MAP_CONFIG, &slot, &config);

	if (err)
		return err;
	config.active_since_ns = image->config.active_since_ns;
	return memcmp(&config, &image->config, sizeof(config)) == 0;
}

/* 1 or 0. */
static int whole_is_same(struct eg_guard *guard, const struct whole *whole, __u32 slot,
			 const struct eg_image *image)
{
	size_t size = eg_maps[whole->map].value_size;
	EG_AUTO_FREE void *value = malloc(size);
	int err = value ? eg_guard_lookup(guard, whole->map, &slot, value) : -ENOMEM;

	if (err)
		return err;
	return memcmp(value, whole->value(image), size) == 0;
}

int eg_guard_check_tables(struct eg_guard *guard, __u32 slot, const struct eg_image *image,
			  const char **ret_what)
{
	int same = settings_are_same(guard, slot, image);

	*ret_what = eg_maps[EG_MAP_CONFIG].what;
	for (size_t i = 0; i < N_WHOLES && same > 0; i++) {
		same = whole_is_same(guard, &wholes[i], slot, image);
		*ret_what = eg_maps[wholes[i].map].what;
	}
	for (size_t i = 0; i < N_TABLES && same > 0; i++) {
		same = table_is_same(guard, &tables[i], slot, image);
		*ret_what = eg_maps[tables[i].map].what;
	}
	return same;
}

/* --- the policy's text ----------------------------------------------------------------------- */

static __u32 chunks_of(size_t len)
{
	return (__u32)((len + EG_POLICY_CHUNK - 1) / EG_POLICY_CHUNK);
}

/* Before anything is written, meta knows how far the slot may be filled: after a crash in between,
 * the next text knows what to clear. */
static int reserve_policy(struct eg_guard *guard, __u32 slot, size_t len)
{
	if (guard->meta.policy_len[slot] >= len)
		return 0;
	guard->meta.policy_len[slot] = len;
	return eg_guard_write_meta(guard);
}

int eg_guard_fill_policy(struct eg_guard *guard, __u32 slot, const char *text, size_t len,
			 struct eg_error *error)
{
	EG_AUTO_FREE struct eg_policy_chunk *chunk = malloc(sizeof(*chunk));
	int fd = eg_guard_map(guard, EG_MAP_POLICY);
	struct eg_policy_key key = {.slot = slot};
	__u32 filled;

	if (fd < 0)
		return table_error(fd, EG_MAP_POLICY, 0, error);
	if (!chunk || reserve_policy(guard, slot, len))
		return table_error(-ENOMEM, EG_MAP_POLICY, 0, error);
	filled = chunks_of(guard->meta.policy_len[slot]);
	for (key.index = chunks_of(len); key.index < filled; key.index++)
		if (bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT)
			return table_error(-errno, EG_MAP_POLICY, 0, error);
	for (key.index = 0; key.index < chunks_of(len); key.index++) {
		size_t offset = (size_t)key.index * EG_POLICY_CHUNK;
		size_t part = len - offset < EG_POLICY_CHUNK ? len - offset : EG_POLICY_CHUNK;

		memset(chunk->text, 0, sizeof(chunk->text));
		memcpy(chunk->text, text + offset, part);
		if (bpf_map_update_elem(fd, &key, chunk, BPF_ANY) < 0)
			return table_error(-errno, EG_MAP_POLICY, max_entries_of(fd), error);
	}
	guard->meta.policy_len[slot] = len;
	return 0;
}
