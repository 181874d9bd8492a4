/* Names of files and records of the store: tiermail-store(5). */
#include <errno.h>
#include <stdio.h>

#include "base/crc.h"
#include "base/utf8.h"
#include "store/format.h"

const char *const store_table_names[STORE_TABLES] = {
	"meta", "account", "mailbox", "name", "index", "cache", "tomb", "purge", "dupe", "sub", "intent",
};

const char *
store_special_name(enum store_special use)
{
	static const char *const names[] = {
		[STORE_USE_DRAFTS] = "\\Drafts",
		[STORE_USE_SENT] = "\\Sent",
		[STORE_USE_JUNK] = "\\Junk",
		[STORE_USE_TRASH] = "\\Trash",
		[STORE_USE_ARCHIVE] = "\\Archive",
		[STORE_USE_ALL] = "\\All",
		[STORE_USE_FLAGGED] = "\\Flagged",
	};

	return (size_t)use < NELEM(names) ? names[use] : NULL;
}

/* ---- names of files ------------------------------------------------------------------- */

static bool
needs_escape(unsigned char c)
{
	return c < 0x20 || c == '/' || c == '%' || c == 0x7f;
}

void
store_component_write(struct buf *b, struct slice component)
{
	buf_char(b, '=');
	for (size_t i = 0; i < component.n; i++) {
		unsigned char c = (unsigned char)component.p[i];

		if (needs_escape(c))
			buf_printf(b, "%%%02X", c);
		else
			buf_char(b, (char)c);
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
store_component_parse(struct slice name, struct buf *b)
{
	if (name.n < 2 || name.p[0] != '=')
		return -EBADMSG;
	for (size_t i = 1; i < name.n; i++) {
		int hi, lo;

		if (name.p[i] != '%') {
			buf_char(b, name.p[i]);
			continue;
		}
		if (name.n - i < 3 || (hi = hex_digit(name.p[i + 1])) < 0 ||
		    (lo = hex_digit(name.p[i + 2])) < 0)
			return -EBADMSG;
		buf_char(b, (char)(hi * 16 + lo));
		i += 2;
	}
	return 0;
}

void
store_account_dir(struct buf *b, struct slice account)
{
	uint32_t h = crc32c(0, account.p, account.n);

	buf_printf(b, "=user/%02x/%02x/", h & 0xff, h >> 8 & 0xff);
	store_component_write(b, account);
}

void
store_folder_dir(struct buf *b, struct slice account, struct slice folder)
{
	struct slice part;

	store_account_dir(b, account);
	while (slice_cut(&folder, STORE_SEPARATOR, &part)) {
		buf_char(b, '/');
		store_component_write(b, part);
	}
}

void
store_deleted_dir(struct buf *b, uint64_t mailbox)
{
	buf_printf(b, "=deleted/%016llx", (unsigned long long)mailbox);
}

void
store_message_name(struct buf *b, uint32_t uid)
{
	static const char hex[] = "0123456789abcdef";
	char dir[4] = { '/', hex[uid >> 12 & 15], hex[uid >> 8 & 15], '/' };

	buf_add(b, dir, 4);
	buf_u64(b, uid);
	buf_lit(b, ".msg");
}

/* ---- names of folders ------------------------------------------------------------------ */

static bool
component_ok(struct slice part)
{
	size_t n = 1;

	if (part.n == 0)
		return false;
	for (size_t i = 0; i < part.n; i++) {
		unsigned char c = (unsigned char)part.p[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		n += needs_escape(c) ? 3 : 1;
	}
	return n <= STORE_PART_MAX;
}

int
store_name_check(struct slice name, char *canonical)
{
	struct slice rest = name, part;
	int depth = 0;

	if (name.n == 0 || name.n > STORE_NAME_MAX || name.p[name.n - 1] == STORE_SEPARATOR ||
	    !utf8_valid(name))
		return -EINVAL;
	while (slice_cut(&rest, STORE_SEPARATOR, &part))
		if (!component_ok(part) || ++depth > STORE_DEPTH_MAX)
			return -EINVAL;
	memcpy(canonical, name.p, name.n);
	canonical[name.n] = 0;
	if (slice_istarts(name, S("inbox")) && (name.n == 5 || name.p[5] == STORE_SEPARATOR))
		memcpy(canonical, "INBOX", 5);
	return 0;
}

int
store_account_check(struct slice account)
{
	size_t n = 1;

	if (account.n == 0 || account.n > STORE_ACCOUNT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < account.n; i++) {
		unsigned char c = (unsigned char)account.p[i];

		if (c <= 0x20 || c == 0x7f || c == '/' || (c >= 'A' && c <= 'Z'))
			return -EINVAL;
		n += needs_escape(c) ? 3 : 1;
	}
	return n <= 255 ? 0 : -EINVAL;
}

/* ---- records ------------------------------------------------------------------------------ */

bool
store_mailbox_crc_ok(struct slice value)
{
	struct store_disk_mailbox d;
	uint32_t crc;

	if (value.n < sizeof(d))
		return false;
	memcpy(&d, value.p, sizeof(d));
	crc = d.crc;
	d.crc = 0;
	return crc32c(crc32c(0, &d, sizeof(d)), value.p + sizeof(d), value.n - sizeof(d)) == crc;
}

static int
keywords_parse(struct slice rest, struct store_mailbox *m)
{
	for (size_t i = 0; i < m->nkeywords; i++) {
		size_t n = rest.n ? (unsigned char)rest.p[0] : 0;

		if (n == 0 || n + 1 > rest.n)
			return -EBADMSG;
		m->keywords[i] = slice(rest.p + 1, n);
		rest = slice_from(rest, n + 1);
	}
	return 0;
}

int
store_mailbox_parse(struct slice value, uint64_t id, bool keywords, struct store_mailbox *m)
{
	struct store_disk_mailbox d;
	size_t runs, need;

	if (value.n < sizeof(d))
		return -EBADMSG;
	memcpy(&d, value.p, sizeof(d));
	runs = d.nruns == STORE_RUNS_UNKNOWN ? 0 : d.nruns;
	need = sizeof(d) + runs * sizeof(struct store_range) + d.account_len + d.name_len;
	if (d.version != STORE_VERSION || runs > STORE_RUNS || d.nkeywords > STORE_KEYWORDS ||
	    need > value.n)
		return -EBADMSG;
	m->id = id;
	m->account = d.account;
	m->uidvalidity = d.uidvalidity;
	m->uidnext = d.uidnext;
	m->exists = d.exists;
	m->unseen = d.unseen;
	m->deleted = d.deleted;
	m->recent = d.recent;
	m->recent_from = d.recent_from;
	m->first_unseen = d.first_unseen;
	m->highestmodseq = d.highestmodseq;
	m->bytes = d.bytes;
	m->created_at = d.created_at;
	m->vanished_from = d.vanished_from;
	m->attrs = d.attrs;
	m->special = d.special;
	m->nkeywords = d.nkeywords;
	m->nruns = d.nruns;
	m->runs = value.p + sizeof(d);
	m->account_name = slice(m->runs + runs * sizeof(struct store_range), d.account_len);
	m->name = slice(m->account_name.p + d.account_len, d.name_len);
	return keywords ? keywords_parse(slice_from(value, need), m) : 0;
}

struct store_range
store_mailbox_run(const struct store_mailbox *m, size_t i)
{
	struct store_range r;

	memcpy(&r, m->runs + i * sizeof(r), sizeof(r));
	return r;
}

const struct store_record *
store_block_parse(struct slice value, size_t *n)
{
	struct store_block_head h;

	*n = 0;
	if (value.n < sizeof(h))
		return NULL;
	memcpy(&h, value.p, sizeof(h));
	if (h.version != STORE_VERSION || h.count == 0 || h.count > STORE_BLOCK ||
	    value.n != sizeof(h) + h.count * sizeof(struct store_record))
		return NULL;
	*n = h.count;
	return (const struct store_record *)(const void *)(value.p + sizeof(h));
}
