/* jmapd/bring.h: a message on its way into the store: written into a file that stored has made, its digest made, then
 * linked into a mailbox, and from there into others.
 *
 *	bring_open -> bring_bytes* -> bring_go ... -> code
 *
 * Steps that wait end in call_resume(AGAIN): the method's go comes back and calls the same function again. */
#ifndef JMAPD_BRING_H
#define JMAPD_BRING_H
#include "folders.h"
#include "message/parse.h"

struct bring {
	/* set by the owner before bring_go */
	uint64_t *mailboxes; /* the first gets the message, the others a copy */
	size_t nmailboxes;
	uint16_t flags;
	struct slice keywords; /* separated by a blank */
	int64_t at;            /* receivedAt, */
	bool dated;            /* ... if it was given */
	/* kept */
	enum {
		BRING_CLOSED,
		BRING_OPENING,
		BRING_OPEN,
		BRING_DIGESTS,
		BRING_APPENDS,
		BRING_COPIES,
		BRING_OVER
	} stage;
	struct store_body body;
	uint64_t size;
	uint32_t crc;
	char last;
	bool nul;
	int error;
	struct message_parse *parse;
	size_t copied;
	uint32_t uid; /* of the message in mailboxes[0] */
	/* when it is over */
	enum store_code code;
	const char *why; /* in the call's arena */
};
/* DONE: bytes may come, or p->code is not STORE_DONE; WAIT. */
enum call_next bring_open(struct call *c, struct bring *p);
/* Bare line feeds become CRLF. */
void bring_bytes(struct bring *p, struct slice bytes);
/* DONE when p->stage is BRING_OVER: p->code. */
enum call_next bring_go(struct call *c, struct bring *p);
/* Lets go of what is under way. */
void bring_fini(struct bring *p);
#endif
