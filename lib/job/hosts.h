/* job/hosts.h: the name of a set of MX hosts, by which jobctl knows destinations that are one place. */
#ifndef JOB_HOSTS_H
#define JOB_HOSTS_H
#include "job/line.h"

/* The same for the same hosts in any order and case, with or without a dot at the end.  n > 0.  Nobody finds
 * other hosts with the same name: who could, would have what his own server says count for another's. */
void job_hosts_name(char out[JOB_MX_MAX + 1], char *const *hosts, size_t n);
#endif
