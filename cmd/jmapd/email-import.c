/* jmapd/email-import.c: Email/import (RFC 8621 4.8), and Email/parse (4.9), which imports nothing.
 *
 * An import is a creation whose octets are a blob's.  Email/parse reads each blob into memory, one at a time. */
#include <errno.h>
#include "email-create.h"
#include "jmap/email-write.h"
#include "mail/header.h"
#include "set.h"

/* ---- Email/import ---------------------------------------------------------------------------------- */

struct email_import {
	struct email_creates creates;
	struct buf created, not_created;
	uint64_t old_state;
	bool begun;
};

static enum call_next
email_import_start(struct call *c)
{
	struct email_import *q = c->data;
	const struct json_t *emails = json_find(c->args, S("emails"));
	enum call_next next;

	q->creates.bring.body.fd = -1;
	if (!call_account(c, &next))
		return next;
	if (!json_is(emails, JSON_KIND_OBJECT))
		return call_invalid(c, "emails: an object is needed");
	if (json_count(emails) > (size_t)config.set)
		return call_error(c, "requestTooLarge", "more emails than maxObjectsInSet");
	q->creates.objects = emails;
	q->creates.import = true;
	q->creates.created = &q->created;
	q->creates.not_created = &q->not_created;
	return CALL_AGAIN;
}

static void
email_import_put(struct buf *b, const char *name, const struct buf *inside)
{
	if (inside->n == 0) {
		json_put_null(b, name);
		return;
	}
	json_put_object(b, name);
	buf_slice(b, buf_get(inside));
	buf_char(b, '}');
}

static enum call_next
email_import_go(struct call *c)
{
	struct email_import *q = c->data;
	struct store_account a;
	enum call_next next = CALL_AGAIN;
	int rc;

	if (!q->begun) {
		rc = call_begin(c, &a);
		if (rc < 0)
			return call_failed(c, rc);
		store_end(call_view(c));
		if (!call_if_in_state(c, a.modseq, &next))
			return next;
		q->old_state = a.modseq;
		q->begun = true;
	}
	next = email_create_go(c, &q->creates);
	if (next != CALL_DONE)
		return next;
	rc = call_begin(c, &a);
	if (rc < 0)
		return call_failed(c, rc);
	store_end(call_view(c));
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "oldState", q->old_state);
	call_put_state(c, "newState", a.modseq);
	email_import_put(call_out(c), "created", &q->created);
	email_import_put(call_out(c), "notCreated", &q->not_created);
	return call_end(c);
}

static void
email_import_undo(struct call *c)
{
	struct email_import *q = c->data;

	email_create_fini(&q->creates);
	buf_fini(&q->created);
	buf_fini(&q->not_created);
}

const struct jmapd_method email_import = { "Email/import", JMAP_MAIL, sizeof(struct email_import),
	email_import_start, email_import_go, email_import_undo };

/* ---- Email/parse --------------------------------------------------------------------------------------- */

struct email_parse {
	struct jmap_email_want want;
	const struct json_t *ids;
	size_t at, nparsed;
	struct buf missing, unparsable; /* the insides of arrays */
	/* the blob in hand */
	struct blob blob;
	bool reading; /* blob is open */
	struct buf bytes;
	struct arena arena;
	struct mime mime;
	struct jmap_structure structure;
	struct jmap_email email;
	bool writing;
};

static enum call_next
email_parse_start(struct call *c)
{
	struct email_parse *q = c->data;
	enum call_next next;
	const char *why;

	if (!call_account(c, &next))
		return next;
	q->ids = json_find(c->args, S("blobIds"));
	if (!json_is(q->ids, JSON_KIND_ARRAY))
		return call_invalid(c, "blobIds: an array of ids");
	for (size_t i = 0; i < json_count(q->ids); i++)
		if (!json_is(json_at(q->ids, i), JSON_KIND_STR))
			return call_invalid(c, "blobIds: an array of ids");
	if (json_count(q->ids) > (size_t)config.get)
		return call_error(c, "requestTooLarge", "more ids than maxObjectsInGet");
	if (jmap_email_want_read(c->args, true, &c->arena, &q->want, &why) < 0)
		return call_invalid(c, why);
	call_answer(c);
	call_put_account(c);
	json_put_object(call_out(c), "parsed");
	return CALL_AGAIN;
}

static void
email_parse_note(struct buf *b, struct slice id)
{
	if (b->n)
		buf_char(b, ',');
	json_str(b, id);
}

static void
email_parse_opened(void *arg)
{
	call_resume(arg, CALL_AGAIN);
}

/* The blob in hand is in memory: 0; -EAGAIN, -EINPROGRESS (email_parse_opened); -ENOENT; or another -errno. */
static int
email_parse_read(struct call *c, struct email_parse *q, struct slice id)
{
	ssize_t got = 1;
	int rc;

	if (!q->reading) {
		q->reading = true;
		buf_clear(&q->bytes);
		if (!blob_start(c->s, call_created(c, id), &q->blob, email_parse_opened, c))
			return -EINPROGRESS;
	}
	rc = q->blob.error;
	while (rc == 0 && got > 0) {
		if (call_spent(c))
			return -EAGAIN;
		got = blob_read(&q->blob, q->bytes.n, &q->bytes);
		rc = got < 0 ? (int)got : 0;
	}
	if (rc != -EAGAIN) {
		blob_close(&q->blob);
		q->reading = false;
	}
	return rc;
}

static enum call_next
email_parse_open(struct call *c, struct email_parse *q)
{
	struct slice id = json_text(json_at(q->ids, q->at)), all;
	struct header_field f;
	int rc = email_parse_read(c, q, id);

	if (rc == -EAGAIN || rc == -EINPROGRESS)
		return rc == -EAGAIN ? CALL_AGAIN : CALL_WAIT;
	if (rc < 0 && rc != -ENOENT)
		return call_failed(c, rc);
	all = buf_get(&q->bytes);
	if (rc < 0 || !header_next(&all, &f) || f.name.n == 0) {
		email_parse_note(rc < 0 ? &q->missing : &q->unparsable, id);
		q->at++;
		return CALL_AGAIN;
	}
	all = buf_get(&q->bytes);
	mime_parse(all, &q->arena, &q->mime);
	jmap_structure_make(&q->mime, &q->arena, &q->structure);
	json_member(call_out(c), id);
	buf_char(call_out(c), '{');
	jmap_email_start(&q->email, &q->want, slice_sub(all, 0, header_len(all)), &q->structure, id,
	    true);
	q->writing = true;
	return CALL_AGAIN;
}

static void
email_parse_close(struct email_parse *q)
{
	if (q->writing)
		jmap_email_end(&q->email);
	q->writing = false;
	arena_reset(&q->arena);
}

static enum call_next
email_parse_go(struct call *c)
{
	struct email_parse *q = c->data;
	struct buf *b = call_out(c);

	do {
		if (q->writing && !jmap_email_next(&q->email, b)) {
			buf_char(b, '}');
			email_parse_close(q);
			q->at++;
		} else if (!q->writing && q->at < json_count(q->ids)) {
			enum call_next next = email_parse_open(c, q);

			if (next != CALL_AGAIN)
				return next;
		} else if (!q->writing) {
			buf_char(b, '}');
			json_put_array(b, "notParsable");
			buf_slice(b, buf_get(&q->unparsable));
			buf_char(b, ']');
			json_put_array(b, "notFound");
			buf_slice(b, buf_get(&q->missing));
			buf_char(b, ']');
			return call_end(c);
		}
		if (call_full(c))
			return call_end(c);
	} while (!call_spent(c));
	return CALL_AGAIN;
}

static void
email_parse_undo(struct call *c)
{
	struct email_parse *q = c->data;

	email_parse_close(q);
	if (q->reading)
		blob_close(&q->blob);
	buf_fini(&q->bytes);
	buf_fini(&q->missing);
	buf_fini(&q->unparsable);
}

const struct jmapd_method email_parse = { "Email/parse", JMAP_MAIL, sizeof(struct email_parse),
	email_parse_start, email_parse_go, email_parse_undo };
