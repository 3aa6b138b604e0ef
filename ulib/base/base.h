/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * base.h - what every area of the library includes first.
 *
 * Small helpers without a state of their own, and the few process-wide things
 * there are: the log sink, the fork generation and the fault point of the
 * allocator. Lists stand in list.h.
 *
 * Internal: never included by a public header.
 */
#ifndef PULSE__BASE_H
#define PULSE__BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pulse-u/base.h>

/* ---- compiler ---------------------------------------------------------- */

#ifndef likely
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#endif

#ifndef container_of
#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define PULSE__ALIGNED(bytes)	__attribute__((aligned(bytes)))
/* On its own pair of cache lines, for a word that other CPUs hammer. */
#define PULSE__PAIR_ALIGNED	PULSE__ALIGNED(PULSE_CACHE_PAIR)
#define PULSE__NOINLINE		__attribute__((noinline))
/* On a hot path, though it has other callers. */
#define PULSE__INLINE		inline __attribute__((always_inline))
#define PULSE__COLD		__attribute__((cold, noinline))
#define PULSE__UNUSED		__attribute__((unused))

#if defined(__SANITIZE_THREAD__)
#define PULSE__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PULSE__TSAN 1
#endif
#endif

/* A public header has inlines that see the beginning of an opaque struct. */
#define PULSE__SAME_PLACE(a, x, b, y)					\
	_Static_assert(offsetof(struct a, x) == offsetof(struct b, y) &&\
		       sizeof(((struct a *)0)->x) ==			\
		       sizeof(((struct b *)0)->y), "the inlines see " #x)

/* ---- arithmetic -------------------------------------------------------- */

static inline bool pulse__is_pow2(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* @align a power of two; wraps to a small value on overflow. */
static inline size_t pulse__align_up(size_t x, size_t align)
{
	return (x + align - 1) & ~(align - 1);
}

static inline size_t pulse__align_down(size_t x, size_t align)
{
	return x & ~(align - 1);
}

static inline bool pulse__is_aligned(const void *p, size_t align)
{
	return !((uintptr_t)p & (align - 1));
}

/* log2 of a power of two. */
static inline unsigned int pulse__log2(uint64_t pow2)
{
	return 63U - (unsigned int)__builtin_clzll(pow2);
}

/* The next power of two that is not smaller; 0 when there is none. */
static inline uint64_t pulse__pow2_up(uint64_t x)
{
	if (x < 2)
		return 1;
	if (x > (1ULL << 63))
		return 0;
	return 1ULL << (64 - __builtin_clzll(x - 1));
}

/* True when the product does not fit; *@out is then not to be used. */
#define pulse__mul_overflow(a, b, out)	__builtin_mul_overflow(a, b, out)
#define pulse__add_overflow(a, b, out)	__builtin_add_overflow(a, b, out)

/* ---- atomics ----------------------------------------------------------- */
/*
 * Over plain objects rather than _Atomic ones, because many of our words lie
 * in the structs of <linux/pulse.h>. Each use says what it pairs with.
 */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define pulse__load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define pulse__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define pulse__add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)

/* Strong compare-exchange; on failure *@old holds what was there. */
#define pulse__cas(p, old, new_, success, failure)			\
	__atomic_compare_exchange_n((p), (old), (new_), false,		\
				    (success), (failure))

/*
 * ThreadSanitizer does not model fences that stand alone. Operations next to
 * a fence name their order with PULSE__FENCED(): the order itself in a normal
 * build, seq_cst in a TSan build, where pulse__fence() is nothing. The TSan
 * build is thus never weaker than the real one on the words concerned.
 */
#ifdef PULSE__TSAN
#define PULSE__FENCED(order)	__ATOMIC_SEQ_CST
#define pulse__fence(order)	__atomic_signal_fence(__ATOMIC_SEQ_CST)
#else
#define PULSE__FENCED(order)	(order)
#define pulse__fence(order)	__atomic_thread_fence(order)
#endif

/*
 * Between what a thread wrote before and what it reads after, whatever the
 * order of either. Real in a TSan build too: there it is a read-modify-write,
 * which is a full barrier where TSan runs.
 */
static inline void pulse__full_barrier(void)
{
#ifdef PULSE__TSAN
	int word = 0;

	__atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ __volatile__("yield" ::: "memory");
#else
	__asm__ __volatile__("" ::: "memory");
#endif
}

/*
 * Has the line of @p fetched to be written. __builtin_prefetch() is a fetch to
 * read on x86-64, unless the build is for a newer CPU than all; those since 2006
 * know this one, or take it for nothing.
 */
static inline void pulse__fetch_to_write(const void *p)
{
#ifdef __x86_64__
	__asm__ __volatile__("prefetchw %0" : : "m" (*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/*
 * Has the line of @p fetched to be read. A function that does nothing but
 * __builtin_prefetch() counts as one without effect, and gcc leaves its calls
 * out: hence the assembly.
 */
static inline void pulse__fetch_to_read(const void *p)
{
#ifdef __x86_64__
	__asm__ __volatile__("prefetcht0 %0" : : "m" (*(const char *)p));
#else
	__asm__ __volatile__("" : : "r" (p));
	__builtin_prefetch(p);
#endif
}

/* ---- options ----------------------------------------------------------- */

/**
 * pulse__opts_load() - take a caller's options struct of any version
 * @dst: the struct of this version; its first member is size_t sz
 * @known: sizeof(*dst)
 * @min: size of the first version, at least sizeof(size_t)
 * @src: the caller's struct, or NULL for the defaults
 *
 * Afterwards @dst is zero but for what the caller set, and its sz is @known.
 *
 * Return: 0; -EINVAL the caller's sz is under @min; -E2BIG it sets something
 * that this version does not know, or says more than a page.
 */
int pulse__opts_load(void *dst, size_t known, size_t min, const void *src);

/*
 * Bytes of a struct up to and with a member: what the first version of an
 * options struct ends with names its @min for ever.
 */
#define pulse__size_to(type, last)					\
	(offsetof(type, last) + sizeof(((type *)0)->last))

/* Likewise for a struct that is filled in for the caller: is sz believable? */
int pulse__out_check(const void *dst, size_t min);
/* Copies min(caller's sz, @known) and leaves the caller's sz as it was. */
void pulse__out_store(void *dst, const void *src, size_t known);

/* ---- fork -------------------------------------------------------------- */

/* Raised by one in each child; see pulse__fork_generation(). */
extern uint32_t pulse__fork_gen;

/**
 * pulse__fork_generation() - which generation of fork this process is
 *
 * An object remembers the value it was made with. Where the two differ, this
 * is a child that inherited the object without its threads: the call answers
 * -EOWNERDEAD. Kept by pthread_atfork(), so a bare clone() is not seen.
 */
static inline uint32_t pulse__fork_generation(void)
{
	return READ_ONCE(pulse__fork_gen);
}

static inline bool pulse__forked(uint32_t made_in)
{
	return unlikely(made_in != pulse__fork_generation());
}

/*
 * For an inline function in a program: a word that is 0 in this process as long
 * as it has not become another's child. One that is 1 everywhere, where there is
 * none to be had or not @known: then the library looks.
 */
const uint32_t *pulse__fork_word(bool known);

/* ---- memory ------------------------------------------------------------ */
/*
 * All of the library's heap memory comes through here, so that a test can
 * make the n-th allocation fail. calloc refuses an overflowing product;
 * aligned_alloc takes any size and returns zeroed memory.
 */
void *pulse__malloc(size_t bytes)
	__attribute__((malloc, warn_unused_result));
void *pulse__calloc(size_t nr, size_t bytes)
	__attribute__((malloc, warn_unused_result));
void *pulse__aligned_alloc(size_t align, size_t bytes)
	__attribute__((malloc, warn_unused_result));
void *pulse__realloc(void *p, size_t bytes)
	__attribute__((warn_unused_result));
char *pulse__strdup(const char *s)
	__attribute__((malloc, warn_unused_result));
void pulse__free(void *p);

/**
 * pulse__alloc_fail_at() - make one allocation fail, for tests
 * @n: 1 = the next one, 2 = the one after it, ...; 0 = none
 *
 * Counts over all threads. Goes off once.
 */
void pulse__alloc_fail_at(long n);

/* Did the failure that was asked for last go off? */
bool pulse__alloc_failed(void);

/*
 * The fault point itself, for what is allocated in another way (mmap, eventfd):
 *	if (pulse__alloc_fault())
 *		return -ENOMEM;
 */
bool pulse__alloc_fault(void);

/* ---- misuse ------------------------------------------------------------ */

/* Writes the text to the log and to standard error, and aborts. */
void pulse__bug(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn, cold));

/*
 * Objects carry a magic word. Debug builds (-DPULSE_DEBUG) check it on
 * destroy and abort where it was destroyed before; other builds trust.
 */
#define PULSE__MAGIC_DEAD	0x44454144U	/* "DEAD" */
#ifdef PULSE_DEBUG
#define pulse__obj_check(obj, live, what)				\
	do {								\
		if ((obj)->magic != (live))				\
			pulse__bug("%s: %s", what,			\
				   (obj)->magic == PULSE__MAGIC_DEAD ?	\
				   "used after destroy" : "not such an object"); \
	} while (0)
#else
#define pulse__obj_check(obj, live, what)	((void)0)
#endif

/* ---- log --------------------------------------------------------------- */

/* Is anybody interested in this level? Guards costly arguments. */
bool pulse__log_wanted(int level);

/* One line for each place in the code and process. */
#define pulse__log_once(level, ...)					\
	do {								\
		static bool pulse__said;				\
									\
		if (!__atomic_exchange_n(&pulse__said, true,		\
					 __ATOMIC_RELAXED))		\
			pulse_log((level), __VA_ARGS__);		\
	} while (0)
#define pulse__warn_once(...)	pulse__log_once(PULSE_LOG_WARN, __VA_ARGS__)

/* ---- clock ------------------------------------------------------------- */

#define PULSE__NSEC_PER_SEC	1000000000LL
#define PULSE__NSEC_PER_MSEC	1000000LL
#define PULSE__NSEC_PER_USEC	1000LL

/* pulse_now_ns(), without a call through the library's own table. */
static inline int64_t pulse__now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * PULSE__NSEC_PER_SEC + ts.tv_nsec;
}

/* Absolute or relative nanoseconds; below 0 becomes 0. */
void pulse__ns_to_timespec(int64_t ns, struct timespec *ts);

/* @now + @delta, which may be PULSE_FOREVER, without overflow. */
static inline int64_t pulse__deadline_after(int64_t now_ns, int64_t delta_ns)
{
	int64_t sum;

	if (delta_ns == PULSE_FOREVER ||
	    __builtin_add_overflow(now_ns, delta_ns, &sum))
		return PULSE_FOREVER;
	return sum;
}

#endif /* PULSE__BASE_H */
