/* jmapd/methods.c: the methods, in one list.
 *
 * A method that is not here is unknownMethod, as is one whose capability the request does not use. */
#include "contact.h"
#include "email.h"
#include "filter.h"
#include "mailbox.h"
#include "methods.h"
#include "quota.h"
#include "sieve.h"
#include "submission.h"
#include "vacation.h"

/* The arguments as they came (RFC 8620 4); on any thread. */
static void
core_echo_write(void *arg)
{
	struct call *c = arg;
	struct buf *b = call_out(c);

	b->n--; /* the brace is the value's */
	json_write(b, c->args);
	b->n--;
}

/* Long ones, which may be the whole request or what it refers to, are written beside the loop. */
static enum call_next
core_echo_start(struct call *c)
{
	call_answer(c);
	return call_beside(c, core_echo_write);
}

static enum call_next
core_echo_go(struct call *c)
{
	return call_end(c);
}

static const struct jmapd_method core_echo = { "Core/echo", JMAP_CORE, 0, core_echo_start,
	core_echo_go, NULL };

const struct jmapd_method *const jmapd_methods[] = {
	&core_echo,
	&mailbox_get,
	&mailbox_query,
	&mailbox_query_changes,
	&mailbox_changes,
	&mailbox_set,
	&thread_get,
	&thread_changes,
	&email_get,
	&email_query,
	&email_query_changes,
	&email_changes,
	&email_set,
	&email_import,
	&email_parse,
	&snippet_get,
	&identity_get,
	&identity_changes,
	&identity_set,
	&submission_set,
	&submission_get,
	&submission_changes,
	&submission_query,
	&submission_query_changes,
	&email_copy,
	&blob_copy,
	&blob_upload,
	&blob_get,
	&blob_lookup,
	&quota_get,
	&quota_changes,
	&quota_query,
	&quota_query_changes,
	&settings_get,
	&settings_set,
	&vacation_get,
	&vacation_set,
	&script_get,
	&script_query,
	&script_set,
	&script_validate,
	&addressbook_get,
	&addressbook_changes,
	&addressbook_set,
	&contact_get,
	&contact_changes,
	&contact_query,
	&contact_query_changes,
	&contact_set,
	&contact_copy,
	NULL,
};
