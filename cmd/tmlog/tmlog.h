/* tmlog/tmlog.h: what the files of tmlog share: main.c asks (follow/follow.h), print.c tells, in words and as JSON. */
#ifndef TMLOG_H
#define TMLOG_H
#include "follow/follow.h"

void print_story(const struct follow_story *s, struct buf *out);
void print_story_json(const struct follow_story *s, struct buf *out);
#endif
