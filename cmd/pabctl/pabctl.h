/* pabctl/pabctl.h: what the files of pabctl share: one verb, for one person. */
#ifndef PABCTL_H
#define PABCTL_H
#include "net/loop.h"
#include "pab/card.h"
#include "pab/changes.h"
#include "pab/ldif.h"
#include "pab/vcard.h"

struct pabctl_verb;
struct pabctl {
	struct loop loop;
	struct dir *dir;
	struct pab *pab;
	struct op op;
	struct arena arena;
	const struct pabctl_verb *verb;
	const char *file;
	struct slice person; /* a DN */
	bool json;
	enum pabctl_form { PABCTL_JSON, PABCTL_VCARD, PABCTL_VCARD_3 } form; /* of an export */
	int code;                                                            /* of sysexits.h */
	struct pab_write write;
	struct json_t *content; /* of it; json_free */
};
extern struct pabctl pabctl;

/* The end, with a code of sysexits.h and what is wrong. */
void pabctl_end(int code, const char *why);
void pabctl_refused(enum dir_result r, const char *why);

/* verbs.c, import.c: the list stays. */
void pabctl_list(const struct pab_listed *l);
void pabctl_export(const struct pab_listed *l);
void pabctl_remove(const struct pab_listed *l);
void pabctl_import(const struct pab_listed *l);
#endif
