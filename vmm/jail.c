/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/spec.h"

/* --- users --- */

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/*
 * The files themselves, for a static program has no other way; other databases' users are given by
 * number.
 */
static int find_user(const char *name, uid_t *uid, gid_t *gid)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) && strcmp(entry->pw_name, name) != 0)
		;
	if (entry) {
		*uid = entry->pw_uid;
		*gid = entry->pw_gid;
	}
	if (file)
		fclose(file);
	return entry ? 0 : -ENOENT;
}

static int find_group(const char *name, gid_t *gid)
{
	FILE *file = fopen("/etc/group", "re");
	const struct group *entry = NULL;

	while (file && (entry = fgetgrent(file)) && strcmp(entry->gr_name, name) != 0)
		;
	if (entry)
		*gid = entry->gr_gid;
	if (file)
		fclose(file);
	return entry ? 0 : -ENOENT;
}

static int parse_id(const char *text, uint32_t *id, struct error *err)
{
	uint64_t number = 0;
	/* The last one means: none. */
	int ret = spec_number("--sandbox", text, 0, UINT32_MAX - 1, &number, err);

	*id = (uint32_t)number;
	return ret;
}

int jail_set_user(struct jail *jail, const char *user, const char *group, struct error *err)
{
	int ret = 0;

	jail->has_user = true;
	if (is_number(user)) {
		ret = parse_id(user, &jail->uid, err);
		jail->gid = jail->uid;
	} else if (find_user(user, &jail->uid, &jail->gid)) {
		return error_usage(err, "--sandbox: there is no user '%s' in /etc/passwd", user);
	}
	if (ret || !group)
		return ret;
	if (is_number(group))
		return parse_id(group, &jail->gid, err);
	if (find_group(group, &jail->gid))
		return error_usage(err, "--sandbox: there is no group '%s' in /etc/group", group);
	return 0;
}

/* --- the stages --- */

static int become_user(const struct jail *jail, struct error *err)
{
	if (setgroups(0, NULL) || setresgid(jail->gid, jail->gid, jail->gid) ||
	    setresuid(jail->uid, jail->uid, jail->uid))
		return error_errno(err,
				   "--sandbox: becoming user %u, group %u, which only root can",
				   jail->uid, jail->gid);
	return 0;
}

int jail_unshare(int flags, struct error *err)
{
	if (unshare(flags) == 0)
		return 0;
	if (errno == EPERM)
		return error_set(err, -EPERM,
				 "--sandbox: namespaces: %s; try: sysctl "
				 "kernel.unprivileged_userns_clone=1",
				 strerror(EPERM));
	return error_errno(err, "--sandbox: namespaces");
}

static int change_root(const char *root, struct error *err)
{
	int ret;

	if (chroot(root) == 0 && chdir("/") == 0)
		return 0;
	if (errno == EPERM)
		return error_set(err, -EPERM,
				 "--sandbox: chroot=%s: %s: only root can, or in a namespace; try: "
				 "namespaces=on",
				 root, strerror(EPERM));
	ret = error_errno(err, "--sandbox: chroot=%s", root);
	if (ret == -ENOENT)
		error_cure(err, "mkdir -p %s", root);
	return ret;
}

bool jail_is_open(const struct jail *jail)
{
	return jail->has_user || jail->namespaces || jail->root;
}

int jail_enter(const struct jail *jail, struct error *err)
{
	const int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
			       CLONE_NEWUTS | CLONE_NEWCGROUP;
	int ret = 0;

	/* Another user may change the root only in a user namespace of its own. */
	if (jail->root && !jail->namespaces)
		ret = change_root(jail->root, err);
	if (!ret && jail->has_user)
		ret = become_user(jail, err);
	if (!ret && jail->namespaces)
		ret = jail_unshare(namespaces, err);
	if (!ret && jail->root && jail->namespaces)
		ret = change_root(jail->root, err);
	return ret;
}
