/* pab/card.h: a JSContact Card (RFC 9553) looked at: whether it is one, what a person would call it, and whether a
 * filter finds it.  Pure. */
#ifndef PAB_CARD_H
#define PAB_CARD_H
#include "base/arena.h"
#include "json/json.h"

#define PAB_CARD_MAX (256 * 1024) /* octets of its JSON: a photograph is in it */
extern const struct json_bounds pab_card_bounds;

/* Are the properties that this standard names of the kinds that it says?  Unknown ones may be there.  False with
 * *property (of the arena) and *why, a literal. */
bool pab_card_check(const struct json_t *card, struct arena *a, const char **property,
    const char **why) MUSTCHECK;
/* The name to show: name.full, else its components (2.2.1), else an organisation, a nickname, an address; "?" when there is
 * nothing at all.  In the arena. */
struct slice pab_card_name(const struct json_t *card, struct arena *a);
/* The value of a component of its name ("given"), with several of them joined; empty: none. */
struct slice pab_card_part(const struct json_t *card, const char *kind, struct arena *a);

/* Conditions of ContactCard/query (RFC 9610 3.3.1) that look into the Card; those of books and times are the
 * caller's.  False: there is no such text condition. */
bool pab_card_condition(struct slice name);
/* Does the Card fit?  `text` is compared as i;unicode-casemap does (casemap.h), anywhere in a value. */
bool pab_card_fits(const struct json_t *card, struct slice condition, struct slice text);
#endif
