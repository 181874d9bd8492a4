/* Which tables and which version: what two builds must agree on before one reads the other's store.
 *
 * Owns the list of tables and the row "format" of `meta`.  Called by read.c, the writer, upgrade.c
 * and recover.c when they open an index.  A store can be newer than the program: then it is read as
 * far as that is safe, or refused in words that an administrator can act on.  Nothing here does I/O. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"
#include "store/format.h"

/* clang-format off */
const struct store_table_info store_tables[STORE_TABLES] = {
	/*                       name      version since until optional */
	[STORE_T_META] =      { "meta",    1, 1, 0, 0 },
	[STORE_T_ACCOUNT] =   { "account", 2, 1, 0, 0 },
	[STORE_T_MAILBOX] =   { "mailbox", 2, 1, 0, 0 },
	[STORE_T_NAME] =      { "name",    1, 1, 0, 0 },
	[STORE_T_INDEX] =     { "index",   2, 1, 0, 0 },
	[STORE_T_CACHE] =     { "cache",   2, 1, 0, 1 },
	[STORE_T_TOMBSTONE] = { "tomb",    1, 1, 1, 0 },
	[STORE_T_PURGE] =     { "purge",   1, 1, 0, 0 },
	[STORE_T_DUPE] =      { "dupe",    1, 1, 0, 1 },
	[STORE_T_SUB] =       { "sub",     1, 1, 0, 0 },
	[STORE_T_INTENT] =    { "intent",  1, 1, 0, 0 },
	[STORE_T_CHANGE] =    { "change",  2, 2, 0, 0 },
	[STORE_T_EMAIL] =     { "email",   2, 2, 0, 1 },
	[STORE_T_THREAD] =    { "thread",  2, 2, 0, 1 },
	[STORE_T_ACL] =       { "acl",     1, 2, 0, 0 },
	[STORE_T_STATE] =     { "state",   1, 2, 0, 0 },
	[STORE_T_PENDING] =   { "pending", 1, 2, 0, 0 },
	[STORE_T_ANNOT] =     { "annot",   1, 2, 0, 1 },
	[STORE_T_MARK] =      { "mark",    1, 2, 0, 1 },
	[STORE_T_REF] =       { "ref",     1, 2, 0, 1 },
	[STORE_T_EVENT] =     { "event",   1, 2, 0, 1 },
	[STORE_T_SEEN] =      { "seen",    1, 2, 0, 1 },
};
/* clang-format on */

uint64_t
store_epoch_new(void)
{
	return (1 + random_below(0x7fffffff)) << 32 | 1;
}

bool
store_table_in(enum store_table t, unsigned major)
{
	return store_tables[t].since <= major &&
	    (store_tables[t].until == 0 || store_tables[t].until >= major);
}

void
store_format_write(struct buf *b, int64_t created_at, int64_t upgraded_at)
{
	struct store_disk_format f = { .version = STORE_VERSION,
		.major = STORE_MAJOR,
		.minor = STORE_MINOR,
		.created_at = created_at,
		.upgraded_at = upgraded_at };
	size_t start = b->n;

	buf_add(b, &f, sizeof(f));
	for (enum store_table t = 0; t < STORE_TABLES; t++) {
		const struct store_table_info *i = &store_tables[t];
		struct store_disk_table d = { i->version, i->since, i->optional,
			(uint8_t)strlen(i->name) };

		if (!store_table_in(t, STORE_MAJOR))
			continue;
		buf_add(b, &d, sizeof(d));
		buf_add(b, i->name, d.name_len);
		f.ntables++;
	}
	memcpy(b->p + start, &f, sizeof(f));
}

static int
find_table(struct slice name, enum store_table *t)
{
	for (*t = 0; *t < STORE_TABLES; ++*t)
		if (slice_eq(name, slice_str(store_tables[*t].name)))
			return 0;
	return -ENOENT;
}

/* One line of the row.  0, or -EPROTO: it is critical and not known. */
static int
table_check(const struct store_disk_table *d, struct slice name, struct store_format *f, char **why)
{
	enum store_table t;
	bool known = find_table(name, &t) == 0 && store_table_in(t, f->major) &&
	    d->version <= store_tables[t].version;

	if (known) {
		f->tables |= 1u << t;
		f->older |= d->version < store_tables[t].version;
	}
	if (known || d->optional)
		return 0;
	*why =
	    mem_printf("the store has format %u.%u with table " SFMT " of version %u, which this "
		       "program does not know: it needs a newer one",
		f->major, f->minor, SARG(name), d->version);
	return -EPROTO;
}

int
store_format_check(struct slice row, struct store_format *f, char **why)
{
	struct store_disk_format d;
	int rc = 0;

	*f = (struct store_format){ .major = 1 };
	if (row.n == 0) {
		for (enum store_table t = 0; t < STORE_TABLES; t++)
			if (store_table_in(t, 1))
				f->tables |= 1u << t;
		return 0;
	}
	if (row.n < sizeof(d)) {
		*why = mem_str("the store's format row is damaged");
		return -EPROTO;
	}
	memcpy(&d, row.p, sizeof(d));
	f->major = d.major;
	f->minor = d.minor;
	f->created_at = d.created_at;
	f->upgraded_at = d.upgraded_at;
	if (d.major > STORE_MAJOR) {
		*why = mem_printf("the store has format %u.%u, this program reads formats 1 to %u: "
				  "it needs a newer one",
		    f->major, f->minor, STORE_MAJOR);
		return -EPROTO;
	}
	row = slice_from(row, sizeof(d));
	for (unsigned i = 0; i < d.ntables && rc == 0; i++) {
		struct store_disk_table t;

		if (row.n < sizeof(t) ||
		    (memcpy(&t, row.p, sizeof(t)), row.n < sizeof(t) + t.name_len)) {
			*why = mem_str("the store's format row is damaged");
			return -EPROTO;
		}
		rc = table_check(&t, slice_sub(row, sizeof(t), t.name_len), f, why);
		row = slice_from(row, sizeof(t) + t.name_len);
	}
	for (enum store_table t = 0; t < STORE_TABLES; t++)
		f->older |= store_table_in(t, f->major) && !(f->tables & 1u << t);
	return rc;
}

int
store_intent_parse(struct slice row, struct store_intent *i)
{
	struct store_disk_intent d;

	if (row.n >= 2 &&
	    ((uint8_t)row.p[0] != STORE_VERSION || (uint8_t)row.p[1] < STORE_INTENT_TREE ||
		(uint8_t)row.p[1] > STORE_INTENT_EMPTY))
		return -EPROTO;
	if (row.n < sizeof(d))
		return -EBADMSG;
	memcpy(&d, row.p, sizeof(d));
	if (row.n != sizeof(d) + d.from_len + d.to_len || !d.from_len || !d.to_len)
		return -EBADMSG;
	i->kind = d.kind;
	i->from = slice_sub(row, sizeof(d), d.from_len);
	i->to = slice_from(row, sizeof(d) + d.from_len);
	return 0;
}

uint64_t
store_intent_empties(struct slice row, struct slice *account)
{
	struct store_intent i;
	char id[17];

	if (store_intent_parse(row, &i) < 0 || i.kind != STORE_INTENT_EMPTY ||
	    i.from.n >= sizeof(id) || i.to.n > STORE_ACCOUNT_MAX)
		return 0;
	slice_cstr(i.from, id, sizeof(id));
	*account = i.to;
	return strtoull(id, NULL, 16);
}
