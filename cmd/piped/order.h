/* piped/order.h: what the front asks of its helper, and what a program came to.
 *
 * Order and result are packets between two processes of one executable: they carry no version.  An
 * order has the body and the socket for its result as descriptors, and the file that is the program's output, if
 * there is one.  The helper takes no word of an
 * order for granted: who wrote it reads what strangers have sent. */
#ifndef PIPED_ORDER_H
#define PIPED_ORDER_H
#include <stdint.h>
#include "base/buf.h"

#define ORDER_MAX  4096 /* octets of a packet */
#define ORDER_SAID 160  /* octets of a program's first line that are kept */

/* Slices borrow. */
struct order {
	struct slice program;
	struct slice user; /* the recipient's name as a user of this host; empty: it is an alias */
	struct slice sender; /* envelope sender; empty: the null sender */
	struct slice recipient, local, domain, extension;
	struct slice qid, size; /* size: decimal */
	struct slice type, subtype,
	    name;          /* of a part of a message, for who converts it; or empty */
	struct slice args; /* empty, or of each argument from outside "%" and its octets */
};

/* Appends it.  Returns false when it would be no good: see order_parse. */
bool order_write(struct buf *b, const struct order *o) MUSTCHECK;
/* Borrows from `packet`.  False: too few or too many words, an octet that is a control, a user or a
 * program whose name could be a path or an option, a variable that begins with "-". */
bool order_parse(struct slice packet, struct order *o) MUSTCHECK;
/* Could it be the name of a user or program: 1 to 64 of a-z A-Z 0-9 . _ -, beginning with none of . -? */
bool order_name_ok(struct slice name);

enum order_how {
	ORDER_EXITED,    /* code: its exit code */
	ORDER_SIGNALLED, /* code: the signal */
	ORDER_TIME,      /* it took too long */
	ORDER_OUTPUT,    /* it wrote too much */
	ORDER_LIST,      /* no such program, or the order is none */
	ORDER_USER,      /* no such user here, or one that no program is run as */
	ORDER_SETUP,     /* code: errno: the user could not be become, the folder not be entered */
	ORDER_EXEC,      /* code: errno: the program cannot be run */
	ORDER_SYSTEM,    /* code: errno: no process, no pipe */
};
struct order_result {
	uint8_t how;
	uint8_t nsaid;
	int16_t code;
	char said[ORDER_SAID]; /* the first line that it wrote, as it is */
};
#endif
