/* queue/json.c: see json.h. */
#include "queue/json.h"

#include "base/json.h"

static void
queue_json_rcpt(struct buf *b, const struct qrcpt *r)
{
	struct buf code = { 0 };

	buf_char(b, '{');
	json_put_cstr(b, "address", r->addr);
	json_put_cstr(b, "original", r->final);
	json_put_cstr(b, "orcpt", r->orcpt);
	json_put_cstr(b, "state",
	    r->deferred && r->state == QSTATE_PENDING ? "deferred" : qstate_word(r->state));
	if (r->at)
		json_put_i64(b, "at", r->at);
	if (r->last) {
		verdict_esc_write(&code, r->last);
		json_put_i64(b, "reply", r->last->said ? r->last->said : verdict_reply(r->last));
		json_put_str(b, "code", buf_get(&code));
		json_put_cstr(b, "text", r->last->text);
		buf_fini(&code);
	}
	json_put_cstr(b, "mta", r->mta);
	buf_char(b, '}');
}

void
queue_json_put(struct buf *b, const struct qenv *e, bool held)
{
	json_put_cstr(b, "dest", e->dest);
	json_put_cstr(b, "sender", e->sender);
	json_put_cstr(b, "priority", qprio_word(e->prio));
	if (e->by_at) {
		json_put_i64(b, "deliver_by", e->by_at);
		json_put_cstr(b, "late", e->by_notify ? "notify" : "return");
	}
	if (e->priority)
		json_put_i64(b, "mt_priority", e->priority);
	json_put_cstr(b, "tls", qenv_tls_word(e->tls));
	json_put_cstr(b, "source", e->source);
	json_put_cstr(b, "client", e->client);
	json_put_cstr(b, "auth", e->auth);
	json_put_cstr(b, "envid", e->envid);
	if (e->release_at)
		json_put_i64(b, "release", e->release_at);
	if (held)
		json_put_cstr(b, "held", e->held);
	json_key(b, "recipients");
	buf_char(b, '[');
	for (size_t i = 0; i < e->nrcpt; i++) {
		if (i)
			buf_char(b, ',');
		queue_json_rcpt(b, &e->rcpts[i]);
	}
	buf_char(b, ']');
}
