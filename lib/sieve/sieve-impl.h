/* sieve-impl.h: what the files of lib/sieve share: the compiler's state, the program, a run. */
#ifndef SIEVE_SIEVE_IMPL_H
#define SIEVE_SIEVE_IMPL_H
#include "base/map.h"
#include "sieve/parse.h"
#include "sieve/word.h"

/* ---- the program ------------------------------------------------------------------------------- */

/* One script of a program; the first is the main one. */
struct sieve_unit {
	struct sieve_unit *next;
	const char *name;
	struct slice text;
	bool global; /* where it was loaded from */
	bool missing;
	uint32_t number, entry;
	uint32_t first_variable, nvariables; /* its own, cleared when it is entered */
};

struct sieve_program {
	struct arena arena;
	const struct sieve_limits *limits;
	struct sieve_call *steps;
	uint32_t nsteps, nvariables, nunits;
	struct sieve_unit *units;
	struct sieve_regex *regexes; /* compiled with the script */
	size_t regex_bytes;          /* ... and their octets */
	bool globals;                /* there are some */
	bool store;
};

/* world.c: an item of the environment, the caller's or ours (RFC 5183 4.1); false: it is not known. */
bool sieve_environment(const struct sieve_run *r, struct slice name, struct slice *value);

/* ---- compiling ----------------------------------------------------------------------------------- */

#define SIEVE_ERRORS_MAX 20 /* that are told of one script */

/* A name of a variable, in the scope that it is seen in. */
struct sieve_name {
	struct slice name; /* in lower case */
	uint32_t index;
};

struct sieve_compiler {
	struct sieve_program *program;
	const struct sieve_options *options;
	const struct sieve_limits *limits;
	struct sieve_errors *errors;
	struct arena tree; /* of the script that is compiled now */
	struct sieve_unit *unit, **last_unit;
	size_t bytes; /* of all scripts */

	struct sieve_call *steps; /* growing; becomes the program's */
	uint32_t nsteps, room;
	uint32_t *labels; /* label to step */
	uint32_t nlabels, labels_room;

	uint64_t required; /* bits of extensions */
	uint64_t without;
	bool lenient;     /* ihave is required */
	bool began;       /* a command that is no require has been met */
	bool later;       /* what is not known here is wrong only when it is reached (RFC 5463 4) */
	struct buf wrong; /* that case: why */
	struct map names, globals; /* struct sieve_name */
	uint32_t nglobals;
	/* Of the call that is bound now: */
	struct sieve_arg args[SIEVE_SLOTS];
	const struct sieve_tag *tags[SIEVE_GROUPS];
};

/* Compiles the tests below a node so that they go on at its labels. */
bool sieve_compile_tests(struct sieve_compiler *, struct sieve_node *);

/* Extensions: a bit for each; 0 is no extension. */
uint64_t sieve_extension_bit(const struct sieve_compiler *, struct slice name);
/* The bits that the capability brings with it, its own included; 0: there is no such thing here. */
uint64_t sieve_extension_find(const struct sieve_compiler *, struct slice name);
bool sieve_extension_any(const struct sieve_compiler *, const char *names);

/* The row of a name; NULL when there is none. */
const struct sieve_word *
sieve_word_find(const struct sieve_compiler *, enum sieve_kind, struct slice name);
/* Binds the arguments of a node to a call. */
bool sieve_bind(struct sieve_compiler *, struct sieve_node *, const struct sieve_word *,
    struct sieve_call *);
/* A string of the script with its variables and encoded characters. */
bool sieve_text_compile(struct sieve_compiler *, const struct sieve_value_node *, struct slice,
    struct sieve_text *);
/* The variable of a name, lower case or not; false: there is no such name space here. */
bool sieve_variable_find(struct sieve_compiler *, struct slice name, uint32_t *index);
/* Puts default comparison in, and makes ready constant keys. */
bool sieve_match_prepare(struct sieve_compiler *, struct sieve_call *);
/* A further script of the program, compiled behind those that are there. */
struct sieve_unit *sieve_unit_new(struct sieve_compiler *, const char *name, struct slice text);

#define SIEVE_GLOBALS 128 /* the first variables are those of all scripts (RFC 6609 3.4) */

/* ASCII case ignored: what names of header fields are compared by first. */
uint32_t sieve_name_hash(struct slice);

/* Rows, ended by one without a name. */
extern const struct sieve_word sieve_words_control[], sieve_words_base[], sieve_words_header[],
    sieve_words_body[], sieve_words_date[], sieve_words_flags[], sieve_words_variables[],
    sieve_words_include[], sieve_words_vacation[], sieve_words_notify[], sieve_words_edit[],
    sieve_words_mime[], sieve_words_world[], sieve_words_execute[];

/* ---- running --------------------------------------------------------------------------------------- */

#define SIEVE_MATCH_VALUES 32 /* ${0} to ${31}; at least 10 (RFC 5229 3.2) */
#define SIEVE_LOOPS_MAX    8  /* foreverypart in one another; at least 3 (RFC 5703 3) */
#define SIEVE_INCLUDES_MAX 16 /* of limits.includes */
#define SIEVE_UNITS_MAX    64 /* of limits.scripts: bits of a run */

struct sieve_message;
struct sieve_frame {
	const struct sieve_unit *unit;
	uint32_t back;
	unsigned loops;
	struct slice *matches;
	unsigned nmatches;
};
struct sieve_loop {
	const struct mime_part *part,
	    *root; /* the part that is at hand, and whose parts these are */
	uint32_t number;
};

struct sieve_run {
	const struct sieve_program *program;
	const struct sieve_host *host;
	const struct sieve_limits *limits;
	struct sieve_result *result;
	struct sieve_action **last;
	struct arena *arena; /* the result's */
	uint64_t work, check_at, start_us;
	unsigned reads, redirects;
	size_t added;    /* octets of header */
	uint32_t pc, at; /* the next step, this one */
	bool stopped, keep;
	struct slice *variables;
	struct slice matches[SIEVE_MATCH_VALUES];
	unsigned nmatches;
	struct sieve_frame frames[SIEVE_INCLUDES_MAX];
	unsigned nframes;
	uint64_t included; /* bits of units */
	struct sieve_loop loops[SIEVE_LOOPS_MAX];
	unsigned nloops;
	struct sieve_message *message;
	struct slice own,
	    own_header;      /* what a filter has made of the message; p NULL: it is the host's */
	unsigned executed;   /* programs */
	struct slice *flags; /* the internal variable of RFC 5232 2 */
	size_t nflags;
	bool flags_set;
	struct slice note;
	struct buf value_form, key_form, piece; /* scratch of comparisons */
	void *regex_data;
};

void sieve_run_begin(struct sieve_run *, const struct sieve_program *, const struct sieve_host *,
    struct sieve_result *);
void sieve_run_end(struct sieve_run *);
/* Of a result that is complete: its actions alone, on their own. */
void sieve_result_settle(struct sieve_result *);
/* The header as an action has it: empty when nothing was edited. */
struct slice sieve_message_header(struct sieve_run *);
/* The flags of the internal variable, if there are some, for an action without its own. */
void sieve_flags_internal(struct sieve_run *, struct sieve_action *);

void sieve_flags_given(struct sieve_run *, const struct sieve_call *, struct sieve_action *);
/* An action, unless one that it cannot stand beside is there: NULL, and the run has failed. */
struct sieve_action *
sieve_act_checked(struct sieve_run *, const struct sieve_call *, enum sieve_act);
/* One more message that goes out; false: they are too many, and the run has failed. */
bool sieve_act_sends(struct sieve_run *, const struct sieve_call *);
/* :create, :flags, :specialuse and :mailboxid of a call. */
void sieve_mailbox_tags(struct sieve_run *, const struct sieve_call *, struct sieve_action *);
/* :fcc of a call, as an action of its own; NULL: there is none. */
struct sieve_action *sieve_fcc(struct sieve_run *, const struct sieve_call *);
/* The address within a text like "Name <a@b>", in `a`; p is NULL when it is not one, and *why. */
struct slice sieve_address(struct arena *a, struct slice text, const char **why);
/* The strings of a slot, variables put in. */
const struct slice *
sieve_strings(struct sieve_run *, const struct sieve_call *, unsigned slot, size_t *n);
/* What belongs to :fcc stands beside it. */
bool sieve_fcc_check(struct sieve_compiler *, struct sieve_call *);
/* As much of a string as one may have, in whole characters (RFC 5229 6). */
struct slice sieve_text_cut(const struct sieve_run *, struct slice);
/* A text through the modifiers of a call (RFC 5229 4.1), and their tags: slots 2 to 6. */
struct slice sieve_modify(struct sieve_run *, const struct sieve_call *, struct slice);
extern const struct sieve_tag sieve_tags_modifier[];
/* Does the call compare how many values there are? */
bool sieve_match_counts(const struct sieve_call *);
/* A name becomes that of the global variable (RFC 6609 3.4.1). */
bool sieve_global_import(struct sieve_compiler *, const struct sieve_arg *, struct slice name);
/* Tags that need one another. */
bool sieve_tags_check(struct sieve_compiler *, struct sieve_call *);

/* Regular expressions (regex.c): compiled with the script, or for one comparison. */
const struct sieve_regex *sieve_regex_new(struct sieve_regex **list, struct slice pattern,
    bool caseless, char *why, size_t room);
size_t sieve_regex_octets(const struct sieve_regex *); /* of the compiled form */
void sieve_regex_free(struct sieve_regex *);
void sieve_regex_data_free(void **);

/* Goes on behind the call of an include; ends the run when there was none. */
bool sieve_return(struct sieve_run *);

#endif
