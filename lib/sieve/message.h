/* sieve/message.h: the message as tests see it: fields, addresses, parts, each read once for a run and
 * only when something asks for it.  Private to lib/sieve. */
#ifndef SIEVE_MESSAGE_H
#define SIEVE_MESSAGE_H
#include "mail/address.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "sieve/sieve-impl.h"

#define SIEVE_ADDRESSES_MAX 1000 /* of one field that are looked at */

struct sieve_mailbox {
	struct slice all, local, domain;
	bool bad; /* no address: `all` is the field's text (RFC 5228 2.7.4) */
};

struct sieve_field {
	struct sieve_field *next;
	struct slice name, whole, raw; /* whole: with its line end */
	uint32_t hash;
	struct sieve_value value; /* unfolded and decoded; text.p is NULL before it is asked for */
	struct sieve_mailbox *mailboxes;
	size_t nmailboxes;
};
struct sieve_fields {
	struct sieve_field *first, *last;
};

/* The fields of the message, edited as far as the script has come; of a MIME part. */
struct sieve_fields *sieve_fields_message(struct sieve_run *);
struct sieve_fields *sieve_fields_part(struct sieve_run *, const struct mime_part *);

/* A walk over the fields of one name, or over that one which :index means. */
struct sieve_walk {
	struct sieve_run *run;
	const struct sieve_call *call;
	struct sieve_fields *fields;
	struct slice name;
	uint32_t hash;
	struct sieve_field *at;
	bool done;
};
void sieve_walk_begin(struct sieve_walk *, struct sieve_run *, const struct sieve_call *,
    struct sieve_fields *, const struct sieve_text *name);
struct sieve_field *sieve_walk_next(struct sieve_walk *);

struct sieve_value *sieve_field_value(struct sieve_run *, struct sieve_field *);
/* Sets mailboxes of the field; fields of groups give their members. */
void sieve_field_mailboxes(struct sieve_run *, struct sieve_field *);
/* The address as such, the part of it that a call compares; false: it has no such part. */
bool sieve_mailbox_part(const struct sieve_run *, const struct sieve_mailbox *, enum sieve_part,
    struct slice *out);

/* The tree of the message; NULL when the body cannot be had, and the run has failed. */
const struct mime *sieve_message_mime(struct sieve_run *, const struct sieve_call *);
/* All octets; p is NULL when they cannot be had, and the run has failed. */
struct slice sieve_message_all(struct sieve_run *, const struct sieve_call *);
/* The part that a test or command is about: of the innermost loop, or the message. */
const struct mime_part *sieve_message_part(struct sieve_run *, const struct sieve_call *);
/* The next part below `root`, parents first, root itself at first (`at` NULL). */
const struct mime_part *
sieve_part_next(const struct mime *, const struct mime_part *root, const struct mime_part *at);
/* A part's body, its encoding undone; text also in UTF-8.  Kept for the next test. */
struct sieve_value *
sieve_part_text(struct sieve_run *, const struct sieve_call *, const struct mime_part *);
/* The list of fields has been changed; a field to put into it, its value folded and encoded. */
void sieve_message_edited(struct sieve_run *);
struct sieve_field *sieve_field_new(struct sieve_run *, struct slice name, struct slice value);
#endif
