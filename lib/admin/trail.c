/* trail.c: `audit list`: the log of changes (audit.c) read backwards, for whoever administers what was changed.
 *
 * Called by the table of verbs.  Owns a window of TRAIL_WINDOW octets of the file while it runs.  Can fail: the file.
 * A line is for those with a role above its entry, which the directory says; so slapd decides here too.  Must stay
 * true: of a line nothing leaves the organisation of who reads it: who did it, and where an entry went, are only told
 * when they are of it.  What one call reads is bounded (TRAIL_MOST), and the last record says where the next one
 * goes on; by lines, for a line is one write and nothing is cut. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/mem.h"

#define TRAIL_WINDOW ((size_t)1 << 20)
#define TRAIL_MOST   ((off_t)16 << 20)
#define TRAIL_LIMIT  200

struct trail {
	const char *scope;             /* DN of what is administered */
	bool whole;                    /* ... which is everything */
	struct slice domain, me, word; /* word: in lower case */
	int fd;
	char *window, *lower;
	unsigned n, limit;
};

/* ---- for whom -------------------------------------------------------------------------------------- */

static bool
trail_below(struct slice dn, struct slice above)
{
	if (slice_ieq(dn, above))
		return true;
	if (dn.n <= above.n + 1 || !slice_ieq(slice_from(dn, dn.n - above.n), above))
		return false;
	/* A comma with a backslash in front is a name's. */
	return dn.p[dn.n - above.n - 1] == ',' && dn.p[dn.n - above.n - 2] != '\\';
}

/* What a group of a role is over; empty: it is none that reads this log. */
static struct slice
trail_over(const struct dir_entry *e)
{
	static const char *const names[] = { "Top-Level Admins", "Provider Admins",
		"Organization Admins" };
	struct slice cn = admin_value(e, "cn");

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(cn, slice_str(names[i])))
			return slice_from(e->dn, slice_find(e->dn, ',') + 1);
	return S("");
}

static char *
trail_filter(struct admin *a)
{
	struct buf b = { 0 };
	char *s;

	buf_lit(&b, "(&(objectClass=groupOfNames)");
	dir_filter_equal(&b, "member", slice_str(a->call->as + strlen("dn:")), S(""));
	buf_lit(&b, ")");
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

/* The DN of the widest that the person administers, of `org` where one is named; empty: nothing. */
static bool
trail_widest(struct admin *a, const char *org, struct slice *best)
{
	static const char *const attrs[] = { "cn", NULL };

	*best = S("");
	if (!admin_search(a, admin_base(), DIR_SCOPE_SUB, trail_filter(a), attrs))
		return false;
	for (size_t i = 0; i < a->out.n; i++) {
		struct slice over = trail_over(&a->out.entries[i]);

		if (over.n && (!org || trail_below(slice_str(org), over)) &&
		    (!best->n || over.n < best->n))
			*best = over;
	}
	return true;
}

bool
admin_whole(struct admin *a)
{
	struct slice best;

	if (!a->call->as) /* of this host: whoever its files and certificates let */
		return true;
	if (!trail_widest(a, NULL, &best))
		return false;
	if (!slice_ieq(best, slice_str(admin_base())))
		return admin_fail(a, ADMIN_DENIED, "denied",
		    "Hosts and their queues are for those who administer everything");
	return true;
}

bool
admin_over(struct admin *a, const char *org)
{
	struct slice best;

	if (!a->call->as)
		return true;
	if (!trail_widest(a, org, &best))
		return false;
	return best.n ||
	    admin_fail(a, ADMIN_DENIED, "denied", "This is for those who administer it");
}

static bool
trail_scope(struct admin *a, struct trail *t, const char *org)
{
	struct slice best;

	if (!a->call->as) { /* of this host: who may read the file */
		t->scope = org ? org : admin_base();
		t->whole = true;
		return true;
	}
	if (!trail_widest(a, org, &best))
		return false;
	if (!best.n)
		return admin_fail(a, ADMIN_DENIED, "denied",
		    "The log is for those who administer what was changed");
	t->whole = slice_ieq(best, slice_str(admin_base()));
	t->scope = org ? org : arena_cstr(&a->memory, best);
	return true;
}

/* ---- a line ------------------------------------------------------------------------------------------ */

/* The text of a member, escapes as they are; the first of the name is the line's own, for in a text a quote has a
 * backslash in front. */
static struct slice
trail_member(struct slice line, const char *name)
{
	struct slice key = slice_str(name);
	size_t at = slice_find_str(line, key) + key.n, end = at;

	if (at > line.n)
		return S("");
	while (end < line.n && line.p[end] != '"')
		end += line.p[end] == '\\' ? 2 : 1;
	return slice_sub(line, at, end - at);
}

static void
trail_instead(struct buf *b, struct slice *line, struct slice value, const char *text)
{
	size_t at = (size_t)(value.p - line->p);

	buf_slice(b, slice_sub(*line, 0, at));
	buf_str(b, text);
	*line = slice_from(*line, at + value.n);
}

/* Without the names of others. */
static void
trail_write(const struct trail *t, struct slice line, struct buf *b)
{
	struct slice who = trail_member(line, "\"who\":\""),
		     from = trail_member(line, ",\"from\":\""),
		     to = trail_member(line,
			 "\"attribute\":\"dn\",\"how\":\"replace\",\"values\":[\"");
	struct slice domain = slice_from(who, slice_rfind(who, '@') + 1);

	if (!t->whole && who.p && from.p && !slice_ieq(domain, t->domain) &&
	    !slice_ieq(who, t->me)) {
		trail_instead(b, &line, who, "(above)");
		trail_instead(b, &line, from, "");
	}
	if (!t->whole && to.p) { /* [rdn, where to] */
		struct slice rest = slice_from(line, (size_t)(to.p + to.n - line.p));
		struct slice where =
		    slice_starts(rest, S("\",\"")) ? trail_member(rest, ",\"") : S("");

		if (where.n && !trail_below(where, slice_str(t->scope)))
			trail_instead(b, &line, where, "(elsewhere)");
	}
	buf_slice(b, line);
}

static void
trail_tell(struct admin *a, struct trail *t, struct slice line, uint64_t at)
{
	struct admin_telling tell = { .a = a };
	struct buf b = { 0 };

	trail_write(t, line, &b);
	admin_tell_number(&tell, "at", at);
	admin_tell_add(&tell, "line", buf_get(&b));
	admin_tell_end(&tell, "audit");
	buf_fini(&b);
	t->n++;
}

static bool
trail_fits(const struct trail *t, struct slice line, const char *lower)
{
	struct slice dn = trail_member(line, ",\"dn\":\"");

	return slice_starts(line, S("{\"at\":\"")) && trail_below(dn, slice_str(t->scope)) &&
	    (!t->word.n || memmem(lower, line.n, t->word.p, t->word.n));
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* The window that ends at `end`, from its first whole line on; its lines from the last.  The place before what was
 * told, or where the window begins; 0: the file was read to its beginning. */
static off_t
trail_window(struct admin *a, struct trail *t, off_t end)
{
	off_t from = end > (off_t)TRAIL_WINDOW ? end - (off_t)TRAIL_WINDOW : 0;
	ssize_t got = pread(t->fd, t->window, (size_t)(end - from), from);
	size_t n = got > 0 ? (size_t)got : 0, first = 0;

	if (from > 0) {
		first = slice_find(slice(t->window, n), '\n') + 1;
		if (first >= n) { /* a line longer than the window: passed over */
			admin_say(a, "note", S(""), "a line at %lld is too long to be shown here",
			    (long long)from);
			return from;
		}
	}
	for (size_t i = first; i < n; i++)
		t->lower[i] = ascii_lower(t->window[i]);
	while (n > first) {
		size_t last = n - (t->window[n - 1] == '\n');
		size_t at = slice_rfind(slice(t->window + first, last - first), '\n');
		struct slice line;

		at = at == last - first ? first : first + at + 1;
		line = slice(t->window + at, last - at);
		n = at;
		if (!trail_fits(t, line, t->lower + at))
			continue;
		trail_tell(a, t, line, (uint64_t)from + at);
		if (t->n == t->limit)
			break;
	}
	return from + (off_t)n;
}

static void
trail_read(struct admin *a, struct trail *t, off_t end)
{
	off_t stop = end > TRAIL_MOST ? end - TRAIL_MOST : 0;
	struct admin_telling tell = { .a = a };

	t->window = mem_new(TRAIL_WINDOW);
	t->lower = mem_new(TRAIL_WINDOW);
	while (end > stop && t->n < t->limit) {
		end = trail_window(a, t, end);
		admin_breathe(a);
	}
	mem_free(&t->window);
	mem_free(&t->lower);
	if (end > 0) {
		admin_tell_number(&tell, "before", (uint64_t)end);
		admin_tell_end(&tell, "more");
	}
}

static bool
trail_open(struct admin *a, struct trail *t, off_t *end)
{
	struct stat st;
	uint64_t before;

	*end = 0;
	t->fd = open(admin_conf.audit_file, O_RDONLY | O_CLOEXEC);
	if (t->fd < 0 && errno == ENOENT)
		return true;
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return admin_fail(a, ADMIN_FAILED, "audit", "%s: %s", admin_conf.audit_file,
		    strerror(errno));
	*end = st.st_size;
	if (!admin_name(a, 2).n)
		return true;
	if (slice_u64(admin_name(a, 2), INT64_MAX, &before) < 0)
		return admin_fail(a, ADMIN_BAD, "before", "before: a number is expected");
	if ((off_t)before < *end)
		*end = (off_t)before;
	return true;
}

bool
admin_audit_list(struct admin *a)
{
	struct trail t = { .fd = -1, .limit = a->call->limit ? a->call->limit : TRAIL_LIMIT };
	struct admin_org org = { .dn = NULL };
	char *word = arena_cstr(&a->memory, admin_name(a, 1));
	off_t end;
	bool good;

	if (admin_name(a, 0).n && !admin_find_org(a, admin_name(a, 0), &org))
		return false;
	for (size_t i = 0; word[i]; i++)
		word[i] = ascii_lower(word[i]);
	t.word = slice_str(word);
	t.me = slice_str(a->call->who);
	t.domain = org.domain.p ? org.domain : S("");
	if (!trail_scope(a, &t, org.dn))
		return false;
	good = trail_open(a, &t, &end);
	if (good)
		trail_read(a, &t, end);
	if (t.fd >= 0)
		close(t.fd);
	return good;
}
