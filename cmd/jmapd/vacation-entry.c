/* jmapd/vacation-entry.c: the attributes of an absence as a VacationResponse, and its changes as theirs.
 *
 *	isEnabled	mailDeliveryOption has autoreply
 *	fromDate	vacationStartDate		toDate	vacationEndDate
 *	subject		mailAutoReplySubject		textBody	mailAutoReplyText
 *
 * Pure.  What must stay true: an object that says that it is enabled is one that lmtpd answers by, so it has a text
 * and mail comes into the mailbox; and no value of mailDeliveryOption but autoreply goes away.  Answers are plain
 * text: htmlBody is never kept, and refused where it would be all there is. */
#include "base/civil.h"
#include "jmap/patch.h"
#include "vacation.h"

#define DELIVERY "mailDeliveryOption"

const char *const vacation_attributes[] = { DELIVERY, "mailAutoReplySubject", "mailAutoReplyText",
	"mailAutoReplyTextInternal", "vacationStartDate", "vacationEndDate", "entryCSN", NULL };

enum { V_ID, V_ENABLED, V_FROM, V_TO, V_SUBJECT, V_TEXT, V_HTML, V_ALL };
const char *const vacation_properties[] = { "id", "isEnabled", "fromDate", "toDate", "subject",
	"textBody", "htmlBody", NULL };

static const struct json_bounds vacation_bounds = { 1 << 20, 8, 64 };

/* ---- reading ------------------------------------------------------------------------------------------- */

static void
entry_option(struct vacation_entry *e, struct arena *a, struct slice value)
{
	e->options = true;
	if (slice_ieq(value, S("autoreply")))
		e->autoreply = arena_slice(a, value);
	if (slice_ieq(value, S("mailbox")))
		e->mailbox = true;
}

void
vacation_entry_read(struct vacation_entry *e, struct arena *a, const struct dir_before *v, size_t n)
{
	const struct {
		const char *attribute;
		struct slice *to;
	} texts[] = { { "entryCSN", &e->csn }, { "mailAutoReplySubject", &e->subject },
		{ "mailAutoReplyText", &e->text }, { "mailAutoReplyTextInternal", &e->internal } };

	*e = (struct vacation_entry){ 0 };
	for (; n; n--, v++) {
		for (size_t i = 0; i < NELEM(texts); i++)
			if (slice_ieq(v->attribute, slice_str(texts[i].attribute)))
				*texts[i].to = arena_slice(a, v->value);
		if (slice_ieq(v->attribute, S(DELIVERY)))
			entry_option(e, a, v->value);
		if (slice_ieq(v->attribute, S("vacationStartDate")))
			e->begins = dir_time_parse(v->value, &e->from);
		if (slice_ieq(v->attribute, S("vacationEndDate")))
			e->ends = dir_time_parse(v->value, &e->to);
	}
	e->mailbox = e->mailbox || !e->options;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static void
vacation_put_text(struct buf *b, const char *name, struct slice text)
{
	if (text.n)
		json_put_str(b, name, text);
	else
		json_put_null(b, name);
}

static void
vacation_put_date(struct buf *b, const char *name, bool there, int64_t at)
{
	if (there)
		json_put_utc(b, name, at);
	else
		json_put_null(b, name);
}

void
vacation_entry_write(struct buf *b, const struct vacation_entry *e, uint64_t want)
{
	buf_lit(b, "{\"id\":\"" VACATION_ID "\"");
	if (want & 1u << V_ENABLED)
		json_put_bool(b, "isEnabled", e->autoreply.n > 0);
	if (want & 1u << V_FROM)
		vacation_put_date(b, "fromDate", e->begins, e->from);
	if (want & 1u << V_TO)
		vacation_put_date(b, "toDate", e->ends, e->to);
	if (want & 1u << V_SUBJECT)
		vacation_put_text(b, "subject", e->subject);
	if (want & 1u << V_TEXT)
		vacation_put_text(b, "textBody", e->text);
	if (want & 1u << V_HTML)
		json_put_null(b, "htmlBody");
	buf_char(b, '}');
}

/* ---- what is wanted ------------------------------------------------------------------------------------ */

struct wanted {
	bool enabled, begins, ends;
	int64_t from, to;
	struct slice subject, text; /* of the tree */
};

static bool
refused(struct vacation_edit *edit, int property, const char *why)
{
	edit->type = "invalidProperties";
	edit->property = property < 0 ? NULL : vacation_properties[property];
	edit->why = why;
	return false;
}

/* A string without control characters, `lines`: but those of lines of text; null and "" are none. */
static bool
want_text(const struct json_t *v, size_t most, bool lines, struct slice *text)
{
	if (!json_none(v) && !json_get_str(v, text))
		return false;
	for (size_t i = 0; i < text->n; i++) {
		unsigned char ch = (unsigned char)text->p[i];

		if (ch == 127 || (ch < ' ' && !(lines && (ch == '\n' || ch == '\r' || ch == '\t'))))
			return false;
	}
	return text->n <= most;
}

/* A UTCDate that the directory can have, from 1970 to 9999. */
static bool
want_date(const struct json_t *v, bool *there, int64_t *at)
{
	*there = !json_none(v);
	return !*there ||
	    (json_is(v, JSON_KIND_STR) && jmap_date_parse(json_text(v), at) && *at >= 0 &&
		*at < civil_days(10000, 1, 1) * 86400);
}

static bool
wanted_names(const struct json_t *object, struct arena *a, struct vacation_edit *edit)
{
	struct json_walk w = { 0 };

	while (json_next(object, &w)) {
		size_t i = 0;

		while (
		    vacation_properties[i] && !slice_eq(w.name, slice_str(vacation_properties[i])))
			i++;
		if (!vacation_properties[i]) {
			(void)refused(edit, -1, "there is no such property");
			edit->property = arena_cstr(a, w.name);
			return false;
		}
	}
	return true;
}

static bool
wanted_read(struct wanted *w, const struct json_t *object, struct vacation_edit *edit)
{
	const struct json_t *v[V_ALL];
	struct slice html = { NULL, 0 };

	for (size_t i = 0; i < V_ALL; i++)
		v[i] = json_find(object, slice_str(vacation_properties[i]));
	if (!slice_eq(json_text(v[V_ID]), S(VACATION_ID)))
		return refused(edit, V_ID, "it is " VACATION_ID);
	if (!json_none(v[V_ENABLED]) && !json_get_bool(v[V_ENABLED], &w->enabled))
		return refused(edit, V_ENABLED, "true or false");
	if (!want_date(v[V_FROM], &w->begins, &w->from))
		return refused(edit, V_FROM, "a UTCDate, or null");
	if (!want_date(v[V_TO], &w->ends, &w->to))
		return refused(edit, V_TO, "a UTCDate, or null");
	if (w->begins && w->ends && w->to <= w->from)
		return refused(edit, V_TO, "it is not after fromDate");
	if (!want_text(v[V_SUBJECT], VACATION_SUBJECT, false, &w->subject))
		return refused(edit, V_SUBJECT, "a line of text of 900 octets at most, or null");
	if (!want_text(v[V_TEXT], VACATION_TEXT, true, &w->text))
		return refused(edit, V_TEXT, "a text of 32768 octets at most, or null");
	if (!json_none(v[V_HTML]) && !json_get_str(v[V_HTML], &html))
		return refused(edit, V_HTML, "a string, or null");
	if (html.n && !w->text.n)
		return refused(edit, V_HTML, "answers are plain text: textBody is needed");
	return true;
}

/* Nobody is told that answers are sent when none would be. */
static bool
wanted_works(const struct wanted *w, const struct vacation_entry *e, struct vacation_edit *edit)
{
	if (!w->enabled || (e->autoreply.n && (w->text.n > 0) == (e->text.n > 0)))
		return true;
	if (w->text.n == 0 && e->internal.n == 0)
		return refused(edit, V_TEXT, "without a text nobody is answered");
	if (e->mailbox)
		return true;
	edit->type = "forbidden";
	edit->property = NULL;
	edit->why = "mail does not come into this mailbox, and is not answered here";
	return false;
}

/* ---- what is changed ----------------------------------------------------------------------------------- */

static void
edit_add(struct vacation_edit *edit, struct arena *a, enum dir_how how, const char *attribute,
    struct slice value)
{
	struct slice *v = arena_array(a, 1, sizeof(*v));

	*v = arena_slice(a, value);
	edit->changes[edit->n++] = (struct dir_change){ how, attribute, v, value.n ? 1u : 0u };
}

static void
edit_text(struct vacation_edit *edit, struct arena *a, const char *attribute, struct slice is,
    struct slice wanted)
{
	if (!slice_eq(is, wanted))
		edit_add(edit, a, DIR_REPLACE, attribute, wanted);
}

static void
edit_date(struct vacation_edit *edit, struct arena *a, const char *attribute, bool is, bool wanted,
    int64_t at)
{
	struct civil c = civil_from_unix(at);

	if (is)
		return;
	edit_add(edit, a, DIR_REPLACE, attribute,
	    wanted ? slice_str(arena_printf(a, "%04lld%02d%02d%02d%02d%02dZ", (long long)c.year,
			 c.month, c.day, c.hour, c.minute, c.second)) :
		     S(""));
}

/* Without a value mail goes to the mailbox; autoreply alone would refuse it. */
static void
edit_option(struct vacation_edit *edit, struct arena *a, const struct vacation_entry *e, bool on)
{
	static const struct slice both[] = { { "mailbox", 7 }, { "autoreply", 9 } };

	if (on == (e->autoreply.n > 0))
		return;
	if (!on)
		edit_add(edit, a, DIR_DELETE, DELIVERY, e->autoreply);
	else
		edit->changes[edit->n++] = (struct dir_change){ DIR_ADD, DELIVERY,
			e->options ? &both[1] : both, e->options ? 1 : 2 };
}

static bool
entry_patched(const struct vacation_entry *e, const struct json_t *patch, struct arena *a,
    struct vacation_edit *edit)
{
	struct buf text = { 0 }, patched = { 0 };
	struct json_t *object = NULL;
	struct jmap_patch p;
	const char *why = "";
	int rc;

	vacation_entry_write(&text, e, UINT64_MAX);
	rc = json_read(buf_get(&text), &vacation_bounds, &object, &why);
	if (rc == 0)
		rc = jmap_patch_read(&p, patch, a, &why);
	if (rc == 0)
		rc = jmap_patch_apply(&p, object, &patched, &why);
	if (rc == 0)
		rc = json_read(buf_get(&patched), &vacation_bounds, &edit->wanted, &why);
	json_free(&object);
	buf_fini(&text);
	buf_fini(&patched);
	if (rc == 0)
		return true;
	edit->type = "invalidPatch";
	edit->property = NULL;
	edit->why = arena_str(a, why);
	return false;
}

bool
vacation_entry_edit(const struct vacation_entry *e, const struct json_t *patch, struct arena *a,
    struct vacation_edit *edit)
{
	struct wanted w = { 0 };

	*edit = (struct vacation_edit){ 0 };
	if (!entry_patched(e, patch, a, edit) || !wanted_names(edit->wanted, a, edit) ||
	    !wanted_read(&w, edit->wanted, edit) || !wanted_works(&w, e, edit))
		return false;
	edit_text(edit, a, "mailAutoReplySubject", e->subject, w.subject);
	edit_text(edit, a, "mailAutoReplyText", e->text, w.text);
	edit_date(edit, a, "vacationStartDate",
	    w.begins == e->begins && (!w.begins || w.from == e->from), w.begins, w.from);
	edit_date(edit, a, "vacationEndDate", w.ends == e->ends && (!w.ends || w.to == e->to),
	    w.ends, w.to);
	edit_option(edit, a, e, w.enabled);
	return true;
}
