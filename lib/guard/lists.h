/* guard/lists.h: lists in DNS of addresses and domains (RFC 5782): what is asked, and what an answer means.
 * Pure: who asks is smtp-relay. */
#ifndef GUARD_LISTS_H
#define GUARD_LISTS_H
#include "base/buf.h"
#include "net/addr.h"

/* Codes that a list may answer with, as words: four numbers with points between them, each of which may be a
 * range (2-11) or *.  Lists answer within 127.0.0.0/8 (RFC 5782 2.1); without words any of that counts, but for
 * 127.255.255.0/24, by which operators say that a question was not allowed. */
#define GUARD_CODE_FORM "not a code of a list, like 127.0.0.2, 127.0.0.4-11 or 127.0.*.2"
bool guard_code_valid(struct slice word);
/* Does one of these addresses count?  `codes`: NULL, or words, ended by NULL; all of them valid. */
bool guard_listed(char *const *codes, const struct addr *addrs, size_t n);

/* Appends the name that is asked for an address (RFC 5782 2.1, 2.4) or a domain (2.2); false: there is none, as of a
 * domain that is too long. */
bool guard_list_name_addr(struct buf *b, const struct addr *a, struct slice zone);
bool guard_list_name_domain(struct buf *b, struct slice domain, struct slice zone);
/* The name that no honest list has (RFC 5782 5): one that has it lists everybody. */
void guard_list_name_probe(struct buf *b, bool domains, struct slice zone);
#endif
