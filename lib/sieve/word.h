/* sieve/word.h: what commands and tests are: rows of tables.
 *
 * For the files of this folder, each of which has the rows of one extension or of a few, and for
 * tools that bring commands of their own (struct sieve_options).  A row says what stands behind the
 * name, which tags it takes and what runs it; the compiler binds the arguments of a script to the
 * slots of a call, and a run calls `run` with them.  Nothing else knows a command by its name. */
#ifndef SIEVE_WORD_H
#define SIEVE_WORD_H
#include "sieve/sieve.h"

struct sieve_compiler;
struct sieve_node;
struct sieve_run;
struct sieve_call;

/* ---- arguments ------------------------------------------------------------------------------ */

/* A string of the script.  Without pieces it is constant. */
struct sieve_piece {
	enum {
		SIEVE_PIECE_TEXT,
		SIEVE_PIECE_VARIABLE,
		SIEVE_PIECE_MATCH,
		SIEVE_PIECE_ENVIRONMENT
	} kind;
	uint32_t index;    /* of the variable, or of the value of the last match */
	struct slice text; /* or the name of the item */
};
struct sieve_text {
	struct slice text;   /* as it stands in the script, quoting undone */
	struct slice folded; /* a constant key as its comparator has it; p is NULL otherwise */
	uint32_t hash;       /* of a constant, ASCII case ignored: names of header fields */
	uint32_t npieces;
	const struct sieve_piece *pieces;
	const void *regex; /* of a constant key of :regex */
};

enum sieve_type { SIEVE_NONE, SIEVE_NUMBER, SIEVE_STRING, SIEVE_LIST };

struct sieve_arg {
	bool given;
	unsigned line, column;
	uint64_t number;
	struct sieve_text *items; /* a string is a list of one */
	size_t n;
};

/* The tags of one group exclude each other; group 0 is of those that stand alone. */
enum sieve_group {
	SIEVE_ALONE,
	SIEVE_GROUP_MATCH,
	SIEVE_GROUP_COMPARATOR,
	SIEVE_GROUP_PART,
	SIEVE_GROUP_1, /* of a word's own */
	SIEVE_GROUP_2,
	SIEVE_GROUP_3,
	SIEVE_GROUP_4,
	SIEVE_GROUPS
};

struct sieve_tag {
	const char *name;      /* ":flags" */
	const char *extension; /* to be required; NULL: the word's own is enough */
	enum sieve_type type;  /* of what follows it */
	enum sieve_group group;
	uint8_t slot;  /* of the call's arguments that it fills */
	uint8_t value; /* argument's number when nothing follows it; for `apply` */
	bool constant; /* what follows may have no variables */
	/* What else it means for the call.  NULL, or why it is wrong. */
	const char *(
	    *apply)(struct sieve_call *, const struct sieve_tag *, const struct sieve_arg *);
};

/* Tables ended by a row without a name; which may stand in several words.  The first slots of a call
 * are its positional arguments; those of shared tags have fixed numbers behind the words' own. */
enum {
	SIEVE_SLOT_INDEX = 12, /* :index, RFC 5260 6 */
	SIEVE_SLOT_LAST,       /* :last */
	SIEVE_SLOT_MIME,       /* :mime, RFC 5703 4 */
	SIEVE_SLOT_ANYCHILD,   /* :anychild */
	SIEVE_SLOT_MIME_OPT,   /* :type and its like */
	SIEVE_SLOT_PARAM,      /* :param's names */
	SIEVE_SLOT_CREATE,     /* of mailboxes, RFC 5490 */
	SIEVE_SLOT_FLAGS,      /* RFC 5232 */
	SIEVE_SLOT_USE,        /* RFC 8579 */
	SIEVE_SLOT_ID,         /* RFC 9042 */
	SIEVE_SLOT_FCC,        /* RFC 8580 */
	SIEVE_SLOTS
};
extern const struct sieve_tag sieve_tags_match[];   /* :is ... :comparator */
extern const struct sieve_tag sieve_tags_part[];    /* :localpart ... :detail */
extern const struct sieve_tag sieve_tags_index[];   /* :index :last */
extern const struct sieve_tag sieve_tags_mime[];    /* :mime :anychild */
extern const struct sieve_tag sieve_tags_param[];   /* :type :subtype :contenttype :param */
extern const struct sieve_tag sieve_tags_mailbox[]; /* :create :specialuse :mailboxid :flags */
extern const struct sieve_tag sieve_tags_fcc[];     /* :fcc */

/* ---- how a call compares -------------------------------------------------------------------- */

struct sieve_comparator;
struct sieve_match_type;
enum sieve_relation { SIEVE_GT, SIEVE_GE, SIEVE_LT, SIEVE_LE, SIEVE_EQ, SIEVE_NE };
enum sieve_part { SIEVE_ALL, SIEVE_LOCALPART, SIEVE_DOMAIN, SIEVE_USER, SIEVE_DETAIL };

struct sieve_match {
	const struct sieve_match_type *type;
	const struct sieve_comparator *comparator;
	enum sieve_relation relation; /* of :count and :value */
	enum sieve_part part;
	bool capture; /* the script has variables: what wildcards met is kept */
};

/* ---- rows ------------------------------------------------------------------------------------ */

enum sieve_kind { SIEVE_COMMAND, SIEVE_TEST };

/* How many tests stand behind the arguments. */
enum sieve_tests { SIEVE_TESTS_NONE, SIEVE_TESTS_ONE, SIEVE_TESTS_LIST };

typedef bool sieve_run_fn(struct sieve_run *, const struct sieve_call *);

struct sieve_word {
	const char *name;
	enum sieve_kind kind;
	const char *extension; /* to be required; of several one is enough: "reject ereject" */
	/* Positional arguments, a letter each: n number, s string, l list; in upper case without
	 * variables.  A question mark before one: may be missing. */
	const char *args;
	const struct sieve_tag *const *tags; /* tables, ended by NULL; NULL: none */
	int keys; /* slot of what values are compared with; -1: nothing is */
	/* Looks at what was bound; false after sieve_wrong(). */
	bool (*check)(struct sieve_compiler *, struct sieve_call *);
	/* A test: its truth.  A command: true. */
	sieve_run_fn *run;
	bool store; /* only the store can tell: sieve_program_needs_store() */

	/* Control structures: what is compiled in front of the tests, between them and the block, and
	 * behind the block.  NULL: the call itself, when it has a `run`. */
	enum sieve_tests tests;
	bool block;
	bool (*open)(struct sieve_compiler *, struct sieve_node *, struct sieve_call *);
	void (*close)(struct sieve_compiler *, struct sieve_node *);
};
#define SIEVE_NO_KEYS (-1)

/* One step of a program: a row with its arguments. */
struct sieve_call {
	const struct sieve_word *word;
	const char *script;
	unsigned line, column;
	struct sieve_arg
	    *args;      /* while it is bound: [SIEVE_SLOTS]; in a program those that are given */
	uint32_t given; /* in a program: bits of their slots */
	struct sieve_match match;
	uint32_t yes, no; /* the next step */
	const void *data; /* of the word's own, in the program's memory */
	uint32_t number;  /* of the word's own */
};

/* ---- for `check` ------------------------------------------------------------------------------ */

/* Says that the script is wrong; false, to be returned. */
bool sieve_wrong(struct sieve_compiler *, unsigned line, unsigned column, const char *fmt, ...)
    PRINTF(4, 5);
bool sieve_wrong_arg(struct sieve_compiler *, const struct sieve_arg *, const char *fmt, ...)
    PRINTF(3, 4);
bool sieve_required(const struct sieve_compiler *, const char *extension);
struct arena *sieve_compiler_arena(struct sieve_compiler *);
/* The number of a variable that may be assigned: a name of the script's, or "global.name".  Made
 * when it is new; negative after saying why not. */
int sieve_variable(struct sieve_compiler *, const struct sieve_arg *, struct slice name);
/* Is the whole argument without variables? */
bool sieve_constant(const struct sieve_arg *);

/* ---- for `open` and `close` --------------------------------------------------------------------
 *
 * A step goes on at a label when it is true and at another when it is not.  Labels are numbers that
 * become steps when the script is compiled.  See parse.h for the node. */

#define SIEVE_NEXT UINT32_MAX /* as label: the step behind */
uint32_t sieve_label(struct sieve_compiler *);
void sieve_label_here(struct sieve_compiler *, uint32_t label);
void sieve_emit(struct sieve_compiler *, const struct sieve_call *, uint32_t yes, uint32_t no);
/* A step without arguments of the script's, where the node stands. */
struct sieve_call
sieve_call_of(struct sieve_compiler *, const struct sieve_node *, const struct sieve_word *);

/* ---- for `run` -------------------------------------------------------------------------------- */

/* The argument of a slot of a program's call, NULL when it was not given. */
static inline const struct sieve_arg *
sieve_arg(const struct sieve_call *c, unsigned slot)
{
	uint32_t bit = UINT32_C(1) << slot;

	return c->given & bit ? &c->args[ONES(c->given & (bit - 1))] : NULL;
}
/* A string with its variables; constant ones cost nothing.  Lives as long as the run. */
struct slice sieve_expand(struct sieve_run *, const struct sieve_text *);
/* The string of a slot; empty when it was not given. */
struct slice sieve_string(struct sieve_run *, const struct sieve_call *, unsigned slot);
/* The run fails; false, to be returned.  `bound`: a limit has been met. */
bool sieve_fail(struct sieve_run *, const struct sieve_call *, const char *fmt, ...) PRINTF(3, 4);
bool sieve_exceed(struct sieve_run *, const struct sieve_call *, const char *what);
bool sieve_failed(const struct sieve_run *);
/* Counts work; false when there is no more to spend, and the run has failed. */
bool sieve_spend(struct sieve_run *, const struct sieve_call *, uint64_t work);
const struct sieve_host *sieve_host(const struct sieve_run *);
/* Memory of the run's result. */
struct arena *sieve_run_arena(struct sieve_run *);
struct slice sieve_variable_get(const struct sieve_run *, uint32_t index);
/* What is too long is cut (RFC 5229 6). */
void sieve_variable_set(struct sieve_run *, uint32_t index, struct slice);
/* What the trace says of this step. */
void sieve_note(struct sieve_run *, struct slice text);

/* Comparing values with a call's keys: begin, each value until it says true, end. */
struct sieve_value {
	struct slice text;
	struct slice folded; /* kept by the comparison for the next one; p is NULL before */
};
struct sieve_matching {
	struct sieve_run *run;
	const struct sieve_call *call;
	const struct sieve_arg *keys;
	uint64_t count;
	bool hit;
	bool kept; /* the value lasts as long as the run */
};
void sieve_match_begin(struct sieve_matching *, struct sieve_run *, const struct sieve_call *);
/* True: no further value needs to be looked at. */
bool sieve_match_value(struct sieve_matching *, struct sieve_value *);
bool sieve_match_text(struct sieve_matching *, struct slice);
bool sieve_match_end(struct sieve_matching *);

/* An action is appended; NULL when there are too many, and the run has failed. */
struct sieve_action *sieve_act(struct sieve_run *, const struct sieve_call *, enum sieve_act);
/* The implicit keep is off. */
void sieve_cancel_keep(struct sieve_run *);

/* ---- for tools: a run step by step ------------------------------------------------------------------ */

struct sieve_run *
sieve_run_new(const struct sieve_program *, const struct sieve_host *, struct sieve_result *);
bool sieve_run_step(struct sieve_run *); /* false: it has ended, or failed */
/* Goes on at a step, also after a failure, which is forgotten. */
void sieve_run_resume(struct sieve_run *, uint32_t step);
/* The host's message is another one: nothing that is known of it holds. */
void sieve_run_message(struct sieve_run *);
/* No action has been taken yet. */
void sieve_run_forget(struct sieve_run *);
/* What is done at the end is added to the result: the implicit keep. */
void sieve_run_end_actions(struct sieve_run *);
void sieve_run_free(struct sieve_run **);
#endif
