// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_queues.cc - boost::lockfree, moodycamel::ConcurrentQueue and DPDK's
 * rte_ring under the loops of bench_queues.c, which starts it. Says nanoseconds;
 * fails where the peer's headers were missing at build time, or it has no such
 * figure.
 *
 * usage: peer_queues boost|boost_spsc|moodycamel|rte|rte_spsc|rte_hts have|pair|1p1c|1p1c_burst|1p1c_cpu|1p1c_cpu_burst|2p2c|2p2c_burst
 */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <vector>

#include "bind.h"

#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#define HAVE_BOOST 1
#endif
#if __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>
#define HAVE_MOODYCAMEL 1
#endif
#if __has_include(<rte_ring.h>)
#include <cstdlib>
#include <rte_ring.h>
#define HAVE_RTE 1
#endif

static const unsigned pairs = 2000000, transfers = 1000000, burst = 32;
static const int slices = 64, runs = 9;	/* as in contend.h */

static double now_ns()
{
	return (double)std::chrono::duration_cast<std::chrono::nanoseconds>(
		std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void wait_a_bit(unsigned &misses)
{
	if (++misses % 64)
		__builtin_ia32_pause();
	else
		sched_yield();
}

/* A peer has Sides: what one thread uses; nothing, or tokens. */
template <class Peer> static double run_pair()
{
	static Peer peer;
	typename Peer::Tx tx(peer);
	typename Peer::Rx rx(peer);
	std::vector<double> slice;
	uint64_t value;

	for (int s = 0; s < slices; s++) {
		double start = now_ns();

		for (uint64_t i = 1; i <= pairs / slices; i++) {
			tx.push(i);
			rx.pop(value);
			__asm__ __volatile__("" ::: "memory");
		}
		slice.push_back((now_ns() - start) / (pairs / slices));
	}
	std::sort(slice.begin(), slice.end());
	return slice[slices / 2];
}

/* As in contend.h. */
enum class place { any, apart, one_cpu };

/* As struct crowd in contend.h: the threads look at the clock themselves. */
struct crowd {
	pthread_barrier_t start;
	place where;
	std::atomic<unsigned> bound{ 0 };
	std::atomic<double> began{ 0 }, ended{ 0 };

	void begins()
	{
		double none = 0;
		unsigned nth = bound++;

		if (where != place::any)
			bind_to_nth(where == place::apart ? nth : 0);
		pthread_barrier_wait(&start);
		began.compare_exchange_strong(none, now_ns());
	}
	void ends()
	{
		double now = now_ns(), seen = ended;

		while (seen < now && !ended.compare_exchange_weak(seen, now))
			;
	}
};

template <class Peer>
static void produce(Peer *peer, crowd *c, uint64_t each, bool bursts)
{
	typename Peer::Tx tx(*peer);
	uint64_t v[burst] = { 0 };
	unsigned misses = 0;

	c->begins();
	for (uint64_t i = 1; i <= each;) {
		uint64_t left = each - i + 1;
		uint64_t n = bursts ? tx.push_n(v, left < burst ? left : burst) :
				      tx.push(i);

		if (n)
			i += n;
		else
			wait_a_bit(misses);
	}
	c->ends();
}

template <class Peer>
static void consume(Peer *peer, crowd *c, uint64_t each, bool bursts)
{
	typename Peer::Rx rx(*peer);
	uint64_t v[burst];
	unsigned misses = 0;

	c->begins();
	for (uint64_t i = 1; i <= each;) {
		uint64_t left = each - i + 1;
		uint64_t n = bursts ? rx.pop_n(v, left < burst ? left : burst) :
				      rx.pop(v[0]);

		if (n)
			i += n;
		else
			wait_a_bit(misses);
	}
	c->ends();
}

template <class Peer>
static double crowd_once(unsigned nr, bool bursts, place where)
{
	static Peer peer;
	uint64_t total = (bursts ? 4 * transfers : transfers) / (runs * 2) * 2;
	std::vector<std::thread> threads;
	crowd c;

	c.where = where;
	pthread_barrier_init(&c.start, nullptr, 2 * nr);
	for (unsigned i = 0; i < 2 * nr; i++)
		threads.emplace_back(i & 1 ? produce<Peer> : consume<Peer>,
				     &peer, &c, total / nr, bursts);
	for (auto &t : threads)
		t.join();
	pthread_barrier_destroy(&c.start);
	return (c.ended - c.began) / (double)total;
}

template <class Peer>
static double run_crowd(unsigned nr, bool bursts, place where)
{
	std::vector<double> ns;

	for (int i = 0; i < runs; i++)
		ns.push_back(crowd_once<Peer>(nr, bursts, where));
	std::sort(ns.begin(), ns.end());
	return ns[runs / 2];
}

#ifdef HAVE_BOOST
struct Boost {
	boost::lockfree::queue<uint64_t, boost::lockfree::capacity<1024>> q;
	struct Tx {
		Boost &b;
		explicit Tx(Boost &b_) : b(b_) {}
		bool push(uint64_t v) { return b.q.push(v); }
		uint64_t push_n(const uint64_t *v, uint64_t) { return push(*v); }
	};
	struct Rx {
		Boost &b;
		explicit Rx(Boost &b_) : b(b_) {}
		bool pop(uint64_t &v) { return b.q.pop(v); }
		uint64_t pop_n(uint64_t *v, uint64_t) { return pop(*v); }
	};
};

struct BoostSpsc {
	boost::lockfree::spsc_queue<uint64_t,
				    boost::lockfree::capacity<1024>> q;
	struct Tx {
		BoostSpsc &b;
		explicit Tx(BoostSpsc &b_) : b(b_) {}
		bool push(uint64_t v) { return b.q.push(v); }
		uint64_t push_n(const uint64_t *v, uint64_t n)
		{
			return b.q.push(v, n);
		}
	};
	struct Rx {
		BoostSpsc &b;
		explicit Rx(BoostSpsc &b_) : b(b_) {}
		bool pop(uint64_t &v) { return b.q.pop(v); }
		uint64_t pop_n(uint64_t *v, uint64_t n)
		{
			return b.q.pop(v, n);
		}
	};
};
#endif

#ifdef HAVE_MOODYCAMEL
/* With tokens, which is its fast way; it grows where ours are full. */
struct Moody {
	moodycamel::ConcurrentQueue<uint64_t> q{ 4096 };
	struct Tx {
		Moody &m;
		moodycamel::ProducerToken t;
		explicit Tx(Moody &m_) : m(m_), t(m_.q) {}
		bool push(uint64_t v) { return m.q.enqueue(t, v); }
		uint64_t push_n(const uint64_t *v, uint64_t n)
		{
			return m.q.enqueue_bulk(t, v, n) ? n : 0;
		}
	};
	struct Rx {
		Moody &m;
		moodycamel::ConsumerToken t;
		explicit Rx(Moody &m_) : m(m_), t(m_.q) {}
		bool pop(uint64_t &v) { return m.q.try_dequeue(t, v); }
		uint64_t pop_n(uint64_t *v, uint64_t n)
		{
			return m.q.try_dequeue_bulk(t, v, n);
		}
	};
};
#endif

#ifdef HAVE_RTE
/* In memory of its own: without DPDK's huge pages and its main thread. */
template <unsigned flags> struct Rte {
	struct rte_ring *r;
	Rte()
	{
		r = static_cast<struct rte_ring *>(
			std::aligned_alloc(128, rte_ring_get_memsize(1024)));
		if (!r || rte_ring_init(r, "bench", 1024, flags))
			std::exit(1);
	}
	struct Tx {
		struct rte_ring *r;
		explicit Tx(Rte &q) : r(q.r) {}
		bool push(uint64_t v) { return !rte_ring_enqueue(r, (void *)v); }
		uint64_t push_n(const uint64_t *v, uint64_t n)
		{
			return rte_ring_enqueue_burst(r, (void *const *)v,
						      (unsigned)n, nullptr);
		}
	};
	struct Rx {
		struct rte_ring *r;
		explicit Rx(Rte &q) : r(q.r) {}
		bool pop(uint64_t &v) { return !rte_ring_dequeue(r, (void **)&v); }
		uint64_t pop_n(uint64_t *v, uint64_t n)
		{
			return rte_ring_dequeue_burst(r, (void **)v,
						      (unsigned)n, nullptr);
		}
	};
};
#endif

template <class Peer> static int run(const char *what, bool many)
{
	double ns;

	if (!std::strcmp(what, "have"))
		ns = 0;
	else if (!std::strcmp(what, "pair"))
		ns = run_pair<Peer>();
	else if (!std::strcmp(what, "1p1c"))
		ns = run_crowd<Peer>(1, false, place::apart);
	else if (!std::strcmp(what, "1p1c_burst"))
		ns = run_crowd<Peer>(1, true, place::apart);
	else if (!std::strcmp(what, "1p1c_cpu"))
		ns = run_crowd<Peer>(1, false, place::one_cpu);
	else if (!std::strcmp(what, "1p1c_cpu_burst"))
		ns = run_crowd<Peer>(1, true, place::one_cpu);
	else if (many && !std::strcmp(what, "2p2c"))
		ns = run_crowd<Peer>(2, false, place::any);
	else if (many && !std::strcmp(what, "2p2c_burst"))
		ns = run_crowd<Peer>(2, true, place::any);
	else
		return 2;
	std::printf("%.3f\n", ns);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
#ifdef HAVE_BOOST
	if (!std::strcmp(argv[1], "boost"))
		return run<Boost>(argv[2], true);
	if (!std::strcmp(argv[1], "boost_spsc"))
		return run<BoostSpsc>(argv[2], false);
#endif
#ifdef HAVE_MOODYCAMEL
	if (!std::strcmp(argv[1], "moodycamel"))
		return run<Moody>(argv[2], true);
#endif
#ifdef HAVE_RTE
	if (!std::strcmp(argv[1], "rte"))
		return run<Rte<0>>(argv[2], true);
	if (!std::strcmp(argv[1], "rte_hts"))
		return run<Rte<RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ>>(argv[2],
								       true);
	if (!std::strcmp(argv[1], "rte_spsc"))
		return run<Rte<RING_F_SP_ENQ | RING_F_SC_DEQ>>(argv[2], false);
#endif
	return 1;
}
