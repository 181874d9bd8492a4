/* lmtpd/deliver.c: a message on its way into the store.
 *
 * The body goes into a file without a name that stored has lent us; small ones are kept in
 * memory until they are complete and written at once, so that the cache record (imap/cache.h)
 * is made without reading anything back.  Then one request to stored names the file and all
 * recipients; its answer comes after the sync, and is our answer. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "imap/cache.h"
#include "lmtpd.h"
#include "mail/date.h"
#include "mail/received.h"
#include "net/work.h"

static void body_lent(void *arg, const struct store_reply *);
static void stored(void *arg, const struct store_reply *);
static void commit(struct lsession *, struct slice cache);

/* ---- the beginning -------------------------------------------------------------------- */

/* Return-Path (RFC 5321 4.4: by the system that makes final delivery) and our trace. */
static void
put_trace(struct lsession *s)
{
	const struct smtp_mail *m = &s->srv.mail;
	bool tls = stream_secure(&s->srv.io);
	struct received r = {
		.helo = slice_str(s->srv.helo),
		.addr = slice_str(s->host),
		.by = slice_str(shared.hostname),
		.with = slice_str(received_with(true, true, tls, false, m->smtputf8)),
		.id = m->xqid.p ? m->xqid : slice_str(s->sid),
		.at = clock_now(),
	};

	buf_lit(&s->bytes, "Return-Path: <");
	address_write(&s->bytes, &m->from);
	buf_lit(&s->bytes, ">\r\n");
	if (!lconf.received)
		return;
	r.zone = date_local_zone(r.at);
	if (s->nrcpt == 1)
		r.rcpt = s->rcpts[0].address;
	received_write(&s->bytes, &r);
}

void
deliver_body(struct smtp_server *srv)
{
	struct lsession *s = lsession_of(srv);
	struct verdict v = verdict(OK, 250, "2.0.0", "ok");

	must(s->nrcpt > 0 && s->body.fd < 0);
	if (store_body_take(lmtpd.store, s->rcpts[0].partition, &s->body) < 0) {
		store_body_start(lmtpd.store, s->rcpts[0].partition, &s->body, &s->op, body_lent, s);
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

static int
write_all(int fd, struct slice b)
{
	while (b.n) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		b = slice_from(b, (size_t)n);
	}
	return 0;
}

static struct verdict
write_failed(const struct lsession *s, int error)
{
	log_event(LOG_ERROR, "body", "sid=%s error=%s", s->sid, log_str(strerror(-error)));
	return error == -ENOSPC || error == -EDQUOT
	    ? verdict(TEMP, 452, "4.3.1", "no space for the message")
	    : verdict(TEMP, 451, "4.3.0", "the message cannot be written");
}

/* What is in memory goes into the file. */
static int
spill(struct lsession *s)
{
	int r = write_all(s->body.fd, buf_get(&s->bytes));

	s->size += s->bytes.n;
	s->spilled = true;
	return r;
}

void
deliver_bytes(struct smtp_server *srv, struct slice b)
{
	struct lsession *s = lsession_of(srv);
	struct verdict v;
	int r = 0;

	if (!s->spilled && s->bytes.n + b.n <= (size_t)lconf.keep) {
		/* One allocation when the client said how much will come. */
		if (s->bytes.room < s->bytes.n + b.n && srv->mail.size > b.n &&
		    srv->mail.size < (uint64_t)lconf.keep)
			buf_grow(&s->bytes, (size_t)srv->mail.size + 16);
		buf_slice(&s->bytes, b);
		return;
	}
	if (!s->spilled) {
		r = spill(s);
		buf_fini(&s->bytes);
	}
	if (r == 0)
		r = write_all(s->body.fd, b);
	s->size += b.n;
	if (r < 0) {
		v = write_failed(s, r);
		smtp_server_fail(srv, &v);
	}
}

/* ---- the end -------------------------------------------------------------------------- */

/* The cache record of a message that is too large for memory: made from the mapped file on a
 * thread, so that the worker's other sessions go on. */
struct build {
	struct lsession *s;
	void *map;
	size_t size;
	struct buf cache;
};

static void
build_free(void *arg)
{
	struct build *b = arg;

	(void)munmap(b->map, b->size);
	buf_fini(&b->cache);
	mem_free(&b);
}

static void
build_run(void *arg)
{
	struct build *b = arg;

	imap_cache_build(slice(b->map, b->size), &b->cache);
}

static void
built(void *arg)
{
	struct build *b = arg;

	b->s->building = false;
	commit(b->s, buf_get(&b->cache));
	build_free(b);
}

static int
build_start(struct lsession *s)
{
	struct build *b;
	void *map = mmap(NULL, (size_t)s->size, PROT_READ, MAP_PRIVATE, s->body.fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	b = mem_new(sizeof(*b));
	b->s = s;
	b->map = map;
	b->size = (size_t)s->size;
	s->building = true;
	work_start(lmtpd.loop, &s->op, build_run, built, build_free, b);
	return 0;
}

static void
log_rcpt(const struct lsession *s, const struct lrcpt *r, const struct store_result *t)
{
	struct slice qid = s->srv.mail.xqid;

	log_event(LOG_INFO, "deliver",
	    "sid=%s qid=%s to=%s user=%s folder=%s verdict=%d.%u.%u reply=%d uid=%u size=%llu dup=%d ms=%llu",
	    s->sid, log_value(qid), log_value(r->address), log_value(r->account), log_value(r->folder),
	    (int)r->v.kind, r->v.subject, r->v.detail, verdict_reply(&r->v), t ? t->uid : 0,
	    (unsigned long long)s->size, t && t->duplicate,
	    (unsigned long long)(loop_now(lmtpd.loop) - s->began_ms));
}

/* One answer for each recipient, in the order of RCPT (RFC 2033 4.2). */
static void
answer_all(struct lsession *s, const struct store_reply *reply)
{
	size_t n = s->nrcpt;

	for (size_t i = 0; i < n; i++) {
		struct lrcpt *r = &s->rcpts[i];
		const struct store_result *t = NULL;

		if (r->again)
			r->v = s->rcpts[r->target].v;
		else if (r->v.kind == VERDICT_NONE && reply && reply->verdict.kind == OK)
			t = &reply->results[r->target];
		if (t) {
			r->v = t->verdict;
			if (t->code == STORE_OVERQUOTA && lconf.over_quota == OVER_QUOTA_PERM)
				r->v = verdict(PERM, 552, "5.2.2", "the mailbox is full");
			else if (t->code == STORE_OVERQUOTA)
				r->v = verdict(TEMP, 452, "4.2.2", "the mailbox is full");
			metric_add(M_DUPLICATES, t->duplicate);
		} else if (r->v.kind == VERDICT_NONE) {
			must(reply != NULL);
			r->v = reply->verdict;
		}
		metric_add(r->v.kind == OK ? M_DELIVERED : r->v.kind == TEMP ? M_DEFERRED : M_FAILED, 1);
		log_rcpt(s, r, t);
	}
	metric_add(M_MESSAGES, 1);
	metric_add(M_BYTES, (int64_t)s->size);
	/* The last answer ends the transaction and with it the recipients. */
	for (size_t i = 0; i < n; i++) {
		struct verdict v = s->rcpts[i].v;

		smtp_server_answer(&s->srv, &v);
	}
}

/* The recipients that stored is asked about.  Returns how many. */
static size_t
fill_targets(struct lsession *s, struct store_target *targets)
{
	struct slice qid = s->srv.mail.xqid;
	struct buf key = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < s->nrcpt; i++) {
		struct lrcpt *r = &s->rcpts[i];

		if (r->again)
			continue;
		if (r->max_message > 0 && s->size > (uint64_t)r->max_message) {
			r->v = verdict(PERM, 552, "5.3.4", "the message is larger than this user takes");
			continue;
		}
		targets[n] = (struct store_target){
			.account = r->account, .partition = r->partition, .folder = r->folder,
			.limits = r->limits,
		};
		if (qid.n) {	/* the mailbox, not the address: aliases are one */
			buf_clear(&key);
			buf_slice(&key, r->account);
			buf_char(&key, '\n');
			buf_slice(&key, r->folder);
			store_dup_key(qid, buf_get(&key), targets[n].dup);
		}
		r->target = n++;
	}
	buf_fini(&key);
	return n;
}

/* The message is in its file, the record is made: one request for all. */
static void
commit(struct lsession *s, struct slice cache)
{
	struct store_target *targets = mem_array(s->nrcpt, sizeof(*targets));
	struct store_message m = { .body = &s->body, .size = (uint32_t)s->size, .cache = cache };
	size_t n = fill_targets(s, targets);

	m.internaldate = clock_now();
	m.zone = (int16_t)date_local_zone(m.internaldate);
	if (n == 0)
		answer_all(s, NULL);
	else
		store_deliver_start(lmtpd.store, &m, targets, n, &s->op, stored, s);
	mem_free(&targets);
}

void
deliver_end(struct smtp_server *srv)
{
	struct lsession *s = lsession_of(srv);
	struct store_reply bad = { .code = STORE_FAILED };
	struct buf cache = { 0 };
	int r;

	if (s->spilled) {
		r = build_start(s);
	} else {
		r = spill(s);
		if (r == 0) {
			imap_cache_build(buf_get(&s->bytes), &cache);
			commit(s, buf_get(&cache));
			buf_fini(&cache);
		}
	}
	if (r < 0) {
		bad.verdict = write_failed(s, r);
		answer_all(s, &bad);
	}
}

static void
stored(void *arg, const struct store_reply *r)
{
	struct lsession *s = CAST(arg, struct lsession, LSESSION_MAGIC);

	answer_all(s, r);
}

void
deliver_reset(struct smtp_server *srv)
{
	struct lsession *s = lsession_of(srv);

	op_cancel(&s->op);
	if (s->building) {
		/* Giving the file back would cut it under the thread that reads it. */
		(void)close(s->body.fd);
		s->body.fd = -1;
		s->building = false;
	}
	if (s->body.fd >= 0)
		store_body_put(lmtpd.store, &s->body);
	s->nrcpt = 0;
	s->size = 0;
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
