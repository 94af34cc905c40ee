/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/core/error.h"

/* Where @path is; false: the path is too long. */
static bool directory_of(const char *path, char directory[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= PATH_MAX)
		return false;
	memcpy(directory, path, len);
	directory[len] = '\0';
	if (!len)
		strncpy(directory, slash ? "/" : ".", PATH_MAX);
	return true;
}

static int missing(const char *directory, enum path_use use, struct error *err)
{
	struct stat st;

	if (stat(directory, &st) == 0 || errno != ENOENT)
		return error_cause(err, -ENOENT);
	return error_set(err, -ENOENT, "%s: there is no directory %s%s%s", strerror(ENOENT),
			 directory, use == PATH_WRITE ? "; try: mkdir -p " : "",
			 use == PATH_WRITE ? directory : "");
}

static int refused(const char *path, const char *directory, enum path_use use, struct error *err)
{
	const char *cure = use == PATH_READ ? "chmod a+r" : "chown $USER";
	const char *refusal = strerror(EACCES);
	struct stat st;

	if (stat(path, &st) == 0)
		return error_set(err, -EACCES,
				 "%s: it belongs to uid %u and has mode %04o; try: sudo %s %s",
				 refusal, st.st_uid, st.st_mode & 07777, cure, path);
	if (errno == ENOENT && stat(directory, &st) == 0)
		return error_set(err, -EACCES,
				 "%s: directory %s belongs to uid %u and has mode %04o; try: "
				 "another directory",
				 refusal, directory, st.st_uid, st.st_mode & 07777);
	return error_set(err, -EACCES,
			 "%s: a directory on the way to it can't be entered; try: namei -l %s",
			 refusal, path);
}

int path_explain(const char *path, enum path_use use, struct error *err)
{
	const int code = errno;
	char directory[PATH_MAX];

	if (directory_of(path, directory)) {
		if (code == ENOENT)
			return missing(directory, use, err);
		if (code == EACCES)
			return refused(path, directory, use, err);
	}
	if (code == EPROTOTYPE)
		return error_set(err, -code,
				 "%s: it is a datagram or packet socket, not a stream socket",
				 strerror(code));
	return error_cause(err, -code);
}

int path_check_write(const char *path, struct error *err)
{
	char directory[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : 0;
		if (!errno && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
			return 0;
	} else if (errno == ENOENT && directory_of(path, directory) &&
		   faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0) {
		return 0;
	}
	return path_explain(path, PATH_WRITE, err);
}
