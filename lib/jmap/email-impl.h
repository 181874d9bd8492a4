/* jmap/email-impl.h: what email-structure.c and email-described.c share; for them alone. */
#ifndef JMAP_EMAIL_IMPL_H
#define JMAP_EMAIL_IMPL_H
#include "jmap/email-structure.h"

struct jmap_structure_build {
	struct jmap_structure *s;
	struct arena *a;
};
/* The lists of s->root, which has `parts` parts at most (RFC 8621 4.1.4). */
void jmap_structure_sort(struct jmap_structure_build *b, size_t parts);
#endif
