/* jmap/compose-field.h: header fields written from what a client gives (RFC 8621 4.1.2, 4.6).
 *
 * The way back of email-form.h: JSON in a form, a field of RFC 5322 out.  Pure.  No value can end its field:
 * control characters are an error or become blanks, and what a structured field needs quoted is. */
#ifndef JMAP_COMPOSE_FIELD_H
#define JMAP_COMPOSE_FIELD_H
#include "jmap/email-form.h"
#include "json/json.h"

/* Appends "Name: value" CRLF, folded; with `all` one field for each element.  A value that is null, or an empty
 * list, is no field.  0; -EBADMSG with *why in English, and nothing is appended. */
int jmap_field_write(struct buf *out, const struct jmap_field *f, const struct json_t *value,
    const char **why) MUSTCHECK;
/* Appends `; name=value`, so that any reader understands it: quoted, or in UTF-8 by RFC 2231. */
void jmap_param_write(struct buf *out, const char *name, struct slice value);
/* Is it one or more octets of printable text without blanks, of which none is in `not`? */
bool jmap_word_fits(struct slice s, const char * not );
#endif
