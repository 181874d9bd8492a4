/* message/match.c: the keys of a query, and the cursor that asks them of a message.
 *
 * Called by imapd's SEARCH, on the loop in slices of time or on the work pool.  Nothing can fail.
 * What must stay true: each field and each piece of a part is decoded once however many keys
 * there are, a step is bounded, and the digest's copies and the cursor make text by the same
 * function, so that both find the same.  Cut as a machine because a session may go at any step. */
#include "message/match.h"

#include "base/casemap.h"
#include "base/must.h"
#include "base/utf8.h"
#include "mail/header.h"

/* One field name that keys ask for. */
struct message_names {
	struct slice name;
	struct message_needles needles;
	uint32_t *present; /* keys that ask whether the field is there */
	uint32_t npresent;
};

/* ---- the query ---------------------------------------------------------------------------------- */

uint32_t
message_query_add(struct message_query *q, enum message_place place, struct slice name,
    struct slice text, struct arena *a)
{
	struct message_key *k;

	must(!q->slots);
	if (q->n == q->room) {
		uint32_t room = q->room ? q->room * 2 : 4;
		struct message_key *keys = arena_array(a, room, sizeof(*keys));

		if (q->n > 0)
			memcpy(keys, q->keys, q->n * sizeof(*keys));
		q->keys = keys;
		q->room = room;
	}
	k = &q->keys[q->n];
	*k = (struct message_key){ .place = place, .name = name, .text = text, .field = -1 };
	if (place == MESSAGE_IN_FIELD) {
		k->field = message_digest_field_number(name);
		k->kept = message_digest_keeps(name);
		message_word_init(&k->word, text);
		q->nfields++;
	} else if (place == MESSAGE_IN_BODY && text.n > 0) {
		q->nbody++;
	} else if (text.n > 0) {
		q->ntext++;
	}
	return q->n++;
}

/* The entry of a field name; with `take` it is made. */
static struct message_names *
names_at(const struct message_query *q, struct slice name)
{
	uint32_t at = (uint32_t)slice_ihash(name) & q->mask;

	for (; q->slots[at]; at = (at + 1) & q->mask)
		if (slice_ieq(q->names[q->slots[at] - 1].name, name))
			return &q->names[q->slots[at] - 1];
	return NULL;
}

static struct message_names *
names_take(struct message_query *q, struct slice name)
{
	struct message_names *n = names_at(q, name);
	uint32_t at;

	if (n)
		return n;
	for (at = (uint32_t)slice_ihash(name) & q->mask; q->slots[at]; at = (at + 1) & q->mask)
		;
	q->slots[at] = ++q->nnames;
	n = &q->names[q->nnames - 1];
	n->name = name;
	return n;
}

void
message_query_ready(struct message_query *q, struct arena *a)
{
	uint32_t room = 8;

	while (room < q->nfields * 2)
		room *= 2;
	q->mask = room - 1;
	q->slots = arena_array(a, room, sizeof(*q->slots));
	q->names = arena_array(a, q->nfields + 1, sizeof(*q->names));
	for (uint32_t i = 0; i < q->n; i++) {
		struct message_key *k = &q->keys[i];
		struct message_names *n;

		if (k->place != MESSAGE_IN_FIELD) {
			if (k->text.n == 0)
				continue;
			message_needles_add(&q->body, k->text, i, a);
			if (k->place == MESSAGE_IN_TEXT)
				message_needles_add(&q->text, k->text, i, a);
			continue;
		}
		n = names_take(q, k->name);
		if (k->text.n > 0)
			message_needles_add(&n->needles, k->text, i, a);
		else
			n->npresent++;
	}
	for (uint32_t i = 0; i < q->nnames; i++) {
		message_needles_ready(&q->names[i].needles, a);
		q->names[i].present = arena_array(a, q->names[i].npresent, sizeof(uint32_t));
		q->names[i].npresent = 0;
	}
	for (uint32_t i = 0; i < q->n; i++)
		if (q->keys[i].place == MESSAGE_IN_FIELD && q->keys[i].text.n == 0) {
			struct message_names *n = names_at(q, q->keys[i].name);

			n->present[n->npresent++] = i;
		}
	message_needles_ready(&q->text, a);
	message_needles_ready(&q->body, a);
}

enum message_answer
message_query_digest(const struct message_query *q, uint32_t key, struct slice record)
{
	const struct message_key *k = &q->keys[key];
	bool yes;

	if (k->place != MESSAGE_IN_FIELD)
		return k->text.n == 0 ? MESSAGE_YES : MESSAGE_UNKNOWN;
	if (record.n == 0 || (k->field < 0 && !k->kept))
		return MESSAGE_UNKNOWN;
	if (message_digest_find(record, k->field, k->name, &k->word, &yes) < 0)
		return MESSAGE_UNKNOWN;
	return yes ? MESSAGE_YES : MESSAGE_NO;
}

/* ---- the cursor --------------------------------------------------------------------------------- */

void
message_match_start(struct message_match *m, const struct message_query *q, struct slice msg)
{
	*m = (struct message_match){ .q = q,
		.msg = msg,
		.fields = q->nfields,
		.body = q->nbody,
		.text = q->ntext };
	m->found = arena_array(&m->arena, q->n + 1, sizeof(*m->found));
	m->name_scans = arena_array(&m->arena, q->nnames + 1, sizeof(*m->name_scans));
	for (uint32_t i = 0; i < q->n; i++)
		if (q->keys[i].place != MESSAGE_IN_FIELD && q->keys[i].text.n == 0)
			m->found[i] = true;
	m->header = slice(msg.p, header_len(msg));
}

/* What has just been found comes off the counts. */
static void
match_recount(struct message_match *m)
{
	m->news++;
	m->fields = m->body = m->text = 0;
	for (uint32_t i = 0; i < m->q->n; i++) {
		if (m->found[i])
			continue;
		switch (m->q->keys[i].place) {
		case MESSAGE_IN_FIELD: m->fields++; break;
		case MESSAGE_IN_BODY: m->body++; break;
		case MESSAGE_IN_TEXT: m->text++; break;
		}
	}
}

/* What is in m->folded, which mostly is ASCII and then compared as it is. */
static void
match_feed(struct message_match *m, const struct message_needles *s, struct message_scan *at)
{
	struct slice text = buf_get(&m->folded);

	if (!utf8_ascii(text)) {
		buf_clear(&m->form);
		casemap_search_to(&m->form, text);
		text = buf_get(&m->form);
	}
	if (message_needles_feed(s, at, text, m->found) > 0)
		match_recount(m);
}

/* A field of the message's own header, for the keys that name it and for TEXT. */
static void
match_field(struct message_match *m, const struct header_field *f)
{
	const struct message_names *n = f->name.n > 0 ? names_at(m->q, f->name) : NULL;
	bool fresh = false;

	buf_clear(&m->folded);
	if (n) {
		struct message_scan *at = &m->name_scans[n - m->q->names];

		for (uint32_t i = 0; i < n->npresent; i++) {
			fresh = fresh || !m->found[n->present[i]];
			m->found[n->present[i]] = true;
		}
		if (fresh)
			match_recount(m);
		message_field_text(&m->folded, f->name, f->value, &m->scratch);
		message_scan_cut(at);
		match_feed(m, &n->needles, at);
	}
	if (m->text == 0)
		return;
	/* TEXT sees the field with its name, as it stands in the message. */
	buf_clear(&m->folded);
	if (f->name.n > 0) {
		utf8_fold_to(&m->folded, f->name);
		buf_lit(&m->folded, ": ");
	}
	message_field_text(&m->folded, f->name, f->value, &m->scratch);
	message_scan_cut(&m->text_scan);
	match_feed(m, &m->q->text, &m->text_scan);
}

/* The tree is only made when the parts are asked. */
static void
match_begin_parts(struct message_match *m)
{
	m->news++;
	m->stage = MATCH_OVER;
	if (m->body == 0 && m->text == 0)
		return;
	mime_parse(m->msg, &m->arena, &m->mime);
	m->part = m->mime.root;
	m->pass = PASS_PARAMS; /* its header has been seen */
	m->stage = MATCH_PARTS;
}

static bool
match_header_step(struct message_match *m)
{
	struct header_field f;

	if (m->fields == 0 && m->text == 0) {
		match_begin_parts(m);
	} else if (header_next(&m->header, &f)) {
		match_field(m, &f);
		arena_reset(&m->scratch);
	} else {
		match_begin_parts(m);
	}
	return m->stage != MATCH_OVER;
}

/* A field of a part's header: TEXT.  Of a message inside: BODY too. */
static void
match_part_field(struct message_match *m)
{
	bool inner = m->part->parent->kind == MIME_MESSAGE;
	struct header_field f;

	if ((m->text == 0 && !(inner && m->body > 0)) || !header_next(&m->header, &f)) {
		m->pass = PASS_PARAMS;
		return;
	}
	buf_clear(&m->folded);
	if (f.name.n > 0) {
		utf8_fold_to(&m->folded, f.name);
		buf_lit(&m->folded, ": ");
	}
	message_field_text(&m->folded, f.name, f.value, &m->scratch);
	if (inner) {
		message_scan_cut(&m->body_scan);
		match_feed(m, &m->q->body, &m->body_scan);
	} else {
		message_scan_cut(&m->text_scan);
		match_feed(m, &m->q->text, &m->text_scan);
	}
	arena_reset(&m->scratch);
}

static void
match_params(struct message_match *m)
{
	m->pass = PASS_BODY;
	if (m->text > 0) {
		buf_clear(&m->folded);
		message_param_text(&m->folded, m->part, &m->scratch);
		message_scan_cut(&m->text_scan);
		match_feed(m, &m->q->text, &m->text_scan);
		arena_reset(&m->scratch);
	}
	if (message_is_text(m->part)) {
		message_text_open(&m->reader, &m->mime, m->part);
		message_scan_cut(&m->body_scan);
		m->reading = true;
	}
}

static void
match_body(struct message_match *m)
{
	buf_clear(&m->folded);
	if (m->reading && message_text_next(&m->reader, &m->folded)) {
		match_feed(m, &m->q->body, &m->body_scan);
		return;
	}
	if (m->reading)
		message_text_close(&m->reader);
	m->reading = false;
	m->part = mime_next(&m->mime, m->part);
	m->pass = PASS_HEADER;
	if (m->part)
		m->header = mime_header(&m->mime, m->part);
}

bool
message_match_step(struct message_match *m)
{
	if (m->stage == MATCH_HEADER)
		return match_header_step(m);
	if (m->stage == MATCH_OVER || !m->part || (m->body == 0 && m->text == 0)) {
		m->news++;
		m->stage = MATCH_OVER;
		return false;
	}
	switch (m->pass) {
	case PASS_HEADER: match_part_field(m); break;
	case PASS_PARAMS: match_params(m); break;
	case PASS_BODY: match_body(m); break;
	}
	return true;
}

enum message_answer
message_match_get(const struct message_match *m, uint32_t key)
{
	if (m->found[key])
		return MESSAGE_YES;
	if (m->stage == MATCH_OVER ||
	    (m->stage == MATCH_PARTS && m->q->keys[key].place == MESSAGE_IN_FIELD))
		return MESSAGE_NO;
	return MESSAGE_UNKNOWN;
}

void
message_match_end(struct message_match *m)
{
	if (m->reading)
		message_text_close(&m->reader);
	for (uint32_t i = 0; m->name_scans && i < m->q->nnames; i++)
		message_scan_fini(&m->name_scans[i]);
	message_scan_fini(&m->text_scan);
	message_scan_fini(&m->body_scan);
	buf_fini(&m->folded);
	buf_fini(&m->form);
	arena_reset(&m->scratch);
	arena_reset(&m->arena);
	*m = (struct message_match){ .stage = MATCH_OVER };
}
