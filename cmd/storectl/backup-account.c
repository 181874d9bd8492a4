/* storectl backup: an account as frames: its folders, messages, rights, and what has changed.
 *
 * Called by backup.c for each account in its turn.  What has to agree is read in one snapshot, none is kept
 * while a file is read.  A message that is expunged meanwhile is there as long as it is not purged; one
 * that cannot be read is told and left out.  Octets that cannot be written end the run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "backup.h"
#include "base/crc.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/mem.h"
#include "message/message.h"

#define BACKUP_GATHER (1024 * 1024) /* octets that are written together */

/* ---- the stream ---------------------------------------------------------------------------------- */

void
backup_flush(struct backing *b)
{
	int rc = 0;

	if (b->out.n && !b->rc)
		rc = b->write ? b->write(b->write_arg, buf_get(&b->out)) :
				files_write(b->fd, b->out.p, b->out.n);

	b->written += b->out.n;
	buf_clear(&b->out);
	if (rc < 0) {
		fprintf(stderr, "storectl: %s: %s\n", b->to, strerror(-rc));
		b->rc = EX_IOERR;
	}
}

/* What b->line says. */
void
backup_frame(struct backing *b, char kind)
{
	backup_write(&b->writer, &b->out, kind, buf_get(&b->line));
	buf_clear(&b->line);
	if (b->out.n >= BACKUP_GATHER && !b->looking)
		backup_flush(b);
}

/* From here to backup_looked frames are gathered, of what an account has at most: who takes the stream may take his
 * time, and the partition grows while a snapshot is open. */
static void
backup_look(struct backing *b)
{
	if (store_begin(b->view) < 0)
		exit(EX_OSERR);
	b->looking = true;
}

static void
backup_looked(struct backing *b)
{
	store_end(b->view);
	b->looking = false;
}

static void
backup_octets(struct backing *b, struct slice text)
{
	while (text.n) {
		struct slice piece = slice_sub(text, 0, BACKUP_PIECE);

		backup_write(&b->writer, &b->out, BACKUP_OCTETS, piece);
		if (b->out.n >= BACKUP_GATHER)
			backup_flush(b);
		text = slice_from(text, piece.n);
	}
}

void
backup_seen(struct idmap *m, uint64_t account, uint64_t modseq, uint64_t made)
{
	struct idmap_entry *e = idmap_add(m, account);

	e->at = modseq;
	e->mailbox = made;
}

/* ---- messages ---------------------------------------------------------------------------------------- */

static void
backup_keywords(struct backing *b, uint64_t keywords)
{
	struct buf words = { 0 };

	for (unsigned k = 0; k < STORE_KEYWORDS; k++)
		if (keywords >> k & 1 && b->keywords[k]) {
			if (words.n)
				buf_char(&words, ' ');
			buf_str(&words, b->keywords[k]);
		}
	if (words.n)
		kv_put(&b->line, "keywords", buf_get(&words));
	buf_fini(&words);
}

static void
backup_message_line(struct backing *b, const struct store_record *r, uint32_t crc, bool same)
{
	buf_lit(&b->line, "message");
	kv_put_u64(&b->line, "uid", r->uid);
	kv_put_u64(&b->line, "size", r->size);
	kv_put_u64(&b->line, "flags", r->flags);
	kv_put_i64(&b->line, "at", r->internaldate);
	kv_put_i64(&b->line, "zone", r->zone);
	kv_put_u64(&b->line, "saved", r->savedate);
	kv_put_u64(&b->line, "email", r->emailid);
	kv_put_u64(&b->line, "crc", crc);
	if (same)
		kv_put_u64(&b->line, "same", 1);
	backup_keywords(b, r->keywords);
	backup_frame(b, BACKUP_MESSAGE);
	b->messages++;
}

static void
backup_message(struct backing *b, uint64_t mailbox, const struct store_record *r)
{
	struct message m;
	uint32_t crc;
	int rc;

	if (idmap_find(&b->seen, r->emailid)) {
		backup_message_line(b, r, r->digest, true);
		return;
	}
	message_init(&m, slice(NULL, 0));
	rc = message_open(&m, b->view, mailbox, r->uid);
	if (rc == 0)
		rc = message_map(&m);
	crc = rc == 0 ? crc32c(0, message_bytes(&m).p, message_bytes(&m).n) : 0;
	if (rc == 0 && (message_is_cut(&m) || message_bytes(&m).n != r->size))
		rc = -EIO;
	if (rc == 0) {
		if (r->digest && r->digest != crc) {
			fprintf(stderr,
			    "storectl: %s: %s: UID %u: its octets are not those that came in; they "
			    "are backed up as they are\n",
			    b->account, b->folder, r->uid);
			b->failed++;
		}
		backup_message_line(b, r, crc, false);
		backup_octets(b, message_bytes(&m));
		(void)idmap_add(&b->seen, r->emailid);
		b->octets += r->size;
	} else if (rc != -ENOENT) { /* that one is expunged and purged since */
		fprintf(stderr, "storectl: %s: %s: UID %u: %s; it is left out\n", b->account,
		    b->folder, r->uid, strerror(-rc));
		b->failed++;
		b->left_out++;
	}
	message_close(&m);
}

static void
backup_state(struct backing *b, const struct store_record *r)
{
	buf_lit(&b->line, "state");
	kv_put_u64(&b->line, "uid", r->uid);
	kv_put_u64(&b->line, "flags", r->flags);
	backup_keywords(b, r->keywords);
	backup_frame(b, BACKUP_STATE);
	b->states++;
}

/* ---- a folder -------------------------------------------------------------------------------------------- */

static int
change_cmp(const void *a, const void *b)
{
	const struct backup_change *x = a, *y = b;

	return x->mailbox != y->mailbox      ? (x->mailbox < y->mailbox ? -1 : 1) :
	    x->range.first != y->range.first ? (x->range.first < y->range.first ? -1 : 1) :
					       0;
}

static void
backup_changes(struct backing *b, uint64_t account, uint64_t since)
{
	struct store_change_walk c = { .account = account, .since = since };

	buf_clear(&b->changes);
	while (store_change_next(b->view, &c))
		for (size_t i = 0; i < c.count || (i == 0 && c.kind == STORE_CHANGE_FOLDER); i++) {
			struct backup_change one = { .mailbox = c.mailbox };

			if (c.kind == STORE_CHANGE_NEW)
				one.range = store_change_range(&c, i);
			else if (c.kind != STORE_CHANGE_FOLDER)
				continue;
			buf_add(&b->changes, &one, sizeof(one));
		}
	if (b->changes.n)
		qsort(b->changes.p, b->changes.n / sizeof(struct backup_change),
		    sizeof(struct backup_change), change_cmp);
}

/* Has the message come since the last time? */
static bool
backup_is_new(const struct backing *b, uint64_t mailbox, uint32_t uid)
{
	const struct backup_change *c = (const void *)b->changes.p;
	size_t from = 0, to = b->changes.n / sizeof(*c);

	while (from < to) { /* the last one that does not begin behind it */
		size_t at = from + (to - from) / 2;

		if (c[at].mailbox < mailbox ||
		    (c[at].mailbox == mailbox && c[at].range.first <= uid))
			from = at + 1;
		else
			to = at;
	}
	for (; from > 0 && c[from - 1].mailbox == mailbox; from--)
		if (c[from - 1].range.last >= uid)
			return true;
	return false;
}

/* Was it made or renamed since?  Then all of it goes, under its name of now. */
static bool
backup_is_moved(const struct backing *b, uint64_t mailbox)
{
	const struct backup_change *c = (const void *)b->changes.p;

	for (size_t i = 0; i < b->changes.n / sizeof(*c); i++)
		if (c[i].mailbox == mailbox && c[i].range.first == 0)
			return true;
	return false;
}

static void
backup_folder_line(struct backing *b, const struct backup_folder *f)
{
	buf_lit(&b->line, "folder");
	kv_put(&b->line, "name", slice_str(f->name));
	kv_put_u64(&b->line, "uidvalidity", f->uidvalidity);
	kv_put_u64(&b->line, "uidnext", f->uidnext);
	kv_put_u64(&b->line, "use", f->special);
	kv_put_u64(&b->line, "noselect", f->attrs & STORE_NOSELECT ? 1 : 0);
	kv_put_u64(&b->line, "subscribed", f->subscribed);
	backup_frame(b, BACKUP_FOLDER);
}

static void
backup_rights(struct backing *b, uint64_t mailbox)
{
	struct slice identifier = slice(NULL, 0);
	uint32_t rights;

	backup_look(b);
	while (store_acl_next(b->view, mailbox, &identifier, &rights)) {
		buf_lit(&b->line, "rights");
		kv_put(&b->line, "identifier", identifier);
		kv_put_u64(&b->line, "may", rights);
		backup_frame(b, BACKUP_RIGHTS);
	}
	backup_looked(b);
}

/* In pieces, so that each fits into a frame however its octets are written. */
static void
backup_annotation(struct backing *b, const struct store_annot *a)
{
	struct slice rest = a->value, piece;

	do {
		piece = slice_sub(rest, 0, BACKUP_PIECE / 4);
		rest = slice_from(rest, piece.n);
		buf_lit(&b->line, "annotation");
		kv_put(&b->line, "login", a->login);
		kv_put(&b->line, "name", a->name);
		kv_put(&b->line, "value", piece);
		kv_put_u64(&b->line, "server", !a->mailbox);
		kv_put_u64(&b->line, "gone", a->gone);
		kv_put_u64(&b->line, "more", rest.n > 0);
		backup_frame(b, BACKUP_ANNOTATION);
	} while (rest.n);
}

/* Those set after `since`, which tell of others that are gone; with since 0 what there is. */
static void
backup_annotations(struct backing *b, uint64_t account, uint64_t mailbox, uint64_t since)
{
	struct store_annot_walk w;
	struct store_annot a;

	store_annot_walk(&w, account, mailbox);
	backup_look(b);
	while (store_annot_next(b->view, &w, &a))
		if (a.modseq > since && (!a.gone || since))
			backup_annotation(b, &a);
	backup_looked(b);
}

/* What deliveries are still to remember: whom vacation has answered, which messages are duplicates. */
static void
backup_marks(struct backing *b, uint64_t account)
{
	struct store_mark_walk m = { .account = account };
	int64_t now = clock_now();

	backup_look(b);
	while (store_mark_next(b->view, &m)) {
		if (m.until <= now)
			continue;
		buf_lit(&b->line, "mark");
		kv_put(&b->line, "key", slice((const char *)m.key, sizeof(m.key)));
		kv_put_u64(&b->line, "until", m.until);
		backup_frame(b, BACKUP_MARK);
	}
	backup_looked(b);
}

/* Those of names that are no folder; of folders they are with these. */
static void
backup_subscriptions(struct backing *b, uint64_t account)
{
	struct store_folder name = { .account = account }, f = name;
	bool more;

	backup_look(b);
	more = store_next_folder(b->view, &f);
	while (store_next_subscription(b->view, &name)) { /* both in the order of their octets */
		while (more && slice_cmp(f.name, name.name) < 0)
			more = store_next_folder(b->view, &f);
		if (more && slice_eq(f.name, name.name) && !(f.attrs & STORE_NOSELECT))
			continue;
		buf_lit(&b->line, "subscription");
		kv_put(&b->line, "name", name.name);
		backup_frame(b, BACKUP_SUBSCRIPTION);
	}
	backup_looked(b);
}

static void
backup_gone(struct backing *b, uint64_t mailbox, uint64_t since)
{
	struct buf gone = { 0 };
	const struct store_range *r;

	if (store_begin(b->view) < 0)
		exit(EX_OSERR);
	(void)!store_vanished(b->view, mailbox, since, &gone);
	store_end(b->view);
	r = (const void *)gone.p;
	for (size_t i = 0; i < gone.n / sizeof(*r); i++) {
		buf_lit(&b->line, "gone");
		kv_put_u64(&b->line, "first", r[i].first);
		kv_put_u64(&b->line, "last", r[i].last);
		backup_frame(b, BACKUP_GONE);
	}
	buf_fini(&gone);
}

/* The records of a folder that changed after `since`, and its keywords. */
static void
backup_load(struct backing *b, const struct backup_folder *f, uint64_t since)
{
	const struct store_record *rec;
	struct store_blocks blocks;
	struct store_mailbox m;
	size_t n;

	buf_clear(&b->records);
	for (size_t k = 0; k < STORE_KEYWORDS; k++)
		mem_free(&b->keywords[k]);
	if (f->uidnext <= 1)
		return;
	if (store_begin(b->view) < 0)
		exit(EX_OSERR);
	if (store_get_mailbox(b->view, f->mailbox, &m) == 0)
		for (size_t k = 0; k < m.nkeywords; k++)
			if (m.keywords[k].n)
				b->keywords[k] = mem_strn(m.keywords[k].p, m.keywords[k].n);
	store_blocks_init(&blocks, b->view, f->mailbox, 1, UINT32_MAX);
	blocks.since = since;
	while ((rec = store_blocks_next(&blocks, &n)))
		for (size_t i = 0; i < n; i++)
			if (rec[i].modseq > since)
				buf_add(&b->records, &rec[i], sizeof(*rec));
	store_end(b->view);
}

static void
backup_folder(struct backing *b, uint64_t account, const struct backup_folder *f, uint64_t since)
{
	const struct store_record *r;

	b->folder = f->name;
	if (since && backup_is_moved(b, f->mailbox))
		since = 0;
	backup_folder_line(b, f);
	backup_rights(b, f->mailbox);
	backup_annotations(b, account, f->mailbox, since);
	if (f->attrs & STORE_NOSELECT)
		return;
	if (since)
		backup_gone(b, f->mailbox, since);
	backup_load(b, f, since);
	r = (const void *)b->records.p;
	for (size_t i = 0; i < b->records.n / sizeof(*r) && !b->rc; i++)
		if (!since || backup_is_new(b, f->mailbox, r[i].uid))
			backup_message(b, f->mailbox, &r[i]);
		else
			backup_state(b, &r[i]);
	backup_readers(b, f->mailbox, since);
	b->folders++;
}

/* ---- an account --------------------------------------------------------------------------------------------- */

static void
backup_folders(struct backing *b, uint64_t account, struct buf *folders)
{
	struct store_folder f = { .account = account };

	while (store_next_folder(b->view, &f)) {
		struct backup_folder e = { .mailbox = f.mailbox,
			.attrs = f.attrs,
			.special = f.special };
		struct store_mailbox m;

		slice_cstr(f.name, e.name, sizeof(e.name));
		e.subscribed = store_subscribed(b->view, account, f.name);
		if (store_get_mailbox(b->view, f.mailbox, &m) < 0) {
			fprintf(stderr, "storectl: %s: %s: cannot be read; it is left out\n",
			    b->account, e.name);
			b->failed++;
			b->left_out++;
			continue;
		}
		e.uidvalidity = m.uidvalidity;
		e.uidnext = m.uidnext;
		buf_add(folders, &e, sizeof(e));
	}
}

/* From where on the account's changes are wanted: 0 = all of it. */
static uint64_t
backup_since(const struct backing *b, const struct store_account *a)
{
	const struct idmap_entry *e = idmap_find(&b->before, a->id);

	return e && e->mailbox == (uint64_t)a->created_at && e->at >= a->changes_from &&
		e->at >= a->vanished_from && e->at <= a->modseq ?
	    e->at :
	    0;
}

void
backup_account(struct backing *b, const char *name)
{
	struct buf folders = { 0 };
	const struct backup_folder *f;
	struct store_account a;
	uint64_t since = 0, left_out = b->left_out;
	int rc;

	b->account = name;
	if (store_begin(b->view) < 0)
		exit(EX_OSERR);
	rc = store_find_account(b->view, slice_str(name), &a);
	if (rc == 0) {
		since = backup_since(b, &a);
		backup_folders(b, a.id, &folders);
		if (since)
			backup_changes(b, a.id, since);
	}
	store_end(b->view);
	if (rc < 0) {
		fprintf(stderr, "storectl: %s: %s; it is left out\n", name, strerror(-rc));
		b->failed += rc != -ENOENT;
		return;
	}
	if (!since || since < a.modseq || b->run->always) {
		buf_lit(&b->line, "account");
		kv_put(&b->line, "name", slice_str(name));
		kv_put_u64(&b->line, "modseq", a.modseq);
		kv_put_u64(&b->line, "since", since);
		for (size_t i = 0; i < STORE_LOGINS; i++)
			if (a.logins[i])
				kv_put_u64(&b->line, backup_logins[i], a.logins[i]);
		backup_frame(b, BACKUP_ACCOUNT);
		if (b->listed)
			b->listed(b->write_arg, (const void *)folders.p,
			    folders.n / sizeof(struct backup_folder));
		backup_annotations(b, a.id, 0, since);
		backup_marks(b, a.id);
		backup_subscriptions(b, a.id);
		f = (const void *)folders.p;
		for (size_t i = 0; i < folders.n / sizeof(*f) && !b->rc; i++)
			backup_folder(b, a.id, &f[i], since);
		buf_lit(&b->line, "done");
		kv_put_u64(&b->line, "messages", b->messages);
		backup_frame(b, BACKUP_DONE);
		b->accounts++;
	}
	/* Else all of it is backed up the next time. */
	if (b->left_out == left_out)
		backup_seen(&b->after, a.id, a.modseq, (uint64_t)a.created_at);
	buf_fini(&folders);
}
