/* jmapd/submission-get.c: EmailSubmission/get, /changes, /query and /queryChanges (RFC 8621 7): there are none to be
 * found, since a submission is over when EmailSubmission/set has its answer.  The state never changes. */
#include "submission.h"

static enum call_next
submission_get_start(struct call *c)
{
	static const char *const properties[] = { "id", "identityId", "emailId", "threadId",
		"envelope", "sendAt", "undoStatus", "deliveryStatus", "dsnBlobIds", "mdnBlobIds",
		NULL };
	struct call_ids ids;
	uint64_t want;
	bool *missing;
	enum call_next next;

	if (!call_account(c, &next) || !call_ids(c, &ids, &next) ||
	    !call_properties(c, properties, &want, &next))
		return next;
	missing = arena_array(&c->arena, ids.n + 1, sizeof(*missing));
	for (size_t i = 0; i < ids.n; i++)
		missing[i] = true;
	call_answer(c);
	call_put_account(c);
	json_put_cstr(call_out(c), "state", "0");
	buf_lit(call_out(c), ",\"list\":[]");
	call_put_not_found(c, &ids, missing);
	return call_end(c);
}

static enum call_next
submission_changes_start(struct call *c)
{
	struct slice since = json_text(json_find(c->args, S("sinceState")));
	enum call_next next;

	if (!call_account(c, &next))
		return next;
	if (!slice_eq(since, S("0")))
		return call_error(c, "cannotCalculateChanges", NULL);
	call_answer(c);
	call_put_account(c);
	buf_lit(call_out(c),
	    ",\"oldState\":\"0\",\"newState\":\"0\",\"hasMoreChanges\":false,"
	    "\"created\":[],\"updated\":[],\"destroyed\":[]");
	return call_end(c);
}

static enum call_next
submission_query_start(struct call *c)
{
	bool total = false;
	enum call_next next;

	if (!call_account(c, &next))
		return next;
	if (!call_bool(c, "calculateTotal", &total))
		return call_invalid(c, "calculateTotal: neither true nor false");
	call_answer(c);
	call_put_account(c);
	buf_lit(call_out(c),
	    ",\"queryState\":\"0\",\"canCalculateChanges\":true,\"position\":0,\"ids\":[]");
	if (total)
		json_put_i64(call_out(c), "total", 0);
	return call_end(c);
}

static enum call_next
submission_query_changes_start(struct call *c)
{
	struct slice since = json_text(json_find(c->args, S("sinceQueryState")));
	enum call_next next;

	if (!call_account(c, &next))
		return next;
	if (!slice_eq(since, S("0")))
		return call_error(c, "cannotCalculateChanges", NULL);
	call_answer(c);
	call_put_account(c);
	buf_lit(call_out(c),
	    ",\"oldQueryState\":\"0\",\"newQueryState\":\"0\",\"removed\":[],\"added\":[]");
	return call_end(c);
}

const struct jmapd_method submission_get = { "EmailSubmission/get", JMAP_SUBMISSION, 0,
	submission_get_start, NULL, NULL };
const struct jmapd_method submission_changes = { "EmailSubmission/changes", JMAP_SUBMISSION, 0,
	submission_changes_start, NULL, NULL };
const struct jmapd_method submission_query = { "EmailSubmission/query", JMAP_SUBMISSION, 0,
	submission_query_start, NULL, NULL };
const struct jmapd_method submission_query_changes = { "EmailSubmission/queryChanges",
	JMAP_SUBMISSION, 0, submission_query_changes_start, NULL, NULL };
