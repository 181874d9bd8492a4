/* parse.c: reading the envelope and the journal of a queue file.  Every file may have been torn
 * by a power cut or damaged since, so nothing here trusts what it reads.  Writing is in env.c.
 *
 * Called by read.c, and so by jobctl, the masters and the tools.  Pure; a file fails as torn (it
 * was never acknowledged and may go) or as damaged (it may be an accepted message and must stay),
 * and in doubt it is damaged.  What must stay true: records and keys of a later version are
 * passed over; the journal counts up to its first line that is not whole. */
#include <errno.h>
#include "base/base64.h"
#include "base/crc.h"
#include "base/kv.h"
#include "queue/queue-impl.h"

#define FIRST_CRC_AT (QENV_FIRST - 14)

static bool
hex_field(struct slice line, size_t at, struct slice label, size_t width, uint64_t *v)
{
	*v = 0;
	if (!slice_eq(slice_sub(line, at, label.n), label))
		return false;
	for (size_t i = at + label.n; i < at + label.n + width; i++) {
		char c = line.p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (d < 0)
			return false;
		*v = *v << 4 | (uint64_t)d;
	}
	return true;
}

static bool
qfirst_parse(struct slice line, struct qfirst *f)
{
	uint64_t head, body, sum, crc;

	if (line.n < QENV_FIRST || !hex_field(line, 0, S("tiermail-queue 1 head="), 8, &head) ||
	    !hex_field(line, 30, S(" body="), 16, &body) ||
	    !hex_field(line, 52, S(" sum="), 8, &sum) ||
	    !hex_field(line, 65, S(" crc="), 8, &crc) || line.p[QENV_FIRST - 1] != '\n')
		return false;
	if (head <= QENV_FIRST || head > QUEUE_HEADER_MAX || body > (uint64_t)1 << 48)
		return false;
	*f = (struct qfirst){ (uint32_t)head, (uint32_t)sum, (uint32_t)crc, body };
	return true;
}

uint64_t
qenv_header_len(struct slice first)
{
	struct qfirst f;

	return qfirst_parse(first, &f) ? f.head : 0;
}

/* ---- values -------------------------------------------------------------------------- */

/* The decoded value of `key` in the arena; NULL when absent or badly escaped. */
static const char *
get_str(struct slice rest, const char *key, struct arena *a)
{
	struct slice v = kv_find(rest, key);
	char *dst;

	if (!v.p)
		return NULL;
	dst = arena_new(a, v.n + 1);
	return kv_cstr(v, dst, v.n + 1) == 0 ? dst : NULL;
}

static bool
get_u64(struct slice rest, const char *key, uint64_t max, uint64_t *v)
{
	struct slice s = kv_find(rest, key);

	return s.p && slice_u64(s, max, v) == 0;
}

static int
get_word(struct slice rest, const char *key, const char *const *words, size_t n)
{
	struct slice s = kv_find(rest, key);

	for (size_t i = 0; s.p && i < n; i++)
		if (slice_eq(s, slice_str(words[i])))
			return (int)i;
	return -1;
}

static int
parse_notify(struct slice list)
{
	struct slice word;
	int bits = 0;

	while (slice_cut(&list, ',', &word)) {
		if (slice_eq(word, S("never")))
			bits |= QNOTIFY_NEVER;
		else if (slice_eq(word, S("success")))
			bits |= QNOTIFY_SUCCESS;
		else if (slice_eq(word, S("failure")))
			bits |= QNOTIFY_FAILURE;
		else if (slice_eq(word, S("delay")))
			bits |= QNOTIFY_DELAY;
	}
	return bits;
}

/* Sums of names in the arena; none when they cannot be read. */
static struct slice
get_sums(struct slice rest, struct arena *a)
{
	struct slice v = kv_find(rest, "sums"), sums = { 0 };
	struct buf text = { 0 }, b = { 0 };

	if (v.p && kv_decode(&text, v) == 0 && base64_parse(&b, buf_get(&text)) == 0)
		sums = arena_slice(a, buf_get(&b));
	buf_fini(&text);
	buf_fini(&b);
	return sums;
}

/* ---- records ------------------------------------------------------------------------- */

struct parse {
	struct qenv *env;
	struct arena *a;
	const char *id;     /* expected, "" = any */
	size_t rcpts, room; /* recipients read, announced by `to` */
	bool message, from, to, end;
	const char *why;
};

static bool
qparse_refuse(struct parse *p, const char *why)
{
	p->why = why;
	return false;
}

static bool
id_good(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!(id.p[i] >= '0' && id.p[i] <= '9') && !(id.p[i] >= 'a' && id.p[i] <= 'z'))
			return false;
	return id.n > 0;
}

static bool
rec_message(struct parse *p, struct slice rest)
{
	static const char *const bodies[] = { "7bit", "8bit", "binary" };
	struct slice id = kv_find(rest, "id"), qid = kv_find(rest, "qid");
	uint64_t at, utf8;
	int prio, body;

	if (id.n != QUEUE_FILE_ID_LEN || qid.n > QUEUE_ID_LEN || !id_good(id) || !id_good(qid))
		return qparse_refuse(p, "bad ids in the header");
	if (p->id[0] && !slice_eq(id, slice_str(p->id)))
		return qparse_refuse(p, "the header's id is not the file's");
	slice_cstr(qid, p->env->qid, sizeof(p->env->qid));
	prio = qprio_parse(kv_find(rest, "prio"));
	body = get_word(rest, "body", bodies, NELEM(bodies));
	if (prio < 0 || body < 0 || !get_u64(rest, "at", INT64_MAX, &at) ||
	    !get_u64(rest, "utf8", 1, &utf8))
		return qparse_refuse(p, "bad message record");
	p->env->prio = (enum qprio)prio;
	p->env->body = (enum qbody)body;
	p->env->arrival_ms = (int64_t)at;
	p->env->utf8 = utf8;
	return p->message = true;
}

/* One that is no number from -9 to 9 was never asked for: how soon it goes is `prio`. */
static int
get_priority(struct slice rest)
{
	struct slice text = kv_find(rest, "priority");
	bool minus = slice_starts(text, S("-"));
	uint64_t n;

	if (slice_u64(slice_from(text, minus), 9, &n) < 0)
		return 0;
	return minus ? -(int)n : (int)n;
}

static enum qtls
get_tls(struct slice rest)
{
	static const char *const words[] = { "", "required", "optional" };
	int tls = get_word(rest, "tls", words, NELEM(words));

	return tls < 0 ? QTLS_NONE : (enum qtls)tls;
}

static bool
rec_from(struct parse *p, struct slice rest)
{
	static const char *const rets[] = { "", "full", "hdrs" };
	int ret = get_word(rest, "ret", rets, NELEM(rets));
	uint64_t at, files;

	p->env->sender = get_str(rest, "sender", p->a);
	if (!p->env->sender)
		return qparse_refuse(p, "bad sender");
	p->env->envid = get_str(rest, "envid", p->a);
	p->env->ret = ret < 0 ? QRET_NONE : (enum qret)ret;
	if (get_u64(rest, "release", UINT32_MAX, &at)) {
		p->env->release_at = p->env->next_at = (int64_t)at;
		p->env->files =
		    get_u64(rest, "files", QUEUE_MESSAGE_RCPTS, &files) ? (uint32_t)files : 0;
	}
	p->env->release_asked = get_str(rest, "asked", p->a);
	p->env->priority = get_priority(rest);
	p->env->tls = get_tls(rest);
	if (get_u64(rest, "by", UINT32_MAX, &at)) {
		p->env->by_at = (int64_t)at;
		p->env->by_notify = slice_eq(kv_find(rest, "late"), S("notify"));
		p->env->by_trace = slice_eq(kv_find(rest, "trace"), S("1"));
	}
	return p->from = true;
}

static bool
rec_origin(struct parse *p, struct slice rest)
{
	p->env->source = get_str(rest, "source", p->a);
	p->env->client = get_str(rest, "client", p->a);
	p->env->helo = get_str(rest, "helo", p->a);
	p->env->auth = get_str(rest, "auth", p->a);
	p->env->language = get_str(rest, "language", p->a);
	p->env->inside = slice_eq(kv_find(rest, "inside"), S("1"));
	return true;
}

static bool
rec_to(struct parse *p, struct slice rest)
{
	uint64_t n;

	p->env->channel = get_str(rest, "channel", p->a);
	p->env->dest = get_str(rest, "dest", p->a);
	if (p->to || !p->env->channel || !p->env->dest ||
	    !get_u64(rest, "rcpts", QUEUE_RCPT_MAX, &n) || n == 0)
		return qparse_refuse(p, "bad destination record");
	p->env->rcpts = arena_array(p->a, n, sizeof(*p->env->rcpts));
	p->room = n;
	return p->to = true;
}

static bool
rec_known(struct parse *p, struct slice rest)
{
	p->env->known = get_sums(rest, p->a);
	return true;
}

static bool
rec_rcpt(struct parse *p, struct slice rest)
{
	struct qrcpt *r;
	uint64_t n;

	if (p->rcpts >= p->room || !get_u64(rest, "n", p->rcpts, &n) || n != p->rcpts)
		return qparse_refuse(p, "recipients do not count up");
	r = &p->env->rcpts[p->rcpts++];
	r->addr = get_str(rest, "addr", p->a);
	if (!r->addr || r->addr[0] == '\0')
		return qparse_refuse(p, "bad recipient");
	r->final = get_str(rest, "final", p->a);
	r->orcpt = get_str(rest, "orcpt", p->a);
	r->notify = parse_notify(kv_find(rest, "notify"));
	r->sent = slice_eq(kv_find(rest, "sent"), S("1"));
	r->channel = p->env->channel;
	r->dest = p->env->dest;
	return true;
}

static bool
rec_end(struct parse *p, struct slice rest)
{
	(void)rest;
	if (!p->message || !p->from || !p->to || p->rcpts != p->room)
		return qparse_refuse(p, "records are missing");
	p->env->nrcpt = p->rcpts;
	return p->end = true;
}

static const struct {
	const char *word;
	bool (*parse)(struct parse *, struct slice);
} records[] = {
	{ "message", rec_message },
	{ "from", rec_from },
	{ "origin", rec_origin },
	{ "to", rec_to },
	{ "known", rec_known },
	{ "rcpt", rec_rcpt },
	{ "END", rec_end },
};

static bool
parse_record(struct parse *p, struct slice line)
{
	size_t n = slice_find(line, ' ');

	for (size_t i = 0; i < NELEM(records); i++)
		if (slice_eq(slice(line.p, n), slice_str(records[i].word)))
			return records[i].parse(p, slice_from(line, n));
	return true; /* a later version's record */
}

/* Unfinished or damaged?  What was never finished was never acknowledged and will be removed,
 * so it has to look it: empty, a hole, the blank of a writer, or cut before END. */
static enum qbad
unreadable(struct slice head, const char **why)
{
	static const char hole[16];

	*why = "no finished header";
	if (head.n < QENV_FIRST || slice_starts(head, S("tiermail-queue 0")) ||
	    memcmp(head.p, hole, sizeof(hole)) == 0)
		return QBAD_TORN;
	*why = "no readable header";
	return QBAD_DAMAGED;
}

static enum qbad
check_header(struct slice head, uint64_t size, struct qfirst *f, const char **why)
{
	uint32_t crc;

	if (!qfirst_parse(head, f))
		return unreadable(head, why);
	if (head.n < f->head) {
		*why = "header is cut";
		return slice_find_str(head, S("\nEND\n")) < head.n ? QBAD_DAMAGED : QBAD_TORN;
	}
	crc = crc32c(0, head.p + QENV_FIRST, f->head - QENV_FIRST);
	if (crc32c(crc, head.p, FIRST_CRC_AT) != f->crc) {
		*why = "checksum of the header is wrong";
		return QBAD_DAMAGED;
	}
	/* Its header is whole and says how long the message was.  It may be a commit that a power cut
	 * tore, which nobody was told of; it may be an accepted message that lost its end.  Who
	 * cannot tell must not remove it. */
	if (size < f->head + f->body) {
		*why = "shorter than its header says";
		return QBAD_DAMAGED;
	}
	return QBAD_NONE;
}

enum qbad
qenv_parse(struct slice head, uint64_t size, const char *id, struct arena *a, struct qenv *env,
    const char **why)
{
	struct parse p = { .env = env, .a = a, .id = id };
	struct slice rest, line;
	enum qbad bad;
	struct qfirst f;

	*env = (struct qenv){ 0 };
	if ((bad = check_header(head, size, &f, why)) != QBAD_NONE)
		return bad;
	rest = slice(head.p + QENV_FIRST, f.head - QENV_FIRST);
	while (!p.end && slice_cut(&rest, '\n', &line))
		if (!parse_record(&p, line)) {
			*why = p.why;
			return QBAD_DAMAGED;
		}
	if (!p.end || rest.n) {
		*why = "no END of the header";
		return QBAD_DAMAGED;
	}
	env->header_len = f.head;
	env->body_len = f.body;
	env->body_crc = f.sum;
	return QBAD_NONE;
}

/* ---- journal ------------------------------------------------------------------------- */

/* What was said of a recipient, or NULL when it cannot be read. */
static struct verdict *
journal_verdict(struct slice rest, struct slice code, struct arena *a)
{
	struct verdict *v = arena_new(a, sizeof(*v));
	uint64_t n;

	if (verdict_parse_esc(code, v) < 0)
		return NULL;
	if (get_u64(rest, "reply", 599, &n))
		v->reply = (uint16_t)n;
	if (get_u64(rest, "said", 999, &n)) {
		v->said = (uint16_t)n;
		if (get_u64(rest, "class", 5, &n))
			v->said_class = (uint8_t)n;
	}
	if (kv_find(rest, "text").p &&
	    kv_cstr(kv_find(rest, "text"), v->text, sizeof(v->text)) == -EBADMSG)
		return NULL;
	return v;
}

static bool
journal_rcpt(struct slice rest, struct arena *a, struct qenv *env)
{
	static const char *const words[] = { "pending", "delivered", "failed", "discarded",
		"deferred" };
	int state = get_word(rest, "state", words, NELEM(words));
	struct slice code = kv_find(rest, "code");
	uint64_t n, at;
	struct qrcpt *r;

	if (state < 0 || env->nrcpt == 0 || !get_u64(rest, "n", env->nrcpt - 1, &n) ||
	    !get_u64(rest, "at", INT64_MAX, &at))
		return false;
	r = &env->rcpts[n];
	r->deferred = state == 4;
	r->state = r->deferred ? QSTATE_PENDING : (enum qstate)state;
	r->at = (int64_t)at;
	r->mta = get_str(rest, "mta", a);
	/* A verdict that only a later version reads changes nothing about the state. */
	r->last = code.p ? journal_verdict(rest, code, a) : NULL;
	return true;
}

static void
journal_report(struct slice rest, struct qenv *env)
{
	struct slice state = kv_find(rest, "state");

	slice_cstr(kv_find(rest, "id"), env->report_id, sizeof(env->report_id));
	if (slice_eq(state, S("tried"))) {
		env->report = QREPORT_TRIED;
	} else if (slice_eq(state, S("queued"))) {
		env->report = QREPORT_QUEUED;
		env->reports++;
	} else if (slice_eq(state, S("shown"))) {
		env->report = QREPORT_NONE;
	}
}

static void
journal_members(struct slice rest, struct arena *a, struct qenv *env)
{
	struct qmembers *m = arena_new(a, sizeof(*m));

	m->sums = get_sums(rest, a);
	m->next = env->members;
	env->members = m;
}

static void
journal_told(struct slice rest, struct arena *a, struct qenv *env)
{
	struct qtold *t = arena_new(a, sizeof(*t));

	if (!(t->to = get_str(rest, "to", a)))
		return;
	t->next = env->told;
	env->told = t;
}

/* The last line counts; the one before it says why a file that is aside is held besides. */
static void
journal_held(struct slice rest, struct arena *a, struct qenv *env)
{
	const char *why = get_str(rest, "why", a);
	bool aside = why && strcmp(why, QUEUE_ASIDE) == 0;

	env->kept = !aside ? NULL : env->aside ? env->kept : env->held;
	env->aside = aside;
	env->held = why;
}

/* False: a later version has written it, since its sum is right.  It is passed over: who stopped there would have
 * taken a part of a step, and would write over what follows. */
static bool
journal_record(struct slice line, struct arena *a, struct qenv *env)
{
	size_t word = slice_find(line, ' ');
	struct slice verb = slice(line.p, word), rest = slice_from(line, word);
	uint64_t n, next;

	if (slice_eq(verb, S("rcpt")))
		return journal_rcpt(rest, a, env);
	if (slice_eq(verb, S("attempt"))) {
		if (!get_u64(rest, "n", QUEUE_ATTEMPTS, &n) ||
		    !get_u64(rest, "next", INT64_MAX, &next))
			return false;
		env->attempts = (uint32_t)n;
		env->next_at = (int64_t)next;
		env->told = NULL; /* of recipients that were settled then */
	} else if (slice_eq(verb, S("notice"))) {
		if (!get_u64(rest, "n", 1000, &n))
			return false;
		env->notices = (uint32_t)n;
	} else if (slice_eq(verb, S("report"))) {
		journal_report(rest, env);
	} else if (slice_eq(verb, S("members"))) {
		journal_members(rest, a, env);
	} else if (slice_eq(verb, S("told"))) {
		journal_told(rest, a, env);
	} else if (slice_eq(verb, S("held"))) {
		journal_held(rest, a, env);
	} else if (slice_eq(verb, S("released"))) {
		env->held = env->kept = NULL;
		env->aside = false;
	}
	return true;
}

/* The first line of `rest`, without its sum; bytes with it and the LF, or 0 when it is not whole. */
static size_t
journal_line(struct slice rest, const char *id, struct slice *line)
{
	size_t n = slice_find(rest, '\n');
	uint64_t crc;

	if (n == rest.n || n < 14 || !hex_field(rest, n - 13, S(" crc="), 8, &crc))
		return 0;
	*line = slice(rest.p, n - 13);
	return crc32c(crc32c(0, id, QUEUE_FILE_ID_LEN), line->p, line->n) == crc ? n + 1 : 0;
}

/* Is all there of the step that begins with this line?  True also when it begins none. */
static bool
journal_step_whole(struct slice line, struct slice behind, const char *id)
{
	uint64_t len;

	if (!slice_starts(line, S("step ")))
		return true;
	if (!get_u64(slice_from(line, 5), "len", behind.n, &len))
		return false;
	for (size_t at = 0, n; at < len; at += n)
		if (!(n = journal_line(slice_sub(behind, at, (size_t)len - at), id, &line)) ||
		    slice_starts(line,
			S("step "))) /* one in another would be read twice, and so on */
			return false;
	return true;
}

size_t
qjournal_parse(struct slice journal, const char *id, struct arena *a, struct qenv *env)
{
	size_t good = 0;

	while (good < journal.n) {
		struct slice rest = slice_from(journal, good), line;
		size_t n = journal_line(rest, id, &line);

		if (n == 0 || !journal_step_whole(line, slice_from(rest, n), id))
			break;
		(void)journal_record(line, a, env);
		good += n;
	}
	return good;
}
