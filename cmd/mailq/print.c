/* print.c: a message for people, and for programs: see mailq(1).
 *
 * Pure: an item in, text out; called for each message by main.c.  Must stay true: what a stranger
 * wrote reaches a terminal without control characters, and JSON as strings of its own; each message
 * is one line of JSON, and keys are only ever added, since programs read them.  What a server
 * said is quoted as it came, whatever was made of it since (verdict_quote_write). */
#include <stdio.h>
#include <time.h>
#include "base/json.h"
#include "mailq.h"
#include "queue/json.h"

/* ---- for people ------------------------------------------------------------------------- */

static void
put_size(struct buf *b, uint64_t n)
{
	static const char units[] = " KMGT";
	double v = (double)n;
	size_t u = 0;

	for (; v >= 1000 && u < 4; u++)
		v /= 1024;
	if (u == 0)
		buf_printf(b, "%6llu ", (unsigned long long)n);
	else
		buf_printf(b, "%6.1f%c", v, units[u]);
}

static void
put_time(struct buf *b, int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[32];

	(void)localtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%b %e %H:%M", &tm);
	buf_str(b, text);
}

static void
put_span(struct buf *b, int64_t s)
{
	if (s < 0)
		s = 0;
	if (s < 120)
		buf_printf(b, "%llds", (long long)s);
	else if (s < 7200)
		buf_printf(b, "%lldm", (long long)(s / 60));
	else if (s < 2 * 86400)
		buf_printf(b, "%lldh", (long long)(s / 3600));
	else
		buf_printf(b, "%lldd", (long long)(s / 86400));
}

/* Foreign text on a terminal: no control characters. */
static void
mailq_put_text(struct buf *b, const char *s)
{
	for (; *s; s++)
		buf_char(b, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static void
mailq_put_rcpt(struct buf *b, const struct qrcpt *r)
{
	buf_lit(b, "    ");
	mailq_put_text(b, r->addr);
	if (r->state != QSTATE_PENDING) {
		buf_printf(b, "  (%s)", qstate_word(r->state));
	} else if (r->last) {
		buf_lit(b, "\n        ");
		verdict_quote_write(b, r->last);
		mailq_put_text(b, r->last->text);
		if (r->mta) {
			buf_lit(b, " [");
			mailq_put_text(b, r->mta);
			buf_char(b, ']');
		}
	}
	buf_char(b, '\n');
}

void
mailq_print_human(struct buf *b, const struct item *i, int64_t now)
{
	buf_printf(b, "%.13s ", i->name + 2);
	put_size(b, i->size);
	buf_lit(b, "  ");
	put_time(b, i->at);
	buf_printf(b, "  %-7s ", i->state);
	if (i->r) {
		buf_char(b, '<');
		mailq_put_text(b, i->r->env.sender);
		buf_char(b, '>');
	}
	buf_lit(b, "\n    ");
	buf_str(b, i->channel);
	if (i->r) {
		buf_lit(b, " to ");
		mailq_put_text(b, i->r->env.dest);
	}
	if (i->attempts)
		buf_printf(b, ", %u attempt%s", i->attempts, i->attempts == 1 ? "" : "s");
	if (i->release > now) {
		buf_lit(b, ", sent in ");
		put_span(b, i->release - now);
		buf_lit(b, " as its sender wants");
	} else if (i->next > now) {
		buf_lit(b, ", next in ");
		put_span(b, i->next - now);
	}
	if (i->mark)
		buf_printf(b, ", to be %s", strcmp(i->mark, "hold") == 0 ? "held" : "deleted");
	if (i->r && i->r->env.held && strcmp(i->state, "held") == 0) {
		buf_lit(b, ", held: ");
		mailq_put_text(b, i->r->env.held);
	}
	if (i->trouble)
		buf_printf(b, " (%s)", i->trouble);
	buf_char(b, '\n');
	for (size_t k = 0; i->r && k < i->r->env.nrcpt; k++)
		mailq_put_rcpt(b, &i->r->env.rcpts[k]);
	buf_char(b, '\n');
}

/* ---- for programs --------------------------------------------------------------------------- */

void
mailq_print_json(struct buf *b, const struct item *i)
{
	char path[QUEUE_PATH_MAX];

	queue_file_path(path, i->channel, i->name);
	buf_char(b, '{');
	json_put_str(b, "qid", slice(i->name + 2, QUEUE_ID_LEN));
	json_put_cstr(b, "file", path);
	json_put_cstr(b, "channel", i->channel);
	json_put_cstr(b, "state", i->state);
	json_put_i64(b, "size", (int64_t)i->size);
	json_put_i64(b, "arrival", i->at);
	json_put_i64(b, "attempts", i->attempts);
	if (i->next)
		json_put_i64(b, "next", i->next);
	if (i->release)
		json_put_i64(b, "kept_until", i->release);
	json_put_cstr(b, "marked", i->mark);
	json_put_cstr(b, "trouble", i->trouble);
	if (i->r) /* the journal remembers why it once was held */
		queue_json_put(b, &i->r->env, strcmp(i->state, "held") == 0);
	buf_lit(b, "}\n");
}
