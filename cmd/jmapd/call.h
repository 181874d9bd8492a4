/* jmapd/call.h: a method call in hand: its arguments, its memory, its place in the answer.
 *
 *	start -> AGAIN* / WAIT* -> go ... -> DONE
 *
 * A method is a cursor: `start` has the arguments checked, `go` does a piece of the work and says whether
 * it is done, wants another turn (AGAIN, when call_spent says that the slice is over), or has started an
 * operation on call_op() (WAIT; its continuation ends in call_resume).  What it answers is text appended to
 * call_out(): call_answer, members, call_end; or call_error, which takes back what was written.
 * Snapshots of the store begin and end within one piece. */
#ifndef JMAPD_CALL_H
#define JMAPD_CALL_H
#include "jmap/id.h"
#include "jmap/request.h"
#include "session.h"

enum call_next { CALL_DONE, CALL_AGAIN, CALL_WAIT };

struct api;
struct call;
struct jmapd_method {
	const char *name;
	unsigned needs; /* enum jmap_using */
	size_t size;    /* of its state, call.data */
	enum call_next (*start)(struct call *);
	enum call_next (*go)(struct call *);
	void (*undo)(struct call *); /* what the arena does not free; may be NULL */
};
extern const struct jmapd_method *const jmapd_methods[]; /* methods.c; ended by NULL */

/* Whose objects a call is about: the user's own, or another's who shares them (shared.c). */
struct call_of {
	const char *name, *account_id; /* uid@domain, and as clients know it */
	uint64_t id;
	struct store_home *home;
	bool guest; /* another's: what the user may see and do is the mailboxes' to say */
};

struct call {
	struct api *api;
	struct session *s;
	const struct jmapd_method *method;
	struct slice name, id;
	const struct json_t *args;
	struct json_t *own; /* args, when references were resolved */
	struct arena arena; /* until the call is over */
	struct call_of of;
	void *data;                    /* the method's, zeroed */
	size_t at;                     /* of its answer */
	struct bring *bring;           /* the same of a message that is brought */
	struct email_creates *creates; /* the same of an email that is made */
	struct email_changes *changes; /* whose request to stored is under way */
	uint64_t life;  /* of the account, see call_put_state; 0: not looked at yet */
	size_t answers; /* that it has given */
	size_t args_at; /* of the one that is written */
	struct slice answering;
};

static inline struct jmapd_user *
call_user(const struct call *c)
{
	return c->s->user;
}
static inline struct store_view *
call_view(const struct call *c)
{
	return c->of.home->view;
}
static inline struct op *
call_op(struct call *c)
{
	return &c->s->http.op;
}
/* Is the slice of the loop's time over? */
static inline bool
call_spent(const struct call *c)
{
	return line_session_spent(&c->s->http.line);
}
/* It is about the user's own account. */
void call_own(struct call *c);
struct buf *call_out(struct call *c);
/* Is there as much as an answer may hold? */
bool call_full(const struct call *c);

/* `["NAME",{` of this call, or of another name; then members. */
void call_answer(struct call *c);
void call_answer_as(struct call *c, struct slice name);
/* Closes it. */
enum call_next call_end(struct call *c);
/* Instead of all that was written for this call (RFC 8620 3.6.2); `why` may be NULL. */
enum call_next call_error(struct call *c, const char *type, const char *why);
enum call_next call_invalid(struct call *c, const char *why); /* invalidArguments */
/* For a snapshot or record that cannot be read: -errno. */
enum call_next call_failed(struct call *c, int error);
/* Goes on as another method, whose answer comes behind the one that this has given (RFC 8621 7.5): what `start`
 * of it says.  Takes `args`. */
enum call_next call_go_on_as(struct call *c, const struct jmapd_method *m, struct json_t *args);
/* work(call), now, or on the pool when the request or its answers are long; `go` comes behind it.  For a method without
 * `undo`: until it is over the thread has all of the request, and its client may go. */
enum call_next call_beside(struct call *c, void (*work)(void *call));
/* From a continuation of WAIT. */
void call_resume(struct call *c, enum call_next next);

/* accountId is there and is the user's own; false: *next is the answer.  The other: or another's, of whom the user may
 * see something; such a method judges each mailbox by folder.rights. */
bool call_account(struct call *c, enum call_next *next);
bool call_account_shared(struct call *c, enum call_next *next);
/* An argument that is missing or null leaves *out; false: it is of another kind. */
bool call_bool(const struct call *c, const char *name, bool *out);
bool call_int(const struct call *c, const char *name, int64_t least, int64_t most, int64_t *out);
bool call_str(const struct call *c, const char *name, struct slice *out);
/* "accountId": as clients know it, behind call_answer. */
void call_put_account(struct call *c);
/* The id that a creation id ("#k1") stands for, or the id itself; p NULL: there is none such. */
struct slice call_created(const struct call *c, struct slice id);
/* What was made under a creation id. */
void call_create(struct call *c, struct slice creation, struct slice id);

/* The account's row, in a snapshot that this begins.  0 or -errno, and then none is begun; -ESTALE: it is another
 * than that of the call's pieces before. */
int call_begin(struct call *c, struct store_account *a) MUSTCHECK;
/* The state string of all types, "LIFE-MODSEQ": the account's counter, and which account it is of.  One that is
 * erased and made again has the same accountId, and counts anew. */
struct jmapd_state {
	uint64_t life; /* 0: of none */
	uint64_t modseq;
};
struct jmapd_state state_of(const struct store_account *a);
bool state_eq(struct jmapd_state x, struct jmapd_state y);
void state_write(struct buf *b, struct jmapd_state s);
/* False: it never was one, or one of a former version; *state is of none then. */
bool state_parse(struct slice s, struct jmapd_state *state);
/* The life that the call's states have: for a guest also what he may see, so that a state of before another right was
 * given or taken means nothing. */
uint64_t call_life(const struct call *c);
/* Of the account that call_begin has found; a guest's behind folders_begin. */
void call_put_state(struct call *c, const char *name, uint64_t modseq);
/* ifInState of a /set, behind call_begin: false and the answer when it does not hold. */
bool call_if_in_state(struct call *c, uint64_t modseq, enum call_next *next);

/* The properties of a /get: which of `all` (ended by NULL) are asked for, as bits; "id" is the first of them
 * and always there.  False: *next is the answer. */
bool call_properties(struct call *c, const char *const *all, uint64_t *bits, enum call_next *next);
/* `ids` of a /get, each once (RFC 8620 5.1); list NULL: they are null.  False: *next is the answer. */
struct call_ids {
	struct slice *list; /* in the call's arena */
	size_t n;
};
bool call_ids(struct call *c, struct call_ids *ids, enum call_next *next);
/* "notFound":[...]: those that are marked. */
void call_put_not_found(struct call *c, const struct call_ids *ids, const bool *missing);

/* The folders of the account, as of its counter; folders.c. */
struct folders;
struct folders *call_folders(const struct call *c);

/* shared.c: the account of another, of this id, who lets the user see something; in `a`.  False: there is none. */
bool shared_find(struct session *s, struct slice account_id, struct arena *a, struct call_of *of);
/* Tells of all of them, SHARED_MOST at most. */
#define SHARED_MOST 200
void
shared_each(const struct jmapd_user *u, void (*tell)(void *arg, struct slice owner), void *arg);

void resource_state(struct buf *b, const struct jmapd_user *u);
extern const char *const query_sort_options[]; /* of Email/query; ended by NULL */
#endif
