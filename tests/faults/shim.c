/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared object in front of the C library: makes one chosen call of a program fail, with the
 * error that a real kernel gives, and notes down which calls there are. plan.h says how.
 */
#include "plan.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	OWN_FRAMES = 4, /* at most, on top of the caller's */
	EVENTS_MAX = 1024,
};

#define EXPORT	 __attribute__((visibility("default")))
#define NOINLINE __attribute__((noinline))

static struct plan *_Atomic attached;

/* What the shim itself calls doesn't count. Not lazily allocated: malloc() looks at it. */
static _Thread_local bool inside __attribute__((tls_model("initial-exec")));
static _Thread_local bool no_memory __attribute__((tls_model("initial-exec")));

static bool counted; /* this process is among the plan's */

/* glibc's own names for what malloc() and its kind are otherwise. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

/* --- sites --- */

/* Its headers are in its first page. */
static uintptr_t program_base(void)
{
	return getauxval(AT_PHDR) & ~(uintptr_t)0xfff;
}

/* FNV-1a */
static uint64_t hash(uint64_t seed, uint64_t value)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		seed = (seed ^ (value & 0xff)) * 0x100000001b3;
	return seed;
}

struct observed {
	uint32_t phase;
	enum call call;
	uint64_t request; /* as of a site */
};

static void describe(struct site *site, const struct observed *what, void *const *from, int n)
{
	site->phase = what->phase;
	site->call = what->call;
	site->request = what->request;
	for (int i = 0; i < n; i++)
		site->from[i] = (uintptr_t)from[i] - program_base();
}

static void note_down(struct plan *plan, uint64_t id, const struct observed *what,
		      void *const *from, int n)
{
	/* Without a lock: a signal's handler calls, too. */
	for (unsigned int i = 0; i < PLAN_SITES; i++) {
		struct site *site = &plan->sites[(id + i) % PLAN_SITES];
		uint64_t is = 0;

		if (atomic_compare_exchange_strong(&site->id, &is, id))
			describe(site, what, from, n);
		if (is == 0 || is == id)
			return;
	}
	atomic_fetch_add(&plan->n_lost, 1);
}

/* The call @what, by the code that @caller returns to: how is it to fail? 0: it is not. */
static NOINLINE int verdict(struct plan *plan, const struct observed *what, void *caller)
{
	void *frames[OWN_FRAMES + PLAN_DEPTH];
	int n = backtrace(frames, OWN_FRAMES + PLAN_DEPTH), first = 0;
	uint64_t id = hash(hash(hash(0xcbf29ce484222325, what->phase), what->call), what->request);

	while (first < n - 1 && frames[first] != caller)
		first++;
	if (n > first + PLAN_DEPTH)
		n = first + PLAN_DEPTH;
	for (int i = first; i < n; i++)
		id = hash(id, (uintptr_t)frames[i]);
	id += !id;
	if (plan->id == id && atomic_fetch_add(&plan->n_failed, 1) == 0) {
		atomic_store(&plan->failed_in, getpid());
		return plan->code;
	}
	if (plan->for_good && plan->call == what->call && atomic_load(&plan->n_failed))
		return plan->code;
	/* What comes only after something failed can't be made to fail first. */
	if (!atomic_load(&plan->n_failed))
		note_down(plan, id, what, frames + first, n - first);
	return 0;
}

static NOINLINE int fault(enum call call, uint64_t request, void *caller)
{
	struct plan *plan = atomic_load(&attached);
	const struct observed what = {
		.phase = plan ? atomic_load(&plan->phase) : (uint32_t)PHASE_OFF,
		.call = call,
		.request = request,
	};
	int saved = errno, code;

	if (what.phase == PHASE_OFF || call == CALL_NONE || inside)
		return 0;
	inside = true;
	code = verdict(plan, &what, caller);
	inside = false;
	errno = code ? code : saved;
	return code;
}

#define FAULT(call)		FAULT_OF(call, 0)
#define FAULT_OF(call, request) fault(call, request, __builtin_return_address(0))

static void *find(const char *name)
{
	bool was = inside;
	void *function;

	inside = true;
	function = dlsym(RTLD_NEXT, name);
	inside = was;
	return function;
}

/* The function that the one defined here stands in front of. */
#define NEXT(name) ((__typeof__(&(name)))find(#name))

EXPORT void shim_attach(struct plan *plan)
{
	void *frame;

	/* The first time it loads a library. */
	backtrace(&frame, 1);
	atomic_store(&attached, plan);
}

__attribute__((constructor)) static void attach_inherited(void)
{
	const char *fd = getenv(PLAN_FD);
	void *plan;

	if (!fd)
		return;
	plan = NEXT(mmap)(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd),
			  0);
	if (plan == MAP_FAILED)
		abort();
	shim_attach(plan);
	atomic_fetch_add(&((struct plan *)plan)->n_processes, 1);
	counted = true;
}

/* By exit(): a process that crashes doesn't come here. */
__attribute__((destructor)) static void detach(void)
{
	if (counted)
		atomic_fetch_sub(&atomic_load(&attached)->n_processes, 1);
}

/* --- memory and threads --- */

EXPORT void *malloc(size_t size)
{
	if (no_memory) {
		errno = ENOMEM;
		return NULL;
	}
	return FAULT(CALL_ALLOCATE) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return FAULT(CALL_ALLOCATE) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *old, size_t size)
{
	return FAULT(CALL_ALLOCATE) ? NULL : __libc_realloc(old, size);
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return FAULT(CALL_MMAP) ? MAP_FAILED : NEXT(mmap)(addr, len, prot, flags, fd, offset);
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	return FAULT(CALL_MADVISE) ? -1 : NEXT(madvise)(addr, len, advice);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	int code = FAULT(CALL_THREAD);

	return code ? code : NEXT(pthread_create)(thread, attr, run, arg);
}

EXPORT pid_t fork(void)
{
	pid_t pid = FAULT(CALL_FORK) ? -1 : NEXT(fork)();

	if (pid == 0 && counted)
		atomic_fetch_add(&atomic_load(&attached)->n_processes, 1);
	return pid;
}

/*
 * Jansson's parser takes no notice when the buffer that it collects a string or a number in can't
 * grow (lex_save(), https://github.com/akheron/jansson/issues/362): it loses that character and
 * goes on, or, if it was the closing quote, runs over the end of the buffer and of the string. So
 * no allocation of the parser's fails by itself; parsing does, at its first one.
 */
EXPORT json_t *json_loadb(const char *text, size_t len, size_t flags, json_error_t *error)
{
	bool fails = FAULT(CALL_ALLOCATE), was = inside;
	json_t *value;

	no_memory = fails;
	inside = true;
	value = NEXT(json_loadb)(text, len, flags, error);
	inside = was;
	no_memory = false;
	return value;
}

/* --- new descriptors --- */

/*
 * Eventfds and timerfds, which have less errors than files. A sandbox would not let us look what a
 * descriptor is.
 */
static _Atomic bool event_fds[EVENTS_MAX];

/* @fd, new: one of these, or not. */
static int note_fd(int fd, bool event)
{
	if (fd >= 0 && fd < EVENTS_MAX)
		atomic_store(&event_fds[fd], event);
	return fd;
}

static bool is_event(int fd)
{
	return fd >= 0 && fd < EVENTS_MAX && atomic_load(&event_fds[fd]);
}

EXPORT int close(int fd)
{
	note_fd(fd, false);
	return NEXT(close)(fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	for (unsigned int fd = first; fd <= last && fd < EVENTS_MAX; fd++)
		note_fd((int)fd, false);
	return NEXT(close_range)(first, last, flags);
}

EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return FAULT(CALL_DESCRIPTOR) ? -1 : NEXT(open)(path, flags, mode);
}

EXPORT int socket(int domain, int type, int protocol)
{
	return FAULT(CALL_DESCRIPTOR) ? -1 : NEXT(socket)(domain, type, protocol);
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	return FAULT(CALL_DESCRIPTOR) ? -1 : NEXT(socketpair)(domain, type, protocol, fds);
}

EXPORT int eventfd(unsigned int count, int flags)
{
	return FAULT(CALL_DESCRIPTOR) ? -1 : note_fd(NEXT(eventfd)(count, flags), true);
}

EXPORT int timerfd_create(int clock, int flags)
{
	return FAULT(CALL_DESCRIPTOR) ? -1 : note_fd(NEXT(timerfd_create)(clock, flags), true);
}

EXPORT int epoll_create1(int flags)
{
	return FAULT(CALL_DESCRIPTOR) ? -1 : NEXT(epoll_create1)(flags);
}

EXPORT int memfd_create(const char *name, unsigned int flags)
{
	return FAULT(CALL_MEMFD) ? -1 : NEXT(memfd_create)(name, flags);
}

EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return FAULT(CALL_ACCEPT) ? -1 : NEXT(accept4)(fd, addr, len, flags);
}

static enum call fcntl_call(int command)
{
	switch (command) {
	case F_DUPFD_CLOEXEC:
		return CALL_DESCRIPTOR;
	case F_ADD_SEALS:
		return CALL_FCNTL;
	default:
		return CALL_NONE; /* flags: that works with any open descriptor */
	}
}

EXPORT int fcntl(int fd, int command, ...)
{
	va_list ap;
	long arg;

	va_start(ap, command);
	arg = va_arg(ap, long);
	va_end(ap);
	if (FAULT(fcntl_call(command)))
		return -1;
	if (command == F_DUPFD_CLOEXEC)
		return note_fd(NEXT(fcntl)(fd, command, arg), is_event(fd));
	return NEXT(fcntl)(fd, command, arg);
}

/* --- what is done with them --- */

EXPORT int ftruncate(int fd, off_t len)
{
	return FAULT(CALL_FTRUNCATE) ? -1 : NEXT(ftruncate)(fd, len);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return FAULT(CALL_CONNECT) ? -1 : NEXT(connect)(fd, addr, len);
}

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return FAULT(CALL_BIND) ? -1 : NEXT(bind)(fd, addr, len);
}

EXPORT int listen(int fd, int backlog)
{
	return FAULT(CALL_LISTEN) ? -1 : NEXT(listen)(fd, backlog);
}

EXPORT int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	enum call call = op == EPOLL_CTL_ADD ? CALL_EPOLL_ADD : CALL_NONE;

	return FAULT(call) ? -1 : NEXT(epoll_ctl)(epoll, op, fd, event);
}

/* Who only looks is not interrupted, or not if there is something to see. */
static enum call wait_call(int ms)
{
	return ms ? CALL_WAIT : CALL_NONE;
}

EXPORT int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
	return FAULT(wait_call(ms)) ? -1 : NEXT(epoll_wait)(fd, events, n, ms);
}

EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n, const struct timespec *timeout,
			const sigset_t *signals)
{
	return FAULT(CALL_WAIT) ? -1 : NEXT(epoll_pwait2)(fd, events, n, timeout, signals);
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
	return FAULT(wait_call(ms)) ? -1 : NEXT(poll)(fds, n, ms);
}

static enum call ioctl_call(unsigned long request)
{
	if (_IOC_TYPE(request) == VHOST_VIRTIO)
		return CALL_VHOST_IOCTL;
	if (_IOC_TYPE(request) != KVMIO)
		return CALL_IOCTL;
	switch (request) {
	case KVM_RUN:
		return CALL_KVM_RUN;
	case KVM_GET_API_VERSION:
	case KVM_CHECK_EXTENSION:
	case KVM_GET_VCPU_MMAP_SIZE:
		return CALL_NONE; /* they can't fail */
	default:
		return CALL_KVM_IOCTL;
	}
}

/* What vhost is asked about a ring begins with the ring's index. */
static uint64_t which_ioctl(unsigned long request, const void *arg)
{
	bool vhost = _IOC_TYPE(request) == VHOST_VIRTIO;
	bool ring = vhost && _IOC_NR(request) >= _IOC_NR(VHOST_SET_VRING_NUM) &&
		    _IOC_NR(request) <= _IOC_NR(VHOST_NET_SET_BACKEND);

	return request | (ring ? (uint64_t) * (const unsigned int *)arg << 32 : 0);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (FAULT_OF(ioctl_call(request), which_ioctl(request, arg)))
		return -1;
	return NEXT(ioctl)(fd, request, arg);
}

/* Events have errors of their own: it is a counter that is read or written. */
static enum call read_call(int fd)
{
	return is_event(fd) ? CALL_READ_EVENT : CALL_READ;
}

static enum call write_call(int fd)
{
	return is_event(fd) ? CALL_WRITE_EVENT : CALL_WRITE;
}

EXPORT ssize_t read(int fd, void *to, size_t len)
{
	return FAULT(read_call(fd)) ? -1 : NEXT(read)(fd, to, len);
}

EXPORT ssize_t pread(int fd, void *to, size_t len, off_t offset)
{
	return FAULT(read_call(fd)) ? -1 : NEXT(pread)(fd, to, len, offset);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	return FAULT(read_call(fd)) ? -1 : NEXT(readv)(fd, iov, n);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	return FAULT(read_call(fd)) ? -1 : NEXT(preadv2)(fd, iov, n, offset, flags);
}

EXPORT ssize_t write(int fd, const void *from, size_t len)
{
	return FAULT(write_call(fd)) ? -1 : NEXT(write)(fd, from, len);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return FAULT(write_call(fd)) ? -1 : NEXT(writev)(fd, iov, n);
}

EXPORT ssize_t recv(int fd, void *to, size_t len, int flags)
{
	return FAULT(CALL_RECEIVE) ? -1 : NEXT(recv)(fd, to, len, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return FAULT(CALL_RECEIVE) ? -1 : NEXT(recvmsg)(fd, message, flags);
}

EXPORT ssize_t send(int fd, const void *from, size_t len, int flags)
{
	return FAULT(CALL_SEND) ? -1 : NEXT(send)(fd, from, len, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return FAULT(CALL_SEND) ? -1 : NEXT(sendmsg)(fd, message, flags);
}
