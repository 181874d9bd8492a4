/* directory/attrs.h: what an LDAP entry says, before a record is made of it; for record.c alone.
 *
 * Slices are borrowed from the message.  One thread uses it, and the lists' memory is used again. */
#ifndef DIRECTORY_ATTRS_H
#define DIRECTORY_ATTRS_H
#include "directory/record.h"

#define VALUES_MAX 512  /* values of one attribute; an entry with more is not used */
#define RULES_MAX  4096 /* bytes of an access filter; a longer one is malformed (login/access.h) */

struct value_list {
	struct slice *v; /* grows, and is used again for the next entry */
	size_t n, room;
};
/* Everything that the table reads, of any kind.  One loop thread uses it, for one call. */
struct entry {
	unsigned kinds;
	struct slice asked; /* the name of a domain that was asked for */
	struct slice dn;
	struct slice name, canonical, catchall, smarthost, base, separator;
	struct slice mail, host, partition, routing, errors_to, reject_text;
	struct slice prefix, suffix, list_password;
	struct slice reply_subject, reply_text, reply_internal, language;
	struct value_list uids, addresses, forward, routing_hosts;
	struct value_list members, urls, rfc822, allowed, disallowed, allowed_domains,
	    disallowed_domains, policy, moderators, reject_action, add_fields, remove_fields,
	    scripts, library, programs;
	struct slice uuid, verifier;
	enum dir_status all, own; /* inet..., mail... */
	int64_t password_at;
	unsigned delivery;
	int64_t bytes, msgs, blocks, max_size, reply_hours, reply_start, reply_end;
	enum dir_spam spam;
	bool reply_echo, second_factor;
	bool
	    factor_class; /* tiermailTotp: there is a second factor, whether we may read it or not */
	char rules[RULES_MAX]; /* of the access filter, joined by $ */
	size_t nrules;
	bool classes; /* objectClass was shown */
	bool is_user, is_group;
	char made[256]; /* a domain's name, of its DN */
	bool named;     /* one of a domain's names is `asked` */
	bool many;      /* an attribute has more values than we take */
};

static inline struct slice
bv(struct berval b)
{
	return slice(b.bv_val, b.bv_len);
}

/* Reads a message into *e, the attributes of these kinds; false with *why when it cannot be used.
 * `asked` is the name of a domain that was asked for. */
bool dir_attrs_read(LDAP *ld, LDAPMessage *m, unsigned kinds, struct slice asked, struct entry *e,
    const char **why) MUSTCHECK;
#endif
