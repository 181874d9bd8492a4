/* milter/packet.h: the packets of sendmail's mail filter protocol, version 6.  Pure.
 *
 * A packet is a length of four octets, big-endian, a command octet and its data.  The protocol has no
 * RFC: it is what libmilter (mfdef.h of sendmail 8.14 and later) and Postfix's MILTER_README say.  We are
 * the side that asks.  Strings end in NUL; a NUL inside of what we send becomes a blank, so that a filter
 * never sees less than there is.  Lines within a field's value end in LF here, in a body in CRLF. */
#ifndef MILTER_PACKET_H
#define MILTER_PACKET_H
#include "base/buf.h"

#define MILTER_VERSION   6
#define MILTER_CHUNK     65535        /* octets of body in one packet */
#define MILTER_REPLY_MAX (512 * 1024) /* octets of a packet that a filter may send */
#define MILTER_NAMES     1024 /* octets of a list of macros; those of libmilter have 50 names */

/* What we say; SMFIC_ in sendmail's words. */
enum milter_command {
	MILTER_CMD_ABORT = 'A',
	MILTER_CMD_BODY = 'B',
	MILTER_CMD_CONNECT = 'C',
	MILTER_CMD_MACRO = 'D',
	MILTER_CMD_BODY_END = 'E',
	MILTER_CMD_HELO = 'H',
	MILTER_CMD_HEADER = 'L',
	MILTER_CMD_MAIL = 'M',
	MILTER_CMD_HEADER_END = 'N',
	MILTER_CMD_NEGOTIATE = 'O',
	MILTER_CMD_QUIT = 'Q',
	MILTER_CMD_RCPT = 'R',
	MILTER_CMD_DATA = 'T',
	MILTER_CMD_UNKNOWN = 'U',
};

/* What a filter says; SMFIR_. */
enum milter_answer {
	MILTER_ADD_RCPT = '+',
	MILTER_DELETE_RCPT = '-',
	MILTER_ADD_RCPT_ARGS = '2',
	MILTER_SHUTDOWN = '4', /* 421: the client's session ends */
	MILTER_ACCEPT = 'a',
	MILTER_REPLACE_BODY = 'b',
	MILTER_CONTINUE = 'c',
	MILTER_DISCARD = 'd',
	MILTER_CHANGE_FROM = 'e',
	MILTER_CONN_FAIL = 'f',
	MILTER_ADD_HEADER = 'h',
	MILTER_INSERT_HEADER = 'i',
	MILTER_CHANGE_HEADER = 'm',
	MILTER_NEGOTIATE = 'O',
	MILTER_PROGRESS = 'p',
	MILTER_QUARANTINE = 'q',
	MILTER_REJECT = 'r',
	MILTER_SKIP = 's',
	MILTER_TEMPFAIL = 't',
	MILTER_REPLY_CODE = 'y',
};

/* What a filter may change (SMFIF_), and all that we let it. */
enum {
	MILTER_MAY_ADD_HEADER = 0x1, /* and insert one */
	MILTER_MAY_BODY = 0x2,
	MILTER_MAY_ADD_RCPT = 0x4,
	MILTER_MAY_DELETE_RCPT = 0x8,
	MILTER_MAY_CHANGE_HEADER = 0x10,
	MILTER_MAY_QUARANTINE = 0x20,
	MILTER_MAY_FROM = 0x40,
	MILTER_MAY_ADD_RCPT_ARGS = 0x80,
	MILTER_MAY_NAME_MACROS = 0x100,
	MILTER_MAY_ALL = 0x1ff,
};

/* What it wants not to be told, and what it gives no answer to (SMFIP_). */
enum {
	MILTER_NO_CONNECT = 0x1,
	MILTER_NO_HELO = 0x2,
	MILTER_NO_MAIL = 0x4,
	MILTER_NO_RCPT = 0x8,
	MILTER_NO_BODY = 0x10,
	MILTER_NO_HEADER = 0x20,
	MILTER_NO_HEADER_END = 0x40,
	MILTER_MUTE_HEADER = 0x80,
	MILTER_NO_UNKNOWN = 0x100,
	MILTER_NO_DATA = 0x200,
	MILTER_MAY_SKIP = 0x400, /* it may answer a piece of the body by SKIP: no more of it */
	MILTER_REFUSED_RCPT =
	    0x800, /* it wants to hear of recipients that are refused without it */
	MILTER_MUTE_CONNECT = 0x1000,
	MILTER_MUTE_HELO = 0x2000,
	MILTER_MUTE_MAIL = 0x4000,
	MILTER_MUTE_RCPT = 0x8000,
	MILTER_MUTE_DATA = 0x10000,
	MILTER_MUTE_UNKNOWN = 0x20000,
	MILTER_MUTE_HEADER_END = 0x40000,
	MILTER_MUTE_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000, /* values of fields keep the blank behind the colon */
	MILTER_STEPS_ALL = 0x1fffff,
};

/* Stages by their numbers in a filter's lists of macros (SMFIM_). */
enum milter_stage {
	MILTER_AT_CONNECT,
	MILTER_AT_HELO,
	MILTER_AT_MAIL,
	MILTER_AT_RCPT,
	MILTER_AT_DATA,
	MILTER_AT_END, /* of the message */
	MILTER_AT_HEADER_END,
	MILTER_AT_UNKNOWN, /* a command that nobody knows; it has no number, and no list */
	MILTER_STAGES
};
const char *milter_stage_name(enum milter_stage at); /* for logs: "connect", "end" */

/* ---- what we send: each appends one packet ---- */

/* The offer: version, all that a filter may change and all it may leave out. */
void milter_offer_write(struct buf *b);
/* `family` is '4', '6', 'L' (Unix) or 'U' (unknown: no port, no address). */
void milter_connect_write(struct buf *b, struct slice host, char family, uint16_t port,
    struct slice address);
/* Any command whose data are strings: HELO, MAIL, RCPT, HEADER; none for those without data. */
void milter_strings_write(struct buf *b, enum milter_command command, const struct slice *strings,
    size_t n);
/* A field: its value without the line end; CR of folds goes; one blank in front goes, unless `space`. */
void milter_field_write(struct buf *b, struct slice name, struct slice value, bool space);
void milter_body_write(struct buf *b, struct slice piece); /* at most MILTER_CHUNK octets */
/* Macros of the command that follows.  `names` are separated by blanks or commas; `value` appends that
 * of one (given without braces) and says whether there is one.  Nothing when there is none at all. */
void milter_macros_write(struct buf *b, enum milter_command of, struct slice names,
    bool (*value)(void *arg, struct slice name, struct buf *out), void *arg);
/* Which macros a stage has unless the filter names others: as Postfix has them. */
struct slice milter_macros_of(enum milter_stage at);

/* ---- what comes ---- */

struct milter_terms {
	uint32_t version, may, steps;       /* as the filter answers */
	struct slice macros[MILTER_STAGES]; /* its lists; p NULL: ours */
};

struct milter_reply {
	enum milter_answer answer;
	uint32_t index;            /* INSERT_HEADER, CHANGE_HEADER */
	struct slice name, value;  /* a field's; of a recipient or sender: address and arguments;
	                             value alone: body, reason */
	int code;                  /* REPLY_CODE: 400 to 599; text in value, lines joined by CRLF */
	struct milter_terms terms; /* NEGOTIATE */
};

/* Takes one packet off the front of `in`.  Its length; 0: more must come; -EBADMSG with *why.  Slices
 * borrow from `in`.  Of what is good: a name is one of a field (RFC 5322 3.6.8), addresses and reasons
 * have no control characters, indexes are below 2^31, that of CHANGE_HEADER is not 0:
 * filters that count from there mean the first, as sendmail and Postfix take it. */
int milter_reply_parse(struct slice in, struct milter_reply *r, const char **why) MUSTCHECK;
/* What must have been agreed for it: bits of MILTER_MAY_; 0 for an answer that is no change. */
uint32_t milter_reply_needs(enum milter_answer answer);
/* Does it end the stage?  Changes and PROGRESS do not. */
bool milter_reply_final(enum milter_answer answer);
#endif
