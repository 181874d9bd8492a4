/* status.c: what suspending, holding, deleting and bringing back mean, for users and organisations alike.
 *
 * Called by their verbs.  Owns the table.  Can fail: deleting what is deleted has nothing to change, and
 * what was not deleted cannot be brought back.  Must stay true: nothing is ever removed here; what is
 * deleted keeps its entry, with the time, until somebody purges it (audit: who and when). */
#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/civil.h"
#include "base/clock.h"

static const struct {
	const char *word, *login, *mail;
	bool deletes;
} words[] = {
	{ "suspend", "inactive", NULL, false }, /* nobody gets in, mail waits */
	{ "hold", NULL, "hold", false },        /* mail is kept in the queue */
	{ "resume", "active", "active", false },
	{ "delete", "deleted", "deleted", true },
	{ "undelete", "active", "active", false },
};

void
admin_class_put(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    const char *name)
{
	if (e && !admin_has(e, "objectClass", slice_str(name)))
		admin_set(a, c, DIR_ADD, "objectClass", slice_str(name));
}

bool
admin_status_put(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    const char *word, const char *login, const char *mail)
{
	bool gone = slice_ieq(admin_value(e, login), S("deleted"));
	struct civil t = civil_from_unix(clock_now());
	size_t i = 0;

	while (i < NELEM(words) && strcmp(words[i].word, word) != 0)
		i++;
	if (i == NELEM(words))
		return admin_fail(a, ADMIN_FAILED, "verb", "%s: no such status", word);
	if (gone && strcmp(word, "undelete") != 0)
		return admin_fail(a, ADMIN_BAD, "deleted", "it is deleted: undelete it first");
	if (!gone && strcmp(word, "undelete") == 0)
		return admin_fail(a, ADMIN_BAD, "not-deleted", "it is not deleted");
	if (words[i].login)
		admin_set(a, c, DIR_REPLACE, login, slice_str(words[i].login));
	if (words[i].mail)
		admin_set(a, c, DIR_REPLACE, mail, slice_str(words[i].mail));
	if (words[i].deletes)
		admin_set(a, c, DIR_REPLACE, "tiermailDeletedAt",
		    slice_str(arena_printf(&a->memory, "%04d%02d%02d%02d%02d%02dZ", (int)t.year,
			t.month, t.day, t.hour, t.minute, t.second)));
	else if (admin_attr(e, "tiermailDeletedAt"))
		admin_set_none(a, c, "tiermailDeletedAt");
	return true;
}

bool
admin_deleted_over(const struct dir_entry *e)
{
	struct slice at = admin_value(e, "tiermailDeletedAt");
	uint64_t day, time;
	struct civil t = { 0 };

	if (at.n < 15 || slice_u64(slice_sub(at, 0, 8), UINT32_MAX, &day) < 0 ||
	    slice_u64(slice_sub(at, 8, 6), UINT32_MAX, &time) < 0)
		return false;
	t.year = (int64_t)(day / 10000);
	t.month = (int)(day / 100 % 100);
	t.day = (int)(day % 100);
	t.hour = (int)(time / 10000);
	t.minute = (int)(time / 100 % 100);
	t.second = (int)(time % 100);
	return civil_to_unix(&t) + admin_conf.purge_after / 1000 <= clock_now();
}
