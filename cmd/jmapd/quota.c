/* jmapd/quota.c: Quota/get, /changes, /query and /queryChanges (RFC 9425 4).
 *
 * Two objects at most, for the limits that the user's directory entry gives, or the store in their place
 * (store/quota.h), with what the account's record says is used; a limit that is not there is no object, since RFC 9425 has none without hardLimit.  The state is the
 * account's counter, as of all types: what is used changes with it, so changes are always told, as `used`. */
#include "quota.h"

#include "store/quota.h"

enum { QUOTA_OCTETS, QUOTA_COUNT, QUOTAS };
static const struct {
	const char *id, *type, *name;
} quotas[QUOTAS] = {
	[QUOTA_OCTETS] = { "octets", "octets", "Mail" },
	[QUOTA_COUNT] = { "count", "count", "Messages" },
};

static const char *const quota_properties[] = { "id", "resourceType", "used", "hardLimit", "scope",
	"name", "types", "warnLimit", "softLimit", "description", NULL };

/* What is used, of the account's row, and its limits. */
struct quota_now {
	struct store_account a;
	struct store_limits limits;
};

static uint64_t
quota_limit(const struct quota_now *q, size_t i)
{
	uint64_t limit = i == QUOTA_OCTETS ? q->limits.bytes : q->limits.messages;

	return limit >= STORE_QUOTA_MOST ? 0 : limit;
}

/* The account's row, copied.  False: *next is the answer. */
static bool
quota_account(struct call *c, struct quota_now *q, enum call_next *next)
{
	int rc = call_account(c, next) ? call_begin(c, &q->a) : 1;

	if (rc == 0) {
		q->limits = store_limits_find(call_view(c), q->a.id, call_user(c)->limits);
		store_end(call_view(c));
	} else if (rc < 0)
		*next = call_failed(c, rc);
	return rc == 0;
}

/* ---- Quota/get ---------------------------------------------------------------------------------------------- */

static void
quota_put(struct call *c, size_t i, const struct quota_now *q, uint64_t want)
{
	struct buf *b = call_out(c);

	json_element(b);
	buf_char(b, '{');
	json_put_cstr(b, "id", quotas[i].id);
	if (want & 2)
		json_put_cstr(b, "resourceType", quotas[i].type);
	if (want & 4)
		json_put_i64(b, "used", (int64_t)(i == QUOTA_OCTETS ? q->a.bytes : q->a.messages));
	if (want & 8)
		json_put_i64(b, "hardLimit", (int64_t)quota_limit(q, i));
	if (want & 16)
		json_put_cstr(b, "scope", "account");
	if (want & 32)
		json_put_cstr(b, "name", quotas[i].name);
	if (want & 64) {
		json_put_array(b, "types");
		buf_lit(b, "\"Email\"]");
	}
	for (size_t k = 7; k < 10; k++)
		if (want >> k & 1)
			json_put_null(b, quota_properties[k]);
	buf_char(b, '}');
}

static enum call_next
quota_get_start(struct call *c)
{
	struct call_ids ids;
	struct quota_now q;
	uint64_t want;
	bool *missing;
	enum call_next next;

	if (!quota_account(c, &q, &next) || !call_ids(c, &ids, &next) ||
	    !call_properties(c, quota_properties, &want, &next))
		return next;
	missing = arena_array(&c->arena, ids.n + 1, sizeof(*missing));
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "state", q.a.modseq);
	json_put_array(call_out(c), "list");
	for (size_t i = 0; i < QUOTAS && !ids.list; i++)
		if (quota_limit(&q, i))
			quota_put(c, i, &q, want);
	for (size_t k = 0; k < ids.n; k++) {
		size_t i = 0;

		while (i < QUOTAS && !slice_eq(ids.list[k], slice_str(quotas[i].id)))
			i++;
		missing[k] = i == QUOTAS || !quota_limit(&q, i);
		if (!missing[k])
			quota_put(c, i, &q, want);
	}
	buf_char(call_out(c), ']');
	call_put_not_found(c, &ids, missing);
	return call_end(c);
}

/* ---- Quota/changes ---------------------------------------------------------------------------------------------- */

static void
quota_put_ids(struct call *c, const struct quota_now *q, const char *name, bool all)
{
	json_put_array(call_out(c), name);
	for (size_t i = 0; i < QUOTAS && all; i++)
		if (quota_limit(q, i)) {
			json_element(call_out(c));
			json_str(call_out(c), slice_str(quotas[i].id));
		}
	buf_char(call_out(c), ']');
}

static enum call_next
quota_changes_start(struct call *c)
{
	struct quota_now q;
	struct slice since = { NULL, 0 };
	struct jmapd_state known;
	enum call_next next;

	if (!quota_account(c, &q, &next))
		return next;
	if (!call_str(c, "sinceState", &since) || !since.p)
		return call_invalid(c, "sinceState: a string is needed");
	if (!state_parse(since, &known) || known.life != state_of(&q.a).life ||
	    known.modseq > q.a.modseq)
		return call_error(c, "cannotCalculateChanges", "there was no such state");
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "oldState", known.modseq);
	call_put_state(c, "newState", q.a.modseq);
	json_put_bool(call_out(c), "hasMoreChanges", false);
	quota_put_ids(c, &q, "created", false);
	quota_put_ids(c, &q, "updated", known.modseq < q.a.modseq);
	quota_put_ids(c, &q, "destroyed", false);
	if (known.modseq < q.a.modseq)
		buf_lit(call_out(c), ",\"updatedProperties\":[\"used\"]");
	else
		json_put_null(call_out(c), "updatedProperties");
	return call_end(c);
}

/* ---- Quota/query --------------------------------------------------------------------------------------------------- */

/* Is the quota what the filter asks for (4.3.1)?  False with *why: it is no filter. */
static bool
quota_fits(const struct json_t *filter, size_t i, const char **why)
{
	struct json_walk w = { 0 };
	bool fits = true;

	while (json_next(filter, &w)) {
		struct slice s = json_text(w.value);

		if (!s.p)
			*why = "filter: a value is no string";
		else if (slice_eq(w.name, S("name")))
			fits = fits &&
			    slice_ifind_str(slice_str(quotas[i].name), s) < strlen(quotas[i].name);
		else if (slice_eq(w.name, S("scope")))
			fits = fits && slice_eq(s, S("account"));
		else if (slice_eq(w.name, S("resourceType")))
			fits = fits && slice_eq(s, slice_str(quotas[i].type));
		else if (slice_eq(w.name, S("type")))
			fits = fits && slice_eq(s, S("Email"));
		else
			*why = "filter: there is no such condition";
	}
	return fits;
}

static enum call_next
quota_query_start(struct call *c)
{
	const struct json_t *filter = json_find(c->args, S("filter"));
	struct quota_now q;
	const char *why = NULL;
	bool fits[QUOTAS], total = false;
	int64_t n = 0;
	enum call_next next;

	if (!quota_account(c, &q, &next))
		return next;
	for (size_t i = 0; i < QUOTAS; i++) {
		fits[i] = quota_fits(filter, i, &why) && quota_limit(&q, i);
		n += fits[i];
	}
	if (why)
		return call_error(c, "unsupportedFilter", why);
	if (!call_bool(c, "calculateTotal", &total))
		return call_invalid(c, "calculateTotal: neither true nor false");
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "queryState", q.a.modseq);
	buf_lit(call_out(c), ",\"canCalculateChanges\":false,\"position\":0,\"ids\":[");
	for (size_t i = 0; i < QUOTAS; i++)
		if (fits[i]) {
			json_element(call_out(c));
			json_str(call_out(c), slice_str(quotas[i].id));
		}
	buf_char(call_out(c), ']');
	if (total)
		json_put_i64(call_out(c), "total", n);
	return call_end(c);
}

static enum call_next
quota_query_changes_start(struct call *c)
{
	enum call_next next;

	return call_account(c, &next) ? call_error(c, "cannotCalculateChanges", NULL) : next;
}

const struct jmapd_method quota_get = { "Quota/get", JMAP_QUOTA, 0, quota_get_start, NULL, NULL };
const struct jmapd_method quota_changes = { "Quota/changes", JMAP_QUOTA, 0, quota_changes_start,
	NULL, NULL };
const struct jmapd_method quota_query = { "Quota/query", JMAP_QUOTA, 0, quota_query_start, NULL,
	NULL };
const struct jmapd_method quota_query_changes = { "Quota/queryChanges", JMAP_QUOTA, 0,
	quota_query_changes_start, NULL, NULL };
