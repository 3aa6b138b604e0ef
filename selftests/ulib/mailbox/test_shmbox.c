// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes between processes, in a memfd and in the memory of a context: order,
 * policies, kill -9 of either side at any moment, hostile bytes.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <pulse-u/mailbox_shared.h>

#include "lockfree/queue_int.h"
#include "mailbox/shmbox.h"

#include "helpers.h"

static struct pulse_message *text_message(uint64_t tag, uint32_t priority,
					  size_t bytes)
{
	PULSE_OPTS(pulse_message_opts, opts, .tag = tag, .priority = priority,
		   .payload_bytes = bytes, .sender = "s", .id = "some id",
		   .correlation = "c", .reply_to = "back",
		   .signal = PULSE_SIGNAL_ALERT);
	struct pulse_message *msg;

	if (pulse_message_create(&opts, &msg))
		return NULL;
	if (bytes)
		memset(pulse_message_payload(msg, NULL), (int)tag & 0xff, bytes);
	return msg;
}

static bool whole(const struct pulse_message *msg)
{
	const unsigned char *p;
	size_t bytes;

	p = pulse_message_payload(msg, &bytes);
	for (size_t i = 0; i < bytes; i++) {
		if (p[i] != (pulse_message_tag(msg) & 0xff))
			return false;
	}
	return !strcmp(pulse_message_sender(msg), "s") &&
	       !strcmp(pulse_message_id(msg), "some id") &&
	       !strcmp(pulse_message_correlation(msg), "c") &&
	       !strcmp(pulse_message_reply_to(msg), "back") &&
	       pulse_message_signal(msg) == PULSE_SIGNAL_ALERT;
}

static int put_tag(struct pulse_shmbox_tx *tx, uint64_t tag, uint32_t priority,
		   size_t bytes)
{
	struct pulse_message *msg = text_message(tag, priority, bytes);
	int err = pulse_shmbox_send(tx, msg);

	pulse_message_put(msg);
	return err;
}

static int64_t get_tag(struct pulse_shmbox_rx *rx, int64_t deadline_ns)
{
	struct pulse_message *msg;
	int err = pulse_shmbox_receive(rx, deadline_ns, &msg);
	int64_t tag;

	if (err)
		return err;
	tag = whole(msg) ? (int64_t)pulse_message_tag(msg) : -EBADMSG;
	pulse_message_put(msg);
	return tag;
}

struct ends {
	struct pulse_shmbox *mb;
	struct pulse_shmbox_tx *tx;
	struct pulse_shmbox_rx *rx;
};

static bool ends_open(struct ends *e, const struct pulse_shmbox_opts *opts)
{
	memset(e, 0, sizeof(*e));
	return KT_CHECK(!pulse_shmbox_create(opts, &e->mb)) &&
	       KT_CHECK(!pulse_shmbox_tx_open(e->mb, &e->tx)) &&
	       KT_CHECK(!pulse_shmbox_rx_open(e->mb, -1, &e->rx));
}

static void ends_close(struct ends *e)
{
	KT_EQ(pulse_shmbox_destroy(e->mb), -EBUSY);
	KT_EQ(pulse_shmbox_tx_close(e->tx), 0);
	KT_EQ(pulse_shmbox_rx_close(e->rx), 0);
	KT_EQ(pulse_shmbox_destroy(e->mb), 0);
}

static struct pulse_shmbox_stats figures(const struct pulse_shmbox *mb)
{
	struct pulse_shmbox_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_shmbox_stats(mb, &s), 0);
	return s;
}

KT_TEST(wrong_options_and_handles_of_a_shared_mailbox_are_refused)
{
	PULSE_OPTS(pulse_shmbox_opts, good, .slots = 4);
	struct pulse_shmbox *mb = NULL;
	struct pulse_shmbox_tx *tx;
	struct pulse_shmbox_rx *rx;
	struct pulse_message *msg;
	int fd;

#define REFUSED(...)							\
	do {								\
		PULSE_OPTS(pulse_shmbox_opts, o, __VA_ARGS__);		\
		KT_EQ(pulse_shmbox_create(&o, &mb), -EINVAL);		\
		KT_CHECK(!mb);						\
		KT_EQ(pulse_shmbox_bytes(&o), 0);			\
	} while (0)
	REFUSED(.slots = 1);
	REFUSED(.slots = 3);
	REFUSED(.slots = 131072);
	REFUSED(.slot_bytes = 127);
	REFUSED(.slot_bytes = 65537);
	REFUSED(.senders = 257);
	REFUSED(.overflow = 4);
	REFUSED(.block_ns = 1);
	REFUSED(.default_ttl_ns = -1);
	KT_EQ(pulse_shmbox_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_shmbox_open(-1, &mb), -EINVAL);
	KT_EQ(pulse_shmbox_destroy(NULL), -EINVAL);
	KT_EQ(pulse_shmbox_fd(NULL), -EINVAL);
	KT_EQ(pulse_shmbox_tx_open(NULL, &tx), -EINVAL);
	KT_EQ(pulse_shmbox_rx_open(NULL, -1, &rx), -EINVAL);
	KT_EQ(pulse_shmbox_send(NULL, NULL), -EINVAL);
	KT_EQ(pulse_shmbox_receive(NULL, 0, &msg), -EINVAL);
	KT_EQ(pulse_shmbox_ack(NULL), -EINVAL);
	KT_EQ(pulse_shmbox_count(NULL), 0);
	KT_REQUIRE(!pulse_shmbox_create(&good, &mb));
	KT_EQ(pulse_shmbox_rx_open(mb, 0, &rx), -EINVAL);
	KT_EQ(pulse_shmbox_destroy(mb), 0);
	/* One that its owner could cut off below us. */
	fd = memfd_create("x", MFD_ALLOW_SEALING);
	KT_EQ(pulse_shmbox_open(fd, &mb), -EPERM);
	close(fd);
	for (long n = 1; n < 50; n++) {
		bool failed;
		int err;

		pulse__alloc_fail_at(n);
		err = pulse_shmbox_create(&good, &mb);
		if (!err)
			err = pulse_shmbox_tx_open(mb, &tx);
		if (!err) {
			err = pulse_shmbox_rx_open(mb, -1, &rx);
			if (!err)
				pulse_shmbox_rx_close(rx);
			pulse_shmbox_tx_close(tx);
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		if (mb)
			KT_EQ(pulse_shmbox_destroy(mb), 0);
		KT_EQ(err, failed ? -ENOMEM : 0);
		if (!failed)
			break;
	}
}

KT_TEST(messages_come_out_whole_and_by_priority)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, .slot_bytes = 500,
		   .default_ttl_ns = 1000 * PULSE__NSEC_PER_SEC);
	struct pulse_message_times times = { .sz = sizeof(times) };
	struct pulse_message *msg;
	struct ends e;

	KT_REQUIRE(ends_open(&e, &opts));
	for (uint32_t i = 0; i < 20; i++)
		KT_EQ(put_tag(e.tx, i, PULSE_MESSAGE_BATCH - i % 5, i * 10), 0);
	KT_EQ(pulse_shmbox_count(e.mb), 20);
	for (uint32_t p = 0; p < 5; p++) {
		for (uint32_t i = 0; i < 4; i++)
			KT_EQ(get_tag(e.rx, 0), i * 5 + 4 - p);
	}
	KT_EQ(get_tag(e.rx, 0), -EAGAIN);
	KT_EQ(get_tag(e.rx, ms_from_now(2)), -ETIMEDOUT);
	KT_EQ(put_tag(e.tx, 1, 0, 403), 0);
	KT_EQ(put_tag(e.tx, 1, 0, 404), -EMSGSIZE);
	KT_REQUIRE(!pulse_shmbox_receive(e.rx, 0, &msg));
	KT_EQ(pulse_message_times(msg, &times), 0);
	KT_CHECK(times.sent_ns >= times.created_ns && times.created_ns > 0);
	KT_EQ(times.expires_ns, times.sent_ns + opts.default_ttl_ns);
	pulse_message_put(msg);
	/* In hand until it is done. */
	KT_EQ(pulse_shmbox_count(e.mb), 1);
	KT_EQ(pulse_shmbox_ack(e.rx), 0);
	KT_EQ(pulse_shmbox_ack(e.rx), -ENOENT);
	KT_EQ(pulse_shmbox_count(e.mb), 0);
	/* V02 */
	KT_EQ(put_tag(e.tx, 7, 0, 0), 0);
	KT_EQ(pulse_shmbox_close(e.mb), 0);
	KT_EQ(pulse_shmbox_close(e.mb), -EALREADY);
	KT_EQ(put_tag(e.tx, 8, 0, 0), -ESRCH);
	KT_EQ(get_tag(e.rx, PULSE_FOREVER), 7);
	KT_EQ(get_tag(e.rx, PULSE_FOREVER), -ESHUTDOWN);
	ends_close(&e);
}

/* V01, V03 */
KT_TEST(a_full_shared_mailbox_does_as_its_policy_says)
{
	for (uint32_t policy = 0; policy <= PULSE_MAILBOX_BLOCK; policy++) {
		PULSE_OPTS(pulse_shmbox_opts, opts, .slots = 4,
			   .overflow = policy, .block_ns =
			   policy == PULSE_MAILBOX_BLOCK ? 1000000 : 0);
		bool old = policy == PULSE_MAILBOX_DROP_OLD;
		bool taken = old || policy == PULSE_MAILBOX_DROP_NEW;
		struct ends e;

		KT_REQUIRE(ends_open(&e, &opts));
		for (uint64_t i = 0; i < 4; i++)
			KT_EQ(put_tag(e.tx, i, 0, 5), 0);
		for (uint64_t i = 4; i < 7; i++)
			KT_EQ(put_tag(e.tx, i, 0, 5), taken ? 0 :
			      policy == PULSE_MAILBOX_ERROR ? -EAGAIN :
			      -ETIMEDOUT);
		KT_EQ(figures(e.mb).dropped_old, old ? 3 : 0);
		KT_EQ(figures(e.mb).dropped_new, taken && !old ? 3 : 0);
		for (uint64_t i = 0; i < 4; i++)
			KT_EQ(get_tag(e.rx, 0), old ? i + 3 : i);
		KT_EQ(get_tag(e.rx, 0), -EAGAIN);
		KT_EQ(figures(e.mb).sent, figures(e.mb).done);
		ends_close(&e);
	}
}

KT_TEST(the_expired_of_a_shared_mailbox_are_not_given_out)
{
	PULSE_OPTS(pulse_message_opts, opts, .ttl_ns = PULSE__NSEC_PER_SEC);
	struct pulse_message *msg;
	struct ends e;

	KT_REQUIRE(ends_open(&e, NULL));
	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_EQ(pulse_shmbox_send(e.tx, msg), 0);
	KT_CHECK(EVENTUALLY(pulse_message_expired(msg)));
	KT_EQ(pulse_shmbox_send(e.tx, msg), -ETIME);
	pulse_message_put(msg);
	KT_EQ(put_tag(e.tx, 3, 0, 0), 0);
	KT_EQ(get_tag(e.rx, 0), 3);
	KT_EQ(figures(e.mb).expired, 1);
	ends_close(&e);
}

KT_TEST(a_message_for_which_there_is_no_memory_stays)
{
	for (uint32_t policy = 0; policy <= PULSE_MAILBOX_BLOCK; policy++) {
		PULSE_OPTS(pulse_shmbox_opts, opts, .overflow = policy);
		bool old = policy == PULSE_MAILBOX_DROP_OLD;
		struct ends e;

		KT_REQUIRE(ends_open(&e, &opts));
		KT_EQ(put_tag(e.tx, 1, 0, 10), 0);
		KT_EQ(put_tag(e.tx, 2, 0, 10), 0);
		pulse__alloc_fail_at(1);
		KT_EQ(get_tag(e.rx, 0), -ENOMEM);
		pulse__alloc_fail_at(0);
		KT_EQ(pulse_shmbox_ack(e.rx), -ENOENT);
		KT_EQ(get_tag(e.rx, 0), 1);
		KT_EQ(pulse_shmbox_ack(e.rx), old ? -ENOENT : 0);
		KT_EQ(get_tag(e.rx, 0), 2);
		KT_EQ(get_tag(e.rx, 0), -EAGAIN);
		ends_close(&e);
	}
}

/* ---- processes --------------------------------------------------------- */

#define SENDERS 3

/* What all see, whoever dies. */
struct board {
	uint64_t sent[SENDERS];		/* of the life that is */
	uint64_t lives[SENDERS];
	uint64_t next[SENDERS];		/* what the receiver waits for */
	uint64_t life_seen[SENDERS];
	uint64_t received;
	uint64_t repeats;
	uint64_t bad;
	int stop;
};

/* How a child gets to the mailbox: by its descriptor, or that of a context. */
struct place {
	struct pulse_ctx *ctx;		/* NULL: memfd */
	struct pulse_shmbox *mb;
	int fd;
};

static int here(const struct place *at, struct pulse_ctx **ctx,
		struct pulse_shmbox **mb)
{
	int err;

	*ctx = NULL;
	if (!at->ctx)
		return pulse_shmbox_open(at->fd, mb);
	err = pulse_ctx_attach(at->fd, ctx);
	return err ? err : pulse_shmbox_attach_on(*ctx, 0, mb);
}

/* Each life of a sender numbers from 0: tag = sender, life, number. */
static int sender_life(const struct place *at, struct board *b, unsigned int me)
{
	uint64_t life = READ_ONCE(b->lives[me]);
	struct pulse_shmbox_tx *tx;
	struct pulse_shmbox *mb;
	struct pulse_ctx *ctx;

	if (here(at, &ctx, &mb) || pulse_shmbox_tx_open(mb, &tx))
		return 1;
	for (uint64_t i = 0; !READ_ONCE(b->stop); i++) {
		int err = put_tag(tx, (uint64_t)me << 60 | life << 40 | i,
				  PULSE_MESSAGE_HIGH, i % 100);

		if (!err) {
			__atomic_store_n(&b->sent[me], i + 1, __ATOMIC_RELEASE);
			continue;
		}
		/* Full; or the receiver died, and there is no other yet. */
		if (err != -ETIMEDOUT && err != -ESRCH)
			return 2;
		i--;
	}
	return 0;
}

/*
 * In a sender's life each number follows the one before; the one that a killed
 * receiver had in hand comes again.
 */
static void enter(struct board *b, uint64_t tag)
{
	unsigned int who = (unsigned int)(tag >> 60);
	uint64_t life = tag >> 40 & 0xfffff, nr = tag & 0xffffffffff;

	if (who >= SENDERS || life < b->life_seen[who]) {
		b->bad++;
		return;
	}
	if (life > b->life_seen[who]) {
		b->life_seen[who] = life;
		b->next[who] = 0;
	}
	if (nr + 1 == b->next[who])
		b->repeats++;
	else if (nr == b->next[who])
		b->next[who]++;
	else
		b->bad++;
	b->received++;
}

static int receiver_life(const struct place *at, struct board *b)
{
	struct pulse_shmbox_rx *rx;
	struct pulse_shmbox *mb;
	struct pulse_ctx *ctx;
	int index = -1;

	if (here(at, &ctx, &mb))
		return 1;
	if (ctx) {
		index = pulse_worker_register(ctx, -1, 0);
		if (index < 0)
			return 3;
	}
	if (pulse_shmbox_rx_open(mb, index, &rx))
		return 4;
	for (;;) {
		int64_t tag = get_tag(rx, ms_from_now(200));

		if (tag == -ETIMEDOUT && READ_ONCE(b->stop))
			return 0;
		if (tag == -ETIMEDOUT)
			continue;
		if (tag == -EBADMSG || tag == -EPROTO) {
			b->bad++;
			return 5;
		}
		enter(b, (uint64_t)tag);
	}
}

static pid_t begin(const struct place *at, struct board *b, int me)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(me < 0 ? receiver_life(at, b) :
		      sender_life(at, b, (unsigned int)me));
	return pid;
}

static int end(pid_t pid, int sig)
{
	int status = -1;

	if (sig)
		kill(pid, sig);
	waitpid(pid, &status, 0);
	return status;
}

/*
 * What died was in the middle of anything: what its board says may be one behind
 * the mailbox, on either side.
 */
static void killed_at_random(const struct place *at)
{
	struct board *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t receiver_kills = 0, seen;
	pid_t tx[SENDERS], rx;
	unsigned int seed = 1;

	KT_REQUIRE(b != MAP_FAILED);
	for (int i = 0; i < SENDERS; i++)
		tx[i] = begin(at, b, i);
	rx = begin(at, b, -1);
	for (long round = 0; round < kt_scale(60); round++) {
		int who = (int)(rand_r(&seed) % (SENDERS + 1));

		/* It goes on, whoever was killed before. */
		seen = READ_ONCE(b->received);
		KT_CHECK(EVENTUALLY(READ_ONCE(b->received) > seen + 20));
		usleep(rand_r(&seed) % 3000);
		if (who == SENDERS) {
			KT_EQ(end(rx, SIGKILL), SIGKILL);
			receiver_kills++;
			rx = begin(at, b, -1);
			continue;
		}
		KT_EQ(end(tx[who], SIGKILL), SIGKILL);
		b->lives[who]++;
		b->sent[who] = 0;
		tx[who] = begin(at, b, who);
		/* It has the dead one's lanes, as no others are free. */
		KT_CHECK(EVENTUALLY(__atomic_load_n(&b->sent[who], __ATOMIC_ACQUIRE)));
	}
	WRITE_ONCE(b->stop, 1);
	for (int i = 0; i < SENDERS; i++)
		KT_EQ(end(tx[i], 0), 0);
	KT_EQ(end(rx, 0), 0);
	KT_EQ(pulse_shmbox_count(at->mb), 0);
	KT_EQ(b->bad, 0);
	/* At most that one that was in hand. */
	KT_CHECKF(b->repeats <= receiver_kills, "%llu came again, %llu kills",
		  (unsigned long long)b->repeats,
		  (unsigned long long)receiver_kills);
	KT_EQ(figures(at->mb).sent, figures(at->mb).done);
	KT_EQ(figures(at->mb).malformed, 0);
	for (int i = 0; i < SENDERS; i++) {
		/* The last life had its end in peace: all of it came. */
		KT_EQ(b->life_seen[i], b->lives[i]);
		KT_EQ(b->next[i], b->sent[i]);
	}
	munmap(b, sizeof(*b));
}

#define SIZES	.slots = 8, .slot_bytes = 256, .senders = SENDERS,	\
		.overflow = PULSE_MAILBOX_BLOCK,			\
		.block_ns = 100 * PULSE__NSEC_PER_MSEC

KT_TEST(either_side_may_be_killed_at_any_moment_in_a_memfd)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, SIZES);
	struct place at = { .ctx = NULL };

	KT_REQUIRE(!pulse_shmbox_create(&opts, &at.mb));
	at.fd = pulse_shmbox_fd(at.mb);
	killed_at_random(&at);
	KT_EQ(pulse_shmbox_destroy(at.mb), 0);
}

static struct pulse_ctx *context(uint32_t heap_bytes, uint32_t flags)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = 8, .ring_entries = 2,
		   .heap_bytes = heap_bytes, .flags = flags);
	struct pulse_ctx *ctx;
	int err = pulse_ctx_create(&opts, &ctx);

	if (err != -EOPNOTSUPP)
		KT_EQ(err, 0);
	return err ? NULL : ctx;
}

KT_TEST(either_side_may_be_killed_at_any_moment_in_the_modules_memory)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, SIZES);
	struct place at;

	at.ctx = context((uint32_t)pulse_shmbox_bytes(&opts),
			 PULSE_CTX_OPT_SHARED);
	if (!at.ctx)
		KT_SKIP("contexts of several processes are the module's");
	KT_REQUIRE(!pulse_shmbox_format_on(at.ctx, 0, &opts, &at.mb));
	at.fd = pulse_ctx_fd(at.ctx);
	killed_at_random(&at);
	KT_EQ(pulse_shmbox_destroy(at.mb), 0);
	KT_EQ(pulse_ctx_destroy(at.ctx), 0);
}

static void *send_some(void *arg)
{
	struct pulse_shmbox_tx *tx = arg;
	long nr = kt_scale(2000);

	for (long i = 0; i < nr; i++)
		KT_EQ(put_tag(tx, (uint64_t)i, 0, 20), 0);
	return NULL;
}

KT_TEST(a_worker_waits_for_a_contexts_mailbox_by_parking)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, .slots = 4, .slot_bytes = 128,
		   .senders = 2, .overflow = PULSE_MAILBOX_BLOCK);
	struct pulse_worker_state state = { .sz = sizeof(state) };
	struct pulse_shmbox *mb, *again;
	struct pulse_shmbox_tx *tx;
	struct pulse_shmbox_rx *rx;
	struct pulse_ctx *ctx = context((uint32_t)pulse_shmbox_bytes(&opts), 0);
	pthread_t thread;
	int me;

	KT_REQUIRE(ctx);
	KT_EQ(pulse_shmbox_attach_on(ctx, 0, &mb), -EPROTO);
	KT_REQUIRE(!pulse_shmbox_format_on(ctx, 0, &opts, &mb));
	KT_EQ(pulse_shmbox_fd(mb), -EINVAL);
	KT_REQUIRE(!pulse_shmbox_attach_on(ctx, 0, &again));
	me = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(me >= 0);
	KT_REQUIRE(!pulse_shmbox_rx_open(mb, me, &rx));
	KT_REQUIRE(!pulse_shmbox_tx_open(again, &tx));
	/* Where the machine is slow the deadline may be past before it parks. */
	do {
		KT_REQUIRE(get_tag(rx, ms_from_now(5)) == -ETIMEDOUT);
		KT_EQ(pulse_worker_state(ctx, me, &state), 0);
	} while (!state.n_park);
	KT_EQ(pthread_create(&thread, NULL, send_some, tx), 0);
	for (long i = 0; i < kt_scale(2000); i++)
		KT_REQUIRE(get_tag(rx, PULSE_FOREVER) == i);
	pthread_join(thread, NULL);
	pulse_shmbox_rx_close(rx);
	/* And one that is no worker. */
	KT_REQUIRE(!pulse_shmbox_rx_open(mb, -1, &rx));
	KT_EQ(pthread_create(&thread, NULL, send_some, tx), 0);
	for (long i = 0; i < kt_scale(2000); i++)
		KT_REQUIRE(get_tag(rx, PULSE_FOREVER) == i);
	pthread_join(thread, NULL);
	pulse_shmbox_rx_close(rx);
	pulse_shmbox_tx_close(tx);
	KT_EQ(pulse_shmbox_destroy(again), 0);
	KT_EQ(pulse_shmbox_destroy(mb), 0);
	KT_EQ(pulse_worker_unregister(ctx, me), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(a_sender_does_not_wait_for_a_receiver_that_died)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, .slots = 2,
		   .overflow = PULSE_MAILBOX_BLOCK);
	struct pulse_shmbox *mb;
	struct pulse_shmbox_tx *tx;
	struct pulse_shmbox_rx *rx;
	pid_t pid;

	KT_REQUIRE(!pulse_shmbox_create(&opts, &mb));
	pid = fork();
	if (!pid) {
		struct pulse_shmbox *mine;

		_exit(pulse_shmbox_tx_open(mb, &tx) != -EOWNERDEAD ||
		      pulse_shmbox_open(mb->own.fd, &mine) ||
		      pulse_shmbox_rx_open(mine, -1, &rx));
	}
	KT_EQ(end(pid, 0), 0);
	KT_REQUIRE(!pulse_shmbox_tx_open(mb, &tx));
	KT_EQ(put_tag(tx, 0, 0, 0), 0);
	KT_EQ(put_tag(tx, 1, 0, 0), 0);
	KT_EQ(put_tag(tx, 2, 0, 0), -ESRCH);
	/* Its successor gets what is there. */
	KT_REQUIRE(!pulse_shmbox_rx_open(mb, -1, &rx));
	KT_EQ(get_tag(rx, 0), 0);
	KT_EQ(get_tag(rx, 0), 1);
	pulse_shmbox_tx_close(tx);
	pulse_shmbox_rx_close(rx);
	KT_EQ(pulse_shmbox_destroy(mb), 0);
}

/* ---- a hostile peer ---------------------------------------------------- */

KT_TEST(only_a_shared_mailbox_that_fits_is_attached)
{
	struct pulse__shmbox_shm *shm, good;
	struct pulse_shmbox *mb, *other = NULL;

	KT_REQUIRE(!pulse_shmbox_create(NULL, &mb));
	shm = mb->shm;
	memcpy(&good, shm, sizeof(good));
#define BAD(field, value)						\
	do {								\
		shm->field = (value);					\
		KT_EQ(pulse_shmbox_attach(shm, mb->own.bytes, &other), -EPROTO);\
		KT_CHECK(!other);					\
		memcpy(shm, &good, sizeof(good));			\
	} while (0)
	BAD(magic, 0);
	BAD(slots, 0);
	BAD(slots, 63);
	BAD(slots, 32);
	BAD(slots, UINT32_MAX);
	BAD(slot_bytes, 0);
	BAD(slot_bytes, 512);
	BAD(slot_bytes, UINT32_MAX);
	BAD(senders, 0);
	BAD(senders, UINT32_MAX);
	BAD(overflow, 4);
	BAD(block_ns, -1);
	KT_EQ(pulse_shmbox_attach(shm, mb->own.bytes - 128, &other), -EPROTO);
	KT_EQ(pulse_shmbox_attach(shm, 8, &other), -EPROTO);
	KT_EQ(pulse_shmbox_attach((char *)shm + 64, mb->own.bytes, &other),
	      -EINVAL);
	KT_EQ(pulse_shmbox_destroy(mb), 0);
}

KT_TEST(bytes_that_are_no_message_are_counted_and_hurt_nobody)
{
	struct pulse_queue_tx *raw;
	unsigned char slot[1024];
	unsigned int seed = 7;
	uint64_t bad = 0;
	struct ends e;

	KT_REQUIRE(ends_open(&e, NULL));
	KT_REQUIRE(!pulse_queue_tx_open(e.mb->queue[0], &raw));
	for (long i = 0; i < kt_scale(20000); i++) {
		struct pulse_message *msg = text_message(5, 1, 100);
		struct pulse__wire *w = (void *)slot;
		size_t n;
		int err;

		memset(slot, 0x41, sizeof(slot));
		n = pulse__wire_write(slot, sizeof(slot), msg, 1, 0);
		pulse_message_put(msg);
		/* Right but for a byte or two of the head, or a text's end. */
		for (unsigned int k = 0; k <= i % 2; k++)
			slot[rand_r(&seed) % (sizeof(*w) + 20)] =
				(unsigned char)rand_r(&seed);
		KT_REQUIRE(!pulse_queue_push(raw, slot, i % 8 ? n : 1024));
		err = pulse_shmbox_receive(e.rx, 0, &msg);
		/* Some are messages still. */
		if (err == -EPROTO)
			bad++;
		else if (err != -EAGAIN && KT_EQ(err, 0))
			pulse_message_put(msg);
	}
	KT_CHECK(bad > 0);
	KT_EQ(figures(e.mb).malformed, bad);
	KT_EQ(put_tag(e.tx, 9, 0, 10), 0);
	KT_EQ(get_tag(e.rx, 0), 9);
	/* Words that cannot be true, and a worker that there is not. */
	e.mb->shm->worker = INT_MAX;
	e.mb->shm->bell = UINT32_MAX;
	e.mb->shm->room_bell = UINT32_MAX;
	KT_EQ(put_tag(e.tx, 10, 0, 10), 0);
	KT_EQ(get_tag(e.rx, 0), 10);
	pulse_queue_tx_close(raw);
	ends_close(&e);
}

KT_MAIN()
