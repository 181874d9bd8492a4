/* imapd/any.c: small commands: ID, COMPRESS, NAMESPACE. */
#include "base/log.h"
#include "imap/id.h"
#include "place.h"

static void
any_id_field(void *arg, struct slice field, struct slice value)
{
	login_forward_take(arg, field, value);
}

/* ID (field value ...) | NIL					RFC 2971 3.1 */
enum imap_next
cmd_id(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct login_forward forward = { 0 };
	struct buf said = { .cap = 1000 };

	if (!imap_id_read(in, &said, any_id_field, &forward)) {
		buf_fini(&said);
		return imap_server_syntax(&s->imap, in);
	}
	/* Of all but proxies it is for the log alone and never changes what we do. */
	if (s->proxy)
		session_forwarded(s, &forward);
	log_event(LOG_INFO, "id", "sid=%s client=%s", s->sid,
	    log_value(slice_trim(buf_get(&said))));
	buf_fini(&said);
	imap_server_untagged(&s->imap, "ID (\"name\" \"tiermail\" \"version\" \"%s\")",
	    TIERMAIL_VERSION);
	return imap_server_finish(&s->imap, "OK", "ID completed");
}

/* COMPRESS mechanism						RFC 4978 3 */
enum imap_next
cmd_compress(struct imap_server *imap, struct imap_in *in)
{
	struct stream *io = &imap->line.io;
	struct slice mechanism;
	enum imap_next next;

	if (!imap_space(in) || !imap_atom(in, &mechanism) || !imap_end(in))
		return imap_server_syntax(imap, in);
	if (!slice_ieq(mechanism, S("DEFLATE")))
		return imap_server_bad(imap, "Unknown compression mechanism");
	if (stream_compressed(io))
		return imap_server_no(imap, "COMPRESSIONACTIVE", "DEFLATE is active already");
	next = imap_server_finish(imap, "OK", "DEFLATE active");
	stream_flush(io); /* the answer is the last that is not compressed */
	if (stream_compress(io) < 0) {
		imap->line.why = "memory";
		return IMAP_CLOSE;
	}
	return next;
}

/* NAMESPACE							RFC 2342 5 */
enum imap_next
cmd_namespace(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	if (!imap_end(in))
		return imap_server_syntax(&s->imap, in);
	imap_server_untagged(&s->imap, "NAMESPACE ((\"\" \"/\")) ((\"" PLACE_USERS "\" \"/\")) %s",
	    conf.public_account && *conf.public_account ? "((\"" PLACE_PUBLIC "\" \"/\"))" : "NIL");
	return imap_server_finish(&s->imap, "OK", "NAMESPACE completed");
}
