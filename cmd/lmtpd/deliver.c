/* lmtpd/deliver.c: a message on its way into the store.
 *
 * The body goes into a file without a name that stored has lent us; small ones are kept in
 * memory until they are complete and written at once, so that the digest (message/digest.h)
 * is made without reading anything back.  Then one request to stored names the file and all
 * recipients; its answer comes after the sync, and is our answer. */
#include <errno.h>
#include <stdio.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "filter.h"
#include "mail/date.h"
#include "mail/received.h"
#include "message/parse.h"
#include "spam.h"

static void body_lent(void *arg, const struct store_reply *);
static void deliver_stored(void *arg, const struct store_reply *);

/* ---- the beginning -------------------------------------------------------------------- */

/* Return-Path (RFC 5321 4.4: by the system that makes final delivery) and our trace. */
static void
put_trace(struct lsession *s)
{
	const struct smtp_mail *m = &s->srv.mail;
	bool tls = stream_secure(&s->srv.line.io);
	struct received r = {
		.helo = slice_str(s->srv.helo),
		.addr = slice_str(s->host),
		.by = slice_str(shared.hostname),
		.with = slice_str(received_with(true, true, tls, false, m->smtputf8)),
		.id = m->xqid.p ? m->xqid : slice_str(s->sid),
		.at = clock_now(),
	};

	if (s->rcpts[0].event) { /* it is no delivery */
		s->trace = 0;
		return;
	}
	buf_lit(&s->bytes, "Return-Path: <");
	address_write(&s->bytes, &m->from);
	buf_lit(&s->bytes, ">\r\n");
	if (lconf.received) {
		r.zone = date_local_zone(r.at);
		if (s->nrcpt == 1)
			r.rcpt = s->rcpts[0].address;
		received_write(&s->bytes, &r);
	}
	s->trace = s->bytes.n;
}

void
deliver_body(struct smtp_server *srv)
{
	struct lsession *s = lmtpd_session_of(srv);
	struct verdict v = verdict(OUT_OK);

	must(s->nrcpt > 0 && s->body.fd < 0);
	if (store_body_take(lmtpd.store, s->rcpts[0].partition, &s->body) < 0) {
		store_body_start(lmtpd.store, s->rcpts[0].partition, &s->body, &s->op, body_lent,
		    s);
		return;
	}
	put_trace(s);
	smtp_server_answer(srv, &v);
}

static void
body_lent(void *arg, const struct store_reply *r)
{
	struct lsession *s = CAST(arg, struct lsession, LSESSION_MAGIC);

	if (r->verdict.kind == OK)
		put_trace(s);
	else
		metric_add(M_DEFERRED, (int64_t)s->nrcpt);
	smtp_server_answer(&s->srv, &r->verdict);
}

/* ---- the bytes ------------------------------------------------------------------------ */

/* Into the file, and into what the record will say of it: a disk that changes it later is found. */
int
deliver_write(struct lsession *s, struct slice b)
{
	s->size += b.n;
	s->crc = crc32c(s->crc, b.p, b.n);
	return files_write(s->body.fd, b.p, b.n);
}

struct verdict
deliver_unwritten(const struct lsession *s, int error)
{
	log_event(LOG_ERROR, "body", "sid=%s error=%s", s->sid, log_str(strerror(-error)));
	return error == -ENOSPC || error == -EDQUOT ? verdict(OUT_BODY_NO_SPACE) :
						      verdict(OUT_BODY_UNWRITTEN);
}

/* What is in memory goes into the file. */
static int
deliver_spill(struct lsession *s)
{
	s->spilled = true;
	return deliver_write(s, buf_get(&s->bytes));
}

static EVP_MD *sha256; /* EVP_sha256() stands for a search in libcrypto, for each message */

/* What the message is, apart from the name that its sender gave it: two messages of one name are
 * two.  Only what the client sent: our trace differs each time. */
static void
deliver_digest(struct lsession *s, struct slice b)
{
	if (!s->srv.mail.xqid.n)
		return;
	if (!s->digest) {
		if (!sha256)
			sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		s->digest = EVP_MD_CTX_new();
		must(s->digest && EVP_DigestInit_ex(s->digest, sha256, NULL) == 1);
	}
	must(EVP_DigestUpdate(s->digest, b.p, b.n) == 1);
}

void
deliver_bytes(struct smtp_server *srv, struct slice b)
{
	struct lsession *s = lmtpd_session_of(srv);
	struct verdict v;
	int r = 0;

	deliver_digest(s, b);
	if (!s->spilled && s->bytes.n + b.n <= (size_t)lconf.keep) {
		/* One allocation when the client said how much will come. */
		if (s->bytes.room < s->bytes.n + b.n && srv->mail.size > b.n &&
		    srv->mail.size < (uint64_t)lconf.keep)
			buf_grow(&s->bytes, (size_t)srv->mail.size + 16);
		buf_slice(&s->bytes, b);
		return;
	}
	if (!s->spilled) {
		r = deliver_spill(s);
		buf_fini(&s->bytes);
	}
	if (r == 0)
		r = deliver_write(s, b);
	if (r < 0) {
		v = deliver_unwritten(s, r);
		smtp_server_fail(srv, &v);
	}
}

/* ---- the end -------------------------------------------------------------------------- */

/* The digest of a message that is too large for memory was made from its file on a thread, so
 * that the worker's other sessions went on. */
static void
deliver_parsed(void *arg)
{
	struct lsession *s = CAST(arg, struct lsession, LSESSION_MAGIC);
	struct message_parse *p = s->parse;

	s->parse = NULL;
	s->parsed(s, buf_get(&p->digest));
	message_parse_free(&p);
}

void
deliver_parse(struct lsession *s, void (*done)(struct lsession *, struct slice cache))
{
	s->parsed = done;
	s->parse = message_parse_body(lmtpd.store, &s->body, s->size);
	message_parse_start(s->parse, lmtpd.loop, &s->op, WORK_OWN, deliver_parsed, s);
}

void
deliver_log(const struct lsession *s, const struct lrcpt *r, struct slice folder,
    const struct verdict *v, const struct store_result *t)
{
	struct slice qid = s->srv.mail.xqid;

	log_event(LOG_INFO, "deliver",
	    "sid=%s qid=%s to=%s user=%s folder=%s verdict=%d.%u.%u reply=%d uid=%u size=%llu "
	    "dup=%d ms=%llu",
	    s->sid, log_value(qid), log_value(r->address), log_value(r->account), log_value(folder),
	    (int)v->kind, v->subject, v->detail, verdict_reply(v), t ? t->uid : 0,
	    (unsigned long long)s->size, t && t->duplicate,
	    (unsigned long long)(loop_now(lmtpd.loop) - s->began_ms));
}

void
deliver_verdict(const struct store_result *t, struct verdict *v)
{
	bool domain;

	metric_add(M_DUPLICATES, t->duplicate);
	domain = t->verdict.subject == 3; /* RFC 3463 3.4: the user's own is 4.2.2 */
	if (t->code == STORE_OVERQUOTA && lconf.over_quota == OVER_QUOTA_PERM)
		*v = domain ? verdict(OUT_DOMAIN_FULL) : verdict(OUT_QUOTA_FULL);
	else if (t->code == STORE_OVERQUOTA && lconf.over_quota == OVER_QUOTA_TEMP)
		*v = domain ? verdict(OUT_DOMAIN_FULL_NOW) : verdict(OUT_QUOTA_FULL_NOW);
	else
		*v = t->verdict;
}

/* What stored has said of the recipients without scripts. */
static void
deliver_settle(struct lsession *s, const struct store_reply *reply)
{
	for (size_t i = 0; i < s->nrcpt; i++) {
		struct lrcpt *r = &s->rcpts[i];
		const struct store_result *t = NULL;

		if (r->again || r->scripted || r->v.kind != VERDICT_NONE)
			continue;
		if (reply->verdict.kind == OK) {
			t = &reply->results[r->target];
			deliver_verdict(t, &r->v);
		} else {
			r->v = reply->verdict;
		}
		r->logged = true;
		deliver_log(s, r, r->folder, &r->v, t);
	}
}

/* One answer for each recipient, in the order of RCPT (RFC 2033 4.2). */
void
deliver_answer_all(struct lsession *s)
{
	size_t n = s->nrcpt;

	for (size_t i = 0; i < n; i++) {
		struct lrcpt *r = &s->rcpts[i];

		if (r->again) {
			r->v = s->rcpts[r->target].v;
			r->reason = s->rcpts[r->target].reason;
		}
		must(r->v.kind != VERDICT_NONE);
		if (r->event)
			continue;
		metric_add(r->v.kind == OK ? M_DELIVERED :
			r->v.kind == TEMP  ? M_DEFERRED :
					     M_FAILED,
		    1);
		if (!r->logged)
			deliver_log(s, r, r->folder, &r->v, NULL);
	}
	if (!s->rcpts[0].event) {
		metric_add(M_MESSAGES, 1);
		metric_add(M_BYTES, (int64_t)s->size);
	}
	/* The last answer ends the transaction and with it the recipients. */
	for (size_t i = 0; i < n; i++) {
		struct verdict v = s->rcpts[i].v;

		smtp_server_answer_words(&s->srv, &v, s->rcpts[i].reason);
	}
}

void
deliver_fail(struct lsession *s, const struct verdict *v)
{
	for (size_t i = 0; i < s->nrcpt; i++)
		if (s->rcpts[i].v.kind == VERDICT_NONE && !s->rcpts[i].again)
			s->rcpts[i].v = *v;
	deliver_answer_all(s);
}

/* What a repetition is known by: the sender's name for the message, what it is, and the mailbox, not the
 * address: aliases are one.  All 0 when it has no name. */
void
deliver_dup_key(struct lsession *s, struct slice account, struct slice folder, uint8_t key[16])
{
	static struct buf text; /* used again for the next */
	struct slice qid = s->srv.mail.xqid;

	if (!qid.n)
		return;
	if (s->digest && !s->nsum)
		must(EVP_DigestFinal_ex(s->digest, s->sum, &s->nsum) == 1);
	buf_clear(&text);
	buf_slice(&text, account);
	buf_char(&text, '\n');
	buf_slice(&text, folder);
	buf_char(&text, '\n');
	buf_hex(&text, s->sum, s->nsum);
	store_dup_key(qid, buf_get(&text), key);
}

/* The recipients without scripts that stored is asked about.  Returns how many. */
static size_t
fill_targets(struct lsession *s, struct store_target *targets)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nrcpt; i++) {
		struct lrcpt *r = &s->rcpts[i];

		if (r->again || r->scripted || r->v.kind != VERDICT_NONE)
			continue;
		if (r->max_message > 0 && s->size > (uint64_t)r->max_message) {
			r->v = verdict(OUT_USER_SIZE);
			continue;
		}
		targets[n] = (struct store_target){
			.account = r->account,
			.partition = r->partition,
			.folder = r->folder,
			.limits = r->limits,
		};
		if (r->sent) {
			targets[n].folder = S("Sent");
			targets[n].use = STORE_USE_SENT;
			targets[n].create = true;
			targets[n].flags = STORE_SEEN;
		} else if (spam_filed(s, r)) {
			targets[n].folder = r->folder =
			    slice_str(arena_str(&s->srv.arena, lconf.spam_folder));
			targets[n].use = STORE_USE_JUNK;
			targets[n].create = true;
			metric_add(M_SPAM, 1);
		}
		deliver_dup_key(s, r->account, targets[n].folder, targets[n].dup);
		r->target = n++;
	}
	return n;
}

/* The message is in its file, the record is made: one request for all who get it in this form. */
void
deliver_commit(struct lsession *s, struct slice cache)
{
	size_t room = s->filter ? filter_targets_most(s) : s->nrcpt, n;
	struct store_target *targets = mem_array(room, sizeof(*targets));
	struct store_message m = { .body = &s->body,
		.size = (uint32_t)s->size,
		.cache = cache,
		.digest = s->crc,
		.sentday = message_digest_sentday(cache) };

	n = fill_targets(s, targets);
	if (s->filter)
		n = filter_targets(s, targets, n);
	m.internaldate = clock_now();
	m.zone = (int16_t)date_local_zone(m.internaldate);
	if (n > 0)
		store_deliver_start(lmtpd.store, &m, targets, n, &s->op, deliver_stored, s);
	else if (s->filter)
		filter_go_on(s);
	else
		deliver_answer_all(s);
	mem_free(&targets);
}

/* The message is complete, in its file and in memory. */
static void
deliver_complete(struct lsession *s, struct slice cache)
{
	if (!sent_look(s, cache))
		deliver_go_on(s, cache);
}

void
deliver_go_on(struct lsession *s, struct slice cache)
{
	spam_look(s);
	if (s->filter)
		filter_start(s, cache);
	else
		deliver_commit(s, cache);
}

void
deliver_end(struct smtp_server *srv)
{
	struct lsession *s = lmtpd_session_of(srv);
	struct buf cache = { 0 };
	struct verdict v;
	int r;

	if (s->spilled) {
		deliver_parse(s, deliver_complete);
		return;
	}
	r = deliver_spill(s);
	if (r == 0) {
		message_digest_build(buf_get(&s->bytes), &cache);
		deliver_complete(s, buf_get(&cache));
		buf_fini(&cache);
	} else {
		v = deliver_unwritten(s, r);
		deliver_fail(s, &v);
	}
}

static void
deliver_stored(void *arg, const struct store_reply *r)
{
	struct lsession *s = CAST(arg, struct lsession, LSESSION_MAGIC);

	deliver_settle(s, r);
	if (s->filter)
		filter_stored(s, r);
	else
		deliver_answer_all(s);
}

void
deliver_reset(struct smtp_server *srv)
{
	struct lsession *s = lmtpd_session_of(srv);

	op_cancel(&s->op);
	if (s->parse)
		message_parse_leave(s->parse, &s->body);
	s->parse = NULL;
	if (s->filter)
		filter_stop(s);
	if (s->body.fd >= 0)
		store_body_put(lmtpd.store, &s->body);
	EVP_MD_CTX_free(s->digest);
	s->digest = NULL;
	s->nsum = 0;
	s->nrcpt = 0;
	s->size = 0;
	s->crc = 0;
	s->spilled = false;
	/* A session between messages owns little. */
	if (s->bytes.room > 16384)
		buf_fini(&s->bytes);
	else
		buf_clear(&s->bytes);
	if (s->room > 64) {
		mem_free(&s->rcpts);
		s->room = 0;
	}
}
