/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process gives up as a whole, if it is asked to, once all that it needs is open: its user,
 * its files, its networks. It is the program's, not the library's: an embedding one has its own.
 * Each thread gives up the rest (vmm/sandbox.h).
 *
 * In this order; each may be left out. (A PID namespace, which belongs to these, comes long before:
 * vmm/pid_namespace.h.)
 *	groups, then user	become @gid without other groups, @uid; privileges go with that
 *	namespaces		a user namespace without any user of the host; a network namespace
 *				without any interface (taps that are open stay: a packet goes by
 *				them only); mount, IPC, UTS and cgroup namespaces
 *	root directory		@root; empty is best
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct jail {
	bool has_user; /* and group, too */
	uid_t uid;
	gid_t gid;
	bool namespaces;
	const char *root; /* a directory, or NULL */
};

/* Whether there is anything to be given up. */
bool jail_is_open(const struct jail *jail);

/*
 * The user @user, a name in /etc/passwd, with its group there, or a number, with the same number
 * for a group; or with @group, a name in /etc/group or a number, if it isn't NULL. All errors are
 * usage errors.
 */
int jail_set_user(struct jail *jail, const char *user, const char *group, struct error *err);

/* unshare(). 0 or a negative errno, and the cure, if there may be one. */
int jail_unshare(int flags, struct error *err);

/* Give it up, for good. By a process with one thread. 0 or a negative errno. */
int jail_enter(const struct jail *jail, struct error *err);

#endif
