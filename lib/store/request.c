/* Requests and replies as bytes: tiermail-store(7).
 *
 * Owns the tables of fields; which of them a request has stands in verbs.c.  Called by the client
 * in every daemon and by stored's loop, for each packet.  Fails on packets that are damaged and,
 * apart from that, on what only a later version understands, which is answered in words.  What
 * must stay true: nothing of a packet is believed before it is checked here, so that stored's
 * writers meet only what can be done. */
#include "store/request.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "net/ipc.h"
#include "store/fields.h"

/* clang-format off */
#define PLAIN(kind, tag, member)     { #member, tag, STORE_K_##kind, false, offsetof(T, member), 0, 0, NULL }
#define OPTIONAL(kind, tag, member)  { #member, tag, STORE_K_##kind, true, offsetof(T, member), 0, 0, NULL }
#define ARRAY(kind, tag, member)     { #member, tag, STORE_K_##kind, false, offsetof(T, member), offsetof(T, n##member), 0, NULL }
#define ANSWERED(kind, tag, member)  { #member, tag, STORE_K_##kind, true, offsetof(T, member), offsetof(T, n##member), 0, NULL }
#define LIST(tag, member, most, of)  { #member, tag, STORE_K_LIST, false, offsetof(T, member), offsetof(T, n##member), most, of }
#define VERDICT(tag)                 { "verdict", tag, STORE_K_VERDICT, false, offsetof(T, verdict), offsetof(T, code), 0, NULL }

#define T struct store_message
static const struct store_field message_list[] = {
	PLAIN(U64,  1, token),
	PLAIN(U32,  2, size),
	PLAIN(U16,  3, flags),
	PLAIN(U16,  4, zone),
	PLAIN(U64,  5, internaldate),
	PLAIN(TEXT, 6, keywords),
	PLAIN(TEXT, 7, cache),
	PLAIN(U32,  8, uid),
	OPTIONAL(U16, 9, sentday),
	OPTIONAL(U32, 10, digest),
	PLAIN(U64,  11, from),
	PLAIN(U32,  12, from_uid),
	OPTIONAL(U32, 13, savedate),
	OPTIONAL(BOOL, 14, dated),
};
#undef T
#define T struct store_target
static const struct store_field target_list[] = {
	PLAIN(TEXT, 1, account),
	PLAIN(TEXT, 2, partition),
	PLAIN(TEXT, 3, folder),
	PLAIN(TEXT, 4, keywords),
	PLAIN(U16,  5, flags),
	PLAIN(U64,  6, limits.bytes),
	PLAIN(U64,  7, limits.messages),
	PLAIN(KEY,  8, dup),
	PLAIN(BOOL, 9, create),
	PLAIN(U8,  10, use),
	OPTIONAL(U64, 11, objectid),
	OPTIONAL(U64, 12, limits.domain_bytes),
	OPTIONAL(U64, 13, limits.domain_messages),
};
#undef T
static const struct store_fields message_fields = { message_list, NELEM(message_list), sizeof(struct store_message) };
static const struct store_fields target_fields = { target_list, NELEM(target_list), sizeof(struct store_target) };

#define T struct store_annotation
static const struct store_field annotation_list[] = {
	PLAIN(TEXT, 1, name),
	PLAIN(TEXT, 2, value),
	PLAIN(BOOL, 3, shared),
	PLAIN(BOOL, 4, gone),
};
#undef T
static const struct store_fields annotation_fields = { annotation_list, NELEM(annotation_list), sizeof(struct store_annotation) };

#define T struct store_question
static const struct store_field question_list[] = {
	PLAIN(U8,   1, what),
	PLAIN(KEY,  2, key),
	PLAIN(U32,  3, seconds),
	PLAIN(TEXT, 4, folder),
	PLAIN(U8,   5, use),
	OPTIONAL(U64, 6, objectid),
};
#undef T
static const struct store_fields question_fields = { question_list, NELEM(question_list), sizeof(struct store_question) };

#define T struct store_request
static const struct store_field request_list[] = {
	PLAIN(U64,    STORE_F_ACCOUNT, account),
	PLAIN(U64,    STORE_F_MAILBOX, mailbox),
	PLAIN(U64,    STORE_F_MAILBOX2, mailbox2),
	PLAIN(U64,    STORE_F_SINCE, since),
	PLAIN(U64,    STORE_F_TOKEN, token),
	PLAIN(U64,    STORE_F_LIMIT_BYTES, limits.bytes),
	PLAIN(U64,    STORE_F_LIMIT_MESSAGES, limits.messages),
	PLAIN(U32,    STORE_F_COUNT, count),
	PLAIN(U16,    STORE_F_FLAGS, flags),
	PLAIN(U8,     STORE_F_HOW, how),
	PLAIN(U8,     STORE_F_USE, use),
	PLAIN(BOOL,   STORE_F_YES, yes),
	PLAIN(U8,     STORE_F_OPTIONS, options),
	PLAIN(TEXT,   STORE_F_NAME, name),
	PLAIN(TEXT,   STORE_F_NAME2, name2),
	PLAIN(TEXT,   STORE_F_PARTITION, partition),
	PLAIN(TEXT,   STORE_F_KEYWORDS, keywords),
	ARRAY(RANGES, STORE_F_RANGES, ranges),
	LIST(         STORE_F_MESSAGES, messages, STORE_MESSAGES_MAX, &message_fields),
	LIST(         STORE_F_TARGETS, targets, STORE_TARGETS_MAX, &target_fields),
	ARRAY(IDS,    STORE_F_EMAILS, emails),
	PLAIN(U16,    STORE_F_MIN, min),
	PLAIN(U16,    STORE_F_MAX, max),
	OPTIONAL(U64, STORE_F_FEATURES, features),
	OPTIONAL(U32, STORE_F_PID, pid),
	LIST(         STORE_F_ANNOTATIONS, annotations, STORE_ANNOT_REQUEST, &annotation_fields),
	OPTIONAL(U64, STORE_F_DOMAIN_BYTES, limits.domain_bytes),
	OPTIONAL(U64, STORE_F_DOMAIN_MESSAGES, limits.domain_messages),
	LIST(         STORE_F_QUESTIONS, questions, STORE_QUESTIONS_MAX, &question_fields),
	OPTIONAL(TEXT, STORE_F_GROUPS, groups),
	OPTIONAL(BOOL, STORE_F_UNSURE, unsure),
};
#undef T
static const struct store_fields request_fields = { request_list, NELEM(request_list), sizeof(struct store_request) };

#define T struct store_result
static const struct store_field result_list[] = {
	OPTIONAL(U64, 1, mailbox),
	OPTIONAL(U32, 2, uid),
	OPTIONAL(BOOL, 3, duplicate),
	VERDICT(4),
};
#undef T
static const struct store_fields result_fields = { result_list, NELEM(result_list), sizeof(struct store_result) };

/* A client that does not know one of these does without. */
#define T struct store_reply
static const struct store_field reply_list[] = {
	OPTIONAL(U64,    1, account),
	OPTIONAL(U64,    2, mailbox),
	OPTIONAL(U64,    3, modseq),
	OPTIONAL(U64,    4, bytes),
	OPTIONAL(U64,    5, messages),
	OPTIONAL(U64,    6, token),
	OPTIONAL(U32,    7, uidvalidity),
	OPTIONAL(U32,    8, uid),
	OPTIONAL(U32,    9, failed),
	OPTIONAL(U16,   10, level),
	OPTIONAL(U64,   11, features),
	OPTIONAL(TEXT,  12, partition),
	OPTIONAL(TEXT,  13, path),
	ANSWERED(SPANS, 14, uids),
	ANSWERED(SPANS, 15, to),
	LIST(           16, results, STORE_TARGETS_MAX, &result_fields),
	VERDICT(17),
	OPTIONAL(U64,   18, known),
};
#undef T
static const struct store_fields reply_fields = { reply_list, NELEM(reply_list), sizeof(struct store_reply) };
/* clang-format on */

_Static_assert(sizeof(bool) == 1, "duplicate is a byte on the wire");

/* ---- requests ------------------------------------------------------------------------------- */

void
store_request_write(struct buf *b, const struct store_request *r)
{
	const struct store_verb_info *v = store_verb_find(r->verb);

	if (v)
		store_fields_write(b, &request_fields, v->needs | v->may, v->needs, r);
}

/* The first field that the verb needs and that is not there, or NULL. */
static const char *
missing(const struct store_verb_info *v, uint64_t had)
{
	uint64_t none = v->needs & ~had;

	return none ? store_field_find(&request_fields, (unsigned)__builtin_ctzll(none))->name :
		      NULL;
}

static void
flags_known(struct store_request *r)
{
	r->flags &= STORE_FLAGS_ALL;
	for (size_t i = 0; i < r->nmessages; i++)
		r->messages[i].flags &= STORE_FLAGS_ALL;
	for (size_t i = 0; i < r->ntargets; i++)
		r->targets[i].flags &= STORE_FLAGS_ALL;
}

int
store_request_parse(struct slice body, struct arena *a, struct store_request *r, const char **why)
{
	static char text[80];
	const struct store_verb_info *v = store_verb_find(r->verb);
	const char *name;
	uint64_t had;
	uint16_t unknown = 0;
	int rc;

	*why = text;
	if (!v) {
		snprintf(text, sizeof(text), "verb %u is not known here", (unsigned)r->verb);
		return -EOPNOTSUPP;
	}
	rc = store_fields_parse(body, &request_fields, v->needs | v->may, a, r, &had, &unknown);
	if (rc == -EOPNOTSUPP)
		snprintf(text, sizeof(text), "field %u of %s is not known here", unknown, v->name);
	else if (rc < 0)
		snprintf(text, sizeof(text), "%s is damaged", v->name);
	if (rc < 0)
		return rc;
	name = missing(v, had);
	if (name) {
		snprintf(text, sizeof(text), "%s has no %s", v->name, name);
		return -EBADMSG;
	}
	flags_known(r);
	*why = v->check ? v->check(r) : NULL;
	return *why ? -EBADMSG : 0;
}

/* ---- replies ---------------------------------------------------------------------------------- */

void
store_reply_write(struct buf *b, const struct store_reply *r)
{
	store_fields_write(b, &reply_fields, UINT64_MAX, 0, r);
}

int
store_reply_parse(struct slice body, struct arena *a, struct store_reply *r)
{
	uint64_t had;
	uint16_t unknown;
	int rc;

	*r = (struct store_reply){ 0 };
	rc = store_fields_parse(body, &reply_fields, UINT64_MAX, a, r, &had, &unknown);
	if (rc < 0 || !r->verdict.kind)
		return rc < 0 ? rc : -EBADMSG;
	for (size_t i = 0; i < r->nresults; i++)
		if (!r->results[i].verdict.kind)
			return -EBADMSG;
	return 0;
}

/* ---- keywords ----------------------------------------------------------------------------------- */

bool
store_keyword_next(struct slice *rest, struct slice *word)
{
	while (rest->n) {
		if (!slice_cut(rest, ' ', word))
			return false;
		if (word->n)
			return true;
	}
	return false;
}

bool
store_keyword_ok(struct slice word)
{
	if (word.n == 0 || word.n > STORE_KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		unsigned char c = (unsigned char)word.p[i];

		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return true;
}

/* ---- pieces -------------------------------------------------------------------------------------- */

int
store_send(struct ipc *c, const struct store_label *l, struct slice body, const int *fds,
    size_t nfds)
{
	struct slice actor = slice_sub(l->actor, 0, STORE_ACTOR_MAX);
	struct slice trace = slice_sub(l->trace, 0, STORE_TRACE_MAX);
	int rc;

	do {
		size_t n = body.n < STORE_PIECE ? body.n : STORE_PIECE;
		struct store_head h = { .protocol = STORE_PROTOCOL,
			.verb = (uint8_t)l->verb,
			.flags = body.n > n ? STORE_MORE : 0,
			.id = l->id,
			.actor_len = (uint8_t)actor.n,
			.trace_len = (uint8_t)trace.n };
		const struct slice parts[] = { slice((const char *)&h, sizeof(h)), actor, trace,
			slice(body.p, n) };

		rc = ipc_send_parts(c, parts, NELEM(parts), fds, nfds);
		body = slice_from(body, n);
		actor = trace = slice(NULL, 0);
		nfds = 0;
	} while (rc == 0 && body.n);
	return rc;
}

/* The first version closed the connection when it met another; this one does better by it. */
int
store_refuse_old(struct ipc *c, uint32_t id, const struct verdict *v)
{
	size_t n = strlen(v->text);
	struct {
		uint8_t protocol, verb;
		uint16_t flags;
		uint32_t id;
		uint8_t fields[72]; /* of the first version's reply, all 0 */
		uint8_t kind, subject;
		uint16_t detail, reply;
		uint8_t code, text_len;
	} PACKED old = { .protocol = 1,
		.verb = STORE_V_REPLY,
		.id = id,
		.kind = (uint8_t)v->kind,
		.subject = v->subject,
		.detail = v->detail,
		.reply = v->reply,
		.code = STORE_AWAY,
		.text_len = (uint8_t)n };
	const struct slice parts[] = { slice((const char *)&old, sizeof(old)), slice(v->text, n) };

	return ipc_send_parts(c, parts, NELEM(parts), NULL, 0);
}

/* What stands behind the head: the actor, the trace, the body. */
static int
label_split(const struct store_head *h, struct slice rest, struct store_label *l,
    struct slice *body)
{
	if (h->actor_len > STORE_ACTOR_MAX || h->trace_len > STORE_TRACE_MAX ||
	    rest.n < (size_t)h->actor_len + h->trace_len)
		return -EBADMSG;
	l->actor = slice(rest.p, h->actor_len);
	l->trace = slice(rest.p + h->actor_len, h->trace_len);
	*body = slice_from(rest, (size_t)h->actor_len + h->trace_len);
	return 1;
}

int
store_join(struct store_joiner *j, struct slice packet, struct store_label *l, struct slice *body)
{
	struct slice piece = slice_from(packet, sizeof(struct store_head));
	struct store_head h;

	*l = (struct store_label){ 0 };
	if (packet.n >= 8 && packet.p[0] != STORE_PROTOCOL) {
		memcpy(&l->id, packet.p + 4, sizeof(l->id));
		l->verb = (uint8_t)packet.p[0];
		return -EPROTONOSUPPORT;
	}
	if (packet.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, packet.p, sizeof(h));
	l->verb = h.verb;
	l->id = h.id;
	if (!j->joining) {
		if (!(h.flags & STORE_MORE))
			return label_split(&h, piece, l, body);
		buf_fini(&j->b); /* of the body before: large ones are rare */
		j->head = h;
		j->joining = true;
	} else if (h.id != j->head.id || h.verb != j->head.verb || h.actor_len || h.trace_len)
		return -EBADMSG;
	if (j->b.n + piece.n > STORE_BODY_MAX)
		return -EBADMSG;
	buf_slice(&j->b, piece);
	if (h.flags & STORE_MORE)
		return 0;
	j->joining = false;
	return label_split(&j->head, buf_get(&j->b), l, body);
}
