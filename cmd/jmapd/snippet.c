/* jmapd/snippet.c: SearchSnippet/get (RFC 8621 5.1).
 *
 * The filter is read as Email/query reads it, so that it is refused for the same reasons; what is marked are the
 * words of its texts (text, subject, body), but for those below a NOT.  Each email's file is opened, on the pool
 * when it is large or not in memory, and gives a subject and a part of its text.  Nothing of the index is needed
 * but where the file is.  Must stay true: an email that cannot be read is no email without snippets, but an
 * error of the call. */
#include "jmap/snippet.h"

#include <errno.h>

#include "base/log.h"
#include "filter.h"
#include "jmap/email-form.h"
#include "mail/header.h"
#include "message/parse.h"

#define FILTER_DEPTH 64        /* as deep as a request may be */
#define SUBJECT_MAX  16384     /* octets of one that are looked at */
#define HEADER_MAX   (1 << 20) /* the same of a header */

struct snippet_get {
	struct filters filters;
	struct jmap_terms subject, body;
	struct slice *ids;
	bool *missing;
	size_t n, at;
	bool begun;
	/* the email in hand */
	uint64_t email;
	struct message message;
	struct message_parse *parse;
	struct arena arena;
	struct jmap_structure structure;
	struct jmap_snippet_body look;
	bool open, ready, told; /* told: its subject has been */
	int error;
};

/* ---- the words ------------------------------------------------------------------------------------------- */

static void
snippet_words(struct snippet_get *g, const struct json_t *filter, struct arena *a, unsigned depth)
{
	const struct json_t *list = json_find(filter, S("conditions"));
	struct json_walk w = { 0 };

	if (depth > FILTER_DEPTH || slice_eq(json_text(json_find(filter, S("operator"))), S("NOT")))
		return;
	for (size_t i = 0; i < json_count(list); i++)
		snippet_words(g, json_at(list, i), a, depth + 1);
	while (json_next(filter, &w)) {
		if (slice_eq(w.name, S("text")) || slice_eq(w.name, S("subject")))
			jmap_terms_add(&g->subject, json_text(w.value), a);
		if (slice_eq(w.name, S("text")) || slice_eq(w.name, S("body")))
			jmap_terms_add(&g->body, json_text(w.value), a);
	}
}

static enum call_next
snippet_get_start(struct call *c)
{
	struct snippet_get *g = c->data;
	const struct json_t *ids = json_find(c->args, S("emailIds"));
	const struct json_t *filter = json_find(c->args, S("filter"));
	enum call_next next;

	g->message.fd = -1;
	if (!call_account_shared(c, &next))
		return next;
	if (!json_is(ids, JSON_KIND_ARRAY))
		return call_invalid(c, "emailIds: an array of ids");
	if (json_count(ids) > (size_t)config.get)
		return call_error(c, "requestTooLarge", "more ids than maxObjectsInGet");
	g->n = json_count(ids);
	g->ids = arena_array(&c->arena, g->n + 1, sizeof(*g->ids));
	g->missing = arena_array(&c->arena, g->n + 1, sizeof(*g->missing));
	for (size_t i = 0; i < g->n; i++)
		if (!json_get_str(json_at(ids, i), &g->ids[i]))
			return call_invalid(c, "emailIds: an array of ids");
	if (!filters_read(c, json_none(filter) ? NULL : filter, &g->filters, &next))
		return next;
	snippet_words(g, filter, &c->arena, 0);
	return CALL_AGAIN;
}

/* ---- an email ------------------------------------------------------------------------------------------------- */

static void
snippet_close(struct snippet_get *g)
{
	if (g->open)
		message_close(&g->message);
	g->message.fd = -1;
	arena_reset(&g->arena);
	g->open = g->ready = g->told = false;
	g->error = 0;
}

static void
snippet_mapped(struct snippet_get *g)
{
	if (g->error == 0)
		g->error = message_map(&g->message);
	g->ready = true;
}

static void
snippet_parsed(void *arg)
{
	struct call *c = arg;
	struct snippet_get *g = c->data;
	struct message_parse *p = g->parse;

	log_context(c->s->sid);
	g->parse = NULL;
	g->message = p->message;
	p->message = (struct message){ .fd = -1 };
	g->error = p->error;
	message_parse_free(&p);
	snippet_mapped(g);
	call_resume(c, CALL_AGAIN);
}

/* Its tree is made, where that may take long or wait for the disk. */
static enum call_next
snippet_read(struct call *c, struct snippet_get *g)
{
	struct message_parse *p;

	if (g->message.size <= MESSAGE_LARGE &&
	    message_in_memory(&g->message, 0, g->message.size)) {
		snippet_mapped(g);
		if (g->error == 0)
			message_tree(&g->message);
		return CALL_AGAIN;
	}
	p = message_parse_new(MESSAGE_WANT_TREE);
	p->message = g->message;
	p->to = p->message.size;
	g->message = (struct message){ .fd = -1 };
	g->parse = p;
	message_parse_start(p, jmapd.loop, call_op(c), call_user(c)->id, snippet_parsed, c);
	return CALL_WAIT;
}

static enum call_next
snippet_open(struct call *c, struct snippet_get *g)
{
	struct store_account a;
	struct email e;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	g->email = jmap_id_parse(g->ids[g->at], JMAP_EMAIL);
	rc = g->email ? email_load(c, g->email, &g->arena, &e) : -ENOENT;
	if (rc == 0) {
		message_init(&g->message, S(""));
		rc = message_open(&g->message, call_view(c), e.places[0].folder->mailbox,
		    e.places[0].uid);
		g->open = rc == 0;
	}
	store_end(call_view(c));
	if (rc == 0)
		return snippet_read(c, g);
	if (rc != -ENOENT)
		return call_failed(c, rc);
	snippet_close(g);
	g->missing[g->at++] = true;
	return CALL_AGAIN;
}

static struct slice
snippet_subject(struct slice header, struct arena *a)
{
	struct header_field f, last = { 0 };

	while (header_next(&header, &f))
		if (slice_ieq(f.name, S("Subject")))
			last = f;
	return last.name.n ? jmap_text(slice_sub(last.value, 0, SUBJECT_MAX), a) : slice(NULL, 0);
}

static void
snippet_tell(struct call *c, struct snippet_get *g)
{
	struct buf *b = call_out(c);
	struct slice all = message_bytes(&g->message);
	size_t header = header_len(slice_sub(all, 0, HEADER_MAX));

	json_element(b);
	buf_lit(b, "{\"emailId\":");
	jmap_id_json(b, JMAP_EMAIL, g->email);
	buf_lit(b, ",\"subject\":");
	jmap_snippet_subject(b, snippet_subject(slice_sub(all, 0, header), &g->arena), &g->subject);
	buf_lit(b, ",\"preview\":");
	jmap_structure_make(g->message.mime, &g->arena, &g->structure);
	g->look = (struct jmap_snippet_body){ .structure = &g->structure, .terms = &g->body };
	g->told = true;
}

/* The email in hand: its subject, then a text in each turn. */
static enum call_next
snippet_put(struct call *c, struct snippet_get *g)
{
	if (g->error < 0 || message_is_cut(&g->message))
		return call_failed(c, g->error < 0 ? g->error : -EIO);
	if (!g->told)
		snippet_tell(c, g);
	while (jmap_snippet_body_next(&g->look, call_out(c)))
		if (call_spent(c))
			return CALL_AGAIN;
	buf_char(call_out(c), '}');
	snippet_close(g);
	g->at++;
	return CALL_AGAIN;
}

static enum call_next
snippet_get_go(struct call *c)
{
	struct snippet_get *g = c->data;
	bool any = false;

	if (!g->begun) {
		g->begun = true;
		call_answer(c);
		call_put_account(c);
		json_put_array(call_out(c), "list");
	}
	if (g->ready)
		return snippet_put(c, g);
	if (g->at < g->n && !call_full(c))
		return snippet_open(c, g);
	buf_char(call_out(c), ']');
	for (size_t i = 0; i < g->n; i++) {
		if (!g->missing[i])
			continue;
		if (!any)
			json_put_array(call_out(c), "notFound");
		any = true;
		json_element(call_out(c));
		json_str(call_out(c), g->ids[i]);
	}
	if (any)
		buf_char(call_out(c), ']');
	else
		json_put_null(call_out(c), "notFound");
	return call_end(c);
}

static void
snippet_get_undo(struct call *c)
{
	struct snippet_get *g = c->data;

	snippet_close(g);
	filters_fini(&g->filters);
}

const struct jmapd_method snippet_get = { "SearchSnippet/get", JMAP_MAIL,
	sizeof(struct snippet_get), snippet_get_start, snippet_get_go, snippet_get_undo };
