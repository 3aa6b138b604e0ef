// SPDX-License-Identifier: GPL-2.0-only
/*
 * scribe.c - a child process whose work survives it.
 *
 * The server numbers the lines, in the order in which they lie in the mailbox.
 * The process writes a page of its book whole and then says which page counts
 * (release; pairs with scribe_read), so that whoever kills it where: a line was
 * counted and is known by its number when it is given out again, or it was not.
 */
#include "scribe.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TAG_ORDER	UINT64_MAX	/* of a message that is no line */
#define WAIT_NS		(5 * 1000000000LL)
#define BACKLOG		3072U		/* not well any more, of 4096 */

struct book {
	uint64_t turn;			/* its lowest bit says which page counts */
	struct scribe_book pages[2];
};

struct scribe {
	struct pulse_shmbox *box;
	int fd;
	struct book *book;		/* shared with the process */
	pthread_mutex_t lock;		/* tx, given: lines keep their order */
	struct pulse_shmbox_tx *tx;
	uint64_t given;
};

struct scribe *scribe_create(void)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, .slots = 4096, .slot_bytes = 2048,
		   .senders = 2, .overflow = PULSE_MAILBOX_BLOCK,
		   .block_ns = WAIT_NS);
	struct scribe *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->book = mmap(NULL, sizeof(*s->book), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->book == MAP_FAILED) {
		s->book = NULL;
	} else if (!pulse_shmbox_create(&opts, &s->box) &&
		   !pulse_shmbox_tx_open(s->box, &s->tx)) {
		s->fd = pulse_shmbox_fd(s->box);
		return s;
	}
	scribe_destroy(s);
	return NULL;
}

void scribe_destroy(struct scribe *s)
{
	pulse_shmbox_tx_close(s->tx);
	pulse_shmbox_destroy(s->box);
	if (s->book)
		munmap(s->book, sizeof(*s->book));
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- in the process ---------------------------------------------------------- */

static void die(const char *way)
{
	if (!strcmp(way, "exit"))
		_exit(3);
	if (!strcmp(way, "abort"))
		abort();
	if (!strcmp(way, "segv")) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile int *)0 = 0;
	}
	for (;;)		/* "hang": no beat any more */
		pause();
}

static void count(struct book *book, const struct pulse_message *msg)
{
	uint64_t turn = __atomic_load_n(&book->turn, __ATOMIC_RELAXED);
	struct scribe_book *next = &book->pages[(turn + 1) & 1];
	size_t bytes;
	const char *line = pulse_message_payload(msg, &bytes);

	*next = book->pages[turn & 1];
	if (pulse_message_tag(msg) <= next->last)
		return;		/* the one before us had counted it */
	next->last = pulse_message_tag(msg);
	next->lines++;
	next->bytes += bytes;
	for (size_t i = 0; i < bytes; i++)
		next->words += line[i] != ' ' && (!i || line[i - 1] == ' ');
	/* pairs with scribe_read */
	__atomic_store_n(&book->turn, turn + 1, __ATOMIC_RELEASE);
}

/*
 * The server's connections came along with the fork; as long as they are open
 * here, closing them there would not end them.
 */
static void close_sockets(void)
{
	struct dirent *e;
	struct stat st;
	DIR *fds = opendir("/proc/self/fd");

	while (fds && (e = readdir(fds))) {
		int fd = atoi(e->d_name);

		if (fd > 2 && !fstat(fd, &st) && S_ISSOCK(st.st_mode))
			close(fd);
	}
	if (fds)
		closedir(fds);
}

static int scribe_main(struct pulse_child *self, void *arg)
{
	struct scribe *s = arg;
	struct pulse_shmbox_rx *rx;
	struct pulse_message *msg;
	struct pulse_shmbox *box;
	int err;

	close_sockets();
	err = pulse_shmbox_open(s->fd, &box);
	if (err)
		return err;
	/* Whoever held it before is dead, or will be seen to be. */
	while ((err = pulse_shmbox_rx_open(box, -1, &rx)) == -EBUSY)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (err)
		return err;
	pulse_child_ready(self);
	for (;;) {
		err = pulse_shmbox_receive(rx, pulse_now_ns() + 100000000, &msg);
		pulse_child_beat(self);
		if (err == -ETIMEDOUT && pulse_child_stopping(self))
			return -ESHUTDOWN;
		if (err == -ESHUTDOWN)
			return -ESHUTDOWN;	/* closed, and all is counted */
		if (err == -ETIMEDOUT || err == -EPROTO)
			continue;
		if (err)
			return err;
		if (pulse_message_tag(msg) == TAG_ORDER) {
			/* Before it is obeyed, or the next one dies of it too. */
			pulse_shmbox_ack(rx);
			die(pulse_message_payload(msg, NULL));
		}
		count(s->book, msg);
		pulse_message_put(msg);
	}
}

/* ---- in the server ----------------------------------------------------------- */

static bool scribe_well(struct pulse_child *self, void *arg)
{
	(void)self;
	return scribe_backlog(arg) < BACKLOG;
}

void scribe_spec(struct scribe *s, struct pulse_child_spec *spec)
{
	static const struct pulse_child_rlimit no_core = {
		.resource = RLIMIT_CORE,
	};

	spec->kind = PULSE_CHILD_PROCESS;
	/* When all is counted it may go; it comes back from everything else. */
	spec->restart = PULSE_CHILD_TRANSIENT;
	spec->rlimits = &no_core;
	spec->nr_rlimits = 1;
	spec->fn = scribe_main;
	spec->arg = s;
	/* A group of its own: Ctrl-C is for the server, which tells it. */
	spec->flags = PULSE_CHILD_READY | PULSE_CHILD_CATCH_STOP |
		      PULSE_CHILD_GROUP;
	spec->start_timeout_ms = 30000;
	spec->hang_ms = 2000;
	spec->health = scribe_well;
	spec->health_interval_ms = 500;
	spec->health_timeout_ms = 10000;
}

static int send_locked(struct scribe *s, const struct pulse_message_opts *opts)
{
	int64_t until = pulse_now_ns() + WAIT_NS;
	struct pulse_message *msg;
	int err = pulse_message_create(opts, &msg);

	if (err)
		return err;
	/* -ESRCH: full, and the scribe is dead: its successor makes room. */
	while ((err = pulse_shmbox_send(s->tx, msg)) == -ESRCH &&
	       pulse_now_ns() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	pulse_message_put(msg);
	return err;
}

int scribe_record(struct scribe *s, const char *who, const char *line, size_t len)
{
	int err;

	pthread_mutex_lock(&s->lock);
	PULSE_OPTS(pulse_message_opts, opts, .sender = who, .payload = line,
		   .payload_bytes = len, .tag = s->given + 1);
	err = send_locked(s, &opts);
	if (!err)
		__atomic_store_n(&s->given, s->given + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&s->lock);
	return err;
}

int scribe_order(struct scribe *s, const char *way)
{
	static const char *const ways[] = { "segv", "abort", "exit", "hang" };
	int err = -EINVAL;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(way, ways[i]))
			err = 0;
	if (err)
		return err;
	PULSE_OPTS(pulse_message_opts, opts, .payload = way,
		   .payload_bytes = strlen(way), .tag = TAG_ORDER,
		   .priority = PULSE_MESSAGE_CRITICAL);
	pthread_mutex_lock(&s->lock);
	err = send_locked(s, &opts);
	pthread_mutex_unlock(&s->lock);
	return err;
}

void scribe_read(struct scribe *s, struct scribe_book *book)
{
	uint64_t turn, after;

	/* pairs with count; a page is written again once the other one counts */
	do {
		turn = __atomic_load_n(&s->book->turn, __ATOMIC_ACQUIRE);
		*book = s->book->pages[turn & 1];
		/* Adds nothing: a load that the copy stays before. */
		after = __atomic_fetch_add(&s->book->turn, 0, __ATOMIC_ACQ_REL);
	} while (after != turn);
}

uint64_t scribe_given(struct scribe *s)
{
	return __atomic_load_n(&s->given, __ATOMIC_RELAXED);
}

size_t scribe_backlog(struct scribe *s)
{
	return pulse_shmbox_count(s->box);
}

int scribe_finish(struct scribe *s, int64_t deadline_ns)
{
	struct scribe_book book;

	pulse_shmbox_close(s->box);
	for (scribe_read(s, &book); book.lines < scribe_given(s);
	     scribe_read(s, &book)) {
		if (pulse_now_ns() > deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return 0;
}
