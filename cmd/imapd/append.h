/* imapd/append.h: a command that brings messages: APPEND, and REPLACE, which brings one for another.
 *
 * append.c has the command and its files; a message is one literal, or comes in parts (catenate.c). */
#ifndef IMAPD_APPEND_H
#define IMAPD_APPEND_H
#include "imap/change.h"
#include "message/parse.h"
#include "notify.h"

/* One of the messages. */
struct append_message {
	struct store_body body;
	struct slice keywords; /* joined */
	uint64_t size;         /* bytes in the file */
	uint32_t crc;          /* CRC-32C of them */
	uint16_t flags;
	int16_t zone;
	int64_t at; /* unix seconds, */
	bool dated; /* ... if they were given */
};

#define APPEND_OVER UINT64_MAX /* instead of the size of a literal: none comes any more */

struct catenate;
struct append {
	struct place place;
	bool sent;            /* into the folder for what its user has sent */
	uint32_t uidvalidity; /* stored's answer, while the marks of that are made */
	const char *uids;
	uint32_t replaces; /* REPLACE: this UID of the selected mailbox; 0: APPEND */
	struct append_message *m;
	size_t n, room;
	uint64_t total;         /* bytes of all messages, as far as they are announced */
	uint64_t allowed;       /* ... which the quota has room for, as far as it is known */
	size_t packet;          /* bytes of the request, as far as they are known */
	struct catenate *parts; /* NULL: nothing comes in parts */
	/* the literal that comes */
	uint64_t announced; /* bytes of it, or APPEND_OVER */
	uint64_t left;      /* bytes of it still to come */
	char last;          /* the last byte of this message: is the next LF bare? */
	bool nul;           /* in one of them */
	bool binary;        /* one of them was literal8 */
	int error;          /* errno of writing one of them */
	char code[28];      /* of a refusal */
	enum imap_next (*ready)(struct imap_server *); /* when stored has given a file */
	/* the digests */
	size_t digested;
	struct store_message *store;
	struct message_parse *parse; /* of m[digested]; the work pool may read the file */
	struct imap_append want;     /* of the message in hand */
};

static inline struct append_message *
append_current(struct append *a)
{
	return &a->m[a->n - 1];
}

/* The command's struct, which is imap->data from now on. */
struct append *append_enter(struct imap_server *imap);
/* The arguments of the first message are in a->want, `in` stands behind them; `literal` bytes come
 * next, or APPEND_OVER. */
enum imap_next append_first(struct imap_server *imap, struct imap_in *in, uint64_t literal);
/* Behind a message: the end, or a further one. */
enum imap_next append_next(struct imap_server *imap, struct imap_in *in, uint64_t literal);
/* Ends the command with NO or BAD, when what has been announced is read over. */
enum imap_next append_refuse(struct imap_server *imap, const struct imap_refusal *no);

/* For messages in parts.  Opens one, with what a->want says, then calls `ready`, now or later. */
enum imap_next append_open(struct imap_server *imap, enum imap_next (*ready)(struct imap_server *));
/* May the message in hand, which is `had` bytes long, grow by so much?  Counts it. */
bool append_grow(struct append *a, uint64_t had, uint64_t size, struct imap_refusal *no);
/* The literal that is announced belongs to the message in hand. */
enum imap_next append_literal(struct imap_server *imap);
void append_add(struct append *a, struct slice bytes);
/* Behind a literal. */
enum imap_next append_rest(struct imap_server *imap, struct imap_in *in);

/* catenate.c: "CATENATE (" has been taken. */
enum imap_next catenate_begin(struct imap_server *imap, struct imap_in *in, uint64_t literal);
/* Is a list of parts open, so that what stands behind a literal is its?  Then it goes on here. */
bool catenate_is_open(const struct append *a);
enum imap_next catenate_go_on(struct imap_server *imap, struct imap_in *in, uint64_t literal);
void catenate_undo(struct append *a);

/* replace.c: the message is here and its digest made: stored is asked.  The session waits. */
void replace_submit(struct session *s, struct append *a);
#endif
