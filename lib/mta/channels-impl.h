/* channels-impl.h: what the files of a set of channels share: channels.c, channels-rules.c and
 * channels-limits.c. */
#ifndef MTA_CHANNELS_IMPL_H
#define MTA_CHANNELS_IMPL_H
#include "mta/channels.h"

/* Compiles mta.cnf, mappings and general beside channels.conf, as far as they are there; mistakes go to
 * *why.  Without mta.cnf cs->rules stays NULL. */
void channels_rules_read(struct channels *cs, const char *path, struct buf *why);
/* Makes the rules of the channels and static routes. */
void channels_rules_make(struct channels *cs, struct buf *why);

/* channels-users.c: the list of a channel's key `users`; a copy is never NULL. */
char **channels_users_copy(char **from);
void channels_users_free(char **users);
void channels_users_print(struct buf *out, const struct channel *c);

/* channels-auth.c: who logs in at the relay, from the section as it stands in the file. */
void channels_auth_set(struct channel *c, const struct channel *raw, struct buf *why);
void channels_auth_free(struct channel *c);
void channels_auth_print(struct buf *out, const struct channel *c);

/* channels-limits.c: rates; `where` is a file's, for *why, and an empty text is no rate.  Then the sections
 * [reply NAME]: their keys, as they stand in the file, and what channels.c does with them. */
void channels_rate_set(struct channel_rate *r, const char *text, const char *where, const char *key,
    struct buf *why);
void channels_rate_print(struct buf *out, const char *key, const struct channel_rate *r);
/* The times of the day of a priority (0 urgent to 2 non-urgent), likewise; NULL: any. */
void channels_window_set(struct mta_windows *ws, char *const *words, int prio, const char *where,
    struct buf *why);
void channels_window_print(struct buf *out, int prio, const struct mta_windows *ws);
#define CHANNELS_REPLY_KEYS 4
extern const struct conf_key channels_reply_keys[CHANNELS_REPLY_KEYS];
extern struct channel_reply **channels_raw_replies;
void channels_replies_add(struct channels *cs, struct buf *why); /* cs->reply has room */
void channels_replies_free(struct channels *cs);
void channels_replies_print(const struct channels *cs, struct buf *out);
#endif
