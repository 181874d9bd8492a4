/* conf/paths.h: where things are as long as no configuration says otherwise: fixed when the suite is
 * built (make PREFIX=..., see the Makefile).  Below another `prefix` of tiermail.conf(5) they are
 * the same paths behind it. */
#ifndef CONF_PATHS_H
#define CONF_PATHS_H

extern const char conf_path_conf[]; /* the folder of tiermail.conf */
extern const char conf_path_run[];  /* rundir */
extern const char conf_path_queue[];
extern const char conf_path_store[];
extern const char conf_path_libexec[]; /* programs that programs start */
extern const char conf_path_bin[];     /* programs of everybody: mailq */
#endif
