/* serve.h: `storectl serve`, a daemon, and what it starts. */
#ifndef STORECTL_SERVE_H
#define STORECTL_SERVE_H
#include "daemon/program.h"

#define SERVE_LINE 4096 /* the longest that is asked, with its end */

extern const struct program storectl_serve_program;

/* serve-verb.c: the roles (TLS_ROLE_BIT) that may ask that; 0: nobody of another host. */
unsigned storectl_serve_roles(struct slice line);

/* serve-run.c: starts storectl with these words, NULL at the end, and the three descriptors, with the configuration
 * that was read here.  0 or -errno. */
int storectl_spawn(char *const *words, const int fds[3], pid_t *pid);
/* Runs the command of "run w=WORD ...", and says on standard output what it says, in lines that begin with "o "
 * (of its standard output), "e " (of its standard error), or are "w": there is nothing yet.  Its exit code. */
int storectl_run_asked(struct slice words);
#endif
