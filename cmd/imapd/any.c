/* imapd/any.c: small commands: CAPABILITY, NOOP, LOGOUT, ID, ENABLE, NAMESPACE. */
#include "base/log.h"
#include "session.h"

/* CAPABILITY							RFC 3501 6.1.1 */
enum next
cmd_capability(struct session *s, struct imap_in *in)
{
	if (!imap_end(in))
		return bad(s, in);
	buf_lit(out(s), "* ");
	capability_write(s, out(s));
	buf_lit(out(s), "\r\n");
	return finish(s, "OK", "Capability completed");
}

/* NOOP, CHECK							RFC 3501 6.1.2, 6.4.1 */
enum next
cmd_noop(struct session *s, struct imap_in *in)
{
	if (!imap_end(in))
		return bad(s, in);
	return finish(s, "OK", "Completed");
}

/* LOGOUT							RFC 3501 6.1.3 */
enum next
cmd_logout(struct session *s, struct imap_in *in)
{
	if (!imap_end(in))
		return bad(s, in);
	untagged(s, "BYE Logging out");
	s->doomed = true;
	return finish(s, "OK", "Logout completed");
}

/* ID (field value ...) | NIL					RFC 2971 3.1 */
enum next
cmd_id(struct session *s, struct imap_in *in)
{
	struct buf said = { .cap = 1000 };
	int more = 1;

	if (!imap_space(in))
		return bad(s, in);
	if (!imap_word(in, "NIL")) {
		struct slice field, value;
		bool nil;

		if (!imap_open(in))
			return bad(s, in);
		if (imap_next_is(in, ')'))
			more = imap_more(in);
		for (int n = 0; more > 0; more = imap_more(in), n++) {
			if (n == 30 || !imap_string(in, &field) || !imap_space(in) ||
			    !imap_nstring(in, &value, &nil)) {
				buf_fini(&said);
				return bad(s, in);
			}
			buf_slice(&said, field);
			buf_char(&said, '=');
			buf_slice(&said, value);
			buf_char(&said, ' ');
		}
		if (more < 0) {
			buf_fini(&said);
			return bad(s, in);
		}
	}
	/* For the log alone: it never changes what we do. */
	if (imap_end(in))
		log_event(LOG_INFO, "id", "sid=%s client=%s", s->sid,
		    log_value(slice_trim(buf_get(&said))));
	buf_fini(&said);
	if (!imap_end(in))
		return bad(s, in);
	untagged(s, "ID (\"name\" \"tiermail\" \"version\" \"%s\")", TIERMAIL_VERSION);
	return finish(s, "OK", "ID completed");
}

/* ENABLE capability ...					RFC 5161 3.1 */
enum next
cmd_enable(struct session *s, struct imap_in *in)
{
	bool condstore = false;
	struct slice word;

	do {
		if (!imap_space(in) || !imap_atom(in, &word))
			return bad(s, in);
		condstore = condstore || slice_ieq(word, S("CONDSTORE"));
	} while (imap_next_is(in, ' '));
	if (!imap_end(in))
		return bad(s, in);
	s->condstore = s->condstore || condstore;
	untagged(s, condstore ? "ENABLED CONDSTORE" : "ENABLED");
	return finish(s, "OK", "ENABLE completed");
}

/* NAMESPACE							RFC 2342 5 */
enum next
cmd_namespace(struct session *s, struct imap_in *in)
{
	if (!imap_end(in))
		return bad(s, in);
	untagged(s, "NAMESPACE ((\"\" \"/\")) NIL NIL");
	return finish(s, "OK", "NAMESPACE completed");
}
