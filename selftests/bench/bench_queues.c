// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_queues.c - queues, deque and slab beside what else one would take.
 *
 * Peers: a mutex around an array; malloc; ck_ring of Concurrency Kit (libck-dev,
 * built in here); boost::lockfree (libboost-dev), moodycamel's ConcurrentQueue
 * (libconcurrentqueue-dev) and DPDK's rte_ring (libdpdk-dev) from the program
 * peer_queues beside this one, under the same loops. What was not there at build time is said to
 * be missing, and left out.
 *
 * "inline" is what the library itself embeds, as ck, boost and moodycamel are
 * headers; without it, it is the exported function with its checks.
 *
 * usage: bench_queues [rounds [group]]
 */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <pulse-u/deque.h>
#include <pulse-u/memory.h>
#include <pulse-u/queue.h>
#include <pulse-u/ring.h>

#include "lockfree/deque_inline.h"
#include "lockfree/lane_inline.h"
#include "lockfree/ring_inline.h"

#include "contend.h"

#if __has_include(<ck_ring.h>)
#include <ck_ring.h>
#define HAVE_CK 1
#endif

#define ENTRIES		1024U
#define PAIRS		2000000UL	/* a measurement of one thread */
#define TRANSFERS	1000000UL	/* a measurement of several */
#define BURST		32U

/* ---- a mutex around an array ------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	uint64_t head, tail;
	void *item[ENTRIES];
} mutexed = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool mutex_push(void *item)
{
	bool room;

	pthread_mutex_lock(&mutexed.lock);
	room = mutexed.tail - mutexed.head < ENTRIES;
	if (room)
		mutexed.item[mutexed.tail++ % ENTRIES] = item;
	pthread_mutex_unlock(&mutexed.lock);
	return room;
}

static void *mutex_pop(void)
{
	void *item = NULL;

	pthread_mutex_lock(&mutexed.lock);
	if (mutexed.head != mutexed.tail)
		item = mutexed.item[mutexed.head++ % ENTRIES];
	pthread_mutex_unlock(&mutexed.lock);
	return item;
}

/* The last in, first out: the mutex's answer to a deque's owner. */
static void *mutex_take(void)
{
	void *item = NULL;

	pthread_mutex_lock(&mutexed.lock);
	if (mutexed.head != mutexed.tail)
		item = mutexed.item[--mutexed.tail % ENTRIES];
	pthread_mutex_unlock(&mutexed.lock);
	return item;
}

/* ---- ours --------------------------------------------------------------- */

static struct pulse__mpmc mpmc;
static struct pulse_ring *ring;
static struct pulse_queue *spsc, *many;
static struct pulse_queue_tx *spsc_tx;
static struct pulse_queue_rx *spsc_rx;
static struct pulse__deque deque, deque_asym;
static struct pulse_deque *deque_handle;
static struct pulse_slab *slab;

/* A lane on its own, as it would be embedded. */
static struct pulse__lane lane;
static unsigned char lane_data[ENTRIES * 8] PULSE__PAIR_ALIGNED;
static struct pulse__lane_tx lane_tx PULSE__PAIR_ALIGNED;
static struct pulse__lane_rx lane_rx PULSE__PAIR_ALIGNED;

/* Constant sizes, so that the compiler sees a word as what it is. */
#define LANE_MAP							\
	((struct pulse__lane_map){ &lane, lane_data, ENTRIES - 1, 8, 8 })

static inline bool lane_push(struct pulse__lane_tx *tx, uint64_t value)
{
	if (pulse__lane_room(tx, 1) <= 0)
		return false;
	pulse__lane_tx_word_ahead(tx);
	pulse__lane_put_word(&tx->m, tx->tail, value);
	pulse__lane_publish(tx, 1);
	return true;
}

static inline uint64_t lane_pop(struct pulse__lane_rx *rx)
{
	uint64_t value;

	if (pulse__lane_ready(rx, 1) <= 0)
		return 0;
	pulse__lane_rx_word_ahead(rx);
	value = pulse__lane_get_word(&rx->m, rx->head);
	pulse__lane_done(rx, 1);
	return value;
}

static inline unsigned int lane_push_n(struct pulse__lane_tx *tx,
				       const uint64_t *values, unsigned int nr)
{
	int64_t room = pulse__lane_room(tx, nr);

	if (room <= 0)
		return 0;
	if (room < nr)
		nr = (unsigned int)room;
	pulse__lane_tx_ahead(tx, nr);
	pulse__lane_put_n(&tx->m, false, tx->tail, values, nr);
	pulse__lane_publish(tx, nr);
	return nr;
}

static inline unsigned int lane_pop_n(struct pulse__lane_rx *rx,
				      uint64_t *values, unsigned int nr)
{
	int64_t ready = pulse__lane_ready(rx, nr);

	if (ready <= 0)
		return 0;
	if (ready < nr)
		nr = (unsigned int)ready;
	pulse__lane_rx_ahead(rx, nr);
	pulse__lane_get_n(&rx->m, false, rx->head, values, nr);
	pulse__lane_done(rx, nr);
	return nr;
}

static inline bool ring_push(uint64_t value)
{
	return !pulse_ring_push(ring, &value, sizeof(value));
}

static inline bool ring_pop(void)
{
	uint64_t value;

	return !pulse_ring_pop(ring, &value, NULL);
}

static inline bool queue_push(struct pulse_queue_tx *tx, uint64_t value)
{
	return !pulse_queue_push_word(tx, value);
}

static inline bool queue_pop(struct pulse_queue_rx *rx)
{
	uint64_t value;

	return !pulse_queue_pop_word(rx, &value);
}

static void *many_open_tx(void)
{
	struct pulse_queue_tx *tx;

	if (pulse_queue_tx_open(many, &tx))
		abort();
	return tx;
}

static void *many_open_rx(void)
{
	struct pulse_queue_rx *rx;

	if (pulse_queue_rx_open(many, &rx))
		abort();
	return rx;
}

static inline unsigned int at_least_0(int n)
{
	return n > 0 ? (unsigned int)n : 0;
}

static inline unsigned int burst_of(uint64_t left)
{
	return left < BURST ? (unsigned int)left : BURST;
}

/* ---- Concurrency Kit ----------------------------------------------------- */

#ifdef HAVE_CK
/* One for each kind: the two ways of pushing do not go together. */
static ck_ring_t ck, ck_one;
static ck_ring_buffer_t ck_items[ENTRIES], ck_one_items[ENTRIES];

static double pair_ck_spsc(void)
{
	void *item;

	return TIME_EACH(PAIRS,
			 ck_ring_enqueue_spsc(&ck_one, ck_one_items, (void *)i);
			 ck_ring_dequeue_spsc(&ck_one, ck_one_items, &item));
}

static double pair_ck(void)
{
	void *item;

	return TIME_EACH(PAIRS,
			 ck_ring_enqueue_mpmc(&ck, ck_items, (void *)i);
			 ck_ring_dequeue_mpmc(&ck, ck_items, &item));
}

CROWD_SIDE(ck_spsc_tx, ,
	   ck_ring_enqueue_spsc(&ck_one, ck_one_items, (void *)i), )
CROWD_SIDE(ck_spsc_rx, void *item,
	   ck_ring_dequeue_spsc(&ck_one, ck_one_items, &item), )
CROWD_SIDE(ck_tx, , ck_ring_enqueue_mpmc(&ck, ck_items, (void *)i), )
CROWD_SIDE(ck_rx, void *item, ck_ring_dequeue_mpmc(&ck, ck_items, &item), )

static double spsc_ck(void)
{
	return crowd_run(ck_spsc_tx, ck_spsc_rx, 1, TRANSFERS);
}

static double crowd1_ck(void)
{
	return crowd_run(ck_tx, ck_rx, 1, TRANSFERS);
}

static double crowd2_ck(void)
{
	return crowd_run(ck_tx, ck_rx, 2, TRANSFERS);
}
#else
static double missing(void)
{
	return -1;
}
#define pair_ck_spsc	missing
#define pair_ck		missing
#define spsc_ck		missing
#define crowd1_ck	missing
#define crowd2_ck	missing
#endif

/* ---- one thread ---------------------------------------------------------- */

static double pair_mutex(void)
{
	return TIME_EACH(PAIRS, mutex_push((void *)i); mutex_pop());
}

static double pair_mpmc(void)
{
	return TIME_EACH(PAIRS, pulse__mpmc_push(&mpmc, (void *)i);
			 pulse__mpmc_pop(&mpmc));
}

static double pair_ring(void)
{
	return TIME_EACH(PAIRS, ring_push(i); ring_pop());
}

static double pair_queue(void)
{
	struct pulse_queue_tx *tx = many_open_tx();
	struct pulse_queue_rx *rx = many_open_rx();
	double ns = TIME_EACH(PAIRS, queue_push(tx, i); queue_pop(rx));

	pulse_queue_tx_close(tx);
	pulse_queue_rx_close(rx);
	return ns;
}

static double pair_lane_many(void)
{
	uint64_t value;

	return TIME_EACH(PAIRS, lane_push(&lane_tx, i);
			 pulse__lane_claim(&lane_rx, &value, 1,
					   NULL));
}

static double pair_lane(void)
{
	lane_rx.head = lane.head;	/* where the claims of others left it */
	return TIME_EACH(PAIRS, lane_push(&lane_tx, i); lane_pop(&lane_rx));
}

static double pair_spsc(void)
{
	struct pulse_queue_tx *tx = spsc_tx;
	struct pulse_queue_rx *rx = spsc_rx;

	return TIME_EACH(PAIRS, queue_push(tx, i); queue_pop(rx));
}

static double lifo_mutex(void)
{
	return TIME_EACH(PAIRS, mutex_push((void *)i); mutex_take());
}

/*
 * Reached through a pointer, as what is embedded is: some CPUs pass a value
 * from a store on to the next load at once where both name a register, and
 * take five cycles where the address is a constant.
 */
static double lifo(struct pulse__deque *d)
{
	__asm__ __volatile__("" : "+r"(d));
	return TIME_EACH(PAIRS, pulse__deque_push(d, (void *)i);
			 pulse__deque_take(d));
}

static double lifo_deque(void)
{
	return lifo(&deque);
}

static double lifo_deque_asym(void)
{
	return deque_asym.asym ? lifo(&deque_asym) : -1;
}

/* With others beneath, as in a pool at work: no race for the last one. */
static double deep(double (*run)(void), struct pulse__deque *d)
{
	double ns;

	pulse__deque_push(d, (void *)1);
	pulse__deque_push(d, (void *)2);
	ns = run();
	while (pulse__deque_take(d))
		;
	return ns;
}

static double deep_deque(void)
{
	return deep(lifo_deque, &deque);
}

static double deep_deque_asym(void)
{
	return deep(lifo_deque_asym, &deque_asym);
}

static double deep_mutex(void)
{
	double ns;

	mutex_push((void *)1);
	ns = lifo_mutex();
	mutex_take();
	return ns;
}

static double lifo_deque_handle(void)
{
	struct pulse_deque *d = deque_handle;

	return TIME_EACH(PAIRS, pulse_deque_push(d, (void *)i);
			 pulse_deque_take(d));
}

static double deep_deque_handle(void)
{
	double ns;

	pulse_deque_push(deque_handle, (void *)1);
	pulse_deque_push(deque_handle, (void *)2);
	ns = lifo_deque_handle();
	while (pulse_deque_take(deque_handle))
		;
	return ns;
}

/* What a thief pays for an item, where the owner does nothing. */
static double steal_from(struct pulse__deque *d)
{
	const uint64_t nr = ENTRIES / 2;
	int64_t start;
	void *item;

	for (uintptr_t i = 1; i <= nr; i++)
		pulse__deque_push(d, (void *)i);
	start = pulse_now_ns();
	while (!pulse__deque_steal(d, &item))
		;
	return (double)(pulse_now_ns() - start) / (double)nr;
}

static double steal_deque(void)
{
	return steal_from(&deque);
}

static double steal_deque_asym(void)
{
	return deque_asym.asym ? steal_from(&deque_asym) : -1;
}

static double steal_mutex(void)
{
	int64_t start;

	for (uintptr_t i = 1; i <= ENTRIES / 2; i++)
		mutex_push((void *)i);
	start = pulse_now_ns();
	while (mutex_pop())
		;
	return (double)(pulse_now_ns() - start) / (ENTRIES / 2);
}

static double object_slab(void)
{
	void *p;

	return TIME_EACH(PAIRS, pulse_slab_alloc(slab, &p);
			 pulse_slab_free(slab, p));
}

static double object_malloc(void)
{
	return TIME_EACH(PAIRS, void *volatile p = malloc(128); free(p));
}

#define SHELF 256U

static double shelf_slab(void)
{
	static void *p[SHELF];

	return TIME_EACH(PAIRS / SHELF,
			 for (unsigned int k = 0; k < SHELF; k++)
				pulse_slab_alloc(slab, &p[k]);
			 for (unsigned int k = 0; k < SHELF; k++)
				pulse_slab_free(slab, p[k])) / SHELF;
}

static double shelf_malloc(void)
{
	static void *volatile p[SHELF];

	return TIME_EACH(PAIRS / SHELF,
			 for (unsigned int k = 0; k < SHELF; k++)
				p[k] = malloc(128);
			 for (unsigned int k = 0; k < SHELF; k++)
				free(p[k])) / SHELF;
}

/* ---- several threads ----------------------------------------------------- */

CROWD_SIDE(mutex_tx, , mutex_push((void *)i), )
CROWD_SIDE(mutex_rx, , mutex_pop() != NULL, )
CROWD_SIDE(mpmc_tx, , !pulse__mpmc_push(&mpmc, (void *)i), )
CROWD_SIDE(mpmc_rx, , pulse__mpmc_pop(&mpmc) != NULL, )
CROWD_SIDE(ring_tx, , ring_push(i), )
CROWD_SIDE(ring_rx, , ring_pop(), )
CROWD_SIDE(spsc_tx_side, struct pulse_queue_tx *tx = spsc_tx,
	   queue_push(tx, i), )
CROWD_SIDE(spsc_rx_side, struct pulse_queue_rx *rx = spsc_rx,
	   queue_pop(rx), )
CROWD_SIDE(lane_tx_side, , lane_push(&lane_tx, i), )
CROWD_SIDE(lane_rx_side, , lane_pop(&lane_rx) != 0, )

CROWD_SIDE(many_tx_side, struct pulse_queue_tx *tx = many_open_tx(),
	   queue_push(tx, i), pulse_queue_tx_close(tx))
CROWD_SIDE(many_rx_side, struct pulse_queue_rx *rx = many_open_rx(),
	   queue_pop(rx), pulse_queue_rx_close(rx))

CROWD_SIDE(many_burst_tx,
	   struct pulse_queue_tx *tx = many_open_tx(); uint64_t v[BURST] = { 0 },
	   at_least_0(pulse_queue_push_n(tx, v, burst_of(left))),
	   pulse_queue_tx_close(tx))
CROWD_SIDE(many_burst_rx,
	   struct pulse_queue_rx *rx = many_open_rx(); uint64_t v[BURST],
	   at_least_0(pulse_queue_pop_n(rx, v, burst_of(left))),
	   pulse_queue_rx_close(rx))
CROWD_SIDE(ring_burst_tx, uint64_t v[BURST] = { 0 },
	   at_least_0(pulse_ring_push_n(ring, v, burst_of(left))), )
CROWD_SIDE(ring_burst_rx, uint64_t v[BURST],
	   at_least_0(pulse_ring_pop_n(ring, v, burst_of(left))), )
CROWD_SIDE(spsc_burst_tx, uint64_t v[BURST] = { 0 },
	   at_least_0(pulse_queue_push_n(spsc_tx, v, burst_of(left))), )
CROWD_SIDE(spsc_burst_rx, uint64_t v[BURST],
	   at_least_0(pulse_queue_pop_n(spsc_rx, v, burst_of(left))), )
CROWD_SIDE(lane_burst_tx, uint64_t v[BURST] = { 0 },
	   lane_push_n(&lane_tx, v, burst_of(left)), )
CROWD_SIDE(lane_burst_rx, uint64_t v[BURST],
	   lane_pop_n(&lane_rx, v, burst_of(left)), )

#define CROWD(name, tx, rx, pairs, total)				\
	static double name(void)					\
	{								\
		return crowd_run(tx, rx, pairs, total);			\
	}

static double spsc_lane(void)
{
	lane_rx.head = lane.head;
	return crowd_run(lane_tx_side, lane_rx_side, 1, TRANSFERS);
}

static double spsc_burst_lane(void)
{
	lane_rx.head = lane.head;
	return crowd_run(lane_burst_tx, lane_burst_rx, 1, 4 * TRANSFERS);
}

static double spsc_queue_cpu(void)
{
	return crowd_run_at(CROWD_ONE_CPU, spsc_tx_side, spsc_rx_side, 1,
			    TRANSFERS);
}

static double spsc_burst_queue_cpu(void)
{
	return crowd_run_at(CROWD_ONE_CPU, spsc_burst_tx, spsc_burst_rx, 1,
			    4 * TRANSFERS);
}

CROWD(spsc_queue, spsc_tx_side, spsc_rx_side, 1, TRANSFERS)
CROWD(spsc_burst_queue, spsc_burst_tx, spsc_burst_rx, 1, 4 * TRANSFERS)
CROWD(crowd1_mutex, mutex_tx, mutex_rx, 1, TRANSFERS)
CROWD(crowd1_mpmc, mpmc_tx, mpmc_rx, 1, TRANSFERS)
CROWD(crowd1_ring, ring_tx, ring_rx, 1, TRANSFERS)
CROWD(crowd1_queue, many_tx_side, many_rx_side, 1, TRANSFERS)
CROWD(crowd2_mutex, mutex_tx, mutex_rx, 2, TRANSFERS)
CROWD(crowd2_mpmc, mpmc_tx, mpmc_rx, 2, TRANSFERS)
CROWD(crowd2_ring, ring_tx, ring_rx, 2, TRANSFERS)
CROWD(crowd2_queue, many_tx_side, many_rx_side, 2, TRANSFERS)
CROWD(burst2_queue, many_burst_tx, many_burst_rx, 2, 4 * TRANSFERS)
CROWD(burst2_ring, ring_burst_tx, ring_burst_rx, 2, 4 * TRANSFERS)

/* ---- boost and moodycamel, in a program of their own --------------------- */

/* What peer_queues says; negative: it was built without. */
static double peer_run(const char *peer, const char *what)
{
	char path[4096], line[64] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	char *end;
	FILE *f;

	if (n < 0)
		return -1;
	path[n] = 0;
	end = strrchr(path, '/');
	snprintf(end, 64, "/peer_queues");
	if (access(path, X_OK))
		return -1;
	snprintf(end, 64, "/peer_queues %s %s", peer, what);
	f = popen(path, "r");
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		strcpy(line, "-1");
	return pclose(f) ? -1 : atof(line);
}

#define PEER(name, peer, what)						\
	static double name(void)					\
	{								\
		return peer_run(peer, what);				\
	}

PEER(pair_boost, "boost", "pair")
PEER(pair_moody, "moodycamel", "pair")
PEER(crowd1_boost, "boost", "1p1c")
PEER(crowd1_moody, "moodycamel", "1p1c")
PEER(crowd2_boost, "boost", "2p2c")
PEER(crowd2_moody, "moodycamel", "2p2c")
PEER(burst2_moody, "moodycamel", "2p2c_burst")
PEER(pair_rte, "rte", "pair")
PEER(crowd1_rte, "rte", "1p1c")
PEER(crowd2_rte, "rte", "2p2c")
PEER(crowd2_rte_hts, "rte_hts", "2p2c")
PEER(burst2_rte, "rte", "2p2c_burst")
PEER(spsc_pair_rte, "rte_spsc", "pair")
PEER(spsc_rte, "rte_spsc", "1p1c")
PEER(spsc_burst_rte, "rte_spsc", "1p1c_burst")
PEER(spsc_rte_cpu, "rte_spsc", "1p1c_cpu")
PEER(spsc_burst_rte_cpu, "rte_spsc", "1p1c_cpu_burst")
PEER(spsc_boost_cpu, "boost_spsc", "1p1c_cpu")
PEER(spsc_burst_boost_cpu, "boost_spsc", "1p1c_cpu_burst")
PEER(spsc_pair_boost, "boost_spsc", "pair")
PEER(spsc_boost, "boost_spsc", "1p1c")
PEER(spsc_burst_boost, "boost_spsc", "1p1c_burst")

/* ---- the table ----------------------------------------------------------- */

static struct group groups[] = {
	{ "pair", "push and pop, one thread, any number allowed", {
		{ .name = "pulse_mpmc_inline", .run = pair_mpmc },
		{ .name = "pulse_ring", .run = pair_ring },
		{ .name = "pulse_lane_many_inline", .run = pair_lane_many },
		{ .name = "pulse_queue_mpmc", .run = pair_queue },
		{ .name = "mutex", .run = pair_mutex, .peer = true },
		{ .name = "boost", .run = pair_boost, .peer = true },
		{ .name = "ck", .run = pair_ck, .peer = true },
		{ .name = "moodycamel", .run = pair_moody, .peer = true },
		{ .name = "rte_ring", .run = pair_rte, .peer = true },
	} },
	{ "1p1c", "a transfer, one to one over queues for many, a CPU each", {
		{ .name = "pulse_mpmc_inline", .run = crowd1_mpmc },
		{ .name = "pulse_ring", .run = crowd1_ring },
		{ .name = "pulse_queue_mpmc", .run = crowd1_queue },
		{ .name = "mutex", .run = crowd1_mutex, .peer = true },
		{ .name = "boost", .run = crowd1_boost, .peer = true },
		{ .name = "ck", .run = crowd1_ck, .peer = true },
		{ .name = "moodycamel", .run = crowd1_moody, .peer = true },
		{ .name = "rte_ring", .run = crowd1_rte, .peer = true },
	} },
	{ "2p2c", "a transfer, two producers and two consumers", {
		{ .name = "pulse_mpmc_inline", .run = crowd2_mpmc },
		{ .name = "pulse_ring", .run = crowd2_ring },
		{ .name = "pulse_queue_mpmc", .run = crowd2_queue },
		{ .name = "mutex", .run = crowd2_mutex, .peer = true },
		{ .name = "boost", .run = crowd2_boost, .peer = true },
		{ .name = "ck", .run = crowd2_ck, .peer = true },
		{ .name = "moodycamel", .run = crowd2_moody, .peer = true },
		{ .name = "rte_ring", .run = crowd2_rte, .peer = true },
		{ .name = "rte_ring_hts", .run = crowd2_rte_hts, .peer = true },
	} },
	{ "2p2c_burst", "the same in bursts of 32", {
		{ .name = "pulse_ring", .run = burst2_ring },
		{ .name = "pulse_queue_mpmc", .run = burst2_queue },
		{ .name = "moodycamel", .run = burst2_moody, .peer = true },
		{ .name = "rte_ring", .run = burst2_rte, .peer = true },
	} },
	{ "spsc_pair", "push and pop, one thread, one to one", {
		{ .name = "pulse_lane_inline", .run = pair_lane },
		{ .name = "pulse_queue_spsc", .run = pair_spsc },
		{ .name = "boost", .run = spsc_pair_boost, .peer = true },
		{ .name = "ck", .run = pair_ck_spsc, .peer = true },
		{ .name = "rte_ring", .run = spsc_pair_rte, .peer = true },
	} },
	{ "spsc", "a transfer, one to one, a CPU each", {
		{ .name = "pulse_lane_inline", .run = spsc_lane },
		{ .name = "pulse_queue_spsc", .run = spsc_queue },
		{ .name = "boost", .run = spsc_boost, .peer = true },
		{ .name = "ck", .run = spsc_ck, .peer = true },
		{ .name = "rte_ring", .run = spsc_rte, .peer = true },
	} },
	{ "spsc_burst", "the same in bursts of 32", {
		{ .name = "pulse_lane_inline", .run = spsc_burst_lane },
		{ .name = "pulse_queue_spsc", .run = spsc_burst_queue },
		{ .name = "boost", .run = spsc_burst_boost, .peer = true },
		{ .name = "rte_ring", .run = spsc_burst_rte, .peer = true },
	} },
	{ "spsc_cpu", "a transfer, one to one, both on one CPU", {
		{ .name = "pulse_queue_spsc", .run = spsc_queue_cpu },
		{ .name = "boost", .run = spsc_boost_cpu, .peer = true },
		{ .name = "rte_ring", .run = spsc_rte_cpu, .peer = true },
	} },
	{ "spsc_cpu_burst", "the same in bursts of 32", {
		{ .name = "pulse_queue_spsc", .run = spsc_burst_queue_cpu },
		{ .name = "boost", .run = spsc_burst_boost_cpu, .peer = true },
		{ .name = "rte_ring", .run = spsc_burst_rte_cpu, .peer = true },
	} },
	{ "deque", "push and take of the owner", {
		{ .name = "pulse_deque_inline", .run = lifo_deque },
		{ .name = "pulse_deque_asym_inline", .run = lifo_deque_asym },
		{ .name = "pulse_deque_asym", .run = lifo_deque_handle },
		{ .name = "mutex", .run = lifo_mutex, .peer = true },
	} },
	{ "deque_deep", "push and take of the owner, others beneath", {
		{ .name = "pulse_deque_inline", .run = deep_deque },
		{ .name = "pulse_deque_asym_inline", .run = deep_deque_asym },
		{ .name = "pulse_deque_asym", .run = deep_deque_handle },
		{ .name = "mutex", .run = deep_mutex, .peer = true },
	} },
	{ "steal", "a steal, the owner idle", {
		{ .name = "pulse_deque_inline", .run = steal_deque },
		{ .name = "pulse_deque_asym_inline", .run = steal_deque_asym },
		{ .name = "mutex", .run = steal_mutex, .peer = true },
	} },
	{ "slab", "allocate and free 128 bytes", {
		{ .name = "pulse_slab", .run = object_slab },
		{ .name = "malloc", .run = object_malloc, .peer = true },
	} },
	{ "slab_256", "the same, 256 at a time", {
		{ .name = "pulse_slab", .run = shelf_slab },
		{ .name = "malloc", .run = shelf_malloc, .peer = true },
	} },
};

static int open_all(void)
{
	PULSE_OPTS(pulse_slab_opts, slab_opts, .object_bytes = 128);
	PULSE_OPTS(pulse_ring_opts, ring_opts, .entries = ENTRIES);
	PULSE_OPTS(pulse_queue_opts, spsc_opts, .entries = ENTRIES);
	PULSE_OPTS(pulse_queue_opts, many_opts, .entries = ENTRIES,
		   .kind = PULSE_QUEUE_MPMC, .lanes = 4);
	PULSE_OPTS(pulse_deque_opts, deque_opts,
		   .flags = PULSE_DEQUE_ASYMMETRIC);

	lane_tx.m = LANE_MAP;
	lane_rx.m = LANE_MAP;
	if (pulse__mpmc_init(&mpmc, ENTRIES, 0) ||
	    pulse__deque_init(&deque, ENTRIES, ENTRIES, 0) ||
	    pulse__deque_init(&deque_asym, ENTRIES, ENTRIES, 0) ||
	    pulse_deque_create(&deque_opts, &deque_handle) ||
	    pulse_ring_create(&ring_opts, &ring) ||
	    pulse_queue_create(&spsc_opts, &spsc) ||
	    pulse_queue_tx_open(spsc, &spsc_tx) ||
	    pulse_queue_rx_open(spsc, &spsc_rx) ||
	    pulse_queue_create(&many_opts, &many) ||
	    pulse_slab_create(&slab_opts, &slab))
		return -1;
	deque_asym.asym = pulse__asym_local();
#ifdef HAVE_CK
	ck_ring_init(&ck, ENTRIES);
	ck_ring_init(&ck_one, ENTRIES);
#endif
	return 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 7;
	const char *only = argc > 2 ? argv[2] : NULL;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_queues [rounds, 1 to %d [group]]\n",
			MAX_ROUNDS);
		return 2;
	}
	if (open_all()) {
		fprintf(stderr, "bench_queues: out of memory\n");
		return 1;
	}
#ifndef HAVE_CK
	printf("missing: ck (libck-dev was not there at build time)\n");
#endif
	if (peer_run("boost", "have") < 0)
		printf("missing: boost (libboost-dev was not there at build time)\n");
	if (peer_run("moodycamel", "have") < 0)
		printf("missing: moodycamel (libconcurrentqueue-dev was not there at build time)\n");
	if (peer_run("rte", "have") < 0)
		printf("missing: rte_ring (libdpdk-dev was not there at build time)\n");
	end_single_thread();
	run_rounds(groups, ARRAY_SIZE(groups), rounds, only);
	printf("median of %d (lowest to highest)\n", rounds);
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		if (!only || !strcmp(only, groups[g].name))
			report("queues", &groups[g], rounds);
	}
	return 0;
}
