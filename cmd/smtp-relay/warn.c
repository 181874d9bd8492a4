/* warn.c: tells the postmaster of a user whom the brake has stopped; limit.warn.
 *
 * Owns the messages under way, WARN_MOST of them at most; brake.c calls.  They go through this host's own relay, as any
 * program's mail, without a sender.  Can fail: the relay is full, or about to end; then there is the log alone.  Must stay
 * true: of one user there is one in an hour, over all workers, however often he tries. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "mail/date.h"
#include "relay.h"
#include "submit/submit.h"

#define WARN_EVERY_MS 3600000
#define WARN_MOST     16
#define WARN_TIME_MS  60000

struct warning {
	struct list link;
	struct op op;
	struct buf to, text;
};

static struct submit *way;
static struct list warnings;
static size_t nwarnings;

static void
warn_free(struct warning *w)
{
	list_remove(&w->link);
	nwarnings--;
	buf_fini(&w->to);
	buf_fini(&w->text);
	mem_free(&w);
}

static void
warn_sent(void *arg, const struct verdict *v)
{
	if (v->kind != OK)
		log_event(LOG_WARN, "warn_failed", "text=%s", log_str(v->text));
	warn_free(arg);
}

static void
warn_write(struct warning *w, const char *user, const char *limit, bool hold)
{
	int64_t now = clock_now();
	struct buf *b = &w->text;
	char id[14];

	random_id(id);
	buf_printf(b, "From: Mail system <postmaster@%s>\r\nTo: ", shared.hostname);
	buf_slice(b, buf_get(&w->to));
	buf_printf(b, "\r\nSubject: %s sends more mail than expected\r\nDate: ", user);
	date_write(b, now, date_local_zone(now));
	buf_printf(b,
	    "\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n",
	    id, shared.hostname);
	buf_printf(b,
	    "The user %s has passed %s of the relay %s\r\nwithin an hour.  It may be a newsletter; "
	    "it "
	    "may be that somebody has the password.\r\n\r\n",
	    user, limit, shared.hostname);
	if (hold)
		buf_lit(b,
		    "What is sent from now on is kept in the queue.  mailq shows it; "
		    "\"jobctl-ctl release ID\"\r\nlets a message go, and \"jobctl-ctl "
		    "return ID\" sends it back.\r\n");
	else
		buf_lit(b, "What is sent from now on is put off, and the sender is told so.\r\n");
	buf_lit(b, "You hear of this user once an hour, as long as it goes on.\r\n");
}

void
warn_postmaster(const char *user, const char *limit, bool hold)
{
	struct submit_params p = { .relay = "", .time_ms = WARN_TIME_MS };
	struct submit_mail m = { .notify = SMTP_NOTIFY_NEVER, .fd = -1, .smtputf8 = false };
	char *name = mem_printf(" warned %s", user);
	struct warning *w;
	uint64_t left;
	bool now = config.warn && admit_pause(slice_str(name), WARN_EVERY_MS, &left);

	mem_free(&name);
	if (!now || nwarnings >= WARN_MOST)
		return;
	if (!way) {
		way = submit_new(daemon_loop(), &p);
		list_init(&warnings);
	}
	w = mem_new(sizeof(*w));
	list_push(&warnings, &w->link);
	nwarnings++;
	if (*shared.postmaster)
		buf_str(&w->to, shared.postmaster);
	else
		buf_printf(&w->to, "postmaster@%s", shared.hostname);
	warn_write(w, user, limit, hold);
	m.to = buf_get(&w->to);
	m.bytes = buf_get(&w->text);
	for (size_t i = 0; i < m.bytes.n; i++)
		m.smtputf8 |= (unsigned char)m.bytes.p[i] > 0x7f;
	submit_start(way, &m, &w->op, warn_sent, w);
}

void
warn_stop(void)
{
	if (way)
		submit_leave(way);
}

void
warn_end(void)
{
	struct warning *w;

	if (!way)
		return;
	list_each(w, &warnings, struct warning, link)
	{
		op_cancel(&w->op);
		warn_free(w);
	}
}
