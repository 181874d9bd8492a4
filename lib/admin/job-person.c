/* job-person.c: whose job is it, and may that person have it done?
 *
 * Called by job-run.c before a job is taken, and by job-note.c while it is done.  Owns nothing.  Can fail as searches
 * do.  Must stay true: slapd looks at roles with each step, and not at whether somebody may log in; so that is looked
 * at here, as often as a note is written. */
#include "admin/job-impl.h"

bool
admin_job_is_persons(const struct dir_entry *job)
{
	return slice_istarts(admin_value(job, "creatorsName"), S("uid="));
}

static const char *
person_above(const char *dn)
{
	while (*dn && *dn != ',')
		dn += *dn == '\\' && dn[1] ? 2 : 1;
	return *dn ? dn + 1 : dn;
}

const char *
admin_job_person(struct admin *own, const struct dir_entry *job)
{
	static const char *const attrs[] = { "entryUUID", "inetUserStatus", NULL },
				 *const org[] = { "inetDomainStatus", NULL };
	const char *dn = admin_value(job, "creatorsName").p; /* a copy, so that it ends in a NUL */
	struct slice status;

	if (!admin_search(own, dn, DIR_SCOPE_BASE, NULL, attrs))
		return "";
	if (!own->out.n ||
	    !slice_ieq(admin_value(&own->out.entries[0], "entryUUID"),
		admin_value(job, "tiermailJobAsker")))
		return "who has asked for it is not there any more, or has another name";
	status = admin_value(&own->out.entries[0], "inetUserStatus");
	if (status.n && !slice_ieq(status, S("active")))
		return "who has asked for it may not log in now";
	/* the organisation, above ou=People */
	if (!admin_search(own, person_above(person_above(dn)), DIR_SCOPE_BASE, NULL, org))
		return "";
	status = own->out.n ? admin_value(&own->out.entries[0], "inetDomainStatus") : S("");
	return status.n && !slice_ieq(status, S("active")) ?
	    "the organisation of who has asked for it is closed now" :
	    NULL;
}
