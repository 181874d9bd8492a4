/* aging/rule.h: rules by which mail expires, in the syntax of Sun's store.expirerule:
 *
 *	# a comment
 *	Trash.folderpattern:	user/%/Trash
 *	Trash.messagedays:	7
 *	Trash.action:		discard
 *
 * tiermail-expire(5) has the attributes.  All criteria of a rule must be met; what Sun's rules say beside
 * that ("or", regular expressions, sieve) is refused in words, so that no rule means another thing here
 * than where it came from.  Pure: text in, rules out; a mistake is told as "file:line: words", and who
 * gets one expires nothing.
 *
 * Costs: a rule asks of a folder's name (its bytes) x (those of the pattern / 64), whatever the wildcards
 * (imap/pattern.h). */
#ifndef AGING_RULE_H
#define AGING_RULE_H
#include "imap/pattern.h"
#include "message/match.h"
#include "mta/text.h"
#include "store/format.h"

#define AGING_TEXT_MAX    (1024 * 1024) /* bytes of a file of the site's */
#define AGING_OWN_MAX     (64 * 1024)   /* and of one that a person has written */
#define AGING_RULES_MAX   1000          /* rules of a file of the site's */
#define AGING_OWN_RULES   32            /* and of a person's */
#define AGING_HEADERS_MAX 16            /* header fields that a rule asks for */
#define AGING_DAYS_MAX    36500

/* Whose rules they are, in the order in which they are tried. */
enum aging_level {
	AGING_GLOBAL,
	AGING_PARTITION,
	AGING_USER,
	AGING_FOLDER, /* below [folder NAME] in a user's file */
	AGING_OWN,    /* written by the person */
};
enum aging_action { AGING_DISCARD, AGING_MOVE, AGING_REPORT };
/* What a rule asks for. */
enum {
	AGING_BY_COUNT = 1,  /* messagecount */
	AGING_BY_FOLDER = 2, /* foldersize */
	AGING_BY_DAYS = 4,   /* messagedays */
	AGING_BY_SAVED = 8,  /* savedays */
	AGING_BY_SIZE = 16,  /* messagesize */
	AGING_BY_GRACE = 32, /* messagesizedays */
	AGING_BY_SEEN = 64,  /* seen */
	AGING_BY_DELETED = 128,
	AGING_BY_HEADER = 256,
};

struct aging_rule {
	struct slice name;
	const char *file; /* where it begins */
	int line;
	enum aging_level level;
	struct slice scope;  /* the partition's or account's name */
	struct slice folder; /* AGING_FOLDER */
	struct imap_pattern pattern;
	bool patterned, relative; /* relative: of the folder's name, not of user/ACCOUNT/NAME */
	unsigned by;
	uint64_t messagecount, foldersize, messagesize;
	uint32_t messagedays, savedays, messagesizedays;
	bool seen, deleted; /* as the message must be */
	struct message_query headers;
	bool exclusive;
	enum aging_action action;
	struct slice to; /* AGING_MOVE: a canonical name */
	uint32_t had;    /* attributes that it has */
};
/* Those of one file.  Zeroed: none. */
struct aging_rules {
	struct arena arena;
	struct aging_rule *rules;
	size_t n, room;
};

/* Reads the rules of a file into *r, zeroed before.  `scope` is the partition's or the account's name.
 * False when there are mistakes, in *notes; *r is to be ended all the same. */
bool aging_rules_parse(struct aging_rules *r, const char *file, struct slice text,
    enum aging_level level, struct slice scope, struct mta_notes *notes) MUSTCHECK;
void aging_rules_fini(struct aging_rules *r);

/* A folder that may have something to expire. */
struct aging_place {
	struct slice partition, account, folder;
};
/* The rules of some files, in their order, that hold for a folder: of exclusive ones the last alone.
 * Appends to `out` (const struct aging_rule *). */
void aging_rules_select(const struct aging_rules *const *sets, size_t n,
    const struct aging_place *place, struct buf *out);
#endif
