/* Names of files, folders and accounts, and the mailbox record: tiermail-store(5).
 *
 * Pure; for readers, the writer and the tools.  What can fail is reading what is on disk or in a
 * request: a name or record that is not ours, or damaged, is refused and never guessed at.
 * Names must lead to a file and back without loss, and none may leave its directory (".", "/", a
 * name that is too long), because reconstruct has nothing but them.  Blocks are in format-
 * block.c. */
#include <errno.h>
#include <stdio.h>

#include "base/crc.h"
#include "base/utf8.h"
#include "store/format.h"

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

enum store_special
store_special_of(struct slice name)
{
	static const struct {
		const char *name;
		enum store_special use;
	} folders[] = {
		{ "Sent", STORE_USE_SENT },
		{ "Drafts", STORE_USE_DRAFTS },
		{ "Junk", STORE_USE_JUNK },
		{ "Trash", STORE_USE_TRASH },
		{ "Archive", STORE_USE_ARCHIVE },
	};

	for (size_t i = 0; i < NELEM(folders); i++)
		if (slice_eq(name, slice_str(folders[i].name)))
			return folders[i].use;
	return STORE_USE_NONE;
}

/* ---- names of folders ------------------------------------------------------------------ */

static int
component_check(struct slice part)
{
	size_t n = 1;

	if (part.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < part.n; i++) {
		unsigned char c = (unsigned char)part.p[i];

		if (c < 0x20 || c == 0x7f)
			return -EINVAL;
		n += needs_escape(c) ? 3 : 1;
	}
	return n <= STORE_PART_MAX ? 0 : -ENAMETOOLONG;
}

int
store_name_check(struct slice name, char *canonical)
{
	struct slice rest = name, part;
	int depth = 0;

	if (name.n == 0 || name.p[name.n - 1] == STORE_SEPARATOR || !utf8_valid(name))
		return -EINVAL;
	if (name.n > STORE_NAME_MAX)
		return -ENAMETOOLONG;
	while (slice_cut(&rest, STORE_SEPARATOR, &part)) {
		int r = component_check(part);

		if (r < 0)
			return r;
		if (++depth > STORE_DEPTH_MAX)
			return -ENAMETOOLONG;
	}
	memcpy(canonical, name.p, name.n);
	canonical[name.n] = 0;
	if (slice_istarts(name, S("inbox")) && (name.n == 5 || name.p[5] == STORE_SEPARATOR))
		memcpy(canonical, "INBOX", 5);
	return 0;
}

bool
store_name_new_ok(struct slice name)
{
	struct slice part;

	while (slice_cut(&name, STORE_SEPARATOR, &part))
		if (slice_eq(part, S(".")) || slice_eq(part, S("..")))
			return false;
	return true;
}

int
store_account_check(struct slice account)
{
	size_t n = 1;

	if (account.n == 0 || account.n > STORE_ACCOUNT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < account.n; i++) {
		unsigned char c = (unsigned char)account.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) { /* most are, and it is
									   asked often */
			n++;
			continue;
		}
		if (c <= 0x20 || c == 0x7f || c == '/' || (c >= 'A' && c <= 'Z'))
			return -EINVAL;
		n += needs_escape(c) ? 3 : 1;
	}
	return n <= 255 ? 0 : -EINVAL;
}

/* ---- limits ------------------------------------------------------------------------------- */

/* Without a product that overflows; `limit` 0 is none. */
static bool
limit_reached(uint64_t used, uint64_t limit, uint32_t percent)
{
	return limit && used >= limit / 100 * percent + (limit % 100 * percent + 99) / 100;
}

bool
store_limits_near(const struct store_limits *l, uint64_t bytes, uint64_t messages, uint32_t percent)
{
	return percent &&
	    (limit_reached(bytes, l->bytes, percent) ||
		limit_reached(messages, l->messages, percent));
}

/* ---- records ------------------------------------------------------------------------------ */

/* A row without the room behind its last entry, which has no part in the checksum.  Heads that are
 * damaged may lead anywhere within it: then the checksum is wrong. */
static struct slice
row_filled(struct slice value, size_t at, size_t n, size_t size)
{
	return at ? slice_sub(value, 0, at + n * size) : value;
}

size_t
store_row_room(size_t n)
{
	return (n + STORE_ROOM - 1) / STORE_ROOM * STORE_ROOM;
}

bool
store_mailbox_crc_ok(struct slice value)
{
	struct store_disk_mailbox d;
	const size_t n = STORE_MAILBOX_V1;
	uint32_t crc;

	if (store_mailbox_head(value, &d) < 0)
		return false;
	value = row_filled(value, d.arrivals_at, d.narrivals, d.arrival);
	if (value.n < n)
		return false;
	memcpy(&d, value.p, n);
	crc = d.crc;
	d.crc = 0;
	return crc32c(crc32c(0, &d, n), value.p + n, value.n - n) == crc;
}

bool
store_account_crc_ok(struct slice value)
{
	struct store_disk_account d;
	uint32_t crc;

	if (store_value_read(value, STORE_ACCOUNT_V1, &d, sizeof(d)) < 0)
		return false;
	value = row_filled(value, d.head, d.nnews, d.news);
	if (value.n < STORE_ACCOUNT_V1)
		return false;
	memcpy(&d, value.p, STORE_ACCOUNT_V1);
	crc = d.crc;
	d.crc = 0;
	return crc == 0 ||
	    crc32c(crc32c(0, &d, STORE_ACCOUNT_V1), value.p + STORE_ACCOUNT_V1,
		value.n - STORE_ACCOUNT_V1) == crc;
}

int
store_account_parse(struct slice value, struct store_disk_account *d, struct store_news_list *news)
{
	*news = (struct store_news_list){ 0 };
	if (store_value_read(value, STORE_ACCOUNT_V1, d, sizeof(*d)) < 0 ||
	    d->version != STORE_VERSION)
		return -EBADMSG;
	if (d->head < STORE_ACCOUNT_V2) { /* what was read from there on is not ours */
		memset(&d->head, 0, sizeof(*d) - offsetof(struct store_disk_account, head));
		return 0;
	}
	if (d->head < sizeof(*d))
		memset((char *)d + d->head, 0, sizeof(*d) - d->head);
	if (d->nnews == 0)
		return 0;
	if (d->news < sizeof(struct store_news) || d->head + (size_t)d->nnews * d->news > value.n)
		return -EBADMSG;
	*news = (struct store_news_list){ value.p + d->head, d->nnews, d->news };
	return 0;
}

struct store_news
store_news_at(const struct store_news_list *list, size_t i)
{
	struct store_news n;

	memcpy(&n, list->p + i * list->size, sizeof(n));
	return n;
}

size_t
store_cache_places(struct slice value, const char **p)
{
	struct store_places_end end;
	size_t size;

	if (value.n < sizeof(end))
		return 0;
	memcpy(&end, value.p + value.n - sizeof(end), sizeof(end));
	size = sizeof(end) + end.count * sizeof(struct store_place_entry);
	if (end.magic != STORE_PLACES_MAGIC || end.zero || size > value.n)
		return 0;
	*p = value.p + value.n - size;
	return end.count;
}

struct store_place_entry
store_place_at(const char *p, size_t i)
{
	struct store_place_entry e;

	memcpy(&e, p + i * sizeof(e), sizeof(e));
	return e;
}

static int
keywords_parse(struct slice rest, struct store_mailbox *m)
{
	m->keywords_id = crc32c(0, rest.p, rest.n);
	for (size_t i = 0; i < m->nkeywords; i++) {
		size_t n = rest.n ? (unsigned char)rest.p[0] : 0;

		if (rest.n == 0 || n + 1 > rest.n)
			return -EBADMSG;
		m->keywords[i] = slice(rest.p + 1, n);
		rest = slice_from(rest, n + 1);
	}
	return 0;
}

int
store_mailbox_head(struct slice value, struct store_disk_mailbox *d)
{
	if (store_value_read(value, STORE_MAILBOX_V1, d, sizeof(*d)) < 0 ||
	    d->version != STORE_VERSION)
		return -EBADMSG;
	if (d->head == 0)
		d->head = STORE_MAILBOX_V1;
	if (d->head < sizeof(*d)) /* what was read behind it are runs */
		memset((char *)d + d->head, 0, sizeof(*d) - d->head);
	return d->head < STORE_MAILBOX_V1 || d->head > value.n ? -EBADMSG : 0;
}

/* Their UIDs ascend, and each was given out: walks rely on it. */
static int
arrivals_parse(struct slice value, const struct store_disk_mailbox *d, struct store_mailbox *m)
{
	uint32_t last = 0;

	m->narrivals = d->narrivals;
	m->arrival = d->arrival;
	m->arrivals = value.p + d->arrivals_at;
	if (d->narrivals == 0)
		return 0;
	if (d->narrivals > STORE_BLOCK || d->arrival < sizeof(struct store_record) ||
	    d->arrivals_at + (size_t)d->narrivals * d->arrival > value.n)
		return -EBADMSG;
	for (size_t i = 0; i < d->narrivals; i++) {
		uint32_t uid;

		memcpy(&uid, m->arrivals + i * d->arrival + offsetof(struct store_record, uid),
		    sizeof(uid));
		if (uid <= last || uid >= d->uidnext)
			return -EBADMSG;
		last = uid;
	}
	return 0;
}

struct store_record
store_mailbox_arrival(const struct store_mailbox *m, size_t i)
{
	struct store_record rec;

	memcpy(&rec, m->arrivals + i * m->arrival, sizeof(rec));
	return rec;
}

uint16_t
store_arrival_check(const struct store_record *rec)
{
	struct store_record r = *rec;

	r.check = 0;
	return (uint16_t)crc32c(0, &r, sizeof(r));
}

bool
store_mailbox_arrived(struct slice row, uint32_t uid)
{
	struct store_mailbox m;

	if (store_mailbox_parse(row, 0, false, &m) < 0)
		return false;
	for (size_t i = 0; i < m.narrivals; i++)
		if (store_mailbox_arrival(&m, i).uid == uid)
			return true;
	return false;
}

int
store_mailbox_parse(struct slice value, uint64_t id, bool keywords, struct store_mailbox *m)
{
	struct store_disk_mailbox d;
	size_t runs, need;

	if (store_mailbox_head(value, &d) < 0)
		return -EBADMSG;
	runs = d.nruns == STORE_RUNS_UNKNOWN ? 0 : d.nruns;
	need = d.head + runs * sizeof(struct store_range) + d.account_len + d.name_len;
	if (runs > STORE_RUNS || d.nkeywords > STORE_KEYWORDS || need > value.n)
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
	m->objectid = d.objectid;
	m->runs = value.p + d.head;
	m->account_name = slice(m->runs + runs * sizeof(struct store_range), d.account_len);
	m->name = slice(m->account_name.p + d.account_len, d.name_len);
	if (arrivals_parse(value, &d, m) < 0)
		return -EBADMSG;
	if (d.arrivals_at && d.arrivals_at < need)
		return -EBADMSG;
	return keywords ?
	    keywords_parse(slice_sub(value, need, (d.arrivals_at ? d.arrivals_at : value.n) - need),
		m) :
	    0;
}

struct store_range
store_mailbox_run(const struct store_mailbox *m, size_t i)
{
	struct store_range r;

	memcpy(&r, m->runs + i * sizeof(r), sizeof(r));
	return r;
}
