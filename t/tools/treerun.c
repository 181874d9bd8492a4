/* treerun: runs a command and stays the reaper of all its descendants, also of daemons that
 * detach, so that the CPU time of the whole tree (also of processes that have ended) and its
 * memory can be read from outside through /proc.  Ends when the last descendant has ended.
 *
 *	treerun COMMAND [ARG ...]	prints `started STATUS` when COMMAND itself has ended */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	int status;
	pid_t first, pid;

	if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 2;
	first = fork();
	if (first == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
		if (pid == first) {
			printf("started %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128);
			fflush(stdout);
		}
	return 0;
}
