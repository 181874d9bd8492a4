/* Quota: may it come in, for how long is a full mailbox only full for now, and who is told that it will be.
 *
 * Called by the writer's thread for what comes into an account, with the limits that the request has from the
 * directory.  The account's row keeps since when mail has been refused, in hours, and whether the user has been
 * warned: so a crossing is told once, however often stored is killed, in the very batch that makes it.  A
 * warning is a message like any other, but no quota asks for it; that it cannot be made (disk, descriptors, a
 * COPY into INBOX under way) costs nothing but that the next message tries again.  An account may have limits of its own
 * in place of those, and a folder may have some (store/quota.h): they are looked for once and kept with what they are
 * of; who changes one has them looked for again. */
#include <errno.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"
#include "mail/date.h"
#include "store/quota.h"
#include "store/writer/writer-impl.h"

#define WARNINGS_BATCH 32 /* descriptors that a batch keeps for them */
#define HOUR           3600

/* ---- which limits -------------------------------------------------------------------------- */

static const struct wquota *
quota_look(struct writer *w, uint64_t account, uint64_t mailbox, struct wquota *q)
{
	uint8_t key[STORE_ANNOT_KEY];
	struct store_quota found;
	struct store_annot a;
	struct slice row;
	size_t n;

	if (q->known)
		return q;
	*q = (struct wquota){ .known = true };
	n = store_annot_key(key, account, mailbox, S(""), S(STORE_ANNOT_QUOTA));
	row = writer_row_get(w, STORE_T_ANNOT, key, n);
	if (row.p && store_annot_parse(slice((const char *)key, n), row, &a) == 0 && !a.gone &&
	    store_quota_parse(a.value, &found) == 0)
		*q = (struct wquota){ true, true, found.bytes, found.messages };
	return q;
}

static struct store_limits
quota_limits(struct writer *w, struct wacct *a, const struct store_limits *l)
{
	const struct wquota *own = quota_look(w, a->d.id, 0, &a->quota);
	struct store_limits limits = *l;

	if (own->set)
		store_limits_replace(&limits,
		    &(struct store_quota){ .bytes = own->bytes, .messages = own->messages });
	return limits;
}

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

/* Who has no room: the account and all its folders, this folder, all accounts of the domain. */
enum quota_of { QUOTA_NONE, QUOTA_ACCOUNT, QUOTA_FOLDER, QUOTA_DOMAIN };

static struct verdict
quota_verdict(enum quota_of of, bool permanent)
{
	if (of == QUOTA_DOMAIN)
		return permanent ? verdict(OUT_DOMAIN_FULL) : verdict(OUT_DOMAIN_FULL_NOW);
	return permanent ? verdict(OUT_QUOTA_FULL) : verdict(OUT_QUOTA_FULL_NOW);
}

/* A limit of either number that is below what there is already takes nothing away, and takes nothing in. */
static bool
quota_exceeded(uint64_t used, uint64_t more, uint64_t limit)
{
	return limit && (used > limit || more > limit - used);
}

static bool
quota_folder_over(struct writer *w, struct wbox *b, uint64_t bytes, uint64_t messages)
{
	const struct wquota *q = quota_look(w, b->acct->d.id, b->id, &b->quota);

	return q->set &&
	    (quota_exceeded(b->d.bytes, bytes, q->bytes) ||
		quota_exceeded(b->d.exists, messages, q->messages));
}

bool
writer_over_folder(struct writer *w, struct wbox *b, uint64_t bytes, uint64_t messages,
    struct verdict *v)
{
	if (!quota_folder_over(w, b, bytes, messages))
		return false;
	w->stats.over_quota++;
	w->stats.over_folder++;
	*v = quota_verdict(QUOTA_FOLDER, !w->config->quota_temp);
	return !w->config->quota_unenforced;
}

bool
writer_folder_is_full(struct writer *w, struct wbox *b, const struct store_limits *l,
    uint64_t bytes)
{
	if (store_limits_unasked(l) || w->config->quota_unenforced ||
	    !quota_folder_over(w, b, bytes, 1))
		return false;
	w->stats.over_quota++;
	w->stats.over_folder++;
	return true;
}

/* What it does not fit into. */
static enum quota_of
quota_of(struct writer *w, struct wbox *b, const struct store_limits *l, uint64_t bytes,
    uint64_t messages)
{
	struct wacct *a = b->acct;
	uint64_t more = bytes, count = messages;

	writer_copy_reserved(w, a->d.id, &more, &count);
	if (quota_exceeded(a->d.bytes, more, l->bytes) ||
	    quota_exceeded(a->d.messages, count, l->messages))
		return QUOTA_ACCOUNT;
	if (!store_limits_unasked(l) && quota_folder_over(w, b, bytes, messages))
		return QUOTA_FOLDER;
	return writer_domain_over(w, a, l, more, count) ? QUOTA_DOMAIN : QUOTA_NONE;
}

/* Is there room yet, so that the one that crosses the line may come in? */
static bool
quota_has_room(struct writer *w, struct wbox *b, const struct store_limits *l)
{
	const struct wquota *q = quota_look(w, b->acct->d.id, b->id, &b->quota);
	const struct wacct *a = b->acct;

	return (!l->bytes || a->d.bytes < l->bytes) &&
	    (!l->messages || a->d.messages < l->messages) && (!q->bytes || b->d.bytes < q->bytes) &&
	    (!q->messages || b->d.exists < q->messages) && writer_domain_has_room(w, b->acct, l);
}

bool
writer_over_quota(struct writer *w, struct wbox *b, const struct store_limits *of_directory,
    uint64_t bytes, uint64_t messages, bool mail, struct verdict *v)
{
	struct wacct *a = b->acct;
	const struct store_limits limits = quota_limits(w, a, of_directory), *l = &limits;
	enum quota_of of;

	/* What has become less since the last warning may grow into the next one. */
	if (a->d.warned && (mail || l->bytes || l->messages) && !store_limits_unasked(l) &&
	    !quota_is_near(w, a, l)) {
		a->d.warned = false;
		writer_account_dirty(w, a);
	}
	of = quota_of(w, b, l, bytes, messages);
	if (of == QUOTA_NONE) {
		if (mail && !store_limits_unasked(l))
			quota_since_set(w, a, 0);
		return false;
	}
	w->stats.over_quota++;
	w->stats.over_folder += of == QUOTA_FOLDER;
	w->stats.over_domain += of == QUOTA_DOMAIN;
	if (w->config->quota_unenforced)
		return false;
	if ((l->bytes && bytes > l->bytes) ||
	    (of == QUOTA_FOLDER && b->quota.bytes && bytes > b->quota.bytes)) {
		*v = verdict(OUT_STORE_SIZE);
		return true;
	}
	if (mail && w->config->quota_overdraft && quota_has_room(w, b, l))
		return false;
	*v = quota_verdict(of, !w->config->quota_temp || (mail && quota_grace_is_over(w, a)));
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
writer_quota_warn(struct writer *w, struct wacct *a, const struct store_limits *of_directory)
{
	const struct store_limits limits = quota_limits(w, a, of_directory), *l = &limits;
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
	struct store_limits limits;
	struct wacct *a;
	bool before;
	int rc = writer_account_by_id(w, j->req.account, &a);

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	limits = quota_limits(w, a, &j->req.limits);
	before = a->d.warned;
	if (before && !quota_is_near(w, a, &limits)) {
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
