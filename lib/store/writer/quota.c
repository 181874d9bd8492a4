/* Quota: may it come in, for how long is a full mailbox only full for now, and who is told that it will be.
 *
 * Called by the writer's thread for what comes into an account, with the limits that the request has from the
 * directory.  The account's row keeps since when mail has been refused, in hours, and whether the user has been
 * warned: so a crossing is told once, however often stored is killed, in the very batch that makes it.  A
 * warning is a message like any other, but no quota asks for it; that it cannot be made (disk, descriptors, a
 * COPY into INBOX under way) costs nothing but that the next message tries again. */
#include <errno.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"
#include "mail/date.h"
#include "store/writer/writer-impl.h"

#define WARNINGS_BATCH 32 /* descriptors that a batch keeps for them */
#define HOUR           3600

/* ---- may it come in? ----------------------------------------------------------------------- */

/* Hours since 1970, the low 16 bits, and never 0: that is "not". */
static uint16_t
quota_hour(const struct writer *w)
{
	uint16_t hour = (uint16_t)(w->now / HOUR);

	return hour ? hour : 1;
}

static void
quota_since_set(struct writer *w, struct wacct *a, uint16_t hour)
{
	if (a->d.over_since == hour)
		return;
	a->d.over_since = hour;
	writer_account_dirty(w, a);
}

/* Has mail been refused for as long as it may wait?  Hours are whole: rather one too many than one too few. */
static bool
quota_grace_is_over(struct writer *w, struct wacct *a)
{
	uint16_t elapsed;

	if (!a->d.over_since)
		quota_since_set(w, a, quota_hour(w));
	elapsed = (uint16_t)(quota_hour(w) - a->d.over_since);
	if (elapsed >= 0x8000) /* the clock has been set back */
		elapsed = 0;
	return w->config->quota_grace && elapsed > (w->config->quota_grace + HOUR - 1) / HOUR;
}

static bool
quota_is_near(const struct writer *w, const struct wacct *a, const struct store_limits *l)
{
	return store_limits_near(l, a->d.bytes, a->d.messages, w->config->quota_warn);
}

static bool
quota_is_unasked(const struct store_limits *l)
{
	return l->bytes == STORE_UNASKED.bytes && l->messages == STORE_UNASKED.messages;
}

static struct verdict
quota_verdict(bool domain, bool permanent)
{
	if (domain)
		return permanent ? verdict(OUT_DOMAIN_FULL) : verdict(OUT_DOMAIN_FULL_NOW);
	return permanent ? verdict(OUT_QUOTA_FULL) : verdict(OUT_QUOTA_FULL_NOW);
}

bool
writer_over_quota(struct writer *w, struct wacct *a, const struct store_limits *l, uint64_t bytes,
    uint64_t messages, bool mail, struct verdict *v)
{
	uint64_t more = bytes, count = messages;
	bool domain = false;

	/* What has become less since the last warning may grow into the next one. */
	if (a->d.warned && (mail || l->bytes || l->messages) && !quota_is_unasked(l) &&
	    !quota_is_near(w, a, l)) {
		a->d.warned = false;
		writer_account_dirty(w, a);
	}
	writer_copy_reserved(w, a->d.id, &more, &count);
	if ((!l->bytes || a->d.bytes + more <= l->bytes) &&
	    (!l->messages || a->d.messages + count <= l->messages)) {
		domain = writer_domain_over(w, a, l, more, count);
		if (!domain && mail && !quota_is_unasked(l))
			quota_since_set(w, a, 0);
		if (!domain)
			return false;
	}
	w->stats.over_quota++;
	w->stats.over_domain += domain;
	if (w->config->quota_unenforced)
		return false;
	if (l->bytes && bytes > l->bytes) {
		*v = verdict(OUT_STORE_SIZE);
		return true;
	}
	/* The one that crosses the line. */
	if (mail && w->config->quota_overdraft && (!l->bytes || a->d.bytes < l->bytes) &&
	    (!l->messages || a->d.messages < l->messages) && writer_domain_has_room(w, a, l))
		return false;
	*v = quota_verdict(domain, !w->config->quota_temp || (mail && quota_grace_is_over(w, a)));
	return true;
}

/* ---- the warning --------------------------------------------------------------------------- */

static const char *const quota_text =
    "Subject: Your mailbox is almost full\n"
    "\n"
    "The mailbox of $user has $used KiB of $limit KiB in use, and $messages of\n"
    "$message_limit messages (0: as many as you like).\n"
    "\n"
    "When it is full it takes no more mail.  Please delete what you no longer need.\n";

struct quota_words {
	const struct wacct *a;
	const struct store_limits *l;
};

static void
quota_number(struct buf *b, uint64_t n)
{
	buf_printf(b, "%llu", (unsigned long long)n);
}

/* "$word" at the front of *rest. */
static void
quota_word(struct buf *b, struct slice *rest, const struct quota_words *q)
{
	/* The longer of two that begin alike comes first. */
	if (slice_starts(*rest, S("$user")))
		buf_str(b, q->a->name), *rest = slice_from(*rest, 5);
	else if (slice_starts(*rest, S("$used")))
		quota_number(b, (q->a->d.bytes + 1023) / 1024), *rest = slice_from(*rest, 5);
	else if (slice_starts(*rest, S("$limit")))
		quota_number(b, q->l->bytes / 1024), *rest = slice_from(*rest, 6);
	else if (slice_starts(*rest, S("$messages")))
		quota_number(b, q->a->d.messages), *rest = slice_from(*rest, 9);
	else if (slice_starts(*rest, S("$message_limit")))
		quota_number(b, q->l->messages), *rest = slice_from(*rest, 14);
	else
		buf_char(b, '$'), *rest = slice_from(*rest, 1);
}

/* The site's text, or ours, with the words filled in and lines that end in CRLF. */
static void
quota_fill(struct buf *b, struct slice text, const struct quota_words *q)
{
	while (text.n) {
		if (text.p[0] == '$') {
			quota_word(b, &text, q);
			continue;
		}
		if (text.p[0] == '\n')
			buf_lit(b, "\r\n");
		else if (text.p[0] != '\r')
			buf_char(b, text.p[0]);
		text = slice_from(text, 1);
	}
}

static void
quota_message(struct writer *w, const struct wacct *a, const struct store_limits *l, struct buf *b)
{
	const struct quota_words q = { a, l };
	struct slice account = slice_str(a->name);
	const char *text = w->config->quota_text ? w->config->quota_text : quota_text;

	buf_printf(b, "From: postmaster" SFMT "\r\nTo: %s\r\nDate: ",
	    SARG(slice_from(account, slice_rfind(account, '@'))), a->name);
	date_write(b, w->now, 0);
	buf_printf(b, "\r\nMessage-ID: <quota.%llx.%llx@%s>\r\n", (unsigned long long)a->d.id,
	    (unsigned long long)a->d.modseq,
	    w->config->hostname ? w->config->hostname : "localhost");
	buf_lit(b,
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n");
	quota_fill(b, slice_str(text), &q);
}

/* A COPY that has given out UIDs of this mailbox must see no others come between. */
static bool
quota_box_is_held(const struct writer *w, uint64_t mailbox)
{
	const struct wlong *l;

	list_each(l, &w->longs, struct wlong,
	    link) if (l->mailbox == mailbox || l->mailbox2 == mailbox) return true;
	return false;
}

/* The message into INBOX.  0 or -errno: nothing has changed. */
static int
quota_deliver(struct writer *w, struct wbox *b, struct slice bytes)
{
	struct store_message m = { .size = (uint32_t)bytes.n,
		.digest = crc32c(0, bytes.p, bytes.n) };
	struct store_record rec;
	int fd = writer_body_new(w->files), rc;

	if (fd < 0)
		return fd;
	rc = files_write(fd, bytes.p, bytes.n);
	if (rc == 0)
		rc = writer_body_look(w->files, fd);
	if (rc == 0)
		rc = writer_link_body(w->files, b, b->d.uidnext, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	buf_add(&w->warning_fds, &fd, sizeof(fd)); /* until it is synced with the batch */
	rec = writer_record_of(w, &m, b->d.uidnext);
	rec.emailid = rec.threadid = NEW_ID(w, email);
	writer_box_touch(w, b);
	writer_place_put(w, rec.emailid, b->id, rec.uid);
	writer_box_append_placed(w, b, &rec);
	return 0;
}

void
writer_quota_warn(struct writer *w, struct wacct *a, const struct store_limits *l)
{
	struct buf bytes = { 0 };
	struct wbox *b;
	int rc;

	if (!w->config->quota_warn || a->d.warned || !quota_is_near(w, a, l) ||
	    w->warning_fds.n >= WARNINGS_BATCH * sizeof(int) || writer_box_inbox(w, a, &b) < 0 ||
	    quota_box_is_held(w, b->id))
		return;
	quota_message(w, a, l, &bytes);
	rc = quota_deliver(w, b, buf_get(&bytes));
	buf_fini(&bytes);
	if (rc < 0) {
		log_event(LOG_WARN, "quota_warning", "account=%s error=%s", log_str(a->name),
		    log_str(strerror(-rc)));
		return;
	}
	a->d.warned = true;
	writer_account_dirty(w, a);
	w->stats.warned++;
	log_event(LOG_INFO, "quota_warning",
	    "account=%s bytes=%llu limit=%llu messages=%llu most=%llu", log_str(a->name),
	    (unsigned long long)a->d.bytes, (unsigned long long)l->bytes,
	    (unsigned long long)a->d.messages, (unsigned long long)l->messages);
}

/* Nothing comes in: limits have become less, or the percentage another. */
void
writer_run_warn(struct writer *w, struct store_job *j)
{
	struct wacct *a;
	bool before;
	int rc = writer_account_by_id(w, j->req.account, &a);

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	before = a->d.warned;
	if (before && !quota_is_near(w, a, &j->req.limits)) {
		a->d.warned = false;
		writer_account_dirty(w, a);
	}
	writer_quota_warn(w, a, &j->req.limits);
	writer_reply_ok(j);
	j->reply.uid = a->d.warned && !before;
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
}

void
writer_quota_settled(struct writer *w)
{
	for (size_t at = 0; at < w->warning_fds.n; at += sizeof(int)) {
		int fd;

		memcpy(&fd, w->warning_fds.p + at, sizeof(fd));
		close(fd);
	}
	buf_clear(&w->warning_fds);
}
