/* storectl restore: messages, put back.
 *
 * Called by restore.c for each frame, with the account open, or not at all when it is not wanted: then
 * octets are only remembered by their place in the stream.  What comes behind all that a folder of the same
 * UIDVALIDITY has given out has its former UIDs; all else is merged: what is there, octet by octet, stays, and the rest
 * comes under new UIDs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "message/message.h"
#include "restore.h"

#define RESTORE_GONE 256 /* messages that one request expunges */

bool
restore_asked(struct restoring *r, const char *what)
{
	if (asking_try(&r->ask))
		return true;
	restore_bad(r, r->ask.reply.verdict.text);
	fprintf(stderr, "storectl: %s: %s\n", r->account, what);
	r->rc = asking_code(&r->ask);
	return false;
}

/* ---- messages ------------------------------------------------------------------------------------- */

/* The octets that an earlier message of the stream had, from the store or from the stream itself. */
static bool
octets_again(struct restoring *r, const struct idmap_entry *e)
{
	struct backup_reader frames = { .at = e->at, .number = e->number };
	struct buf in = { 0 };
	struct backup_frame f;
	const char *why;
	uint64_t at = e->at;
	struct message m;
	int n = 0;

	if (e->uid && e->mailbox >> 48 == r->mailbox >> 48) {
		message_init(&m, slice(NULL, 0));
		if (message_open(&m, r->view, e->mailbox, e->uid) == 0 && message_map(&m) == 0 &&
		    !message_is_cut(&m))
			buf_slice(&r->m.octets, message_bytes(&m));
		message_close(&m);
		if (r->m.octets.n != r->m.size)
			buf_clear(&r->m.octets);
	}
	while (r->m.octets.n < r->m.size) {
		char *p = buf_reserve(&in, BACKUP_HEAD + BACKUP_PIECE);
		ssize_t got = pread(r->fd, p, BACKUP_HEAD + BACKUP_PIECE, (off_t)at);

		in.n = got > 0 ? (size_t)got : 0;
		n = backup_read(&frames, buf_get(&in), &f, &why);
		if (n <= 0 || f.kind != BACKUP_OCTETS)
			break;
		buf_slice(&r->m.octets, f.text);
		at = frames.at;
		buf_clear(&in);
	}
	buf_fini(&in);
	return r->m.octets.n == r->m.size;
}

/* A message with all that it has. */
static void
message_put(struct restoring *r)
{
	struct slice text = buf_get(&r->m.octets);
	struct put_meta *meta = &r->m.meta;
	uint32_t uid;
	int rc;

	r->m.open = false;
	if (!r->wanted || r->run->dry) {
		r->messages += r->wanted;
		return;
	}
	if (!r->mailbox) {
		restore_bad(r, "a message without a folder");
		return;
	}
	if (text.n && r->m.crc && r->m.crc != crc32c(0, text.p, text.n)) {
		restore_bad(r, "octets whose checksum is another's; the message is left out");
		return;
	}
	/* In a copy that nobody changes a new UID is a new message, whatever other has the same octets. */
	uid = text.n && !(r->run->exact && r->keeps && r->m.uid >= r->now_next) ?
	    have_take(&r->have, text, crc32c(0, text.p, text.n)) :
	    0;
	if (uid) {
		restore_placed(r, r->m.email, r->mailbox, uid);
		r->there++;
		return;
	}
	meta->keywords = buf_get(&r->m.keywords);
	meta->email = r->m.email;
	meta->uid = 0;
	if (r->keeps && r->m.uid >= r->now_next) {
		meta->uid = r->m.uid;
		r->now_next = r->m.uid + 1;
		r->now_validity = r->uidvalidity;
		r->messages++;
	} else {
		meta->from = 0;
		r->now_next++; /* that UID is taken then */
		r->merged++;
	}
	rc = put_message(&r->put, text, text.n ? crc32c(0, text.p, text.n) : 0, meta);
	if (rc) {
		restore_bad(r, "what was in hand is not sure");
		r->rc = rc;
	}
}

/* Its octets were in the stream before: one more name of the same file, where that can be. */
static void
message_same(struct restoring *r)
{
	const struct idmap_entry *e = idmap_find(&r->emails, r->m.email);

	if (e && !e->uid && r->opened) { /* it may be in hand */
		int rc = put_flush(&r->put);

		if (rc) {
			restore_bad(r, "what was in hand is not sure");
			r->rc = rc;
			return;
		}
	}
	r->m.meta.from = 0;
	if (!r->wanted || r->run->dry)
		message_put(r);
	else if (!e || !r->mailbox)
		restore_bad(r, "octets that were before, but were not");
	else if (e->uid && e->mailbox >> 48 == r->mailbox >> 48 && r->keeps && !r->have.n &&
	    r->m.uid >= r->now_next) {
		r->m.meta.from = e->mailbox;
		r->m.meta.from_uid = e->uid;
		message_put(r);
	} else if (octets_again(r, e))
		message_put(r);
	else
		restore_bad(r,
		    "octets that stand earlier in the stream, which cannot be read again");
}

/* Not larger than `most` either way; else 0. */
static int64_t
restore_signed(struct slice line, const char *key, int64_t most)
{
	struct slice v = kv_find(line, key);
	bool minus = v.n && v.p[0] == '-';
	uint64_t n;

	if (!v.p || slice_u64(slice_from(v, minus), (uint64_t)most, &n) != 0)
		return 0;
	return minus ? -(int64_t)n : (int64_t)n;
}

void
restore_message(struct restoring *r, struct slice line)
{
	struct restore_message *m = &r->m;
	struct idmap_entry *e;

	buf_clear(&m->keywords);
	buf_clear(&m->octets);
	m->uid = restore_number32(line, "uid");
	m->size = restore_number32(line, "size");
	m->crc = restore_number32(line, "crc");
	m->email = restore_number(line, "email");
	m->same = restore_number(line, "same");
	m->meta =
	    (struct put_meta){ .flags = (uint16_t)restore_number(line, "flags") & STORE_FLAGS_ALL,
		    .savedate = restore_number32(line, "saved") };
	m->meta.dated = true;
	m->meta.internaldate = restore_signed(line, "at", STORE_DATE_MOST);
	m->meta.zone = (int16_t)restore_signed(line, "zone", 24 * 60);
	(void)!kv_decode(&m->keywords, kv_find(line, "keywords"));
	if (!m->uid || !m->size || !m->email || m->uid == UINT32_MAX) {
		restore_bad(r, "a message without a UID, size or content");
		return;
	}
	if (m->same) {
		message_same(r);
		return;
	}
	m->open = true;
	e = idmap_add(&r->emails, m->email);
	e->at = r->frames.at;
	e->number = r->frames.number;
}

void
restore_octets(struct restoring *r, struct slice text)
{
	struct restore_message *m = &r->m;

	if (!m->open || text.n > m->size - m->octets.n) {
		restore_bad(r, "octets that belong to no message");
		r->rc = EX_DATAERR;
		return;
	}
	buf_slice(&m->octets, text);
	if (m->octets.n == m->size)
		message_put(r);
}

/* ---- what has changed since an earlier backup ----------------------------------------------------------- */

/* The messages of a range that the stream can know of: what has come into the store since it was made, also
 * by a merge, is another message under the same UID.  struct store_range each. */
static void
known_then(struct restoring *r, struct store_range range, struct buf *out)
{
	const struct store_record *rec;
	struct store_blocks blocks;
	size_t n;

	if (store_begin(r->view) < 0)
		exit(EX_OSERR);
	store_blocks_init(&blocks, r->view, r->mailbox, range.first, range.last);
	while ((rec = store_blocks_next(&blocks, &n)))
		for (size_t i = 0; i < n; i++) {
			const struct store_range one = { rec[i].uid, rec[i].uid };

			if (rec[i].uid >= range.first && rec[i].uid <= range.last &&
			    rec[i].savedate <= r->made_at)
				buf_add(out, &one, sizeof(one));
		}
	store_end(r->view);
}

void
restore_state(struct restoring *r, struct slice line)
{
	uint32_t uid = restore_number32(line, "uid");
	const struct store_range one = { uid, uid };
	struct store_change change = { .how = STORE_SET };
	struct buf words = { 0 }, keywords = { 0 }, known = { 0 };

	r->states += r->wanted;
	if (!r->mailbox || !r->keeps || !uid || r->rc)
		return;
	if (r->put.n && put_flush(&r->put) != 0) {
		restore_bad(r, "what was in hand is not sure");
		r->rc = EX_SOFTWARE;
		return;
	}
	known_then(r, one, &known);
	(void)!kv_decode(&words, kv_find(line, "keywords"));
	put_keywords(&r->put, buf_get(&words), &keywords);
	change.flags = (uint16_t)restore_number(line, "flags") & STORE_FLAGS_ALL;
	change.keywords = buf_get(&keywords);
	if (known.n) {
		store_flags_start(r->ask.client, r->mailbox, &one, 1, &change, &r->ask.op,
		    asking_done, &r->ask);
		(void)restore_asked(r, r->folder);
	}
	buf_fini(&known);
	buf_fini(&words);
	buf_fini(&keywords);
}

void
restore_gone(struct restoring *r, struct slice line)
{
	const struct store_range gone = { restore_number32(line, "first"),
		restore_number32(line, "last") };
	const struct store_range *list;
	struct buf known = { 0 };

	if (!r->mailbox || !r->keeps || !gone.first || gone.last < gone.first || r->rc)
		return;
	known_then(r, gone, &known);
	list = (const void *)known.p;
	for (size_t i = 0, n; i < known.n / sizeof(*list) && !r->rc; i += n) {
		n = known.n / sizeof(*list) - i;
		if (n > RESTORE_GONE)
			n = RESTORE_GONE;
		store_expunge_start(r->ask.client, r->mailbox, &list[i], n, true, &r->ask.op,
		    asking_done, &r->ask);
		if (restore_asked(r, r->folder))
			r->gone += n;
	}
	buf_fini(&known);
}
