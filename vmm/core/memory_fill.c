/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/memory_fill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/progress.h"
#include "vmm/core/thread.h"
#include "vmm/core/userfaultfd.h"

enum {
	BLOCK_SIZE = MEMORY_HUGE_PAGE_SIZE,
	FAULTS = 16, /* looked at at once */
	NAME_SIZE = 288,
	SMALL_PAGE = 4096, /* of the kernels with huge pages of a block */
	PATIENCE_S = 1,	   /* with a file that can't be read to its end, nor left */
};

/* What is in a file. */
struct piece {
	uint64_t at; /* from the region's begin on */
	uint64_t len;
	int fd;
	bool owns_fd; /* or the piece before does */
	int from;     /* what it was duplicated from, for as long as that is this file */
	uint64_t offset;
	char name[NAME_SIZE];
};

enum block {
	BLOCK_FREE,    /* none of ours */
	BLOCK_AWAITED, /* who touches it waits */
	BLOCK_FILLED,
};

struct memory_fill {
	const struct guest_memory *mem;
	char *begin; /* of the region, at a block's begin */
	uint64_t size;
	int uffd;	       /* owned */
	unsigned char *blocks; /* enum block, of each; owned */
	struct piece *pieces;
	size_t n_pieces;

	struct memory_fill_config config;
	bool begun;
	pthread_t thread;
	struct progress progress; /* the thread's */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* any of: */
	bool cancelled;
	bool reading; /* the thread is, a file to a page of its own, and at nothing else */
	bool over;    /* it is at its end */
	bool left;    /* to the thread, which is to free it: nothing else is there any more */
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- what is to be filled --- */

static int open_uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MOVE};
	FD_CLEANUP int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd = device < 0 ? -1 : ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	int ret;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/*
 * Nothing is there, as in memory that a program has locked (mlockall()) all is. But then a page of
 * the first block: the region's mapping is cut where blocks are watched, and becomes one again if
 * all of it has the same anon_vma by then, as the kernel calls it.
 */
static int prepare(const struct memory_region *region)
{
	if (madvise(region->host, region->range.size, MADV_DONTNEED))
		return -errno;
	*(volatile char *)region->host = 0;
	return 0;
}

int memory_fill_create(const struct guest_memory *mem, struct memory_fill **fill)
{
	const struct memory_region *region = &mem->regions[0];
	struct memory_fill *new;
	int ret;

	*fill = NULL;
	/* Where pages are larger one huge page would be many blocks, which come when one is
	 * touched. */
	if (!mem->comes_when_touched || (uintptr_t)region->host % BLOCK_SIZE ||
	    sysconf(_SC_PAGESIZE) != SMALL_PAGE)
		return -EOPNOTSUPP;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->mem = mem;
	new->begin = region->host;
	new->size = region->range.size;
	pthread_mutex_init(&new->lock, NULL);
	pthread_cond_init(&new->changed, NULL);
	new->blocks = calloc(1, new->size / BLOCK_SIZE + 1);
	ret = new->uffd = open_uffd();
	if (ret >= 0)
		ret = new->blocks ? prepare(region) : -ENOMEM;
	if (ret) {
		memory_fill_destroy(new);
		return ret;
	}
	*fill = new;
	return 0;
}

/* The blocks that @piece is in. */
static struct uffdio_range blocks_of(const struct memory_fill *fill, const struct piece *piece)
{
	const uint64_t from = piece->at / BLOCK_SIZE * BLOCK_SIZE;
	const uint64_t end = (piece->at + piece->len + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;

	return (struct uffdio_range){
		.start = (uintptr_t)fill->begin + from,
		.len = min(end, fill->size) - from,
	};
}

/* Who touches them will wait. */
static int watch(struct memory_fill *fill, const struct piece *piece)
{
	struct uffdio_register watched = {
		.range = blocks_of(fill, piece),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(fill->uffd, UFFDIO_REGISTER, &watched))
		return -errno;
	for (uint64_t at = piece->at / BLOCK_SIZE; at * BLOCK_SIZE < piece->at + piece->len; at++)
		fill->blocks[at] = BLOCK_AWAITED;
	return 0;
}

/* Whether @fd is the descriptor that @piece was made of, and not another file's by now. */
static bool is_of(const struct piece *piece, int fd)
{
	struct stat before, now;

	return piece->from == fd && fstat(piece->fd, &before) == 0 && fstat(fd, &now) == 0 &&
	       before.st_dev == now.st_dev && before.st_ino == now.st_ino;
}

/* For @piece a descriptor of its own, or of the piece before: a kernel may have many pieces. */
static int give_descriptor(const struct memory_fill *fill, struct piece *piece)
{
	const struct piece *last = fill->n_pieces > 0 ? &fill->pieces[fill->n_pieces - 1] : NULL;

	piece->owns_fd = !last || !is_of(last, piece->from);
	piece->fd = piece->owns_fd ? fcntl(piece->from, F_DUPFD_CLOEXEC, 0) : last->fd;
	return piece->fd < 0 ? -errno : 0;
}

static int add_piece(struct memory_fill *fill, struct piece *piece)
{
	struct piece *pieces = reallocarray(fill->pieces, fill->n_pieces + 1, sizeof(struct piece));
	int ret;

	if (!pieces)
		return -ENOMEM;
	fill->pieces = pieces;
	ret = give_descriptor(fill, piece);
	if (ret)
		return ret;
	ret = watch(fill, piece);
	if (ret && piece->owns_fd)
		close(piece->fd);
	if (!ret)
		pieces[fill->n_pieces++] = *piece;
	return ret;
}

int memory_fill_add(struct memory_fill *fill, gpa_t addr, int fd, uint64_t offset, uint64_t len,
		    const char *name)
{
	const char *host = memory_translate(fill->mem, addr, len);
	const uint64_t at = (uintptr_t)host - (uintptr_t)fill->begin;
	uint64_t at_once = 0;
	struct piece piece;
	int ret = 0;

	if (!host)
		return -EFAULT;
	if (at >= fill->size) /* in another region */
		at_once = len;
	else if (at < BLOCK_SIZE)
		at_once = min(BLOCK_SIZE - at, len);
	if (at_once > 0)
		ret = memory_read_file(fill->mem, addr, fd, offset, at_once);
	if (ret || at_once == len)
		return ret;
	piece = (struct piece){
		.at = at + at_once,
		.len = len - at_once,
		.from = fd,
		.offset = offset + at_once,
	};
	snprintf(piece.name, sizeof(piece.name), "%s", name);
	return add_piece(fill, &piece);
}

/* --- the thread --- */

static int read_piece(const struct piece *piece, uint64_t from, char *to, uint64_t len,
		      struct error *err)
{
	int ret = fd_read_all_at(piece->fd, to, len, piece->offset + from);

	if (ret == -ENODATA)
		return error_set(err, ret, "%s: it became shorter after it was opened",
				 piece->name);
	return ret ? error_code(err, ret, "%s", piece->name) : 0;
}

/* What all pieces have of [@at, @at + @len), at @page, which is zero. */
static int read_block(const struct memory_fill *fill, char *page, uint64_t at, uint64_t len,
		      struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < fill->n_pieces && !ret; i++) {
		const struct piece *piece = &fill->pieces[i];
		const uint64_t from = at > piece->at ? at : piece->at;
		const uint64_t end = min(at + len, piece->at + piece->len);

		if (from < end)
			ret = read_piece(piece, from - piece->at, page + (from - at), end - from,
					 err);
	}
	return ret;
}

/* As move_block(), if a program that has just been forked shares @page with it. */
static int copy_block(const struct memory_fill *fill, char *page, uint64_t at, uint64_t len,
		      struct error *err)
{
	uint64_t done = 0;

	while (done < len) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)fill->begin + at + done,
			.src = (uintptr_t)page + done,
			.len = len - done,
		};

		if (ioctl(fill->uffd, UFFDIO_COPY, &copy) == 0)
			break;
		if (errno != EAGAIN || copy.copy <= 0)
			return error_errno(err, "guest memory: userfaultfd");
		done += (uint64_t)copy.copy;
	}
	/* Zero again; in a program that locks its memory it stays. */
	if (madvise(page, len, MADV_DONTNEED))
		memset(page, 0, len);
	return 0;
}

/* Have @page be at @at, and wake who waits for it; it is nowhere else then. */
static int move_block(const struct memory_fill *fill, char *page, uint64_t at, uint64_t len,
		      struct error *err)
{
	uint64_t done = 0;

	while (done < len) {
		struct uffdio_move move = {
			.dst = (uintptr_t)fill->begin + at + done,
			.src = (uintptr_t)page + done,
			.len = len - done,
		};

		if (ioctl(fill->uffd, UFFDIO_MOVE, &move) == 0)
			break;
		if (errno != EAGAIN || move.move <= 0)
			return copy_block(fill, page + done, at + done, len - done, err);
		done += (uint64_t)move.move;
	}
	return 0;
}

/* From begin_reading() to end_reading() memory_fill_destroy() may leave the thread where it is. */
static int begin_reading(struct memory_fill *fill)
{
	bool go_on;

	pthread_mutex_lock(&fill->lock);
	go_on = fill->reading = !fill->cancelled;
	pthread_mutex_unlock(&fill->lock);
	return go_on ? 0 : -ECANCELED;
}

static int end_reading(struct memory_fill *fill, int ret)
{
	pthread_mutex_lock(&fill->lock);
	fill->reading = false;
	pthread_cond_broadcast(&fill->changed);
	if (fill->cancelled)
		ret = -ECANCELED;
	pthread_mutex_unlock(&fill->lock);
	return ret;
}

static int fill_block(struct memory_fill *fill, uint64_t i, char *page, struct error *err)
{
	const uint64_t at = i * BLOCK_SIZE, len = min(BLOCK_SIZE, fill->size - at);
	int ret;

	if (fill->blocks[i] != BLOCK_AWAITED)
		return 0;
	ret = begin_reading(fill);
	if (ret)
		return ret;
	/* Where it can't, pages come one by one. */
	madvise(page, len, MADV_POPULATE_WRITE);
	ret = end_reading(fill, read_block(fill, page, at, len, err));
	if (!ret)
		ret = move_block(fill, page, at, len, err);
	if (!ret)
		fill->blocks[i] = BLOCK_FILLED;
	return ret;
}

static int fill_awaited(struct memory_fill *fill, char *page, struct error *err)
{
	struct uffd_msg faults[FAULTS];
	ssize_t n = read(fill->uffd, faults, sizeof(faults));
	int ret = 0;

	/* Who waits for a block that was filled meanwhile doesn't any more. */
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(faults[0]) && !ret; i++) {
		const uint64_t at = faults[i].arg.pagefault.address - (uintptr_t)fill->begin;

		ret = fill_block(fill, at / BLOCK_SIZE, page, err);
	}
	return ret;
}

static int fill_all(struct memory_fill *fill, char *page, struct error *err)
{
	const uint64_t n = (fill->size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	uint64_t total = 0, done = 0;
	int ret = 0;

	for (uint64_t i = 0; i < n; i++)
		total += fill->blocks[i] == BLOCK_AWAITED ? BLOCK_SIZE : 0;
	fill->progress = progress_begin(fill->config.log, "loading", total, counter_now_ms());
	for (uint64_t i = 0; i < n && !ret; i++) {
		if (fill->blocks[i] == BLOCK_FREE)
			continue;
		ret = fill_awaited(fill, page, err);
		if (!ret)
			ret = fill_block(fill, i, page, err);
		done += BLOCK_SIZE;
		if (!ret)
			progress_tell(&fill->progress, done, counter_now_ms());
	}
	return ret;
}

static int fill_by_page(struct memory_fill *fill, struct error *err)
{
	const size_t size = (size_t)2 * BLOCK_SIZE;
	char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *page = pages + -(uintptr_t)pages % BLOCK_SIZE;
	int ret;

	if (pages == MAP_FAILED)
		return error_errno(err, "memory to read files to");
	madvise(page, BLOCK_SIZE, MADV_HUGEPAGE);
	ret = fill_all(fill, page, err);
	munmap(pages, size);
	return ret;
}

/* Nobody waits any more. (Closing uffd would do, unless a process has been forked meanwhile.) */
static void stop_watching(struct memory_fill *fill)
{
	for (size_t i = 0; i < fill->n_pieces; i++) {
		struct uffdio_range range = blocks_of(fill, &fill->pieces[i]);

		ioctl(fill->uffd, UFFDIO_UNREGISTER, &range);
	}
	fd_close(&fill->uffd);
}

static void close_files(struct memory_fill *fill)
{
	for (size_t i = 0; i < fill->n_pieces; i++) {
		if (fill->pieces[i].owns_fd)
			close(fill->pieces[i].fd);
	}
	fill->n_pieces = 0;
}

static void free_fill(struct memory_fill *fill)
{
	close_files(fill);
	pthread_mutex_destroy(&fill->lock);
	pthread_cond_destroy(&fill->changed);
	free(fill->pieces);
	free(fill->blocks);
	free(fill);
}

static void *run(void *opaque)
{
	struct memory_fill *fill = opaque;
	struct error err = {0};
	int ret = fill_by_page(fill, &err);
	bool left;

	if (ret != -ECANCELED) {
		fill->config.ended(fill->config.opaque, ret ? &err : NULL);
		stop_watching(fill);
		close_files(fill);
	}
	pthread_mutex_lock(&fill->lock);
	fill->over = true;
	left = fill->left;
	pthread_cond_broadcast(&fill->changed);
	pthread_mutex_unlock(&fill->lock);
	if (left)
		free_fill(fill);
	return NULL;
}

/* --- its life --- */

int memory_fill_start(struct memory_fill *fill, const struct memory_fill_config *config)
{
	const struct thread_config thread = {"fill", THREAD_FILL, config->filters};
	int ret;

	fill->config = *config;
	ret = thread_create(&fill->thread, &thread, run, fill);
	fill->begun = !ret;
	return ret;
}

/* Whether the thread is over; else it hangs in a file, and is left there. */
static bool end_thread(struct memory_fill *fill)
{
	struct timespec deadline;
	bool over, late = false;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&fill->lock);
	fill->cancelled = true;
	while (!fill->over && !(fill->reading && late)) {
		if (late)
			pthread_cond_wait(&fill->changed, &fill->lock);
		else
			late = pthread_cond_clockwait(&fill->changed, &fill->lock, CLOCK_MONOTONIC,
						      &deadline) == ETIMEDOUT;
	}
	over = fill->over;
	if (!over) {
		stop_watching(fill);
		pthread_detach(fill->thread);
		fill->left = true;
	}
	pthread_mutex_unlock(&fill->lock);
	return over;
}

void memory_fill_destroy(struct memory_fill *fill)
{
	if (!fill)
		return;
	if (fill->begun) {
		if (!end_thread(fill))
			return;
		pthread_join(fill->thread, NULL);
	}
	stop_watching(fill);
	free_fill(fill);
}
