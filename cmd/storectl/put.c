/* put.c: messages into a folder: see put.h.
 *
 * Called by undelete, import and restore, with stored at work and the account in use.  Bodies are files that
 * stored lends; their digests are made here, as imapd makes them.  What fails: stored, with its own words; a
 * disk.  What must stay true: a message is compared octet by octet before it is taken for one that is
 * there; a checksum alone would some day lose one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/crc.h"
#include "base/files.h"
#include "base/mem.h"
#include "message/digest.h"
#include "message/message.h"
#include "put.h"
#include "store/request.h"

/* ---- what is there already -------------------------------------------------------------------- */

static int
have_cmp(const void *a, const void *b)
{
	const struct have_item *x = a, *y = b;

	return x->size != y->size ? (x->size < y->size ? -1 : 1) :
	    x->crc != y->crc      ? (x->crc < y->crc ? -1 : 1) :
				    (x->uid > y->uid) - (x->uid < y->uid);
}

/* The octets of a message of the folder, mapped.  0 or -errno. */
static int
have_read(const struct have *h, uint32_t uid, struct message *m)
{
	int rc;

	message_init(m, slice(NULL, 0));
	rc = message_open(m, h->view, h->mailbox, uid);
	if (rc == 0)
		rc = message_map(m);
	if (rc < 0)
		message_close(m);
	return rc;
}

/* Messages of older versions have no checksum: it is made once. */
static void
have_sum(const struct have *h, struct have_item *i)
{
	struct message m;

	if (i->crc || have_read(h, i->uid, &m) < 0)
		return;
	i->crc = crc32c(0, message_bytes(&m).p, message_bytes(&m).n);
	message_close(&m);
}

int
have_load(struct have *h, struct store_view *v, uint64_t mailbox)
{
	const struct store_record *rec;
	struct buf all = { 0 };
	struct store_blocks b;
	size_t n;

	*h = (struct have){ .view = v, .mailbox = mailbox };
	if (store_begin(v) < 0)
		return -EIO;
	store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
	b.parts = STORE_RECORDS;
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			const struct have_item item = { rec[i].size, rec[i].digest, rec[i].uid };

			buf_add(&all, &item, sizeof(item));
		}
	store_end(v);
	h->list = (void *)all.p;
	h->n = all.n / sizeof(*h->list);
	h->taken = mem_array(h->n + 1, sizeof(*h->taken));
	for (size_t i = 0; i < h->n; i++)
		have_sum(h, &h->list[i]);
	if (h->n)
		qsort(h->list, h->n, sizeof(*h->list), have_cmp);
	return 0;
}

static bool
have_is(const struct have *h, const struct have_item *i, struct slice text)
{
	struct message m;
	bool same;

	if (have_read(h, i->uid, &m) < 0)
		return false;
	same = slice_eq(message_bytes(&m), text) && !message_is_cut(&m);
	message_close(&m);
	return same;
}

uint32_t
have_take(struct have *h, struct slice text, uint32_t crc)
{
	size_t from = 0, to = h->n;

	while (from < to) {
		size_t at = from + (to - from) / 2;
		const struct have_item *i = &h->list[at];

		if (i->size < text.n || (i->size == text.n && i->crc < crc))
			from = at + 1;
		else
			to = at;
	}
	/* Equal ones that have been taken are kept in front of the others. */
	for (size_t k = from + (from < h->n ? h->taken[from] : 0);
	     k < h->n && h->list[k].size == text.n && h->list[k].crc == crc; k++)
		if (have_is(h, &h->list[k], text)) {
			struct have_item *front = &h->list[from + h->taken[from]++];
			const struct have_item found = h->list[k];

			h->list[k] = *front;
			*front = found;
			return found.uid;
		}
	return 0;
}

void
have_fini(struct have *h)
{
	mem_free(&h->list);
	mem_free(&h->taken);
	h->n = 0;
}

/* ---- a folder --------------------------------------------------------------------------------- */

void
put_open(struct put *p, struct asking *a, struct store_view *v, const char *partition)
{
	*p = (struct put){ .ask = a, .view = v, .partition = partition };
	for (size_t i = 0; i < PUT_MOST; i++)
		p->bodies[i].fd = -1;
}

static bool
put_knows(const struct put *p, struct slice word)
{
	struct slice rest = buf_get(&p->known), w;

	while (store_keyword_next(&rest, &w))
		if (slice_ieq(w, word))
			return true;
	return false;
}

static void
put_know(struct put *p, struct slice word)
{
	buf_slice(&p->known, word);
	buf_char(&p->known, ' ');
	p->nknown++;
}

void
put_folder(struct put *p, uint64_t mailbox, const char *name)
{
	struct store_mailbox m;

	p->mailbox = mailbox;
	p->name = name;
	buf_clear(&p->known);
	p->nknown = 0;
	if (store_begin(p->view) == 0 && store_get_mailbox(p->view, mailbox, &m) == 0)
		for (size_t i = 0; i < m.nkeywords; i++)
			if (m.keywords[i].n)
				put_know(p, m.keywords[i]);
	store_end(p->view);
}

int
put_target(struct asking *a, struct store_view *v, uint64_t account, struct slice name,
    uint64_t *mailbox)
{
	int rc = store_begin(v);

	if (rc == 0)
		rc = store_find_mailbox(v, account, name, mailbox);
	store_end(v);
	if (rc == 0)
		return 0;
	store_create_start(a->client, account, name, store_special_of(name), &a->op, asking_done,
	    a);
	if (!asking_try(a)) {
		fprintf(stderr, "storectl: " SFMT ": %s\n", SARG(name), a->reply.verdict.text);
		return asking_code(a);
	}
	*mailbox = a->reply.mailbox;
	store_subscribe_start(a->client, account, name, true, &a->op, asking_done, a);
	if (!asking_try(a))
		fprintf(stderr, "storectl: " SFMT ": subscription: %s\n", SARG(name),
		    a->reply.verdict.text);
	return 0;
}

/* ---- messages ----------------------------------------------------------------------------------- */

/* Those that a folder has room for.  A message is not left out for a keyword. */
void
put_keywords(struct put *p, struct slice words, struct buf *out)
{
	struct slice word;

	buf_clear(out);
	while (store_keyword_next(&words, &word)) {
		bool fits =
		    store_keyword_ok(word) && (put_knows(p, word) || p->nknown < STORE_KEYWORDS);

		if (!fits) {
			fprintf(stderr, "storectl: %s: the keyword " SFMT " is left out: %s\n",
			    p->name, SARG(word),
			    store_keyword_ok(word) ? "there are too many" : "it is none");
			continue;
		}
		if (!put_knows(p, word))
			put_know(p, word);
		if (out->n)
			buf_char(out, ' ');
		buf_slice(out, word);
	}
}

static int
put_body(struct put *p, struct store_body *b, struct slice text)
{
	struct slice partition = slice_str(p->partition);
	struct asking *a = p->ask;
	int rc;

	if (store_body_take(a->client, partition, b) < 0) {
		store_body_start(a->client, partition, b, &a->op, asking_done, a);
		if (!asking_try(a)) {
			fprintf(stderr, "storectl: %s: %s\n", p->name, a->reply.verdict.text);
			return asking_code(a);
		}
	}
	rc = files_write(b->fd, text.p, text.n);
	if (rc < 0) {
		fprintf(stderr, "storectl: %s: %s\n", p->name, strerror(-rc));
		return EX_IOERR;
	}
	return 0;
}

int
put_message(struct put *p, struct slice text, uint32_t crc, const struct put_meta *meta)
{
	struct store_message *m;
	struct buf *cache;
	int rc = 0;

	/* Those with UIDs are another request, and so are those whose octets came with the last one. */
	if (p->n && (!p->m[0].uid != !meta->uid || !p->m[0].from != !meta->from))
		rc = put_flush(p);
	m = &p->m[p->n];
	cache = &p->caches[p->n];
	if (rc == 0 && !meta->from)
		rc = put_body(p, &p->bodies[p->n], text);
	if (rc)
		return rc;
	buf_clear(cache);
	if (!meta->from)
		message_digest_build(text, cache);
	put_keywords(p, meta->keywords, &p->keywords[p->n]);
	p->emails[p->n] = meta->email;
	*m = (struct store_message){ .body = meta->from ? NULL : &p->bodies[p->n],
		.size = (uint32_t)text.n,
		.flags = meta->flags,
		.zone = meta->zone,
		.internaldate = meta->internaldate,
		.dated = meta->dated,
		.keywords = buf_get(&p->keywords[p->n]),
		.sentday = message_digest_sentday(buf_get(cache)),
		.digest = crc,
		.cache = buf_get(cache),
		.uid = meta->uid,
		.savedate = meta->savedate,
		.from = meta->from,
		.from_uid = meta->from_uid };
	p->bytes += text.n;
	return ++p->n == PUT_MOST || p->bytes > PUT_BYTES ? put_flush(p) : 0;
}

int
put_flush(struct put *p)
{
	const struct store_limits none = STORE_UNASKED;
	struct asking *a = p->ask;
	uint64_t n = p->n, bytes = p->bytes;

	if (n == 0)
		return 0;
	p->n = 0;
	p->bytes = 0;
	if (p->m[0].uid)
		store_restore_start(a->client, &p->restoring, p->m, n, &a->op, asking_done, a);
	else
		store_append_start(a->client, p->mailbox, p->m, n, none, &a->op, asking_done, a);
	if (!asking_try(a)) {
		fprintf(stderr, "storectl: %s: %s\n", p->name, a->reply.verdict.text);
		return asking_code(a);
	}
	p->messages += n;
	p->bytes_put += bytes;
	for (size_t i = 0; p->placed && i < n; i++)
		p->placed(p->placed_arg, p->emails[i], p->mailbox,
		    p->m[i].uid ? p->m[i].uid : a->reply.uid + (uint32_t)i);
	return 0;
}

void
put_close(struct put *p)
{
	for (size_t i = 0; i < PUT_MOST; i++) {
		store_body_put(p->ask->client, &p->bodies[i]);
		buf_fini(&p->caches[i]);
		buf_fini(&p->keywords[i]);
	}
	buf_fini(&p->known);
}
