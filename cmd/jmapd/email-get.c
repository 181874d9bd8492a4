/* jmapd/email-get.c: Email/get (RFC 8621 4.2).
 *
 * Ids, keywords, mailboxes, size and date are the index's; what a header says is mostly in the digest; bodies
 * are the file's, which is mapped and read by lib/jmap/email-write, a step at a time.  Each email is written
 * whole or not at all: one that is gone meanwhile is notFound.  A large or cold file is brought into memory and
 * parsed on the work pool.
 * Memory: one message's tree at a time, and the answer. */
#include "email.h"
#include <errno.h>
#include "jmap/email-write.h"
#include "mail/header.h"
#include "message/parse.h"

struct email_get {
	struct call_ids ids;
	bool *missing;
	struct jmap_email_want want;
	bool from_file; /* more than the digest's header is wanted */
	bool begun;
	uint64_t modseq;
	size_t at;
	/* the email in hand */
	size_t out_at; /* of its object */
	struct message message;
	bool open, writing;
	struct message_parse *message_parse; /* on the work pool */
	struct arena arena;
	struct jmap_structure structure;
	struct jmap_email email;
	struct buf blob;
	int error;
};

static enum call_next
email_get_start(struct call *c)
{
	struct email_get *g = c->data;
	enum call_next next;
	const char *why;

	g->message.fd = -1; /* before anything is refused: undo looks at it */
	if (!call_account_shared(c, &next) || !call_ids(c, &g->ids, &next))
		return next;
	if (!g->ids.list)
		return call_error(c, "requestTooLarge", "ids: null would be all emails");
	if (jmap_email_want_read(c->args, false, &c->arena, &g->want, &why) < 0)
		return call_invalid(c, why);
	g->missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*g->missing));
	return CALL_AGAIN;
}

/* ---- what the index says ------------------------------------------------------------------------- */

static void
email_get_metadata(struct call *c, const struct email_get *g, const struct email *e)
{
	const struct jmap_email_want *w = &g->want;
	struct buf *b = call_out(c);

	json_element(b);
	buf_char(b, '{');
	json_key(b, "id");
	jmap_id_json(b, JMAP_EMAIL, e->id);
	if (jmap_email_wants(w, JMAP_EMAIL_BLOB_ID)) {
		json_key(b, "blobId");
		jmap_id_json(b, JMAP_BLOB, e->id);
	}
	if (jmap_email_wants(w, JMAP_EMAIL_THREAD_ID)) {
		json_key(b, "threadId");
		jmap_id_json(b, JMAP_THREAD, e->thread);
	}
	if (jmap_email_wants(w, JMAP_EMAIL_MAILBOX_IDS))
		email_put_mailboxes(b, e);
	if (jmap_email_wants(w, JMAP_EMAIL_KEYWORDS))
		email_put_keywords(b, e);
	if (jmap_email_wants(w, JMAP_EMAIL_SIZE))
		json_put_i64(b, "size", e->size);
	if (jmap_email_wants(w, JMAP_EMAIL_RECEIVED_AT))
		json_put_utc(b, "receivedAt", e->received_at);
}

/* ---- what the message says ----------------------------------------------------------------------- */

static void
email_get_close(struct email_get *g)
{
	if (g->writing)
		jmap_email_end(&g->email);
	message_close(&g->message);
	g->message.fd = -1;
	arena_reset(&g->arena);
	buf_clear(&g->blob);
	g->writing = g->open = false;
}

/* Are all fields that are wanted in the digest's header? */
static bool
email_get_kept(const struct email_get *g, const struct message_digest *d)
{
	if (jmap_email_wants_body(&g->want) || jmap_email_wants(&g->want, JMAP_EMAIL_HEADERS) ||
	    !(d->has & MESSAGE_HAS_HEADER))
		return false;
	for (size_t i = 0; i < g->want.fields.nnames; i++)
		if (!message_digest_keeps(g->want.fields.names[i]))
			return false;
	return true;
}

static void
email_get_write(struct email_get *g, uint64_t emailid, struct slice header,
    struct jmap_structure *structure)
{
	jmap_id_write(&g->blob, JMAP_BLOB, emailid);
	jmap_email_start(&g->email, &g->want, header, structure, buf_get(&g->blob), false);
	g->writing = true;
}

static uint64_t
email_get_id(const struct email_get *g)
{
	return jmap_id_parse(g->ids.list[g->at], JMAP_EMAIL);
}

/* The file is mapped, and its tree is made. */
static void
email_get_ready(struct email_get *g)
{
	struct slice all;

	g->error = message_map(&g->message);
	if (g->error < 0)
		return;
	if (jmap_email_wants_body(&g->want))
		jmap_structure_make(g->message.mime, &g->arena, &g->structure);
	all = message_bytes(&g->message);
	email_get_write(g, email_get_id(g), slice_sub(all, 0, header_len(all)), &g->structure);
}

static void
email_get_parsed(void *arg)
{
	struct call *c = arg;
	struct email_get *g = c->data;
	struct message_parse *p = g->message_parse;

	g->message_parse = NULL;
	g->message = p->message;
	p->message = (struct message){ .fd = -1 };
	g->error = p->error;
	message_parse_free(&p);
	if (g->error == 0)
		email_get_ready(g);
	call_resume(c, CALL_AGAIN);
}

/* Opens the file of the email in hand.  Ends the snapshot. */
static enum call_next
email_get_open(struct call *c, struct email_get *g, const struct email *e)
{
	struct message_parse *p;
	bool tree = jmap_email_wants_body(&g->want);

	g->error =
	    message_open(&g->message, call_view(c), e->places[0].folder->mailbox, e->places[0].uid);
	if (g->error < 0)
		return CALL_AGAIN;
	g->open = true;
	if (g->message.size <= MESSAGE_LARGE &&
	    message_in_memory(&g->message, 0, g->message.size)) {
		g->error = message_map(&g->message);
		if (g->error == 0 && tree)
			message_tree(&g->message);
		if (g->error == 0)
			email_get_ready(g);
		return CALL_AGAIN;
	}
	p = message_parse_new(tree ? MESSAGE_WANT_TREE : MESSAGE_WANT_BYTES);
	p->message = g->message;
	p->to = p->message.size;
	g->message = (struct message){ .fd = -1 };
	g->message_parse = p;
	message_parse_start(p, jmapd.loop, call_op(c), call_user(c)->id, email_get_parsed, c);
	return CALL_WAIT;
}

/* ---- one after the other -------------------------------------------------------------------------- */

static void
email_get_missing(struct call *c, struct email_get *g)
{
	call_out(c)->n = g->out_at;
	arena_reset(&g->arena);
	g->missing[g->at++] = true;
}

/* Begins the email in hand; the snapshot is open, and over behind this. */
static enum call_next
email_get_one(struct call *c, struct email_get *g)
{
	uint64_t id = email_get_id(g);
	struct slice cache;
	struct email e;

	g->out_at = call_out(c)->n;
	if (id == 0 || email_load(c, id, &g->arena, &e) < 0) {
		email_get_missing(c, g);
		return CALL_AGAIN;
	}
	email_get_metadata(c, g, &e);
	if (!g->from_file) {
		buf_char(call_out(c), '}');
		g->at++;
		arena_reset(&g->arena);
		return CALL_AGAIN;
	}
	cache = store_get_cache(call_view(c), id);
	message_init(&g->message, cache);
	if (email_get_kept(g, &g->message.digest)) {
		email_get_write(g, id, g->message.digest.header, NULL);
		return CALL_AGAIN;
	}
	return email_get_open(c, g, &e);
}

/* The email in hand is written on: true while there is more of it. */
static bool
email_get_piece(struct call *c, struct email_get *g)
{
	if (jmap_email_next(&g->email, call_out(c)) && !call_full(c))
		return true;
	if (message_is_cut(&g->message)) {
		g->error = -EIO;
		return false;
	}
	buf_char(call_out(c), '}');
	email_get_close(g);
	g->at++;
	return false;
}

static void
email_get_begin(struct call *c, struct email_get *g, uint64_t modseq)
{
	g->begun = true;
	g->from_file = jmap_email_wants_body(&g->want) || g->want.fields.n > 0 ||
	    jmap_email_wants(&g->want, JMAP_EMAIL_HEADERS);
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "state", modseq);
	json_put_array(call_out(c), "list");
}

/* What cannot be read is no fact about the mailbox. */
static enum call_next
email_get_error(struct call *c, struct email_get *g)
{
	int error = g->error;

	g->error = 0;
	email_get_close(g);
	if (error != -ENOENT)
		return call_failed(c, error);
	email_get_missing(c, g);
	return CALL_AGAIN;
}

static enum call_next
email_get_next(struct call *c, struct email_get *g)
{
	struct store_account a;
	enum call_next next;
	int rc;

	next = folders_begin(c, &a, &rc);
	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	if (!g->begun)
		email_get_begin(c, g, a.modseq);
	next = CALL_AGAIN;
	while (next == CALL_AGAIN && g->at < g->ids.n && !g->writing && !g->error && !call_spent(c))
		next = email_get_one(c, g);
	store_end(call_view(c));
	return next;
}

static enum call_next
email_get_go(struct call *c)
{
	struct email_get *g = c->data;

	do {
		while (g->writing && email_get_piece(c, g))
			if (call_spent(c))
				return CALL_AGAIN;
		if (call_full(c))
			return call_end(c);
		if (g->error) {
			if (email_get_error(c, g) == CALL_DONE)
				return CALL_DONE;
		} else if (!g->begun || g->at < g->ids.n) {
			enum call_next next = email_get_next(c, g);

			if (next != CALL_AGAIN)
				return next;
		} else {
			buf_char(call_out(c), ']');
			call_put_not_found(c, &g->ids, g->missing);
			return call_end(c);
		}
	} while (!call_spent(c));
	return CALL_AGAIN;
}

static void
email_get_undo(struct call *c)
{
	struct email_get *g = c->data;

	if (g->message.fd >= 0 || g->writing || g->open)
		email_get_close(g);
	arena_reset(&g->arena);
	buf_fini(&g->blob);
	buf_fini(&g->message.record);
}

const struct jmapd_method email_get = { "Email/get", JMAP_MAIL, sizeof(struct email_get),
	email_get_start, email_get_go, email_get_undo };
