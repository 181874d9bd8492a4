/* glob-impl.h: the elements of a compiled pattern; for glob.c and glob-match.c only. */
#ifndef MTA_GLOB_IMPL_H
#define MTA_GLOB_IMPL_H
#include "mta/glob.h"

enum mta_elem_kind { MTA_ELEM_LIT, MTA_ELEM_ANY, MTA_ELEM_CLASS, MTA_ELEM_REF, MTA_ELEM_NET };

struct mta_elem {
	enum mta_elem_kind kind;
	bool many, lazy;      /* of ANY and CLASS: any number of characters; as few as can be */
	int field;            /* number of what it matches, or -1 */
	struct slice lit;     /* LIT, in lower case */
	const uint32_t *set;  /* CLASS: 256 bits */
	unsigned ref;         /* REF: the field that comes again */
	unsigned char *bytes; /* NET: masked */
	unsigned nbytes, bits;
};

struct mta_glob {
	struct mta_elem *elems;
	size_t n;
	unsigned fields, manys;
	bool refs; /* some element is a REF: failures depend on the fields, so none is remembered */
};
#endif
