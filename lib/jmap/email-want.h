/* jmap/email-want.h: which properties of an Email a call asks for (RFC 8621 4.2, 4.9).
 *
 * Read once from the arguments of Email/get or Email/parse and then asked for each message; email-write.h
 * writes what it says.  Pure.  Bounded: a list has at most JMAP_PROPERTIES_MAX properties, each of at most
 * JMAP_PROPERTY_MAX octets, so that what a message costs is its own length, and some hundred look-ups for
 * each header in it. */
#ifndef JMAP_EMAIL_WANT_H
#define JMAP_EMAIL_WANT_H
#include "jmap/email-form.h"
#include "json/json.h"

#define JMAP_PROPERTIES_MAX 200
#define JMAP_PROPERTY_MAX   256

/* Properties that are no header fields.  Those up to RECEIVED_AT are the store's, and the caller's to write. */
enum jmap_email_property {
	JMAP_EMAIL_ID,
	JMAP_EMAIL_BLOB_ID,
	JMAP_EMAIL_THREAD_ID,
	JMAP_EMAIL_MAILBOX_IDS,
	JMAP_EMAIL_KEYWORDS,
	JMAP_EMAIL_SIZE,
	JMAP_EMAIL_RECEIVED_AT,
	JMAP_EMAIL_HEADERS,
	JMAP_EMAIL_HAS_ATTACHMENT,
	JMAP_EMAIL_PREVIEW,
	JMAP_EMAIL_BODY_STRUCTURE,
	JMAP_EMAIL_TEXT_BODY,
	JMAP_EMAIL_HTML_BODY,
	JMAP_EMAIL_ATTACHMENTS,
	JMAP_EMAIL_BODY_VALUES,
	JMAP_EMAIL_PROPERTIES
};
/* Of an EmailBodyPart, 4.1.4. */
enum jmap_part_property {
	JMAP_PART_PART_ID,
	JMAP_PART_BLOB_ID,
	JMAP_PART_SIZE,
	JMAP_PART_NAME,
	JMAP_PART_TYPE,
	JMAP_PART_CHARSET,
	JMAP_PART_DISPOSITION,
	JMAP_PART_CID,
	JMAP_PART_LANGUAGE,
	JMAP_PART_LOCATION,
	JMAP_PART_HEADERS,
	JMAP_PART_SUB_PARTS,
	JMAP_PART_PROPERTIES
};

/* The header fields that a list asks for, and their names without regard to case, each once, sorted. */
struct jmap_fields {
	struct jmap_field *f;
	uint32_t *name_of; /* of f[i]: names[name_of[i]] */
	size_t n;
	struct slice *names; /* in lower case */
	size_t nnames;
};

struct jmap_email_want {
	uint32_t properties; /* 1 << enum jmap_email_property */
	struct jmap_fields fields;
	uint32_t part_properties; /* 1 << enum jmap_part_property */
	struct jmap_fields part_fields;
	bool fetch_text, fetch_html, fetch_all; /* values, 4.2 */
	uint64_t value_most;                    /* octets of a value; 0: all */
};

/* Reads `properties`, `bodyProperties`, fetchTextBodyValues, fetchHTMLBodyValues, fetchAllBodyValues and
 * maxBodyValueBytes of a call's arguments; what is not there, or null, is as the RFC says for Email/get, or
 * with `parse` for Email/parse.  Slices borrow from `args`; the rest lies in `a`.  0; -EBADMSG with *why (in
 * `a`), the description of an invalidArguments error. */
int jmap_email_want_read(const struct json_t *args, bool parse, struct arena *a,
    struct jmap_email_want *w, const char **why) MUSTCHECK;

static inline bool
jmap_email_wants(const struct jmap_email_want *w, enum jmap_email_property p)
{
	return w->properties >> p & 1;
}
/* Is more than the message's header needed, so that the file must be read? */
bool jmap_email_wants_body(const struct jmap_email_want *w);
/* The place of a field's name among f->names; f->nnames: it is none of them. */
size_t jmap_fields_place(const struct jmap_fields *f, struct slice name);
#endif
