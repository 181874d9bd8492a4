/* audit.c: who changed what, a JSON object a line, in audit.file.
 *
 * Owns the descriptor, and what could not be written yet.  Called by change.c before each change (can it be
 * written?) and after it.  Can fail: the disk is full, and then nothing is changed: room for the line is asked for
 * before, and a line that found none all the same goes out before anything else is done.  Must stay true: a line is
 * one write to a file that is only appended to, so that several programs may write to one; secrets are named and
 * never shown; of what was refused only the names are told, for who may do nothing else could fill the disk with it.
 * It is opened anew when it has been moved away, so that logrotate(8) needs to tell nobody. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define AUDIT_ROOM                                                                                 \
	65536 /* octets of a line without its values, and of those that were there before */
#define AUDIT_KEPT (1 << 28) /* of lines that wait for room: of one change, whatever that is */

static int audit_fd = -1;
static struct stat audit_is;
static struct buf audit_kept = { .cap = AUDIT_KEPT };

static const char *const secrets[] = { "userPassword", "mgrpAuthPassword", "tiermailTotpSecret",
	"tiermailRecoveryCode", "tiermailAppSecret" };
static const char *const results[] = { [DIR_R_OK] = "done",
	[DIR_R_DENIED] = "denied",
	[DIR_R_NO_ENTRY] = "no entry",
	[DIR_R_EXISTS] = "exists",
	[DIR_R_CHANGED] = "changed meanwhile",
	[DIR_R_CHILDREN] = "not empty",
	[DIR_R_SCHEMA] = "schema",
	[DIR_R_VALUE] = "value",
	[DIR_R_NO_VALUE] = "no value",
	[DIR_R_HAS_VALUE] = "has value",
	[DIR_R_LIMIT] = "limit",
	[DIR_R_LOGIN] = "login",
	[DIR_R_PROXY] = "proxy",
	[DIR_R_READ_ONLY] = "read only",
	[DIR_R_AWAY] = "away",
	[DIR_R_UNKNOWN] = "unknown",
	[DIR_R_OTHER] = "failed" };

/* Is the file that we have open still the one of that name? */
static bool
audit_open_still(const char *path)
{
	struct stat st;

	return audit_fd >= 0 && stat(path, &st) == 0 && st.st_ino == audit_is.st_ino &&
	    st.st_dev == audit_is.st_dev;
}

static bool
audit_open(struct admin *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (audit_open_still(path))
		return true;
	if (audit_fd >= 0)
		close(audit_fd);
	audit_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (audit_fd < 0 && errno == ENOENT && slash && slash > path) {
		char *folder = arena_printf(&a->memory, "%.*s", (int)(slash - path), path);

		if (mkdir(folder, 0750) == 0)
			audit_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	}
	if (audit_fd < 0 || fstat(audit_fd, &audit_is) < 0)
		return admin_fail(a, ADMIN_FAILED, "audit",
		    "%s: %s: without the audit log nothing is changed", path, strerror(errno));
	return true;
}

/* What is left goes first; a part of a line is as much as the disk took. */
static bool
audit_flush(void)
{
	while (audit_kept.n) {
		ssize_t n = write(audit_fd, audit_kept.p, audit_kept.n);

		if (n <= 0)
			return false;
		memmove(audit_kept.p, audit_kept.p + n, audit_kept.n - (size_t)n);
		audit_kept.n -= (size_t)n;
	}
	return true;
}

/* Room behind the end of the file: most lines need no more than is taken there.  Of what a longer one needs it is
 * asked whether it is free, for what is taken stays taken, and the change may be refused. */
static bool
audit_room(size_t more)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(audit_fd, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode))
		return true;
	if (fallocate(audit_fd, FALLOC_FL_KEEP_SIZE, st.st_size, AUDIT_ROOM) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return false;
	if (fstatvfs(audit_fd, &fs) < 0)
		return false;
	errno = ENOSPC;
	return (uint64_t)fs.f_bavail * fs.f_frsize >= more;
}

/* Octets that the values of a change take at most: \u00XX. */
static size_t
audit_size(const struct dir_job *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->nchanges; i++)
		for (size_t k = 0; k < j->changes[i].nvalues; k++)
			n += 3 + 2 * j->changes[i].values[k].n;
	return n;
}

bool
admin_audit_ready(struct admin *a, const struct dir_job *j)
{
	const char *path = admin_conf.audit_file;

	if (!path || !*path)
		return admin_fail(a, ADMIN_FAILED, "audit",
		    "audit.file is not set: nothing is changed");
	if (!audit_open(a, path))
		return false;
	if (audit_flush() && audit_room(audit_size(j)))
		return true;
	log_event(LOG_ERROR, "admin_audit", "file=%s why=%s", log_str(path),
	    log_str(strerror(errno)));
	return admin_fail(a, ADMIN_FAILED, "audit",
	    "%s: %s: without room for the audit log nothing is changed", path, strerror(errno));
}

bool
admin_secret(struct slice attribute)
{
	for (size_t i = 0; i < NELEM(secrets); i++)
		if (slice_ieq(attribute, slice_str(secrets[i])))
			return true;
	return false;
}

static void
audit_values(struct buf *b, struct slice attribute, const struct slice *v, size_t n)
{
	buf_char(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(b, ',');
		json_str(b, admin_secret(attribute) ? S("(secret)") : v[i]);
	}
	buf_char(b, ']');
}

static void
audit_key(struct buf *b, struct slice name)
{
	if (b->p[b->n - 1] != '{')
		buf_char(b, ',');
	json_str(b, name);
	buf_char(b, ':');
}

/* {"mailQuota":{"how":"replace","values":["1"]}, ...}: an attribute that is named twice has two keys
 * of the array that this is. */
static void
audit_changes(struct buf *b, const struct dir_change *c, size_t n, bool refused)
{
	static const char *const
	    hows[] = { [DIR_ADD] = "add", [DIR_DELETE] = "delete", [DIR_REPLACE] = "replace" };

	buf_str(b, ",\"changes\":[");
	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_str(c[i].attribute);

		buf_str(b, i ? ",{" : "{");
		json_put_str(b, "attribute", name);
		json_put_cstr(b, "how", hows[c[i].how]);
		if (refused) {
			json_put_i64(b, "count", (int64_t)c[i].nvalues);
		} else {
			json_key(b, "values");
			audit_values(b, name, c[i].values, c[i].nvalues);
		}
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void
audit_before(struct buf *b, const struct dir_entry *e)
{
	buf_str(b, ",\"before\":{");
	for (size_t i = 0; i < e->n; i++) {
		audit_key(b, e->attrs[i].name);
		audit_values(b, e->attrs[i].name, e->attrs[i].values, e->attrs[i].n);
	}
	buf_char(b, '}');
}

void
admin_audit(struct admin *a, const char *op, const char *dn, const struct dir_change *c, size_t n,
    const struct dir_entry *before, enum dir_result result)
{
	struct civil t = civil_from_unix(clock_now());
	struct buf b = { 0 };
	ssize_t written;
	char at[32];

	snprintf(at, sizeof(at), "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)t.year, t.month, t.day,
	    t.hour, t.minute, t.second);
	buf_char(&b, '{');
	json_put_cstr(&b, "at", at);
	json_put_cstr(&b, "who", a->call->who);
	json_put_cstr(&b, "from", a->call->from);
	json_put_cstr(&b, "verb",
	    arena_printf(&a->memory, "%s %s", a->verb->object, a->verb->verb));
	json_put_cstr(&b, "op", op);
	json_put_cstr(&b, "dn", dn);
	json_put_cstr(&b, "result", results[result]);
	if (result != DIR_R_OK)
		json_put_cstr(&b, "why", a->out.why);
	audit_changes(&b, c, n, result != DIR_R_OK && result != DIR_R_UNKNOWN);
	if (before)
		audit_before(&b, before);
	buf_lit(&b, "}\n");
	written = write(audit_fd, b.p, b.n);
	if (written != (ssize_t)b.n) {
		buf_slice(&audit_kept, slice_from(buf_get(&b), written < 0 ? 0 : (size_t)written));
		log_event(LOG_ERROR, "admin_audit", "file=%s why=%s",
		    log_str(admin_conf.audit_file), log_str(strerror(errno)));
	}
	buf_fini(&b);
}
