// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shmbox.c - a mailbox between processes is made, attached to and given back;
 * its figures. What is where stands in shmbox.h.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/pulse.h>

#include "backend/backend.h"
#include "mailbox/shmbox.h"

#define PULSE__SHMBOX_SLOTS	64U
#define PULSE__SHMBOX_SLOT	1024U
#define PULSE__SHMBOX_SENDERS	8U

/* Fills the defaults in; the options of each queue follow. 0, -EINVAL. */
static int pulse__shmbox_sizes(struct pulse_shmbox_opts *o,
			       struct pulse_queue_opts *qo)
{
	if (!o->slots)
		o->slots = PULSE__SHMBOX_SLOTS;
	if (!o->slot_bytes)
		o->slot_bytes = PULSE__SHMBOX_SLOT;
	if (!o->senders)
		o->senders = PULSE__SHMBOX_SENDERS;
	if (o->slots > 65536 || o->slot_bytes < 128 ||
	    o->overflow > PULSE_MAILBOX_BLOCK || o->block_ns < 0 ||
	    (o->block_ns && o->overflow != PULSE_MAILBOX_BLOCK) ||
	    o->default_ttl_ns < 0 || o->reserved ||
	    o->dead_letters > 65536 || o->dead_letters == 1 ||
	    (o->dead_letters & (o->dead_letters - 1)))
		return -EINVAL;
	*qo = (struct pulse_queue_opts){
		.sz = sizeof(*qo),
		.kind = PULSE_QUEUE_MPSC,
		.overflow = o->overflow == PULSE_MAILBOX_DROP_NEW ?
			    PULSE_QUEUE_DROP_NEW :
			    o->overflow == PULSE_MAILBOX_DROP_OLD ?
			    PULSE_QUEUE_DROP_OLD : PULSE_QUEUE_ERROR,
		.entries = o->slots,
		.elem_bytes = o->slot_bytes,
		.lanes = o->senders,
	};
	return pulse_queue_bytes(qo) ? 0 : -EINVAL;
}

static size_t pulse__shmbox_queue_bytes(const struct pulse_queue_opts *qo)
{
	return pulse__align_up(pulse_queue_bytes(qo), PULSE_CACHE_PAIR);
}

/* Of the dead letters' queue. */
static struct pulse_queue_opts
pulse__shmbox_dead_opts(const struct pulse_shmbox_opts *o)
{
	return (struct pulse_queue_opts){
		.sz = sizeof(struct pulse_queue_opts),
		.kind = PULSE_QUEUE_MPSC,
		.overflow = PULSE_QUEUE_ERROR,
		.entries = o->dead_letters,
		.elem_bytes = o->slot_bytes,
		.lanes = 1,
	};
}

static size_t pulse__shmbox_need(const struct pulse_shmbox_opts *o,
				 const struct pulse_queue_opts *qo)
{
	struct pulse_queue_opts dead = pulse__shmbox_dead_opts(o);

	return sizeof(struct pulse__shmbox_shm) + PULSE_MESSAGE_PRIORITIES *
	       pulse__shmbox_queue_bytes(qo) +
	       (o->dead_letters ? pulse__shmbox_queue_bytes(&dead) : 0);
}

static int pulse__shmbox_opts(struct pulse_shmbox_opts *o,
			      struct pulse_queue_opts *qo,
			      const struct pulse_shmbox_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), default_ttl_ns),
				   opts);

	return err ? err : pulse__shmbox_sizes(o, qo);
}

size_t pulse_shmbox_bytes(const struct pulse_shmbox_opts *opts)
{
	struct pulse_shmbox_opts o;
	struct pulse_queue_opts qo;

	return pulse__shmbox_opts(&o, &qo, opts) ? 0 :
	       pulse__shmbox_need(&o, &qo);
}

static void pulse__shmbox_free(struct pulse_shmbox *mb)
{
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
		pulse_queue_destroy(mb->queue[i]);
	pulse_queue_destroy(mb->dead);
	mb->magic = PULSE__MAGIC_DEAD;
	pulse__free(mb);
}

/* A handle on @mem, whose sizes are checked; its queues are made, or found. */
static int pulse__shmbox_new(void *mem, const struct pulse_shmbox_opts *o,
			     const struct pulse_queue_opts *qo, bool format,
			     struct pulse_shmbox **out)
{
	size_t each = pulse__shmbox_queue_bytes(qo);
	unsigned char *at = (unsigned char *)mem +
			    sizeof(struct pulse__shmbox_shm);
	struct pulse_shmbox *mb;
	int err = 0;

	mb = pulse__calloc(1, sizeof(*mb));
	if (!mb)
		return -ENOMEM;
	mb->shm = mem;
	mb->slot_bytes = o->slot_bytes;
	mb->overflow = o->overflow;
	mb->block_ns = o->block_ns ? o->block_ns : PULSE_FOREVER;
	mb->default_ttl_ns = o->default_ttl_ns;
	mb->own.fd = -1;
	mb->fork_gen = pulse__fork_generation();
	mb->magic = PULSE__SHMBOX_MAGIC;
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES && !err; i++, at += each) {
		if (format)
			err = pulse_queue_format(at, each, qo, &mb->queue[i]);
		else
			err = pulse_queue_attach(at, each, &mb->queue[i]);
		if (!err && (pulse_queue_elem_bytes(mb->queue[i]) !=
			     o->slot_bytes ||
			     pulse_queue_capacity(mb->queue[i]) != o->slots))
			err = -EPROTO;
	}
	if (!err && o->dead_letters) {
		struct pulse_queue_opts dead = pulse__shmbox_dead_opts(o);

		each = pulse__shmbox_queue_bytes(&dead);
		err = format ? pulse_queue_format(at, each, &dead, &mb->dead) :
			       pulse_queue_attach(at, each, &mb->dead);
		if (!err && pulse_queue_elem_bytes(mb->dead) != o->slot_bytes)
			err = -EPROTO;
	}
	if (err) {
		pulse__shmbox_free(mb);
		return err;
	}
	*out = mb;
	return 0;
}

int pulse_shmbox_format(void *mem, size_t bytes,
			const struct pulse_shmbox_opts *opts,
			struct pulse_shmbox **out)
{
	struct pulse__shmbox_shm *shm = mem;
	struct pulse_shmbox_opts o;
	struct pulse_queue_opts qo;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__shmbox_opts(&o, &qo, opts);
	if (err)
		return err;
	if (!mem || !pulse__is_aligned(mem, PULSE_CACHE_PAIR) ||
	    bytes < pulse__shmbox_need(&o, &qo))
		return -EINVAL;
	memset(shm, 0, sizeof(*shm));
	shm->slots = o.slots;
	shm->slot_bytes = o.slot_bytes;
	shm->senders = o.senders;
	shm->overflow = o.overflow;
	shm->block_ns = o.block_ns;
	shm->default_ttl_ns = o.default_ttl_ns;
	shm->dead_letters = o.dead_letters;
	shm->worker = -1;
	err = pulse__shmbox_new(mem, &o, &qo, true, out);
	/* pairs with pulse_shmbox_attach: all of it is there */
	if (!err)
		pulse__store_release(&shm->magic, PULSE__SHMBOX_SHM);
	return err;
}

int pulse_shmbox_attach(void *mem, size_t bytes, struct pulse_shmbox **out)
{
	const struct pulse__shmbox_shm *shm = mem;
	struct pulse_shmbox_opts o = { .sz = sizeof(o) };
	struct pulse_queue_opts qo;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!mem || !pulse__is_aligned(mem, PULSE_CACHE_PAIR))
		return -EINVAL;
	/* pairs with pulse_shmbox_format */
	if (bytes < sizeof(*shm) ||
	    pulse__load_acquire(&shm->magic) != PULSE__SHMBOX_SHM)
		return -EPROTO;
	/* Each word once: a peer may change it between check and use. */
	o.slots = READ_ONCE(shm->slots);
	o.slot_bytes = READ_ONCE(shm->slot_bytes);
	o.senders = READ_ONCE(shm->senders);
	o.overflow = READ_ONCE(shm->overflow);
	o.block_ns = READ_ONCE(shm->block_ns);
	o.default_ttl_ns = READ_ONCE(shm->default_ttl_ns);
	o.dead_letters = READ_ONCE(shm->dead_letters);
	if (!o.slots || !o.slot_bytes || !o.senders ||
	    pulse__shmbox_sizes(&o, &qo) ||
	    bytes < pulse__shmbox_need(&o, &qo))
		return -EPROTO;
	return pulse__shmbox_new(mem, &o, &qo, false, out);
}

/* ---- in a memfd -------------------------------------------------------- */

static int pulse__memfd_mmap(struct pulse__memfd *m, size_t bytes)
{
	int err;

	m->bytes = bytes;
	m->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->mem != MAP_FAILED)
		return 0;
	err = -errno;
	close(m->fd);
	return err;
}

int pulse__memfd_make(struct pulse__memfd *m, const char *name, size_t bytes)
{
	int err;

	if (pulse__alloc_fault())
		return -ENOMEM;
	m->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0)
		return -errno;
	if (!ftruncate(m->fd, (off_t)bytes) &&
	    !fcntl(m->fd, F_ADD_SEALS,
		   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return pulse__memfd_mmap(m, bytes);
	err = -errno;
	close(m->fd);
	return err;
}

int pulse__memfd_map(struct pulse__memfd *m, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || fstat(fd, &st))
		return -EINVAL;
	if (!(seals & F_SEAL_SHRINK))
		return -EPERM;
	if (st.st_size < (off_t)PULSE_CACHE_PAIR)
		return -EPROTO;
	m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (m->fd < 0)
		return -errno;
	return pulse__memfd_mmap(m, (size_t)st.st_size);
}

void pulse__memfd_end(const struct pulse__memfd *m)
{
	if (m->bytes)
		munmap(m->mem, m->bytes);
	if (m->fd >= 0)
		close(m->fd);
}

int pulse__memfd_settle(const struct pulse__memfd *m, int err,
			struct pulse__memfd *to)
{
	if (err)
		pulse__memfd_end(m);
	else
		*to = *m;
	return err;
}

int pulse_shmbox_create(const struct pulse_shmbox_opts *opts,
			struct pulse_shmbox **out)
{
	struct pulse__memfd m;
	size_t bytes;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	bytes = pulse_shmbox_bytes(opts);
	if (!bytes) {
		/* Why not says the check that format would do. */
		struct pulse_shmbox_opts o;
		struct pulse_queue_opts qo;

		return pulse__shmbox_opts(&o, &qo, opts);
	}
	err = pulse__memfd_make(&m, "pulse-mailbox", bytes);
	if (err)
		return err;
	err = pulse_shmbox_format(m.mem, bytes, opts, out);
	return pulse__memfd_settle(&m, err, err ? NULL : &(*out)->own);
}

int pulse_shmbox_open(int fd, struct pulse_shmbox **out)
{
	struct pulse__memfd m;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__memfd_map(&m, fd);
	if (err)
		return err;
	err = pulse_shmbox_attach(m.mem, m.bytes, out);
	return pulse__memfd_settle(&m, err, err ? NULL : &(*out)->own);
}

int pulse_shmbox_fd(const struct pulse_shmbox *mb)
{
	if (!mb || mb->own.fd < 0)
		return -EINVAL;
	return pulse__forked(mb->fork_gen) ? -EOWNERDEAD : mb->own.fd;
}

/* ---- in a context ------------------------------------------------------ */

int pulse__shmbox_heap(struct pulse_ctx *ctx, int node, void **mem,
		       size_t *bytes)
{
	size_t all, ring;
	void *at;
	int err = pulse_ctx_nring(ctx, node, &at, &all);

	if (err)
		return err;
	ring = pulse__align_up(sizeof(struct pulse_nring_hdr) +
			       (size_t)ctx->ring_entries *
			       sizeof(struct pulse_nring_entry),
			       (size_t)sysconf(_SC_PAGESIZE));
	*mem = (unsigned char *)at + ring;
	*bytes = all > ring ? all - ring : 0;
	return 0;
}

static int pulse__shmbox_on(struct pulse_ctx *ctx, int node, bool format,
			    const struct pulse_shmbox_opts *opts,
			    struct pulse_shmbox **out)
{
	size_t bytes;
	void *mem;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__shmbox_heap(ctx, node, &mem, &bytes);
	if (err)
		return err;
	err = format ? pulse_shmbox_format(mem, bytes, opts, out) :
		       pulse_shmbox_attach(mem, bytes, out);
	if (!err)
		(*out)->ctx = ctx;
	return err;
}

int pulse_shmbox_format_on(struct pulse_ctx *ctx, int node,
			   const struct pulse_shmbox_opts *opts,
			   struct pulse_shmbox **out)
{
	return pulse__shmbox_on(ctx, node, true, opts, out);
}

int pulse_shmbox_attach_on(struct pulse_ctx *ctx, int node,
			   struct pulse_shmbox **out)
{
	return pulse__shmbox_on(ctx, node, false, NULL, out);
}

/* ---- the end ----------------------------------------------------------- */

int pulse_shmbox_destroy(struct pulse_shmbox *mb)
{
	struct pulse__memfd own;

	if (!mb)
		return -EINVAL;
	pulse__obj_check(mb, PULSE__SHMBOX_MAGIC, "pulse_shmbox_destroy");
	if (!pulse__forked(mb->fork_gen) && READ_ONCE(mb->open))
		return -EBUSY;
	own = mb->own;
	pulse__shmbox_free(mb);
	pulse__memfd_end(&own);
	return 0;
}

int pulse_shmbox_close(struct pulse_shmbox *mb)
{
	if (!mb)
		return -EINVAL;
	if (pulse__forked(mb->fork_gen))
		return -EOWNERDEAD;
	if (__atomic_exchange_n(&mb->shm->closed, 1, __ATOMIC_SEQ_CST))
		return -EALREADY;
	pulse__shmbox_ring(mb);
	pulse__shmbox_ring_room(mb);
	return 0;
}

/* ---- figures ----------------------------------------------------------- */

size_t pulse_shmbox_count(const struct pulse_shmbox *mb)
{
	size_t nr = 0;

	for (int i = 0; mb && i < PULSE_MESSAGE_PRIORITIES; i++)
		nr += pulse_queue_count(mb->queue[i]);
	return nr;
}

int pulse_shmbox_stats(const struct pulse_shmbox *mb,
		       struct pulse_shmbox_stats *out)
{
	struct pulse_queue_stats q = { .sz = sizeof(q) };
	struct pulse_shmbox_stats s;
	int err;

	if (!mb)
		return -EINVAL;
	if (pulse__forked(mb->fork_gen))
		return -EOWNERDEAD;
	err = pulse__out_check(out, pulse__size_to(typeof(s), takeovers));
	if (err)
		return err;
	memset(&s, 0, sizeof(s));
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++) {
		pulse_queue_stats(mb->queue[i], &q);
		s.sent += q.pushed;
		s.done += q.popped;
		s.dropped_new += q.dropped_new;
		s.dropped_old += q.dropped_old;
		s.takeovers += q.takeovers;
	}
	s.expired = READ_ONCE(mb->shm->expired);
	s.malformed = READ_ONCE(mb->shm->malformed);
	s.rejected = READ_ONCE(mb->shm->rejected);
	s.dead_letters = READ_ONCE(mb->shm->dead);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
