/* Accounts and mailboxes in the writer's memory.
 *
 * A record is read once, changed in memory by any number of jobs of a batch, and put once
 * when the batch ends: that makes a delivery cost O(1) rows however large the mailbox is. */
#include <errno.h>
#include <stdlib.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/write_private.h"

static void
key_set(uint8_t key[8], uint64_t id)
{
	memcpy(key, &id, 8);
}

static struct slice
key_slice(const uint8_t key[8])
{
	return slice((const char *)key, 8);
}

size_t
name_key(uint8_t key[8 + STORE_NAME_MAX + 1], uint64_t account, struct slice name)
{
	must(name.n <= STORE_NAME_MAX);
	store_be64(key, account);
	if (name.n)
		memcpy(key + 8, name.p, name.n);
	return 8 + name.n;
}

/* ---- accounts ------------------------------------------------------------------------------ */

static struct wacct *
acct_remember(struct store_part *p, struct slice name, const struct store_disk_account *d)
{
	struct wacct *a = mem_new(sizeof(*a));

	a->d = *d;
	a->name = mem_strn(name.p, name.n);
	key_set(a->key, d->id);
	map_put(&p->accounts, slice_str(a->name), a);
	map_put(&p->accounts_by_id, key_slice(a->key), a);
	return a;
}

struct wacct *
acct_find(struct store_part *p, struct slice name)
{
	struct wacct *a = map_get(&p->accounts, name);
	struct store_disk_account d;
	struct slice v;

	if (a)
		return a;
	v = row_get(p, STORE_T_ACCOUNT, name.p, name.n);
	if (v.n != sizeof(d))
		return NULL;
	memcpy(&d, v.p, sizeof(d));
	return acct_remember(p, name, &d);
}

/* Ids lead to names through the account's INBOX, which it always has. */
struct wacct *
acct_by_id(struct store_part *p, uint64_t id)
{
	uint8_t key[8 + STORE_NAME_MAX + 1], k8[8];
	struct store_disk_name row;
	struct wacct *a;
	struct wbox *b;
	struct slice v;

	key_set(k8, id);
	a = map_get(&p->accounts_by_id, key_slice(k8));
	if (a)
		return a;
	v = row_get(p, STORE_T_NAME, key, name_key(key, id, S("INBOX")));
	if (v.n != sizeof(row))
		return NULL;
	memcpy(&row, v.p, sizeof(row));
	b = box_find(p, row.mailbox);
	return b ? b->acct : NULL;
}

void
acct_dirty(struct store_part *p, struct wacct *a)
{
	if (a->dirty)
		return;
	a->dirty = true;
	a->next_dirty = p->dirty_accounts;
	p->dirty_accounts = a;
}

struct wacct *
acct_new(struct store_part *p, struct slice name)
{
	struct store_disk_account d = { .version = STORE_VERSION, .created_at = p->now };
	struct wacct *a;

	d.id = NEW_ID(p, account);
	d.modseq = 1;
	a = acct_remember(p, name, &d);
	acct_dirty(p, a);
	return a;
}

/* UIDVALIDITY never comes twice in an account: the clock, but always ascending. */
uint32_t
next_uidvalidity(struct store_part *p, struct wacct *a)
{
	uint32_t v = (uint32_t)p->now;

	if (v <= a->d.uidvalidity)
		v = a->d.uidvalidity + 1;
	a->d.uidvalidity = v;
	acct_dirty(p, a);
	return v;
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

static void
box_free(struct wbox *b)
{
	for (size_t i = 0; i < b->nkeywords; i++)
		mem_free(&b->keywords[i]);
	mem_free(&b->keywords);
	mem_free(&b->runs);
	mem_free(&b->tail);
	mem_free(&b->dir);
	mem_free(&b->name);
	mem_free(&b);
}

void
box_set_name(struct store_part *p, struct wbox *b, const char *name)
{
	struct buf dir = { 0 };

	(void)p;
	store_folder_dir(&dir, slice_str(b->acct->name), slice_str(name));
	mem_free(&b->dir);
	mem_free(&b->name);
	b->name = mem_str(name);
	b->dir = buf_take(&dir);
	memset(b->hh, 0, sizeof(b->hh));
}

static struct wbox *
box_remember(struct store_part *p, struct wacct *a, uint64_t id, const char *name)
{
	struct wbox *b = mem_new(sizeof(*b));

	b->id = id;
	b->acct = a;
	key_set(b->key, id);
	box_set_name(p, b, name);
	map_put(&p->boxes, key_slice(b->key), b);
	return b;
}

static struct wbox *
box_load(struct store_part *p, uint64_t id, struct slice v)
{
	struct store_mailbox m;
	struct wacct *a;
	struct wbox *b;
	char name[STORE_NAME_MAX + 1];

	if (!store_mailbox_crc_ok(v) || store_mailbox_parse(v, id, true, &m) < 0 ||
	    m.name.n > STORE_NAME_MAX) {
		log_event(LOG_ERROR, "store_mailbox", "mailbox=%llx error=damaged",
		    (unsigned long long)id);
		return NULL;
	}
	slice_cstr(m.name, name, sizeof(name));
	a = acct_find(p, m.account_name);
	if (!a)
		return NULL;
	b = box_remember(p, a, id, name);
	memcpy(&b->d, v.p, sizeof(b->d));
	b->nruns = m.nruns;
	if (m.nruns != STORE_RUNS_UNKNOWN && m.nruns) {
		b->runs_room = m.nruns;
		b->runs = mem_array(m.nruns, sizeof(*b->runs));
		memcpy(b->runs, m.runs, m.nruns * sizeof(*b->runs));
	}
	b->nkeywords = m.nkeywords;
	b->keywords = m.nkeywords ? mem_array(m.nkeywords, sizeof(*b->keywords)) : NULL;
	for (size_t i = 0; i < m.nkeywords; i++)
		b->keywords[i] = mem_strn(m.keywords[i].p, m.keywords[i].n);
	return b;
}

struct wbox *
box_find(struct store_part *p, uint64_t id)
{
	uint8_t key[8], be[8];
	struct wbox *b;
	struct slice v;

	key_set(key, id);
	b = map_get(&p->boxes, key_slice(key));
	if (b)
		return b->gone ? NULL : b;
	store_be64(be, id);
	v = row_get(p, STORE_T_MAILBOX, be, 8);
	return v.p ? box_load(p, id, v) : NULL;
}

struct wbox *
box_named(struct store_part *p, struct wacct *a, struct slice name)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	struct store_disk_name row;
	struct slice v;

	if (name.n > STORE_NAME_MAX)
		return NULL;
	v = row_get(p, STORE_T_NAME, key, name_key(key, a->d.id, name));
	if (v.n != sizeof(row))
		return NULL;
	memcpy(&row, v.p, sizeof(row));
	return box_find(p, row.mailbox);
}

struct wbox *
box_inbox(struct store_part *p, struct wacct *a)
{
	if (!a->inbox)
		a->inbox = box_named(p, a, S("INBOX"));
	return a->inbox;
}

void
box_dirty(struct store_part *p, struct wbox *b)
{
	if (b->dirty || b->gone)
		return;
	b->dirty = true;
	b->next_dirty = p->dirty_boxes;
	p->dirty_boxes = b;
}

/* A change in the mailbox: the account's counter moves on, and the subscribers will hear. */
uint64_t
box_touch(struct store_part *p, struct wbox *b)
{
	b->d.highestmodseq = ++b->acct->d.modseq;
	acct_dirty(p, b->acct);
	box_dirty(p, b);
	return b->d.highestmodseq;
}

/* The record, its name row and its account's count.  Names must have been checked. */
struct wbox *
box_new(struct store_part *p, struct wacct *a, const char *name, enum store_special use)
{
	struct wbox *b = box_remember(p, a, NEW_ID(p, mailbox), name);

	b->d = (struct store_disk_mailbox){ .version = STORE_VERSION, .special = (uint8_t)use,
		.account = a->d.id, .uidvalidity = next_uidvalidity(p, a), .uidnext = 1,
		.recent_from = 1, .created_at = p->now };
	a->d.mailboxes++;
	box_touch(p, b);
	name_put(p, b);
	event_add(p, STORE_EV_LIST, a->d.id, b->id, b->d.highestmodseq);
	return b;
}

void
box_forget(struct store_part *p, struct wbox *b)
{
	uint8_t be[8];

	store_be64(be, b->id);
	row_del(p, STORE_T_MAILBOX, be, 8);
	name_del(p, b->acct, b->name);
	b->acct->d.mailboxes--;
	acct_dirty(p, b->acct);
	if (b->acct->inbox == b)
		b->acct->inbox = NULL;
	b->gone = true; /* stays in the map until the batch is over */
	buf_add(&p->gone, &b, sizeof(struct wbox *));
	event_add(p, STORE_EV_DELETED, b->acct->d.id, b->id, ++b->acct->d.modseq);
	event_add(p, STORE_EV_LIST, b->acct->d.id, b->id, b->acct->d.modseq);
}

void
name_put(struct store_part *p, struct wbox *b)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	struct store_disk_name row = { .version = STORE_VERSION, .attrs = b->d.attrs,
		.special = b->d.special, .mailbox = b->id };

	row_put(p, STORE_T_NAME, key, name_key(key, b->acct->d.id, slice_str(b->name)), &row,
	    sizeof(row), 0);
}

void
name_del(struct store_part *p, struct wacct *a, const char *name)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];

	row_del(p, STORE_T_NAME, key, name_key(key, a->d.id, slice_str(name)));
}

/* ---- keywords ----------------------------------------------------------------------------------- */

static int
keyword_find(const struct wbox *b, struct slice word)
{
	for (int i = 0; i < b->nkeywords; i++)
		if (slice_ieq(slice_str(b->keywords[i]), word))
			return i;
	return -1;
}

static int
keyword_make(struct store_part *p, struct wbox *b, struct slice word)
{
	if (b->nkeywords == STORE_KEYWORDS)
		return -1;
	b->keywords = mem_grow(b->keywords, b->nkeywords + 1u, sizeof(*b->keywords));
	b->keywords[b->nkeywords] = mem_strn(word.p, word.n);
	box_dirty(p, b);
	return b->nkeywords++;
}

uint64_t
box_keywords(struct store_part *p, struct wbox *b, struct slice names, bool make)
{
	struct slice word;
	uint64_t bits = 0;

	while (store_keyword_next(&names, &word)) {
		int bit = keyword_find(b, word);

		if (bit < 0 && make)
			bit = keyword_make(p, b, word);
		if (bit >= 0)
			bits |= 1ull << bit;
	}
	return bits;
}

bool
box_keywords_fit(const struct wbox *b, struct slice names)
{
	struct slice word;
	size_t n = b->nkeywords;

	while (store_keyword_next(&names, &word))
		if (keyword_find(b, word) < 0)
			n++;
	return n <= STORE_KEYWORDS;
}

/* ---- rows ----------------------------------------------------------------------------------------- */

static void
box_put(struct store_part *p, struct wbox *b)
{
	size_t nruns = b->nruns == STORE_RUNS_UNKNOWN ? 0 : b->nruns;
	struct store_disk_mailbox d = b->d;
	struct buf *v = &p->scratch;
	uint32_t crc;
	uint8_t be[8];

	d.version = STORE_VERSION;
	d.crc = 0;
	d.nkeywords = b->nkeywords;
	d.nruns = b->nruns;
	d.account_len = (uint16_t)strlen(b->acct->name);
	d.name_len = (uint16_t)strlen(b->name);
	buf_clear(v);
	buf_add(v, &d, sizeof(d));
	if (nruns)
		buf_add(v, b->runs, nruns * sizeof(*b->runs));
	buf_add(v, b->acct->name, d.account_len);
	buf_add(v, b->name, d.name_len);
	for (size_t i = 0; i < b->nkeywords; i++) {
		size_t n = strlen(b->keywords[i]);

		buf_char(v, (char)n);
		buf_add(v, b->keywords[i], n);
	}
	crc = crc32c(0, v->p, v->n);
	memcpy(v->p + offsetof(struct store_disk_mailbox, crc), &crc, sizeof(crc));
	store_be64(be, b->id);
	row_put(p, STORE_T_MAILBOX, be, 8, v->p, v->n, 0);
}

void
flush_dirty(struct store_part *p)
{
	struct wbox *b;
	struct wacct *a;

	while ((b = p->dirty_boxes)) {
		p->dirty_boxes = b->next_dirty;
		b->dirty = false;
		if (b->gone)
			continue;
		box_flush_tail(p, b);
		box_put(p, b);
		event_add(p, STORE_EV_MAILBOX, b->acct->d.id, b->id, b->d.highestmodseq);
	}
	while ((a = p->dirty_accounts)) {
		p->dirty_accounts = a->next_dirty;
		a->dirty = false;
		row_put(p, STORE_T_ACCOUNT, a->name, strlen(a->name), &a->d, sizeof(a->d), 0);
	}
	dup_flush(p);
	if (p->ids_dirty || p->log.changed) {
		p->ids.batch++;
		p->log.numbered = true;
		row_put(p, STORE_T_META, "ids", 3, &p->ids, sizeof(p->ids), 0);
	}
}

void
forget_all(struct store_part *p)
{
	struct wbox *b;
	struct wacct *a;
	size_t at = 0;

	while ((b = map_next(&p->boxes, &at)))
		box_free(b);
	map_fini(&p->boxes);
	p->boxes = (struct map){ 0 };
	at = 0;
	while ((a = map_next(&p->accounts, &at))) {
		mem_free(&a->name);
		mem_free(&a);
	}
	map_fini(&p->accounts);
	map_fini(&p->accounts_by_id);
	p->accounts = p->accounts_by_id = (struct map){ 0 };
	p->dirty_boxes = NULL;
	p->dirty_accounts = NULL;
	buf_clear(&p->gone);
}

void
forget_gone(struct store_part *p)
{
	for (size_t at = 0; at < p->gone.n; at += sizeof(struct wbox *)) {
		struct wbox *b;

		memcpy(&b, p->gone.p + at, sizeof(struct wbox *));
		map_take(&p->boxes, key_slice(b->key));
		box_free(b);
	}
	buf_clear(&p->gone);
}

void
event_add(struct store_part *p, enum store_event_kind kind, uint64_t account, uint64_t mailbox,
    uint64_t modseq)
{
	struct store_event e = { .kind = (uint8_t)kind, .account = account, .mailbox = mailbox,
		.modseq = modseq };

	buf_add(&p->events, &e, sizeof(e));
}
