/* env.c: writing the envelope's text form and journal lines.  Reading is in parse.c; the format
 * to the byte in tiermail-queue(5).
 *
 * Pure, nothing fails.  The first line is written last: until then the file says that it is
 * unfinished, and its sums cover all that follows.  A journal line's sum begins with the file's
 * id, so that what a recycled file had before is never read as this message's. */
#include "base/base64.h"
#include "base/crc.h"
#include "base/kv.h"
#include "base/must.h"
#include "queue/queue-impl.h"

/* "tiermail-queue 1 head=xxxxxxxx body=xxxxxxxxxxxxxxxx sum=xxxxxxxx crc=xxxxxxxx\n" */
#define FIRST_CRC_AT (QENV_FIRST - 14) /* where " crc=" begins */

static void
hex_put(char *dst, size_t digits, uint64_t v)
{
	while (digits-- > 0) {
		dst[digits] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
}

/* Digit by digit: printf would be a tenth of what a message costs smtp-relay. */
static void
qfirst_write(char dst[QENV_FIRST], const struct qfirst *f)
{
	static const char line[] =
	    "tiermail-queue 1 head=00000000 body=0000000000000000 sum=00000000 crc=00000000\n";

	_Static_assert(sizeof(line) - 1 == QENV_FIRST, "the first line's length is the format's");
	memcpy(dst, line, QENV_FIRST);
	hex_put(dst + 22, 8, f->head);
	hex_put(dst + 36, 16, f->body);
	hex_put(dst + 57, 8, f->sum);
	hex_put(dst + 70, 8, f->crc);
}

void
qenv_seal(char *head, size_t n, uint64_t body_len, uint32_t body_crc)
{
	struct qfirst f = { .head = (uint32_t)n, .sum = body_crc, .body = body_len };

	must(n > QENV_FIRST && n <= QUEUE_HEADER_MAX);
	qfirst_write(head, &f);
	f.crc = crc32c(0, head + QENV_FIRST, n - QENV_FIRST);
	f.crc = crc32c(f.crc, head, FIRST_CRC_AT);
	qfirst_write(head, &f);
}

static void
put_opt(struct buf *b, const char *key, const char *value)
{
	if (value)
		kv_put(b, key, slice_str(value));
}

static void
put_notify(struct buf *b, int notify)
{
	static const struct {
		int bit;
		const char *word;
	} words[] = { { QNOTIFY_NEVER, "never" }, { QNOTIFY_SUCCESS, "success" },
		{ QNOTIFY_FAILURE, "failure" }, { QNOTIFY_DELAY, "delay" } };
	const char *sep = " notify=";

	for (size_t i = 0; i < NELEM(words); i++) {
		if (!(notify & words[i].bit))
			continue;
		buf_str(b, sep);
		buf_str(b, words[i].word);
		sep = ",";
	}
}

static void
qenv_put_rcpt(struct buf *b, const struct qrcpt *r, size_t n)
{
	buf_lit(b, "rcpt");
	kv_put_u64(b, "n", n);
	kv_put(b, "addr", slice_str(r->addr));
	put_opt(b, "final", r->final);
	put_opt(b, "orcpt", r->orcpt);
	put_notify(b, r->notify);
	if (r->sent)
		buf_lit(b, " sent=1");
	buf_char(b, '\n');
}

static void
put_sums(struct buf *b, struct slice sums)
{
	struct buf text = { 0 };

	base64_write(&text, sums);
	kv_put(b, "sums", buf_get(&text));
	buf_fini(&text);
}

const char *
qenv_tls_word(enum qtls t)
{
	static const char *const words[] = { NULL, "required", "optional" };

	must((size_t)t < NELEM(words));
	return words[t];
}

int64_t
qenv_by_at(const struct qenv *env, const struct qrcpt *r)
{
	return r->archive || r->sent ? 0 : env->by_at;
}

void
qenv_write(struct buf *b, const struct qenv *env, const char *id, const uint32_t *pick,
    size_t npick)
{
	const char *own = env->rcpts[pick[0]].sender, *sender = own ? own : env->sender;
	static const char *const body_words[] = { "7bit", "8bit", "binary" };
	static const char *const ret_words[] = { "", "full", "hdrs" };
	size_t start = b->n;
	char first[QENV_FIRST];

	buf_grow(b, 1024); /* most are shorter */
	qfirst_write(first, &(struct qfirst){ 0 });
	buf_add(b, first, sizeof(first));
	buf_lit(b, "message");
	kv_put(b, "id", slice_str(id));
	kv_put(b, "qid", slice_str(env->qid));
	kv_put_i64(b, "at", env->arrival_ms);
	kv_put(b, "prio", slice_str(qprio_word(env->prio)));
	must((size_t)env->body < NELEM(body_words) && (size_t)env->ret < NELEM(ret_words));
	kv_put(b, "body", slice_str(body_words[env->body]));
	kv_put_u64(b, "utf8", env->utf8);
	buf_lit(b, "\nfrom");
	kv_put(b, "sender", slice_str(sender ? sender : ""));
	if (env->ret != QRET_NONE && !own)
		kv_put(b, "ret", slice_str(ret_words[env->ret]));
	put_opt(b, "envid", own ? NULL : env->envid);
	if (env->rcpts[pick[0]].release_at || env->release_at) {
		kv_put_i64(b, "release",
		    env->rcpts[pick[0]].release_at ? env->rcpts[pick[0]].release_at :
						     env->release_at);
		kv_put_u64(b, "files", env->files);
	}
	put_opt(b, "asked", env->release_asked);
	if (qenv_by_at(env, &env->rcpts[pick[0]])) {
		kv_put_i64(b, "by", env->by_at);
		kv_put(b, "late", env->by_notify ? S("notify") : S("return"));
		if (env->by_trace)
			buf_lit(b, " trace=1");
	}
	if (env->priority)
		kv_put_i64(b, "priority", env->priority);
	put_opt(b, "tls", qenv_tls_word(env->tls));
	buf_lit(b, "\norigin");
	put_opt(b, "source", env->source);
	put_opt(b, "client", env->client);
	put_opt(b, "helo", env->helo);
	put_opt(b, "auth", env->auth);
	put_opt(b, "language", own ? NULL : env->language);
	if (env->inside)
		buf_lit(b, " inside=1");
	buf_lit(b, "\nto");
	kv_put(b, "channel", slice_str(env->rcpts[pick[0]].channel));
	kv_put(b, "dest", slice_str(env->rcpts[pick[0]].dest));
	kv_put_u64(b, "rcpts", npick);
	buf_char(b, '\n');
	if (env->known.n && env->rcpts[pick[0]].again) {
		buf_lit(b, "known");
		put_sums(b, env->known);
		buf_char(b, '\n');
	}
	for (size_t i = 0; i < npick; i++)
		qenv_put_rcpt(b, &env->rcpts[pick[i]], i);
	buf_lit(b, "END\n");
	qenv_seal(b->p + start, b->n - start, 0, 0);
}

void
qenv_write_blank(struct buf *b, size_t len)
{
	static const char unfinished[] = "tiermail-queue 0 unfinished\n";
	size_t n = sizeof(unfinished) - 1;

	must(len > n);
	buf_add(b, unfinished, n);
	memset(buf_reserve(b, len - n), '\n', len - n);
	b->n += len - n;
}

/* ---- journal ------------------------------------------------------------------------- */

/* Each line's CRC starts with the id of the file, so that what an earlier life of a recycled
 * file left behind can never be taken for this one's. */
static void
qenv_end_line(struct buf *b, size_t start, const char *id)
{
	uint32_t crc = crc32c(0, id, QUEUE_FILE_ID_LEN);

	crc = crc32c(crc, b->p + start, b->n - start);
	buf_printf(b, " crc=%08x\n", crc);
}

void
qjournal_rcpts(struct buf *b, const char *id, struct qenv *env)
{
	for (size_t i = 0; i < env->nrcpt; i++) {
		struct qrcpt *r = &env->rcpts[i];
		size_t start = b->n;

		if (!r->changed)
			continue;
		r->changed = false;
		buf_lit(b, "rcpt");
		kv_put_u64(b, "n", i);
		kv_put(b, "state",
		    slice_str(r->deferred && r->state == QSTATE_PENDING ? "deferred" :
									  qstate_word(r->state)));
		kv_put_i64(b, "at", r->at);
		if (r->last) {
			buf_lit(b, " code=");
			verdict_esc_write(b, r->last);
			kv_put_u64(b, "reply", (uint64_t)verdict_reply(r->last));
			if (r->last->said) {
				kv_put_u64(b, "said", r->last->said);
				kv_put_u64(b, "class", r->last->said_class);
			}
			kv_put(b, "text", slice_str(r->last->text));
		}
		put_opt(b, "mta", r->mta);
		qenv_end_line(b, start, id);
	}
}

void
qjournal_attempt(struct buf *b, const char *id, uint32_t attempts, int64_t next_at)
{
	size_t start = b->n;

	buf_lit(b, "attempt");
	kv_put_u64(b, "n", attempts);
	kv_put_i64(b, "next", next_at);
	qenv_end_line(b, start, id);
}

void
qjournal_notice(struct buf *b, const char *id, uint32_t notices, int64_t at)
{
	size_t start = b->n;

	buf_lit(b, "notice");
	kv_put_u64(b, "n", notices);
	kv_put_i64(b, "at", at);
	qenv_end_line(b, start, id);
}

void
qjournal_report(struct buf *b, const char *id, const char *report, const char *state)
{
	size_t start = b->n;

	buf_lit(b, "report");
	kv_put(b, "id", slice_str(report));
	kv_put(b, "state", slice_str(state));
	qenv_end_line(b, start, id);
}

void
qjournal_members(struct buf *b, const char *id, struct slice sums)
{
	size_t start = b->n;

	buf_lit(b, "members");
	put_sums(b, sums);
	qenv_end_line(b, start, id);
}

void
qjournal_told(struct buf *b, const char *id, const char *to, int64_t at)
{
	size_t start = b->n;

	buf_lit(b, "told");
	kv_put_i64(b, "at", at);
	kv_put(b, "to", slice_str(to));
	qenv_end_line(b, start, id);
}

void
qjournal_held(struct buf *b, const char *id, struct slice why, int64_t at)
{
	size_t start = b->n;

	buf_lit(b, "held");
	kv_put_i64(b, "at", at);
	kv_put(b, "why", why);
	qenv_end_line(b, start, id);
}

void
qjournal_released(struct buf *b, const char *id, int64_t at)
{
	size_t start = b->n;

	buf_lit(b, "released");
	kv_put_i64(b, "at", at);
	qenv_end_line(b, start, id);
}

void
qjournal_step(struct buf *b, const char *id)
{
	struct buf step = { 0 };

	if (b->n == 0 || slice_find(buf_get(b), '\n') == b->n - 1)
		return;
	buf_lit(&step, "step");
	kv_put_u64(&step, "len", b->n);
	qenv_end_line(&step, 0, id);
	buf_slice(&step, buf_get(b));
	buf_fini(b);
	*b = step;
}
