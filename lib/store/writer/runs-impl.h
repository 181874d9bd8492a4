/* store/writer/runs-impl.h: what carries out each request: batch.c has the verb of each.
 *
 * Called by the writer's thread within its batch, with a request that store/verbs.c has found to be one.  Each sets
 * the reply, at once or (long.c) with its last slice, and changes nothing when it refuses. */
#ifndef STORE_WRITER_RUNS_IMPL_H
#define STORE_WRITER_RUNS_IMPL_H
struct store_job;
struct writer;

void writer_run_account(struct writer *w, struct store_job *j);
void writer_run_acl(struct writer *w, struct store_job *j);
void writer_run_annotate(struct writer *w, struct store_job *j);
void writer_run_append(struct writer *w, struct store_job *j);
void writer_run_copy(struct writer *w, struct store_job *j);
void writer_run_create(struct writer *w, struct store_job *j);
void writer_run_delete(struct writer *w, struct store_job *j);
void writer_run_deliver(struct writer *w, struct store_job *j);
void writer_run_erase(struct writer *w, struct store_job *j);
void writer_run_expunge(struct writer *w, struct store_job *j);
void writer_run_flags(struct writer *w, struct store_job *j);
void writer_run_forget(struct writer *w, struct store_job *j);
void writer_run_freeze(struct writer *w, struct store_job *j);
void writer_run_know(struct writer *w, struct store_job *j);
void writer_run_handled(struct writer *w, struct store_job *j);
void writer_run_leave(struct writer *w, struct store_job *j);
void writer_run_login(struct writer *w, struct store_job *j);
void writer_run_mend(struct writer *w, struct store_job *j);
void writer_run_move(struct writer *w, struct store_job *j);
void writer_run_orphan(struct writer *w, struct store_job *j);
void writer_run_recount(struct writer *w, struct store_job *j);
void writer_run_relink(struct writer *w, struct store_job *j);
void writer_run_rename(struct writer *w, struct store_job *j);
void writer_run_rename_account(struct writer *w, struct store_job *j);
void writer_run_replace(struct writer *w, struct store_job *j);
void writer_run_reserve(struct writer *w, struct store_job *j);
void writer_run_restore(struct writer *w, struct store_job *j);
void writer_run_rethread(struct writer *w, struct store_job *j);
void writer_run_settle(struct writer *w, struct store_job *j);
void writer_run_subscribe(struct writer *w, struct store_job *j);
void writer_run_warn(struct writer *w, struct store_job *j);
#endif
