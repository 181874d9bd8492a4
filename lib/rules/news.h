/* rules/news.h: whose scripts have changed, told by who changes them to who caches them, on one host.
 *
 * RUNDIR/rules-1 is a table of counters that all processes map; a change counts one of them up, chosen by the
 * account's name.  Who is about to use what it remembers of an account looks whether that counter has moved.  Two
 * accounts may have one counter: then something is asked for that was known, never the other way round.  The
 * table has nothing to say about who has changed what, and is lost with the boot, as caches are. */
#ifndef RULES_NEWS_H
#define RULES_NEWS_H
#include "base/slice.h"

struct rules_news;
/* For program.paths: makes the table, if it is not there, and keeps the way to it open. */
void rules_news_reach(void);
/* Maps it; without one (logged) nothing is told and nothing seems changed. */
struct rules_news *rules_news_open(void);
void rules_news_close(struct rules_news **);
/* The account's scripts have been changed. */
void rules_news_tell(struct rules_news *, struct slice account);
/* Have they, since this process asked last or opened the table? */
bool rules_news_heard(struct rules_news *, struct slice account);
#endif
