// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * poller_uring.c - waiting with io_uring; see uring.h.
 *
 * A watched descriptor is a poll request for one event, armed again after its
 * handler: arming looks at the condition, so that it is level-triggered as the
 * contract asks. Its user_data is a token of its slot and a count of armings,
 * by which a completion of an earlier one is known.
 */
#include "io/uring.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES		256
#define COMPLETIONS	4096
#define FIRST_BUFS	16
#define BGID		0
/*
 * Buffers lie so far apart, besides: where they began with the same bits of their
 * addresses, the beginnings, which is all that short messages use, would share a
 * few sets of the caches.
 */
#define BUF_STEP	(4096 + 5 * 64)

/* user_data of a poll: tag 3, arming 8, slot 24, generation 29 */
#define SLOT_BITS	24
#define MAX_SLOTS	(1U << SLOT_BITS)

static __thread pid_t my_tid __attribute__((tls_model("initial-exec")));

static pid_t tid(void)
{
	if (unlikely(!my_tid))
		my_tid = gettid();
	return my_tid;
}

bool pulse__uring_mine(const struct pulse__uring *u)
{
	return u->live && u->enabled && u->owner == tid();
}

struct io_uring_sqe *pulse__uring_sqe(struct pulse__uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	u->last_sender = NULL;
	if (unlikely(!sqe)) {
		io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

void pulse__uring_cancel(struct pulse__uring *u, uint64_t user_data)
{
	struct io_uring_sqe *sqe = pulse__uring_sqe(u);

	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, user_data, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, PULSE__URING_NONE);
}

/* Failed sends are told before anything that came after them is handled. */
static void look_for_failed_sends(struct pulse__uring *u)
{
	unsigned int head = *u->ring.cq.khead, mask = *u->ring.cq.kring_mask;
	unsigned int n = io_uring_cq_ready(&u->ring);

	for (unsigned int i = 0; i < n; i++) {
		struct io_uring_cqe *cqe = &u->ring.cq.cqes[(head + i) & mask];

		if (unlikely((cqe->user_data & PULSE__URING_TAGS) ==
			     PULSE__URING_SEND)) {
			pulse__uring_send_failed(cqe->user_data, cqe->res);
			cqe->user_data = PULSE__URING_NONE;
		}
	}
	while (u->nr_held)
		pulse__uring_recycle(u, u->held[--u->nr_held]);
	u->lent_is_sent = false;
	u->has_sends = false;
	u->outbox_used = 0;
	u->batch++;
}

void pulse__uring_flush(struct pulse__uring *u)
{
	if (!pulse__uring_mine(u))
		return;
	u->last_sender = NULL;
	io_uring_submit_and_get_events(&u->ring);
	if (u->has_sends)
		look_for_failed_sends(u);
}

/* ---- buffers -------------------------------------------------------------- */

static void give(struct pulse__uring *u, int bid)
{
	io_uring_buf_ring_add(u->bufs, pulse__uring_buf(u, bid),
			      (unsigned int)u->buf_bytes, (unsigned short)bid,
			      io_uring_buf_ring_mask(PULSE__URING_BUFS), 0);
	io_uring_buf_ring_advance(u->bufs, 1);
}

void pulse__uring_recycle(struct pulse__uring *u, int bid)
{
	if (u->live && bid >= 0)
		give(u, bid);
}

void pulse__uring_lend(struct pulse__uring *u, int bid)
{
	if (u->lent_is_sent)
		u->held[u->nr_held++] = (uint16_t)u->lent;
	else
		pulse__uring_recycle(u, u->lent);
	u->lent_is_sent = false;
	u->lent = bid;
}

/*
 * Few to begin with, because those are used in turn and should stay in the
 * cache; as many as there are connections with something to receive at once.
 */
void pulse__uring_more_bufs(struct pulse__uring *u)
{
	uint32_t upto = u->nr_bufs ? u->nr_bufs * 2 : FIRST_BUFS;

	while (u->nr_bufs < upto && u->nr_bufs < PULSE__URING_BUFS)
		give(u, (int)u->nr_bufs++);
}

static int bufs_make(struct pulse__uring *u)
{
	size_t ring_bytes = PULSE__URING_BUFS * sizeof(struct io_uring_buf);
	size_t bytes = PULSE__URING_BUFS * u->buf_stride;

	u->bufs = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (u->bufs == MAP_FAILED) {
		u->bufs = NULL;
		return -ENOMEM;
	}
	u->outbox = pulse__malloc(PULSE__URING_OUTBOX);
	if (!u->outbox)
		return -ENOMEM;
	/* Pages come with their first use. */
	u->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (u->mem == MAP_FAILED) {
		u->mem = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void bufs_free(struct pulse__uring *u)
{
	if (u->bufs)
		munmap(u->bufs, PULSE__URING_BUFS * sizeof(struct io_uring_buf));
	pulse__free(u->outbox);
	if (u->mem)
		munmap(u->mem, PULSE__URING_BUFS * u->buf_stride);
}

/* ---- the ring ------------------------------------------------------------- */

static int ring_make(struct pulse__uring *u)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
			 IORING_SETUP_SUBMIT_ALL,
		.cq_entries = COMPLETIONS,
	};
	struct io_uring_buf_reg reg = {
		.ring_addr = (uint64_t)(uintptr_t)u->bufs,
		.ring_entries = PULSE__URING_BUFS,
		.bgid = BGID,
	};
	int err = io_uring_queue_init_params(ENTRIES, &u->ring, &params);

	if (err)
		return err;
	if (!(params.features & IORING_FEAT_EXT_ARG) ||
	    !(params.features & IORING_FEAT_CQE_SKIP) ||
	    !(params.features & IORING_FEAT_NODROP))
		err = -ENOSYS;
	if (!err)
		err = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (err) {
		io_uring_queue_exit(&u->ring);
		return err;
	}
	io_uring_buf_ring_init(u->bufs);
	u->nr_bufs = 0;
	u->lent = -1;
	pulse__uring_more_bufs(u);
	u->live = true;
	u->enabled = false;
	return 0;
}

static void watch_wake(struct pulse__uring *u)
{
	struct io_uring_sqe *sqe = pulse__uring_sqe(u);

	io_uring_prep_read(sqe, u->wakefd, &u->wake_count, sizeof(u->wake_count),
			   0);
	io_uring_sqe_set_data64(sqe, PULSE__URING_WAKE);
}

static uint64_t poll_data(const struct pulse__poller_slot *s, uint32_t n)
{
	return (uint64_t)(s->gen & 0x1fffffff) << 35 | (uint64_t)n << 11 |
	       (uint64_t)s->arming << 3 | PULSE__URING_POLL;
}

enum { IDLE, DUE, ARMED };

/* At the next wait, so that it tells how things are then. */
static void arm(struct pulse__uring *u, struct pulse__poller_slot *s, uint32_t n)
{
	if (s->armed != IDLE)
		return;
	s->armed = DUE;
	s->next_due = u->first_due;
	u->first_due = n + 1;
}

static void arm_now(struct pulse__uring *u, struct pulse__poller_slot *s,
		    uint32_t n)
{
	struct io_uring_sqe *sqe;

	if (s->armed != DUE)
		return;
	s->armed = IDLE;
	if (!s->fn)
		return;
	sqe = pulse__uring_sqe(u);
	if (!sqe) {
		u->stale = true;
		return;
	}
	s->arming++;
	s->armed = ARMED;
	io_uring_prep_poll_add(sqe, s->fd,
			       (s->events & PULSE_POLLER_IN ? POLLIN : 0U) |
			       (s->events & PULSE_POLLER_OUT ? POLLOUT : 0U));
	io_uring_sqe_set_data64(sqe, poll_data(s, n));
}

static struct pulse__poller_slot *slot_at(struct pulse_poller *p, uint32_t n)
{
	return &p->chunks[n / PULSE__SLOT_CHUNK][n % PULSE__SLOT_CHUNK];
}

static void arm_due(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);

	while (u->first_due) {
		uint32_t n = u->first_due - 1;
		struct pulse__poller_slot *s = slot_at(p, n);

		u->first_due = s->next_due;
		arm_now(u, s, n);
	}
}

static void arm_all(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);

	u->stale = false;
	for (uint32_t n = 0; n < p->nr_chunks * PULSE__SLOT_CHUNK; n++)
		if (slot_at(p, n)->fn)
			arm(u, slot_at(p, n), n);
	pulse__uring_arm_streams(p);
	pulse__uring_arm_ops(p);
}

void pulse__uring_retire(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct io_uring_cqe *cqe;

	if (!u->live)
		return;
	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		if ((cqe->user_data & PULSE__URING_TAGS) == PULSE__URING_OP)
			pulse__uring_op_keep(cqe->user_data, cqe->res);
		else
			pulse__uring_keep(p, cqe->user_data, cqe->res,
					  cqe->flags);
		io_uring_cqe_seen(&u->ring, cqe);
	}
	io_uring_queue_exit(&u->ring);
	u->live = u->enabled = false;
	u->stale = true;
	for (uint32_t n = 0; n < p->nr_chunks * PULSE__SLOT_CHUNK; n++)
		slot_at(p, n)->armed = IDLE;
	u->first_due = 0;
	u->nr_held = 0;
	u->lent_is_sent = false;
	u->has_sends = false;
	u->outbox_used = 0;
	u->batch++;
	pulse__uring_disarm_streams(p);
	pulse__uring_disarm_ops(p);
}

/*
 * The ring is made by the thread that will use it, for the system also lets the
 * maker know of its end, by interrupting whatever call it waits in.
 */
static int uring_begin(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	int err;

	if (likely(pulse__uring_mine(u)))
		return 0;
	pulse__uring_retire(p);
	if (u->sparefd >= 0)
		close(u->sparefd);
	u->sparefd = -1;
	err = ring_make(u);
	if (err)
		return err;
	/* liburing 2.3 declares io_uring_enable_rings() and lacks it. */
	if (syscall(__NR_io_uring_register, u->ring.ring_fd,
		    IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0) {
		err = -errno;
		pulse__uring_retire(p);
		return err;
	}
	u->enabled = true;
	u->owner = tid();
	watch_wake(u);
	return 0;
}

struct probe {
	struct pulse__uring *u;
	int err;
};

static void *probe_thread(void *arg)
{
	struct probe *p = arg;

	p->err = ring_make(p->u);
	if (!p->err)
		io_uring_queue_exit(&p->u->ring);
	p->u->live = false;
	return NULL;
}

/*
 * Is there an io_uring that will do? Asked of the system once, by a thread of
 * its own, because of what uring_begin() says of makers.
 */
static int probe(struct pulse__uring *u)
{
	static int known = 1;
	struct probe p = { .u = u, .err = __atomic_load_n(&known, __ATOMIC_RELAXED) };
	sigset_t all, old;
	pthread_t thread;
	int err;

	if (p.err <= 0)
		return p.err;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&thread, NULL, probe_thread, &p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	pthread_join(thread, NULL);
	if (!p.err || p.err == -ENOSYS || p.err == -EINVAL || p.err == -EPERM)
		__atomic_store_n(&known, p.err, __ATOMIC_RELAXED);
	return p.err;
}

static int uring_open(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->buf_bytes = p->buffer_bytes;
	u->buf_stride = u->buf_bytes + BUF_STEP;
	u->stale = true;
	u->batch = 1;
	pulse__list_init(&u->streams);
	pulse__list_init(&u->ops);
	pulse__list_init(&u->ready);
	u->wakefd = eventfd(0, EFD_CLOEXEC);
	u->sparefd = u->wakefd < 0 ? -1 :
		     fcntl(u->wakefd, F_DUPFD_CLOEXEC, 0);
	err = u->sparefd < 0 ? -errno : bufs_make(u);
	if (!err)
		err = probe(u);
	if (!err) {
		p->sys = u;
		return 0;
	}
	bufs_free(u);
	if (u->sparefd >= 0)
		close(u->sparefd);
	if (u->wakefd >= 0)
		close(u->wakefd);
	pulse__free(u);
	return err;
}

static void uring_close(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);

	pulse__uring_flush(u);
	pulse__uring_retire(p);
	pulse__uring_drop_streams(p);
	pulse__uring_drop_ops(p);
	bufs_free(u);
	close(u->wakefd);
	if (u->sparefd >= 0)
		close(u->sparefd);
	pulse__free(u->lent_spill);
	pulse__free(u->by_fd);
	pulse__free(u);
}

/* ---- descriptors ---------------------------------------------------------- */

static int room_for_fd(struct pulse__uring *u, int fd)
{
	size_t nr = u->nr_by_fd ? u->nr_by_fd : 64;
	uint32_t *by_fd;

	if ((size_t)fd < u->nr_by_fd)
		return 0;
	while (nr <= (size_t)fd)
		nr *= 2;
	by_fd = pulse__realloc(u->by_fd, nr * sizeof(*by_fd));
	if (!by_fd)
		return -ENOMEM;
	memset(by_fd + u->nr_by_fd, 0, (nr - u->nr_by_fd) * sizeof(*by_fd));
	u->by_fd = by_fd;
	u->nr_by_fd = nr;
	return 0;
}

/* What epoll would say of it. */
static int watchable(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : 0;
}

static int uring_add(struct pulse_poller *p, int fd, uint32_t events,
		     uint64_t token)
{
	struct pulse__uring *u = pulse__uring_of(p);
	uint32_t n = (uint32_t)token;
	int err;

	(void)events;		/* the slot has them */
	if (n >= MAX_SLOTS)
		return -ENOSPC;
	err = watchable(fd);
	if (!err)
		err = room_for_fd(u, fd);
	if (err)
		return err;
	if (u->by_fd[fd])
		return -EEXIST;
	u->by_fd[fd] = n + 1;
	if (!pulse__uring_mine(u)) {
		u->stale = true;
		return 0;
	}
	arm(u, slot_at(p, n), n);
	return 0;
}

static void disarm(struct pulse_poller *p, struct pulse__poller_slot *s,
		   uint32_t n)
{
	struct pulse__uring *u = pulse__uring_of(p);

	if (s->armed != ARMED)
		return;		/* one that is due looks again when it is */
	if (!pulse__uring_mine(u)) {
		pulse__uring_retire(p);
		return;
	}
	pulse__uring_cancel(u, poll_data(s, n));
	s->armed = IDLE;
}

static int uring_mod(struct pulse_poller *p, int fd, uint32_t events,
		     uint64_t token)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct pulse__poller_slot *s = slot_at(p, (uint32_t)token);

	(void)fd;
	disarm(p, s, (uint32_t)token);
	s->events = (uint16_t)events;
	if (pulse__uring_mine(u))
		arm(u, s, (uint32_t)token);
	else
		u->stale = true;
	return 0;
}

static void uring_del(struct pulse_poller *p, int fd)
{
	struct pulse__uring *u = pulse__uring_of(p);
	uint32_t n = u->by_fd[fd] - 1;

	u->by_fd[fd] = 0;
	disarm(p, slot_at(p, n), n);
}

/* A poll holds the file, which the caller may be about to close. */
static void uring_deleted(struct pulse_poller *p)
{
	pulse__uring_flush(pulse__uring_of(p));
}

static bool polled(struct pulse_poller *p, uint64_t data, int res)
{
	uint32_t n = (uint32_t)(data >> 11) & (MAX_SLOTS - 1);
	struct pulse__poller_slot *s;
	uint32_t gen, events;

	if (n / PULSE__SLOT_CHUNK >= p->nr_chunks)
		return false;
	s = slot_at(p, n);
	if (!s->fn || s->armed != ARMED || poll_data(s, n) != data)
		return false;
	s->armed = IDLE;
	gen = s->gen;
	if (res < 0) {
		events = PULSE_POLLER_ERR;
	} else {
		events = (res & POLLIN ? PULSE_POLLER_IN : 0U) |
			 (res & POLLOUT ? PULSE_POLLER_OUT : 0U);
		events &= s->events;
		if (res & (POLLERR | POLLHUP))
			events |= PULSE_POLLER_ERR;
	}
	if (events)
		s->fn(p, s->fd, events, s->arg);
	s = slot_at(p, n);
	if (s->fn && s->gen == gen)
		arm(pulse__uring_of(p), s, n);
	return events;
}

/* ---- waiting -------------------------------------------------------------- */

static bool completed(struct pulse_poller *p, const struct io_uring_cqe *cqe)
{
	struct pulse__uring *u = pulse__uring_of(p);
	uint64_t data = cqe->user_data;

	switch (data & PULSE__URING_TAGS) {
	case PULSE__URING_NONE:
		return false;
	case PULSE__URING_WAKE:
		u->woken = true;
		watch_wake(u);
		return false;
	case PULSE__URING_POLL:
		return polled(p, data, cqe->res);
	case PULSE__URING_OP:
		return pulse__uring_op_done(data, cqe->res, cqe->flags);
	default:
		return pulse__uring_completed(p, data, cqe->res, cqe->flags);
	}
}

static int enter(struct pulse_poller *p, int64_t deadline_ns)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;
	int64_t left;

	if (deadline_ns == PULSE_FOREVER)
		return io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, NULL,
							NULL);
	left = deadline_ns > 0 ? deadline_ns - p->now_ns : 0;
	if (left > 0 && left < 100 * PULSE__NSEC_PER_MSEC)
		left = deadline_ns - pulse_now_ns();
	if (left <= 0) {
		io_uring_submit_and_get_events(&u->ring);
		return -ETIME;
	}
	ts.tv_sec = left / PULSE__NSEC_PER_SEC;
	ts.tv_nsec = left % PULSE__NSEC_PER_SEC;
	return io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
}

/* The one completion that is there is the bell's. */
static bool only_woken(const struct pulse__uring *u)
{
	return (u->ring.cq.cqes[*u->ring.cq.khead & *u->ring.cq.kring_mask]
		.user_data & PULSE__URING_TAGS) == PULSE__URING_WAKE;
}

static int uring_wait(struct pulse_poller *p, int64_t deadline_ns)
{
	struct pulse__uring *u = pulse__uring_of(p);
	unsigned int n;
	int handled, err;

	if (unlikely(u->stale))
		arm_all(p);
	if (!pulse__list_empty(&u->ready) || unlikely(u->kept))
		deadline_ns = 0;
	u->woken = false;
	u->last_sender = NULL;
	arm_due(p);
	err = enter(p, deadline_ns);
	WRITE_ONCE(p->asleep, 0);
	p->now_ns = pulse_now_ns();
	n = io_uring_cq_ready(&u->ring);
	if (unlikely(p->worker))
		pulse__poller_worker_awake(p, n > 1 || u->kept ||
					   !pulse__list_empty(&u->ready) ||
					   (n == 1 && !only_woken(u)));
	if (u->has_sends)
		look_for_failed_sends(u);
	if (n > p->max_events)
		n = p->max_events;
	handled = pulse__uring_call_ready(p);
	if (unlikely(u->kept))
		handled += pulse__uring_call_kept(p);
	while (n--) {
		struct io_uring_cqe cqe =
			u->ring.cq.cqes[*u->ring.cq.khead &
					*u->ring.cq.kring_mask];

		io_uring_cq_advance(&u->ring, 1);
		handled += completed(p, &cqe);
	}
	/* What only concerned the ring ends no wait, but that of who has unparked. */
	if (!handled && !u->woken && err >= 0 && deadline_ns && !p->worker)
		return PULSE__POLLER_AGAIN;
	return handled;
}

static void uring_wake(struct pulse_poller *p)
{
	uint64_t one = 1;

	while (write(pulse__uring_of(p)->wakefd, &one, sizeof(one)) < 0 &&
	       errno == EINTR)
		;
}

static int uring_bell(struct pulse_poller *p)
{
	return pulse__uring_of(p)->wakefd;
}

/* The run ends: what its last turn has prepared must not wait for the next. */
static void uring_leave(struct pulse_poller *p)
{
	if (pulse__uring_of(p)->has_sends)
		pulse__uring_flush(pulse__uring_of(p));
}

static int uring_fd(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);

	if (u->stale)
		arm_all(p);
	arm_due(p);
	pulse__uring_flush(u);
	return u->ring.ring_fd;
}

const struct pulse__poller_ops pulse__poller_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.add = uring_add,
	.mod = uring_mod,
	.del = uring_del,
	.deleted = uring_deleted,
	.begin = uring_begin,
	.wait = uring_wait,
	.wake = uring_wake,
	.bell = uring_bell,
	.fd = uring_fd,
	.leave = uring_leave,
	.adopt = pulse__uring_adopt,
	.set_peer = pulse__uring_set_peer,
	.accept = pulse__uring_accept,
	.dial = pulse__uring_dial,
	.op_hold = pulse__uring_op_hold,
	.op_end = pulse__uring_op_end,
};
