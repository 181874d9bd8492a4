/* rules-impl.h: compiled rules; for the files that compile and apply them only. */
#ifndef MTA_RULES_IMPL_H
#define MTA_RULES_IMPL_H
#include "base/map.h"
#include "mta/rules.h"

/* Where in an address a host stood: bits, as a rule may allow several. */
enum mta_place {
	MTA_PLACE_ROUTE = 1,   /* $S */
	MTA_PLACE_AT = 2,      /* $A */
	MTA_PLACE_PERCENT = 4, /* $P */
	MTA_PLACE_BANG = 8     /* $X */
};

enum mta_rule_op_code {
	MTA_RULE_TEXT,      /* text */
	MTA_RULE_AT,        /* @ between the parts */
	MTA_RULE_PERCENT,   /* % between the parts */
	MTA_RULE_USER,      /* $U; with a number: 0 without the subaddress, 1 the subaddress */
	MTA_RULE_DOMAIN,    /* $nD */
	MTA_RULE_HOST,      /* $nH */
	MTA_RULE_LITERAL,   /* $L */
	MTA_RULE_PICK,      /* $&n $!n $*n $#n: c */
	MTA_RULE_CHAR,      /* $nA */
	MTA_RULE_MAILHOST,  /* $nX */
	MTA_RULE_CASE,      /* $\ $^ $_: c */
	MTA_RULE_QUOTE,     /* $= */
	MTA_RULE_UNIQUE,    /* $W */
	MTA_RULE_GENERAL,   /* $(key): inner */
	MTA_RULE_MAPPING,   /* ${table,probe}: text, inner */
	MTA_RULE_URL,       /* $]url[: inner */
	MTA_RULE_CHANNEL,   /* $M $N $Q $C: c, text */
	MTA_RULE_REPROCESS, /* $1M $1N: c */
	MTA_RULE_PENDING,   /* $1~ */
	MTA_RULE_KIND,      /* $E $B: c */
	MTA_RULE_WAY,       /* $F $R: c */
	MTA_RULE_PLACE,     /* $S $A $P $X: number, a bit */
	MTA_RULE_LOCAL,     /* $V $Z: c, inner */
	MTA_RULE_TAG,       /* $T: text */
	MTA_RULE_ERROR      /* $?text: text, number */
};
struct mta_rule_op {
	enum mta_rule_op_code code;
	char c;
	bool numbered;
	unsigned number;
	struct slice text;
	struct mta_rule_op *inner;
	size_t ninner;
};
struct mta_rule_ops {
	struct mta_rule_op *op;
	size_t n;
};
/* Compiles a template.  `value`: it came out of the general database or a mapping, where no $( may be.
 * 0, or -EINVAL with *why; *warn is set to a remark, or NULL. */
int mta_rule_template(struct arena *a, struct slice text, const char *hostname, bool value,
    struct mta_rule_ops *ops, const char **why, const char **warn) MUSTCHECK;

struct mta_rule {
	struct slice pattern; /* as written */
	struct slice key;     /* in lower case */
	struct mta_rule_ops ops;
	const char *file;
	int line;
	struct mta_rule *next; /* of the same pattern, in the file's order */
};

struct mta_conf {
	struct arena arena;
	struct mta_text text;
	struct map rules; /* key -> first rule with it */
	size_t nrules;
	struct mta_channel **channels;
	size_t nchannels;
	struct map names;                /* channel's name -> channel */
	struct map hosts;                /* host name in lower case -> struct mta_channel_host */
	const struct mta_channel *local; /* l, or NULL */
	struct mta_rule_ops domain_failure;
	const char *hostname;
};

/* The blocks of channels, from line `at` of the text on. */
void mta_channels_load(struct mta_conf *c, size_t at, struct mta_notes *notes);

/* The host that an address is rewritten by, and the rest of the address. */
struct mta_split {
	enum mta_place place;
	struct slice user, host;
};
/* 0; -ENOENT when there is no host in it; -EBADMSG. */
int mta_split_address(struct slice address, bool bang_first, struct mta_split *out) MUSTCHECK;

/* One rule at work on one host. */
#define MTA_PARTS_MAX 4 /* A % B @ C, A @ B @ C @ D */
struct mta_try {
	const struct mta_conf *c;
	const struct mta_mappings *mappings;
	const struct mta_calls *calls;
	const struct mta_query *q;
	struct mta_work *work;
	const struct mta_split *split;
	struct slice address;               /* all of it, as this pass has it */
	struct slice host, domain, literal; /* $H $D $L */
	struct buf part[MTA_PARTS_MAX];
	char between[MTA_PARTS_MAX]; /* in front of part i: @ or % */
	size_t n;                    /* parts begun */
	struct buf tag;              /* as the rule sets it */
	struct verdict error;        /* of $? */
	bool set_tag, set_error;
	bool temporary;  /* the directory could not tell, and DOMAIN_FAILURE decided */
	const char *why; /* why it failed */
};
void mta_try_init(struct mta_try *t);
void mta_try_fini(struct mta_try *t);
/* MTA_YES: it made what the parts hold; MTA_NO: it fails, *why; MTA_TEMP (*why), MTA_LATER. */
enum mta_answer mta_try_rule(struct mta_try *t, const struct mta_rule_ops *ops) MUSTCHECK;
#endif
