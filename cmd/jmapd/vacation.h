/* jmapd/vacation.h: VacationResponse (RFC 8621 8): the answer to mail while a person is away.
 *
 * It is attributes of the person's entry in the directory (tiermail-directory(7)), which lmtpd carries out.
 * vacation.c reads and writes the entry in the person's name, vacation-entry.c knows what is in it, and what a
 * change of the object changes there. */
#ifndef JMAPD_VACATION_H
#define JMAPD_VACATION_H
#include "call.h"
#include "directory/modify.h"

extern const struct jmapd_method vacation_get, vacation_set;

#define VACATION_ID      "singleton"
#define VACATION_TEXT    32768 /* octets of textBody */
#define VACATION_SUBJECT 900   /* of subject: a line of a message, encoded or not */

/* An entry as it was read, in the call's arena.  Slices are empty when the attribute is absent. */
struct vacation_entry {
	struct slice csn, subject, text;
	struct slice internal;  /* mailAutoReplyTextInternal */
	struct slice autoreply; /* that value of mailDeliveryOption */
	bool options;           /* there is a mailDeliveryOption */
	bool mailbox;           /* mail comes into the mailbox */
	bool begins, ends;
	int64_t from, to; /* unix seconds */
};
extern const char *const vacation_attributes[]; /* ended by NULL */
void vacation_entry_read(struct vacation_entry *e, struct arena *a, const struct dir_before *v,
    size_t n);

/* Properties by name; "id" is the first.  Bits are those of call_properties. */
extern const char *const vacation_properties[];
/* Appends the object, with the properties of `want`. */
void vacation_entry_write(struct buf *b, const struct vacation_entry *e, uint64_t want);

#define VACATION_CHANGES 6
struct vacation_edit {
	struct dir_change changes[VACATION_CHANGES];
	size_t n;              /* 0: all is as it is wanted */
	struct json_t *wanted; /* the object as the client thinks that it is then; json_free */
	const char *type, *property, *why; /* of a refusal (RFC 8620 5.3); property may be NULL */
};
/* What PatchObject `patch` changes of the entry; all but `wanted` in the arena.  False: it is refused. */
bool vacation_entry_edit(const struct vacation_entry *e, const struct json_t *patch,
    struct arena *a, struct vacation_edit *edit) MUSTCHECK;
#endif
