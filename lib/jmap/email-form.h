/* jmap/email-form.h: header fields as properties of an Email (RFC 8621 4.1.2 and 4.1.3).
 *
 * "header:{name}:as{Form}:all" and the convenience properties (from, subject, sentAt ...), their names and
 * their values.  For Email/get, Email/parse and for what Email/set gives.  Pure: a property's name in, a struct
 * out; a field's value in, JSON out.  Any value of a field gives some JSON. */
#ifndef JMAP_EMAIL_FORM_H
#define JMAP_EMAIL_FORM_H
#include "base/arena.h"
#include "base/buf.h"

enum jmap_form {
	JMAP_FORM_RAW,         /* 4.1.2.1 */
	JMAP_FORM_TEXT,        /* 4.1.2.2 */
	JMAP_FORM_ADDRESSES,   /* 4.1.2.3 */
	JMAP_FORM_GROUPED,     /* 4.1.2.4 */
	JMAP_FORM_MESSAGE_IDS, /* 4.1.2.5 */
	JMAP_FORM_DATE,        /* 4.1.2.6 */
	JMAP_FORM_URLS         /* 4.1.2.7 */
};

/* A property that stands for a header field. */
struct jmap_field {
	struct slice property; /* as the client says it, and as it is told */
	struct slice name;     /* of the field, any case */
	enum jmap_form form;
	bool all; /* each instance; else the last */
};

/* 1: *f is the field that the property stands for, its slices borrow from `property` (or are static);
 * 0: it stands for no field; -EBADMSG: it begins with "header:", and *why says in English what is wrong. */
int jmap_field_parse(struct slice property, struct jmap_field *f, const char **why) MUSTCHECK;
/* May the field be asked for, and given, in this form? (4.1.2: forms of fields that RFC 5322 and RFC 2369
 * define are fixed, those of others are free.) */
bool jmap_form_fits(enum jmap_form form, struct slice name);
/* "asAddresses" */
const char *jmap_form_name(enum jmap_form form);

/* Appends a field's value (as it stands behind the colon, folds included) as JSON; `null` when the form
 * cannot be made of it.  Linear; `scratch` holds what it takes, some times the value. */
void
jmap_form_write(struct buf *out, enum jmap_form form, struct slice value, struct arena *scratch);

/* A text of a field or of a parameter as JMAP gives it: encoded words decoded, without controls that they
 * hid, composed (4.1.2.2).  In `a`. */
struct slice jmap_text(struct slice value, struct arena *a);
#endif
