/* conf/paths.c: see paths.h.  The one file that a change of PREFIX compiles again. */
#include "conf/paths.h"

#ifndef TIERMAIL_CONFDIR /* linters */
#define TIERMAIL_CONFDIR "/etc/tiermail"
#define TIERMAIL_RUNDIR  "/run/tiermail"
#define TIERMAIL_QUEUE   "/var/spool/tiermail"
#define TIERMAIL_STORE   "/var/lib/tiermail"
#define TIERMAIL_LIBEXEC "/usr/lib/tiermail"
#define TIERMAIL_BIN     "/usr/bin"
#endif

const char conf_path_conf[] = TIERMAIL_CONFDIR;
const char conf_path_run[] = TIERMAIL_RUNDIR;
const char conf_path_queue[] = TIERMAIL_QUEUE;
const char conf_path_store[] = TIERMAIL_STORE;
const char conf_path_libexec[] = TIERMAIL_LIBEXEC;
const char conf_path_bin[] = TIERMAIL_BIN;
